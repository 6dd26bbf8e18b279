//! The C header, compiled with sanitizers, attaches to the same segments.

use std::cell::RefCell;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, Result, anyhow, bail, ensure};
use ringproof_record::compiler;
use tempfile::TempDir;

use super::description::{Image, Verdict, each_text, printable};
use super::fixture::{Named, Shape};
use crate::desk::Setting;
use crate::fault::Fault;

const HEADER: &str = include_str!("../../../impl/ffi/include/ringproof.h");
const PROGRAM: &str = include_str!("attach.c");

/// What is injected in the header: what stands there, and what is put in its place.
const INJECTED: [(Fault, &str, &str); 2] = [
    (
        Fault::BeginningAlone,
        "our_len != len || memcmp(ours, theirs, len) != 0",
        // As far as the size of an item, and no further.
        "memcmp(ours, theirs, strcspn(ours, \"\\n\")) != 0",
    ),
    (
        Fault::UnboundedLen,
        "fixed->description_len > RINGPROOF_DESCRIPTION_MAX",
        "false",
    ),
];

/// Attached to as what it may be, by a program in C.
pub(crate) fn attached(setting: &Setting<'_>, directory: &Path) -> Result<()> {
    // Not in /dev/shm: what is left there is looked for by name.
    let directory = tempfile::tempdir_in(directory).context("cannot make a directory")?;
    let Some(program) = Program::start(setting, &directory)? else {
        return Ok(());
    };
    let program = RefCell::new(program);
    let attach =
        |shape, image: &Image, named: &Named| program.borrow_mut().judge(shape, image, named);
    each_text(setting, |_| true, &attach).map(drop)
}

/// A program that attaches, and waits to be told to what.
struct Program {
    child: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Program {
    /// Compiles and starts it. If that cannot be done here, the case is skipped.
    fn start(setting: &Setting<'_>, directory: &TempDir) -> Result<Option<Program>> {
        let what = "the C header";
        let mut compiler = compiler::from_env("CC", "cc");
        if let Err(error) = compiler.arg("--version").output() {
            let program = compiler.get_program();
            setting.skip(
                what,
                &format!("there is no C compiler {program:?}: {error}"),
            );
            return Ok(None);
        }
        let plain = compile(directory.path(), "int main(void) { return 0; }")?;
        if let Err(why) = plain {
            let program = compiler.get_program();
            setting.skip(what, &format!("{program:?} has no sanitizers here: {why}"));
            return Ok(None);
        }
        let mut header = HEADER.to_owned();
        for (_, from, to) in INJECTED.iter().filter(|(inject, ..)| setting.has(*inject)) {
            ensure!(header.contains(from), "there is no `{from}` in the header");
            header = header.replace(from, to);
        }
        let path = directory.path().join("ringproof.h");
        fs::write(path, header).context("cannot write the header")?;
        let program = compile(directory.path(), PROGRAM)?
            .map_err(|why| anyhow!("it does not compile: {why}"))?;
        let mut child = Command::new(program)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("cannot start the program in C")?;
        let orders = child.stdin.take().context("no standard input")?;
        let answers = child.stdout.take().context("no standard output")?;
        Ok(Some(Program {
            child,
            orders,
            answers: BufReader::new(answers),
        }))
    }

    fn judge(&mut self, shape: Shape, image: &Image, named: &Named) -> Result<()> {
        let verdict = image.verdict(shape);
        let asked = writeln!(self.orders, "{} {}", shape.kind(), named.name);
        let Ok((attached, message)) = asked.map_err(Into::into).and_then(|()| self.answer()) else {
            bail!(
                "{verdict:?}, and the program in C ended: {}",
                self.last_words()
            );
        };
        ensure!(
            attached == (verdict == Verdict::Right),
            "{verdict:?}, attached: {attached}: {message}"
        );
        let compared = message.contains(" holds another payload: ");
        ensure!(
            attached || compared || (message.contains(" is ") && verdict != Verdict::OtherPayload),
            "{verdict:?}, and it says {message:?}"
        );
        printable(message.as_bytes(), b"\n")
    }

    /// Whether it is attached, and if not, why.
    fn answer(&mut self) -> Result<(bool, String)> {
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        let (attached, len) = line.trim_end().split_once(' ').context("no answer")?;
        let mut message = vec![0; len.parse()?];
        self.answers.read_exact(&mut message)?;
        Ok((
            attached == "1",
            String::from_utf8_lossy(&message).into_owned(),
        ))
    }

    /// What a sanitizer has said, as far as it says what it is about.
    fn last_words(&mut self) -> String {
        let mut said = String::new();
        // It is over: what it wrote is there, and its end.
        let _ = self.child.kill();
        if let Some(mut errors) = self.child.stderr.take() {
            let _ = errors.read_to_string(&mut said);
        }
        let line = said
            .lines()
            .find(|line| line.contains("ERROR") || line.contains("error"));
        line.unwrap_or("without a word").to_owned()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Both fail only where it has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Compiles a program with sanitizers; its path, or what the compiler said first.
fn compile(directory: &Path, source: &str) -> Result<Result<PathBuf, String>> {
    let (from, to) = (directory.join("program.c"), directory.join("program"));
    fs::write(&from, source).context("cannot write a program")?;
    let output = compiler::from_env("CC", "cc")
        .args(["-std=c11", "-O1", "-g", "-D_GNU_SOURCE", "-pthread"])
        .args(["-fsanitize=address,undefined", "-fno-sanitize-recover=all"])
        .arg("-I")
        .arg(directory)
        .arg(&from)
        .arg("-o")
        .arg(&to)
        .output()
        .context("cannot run a compiler")?;
    if output.status.success() {
        return Ok(Ok(to));
    }
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    Ok(Err(said.lines().next().unwrap_or_default().to_owned()))
}
