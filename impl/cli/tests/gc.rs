//! `ringproof gc`: what is unused goes, what is used stays. Always with names: this machine's
//! other segments are none of a test's business.

mod harness;

use std::ffi::OsStr;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::process::Stdio;

use harness::{
    Name, Outcome, appending, assert_same, content_of, ringproof, run, start, until_received,
    within, writing,
};
use ringproof::{Ring, RingOptions, SeqLatch, SeqLatchOptions, unlink_free};

fn gc<'a>(args: impl IntoIterator<Item = &'a str>) -> Outcome {
    let args = ["gc"].into_iter().chain(args);
    run(ringproof(args).stdout(Stdio::piped()))
}

fn ring(name: &Name, items: &[u64]) -> Ring<u64> {
    let ring = Ring::create(name, &RingOptions::new(5).slots(8)).unwrap();
    ring.producer().unwrap().push_slice(items).unwrap();
    ring
}

fn latch(name: &Name) -> SeqLatch<u64> {
    SeqLatch::create(name, &7, &SeqLatchOptions::default()).unwrap()
}

#[test]
fn what_is_unused_is_removed_and_the_rest_is_said() {
    let names @ [free, items, live, value, foreign, damaged] =
        &["free", "items", "live", "value", "foreign", "damaged"]
            .map(|what| Name::new(&format!("gc-all-{what}")));
    drop(ring(free, &[]));
    drop(ring(items, &[1, 2, 3]));
    let live_ring = ring(live, &[]);
    let claim = live_ring
        .segment()
        .claim(ringproof::Role::Consumer)
        .unwrap();
    drop(latch(value));
    std::fs::write(foreign.path(), "a text that is longer than a magic").unwrap();
    drop(ring(damaged, &[]));
    writing(&damaged.path()).set_len(5000).unwrap();
    let pattern = format!("ringproof-cli-gc-all-*-{}", std::process::id());
    let own = std::process::id();

    // First only said.
    let outcome = gc([&*pattern, "--dry-run"]);
    outcome.expect_silence();
    for line in [
        format!("free     {}     ring\n", &**free),
        format!(
            "free     {}    ring, with 3 items that were not taken\n",
            &**items
        ),
        format!(
            "live     {}     ring, its consumer is process {own} (gc-",
            &**live
        ),
        format!(
            "left     {}    latch: it has no writer, but it may have readers",
            &**value
        ),
        format!("left     {}  unknown: segment", &**damaged),
        "2 free, 1 live, 2 left; 1 other files\n".to_owned(),
    ] {
        outcome.prints(&line);
    }
    assert!(names.iter().all(Name::exists));

    // Then done.
    let outcome = gc([&*pattern, "--json"]);
    outcome.expect_silence();
    let json: serde_json::Value = serde_json::from_slice(&outcome.stdout).unwrap();
    assert_eq!(
        (&json["dry_run"], &json["foreign"], &json["closed"]),
        (&false.into(), &1.into(), &0.into())
    );
    let segments = json["segments"].as_array().unwrap();
    let fate = |name: &Name| {
        let mut found = segments.iter().filter(|found| found["name"] == **name);
        found.next().map(|found| &found["fate"]).unwrap()
    };
    assert_eq!(segments.len(), 5);
    let fates = [free, items, live, value, damaged].map(fate);
    assert_eq!(fates, ["removed", "removed", "live", "left", "left"]);
    let live_one = segments
        .iter()
        .find(|found| found["fate"] == "live")
        .unwrap();
    assert_eq!(
        (&live_one["role"], &live_one["holders"][0]["pid"]),
        (&"consumer".into(), &own.into())
    );
    let exist = names.each_ref().map(Name::exists);
    assert_eq!(exist, [false, false, true, true, true, true]);

    // What was left goes when it is asked for; the holder goes on.
    gc([&*pattern, "--all"]).expect_silence();
    assert!(!value.exists());
    live_ring.consumer_with(claim).unwrap();
}

/// A file that is removed at the end.
struct Foreign(PathBuf);

impl Drop for Foreign {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[test]
fn a_file_whose_name_is_not_utf8_is_counted_and_left() {
    let name = Name::new("gc-bytes");
    drop(ring(&name, &[]));
    let mut path = name.path().into_os_string();
    path.push(OsStr::from_bytes(b"-\xff"));
    let other = Foreign(path.into());
    std::fs::hard_link(name.path(), &other.0).unwrap();
    let pattern = format!("{}*", &*name);
    let outcome = gc([&*pattern]);
    outcome.expect_silence();
    outcome.prints("1 removed, 0 live, 0 left; 1 other files");
    assert!(!name.exists() && other.0.exists());
}

#[test]
fn what_is_named_in_full_is_removed_or_the_exit_code_says_why_not() {
    let name = Name::new("gc-named");
    gc([&*name]).expect(3, "does not exist");
    std::fs::write(name.path(), "a text that is longer than a magic").unwrap();
    gc([&*name]).expect(4, "it is no ringproof segment");
    std::fs::remove_file(name.path()).unwrap();
    let used = ring(&name, &[]);
    let producer = used.producer().unwrap();
    let outcome = gc([&*name]);
    outcome.expect(5, "the producer of segment");
    assert!(outcome.said().starts_with("live "), "{}", outcome.said());
    drop(producer);
    gc([&*name]).expect_silence();
    assert!(!name.exists());

    let written = latch(&name);
    let writer = written.writer().unwrap();
    gc([&*name]).expect(5, "the writer of segment");
    drop(writer);
    gc([&*name, "--dry-run"]).expect_silence();
    assert!(name.exists());
    // Its name in full is as good as --all.
    gc([&*name]).expect_silence();
    assert!(!name.exists());

    // A star that is in the name of a segment stands for itself, as in what a message advises.
    let starred = Name::new("gc-named*");
    drop((ring(&name, &[]), ring(&starred, &[])));
    let outcome = gc([&*starred]);
    outcome.expect_silence();
    outcome.prints("1 removed, 0 live, 0 left");
    assert!(!starred.exists() && name.exists());
    gc([&*name]).expect_silence();

    // A pattern of nothing is nothing to complain of.
    let outcome = gc([&*format!("{}*", &*name)]);
    outcome.expect_silence();
    assert_eq!(outcome.said(), "0 removed, 0 live, 0 left; 0 other files\n");
}

#[test]
fn what_a_truncation_left_is_removed_if_it_is_named_in_full() {
    let name = Name::new("gc-cut");
    let pattern = format!("{}*", &*name);
    // Nothing, the magic alone, a part of the header, the header, a part of the slots.
    for len in [0, 8, 100, 4096, 5000] {
        let ring = ring(&name, &[]);
        let claim = ring.segment().claim(ringproof::Role::Consumer).unwrap();
        writing(&name.path()).set_len(len).unwrap();
        // Somebody is on it.
        gc([&*name]).expect(5, "the consumer of segment");
        drop((claim, ring));
        gc([&*pattern]).expect_silence();
        gc([&*pattern, "--all"]).expect_silence();
        let dry = gc([&*name, "--dry-run"]);
        dry.expect_silence();
        dry.prints("1 free, 0 live, 0 left");
        assert!(name.exists(), "{len}");
        let outcome = gc([&*name]);
        outcome.expect_silence();
        outcome.prints("1 removed, 0 live, 0 left");
        assert!(!name.exists(), "{len}");
    }
    // What is no rest of a segment stays, whatever is said of it.
    for other in [&b"text"[..], &[0; 100], b"RINGPRF"] {
        std::fs::write(name.path(), other).unwrap();
        gc([&*name]).expect(4, "it is no ringproof segment");
        assert_eq!(std::fs::read(name.path()).unwrap(), other);
    }
    std::fs::remove_file(name.path()).unwrap();
    drop(ring(&name, &[]));
    let mut bytes = std::fs::read(name.path()).unwrap();
    bytes[8] += 1;
    std::fs::write(name.path(), &bytes).unwrap();
    gc([&*name]).expect(4, "version");
    assert_eq!(std::fs::read(name.path()).unwrap(), bytes);
}

#[test]
fn a_stream_in_use_arrives_whatever_is_removed_meanwhile() {
    let dir = tempfile::tempdir().unwrap();
    let (input, output) = (dir.path().join("in"), dir.path().join("out"));
    let bytes = content_of(3_000_000);
    std::fs::write(&input, &bytes).unwrap();
    let name = Name::new("gc-stream");
    let receiver = start(ringproof(["recv", &name, "--capacity", "4K"]).stdout(appending(&output)));
    until_received(&name);
    let mut sender = start(ringproof(["send", &name]).stdin(Stdio::piped()));
    let mut pipe = sender.stdin();
    let (end, wait) = std::sync::mpsc::channel::<()>();
    let feeding = std::thread::spawn(move || {
        let (most, last) = bytes.split_at(bytes.len() - 1);
        pipe.write_all(most).expect("send reads");
        // Until then it is in use.
        let _ = wait.recv();
        pipe.write_all(last).expect("send reads");
    });
    for _ in 0..1000 {
        unlink_free(&name).expect_err("recv uses it");
    }
    drop(end);
    while !sender.has_ended() {
        // When both have left, it is theirs no more.
        let _ = unlink_free(&name);
    }
    within("send to read its pipe", || feeding.join()).expect("no panic");
    sender.finish().expect_silence();
    receiver.finish().expect_silence();
    assert_same(&output, &input);
    assert!(!name.exists());
}

#[test]
fn a_waiting_side_learns_that_its_name_is_anothers() {
    let name = Name::new("gc-replaced");
    let receiver = start(&mut ringproof(["recv", &name]));
    until_received(&name);
    // It shall not look between the two: there is no other one yet.
    receiver.stop();
    ringproof::unlink(&name).unwrap();
    drop(ring(&name, &[]));
    receiver.go_on();
    receiver.finish().expect(3, "another one has its name now");
}
