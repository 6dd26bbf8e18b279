//! The specimens, and proof that the judging of them can fail.
#![cfg(feature = "loom")]

use std::collections::BTreeSet;

use ringproof_models::specimen::{Control, Fault, ModelControl, Specimen, all, judge, rows};
use ringproof_record::{Record, Verdict};

/// The one with this number.
fn specimen(number: &str) -> Specimen {
    let mut specimens = all();
    let place = specimens
        .iter()
        .position(|specimen| specimen.number == number);
    specimens.swap_remove(place.expect("the list has it"))
}

/// The same, with nothing to judge yet.
fn empty(number: &str) -> Specimen {
    Specimen {
        faults: vec![],
        controls: vec![],
        blind: vec![],
        ..specimen(number)
    }
}

fn model_control(number: &str) -> ModelControl {
    match specimen(number).controls.swap_remove(0) {
        Control::Model(control) => control,
        Control::Property { .. } => panic!("{number} is a property"),
    }
}

/// Why each row failed that did.
fn failures(rows: &[Record]) -> Vec<String> {
    (rows.iter())
        .filter(|row| row.verdict == Verdict::Failed)
        .map(|row| {
            let reason = row.reason.as_deref().unwrap_or_default();
            format!("{}, {}: {reason}", row.subject, row.check)
        })
        .collect()
}

/// Judges it, and expects a single failed row that says all of this.
fn must_fail(specimen: &Specimen, says: &[&str]) {
    let failures = failures(&judge(specimen));
    let said = |failure: &String| says.iter().all(|what| failure.contains(what));
    assert!(failures.len() == 1 && said(&failures[0]), "{failures:#?}");
}

#[test]
fn every_fault_is_caught_and_every_control_passes() {
    let rows = rows(None, &|_| {}).expect("all of them");
    let failures = failures(&rows);
    assert!(failures.is_empty(), "{failures:#?}");
    let subjects = |check: &str| -> BTreeSet<String> {
        (rows.iter())
            .filter(|row| row.check.starts_with(check))
            .filter_map(|row| row.subject.split(' ').next())
            .map(str::to_owned)
            .collect()
    };
    let specimens: BTreeSet<_> = (1..=14)
        .chain([28])
        .map(|number| format!("S{number}"))
        .collect();
    let trap = BTreeSet::from(["T1".to_owned()]);
    assert_eq!(subjects("caught by "), specimens);
    assert_eq!(subjects("refused: "), trap);
    assert_eq!(subjects("control under "), &specimens | &trap);
}

#[test]
fn what_loom_catches_is_shown() {
    for row in judge(&specimen("S1")) {
        let caught = row.check.starts_with("caught by loom");
        assert_eq!(row.trace.is_some(), caught, "{}", row.check);
    }
}

#[test]
fn the_same_rows_come_again() {
    for number in ["S1", "S14"] {
        assert_eq!(rows(Some(number), &|_| {}), rows(Some(number), &|_| {}));
    }
}

#[test]
fn an_unknown_number_is_refused() {
    let refusal = rows(Some("S99"), &|_| {}).unwrap_err();
    assert!(refusal.contains("S28, T1"), "{refusal}");
}

#[test]
fn a_control_declared_a_fault_is_not_caught() {
    let mut right = empty("S1");
    right.faults.push(Fault::Model {
        what: "nothing",
        model: model_control("S1").model,
        loom: 10_000,
        shuttle: None,
    });
    must_fail(&right, &["not caught", "EXHAUSTED"]);

    let mut right = specimen("S11");
    let Some(Control::Property { property, .. }) = right.controls.pop() else {
        panic!("S11 is a property");
    };
    right.faults = vec![Fault::Property {
        what: "nothing",
        property,
        cases: 100,
    }];
    must_fail(&right, &["not caught within 100 cases"]);
}

#[test]
fn a_fault_declared_a_control_fails() {
    let Fault::Model { model, .. } = specimen("S1").faults.swap_remove(0) else {
        panic!("S1 is a model");
    };
    let mut wrong = empty("S1");
    wrong.controls.push(Control::Model(ModelControl {
        model,
        minimum: 1,
        ..model_control("S1")
    }));
    must_fail(&wrong, &["as the value of sequence 0"]);

    let Fault::Property { property, .. } = specimen("S14").faults.swap_remove(0) else {
        panic!("S14 is a property");
    };
    let mut wrong = empty("S14");
    wrong.controls.push(Control::Property {
        what: "8 bits",
        property,
    });
    must_fail(&wrong, &["halves of values", "smallest case: (0, 128)"]);
}

#[test]
fn a_bound_below_what_it_takes_fails() {
    let mut hasty = specimen("S1");
    for fault in &mut hasty.faults[..1] {
        if let Fault::Model { loom, .. } = fault {
            *loom = 1;
        }
    }
    must_fail(&hasty, &["not caught within 1 executions", "TRUNCATED"]);

    let mut hasty = specimen("S14");
    for fault in &mut hasty.faults {
        if let Fault::Property { cases, .. } = fault {
            *cases = 1;
        }
    }
    must_fail(&hasty, &["not caught within 1 cases"]);
}

/// What this engine cannot do, pinned: it knows no weak memory.
#[test]
fn shuttle_does_not_see_a_missing_fence() {
    let mut unfenced = empty("S8");
    unfenced.faults = specimen("S8").faults;
    unfenced.faults.truncate(1);
    if let Fault::Model { shuttle, .. } = &mut unfenced.faults[0] {
        *shuttle = Some(1_000);
    }
    must_fail(&unfenced, &["by shuttle", "not caught", "EXHAUSTED"]);
}

#[test]
fn a_control_that_shows_too_little_fails() {
    let mut few = empty("S1");
    few.controls.push(Control::Model(ModelControl {
        minimum: u64::MAX,
        ..model_control("S1")
    }));
    must_fail(&few, &["at least 18446744073709551615 were expected"]);

    let mut unseen = empty("S1");
    unseen.controls.push(Control::Model(ModelControl {
        witnesses: &["a ghost"],
        ..model_control("S1")
    }));
    must_fail(&unseen, &["never witnessed: a ghost"]);
}

#[test]
fn a_blind_model_is_no_control_and_a_control_is_not_blind() {
    let mut believed = empty("T1");
    believed.controls = (specimen("T1").blind.into_iter())
        .map(Control::Model)
        .collect();
    must_fail(
        &believed,
        &["1 executions", "never witnessed", "shuttle's 4 schedules"],
    );

    let mut doubted = empty("T1");
    doubted.blind.push(model_control("T1"));
    must_fail(&doubted, &["were to be objected to"]);
}
