//! The negative evidence: fake layers that break their contract in every way are caught.

use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use ringproof_record::cargo::Kind;
use ringproof_record::{Exit, Record, Verdict, deadline};
use ringproof_verify::collect::{
    Collected, Job, RAN_TO_ITS_END, build as build_programs, collect, collect_sites,
};
use ringproof_verify::layers::Build;
use ringproof_verify::process::{Ending, supervise};

/// A fake layer: a line of shell.
fn fake(script: &str) -> Job {
    Job {
        layer: "crash".to_owned(),
        program: Ok(PathBuf::from("sh")),
        args: vec!["-c".into(), script.into()],
        directory: env::temp_dir(),
        deadline: deadline::seconds(120),
        repeat: "cargo verify --layer crash".to_owned(),
    }
}

/// What is collected of a fake that hangs after it has come to `there`, which depends on no
/// timing: it is run again with twice the time until it has come as far. And that time.
fn run_out_of_time(
    script: &str,
    there: impl Fn(&Collected<Record>) -> bool,
) -> (Collected<Record>, Duration) {
    let mut job = fake(script);
    job.deadline = Duration::from_millis(250);
    loop {
        let collected = collect(&job, |_| {});
        if there(&collected) {
            return (collected, job.deadline);
        }
        job.deadline *= 2;
        assert!(job.deadline < deadline::seconds(240), "{collected:?}");
    }
}

fn run(script: &str) -> Collected<Record> {
    collect(&fake(script), |_| {})
}

const GOOD: &str =
    r#"echo '{"layer":"crash","subject":"RingPublish","check":"crash before","verdict":"passed"}'"#;
const BAD: &str = r#"echo '{"layer":"crash","subject":"RingPublish","check":"crash after","verdict":"failed","reason":"lost one"}'"#;
const NOT_RUN: &str = r#"echo '{"layer":"crash","subject":"RingPublish","check":"crash after","verdict":"not_run","reason":"no ptrace"}'"#;

/// Why the driver says that the fake broke its contract.
#[track_caller]
fn complaint(collected: &Collected<Record>) -> &str {
    let row = collected.broken.as_ref();
    let row = row.expect("the broken layer was believed");
    assert_eq!([&*row.layer, &*row.subject], ["crash"; 2]);
    assert_eq!(
        (&*row.check, row.verdict),
        (RAN_TO_ITS_END, Verdict::Failed)
    );
    assert!(row.repeat.is_some());
    row.reason.as_deref().expect("a failed row has a reason")
}

/// That the driver says all of this against it.
#[track_caller]
fn assert_complains(collected: &Collected<Record>, words: &[&str]) {
    let why = complaint(collected);
    assert!(words.iter().all(|word| why.contains(word)), "{why}");
}

#[test]
fn a_good_layer_is_believed() {
    let collected = run(&format!("{GOOD}; echo prose >&2; {GOOD}"));
    assert_eq!(collected.broken, None);
    assert_eq!(collected.rows.len(), 2);
    assert_eq!(collected.tail, ["prose"]);
}

#[test]
fn a_failed_row_is_kept() {
    let collected = run(&format!("{GOOD}; {BAD}; exit 1"));
    assert_eq!(collected.broken, None);
    assert_eq!(collected.rows[1].verdict, Verdict::Failed);
}

#[test]
fn the_status_is_the_one_that_follows_from_the_rows() {
    let rows = [
        (GOOD.to_owned(), 0),
        (format!("{GOOD}; {NOT_RUN}"), 3),
        (format!("{NOT_RUN}; {BAD}; {GOOD}"), 1),
    ];
    for (rows, follows) in rows {
        for status in [0, 1, 2, 3, 101] {
            let collected = run(&format!("{rows}; exit {status}"));
            if status == follows {
                assert_eq!(collected.broken, None, "{rows}");
                continue;
            }
            let ended = format!("ended with status {status},");
            assert_complains(&collected, &[&ended, &format!("follows status {follows}")]);
        }
    }
}

/// A layer as it is where a tool is missing: the script that reads machine code, without a
/// disassembler on its path.
#[test]
fn a_real_layer_that_cannot_run_here_is_believed() {
    let directory = tempfile::tempdir().unwrap();
    for tool in ["bash", "dirname", "sed"] {
        let found = env::split_paths(&env::var_os("PATH").unwrap())
            .map(|folder| folder.join(tool))
            .find(|path| path.is_file());
        symlink(found.unwrap(), directory.path().join(tool)).unwrap();
    }
    let mut job = fake("");
    job.layer = "asm".to_owned();
    job.program = Ok(PathBuf::from("/usr/bin/env"));
    job.args = vec![
        format!("PATH={}", directory.path().display()).into(),
        concat!(env!("CARGO_MANIFEST_DIR"), "/asm.sh").into(),
        "--json".into(),
    ];
    let collected = collect(&job, |_| {});
    assert_eq!(collected.broken, None);
    assert_eq!(Exit::of(&collected.rows), Exit::NotRun);
}

#[test]
fn a_status_without_a_failed_row_fails_and_shows_the_last_words() {
    let collected = run(&format!("{GOOD}; echo 'out of memory' >&2; exit 7"));
    assert_complains(&collected, &["status 7", "out of memory"]);
    // What came before stays in the report.
    assert_eq!(collected.rows.len(), 1);
}

#[test]
fn what_breaks_the_contract_is_named() {
    let other = r#"echo '{"layer":"loom","subject":"A","check":"b","verdict":"passed"}'"#;
    let silent = r#"echo '{"layer":"crash","subject":"A","check":"b","verdict":"not_run"}'"#;
    for (script, words) in [
        // Silence has not passed.
        ("exit 0", &["no row"][..]),
        // A death by a signal, also beside a failed row.
        (&format!("{BAD}; kill -SEGV $$"), &["signal 11"]),
        // Prose among the rows.
        (
            &format!("echo running; {GOOD}; echo; echo done"),
            &["3 of its lines", "`running`"],
        ),
        // A row of another layer; one that did not run and does not say why; bytes that are no text.
        (other, &["layer `loom`"]),
        (silent, &["must give its reason"]),
        (r"printf '\377\000\033[2J\n'", &["refused"]),
    ] {
        assert_complains(&run(script), words);
    }
}

#[test]
fn what_could_steer_a_terminal_is_taken_out_of_rows_and_prose() {
    let row =
        r#"{"layer":"crash","subject":"A","check":"b","verdict":"failed","reason":"\u001b[2J"}"#;
    let collected = run(&format!(
        r#"printf "%s\n" '{row}'; printf '\033[31mred\n' >&2; exit 1"#
    ));
    assert_eq!(collected.broken, None);
    assert_eq!(collected.rows[0].reason.as_deref(), Some("\u{fffd}[2J"));
    assert_eq!(collected.tail, ["\u{fffd}[31mred"]);
}

#[test]
fn a_program_that_is_not_there_fails() {
    let mut job = fake("");
    job.program = Ok(PathBuf::from("/nonexistent/ringproof-layer"));
    assert!(complaint(&collect(&job, |_| {})).contains("could not be run"));
    job.program = Err("cargo did not name it".to_owned());
    assert_eq!(complaint(&collect(&job, |_| {})), "cargo did not name it");
}

#[test]
fn a_layer_that_hangs_is_killed_with_its_children() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("pid");
    // A sleep that is never waited for.
    let script = format!(
        "{GOOD}; sleep 100000 & echo $! > '{}'; wait",
        file.display()
    );
    let pid = || fs::read_to_string(&file).ok();
    let is_whole = |pid: String| pid.ends_with('\n');
    let (collected, time) = run_out_of_time(&script, |_| pid().is_some_and(is_whole));
    let said = format!("did not end within {} s", time.as_secs_f32());
    assert!(complaint(&collected).contains(&said));
    assert_eq!(collected.rows.len(), 1);
    assert_dies(&pid().unwrap());
}

/// A slow driver is not held against the layer.
#[test]
fn lines_that_are_read_long_after_the_end_leave_nothing_behind() {
    let mut command = Command::new("sh");
    // More than the driver holds ready: the news of the end is among them.
    command.args(["-c", "seq 2200"]);
    let mut lines = 0;
    let ending = supervise(command, deadline::seconds(120), |_| {
        lines += 1;
        // Longer, all together, than a process may be left behind.
        if lines > 1100 {
            thread::sleep(Duration::from_millis(3));
        }
    });
    assert!(matches!(ending, Ending::Exited(_)), "{ending:?}");
    assert_eq!(lines, 2200);
}

#[test]
fn a_layer_that_never_stops_printing_is_stopped() {
    let refused = |collected: &Collected<Record>| complaint(collected).contains("refused");
    let (collected, _) = run_out_of_time("yes", refused);
    assert!(complaint(&collected).contains("did not end"));
}

#[test]
fn a_process_left_behind_is_reported_and_killed() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("pid");
    let script = format!("{GOOD}; sleep 600 & echo $! > '{}'", file.display());
    let collected = run(&script);
    assert!(complaint(&collected).contains("left a process behind"));
    assert_dies(&fs::read_to_string(&file).unwrap());
}

#[test]
fn the_table_of_sites_is_held_to_the_same() {
    let site = r#"echo '{"name":"A","kind":"load","ordering":"Acquire","partner":"B","why":"c"}'"#;
    let sites = |script: &str| collect_sites(&fake(script), |_| {});
    assert_eq!(sites(site).broken, None);
    assert!(sites("exit 0").broken.is_some());
    for status in [1, 2, 3] {
        assert!(sites(&format!("{site}; exit {status}")).broken.is_some());
    }
    let twice = sites(&format!("{site}; {site}")).broken.unwrap();
    let why = twice.reason.unwrap();
    assert!(why.contains("came before"), "{why}");
}

/// Two programs, one of which the fake cargo, a line of shell, may build.
fn built_by(script: &str) -> [Result<PathBuf, String>; 2] {
    let build = |program, kind| Build {
        package: "package",
        program,
        kind,
        features: &["loom"],
    };
    let builds = [build("layer", Kind::Bin), build("asm", Kind::Example)];
    let mut command = Command::new("sh");
    command.args(["-c", script, "cargo"]);
    let built = build_programs(command, &builds, deadline::seconds(120), |_| {});
    built.try_into().expect("an outcome of each")
}

const BUILT: &str = r#"{"reason":"compiler-artifact","target":{"kind":["bin"],"name":"layer"},"executable":"/a/layer"}"#;
const EXAMPLE: &str = r#"{"reason":"compiler-artifact","target":{"kind":["example"],"name":"asm"},"executable":"/a/asm"}"#;

#[test]
fn programs_are_where_the_build_says() {
    let built = built_by(&format!(
        "echo '{EXAMPLE}'; echo '{BUILT}'; echo warning >&2"
    ));
    assert_eq!(built, [Ok("/a/layer".into()), Ok("/a/asm".into())]);
}

#[test]
fn cargo_is_asked_for_all_programs_at_once() {
    let [why, _] = built_by(r#"echo "$*" >&2; exit 1"#);
    let asked = "build --release --keep-going --message-format=json-render-diagnostics \
                 --package package --bin layer --features package/loom \
                 --package package --example asm --features package/loom";
    let why = why.unwrap_err();
    assert!(why.contains(asked), "{why}");
}

#[test]
fn a_build_that_fails_hands_over_its_last_lines_and_what_it_has_built() {
    let [layer, asm] = built_by(&format!(
        "echo '{BUILT}'; echo 'error[E0308]' >&2; exit 101"
    ));
    assert_eq!(layer, Ok("/a/layer".into()));
    let why = asm.unwrap_err();
    assert!(
        why.contains("status 101") && why.contains("error[E0308]"),
        "{why}"
    );
}

#[test]
fn a_build_that_does_not_name_the_program_is_refused() {
    for script in ["true".to_owned(), format!("echo '{EXAMPLE}'")] {
        let [layer, _] = built_by(&script);
        let why = layer.unwrap_err();
        assert!(
            why.contains("did not say where it has put the program `layer`"),
            "{why}"
        );
    }
}

/// A driver that is killed takes its layer with it: this test runs itself as the driver.
#[test]
fn a_layer_dies_with_the_driver() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("pid");
    let mut driver = Command::new(env::current_exe().unwrap())
        .args(["--exact", "driver_to_be_killed", "--ignored"])
        .env("RINGPROOF_TEST_PID", &file)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let layer = until(|| {
        fs::read_to_string(&file)
            .ok()
            .filter(|text| text.ends_with('\n'))
    });
    driver.kill().unwrap();
    driver.wait().unwrap();
    assert_dies(&layer.expect("the layer started"));
}

#[test]
#[ignore = "the other half of a_layer_dies_with_the_driver, which runs it"]
fn driver_to_be_killed() {
    if let Ok(file) = env::var("RINGPROOF_TEST_PID") {
        run(&format!("echo $$ > '{file}'; exec sleep 600"));
    }
}

/// Waits until that process is gone, or only a zombie that its adopter has yet to reap.
#[track_caller]
fn assert_dies(pid: &str) {
    let stat = format!("/proc/{}/stat", pid.trim());
    let is_zombie = |text: String| {
        text.rsplit_once(')')
            .is_some_and(|(_, rest)| rest.starts_with(" Z"))
    };
    let gone = || fs::read_to_string(&stat).ok().is_none_or(is_zombie);
    let died = until(|| gone().then_some(()));
    assert!(died.is_some(), "process {pid} is still there");
}

/// Asks again until there is an answer, or it hangs.
fn until<T>(mut ask: impl FnMut() -> Option<T>) -> Option<T> {
    let start = Instant::now();
    while start.elapsed() < deadline::seconds(120) {
        if let Some(answer) = ask() {
            return Some(answer);
        }
        thread::sleep(Duration::from_millis(10));
    }
    None
}
