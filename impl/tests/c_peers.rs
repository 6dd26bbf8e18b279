//! The C header against its own tests and against this library: the same segments, the same
//! sites, and processes of either language killed and started again.
#![cfg(target_os = "linux")]

mod common;

use std::env;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output};
use std::sync::OnceLock;
use std::time::Duration;

use common::Deadline;
use common::named::Named;
use ringproof::site::Site;
use ringproof::{
    Inspection, PopError, PushError, Ring, RingOptions, SeqLatch, SeqLatchOptions, SeqLock,
    SeqLockOptions,
};

const ITEMS: u64 = 1_000_000;
const VALUES: u64 = 100_000;

fn ffi() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("ffi")
}

fn header() -> String {
    fs::read_to_string(ffi().join("include/ringproof.h")).unwrap()
}

/// A compiler call with every warning an error. `CC` and `CXX` choose another compiler.
fn compiler(cxx: bool) -> Command {
    let (variable, usual, standard) = if cxx {
        ("CXX", "c++", "-std=c++17")
    } else {
        ("CC", "cc", "-std=c11")
    };
    let mut command = Command::new(env::var_os(variable).unwrap_or_else(|| usual.into()));
    command.args([standard, "-O2", "-Wall", "-Wextra", "-Wpedantic", "-Werror"]);
    command
}

fn run(command: &mut Command) -> Output {
    command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

/// Compiles `source`, a path below `ffi`, against the header in `include`, to a program `name`.
fn compile(source: &str, include: &Path, name: &str) -> PathBuf {
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let mut command = compiler(source.ends_with(".cpp"));
    // Until both sides describe their payloads.
    command.arg("-DRINGPROOF_ACCEPT_NO_DESCRIPTION");
    command.arg("-I").arg(include);
    command.arg("-I").arg(ffi().join("include"));
    command.arg(ffi().join(source)).arg("-o").arg(&program);
    let output = run(&mut command);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}\n{errors}");
    program
}

fn peer() -> &'static Path {
    static PEER: OnceLock<PathBuf> = OnceLock::new();
    PEER.get_or_init(|| compile("tests/peer.c", &ffi().join("include"), "c-peer"))
}

/// A peer process, killed when it is dropped.
struct Peer {
    child: Child,
    arguments: Vec<String>,
}

impl Peer {
    fn start(arguments: &[&str]) -> Peer {
        let arguments: Vec<_> = arguments.iter().map(ToString::to_string).collect();
        Peer {
            child: Peer::spawn(&arguments),
            arguments,
        }
    }

    fn spawn(arguments: &[String]) -> Child {
        Command::new(peer()).args(arguments).spawn().unwrap()
    }

    /// Kills it and starts it again, unless it has ended; says whether it was killed.
    fn restart(&mut self) -> bool {
        self.child.kill().unwrap();
        let status = self.child.wait().unwrap();
        if status.signal().is_none() {
            assert!(status.success(), "{:?}: {status}", self.arguments);
            return false;
        }
        self.child = Peer::spawn(&self.arguments);
        true
    }

    fn end(mut self) {
        let deadline = Deadline::to("see a C peer end");
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                assert!(status.success(), "{:?}: {status}", self.arguments);
                return;
            }
            deadline.wait();
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

/// As `check_of` in peer.c.
fn check_of(seq: u64) -> u64 {
    let seq = (seq ^ (seq >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let seq = (seq ^ (seq >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    seq ^ (seq >> 31)
}

fn options() -> RingOptions {
    RingOptions::new(50).slots(64)
}

#[test]
fn the_header_passes_its_checks() {
    succeeds(&compile(
        "tests/checks.c",
        &ffi().join("include"),
        "c-checks",
    ));
}

/// Runs a program on a name of its own; it succeeds and leaves nothing there.
fn succeeds(program: &Path) {
    let name = Named::new("c-program");
    let output = run(Command::new(program).arg(&*name));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {errors}", program.display());
    assert!(!name.path().exists(), "{} left it", program.display());
}

#[test]
fn cpp_describes_and_exchanges_as_c_does() {
    let include = ffi().join("include");
    succeeds(&compile("tests/shapes.cpp", &include, "cpp-shapes"));
    succeeds(&compile("examples/quotes.cpp", &include, "cpp-quotes"));
}

#[test]
fn the_examples_copy_a_text() {
    let include = ffi().join("include");
    let producer = compile("examples/producer.c", &include, "c-producer");
    let consumer = compile("examples/consumer.c", &include, "c-consumer");
    let name = Named::new("c-lines");
    let text = ffi().join("include/ringproof.h");
    let mut sending = Command::new(producer)
        .arg(&*name)
        .stdin(fs::File::open(&text).unwrap())
        .spawn()
        .unwrap();
    let output = run(Command::new("timeout").arg("30").arg(consumer).arg(&*name));
    assert!(sending.wait().unwrap().success());
    assert!(output.status.success(), "{}", output.status);
    assert!(output.stdout == fs::read(&text).unwrap());
    assert!(!name.path().exists());
}

/// Each fault changes one place of the header; the checks must not pass with it.
#[test]
fn the_checks_find_planted_faults() {
    let faults = [
        ("&& live <= consumer->capacity", ""),
        ("ringproof_available(consumer) <= live && ", ""),
        (
            "if (*found - lowest <= producer->write_index - lowest) {",
            "if (true) {",
        ),
        ("if (found != end) {", "if (false) {"),
        ("if (released != stop) {", "if (false) {"),
        ("(writer->index + 1) | 1", "writer->index + 1"),
        ("& (values->slots - 1)", "& (values->slots - 2)"),
        ("&& after != RINGPROOF_NO_VERSION", ""),
        (
            "if (ringproof_is_retired(segment)) {\n    /*",
            "if (false) {\n    /*",
        ),
        ("file.st_nlink > 0", "true"),
        ("found.st_ino != ours.st_ino", "false"),
        (
            "fcntl(claim->fd, F_OFD_SETLK, &lock) != 0",
            "fcntl(claim->fd, F_SETLK, &lock) != 0",
        ),
        (
            "process.pid == claim->owner.pid &&",
            "process.pid == getpid() &&",
        ),
        ("if (field->offset != end) {", "if (false) {"),
        ("if (end != shape->size) {", "if (false) {"),
        ("O_RDWR | O_NOFOLLOW |", "O_RDWR |"),
        ("chunk->position != consumer->read_index", "false"),
        ("fixed->magic != RINGPROOF_MAGIC", "false"),
        ("file_len < fixed->segment_len", "false"),
        (
            "ringproof_fingerprint(theirs, len) != segment->fixed.fingerprint",
            "false",
        ),
        ("our_len != len || memcmp(ours, theirs, len) != 0", "false"),
        ("bytes[i] >= ' ' && bytes[i] <= '~'", "true"),
    ];
    let header = header();
    for (number, (right, wrong)) in faults.iter().enumerate() {
        assert_eq!(header.matches(right).count(), 1, "{right}: not one place");
        let name = Named::new("c-fault");
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("c-fault-{number}"));
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("ringproof.h"), header.replace(right, wrong)).unwrap();
        let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("c-fault-{number}.out"));
        let mut command = compiler(false);
        // A fault may leave something unused.
        command.args(["-w", "-O0", "-I"]).arg(&folder);
        command
            .arg(ffi().join("tests/checks.c"))
            .arg("-o")
            .arg(&program);
        let output = run(&mut command);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{right}: {errors}");
        let status = run(Command::new("timeout").arg("20").arg(&program).arg(&*name)).status;
        assert!(!status.success(), "{right} -> {wrong}: no check noticed");
        fs::remove_dir_all(&folder).unwrap();
        fs::remove_file(&program).unwrap();
    }
}

/// What is wrong with the sites that the header names, against the table.
fn site_differences(header: &str) -> Vec<String> {
    let mut differences = Vec::new();
    // The accesses come after the functions that make them.
    let body = &header[header.find("/* ---- The wire layout").unwrap()..];
    let comments: Vec<(&str, &str)> = body
        .split("/*")
        .skip(1)
        .filter_map(|piece| piece.split_once("*/"))
        .collect();
    let words = |text: &str| -> Vec<String> {
        text.split(|c: char| !c.is_ascii_alphanumeric())
            .map(str::to_owned)
            .collect()
    };
    for site in Site::all() {
        let info = site.info();
        // Only the Rust library reads a reserved slot back.
        if info.name == "RingReview" {
            continue;
        }
        let mut named = false;
        for (comment, code) in &comments {
            let Some((head, why)) = comment.split_once(':') else {
                continue;
            };
            let head = words(head);
            if !head.iter().any(|word| word == info.name) {
                continue;
            }
            named = true;
            let ordering = info.ordering.to_lowercase();
            if !head.contains(&ordering) {
                differences.push(format!("{}: not called {ordering}", info.name));
            }
            let why = words(why);
            let names_partner = |partner: &&str| why.iter().any(|word| word == *partner);
            if !info.partners.is_empty() && !info.partners.iter().any(names_partner) {
                differences.push(format!("{}: no partner of {:?}", info.name, info.partners));
            }
            let access = match info.kind {
                "load" => format!("ringproof_load_{ordering}("),
                "store" => format!("ringproof_store_{ordering}("),
                "fence" => format!("ringproof_fence_{ordering}("),
                _ => "memcpy(".to_owned(),
            };
            if !code.contains(&access) {
                differences.push(format!("{}: no {access}) follows", info.name));
            }
        }
        if !named {
            differences.push(format!("{}: nowhere", info.name));
        }
    }
    for (comment, code) in &comments {
        let accesses = ["ringproof_load_", "ringproof_store_", "ringproof_fence_"];
        let count: usize = (accesses.iter())
            .flat_map(|access| ["relaxed(", "acquire(", "release("].map(|o| format!("{access}{o}")))
            .map(|access| code.matches(&access).count())
            .sum();
        let head = words(comment.split(':').next().unwrap_or(""));
        let sites = Site::all().filter(|s| head.iter().any(|word| word == s.info().name));
        if count > sites.count() {
            differences.push(format!("an access without a site after: {comment}"));
        }
    }
    differences
}

#[test]
fn the_header_names_every_site_with_its_ordering_and_partner() {
    let header = header();
    assert_eq!(site_differences(&header), Vec::<String>::new());
    // And this can fail: an ordering weakened, a comment that lies, an access without a comment.
    for (right, wrong) in [
        (
            "ringproof_store_release(producer->write_word",
            "ringproof_store_relaxed(producer->write_word",
        ),
        (
            "ringproof_load_acquire(consumer->write_word)",
            "ringproof_load_relaxed(consumer->write_word)",
        ),
        (
            "RingFree, release: pairs with RingReclaim",
            "RingFree, relaxed: pairs with RingReclaim",
        ),
        (
            "RingFree, release: pairs with RingReclaim",
            "RingFree, release: pairs with RingObserve",
        ),
        (
            "/* SeqReadFence, acquire: pairs with SeqWriteFence;",
            "/* Pairs with",
        ),
        (
            "ringproof_fence_acquire();\n  /* SeqRecheck",
            "\n  /* SeqRecheck",
        ),
    ] {
        assert!(header.contains(right), "{right}");
        let changed = header.replacen(right, wrong, 1);
        assert!(!site_differences(&changed).is_empty(), "{right} -> {wrong}");
    }
}

/// Compiles a text against the headers, without linking; what the compiler says.
fn refusal(text: &str, cxx: bool, arguments: &[&str]) -> Option<String> {
    let name = Named::new("c-refusal");
    let extension = if cxx { "cpp" } else { "c" };
    let source = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{}.{extension}", &*name));
    fs::write(&source, text).unwrap();
    let mut command = compiler(cxx);
    command.args(arguments).arg("-fsyntax-only").arg("-I");
    let output = run(command.arg(ffi().join("include")).arg(&source));
    fs::remove_file(&source).unwrap();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    (!output.status.success()).then_some(errors)
}

#[test]
fn what_cannot_work_does_not_compile() {
    let shape = |member: &str, field: &str| {
        format!(
            "#include \"ringproof.h\"\nstruct s {{ {member}; }};\n\
             RINGPROOF_SHAPE(shape, struct s, {field});\n\
             const struct ringproof_shape *used(void) {{ return &shape; }}\n"
        )
    };
    let good = shape("uint64_t a", "RINGPROOF_FIELD(struct s, a)");
    assert_eq!(refusal(&good, false, &[]), None);
    for (member, field) in [
        ("char *a", "RINGPROOF_FIELD(struct s, a)"),
        ("uint32_t *a", "RINGPROOF_ARRAY(struct s, a)"),
        ("uint32_t a[4]", "RINGPROOF_FIELD(struct s, a)"),
        ("uint32_t a[4][2]", "RINGPROOF_ARRAY(struct s, a)"),
        ("long double a", "RINGPROOF_FIELD(struct s, a)"),
        ("struct { int b; } a", "RINGPROOF_FIELD(struct s, a)"),
    ] {
        assert!(
            refusal(&shape(member, field), false, &[]).is_some(),
            "{member}"
        );
    }
    let late = "#include <stdio.h>\n#include \"ringproof.h\"\n";
    let errors = refusal(late, false, &[]).expect("without _GNU_SOURCE");
    assert!(errors.contains("-D_GNU_SOURCE"), "{errors}");
    assert_eq!(refusal(late, false, &["-D_GNU_SOURCE"]), None);
    let errors = refusal(&good, false, &["-std=c99"]).expect("before C11");
    assert!(errors.contains("C11"), "{errors}");
}

/// For a 32-bit x86, of which only the compiler is needed: glibc's headers are the same but for a
/// list of its stubs.
#[test]
#[cfg(target_arch = "x86_64")]
fn a_32_bit_machine_needs_64_bit_offsets_and_atomics() {
    let name = Named::new("c-stubs");
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(&*name);
    fs::create_dir_all(folder.join("gnu")).unwrap();
    fs::write(folder.join("gnu/stubs-32.h"), "").unwrap();
    let folder_argument = format!("-isystem{}", folder.display());
    let on_32_bits = |text: &str, more: &[&str]| {
        let headers = "-isystem/usr/include/x86_64-linux-gnu";
        let arguments = [&["-m32", &folder_argument, headers], more].concat();
        refusal(text, false, &arguments)
    };
    let header = "#include \"ringproof.h\"\nstruct ringproof_segment segment;\n";
    let outcome = match on_32_bits("#include <fcntl.h>\nint number;\n", &[]) {
        Some(errors) => Err(errors),
        None => Ok((
            on_32_bits(header, &[]),
            on_32_bits(header, &["-D_FILE_OFFSET_BITS=64"]),
            on_32_bits(header, &["-D_FILE_OFFSET_BITS=64", "-march=i386"]),
        )),
    };
    fs::remove_dir_all(&folder).unwrap();
    match outcome {
        Err(errors) => eprintln!("not run: this compiler has no -m32 or not its headers: {errors}"),
        Ok((short_offsets, good, no_atomics)) => {
            assert!(short_offsets.unwrap().contains("-D_FILE_OFFSET_BITS=64"));
            assert_eq!(good, None);
            assert!(no_atomics.unwrap().contains("lock-free"));
        }
    }
}

#[test]
fn a_payload_that_cannot_travel_does_not_compile_in_cpp() {
    let shape = |members: &str, fields: &str| {
        format!(
            "#include \"ringproof.hpp\"\nstruct s {{ {members} }};\n\
             RINGPROOF_DESCRIBE(s, {fields});\n"
        )
    };
    let (a, b) = ("RINGPROOF_FIELD(s, a)", "RINGPROOF_FIELD(s, b)");
    let both = format!("{a}, {b}");
    let good = shape("int a; int b;", &both);
    assert_eq!(refusal(&good, true, &[]), None);
    for (members, fields, reason) in [
        ("int a; int b;", a, "fields left out"),
        ("int a; double b;", both.as_str(), "padding"),
        ("int *a;", a, "a field of a payload"),
        ("bool a;", a, "a field of a payload"),
        ("s(const s &); int a;", a, "the bytes of a payload"),
    ] {
        let errors = refusal(&shape(members, fields), true, &[]).expect(members);
        assert!(errors.contains(reason), "{members}: {errors}");
    }
    let half = "#include \"ringproof.hpp\"\nringproof::seqlock<int> *lock;\n\
                std::size_t size() { return sizeof *lock; }\n";
    let errors = refusal(half, true, &[]).expect("half a word");
    assert!(errors.contains("64-bit words"), "{errors}");
}

#[test]
fn a_c_producer_and_a_c_consumer_survive_kills() {
    let name = Named::new("c-to-c");
    let items = ITEMS.to_string();
    let mut send = Peer::start(&["send", &name, &items]);
    let mut recv = Peer::start(&["recv", &name, &items]);
    let mut kills = [0, 0];
    for round in 0..40u64 {
        // Somewhere else in the stream each time.
        std::thread::sleep(Duration::from_micros(200 + check_of(round) % 3000));
        if round % 2 == 0 {
            kills[0] += u32::from(send.restart());
        } else {
            kills[1] += u32::from(recv.restart());
        }
    }
    assert!(
        kills[0] >= 3 && kills[1] >= 3,
        "killed {kills:?} times only"
    );
    send.end();
    recv.end();
    let seen = Inspection::of(&name).unwrap();
    assert_eq!((seen.write_index, seen.read_index), (ITEMS, ITEMS));
    assert_eq!(seen.end_index, Some(ITEMS));
}

/// One side looks in the middle of the other's operation, deterministically: a copy of the header
/// calls the test there. The same, with a fault in it, must be noticed.
#[test]
fn who_meets_an_operation_is_not_deceived() {
    let fill = "memcpy(ringproof_slot(&producer->slots, producer->write_index), item, \
                producer->slots.item);\n  ringproof_publish(producer, 1);";
    let late = "ringproof_publish(producer, 1); memcpy(ringproof_slot(&producer->slots, \
                producer->write_index - 1), item, producer->slots.item);";
    let header = header();
    for (number, (right, wrong)) in [
        ("", ""),
        (fill, late),
        (
            "ringproof_store_relaxed(writer->values.index, odd);",
            "(void)0;",
        ),
        (
            "return before == after ?",
            "return before == after || true ?",
        ),
        ("reader->values.slots - 2", "reader->values.slots - 1"),
        ("reader->values.slots - 2", "reader->values.slots - 3"),
        (
            "ringproof_value(&writer->values, next)",
            "ringproof_value(&writer->values, next - 1)",
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let mut text = header.clone();
        if !right.is_empty() {
            assert_eq!(header.matches(right).count(), 1, "{right}: not one place");
            text = header.replace(right, wrong);
        }
        for (place, call, count) in [
            ("  ringproof_fence_acquire();", "  in_a_read();", 2),
            ("  ringproof_fence_release();", "  in_a_write();", 2),
            (
                "  ringproof_store_release(producer->write_word, producer->write_index);",
                "  published();",
                1,
            ),
        ] {
            assert_eq!(text.matches(place).count(), count, "{place}");
            text = text.replace(place, &format!("{place}{call}"));
        }
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("c-meetings-{number}"));
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("ringproof.h"), text).unwrap();
        let program = compile(
            "tests/meetings.c",
            &folder,
            &format!("c-meetings-{number}.out"),
        );
        let name = Named::new("c-meetings");
        let output = run(Command::new(&program).arg(&*name));
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(
            output.status.success(),
            right.is_empty(),
            "{right}: {errors}"
        );
        fs::remove_dir_all(&folder).unwrap();
        fs::remove_file(&program).unwrap();
    }
}

#[test]
fn a_killed_c_producer_loses_nothing_to_rust() {
    let name = Named::new("c-to-rust");
    let mut send = Peer::start(&["send", &name, &ITEMS.to_string()]);
    let mut kills = 0;
    // Made by whoever comes first; attached to once it is there.
    let ring = Ring::<[u64; 2]>::open(&name, &options()).unwrap();
    let mut consumer = ring.consumer().unwrap();
    let mut deadline = Deadline::to("get an item from C");
    loop {
        match consumer.pop() {
            Ok([seq, check]) => {
                assert_eq!((seq + 1, check), (consumer.position(), check_of(seq)));
                deadline = Deadline::to("get an item from C");
                if seq % 100_000 == 50_000 {
                    kills += u32::from(send.restart());
                }
            }
            Err(PopError::Empty) => deadline.wait(),
            Err(PopError::Ended) => break,
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(consumer.position(), ITEMS);
    assert!(kills >= 9, "killed {kills} times");
    send.end();
}

#[test]
fn a_killed_c_consumer_loses_nothing_from_rust() {
    let name = Named::new("rust-to-c");
    let ring = Ring::<[u64; 2]>::open(&name, &options()).unwrap();
    let mut recv = Peer::start(&["recv", &name, &ITEMS.to_string()]);
    let mut kills = 0;
    let mut producer = ring.producer().unwrap();
    let mut deadline = Deadline::to("push an item to C");
    while producer.position() < ITEMS {
        let seq = producer.position();
        match producer.push([seq, check_of(seq)]) {
            Ok(()) => {
                deadline = Deadline::to("push an item to C");
                if seq % 100_000 == 50_000 {
                    kills += u32::from(recv.restart());
                }
            }
            Err(PushError::Full) => deadline.wait(),
            Err(error) => panic!("{error}"),
        }
    }
    producer.close();
    recv.end();
    assert!(kills >= 9, "killed {kills} times");
    assert_eq!(Inspection::of(&name).unwrap().read_index, ITEMS);
}

/// A Rust writer for a C reader, then a C writer, killed on the way, for Rust's `read`.
fn exchange(
    kind: &str,
    name: &str,
    mut write: impl FnMut([u64; 64]),
    mut read: impl FnMut() -> Option<[u64; 64]>,
) {
    let reader = Peer::start(&["read", kind, name, &VALUES.to_string()]);
    for value in 1..=VALUES {
        write([value; 64]);
    }
    reader.end();
    drop(write);
    let last = 3 * VALUES;
    let mut writer = Peer::start(&["write", kind, name, &last.to_string()]);
    let mut seen = 0;
    let deadline = Deadline::to("read the last value from C");
    let mut kills = 0;
    while seen < last {
        if let Some(value) = read() {
            assert!(value.iter().all(|word| *word == value[0]), "{value:?}");
            assert!(value[0] >= seen, "{} after {seen}", value[0]);
            seen = value[0];
        }
        if kills < 3 {
            kills += u32::from(writer.restart());
        }
        deadline.wait();
    }
    writer.end();
}

#[test]
fn a_seqlock_is_shared_with_c() {
    let name = Named::new("c-seqlock");
    let lock = SeqLock::<[u64; 64]>::create(&name, &[0; 64], &SeqLockOptions::default()).unwrap();
    let reader = lock.reader().unwrap();
    let mut writer = lock.writer().unwrap();
    exchange(
        "seqlock",
        &name,
        move |v| writer.write(&v),
        || reader.read(100).ok(),
    );
}

#[test]
fn a_latch_is_shared_with_c() {
    let name = Named::new("c-latch");
    let latch =
        SeqLatch::<[u64; 64]>::create(&name, &[0; 64], &SeqLatchOptions::default()).unwrap();
    let reader = latch.reader().unwrap();
    let mut writer = latch.writer().unwrap();
    exchange(
        "latch",
        &name,
        move |v| writer.write(&v),
        || reader.read(100).ok(),
    );
}
