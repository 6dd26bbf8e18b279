//! What a forked child has of its parent's segments and roles.
//!
//! Not under the usual test runner, because that has threads, and a process with threads cannot fork
//! and go on. What becomes of a role when its holder forks and dies, becomes another program or has a
//! child of the same pid elsewhere is in `ringproof-stress faults`, with wrong implementations beside it.

#![allow(
    clippy::disallowed_types,
    reason = "what handlers and threads of this program share"
)]

mod common;

use core::ffi::c_void;
use core::ptr;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::fs::{self, File};
use std::io::{PipeReader, Read, Write, pipe};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::{Command, ExitCode};
use std::sync::{OnceLock, mpsc};
use std::thread;

use common::ends;
use common::named::Named;
use common::{Deadline, lock_of, seqlock_and_latch};
use libtest_mimic::{Arguments, Trial};
use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;
use nix::sys::prctl::set_pdeathsig;
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, kill, sigaction};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, fork};
use ringproof::harness::PartsOfRing;
use ringproof::shape::Description;
use ringproof::untyped::{self, Form, Payload, Structure};
use ringproof::{
    Consumer, Inspection, NameStatus, PopError, PushError, Ring, RingOptions, Role, Segment,
    SegmentError, SeqLock, SeqLockOptions, WaitError, Waiter, guard,
};

/// Every test by its name.
macro_rules! trials {
    ($($test:ident),+ $(,)?) => {
        vec![$(Trial::test(stringify!($test), || {
            $test();
            Ok(())
        })),+]
    };
}

fn main() -> ExitCode {
    // Before anything is attached, and so before the library's own.
    // SAFETY: the handler makes system calls, and writes to what it has mapped.
    let registered = unsafe { libc::pthread_atfork(None, None, Some(map_early)) };
    assert_eq!(registered, 0);
    let mut arguments = Arguments::from_args();
    // One after the other, in this thread.
    arguments.test_threads = Some(1);
    let trials = trials![
        a_child_that_uses_its_parents_lost_end_dies_of_it,
        a_parent_that_drops_its_role_frees_it_whatever_its_children_have,
        a_child_that_drops_what_it_inherited_takes_nothing_from_its_parent,
        a_child_that_drops_a_waiter_waits_for_no_thread_of_its_parents_and_detaches_none_of_its_own,
        a_child_arms_no_end_of_its_parents,
        every_operation_of_an_inherited_end_faults_and_overwrites_nothing,
        nor_is_what_an_earlier_handler_mapped_overwritten,
        what_can_be_refused_to_a_child_is,
        a_child_attaches_anew_and_its_own_child_has_nothing_of_that,
        a_child_sees_who_holds_a_role_now,
        a_claim_does_not_go_over_a_fork,
        a_daemon_is_a_child,
        what_starts_a_program_changes_nothing,
        a_bare_clone_is_refused_what_can_be,
        forks_in_the_midst_of_operations_and_while_mappings_come_and_go,
        an_attachment_has_one_descriptor,
        a_removal_that_waits_for_another_ends_also_under_a_fast_timer,
    ];
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// A child process. Killed and collected at the end, also of a test that failed.
struct Child(Option<Pid>);

impl Child {
    /// A child that does `job` and exits, with status 1 if that panics.
    fn fork(job: impl FnOnce()) -> Child {
        // SAFETY: this process has one thread, so the child may do whatever its parent may.
        match unsafe { fork() }.expect("fork") {
            ForkResult::Parent { child } => Child(Some(child)),
            ForkResult::Child => {
                let done = catch_unwind(AssertUnwindSafe(job)).is_ok();
                // Not `exit`, and no return: what the parent has is the parent's to clean up.
                // SAFETY: ends this process, and touches nothing of it.
                unsafe { libc::_exit(if done { 0 } else { 1 }) }
            }
        }
    }

    /// As [`fork`](Child::fork); the child dies with this process.
    fn fork_tied(job: impl FnOnce()) -> Child {
        Child::fork(|| {
            set_pdeathsig(Signal::SIGKILL).expect("set a death signal");
            job();
        })
    }

    fn end(mut self) -> WaitStatus {
        waitpid(self.0.take().expect("a child"), None).expect("wait for the child")
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if let Some(pid) = self.0 {
            let _ = kill(pid, Signal::SIGKILL);
            let _ = waitpid(pid, None);
        }
    }
}

fn options() -> RingOptions {
    RingOptions::new(4).slots(4)
}

/// Waits for the end of `pipe`.
fn wait_for_end(mut pipe: PipeReader) {
    pipe.read_to_end(&mut Vec::new()).expect("read");
}

fn a_child_that_uses_its_parents_lost_end_dies_of_it() {
    guard::install().expect("the guard");
    let name = Named::new("fork-lost");
    let ring = Ring::<u64>::create(&name, &options()).expect("a ring");
    let mut producer = ring.producer().expect("the role");
    fs::File::create(name.path()).expect("truncate it");
    producer.push(1).expect_err("it is lost");
    assert!(ring.segment().is_lost());
    // The private memory in its place is no more a child's than the shared one was.
    let child = Child::fork_tied(|| {
        setrlimit(Resource::RLIMIT_CORE, 0, 0).expect("no core dump");
        let _ = producer.push(2);
    });
    let pid = child.0.expect("a child");
    assert_segfault(child.end(), pid);
}

/// Whether there was a core dump does not matter: a system that hands them to a program makes one
/// in spite of the limit.
#[track_caller]
fn assert_segfault(end: WaitStatus, child: Pid) {
    let died = matches!(end, WaitStatus::Signaled(pid, Signal::SIGSEGV, _) if pid == child);
    assert!(died, "{end:?}");
}

#[track_caller]
fn assert_held(ring: &Ring<u64>) {
    assert!(ring.segment().is_held(Role::Producer).expect("an answer"));
    let refused = ring.producer().expect_err("a second producer");
    assert!(matches!(refused, SegmentError::Held { .. }), "{refused}");
}

/// A ring of its own mapping in a child, over the parent's descriptor.
fn attach(ring: &Ring<u64>) -> Ring<u64> {
    let fd = ring.segment().descriptor().expect("its descriptor");
    Ring::attach_fd(fd).expect("attach")
}

/// What a child has of its own, and may not find changed: blocks of its heap and mappings, of which one
/// would lie where an inherited mapping was if nothing else did.
struct Own {
    heap: Vec<Vec<u8>>,
    mapped: Vec<&'static [u8]>,
}

static OWN: OnceLock<Own> = OnceLock::new();

const FILL: u8 = 0xa5;

impl Own {
    /// As a child has it that inherits a mapping of `len` bytes.
    fn of(len: usize) -> Own {
        let lens = (0..48).map(|number| if number < 32 { 260 * 1024 } else { 128 * 1024 });
        Own {
            heap: lens.map(|len| vec![FILL; len]).collect(),
            mapped: (0..32)
                .map(|number| filled(if number % 2 == 0 { len } else { 4096 }))
                .collect(),
        }
    }

    fn is_intact(&self) -> bool {
        let heap = self.heap.iter().map(Vec::as_slice);
        let mut all = heap.chain(self.mapped.iter().copied());
        all.all(|block| block.iter().all(|byte| *byte == FILL)) && early_is_intact()
    }
}

/// A new mapping of as many bytes, for the rest of the process's life.
fn filled(len: usize) -> &'static [u8] {
    let access = libc::PROT_READ | libc::PROT_WRITE;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    // SAFETY: a new mapping, of which all bytes are written before there is a slice; nothing unmaps
    // it.
    unsafe {
        let new = libc::mmap(ptr::null_mut(), len, access, flags, -1, 0);
        assert_ne!(new, libc::MAP_FAILED);
        new.cast::<u8>().write_bytes(FILL, len);
        core::slice::from_raw_parts(new.cast(), len)
    }
}

/// What the handler of this program maps in a child, as many bytes a time; zero: nothing.
static EARLY: AtomicUsize = AtomicUsize::new(0);
static MAPPED_EARLY: [AtomicUsize; 8] = [const { AtomicUsize::new(0) }; 8];

extern "C" fn map_early() {
    let len = EARLY.load(Ordering::Relaxed);
    for place in MAPPED_EARLY.iter().filter(|_| len > 0) {
        let new = filled(len).as_ptr().expose_provenance();
        place.store(new, Ordering::Relaxed);
    }
}

fn early_is_intact() -> bool {
    let len = EARLY.load(Ordering::Relaxed);
    MAPPED_EARLY.iter().filter(|_| len > 0).all(|place| {
        let start = ptr::with_exposed_provenance(place.load(Ordering::Relaxed));
        // SAFETY: the handler has mapped and written as many bytes there, for good.
        let block: &[u8] = unsafe { core::slice::from_raw_parts(start, len) };
        block.iter().all(|byte| *byte == FILL)
    })
}

/// How a child ends.
const FAULTED: i32 = 17;
const CAME_BACK: i32 = 18;
const OVERWRITTEN: i32 = 19;

/// Ends a child that faults, and says whether what it has is as it was.
extern "C" fn on_fault(_: libc::c_int) {
    let intact = OWN.get().is_none_or(Own::is_intact);
    // SAFETY: ends this process, and touches nothing of it.
    unsafe { libc::_exit(if intact { FAULTED } else { OVERWRITTEN }) }
}

fn end_at_faults() {
    handle(Signal::SIGSEGV, on_fault);
}

fn handle(signal: Signal, handler: extern "C" fn(libc::c_int)) {
    let handler = SigHandler::Handler(handler);
    let action = SigAction::new(handler, SaFlags::empty(), SigSet::empty());
    // SAFETY: the one handler reads what is never changed once it is there, and exits; the other does
    // nothing.
    unsafe { sigaction(signal, &action) }.expect("a handler");
}

/// In a child that inherited a mapping of as many bytes: has some of its own, and touches the
/// mapping.
fn touch<R>(len: usize, operation: impl FnOnce() -> R) -> ! {
    end_at_faults();
    OWN.get_or_init(|| Own::of(len));
    let _ = operation();
    // SAFETY: ends this process, and touches nothing of it.
    unsafe { libc::_exit(CAME_BACK) }
}

/// A child that does what it must not, faults.
#[track_caller]
fn assert_faults<R>(segment: &Segment, operation: impl FnOnce() -> R) {
    let len = segment.fixed().segment_len as usize;
    let child = Child::fork_tied(|| touch(len, operation));
    let pid = child.0.expect("a child");
    let end = child.end();
    assert_eq!(
        end,
        WaitStatus::Exited(pid, FAULTED),
        "{FAULTED}: it faulted; {CAME_BACK}: it came back; {OVERWRITTEN}: over memory of its own"
    );
}

#[track_caller]
fn assert_ends_well(child: Child) {
    let pid = child.0.expect("a child");
    assert_eq!(child.end(), WaitStatus::Exited(pid, 0));
}

/// A child does this, and comes to its end.
#[track_caller]
fn in_child(job: impl FnOnce()) {
    assert_ends_well(Child::fork_tied(job));
}

/// A ring with memory for large blocks in its place, and with items.
fn with_ends(
    test: impl FnOnce(&Ring<u64>, &mut ringproof::Producer<u64>, &mut ringproof::Consumer<u64>),
) {
    let ring = Ring::<u64>::anonymous(&RingOptions::new(8)).expect("a ring");
    let (mut producer, mut consumer) = ends(&ring);
    assert_eq!(producer.push_slice(&[0, 1, 2]), Ok(3));
    // So that it knows of more.
    assert_eq!(consumer.pop(), Ok(0));
    test(&ring, &mut producer, &mut consumer);
    // The stream is what this process has made it.
    producer.push(3).expect("push");
    let mut items = [0; 8];
    assert_eq!(consumer.pop_slice(&mut items), Ok(3));
    assert_eq!(items[..3], [1, 2, 3]);
    assert_eq!(consumer.pop(), Err(PopError::Empty));
}

fn every_operation_of_an_inherited_end_faults_and_overwrites_nothing() {
    with_ends(|ring, producer, consumer| {
        assert_faults(ring.segment(), || producer.push(9));
        assert_faults(ring.segment(), || producer.push_slice(&[9; 3]));
        assert_faults(ring.segment(), || {
            let mut chunk = producer.reserve(1).expect("a slot");
            chunk.copy_from_slice(0, &[9]).expect("an item");
        });
        assert_faults(ring.segment(), || {
            producer.reserve(1).expect("a slot").commit_all()
        });
        assert_faults(ring.segment(), || producer.close());
        assert_faults(ring.segment(), || producer.occupancy());
        assert_faults(ring.segment(), || producer.is_peer_closed());
        assert_faults(ring.segment(), || consumer.pop());
        assert_faults(ring.segment(), || consumer.pop_slice(&mut [0; 3]));
        assert_faults(ring.segment(), || consumer.peek(1).expect("an item").get(0));
        assert_faults(ring.segment(), || {
            consumer.peek(1).expect("an item").release_all()
        });
        assert_faults(ring.segment(), || consumer.close());
        assert_faults(ring.segment(), || consumer.occupancy());
        // Nor has a grandchild more.
        in_child(|| assert_faults(ring.segment(), || producer.push(9)));
    });
    seqlock_and_latch!({
        let lock = Lock::anonymous(&[7_u64; 64], &LockOptions::default()).expect("one");
        let (mut writer, reader) = (
            lock.writer().expect("the role"),
            lock.reader().expect("one"),
        );
        assert_faults(lock.segment(), || writer.write(&[8; 64]));
        assert_faults(lock.segment(), || reader.try_read());
        assert_faults(lock.segment(), || reader.read(3));
        assert_eq!(reader.read(1), Ok([7; 64]));
    });
    let text = b"ringproof-shape 1 little 8\nvalue 0 u64\n";
    let Ok(description) = ringproof::shape::Description::parse(text) else {
        return;
    };
    let payload = Payload::new(description, 8).expect("a payload");
    let form = Form::Ring(RingOptions::new(8));
    // Where numbers are in the other byte order this is no description of them.
    if let Ok(ring) = Structure::anonymous(&form, &payload) {
        let mut producer = ring.producer().expect("the role");
        assert_faults(ring.segment(), || producer.push(&[9; 8]));
    }
}

fn nor_is_what_an_earlier_handler_mapped_overwritten() {
    with_ends(|ring, producer, consumer| {
        let len = ring.segment().fixed().segment_len as usize;
        EARLY.store(len, Ordering::Relaxed);
        assert_faults(ring.segment(), || producer.push(9));
        assert_faults(ring.segment(), || consumer.pop());
        in_child(|| assert!(early_is_intact()));
        EARLY.store(0, Ordering::Relaxed);
    });
}

#[track_caller]
fn assert_forked<T>(refused: Result<T, SegmentError>) {
    match refused {
        Err(error @ SegmentError::Forked { .. }) => {
            let said = error.to_string();
            assert!(
                said.contains("forked from") && said.contains("anew"),
                "{said}"
            );
        }
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("it is not refused"),
    }
}

/// In a child that did not attach it.
fn is_refused(ring: &Ring<u64>) {
    assert_forked(ring.producer());
    assert_forked(ring.consumer());
    assert_forked(ring.segment().claim(Role::Producer));
    assert_forked(ring.segment().set_note(Role::Producer, 0, 7));
    assert_eq!(ring.segment().note(Role::Producer, 0), None);
    // SAFETY: there are none.
    assert_forked(unsafe { ring.parts() });
}

fn what_can_be_refused_to_a_child_is() {
    let name = Named::new("fork-refused");
    let ring = Ring::<u64>::create(&name, &options()).expect("a ring");
    ring.segment()
        .set_note(Role::Producer, 0, 5)
        .expect("a note");
    let producer = ring.producer().expect("the role");
    assert!(!ring.segment().is_inherited());
    in_child(|| {
        assert!(ring.segment().is_inherited());
        is_refused(&ring);
        assert_forked(ring.segment().unlink());
        assert_forked(ring.segment().unlink_free());
        in_child(|| is_refused(&ring));
        // What asks the file and not the memory works.
        assert!(ring.segment().is_held(Role::Producer).expect("an answer"));
        assert!(!ring.segment().is_held(Role::Consumer).expect("an answer"));
        let status = ring.segment().name_status().expect("an answer");
        assert_eq!(status, NameStatus::Current);
        let seen = Inspection::of_segment(ring.segment()).expect("a look");
        assert_eq!((seen.roles[0].epoch, seen.roles[0].held), (1, true));
        assert_eq!(seen.roles[0].notes[0], 5);
        assert!(!ring.segment().is_lost());
    });
    seqlock_and_latch!({
        let lock = Lock::anonymous(&7_u64, &LockOptions::default()).expect("one");
        in_child(|| {
            assert_forked(lock.writer());
            assert_forked(lock.reader());
        });
    });
    // Nothing of that reached the parent.
    assert_eq!(ring.segment().note(Role::Producer, 0), Some(5));
    assert_eq!(producer.epoch(), 1);
    drop(producer);
    assert_eq!(ring.producer().expect("the role").epoch(), 2);
}

fn a_child_attaches_anew_and_its_own_child_has_nothing_of_that() {
    let mut inherited = Some(Ring::<u64>::anonymous(&options()).expect("a ring"));
    in_child(|| {
        let own = attach(inherited.as_ref().expect("a ring"));
        let mut producer = own.producer().expect("the role");
        producer.push(1).expect("push");
        in_child(|| {
            is_refused(&own);
            is_refused(inherited.as_ref().expect("a ring"));
        });
        assert_faults(own.segment(), || producer.push(9));
        // What the parent attached can go, and what this child has stays.
        drop(inherited.take());
        producer.push(2).expect("push");
        in_child(|| is_refused(&own));
    });
    let mut items = [0; 4];
    let ring = inherited.expect("a ring");
    let mut consumer = ring.consumer().expect("the role");
    assert_eq!(consumer.pop_slice(&mut items), Ok(2));
    assert_eq!(items[..2], [1, 2]);
}

/// Although it shares the description of the holder; and not what was so when it was forked.
fn a_child_sees_who_holds_a_role_now() {
    let lock = SeqLock::anonymous(&7_u64, &SeqLockOptions::default()).expect("a seqlock");
    let ring = Ring::<u64>::anonymous(&options()).expect("a ring");
    let (producer, consumer) = ends(&ring);
    assert!(producer.peer_present().expect("an answer"));
    assert!(consumer.peer_present().expect("an answer"));
    let (until, end) = pipe().expect("a pipe");
    let mut end = Some(end);
    let child = Child::fork_tied(|| {
        drop(end.take());
        wait_for_end(until);
        assert!(!ring.segment().is_held(Role::Producer).expect("an answer"));
        assert!(!consumer.peer_present().expect("an answer"));
        assert!(ring.segment().is_held(Role::Consumer).expect("an answer"));
        assert!(producer.peer_present().expect("an answer"));
        assert!(lock.segment().is_held(Role::Writer).expect("an answer"));
    });
    drop(producer);
    let _writer = lock.writer().expect("the role");
    drop(end);
    assert_ends_well(child);
}

fn a_claim_does_not_go_over_a_fork() {
    let ring = Ring::<u64>::anonymous(&options()).expect("a ring");
    let mut claim = Some(ring.segment().claim(Role::Producer).expect("the role"));
    in_child(|| {
        // The parent has it still: there would be two producers.
        let own = attach(&ring);
        assert_forked(own.producer_with(claim.take().expect("a claim")));
    });
    assert_held(&ring);
    let claim = claim.expect("a claim");
    ring.producer_with(claim)
        .expect("the role")
        .push(1)
        .expect("push");
    assert_eq!(ring.consumer().expect("the role").pop(), Ok(1));
}

fn a_daemon_is_a_child() {
    with_ends(|ring, producer, _| {
        let (mut reader, mut writer) = pipe().expect("a pipe");
        in_child(|| {
            // SAFETY: this process has one thread; the child goes on as any other does.
            assert_eq!(unsafe { libc::daemon(1, 1) }, 0);
            is_refused(ring);
            let child = Child::fork_tied(|| {
                touch(ring.segment().fixed().segment_len as usize, || {
                    producer.push(9)
                })
            });
            let status = match child.end() {
                WaitStatus::Exited(_, status) => status,
                _ => -1,
            };
            let written = writer.write_all(&status.to_ne_bytes());
            written.expect("write");
        });
        drop(writer);
        let mut status = [0; 4];
        reader
            .read_exact(&mut status)
            .expect("a word of the daemon");
        assert_eq!(i32::from_ne_bytes(status), FAULTED);
    });
}

fn what_starts_a_program_changes_nothing() {
    let ring = Ring::<u64>::anonymous(&options()).expect("a ring");
    let (mut producer, mut consumer) = ends(&ring);
    for item in 0..6 {
        producer.push(item).expect("push");
        match item % 3 {
            0 => {
                let status = Command::new("/bin/sh").args(["-c", "exit 0"]).status();
                let status = status.expect("start it");
                assert!(status.success());
            }
            1 => {
                // SAFETY: the string ends.
                assert_eq!(unsafe { libc::system(c"exit 0".as_ptr()) }, 0);
            }
            _ => in_child(|| {
                nix::unistd::execv(c"/bin/sh", &[c"sh", c"-c", c"exit 0"])
                    .expect("become a program");
            }),
        }
        assert!(!ring.segment().is_inherited());
        assert_eq!(consumer.pop(), Ok(item));
    }
}

fn a_bare_clone_is_refused_what_can_be() {
    let name = Named::new("fork-clone");
    let mut kept = Some(Ring::<u64>::create(&name, &options()).expect("a ring"));
    let claim = |ring: &Option<Ring<u64>>| {
        let ring = ring.as_ref().expect("a ring");
        ring.segment().claim(Role::Producer).expect("the role")
    };
    let mut claim = Some(claim(&kept));
    let none = ptr::null_mut::<c_void>();
    // SAFETY: as `fork`, in a process of one thread, but for the handlers.
    let pid = unsafe { libc::syscall(libc::SYS_clone, libc::SIGCHLD, none, none, none, none) };
    if pid == 0 {
        let done = catch_unwind(AssertUnwindSafe(|| {
            let ring = kept.take().expect("a ring");
            is_refused(&ring);
            assert_forked(ring.segment().unlink());
            drop(claim.take());
            // There is a hole, and it is filled. What lies there is its own, and its children's.
            let own = Own::of(ring.segment().fixed().segment_len as usize);
            in_child(|| assert!(own.is_intact()));
            in_child(|| assert!(own.is_intact()));
            drop(ring);
            assert!(own.is_intact());
        }));
        // SAFETY: ends this process, and touches nothing of it.
        unsafe { libc::_exit(i32::from(done.is_err())) }
    }
    let pid = Pid::from_raw(i32::try_from(pid).expect("a pid"));
    assert_ends_well(Child(Some(pid)));
    let ring = kept.expect("a ring");
    assert_held(&ring);
    let status = ring.segment().name_status().expect("an answer");
    assert_eq!(status, NameStatus::Current);
}

fn forks_in_the_midst_of_operations_and_while_mappings_come_and_go() {
    let ring = Ring::<u64>::anonymous(&options()).expect("a ring");
    let (mut producer, mut consumer) = ends(&ring);
    let done = AtomicBool::new(false);
    let (items, between) = (2_000, 20);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    let first = Ring::<u64>::anonymous(&options()).expect("a ring");
                    let second = attach(&first);
                    let mut producer = second.producer().expect("the role");
                    drop(first);
                    producer.push(7).expect("push");
                    assert_eq!(second.consumer().expect("the role").pop(), Ok(7));
                }
            });
        }
        scope.spawn(|| {
            let deadline = Deadline::to("push all items");
            for item in 0..items {
                while let Err(error) = producer.push(item) {
                    assert_eq!(error, PushError::Full);
                    deadline.wait();
                }
            }
        });
        // However this ends, they end.
        let stop = Stop(&done);
        let deadline = Deadline::to("pop all items");
        let mut item = 0;
        while item < items {
            match consumer.pop() {
                Ok(popped) => assert_eq!(popped, item),
                Err(PopError::Empty) => {
                    deadline.wait();
                    continue;
                }
                Err(error) => panic!("{error}"),
            }
            item += 1;
            if item % between == 0 {
                // Its threads are gone in the child, whatever they were at. It does what such a one
                // may, and touches no lock of theirs.
                assert_eq!(forked_among_threads(&ring, &mut consumer), FAULTED);
            }
        }
        drop(stop);
    });
    assert_eq!(consumer.pop(), Err(PopError::Empty));
}

struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// How a child ends that uses what it inherited.
fn forked_among_threads(ring: &Ring<u64>, consumer: &mut ringproof::Consumer<u64>) -> i32 {
    // SAFETY: the child allocates, which the C library allows it, and makes system calls.
    match unsafe { fork() }.expect("fork") {
        ForkResult::Parent { child } => match Child(Some(child)).end() {
            WaitStatus::Exited(_, status) => status,
            other => panic!("{other:?}"),
        },
        ForkResult::Child => {
            end_at_faults();
            let refused = matches!(ring.producer(), Err(SegmentError::Forked { .. }));
            if refused {
                let _ = consumer.pop();
            }
            // SAFETY: ends this process, and touches nothing of it.
            unsafe { libc::_exit(CAME_BACK) }
        }
    }
}

fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd")
        .expect("the descriptors")
        .count()
}

fn an_attachment_has_one_descriptor() {
    let before = descriptors();
    let name = Named::new("fork-descriptors");
    let ring = Ring::<u64>::create(&name, &options()).expect("a ring");
    assert_eq!(descriptors(), before + 1);
    let ends = (
        ring.producer().expect("the role"),
        ring.consumer().expect("the role"),
    );
    assert_eq!(descriptors(), before + 1);
    let other = Ring::<u64>::attach(&name).expect("attach");
    assert_eq!(descriptors(), before + 2);
    assert_held(&other);
    let passed = ring.segment().descriptor().expect("its descriptor");
    assert_eq!(descriptors(), before + 3);
    drop((passed, ends, other));
    drop(ring);
    assert_eq!(descriptors(), before);
    let lock = SeqLock::anonymous(&7_u64, &SeqLockOptions::default()).expect("a seqlock");
    let ends = (
        lock.writer().expect("the role"),
        lock.reader().expect("one"),
        lock.reader().expect("one"),
    );
    assert_eq!(descriptors(), before + 1);
    // A claim that outlives the segment keeps what it needs.
    drop(ends);
    let claim = lock.segment().claim(Role::Writer).expect("the role");
    let fd = lock.segment().descriptor().expect("its descriptor");
    drop(lock);
    let again = SeqLock::<u64>::attach_fd(fd).expect("attach");
    assert!(again.segment().is_held(Role::Writer).expect("an answer"));
    assert_eq!(descriptors(), before + 2);
    drop(claim);
    assert!(!again.segment().is_held(Role::Writer).expect("an answer"));
    drop(again);
    assert_eq!(descriptors(), before);
}

fn a_parent_that_drops_its_role_frees_it_whatever_its_children_have() {
    let ring = Ring::<u64>::anonymous(&options()).expect("a ring");
    let producer = ring.producer().expect("the role");
    let (until, end) = pipe().expect("a pipe");
    let mut end = Some(end);
    let child = Child::fork_tied(|| {
        drop(end.take());
        wait_for_end(until);
    });
    assert_held(&ring);
    drop(producer);
    assert!(!ring.segment().is_held(Role::Producer).expect("an answer"));
    assert_eq!(ring.producer().expect("the role").epoch(), 2);
    // It had the description all the time.
    drop(end);
    assert_ends_well(child);
}

fn a_child_that_drops_what_it_inherited_takes_nothing_from_its_parent() {
    let ring = Ring::<u64>::anonymous(&options()).expect("a ring");
    let mut producer = Some(ring.producer().expect("the role"));
    in_child(|| drop(producer.take()));
    assert_held(&ring);
    let producer = producer.as_mut().expect("the producer");
    assert_eq!(producer.push_slice(&[1, 2]), Ok(2));
}

fn a_child_that_drops_a_waiter_waits_for_no_thread_of_its_parents_and_detaches_none_of_its_own() {
    let ring = Ring::<u64>::anonymous(&options()).expect("a ring");
    let (mut producer, consumer) = ends(&ring);
    let mut waiter = Some(Waiter::new(consumer).expect("a waiter"));
    let pop = |waiter: &mut Option<Waiter<_>>| {
        let waiter = waiter.as_mut().expect("the parent has it");
        waiter.attempt(Consumer::<u64>::pop)
    };
    for asleep in [false, true] {
        let deadline = Deadline::to("see its thread ask to be woken");
        if asleep {
            assert_eq!(pop(&mut waiter), Ok(None));
            while !Inspection::of_segment(ring.segment())
                .expect("a look")
                .roles[1]
                .asks
            {
                deadline.wait();
            }
        }
        in_child(|| {
            let (end, until) = mpsc::channel::<()>();
            // It may get the memory of the parent's.
            let thread = thread::spawn(move || until.recv().is_err());
            drop(waiter.take());
            drop(end);
            assert!(thread.join().expect("a thread that can be waited for"));
        });
    }
    producer.push(7).expect("room");
    let deadline = Deadline::to("see an item");
    while pop(&mut waiter) != Ok(Some(7)) {
        deadline.wait();
    }
    let mut end = waiter.map(Waiter::into_inner);
    in_child(|| {
        let refused = Waiter::new(end.take().expect("the end"));
        assert!(matches!(refused, Err(SegmentError::Forked { .. })));
    });
}

fn a_child_arms_no_end_of_its_parents() {
    let payload = Payload::new(Description::of::<u64>().expect("numbers"), 8).expect("a payload");
    let ring = Structure::anonymous(&Form::Ring(options()), &payload).expect("a ring");
    let mut consumer = Some(ring.consumer().expect("the role"));
    let is_forked = |consumer: &mut Option<untyped::Consumer>| {
        let consumer = consumer.as_mut().expect("the parent has it");
        let refused = consumer.arm();
        matches!(
            refused,
            Err(WaitError::Refused(SegmentError::Forked { .. }))
        )
    };
    in_child(|| assert!(is_forked(&mut consumer)));
    assert!(!is_forked(&mut consumer));
    in_child(|| {
        assert!(is_forked(&mut consumer));
        drop(consumer.take());
    });
}

extern "C" fn nothing(_: libc::c_int) {}

/// Sets a timer that is as fast as what the kernel adds to a sleep.
fn set_fast_timer() {
    handle(Signal::SIGALRM, nothing);
    let every = libc::timeval {
        tv_sec: 0,
        tv_usec: 40,
    };
    let timer = libc::itimerval {
        it_interval: every,
        it_value: every,
    };
    // SAFETY: reads the one, and is given no place for the other.
    let set = unsafe { libc::setitimer(libc::ITIMER_REAL, &timer, std::ptr::null_mut()) };
    assert_eq!(set, 0);
}

// Here and not with the other removals, because a process with several threads chooses which of
// them gets the signal.
fn a_removal_that_waits_for_another_ends_also_under_a_fast_timer() {
    let name = Named::new("timer");
    drop(Ring::<u64>::create(&name, &options()).expect("a ring"));
    // Somebody began to remove it, and does not go on.
    let other = File::options().read(true).write(true).open(name.path());
    let other = other.expect("its file");
    // The byte of a removal.
    fcntl(&other, FcntlArg::F_OFD_SETLK(&lock_of(2))).expect("lock the byte");
    let mut child = Child::fork_tied(|| {
        set_fast_timer();
        let refused = ringproof::unlink(&name).expect_err("somebody else's removal");
        assert!(refused.to_string().contains("for two seconds"), "{refused}");
    });
    let pid = child.0.expect("a child");
    let deadline = Deadline::to("see the end of the child");
    let end = loop {
        match waitpid(pid, Some(WaitPidFlag::WNOHANG)).expect("wait for the child") {
            WaitStatus::StillAlive => deadline.wait(),
            end => break end,
        }
    };
    child.0 = None;
    assert_eq!(end, WaitStatus::Exited(pid, 0));
}
