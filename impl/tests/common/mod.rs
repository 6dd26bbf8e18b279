//! What several test files share.
#![allow(dead_code, reason = "each test file uses its own part of this")]

pub(crate) mod dying;
pub(crate) mod helper;
pub(crate) mod named;
pub(crate) mod stranger;

use std::fmt::Debug;
use std::time::{Duration, Instant};

use proptest::strategy::Strategy;
use proptest::test_runner::{Config, RngSeed, TestCaseError, TestRunner};
use ringproof_record::deadline;

/// The seed where `PROPTEST_RNG_SEED` gives none: the same cases in every run, so that a change
/// of the verdict is a change of the code. A nightly run gives another one.
const SEED: u64 = 20_240_229;

/// Runs `test` on `cases` values of `strategy` (or as many as `PROPTEST_CASES` says), and panics
/// with the smallest value that fails and with what repeats it.
pub(crate) fn check<S: Strategy<Value: Debug>>(
    cases: u32,
    strategy: S,
    test: impl Fn(S::Value) -> Result<(), TestCaseError>,
) {
    let mut config = Config::default();
    if std::env::var_os("PROPTEST_CASES").is_none() {
        config.cases = cases;
    }
    let seed = match config.rng_seed {
        RngSeed::Fixed(seed) => seed,
        RngSeed::Random => SEED,
    };
    config.rng_seed = RngSeed::Fixed(seed);
    // The seed repeats a failure; a file beside the source would only repeat it once more.
    config.failure_persistence = None;
    let cases = config.cases;
    if let Err(failure) = TestRunner::new(config).run(&strategy, test) {
        panic!("{failure}\nrepeat with PROPTEST_RNG_SEED={seed} PROPTEST_CASES={cases}");
    }
}

/// A wait that ends, and says what it waited for. Its length decides nothing but how long a
/// broken library takes to fail.
pub(crate) struct Deadline {
    what: &'static str,
    end: Instant,
}

impl Deadline {
    pub(crate) fn length() -> Duration {
        deadline::seconds(300)
    }

    pub(crate) fn to(what: &'static str) -> Deadline {
        Deadline {
            what,
            end: Instant::now() + Deadline::length(),
        }
    }

    /// Lets others run.
    pub(crate) fn wait(&self) {
        assert!(
            Instant::now() < self.end,
            "waited {} s to {}",
            Deadline::length().as_secs(),
            self.what
        );
        std::thread::yield_now();
    }
}
