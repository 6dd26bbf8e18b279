//! Programs in C and C++ against the headers: what compiles them, runs them to their end, and injects faults
//! into what they include. (The tests of `impl` have this file, too.)
#![allow(dead_code, reason = "each test file uses its own part of this")]

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output};
use std::time::Instant;

use ringproof_record::{compiler, deadline};

use crate::named::Named;

/// The folder `impl/ffi`, from either package.
pub(crate) fn ffi() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    if package.ends_with("ffi") {
        package.to_owned()
    } else {
        package.join("ffi")
    }
}

pub(crate) fn include() -> PathBuf {
    ffi().join("include")
}

pub(crate) fn header(name: &str) -> String {
    fs::read_to_string(include().join(name)).expect(name)
}

/// A folder of its own below cargo's, gone with this value.
pub(crate) struct Folder(PathBuf);

impl Folder {
    /// With these files in it.
    pub(crate) fn with(files: &[(&str, &str)]) -> Folder {
        let name = Named::new("folder");
        let folder = Folder(Path::new(env!("CARGO_TARGET_TMPDIR")).join(&*name));
        fs::create_dir(folder.path()).expect("a folder");
        for (name, text) in files {
            fs::write(folder.path().join(name), text).expect("a file in it");
        }
        folder
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// An argument for the compiler: what is included is looked for here first.
    pub(crate) fn first(&self) -> String {
        format!("-I{}", self.0.display())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What a failed test left is worth no second panic.
        let _ = fs::remove_dir_all(&self.0);
    }
}

pub(crate) fn run(command: &mut Command) -> Output {
    let output = command.output();
    output.unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

/// Runs it, which must succeed. What it prints.
#[track_caller]
pub(crate) fn succeeds(command: &mut Command) -> String {
    let output = run(command);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    let status = output.status;
    assert!(status.success(), "{command:?}: {status}: {said}{errors}");
    said
}

/// A program that is ended with status 124 if it hangs.
pub(crate) fn bounded(program: &Path) -> Command {
    let mut command = Command::new("timeout");
    let limit = deadline::seconds(120).as_secs().to_string();
    command.arg(limit).arg(program);
    command
}

/// Whether the checks of a program found something, and did not hang.
pub(crate) fn noticed(status: ExitStatus) -> bool {
    !status.success() && status.code() != Some(124)
}

/// Whether there is a compiler for C++; says why not.
pub(crate) fn has_cpp() -> bool {
    let why_not = compiler::why_not("CXX", "c++");
    if let Some(why) = &why_not {
        eprintln!("not run: no compiler for C++ can be run here: {why}");
    }
    why_not.is_none()
}

/// A compiler call with every warning an error. `CC` and `CXX` choose another compiler.
pub(crate) fn compiler_for(cpp: bool) -> Command {
    let (variable, usual, standard) = if cpp {
        ("CXX", "c++", "-std=c++17")
    } else {
        ("CC", "cc", "-std=c11")
    };
    let mut command = compiler::from_env(variable, usual);
    command.args([standard, "-O2", "-Wall", "-Wextra", "-Wpedantic", "-Werror"]);
    // Where the C library has its threads apart.
    command.arg("-pthread");
    command
}

/// Compiles `source`, a path below `ffi`, to `program`. What `more` says goes before what is usual.
pub(crate) fn compile_to<A: AsRef<str>>(program: &Path, source: &str, more: &[A]) {
    let mut command = compiler_for(source.ends_with(".cpp"));
    command.arg(ffi().join(source));
    command.args(more.iter().map(AsRef::as_ref));
    succeeds(command.arg("-I").arg(include()).arg("-o").arg(program));
}

/// The same to a program of this name in cargo's folder, where it stays for the next run.
pub(crate) fn compile<A: AsRef<str>>(source: &str, more: &[A], name: &str) -> PathBuf {
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    // Another run of these tests may be using the program of that name.
    let new = program.with_file_name(format!("{name}.{}", std::process::id()));
    compile_to(&new, source, more);
    fs::rename(&new, &program).expect("rename it");
    program
}

/// What a compiler says of a text that it refuses. What `more` says goes before what is usual.
pub(crate) fn refusal<A: AsRef<str>>(
    mut compiler: Command,
    file: &str,
    text: &str,
    more: &[A],
) -> Option<String> {
    let folder = Folder::with(&[(file, text)]);
    // The file last: some options are of what comes after them.
    compiler.args(more.iter().map(AsRef::as_ref));
    compiler.arg("-I").arg(include());
    let output = run(compiler.arg(folder.path().join(file)));
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    (!output.status.success()).then_some(errors)
}

/// A change of a header.
pub(crate) struct Fault {
    right: String,
    wrong: String,
    places: usize,
}

/// The faults of a file, in its order. They stand there as in a diff.
pub(crate) fn faults(file: &str) -> Vec<Fault> {
    let path = ffi().join("tests/faults").join(file);
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{file}: {error}"));
    let mut faults = Vec::new();
    for piece in text.split("\n@@").skip(1) {
        let (places, lines) = piece.split_once('\n').expect("lines of a fault");
        let of = |sign| {
            let lines: Vec<_> = (lines.lines())
                .filter_map(|line| line.strip_prefix(sign))
                .collect();
            lines.join("\n")
        };
        faults.push(Fault {
            right: of('-'),
            wrong: of('+'),
            places: places.trim().parse().unwrap_or(1),
        });
    }
    assert!(!faults.is_empty(), "{file}: no faults");
    faults
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} -> {}", self.right, self.wrong)
    }
}

impl Fault {
    /// The text with this fault in it.
    #[track_caller]
    pub(crate) fn inject(&self, text: &str) -> String {
        let places = text.matches(&self.right).count();
        assert_eq!(places, self.places, "{self}: is this fault still right?");
        text.replace(&self.right, &self.wrong)
    }
}

/// The text with all faults of a file in it, and how many that are: the program which includes it has the one
/// of the number in `RINGPROOF_INJECTED`, because what asks for it is put before `begin`.
pub(crate) fn inject_by_number(text: &str, file: &str, begin: &str) -> (String, usize) {
    let (mut text, mut number) = (text.to_owned(), 0);
    for fault in faults(file) {
        let changed = fault.inject(&text);
        let mut pieces = changed.split("injected(N)");
        text = pieces.next().unwrap_or_default().to_owned();
        for piece in pieces {
            number += 1;
            text += &format!("injected({number}){piece}");
        }
    }
    assert_eq!(text.matches(begin).count(), 1, "{begin}: not one place");
    let injected = "#include <stdlib.h>\n\
                   static inline bool injected(int number) {\n  \
                   const char *text = getenv(\"RINGPROOF_INJECTED\");\n  \
                   return text && atoi(text) == number;\n}\n";
    (text.replace(begin, &format!("{injected}{begin}")), number)
}

/// A peer process, killed when it is dropped.
pub(crate) struct Peer {
    command: Box<dyn Fn() -> Command>,
    child: Child,
}

impl Peer {
    /// `command` makes what is run, each time.
    pub(crate) fn start(command: impl Fn() -> Command + 'static) -> Peer {
        let child = command().spawn().expect("start a peer");
        let command = Box::new(command);
        Peer { command, child }
    }

    /// Kills it, which must not have ended, and starts it again.
    pub(crate) fn restart(&mut self) {
        self.child.kill().expect("kill a peer");
        let status = self.child.wait().expect("wait for a peer");
        let mut command = (self.command)();
        assert_eq!(status.signal(), Some(9), "{command:?}: {status}");
        self.child = command.spawn().expect("start it again");
    }

    /// Whether the kernel says that it sleeps, of its first thread.
    pub(crate) fn is_asleep(&self) -> bool {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id()));
        // After the name of its program, whatever that is.
        stat.is_ok_and(|stat| {
            stat.rsplit(") ")
                .next()
                .is_some_and(|rest| rest.starts_with('S'))
        })
    }

    pub(crate) fn end(mut self) {
        let start = Instant::now();
        let status = loop {
            match self.child.try_wait().expect("wait for a peer") {
                Some(status) => break status,
                None => wait(start, "see a peer end"),
            }
        };
        assert!(status.success(), "{:?}: {status}", (self.command)());
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // Both fail only where it has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Lets others run; what takes very long hangs.
#[track_caller]
pub(crate) fn wait(since: Instant, to: &str) {
    assert!(since.elapsed() < deadline::seconds(300), "waited to {to}");
    std::thread::yield_now();
}

/// As in peer.c and lib.c.
pub(crate) fn check_of(seq: u64) -> u64 {
    let seq = (seq ^ (seq >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let seq = (seq ^ (seq >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    seq ^ (seq >> 31)
}
