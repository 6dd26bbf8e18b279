//! The C header against its own tests and against this library: the same segments, the same
//! sites, and processes of either language killed and started again.
#![cfg(target_os = "linux")]

#[path = "../ffi/tests/common/c.rs"]
mod c;
mod common;

use std::env;
use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::thread;

use c::{
    Folder, Peer, bounded, check_of, compiler_for, faults, ffi, has_cpp, header, inject_by_number,
    noticed, run,
};
use common::named::Named;
use common::{Deadline, helper, named, seqlock_and_latch};
use ringproof::shape::Description;
use ringproof::{
    Inspection, PopError, PushError, ReadError, Ring, RingOptions, SegmentError, Wait, WaitError,
};

const ITEMS: u64 = 20_000;
const VALUES: u64 = 100_000;

/// What two exchange that sleep whenever they can.
const ASLEEP: u64 = 2_000;

/// More than anybody sends or writes before it is killed.
const ENDLESS: u64 = u64::MAX / 4;

/// How often each side is killed.
const KILLS: u64 = 8;

/// What compiles for 32 bits.
const M32: [&str; 2] = ["-m32", "-D_FILE_OFFSET_BITS=64"];

/// A program `name` of `source`, a path below `ffi`. `RINGPROOF_SANITIZE` says what is put into it, as
/// `address,undefined`.
fn compile(source: &str, flags: &[&str], name: &str) -> PathBuf {
    let mut more: Vec<_> = flags.iter().map(ToString::to_string).collect();
    if let Ok(sanitizers) = env::var("RINGPROOF_SANITIZE") {
        more.push(format!("-fsanitize={sanitizers}"));
        more.extend(["-fno-sanitize-recover=all", "-g"].map(str::to_owned));
    }
    c::compile(source, &more, name)
}

/// Whether programs for 32 bits can be compiled, of C or C++, and run here; says why not.
fn has_32_bits(cpp: bool) -> bool {
    static HAS: [OnceLock<bool>; 2] = [const { OnceLock::new() }; 2];
    *HAS[usize::from(cpp)].get_or_init(|| {
        // The first include of C++ stands for its library.
        let (file, include) = if cpp {
            ("text.cpp", "string")
        } else {
            ("text.c", "stdio.h")
        };
        let text = format!("#include <{include}>\nint main(void) {{ return 0; }}\n");
        let folder = Folder::with(&[]);
        let program = folder.path().join("program");
        let output = format!("-o{}", program.display());
        let why_not = c::refusal(
            compiler_for(cpp),
            file,
            &text,
            &[&M32[..], &[&output]].concat(),
        );
        // A kernel may lack what runs them.
        let why_not = why_not.or_else(|| match Command::new(&program).status() {
            Ok(status) if status.success() => None,
            ran => Some(format!("{ran:?}")),
        });
        if let Some(why) = &why_not {
            eprintln!(
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
    Cpp,
    Rust,
}

use Language::{C, C32, Cpp, Rust};

/// Two that meet, the first of which sends or writes, where both can be run.
fn pairs() -> Vec<[Language; 2]> {
    let mut pairs = vec![[C, C], [C, Rust], [Rust, C]];
    if has_32_bits(false) {
        pairs.extend([[C32, Rust], [Rust, C32], [C32, C]]);
    }
    pairs
}

/// All that can meet, of every language that can be run.
fn all_pairs() -> Vec<[Language; 2]> {
    let mut languages = vec![C, Rust];
    if has_cpp() {
        languages.push(Cpp);
    }
    if has_32_bits(false) {
        languages.push(C32);
    }
    let pairs = languages
        .iter()
        .flat_map(|one| languages.iter().map(move |other| [*one, *other]));
    pairs.filter(|pair| *pair != [Rust, Rust]).collect()
}

/// In the environment of a peer: whenever it finds nothing it sleeps, and does not look for some microseconds
/// before.
const SLEEPS: &str = "RINGPROOF_PEER_SLEEPS";

/// In the environment of a peer: whenever it finds nothing it polls a descriptor.
const POLLS: &str = "RINGPROOF_PEER_POLLS";

/// Both ways to leave the processor until there is something.
const STARTS: [fn(Language, &[&str]) -> Peer; 2] = [Language::sleeper, Language::poller];

impl Language {
    /// A peer as peer.c has it.
    fn start(self, arguments: &[&str]) -> Peer {
        self.peer(arguments, &[])
    }

    /// One that sleeps at once, and unless it is in Rust asks only once an hour whether there is somebody: if it is
    /// not woken, it shows.
    fn sleeper(self, arguments: &[&str]) -> Peer {
        self.peer(arguments, &[SLEEPS])
    }

    /// One that polls a descriptor instead, unless it is in Rust, and asks as rarely.
    fn poller(self, arguments: &[&str]) -> Peer {
        self.peer(arguments, &[SLEEPS, POLLS])
    }

    fn peer(self, arguments: &[&str], settings: &'static [&str]) -> Peer {
        let arguments: Vec<_> = arguments.iter().map(ToString::to_string).collect();
        let program = self.program(!settings.is_empty());
        Peer::start(move || {
            let mut command = match program {
                Some(program) => Command::new(program),
                None => helper::command(&arguments.join(" ")),
            };
            match program {
                Some(_) => command.args(&arguments),
                // The runner's own words.
                None => command.stdout(Stdio::null()),
            };
            command.envs(settings.iter().map(|setting| (setting, "1")));
            command
        })
    }

    /// What is compiled for it.
    fn program(self, is_patient: bool) -> Option<&'static Path> {
        static PROGRAMS: [[OnceLock<PathBuf>; 2]; 3] =
            [const { [const { OnceLock::new() }; 2] }; 3];
        let (programs, source, flags, name) = match self {
            C => (&PROGRAMS[0], "tests/peer.c", &[][..], "c-peer"),
            C32 => (&PROGRAMS[1], "tests/peer.c", &M32[..], "c-peer-32"),
            Cpp => (&PROGRAMS[2], "tests/peer.cpp", &[][..], "cpp-peer"),
            Rust => return None,
        };
        let program = programs[usize::from(is_patient)].get_or_init(|| {
            if !is_patient {
                return compile(source, flags, name);
            }
            let interval = "RINGPROOF_INTERVAL UINT64_C(80000000)";
            let text = header("ringproof.h");
            assert_eq!(text.matches(interval).count(), 1, "{interval}");
            let text = text.replace(interval, "RINGPROOF_INTERVAL UINT64_C(3600000000000)");
            // Found beside it, the other would include its own neighbour.
            let beside = header("ringproof.hpp");
            let folder = Folder::with(&[("ringproof.h", &text), ("ringproof.hpp", &beside)]);
            let first = folder.first();
            let flags = [flags, &[&first]].concat();
            compile(source, &flags, &format!("{name}-patient"))
        });
        Some(program)
    }
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
        [verb, kind, name, _] => {
            seqlock_and_latch!({
                if kind == KIND {
                    let lock =
                        Lock::open_or_create(name, &[0; 64], &LockOptions::default()).unwrap();
                    if verb == "write" {
                        let mut writer = lock.writer().unwrap();
                        for value in writer.version() + 1..=count {
                            writer.write(&[value; 64]);
                        }
                    } else {
                        let reader = lock.reader().unwrap().with_wait(how());
                        read_all(
                            count,
                            |version| reader.wait().newer(version),
                            || reader.read(1000).ok(),
                        );
                    }
                }
            });
        }
        _ => panic!("no job: {job}"),
    }
}

fn how() -> Wait {
    match env::var_os(SLEEPS) {
        Some(_) => Wait::SleepAtOnce,
        None => Wait::Sleep,
    }
}

/// After a wait: one that was killed is started again.
fn goes_on<T, E: std::fmt::Display>(waited: Result<T, WaitError<E>>) -> Option<T> {
    match waited {
        Ok(found) => Some(found),
        Err(WaitError::PeerGone) => None,
        Err(error) => panic!("{error}"),
    }
}

fn send_all(name: &str, count: u64) {
    let ring = Ring::<[u64; 2]>::open_or_create(name, &options()).unwrap();
    let mut producer = ring.producer().unwrap().with_wait(how());
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
            Err(PushError::Full) => drop(goes_on(producer.wait().free_slots(1))),
            Err(error) => panic!("{error}"),
        }
    }
    producer.close();
}

fn recv_all(name: &str, count: u64) {
    let ring = Ring::<[u64; 2]>::open_or_create(name, &options()).unwrap();
    let mut consumer = ring.consumer().unwrap().with_wait(how());
    loop {
        match consumer.wait().peek(11) {
            Ok(chunk) => {
                for (index, seq) in (0..chunk.len()).zip(chunk.position()..) {
                    assert_eq!(chunk.get(index), Some([seq, check_of(seq)]));
                }
                chunk.release_all();
            }
            Err(WaitError::Refused(PopError::PeerClosed)) => break,
            refused => drop(goes_on(refused)),
        }
    }
    assert_eq!(consumer.position(), count);
}

fn read_all(
    count: u64,
    newer: impl Fn(u64) -> Result<u64, WaitError<ReadError>>,
    read: impl Fn() -> Option<[u64; 64]>,
) {
    let (mut last, mut version) = (0, 0);
    while last < count {
        version = goes_on(newer(version)).unwrap_or(version);
        // Unless its writer is stopped inside a write, or was killed there.
        if let Some(value) = read() {
            assert!(value.iter().all(|word| *word == value[0]), "{value:?}");
            assert!(value[0] >= last, "{} after {last}", value[0]);
            last = value[0];
        }
    }
}

#[test]
fn the_header_passes_its_checks() {
    succeeds(&compile("tests/checks.c", &[], "c-checks"));
}

#[test]
fn the_header_passes_its_checks_on_32_bits() {
    if has_32_bits(false) {
        let program = compile("tests/checks.c", &M32, "c-checks-32");
        succeeds(&program);
        if has_cpp() && has_32_bits(true) {
            let program = compile("tests/shapes.cpp", &M32, "cpp-shapes-32");
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
    succeeds(&compile("examples/quotes.cpp", &[], "cpp-quotes"));
}

#[test]
fn the_examples_copy_a_text() {
    let producer = compile("examples/producer.c", &[], "c-producer");
    let consumer = compile("examples/consumer.c", &[], "c-consumer");
    let name = Named::new("c-lines");
    let text = ffi().join("include/ringproof.h");
    let mut sending = Command::new(producer)
        .arg(&*name)
        .stdin(fs::File::open(&text).unwrap())
        .spawn()
        .unwrap();
    let output = run(bounded(&consumer).arg(&*name));
    assert!(sending.wait().unwrap().success());
    assert!(output.status.success(), "{}", output.status);
    assert!(output.stdout == fs::read(&text).unwrap());
    assert!(!name.path().exists());
}

/// The checks must not pass with any of these faults in the header.
#[test]
fn the_checks_find_injected_faults() {
    let header = &header("ringproof.h");
    let faults = faults("header.txt");
    // The compiler takes most of the time: two of them at once.
    thread::scope(|scope| {
        for half in faults.chunks(faults.len().div_ceil(2)) {
            scope.spawn(move || {
                for fault in half {
                    with_checks_of(&fault.inject(header), |program| {
                        assert_noticed(program, &fault.to_string(), 0);
                    });
                }
            });
        }
    });
}

/// Compiles the checks against a changed header, for as long as `check` takes.
fn with_checks_of(header: &str, check: impl FnOnce(&Path)) {
    let folder = Folder::with(&[("ringproof.h", header)]);
    let program = folder.path().join("checks");
    // A fault may leave something unused.
    c::compile_to(&program, "tests/checks.c", &["-w", "-O0", &folder.first()]);
    check(&program);
}

/// Runs them with a fault, if there are several with that of this number.
fn assert_noticed(program: &Path, fault: &str, number: usize) {
    let name = Named::new("c-fault");
    let mut command = bounded(program);
    let command = command.arg(&*name);
    let status = run(command.env("RINGPROOF_INJECTED", number.to_string())).status;
    // One that died left it.
    let _ = fs::remove_file(Named::path_of(&format!("{}-2", &*name)));
    assert!(noticed(status), "{fault}: no check noticed: {status}");
}

#[test]
fn every_call_asks_whether_it_is_open() {
    let begin = "/* ---- Status and errors";
    let (text, number) = inject_by_number(&header("ringproof.h"), "open.txt", begin);
    with_checks_of(&text, |program| {
        succeeds(program);
        for guard in 1..=number {
            assert_noticed(program, &format!("guard {guard}"), guard);
        }
    });
}

/// What the compiler says of a text that it refuses, without linking.
fn refusal(text: &str, arguments: &[&str]) -> Option<String> {
    let mut command = compiler_for(false);
    command.arg("-fsyntax-only");
    c::refusal(command, "text.c", text, arguments)
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
    assert_eq!(refusal(&good, &[]), None);
    for (member, field) in [
        ("char *a", "RINGPROOF_FIELD(struct s, a)"),
        ("uint32_t *a", "RINGPROOF_ARRAY(struct s, a)"),
        ("uint32_t a[4]", "RINGPROOF_FIELD(struct s, a)"),
        ("uint32_t a[4][2]", "RINGPROOF_ARRAY(struct s, a)"),
        ("long double a", "RINGPROOF_FIELD(struct s, a)"),
        ("struct { int b; } a", "RINGPROOF_FIELD(struct s, a)"),
    ] {
        let refused = refusal(&shape(member, field), &[]);
        assert!(refused.is_some(), "{member}");
    }
    let late = "#include <stdio.h>\n#include \"ringproof.h\"\n";
    let errors = refusal(late, &[]).expect("without _GNU_SOURCE");
    assert!(errors.contains("-D_GNU_SOURCE"), "{errors}");
    assert_eq!(refusal(late, &["-D_GNU_SOURCE"]), None);
    let errors = refusal(&good, &["-std=c99"]).expect("before C11");
    assert!(errors.contains("C11"), "{errors}");
}

/// For a 32-bit x86, of which only the compiler is needed: glibc's headers are the same but for a
/// list of its stubs.
#[test]
#[cfg(target_arch = "x86_64")]
fn a_32_bit_machine_needs_64_bit_offsets_and_atomics() {
    let folder = Folder::with(&[]);
    fs::create_dir(folder.path().join("gnu")).unwrap();
    fs::write(folder.path().join("gnu/stubs-32.h"), "").unwrap();
    let folder_argument = format!("-isystem{}", folder.path().display());
    let on_32_bits = |text: &str, more: &[&str]| {
        let headers = "-isystem/usr/include/x86_64-linux-gnu";
        let arguments = [&["-m32", &folder_argument, headers], more].concat();
        refusal(text, &arguments)
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
    match outcome {
        Err(errors) => println!("not run: this compiler has no -m32 or not its headers: {errors}"),
        Ok((short_offsets, good, no_atomics)) => {
            assert!(short_offsets.unwrap().contains("-D_FILE_OFFSET_BITS=64"));
            assert_eq!(good, None);
            assert!(no_atomics.unwrap().contains("lock-free"));
        }
    }
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
                .map(|(end, language)| language.start(&[end, &name, &count.to_string()]))
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
            ends.map(|(end, language)| language.start(&[end, kind, &name, &count]))
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

/// A word of a segment, by its offset in the header; nothing where there is no such segment yet.
fn word(name: &str, offset: u64) -> Option<u64> {
    let mut bytes = [0; 8];
    let file = fs::File::open(Named::path_of(name)).ok()?;
    file.read_exact_at(&mut bytes, offset).ok()?;
    Some(u64::from_ne_bytes(bytes))
}

/// Where a producer or writer, and a consumer or reader, asks to be woken; and where it counts whom it woke.
const ASKS: [u64; 2] = [392, 776];
const ANSWERS: [u64; 2] = [264, 648];

/// Waits until this peer, which does nothing else by now, has asked to be woken and sleeps.
fn await_asleep(peer: &Peer, name: &str, end: usize) {
    let deadline = Deadline::to("see a peer asleep");
    while word(name, ASKS[end]).is_none_or(|asks| asks == 0) || !peer.is_asleep() {
        deadline.wait();
    }
}

#[test]
fn two_in_any_languages_sleep_and_wake_each_other() {
    for (pair, how) in all_pairs()
        .into_iter()
        .flat_map(|pair| STARTS.map(|how| (pair, how)))
    {
        // Who comes first finds nothing, or fills the ring, and sleeps.
        for first in [0, 1] {
            let name = Named::new("c-asleep");
            let start = |end: usize| {
                how(
                    pair[end],
                    &[["send", "recv"][end], &name, &ASLEEP.to_string()],
                )
            };
            let one = start(first);
            await_asleep(&one, &name, first);
            let other = start(1 - first);
            one.end();
            other.end();
            let seen = Inspection::of(&name).unwrap();
            assert_eq!((seen.write_index, seen.read_index), (ASLEEP, ASLEEP));
            assert!(word(&name, ANSWERS[1 - first]) > Some(0), "{pair:?}");
        }
    }
}

#[test]
fn readers_in_any_language_sleep_until_there_is_a_value() {
    for [writer, reader] in all_pairs() {
        for kind in ["seqlock", "latch"] {
            let name = Named::new("c-values-asleep");
            let count = ASLEEP.to_string();
            let start = |language: Language, verb: &str, how: fn(Language, &[&str]) -> Peer| {
                how(language, &[verb, kind, &name, &count])
            };
            // Two of them: they ask by the same word.
            let readers = STARTS.map(|how| start(reader, "read", how));
            for reader in &readers {
                await_asleep(reader, &name, 1);
            }
            start(writer, "write", Language::start).end();
            readers.into_iter().for_each(Peer::end);
            assert!(
                word(&name, ANSWERS[0]) > Some(0),
                "{writer:?} to {reader:?}"
            );
        }
    }
}

/// What it has asked for is there when it is dead: it costs the other side one call, and no one else any.
#[test]
fn who_is_killed_asleep_costs_one_call() {
    for [sender, receiver] in all_pairs() {
        let name = Named::new("c-killed-asleep");
        let killed = receiver.sleeper(&["recv", &name, "3"]);
        await_asleep(&killed, &name, 1);
        drop(killed);
        sender.sleeper(&["send", &name, "3"]).end();
        assert_eq!(word(&name, ANSWERS[0]), Some(1), "{sender:?}");
        receiver.sleeper(&["recv", &name, "3"]).end();

        let name = Named::new("c-killed-asleep");
        let killed = sender.sleeper(&["send", &name, &ENDLESS.to_string()]);
        await_asleep(&killed, &name, 0);
        drop(killed);
        let sent = Inspection::of(&name).unwrap().write_index;
        let count = (sent + 10).to_string();
        let receiving = receiver.sleeper(&["recv", &name, &count]);
        await_index(&name, |seen| seen.read_index, sent);
        sender.sleeper(&["send", &name, &count]).end();
        receiving.end();
        assert_eq!(word(&name, ANSWERS[1]), Some(1), "{receiver:?}");
    }
}

/// Runs a program against a copy of the header in which each of the `places`, of which there are as many, is
/// changed: so the program's own functions are called there. With a fault of the file in it, it must fail.
fn finds_its_faults(program: &str, places: &[(&str, &str, usize)]) {
    let right = header("ringproof.h");
    let check = |fault: Option<&c::Fault>| {
        let mut text = fault.map_or(right.clone(), |fault| fault.inject(&right));
        for (place, changed, count) in places {
            assert_eq!(text.matches(place).count(), *count, "{place}");
            text = text.replace(place, changed);
        }
        let folder = Folder::with(&[("ringproof.h", &text)]);
        let output = folder.path().join(program);
        let folder_first = folder.first();
        let mut more = vec!["-D_GNU_SOURCE", &folder_first];
        if fault.is_some() {
            // It may leave something unused; and the compiler takes most of the time.
            more.extend(["-w", "-O0"]);
        }
        c::compile_to(&output, &format!("tests/{program}.c"), &more);
        let name = Named::new("c-meetings");
        let output = run(bounded(&output).arg(&*name));
        // One that fails may leave it.
        let _ = fs::remove_file(name.path());
        let errors = String::from_utf8_lossy(&output.stderr);
        let as_expected = match fault {
            None => output.status.success(),
            Some(_) => noticed(output.status),
        };
        let fault = fault.map_or("no fault".to_owned(), ToString::to_string);
        assert!(as_expected, "{fault}: {}: {errors}", output.status);
    };
    check(None);
    let faults = faults(&format!("{program}.txt"));
    thread::scope(|scope| {
        for half in faults.chunks(faults.len().div_ceil(2)) {
            scope.spawn(|| half.iter().for_each(|fault| check(Some(fault))));
        }
    });
}

/// One side looks in the middle of the other's operation, deterministically.
#[test]
fn who_meets_an_operation_is_not_deceived() {
    let places = [
        ("  ringproof_fence_acquire();", "in_a_read();", 2),
        ("  ringproof_fence_release();", "in_a_write();", 2),
        (
            "  ringproof_store_release(write_word, write_index);",
            "published();",
            1,
        ),
    ];
    let changed = places.map(|(place, call, _)| format!("{place}{call}"));
    let places: Vec<_> = (places.iter().zip(&changed))
        .map(|((place, _, count), changed)| (*place, changed.as_str(), *count))
        .collect();
    finds_its_faults("meetings", &places);
}

/// One side publishes at each step of the other's wait, deterministically: kernel and clock are the program's.
#[test]
fn no_wait_misses_what_ends_it() {
    let mark = "asked.mark = ringproof_load_relaxed(&waiter->theirs->answers);";
    finds_its_faults(
        "sleepers",
        &[
            (" syscall(", " call(", 2),
            (")syscall(", ")call(", 1),
            ("clock_gettime(", "tick(", 4),
            ("clock_nanosleep(", "pass(", 2),
            ("sched_yield();", "yield();", 2),
            (mark, &format!("{mark} marked();"), 1),
        ],
    );
}

/// A notifier's thread, which sleeps for hours unless it is woken: so who forgets to shows.
#[test]
fn a_notifier_is_readable_when_its_end_may_go_on() {
    finds_its_faults(
        "notifier",
        &[
            (" syscall(", " call(", 2),
            (")syscall(", ")call(", 1),
            ("pthread_create(", "create(", 1),
            (
                "RINGPROOF_INTERVAL UINT64_C(60000000)",
                "RINGPROOF_INTERVAL interval",
                1,
            ),
        ],
    );
}

/// Payloads, each with its name in tests/shapes.h and its description.
macro_rules! described {
    ($($name:literal: $repr:meta $shape:ident { $($fields:tt)* })*) => {{
        $(
            #[allow(dead_code, reason = "only its layout matters")]
            #[derive(Shape)]
            #[$repr]
            struct $shape { $($fields)* }
        )*
        vec![$(($name, Description::of::<$shape>().unwrap())),*]
    }};
}

#[test]
#[cfg(all(target_pointer_width = "64", target_endian = "little"))]
fn three_languages_describe_and_refuse_in_the_same_words() {
    use ringproof::Shape;

    #[allow(dead_code, reason = "only its layout matters")]
    #[derive(Shape)]
    #[repr(C)]
    struct Leg {
        qty: i32,
        ratio: f32,
    }

    #[allow(dead_code, reason = "only its layout matters")]
    #[derive(Shape)]
    #[repr(C)]
    struct Inner {
        leg: Leg,
        words: [u64; 2],
    }

    let mut shapes = described! {
        "quote": repr(C) Quote { seq: u64, price: f64, tag: [u8; 4], flags: u32, legs: [Leg; 2] }
        "reordered": repr(C) Reordered { price: f64, seq: u64, tag: [u8; 4], flags: u32, legs: [Leg; 2] }
        "renamed": repr(C) Renamed { seq: u64, price: f64, tag: [u8; 4], mask: u32, legs: [Leg; 2] }
        "small": repr(C) Small { sign: i8, one: [u8; 1], two: [i16; 2], text: [i8; 2], legs: [[Leg; 2]; 1] }
        "nest": repr(C) Nest { inner: Inner, rest: [u16; 4] }
        "packed": repr(C, packed) Packed { tag: u8, seq: u64, level: u16 }
        "narrow": repr(C, packed(4)) Narrow { kind: u32, seq: u64, level: u32 }
        "wide": repr(C) Wide { kind: u32, filler: u32, seq: u64, level: u32, end: u32 }
        "big": repr(C) Big { id: u128, sum: i128 }
    };
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
    let in_c = succeeds(&compile("tests/shapes.c", &[], "c-shapes"));
    let in_rust = said(&shapes);
    for (c, rust) in in_c.lines().zip(in_rust.lines()) {
        assert_eq!(c, rust);
    }
    assert!(in_c == in_rust);
    if has_cpp() {
        let program = compile("tests/shapes.cpp", &[], "cpp-shapes");
        assert!(succeeds(&program) == in_rust);
    }
    if has_32_bits(false) {
        // There is no number of 128 bits there.
        shapes.pop();
        let program = compile("tests/shapes.c", &M32, "c-shapes-32");
        assert!(succeeds(&program) == said(&shapes));
    }
}
