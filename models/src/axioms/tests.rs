//! The checker against the verdicts of herd7, and what each axiom is good for.

use std::cell::RefCell;
use std::collections::BTreeSet;

use super::{Axioms, Cell, Rules, enumerate};
use crate::engine::Engine;
use crate::litmus::{self, Litmus, Op, State, Verdict};
use crate::order::Order;

type Plain = Axioms<false>;

/// Runs a thread of a litmus test, and gives what it read.
fn run_ops(words: &[Cell], ops: &[Op]) -> Vec<u64> {
    let mut registers = Vec::new();
    for &op in ops {
        match op {
            Op::Load { word, order } => registers.push(Plain::load(&words[word], order).value),
            Op::Store { word, value, order } => {
                Plain::store(&words[word], value, order);
            }
            Op::Add {
                word,
                amount,
                order,
            } => registers.push(Plain::add(&words[word], amount, order).value),
            Op::Fence(order) => Plain::fence(order),
        }
    }
    registers
}

/// The final states that a test can have.
fn states(test: &Litmus, rules: Rules) -> BTreeSet<State> {
    let last = RefCell::new(None);
    let mut states = BTreeSet::new();
    let program = || {
        let words: Vec<_> = test.words.iter().map(|_| Plain::word(0)).collect();
        let threads: Vec<_> = test
            .threads
            .iter()
            .map(|ops| super::session::spawn(|| run_ops(&words, ops)))
            .collect();
        let registers: Vec<_> = threads.into_iter().map(Plain::join).collect();
        let left: Vec<_> = words
            .iter()
            .map(|word| Plain::load(word, Order::Relaxed).value)
            .collect();
        last.replace(Some(test.state(&registers, &left)));
    };
    let commit = || states.extend(last.take());
    let all = enumerate(rules, u64::MAX, &program, || {}, commit).expect("it asserts nothing");
    assert_eq!(all.truncated, None);
    states
}

fn verdict(test: &Litmus, rules: Rules) -> Verdict {
    let states = states(test, rules);
    let count = states.len().try_into().expect("a few");
    match states.iter().any(|state| test.asks_about(state)) {
        true => Verdict::Sometimes(count),
        false => Verdict::Never(count),
    }
}

#[test]
fn every_litmus_test_has_the_verdict_and_the_states_that_herd_finds() {
    let cpp17 = Rules {
        own_stores_continue: true,
        ..Rules::CPP20
    };
    let mut wrong = Vec::new();
    for test in litmus::ALL {
        for (name, rules, expected) in [
            ("rust", Rules::CPP20, test.rust()),
            ("c11", cpp17, test.c11),
            ("rc11", Rules::RC11, test.rc11),
        ] {
            let found = verdict(test, rules);
            if found != expected {
                wrong.push(format!("{} {name}: {found}, not {expected}", test.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
