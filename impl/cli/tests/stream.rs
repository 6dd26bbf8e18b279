//! Streams from one process to another, undisturbed. (Killed at random moments: `ringproof-stress stream`.)

mod harness;

use std::io::Write;
use std::path::Path;
use std::process::Stdio;

use harness::{
    Name, Process, appending, assert_same, content_of, on, read_some, reading, ringproof, run,
    start, truncating, until_full, until_received, until_seen,
};

fn send(name: &Name, input: &Path, options: &[&str]) -> Process {
    start(on("send", name, options).stdin(reading(input)))
}

fn recv(name: &Name, output: &Path) -> Process {
    start(ringproof(["recv", name]).stdout(appending(output)))
}

#[test]
fn a_file_arrives_whoever_comes_first() {
    let dir = tempfile::tempdir().unwrap();
    let (input, output) = (dir.path().join("in"), dir.path().join("out"));
    let name = Name::new("first");
    // The default, less than a page, one byte at a time, a capacity that is no power of two.
    let shapes: [(&[&str], u32); 4] = [
        (&[], 5_000_001),
        (&["--capacity", "1000"], 300_000),
        (&["--capacity", "1", "--slots", "1"], 1_000),
        (&["--capacity", "300K", "--slots", "1M"], 5_000_001),
    ];
    for (options, len) in shapes {
        std::fs::write(&input, content_of(len)).unwrap();
        for receiver_first in [false, true] {
            let _ = std::fs::remove_file(&output);
            let receive = || start(on("recv", &name, options).stdout(truncating(&output)));
            let (sender, receiver) = if receiver_first {
                let receiver = receive();
                until_received(&name);
                (send(&name, &input, options), receiver)
            } else {
                let sender = send(&name, &input, options);
                until_full(&name);
                (sender, receive())
            };
            sender.finish().expect_silence();
            receiver.finish().expect_silence();
            assert_same(&output, &input);
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
            let received = std::fs::read(&output).unwrap();
            assert_eq!(received, b"a small thinga small thing");
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
    assert!(!sender.has_ended(), "nothing was received");
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
