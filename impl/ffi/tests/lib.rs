//! The C library, shared and static, as C and C++ programs meet it: linked with `-lringproof`,
//! against its generated header, with a typed Rust peer or a header-only C one on the other side.
#![cfg(target_os = "linux")]

#[path = "common/c.rs"]
mod c;
mod common;
#[path = "../../tests/common/named.rs"]
mod named;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Instant;

use c::{Peer, bounded, check_of, compile, has_cpp, run, succeeds, wait};
use common::{library, linked, private_libraries};
use named::Named;
use ringproof::{
    Inspection, PopError, PushError, Ring, RingOptions, SeqLatch, SeqLatchOptions, SeqLock,
    SeqLockOptions,
};

const ITEMS: u64 = 24_000;
const VALUES: u64 = 50_000;

/// More than anybody writes before it is killed.
const ENDLESS: u64 = u64::MAX / 4;

/// How a program is linked, and what the linker is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Link {
    Nothing,
    Shared,
    Static,
}

impl Link {
    fn arguments(self) -> Vec<String> {
        match self {
            Link::Nothing => Vec::new(),
            Link::Shared => linked().into(),
            Link::Static => {
                let archive = format!("{}/libringproof.a", library().display());
                std::iter::once(archive)
                    .chain(private_libraries())
                    .collect()
            }
        }
    }

    /// Starts a program of it.
    fn start(self, arguments: &[&str]) -> Peer {
        self.peer(arguments, &[])
    }

    /// One that sleeps at once when it finds nothing.
    fn sleeper(self, arguments: &[&str]) -> Peer {
        self.peer(arguments, &["RINGPROOF_PEER_SLEEPS"])
    }

    /// One that polls a descriptor then.
    fn poller(self, arguments: &[&str]) -> Peer {
        self.peer(arguments, &["RINGPROOF_PEER_POLLS"])
    }

    fn peer(self, arguments: &[&str], settings: &'static [&str]) -> Peer {
        let arguments: Vec<_> = arguments.iter().map(ToString::to_string).collect();
        Peer::start(move || {
            let mut command = Command::new(program(self));
            command.envs(settings.iter().map(|setting| (setting, "1")));
            command.args(&arguments);
            command
        })
    }
}

/// Waits until a segment, which may have to be made yet, looks so.
fn await_state(name: &str, is_so: impl Fn(&Inspection) -> bool) {
    let start = Instant::now();
    while !Inspection::of(name).is_ok_and(|seen| is_so(&seen)) {
        wait(start, "see a peer asleep, or one that wakes it");
    }
}

/// The same program linked either way; and the peer that links nothing.
fn program(link: Link) -> &'static Path {
    static PROGRAMS: [OnceLock<PathBuf>; 3] = [const { OnceLock::new() }; 3];
    let source = if link == Link::Nothing {
        "peer.c"
    } else {
        "lib.c"
    };
    let name = format!("{source}-{link:?}");
    PROGRAMS[link as usize]
        .get_or_init(|| compile(&format!("tests/{source}"), &link.arguments(), &name))
}

#[test]
fn the_library_passes_its_checks_linked_either_way() {
    for link in [Link::Shared, Link::Static] {
        let name = Named::new("c-library");
        succeeds(Command::new(program(link)).arg("checks").arg(&*name));
        assert!(!name.path().exists(), "{link:?}: something was left");
    }
}

/// Between the program and some functions of the library stand wrong ones, one at a time; the checks must not
/// pass with any.
#[test]
fn the_checks_find_injected_faults() {
    let functions = "ringproof_lib_commit ringproof_lib_producer_close ringproof_lib_name_status ringproof_lib_push ringproof_lib_pop ringproof_lib_release ringproof_lib_write ringproof_lib_try_read ringproof_lib_wait_items ringproof_lib_wait_newer \
                     ringproof_lib_wait_drained ringproof_lib_producer_arm ringproof_lib_consumer_arm ringproof_lib_reader_arm \
                     ringproof_lib_producer_open ringproof_lib_describe";
    let functions: Vec<_> = functions.split(' ').collect();
    let mut more = linked().to_vec();
    more.extend(
        functions
            .iter()
            .map(|function| format!("-Wl,--wrap={function}")),
    );
    more.push(c::ffi().join("tests/lib_faults.c").display().to_string());
    let program = compile("tests/lib.c", &more, "lib-faults");
    for function in [""].into_iter().chain(functions) {
        let name = Named::new("lib-fault");
        let mut checks = bounded(&program);
        checks.args(["checks", &name]);
        let status = run(checks.env("RINGPROOF_INJECTED", function)).status;
        let code = i32::from(!function.is_empty());
        assert_eq!(status.code(), Some(code), "{function}");
    }
}

/// The two ends of a stream notice what is not right with it.
#[test]
fn a_peer_notices_an_item_that_is_wrong() {
    for wrong in [[8, check_of(8)], [7, check_of(7) ^ 1]] {
        let name = Named::new("lib-wrong");
        let ring = Ring::<[u64; 2]>::create(&name, &RingOptions::new(50).slots(64)).unwrap();
        let mut producer = ring.producer().unwrap();
        for seq in 0..7 {
            producer.push([seq, check_of(seq)]).unwrap();
        }
        producer.push(wrong).unwrap();
        let recv = ["recv", &*name, "1000"];
        let output = run(Command::new(program(Link::Shared)).args(recv));
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{errors}");
        assert!(errors.contains("item.seq == position + i"), "{errors}");
    }
}

#[test]
fn cpp_uses_it_too() {
    if has_cpp() {
        let program = compile("tests/lib.cpp", &linked(), "lib.cpp-Shared");
        succeeds(&mut Command::new(program));
    }
}

#[test]
fn a_killed_producer_of_the_library_loses_nothing_to_rust() {
    let name = Named::new("lib-to-rust");
    let ring = Ring::<[u64; 2]>::create(&name, &RingOptions::new(50).slots(64)).unwrap();
    let mut send = Link::Shared.start(&["send", &name, &ITEMS.to_string()]);
    let mut consumer = ring.consumer().unwrap();
    let mut last = Instant::now();
    loop {
        match consumer.pop() {
            Ok([seq, check]) => {
                assert_eq!((seq + 1, check), (consumer.position(), check_of(seq)));
                last = Instant::now();
                // Never so near the end that it could have done its part.
                if seq % 4_000 == 2_000 {
                    send.restart();
                }
            }
            Err(PopError::Empty) => wait(last, "get an item from C"),
            Err(PopError::PeerClosed) => break,
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(consumer.position(), ITEMS);
    send.end();
}

#[test]
fn a_killed_consumer_of_the_library_loses_nothing_from_rust() {
    let name = Named::new("rust-to-lib");
    let ring = Ring::<[u64; 2]>::create(&name, &RingOptions::new(50).slots(64)).unwrap();
    let mut recv = Link::Static.start(&["recv", &name, &ITEMS.to_string()]);
    let mut producer = ring.producer().unwrap();
    let mut last = Instant::now();
    while producer.position() < ITEMS {
        let seq = producer.position();
        match producer.push([seq, check_of(seq)]) {
            Ok(()) => {
                last = Instant::now();
                if seq % 4_000 == 2_000 {
                    recv.restart();
                }
            }
            Err(PushError::Full) => wait(last, "push an item to C"),
            Err(error) => panic!("{error}"),
        }
    }
    producer.close();
    recv.end();
    assert_eq!(Inspection::of(&name).unwrap().read_index, ITEMS);
}

#[test]
fn the_library_and_the_header_exchange_a_stream_and_wake_each_other() {
    let items = ITEMS.to_string();
    for (from, to) in [
        (Link::Shared, Link::Nothing),
        (Link::Nothing, Link::Shared),
        (Link::Static, Link::Shared),
    ] {
        for start in [Link::sleeper, Link::poller] {
            let name = Named::new("lib-to-header");
            // Alone, each of the two goes to sleep.
            let send = start(from, &["send", &name, &items]);
            await_state(&name, |seen| seen.roles[0].asks && send.is_asleep());
            let recv = start(to, &["recv", &name, &items]);
            await_state(&name, |seen| seen.roles[1].wakes > 0);
            send.end();
            recv.end();
            let seen = Inspection::of(&name).unwrap();
            assert_eq!((seen.write_index, seen.read_index), (ITEMS, ITEMS));
        }
    }
}

#[test]
fn who_is_killed_asleep_costs_the_other_side_one_call() {
    for (from, to) in [(Link::Shared, Link::Nothing), (Link::Nothing, Link::Static)] {
        let name = Named::new("lib-killed-asleep");
        let killed = to.sleeper(&["recv", &name, "3"]);
        await_state(&name, |seen| seen.roles[1].asks && killed.is_asleep());
        drop(killed);
        from.start(&["send", &name, "3"]).end();
        assert_eq!(Inspection::of(&name).unwrap().roles[0].wakes, 1, "{from:?}");
        to.start(&["recv", &name, "3"]).end();
    }
}

/// A Rust writer for readers of both C libraries, then a writer of the library for Rust's `read`
/// and a header-only reader.
fn exchange(
    kind: &str,
    name: &str,
    mut write: impl FnMut([u64; 64]),
    mut read: impl FnMut() -> Option<[u64; 64]>,
) {
    let values = VALUES.to_string();
    let reader = Link::Shared.poller(&["read", kind, name, &values]);
    for value in 1..=VALUES {
        write([value; 64]);
    }
    reader.end();
    drop(write);
    let mut seen = VALUES;
    let mut read_until = |least: u64| {
        let start = Instant::now();
        while seen < least {
            if let Some(value) = read() {
                assert!(value.iter().all(|word| *word == value[0]), "{value:?}");
                assert!(value[0] >= seen, "{} after {seen}", value[0]);
                seen = value[0];
            }
            wait(start, "read a later value from C");
        }
        seen
    };
    let mut writer = Link::Static.start(&["write", kind, name, &ENDLESS.to_string()]);
    for _ in 0..3 {
        let least = read_until(0) + 1000;
        read_until(least);
        writer.restart();
    }
    drop(writer);
    // The last ones come to an end. (A seqlock counts two for each value.)
    let last = Inspection::of(name).unwrap().write_index + VALUES;
    let writer = Link::Static.start(&["write", kind, name, &last.to_string()]);
    let reader = Link::Nothing.start(&["read", kind, name, &last.to_string()]);
    read_until(last);
    writer.end();
    reader.end();
}

#[test]
fn a_seqlock_is_shared_with_the_library() {
    let name = Named::new("lib-seqlock");
    let lock = SeqLock::<[u64; 64]>::create(&name, &[0; 64], &SeqLockOptions::default()).unwrap();
    let reader = lock.reader().unwrap();
    let mut writer = lock.writer().unwrap();
    exchange(
        "seqlock",
        &name,
        move |value| writer.write(&value),
        || reader.read(100).ok(),
    );
}

#[test]
fn a_latch_is_shared_with_the_library() {
    let name = Named::new("lib-latch");
    let latch =
        SeqLatch::<[u64; 64]>::create(&name, &[0; 64], &SeqLatchOptions::default()).unwrap();
    let reader = latch.reader().unwrap();
    let mut writer = latch.writer().unwrap();
    exchange(
        "latch",
        &name,
        move |value| writer.write(&value),
        || reader.read(100).ok(),
    );
}
