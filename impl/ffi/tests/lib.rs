//! The C library, shared and static, as C and C++ programs meet it: linked with `-lringproof`,
//! against its generated header, with a typed Rust peer or a header-only C one on the other side.
#![cfg(target_os = "linux")]

mod common;
#[path = "../../tests/common/named.rs"]
mod named;

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

use common::{ffi, library, private_libraries, run, succeeds};
use named::Named;
use ringproof::{
    Inspection, PopError, PushError, Ring, RingOptions, SeqLatch, SeqLatchOptions, SeqLock,
    SeqLockOptions,
};
use ringproof_record::{compiler, deadline};

const ITEMS: u64 = 24_000;
const VALUES: u64 = 50_000;

/// More than anybody writes before it is killed.
const ENDLESS: u64 = u64::MAX / 4;

/// Long, because it ends a test that would hang.
fn patience() -> Duration {
    deadline::seconds(300)
}

/// How a program is linked, and what the linker is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Link {
    Nothing,
    Shared,
    Static,
}

impl Link {
    fn arguments(self) -> Vec<String> {
        let library = library().display();
        match self {
            Link::Nothing => Vec::new(),
            Link::Shared => {
                vec![
                    format!("-L{library}"),
                    format!("-Wl,-rpath,{library}"),
                    "-lringproof".to_owned(),
                ]
            }
            Link::Static => {
                let archive = format!("{library}/libringproof.a");
                std::iter::once(archive)
                    .chain(private_libraries())
                    .collect()
            }
        }
    }
}

/// Compiles a source below `tests`, with every warning an error. `CC` and `CXX` choose another
/// compiler.
fn compile(source: &str, link: Link) -> PathBuf {
    compile_with(source, link, &format!("{source}-{link:?}"), &[])
}

/// The same to a program of this name, with more arguments.
fn compile_with(source: &str, link: Link, name: &str, more: &[&str]) -> PathBuf {
    let (variable, usual, standard) = if source.ends_with(".cpp") {
        ("CXX", "c++", "-std=c++17")
    } else {
        ("CC", "cc", "-std=c11")
    };
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let mut command = compiler::from_env(variable, usual);
    command.args([standard, "-O2", "-Wall", "-Wextra", "-Wpedantic", "-Werror"]);
    command.arg("-pthread");
    command.arg("-I").arg(ffi().join("include"));
    command.arg(ffi().join("tests").join(source));
    command.args(more);
    // Another run of these tests may be using the program of that name.
    let new = program.with_file_name(format!("{name}.{}", std::process::id()));
    command.arg("-o").arg(&new).args(link.arguments());
    succeeds(&mut command);
    fs::rename(&new, &program).unwrap();
    program
}

/// The same program linked either way; and the peer that links nothing.
fn program(link: Link) -> &'static Path {
    static PROGRAMS: [OnceLock<PathBuf>; 3] = [const { OnceLock::new() }; 3];
    let source = if link == Link::Nothing {
        "peer.c"
    } else {
        "lib.c"
    };
    PROGRAMS[link as usize].get_or_init(|| compile(source, link))
}

/// A peer process, killed when it is dropped.
struct Peer {
    link: Link,
    arguments: Vec<String>,
    child: Child,
}

impl Peer {
    fn start(link: Link, arguments: &[&str]) -> Peer {
        Peer {
            link,
            arguments: arguments.iter().map(ToString::to_string).collect(),
            child: Command::new(program(link)).args(arguments).spawn().unwrap(),
        }
    }

    /// Kills it, which must not have ended, and starts it again.
    fn restart(&mut self) {
        self.child.kill().unwrap();
        let status = self.child.wait().unwrap();
        let killed = status.signal() == Some(9);
        assert!(killed, "{:?}: {status}", self.arguments);
        let mut command = Command::new(program(self.link));
        self.child = command.args(&self.arguments).spawn().unwrap();
    }

    fn end(mut self) {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                assert!(status.success(), "{:?}: {status}", self.arguments);
                return;
            }
            wait(start, "see a C peer end");
        }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // Both fail only where it has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn wait(since: Instant, to: &str) {
    assert!(since.elapsed() < patience(), "waited to {to}");
    thread::yield_now();
}

/// As `check_of` in lib.c.
fn check_of(seq: u64) -> u64 {
    let seq = (seq ^ (seq >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let seq = (seq ^ (seq >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    seq ^ (seq >> 31)
}

#[test]
fn the_library_passes_its_checks_linked_either_way() {
    for link in [Link::Shared, Link::Static] {
        let name = Named::new("c-library");
        succeeds(Command::new(program(link)).arg("checks").arg(&*name));
        assert!(!name.path().exists(), "{link:?}: something was left");
    }
}

/// Each fault stands between the program and one function of the library; the checks must not pass
/// with it.
#[test]
fn the_checks_find_planted_faults() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    for (function, parameters, body) in [
        (
            "ringproof_lib_commit",
            "struct ringproof_lib_producer *p, size_t count, struct ringproof_lib_error *e",
            "return real(p, count > 1 ? count - 1 : count, e);",
        ),
        (
            "ringproof_lib_producer_close",
            "struct ringproof_lib_producer *p, struct ringproof_lib_error *e",
            "(void)real; (void)p; (void)e; return RINGPROOF_LIB_OK;",
        ),
        (
            "ringproof_lib_name_status",
            "const struct ringproof_lib_segment *s, enum ringproof_lib_name *found, struct ringproof_lib_error *e",
            "enum ringproof_lib_status status = real(s, found, e); \
             if (status == RINGPROOF_LIB_OK && *found == RINGPROOF_LIB_NAME_REPLACED) *found = RINGPROOF_LIB_NAME_UNLINKED; \
             return status;",
        ),
        (
            "ringproof_lib_push",
            "struct ringproof_lib_producer *p, const void *item, struct ringproof_lib_error *e",
            "enum ringproof_lib_status status = real(p, item, e); return status == RINGPROOF_LIB_FULL ? RINGPROOF_LIB_OK : status;",
        ),
        (
            "ringproof_lib_pop",
            "struct ringproof_lib_consumer *c, void *item, struct ringproof_lib_error *e",
            "enum ringproof_lib_status status = real(c, item, e); if (status == RINGPROOF_LIB_OK) *(char *)item ^= 1; \
             return status;",
        ),
        (
            "ringproof_lib_release",
            "struct ringproof_lib_consumer *c, size_t count, struct ringproof_lib_error *e",
            "(void)real; (void)c; (void)count; (void)e; return RINGPROOF_LIB_OK;",
        ),
        (
            "ringproof_lib_write",
            "struct ringproof_lib_writer *w, const void *value, struct ringproof_lib_error *e",
            "(void)real; (void)w; (void)value; (void)e; return RINGPROOF_LIB_OK;",
        ),
        (
            "ringproof_lib_try_read",
            "const struct ringproof_lib_reader *r, void *value, struct ringproof_lib_error *e",
            "real(r, value, e); return RINGPROOF_LIB_OK;",
        ),
        (
            "ringproof_lib_producer_open",
            "const struct ringproof_lib_segment *s, struct ringproof_lib_producer **p, struct ringproof_lib_error *e",
            "enum ringproof_lib_status status = real(s, p, e); return status == RINGPROOF_LIB_HELD ? RINGPROOF_LIB_OK : status;",
        ),
        (
            "ringproof_lib_describe",
            "const struct ringproof_lib_payload *p, char *text, size_t size, size_t *len, struct ringproof_lib_error *e",
            "enum ringproof_lib_status status = real(p, text, size, len, e); if (status == RINGPROOF_LIB_OK) *text = 'R'; \
             return status;",
        ),
    ] {
        let name = format!("fault-{function}-{}", std::process::id());
        let fault = folder.join(format!("{name}.c"));
        let text = format!(
            "#include \"ringproof_lib.h\"\n\
             enum ringproof_lib_status __real_{function}({parameters});\n\
             enum ringproof_lib_status __wrap_{function}({parameters});\n\
             enum ringproof_lib_status __wrap_{function}({parameters}) {{\n\
             enum ringproof_lib_status (*const real)({parameters}) = __real_{function};\n{body}\n}}\n"
        );
        fs::write(&fault, text).unwrap();
        let wrap = format!("-Wl,--wrap={function}");
        let more = [fault.to_str().unwrap(), &wrap];
        let program = compile_with("lib.c", Link::Shared, &name, &more);
        let name = Named::new("lib-fault");
        let mut checks = Command::new("timeout");
        checks.arg(deadline::seconds(60).as_secs().to_string());
        let status = run(checks.arg(&program).arg("checks").arg(&*name)).status;
        assert_eq!(status.code(), Some(1), "{function}: {body}");
        fs::remove_file(&program).unwrap();
        fs::remove_file(&fault).unwrap();
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
    if let Some(why) = compiler::why_not("CXX", "c++") {
        println!("not run: no compiler for C++ can be run here: {why}");
        return;
    }
    succeeds(&mut Command::new(compile("lib.cpp", Link::Shared)));
}

#[test]
fn a_killed_producer_of_the_library_loses_nothing_to_rust() {
    let name = Named::new("lib-to-rust");
    let ring = Ring::<[u64; 2]>::create(&name, &RingOptions::new(50).slots(64)).unwrap();
    let mut send = Peer::start(Link::Shared, &["send", &name, &ITEMS.to_string()]);
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
    let mut recv = Peer::start(Link::Static, &["recv", &name, &ITEMS.to_string()]);
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
fn the_library_and_the_header_exchange_a_stream() {
    let items = ITEMS.to_string();
    for (from, to) in [
        (Link::Shared, Link::Nothing),
        (Link::Nothing, Link::Shared),
        (Link::Static, Link::Shared),
    ] {
        let name = Named::new("lib-to-header");
        let send = Peer::start(from, &["send", &name, &items]);
        let recv = Peer::start(to, &["recv", &name, &items]);
        send.end();
        recv.end();
        let seen = Inspection::of(&name).unwrap();
        assert_eq!((seen.write_index, seen.read_index), (ITEMS, ITEMS));
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
    let reader = Peer::start(Link::Shared, &["read", kind, name, &values]);
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
    let mut writer = Peer::start(Link::Static, &["write", kind, name, &ENDLESS.to_string()]);
    for _ in 0..3 {
        let least = read_until(0) + 1000;
        read_until(least);
        writer.restart();
    }
    drop(writer);
    // The last ones come to an end. (A seqlock counts two for each value.)
    let last = Inspection::of(name).unwrap().write_index + VALUES;
    let writer = Peer::start(Link::Static, &["write", kind, name, &last.to_string()]);
    let reader = Peer::start(Link::Nothing, &["read", kind, name, &last.to_string()]);
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
