//! Every engine finds in every litmus test what it found before, and every difference from Rust
//! is explained.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use ringproof_models::axioms::Axioms;
use ringproof_models::calibration::{
    self, DIFFERENCES, Judgement, Observed, Pin, compare, markdown, pinned, tests, to_pins,
};
use ringproof_models::litmus::Litmus;
use ringproof_record::{Record, Verdict};

const ENGINES: [&str; 3] = ["axioms", "loom", "shuttle"];

fn find(test: &str) -> &'static Litmus {
    Litmus::find(test).expect("there is such a test")
}

fn pin(test: &Litmus, engine: &str) -> Pin {
    let mut pins = pinned().into_iter().filter(|pin| pin.is_of(test, engine));
    let pin = pins.next();
    let pin = pin.unwrap_or_else(|| panic!("{} is not pinned under {engine}", test.name));
    assert_eq!(pins.next(), None, "{} is pinned twice", test.name);
    pin
}

fn observed(test: &Litmus, engine: &str) -> Observed {
    pin(test, engine).observed
}

/// In one test, one engine after the other, for the reason that `observe` gives.
#[test]
fn every_engine_finds_what_is_pinned() {
    let mut changed = Vec::new();
    let mut check = |rows: Vec<Record>| {
        assert_eq!(rows.len(), tests().count());
        for row in rows.iter().filter(|row| row.verdict != Verdict::Passed) {
            let reason = row.reason.as_deref().unwrap_or_default();
            changed.push(format!("{} {}: {reason}", row.layer, row.subject));
        }
    };
    check(calibration::rows::<Axioms<false>>());
    #[cfg(feature = "loom")]
    check(calibration::rows::<ringproof_models::engine::loom::Loom>());
    #[cfg(feature = "shuttle")]
    check(calibration::rows::<
        ringproof_models::engine::shuttle::Shuttle,
    >());
    assert!(
        changed.is_empty(),
        "\n{}\nIf that is right: the end of CALIBRATION.md says what to do.\n",
        changed.join("\n")
    );
}

#[test]
fn every_cell_is_pinned_once_and_nothing_else() {
    for test in tests() {
        for engine in ENGINES {
            pin(test, engine);
        }
    }
    assert_eq!(pinned().len(), tests().count() * ENGINES.len());
    assert_fresh(
        "pins.txt",
        include_str!("../src/calibration/pins.txt"),
        &to_pins(&[]),
    );
}

/// So what the axioms find can stand for the truth below.
#[test]
fn the_axioms_agree_with_every_verdict() {
    for test in tests() {
        let found = observed(test, "axioms");
        assert_eq!(found.judge(test), Judgement::Agrees, "{}", test.name);
    }
}

/// A verdict and a count can agree by chance; sets do not.
#[test]
fn the_sets_of_states_are_as_the_judgements_say() {
    for test in tests() {
        let truth = observed(test, "axioms").states;
        for engine in ENGINES {
            let found = observed(test, engine);
            let place = format!("{} under {engine}", test.name);
            match found.judge(test) {
                Judgement::Agrees => assert_eq!(found.states, truth, "{place}"),
                Judgement::BlindSpot => assert!(found.states.is_subset(&truth), "{place}"),
                Judgement::FalseAlarm => assert!(found.states.is_superset(&truth), "{place}"),
            }
        }
    }
}

/// What interleavings alone can do, every engine must see, but for loom's two known traps.
#[test]
fn loom_finds_what_shuttle_finds() {
    for test in tests() {
        let (loom, shuttle) = (observed(test, "loom"), observed(test, "shuttle"));
        let contains = loom.states.is_superset(&shuttle.states);
        assert_eq!(contains, test.name != "own-index", "{}", test.name);
    }
}

#[test]
fn every_difference_is_explained_once() {
    for test in tests() {
        for engine in ENGINES {
            let reasons: Vec<_> = (DIFFERENCES.iter())
                .filter(|reason| reason.engine == engine && reason.tests.contains(&test.name))
                .collect();
            let judgement = observed(test, engine).judge(test);
            let expected = usize::from(judgement != Judgement::Agrees);
            let place = format!("{} under {engine}: {judgement}", test.name);
            assert_eq!(reasons.len(), expected, "{place}");
            for reason in reasons {
                assert_eq!(reason.judgement, judgement, "{place}");
            }
        }
    }
}

#[test]
fn every_explanation_is_of_a_difference() {
    for reason in DIFFERENCES {
        assert!(ENGINES.contains(&reason.engine), "{}", reason.engine);
        assert!(!reason.tests.is_empty(), "{}", reason.title);
        for test in reason.tests.iter().copied().map(find) {
            let judgement = observed(test, reason.engine).judge(test);
            assert_eq!(
                judgement, reason.judgement,
                "{}: {}",
                reason.title, test.name
            );
        }
    }
}

#[test]
fn what_one_engine_misses_another_sees() {
    for test in tests() {
        let sees = |engine: &&str| observed(test, engine).judge(test) == Judgement::Agrees;
        assert!(
            ENGINES.iter().any(sees),
            "no engine sees all of {}",
            test.name
        );
    }
}

#[test]
fn the_page_is_fresh() {
    assert_fresh(
        "CALIBRATION.md",
        include_str!("../CALIBRATION.md"),
        &markdown(),
    );
}

/// Names the first line that is not as it would be written now.
fn assert_fresh(name: &str, file: &str, fresh: &str) {
    for (number, (is, should)) in file.lines().zip(fresh.lines()).enumerate() {
        assert_eq!(is, should, "line {} of {name} is stale", number + 1);
    }
    assert!(file == fresh, "{name} is stale at its end");
}

/// That the comparison can fail: a state too few, one too many, another number of executions.
#[test]
fn a_change_of_any_kind_is_named() {
    let test = find("MP+rel+acq");
    let pin = pin(test, "loom");
    assert_eq!(compare(test, &pin.observed, Some(&pin)), Ok(()));
    assert_eq!(
        compare(test, &pin.observed, None),
        Err("nothing is pinned".to_owned())
    );
    let changed = Observed {
        executions: pin.observed.executions + 1,
        states: BTreeSet::from([vec![0, 0], vec![0, 1], vec![1, 0]]),
    };
    assert_eq!(
        compare(test, &changed, Some(&pin)),
        Err(format!(
            "no longer sees 1:r0=1 1:r1=1; now sees 1:r0=1 1:r1=0; makes {} executions, not {}",
            changed.executions, pin.observed.executions
        ))
    );
}

#[test]
fn judgements_follow_verdict_and_count() {
    let of = |states: &[[u64; 2]]| Observed {
        executions: 1,
        states: states.iter().map(|state| state.to_vec()).collect(),
    };
    let interleavings = of(&[[0, 0], [0, 1], [1, 1]]);
    let all = of(&[[0, 0], [0, 1], [1, 0], [1, 1]]);
    let few = of(&[[0, 0], [1, 1]]);
    let (never, sometimes) = (find("MP+rel+acq"), find("MP+rlx+rlx"));
    assert_eq!(interleavings.judge(never), Judgement::Agrees);
    assert_eq!(all.judge(sometimes), Judgement::Agrees);
    assert_eq!(interleavings.judge(sometimes), Judgement::BlindSpot);
    assert_eq!(few.judge(never), Judgement::BlindSpot, "by its count alone");
    assert_eq!(all.judge(never), Judgement::FalseAlarm);
}

/// What ci/herd.sh makes of a herd7 that answers as the table says, but for one test.
fn ask(herd: &Path, wrong: &str) -> Output {
    let program = format!(
        r#"#!/usr/bin/env bash
[ "$1" = -model ] || exit 1
name=$(basename "$3" .litmus)
read -r _ first a second b < <(grep -F "$name " "{0}/verdicts")
[ "$2" = rc11.cat ] || {{ first=$second; a=$b; }}
[ "$name" != "{wrong}" ] || a='(99)'
printf 'Test %s\nStates %s\nObservation %s %s 0 0\n' "$name" "${{a//[()]/}}" "$name" "$first"
"#,
        herd.display()
    );
    let file = herd.join("herd7");
    fs::write(&file, program).unwrap();
    let made = Command::new("chmod").arg("+x").arg(&file).status().unwrap();
    assert!(made.success());
    let path = std::env::var("PATH").unwrap();
    script()
        .arg(herd)
        .env("PATH", format!("{}:{path}", herd.display()))
        .output()
        .unwrap()
}

fn script() -> Command {
    let mut bash = Command::new("bash");
    bash.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("../ci/herd.sh"));
    bash
}

#[test]
fn the_script_that_asks_herd7_notices_another_answer() {
    let herd = tempfile::tempdir().unwrap();
    let herd = herd.path();
    calibration::write_for_herd(herd).unwrap();
    let right = ask(herd, "");
    let said = String::from_utf8_lossy(&right.stdout);
    assert_eq!(right.status.code(), Some(0), "{said}");
    let wrong = ask(herd, "CoRR");
    let said = String::from_utf8_lossy(&wrong.stdout);
    assert_eq!(wrong.status.code(), Some(1), "{said}");
    assert!(
        said.contains("CoRR under rc11.cat: Never (99), not Never (3)"),
        "{said}"
    );
}
