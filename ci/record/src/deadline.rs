//! Deadlines that only say "this hangs", and the one factor that stretches all of them.
//!
//! No outcome of a check depends on who is faster: a deadline is far above what anything needs, and
//! who reaches it is taken to hang. A machine that is slower or busier than that, or a program that
//! runs under an emulator, sets `RINGPROOF_TIME_FACTOR`.

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

fn parse(text: &str) -> Result<f64, String> {
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
/// nobody asked, a wrong variable counts as 1.
pub fn scaled(deadline: Duration) -> Duration {
    deadline.mul_f64(factor().unwrap_or(1.0))
}

/// So many seconds, [`scaled`].
pub fn seconds(seconds: u64) -> Duration {
    scaled(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_factor_is_a_number_from_one_to_a_thousand() {
        assert_eq!(parse("1"), Ok(1.0));
        assert_eq!(parse(" 2.5\n"), Ok(2.5));
        assert_eq!(parse("1000"), Ok(1000.0));
        for wrong in ["", "0", "0.5", "-1", "1001", "inf", "NaN", "many", "1e400"] {
            let why = parse(wrong).unwrap_err();
            assert!(
                why.contains(VARIABLE) && why.contains("from 1 to 1000"),
                "{why}"
            );
        }
    }

    #[test]
    fn nothing_is_shortened() {
        assert!(seconds(3) >= Duration::from_secs(3));
    }
}
