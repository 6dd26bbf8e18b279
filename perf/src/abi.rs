//! The ABI trap: one struct, as several compilers and flags lay it out; what a program reads that
//! takes such bytes for its own layout; and what ringproof answers.
//!
//! Every layout is read from an object file that a compiler made of a generated source ([`source`],
//! [`compile`]), so it needs neither a machine nor a C library that could run it. A segment of each
//! is made by the letter of the wire layout, and a program with our payload attaches to it
//! ([`answer`]). The answer is judged by a comparison that is not the library's, and comparisons that
//! do not look at something are planted, to see that it notices. What has padding in it gets no
//! segment from the library: the headers for C and C++ are asked, too ([`headers`]).

pub mod answer;
pub mod compile;
pub mod headers;
pub mod source;

use std::path::Path;

use anyhow::{Context, Result};
use ringproof::Payload;
use ringproof::shape::{Description, Field, Value};
use ringproof_record::{Record, compiler};

use crate::report::{Report, Trouble};
use crate::table::{Cell, Table};
use answer::{Answer, Blind, NarrowTick, TRUTH, Tick, is_padding};
use compile::{Compiled, Tools};
use source::{Form, Member, NAMED, TICK, Variant};

/// The name of the layer in every row.
pub const LAYER: &str = "trap";

/// How to repeat it.
pub const REPEAT: &str = "cargo run --release -p ringproof-perf -- abi";

/// A variant, and what was compiled of it.
#[derive(Clone, Debug)]
pub struct Case {
    /// How it is compiled.
    pub variant: Variant,
    /// The struct as it stands.
    pub plain: Result<Compiled, Trouble>,
    /// The struct with its padding named in the source.
    pub named: Result<Compiled, Trouble>,
}

/// Compiles every variant and tells what was found.
///
/// # Errors
/// There is no place for object files, or our own payload cannot be described.
pub fn run(tools: &Tools) -> Result<Report> {
    let folder = tempfile::tempdir().context("cannot make a temporary directory")?;
    let folder = folder.path();
    let compiled = |variant: Variant| Case {
        plain: compile::compile(&variant, TICK, folder),
        named: compile::compile(&variant, NAMED, folder),
        variant,
    };
    let cases: Vec<_> = source::variants(tools).into_iter().map(compiled).collect();
    let mut report = tell(&cases)?;
    report.notes.extend(versions(tools));
    add_headers(&mut report, tools, folder);
    Ok(report)
}

/// What the cases say: tables, conclusions and rows.
///
/// # Errors
/// Our own payload cannot be described.
pub fn tell(cases: &[Case]) -> Result<Report> {
    let ours = Description::of::<Tick>().context("our payload cannot be described")?;
    let narrow = Description::of::<NarrowTick>().context("a 32-bit one cannot be described")?;
    let plain: Vec<_> = (cases.iter())
        .map(|case| meet::<Tick>(&ours, &case.plain))
        .collect();
    let named: Vec<_> = (cases.iter())
        .map(|case| meet::<Tick>(&ours, &case.named))
        .collect();

    let mut report =
        Report::new("abi: struct { char side; uint64_t seq; short venue; int qty; double price; }");
    report.notes.extend(not_measured(cases));
    let is_virtual = |case: &Case| case.variant.form == Form::Virtual && case.plain.is_ok();
    report
        .notes
        .extend(cases.iter().find(|case| is_virtual(case)).map(|case| {
            let name = &case.variant.name;
            format!(
                "{name}: the address before its fields is 0 in an object file, not in a process"
            )
        }));
    report.tables.push(layouts(cases));
    report.tables.push(readings(cases, &ours));
    report.tables.push(answers(
        "What ours says to a segment of such items, whose padding is named as each compiler puts it:",
        cases,
        &plain,
    ));
    report.tables.push(answers(
        "And where the source names the padding that 64-bit compilers put there:",
        cases,
        &named,
    ));
    conclude(&mut report, cases, &plain, &named);
    for (case, met) in cases.iter().zip(&plain) {
        let found =
            (case.plain.as_ref()).map_or_else(|_| String::new(), |c| summary(case, c, &ours));
        report.rows.push(row(case, "as it stands", met, &found));
    }
    for (case, met) in cases.iter().zip(&named) {
        report.rows.push(row(case, "padding named", met, ""));
    }
    for case in cases {
        if case.variant.flags.contains(&"-m32") {
            let met = meet::<NarrowTick>(&narrow, &case.plain);
            let check = "as it stands, to a 32-bit program";
            report.rows.push(row(case, check, &met, ""));
        }
    }
    for blind in Blind::ALL {
        report.rows.push(planted(blind, &ours, cases, &plain));
    }
    Ok(report)
}

/// A segment of a variant's items, and how a program met it.
struct Met {
    theirs: Description,
    answer: Answer,
    /// What is wrong with the answer.
    judged: Result<(), String>,
}

impl Met {
    /// Whether its bytes mean something else than ours.
    fn differs(&self, ours: &Description) -> bool {
        answer::first_difference(ours, &self.theirs).is_some()
    }
}

/// Lets a program with the payload `T`, which is `ours`, meet a variant.
fn meet<T: Payload>(
    ours: &Description,
    compiled: &Result<Compiled, Trouble>,
) -> Result<Met, Trouble> {
    let compiled = compiled.as_ref().map_err(Clone::clone)?;
    let theirs = answer::with_padding_named(&compiled.description)
        .map_err(|error| Trouble::Failed(error.to_string()))?;
    let answer = answer::attach::<T>(ours, &theirs, compiled).map_err(Trouble::Failed)?;
    let judged = answer::judge(ours, &theirs, &answer);
    Ok(Met {
        theirs,
        answer,
        judged,
    })
}

/// Which variants are not measured, for each reason.
fn not_measured(cases: &[Case]) -> Vec<String> {
    let mut reasons: Vec<(&str, Vec<&str>)> = Vec::new();
    for case in cases {
        let Err(Trouble::NotRun(why)) = &case.plain else {
            continue;
        };
        match reasons.iter_mut().find(|(reason, _)| reason == why) {
            Some((_, names)) => names.push(&case.variant.name),
            None => reasons.push((why, vec![&case.variant.name])),
        }
    }
    let note = |(why, names): (&str, Vec<&str>)| {
        format!("{}: not measured here, because {why}", names.join("; "))
    };
    reasons.into_iter().map(note).collect()
}

/// What the compilers call themselves.
fn versions(tools: &Tools) -> Vec<String> {
    let version = |program: &String| {
        let output = compile::run(compiler::command(program).arg("--version"), "").ok()?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        Some(format!("{program}: {}", said.lines().next()?))
    };
    let programs = [&tools.cc, &tools.cxx, &tools.rustc];
    programs.into_iter().filter_map(version).collect()
}

/// The field that a variant made of a member.
fn field_of<'a>(case: &Case, compiled: &'a Compiled, member: &Member) -> Option<&'a Field> {
    let name = source::name_in(case.variant.form, member);
    let mut fields = compiled.description.fields().iter();
    fields.find(|field| field.name == name)
}

fn layouts(cases: &[Case]) -> Table {
    let mut header = vec!["variant", "bytes", "aligned to"];
    header.extend(TICK.iter().map(|member| member.name));
    let mut table = Table::new("Where each compiler puts the fields:", header.clone());
    for case in cases {
        let mut cells = vec![Cell::words(&case.variant.name)];
        match &case.plain {
            Ok(compiled) => {
                cells.push(Cell::figure(compiled.description.size().to_string()));
                cells.push(Cell::figure(compiled.align.to_string()));
                for member in TICK {
                    let field = field_of(case, compiled, member);
                    let offset = field.map_or(String::new(), |field| field.offset.to_string());
                    cells.push(Cell::figure(offset));
                }
            }
            Err(Trouble::NotRun(why) | Trouble::Failed(why)) => {
                cells.resize_with(header.len(), || Cell::missing(why));
            }
        }
        table.add(cells);
    }
    table
}

fn readings(cases: &[Case], ours: &Description) -> Table {
    let mut header = vec!["written by"];
    header.extend(TICK.iter().map(|member| member.name));
    let mut table = Table::new(
        "What is read there by a program that takes the bytes for its own layout (✗: not what was \
         written):",
        header,
    );
    let [truth, _] = TRUTH;
    let written = truth.iter().map(|value| Cell::figure(shown(*value)));
    table.add(
        [Cell::words("(what all of them wrote)")]
            .into_iter()
            .chain(written),
    );
    for case in cases {
        let Ok(compiled) = &case.plain else {
            continue;
        };
        let read = answer::values(ours, &compiled.items);
        let cell = |(value, truth): (&Value, &Value)| match value == truth {
            true => Cell::figure(shown(*value)),
            false => Cell::figure(format!("{} ✗", shown(*value))),
        };
        let cells = read.iter().zip(&truth).map(cell);
        table.add([Cell::words(&case.variant.name)].into_iter().chain(cells));
    }
    table
}

/// A number; one that nobody would write in full, with its exponent.
fn shown(value: Value) -> String {
    match value {
        Value::Double(number) if number != 0.0 && !(1e-4..1e9).contains(&number.abs()) => {
            format!("{number:.3e}")
        }
        value => value.to_string(),
    }
}

fn answers(heading: &str, cases: &[Case], met: &[Result<Met, Trouble>]) -> Table {
    let mut table = Table::new(heading, ["variant", "accepted, or what differs first"]);
    for (case, met) in cases.iter().zip(met) {
        let said = match met {
            Ok(met) => match &met.answer {
                Answer::Accepted(_) => Cell::words("accepted"),
                // The explanation of a difference on a line of its own.
                Answer::Refused(lines) => Cell::words(first(lines).join("\n").replace(" (", "\n(")),
            },
            Err(Trouble::NotRun(why)) => Cell::missing(why),
            Err(Trouble::Failed(why)) => Cell::words(format!("FAILED: {why}")),
        };
        table.add([Cell::words(&case.variant.name), said]);
    }
    table
}

/// The first line of a diff, and the first one that is about more than padding.
fn first(lines: &[String]) -> Vec<&str> {
    let about = |line: &String| line.strip_prefix("field \"").is_some_and(is_padding);
    let padding = lines.first().filter(|line| about(line));
    let data = lines.iter().find(|line| !about(line));
    padding
        .into_iter()
        .chain(data)
        .map(String::as_str)
        .collect()
}

fn conclude(
    report: &mut Report,
    cases: &[Case],
    plain: &[Result<Met, Trouble>],
    named: &[Result<Met, Trouble>],
) {
    let refused = |met: &[Result<Met, Trouble>], also: fn(&Met) -> bool| {
        let of = |(case, met): (&Case, &Result<Met, Trouble>)| {
            let met = met.as_ref().ok().filter(|met| also(met))?;
            matches!(met.answer, Answer::Refused(_)).then(|| case.variant.name.clone())
        };
        cases.iter().zip(met).filter_map(of).collect::<Vec<_>>()
    };
    let of_our_size = refused(plain, |met| met.theirs.size() == size_of::<Tick>() as u64);
    report.conclusions.push(format!(
        "{} of {} are refused",
        refused(plain, |_| true).len(),
        plain.iter().flatten().count(),
    ));
    report.conclusions.push(format!(
        "who compares sizes lets {} of these through: {}",
        of_our_size.len(),
        of_our_size.join("; ")
    ));
    report.conclusions.push(format!(
        "where the source names its padding, {} of {} are refused",
        refused(named, |_| true).len(),
        named.iter().flatten().count(),
    ));
}

/// A layout in a line, and what is read where it is taken for ours.
fn summary(case: &Case, compiled: &Compiled, ours: &Description) -> String {
    let offset = |member: &Member| {
        let field = field_of(case, compiled, member)?;
        Some(format!("{} {}", field.name, field.offset))
    };
    let offsets: Vec<_> = TICK.iter().filter_map(offset).collect();
    let read = answer::values(ours, &compiled.items).into_iter();
    let read = TICK.iter().zip(read).zip(TRUTH[0]);
    let wrong = read.filter(|((_, value), truth)| value != truth);
    let wrong = wrong.map(|((member, value), truth)| {
        format!("{} {} for {}", member.name, shown(value), shown(truth))
    });
    let wrong: Vec<_> = wrong.collect();
    let taken = match wrong.is_empty() {
        true => "every number right".to_owned(),
        false => wrong.join(", "),
    };
    format!(
        "{} bytes, aligned to {}: {}; taken for our layout: {taken}; ",
        compiled.description.size(),
        compiled.align,
        offsets.join(", ")
    )
}

/// The row of one variant; `found` goes before the answer.
fn row(case: &Case, check: &str, met: &Result<Met, Trouble>, found: &str) -> Record {
    let subject = &case.variant.name;
    let row = match met {
        Ok(met) => {
            let said = match &met.answer {
                Answer::Accepted(_) => "accepted, the bytes mean the same".to_owned(),
                Answer::Refused(lines) => format!("refused: {}", first(lines).join("; ")),
            };
            match &met.judged {
                Ok(()) => Record::passed(LAYER, subject, check).reason(format!("{found}{said}")),
                Err(why) => Record::failed(LAYER, subject, check, format!("{found}{said}: {why}")),
            }
        }
        Err(trouble) => of_trouble(subject, check, trouble),
    };
    row.repeat(REPEAT)
}

fn of_trouble(subject: &str, check: &str, trouble: &Trouble) -> Record {
    match trouble {
        Trouble::NotRun(why) => Record::not_run(LAYER, subject, check, why),
        Trouble::Failed(why) => Record::failed(LAYER, subject, check, why),
    }
}

/// Whether it is noticed when a comparison does not look at something.
fn planted(
    blind: Blind,
    ours: &Description,
    cases: &[Case],
    plain: &[Result<Met, Trouble>],
) -> Record {
    let let_through = cases.iter().zip(plain).filter_map(|(case, met)| {
        let met = met.as_ref().ok().filter(|met| met.differs(ours))?;
        let answer = blind.answer(ours, &met.theirs);
        let accepted = matches!(answer, Answer::Accepted(_));
        let noticed = accepted && answer::judge(ours, &met.theirs, &answer).is_err();
        noticed.then_some(case.variant.name.as_str())
    });
    let let_through: Vec<_> = let_through.collect();
    let subject = "a comparison";
    let check = format!("planted: {} not compared", blind.name());
    let row = if let_through.is_empty() {
        let trouble = if plain.iter().any(Result::is_err) {
            Trouble::NotRun
        } else {
            Trouble::Failed
        };
        let why = format!(
            "no variant that was measured differs in {} alone",
            blind.name()
        );
        of_trouble(subject, &check, &trouble(why))
    } else {
        let why = format!(
            "it would accept, and this is noticed: {}",
            let_through.join("; ")
        );
        let count = let_through.len() as u64;
        Record::passed(LAYER, subject, check)
            .count(count, "variants")
            .reason(why)
    };
    row.repeat(REPEAT)
}

/// What the headers are asked, and a part of what they must answer; nothing where they must accept.
const ASKED: [(&str, Form, &[Member], Option<&str>); 7] = [
    ("C", Form::C, TICK, Some("padding")),
    ("C, padding named", Form::C, NAMED, None),
    ("C++", Form::Cpp, TICK, Some("padding")),
    ("C++, padding named", Form::Cpp, NAMED, None),
    (
        "C++, base",
        Form::Base {
            has_constructor: false,
        },
        NAMED,
        ONLY_BYTES,
    ),
    (
        "C++, base()",
        Form::Base {
            has_constructor: true,
        },
        NAMED,
        ONLY_BYTES,
    ),
    ("C++, virtual", Form::Virtual, NAMED, ONLY_BYTES),
];

const ONLY_BYTES: Option<&str> = Some("all there is to it");

fn add_headers(report: &mut Report, tools: &Tools, folder: &Path) {
    let mut table = Table::new(
        "But there is no such segment as long as there is padding in the struct. What the headers \
         say before\nthere is one (in Rust, such a struct is no `Payload`, and does not compile):",
        ["struct", "answer", "what it says"],
    );
    for (what, form, members, expected) in ASKED {
        let (row, answer, said) = match headers::describe(form, members, tools, folder) {
            Ok(said) => {
                let right = match (&said, expected) {
                    (Some(said), Some(part)) => said.contains(part),
                    (None, None) => true,
                    _ => false,
                };
                let answer = if said.is_some() {
                    "refused"
                } else {
                    "accepted"
                };
                let said = said.unwrap_or_default();
                let row = match right {
                    true => {
                        Record::passed(LAYER, what, "header").reason(format!("{answer}: {said}"))
                    }
                    false => {
                        let why = format!("{answer}: {said}; expected {expected:?}");
                        Record::failed(LAYER, what, "header", why)
                    }
                };
                (row, answer, said)
            }
            Err(trouble) => {
                let row = of_trouble(what, "header", &trouble);
                let (Trouble::NotRun(why) | Trouble::Failed(why)) = trouble;
                (row, "–", why)
            }
        };
        report.rows.push(row.repeat(REPEAT));
        let said = said.replace(": ", ":\n");
        table.add([Cell::words(what), Cell::words(answer), Cell::words(said)]);
    }
    report.tables.push(table);
}
