//! What several test files share.
#![allow(dead_code, reason = "each test file uses its own part of this")]

#[allow(unreachable_pub, reason = "its file is the harness's")]
pub(crate) mod deadline;
pub(crate) mod dying;
pub(crate) mod example;
pub(crate) mod helper;
pub(crate) mod interrupted;
pub(crate) mod named;
pub(crate) mod stranger;

use std::fmt::Debug;
use std::time::{Duration, Instant};

use proptest::strategy::Strategy;
use proptest::test_runner::{Config, RngSeed, TestCaseError, TestRunner};
use ringproof::{Consumer, Payload, Producer, Ring};

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

/// Both ends of a ring that has none yet.
#[track_caller]
pub(crate) fn ends<T: Payload>(ring: &Ring<T>) -> (Producer<T>, Consumer<T>) {
    (
        ring.producer().expect("the producer's role"),
        ring.consumer().expect("the consumer's role"),
    )
}

/// A lock of that byte of a file, as `fcntl` takes it.
pub(crate) fn lock_of(byte: u8) -> nix::libc::flock {
    nix::libc::flock {
        l_type: nix::libc::F_WRLCK as nix::libc::c_short,
        l_whence: nix::libc::SEEK_SET as nix::libc::c_short,
        l_start: byte.into(),
        l_len: 1,
        l_pid: 0,
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

/// How much of something that is done again and again is done: all of it where the machine is quick,
/// and where it is not as much as it gets done in some seconds, but never less than the least. The
/// number decides nothing.
pub(crate) struct Effort {
    least: u64,
    all: u64,
    end: Instant,
}

impl Effort {
    pub(crate) fn of(least: u64, all: u64) -> Effort {
        Effort {
            least,
            all,
            end: Instant::now() + Duration::from_secs(10),
        }
    }

    /// Whether there is more to do after `done`.
    pub(crate) fn goes_on(&self, done: u64) -> bool {
        if done >= self.least && done < self.all && Instant::now() > self.end {
            let all = self.all;
            println!("not run: all from {done} to {all}: this machine is too busy for them");
            return false;
        }
        done < self.all
    }

    /// The numbers of rounds.
    pub(crate) fn rounds(least: u64, all: u64) -> impl Iterator<Item = u64> {
        let effort = Effort::of(least, all);
        (0..).take_while(move |round| effort.goes_on(*round))
    }
}

/// The same of a seqlock and of a latch: what it is given calls them `Lock`, and what goes with them by such
/// names, too.
#[allow(unused_macros, reason = "each test file uses its own part of this")]
macro_rules! seqlock_and_latch {
    ($body:block) => {
        seqlock_and_latch!(
            @"seqlock", SeqLock, SeqLockOptions, seqlock::SeqReader, SeqObserve, SeqCopyOut, $body
        );
        seqlock_and_latch!(
            @"latch", SeqLatch, SeqLatchOptions, latch::LatchReader, LatchObserve, LatchCopyOut, $body
        );
    };
    (
        @$kind:literal, $lock:ident, $options:ident, $module:ident::$reader:ident,
        $observe:ident, $copy_out:ident, $body:block
    ) => {{
        #[allow(unused_imports, reason = "each test uses its own part of this")]
        use ringproof::{$lock as Lock, $options as LockOptions, $module::$reader as LockReader};
        #[allow(dead_code, reason = "as above")]
        const KIND: &str = $kind;
        #[allow(dead_code, reason = "as above")]
        const OBSERVE: ringproof::site::LoadSite = ringproof::site::LoadSite::$observe;
        #[allow(dead_code, reason = "as above")]
        const COPY_OUT: ringproof::site::LoadSite = ringproof::site::LoadSite::$copy_out;
        $body
    }};
}
#[allow(unused_imports, reason = "each test file uses its own part of this")]
pub(crate) use seqlock_and_latch;
