//! Every mechanism between two processes of the program: messages arrive in order, one that is lost
//! is noticed, and nothing is left behind.

use std::fs;
use std::path::Path;

use ringproof_perf::ipc::{Exercise, Injected, Mechanism, Place, Program, Task, Two};
use ringproof_perf::report::Trouble;
use ringproof_perf_peers::mechanisms;
use ringproof_record::deadline;

fn program() -> Program {
    Program::at(env!("CARGO_BIN_EXE_ringproof-perf-peers"))
}

fn task(exercise: Exercise, injected: Injected) -> Task {
    Task {
        exercise,
        first: 7,
        warm_up: 16,
        count: 300,
        injected,
        system_calls: false,
    }
}

/// What becomes of messages of that size. `None` if the mechanism cannot be used here.
fn moved(mechanism: &Mechanism, size: usize, task: Task) -> Option<Result<u64, String>> {
    let mut two = match Two::start(&program(), Place::TwoProcesses, mechanism, size, None) {
        Ok(two) => two,
        Err(Trouble::NotRun(why)) => {
            eprintln!("not run: {}: {why}", mechanism.name);
            return None;
        }
        Err(Trouble::Failed(why)) => return Some(Err(why)),
    };
    Some(match two.run(task) {
        Ok(moved) => Ok(moved.messages),
        Err(Trouble::NotRun(why) | Trouble::Failed(why)) => Err(why),
    })
}

#[test]
fn every_message_arrives_in_order() {
    for mechanism in mechanisms() {
        for size in [64, 65_536] {
            for exercise in [Exercise::PingPong, Exercise::Stream] {
                let outcome = moved(&mechanism, size, task(exercise, Injected::Nothing));
                let name = mechanism.name;
                assert!(
                    matches!(outcome, None | Some(Ok(300..))),
                    "{name}, {size} B, {exercise:?}: {outcome:?}"
                );
            }
        }
    }
}

#[test]
fn a_message_that_is_lost_or_out_of_order_is_noticed() {
    for mechanism in mechanisms() {
        for injected in [
            Injected::Lost(40),
            Injected::Swapped(40),
            Injected::Corrupted(40),
        ] {
            let outcome = moved(&mechanism, 64, task(Exercise::Stream, injected));
            let name = mechanism.name;
            assert!(
                matches!(&outcome, None | Some(Err(_))),
                "{name}, {injected:?}: {outcome:?}"
            );
        }
    }
}

#[test]
fn nothing_is_left_behind() {
    let ours = format!("ringproof_peers_{}_", std::process::id());
    let left = || -> Vec<_> {
        let folders = [Path::new("/dev/shm").to_owned(), std::env::temp_dir()];
        let entries = folders.iter().flat_map(fs::read_dir).flatten().flatten();
        let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
        names.filter(|name| name.starts_with(&ours)).collect()
    };
    // The other tests of this process use the same names, so whatever a use leaves is looked for
    // under the name of that use: all of them are gone at some time.
    for mechanism in mechanisms() {
        moved(&mechanism, 64, task(Exercise::Stream, Injected::Lost(40)));
    }
    let deadline = std::time::Instant::now() + deadline::seconds(120);
    while !left().is_empty() {
        assert!(std::time::Instant::now() < deadline, "left: {:?}", left());
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
}
