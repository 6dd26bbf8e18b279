//! Standard descriptors that are closed, open the wrong way, full, or one and the same file: whatever
//! `ringproof` is started with, it ends with a code of its table, and nothing is lost.

mod harness;

use std::fs::File;
use std::io::{Read, Seek, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use harness::faults::{self, full};
use harness::{
    Name, Outcome, appending, content_of, on, reading, ringproof, run, start, truncating,
    until_full, until_received, until_seen, within,
};
use nix::libc;
use ringproof::{Inspection, Ring, RingOptions};
use tempfile::TempDir;

fn content() -> Vec<u8> {
    content_of(3000)
}

/// How much of it a first `recv` has taken where there was one.
const TAKEN: usize = 1000;

/// What a standard descriptor is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Is {
    /// What it should be.
    Good,
    Closed,
    /// Open only for writing where it is read, and the other way round.
    Wrong,
    /// `/dev/full`.
    Full,
    /// The same file as the others that are this: the stream's own, if that has one.
    Same,
}

const ALL: [Is; 5] = [Is::Good, Is::Closed, Is::Wrong, Is::Full, Is::Same];

/// What `ringproof` is asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Task {
    /// Send the file.
    Send,
    /// Send it again, after all of it was sent: it says so.
    SendAgain,
    /// Receive all of it.
    Recv,
    /// Receive the rest, of which it says something.
    RecvRest,
    Inspect,
    /// Remove the ring.
    Gc,
    /// And say it in JSON.
    GcDry,
    Help,
    HelpOf(&'static str),
    Version,
    WrongUsage,
}

const SENDS: [Task; 2] = [Task::Send, Task::SendAgain];
const RECEIVES: [Task; 2] = [Task::Recv, Task::RecvRest];
const REPORTS: [Task; 3] = [Task::Inspect, Task::Gc, Task::GcDry];
/// What is answered before anything is looked at.
const WORDS: [Task; 8] = [
    Task::Help,
    Task::HelpOf("send"),
    Task::HelpOf("recv"),
    Task::HelpOf("inspect"),
    Task::HelpOf("gc"),
    Task::HelpOf("help"),
    Task::Version,
    Task::WrongUsage,
];

impl Task {
    fn args(self, name: &str) -> Vec<&str> {
        match self {
            Task::Send | Task::SendAgain => vec!["send", "--slots", "4K", name],
            Task::Recv | Task::RecvRest => vec!["recv", name],
            Task::Inspect => vec!["inspect", name],
            Task::Gc => vec!["gc", name],
            Task::GcDry => vec!["gc", "--dry-run", "--json", name],
            Task::Help => vec!["--help"],
            Task::HelpOf("help") => vec!["help"],
            Task::HelpOf(command) => vec![command, "--help"],
            Task::Version => vec!["--version"],
            Task::WrongUsage => vec!["send", "--wrong"],
        }
    }

    fn is_send(self) -> bool {
        matches!(self, Task::Send | Task::SendAgain)
    }

    /// The right exit code. (There is no end of what comes out of `/dev/full`; that is another test.)
    fn code(self, [stdin, stdout, _]: [Is; 3]) -> i32 {
        let of_input = match stdin {
            Is::Good | Is::Same | Is::Full => 0,
            Is::Closed | Is::Wrong => 1,
        };
        let of_output = match stdout {
            Is::Good | Is::Same => 0,
            Is::Closed | Is::Wrong => 1,
            Is::Full => 6,
        };
        match self {
            Task::Send | Task::SendAgain => of_input,
            Task::WrongUsage => 2,
            _ => of_output,
        }
    }
}

/// Files and rings from which each run begins anew.
struct Place {
    dir: TempDir,
    name: Name,
    input: PathBuf,
    output: PathBuf,
    errors: PathBuf,
    /// The ring after all was sent.
    sent: Vec<u8>,
    /// The same, and a `recv` that has taken `TAKEN` bytes into the output was killed.
    taken: Vec<u8>,
}

impl Place {
    fn new(test: &str) -> Place {
        let dir = tempfile::tempdir().unwrap();
        let [input, output, errors] = ["in", "out", "errors"].map(|name| dir.path().join(name));
        let name = Name::new(test);
        std::fs::write(&input, content()).unwrap();
        run(ringproof(["send", &name, "--slots", "4K"]).stdin(reading(&input))).expect_silence();
        let sent = std::fs::read(name.path()).unwrap();
        std::fs::remove_file(name.path()).unwrap();

        let mut sender = start(ringproof(["send", &name, "--slots", "4K"]).stdin(Stdio::piped()));
        let mut pipe = sender.stdin();
        pipe.write_all(&content()[..TAKEN]).unwrap();
        let receive = ["recv", &name, "--slots", "4K"];
        let receiver = start(ringproof(receive).stdout(appending(&output)));
        until_seen(&name, "the first bytes released", |seen| {
            seen.read_index == TAKEN as u64
        });
        assert!(receiver.kill().0);
        pipe.write_all(&content()[TAKEN..]).unwrap();
        drop(pipe);
        sender.finish().expect_silence();
        let taken = std::fs::read(name.path()).unwrap();
        std::fs::remove_file(name.path()).unwrap();
        Place {
            dir,
            name,
            input,
            output,
            errors,
            sent,
            taken,
        }
    }

    /// Makes all as it is before a task. The files stay the same ones.
    fn prepare(&self, task: Task) {
        let has = if task == Task::RecvRest { TAKEN } else { 0 };
        for (path, bytes) in [
            (&self.input, &content()[..]),
            (&self.output, &content()[..has]),
            (&self.errors, &[]),
        ] {
            truncating(path).write_all(bytes).unwrap();
        }
        let _ = std::fs::remove_file(self.name.path());
        match task {
            Task::Send => {}
            Task::RecvRest => std::fs::write(self.name.path(), &self.taken).unwrap(),
            _ => std::fs::write(self.name.path(), &self.sent).unwrap(),
        }
    }

    fn run(&self, task: Task, are: [Is; 3]) -> Outcome {
        // The stream's own file, if the stream goes there: else it could not be known that it is.
        let (stream, is) = if task.is_send() {
            (&self.input, are[0])
        } else {
            (&self.output, are[1])
        };
        let is_stream = matches!(is, Is::Good | Is::Same);
        let same = if is_stream { stream } else { &self.errors };
        let same = File::options().read(true).append(true).open(same).unwrap();
        let mut command = ringproof(task.args(&self.name));
        for (fd, is) in (0..).zip(are) {
            let read = fd == 0;
            let stream: Stdio = match is {
                Is::Good if fd == 0 => reading(&self.input).into(),
                Is::Good if fd == 1 => appending(&self.output).into(),
                Is::Good => appending(&self.errors).into(),
                Is::Closed => {
                    faults::close(&mut command, fd);
                    Stdio::null()
                }
                Is::Wrong if read => appending(&self.dir.path().join("wrong")).into(),
                Is::Wrong => reading(&self.input).into(),
                Is::Full => full().into(),
                Is::Same => same.try_clone().unwrap().into(),
            };
            match fd {
                0 => command.stdin(stream),
                1 => command.stdout(stream),
                _ => command.stderr(stream),
            };
        }
        run(&mut command)
    }

    fn written(&self) -> Vec<u8> {
        std::fs::read(&self.output).unwrap()
    }

    /// Whether the ring holds all that was sent, and nothing else was done to it.
    fn is_as_sent(&self) -> bool {
        std::fs::read(self.name.path()).is_ok_and(|segment| segment == self.sent)
    }

    /// Whether the ring holds all bytes, and is closed.
    fn holds_all(&self) -> bool {
        let ring = Ring::<u8>::attach(&self.name).unwrap();
        let mut bytes = vec![0; content().len() + 1];
        let count = ring.consumer().unwrap().pop_slice(&mut bytes);
        let end = Inspection::end_of(ring.segment()).unwrap();
        end == Some(content().len() as u64) && bytes[..count.unwrap()] == content()
    }

    /// Receives what there is into the output, and compares.
    #[track_caller]
    fn recover(&self, what: &str) {
        let outcome = run(ringproof(["recv", &self.name]).stdout(appending(&self.output)));
        assert_eq!(outcome.code(), Some(0), "{what}: {}", outcome.stderr);
        assert!(self.written() == content(), "{what}");
        assert!(!self.name.exists(), "{what}");
    }

    /// What must hold after a task, whatever it ended with.
    fn check(&self, task: Task, are: [Is; 3], outcome: &Outcome) {
        let what = &format!("{task:?} with {are:?}");
        let said = std::fs::read_to_string(&self.errors).unwrap();
        let code = task.code(are);
        let status = outcome.status;
        assert_eq!(outcome.code(), Some(code), "{what}: {status:?} {said}");
        assert!(std::fs::read(&self.input).unwrap() == content(), "{what}");
        if are[2] == Is::Good {
            let says = matches!(task, Task::SendAgain | Task::RecvRest);
            assert_eq!(said.is_empty(), code == 0 && !says, "{what}: {said}");
        }
        match task {
            Task::Send if code != 0 => {
                assert!(!self.name.exists(), "{what} made a ring of nothing");
                assert_eq!(self.run(task, [Is::Good; 3]).code(), Some(0), "{what}");
                self.recover(what);
            }
            Task::Send => assert!(self.holds_all(), "{what}"),
            Task::SendAgain if code == 0 => assert!(self.holds_all(), "{what}"),
            Task::Recv | Task::RecvRest if code == 0 => {
                assert!(self.written() == content(), "{what}");
                assert!(!self.name.exists(), "{what}");
            }
            Task::Recv | Task::RecvRest => self.recover(what),
            Task::Gc if code == 0 => assert!(!self.name.exists(), "{what}"),
            _ => assert!(self.is_as_sent(), "{what}"),
        }
        // A report is there, or the code says that it is not.
        let reports = !task.is_send() && task != Task::WrongUsage;
        if reports && code == 0 {
            assert!(!self.written().is_empty(), "{what} wrote nothing");
        }
    }
}

/// Every combination of the three, for a task.
fn combinations() -> impl Iterator<Item = [Is; 3]> {
    let pairs = ALL.into_iter().flat_map(|one| ALL.map(|two| [one, two]));
    pairs.flat_map(|[one, two]| ALL.map(|three| [one, two, three]))
}

/// Runs the tasks with each of these, and says how many runs that was.
fn run_all(test: &str, tasks: &[Task], combinations: impl Fn() -> Vec<[Is; 3]>) -> usize {
    let place = Place::new(test);
    let mut runs = 0;
    for task in tasks.iter().copied() {
        for are in combinations() {
            place.prepare(task);
            let outcome = place.run(task, are);
            place.check(task, are, &outcome);
            runs += 1;
        }
    }
    runs
}

// Every combination of descriptors ends with its code and loses nothing: for each subcommand.

#[test]
fn whatever_the_descriptors_are_send_loses_nothing() {
    // Of `/dev/full` as the input, which has no end, is the test after these.
    let ends = |are: &[Is; 3]| are[0] != Is::Full;
    let runs = run_all("all-send", &SENDS, || combinations().filter(ends).collect());
    assert_eq!(runs, 2 * 100);
}

#[test]
fn whatever_the_descriptors_are_recv_loses_nothing() {
    let runs = run_all("all-recv", &RECEIVES, || combinations().collect());
    assert_eq!(runs, 2 * 125);
}

#[test]
fn whatever_the_descriptors_are_a_report_is_made_or_missed() {
    let runs = run_all("all-reports", &REPORTS, || combinations().collect());
    assert_eq!(runs, 3 * 125);
}

#[test]
fn whatever_the_descriptors_are_help_is_given_or_missed() {
    // Nothing is read here: whether the input is there or not stands for what it may be.
    let differs = |are: &[Is; 3]| matches!(are[0], Is::Good | Is::Closed);
    let wanted = || combinations().filter(differs).collect();
    let runs = run_all("all-words", &WORDS, wanted);
    assert_eq!(runs, 8 * 50);
}

#[test]
fn an_endless_input_ends_with_its_receiver_whatever_the_other_descriptors_are() {
    let place = Place::new("endless");
    for stdout in ALL {
        for stderr in ALL {
            place.prepare(Task::Send);
            let are = [Is::Full, stdout, stderr];
            let outcome = std::thread::scope(|scope| {
                let sender = scope.spawn(|| place.run(Task::Send, are));
                until_full(&place.name);
                let ring = Ring::<u8>::attach(&place.name).unwrap();
                let mut consumer = ring.consumer().unwrap();
                assert_eq!(consumer.pop_slice(&mut [1; 100]), Ok(100));
                consumer.close();
                sender.join().unwrap()
            });
            assert_eq!(outcome.code(), Some(9), "{are:?}");
            // What was finished is not confused with what was not.
            place.prepare(Task::SendAgain);
            assert_eq!(place.run(Task::SendAgain, are).code(), Some(8), "{are:?}");
            place.recover(&format!("{are:?}"));
        }
    }
}

/// Opens a file in a way that the standard library has no name for.
fn opened(path: &Path, flags: i32) -> File {
    let mut options = File::options();
    let options = options.read(true).write(flags & libc::O_RDWR != 0);
    options
        .custom_flags(flags & !libc::O_RDWR)
        .open(path)
        .unwrap()
}

#[test]
fn what_cannot_be_read_or_written_is_an_error_before_anything_is_done() {
    let place = Place::new("wrong-kinds");
    let nowhere = opened(&place.input, libc::O_PATH);
    for (stdin, said) in [
        (
            nowhere.try_clone().unwrap(),
            "only a place in the file system (EBADF)",
        ),
        (reading(place.dir.path()), "Is a directory"),
        (
            appending(&place.errors),
            "standard input is not open for reading (EBADF)",
        ),
    ] {
        place.prepare(Task::Send);
        run(ringproof(["send", &place.name]).stdin(stdin)).expect(1, said);
        assert!(!place.name.exists());
    }
    for (stdout, said) in [
        (nowhere, "only a place in the file system (EBADF)"),
        (
            reading(&place.input),
            "standard output is not open for writing (EBADF)",
        ),
    ] {
        for (args, task) in [
            (["recv", &place.name], Task::Recv),
            (["gc", &place.name], Task::Gc),
        ] {
            place.prepare(task);
            run(ringproof(args).stdout(stdout.try_clone().unwrap())).expect(1, said);
            assert!(place.is_as_sent());
        }
    }
    let mut command = ringproof(["recv", &place.name]);
    faults::close(&mut command, 1);
    run(&mut command).expect(1, "standard output is closed (EBADF)");
    assert!(place.is_as_sent());
    // And where there is nothing yet, nothing is made.
    std::fs::remove_file(place.name.path()).unwrap();
    run(&mut command).expect(1, "standard output is closed (EBADF)");
    assert!(!place.name.exists());
}

#[test]
fn the_callers_own_dev_null_is_not_taken_for_a_closed_descriptor() {
    let place = Place::new("null");
    // As Python's subprocess.DEVNULL, and as what Rust's runtime puts in the place of a closed one.
    let null = || opened(Path::new("/dev/null"), libc::O_RDWR);
    let run_on_null = |subcommand| {
        let mut command = on(subcommand, &place.name, &[]);
        run(command.stdin(null()).stdout(null())).expect_silence();
    };
    run_on_null("send");
    run_on_null("recv");
    place.prepare(Task::Recv);
    run_on_null("recv");
    assert!(!place.name.exists());
}

#[test]
fn a_report_that_cannot_be_taken_is_an_error_and_what_gc_did_is_not_hidden() {
    let place = Place::new("reports");
    for args in [
        &["--help"][..],
        &["--version"],
        &["help", "recv"],
        &["gc", "--help"],
        &["inspect", &place.name],
        &["inspect", "--json", &place.name],
        &["gc", &place.name],
    ] {
        place.prepare(Task::Inspect);
        run(ringproof(args).stdout(full())).expect(6, "no room for the report");
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        run(ringproof(args).stdout(writer)).expect(7, "the report's reader closed it");
        assert!(place.is_as_sent(), "{args:?}");
        // One that becomes full only when it is written to.
        let mut command = ringproof(args);
        faults::limit_file_size(&mut command, 1);
        let outcome = run(command.stdout(truncating(&place.output)));
        outcome.expect(6, "no room for the report: File too large");
        let removed = format!("removed {}, but could not report it", &*place.name);
        assert_eq!(
            outcome.stderr.contains(&removed),
            args[0] == "gc" && args.len() == 2 && args[1] != "--help"
        );
    }
}

#[test]
fn a_message_is_not_written_into_the_stream() {
    let place = Place::new("messages");
    // Into the output, opened anew, and as 2>&1 has it.
    for anew in [true, false] {
        place.prepare(Task::RecvRest);
        let output = appending(&place.output);
        let errors = if anew {
            appending(&place.output)
        } else {
            output.try_clone().unwrap()
        };
        let mut command = ringproof(["recv", &place.name]);
        assert_eq!(run(command.stdout(output).stderr(errors)).code(), Some(0));
        assert!(place.written() == content());
    }
    // Into the input.
    place.prepare(Task::SendAgain);
    let mut command = ringproof(["send", &place.name]);
    let outcome = run(command
        .stdin(reading(&place.input))
        .stderr(appending(&place.input)));
    assert_eq!(outcome.code(), Some(0));
    assert!(std::fs::read(&place.input).unwrap() == content());
    // Into the ring itself.
    for args in [
        ["send", &place.name],
        ["recv", &place.name],
        ["inspect", "no such"],
    ] {
        place.prepare(Task::SendAgain);
        let mut command = ringproof(args);
        command.stdin(reading(&place.errors)).stdout(full());
        let outcome = run(command.stderr(appending(&place.name.path())));
        assert_ne!(outcome.code(), Some(0), "{args:?}");
        let len = std::fs::metadata(place.name.path()).map(|meta| meta.len());
        assert_eq!(len.ok(), Some(place.sent.len() as u64), "{args:?}");
    }
    // A failure, too, leaves what is needed to go on.
    place.prepare(Task::RecvRest);
    let mut command = ringproof(["recv", &place.name]);
    faults::limit_file_size(&mut command, 2000);
    let output = appending(&place.output);
    let errors = output.try_clone().unwrap();
    assert_eq!(run(command.stdout(output).stderr(errors)).code(), Some(6));
    assert!(place.written() == content()[..2000]);
    place.recover("after a limit");
    // Where lengths do not count, the caller has his way.
    place.prepare(Task::RecvRest);
    let (mut reader, writer) = std::io::pipe().unwrap();
    let mut command = ringproof(["recv", &place.name]);
    command.stdout(writer.try_clone().unwrap()).stderr(writer);
    let outcome = run(&mut command);
    drop(command);
    assert_eq!(outcome.code(), Some(0));
    let mut got = Vec::new();
    reader.read_to_end(&mut got).unwrap();
    let (said, rest) = got.split_at(got.len() - (content().len() - TAKEN));
    assert!(rest == &content()[TAKEN..]);
    assert!(String::from_utf8_lossy(said).contains("at least once"));
}

#[test]
fn a_segment_is_not_written_into() {
    let place = Place::new("into-segment");
    let other = Name::new("into-segment-other");
    let tasks = [
        Task::Recv,
        Task::Inspect,
        Task::Gc,
        Task::GcDry,
        Task::Help,
        Task::Version,
    ];
    for task in tasks {
        place.prepare(task);
        std::fs::write(other.path(), &place.sent).unwrap();
        for segment in [&place.name, &other] {
            for output in [
                appending(&segment.path()),
                opened(&segment.path(), libc::O_RDWR),
            ] {
                let mut command = ringproof(task.args(&place.name));
                run(command.stdout(output)).expect(8, "the output is a ringproof segment");
            }
        }
        for segment in [&place.name, &other] {
            assert!(
                std::fs::read(segment.path()).unwrap() == place.sent,
                "{task:?}"
            );
        }
    }
    // A copy elsewhere is a file as any other.
    std::fs::write(&place.output, &place.sent).unwrap();
    run(ringproof(["inspect", &place.name]).stdout(appending(&place.output))).expect_silence();
}

#[test]
fn a_ring_is_not_sent_into_itself() {
    let place = Place::new("itself");
    let ring = Ring::<u8>::create(&place.name, &RingOptions::new(100)).unwrap();
    for input in [
        reading(&place.name.path()),
        opened(&place.name.path(), libc::O_RDWR),
    ] {
        run(ringproof(["send", &place.name]).stdin(input)).expect(8, "the ring itself");
    }
    assert_eq!(ring.producer().unwrap().position(), 0);
    // Another one is bytes as any other's.
    let other = Name::new("itself-other");
    run(ringproof(["send", &other]).stdin(reading(&place.name.path()))).expect_silence();
}

/// The length of the files of which one is sent and received into.
const LONG: usize = 400_000;

fn long() -> Vec<u8> {
    content().into_iter().cycle().take(LONG).collect()
}

#[test]
fn a_file_is_not_received_into_itself() {
    let place = Place::new("loop");
    let file = &place.output;
    let links = place.dir.path().join("another-name");
    std::fs::write(file, long()).unwrap();
    std::fs::hard_link(file, &links).unwrap();
    let send =
        || start(ringproof(["send", &place.name, "--capacity", "20000"]).stdin(reading(file)));
    let recv = |output| {
        let args = ["recv", &place.name, "--capacity", "20000"];
        start(ringproof(args).stdout(output))
    };
    for receiver_first in [false, true] {
        let output = || {
            let mut output = opened(&links, libc::O_RDWR);
            output.seek(std::io::SeekFrom::End(0)).unwrap();
            output
        };
        for (number, output) in [appending(file), output()].into_iter().enumerate() {
            let (sender, receiver) = if receiver_first {
                let receiver = recv(output);
                until_received(&place.name);
                (send(), receiver)
            } else {
                let sender = send();
                until_full(&place.name);
                (sender, recv(output))
            };
            receiver
                .finish()
                .expect(8, "the output is the file that the stream is sent from");
            assert!(
                std::fs::read(file).unwrap() == long(),
                "{receiver_first} {number}"
            );
            // Nothing is lost: another file has it all.
            let other = place.dir.path().join("other");
            recv(truncating(&other)).finish().expect_silence();
            sender.finish().expect_silence();
            assert!(std::fs::read(&other).unwrap() == long());
        }
    }
    // The other side, which knows more: the file goes on where a pipe ended.
    let mut sender =
        start(ringproof(["send", &place.name, "--capacity", "20000"]).stdin(Stdio::piped()));
    let mut pipe = sender.stdin();
    pipe.write_all(&content()[..500]).unwrap();
    until_seen(&place.name, "what the pipe had", |seen| {
        seen.write_index == 500
    });
    assert!(sender.kill().0);
    let goes_on = || {
        let args = ["send", &place.name, "--continue"];
        start(ringproof(args).stdin(reading(file)))
    };
    let sender = goes_on();
    until_full(&place.name);
    let receiver = recv(appending(file));
    sender
        .finish()
        .expect(8, "the input is the file that the stream is received into");
    // It waits for a send that comes back.
    assert!(receiver.kill().0);
    let written = std::fs::metadata(file).unwrap().len() as usize;
    assert!(written < LONG + LONG / 2, "{written}");
    goes_on()
        .finish()
        .expect(8, "the input is the file that the stream is received into");
}

#[test]
fn an_empty_file_may_be_received_into_itself() {
    let place = Place::new("loop-of-nothing");
    std::fs::write(&place.output, "").unwrap();
    let mut receiver = ringproof(["recv", &place.name]);
    let receiver = start(receiver.stdout(appending(&place.output)));
    until_received(&place.name);
    run(ringproof(["send", &place.name]).stdin(reading(&place.output))).expect_silence();
    receiver.finish().expect_silence();
    assert_eq!(place.written(), b"");
}

#[test]
fn a_first_output_that_took_nothing_does_not_bind_the_stream() {
    let place = Place::new("another-output");
    place.prepare(Task::Recv);
    run(ringproof(["recv", &place.name]).stdout(full())).expect(6, "no room for the output");
    // Whoever has something may have some of it.
    std::fs::write(&place.errors, "something").unwrap();
    let into = |path: &Path| run(ringproof(["recv", &place.name]).stdout(appending(path)));
    into(&place.errors).expect(8, "it cannot be known which bytes this file has");
    place.recover("into an empty file");
    // The same after a file that could take a part.
    place.prepare(Task::Recv);
    std::fs::write(&place.errors, "something").unwrap();
    let mut command = ringproof(["recv", &place.name]);
    faults::limit_file_size(&mut command, 100);
    let small = place.dir.path().join("small");
    run(command.stdout(truncating(&small))).expect(6, "File too large");
    assert!(std::fs::read(&small).unwrap() == content()[..100]);
    into(&place.errors).expect(8, "another file");
    place.recover("into another empty file");
    // Or into the one that has the part.
    place.prepare(Task::Recv);
    let mut command = ringproof(["recv", &place.name]);
    faults::limit_file_size(&mut command, 100);
    run(command.stdout(truncating(&small))).expect(6, "File too large");
    into(&small).expect(0, "has 100 more already");
    assert!(std::fs::read(&small).unwrap() == content());
}

#[test]
fn a_pipe_that_is_full_and_left_is_no_place_for_help() {
    // Its reader leaves while the help waits for room.
    let (reader, writer) = std::io::pipe().unwrap();
    let size = fill(&writer);
    let helper = start(ringproof(["--help"]).stdout(writer));
    let outcome = within("help to end", move || {
        drop(reader);
        helper.finish()
    });
    outcome.expect(7, "the report's reader closed it");
    assert!(size > 0);
}

/// Fills a pipe, and says how much that was.
fn fill(pipe: &std::io::PipeWriter) -> usize {
    use nix::fcntl::{FcntlArg, OFlag, fcntl};
    let set = |flags| fcntl(pipe, FcntlArg::F_SETFL(flags)).unwrap();
    set(OFlag::O_NONBLOCK);
    let mut size = 0;
    while let Ok(count) = (&*pipe).write(&[0; 4096]) {
        size += count;
    }
    set(OFlag::empty());
    size
}

#[test]
fn the_descriptors_of_a_test_are_what_they_are_called() {
    // The proof that the matrix above tests what it says: a shell that looks.
    let looks = |fd: RawFd| {
        let mut command = Command::new("sh");
        let script = format!("if [ -e /proc/self/fd/{fd} ]; then echo open; else echo closed; fi");
        command
            .args(["-c", &script])
            .stdin(Stdio::null())
            .stderr(Stdio::null());
        command
    };
    for fd in [0, 2] {
        for closed in [false, true] {
            let mut command = looks(fd);
            if closed {
                faults::close(&mut command, fd);
            }
            let said = command.output().unwrap().stdout;
            assert_eq!(
                said,
                if closed { &b"closed\n"[..] } else { b"open\n" },
                "{fd}"
            );
        }
    }
    assert!(full().as_raw_fd() > 2);
    assert_eq!(
        (&full()).write(b"x").unwrap_err().raw_os_error(),
        Some(libc::ENOSPC)
    );
}
