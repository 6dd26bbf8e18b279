//! The C header against its own tests and against this library: the same segments, the same
//! sites, and processes of either language killed and started again.
#![cfg(target_os = "linux")]

mod common;

use std::env;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::thread;

use common::Deadline;
use common::helper;
use common::named::Named;
use ringproof::shape::Description;
use ringproof::{
    Inspection, PopError, PushError, Ring, RingOptions, SegmentError, SeqLatch, SeqLatchOptions,
    SeqLock, SeqLockOptions,
};
use ringproof_record::{compiler, deadline};

const ITEMS: u64 = 20_000;
const VALUES: u64 = 100_000;

/// More than anybody sends or writes before it is killed.
const ENDLESS: u64 = u64::MAX / 4;

/// How often each side is killed.
const KILLS: u64 = 8;

/// What compiles for 32 bits.
const M32: [&str; 2] = ["-m32", "-D_FILE_OFFSET_BITS=64"];

fn ffi() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("ffi")
}

fn include() -> PathBuf {
    ffi().join("include")
}

fn header() -> String {
    fs::read_to_string(include().join("ringproof.h")).unwrap()
}

/// A compiler call with every warning an error. `CC` and `CXX` choose another compiler,
/// `RINGPROOF_SANITIZE` what it puts into the programs, as `address,undefined`.
fn compiler_for(cxx: bool) -> Command {
    let (variable, usual, standard) = if cxx {
        ("CXX", "c++", "-std=c++17")
    } else {
        ("CC", "cc", "-std=c11")
    };
    let mut command = compiler::from_env(variable, usual);
    command.args([standard, "-O2", "-Wall", "-Wextra", "-Wpedantic", "-Werror"]);
    // Where the C library has its threads apart.
    command.arg("-pthread");
    if let Ok(sanitizers) = env::var("RINGPROOF_SANITIZE") {
        command.arg(format!("-fsanitize={sanitizers}"));
        command.args(["-fno-sanitize-recover=all", "-g"]);
    }
    command
}

fn run(command: &mut Command) -> Output {
    command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

/// The name of a file of this run alone.
fn own(name: &str) -> String {
    format!("{name}.{}", std::process::id())
}

/// Compiles `source`, a path below `ffi`, against the header in `include`, to a program `name`.
fn compile(source: &str, include: &Path, flags: &[&str], name: &str) -> PathBuf {
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let mut command = compiler_for(source.ends_with(".cpp"));
    command.args(flags).arg("-I").arg(include);
    command.arg("-I").arg(self::include());
    // Another run of these tests may be using the program of that name.
    let new = Path::new(env!("CARGO_TARGET_TMPDIR")).join(own(name));
    command.arg(ffi().join(source)).arg("-o").arg(&new);
    let output = run(&mut command);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}\n{errors}");
    fs::rename(&new, &program).unwrap();
    program
}

/// Whether there is a compiler for C++; says why not.
fn has_cpp() -> bool {
    let why_not = compiler::why_not("CXX", "c++");
    if let Some(why) = &why_not {
        println!("not run: no compiler for C++ can be run here: {why}");
    }
    why_not.is_none()
}

/// Runs a program to its end. One that hangs is ended with status 124.
fn run_bounded(program: &Path, arguments: &[&str]) -> Output {
    let limit = deadline::seconds(60).as_secs().to_string();
    run(Command::new("timeout")
        .arg(limit)
        .arg(program)
        .args(arguments))
}

/// Whether programs for 32 bits can be compiled, of C or C++, and run here; says why not.
fn has_32_bits(cpp: bool) -> bool {
    static HAS: [OnceLock<bool>; 2] = [const { OnceLock::new() }; 2];
    *HAS[usize::from(cpp)].get_or_init(|| {
        let name = own("c-32") + if cpp { ".cpp" } else { ".c" };
        let source = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        let program = source.with_extension("out");
        // The first include of C++ stands for its library.
        let include = if cpp { "string" } else { "stdio.h" };
        fs::write(
            &source,
            format!("#include <{include}>\nint main(void) {{ return 0; }}\n"),
        )
        .unwrap();
        let mut command = compiler_for(cpp);
        let output = run(command.args(M32).arg(&source).arg("-o").arg(&program));
        let errors = String::from_utf8_lossy(&output.stderr);
        fs::remove_file(&source).unwrap();
        let why_not = if !output.status.success() {
            Some(errors.trim_end().to_owned())
        } else {
            // A kernel may lack what runs them.
            let ran = Command::new(&program).status();
            fs::remove_file(&program).unwrap();
            match ran {
                Ok(status) if status.success() => None,
                ran => Some(format!("{ran:?}")),
            }
        };
        if let Some(why) = &why_not {
            println!(
                "not run: no program for 32 bits can be made or run here (on Debian and Ubuntu \
                 install gcc-multilib and g++-multilib): {why}"
            );
        }
        why_not.is_none()
    })
}

/// Who is a peer.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Language {
    C,
    /// Compiled for 32 bits.
    C32,
    Rust,
}

use Language::{C, C32, Rust};

/// Two that meet, the first of which sends or writes, where both can be run.
fn pairs() -> Vec<[Language; 2]> {
    let mut pairs = vec![[C, C], [C, Rust], [Rust, C]];
    if has_32_bits(false) {
        pairs.extend([[C32, Rust], [Rust, C32], [C32, C]]);
    }
    pairs
}

impl Language {
    /// A peer as peer.c has it.
    fn peer(self, arguments: &[String]) -> Command {
        static PEERS: [OnceLock<PathBuf>; 2] = [OnceLock::new(), OnceLock::new()];
        let compiled = |peer: &OnceLock<PathBuf>, name: &str, flags: &[&str]| {
            let program = peer.get_or_init(|| compile("tests/peer.c", &include(), flags, name));
            let mut command = Command::new(program);
            command.args(arguments);
            command
        };
        match self {
            C => compiled(&PEERS[0], "c-peer", &[]),
            C32 => compiled(&PEERS[1], "c-peer-32", &M32),
            Rust => {
                let mut command = helper::command(&arguments.join(" "));
                // The runner's own words.
                command.stdout(Stdio::null());
                command
            }
        }
    }
}

/// A peer process, killed when it is dropped.
struct Peer {
    child: Child,
    language: Language,
    arguments: Vec<String>,
}

impl Peer {
    fn start(language: Language, arguments: &[&str]) -> Peer {
        let arguments: Vec<_> = arguments.iter().map(ToString::to_string).collect();
        Peer {
            child: language.peer(&arguments).spawn().unwrap(),
            language,
            arguments,
        }
    }

    /// Kills it, which must not have ended, and starts it again.
    fn restart(&mut self) {
        self.child.kill().unwrap();
        let status = self.child.wait().unwrap();
        let killed = status.signal() == Some(9);
        assert!(killed, "{:?} {:?}: {status}", self.language, self.arguments);
        self.child = self.language.peer(&self.arguments).spawn().unwrap();
    }

    fn end(mut self) {
        let deadline = Deadline::to("see a peer end");
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                let success = status.success();
                assert!(
                    success,
                    "{:?} {:?}: {status}",
                    self.language, self.arguments
                );
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

/// As peer.c has them: it wraps all the time.
fn options() -> RingOptions {
    RingOptions::new(50).slots(64)
}

/// What peer.c does, in Rust.
#[test]
#[ignore = "a process that the tests start"]
fn helper() {
    let Some(job) = helper::job() else { return };
    let words: Vec<&str> = job.split(' ').collect();
    let count = words.last().unwrap().parse().unwrap();
    match words[..] {
        ["send", name, _] => send_all(name, count),
        ["recv", name, _] => recv_all(name, count),
        ["write", "seqlock", name, _] => {
            let lock = open_seqlock(name);
            let mut writer = lock.writer().unwrap();
            write_all(writer.version(), count, |value| writer.write(value));
        }
        ["write", "latch", name, _] => {
            let latch = open_latch(name);
            let mut writer = latch.writer().unwrap();
            write_all(writer.version(), count, |value| writer.write(value));
        }
        ["read", "seqlock", name, _] => {
            let lock = open_seqlock(name);
            let reader = lock.reader().unwrap();
            read_all(count, || reader.read(1000).ok());
        }
        ["read", "latch", name, _] => {
            let latch = open_latch(name);
            let reader = latch.reader().unwrap();
            read_all(count, || reader.read(1000).ok());
        }
        _ => panic!("no job: {job}"),
    }
}

fn send_all(name: &str, count: u64) {
    let ring = Ring::<[u64; 2]>::open_or_create(name, &options()).unwrap();
    let mut producer = ring.producer().unwrap();
    while producer.position() < count {
        let seq = producer.position();
        let item = |seq| [seq, check_of(seq)];
        // Singly and by the slice, so that both are killed.
        let sent = if seq.is_multiple_of(7) && seq + 5 <= count {
            let items: [[u64; 2]; 5] = std::array::from_fn(|i| item(seq + i as u64));
            producer.push_slice(&items).map(drop)
        } else {
            producer.push(item(seq))
        };
        match sent {
            Ok(()) => {}
            Err(PushError::Full) => std::thread::yield_now(),
            Err(error) => panic!("{error}"),
        }
    }
    producer.close();
}

fn recv_all(name: &str, count: u64) {
    let ring = Ring::<[u64; 2]>::open_or_create(name, &options()).unwrap();
    let mut consumer = ring.consumer().unwrap();
    loop {
        match consumer.peek(11) {
            Ok(chunk) => {
                for (index, seq) in (0..chunk.len()).zip(chunk.position()..) {
                    assert_eq!(chunk.get(index), Some([seq, check_of(seq)]));
                }
                chunk.release_all();
            }
            Err(PopError::Empty) => std::thread::yield_now(),
            Err(PopError::PeerClosed) => break,
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(consumer.position(), count);
}

fn open_seqlock(name: &str) -> SeqLock<[u64; 64]> {
    SeqLock::open_or_create(name, &[0; 64], &SeqLockOptions::default()).unwrap()
}

fn open_latch(name: &str) -> SeqLatch<[u64; 64]> {
    SeqLatch::open_or_create(name, &[0; 64], &SeqLatchOptions::default()).unwrap()
}

fn write_all(version: u64, count: u64, mut write: impl FnMut(&[u64; 64])) {
    for value in version + 1..=count {
        write(&[value; 64]);
    }
}

fn read_all(count: u64, read: impl Fn() -> Option<[u64; 64]>) {
    let mut last = 0;
    while last < count {
        match read() {
            Some(value) => {
                assert!(value.iter().all(|word| *word == value[0]), "{value:?}");
                assert!(value[0] >= last, "{} after {last}", value[0]);
                last = value[0];
            }
            // Its writer is stopped inside a write, or was killed there.
            None => std::thread::yield_now(),
        }
    }
}

#[test]
fn the_header_passes_its_checks() {
    succeeds(&compile("tests/checks.c", &include(), &[], "c-checks"));
}

#[test]
fn the_header_passes_its_checks_on_32_bits() {
    if has_32_bits(false) {
        let program = compile("tests/checks.c", &include(), &M32, "c-checks-32");
        succeeds(&program);
        if has_cpp() && has_32_bits(true) {
            let program = compile("tests/shapes.cpp", &include(), &M32, "cpp-shapes-32");
            succeeds(&program);
        }
    }
}

/// Runs a program on a name of its own; it succeeds and leaves nothing there. What it prints.
fn succeeds(program: &Path) -> String {
    let name = Named::new("c-program");
    let output = run(Command::new(program).arg(&*name));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {errors}", program.display());
    assert!(!name.path().exists(), "{} left it", program.display());
    let printed = String::from_utf8(output.stdout).unwrap();
    printed.replace(&*name, "NAME")
}

#[test]
fn the_example_in_cpp_exchanges_quotes() {
    if !has_cpp() {
        return;
    }
    succeeds(&compile(
        "examples/quotes.cpp",
        &include(),
        &[],
        "cpp-quotes",
    ));
}

#[test]
fn the_examples_copy_a_text() {
    let producer = compile("examples/producer.c", &include(), &[], "c-producer");
    let consumer = compile("examples/consumer.c", &include(), &[], "c-consumer");
    let name = Named::new("c-lines");
    let text = ffi().join("include/ringproof.h");
    let mut sending = Command::new(producer)
        .arg(&*name)
        .stdin(fs::File::open(&text).unwrap())
        .spawn()
        .unwrap();
    let output = run_bounded(&consumer, &[&name]);
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
        (
            "producer->read_word);\n  *found = word & RINGPROOF_LAST_INDEX;",
            "producer->read_word);\n  *found = word;",
        ),
        (
            "uint64_t live;\n  *found = word & RINGPROOF_LAST_INDEX;",
            "uint64_t live;\n  *found = word;",
        ),
        (
            "if (!producer->closed) {\n    /* No slot",
            "if (true) {\n    /* No slot",
        ),
        ("found < last ? found : last", "found"),
        ("producer->write_index == RINGPROOF_LAST_INDEX", "false"),
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
            "fcntl(shared->fd, F_OFD_SETLK, &lock) != 0",
            "fcntl(shared->fd, F_SETLK, &lock) != 0",
        ),
        (
            "if (!ringproof_is_inherited(shared)) {\n      /* Explicitly",
            "if (true) {\n      /* Explicitly",
        ),
        ("(shared->held & (1u << byte)) != 0", "false"),
        ("left = ringproof_plus(left, swap);", ""),
        ("left = other < left ? other : left;", ""),
        (
            "left = ringproof_plus(left, ringproof_cached_in(root, place, old));",
            "",
        ),
        ("*last = '\\0';\n  }\n}", "return;\n  }\n}"),
        (
            "(available < needed && (room->limit[0] == '\\0' || available < room->available))",
            "(available < needed)",
        ),
        ("strstr(group, \"/..\") != NULL", "false"),
        (
            "if (ringproof_is_short(\"\", fixed->segment_len, &room)) {",
            "if (false) {",
        ),
        ("size != producer->slots.item", "false"),
        ("size != consumer->slots.item", "false"),
        ("if (field->offset != end) {", "if (false) {"),
        ("if (end != shape->size) {", "if (false) {"),
        ("O_RDWR | O_NOFOLLOW |", "O_RDWR |"),
        ("chunk->end == word && ", ""),
        ("chunk->number == number &&", ""),
        ("chunk->position == index && ", ""),
        ("count <= chunk->len;", "true;"),
        (
            "producer->closed = true;\n    producer->chunk++;",
            "producer->closed = true;",
        ),
        (
            "consumer->closed = true;\n    consumer->chunk++;",
            "consumer->closed = true;",
        ),
        (
            "where there is none. */\n    producer->chunk++;",
            "where there is none. */",
        ),
        ("producer->chunk++;\n  if (count > 0)", "if (count > 0)"),
        ("consumer->chunk++;\n  if (count > 0)", "if (count > 0)"),
        (
            "= ringproof_first_chunk(&producer->claim)",
            "= producer->claim.epoch << 32",
        ),
        (
            "= ringproof_first_chunk(&consumer->claim)",
            "= consumer->claim.epoch << 32",
        ),
        ("memset(producer, 0, sizeof *producer);\n}", "}"),
        ("memset(consumer, 0, sizeof *consumer);\n}", "}"),
        ("memset(writer, 0, sizeof *writer);\n}", "}"),
        ("memset(reader, 0, sizeof *reader);\n}", "}"),
        ("segment->name[0] != '\\0' && ", ""),
        (
            "item == 0 ? RINGPROOF_NOT_OPEN : RINGPROOF_SIZE",
            "RINGPROOF_SIZE",
        ),
        (
            "enum ringproof_status status = ringproof_check_access(segment, error);\n  ringproof_word *epoch;",
            "enum ringproof_status status = RINGPROOF_OK;\n  ringproof_word *epoch;",
        ),
        (
            "options->kind < RINGPROOF_RING || options->kind > RINGPROOF_LATCH",
            "false",
        ),
        ("at[0] < 0xc2", "at[0] < 0xc0"),
        ("at[0] > 0xf4", "at[0] > 0xf7"),
        ("lowest = 0xa0", "lowest = 0x80"),
        ("highest = 0x9f", "highest = 0xbf"),
        ("lowest = 0x90", "lowest = 0x80"),
        ("highest = 0x8f", "highest = 0xbf"),
        ("at[i] < 0x80 || at[i] > 0xbf", "false"),
        ("options->mode < 0600 || ", ""),
        (" || options->mode > 0777", ""),
        (
            "*name = RINGPROOF_NAME_REPLACED",
            "*name = RINGPROOF_NAME_UNLINKED",
        ),
        (" (os error %d)", ""),
        ("example > most ? most : example", "example"),
        (
            "slots > options->capacity ? slots : options->capacity",
            "slots",
        ),
        ("options->capacity > most", "false"),
        ("fixed->magic != RINGPROOF_MAGIC", "false"),
        ("file_len < fixed->segment_len", "false"),
        ("segment->fixed.fingerprint != fingerprint", "false"),
        ("segment->fixed.payload_size != memory->told.size", "false"),
        ("our_len != len || memcmp(ours, theirs, len) != 0", "false"),
        ("ringproof_times(field) != 1", "field->count != 0"),
        (
            "(text[i] < ' ' || text[i] > '~') && text[i] != '\\n'",
            "false",
        ),
        ("len == 0 || text[len - 1] != '\\n'", "false"),
        ("text[0] == '0' && at > text + 1", "false"),
        ("value > (SIZE_MAX - digit) / 10", "false"),
        ("|| field->count < 2", ""),
        (
            "ringproof_field_named(told->fields, told->count, field->name) != NULL",
            "false",
        ),
        ("!ringproof_fits(field, end, told->size)", "false"),
        ("told->count == RINGPROOF_FIELDS_MAX", "false"),
        (
            "ringproof_field_named(shape->fields, i, field->name) != NULL",
            "false",
        ),
        (
            "!ringproof_is_primitive(field->letter, field->element_size)",
            "false",
        ),
    ];
    let header = &header();
    let faults: Vec<_> = faults.iter().enumerate().collect();
    // The compiler takes most of the time: two of them at once.
    thread::scope(|scope| {
        for half in faults.chunks(faults.len().div_ceil(2)) {
            scope.spawn(move || {
                for (number, (right, wrong)) in half {
                    assert_eq!(header.matches(right).count(), 1, "{right}: not one place");
                    let fault = format!("{right} -> {wrong}");
                    with_checks_of(&header.replace(right, wrong), *number, |program| {
                        assert_noticed(program, &fault, 0);
                    });
                }
            });
        }
    });
}

/// Compiles the checks against a changed header, for as long as `check` takes.
fn with_checks_of(header: &str, number: usize, check: impl FnOnce(&Path)) {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(own(&format!("c-fault-{number}")));
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("ringproof.h"), header).unwrap();
    let program = folder.join("checks");
    let mut command = compiler_for(false);
    // A fault may leave something unused.
    command.args(["-w", "-O0", "-I"]).arg(&folder);
    command.arg(ffi().join("tests/checks.c"));
    let output = run(command.arg("-o").arg(&program));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{number}: {errors}");
    check(&program);
    fs::remove_dir_all(&folder).unwrap();
}

/// Runs them with a fault, if there are several with that of this number.
fn assert_noticed(program: &Path, fault: &str, number: usize) {
    let name = Named::new("c-fault");
    let mut command = Command::new("timeout");
    command.arg(deadline::seconds(60).as_secs().to_string());
    command.arg(program).arg(&*name);
    let status = run(command.env("RINGPROOF_PLANTED", number.to_string())).status;
    // One that died left it.
    let _ = fs::remove_file(Named::path_of(&format!("{}-2", &*name)));
    let noticed = !status.success() && status.code() != Some(124);
    assert!(noticed, "{fault}: no check noticed: {status}");
}

/// What keeps an end or a segment that is not open from being used, each place taken away: the program is
/// told which by its number.
#[test]
fn every_call_asks_whether_it_is_open() {
    let begin = "/* ---- Status and errors";
    let mut text = header();
    let mut number = 0;
    for (guard, places) in [
        ("ringproof_producer_is_open(producer)", 5),
        ("ringproof_consumer_is_open(consumer)", 5),
        ("writer->values.index == NULL", 1),
        ("reader->values.index == NULL", 1),
        ("segment->shared != NULL", 1),
    ] {
        // Planted, it is open for whoever asks there.
        assert_eq!(text.matches(guard).count(), places, "{guard}");
        let mut pieces = text.split(guard);
        let mut changed = pieces.next().unwrap_or_default().to_owned();
        for piece in pieces {
            number += 1;
            changed += &if guard.ends_with("== NULL") {
                format!("(!planted({number}) && {guard})")
            } else {
                format!("(planted({number}) || {guard})")
            };
            changed += piece;
        }
        text = changed;
    }
    let planted = "static int planted(int number) {\n\
                   const char *text = getenv(\"RINGPROOF_PLANTED\");\n\
                   return text != NULL && atoi(text) == number;\n}\n";
    assert_eq!(text.matches(begin).count(), 1);
    let text = text.replace(begin, &format!("{planted}{begin}"));
    with_checks_of(&text, 1000, |program| {
        succeeds(program);
        for guard in 1..=number {
            assert_noticed(program, &format!("guard {guard}"), guard);
        }
    });
}

/// Compiles a text against the headers, without linking; what the compiler says.
fn refusal(text: &str, cxx: bool, arguments: &[&str]) -> Option<String> {
    let name = Named::new("c-refusal");
    let extension = if cxx { "cpp" } else { "c" };
    let source = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{}.{extension}", &*name));
    fs::write(&source, text).unwrap();
    let mut command = compiler_for(cxx);
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
        Err(errors) => println!("not run: this compiler has no -m32 or not its headers: {errors}"),
        Ok((short_offsets, good, no_atomics)) => {
            assert!(short_offsets.unwrap().contains("-D_FILE_OFFSET_BITS=64"));
            assert_eq!(good, None);
            assert!(no_atomics.unwrap().contains("lock-free"));
        }
    }
}

#[test]
fn a_payload_that_cannot_travel_does_not_compile_in_cpp() {
    if !has_cpp() {
        return;
    }
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

/// Waits until the word of an existing segment has moved so far.
fn await_index(name: &str, index: fn(&Inspection) -> u64, least: u64) -> u64 {
    let deadline = Deadline::to("see two peers make progress");
    loop {
        match Inspection::of(name) {
            Ok(seen) if index(&seen) >= least => return index(&seen),
            Ok(_) | Err(SegmentError::NotFound { .. }) => deadline.wait(),
            Err(error) => panic!("{error}"),
        }
    }
}

/// Starts two that meet, and kills each of them `KILLS` times, in turns, each time somewhere else in
/// what goes on without end; then the last ones are dropped. `index` says how far they are.
fn kill_in_turns(name: &str, start: impl Fn(u64) -> [Peer; 2], index: fn(&Inspection) -> u64) {
    let mut peers = start(ENDLESS);
    let mut position = 0;
    for kill in 0..2 * KILLS {
        let least = position + 1000 + check_of(kill) % 1000;
        position = await_index(name, index, least);
        peers[kill as usize % 2].restart();
    }
}

#[test]
fn a_ring_survives_kills_of_either_side_in_any_language() {
    for pair in pairs() {
        let name = Named::new("c-ring");
        let start = |count: u64| {
            [("send", pair[0]), ("recv", pair[1])]
                .map(|(end, language)| Peer::start(language, &[end, &name, &count.to_string()]))
        };
        kill_in_turns(&name, start, |seen| seen.read_index);
        // The last ones come to an end.
        let end = Inspection::of(&name).unwrap().write_index + ITEMS;
        start(end).into_iter().for_each(Peer::end);
        let seen = Inspection::of(&name).unwrap();
        assert_eq!((seen.write_index, seen.read_index), (end, end));
        assert_eq!(seen.end_index, Some(end), "{pair:?}");
    }
}

/// Kills either side of a seqlock or latch: no reader may ever find a value torn or older.
fn survives_kills(kind: &str) {
    for pair in pairs() {
        let name = Named::new(&format!("c-{kind}"));
        let ends = [("write", pair[0]), ("read", pair[1])];
        let start = |count: u64| {
            let count = count.to_string();
            ends.map(|(end, language)| Peer::start(language, &[end, kind, &name, &count]))
        };
        kill_in_turns(&name, start, |seen| seen.write_index);
        // The last ones come to an end. (A seqlock counts two for each value.)
        let version = Inspection::of(&name).unwrap().write_index;
        start(version + VALUES).into_iter().for_each(Peer::end);
    }
}

#[test]
fn a_seqlock_survives_kills_of_either_side_in_any_language() {
    survives_kills("seqlock");
}

#[test]
fn a_latch_survives_kills_of_either_side_in_any_language() {
    survives_kills("latch");
}

/// One side looks in the middle of the other's operation, deterministically: a copy of the header
/// calls the test there. The same, with a fault in it, must be noticed.
#[test]
fn who_meets_an_operation_is_not_deceived() {
    let fill = "memcpy(ringproof_slot(&producer->slots, index, size), item, size);\
                \n  ringproof_publish(producer, index + 1, word);";
    let late = "ringproof_publish(producer, index + 1, word); \
                memcpy(ringproof_slot(&producer->slots, index, size), item, size);";
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
                "  ringproof_store_release(write_word, write_index);",
                "  published();",
                1,
            ),
        ] {
            assert_eq!(text.matches(place).count(), count, "{place}");
            text = text.replace(place, &format!("{place}{call}"));
        }
        let folder =
            Path::new(env!("CARGO_TARGET_TMPDIR")).join(own(&format!("c-meetings-{number}")));
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("ringproof.h"), text).unwrap();
        let program = compile(
            "tests/meetings.c",
            &folder,
            &[],
            &own(&format!("c-meetings-{number}.out")),
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

/// The payloads of tests/shapes.h once more.
mod shapes {
    #![allow(dead_code, reason = "only their layouts matter")]

    use ringproof::Shape;

    #[derive(Shape)]
    #[repr(C)]
    pub(super) struct Leg {
        qty: i32,
        ratio: f32,
    }

    #[derive(Shape)]
    #[repr(C)]
    pub(super) struct Quote {
        seq: u64,
        price: f64,
        tag: [u8; 4],
        flags: u32,
        legs: [Leg; 2],
    }

    #[derive(Shape)]
    #[repr(C)]
    pub(super) struct Reordered {
        price: f64,
        seq: u64,
        tag: [u8; 4],
        flags: u32,
        legs: [Leg; 2],
    }

    #[derive(Shape)]
    #[repr(C)]
    pub(super) struct Renamed {
        seq: u64,
        price: f64,
        tag: [u8; 4],
        mask: u32,
        legs: [Leg; 2],
    }

    #[derive(Shape)]
    #[repr(C)]
    pub(super) struct Small {
        sign: i8,
        one: [u8; 1],
        two: [i16; 2],
        text: [i8; 2],
        legs: [[Leg; 2]; 1],
    }

    #[derive(Shape)]
    #[repr(C)]
    pub(super) struct Inner {
        leg: Leg,
        words: [u64; 2],
    }

    #[derive(Shape)]
    #[repr(C)]
    pub(super) struct Nest {
        inner: Inner,
        rest: [u16; 4],
    }

    #[derive(Shape)]
    #[repr(C, packed)]
    pub(super) struct Packed {
        tag: u8,
        seq: u64,
        level: u16,
    }

    #[derive(Shape)]
    #[repr(C, packed(4))]
    pub(super) struct Narrow {
        kind: u32,
        seq: u64,
        level: u32,
    }

    #[derive(Shape)]
    #[repr(C)]
    pub(super) struct Wide {
        kind: u32,
        filler: u32,
        seq: u64,
        level: u32,
        end: u32,
    }

    #[derive(Shape)]
    #[repr(C)]
    pub(super) struct Big {
        id: u128,
        sum: i128,
    }
}

#[test]
#[cfg(all(target_pointer_width = "64", target_endian = "little"))]
fn three_languages_describe_and_refuse_in_the_same_words() {
    let mut shapes = vec![
        ("quote", Description::of::<shapes::Quote>()),
        ("reordered", Description::of::<shapes::Reordered>()),
        ("renamed", Description::of::<shapes::Renamed>()),
        ("small", Description::of::<shapes::Small>()),
        ("nest", Description::of::<shapes::Nest>()),
        ("packed", Description::of::<shapes::Packed>()),
        ("narrow", Description::of::<shapes::Narrow>()),
        ("wide", Description::of::<shapes::Wide>()),
        ("big", Description::of::<shapes::Big>()),
    ]
    .into_iter()
    .map(|(name, described)| (name, described.unwrap()))
    .collect::<Vec<_>>();
    let said = |shapes: &[(&str, Description)]| {
        let mut text = String::new();
        for (name, description) in shapes {
            text += &format!("{name}\n{description}");
        }
        for (made, segment) in shapes {
            for (expected, here) in shapes {
                let differences = here.diff(segment).join("; ");
                text += &match &*differences {
                    "" => format!("{made} for {expected}\n"),
                    _ => format!(
                        "{made} for {expected}: segment `NAME` holds another payload: \
                         {differences}\n"
                    ),
                };
            }
        }
        text
    };
    let in_c = succeeds(&compile("tests/shapes.c", &include(), &[], "c-shapes"));
    let in_rust = said(&shapes);
    for (c, rust) in in_c.lines().zip(in_rust.lines()) {
        assert_eq!(c, rust);
    }
    assert!(in_c == in_rust);
    if has_cpp() {
        let program = compile("tests/shapes.cpp", &include(), &[], "cpp-shapes");
        assert!(succeeds(&program) == in_rust);
    }
    if has_32_bits(false) {
        // There is no number of 128 bits there.
        shapes.pop();
        let program = compile("tests/shapes.c", &include(), &M32, "c-shapes-32");
        assert!(succeeds(&program) == said(&shapes));
    }
}
