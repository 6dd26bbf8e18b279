//! The C header, compiled with sanitizers, attaches to the same segments.

use std::cell::RefCell;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, Result, anyhow, bail, ensure};
use ringproof::layout::Kind;
use ringproof_record::compiler;
use tempfile::TempDir;

use super::description::{Image, Verdict, each_text, printable};
use crate::desk::Setting;
use crate::fault::Fault;
use crate::shm::Name;
use crate::{compile, program};

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
    let attach = |kind, image: &Image, named: &Name| program.borrow_mut().judge(kind, image, named);
    each_text(setting, |_| true, &attach)
}

/// A program that attaches to what it is asked to.
struct Program {
    program: program::Program,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Program {
    /// Compiles and starts it. If that cannot be done here, the case is skipped.
    fn start(setting: &Setting<'_>, directory: &TempDir) -> Result<Option<Program>> {
        let program = directory.path().join("program");
        if let Err(why) = compile::why_not(sanitized(directory.path()), &program) {
            let why = format!("there is no C compiler with sanitizers: {why}");
            setting.skip("the C header", &why);
            return Ok(None);
        }
        let mut header = HEADER.to_owned();
        for (_, from, to) in INJECTED.iter().filter(|(inject, ..)| setting.has(*inject)) {
            ensure!(header.contains(from), "there is no `{from}` in the header");
            header = header.replace(from, to);
        }
        let path = directory.path().join("ringproof.h");
        fs::write(path, header).context("cannot write the header")?;
        compile::program(sanitized(directory.path()), PROGRAM, &program)?
            .map_err(|why| anyhow!("it does not compile: {why}"))?;
        let mut command = Command::new(program);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut program = program::Program::start(command, "the program in C".to_owned())?;
        let (orders, answers) = program.pipes()?;
        Ok(Some(Program {
            program,
            orders,
            answers: BufReader::new(answers),
        }))
    }

    fn judge(&mut self, kind: Kind, image: &Image, named: &Name) -> Result<()> {
        let verdict = image.verdict(kind);
        let asked = writeln!(self.orders, "{} {}", kind as u32, &**named);
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
        // It is over: what it wrote is there, and its end.
        self.program.kill();
        let said = self.program.complaint();
        let line = said
            .lines()
            .find(|line| line.contains("ERROR") || line.contains("error"));
        line.unwrap_or("without a word").to_owned()
    }
}

/// A compiler that makes programs with sanitizers.
fn sanitized(directory: &Path) -> Command {
    let mut command = compiler::from_env("CC", "cc");
    command
        .args(["-std=c11", "-O1", "-g", "-D_GNU_SOURCE", "-pthread"])
        .args(["-fsanitize=address,undefined", "-fno-sanitize-recover=all"])
        .arg("-I")
        .arg(directory)
        .arg("-xc");
    command
}
