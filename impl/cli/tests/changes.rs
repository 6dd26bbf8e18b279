//! What held in the beginning and does not at the end: an input that is cut while it is sent, an output
//! that is cut, removed or replaced while it is received into. And readers that are gone while nothing
//! comes.

mod harness;

use std::fs::File;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{ChildStdin, Stdio};

use harness::{
    Name, Place, Process, appending, content_of, reading, ringproof, run, start, truncating, until,
    until_full, until_received, until_seen, writing,
};
use nix::fcntl::OFlag;
use nix::libc;
use nix::pty::{PtyMaster, grantpt, posix_openpt, ptsname_r, unlockpt};
use ringproof::{Ring, Role};

/// Much more than `send` reads at once.
const LONG: usize = 1_000_000;

fn content() -> Vec<u8> {
    content_of(LONG as u32)
}

fn new_place() -> Place {
    Place::with(&content())
}

fn append(path: &Path, bytes: &[u8]) {
    appending(path).write_all(bytes).unwrap();
}

fn send(name: &Name, input: File) -> Process {
    start(ringproof(["send", name, "--capacity", "10000"]).stdin(input))
}

fn recv(name: &Name, output: File) -> Process {
    start(ringproof(["recv", name]).stdout(output))
}

/// A `send` that waits for room and has not read half of its input.
fn waiting_send(name: &Name, input: File) -> Process {
    let sender = send(name, input);
    until_full(name);
    sender
}

#[test]
fn an_input_that_is_cut_is_not_called_sent() {
    let place = new_place();
    let name = Name::new("cut");
    let cut = |len| writing(&place.input).set_len(len).unwrap();
    let change: [(&str, &dyn Fn()); 4] = [
        ("a part", &|| cut(700_000)),
        ("all, as `>` does it", &|| drop(truncating(&place.input))),
        ("all but a byte", &|| cut(LONG as u64 - 1)),
        ("a part, and written on", &|| {
            cut(300_000);
            append(&place.input, b"after a rotation");
        }),
    ];
    for (what, change) in change {
        std::fs::write(&place.input, content()).unwrap();
        let sender = waiting_send(&name, reading(&place.input));
        change();
        let receiver = recv(&name, truncating(&place.output));
        sender.finish().expect(8, "but it had 1000000 before");
        // The stream has no end: it is not taken for complete.
        assert_eq!(name.inspect().unwrap().end_index, None, "{what}");
        // It goes on when the bytes are there again, and whoever waits gets them all.
        let same = writing(&place.input);
        std::os::unix::fs::FileExt::write_all_at(&same, &content(), 0).unwrap();
        send(&name, reading(&place.input))
            .finish()
            .expect(0, "going on");
        receiver.finish().expect_silence();
        // What a rotation put in the place of others was not known to be that.
        let wrong = if what.ends_with("written on") { 16 } else { 0 };
        let same = place
            .received()
            .iter()
            .zip(content())
            .filter(|(got, sent)| **got == *sent)
            .count();
        assert!(
            place.received().len() == LONG && same >= LONG - wrong,
            "{what}"
        );
    }
}

#[test]
fn an_input_that_grows_before_it_is_cut_is_not_called_sent_either() {
    let place = new_place();
    let name = Name::new("grown-and-cut");
    let mut sender = waiting_send(&name, reading(&place.input));
    append(&place.input, &content()[..500_000]);
    let ring = Ring::<u8>::attach(&name).unwrap();
    let mut consumer = ring.consumer().unwrap();
    let mut take = || {
        let _ = consumer.pop_slice(&mut [0; 10_000]);
        consumer.position()
    };
    // So far that it has read from what was added, and not so far that it has read it all.
    until("what was added", || take() > LONG as u64);
    writing(&place.input).set_len(1_400_000).unwrap();
    until("the end of send", || {
        take();
        sender.has_ended()
    });
    let outcome = sender.finish();
    outcome.expect(8, "only 1400000 bytes long, but it had 1500000 before");
    assert_eq!(name.inspect().unwrap().end_index, None);
}

#[test]
fn an_input_that_goes_on_where_a_pipe_ended_must_not_be_cut_either() {
    let place = new_place();
    let name = Name::new("cut-continued");
    let mut sender = start(ringproof(["send", &name, "--capacity", "10000"]).stdin(Stdio::piped()));
    let mut pipe = sender.stdin();
    pipe.write_all(b"first").unwrap();
    until_seen(&name, "what the pipe had", |seen| seen.write_index == 5);
    assert!(sender.kill().0);
    // The pipe's end was not seen.
    let goes_on = start(ringproof(["send", &name, "--continue"]).stdin(reading(&place.input)));
    until_full(&name);
    writing(&place.input).set_len(500_000).unwrap();
    let _receiver = recv(&name, truncating(&place.output));
    goes_on.finish().expect(8, "only 500000 bytes long");
    assert_eq!(name.inspect().unwrap().end_index, None);
}

#[test]
fn an_input_may_grow_and_may_be_shorter_than_it_says() {
    let place = new_place();
    let name = Name::new("grown");
    let sender = waiting_send(&name, reading(&place.input));
    append(&place.input, b"more");
    let receiver = recv(&name, truncating(&place.output));
    sender.finish().expect_silence();
    receiver.finish().expect_silence();
    assert!(place.received() == [&content()[..], b"more"].concat());
    // Files of the kernel have no length, or that of a page.
    for path in [
        "/proc/self/cgroup",
        "/proc/version",
        "/sys/devices/system/cpu/online",
    ] {
        let Ok(expected) = std::fs::read(path) else {
            eprintln!("not run: there is no {path}");
            continue;
        };
        run(ringproof(["send", &name]).stdin(reading(Path::new(path)))).expect_silence();
        recv(&name, truncating(&place.output))
            .finish()
            .expect_silence();
        assert!(
            !expected.is_empty() && place.received().len() == expected.len(),
            "{path}"
        );
    }
}

/// A stream of which a live `… | send` has committed 1000 bytes, and a live `recv` has released them
/// into `output`.
fn half_way(name: &Name, output: File) -> (Process, ChildStdin, Process) {
    let mut sender = start(ringproof(["send", name]).stdin(Stdio::piped()));
    let mut pipe = sender.stdin();
    pipe.write_all(&content()[..1000]).unwrap();
    let receiver = recv(name, output);
    until_seen(name, "1000 bytes released", |seen| seen.read_index == 1000);
    (sender, pipe, receiver)
}

/// Sends another 2000 bytes, and closes.
fn complete(sender: Process, mut pipe: ChildStdin) {
    pipe.write_all(&content()[1000..3000]).unwrap();
    drop(pipe);
    sender.finish().expect_silence();
}

/// What the ring still holds, from what position.
fn held(name: &Name) -> (usize, Vec<u8>) {
    let ring = Ring::<u8>::attach(name).unwrap();
    let mut consumer = ring.consumer().unwrap();
    let from = consumer.position() as usize;
    let mut bytes = vec![0; consumer.occupancy().unwrap() as usize];
    if !bytes.is_empty() {
        assert_eq!(consumer.pop_slice(&mut bytes), Ok(bytes.len()));
    }
    (from, bytes)
}

#[test]
fn an_output_that_is_cut_is_not_called_complete() {
    let place = new_place();
    let name = Name::new("cut-output");
    // What is not appended would go on behind a hole, and the length would be right.
    let ways = [appending as fn(&Path) -> File, truncating];
    for (len, open) in [0, 999]
        .into_iter()
        .flat_map(|len| ways.map(|open| (len, open)))
    {
        let _ = std::fs::remove_file(&place.output);
        let (sender, pipe, receiver) = half_way(&name, open(&place.output));
        writing(&place.output).set_len(len).unwrap();
        complete(sender, pipe);
        receiver.finish().expect(8, "somebody cut it meanwhile");
        // What the ring still holds completes it, when it has again what comes before.
        let from = name.inspect().unwrap().read_index as usize;
        assert!((1000..=3000).contains(&from));
        std::fs::write(&place.output, &content()[..from]).unwrap();
        recv(&name, appending(&place.output))
            .finish()
            .expect(0, "going on");
        assert!(place.received() == content()[..3000]);
        assert!(!name.exists());
    }
}

#[test]
fn an_output_that_is_removed_or_replaced_is_not_called_complete() {
    let place = new_place();
    let name = Name::new("removed-output");
    let other = place.dir.path().join("other");
    let changes: [&dyn Fn(); 2] = [&|| std::fs::remove_file(&place.output).unwrap(), &|| {
        std::fs::write(&other, "other").unwrap();
        std::fs::rename(&other, &place.output).unwrap();
    }];
    for change in changes {
        let _ = std::fs::remove_file(&place.output);
        let output = appending(&place.output);
        let kept = reading(&place.output);
        let (sender, pipe, receiver) = half_way(&name, output);
        change();
        complete(sender, pipe);
        receiver
            .finish()
            .expect(8, "was removed while it was written");
        let (from, rest) = held(&name);
        let before = std::io::read_to_string(kept).map(String::into_bytes);
        let before = before.unwrap_or_else(|_| content()[..from].to_vec());
        assert!([&before[..from], &rest].concat() == content()[..3000]);
        std::fs::remove_file(name.path()).unwrap();
    }
}

#[test]
fn an_output_may_be_moved_and_may_never_have_had_a_name() {
    let place = new_place();
    let name = Name::new("moved-output");
    let moved = place.dir.path().join("moved");
    let (sender, pipe, receiver) = half_way(&name, appending(&place.output));
    std::fs::rename(&place.output, &moved).unwrap();
    complete(sender, pipe);
    receiver.finish().expect_silence();
    assert!(std::fs::read(&moved).unwrap() == content()[..3000]);

    let nameless = tempfile::tempfile().unwrap();
    let (sender, pipe, receiver) = half_way(&name, nameless.try_clone().unwrap());
    complete(sender, pipe);
    receiver.finish().expect_silence();
    assert_eq!(nameless.metadata().unwrap().len(), 3000);

    // What others write behind it does no harm to it.
    let (sender, pipe, receiver) = half_way(&name, appending(&place.output));
    append(&place.output, b"a line of a log");
    complete(sender, pipe);
    receiver.finish().expect_silence();
    assert_eq!(place.received().len(), 3015);
    assert!(!name.exists());
}

/// Ends of a stream whose reader can leave.
fn readers() -> Vec<(&'static str, OwnedFd, Box<dyn Send>)> {
    let (reader, writer) = std::io::pipe().unwrap();
    let (near, far) = UnixStream::pair().unwrap();
    let (screen, terminal) = terminal();
    vec![
        ("a pipe", writer.into(), Box::new(reader)),
        ("a socket", near.into(), Box::new(far)),
        ("a terminal", terminal.into(), Box::new(screen)),
    ]
}

/// A terminal, and who shows it; neither is left to children, as `openpty` would leave them.
fn terminal() -> (PtyMaster, File) {
    let screen = posix_openpt(OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC).unwrap();
    grantpt(&screen).unwrap();
    unlockpt(&screen).unwrap();
    let path = ptsname_r(&screen).unwrap();
    let mut options = File::options();
    let options = options.read(true).write(true);
    let terminal = options.custom_flags(libc::O_NOCTTY).open(path);
    (screen, terminal.unwrap())
}

#[test]
fn a_reader_that_is_gone_while_nothing_comes_is_missed() {
    let name = Name::new("gone");
    for (what, output, reader) in readers() {
        println!("{what}");
        let mut sender = start(ringproof(["send", &name]).stdin(Stdio::piped()));
        let mut pipe = sender.stdin();
        let mut command = ringproof(["recv", &name]);
        let mut receiver = start(command.stdout(output));
        drop(command);
        until_received(&name);
        receiver.until_waiting();
        assert!(!receiver.has_ended(), "{what}: its reader is there");
        drop(reader);
        receiver.finish().expect(7, "closed by its reader");
        // The stream goes on with another.
        pipe.write_all(b"after that").unwrap();
        drop(pipe);
        sender.finish().expect_silence();
        let dir = tempfile::tempdir().unwrap();
        let output = dir.path().join("out");
        recv(&name, appending(&output)).finish().expect_silence();
        assert_eq!(std::fs::read(&output).unwrap(), b"after that");
    }
}

#[test]
fn a_reader_that_is_gone_before_its_first_byte_is_missed() {
    let name = Name::new("gone-early");
    for (what, output, reader) in readers() {
        println!("{what}");
        drop(reader);
        let mut command = ringproof(["recv", &name]);
        let receiver = start(command.stdout(output));
        receiver.finish().expect(7, "closed by its reader");
        assert!(name.exists(), "the next one joins it");
    }
}

#[test]
fn a_send_that_waits_for_its_input_misses_the_receiver() {
    let name = Name::new("idle-send");
    let idle = || {
        let mut sender = start(ringproof(["send", &name]).stdin(Stdio::piped()));
        let mut pipe = sender.stdin();
        pipe.write_all(b"some").unwrap();
        until_seen(&name, "what it was given", |seen| seen.write_index == 4);
        sender.until_waiting_long();
        assert!(!sender.has_ended());
        (sender, pipe)
    };
    // One that closes the ring,
    let (sender, _pipe) = idle();
    let ring = Ring::<u8>::attach(&name).unwrap();
    let mut consumer = ring.consumer().unwrap();
    consumer.pop().unwrap();
    consumer.close();
    drop(consumer);
    sender.finish().expect(9, "3 bytes in it were not taken");
    std::fs::remove_file(name.path()).unwrap();
    // a ring that is removed, to which no one comes any more,
    let (sender, _pipe) = idle();
    std::fs::remove_file(name.path()).unwrap();
    sender.finish().expect(3, "removed while in use");
    // and one that is cut.
    let (sender, _pipe) = idle();
    writing(&name.path()).set_len(0).unwrap();
    sender.finish().expect(10, "ringproof gc");
    let gone = run(&mut ringproof(["gc", &name]));
    gone.expect_silence();
    assert!(!name.exists());
    // One that is there, or may come, is waited for.
    let (mut sender, mut pipe) = idle();
    let ring = Ring::<u8>::attach(&name).unwrap();
    let claim = ring.segment().claim(Role::Consumer).unwrap();
    std::fs::remove_file(name.path()).unwrap();
    sender.until_waiting_long();
    assert!(!sender.has_ended());
    pipe.write_all(b" more").unwrap();
    drop(pipe);
    sender.finish().expect_silence();
    assert_eq!(ring.consumer_with(claim).unwrap().occupancy(), Ok(9));
}
