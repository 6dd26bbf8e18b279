//! A crash at every machine instruction.
//!
//! What ships is machine code. The operations are called through functions that are compiled on
//! their own ([`entries`]), a forked process is stepped through one of them by ptrace, and after
//! each instruction the segment is looked at.
//!
//! An instruction is the unit in which a process dies: SIGKILL is delivered between two. What
//! its retired instructions have stored is not lost with it. Stores wait in the core's store
//! buffer, which is no part of the process: it drains into the cache, in order on x86-64, whatever
//! runs on that core next, and long before the kernel has given the lock of the dead one's role to
//! anybody. So the images between two instructions are all that a death can leave behind; that
//! the kernel agrees is checked, by comparing each with what a real kill leaves.
//!
//! Not covered: the same source inlined elsewhere or compiled otherwise, what *other* CPUs see of
//! a store that has not drained while its process is alive (which is what the memory models are
//! explored for), and other processors than x86-64.

mod entries;
mod explore;
mod image;
mod latest;
mod ring;
mod role;
mod scenario;
mod source;
mod tracee;

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use clap::{Args, ValueEnum};
use ringproof_record::Record;

use crate::fault::Fault;
use crate::process::{Interrupts, SingleThreaded};
use explore::{Bench, Broken, Tried};
use ring::Pair;
use scenario::Scenario;
use tracee::{Pinned, Tracee};

const LAYER: &str = "crash";

/// How long to say nothing.
const SILENCE: Duration = Duration::from_secs(2);

/// Stop a process after every machine instruction of an operation, and let it die there
///
/// Each operation is stepped through by ptrace, in several states of its structure; after each
/// instruction the shared memory is looked at. Snapshots: every distinct image of it is
/// recovered, on a copy, by a peer and a successor. Kills: the process really dies there, by
/// SIGKILL. Second deaths: a successor, which has taken the role, is stepped through its own first
/// operation and dies, too. Pairs: one of push and pop stands still after each of its
/// instructions, the other one runs and dies, then the first goes on. In each case what was committed is there, once and whole, and what was
/// not is not; an operation took effect or did not, and what took effect stays.
///
/// It judges the machine code of this very program: build it with `--release` for what ships.
/// Not covered are other inlinings of the same source, and what other CPUs see of stores still
/// under way while the process lives. (At its death they are not lost: the store buffer drains
/// whoever runs next.)
#[derive(Args)]
#[command(after_long_help = "\
Examples:
  ringproof-stress instructions
      everything, in seconds
  ringproof-stress instructions --every-instruction
      a kill after each instruction, and every pair of instructions: minutes
  ringproof-stress instructions --only ring/push:full
      one operation in one state
  ringproof-stress instructions --mode kills --only ring/push:empty:41
      one kill: after instruction 41 (a repeated instruction counts each repetition)
  ringproof-stress instructions --plant publish-first
      with a fault planted: this one must fail")]
pub(crate) struct Options {
    /// What the contents and the positions follow from
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Only these ways to die; all unless given
    #[arg(long, value_delimiter = ',')]
    pub(crate) mode: Vec<Mode>,
    /// Only this operation, state or instruction; the second number is that of the successor or
    /// of the other one of a pair
    #[arg(long, value_name = "SUBJECT[:STATE[:INSTRUCTION[:INSTRUCTION]]]")]
    pub(crate) only: Option<Address>,
    /// Kill at each instruction, not once for each distinct state of the memory
    #[arg(long)]
    pub(crate) every_instruction: bool,
    /// Plant this fault in the operations that it concerns
    #[arg(long, value_name = "FAULT")]
    pub(crate) plant: Option<Fault>,
}

/// A way to die.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Mode {
    /// Every distinct image between two instructions is recovered, on a copy
    Snapshots,
    /// A real SIGKILL
    Kills,
    /// The successor dies in its recovery
    SecondDeaths,
    /// Producer and consumer interleaved
    Pairs,
}

/// The faults that are planted, each with the operation that has it and the way in which it must
/// be noticed.
const PLANTED: [(Fault, &str, Mode); 9] = [
    (Fault::PublishFirst, "ring/push", Mode::Snapshots),
    (Fault::NoOdd, "seqlock/write", Mode::Snapshots),
    (Fault::LatchFirst, "latch/write", Mode::Snapshots),
    (Fault::EpochLost, "role/take-over", Mode::Snapshots),
    (Fault::PublishFirst, "ring/push", Mode::Kills),
    (Fault::RoleKept, "ring/push", Mode::Kills),
    (Fault::RoundUp, "seqlock/write", Mode::SecondDeaths),
    (Fault::PublishFirst, "ring/push", Mode::Pairs),
    (Fault::FreeFirst, "ring/pop", Mode::Pairs),
];

/// What one row is about.
enum Case {
    One(Box<dyn Scenario>),
    Pair(Pair),
}

impl Case {
    /// The one that dies first, or is stopped.
    fn scenario(&self) -> &dyn Scenario {
        match self {
            Case::One(scenario) => scenario.as_ref(),
            Case::Pair(pair) => &pair.stopped,
        }
    }
}

impl Mode {
    fn cases(self, seed: u64) -> Vec<Case> {
        if self == Mode::Pairs {
            return ring::pairs(seed).into_iter().map(Case::Pair).collect();
        }
        let ring = ring::cases(seed).into_iter();
        let mut scenarios: Vec<Box<dyn Scenario>> = ring.map(|case| Box::new(case) as _).collect();
        scenarios.extend(latest::cases(seed));
        scenarios.extend(role::cases(seed));
        scenarios.into_iter().map(Case::One).collect()
    }

    fn name(self) -> &'static str {
        match self {
            Mode::Snapshots => "snapshots",
            Mode::Kills => "kills",
            Mode::SecondDeaths => "second deaths",
            Mode::Pairs => "pairs",
        }
    }
}

/// What to try: `SUBJECT`, `SUBJECT:STATE`, and up to two numbers of instructions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    subject: String,
    state: Option<String>,
    steps: Vec<u64>,
}

impl Address {
    fn of(scenario: &dyn Scenario, steps: &[u64]) -> Self {
        Address {
            subject: scenario.subject().to_owned(),
            state: Some(scenario.state().to_owned()),
            steps: steps.to_vec(),
        }
    }

    fn covers(&self, scenario: &dyn Scenario) -> bool {
        self.subject == scenario.subject()
            && (self.state.as_ref()).is_none_or(|state| state == scenario.state())
    }
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut parts = text.split(':');
        let address = Address {
            subject: parts.next().unwrap_or_default().to_owned(),
            state: parts.next().map(str::to_owned),
            steps: parts
                .map(|number| {
                    (number.parse())
                        .map_err(|_| format!("`{number}` is not the number of an instruction"))
                })
                .collect::<Result<_, _>>()?,
        };
        if address.steps.len() > 2 {
            return Err("expected SUBJECT[:STATE[:INSTRUCTION[:INSTRUCTION]]]".to_owned());
        }
        let cases = Mode::Snapshots.cases(0);
        if cases.iter().any(|case| address.covers(case.scenario())) {
            return Ok(address);
        }
        let mut subjects: Vec<_> = (cases.iter())
            .map(|case| case.scenario().subject())
            .collect();
        subjects.dedup();
        let states: Vec<_> = (cases.iter().map(Case::scenario))
            .filter(|scenario| scenario.subject() == address.subject)
            .map(|scenario| scenario.state())
            .collect();
        Err(match (states.is_empty(), &address.state) {
            (false, Some(state)) => format!(
                "{} is not tried in state `{state}`; its states: {}",
                address.subject,
                states.join(", ")
            ),
            _ => format!(
                "there is no subject `{}`; the subjects: {}",
                address.subject,
                subjects.join(", ")
            ),
        })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.subject)?;
        if let Some(state) = &self.state {
            write!(f, ":{state}")?;
        }
        for step in &self.steps {
            write!(f, ":{step}")?;
        }
        Ok(())
    }
}

/// Steps through everything that `options` ask for; the rows, in an order that depends on
/// nothing.
pub(crate) fn run(options: &Options) -> Result<Vec<Record>> {
    let start = Instant::now();
    if let Some(fault) = options.plant
        && !PLANTED.iter().any(|(planted, ..)| *planted == fault)
    {
        bail!("no instruction shows {}", fault.describe());
    }
    ensure!(
        chosen(options).next().is_some(),
        "nothing is tried that is all of what was asked for"
    );
    let alone = SingleThreaded::check()?;
    let interrupts = Interrupts::catch()?;
    if let Err(why) = probe(alone) {
        return Ok(not_run(options, &format!("{why:#}")));
    }
    let pinned = Pinned::here();
    if let Err(error) = &pinned {
        eprintln!("instructions: not on one CPU, which is slower: {error:#}");
    }

    let mut progress = Progress(Instant::now());
    let mut rows = Vec::new();
    let bench = |fault| Bench {
        alone,
        interrupts: &interrupts,
        fault,
        every: options.every_instruction,
        only: [0, 1].map(|place| {
            let steps = options.only.as_ref().map(|only| &only.steps[..]);
            steps.and_then(|steps| steps.get(place)).copied()
        }),
    };
    for (mode, case) in chosen(options) {
        let scenario = case.scenario();
        progress.tell(mode, scenario);
        let check = check(mode, &case);
        let outcome = explore(&bench(options.plant), mode, &case);
        // An interruption is no verdict.
        interrupts.check()?;
        rows.push(match outcome {
            Ok(Tried {
                count,
                unit,
                how_far,
            }) => Record::passed(LAYER, scenario.subject(), check)
                .count(count, unit)
                .reason(how_far)
                .repeat(command(options, mode, &Address::of(scenario, &[]))),
            Err(broken) => {
                let why = tell(scenario, &broken);
                Record::failed(LAYER, scenario.subject(), check, why).repeat(command(
                    options,
                    mode,
                    &Address::of(scenario, &broken.steps),
                ))
            }
        });
    }
    for (fault, subject, mode) in PLANTED {
        if options.plants(mode) {
            rows.push(planted(options, &bench(Some(fault)), fault, subject, mode));
            interrupts.check()?;
        }
    }
    eprintln!(
        "instructions: {} rows in {:.1} s, of a program {} debug assertions",
        rows.len(),
        start.elapsed().as_secs_f64(),
        if cfg!(debug_assertions) {
            "with"
        } else {
            "without"
        }
    );
    Ok(rows)
}

impl Options {
    /// All of it.
    pub(crate) fn everything(seed: u64) -> Options {
        Options {
            seed,
            mode: Vec::new(),
            only: None,
            every_instruction: false,
            plant: None,
        }
    }

    fn covers(&self, mode: Mode) -> bool {
        self.mode.is_empty() || self.mode.contains(&mode)
    }

    /// Whether the faults that this way to die must notice are planted.
    fn plants(&self, mode: Mode) -> bool {
        self.only.is_none() && self.plant.is_none() && self.covers(mode)
    }
}

/// Whether a process may be stepped here.
fn probe(alone: SingleThreaded) -> Result<()> {
    extern "C" fn nothing() -> u64 {
        0
    }
    let mut tracee = Tracee::start(alone, |stage| {
        let entry: extern "C" fn() -> u64 = std::hint::black_box(nothing);
        stage.enter(entry as *const (), || entry());
        Ok(())
    })?;
    while tracee.step()?.is_some() {}
    Ok(())
}

/// The rows where nothing can be stepped.
fn not_run(options: &Options, why: &str) -> Vec<Record> {
    let cases = chosen(options).map(|(mode, case)| {
        let scenario = case.scenario();
        Record::not_run(LAYER, scenario.subject(), check(mode, &case), why).repeat(command(
            options,
            mode,
            &Address::of(scenario, &[]),
        ))
    });
    let planted = PLANTED.iter().filter(|(.., mode)| options.plants(*mode));
    let planted = planted.map(|(fault, subject, mode)| {
        Record::not_run(LAYER, *subject, planted_check(*fault, *mode), why)
    });
    cases.chain(planted).collect()
}

/// What `options` ask for.
fn chosen(options: &Options) -> impl Iterator<Item = (Mode, Case)> {
    let modes = Mode::value_variants().iter().copied();
    let cases = modes
        .filter(|mode| options.covers(*mode))
        .flat_map(|mode| (mode.cases(options.seed).into_iter()).map(move |case| (mode, case)));
    cases.filter(|(_, case)| {
        let scenario = case.scenario();
        (options.only.as_ref()).is_none_or(|only| only.covers(scenario))
            && (options.plant).is_none_or(|fault| concerns(fault, scenario))
    })
}

fn concerns(fault: Fault, scenario: &dyn Scenario) -> bool {
    PLANTED
        .iter()
        .any(|(planted, subject, _)| *planted == fault && *subject == scenario.subject())
}

fn explore(bench: &Bench<'_>, mode: Mode, case: &Case) -> Result<Tried, Broken> {
    match (mode, case) {
        (_, Case::Pair(pair)) => bench.pairs(pair),
        (Mode::Kills, Case::One(scenario)) => bench.kills(scenario.as_ref()),
        (Mode::SecondDeaths, Case::One(scenario)) => bench.second_deaths(scenario.as_ref()),
        (_, Case::One(scenario)) => bench.snapshots(scenario.as_ref()),
    }
}

fn check(mode: Mode, case: &Case) -> String {
    let state = case.scenario().state();
    format!("every instruction, {}: state `{state}`", mode.name())
}

/// What went wrong, and where.
fn tell(scenario: &dyn Scenario, broken: &Broken) -> String {
    let (subject, state) = (scenario.subject(), scenario.state());
    format!("{subject} in state `{state}`, {:#}", broken.error)
}

fn planted_check(fault: Fault, mode: Mode) -> String {
    format!("planted fault: {}, by {}", fault.describe(), mode.name())
}

/// A planted fault passes when it was caught.
fn planted(
    options: &Options,
    bench: &Bench<'_>,
    fault: Fault,
    subject: &str,
    mode: Mode,
) -> Record {
    let check = planted_check(fault, mode);
    let options = Options {
        plant: Some(fault),
        ..Options::everything(options.seed)
    };
    let mut tried = 0;
    for case in mode.cases(options.seed) {
        let scenario = case.scenario();
        if scenario.subject() != subject {
            continue;
        }
        tried += 1;
        if let Err(broken) = explore(bench, mode, &case) {
            if broken.steps.is_empty() {
                // It is not what was planted that went wrong.
                return Record::failed(LAYER, subject, check, tell(scenario, &broken))
                    .repeat(command(&options, mode, &Address::of(scenario, &[])));
            }
            return Record::passed(LAYER, subject, check)
                .count(tried, "states until caught")
                .reason(tell(scenario, &broken))
                .repeat(command(
                    &options,
                    mode,
                    &Address::of(scenario, &broken.steps),
                ));
        }
    }
    let all = Address {
        subject: subject.to_owned(),
        state: None,
        steps: Vec::new(),
    };
    Record::failed(LAYER, subject, check, "the planted fault was not noticed")
        .count(tried, "states")
        .repeat(command(&options, mode, &all))
}

fn command(options: &Options, mode: Mode, only: &Address) -> String {
    let name = |value: Option<clap::builder::PossibleValue>| {
        value.map_or(String::new(), |value| value.get_name().to_owned())
    };
    let mut command = format!(
        "cargo run -p ringproof-stress -- instructions --seed {} --mode {} --only {only}",
        options.seed,
        name(mode.to_possible_value())
    );
    if options.every_instruction {
        command += " --every-instruction";
    }
    if let Some(fault) = options.plant {
        command += &format!(" --plant {}", name(fault.to_possible_value()));
    }
    command
}

/// Says what is under way when nothing was said for long.
struct Progress(Instant);

impl Progress {
    fn tell(&mut self, mode: Mode, scenario: &dyn Scenario) {
        if self.0.elapsed() >= SILENCE {
            self.0 = Instant::now();
            let (subject, state) = (scenario.subject(), scenario.state());
            eprintln!(
                "instructions: {} of {subject} in state `{state}`",
                mode.name()
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ringproof_record::Verdict;

    #[test]
    fn addresses_are_read_as_they_are_written() {
        for text in [
            "ring/push",
            "latch/write:wrap",
            "ring/pop:one:12",
            "ring/push:full:3:40",
        ] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
        }
        for (text, hint) in [
            ("ring/shove", "ring/push_slice"),
            ("ring/push:fulll", "tight"),
            ("ring/push:full:x", "`x`"),
            ("ring/push:full:1:2:3", "SUBJECT[:STATE"),
        ] {
            let error = text.parse::<Address>().unwrap_err();
            assert!(error.contains(hint), "{text}: {error}");
        }
    }

    #[test]
    fn each_way_to_die_has_a_planted_fault_and_each_fault_an_operation() {
        for mode in Mode::value_variants() {
            assert!(
                PLANTED.iter().any(|(.., found_by)| found_by == mode),
                "{mode:?}"
            );
        }
        for (fault, subject, mode) in PLANTED {
            let cases = mode.cases(0);
            let concerned = (cases.iter()).any(|case| case.scenario().subject() == subject);
            assert!(concerned, "{fault:?}: {subject}");
        }
    }

    #[test]
    fn where_nothing_can_be_stepped_every_row_says_so() {
        let rows = not_run(&Options::everything(1), "no ptrace");
        for mode in Mode::value_variants() {
            let named = format!(", {}: state", mode.name());
            assert!(
                rows.iter().any(|row| row.check.contains(&named)),
                "{mode:?}"
            );
        }
        for row in rows {
            assert_eq!(
                (row.verdict, row.reason.as_deref()),
                (Verdict::NotRun, Some("no ptrace"))
            );
        }
    }
}
