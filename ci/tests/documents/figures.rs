//! The figures of the README are those of the recorded run.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use crate::{read, root};

fn figures(arguments: &[&Path]) -> Output {
    let script = root().join("ci/figures.sh");
    Command::new("bash")
        .arg(script)
        .args(arguments)
        .output()
        .expect("bash")
}

#[test]
fn the_figures_are_those_of_the_recorded_run() {
    let output = figures(&[Path::new("--check")]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");

    let directory = tempfile::tempdir().expect("a directory");
    let write = |name: &str, text: &str| {
        let path = directory.path().join(name);
        fs::write(&path, text).expect("write it");
        path
    };
    let (readme, run) = (read("README.md"), read("perf/RUN.md"));
    let begin = readme
        .find("<!-- figures: ")
        .expect("where the figures begin");
    let digit = readme[begin..].find("| ringproof").expect("the table") + begin;
    let digit = readme[digit..]
        .find(|c: char| c.is_ascii_digit())
        .expect("a figure")
        + digit;
    let mut altered = readme.clone();
    let other = if &readme[digit..=digit] == "9" {
        "8"
    } else {
        "9"
    };
    altered.replace_range(digit..=digit, other);

    let cases = [
        (
            "another digit",
            altered.as_str(),
            run.as_str(),
            "are not those of",
        ),
        (
            "another figure in the run",
            &readme,
            &run.replace("\n  ringproof  ", "\n  ringproof 9"),
            "has no",
        ),
        ("no markers", "# ringproof\n", &run, "has no markers"),
        (
            "no date",
            &readme,
            &run.replace("\nWhat `", "\nThat `"),
            "does not begin with",
        ),
    ];
    for (what, readme, run, why) in cases {
        let (readme, run) = (write("README.md", readme), write("RUN.md", run));
        let output = figures(&[Path::new("--check"), &readme, &run]);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{what}: {said}");
        assert!(said.contains(why), "{what}: {said}");
    }
    // And the command writes what its check asks for.
    let (altered, run) = (write("README.md", &altered), write("RUN.md", &run));
    assert!(figures(&[&altered, &run]).status.success());
    assert_eq!(fs::read_to_string(&altered).expect("it is there"), readme);
    assert_eq!(figures(&[Path::new("--nonsense")]).status.code(), Some(2));
}
