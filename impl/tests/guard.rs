//! The guard against SIGBUS: a truncated segment is an error to those who use it and nothing to
//! anybody else, and every other SIGBUS does what it did before.
//!
//! What must kill a process, or changes what its signals do, happens in a process of its own.

mod common;

use core::ffi::c_int;
use std::error::Error;
use std::fs::{File, OpenOptions};
use std::num::NonZero;
use std::os::unix::fs::FileExt;
use std::os::unix::process::ExitStatusExt;
use std::sync::Barrier;
use std::thread;

use common::helper::{self, Helper};
use common::interrupted::Interrupted;
use common::named::Named;
use common::{Deadline, ends, seqlock_and_latch};
use nix::libc;
use nix::sys::mman::{MapFlags, ProtFlags, mmap};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, raise, sigaction};
use ringproof::guard::{self, MAPPINGS};
use ringproof::harness::{PartsOfRing, PartsOfValue};
use ringproof::ring::LAST;
use ringproof::site::LoadSite;
use ringproof::{
    Busy, PopError, PushError, ReadError, Ring, RingOptions, Role, SegmentError, Wait, WaitError,
    ring,
};

// The documented layout.
const WRITE_INDEX: u64 = 256;
const READ_INDEX: u64 = 640;
const DATA: u64 = 8192;

/// More than a page of them, so that a copy meets both what is there and what is gone.
type Value = [u64; 1024];
const VALUE: Value = [0x5a5a_5a5a_5a5a_5a5a; 1024];

/// Enough for more mappings than are guarded.
const DESCRIPTORS: u64 = MAPPINGS as u64 + 100;

fn options() -> RingOptions {
    RingOptions::new(5).slots(8)
}

fn create(name: &str) -> Ring<u64> {
    Ring::create(name, &options()).expect("create a ring")
}

fn file(name: &Named) -> File {
    let mut options = OpenOptions::new();
    let opened = options.read(true).write(true).open(name.path());
    opened.expect("open the file")
}

fn truncate(name: &Named, len: u64) {
    file(name).set_len(len).expect("truncate it");
}

/// Where rings may stand. The guard stores one number for all of them.
fn positions() -> impl Iterator<Item = u64> {
    let near = |middle: u64| (0..6).map(move |n| middle.wrapping_sub(3).wrapping_add(n));
    let middles = [1 << 20, 1 << 62, LAST - 9];
    (0..3).chain(middles.into_iter().flat_map(near))
}

/// A ring of which `position` items were committed and released.
fn create_at(name: &Named, position: u64) -> Ring<u64> {
    drop(create(name));
    for offset in [WRITE_INDEX, READ_INDEX] {
        let written = file(name).write_all_at(&position.to_ne_bytes(), offset);
        written.expect("write a word");
    }
    Ring::attach(name).expect("attach")
}

// ---- each kind of end ---------------------------------------------------------------------

#[test]
fn a_consumer_of_a_truncated_ring_gets_an_error_wherever_it_stands() {
    guard::install().expect("the guard");
    for position in positions() {
        let name = Named::new("consumer");
        let ring = create_at(&name, position);
        let mut consumer = ring.consumer().expect("the role");
        assert_eq!(consumer.pop(), Err(PopError::Empty), "at {position}");
        assert!(!ring.segment().is_lost());
        truncate(&name, 0);
        let popped = consumer.pop();
        assert!(
            matches!(popped, Err(PopError::Corrupt(_))),
            "{popped:?} at {position}"
        );
        assert!(ring.segment().is_lost());
        assert!(matches!(consumer.peek(3), Err(PopError::Corrupt(_))));
        assert!(consumer.occupancy().is_err());
        // Its own role is a matter of the file, which is still there.
        assert!(!consumer.peer_present().expect("an answer"));
    }
}

#[test]
fn a_producer_of_a_truncated_ring_gets_an_error_wherever_it_stands() {
    guard::install().expect("the guard");
    for position in positions() {
        for pushed in [0, 1, 5] {
            let name = Named::new("producer");
            let ring = create_at(&name, position);
            let mut producer = ring.producer().expect("the role");
            for item in 0..pushed {
                producer.push(item).expect("push");
            }
            truncate(&name, 0);
            // What it knew to be free it fills, and not more.
            let mut more = 0;
            let refused = loop {
                match producer.push(7) {
                    Ok(()) => more += 1,
                    Err(error) => break error,
                }
                assert!(ring.segment().is_lost());
            };
            assert!(pushed + more <= 5, "{more} more at {position}");
            assert!(
                matches!(refused, PushError::Corrupt(_)),
                "{refused:?} at {position}"
            );
            assert!(ring.segment().is_lost());
            assert!(producer.occupancy().is_err());
            assert!(producer.is_peer_closed().is_err(), "at {position}");
            assert!(matches!(producer.reserve(9), Err(PushError::Corrupt(_))));
        }
    }
}

#[test]
fn what_a_consumer_knew_of_is_marked_lost_when_it_is_taken() {
    guard::install().expect("the guard");
    let name = Named::new("known");
    let ring = create(&name);
    ring.producer()
        .expect("the role")
        .push_slice(&[1, 2, 3, 4])
        .expect("push");
    let mut consumer = ring.consumer().expect("the role");
    assert_eq!(consumer.pop(), Ok(1));
    assert!(!ring.segment().is_lost());
    // The slots are gone and the header is not: it is a slot that faults.
    truncate(&name, DATA);
    let mut taken = 0;
    let refused = loop {
        match consumer.pop() {
            Ok(_) => taken += 1,
            Err(error) => break error,
        }
        assert!(ring.segment().is_lost(), "item {taken} looks good");
    };
    assert_eq!(taken, 3);
    assert!(matches!(refused, PopError::Corrupt(_)), "{refused:?}");
}

#[test]
fn a_batch_that_is_being_read_is_marked_lost() {
    guard::install().expect("the guard");
    let name = Named::new("batch");
    let ring = Ring::<Value>::create(&name, &RingOptions::new(4)).expect("create a ring");
    let mut producer = ring.producer().expect("the role");
    producer.push_slice(&[VALUE; 3]).expect("push");
    let mut consumer = ring.consumer().expect("the role");
    let chunk = consumer.peek(3).expect("three items");
    let mut items = [[0; 1024]; 3];
    chunk.copy_to_slice(0, &mut items[..1]).expect("copy one");
    assert!(!ring.segment().is_lost() && items[0] == VALUE);
    // In the middle of the second item.
    truncate(&name, DATA + 3 * 4096);
    chunk.copy_to_slice(0, &mut items).expect("copy three");
    assert!(ring.segment().is_lost());
    chunk.release_all();
    assert!(matches!(consumer.pop(), Err(PopError::Corrupt(_))));
}

#[test]
fn two_ends_over_one_mapping_are_marked_lost() {
    guard::install().expect("the guard");
    let name = Named::new("together");
    let ring = create(&name);
    let (mut producer, mut consumer) = ends(&ring);
    producer.push_slice(&[1, 2]).expect("push");
    truncate(&name, 0);
    // It knew of room, and puts its true index where the consumer looks for it.
    producer.push(3).expect("a slot that was known to be free");
    assert!(ring.segment().is_lost());
    let mut items = [9; 3];
    assert_eq!(consumer.pop_slice(&mut items), Ok(3));
    assert_eq!(items, [0, 0, 3]);
    assert!(ring.segment().is_lost());
}

#[test]
fn readers_of_a_truncated_seqlock_or_latch_get_no_value() {
    guard::install().expect("the guard");
    for writer_lives in [true, false] {
        seqlock_and_latch!({
            let name = Named::new("reader");
            let lock = Lock::create(&name, &VALUE, &LockOptions::default()).expect("create");
            let writer = writer_lives.then(|| lock.writer().expect("the role"));
            let reader = lock.reader().expect("a reader");
            assert_eq!(reader.try_read(), Ok(VALUE));
            truncate(&name, 0);
            assert_eq!(reader.try_read(), Err(Busy));
            // A latch says no more than that there is no value.
            let expected = if writer_lives || KIND == "latch" {
                ReadError::WriterStalled { attempts: 3 }
            } else {
                ReadError::WriterDead { attempts: 3 }
            };
            assert_eq!(reader.read(3), Err(expected));
            assert!(lock.segment().is_lost());
            drop(writer);
        });
    }
}

#[test]
fn who_waits_while_it_is_truncated_gets_an_error() {
    guard::install().expect("the guard");
    for how in [Wait::Spin, Wait::Yield] {
        let name = Named::new("waits");
        let ring = create(&name);
        // SAFETY: the parts go to this consumer alone.
        let parts = unsafe { ring.parts() }.expect("the parts");
        let memory = Interrupted::once(LoadSite::RingObserve, 5, || truncate(&name, 0));
        // SAFETY: one thread, and there is no other end.
        let consumer = unsafe { ring::Consumer::<u64, _>::new(parts, memory, ()) };
        let popped = consumer.with_wait(how).wait_for(Deadline::length()).pop();
        let is_corrupt = matches!(popped, Err(WaitError::Refused(PopError::Corrupt(_))));
        assert!(is_corrupt, "{popped:?}, {how:?}");

        let name = Named::new("waits");
        let ring = create(&name);
        let mut producer = ring.producer().expect("the role").with_wait(how);
        assert_eq!(producer.push_slice(&[1; 5]), Ok(5));
        truncate(&name, 0);
        let pushed = producer.wait_for(Deadline::length()).push(2);
        let is_corrupt = matches!(pushed, Err(WaitError::Refused(PushError::Corrupt(_))));
        assert!(is_corrupt, "{pushed:?}, {how:?}");

        seqlock_and_latch!({
            let name = Named::new("waits");
            let lock = Lock::create(&name, &1_u64, &LockOptions::default()).expect("create");
            let last = lock.reader().expect("a reader").with_wait(how);
            let parts = lock.parts().expect("the parts");
            let memory = Interrupted::once(OBSERVE, 5, || truncate(&name, 0));
            let reader = LockReader::<u64, _>::new(parts, memory, ()).expect("a reader");
            let waiting = reader.with_wait(how);
            let found = waiting.wait_for(Deadline::length()).read_newer(0, 2);
            let none = ReadError::WriterStalled { attempts: 2 };
            assert_eq!(found, Err(WaitError::Refused(none)), "{KIND}, {how:?}");
            // That was the last one.
            let newer = last.wait_for(Deadline::length()).newer(last.version());
            assert_eq!(newer, Err(WaitError::PeerGone), "{KIND}, {how:?}");
        });
    }
}

#[test]
fn a_copy_that_is_cut_off_is_no_value() {
    guard::install().expect("the guard");
    for writes in 0..5 {
        seqlock_and_latch!({
            let name = Named::new("cut");
            let memory = Interrupted::once(COPY_OUT, VALUE.len() / 2, || truncate(&name, 0));
            let lock = Lock::create(&name, &VALUE, &LockOptions::default()).expect("create");
            for _ in 0..writes {
                lock.writer().expect("the role").write(&VALUE);
            }
            let parts = lock.parts().expect("the parts");
            let reader = LockReader::<Value, _>::new(parts, memory, ()).expect("a reader");
            assert_eq!(reader.try_read(), Err(Busy));
            assert!(lock.segment().is_lost());
        });
    }
}

#[test]
fn writers_of_a_truncated_seqlock_or_latch_live_and_reach_no_reader() {
    guard::install().expect("the guard");
    seqlock_and_latch!({
        let name = Named::new("writer");
        let lock = Lock::create(&name, &VALUE, &LockOptions::default()).expect("create");
        // Another process's, as far as the mapping goes.
        let other = Lock::<Value>::attach(&name).expect("attach");
        let mut writer = lock.writer().expect("the role");
        writer.write(&VALUE);
        truncate(&name, 0);
        writer.write(&VALUE);
        assert!(lock.segment().is_lost());
        assert!(!other.segment().is_lost());
        let reader = other.reader().expect("a reader");
        assert_eq!(reader.try_read(), Err(Busy));
        assert!(other.segment().is_lost());
        drop(writer);
        assert!(matches!(lock.writer(), Err(SegmentError::Lost { .. })));
    });
}

// ---- the segment, and others --------------------------------------------------------------

#[test]
fn a_lost_segment_refuses_roles_and_notes_and_can_be_unlinked() {
    guard::install().expect("the guard");
    let name = Named::new("refusals");
    let ring = create(&name);
    let claim = ring.segment().claim(Role::Producer).expect("the role");
    ring.segment()
        .set_note(Role::Producer, 0, 7)
        .expect("a note");
    assert!(ring.segment().is_guarded());
    truncate(&name, 0);

    // The first access of all is the one that faults.
    assert_eq!(ring.segment().note(Role::Producer, 0), None);
    assert!(ring.segment().is_lost());
    let lost = |outcome: Result<(), SegmentError>| {
        let error = outcome.expect_err("it is lost");
        assert!(matches!(error, SegmentError::Lost { .. }), "{error:?}");
        assert!(error.to_string().contains(&format!("`{}`", &*name)));
    };
    lost(ring.segment().set_note(Role::Producer, 0, 8));
    assert_eq!(ring.segment().note(Role::Producer, 0), None);
    lost(ring.segment().claim(Role::Consumer).map(drop));
    lost(ring.consumer().map(drop));
    assert!(ring.segment().is_held(Role::Producer).expect("an answer"));
    lost(ring.producer_with(claim).map(drop));
    assert!(!ring.segment().is_held(Role::Producer).expect("an answer"));
    assert!(name.path().exists());
    ring.segment().unlink().expect("unlink it");
    assert!(!name.path().exists());
}

#[test]
fn other_segments_go_on_and_so_does_the_name() {
    guard::install().expect("the guard");
    let (name, other_name) = (Named::new("gone"), Named::new("good"));
    let (ring, other) = (create(&name), create(&other_name));
    let (mut sender, mut receiver) = ends(&other);
    sender.push(1).expect("push");
    let mut consumer = ring.consumer().expect("the role");
    truncate(&name, 0);
    assert!(matches!(consumer.pop(), Err(PopError::Corrupt(_))));
    sender.push(2).expect("push");
    assert_eq!((receiver.pop(), receiver.pop()), (Ok(1), Ok(2)));
    assert!(ring.segment().is_lost() && !other.segment().is_lost());

    // Under the same name, as a program that goes on would do it.
    ring.segment().unlink().expect("unlink it");
    let again = create(&name);
    again.producer().expect("the role").push(3).expect("push");
    assert_eq!(again.consumer().expect("the role").pop(), Ok(3));
    assert!(ring.segment().is_lost() && !again.segment().is_lost());
}

#[test]
fn a_hole_is_zeros_and_no_fault() {
    guard::install().expect("the guard");
    let name = Named::new("hole");
    let ring = create(&name);
    let mut producer = ring.producer().expect("the role");
    producer.push(1).expect("push");
    let mut consumer = ring.consumer().expect("the role");
    assert_eq!(consumer.pop(), Ok(1));
    let len = ring.segment().fixed().segment_len;
    truncate(&name, 0);
    truncate(&name, len);
    // An index that went back to zero: the ring's own check, without the guard.
    assert!(matches!(consumer.pop(), Err(PopError::Corrupt(_))));
    assert!(!ring.segment().is_lost());
}

#[test]
fn ten_thousand_mappings_one_after_the_other_are_guarded() {
    let name = Named::new("rounds");
    let first = create(&name);
    for round in 0..10_000 {
        let ring = Ring::<u64>::attach(&name).expect("attach");
        assert!(ring.segment().is_guarded(), "round {round}");
    }
    assert!(first.segment().is_guarded());
}

// ---- threads ------------------------------------------------------------------------------

#[test]
fn threads_that_fault_at_once_in_one_mapping_all_get_errors() {
    guard::install().expect("the guard");
    for _ in 0..20 {
        seqlock_and_latch!({
            let name = Named::new("threads");
            let lock = Lock::create(&name, &VALUE, &LockOptions::default()).expect("create");
            let ready = Barrier::new(5);
            thread::scope(|scope| {
                for _ in 0..4 {
                    scope.spawn(|| {
                        let reader = lock.reader().expect("a reader");
                        ready.wait();
                        // Never a zero that another thread's replacement let through.
                        while let Ok(value) = reader.try_read() {
                            assert!(value == VALUE);
                        }
                        assert!(lock.segment().is_lost());
                    });
                }
                ready.wait();
                truncate(&name, 0);
            });
        });
    }
}

#[test]
fn threads_that_come_go_and_fault_do_not_disturb_each_other() {
    guard::install().expect("the guard");
    thread::scope(|scope| {
        for thread in 0..4 {
            scope.spawn(move || {
                for round in 0..200 {
                    let name = Named::new("churn");
                    let ring = create(&name);
                    let mut consumer = ring.consumer().expect("the role");
                    let gone = (thread + round) % 2 == 0;
                    if gone {
                        truncate(&name, 0);
                    }
                    let popped = consumer.pop();
                    let as_expected = match popped {
                        Err(PopError::Corrupt(_)) => gone,
                        Err(PopError::Empty) => !gone,
                        _ => false,
                    };
                    assert!(as_expected, "gone: {gone}, {popped:?}");
                    assert_eq!(ring.segment().is_lost(), gone);
                }
            });
        }
    });
}

// ---- other signals ------------------------------------------------------------------------

/// How a helper with this job ended.
fn end(job: &str) -> Option<Signal> {
    let status = Helper::start(job).end();
    let signal = status.signal().map(|signal| signal.try_into());
    assert!(signal.is_some() || status.success(), "{job}: {status}");
    signal.map(|signal| signal.expect("a signal"))
}

#[test]
fn a_fault_outside_every_segment_kills_as_ever() {
    for previous in ["usual", "default", "ignored"] {
        assert_eq!(end(&format!("outside {previous}")), Some(Signal::SIGBUS));
    }
}

#[test]
fn a_signal_that_a_process_sent_does_what_it_did() {
    assert_eq!(end("sent default"), Some(Signal::SIGBUS));
    assert_eq!(end("sent ignored"), None);
}

#[test]
fn the_previous_handler_gets_what_is_not_a_segments() {
    for kind in ["plain", "informed", "once"] {
        assert_eq!(end(&format!("chain {kind}")), None);
    }
}

#[test]
#[cfg_attr(
    not(target_pointer_width = "64"),
    ignore = "knows the description of a signal with 64 bits only"
)]
fn a_signal_with_a_made_up_address_loses_nothing() {
    assert_eq!(end("forged"), None);
}

#[test]
fn to_install_it_again_replaces_no_handler_that_came_later() {
    assert_eq!(end("again"), None);
}

#[test]
fn more_mappings_than_can_be_guarded_work_without() {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).expect("a limit");
    if most < DESCRIPTORS {
        println!("not run: of {DESCRIPTORS} descriptors this process may have {most}");
        return;
    }
    assert_eq!(end("full"), None);
}

/// Handlers that count how often they are called.
#[allow(
    clippy::disallowed_types,
    reason = "the handlers' own count, and no segment's word"
)]
mod calls {
    use core::ffi::{c_int, c_void};
    use core::sync::atomic::{AtomicUsize, Ordering};

    use nix::libc::siginfo_t;

    static CALLS: AtomicUsize = AtomicUsize::new(0);

    pub(super) fn count() -> usize {
        CALLS.load(Ordering::Relaxed)
    }

    pub(super) extern "C" fn plain(_: c_int) {
        CALLS.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) extern "C" fn informed(signal: c_int, info: *mut siginfo_t, context: *mut c_void) {
        // SAFETY: a handler with SA_SIGINFO is given a valid description.
        let described = unsafe { (*info).si_signo } == signal;
        if described && !context.is_null() {
            CALLS.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Sets what SIGBUS does, and says what it did.
fn set_action(handler: SigHandler, flags: SaFlags) -> SigAction {
    let action = SigAction::new(handler, flags, SigSet::empty());
    // SAFETY: the handlers above add to an atomic and do nothing else; the others run no code of ours.
    unsafe { sigaction(Signal::SIGBUS, &action) }.expect("set an action")
}

/// What SIGBUS does before the guard is installed, by a word for it.
fn set_previous(previous: &str) {
    let (handler, flags) = match previous {
        "usual" => return,
        "default" => (SigHandler::SigDfl, SaFlags::empty()),
        "ignored" => (SigHandler::SigIgn, SaFlags::empty()),
        "plain" => (SigHandler::Handler(calls::plain), SaFlags::empty()),
        "once" => (SigHandler::Handler(calls::plain), SaFlags::SA_RESETHAND),
        "informed" => (SigHandler::SigAction(calls::informed), SaFlags::SA_SIGINFO),
        _ => panic!("no such action: {previous}"),
    };
    set_action(handler, flags);
}

/// Where the kernel says that a file of this name is mapped.
fn mapped_at(name: &Named) -> usize {
    let maps = std::fs::read_to_string("/proc/self/maps").expect("read the mappings");
    let line = maps.lines().find(|line| line.contains(&**name));
    let start = line
        .and_then(|line| line.split_once('-'))
        .expect("mapped")
        .0;
    usize::from_str_radix(start, 16).expect("an address")
}

/// Sends this thread a SIGBUS as a process may, with an address that the sender chose.
fn send_with_address(address: usize) {
    /// What the kernel reads of it, on machines with 64 bits.
    #[repr(C)]
    struct Sent {
        signal: c_int,
        error: c_int,
        code: c_int,
        padding: c_int,
        address: usize,
        rest: [usize; 13],
    }
    let sent = Sent {
        signal: libc::SIGBUS,
        error: 0,
        code: libc::SI_QUEUE,
        padding: 0,
        address,
        rest: [0; 13],
    };
    assert_eq!(size_of::<Sent>(), size_of::<libc::siginfo_t>());
    // SAFETY: the description is as long as the kernel expects and lives through the call.
    let result = unsafe {
        libc::syscall(
            libc::SYS_rt_tgsigqueueinfo,
            libc::getpid(),
            libc::gettid(),
            libc::SIGBUS,
            &raw const sent,
        )
    };
    assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
}

/// Makes a word that is not there any more, in a file that is no segment's.
fn gone_word(name: &Named) -> *const u64 {
    let file = File::create_new(name.path()).expect("create a file");
    file.set_len(4096).expect("give it a page");
    let file = self::file(name);
    let page = NonZero::new(4096).expect("not zero");
    let (read, shared) = (ProtFlags::PROT_READ, MapFlags::MAP_SHARED);
    // SAFETY: a new mapping overlaps nothing.
    let start = unsafe { mmap(None, page, read, shared, &file, 0) }.expect("map it");
    file.set_len(0).expect("truncate it");
    start.cast::<u64>().as_ptr()
}

#[test]
#[ignore = "does nothing by itself: the other tests start it as a process of its own"]
fn helper() -> Result<(), Box<dyn Error>> {
    let Some(job) = helper::job() else {
        return Ok(());
    };
    // Some are meant to die.
    setrlimit(Resource::RLIMIT_CORE, 0, 0)?;
    let words: Vec<_> = job.split(' ').collect();
    match words[..] {
        ["outside", previous] => {
            set_previous(previous);
            let name = Named::new("outside");
            let word = gone_word(&name);
            std::fs::remove_file(name.path())?;
            guard::install()?;
            // SAFETY: mapped, readable and aligned; that it faults is what is tested.
            let word = unsafe { word.read_volatile() };
            helper::say(format!("read {word}"));
        }
        ["sent", previous] => {
            set_previous(previous);
            guard::install()?;
            raise(Signal::SIGBUS)?;
        }
        ["chain", kind] => {
            set_previous(kind);
            guard::install()?;
            guard::install()?;
            let name = Named::new("chain");
            let ring = create(&name);
            let mut consumer = ring.consumer()?;
            truncate(&name, 0);
            assert!(matches!(consumer.pop(), Err(PopError::Corrupt(_))));
            assert_eq!(calls::count(), 0);
            raise(Signal::SIGBUS)?;
            assert_eq!(calls::count(), 1);
            if kind == "once" {
                let was = set_action(SigHandler::SigDfl, SaFlags::empty());
                assert!(matches!(was.handler(), SigHandler::SigDfl));
            }
        }
        ["forged"] => {
            set_previous("informed");
            guard::install()?;
            let name = Named::new("forged");
            drop(create(&name));
            // The kernel shows the name under which a file was opened; its creator had none.
            let ring = Ring::<u64>::attach(&name)?;
            let mut consumer = ring.consumer()?;
            send_with_address(mapped_at(&name));
            assert_eq!(calls::count(), 1);
            assert!(!ring.segment().is_lost());
            assert_eq!(consumer.pop(), Err(PopError::Empty));
        }
        ["again"] => {
            guard::install()?;
            set_previous("plain");
            guard::install()?;
            raise(Signal::SIGBUS)?;
            assert_eq!(calls::count(), 1);
            let was = set_action(SigHandler::SigDfl, SaFlags::empty());
            assert!(
                matches!(was.handler(), SigHandler::Handler(_))
                    && !was.flags().contains(SaFlags::SA_SIGINFO)
            );
        }
        ["full"] => {
            let (_, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
            setrlimit(Resource::RLIMIT_NOFILE, DESCRIPTORS, most)?;
            guard::install()?;
            let name = Named::new("full");
            let first = create(&name);
            let mut rings: Vec<_> = (1..MAPPINGS)
                .map(|_| Ring::<u64>::attach(&name))
                .collect::<Result<_, _>>()?;
            assert!(
                first.segment().is_guarded()
                    && rings.iter().all(|ring| ring.segment().is_guarded())
            );
            let extra = Ring::<u64>::attach(&name)?;
            assert!(!extra.segment().is_guarded());
            extra.producer()?.push(1)?;
            assert_eq!(extra.consumer()?.pop()?, 1);
            rings.pop();
            // It stays as it is; the next one has the place.
            let next = Ring::<u64>::attach(&name)?;
            assert!(next.segment().is_guarded() && !extra.segment().is_guarded());
            let mut consumer = next.consumer()?;
            truncate(&name, 0);
            assert!(matches!(consumer.pop(), Err(PopError::Corrupt(_))));
            assert!(next.segment().is_lost() && !extra.segment().is_lost());
        }
        _ => panic!("no such job: {job}"),
    }
    Ok(())
}
