//! Deadlines that only say "this hangs", and the one factor that stretches all of them.
//!
//! No outcome of a check depends on who is faster: a deadline is far above what anything needs, and
//! who reaches it is taken to hang. A machine that is slower or busier than that, or a program that
//! runs under an emulator, sets `RINGPROOF_TIME_FACTOR`.
//!
//! This file is linked into the tests of `ringproof` and `ringproof-cli`, so that what is published has it,
//! too: its own tests stand elsewhere.

use std::env;
use std::sync::OnceLock;
use std::time::Duration;

/// The variable of the environment with the factor.
pub const VARIABLE: &str = "RINGPROOF_TIME_FACTOR";

const LARGEST: f64 = 1000.0;

/// The factor: 1 unless the environment says something else.
///
/// # Errors
/// The variable is no number from 1 to 1000; the text says what it is and what is expected.
pub fn factor() -> Result<f64, String> {
    static FACTOR: OnceLock<Result<f64, String>> = OnceLock::new();
    let read = || match env::var_os(VARIABLE) {
        None => Ok(1.0),
        Some(text) => parse(&text.to_string_lossy()),
    };
    FACTOR.get_or_init(read).clone()
}

pub(crate) fn parse(text: &str) -> Result<f64, String> {
    let number = text.trim().parse().ok();
    number
        .filter(|factor| (1.0..=LARGEST).contains(factor))
        .ok_or_else(|| {
            format!(
                "{VARIABLE} is {text:?}; expected the factor by which deadlines are longer, a number \
                 from 1 to {LARGEST}"
            )
        })
}

/// The deadline times [`factor`].
///
/// A program asks for [`factor`] when it starts and ends with a word about what is wrong with it; where
/// it was not set, a wrong variable counts as 1.
pub fn scaled(deadline: Duration) -> Duration {
    deadline.mul_f64(factor().unwrap_or(1.0))
}

/// So many seconds, [`scaled`].
pub fn seconds(seconds: u64) -> Duration {
    scaled(Duration::from_secs(seconds))
}
