//! Streams from one process to another, undisturbed and killed at random moments.

mod harness;

use std::io::Write;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use harness::{
    Name, Outcome, Process, Random, appending, digest, read_some, reading, ringproof, run, start,
    truncating, until, until_received, until_seen,
};
use ringproof::Role;

/// Bytes of the streams that are killed: `RINGPROOF_STREAM_BYTES`, or enough for a few kills.
fn stream_bytes() -> u64 {
    match std::env::var("RINGPROOF_STREAM_BYTES") {
        Ok(text) => text.parse().expect("RINGPROOF_STREAM_BYTES is no number"),
        Err(_) => 64 << 20,
    }
}

fn send(name: &Name, input: &Path, options: &[&str]) -> Process {
    let args = ["send", name].into_iter().chain(options.iter().copied());
    start(ringproof(args).stdin(reading(input)))
}

fn recv(name: &Name, output: &Path) -> Process {
    start(ringproof(["recv", name]).stdout(appending(output)))
}

#[test]
fn a_file_arrives_whoever_comes_first() {
    let mut random = Random::new("a_file_arrives_whoever_comes_first");
    let dir = tempfile::tempdir().unwrap();
    let (input, output) = (dir.path().join("in"), dir.path().join("out"));
    let name = Name::new("first");
    // The default, less than a page, one byte at a time, a capacity that is no power of two.
    let shapes: [(&[&str], u64); 4] = [
        (&[], 5_000_001),
        (&["--capacity", "1000"], 300_000),
        (&["--capacity", "1", "--slots", "1"], 1_000),
        (&["--capacity", "300K", "--slots", "1M"], 5_000_001),
    ];
    for (options, len) in shapes {
        random.file(&input, len);
        for receiver_first in [false, true] {
            let _ = std::fs::remove_file(&output);
            let receive = || {
                let args = ["recv", &name].into_iter().chain(options.iter().copied());
                start(ringproof(args).stdout(truncating(&output)))
            };
            let (sender, receiver) = if receiver_first {
                let receiver = receive();
                until_received(&name);
                (send(&name, &input, options), receiver)
            } else {
                let sender = send(&name, &input, options);
                until_seen(&name, "send to fill the ring", |seen| {
                    seen.occupancy() == seen.fixed.capacity
                });
                (sender, receive())
            };
            sender.finish().expect_silence();
            receiver.finish().expect_silence();
            assert_eq!(digest(&output), digest(&input), "{options:?}");
            assert!(!name.exists());
        }
    }
}

#[test]
fn an_empty_input_is_an_empty_stream() {
    let name = Name::new("empty");
    for receiver_first in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let output = dir.path().join("out");
        std::fs::write(&output, "before").unwrap();
        let early = receiver_first.then(|| recv(&name, &output));
        run(&mut ringproof(["send", &name])).expect_silence();
        let receiver = early.unwrap_or_else(|| recv(&name, &output));
        receiver.finish().expect_silence();
        assert_eq!(std::fs::read(&output).unwrap(), b"before");
        assert!(!name.exists());
    }
}

#[test]
fn pipes_carry_what_comes_as_it_comes() {
    let name = Name::new("pipes");
    let mut sender = start(ringproof(["send", &name]).stdin(Stdio::piped()));
    let mut receiver = start(ringproof(["recv", &name]).stdout(Stdio::piped()));
    let mut to = sender.stdin();
    let mut from = receiver.stdout();
    for word in ["one", "two", "three"] {
        to.write_all(word.as_bytes()).unwrap();
        // Nothing else comes until this has: no batch is waited for.
        let got;
        (got, from) = read_some(from, word.len());
        assert_eq!(got, word.as_bytes());
    }
    drop(to);
    sender.finish().expect_silence();
    receiver.finish().expect_silence();
    assert!(!name.exists());
}

#[test]
fn both_may_start_at_the_same_moment_again_and_again() {
    let dir = tempfile::tempdir().unwrap();
    let (input, output) = (dir.path().join("in"), dir.path().join("out"));
    std::fs::write(&input, "a small thing").unwrap();
    let name = Name::new("race");
    let rounds = match std::env::var("RINGPROOF_RACES") {
        Ok(text) => text.parse().expect("RINGPROOF_RACES is no number"),
        Err(_) => 150,
    };
    for round in 0..rounds {
        let _ = std::fs::remove_file(&output);
        let (sender, receiver) = if round % 2 == 0 {
            let sender = send(&name, &input, &["--wait"]);
            (sender, recv(&name, &output))
        } else {
            let receiver = recv(&name, &output);
            (send(&name, &input, &["--wait"]), receiver)
        };
        sender.finish().expect_silence();
        // The next round's send may meet this round's recv while that removes the ring.
        if round % 3 == 0 {
            let next = send(&name, &input, &[]);
            receiver.finish().expect_silence();
            next.finish().expect_silence();
            recv(&name, &output).finish().expect_silence();
            assert_eq!(
                std::fs::read(&output).unwrap(),
                b"a small thinga small thing"
            );
        } else {
            receiver.finish().expect_silence();
            assert_eq!(std::fs::read(&output).unwrap(), b"a small thing");
        }
        assert!(!name.exists());
    }
}

#[test]
fn send_with_wait_outlasts_recv() {
    let dir = tempfile::tempdir().unwrap();
    let (input, output) = (dir.path().join("in"), dir.path().join("out"));
    std::fs::write(&input, "a small thing").unwrap();
    let name = Name::new("wait");
    let mut sender = send(&name, &input, &["--wait"]);
    until_seen(&name, "the end of the stream", |seen| {
        seen.end_index.is_some()
    });
    sender.until_waiting();
    assert!(!sender.has_ended(), "nobody has received anything");
    recv(&name, &output).finish().expect_silence();
    sender.finish().expect_silence();
    // A killed one that had come as far does the same.
    let sender = send(&name, &input, &["--wait"]);
    until_seen(&name, "the end of the stream", |seen| {
        seen.end_index.is_some()
    });
    assert!(sender.kill().0);
    let mut sender = send(&name, &input, &["--wait"]);
    // If it came after recv, it would find nothing, and begin a new stream.
    sender.says("nothing left to do");
    recv(&name, &output).finish().expect_silence();
    sender.finish().expect_silence();
    assert_eq!(
        std::fs::read(&output).unwrap(),
        b"a small thinga small thing"
    );
}

#[test]
fn a_killed_send_goes_on() {
    kill_and_restart("kill-send", 10, 0, "1M");
}

#[test]
fn a_killed_recv_goes_on() {
    kill_and_restart("kill-recv", 0, 10, "1M");
}

#[test]
fn both_killed_go_on() {
    kill_and_restart("kill-both", 10, 10, "100000");
}

/// Sends a file while either side is killed and started again, as often as asked for. A run in
/// which a process ended before its kills is followed by another.
fn kill_and_restart(test: &str, sender_kills: usize, receiver_kills: usize, capacity: &str) {
    let mut random = Random::new(test);
    let dir = tempfile::tempdir().unwrap();
    let input = dir.path().join("in");
    let bytes = stream_bytes();
    random.file(&input, bytes);
    let expected = digest(&input);
    let mut left = (sender_kills, receiver_kills);
    let mut rounds = 0;
    while left != (0, 0) {
        if rounds == 20 {
            println!(
                "not run: {} kills of send and {} of recv, which came too late again and again",
                left.0, left.1
            );
            return;
        }
        rounds += 1;
        let output = dir.path().join("out");
        let _ = std::fs::remove_file(&output);
        let since = Instant::now();
        let done = Run::new(test, &input, &output, capacity).kill(&mut random, left, bytes);
        println!(
            "{test}: {bytes} bytes with {} kills of send and {} of recv in {:?}; {} times the \
             output was ahead of the ring",
            done.sender,
            done.receiver,
            since.elapsed(),
            done.skips
        );
        assert_eq!(digest(&output), expected);
        left = (left.0 - done.sender, left.1 - done.receiver);
    }
}

/// What was done to one stream.
#[derive(Default)]
struct Done {
    /// Kills of `send`.
    sender: usize,
    /// Kills of `recv`.
    receiver: usize,
    /// Restarts of `recv` that found bytes written and not released.
    skips: usize,
}

/// Whether a `recv` said that its output was ahead of the ring.
fn skipped(outcome: &Outcome) -> bool {
    let said = outcome.stderr.as_str();
    said.contains("more already") && !said.contains("has 0 more already")
}

/// One stream, and its two processes as far as they are needed.
struct Run<'a> {
    input: &'a Path,
    output: &'a Path,
    capacity: &'a str,
    sender: Option<Process>,
    receiver: Option<Process>,
    // Dropped last: a process that is still alive could make the segment again.
    name: Name,
}

impl<'a> Run<'a> {
    fn new(test: &str, input: &'a Path, output: &'a Path, capacity: &'a str) -> Run<'a> {
        let mut run = Run {
            name: Name::new(test),
            input,
            output,
            capacity,
            sender: None,
            receiver: None,
        };
        run.start(Role::Consumer);
        run.start(Role::Producer);
        run
    }

    fn start(&mut self, role: Role) {
        let options = ["--capacity", self.capacity];
        if role == Role::Consumer {
            self.receiver = Some(recv(&self.name, self.output));
        } else {
            self.sender = Some(send(&self.name, self.input, &options));
        }
    }

    /// Kills each side up to so many times, spread over the stream, and says how often it did.
    fn kill(mut self, random: &mut Random, kills: (usize, usize), bytes: u64) -> Done {
        // Early enough to be still on the way when the signal comes.
        let mut plan: Vec<(u64, Role)> = Vec::new();
        for (role, count) in [(Role::Producer, kills.0), (Role::Consumer, kills.1)] {
            plan.extend((0..count).map(|_| (random.below(bytes * 3 / 4), role)));
        }
        plan.sort_by_key(|&(at, _)| at);
        let mut done = Done::default();
        for (at, role) in plan {
            if !self.reaches(role, at) {
                break;
            }
            // Anywhere in the copying of a batch.
            let pause = Duration::from_nanos(random.below(300_000));
            let since = Instant::now();
            while since.elapsed() < pause {
                std::hint::spin_loop();
            }
            let process = if role == Role::Consumer {
                self.receiver.take()
            } else {
                self.sender.take()
            };
            let (killed, outcome) = process.expect("it runs").kill();
            done.skips += usize::from(skipped(&outcome));
            if !killed {
                outcome.expect(0, "");
            } else if role == Role::Consumer {
                done.receiver += 1;
            } else {
                done.sender += 1;
            }
            if self.is_complete(role) {
                break;
            }
            assert!(killed, "{role} left an unfinished stream");
            self.start(role);
        }
        for (role, process) in [("send", self.sender.take()), ("recv", self.receiver.take())] {
            if let Some(process) = process {
                let outcome = process.finish();
                assert_eq!(outcome.code(), Some(0), "{role}: {}", outcome.stderr);
                done.skips += usize::from(skipped(&outcome));
            }
        }
        assert!(!self.name.exists());
        done
    }

    /// Waits until `role` has come as far; false if it ended first.
    fn reaches(&mut self, role: Role, at: u64) -> bool {
        let mut reached = false;
        until(&format!("{role} to reach byte {at}"), || {
            reached = self.name.inspect().is_some_and(|seen| {
                let position = match role {
                    Role::Consumer => seen.read_index,
                    _ => seen.write_index,
                };
                position >= at
            });
            let process = match role {
                Role::Consumer => &mut self.receiver,
                _ => &mut self.sender,
            };
            reached || process.as_mut().is_none_or(Process::has_ended)
        });
        reached
    }

    /// Whether `role`, which has just died, had done all that it had to.
    fn is_complete(&self, role: Role) -> bool {
        match self.name.inspect() {
            None => true,
            Some(seen) if role == Role::Producer => seen.end_index.is_some(),
            Some(seen) => seen.retired,
        }
    }
}
