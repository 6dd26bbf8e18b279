//! What goes wrong, each with its own exit code and a message that says what to do; and that
//! nothing is lost by it.

mod harness;

use std::ffi::OsStr;
use std::fs::File;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::{ChildStdin, Stdio};

use harness::{
    Name, OnTerminal, Outcome, Place, Process, appending, content_of, inspected, on, read_all,
    read_some, reading, ringproof, run, start, truncating, until_full, until_received, until_seen,
    within, writing,
};
use nix::sys::statvfs::statvfs;
use ringproof::{Ring, RingOptions, Role, SeqLock, SeqLockOptions};
use serde_json::{Value, json};

fn content() -> Vec<u8> {
    content_of(100_000)
}

/// A directory with an input of it, and the name of a ring.
fn stream(test: &str) -> (Place, Name) {
    (Place::with(&content()), Name::new(test))
}

fn send(name: &Name, input: &Path, options: &[&str]) -> Outcome {
    run(on("send", name, options).stdin(reading(input)))
}

/// Sends from a pipe that is closed at once when `bytes` are in it.
fn send_piped(name: &Name, bytes: &[u8], options: &[&str]) -> Outcome {
    let mut sender = start(on("send", name, options).stdin(Stdio::piped()));
    let (mut pipe, bytes) = (sender.stdin(), bytes.to_vec());
    within("send to read its pipe", move || {
        // It may refuse without reading.
        let _ = pipe.write_all(&bytes);
    });
    sender.finish()
}

fn recv(name: &Name, output: File) -> Outcome {
    run(ringproof(["recv", name]).stdout(output))
}

/// What a later `recv` gives to a pipe.
fn received_again(name: &Name) -> Vec<u8> {
    let mut receiver = start(ringproof(["recv", name]).stdout(Stdio::piped()));
    let got = read_all(receiver.stdout());
    receiver.finish().expect(0, "at least once");
    got
}

/// A `send` that has committed the first 1000 bytes of this, and waits for room.
fn waiting(name: &Name, input: File) -> Process {
    let sender = start(ringproof(["send", name, "--capacity", "1000"]).stdin(input));
    until_full(name);
    sender
}

/// Leaves a stream of which a killed `send < input` has committed the first 1000 bytes.
fn half_sent(name: &Name, input: &Path) {
    assert!(waiting(name, reading(input)).kill().0);
}

/// A stream of which a live `… | send` has committed 1000 bytes.
fn half_piped(name: &Name) -> (Process, ChildStdin) {
    let mut sender = start(ringproof(["send", name]).stdin(Stdio::piped()));
    let mut pipe = sender.stdin();
    pipe.write_all(&content()[..1000]).unwrap();
    until_seen(name, "1000 bytes", |seen| seen.write_index == 1000);
    (sender, pipe)
}

/// The same, and a killed `recv` has released them all into `output`.
fn half_received(name: &Name, output: Stdio) -> (Process, ChildStdin) {
    let sender = half_piped(name);
    let receiver = start(ringproof(["recv", name]).stdout(output));
    until_seen(name, "1000 bytes released", |seen| seen.read_index == 1000);
    assert!(receiver.kill().0);
    sender
}

/// Sends the rest, and closes.
fn complete((sender, mut pipe): (Process, ChildStdin)) {
    within("send to read its pipe", move || {
        pipe.write_all(&content()[1000..]).unwrap();
    });
    sender.finish().expect_silence();
}

#[test]
fn wrong_usage_is_2() {
    let name = Name::new("usage");
    let wrong: [&[&str]; 11] = [
        &[],
        &["send"],
        &["fetch", &name],
        &["send", &name, "--capacity", "0"],
        &["send", &name, "--capacity", "many"],
        &["send", &name, "--mode", "9"],
        &["send", &name, "--mode", "0"],
        &["recv", &name, "--mode", "4600"],
        &["send", &name, "--slots", "1000"],
        &["recv", &name, "--capacity", "2048", "--slots", "1024"],
        &["send", &name, "--slots", "9223372036854775808"],
    ];
    for args in wrong {
        let outcome = run(&mut ringproof(args));
        assert_eq!(outcome.code(), Some(2), "{args:?}: {}", outcome.stderr);
        assert!(!outcome.stderr.is_empty(), "{args:?}");
        assert!(!name.exists(), "{args:?}");
    }
}

#[test]
fn help_has_the_rules_and_the_exit_codes() {
    for args in [&["--help"][..], &["send", "--help"], &["recv", "--help"]] {
        let outcome = run(ringproof(args).stdout(Stdio::piped()));
        outcome.expect_silence();
        for part in [
            "Examples:",
            "Restart rules",
            ">>",
            "Exit codes:",
            "  9  ",
            " 10  ",
        ] {
            outcome.prints(part);
        }
    }
}

#[test]
fn no_segment_and_a_bad_name_are_3() {
    let name = Name::new("nothing");
    run(&mut ringproof(["inspect", &name])).expect(3, "does not exist");
    for bad in ["", "a/b", "..", ".hidden"] {
        for command in ["send", "recv", "inspect"] {
            run(&mut ringproof([command, bad])).expect(3, "segment name");
        }
    }
    let long = "n".repeat(256);
    run(&mut ringproof(["send", &long])).expect(3, "longer than 255");
}

#[test]
fn a_name_that_is_not_utf8_is_3_in_the_words_of_the_library() {
    for bytes in [&b"caf\xe9"[..], b"\xff\xfe", b"a\xed\xa0\x80"] {
        let said = ringproof::segment::name_of(bytes).unwrap_err().to_string();
        for command in ["send", "recv", "inspect", "gc"] {
            let outcome = run(&mut ringproof([
                OsStr::new(command),
                OsStr::from_bytes(bytes),
            ]));
            outcome.expect(3, &said);
            assert_eq!(outcome.stderr, format!("ringproof: {said}\n"), "{command}");
        }
    }
    // What is no name is wrong usage, as ever.
    let mode = [b"--mode", &b"\xff"[..]].map(OsStr::from_bytes);
    let outcome = run(&mut ringproof([
        OsStr::new("send"),
        OsStr::new("news"),
        mode[0],
        mode[1],
    ]));
    assert_eq!(outcome.code(), Some(2), "{}", outcome.stderr);
}

#[test]
fn another_type_is_4() {
    let name = Name::new("type");
    let check = |said: &str| {
        for command in ["send", "recv"] {
            let before = std::fs::read(name.path()).unwrap();
            run(&mut ringproof([command, &name])).expect(4, said);
            assert_eq!(std::fs::read(name.path()).unwrap(), before, "{command}");
        }
        std::fs::remove_file(name.path()).unwrap();
    };
    Ring::<u64>::create(&name, &RingOptions::new(10)).unwrap();
    check("holds another payload: field \"value\": offset 0, u8 here; offset 0, u64 in");
    SeqLock::<u64>::create(&name, &1, &SeqLockOptions::default()).unwrap();
    check("kind is 2 (seqlock), expected 1 (ring)");
    std::fs::write(name.path(), "something else altogether").unwrap();
    check("no ringproof segment");
    std::fs::write(name.path(), [b'x'; 5000]).unwrap();
    check("no ringproof segment");
    std::os::unix::fs::symlink("/dev/null", name.path()).unwrap();
    run(&mut ringproof(["send", &name])).expect(4, "symbolic link");
}

#[test]
fn bytes_without_notes_are_4() {
    let (place, name) = stream("foreign");
    let ring = Ring::<u8>::create(&name, &RingOptions::new(10)).unwrap();
    ring.producer().unwrap().push_slice(b"abc").unwrap();
    send(&name, &place.input, &[]).expect(4, "not begun by `ringproof send`");
    ring.consumer().unwrap().pop().unwrap();
    recv(&name, truncating(&place.output)).expect(4, "not begun by `ringproof recv`");
}

#[test]
fn a_program_may_be_on_the_other_side() {
    let (place, name) = stream("program");
    let ring = Ring::<u8>::create(&name, &RingOptions::new(10)).unwrap();
    let mut producer = ring.producer().unwrap();
    producer.push_slice(b"abc").unwrap();
    producer.close();
    recv(&name, truncating(&place.output)).expect_silence();
    assert_eq!(place.received(), b"abc");
}

#[test]
fn words_written_over_are_4() {
    let (place, name) = stream("corrupt");
    half_sent(&name, &place.input);
    let segment = writing(&name.path());
    // The write index, as the layout documents it.
    std::os::unix::fs::FileExt::write_all_at(&segment, &5_000u64.to_ne_bytes(), 256).unwrap();
    send(&name, &place.input, &[]).expect(4, "corrupt ring");
    recv(&name, truncating(&place.output)).expect(4, "corrupt ring");
    run(&mut ringproof(["inspect", &name])).expect_silence();
}

#[test]
fn a_held_role_is_5() {
    let (place, name) = stream("held");
    let options = RingOptions::new(10);
    let (ring, producer) = Ring::<u8>::open_or_create_as(&name, Role::Producer, &options).unwrap();
    let consumer = ring.segment().claim(Role::Consumer).unwrap();
    send(&name, &place.input, &[]).expect(5, "the producer of segment");
    recv(&name, truncating(&place.output)).expect(5, "the consumer of segment");
    drop((producer, consumer));
    // And held by a process.
    let sender = start(ringproof(["send", &name]).stdin(reading(&place.input)));
    until_full(&name);
    send(&name, &place.input, &[]).expect(5, "the producer of segment");
    recv(&name, truncating(&place.output)).expect_silence();
    sender.finish().expect_silence();
    assert_eq!(place.received(), content());
}

#[test]
fn a_full_shared_memory_is_6() {
    let name = Name::new("full");
    let stat = statvfs("/dev/shm").unwrap();
    let total = stat.blocks() * stat.fragment_size();
    if total == 0 || total > 1 << 45 {
        println!("not run: /dev/shm has no limit that could be exceeded ({total} bytes)");
        return;
    }
    let slots = (total + 1).next_power_of_two().to_string();
    for command in ["send", "recv"] {
        let outcome = run(&mut ringproof([command, &name, "--slots", &slots]));
        outcome.expect(6, "no room for segment");
        assert!(!name.exists());
    }
}

#[test]
fn a_full_output_is_6_and_loses_nothing() {
    let (place, name) = stream("full-output");
    send(&name, &place.input, &[]).expect_silence();
    recv(&name, writing(Path::new("/dev/full"))).expect(6, "no room for the output");
    assert_eq!(name.inspect().unwrap().read_index, 0);
    assert_eq!(received_again(&name), content());
    assert!(!name.exists());
}

#[test]
fn a_closed_output_is_7_and_loses_nothing() {
    let (place, name) = stream("closed");
    send(&name, &place.input, &[]).expect_silence();
    let mut receiver = ringproof(["recv", &name]);
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    run(receiver.stdout(writer)).expect(7, "closed by its reader");
    assert_eq!(name.inspect().unwrap().read_index, 0);
    drop(receiver);

    assert_eq!(received_again(&name), content());
}

#[test]
fn a_pipe_that_was_cut_is_8_unless_the_caller_goes_on() {
    let (place, name) = stream("cut-pipe");
    let (sender, pipe) = half_piped(&name);
    assert!(sender.kill().0);
    drop(pipe);
    send_piped(&name, b"x", &[]).expect(8, "say --continue");
    send(&name, &place.input, &[]).expect(8, "say --continue");
    assert_eq!(name.inspect().unwrap().write_index, 1000);
    send_piped(&name, &content()[1000..], &["--continue"]).expect(0, "may be missing");
    recv(&name, truncating(&place.output)).expect_silence();
    assert_eq!(place.received(), content());
}

#[test]
fn another_input_is_8() {
    let (place, name) = stream("other-input");
    half_sent(&name, &place.input);
    let other = place.file("other", &content());
    for option in [&[][..], &["--continue"]] {
        send(&name, &other, option).expect(8, "another file");
        send_piped(&name, b"x", option).expect(8, "this input is none");
    }
    writing(&place.input).set_len(999).unwrap();
    send(&name, &place.input, &[]).expect(8, "only 999 bytes long");
    assert_eq!(name.inspect().unwrap().write_index, 1000);
    // The same content in the same file again: nothing was lost.
    writing(&place.input).write_all(&content()).unwrap();
    let sender = start(ringproof(["send", &name]).stdin(reading(&place.input)));
    recv(&name, truncating(&place.output)).expect_silence();
    sender.finish().expect(0, "going on");
    assert_eq!(place.received(), content());
}

#[test]
fn a_stream_may_begin_within_its_input() {
    let (place, name) = stream("offset");
    let mut input = reading(&place.input);
    std::io::Seek::seek(&mut input, std::io::SeekFrom::Start(777)).unwrap();
    assert!(waiting(&name, input).kill().0);
    // Restarted at offset 0, as a shell does.
    let sender = start(ringproof(["send", &name]).stdin(reading(&place.input)));
    recv(&name, truncating(&place.output)).expect_silence();
    sender.finish().expect(0, "going on");
    assert_eq!(place.received(), content()[777..]);
}

#[test]
fn a_finished_stream_is_not_sent_again() {
    let (place, name) = stream("finished");
    send(&name, &place.input, &[]).expect_silence();
    // As after a kill between the close and the exit.
    send(&name, &place.input, &[]).expect(0, "nothing left to do");
    let other = place.file("other", b"another stream");
    send(&name, &other, &[]).expect(8, "a finished stream of 100000 bytes waits");
    send_piped(&name, b"x", &["--continue"]).expect(8, "a finished stream");
    recv(&name, truncating(&place.output)).expect_silence();
    assert_eq!(place.received(), content());
    assert!(!name.exists());
}

#[test]
fn a_truncated_output_is_8_and_names_the_remedy() {
    let (place, name) = stream("truncated");
    let sender = half_received(&name, truncating(&place.output).into());
    let copy = std::fs::read(&place.output).unwrap();
    assert_eq!(copy, content()[..1000]);
    recv(&name, truncating(&place.output)).expect(8, "restart recv with >>");
    assert_eq!(name.inspect().unwrap().read_index, 1000);
    // The same file with its content again: the stream goes on.
    appending(&place.output).write_all(&copy).unwrap();
    complete(sender);
    recv(&name, appending(&place.output)).expect(0, "going on");
    assert_eq!(place.received(), content());
    assert!(!name.exists());
}

#[test]
fn another_output_is_8() {
    let (place, name) = stream("other-output");
    let sender = half_received(&name, appending(&place.output).into());
    let other = place.file("other", &content()[..1000]);
    recv(&name, appending(&other)).expect(8, "another file");
    // Its own, not at its end.
    let own = || writing(&place.output);
    recv(&name, own()).expect(8, "use >>");
    // Its own, with something that is not from the stream.
    appending(&place.output).write_all(b"!").unwrap();
    recv(&name, appending(&place.output)).expect(8, "somebody else wrote to it");
    own().set_len(1000).unwrap();
    complete(sender);
    recv(&name, appending(&place.output)).expect(0, "going on");
    assert_eq!(place.received(), content());
}

#[test]
fn a_file_after_a_pipe_is_8() {
    let (place, name) = stream("pipe-then-file");
    let (reader, writer) = std::io::pipe().unwrap();
    let sender = half_received(&name, writer.into());
    let (mut got, _reader) = read_some(reader, 1000);
    recv(&name, appending(&place.output)).expect(8, "cat >> FILE");
    complete(sender);
    got.extend(received_again(&name));
    assert_eq!(got, content());
}

#[test]
fn a_first_output_must_be_at_its_end() {
    let (place, name) = stream("not-at-end");
    send(&name, &place.input, &[]).expect_silence();
    std::fs::write(&place.output, "before").unwrap();
    recv(&name, writing(&place.output)).expect(8, "written over");
    assert_eq!(place.received(), b"before");
    recv(&name, appending(&place.output)).expect_silence();
    assert_eq!(place.received(), [b"before", &content()[..]].concat());
}

#[test]
fn a_caller_may_keep_the_output_open() {
    // As in ( until ringproof recv news; do :; done ) > copy
    let (place, name) = stream("kept-open");
    let output = truncating(&place.output);
    let sender = half_received(&name, output.try_clone().unwrap().into());
    complete(sender);
    recv(&name, output).expect(0, "going on");
    assert_eq!(place.received(), content());
}

#[test]
fn what_was_written_and_not_released_is_skipped() {
    let (place, name) = stream("skip");
    let sender = half_received(&name, appending(&place.output).into());
    complete(sender);
    // As if it had been killed after its next write, before the release.
    let mut output = appending(&place.output);
    output.write_all(&content()[1000..5000]).unwrap();
    recv(&name, output).expect(0, "has 4000 more already");
    assert_eq!(place.received(), content());
}

/// Leaves a stream that is closed and drained, and whose `recv` died before it removed it.
fn drained(name: &Name, output: &Path) {
    let (sender, pipe) = half_received(name, appending(output).into());
    drop(pipe);
    sender.finish().expect_silence();
    let seen = name.inspect().unwrap();
    assert_eq!((seen.occupancy(), seen.end_index), (0, Some(1000)));
}

#[test]
fn recv_removes_a_drained_stream() {
    let (place, name) = stream("drained");
    drained(&name, &place.output);
    let other = place.file("other", b"");
    recv(&name, appending(&other)).expect(8, "another file");
    recv(&name, appending(&place.output)).expect(0, "going on");
    assert_eq!(place.received(), content()[..1000]);
    assert!(!name.exists());
}

#[test]
fn send_replaces_a_drained_stream() {
    let (place, name) = stream("replaced");
    drained(&name, &place.output);
    send(&name, &place.input, &[]).expect_silence();
    assert_eq!(name.inspect().unwrap().write_index, 100_000);
    // A new stream, which a new output may take.
    let other = place.file("other", b"");
    recv(&name, appending(&other)).expect_silence();
    assert_eq!(std::fs::read(&other).unwrap(), content());
}

#[test]
fn a_removal_that_was_cut_off_is_finished() {
    let (place, name) = stream("retired");
    let first = Name::new("retired-first");
    let ring = Ring::<u8>::create(&first, &RingOptions::new(10)).unwrap();
    std::fs::hard_link(first.path(), name.path()).unwrap();
    // Marks it as retired, and takes the first name away.
    ring.segment().unlink().unwrap();
    assert!(name.inspect().unwrap().retired);
    let receiver = start(ringproof(["recv", &name]).stdout(truncating(&place.output)));
    until_seen(&name, "a new segment", |seen| !seen.retired);
    send(&name, &place.input, &[]).expect_silence();
    receiver.finish().expect_silence();
    assert_eq!(place.received(), content());
}

#[test]
fn a_segment_removed_in_use_is_3() {
    let (place, name) = stream("removed");
    let receiver = start(ringproof(["recv", &name]).stdout(truncating(&place.output)));
    until_received(&name);
    std::fs::remove_file(name.path()).unwrap();
    receiver.finish().expect(3, "removed while in use");

    let sender = waiting(&name, reading(&place.input));
    std::fs::remove_file(name.path()).unwrap();
    sender.finish().expect(3, "removed while in use");
}

#[test]
fn a_stream_that_its_receiver_closed_is_9() {
    // A sender that waits for room,
    let (place, name) = stream("stopped");
    let ring = Ring::<u8>::create(&name, &RingOptions::new(1000)).unwrap();
    let mut consumer = ring.consumer().unwrap();
    let sender = start(ringproof(["send", &name]).stdin(reading(&place.input)));
    until_full(&name);
    consumer.close();
    drop(consumer);
    sender.finish().expect(9, "1000 bytes in it were not taken");
    // and everybody who comes later, until somebody removes it.
    send(&name, &place.input, &[]).expect(9, "`ringproof gc ");
    recv(&name, truncating(&place.output)).expect(9, "1000 bytes");
    let shown = run(ringproof(["inspect", &name]).stdout(Stdio::piped()));
    shown.prints("stop       at 0, no more is read");
    std::fs::remove_file(name.path()).unwrap();
    send(&name, &place.input, &[]).expect_silence();
    recv(&name, truncating(&place.output)).expect_silence();
    assert_eq!(place.received(), content());

    // A sender that never meets a full ring learns it when it has something more to send.
    let name = Name::new("stopped-early");
    let (sender, mut pipe) = half_piped(&name);
    let ring = Ring::<u8>::attach(&name).unwrap();
    let mut consumer = ring.consumer().unwrap();
    consumer.pop_slice(&mut [0; 600]).unwrap();
    consumer.close();
    // Or from time to time while it has not.
    let _ = pipe.write_all(b"more");
    sender.finish().expect(9, "400 bytes in it were not taken");
}

#[test]
fn send_with_wait_says_whether_the_receiver_closed_before_the_end() {
    let place = Place::with(&content());
    for (name, taken, left) in [("all", 100_000, 0), ("not-all", 99_000, 1000)] {
        let name = Name::new(&format!("wait-stopped-{name}"));
        let args = ["send", &name, "--wait"];
        let sender = start(ringproof(args).stdin(reading(&place.input)));
        until_seen(&name, "all in the ring", |seen| seen.end_index.is_some());
        let ring = Ring::<u8>::attach(&name).unwrap();
        let mut consumer = ring.consumer().unwrap();
        assert_eq!(consumer.pop_slice(&mut vec![0; taken]), Ok(taken));
        consumer.close();
        let outcome = sender.finish();
        match left {
            0 => outcome.expect_silence(),
            _ => outcome.expect(9, &format!("{left} bytes in it were not taken")),
        }
    }
}

#[test]
fn the_mode_is_what_was_asked_for() {
    use std::os::unix::fs::PermissionsExt;
    let name = Name::new("mode");
    for (args, expected) in [(&[][..], 0o600), (&["--mode", "664"], 0o664)] {
        run(&mut on("send", &name, args)).expect_silence();
        let mode = std::fs::metadata(name.path()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, expected);
        run(&mut ringproof(["recv", &name])).expect_silence();
    }
}

#[test]
fn an_existing_ring_keeps_its_shape_and_says_so() {
    let name = Name::new("shape");
    let receiver = start(&mut ringproof(["recv", &name, "--capacity", "100"]));
    until_received(&name);
    let sender = run(&mut ringproof(["send", &name, "--capacity", "200"]));
    sender.expect(0, "capacity of 100 bytes");
    receiver.finish().expect_silence();
}

#[test]
fn a_terminal_sees_progress() {
    let (place, name) = stream("terminal");
    let mut command = on("send", &name, &["--capacity", "1000"]);
    let mut sender = OnTerminal::start(command.stdin(reading(&place.input)));
    drop(command);
    sender.until_shown("ring 100 % full, waiting for recv");
    sender.until_shown("/s");
    recv(&name, truncating(&place.output)).expect_silence();
    sender.until_shown("sent 97.66 KiB in");
    sender.process.finish();
}

fn json_of(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[derive(Clone, Copy, ringproof::Payload)]
#[repr(C)]
struct Quote {
    price: f32,
    venue: [i8; 4],
    seq: u64,
}

#[test]
fn inspect_peeks_at_items_by_their_description() {
    let name = Name::new("peek");
    let ring = Ring::<Quote>::create(&name, &RingOptions::new(3)).unwrap();
    let shown = |args: &[&str]| inspected(&name, args);
    let nothing = shown(&["--peek", "2"]);
    assert!(nothing.contains("items      none\n"), "{nothing}");

    let quote = |seq| Quote {
        price: 0.1,
        venue: [1, -2, 3, -4],
        seq,
    };
    let items = [quote(7), quote(u64::MAX), quote(9)];
    assert_eq!(ring.producer().unwrap().push_slice(&items), Ok(3));
    let before = std::fs::read(name.path()).unwrap();
    let text = shown(&["--peek", "2"]);
    for line in [
        "fields     price: f32 at 0\n",
        "           venue: i8x4 at 4\n",
        "           seq: u64 at 8\n",
        "items      0: price = 0.1, venue = [1, -2, 3, -4], seq = 7\n",
        "           1: price = 0.1, venue = [1, -2, 3, -4], seq = 18446744073709551615\n",
    ] {
        assert!(text.contains(line), "{line:?} is not in:\n{text}");
    }
    assert!(!text.contains("2: price"), "{text}");
    let json = json_of(&shown(&["--json", "--peek", "9"]));
    assert_eq!(json["items"].as_array().unwrap().len(), 3);
    let values = |seq: u64| {
        json!([
            {"name": "price", "value": 0.1},
            {"name": "venue", "value": [1, -2, 3, -4]},
            {"name": "seq", "value": seq},
        ])
    };
    assert_eq!(json["items"][0]["values"], values(7));
    assert_eq!(json["items"][1]["values"], values(u64::MAX));
    assert_eq!(json["items"][2]["position"], 2);
    assert_eq!(std::fs::read(name.path()).unwrap(), before, "read-only");
}

#[test]
fn inspect_shows_text_and_json() {
    let (place, name) = stream("inspect");
    half_sent(&name, &place.input);
    let before = std::fs::read(name.path()).unwrap();
    let shown = |args: &[&str]| inspected(&name, args);
    let text = shown(&[]);
    for line in [
        "kind       ring, layout version 1",
        "producer   free, taken 1 time",
        "consumer   free, taken 0 times",
        "written    1000 items",
        "occupancy  1000 of 1000 items (100 %)",
        "end        open",
        "stop       open",
        "fields     value: u8 at 0",
        // The format of the notes that send leaves, which come before the stream's random id.
        "  notes    0x1 0x",
    ] {
        assert!(text.contains(line), "{line:?} is not in:\n{text}");
    }
    let json = json_of(&shown(&["--json"]));
    let order = if cfg!(target_endian = "little") {
        "little"
    } else {
        "big"
    };
    for (key, expected) in [
        ("name", json!(*name)),
        ("kind", json!("ring")),
        ("slots", json!(262_144)),
        ("capacity", json!(1000)),
        ("write_index", json!(1000)),
        ("read_index", json!(0)),
        ("occupancy", json!(1000)),
        ("end_index", Value::Null),
        ("stop_index", Value::Null),
        ("byte_order", json!(order)),
        (
            "fields",
            json!([{"name": "value", "offset": 0, "type": "u8"}]),
        ),
        // Without --peek.
        ("items", Value::Null),
    ] {
        assert_eq!(json[key], expected, "{key}");
    }
    assert_eq!(json["roles"][0]["role"], "producer");
    assert_eq!(json["roles"][0]["held"], false);
    assert_eq!(json["roles"][0]["epoch"], 1);
    assert_eq!(json["roles"][0]["notes"][0], 1);
    assert_eq!(json["roles"][1]["notes"], json!(vec![0; 16]));
    // The consumer has left none.
    assert_eq!(text.matches("notes").count(), 1);
    assert_eq!(std::fs::read(name.path()).unwrap(), before, "read-only");

    let held = start(&mut ringproof(["recv", &name]));
    until_seen(&name, "recv to drain it", |seen| seen.read_index == 1000);
    let json = json_of(&shown(&["--json"]));
    assert_eq!(json["roles"][1]["held"], true);
    drop(held);
    std::fs::remove_file(name.path()).unwrap();

    SeqLock::<u64>::create(&name, &1, &SeqLockOptions::default()).unwrap();
    assert!(shown(&[]).contains("kind    seqlock"), "{}", shown(&[]));
    let json = json_of(&shown(&["--json"]));
    assert_eq!(
        (&json["kind"], &json["seq"]),
        (&json!("seqlock"), &json!(0))
    );
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    run(ringproof(["inspect", &name]).stdout(writer)).expect(7, "closed");
}

/// As `truncate -s 0` does it.
fn truncate(name: &Name) {
    writing(&name.path()).set_len(0).unwrap();
}

const TRUNCATED: &str = "was truncated by another process";

#[test]
fn a_truncated_segment_is_10_for_a_recv_that_waits() {
    let (place, name) = stream("truncated-recv");
    let (sender, mut pipe) = half_piped(&name);
    let receiver = start(ringproof(["recv", &name]).stdout(truncating(&place.output)));
    until_seen(&name, "1000 bytes released", |seen| seen.read_index == 1000);
    truncate(&name);
    receiver.finish().expect(10, TRUNCATED);
    // Whoever waits for its input learns it, too, when there is some at the latest.
    let _ = pipe.write_all(&content()[1000..2000]);
    sender.finish().expect(10, TRUNCATED);
    assert_eq!(place.received(), content()[..1000]);
    // What is left of it is no segment any more.
    recv(&name, appending(&place.output)).expect(4, "file length");
}

#[test]
fn a_truncated_segment_is_10_for_a_send_that_waits() {
    let (place, name) = stream("truncated-send");
    let sender = waiting(&name, reading(&place.input));
    truncate(&name);
    sender.finish().expect(10, TRUNCATED);

    // The last access of all is that which closes the ring.
    let name = Name::new("truncated-end");
    let (sender, pipe) = half_piped(&name);
    truncate(&name);
    drop(pipe);
    sender.finish().expect(10, TRUNCATED);

    let (place, name) = stream("truncated-wait");
    let sender = start(ringproof(["send", "--wait", &name]).stdin(reading(&place.input)));
    until_seen(&name, "the end", |seen| seen.end_index == Some(100_000));
    truncate(&name);
    sender.finish().expect(10, TRUNCATED);
}

#[test]
fn of_a_segment_truncated_in_full_flow_nothing_wrong_is_written() {
    let place = Place::with(&content());
    // No zero in it, which is what lost memory reads as.
    let mut input = content();
    input.iter_mut().for_each(|byte| *byte |= 1);
    for round in 0..5u64 {
        let name = Name::new("truncated-flow");
        let receiver = start(ringproof(["recv", &name]).stdout(truncating(&place.output)));
        let mut sender = start(ringproof(["send", &name]).stdin(Stdio::piped()));
        let mut pipe = sender.stdin();
        let (truncated, wait) = std::sync::mpsc::channel::<()>();
        let block = input.clone();
        let feeding = std::thread::spawn(move || {
            // Without end; but no more than this before it is truncated, however late that is.
            for number in 0.. {
                if number == 1000 {
                    let _ = wait.recv();
                }
                if pipe.write_all(&block).is_err() {
                    break;
                }
            }
        });
        let far = 1_000_000 * (round + 1);
        until_seen(&name, "a part of it", |seen| seen.read_index > far);
        truncate(&name);
        drop(truncated);
        receiver.finish().expect(10, TRUNCATED);
        sender.finish().expect(10, TRUNCATED);
        within("an end of its input", || feeding.join()).expect("no panic");
        let received = place.received();
        assert!(received.len() as u64 >= far);
        let mut blocks = received.chunks(input.len());
        assert!(
            blocks.all(|block| input.starts_with(block)),
            "round {round}"
        );
    }
}
