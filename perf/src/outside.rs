//! The program of its own that measures what needs other crates, and is asked for its report.
//!
//! It needs hundreds of crates that nothing else here does. They are a package
//! outside the workspace (peers/), so that they are compiled only when asked for; its program measures with
//! this library and prints its report as JSON, and here it joins the others.

use std::env;
use std::fs;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::ValueEnum;
use ringproof_record::{Exit, cargo, deadline};

use crate::cpus::Wanted;
use crate::report::{Report, Trouble};
use crate::run::{Extent, Settings};

/// How to build what it asks.
pub const BUILD: &str = "cargo run --release -p ringproof-perf -- peers --build";

/// The program that measures.
const PROGRAM: &str = "ringproof-perf-peers";

/// Builds the program and puts it beside this one, wherever cargo puts what it builds. Cargo shows
/// how far it is.
///
/// # Errors
/// If cargo cannot be started, cannot build it or does not name it, or it cannot be copied.
pub fn build() -> anyhow::Result<()> {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/Cargo.toml");
    let here = env::current_exe().context("this program does not know where it lies")?;
    let target = (here.parent().and_then(Path::parent))
        .with_context(|| format!("`{}` lies in no target folder", here.display()))?;
    let output = cargo::command()
        .args(["build", "--release", cargo::MESSAGES, "--manifest-path"])
        .arg(&manifest)
        .arg("--target-dir")
        .arg(target.join("peers"))
        .stderr(Stdio::inherit())
        .output()
        .context("cannot start cargo")?;
    if !output.status.success() {
        bail!(
            "cargo could not build `{}`: {}",
            manifest.display(),
            output.status
        );
    }
    let messages = String::from_utf8_lossy(&output.stdout);
    let program = (messages.lines())
        .find_map(|message| cargo::executable(message, cargo::Kind::Bin, PROGRAM))
        .with_context(|| format!("cargo does not say where it put `{PROGRAM}`"))?;
    let beside = here.with_file_name(PROGRAM);
    // A program that runs cannot be written over, but its name can be given to another file.
    let copied = match fs::remove_file(&beside) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => fs::copy(&program, &beside).map(drop),
    };
    let (from, to) = (program.display(), beside.display());
    copied.with_context(|| format!("cannot copy `{from}` to `{to}`"))
}

/// Where a program lies if it is built: beside the one at `here`.
pub(crate) fn built(here: &Path, program: &str) -> Option<PathBuf> {
    Some(here.with_file_name(program)).filter(|program| program.is_file())
}

/// Asks the program, if it is built, for the report called `name`.
pub(crate) fn ask(name: &str, settings: &Settings) -> Result<Report, Trouble> {
    let here =
        env::current_exe().map_err(Trouble::of("this program does not know where it lies"))?;
    ask_from(&here, name, settings)
}

/// The same where this program lies at `here`.
fn ask_from(here: &Path, name: &str, settings: &Settings) -> Result<Report, Trouble> {
    let Some(program) = built(here, PROGRAM) else {
        return Err(Trouble::NotRun(format!(
            "its program is not built: it takes hundreds of crates, which are compiled only when asked \
             for; build it with `{BUILD}`"
        )));
    };
    if is_older(&program, here) {
        return Err(Trouble::NotRun(format!(
            "its program is older than this one, so what it would measure may be older code; \
             build it again with `{BUILD}`"
        )));
    }
    answer(&program, name, settings)
}

/// Whether one file was changed before another; not if either's time is not to be had.
fn is_older(one: &Path, other: &Path) -> bool {
    let changed = |path: &Path| path.metadata().and_then(|about| about.modified());
    matches!((changed(one), changed(other)), (Ok(one), Ok(other)) if one < other)
}

/// After so long the program hangs, whatever it measures.
fn patience(extent: Extent) -> Duration {
    deadline::seconds(match extent {
        Extent::Smoke => 60,
        Extent::Quick => 300,
        Extent::Full => 1800,
    })
}

/// Runs the program and reads its report.
fn answer(program: &Path, name: &str, settings: &Settings) -> Result<Report, Trouble> {
    let extent = settings.extent.to_possible_value();
    let extent = extent.as_ref().map_or("full", |value| value.get_name());
    let mut command = Command::new(program);
    command.args([name, "--report", "--extent", extent]);
    command.arg("--rounds").arg(settings.rounds.to_string());
    command.arg("--seed").arg(settings.seed.to_string());
    if let Some(Wanted(first, second)) = settings.cpus {
        command.arg("--cpus").arg(format!("{first},{second}"));
    }
    // Its standard error is ours: that is where its progress is drawn.
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
    let child = child.map_err(Trouble::of("its program cannot be started"))?;
    let (ended, said) = wait(child, patience(settings.extent))?;
    match serde_json::from_slice::<Report>(&said) {
        Ok(report) if ended.code() == Some(Exit::of(&report.rows).code().into()) => Ok(report),
        Err(error) if ended.success() => Err(Trouble::NotRun(format!(
            "its program prints no report that this one reads ({error}); build it again with \
             `{BUILD}`"
        ))),
        _ => Err(Trouble::Failed(format!(
            "its program ended early, or otherwise than its rows say: {ended}"
        ))),
    }
}

/// How a child ended, and what it printed until then.
fn wait(mut child: Child, patience: Duration) -> Result<(ExitStatus, Vec<u8>), Trouble> {
    let output = child.stdout.take();
    let (sender, receiver) = mpsc::channel();
    // Reading ends when the child does. It is not joined: a child that is given up may have
    // children that keep the pipe open.
    thread::spawn(move || {
        let mut said = Vec::new();
        let read = output.map_or(Ok(0), |mut output| output.read_to_end(&mut said));
        // No one receives it any more if the child was given up.
        let _ = sender.send(read.map(|_| said));
    });
    let said = receiver.recv_timeout(patience);
    if said.is_err() {
        // It may have ended at this very moment: then there is nothing to kill.
        let _ = child.kill();
    }
    let ended = child.wait().map_err(Trouble::of("its program was lost"))?;
    let said = said.map_err(|_| {
        Trouble::Failed(format!(
            "its program was not done after {} s",
            patience.as_secs()
        ))
    })?;
    let said = said.map_err(Trouble::of("what its program printed could not be read"))?;
    Ok((ended, said))
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::time::SystemTime;

    use ringproof_record::{Record, Verdict, program};
    use tempfile::TempDir;

    use super::*;
    use crate::plot::Plot;
    use crate::report::LAYER;
    use crate::stats::Summary;
    use crate::table::{Cell, Table};

    /// A program that is this shell script.
    fn script(folder: &TempDir, text: &str) -> PathBuf {
        let path = folder.path().join(PROGRAM);
        program::write(&path, &format!("#!/bin/sh\n{text}\n")).unwrap();
        path
    }

    fn smoke() -> Settings {
        Settings::of(Extent::Smoke)
    }

    /// A report with something in each of its places.
    fn full() -> Report {
        let starved = Summary {
            median: 2.5,
            min: 1.5,
            max: f64::INFINITY,
        };
        let mut table = Table::new("rings", ["crate", "rate"]);
        table.add([Cell::words("rtrb"), Cell::figure("1.0")]);
        table.add([Cell::words("none"), Cell::missing("there is none")]);
        let mut report = Report::new("peers");
        report.note("a note");
        report.tables.push(table);
        let points = [("latch".to_owned(), 32.0, starved)];
        report
            .plots
            .push(Plot::lines("rates", "bytes", "ns", points));
        report.conclusions.push("a conclusion".to_owned());
        report.rows.push(Record::passed(LAYER, "ring", "rtrb"));
        report
    }

    #[test]
    fn a_report_is_the_same_after_its_way_through_json() {
        let report = full();
        let text = serde_json::to_string(&report).unwrap();
        assert_eq!(serde_json::from_str::<Report>(&text).unwrap(), report);
    }

    #[test]
    fn what_the_program_prints_is_the_report() {
        let folder = TempDir::new().unwrap();
        let text = serde_json::to_string(&full()).unwrap();
        // Its arguments say what to measure.
        let arguments = "peers --report --extent smoke --rounds 3 --seed 0 --cpus 4,5";
        let program = script(
            &folder,
            &format!("[ \"$*\" = '{arguments}' ] && cat <<'END'\n{text}\nEND"),
        );
        let settings = Settings {
            cpus: Some(Wanted(4, 5)),
            ..smoke()
        };
        assert_eq!(answer(&program, "peers", &settings).unwrap(), full());
    }

    #[test]
    fn a_program_ends_as_its_rows_say() {
        let folder = TempDir::new().unwrap();
        let mut report = full();
        let row = Record::not_run(LAYER, "ring", "gil", "there is none");
        report.rows.push(row);
        let text = serde_json::to_string(&report).unwrap();
        let ending = |status| script(&folder, &format!("cat <<'END'\n{text}\nEND\nexit {status}"));
        assert_eq!(answer(&ending(3), "peers", &smoke()), Ok(report));
        for wrong in [0, 1] {
            says(answer(&ending(wrong), "peers", &smoke()), false, "");
        }
    }

    /// That an answer is missing, with a reason that contains this.
    #[track_caller]
    fn says(trouble: Result<Report, Trouble>, not_run: bool, word: &str) {
        match trouble.unwrap_err() {
            Trouble::NotRun(why) => assert!(not_run && why.contains(word), "{why}"),
            Trouble::Failed(why) => assert!(!not_run && why.contains(word), "{why}"),
        }
    }

    #[test]
    fn a_program_that_prints_something_else_is_to_be_built_again() {
        let folder = TempDir::new().unwrap();
        let program = script(&folder, "echo '{\"title\": 7}'");
        says(answer(&program, "peers", &smoke()), true, BUILD);
    }

    #[test]
    fn a_program_that_breaks_or_hangs_has_failed() {
        let folder = TempDir::new().unwrap();
        let program = script(&folder, "kill -SEGV $$");
        says(answer(&program, "peers", &smoke()), false, "signal: 11");

        let mut sleep = Command::new("sleep");
        let child = sleep.arg("600").stdout(Stdio::piped()).spawn().unwrap();
        let trouble = wait(child, Duration::from_millis(20)).unwrap_err();
        assert!(matches!(trouble, Trouble::Failed(_)), "{trouble:?}");
    }

    #[test]
    fn it_is_found_beside_this_program() {
        let folder = TempDir::new().unwrap();
        let here = folder.path().join("ringproof-perf");
        assert_eq!(built(&here, PROGRAM), None);
        let beside = folder.path().join(PROGRAM);
        File::create(&beside).unwrap();
        assert_eq!(built(&here, PROGRAM), Some(beside));
    }

    #[test]
    fn an_older_program_is_not_run() {
        let folder = TempDir::new().unwrap();
        let [old, new] = ["old", "new"].map(|name| folder.path().join(name));
        File::create(&new).unwrap();
        let file = File::create(&old).unwrap();
        file.set_modified(SystemTime::UNIX_EPOCH).unwrap();
        assert!(is_older(&old, &new));
        assert!(!is_older(&new, &old));
        assert!(!is_older(&old, &folder.path().join("gone")));

        let program = script(&folder, "exit 1");
        (File::open(&program).unwrap())
            .set_modified(SystemTime::UNIX_EPOCH)
            .unwrap();
        says(ask_from(&new, "peers", &smoke()), true, BUILD);
    }

    #[test]
    fn where_it_is_not_built_the_report_says_how_to_build_it() {
        let empty = TempDir::new().unwrap();
        let here = empty.path().join("release/ringproof-perf");
        let trouble = ask_from(&here, "peers", &smoke()).unwrap_err();
        let report = Report::of_trouble("peers", "ring", &trouble);
        assert!(report.has(Verdict::NotRun) && !report.has(Verdict::Failed));
        assert!(report.render().contains(BUILD), "{}", report.render());
    }
}
