//! Deaths at system calls, as its users run it.

mod common;

use common::{ensure_passed, ensure_planted, ensure_untraced, is_traceable, run};

#[test]
fn every_call_is_tried_and_the_planted_fault_is_seen_again() {
    let ran = run(&["calls", "--json"]);
    if !is_traceable() {
        return ensure_untraced(&ran);
    }
    ensure_passed(&ran, "crash");
    let kills = |subject: &str| {
        let row = (ran.rows.iter())
            .find(|row| row.subject == subject && row.check == "crash at every system call");
        row.and_then(|row| row.count).unwrap_or_default()
    };
    // Fewer stops than calls that these cannot do without, twice.
    for (subject, calls) in [
        ("segment/create", 8),
        ("segment/open", 10),
        ("segment/attach", 4),
        ("role/take-over", 8),
        ("segment/unlink", 6),
    ] {
        assert!(kills(subject) >= 2 * calls, "{subject}: {}", kills(subject));
    }

    ensure_planted(&ran.rows, 1, &[]);
    let planted = ran.rows.iter().find_map(|row| row.reason.as_deref());
    let why = planted.expect("a reason");
    assert!(why.contains("killed at stop"), "{why}");
}

#[test]
fn what_is_not_there_is_refused() {
    // How many stops there are, nobody knows where they cannot be counted.
    let (code, hint) = match is_traceable() {
        true => (2, "segment/create:0"),
        false => (3, "traced"),
    };
    for (only, code, hint) in [
        ("segment/make", 2, "segment/create"),
        ("segment/create:x", code, hint),
        ("segment/create:999", code, hint),
    ] {
        let ran = run(&["calls", "--json", "--only", only]);
        assert_eq!(ran.code, Some(code), "{only}");
        let rows: Vec<_> = ran.rows.iter().map(|row| row.to_line()).collect();
        let said = ran.errors + &rows.concat();
        assert!(said.contains(hint), "{only}: {said}");
    }
}
