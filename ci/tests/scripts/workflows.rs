//! The numbers in the workflows fit each other and the scripts that they run.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};

/// A job of GitHub's ends after so many minutes, whatever it says of itself.
const LONGEST_JOB: u64 = 360;
/// What ci/nightly.sh takes beyond its hours at most.
const BEYOND: u64 = 10;
/// For the checkout, the toolchain, the packages and what is uploaded.
const AROUND: u64 = 20;
/// .ci/run stays under this on two cores.
const CHANGE: u64 = 40;

fn workflow(name: &str) -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.github/workflows");
    fs::read_to_string(file.join(name)).unwrap()
}

/// What follows `key` in the first line that begins with it.
fn value<'a>(text: &'a str, key: &str) -> Result<&'a str> {
    let mut lines = text.lines();
    let value = lines.find_map(|line| line.trim().strip_prefix(key));
    value.map(str::trim).with_context(|| format!("no `{key}`"))
}

fn number(text: &str) -> Result<u64> {
    let digits = text.trim_matches(|letter: char| !letter.is_ascii_digit());
    digits
        .parse()
        .with_context(|| format!("{text} is no number"))
}

/// `[1, "2"]`.
fn list(text: &str) -> Result<Vec<u64>> {
    text.split(',').map(number).collect()
}

/// A job, up to the end of the file.
fn job<'a>(text: &'a str, name: &str) -> Result<&'a str> {
    let after = text.split_once(&format!("\n  {name}:\n"));
    Ok(after.with_context(|| format!("no job `{name}`"))?.1)
}

fn judge_night(text: &str) -> Result<()> {
    let options = list(value(text, "options:")?)?;
    let default = number(value(text, "default:")?)?;
    ensure!(
        options.contains(&default),
        "the default {default} is no option"
    );
    // A scheduled night has no inputs.
    let scheduled = value(text, "HOURS:")?
        .split("||")
        .nth(1)
        .unwrap_or_default();
    ensure!(
        number(scheduled)? == default,
        "a scheduled night has {scheduled} hours"
    );
    let longest = options.iter().max().copied().unwrap_or_default() * 60 + BEYOND + AROUND;
    let job = number(value(text, "timeout-minutes:")?)?;
    ensure!(
        longest <= job,
        "a night of {longest} minutes is ended after {job}"
    );
    ensure!(job <= LONGEST_JOB, "a job cannot have {job} minutes");
    let shards = list(value(text, "shard:")?)?;
    let of = number(
        value(text, "SHARD:")?
            .rsplit('/')
            .next()
            .unwrap_or_default(),
    )?;
    let all: Vec<_> = (1..=of).collect();
    ensure!(shards == all, "the shards {shards:?} are not all of {of}");
    let run = r#"ci/nightly.sh "$HOURS" "$SHARD" "$SEED" || [ $? -eq 3 ]"#;
    ensure!(text.contains(run), "it does not run `{run}`");
    Ok(())
}

fn judge_change(text: &str) -> Result<()> {
    let job = number(value(text, "timeout-minutes:")?)?;
    ensure!(CHANGE < job, "a change is ended after {job} minutes");
    ensure!(
        value(text, "- run: .ci/run")?.is_empty(),
        "it does not run .ci/run"
    );
    Ok(())
}

/// The job that has the tools which other runs may lack.
fn judge_packages(text: &str) -> Result<()> {
    let job = job(text, "packages")?;
    ensure!(
        value(job, "- run: ci/packages.sh")?.is_empty(),
        "it does not run ci/packages.sh"
    );
    let installed = value(job, "- run: sudo apt-get")?;
    let words: Vec<_> = installed.split_whitespace().collect();
    for tool in ["cmake", "pkg-config", "python3", "g++", "clang"] {
        ensure!(words.contains(&tool), "it does not install {tool}");
    }
    Ok(())
}

/// The job that builds what is packed with the oldest toolchain that it promises, and with no older one.
fn judge_crates(text: &str, promised: &str) -> Result<()> {
    let job = job(text, "crates")?;
    let tried = value(job, "toolchain:")?;
    let right = format!("[\"{promised}\", stable]");
    ensure!(
        tried == right,
        "the packages promise {promised}; it takes {tried}"
    );
    let toolchain = value(job, "- run: ci/crates.sh")?;
    ensure!(
        toolchain == r#""${{ matrix.toolchain }}""#,
        "ci/crates.sh has not its toolchain"
    );
    Ok(())
}

#[test]
fn the_oldest_toolchain_that_is_promised_is_tried() {
    let text = workflow("pull-request.yml");
    for package in ["impl", "impl/derive", "impl/cli"] {
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("..")
            .join(package);
        let manifest = fs::read_to_string(manifest.join("Cargo.toml")).unwrap();
        let promised = value(&manifest, "rust-version =")
            .unwrap()
            .trim_matches('"');
        judge_crates(&text, promised).unwrap();
        assert!(judge_crates(&text, "1.87").is_err());
        for (from, to) in [
            ("\n  crates:\n", "\n  others:\n"),
            (promised, "1.90"),
            (
                "- run: ci/crates.sh \"${{ matrix.toolchain }}\"",
                "- run: ci/crates.sh",
            ),
        ] {
            assert!(text.contains(from), "{from}");
            assert!(
                judge_crates(&text.replace(from, to), promised).is_err(),
                "{from}"
            );
        }
    }
}

#[test]
fn a_night_ends_before_it_is_ended() {
    let text = workflow("nightly.yml");
    judge_night(&text).unwrap();
    for (from, to, why) in [
        (
            "\"5\"]",
            "\"6\"]",
            "a night of 390 minutes is ended after 350",
        ),
        (
            "timeout-minutes: 350",
            "timeout-minutes: 400",
            "a job cannot have 400 minutes",
        ),
        ("|| '4'", "|| '3'", "a scheduled night has"),
        (
            "default: \"4\"",
            "default: \"3\"",
            "the default 3 is no option",
        ),
        ("[1, 2, 3]", "[1, 2]", "are not all of 3"),
        ("}}/3", "}}/4", "are not all of 4"),
        (" || [ $? -eq 3 ]", "", "it does not run"),
    ] {
        assert!(text.contains(from), "{from}");
        let said = judge_night(&text.replacen(from, to, 1))
            .unwrap_err()
            .to_string();
        assert!(said.contains(why), "{said}");
    }
}

#[test]
fn a_change_has_time_enough() {
    let text = workflow("pull-request.yml");
    judge_change(&text).unwrap();
    let short = text.replace("timeout-minutes: 45", "timeout-minutes: 40");
    assert!(judge_change(&short).is_err());
}

#[test]
fn a_job_installs_what_the_packages_need() {
    let text = workflow("pull-request.yml");
    judge_packages(&text).unwrap();
    for (from, to) in [
        ("  packages:", "  others:"),
        ("- run: ci/packages.sh", "- run: ci/test.sh"),
        (" cmake ", " make "),
        (" pkg-config ", " "),
        (" clang\n", "\n"),
    ] {
        assert!(text.contains(from), "{from}");
        assert!(judge_packages(&text.replace(from, to)).is_err(), "{from}");
    }
}
