//! The matrix of changes as a page: for each site, what breaks when it is not what it is.

use ringproof::site::Site;

use crate::change::{Change, Kind};
use crate::engine::Engine;
use crate::exploration::Effort;
use crate::mutants::{EQUIVALENT, FIRST, Judge, Judgement, Kill, Tally, Verdict};
use crate::scenario::inventory;

/// How far the changes on the page are explored.
pub const EFFORT: Effort = Effort::of(100_000);

/// What one engine says of every change: a column of the page.
#[derive(Clone, Debug)]
pub struct Column {
    /// The engine's name.
    pub engine: &'static str,
    /// What it counts.
    pub unit: &'static str,
    /// One for each of [`Change::mistakes`], in that order.
    pub judgements: Vec<Judgement>,
}

impl Column {
    /// Judges every change under an engine.
    pub fn of<E: Engine>() -> Column {
        let scenarios = inventory();
        let judge = Judge::<E>::new(&scenarios, EQUIVALENT, EFFORT);
        Column {
            engine: E::NAME,
            unit: E::UNIT,
            judgements: judge.judge_all(&Change::mistakes(), &|_| {}),
        }
    }

    fn of_change(&self, change: Change) -> Option<&Judgement> {
        (self.judgements.iter()).find(|judgement| judgement.change == change)
    }
}

/// Every engine's column.
#[cfg(feature = "loom")]
pub fn columns() -> Vec<Column> {
    vec![
        Column::of::<crate::engine::loom::Loom>(),
        Column::of::<crate::engine::shuttle::Shuttle>(),
        Column::of::<crate::axioms::Axioms<false>>(),
    ]
}

/// The page of these engines.
pub fn markdown(columns: &[Column]) -> String {
    let mut page = INTRODUCTION.replace("{first}", &FIRST.to_string());
    page.push_str(&sums(columns));
    page.push_str(
        "\n## In short\n\nWhat is lost without each ordering, each fence and each barrier. ",
    );
    page.push_str(&too_strong(columns));
    page.push_str(&in_short(columns));
    for site in Site::all() {
        page.push_str(&section(columns, site));
    }
    page
}

const INTRODUCTION: &str = "\
# What each ordering is for

Generated from the site table and the models, and held against them by a test:

```console
cargo run -p ringproof-models --features loom -- orderings > models/ORDERINGS.md
```

Each access of the source to shared memory is changed, one at a time, and the models are explored
with that change: a weaker ordering, a fence or barrier left out, a fence made another kind
(*mutants*), an access on the wrong side of its neighbour (*moved*), a load that answers one too many,
or a store, slot access, wait or wake that is not made (*planted faults*). A verdict is one of

- **killed**: a scenario that holds without the change does not hold with it. It says after how many
  executions of which scenario, and what broke. A model whose executions were all tried, and in
  which an outcome that is declared was never witnessed, does not hold either.
- **equivalent**: nothing breaks, and the argument why nothing can.
- **SURVIVED**: nothing broke and nobody says why: either a model is missing, or the ordering is
  stronger than it must be. This fails the suite.
- *blind*: the engine is sequentially consistent and cannot tell.

Scenarios are tried from the smallest to the largest, {first} executions each, before any is tried
for longer. So the one named is the smallest that shows it soon, not the only one.

What this does not show: an ordering whose weaker form is killed is needed by *these algorithms
under that engine's memory model*, not by every processor (x86 never reorders two loads). That a
mutant dies says that the models would notice its like; it does not say that what they pass is
right: that is what the controls are for, and how far each was explored stands in their rows.
`Relaxed` has nothing weaker: what a relaxed access is for is shown by moving it or planting a fault.
loom does not explore load buffering; axioms, the engine of this folder that enumerates, does.

";

fn sums(columns: &[Column]) -> String {
    let mut table = "\
| engine | killed | equivalent | SURVIVED | blind | to kill: median | at most |
| --- | --- | --- | --- | --- | --- | --- |
"
    .to_owned();
    for column in columns {
        let Tally {
            killed,
            equivalent,
            wrong,
            blind,
            median,
            most,
        } = Tally::of(&column.judgements);
        let judged = killed + equivalent + wrong;
        table += &format!(
            "| {} | {killed} of {judged} | {equivalent} | {wrong} | {blind} | {} | {} |\n",
            column.engine,
            counted(median, column.unit),
            counted(most, column.unit),
        );
    }
    table
}

/// Whether some ordering is stronger than it must be: a mutant of it is not killed.
fn too_strong(columns: &[Column]) -> String {
    let killed = |change: &Change| {
        (columns
            .iter()
            .filter_map(|column| column.of_change(*change)))
        .any(|judgement| matches!(judgement.verdict, Verdict::Killed(_)))
    };
    let weaker = Change::weaker().into_iter();
    let others: Vec<_> = weaker
        .filter(|change| !killed(change))
        .map(|change| format!("`{change}`"))
        .collect();
    match others.is_empty() {
        true => "None is stronger than it must be: each mutant is killed.\n\n".to_owned(),
        false => format!(
            "Not killed, so perhaps stronger than it must be: {}.\n\n",
            others.join(", ")
        ),
    }
}

/// One row for each ordering stronger than `Relaxed` and each fence.
fn in_short(columns: &[Column]) -> String {
    let mut table =
        "| site | ordering | with | without it |\n| --- | --- | --- | --- |\n".to_owned();
    let mut sites: Vec<_> = Change::weaker().into_iter().map(Change::site).collect();
    sites.dedup();
    for site in sites {
        let info = site.info();
        let without = (Change::weaker().into_iter())
            .filter(|change| change.site() == site)
            .find_map(|change| {
                let mut verdicts = columns.iter().filter_map(|column| column.of_change(change));
                verdicts.find_map(|judgement| match &judgement.verdict {
                    Verdict::Killed(kill) => Some(sentence(&kill.finding)),
                    _ => None,
                })
            });
        let without = without.unwrap_or("nothing that these engines show".to_owned());
        table += &format!(
            "| [{name}](#{anchor}) | {} | {} | {} |\n",
            info.ordering,
            info.partners.join(", "),
            cell(&without),
            name = info.name,
            anchor = info.name.to_lowercase(),
        );
    }
    table
}

fn section(columns: &[Column], site: Site) -> String {
    let info = site.info();
    let with = match info.partners {
        [] => String::new(),
        partners => format!(", with {}", partners.join(", ")),
    };
    let mut text = format!(
        "\n## {}\n\n**{}** {} ({}){with}: {}.",
        info.name, info.ordering, info.kind, info.word, info.why
    );
    let changes: Vec<_> = (Change::mistakes().into_iter())
        .filter(|change| change.site() == site)
        .collect();
    if !changes.iter().any(|change| change.kind() == Kind::Mutant) {
        text.push_str(" There is nothing weaker.");
    }
    text.push_str("\n\n| change |");
    for column in columns {
        text.push_str(&format!(" {} |", column.engine));
    }
    text.push_str("\n| --- |");
    text.push_str(&" --- |".repeat(columns.len()));
    text.push('\n');
    for change in changes {
        text.push_str(&format!("| {} |", change.to()));
        for column in columns {
            let verdict = match column.of_change(change) {
                Some(judgement) => verdict(&judgement.verdict, column.unit),
                None => "not judged".to_owned(),
            };
            text.push_str(&format!(" {} |", cell(&verdict)));
        }
        text.push('\n');
    }
    text
}

fn verdict(verdict: &Verdict, unit: &str) -> String {
    let at = |kill: &Kill| {
        let executions = counted(kill.executions, unit);
        let finding = sentence(&kill.finding);
        format!("{executions} of *{}*: {finding}", kill.scenario)
    };
    match verdict {
        Verdict::Killed(kill) => format!("**killed** after {}", at(kill)),
        Verdict::Equivalent(argument) => format!("**equivalent**: {argument}"),
        Verdict::Survived(tried) => {
            format!("**SURVIVED** {}", counted(tried.executions, unit))
        }
        Verdict::Refuted(kill, argument) => format!(
            "**WRONGLY ARGUED** that {argument}; killed after {}",
            at(kill)
        ),
        Verdict::Blind => "*blind*".to_owned(),
    }
}

/// A number of units, of which there may be one.
fn counted(count: u64, units: &str) -> String {
    match count {
        1 => format!("1 {}", units.trim_end_matches('s')),
        _ => format!("{count} {units}"),
    }
}

/// A finding without what only its author needs: where in which file, and the words that every
/// assertion and every race of an engine begins with.
fn sentence(finding: &str) -> String {
    // The place, and what an engine says after it, is in the row of the report; here it would
    // change with every edit of a scenario.
    let is_place = |rest: &str| {
        let place = rest.split(')').next();
        place.is_some_and(|place| place.contains(".rs:"))
    };
    let place = finding
        .match_indices(" (")
        .find(|(at, open)| is_place(&finding[at + open.len()..]));
    let finding = place.map_or(finding, |(at, _)| &finding[..at]);
    // What no site of its own orders is loaded as a plain word.
    if finding.contains("`unsync_load`") {
        return "a load that nothing orders after the store".to_owned();
    }
    if finding.starts_with("Causality violation") || finding.starts_with("a data race") {
        return "a data race on a slot".to_owned();
    }
    let Some(compared) = finding.strip_prefix("assertion `left == right` failed") else {
        // What the ring's own errors go on to explain is the same for all.
        let finding = finding.split(';').next().unwrap_or(finding);
        return finding.replace("assertion failed: ", "does not hold: ");
    };
    let compared = compared.trim_start_matches(':').trim();
    match compared.split_once("left: ") {
        Some((message, values)) => {
            let values = values.replace(" right: ", " against ");
            match message.trim() {
                "" => values,
                message => format!("{message}: {values}"),
            }
        }
        None => compared.to_owned(),
    }
}

/// Text for the cell of a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_becomes_one_short_sentence() {
        assert_eq!(
            sentence("not the next item (ring.rs:7); in the execution (0) a, (1) b"),
            "not the next item"
        );
        for (finding, expected) in [
            (
                "assertion `left == right` failed: a torn value left: 0 right: 1 (scenario.rs:122)",
                "a torn value: 0 against 1",
            ),
            (
                "assertion `left == right` failed left: Err(Empty) right: Ok(1) (ring.rs:7)",
                "Err(Empty) against Ok(1)",
            ),
            (
                "Causality violation: Concurrent read and write accesses. (location.rs:115)",
                "a data race on a slot",
            ),
            (
                "Causality violation: Concurrent `unsync_load` and atomic store. (location.rs:115)",
                "a load that nothing orders after the store",
            ),
            (
                "corrupt ring: read_index is 1, but must be from 0 to 0; the peer … (ring.rs:9)",
                "corrupt ring: read_index is 1, but must be from 0 to 0",
            ),
            (
                "never witnessed: all went over",
                "never witnessed: all went over",
            ),
        ] {
            assert_eq!(sentence(finding), expected);
        }
    }
}
