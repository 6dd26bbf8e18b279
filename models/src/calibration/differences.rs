//! Why an engine differs from Rust, test by test.

use super::Judgement;

/// One reason for which an engine differs, in all the tests where it does.
#[derive(Debug)]
pub struct Difference {
    /// The engine.
    pub engine: &'static str,
    /// The reason in a few words.
    pub title: &'static str,
    /// The tests.
    pub tests: &'static [&'static str],
    /// What it does to them.
    pub judgement: Judgement,
    /// The reason.
    pub why: &'static str,
}

/// All of them. The tests require that each cell that differs has exactly one, that each of these
/// has only cells that differ so, and that what one engine misses another sees.
pub static DIFFERENCES: &[Difference] = &[
    Difference {
        engine: "loom",
        title: "SeqCst accesses",
        tests: &["SB+sc", "IRIW+sc"],
        judgement: Judgement::FalseAlarm,
        why: "loom gives a SeqCst load or store no more than acquire and release, as its \
              documentation says. SeqCst fences it does model (`SB+fsc+fsc` and `R+fsc` agree). \
              No load or store of the site table can be SeqCst.",
    },
    Difference {
        engine: "loom",
        title: "load buffering",
        tests: &["LB+rlx", "LB+rel+rlx"],
        judgement: Judgement::BlindSpot,
        why: "loom executes one operation after another, and a load can only find what was \
              stored before it was executed. A side of the ring that frees a slot too weakly has \
              this shape; there the slot's race-detecting cell shows it all the same.",
    },
    Difference {
        engine: "loom",
        title: "acquire fences and third threads",
        tests: &["fence3"],
        judgement: Judgement::BlindSpot,
        why: "loom's acquire fence synchronises with each store that a load before it has read, \
              also where that load was another thread's and only happened before. It takes three \
              threads to show; the axioms judge a model of three threads with fences.",
    },
    Difference {
        engine: "loom",
        title: "own index",
        tests: &["own-index"],
        judgement: Judgement::BlindSpot,
        why: "A thread that loads a word before it stores it hides most interleavings of that \
              store from loom (tokio-rs/loom#166). So endpoints keep their own index in a private \
              field, and every model has a minimum of executions.",
    },
    Difference {
        engine: "loom",
        title: "history 7",
        tests: &["history"],
        judgement: Judgement::BlindSpot,
        why: "loom remembers seven values of a word, the first one included; a load cannot find \
              an older one. An exploration in which a word had more is not called `EXHAUSTED` but \
              `EXHAUSTED (history 7)`.",
    },
    Difference {
        engine: "shuttle",
        title: "interleavings only",
        tests: &[
            "MP+rlx+rlx",
            "MP+rel+rlx",
            "MP+rlx+acq",
            "MP+facq+facq",
            "MP+frel+frel",
            "SB+rlx",
            "SB+rel+acq",
            "SB+fsc+far",
            "LB+rlx",
            "LB+rel+rlx",
            "S+rlx",
            "R+rlx",
            "2+2W+rlx",
            "2+2W+rel",
            "WRC+rlx",
            "ISA2+rel+rlx+acq",
            "IRIW+acq",
            "RS+own-store",
            "fence3",
            "seqlock+textbook",
            "seqlock+textbook-writer",
            "seqlock+textbook-reader",
            "seqlock+even-rlx",
            "seqlock+first-rlx",
            "seqlock+all-sc",
            "own-index",
            "history",
        ],
        judgement: Judgement::BlindSpot,
        why: "shuttle interleaves threads over one memory and ignores orderings: it sees exactly \
              what sequential consistency allows, which is every test here whose answer is \
              *Never*. It is here for long schedules, and as an oracle: what it finds, the others \
              must find too.",
    },
];
