//! Scenarios explored in processes of their own, for an engine that makes poor use of more than one
//! processor in one process.
//!
//! The program starts itself again for one scenario, as `loom --only NAME --apart`, and reads what
//! came of it as one line of JSON.

use std::process::{Command, Stdio};

use ringproof::site::Site;
use ringproof_record::Record;
use serde_json::{Value, json};

use crate::engine::Engine;
use crate::exploration::Effort;
use crate::scenario::Scenario;
use crate::suite::Control;

/// This very program, also where another one was built in its place meanwhile.
const SELF: &str = "/proc/self/exe";

/// Explores a scenario unchanged, in a process of its own. One that says nothing that can be read
/// is a control that failed.
pub fn control<E: Engine>(scenario: &Scenario, effort: Effort) -> Control {
    ask::<E>(scenario, effort).unwrap_or_else(|problem| Control {
        rows: vec![Record::failed(
            E::NAME,
            scenario.name,
            "control",
            format!("the process that was to explore it {problem}"),
        )],
        held: false,
        executions: 0,
        sites: Vec::new(),
        died_at: Vec::new(),
    })
}

fn ask<E: Engine>(scenario: &Scenario, effort: Effort) -> Result<Control, String> {
    let output = Command::new(SELF)
        .args([E::NAME, "--apart", "--only", scenario.name])
        .args(["--executions", &effort.executions.to_string()])
        .args(["--seed", &effort.seed.to_string()])
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("cannot be run: {error}"))?;
    if !output.status.success() {
        return Err(format!("ended with {}", output.status));
    }
    let said = String::from_utf8_lossy(&output.stdout);
    read(&said).ok_or_else(|| format!("said what is no result: `{}`", said.trim_end()))
}

/// What came of a scenario, as the line that [`control`] reads.
pub fn write(control: &Control) -> String {
    let names = |sites: &[Site]| sites.iter().map(Site::to_string).collect::<Vec<_>>();
    let line = json!({
        "rows": control.rows.iter().map(Record::to_line).collect::<Vec<_>>(),
        "held": control.held,
        "executions": control.executions,
        "sites": names(&control.sites),
        "died_at": names(&control.died_at),
    });
    line.to_string()
}

fn read(line: &str) -> Option<Control> {
    let value: Value = serde_json::from_str(line).ok()?;
    let texts = |key| -> Option<Vec<&str>> {
        let texts = value.get(key)?.as_array()?.iter();
        texts.map(Value::as_str).collect()
    };
    let sites = |key| -> Option<Vec<Site>> {
        let named = |name| Site::all().find(|site| site.info().name == name);
        texts(key)?.into_iter().map(named).collect()
    };
    let rows = texts("rows")?.into_iter().map(Record::from_line);
    Some(Control {
        rows: rows.collect::<Result<_, _>>().ok()?,
        held: value.get("held")?.as_bool()?,
        executions: value.get("executions")?.as_u64()?,
        sites: sites("sites")?,
        died_at: sites("died_at")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_nothing_else() {
        let control = Control {
            rows: vec![Record::passed("loom", "a scenario", "control").count(7, "executions")],
            held: true,
            executions: 7,
            sites: Site::all().take(3).collect(),
            died_at: Site::all().take(1).collect(),
        };
        let line = write(&control);
        assert_eq!(read(&line), Some(control));
        for wrong in ["", "{}", "panicked", &line.replace("Ring", "Rung")] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
