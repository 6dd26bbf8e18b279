//! The checker against herd7, against loom, and against itself with an axiom left out.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::sync::Arc;

use super::execution::Next;
use super::trace::{Kind, Trace};
use super::{Axioms, Enumeration, Rules, Violation, enumerate, rows, session};
use crate::calibration::{Observed, execute, row};
use crate::change::{Change, Table};
use crate::engine::{
    ASLEEP, Engine, Extent, Limits, Word, begin_execution, current, spawn_with, word,
};
use crate::exploration::{self, Effort};
use crate::litmus::{self, Litmus, Op, Verdict};
use crate::order::Order::{self, AcqRel, Acquire, Heavy, Light, Relaxed, Release, SeqCst};
use crate::run::Run;
use crate::scenario::Scenario;

type Plain = Axioms<false>;

const RC11: Rules = Rules::RC11;
const CPP17: Rules = Rules {
    own_stores_continue: true,
    ..Rules::CPP20
};

/// Runs `program` for all candidates. It must not end early.
fn all(rules: Rules, program: impl Fn()) -> Result<Enumeration, Violation> {
    let all = enumerate(rules, u64::MAX, &program, || {}, || {})?;
    assert_eq!(all.truncated, None);
    Ok(all)
}

/// The results that `program` can have.
fn results<R: Ord>(rules: Rules, program: impl Fn() -> R) -> BTreeSet<R> {
    let last = RefCell::new(None);
    let mut results = BTreeSet::new();
    let program = || _ = last.replace(Some(program()));
    let commit = || results.extend(last.take());
    let begin = current::set::<Plain>;
    let all = enumerate(rules, u64::MAX, &program, begin, commit).expect("it asserts nothing");
    assert_eq!(all.truncated, None);
    results
}

fn verdict(test: &'static Litmus, rules: Rules) -> Verdict {
    let states = results(rules, || execute(test));
    Observed {
        executions: 0,
        states,
    }
    .verdict(test)
}

#[test]
fn every_litmus_test_has_the_verdict_and_the_number_of_states_that_herd_finds() {
    let mut wrong = Vec::new();
    for test in litmus::ALL {
        for (model, rules, expected) in [
            ("Rust", Rules::CPP20, test.rust()),
            ("c11", CPP17, test.c11),
            ("rc11", RC11, test.rc11),
        ] {
            let found = verdict(test, rules);
            if found != expected {
                wrong.push(format!("{} {model}: {found}, not {expected}", test.name));
            }
        }
    }
    assert_eq!(litmus::ALL.len(), 42);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Tests that herd's table lacks, without which some axioms would never be needed. The verdicts
/// are by hand: each asks about the one state that the axiom forbids.
mod more {
    use super::*;
    use crate::litmus::Op::{Add, Load, Store};
    use crate::litmus::{register, test};

    const X: usize = 0;
    const Y: usize = 1;
    const INCREMENT: &[Op] = &[Add(X, 1, Relaxed)];

    pub(super) static INCREMENTS: Litmus = test(
        "2 increments",
        "whether both find the same number",
        &[INCREMENT, INCREMENT],
        &[&[register(0, 0, 0), register(1, 0, 0)]],
        Verdict::Never(2),
    )
    .of(&["x"]);

    pub(super) static LB_ONE_WAY: Litmus = test(
        "LB+one-way",
        "whether a load finds a store that happens after it",
        &[
            &[Load(X, Relaxed), Store(Y, 1, Release)],
            &[Load(Y, Acquire), Store(X, 1, Relaxed)],
        ],
        &[&[register(0, 0, 1), register(1, 0, 1)]],
        Verdict::Never(3),
    );

    pub(super) static IRIW_FENCES: Litmus = test(
        "IRIW+fsc",
        "two readers disagree, SeqCst fences",
        &[
            &[Store(X, 1, Relaxed)],
            &[Store(Y, 1, Relaxed)],
            &[Load(X, Relaxed), Op::Fence(SeqCst), Load(Y, Relaxed)],
            &[Load(Y, Relaxed), Op::Fence(SeqCst), Load(X, Relaxed)],
        ],
        litmus::DISAGREE,
        Verdict::Never(15),
    );
}

#[test]
fn each_axiom_is_what_decides_some_test() {
    let litmus = |name| Litmus::find(name).expect("there is such a test");
    macro_rules! with {
        ($($test:expr, $rule:ident = $value:literal;)*) => {
            [$(($test, Rules { $rule: $value, ..Rules::CPP20 })),*]
        };
    }
    // Without the axiom (or with one that C++20 does not have), the answer is another one.
    let decided = with! {
        litmus("MP+rel+acq"), synchronises = false;
        litmus("MP+frel+facq"), fences = false;
        litmus("RS+rmw"), release_sequences = false;
        litmus("S+rel+acq"), write_write = false;
        litmus("CoWR"), write_read = false;
        &more::LB_ONE_WAY, read_write = false;
        litmus("CoRR"), read_read = false;
        &more::INCREMENTS, atomicity = false;
        litmus("SB+sc"), seq_cst_accesses = false;
        &more::IRIW_FENCES, seq_cst_fences = false;
        litmus("RS+own-store"), own_stores_continue = true;
        litmus("LB+rlx"), no_load_buffering = true;
    };
    for (test, rules) in decided {
        let (truth, found) = (verdict(test, Rules::CPP20), verdict(test, rules));
        assert_eq!(truth, test.rust(), "{}", test.name);
        assert_ne!(truth.allows(), found.allows(), "{}: {found}", test.name);
    }
}

#[test]
fn executions_are_counted_once_each() {
    // Stores of as many threads come in any order.
    for (threads, orders) in [(1, 1), (2, 2), (3, 6), (4, 24)] {
        let mut trace = Trace::default();
        trace.push(0, 0, Kind::Initial(0), Relaxed);
        for thread in 1..=threads {
            trace.push(thread, 0, Kind::Store(7), Relaxed);
        }
        // It may be any of them that is read.
        trace.push(0, 0, Kind::Load(7), Relaxed);
        let mut found = 0;
        trace.search(Rules::CPP20, 0, |_| {
            found += 1;
            Next::Execution
        });
        assert_eq!(found, orders * threads);
    }
}

/// A pseudo-random sequence (xorshift).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        for (left, shift) in [(true, 13), (false, 7), (true, 17)] {
            self.0 ^= if left {
                self.0 << shift
            } else {
                self.0 >> shift
            };
        }
        (self.0 >> 11) as usize % bound
    }

    fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }

    fn op(&mut self) -> Op {
        let word = self.below(2);
        match self.below(8) {
            0..=2 => Op::Load(word, self.one_of(&[Relaxed, Acquire, SeqCst])),
            3..=5 => {
                let value = self.one_of(&[1, 2]);
                Op::Store(word, value, self.one_of(&[Relaxed, Release, SeqCst]))
            }
            6 => Op::Add(word, 1, self.one_of(&[Relaxed, AcqRel])),
            _ => Op::Fence(self.one_of(&[Acquire, Release, SeqCst])),
        }
    }
}

/// The registers that a program can end with, by trying every value everywhere and judging whole
/// traces only.
fn by_brute_force(threads: &[Vec<Op>], rules: Rules) -> BTreeSet<Vec<u64>> {
    const VALUES: u64 = 6;
    let reads = threads.iter().flatten().filter(|op| op.reads()).count() as u32;
    let mut possible = BTreeSet::new();
    for number in 0..VALUES.pow(reads) {
        let registers: Vec<_> = (0..reads)
            .map(|read| number / VALUES.pow(read) % VALUES)
            .collect();
        let mut values = registers.iter().copied();
        let mut next = || values.next().expect("as many as there are reads");
        let mut trace = Trace::default();
        for word in 0..2 {
            trace.push(0, word, Kind::Initial(0), Relaxed);
        }
        for (thread, ops) in threads.iter().enumerate() {
            for &op in ops {
                let (word, kind, order) = match op {
                    Op::Load(word, order) => (word, Kind::Load(next()), order),
                    Op::Store(word, value, order) => (word, Kind::Store(value), order),
                    Op::Add(word, amount, order) => {
                        let read = next();
                        let written = read + amount;
                        (word, Kind::Rmw { read, written }, order)
                    }
                    Op::Fence(order) => (0, Kind::Fence, order),
                };
                trace.push(thread, word, kind, order);
            }
        }
        if trace.is_consistent(rules, 0) {
            possible.insert(registers);
        }
    }
    possible
}

/// Neither what is tried nor what is given up early loses anything.
#[test]
fn the_enumeration_finds_what_brute_force_finds() {
    let mut random = Random(20_260_801);
    let (mut compared, mut results_in_all) = (0, 0);
    while compared < 400 {
        let thread = |random: &mut Random| {
            let ops = 1 + random.below(3);
            (0..ops).map(|_| random.op()).collect::<Vec<_>>()
        };
        let count = 2 + random.below(2);
        let threads: Vec<_> = (0..count).map(|_| thread(&mut random)).collect();
        if threads.iter().flatten().filter(|op| op.reads()).count() > 4 {
            continue;
        }
        for rules in [Rules::CPP20, RC11] {
            let found = results(rules, || {
                let words: Vec<_> = (0..2).map(|_| Plain::word(0)).collect();
                // The last one is the main thread: it reads while the others run, too.
                let (last, others) = threads.split_last().expect("two or three");
                let start = |ops: &Vec<Op>| session::spawn(|| row(ops, &words));
                let others: Vec<_> = others.iter().map(start).collect();
                let last = row(last, &words);
                let registers = others.into_iter().flat_map(session::join);
                registers.chain(last).collect::<Vec<_>>()
            });
            assert_eq!(found, by_brute_force(&threads, rules), "{threads:?}");
            results_in_all += found.len();
        }
        compared += 1;
    }
    assert!(
        results_in_all > 2 * compared,
        "some programs have several results"
    );
}

#[test]
fn a_value_out_of_thin_air_is_not_tried() {
    let circle = |extra: bool| {
        results(Rules::CPP20, move || {
            let (x, y) = (Plain::word(0), Plain::word(0));
            let copying = session::spawn(|| {
                let value = x.load(Relaxed).value;
                y.store(value, Relaxed);
                value
            });
            let back = y.load(Relaxed).value;
            x.store(if extra { 1 } else { back }, Relaxed);
            (session::join(copying), back)
        })
    };
    assert_eq!(circle(false), [(0, 0)].into());
    // The same with a value that does not depend on what was read is load buffering.
    assert!(circle(true).contains(&(1, 1)));
}

#[test]
fn a_finding_counts_if_the_execution_is_possible() {
    let message_passing = |publish: Order, observe: Order| {
        all(Rules::CPP20, move || {
            let (data, flag) = (Plain::slot(0), Plain::word(0));
            let sending = session::spawn(|| {
                data.write(5u64);
                flag.store(1, publish);
            });
            if flag.load(observe).value == 1 {
                assert_eq!(data.read(), 5, "the old value");
            }
            session::join(sending);
        })
    };
    assert_eq!(
        message_passing(Release, Acquire).map(|all| all.consistent),
        Ok(2)
    );
    for (publish, observe) in [(Relaxed, Acquire), (Release, Relaxed)] {
        let violation = message_passing(publish, observe).expect_err("a race");
        assert!(
            violation.finding.starts_with("a data race"),
            "{violation:?}"
        );
    }
}

/// The thread runs first, and panics at what is stored only later: by the one that started it,
/// which therefore has to go on.
#[test]
fn a_thread_that_panics_ends_alone() {
    let violation = all(Rules::CPP20, || {
        let x = Plain::word(0);
        let checking = session::spawn(|| assert_eq!(x.load(Relaxed).value, 0, "too late"));
        x.store(1, Relaxed);
        session::join(checking);
    });
    let finding = violation.expect_err("it can be").finding;
    assert!(finding.contains("too late"), "{finding}");
}

#[test]
fn starts_and_joins_order_plain_accesses() {
    let handed_over = |join_first: bool| {
        all(Rules::CPP20, move || {
            let data = Plain::slot(1);
            data.write(2);
            // It does nothing itself: what it orders goes through it all the same.
            let nothing = session::spawn(|| {
                let inner = session::spawn(|| data.write(3));
                session::join(inner);
            });
            if join_first {
                session::join(nothing);
            }
            data.read();
        })
    };
    assert!(handed_over(true).is_ok());
    assert!(handed_over(false).is_err());
}

#[test]
fn an_exploration_that_was_cut_short_says_so() {
    let explore = |executions, waits: bool| {
        let run = Run::new(Table::default(), None);
        let limits = Limits {
            preemptions: None,
            executions,
            seed: 0,
        };
        let body = move || {
            let x = word(0);
            let storing = spawn_with(&x, |x| x.store(1, Relaxed));
            while x.load(Relaxed).value == 0 && waits {}
            storing.join();
        };
        let extent = Plain::explore(limits, &run, Arc::new(body));
        (extent, run.executions())
    };
    assert_eq!(explore(100, false), (Extent::Exhausted, 4));
    let (extent, executions) = explore(3, false);
    assert!(matches!(extent, Extent::Truncated(_)) && executions == 3);
    let (extent, _) = explore(10_000, true);
    assert!(matches!(extent, Extent::Truncated(how) if how.contains("64 events")));
}

#[test]
fn a_program_that_is_not_deterministic_is_refused() {
    let runs = RefCell::new(0);
    let violation = all(Rules::CPP20, || {
        let (x, y) = (Plain::word(0), Plain::word(0));
        let storing = session::spawn(|| {
            x.store(1, Relaxed);
            y.store(1, Relaxed);
        });
        *runs.borrow_mut() += 1;
        let either = if *runs.borrow() % 2 == 1 { &x } else { &y };
        either.load(Relaxed);
        session::join(storing);
    });
    let finding = violation.expect_err("it is not").finding;
    assert!(finding.contains("deterministic"), "{finding}");
}

#[test]
fn a_lock_is_held_by_one_at_a_time_and_by_either_first() {
    let seen = results(Rules::CPP20, || {
        let (lock, count) = (Plain::lock(), Plain::slot(0));
        let take = || {
            let mut before = 0;
            lock.locked(&mut || {
                before = count.read();
                count.write(before + 1);
            });
            before
        };
        let other = session::spawn(take);
        (take(), session::join(other))
    });
    assert_eq!(seen, [(0, 1), (1, 0)].into());
}

/// Each of two threads stores, makes a fence and looks: whether it can be that neither sees the other.
fn miss_each_other(first: Order, second: Order) -> bool {
    let seen = results(Rules::CPP20, || {
        let (here, there) = (Plain::word(0), Plain::word(0));
        let other = session::spawn(|| {
            there.store(1, Relaxed);
            Plain::fence(first);
            here.load(Relaxed).value
        });
        here.store(1, Relaxed);
        Plain::fence(second);
        let seen = there.load(Relaxed).value;
        (seen, session::join(other))
    });
    seen.contains(&(0, 0))
}

#[test]
fn a_light_fence_is_one_against_a_heavy_one_only() {
    for (first, second, may) in [
        (Light, Heavy, false),
        (Heavy, Heavy, false),
        (Heavy, SeqCst, false),
        (SeqCst, SeqCst, false),
        (Light, Light, true),
        (Light, SeqCst, true),
        (Heavy, AcqRel, true),
    ] {
        assert_eq!(miss_each_other(first, second), may, "{first}, {second}");
        assert_eq!(miss_each_other(second, first), may, "{second}, {first}");
    }
}

#[test]
fn who_sleeps_is_woken_or_found() {
    let found = |steps: &[fn(&Word)]| {
        let found = all(Rules::CPP20, || {
            let word = Plain::word(0);
            let sleeping = session::spawn(|| word.wait(0));
            steps.iter().for_each(|step| step(&word));
            session::join(sleeping);
        });
        found.map(|_| ()).map_err(|violation| violation.finding)
    };
    let store: fn(&Word) = |word| _ = word.store(1, Relaxed);
    let wake: fn(&Word) = |word| word.wake();
    assert_eq!(found(&[store, wake]), Ok(()));
    for lost in [&[][..], &[store], &[wake], &[wake, store]] {
        let finding = found(lost).expect_err("nobody wakes it");
        assert!(finding.starts_with(ASLEEP), "{finding}");
    }
}

fn find(name: &str) -> Scenario {
    crate::suite::find(name).expect("there is such a scenario")
}

/// Explores a scenario under given rules, with one change.
fn explore<E: Engine>(
    scenario: &Scenario,
    rules: Rules,
    change: Option<Change>,
) -> (Arc<Run>, Result<Enumeration, Violation>) {
    let run = Run::new(Table::with(change), None);
    let program = || (scenario.body)(&run);
    let found = enumerate(
        rules,
        100_000,
        &program,
        || begin_execution::<E>(&run),
        || run.commit(),
    );
    (run, found)
}

/// Where the ring's slots are atomic words, nothing but load buffering shows that a side frees a
/// slot, or observes that it is free, with too little.
#[test]
fn load_buffering_shows_a_ring_whose_slots_are_freed_too_early() {
    let ring = find("ring/capacity 1");
    for rules in [Rules::CPP20, RC11] {
        let (_, found) = explore::<Axioms<true>>(&ring, rules, None);
        assert_eq!(found.map(|all| all.truncated), Ok(None), "the control");
    }
    for (change, by_load_buffering_alone) in [
        ("RingPublish=Relaxed", false),
        ("RingObserve=Relaxed", false),
        ("RingFree=Relaxed", true),
        ("RingReclaim=Relaxed", true),
    ] {
        let change = Some(Change::parse(change).expect("there is such a change"));
        let (_, found) = explore::<Axioms<true>>(&ring, Rules::CPP20, change);
        let finding = found.expect_err("a mutant").finding;
        assert!(finding.contains("not the next item"), "{finding}");
        let (_, found) = explore::<Axioms<true>>(&ring, RC11, change);
        assert_eq!(found.is_ok(), by_load_buffering_alone, "{change:?}");
    }
}

/// Three threads and fences, of which the axioms judge what loom cannot: a writer dies anywhere, its
/// successor repairs, and a reader runs all along.
#[test]
fn a_seqlock_repaired_while_it_is_read_holds_and_needs_each_of_its_orderings() {
    let scenario = find("crash/seqlock writer");
    let effort = Effort::of(100_000);
    let control = exploration::explore::<Plain>(&scenario, None, effort);
    assert_eq!(
        control.outcome.map_err(|failure| failure.finding),
        Ok(Extent::Exhausted)
    );
    assert!(control.totals.witnessed["successor repaired"] > 0);
    let changes = Change::weaker();
    let seqlock = changes
        .iter()
        .filter(|change| change.site().info().name.starts_with("Seq"));
    let mut tried = 0;
    for &change in seqlock {
        let explored = exploration::explore::<Plain>(&scenario, Some(change), effort);
        let failure = explored.outcome.expect_err("a mutant");
        assert!(
            failure.finding.contains("a torn value"),
            "{change}: {}",
            failure.finding
        );
        tried += 1;
    }
    assert_eq!(tried, 6);
}

/// Two checkers that have nothing in common: where neither was cut short, what the actors of a
/// scenario can read is the same, up to what loom leaves out on purpose.
#[cfg(feature = "loom")]
#[test]
fn loom_reads_what_the_axioms_allow() {
    use crate::engine::loom::Loom;
    use crate::scenario::inventory;

    let effort = Effort::of(20_000);
    let mut compared = 0;
    for loom in inventory() {
        // That one notes who came first in memory of its own, where the threads of this engine
        // leave the order in which they are run.
        let watched = loom.name != "role/taken or retired";
        let left_out = rows::LEFT_OUT
            .iter()
            .any(|name| loom.name.starts_with(name));
        let exhausted = loom.size == crate::scenario::Size::Exhausted;
        if !watched || left_out || loom.crashes || !exhausted {
            continue;
        }
        let theirs = exploration::explore::<Loom>(&loom, None, effort);
        if theirs.outcome.map_err(|failure| failure.finding) != Ok(Extent::Exhausted) {
            continue;
        }
        let (run, found) = explore::<Plain>(&find(loom.name), Rules::CPP20, None);
        assert_eq!(found.map(|all| all.truncated), Ok(None), "{}", loom.name);
        let (theirs, ours) = (theirs.totals.readings, run.totals().readings);
        let missing = theirs.difference(&ours).count();
        assert_eq!(missing, 0, "{}: of {} in loom", loom.name, theirs.len());
        // Where a thread yields, loom lets the others run first; and its fences and sleeps order more than they must.
        if !loom.name.ends_with("bounded read") && !loom.name.starts_with("sleep/") {
            assert_eq!(ours.len(), theirs.len(), "{}", loom.name);
        }
        compared += 1;
    }
    assert!(compared >= 10, "only {compared}");
}
