//! Unused segments, and their names: what may be removed is, what is used is not, and whoever comes at that
//! moment gets the segment or the error that it is gone.
#![cfg(target_os = "linux")]

mod common;

use std::cell::{OnceCell, RefCell};
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{FileExt, symlink};
use std::path::PathBuf;
use std::sync::Barrier;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use common::named::Named;
use common::{Deadline, Effort, lock_of};
use nix::fcntl::{FcntlArg, fcntl};
use ringproof::{
    Claim, NameStatus, Ring, RingOptions, Role, SegmentError, SeqLatch, SeqLatchOptions, SeqLock,
    SeqLockOptions, Survey, unlink, unlink_free,
};

fn create(name: &str) -> Ring<u64> {
    Ring::create(name, &RingOptions::new(5).slots(8)).expect("create a ring")
}

/// Checks that an outcome is an error of this kind.
macro_rules! assert_refused {
    ($outcome:expr, $variant:ident) => {
        let outcome = $outcome;
        let is_refused = matches!(outcome, Err(SegmentError::$variant { .. }));
        assert!(is_refused, "{outcome:?}");
    };
}

fn status(ring: &Ring<u64>) -> NameStatus {
    ring.segment().name_status().expect("it")
}

/// The byte of a segment's file whose lock covers `role`, and that of a removal.
const PRODUCER: u8 = 0;
const CONSUMER: u8 = 1;
const REMOVAL: u8 = 2;

/// Locks on `bytes` of a segment's file, as another implementation takes them.
fn lock(name: &Named, bytes: &[u8]) -> File {
    let file = OpenOptions::new().read(true).write(true).open(name.path());
    let file = file.expect("open it");
    for byte in bytes {
        fcntl(file.as_fd(), FcntlArg::F_OFD_SETLK(&lock_of(*byte))).expect("lock it");
    }
    file
}

// ---- removing -----------------------------------------------------------------------------

#[test]
fn what_is_unused_is_removed_and_what_is_used_is_not() {
    let name = Named::new("free");
    let ring = create(&name);
    for role in [Role::Producer, Role::Consumer] {
        let claim = ring.segment().claim(role).expect("the role");
        for outcome in [ring.segment().unlink_free(), unlink_free(&name)] {
            match outcome {
                Err(SegmentError::Held { role: found, .. }) => assert_eq!(found, role),
                other => panic!("{role} is held: {other:?}"),
            }
        }
        assert_eq!(status(&ring), NameStatus::Current);
        drop(claim);
        // The attempts hold nothing any more.
        drop(ring.segment().claim(role).expect("the role again"));
    }
    ring.segment().unlink_free().expect("no role is held");
    assert!(!name.path().exists());
    for outcome in [
        ring.segment().claim(Role::Producer).map(drop),
        ring.segment().unlink_free(),
    ] {
        assert_refused!(outcome, Gone);
    }
    assert_refused!(unlink_free(&name), NotFound);

    let lock = SeqLock::create(&name, &1u64, &SeqLockOptions::default()).expect("a seqlock");
    let reader = lock.reader().expect("a reader");
    let writer = lock.writer().expect("the role");
    let outcome = unlink_free(&name);
    let is_held = matches!(outcome, Err(SegmentError::Held { role, .. }) if role == Role::Writer);
    assert!(is_held, "{outcome:?}");
    drop(writer);
    unlink_free(&name).expect("no role is held");
    // A reader holds none, is not seen, and goes on.
    assert_eq!(reader.read(1), Ok(1));

    let latch = SeqLatch::create(&name, &1u64, &SeqLatchOptions::default()).expect("a latch");
    let writer = latch.writer().expect("the role");
    assert!(unlink_free(&name).is_err());
    drop(writer);
    unlink_free(&name).expect("no role is held");
    assert!(!name.path().exists());
}

#[test]
fn the_next_segment_of_the_name_is_left_alone() {
    let name = Named::new("next");
    let old = create(&name);
    old.segment().unlink().expect("unlink it");
    let new = create(&name);
    assert_refused!(old.segment().unlink_free(), Gone);
    assert_eq!(status(&new), NameStatus::Current);
    drop(new.segment().claim(Role::Producer).expect("the role"));
    // One that never had a name keeps what it has.
    let anonymous = Ring::<u64>::anonymous(&RingOptions::new(5)).expect("a ring");
    anonymous.segment().unlink_free().expect("nothing to do");
    drop(anonymous.segment().claim(Role::Producer).expect("the role"));
}

// ---- whoever comes meanwhile --------------------------------------------------------------

#[test]
fn a_role_that_a_removal_holds_is_waited_for() {
    // As long as the library waits. Where this thread is kept from going on for so long, what came
    // out says nothing.
    const PATIENCE: Duration = Duration::from_secs(2);
    let name = Named::new("wait");
    let ring = create(&name);
    let deadline = Deadline::to("end a removal while it is waited for");
    loop {
        let removal = lock(&name, &[REMOVAL, PRODUCER, CONSUMER]);
        let start = Instant::now();
        let outcome = thread::scope(|scope| {
            let (say, hear) = channel();
            let ring = &ring;
            let comer = scope.spawn(move || {
                say.send(nix::unistd::gettid()).expect("a hearer");
                ring.segment().claim(Role::Consumer)
            });
            let thread = hear.recv().expect("the comer's number");
            let before = sleeps(thread);
            while !comer.is_finished() && sleeps(thread) < before + 3 {
                deadline.wait();
            }
            drop(removal);
            comer.join().expect("no panic")
        });
        match outcome {
            Err(SegmentError::Held { .. }) if start.elapsed() > PATIENCE => deadline.wait(),
            outcome => {
                outcome.expect("the role, which is free now");
                break;
            }
        }
    }
}

/// How often a thread of this process has gone to sleep.
fn sleeps(thread: nix::unistd::Pid) -> u64 {
    let status = fs::read_to_string(format!("/proc/self/task/{thread}/status"));
    let status = status.unwrap_or_default();
    let mut lines = status.lines();
    let count = lines.find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
    // None of one that has ended.
    count.map_or(0, |count| count.trim().parse().expect("a number"))
}

#[test]
fn a_removal_that_does_not_go_on_holds_the_role() {
    let name = Named::new("stuck");
    let ring = create(&name);
    let removal = lock(&name, &[REMOVAL, PRODUCER]);
    assert_refused!(ring.segment().claim(Role::Producer), Held);
    drop(removal);
    drop(ring.segment().claim(Role::Producer).expect("the role"));
}

/// Lets some time pass: at least as long as the handicap, and in each round another little longer.
fn tarry(handicap: u64, round: u64, side: u64) {
    for _ in 0..handicap + (round * 67 + side * 101) % 200 {
        std::hint::spin_loop();
    }
}

/// What the two sides of the race met.
#[derive(Debug, Default)]
struct Tally {
    /// The comer got the segment, which stayed.
    got: u32,
    /// It got the error that the segment is gone, or found none.
    gone: u32,
}

/// Somebody who comes for a role in one round, as the other side has it.
struct Comer<'a> {
    line: &'a Barrier,
    hear: &'a Receiver<Result<Claim, SegmentError>>,
    round: u64,
    handicap: u64,
    outcome: OnceCell<Result<Claim, SegmentError>>,
}

impl Comer<'_> {
    /// Lets it come.
    fn go(&self) {
        self.line.wait();
        tarry(self.handicap, self.round, 1);
    }

    /// Waits until it has the role, or the reason why not.
    fn outcome(&self) -> &Result<Claim, SegmentError> {
        let hear = || self.hear.recv_timeout(Deadline::length());
        self.outcome.get_or_init(|| hear().expect("an answer"))
    }
}

/// Races a comer, in up to so many rounds, against `collect`, which lets it go, removes the segment, says that it is in use,
/// or fails. An error is the first round in which not exactly one of the two had it.
/// Who was first in a round starts a little later in the next: so they keep meeting.
fn race(
    rounds: u64,
    collect: impl Fn(&Ring<u64>, &Comer<'_>) -> Result<(), SegmentError>,
) -> Result<Tally, String> {
    let name = Named::new("race");
    let line = Barrier::new(2);
    let (give, take) = channel::<(Ring<u64>, u64, u64)>();
    let (said, hear) = channel::<Result<Claim, SegmentError>>();
    thread::scope(|scope| {
        let (line, name) = (&line, &name);
        let comer = scope.spawn(move || {
            while let Ok((ring, round, handicap)) = take.recv() {
                line.wait();
                tarry(handicap, round, 0);
                // It has opened it before, or only now.
                let outcome = match round % 2 {
                    0 => ring.segment().claim(Role::Producer),
                    _ => Ring::<u64>::attach(name)
                        .and_then(|ring| ring.segment().claim(Role::Producer)),
                };
                if said.send(outcome).is_err() {
                    break;
                }
            }
        });
        let mut tally = Tally::default();
        let mut outcome = Ok(());
        // Of the comer, where it is positive.
        let mut handicap = 0_i64;
        for round in Effort::rounds(100, rounds) {
            let ring = create(name);
            let other = Ring::attach(name).expect("attach");
            let (comers, ours) = (handicap.max(0), (-handicap).max(0));
            give.send((other, round, comers as u64)).expect("a comer");
            let comer = Comer {
                line,
                hear: &hear,
                round,
                handicap: ours as u64,
                outcome: OnceCell::new(),
            };
            let collected = collect(&ring, &comer);
            let got = comer.outcome();
            let named = status(&ring) == NameStatus::Current;
            match (&collected, got) {
                (Err(SegmentError::Held { .. }), Ok(_)) if named => tally.got += 1,
                (Ok(()), Err(SegmentError::Gone { .. } | SegmentError::NotFound { .. }))
                    if !named =>
                {
                    tally.gone += 1;
                }
                _ => {
                    outcome = Err(format!(
                        "round {round}: collected {collected:?}, got {got:?}, has its name: {named}"
                    ));
                    break;
                }
            }
            handicap += if named { 20 } else { -20 };
            drop(comer);
            ring.segment().unlink().expect("unlink it");
        }
        drop(give);
        comer.join().expect("no panic");
        outcome.map(|()| tally)
    })
}

#[test]
fn whoever_comes_during_a_removal_gets_the_segment_or_an_error_that_it_is_gone() {
    let tally = race(10_000, |ring, comer| {
        comer.go();
        ring.segment().unlink_free()
    });
    let tally = tally.unwrap_or_else(|problem| panic!("{problem}"));
    println!("{tally:?}");
    // Who is first is a matter of chance, and no round is wrong for it.
    if tally.got.min(tally.gone) < (tally.got + tally.gone) / 20 {
        println!("not run: it was hardly a race, because one of the two nearly always came first");
    }
}

#[test]
fn the_race_finds_a_removal_that_only_looks() {
    // The comer comes between the two, and not a moment earlier or later.
    let problem = race(1, |ring, comer| {
        for role in [Role::Producer, Role::Consumer] {
            assert!(!ring.segment().is_held(role)?);
        }
        comer.go();
        assert!(comer.outcome().is_ok());
        fs::remove_file(Named::path_of(ring.segment().label())).expect("remove it");
        Ok(())
    });
    let problem = problem.expect_err("a role was taken between the look and the removal");
    println!("{problem}");
}

#[test]
fn the_race_finds_a_removal_that_holds_the_roles_alone() {
    let problem = race(1, |ring, comer| {
        let _claims = (
            ring.segment().claim(Role::Producer)?,
            ring.segment().claim(Role::Consumer)?,
        );
        comer.go();
        comer.outcome();
        ring.segment().unlink()
    });
    let problem = problem.expect_err("somebody got the error that another has the role");
    assert!(problem.contains("got Err(Held"), "{problem}");
}

// ---- names --------------------------------------------------------------------------------

#[test]
fn whoever_is_attached_learns_what_became_of_the_name() {
    let name = Named::new("status");
    let old = create(&name);
    // Also with a role in hand, and whoever did it.
    let _producer = old.producer().expect("the role");
    assert_eq!(status(&old), NameStatus::Current);
    unlink(&name).expect("unlink it");
    assert_eq!(status(&old), NameStatus::Unlinked);
    drop(create(&name));
    assert_eq!(status(&old), NameStatus::Replaced);
    fs::remove_file(name.path()).expect("remove it by hand");
    assert_eq!(status(&old), NameStatus::Unlinked);
    symlink("/dev/null", name.path()).expect("a link");
    assert_eq!(status(&old), NameStatus::Replaced);
    fs::remove_file(name.path()).expect("remove it");
    let moved = Named::new("moved");
    drop(create(&name));
    let other = Ring::<u64>::attach(&name).expect("attach");
    fs::rename(name.path(), moved.path()).expect("move it");
    assert_eq!(status(&other), NameStatus::Unlinked);
    let anonymous = Ring::<u64>::anonymous(&RingOptions::new(5)).expect("a ring");
    assert_eq!(status(&anonymous), NameStatus::Current);
}

/// A file of a name that is not UTF-8, as a program that knows no such rule makes it.
struct Bytes(PathBuf);

impl Bytes {
    fn new(name: &Named, more: &[u8]) -> Bytes {
        let mut path = name.path().into_os_string().into_vec();
        path.extend(more);
        Bytes(OsString::from_vec(path).into())
    }
}

impl Drop for Bytes {
    fn drop(&mut self) {
        // It may be gone.
        let _ = fs::remove_file(&self.0);
    }
}

#[test]
fn a_name_that_is_not_utf8_is_a_foreign_file_whatever_has_it() {
    let name = Named::new("survey-bytes");
    let ring = create(&name);
    let others =
        [&b"\xff"[..], b"\xc3", b"\xed\xa0\x80", b"z\xe9"].map(|more| Bytes::new(&name, more));
    // Also if it holds a segment.
    fs::hard_link(name.path(), &others[0].0).expect("a second name");
    for other in &others[1..] {
        fs::write(&other.0, "no segment, but longer than its magic").expect("a file");
    }
    let asked = RefCell::new(Vec::new());
    let ours = |found: &str| {
        let is_ours = found.starts_with(&*name);
        if is_ours {
            asked.borrow_mut().push(found[name.len()..].to_owned());
        }
        is_ours
    };
    let survey = Survey::of(ours).expect("a survey");
    let found: Vec<_> = survey.segments.iter().map(|(found, _)| &**found).collect();
    assert_eq!(found, [&*name]);
    assert_eq!((survey.foreign, survey.closed), (4, 0));
    let mut asked = asked.into_inner();
    asked.sort();
    assert_eq!(asked, ["", r"\xc3", r"\xed\xa0\x80", r"\xff", r"z\xe9"]);
    // And who does not want them has none.
    assert_eq!(
        Survey::of(|found| found == &*name)
            .expect("a survey")
            .foreign,
        0
    );
    ring.segment().unlink().expect("unlink it");
    assert!(others[0].0.exists());
}

#[test]
fn a_survey_separates_segments_from_other_files() {
    let names: Vec<Named> = ["ring", "damaged", "newer", "short", "text", "link"]
        .map(|what| Named::new(&format!("survey-{what}")))
        .into();
    let [ring, damaged, newer, short, text, link] = &names[..] else {
        panic!("six names");
    };
    let ours = |name: &str| names.iter().any(|own| **own == *name);
    drop(create(ring));
    drop(create(damaged));
    drop(create(newer));
    let file = |name: &Named| OpenOptions::new().write(true).open(name.path());
    (file(damaged).expect("open it").set_len(5000)).expect("cut it");
    (file(newer).expect("open it").write_all_at(&[2], 8)).expect("another version");
    fs::write(short.path(), "RING").expect("a file");
    fs::write(text.path(), "no segment, but longer than its magic").expect("a file");
    symlink(ring.path(), link.path()).expect("a link");

    let survey = Survey::of(ours).expect("a survey");
    let found: Vec<_> = survey.segments.iter().map(|(name, _)| &**name).collect();
    let mut expected = vec![&**damaged, &**newer, &**ring];
    expected.sort_unstable();
    assert_eq!(found, expected);
    assert_eq!((survey.foreign, survey.closed), (3, 0));
    for (name, seen) in &survey.segments {
        match seen {
            Ok(seen) => assert_eq!((&*seen.name, &**name), (&**ring, &**ring)),
            Err(SegmentError::Mismatch { field, .. }) if name == &**damaged => {
                assert_eq!(*field, "file length");
            }
            Err(SegmentError::Mismatch { field, .. }) if name == &**newer => {
                assert_eq!(*field, "version");
            }
            Err(error) => panic!("{name}: {error}"),
        }
    }
}
