//! What a forked child has of its parent's segments and roles.
//!
//! Without the usual test runner (`harness = false`), because that has threads, and a process
//! with threads cannot fork and go on. Prints what the runner would.

mod common;

use std::fs::{self, File};
use std::io::{PipeReader, PipeWriter, Read, Write, pipe};
use std::os::fd::AsFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::{Command, ExitCode};

use common::Deadline;
use common::named::Named;
use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl::{set_child_subreaper, set_pdeathsig};
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, kill, sigaction};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, fork};
use ringproof::{Ring, RingOptions, Role, SegmentError, guard};

/// The argument that makes this program say its pid and wait for the end of its input.
const WAIT: &str = "--wait-for-end-of-input";

struct Test {
    name: &'static str,
    run: fn(),
    ignored: Option<&'static str>,
}

const TESTS: &[Test] = &[
    Test {
        name: "a_child_has_no_mapping",
        run: a_child_has_no_mapping,
        ignored: None,
    },
    Test {
        name: "a_child_that_uses_its_parents_end_dies_of_it",
        run: a_child_that_uses_its_parents_end_dies_of_it,
        ignored: None,
    },
    Test {
        name: "a_child_that_uses_its_parents_lost_end_dies_of_it",
        run: a_child_that_uses_its_parents_lost_end_dies_of_it,
        ignored: None,
    },
    Test {
        name: "a_child_keeps_the_role_of_a_parent_that_died",
        run: a_child_keeps_the_role_of_a_parent_that_died,
        ignored: None,
    },
    Test {
        name: "a_parent_that_drops_its_role_frees_it_whatever_its_children_have",
        run: a_parent_that_drops_its_role_frees_it_whatever_its_children_have,
        ignored: None,
    },
    Test {
        name: "a_child_that_drops_what_it_inherited_takes_nothing_from_its_parent",
        run: a_child_that_drops_what_it_inherited_takes_nothing_from_its_parent,
        ignored: None,
    },
    Test {
        name: "nor_does_a_child_of_the_same_pid_in_another_namespace",
        run: nor_does_a_child_of_the_same_pid_in_another_namespace,
        ignored: None,
    },
    Test {
        name: "a_program_that_was_started_keeps_no_role_of_a_parent_that_died",
        run: a_program_that_was_started_keeps_no_role_of_a_parent_that_died,
        ignored: None,
    },
    Test {
        name: "a_removal_that_waits_for_another_ends_also_under_a_fast_timer",
        run: a_removal_that_waits_for_another_ends_also_under_a_fast_timer,
        ignored: None,
    },
];

/// Runs every test, or those whose name contains an argument.
fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let given = |argument: &str| arguments.iter().any(|a| a == argument);
    if given(WAIT) {
        let pid = std::process::id().to_ne_bytes();
        std::io::stdout().write_all(&pid).expect("write");
        std::io::stdout().flush().expect("write");
        std::io::stdin().read_to_end(&mut Vec::new()).expect("read");
        return ExitCode::SUCCESS;
    }
    if given("--list") {
        for test in TESTS {
            println!("{}: test", test.name);
        }
        return ExitCode::SUCCESS;
    }
    let filters: Vec<_> = arguments.iter().filter(|a| !a.starts_with('-')).collect();
    let ignored_ones = given("--ignored");
    let all = given("--include-ignored");
    let (mut passed, mut failed, mut ignored) = (0, 0, 0);
    for test in TESTS {
        let wanted = filters.is_empty() || filters.iter().any(|f| test.name.contains(*f));
        if !wanted || (ignored_ones && test.ignored.is_none()) {
            continue;
        }
        if let Some(reason) = test.ignored.filter(|_| !ignored_ones && !all) {
            println!("test {} ... ignored, {reason}", test.name);
            ignored += 1;
        } else if catch_unwind(test.run).is_ok() {
            println!("test {} ... ok", test.name);
            passed += 1;
        } else {
            println!("test {} ... FAILED", test.name);
            failed += 1;
        }
    }
    let verdict = if failed == 0 { "ok" } else { "FAILED" };
    println!("\ntest result: {verdict}. {passed} passed; {failed} failed; {ignored} ignored");
    if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
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

    fn kill(mut self) {
        let pid = self.0.take().expect("a child");
        kill(pid, Signal::SIGKILL).expect("kill the child");
        waitpid(pid, None).expect("wait for the child");
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

/// One number from a child to its parent.
struct Signpost {
    reader: PipeReader,
    writer: PipeWriter,
}

impl Signpost {
    fn new() -> Signpost {
        let (reader, writer) = pipe().expect("a pipe");
        Signpost { reader, writer }
    }

    /// In the child.
    fn say(&mut self, number: i32) {
        self.writer.write_all(&number.to_ne_bytes()).expect("write");
    }

    /// In the parent. Fails if every child ended that could say it.
    fn hear(self) -> i32 {
        let mut bytes = [0; 4];
        drop(self.writer);
        let mut reader = self.reader;
        reader.read_exact(&mut bytes).expect("a word of the child");
        i32::from_ne_bytes(bytes)
    }
}

fn options() -> RingOptions {
    RingOptions::new(4).slots(4)
}

/// Waits for the end of `pipe`.
fn wait_for_end(mut pipe: PipeReader) {
    pipe.read_to_end(&mut Vec::new()).expect("read");
}

/// How many mappings of the file `name` this process has.
fn mappings(name: &str) -> usize {
    let maps = fs::read_to_string("/proc/self/maps").expect("the mappings");
    maps.lines().filter(|line| line.ends_with(name)).count()
}

fn a_child_has_no_mapping() {
    let name = Named::new("fork-maps");
    drop(Ring::<u64>::create(&name, &options()).expect("a ring"));
    // By its name, under which the mapping is listed.
    let ring = Ring::<u64>::attach(&name).expect("attach");
    assert_eq!(mappings(&name), 1);
    let child = Child::fork_tied(|| assert_eq!(mappings(&name), 0));
    let pid = child.0.expect("a child");
    assert_eq!(child.end(), WaitStatus::Exited(pid, 0));
    assert_eq!(mappings(&name), 1);
    drop(ring);
    assert_eq!(mappings(&name), 0);
}

fn a_child_that_uses_its_parents_end_dies_of_it() {
    let ring = Ring::<u64>::anonymous(&options()).expect("a ring");
    let mut producer = ring.producer().expect("the role");
    producer.push(1).expect("push");
    let child = Child::fork_tied(|| {
        // It is meant to die.
        setrlimit(Resource::RLIMIT_CORE, 0, 0).expect("no core dump");
        let _ = producer.push(2);
    });
    let pid = child.0.expect("a child");
    assert_segfault(child.end(), pid);
    // The stream knows nothing of it.
    producer.push(3).expect("push");
    let mut items = [0; 4];
    let mut consumer = ring.consumer().expect("the role");
    assert_eq!(consumer.pop_slice(&mut items), Ok(2));
    assert_eq!(items[..2], [1, 3]);
}

fn a_child_that_uses_its_parents_lost_end_dies_of_it() {
    guard::install().expect("the guard");
    let name = Named::new("fork-lost");
    let ring = Ring::<u64>::create(&name, &options()).expect("a ring");
    let mut producer = ring.producer().expect("the role");
    fs::File::create(name.path()).expect("truncate it");
    producer.push(1).expect_err("it is lost");
    assert!(ring.is_lost());
    // The private memory in its place is no more a child's than the shared one was.
    let child = Child::fork_tied(|| {
        setrlimit(Resource::RLIMIT_CORE, 0, 0).expect("no core dump");
        let _ = producer.push(2);
    });
    let pid = child.0.expect("a child");
    assert_segfault(child.end(), pid);
}

/// Whether there was a core dump is nobody's affair: a system that hands them to a program makes one
/// in spite of the limit.
#[track_caller]
fn assert_segfault(end: WaitStatus, child: Pid) {
    let died = matches!(end, WaitStatus::Signaled(pid, Signal::SIGSEGV, _) if pid == child);
    assert!(died, "{end:?}");
}

#[track_caller]
fn assert_held(ring: &Ring<u64>) {
    assert!(ring.is_held(Role::Producer).expect("an answer"));
    let refused = ring.producer().expect_err("a second producer");
    assert!(matches!(refused, SegmentError::Held { .. }), "{refused}");
}

/// A ring of its own mapping in a child, over the parent's descriptor.
fn attach(ring: &Ring<u64>) -> Ring<u64> {
    let fd = ring.as_fd().try_clone_to_owned().expect("its descriptor");
    Ring::attach_fd(fd).expect("attach")
}

fn a_child_keeps_the_role_of_a_parent_that_died() {
    // So that the grandchild becomes this process's child when its parent is dead.
    set_child_subreaper(true).expect("become a subreaper");
    let ring = Ring::<u64>::anonymous(&options()).expect("a ring");
    let mut ready = Signpost::new();
    // The grandchild ends when this process lets go of its end of the pipe, or dies.
    let (until, end) = pipe().expect("a pipe");
    let mut end = Some(end);
    let parent = Child::fork_tied(|| {
        drop(end.take());
        let ring = attach(&ring);
        let _producer = ring.producer().expect("the role");
        let mut child = Child::fork(|| wait_for_end(until));
        ready.say(child.0.take().expect("a child").as_raw());
        nix::unistd::pause();
    });
    let grandchild = Child(Some(Pid::from_raw(ready.hear())));
    assert_held(&ring);
    parent.kill();
    assert_held(&ring);
    drop(end);
    let pid = grandchild.0.expect("a grandchild");
    assert_eq!(grandchild.end(), WaitStatus::Exited(pid, 0));
    assert!(!ring.is_held(Role::Producer).expect("an answer"));
    assert_eq!(ring.producer().expect("the role").epoch(), Some(2));
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
    assert!(!ring.is_held(Role::Producer).expect("an answer"));
    assert_eq!(ring.producer().expect("the role").epoch(), Some(2));
    // It had the description all the time.
    drop(end);
    let pid = child.0.expect("a child");
    assert_eq!(child.end(), WaitStatus::Exited(pid, 0));
}

fn a_child_that_drops_what_it_inherited_takes_nothing_from_its_parent() {
    let ring = Ring::<u64>::anonymous(&options()).expect("a ring");
    let mut producer = Some(ring.producer().expect("the role"));
    let child = Child::fork_tied(|| drop(producer.take()));
    let pid = child.0.expect("a child");
    assert_eq!(child.end(), WaitStatus::Exited(pid, 0));
    assert_held(&ring);
    let producer = producer.as_mut().expect("the producer");
    assert_eq!(producer.push_slice(&[1, 2]), Ok(2));
}

fn nor_does_a_child_of_the_same_pid_in_another_namespace() {
    let assert_ended = |child: Child| {
        let pid = child.0.expect("a child");
        assert_eq!(child.end(), WaitStatus::Exited(pid, 0));
    };
    let outside = Child::fork_tied(|| {
        let ours = CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWPID;
        if let Err(error) = unshare(ours) {
            println!("not run: no pid namespaces of its own: {error}");
            return;
        }
        assert_ended(Child::fork_tied(|| {
            assert_eq!(std::process::id(), 1);
            let ring = Ring::<u64>::anonymous(&options()).expect("a ring");
            let mut producer = Some(ring.producer().expect("the role"));
            unshare(CloneFlags::CLONE_NEWPID).expect("another namespace");
            assert_ended(Child::fork_tied(|| {
                assert_eq!(std::process::id(), 1);
                drop(producer.take());
            }));
            assert_held(&ring);
        }));
    });
    assert_ended(outside);
}

fn a_program_that_was_started_keeps_no_role_of_a_parent_that_died() {
    set_child_subreaper(true).expect("become a subreaper");
    let ring = Ring::<u64>::anonymous(&options()).expect("a ring");
    let ready = Signpost::new();
    let (until, end) = pipe().expect("a pipe");
    let parent = Child::fork_tied(|| {
        let ring = attach(&ring);
        let _producer = ring.producer().expect("the role");
        let program = std::env::current_exe().expect("path of this program");
        // It speaks for itself: its start is told before its descriptors are closed, its first
        // word is not.
        let said = ready.writer.try_clone().expect("the pipe");
        let mut command = Command::new(program);
        let command = command.arg(WAIT).stdin(until).stdout(said);
        let mut started = command.spawn().expect("start it");
        started.wait().expect("wait for it");
    });
    let program = Child(Some(Pid::from_raw(ready.hear())));
    assert_held(&ring);
    parent.kill();
    // It lives, and has nothing.
    let pid = program.0.expect("a program");
    kill(pid, None).expect("it lives");
    assert!(!ring.is_held(Role::Producer).expect("an answer"));
    assert_eq!(ring.producer().expect("the role").epoch(), Some(2));
    drop(end);
    assert_eq!(program.end(), WaitStatus::Exited(pid, 0));
}

extern "C" fn nothing(_: libc::c_int) {}

/// Sets a timer that is as fast as what the kernel adds to a sleep.
fn set_fast_timer() {
    let action = SigAction::new(
        SigHandler::Handler(nothing),
        SaFlags::empty(),
        SigSet::empty(),
    );
    // SAFETY: the handler does nothing.
    unsafe { sigaction(Signal::SIGALRM, &action) }.expect("a handler");
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
    let lock = libc::flock {
        l_type: libc::F_WRLCK as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        // The byte of a removal.
        l_start: 2,
        l_len: 1,
        l_pid: 0,
    };
    fcntl(&other, FcntlArg::F_OFD_SETLK(&lock)).expect("lock the byte");
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
