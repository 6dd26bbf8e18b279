//! The examples, run as the processes that they say they are.
#![cfg(target_os = "linux")]

mod common;
#[path = "../examples/fork_exec.rs"]
mod fork_exec;
#[path = "../examples/latest.rs"]
mod latest;
#[path = "../examples/quotes.rs"]
mod quotes;

use common::example::{Process, run};
use common::named::Named;

#[test]
#[ignore = "a process of the tests below"]
fn run_quotes() {
    run(quotes::main);
}

#[test]
#[ignore = "a process of the tests below"]
fn run_latest() {
    run(latest::main);
}

#[test]
#[ignore = "a process of the tests below"]
fn run_fork_exec() {
    run(fork_exec::main);
}

/// The program that `fork_exec` starts, with this as its argument. (To the runner it is a filter, and this the
/// one test that it fits.)
#[test]
fn child() {
    run(fork_exec::main);
}

/// Lines such as `7: words`, by their number.
fn numbered(lines: impl Iterator<Item = String>) -> impl Iterator<Item = (u64, String)> {
    lines.filter_map(|line| {
        // The runner begins the first one with a name.
        let line = line.rsplit(" ... ").next()?.to_owned();
        let (number, words) = line.split_once(": ")?;
        Some((number.parse().ok()?, words.to_owned()))
    })
}

#[test]
fn quotes_arrive_once_though_their_sender_is_killed() {
    let name = Named::new("quotes");
    let mut receiver = Process::example("quotes", &["receive", &name]);
    let sender = Process::example("quotes", &["send", &name]);
    let mut lines = numbered(receiver.lines());
    let some: Vec<_> = lines.by_ref().take(10).collect();
    // Nothing reads what the receiver prints meanwhile, and a pipe and a ring hold far less than all.
    sender.kill();
    let again = Process::example("quotes", &["send", &name]);
    let all: Vec<_> = some.into_iter().chain(lines).collect();
    assert!(all.iter().map(|(number, _)| *number).eq(0..10_000));
    assert_eq!(all[7].1, "RING 10 @ 101.75");
    receiver.end();
    again.end();
    assert!(!name.path().exists());
}

#[test]
fn the_latest_position_is_whole_and_never_an_older_one() {
    let name = Named::new("latest");
    let mut watcher = Process::example("latest", &["watch", &name]);
    let mut lines = numbered(watcher.lines());
    // It is there before there is anybody to watch.
    assert_eq!(lines.next(), Some((0, "0 0".to_owned())));
    let vehicle = Process::example("latest", &["drive", &name]);
    let mut last = 0;
    for (step, words) in lines {
        assert!(step > last, "{step} after {last}");
        let (x, y) = (step as f64 / 2.0, step as f64 / -4.0);
        assert_eq!(words, format!("{x} {y}"));
        last = step;
    }
    assert_eq!(last, 100_000);
    watcher.end();
    vehicle.end();
    assert!(!name.path().exists());
}

#[test]
fn a_program_inherits_a_ring() {
    let mut parent = Process::example("fork_exec", &[]);
    let sum = (0..10_000_u64).sum::<u64>().to_string();
    let lines: Vec<String> = parent.lines().collect();
    // The runner may begin the line with a name.
    assert!(lines.iter().any(|line| line.ends_with(&sum)), "{lines:?}");
    parent.end();
}
