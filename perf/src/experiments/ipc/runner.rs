//! Measures mechanisms against each other, size by size.

use super::control::{Exercise, Task};
use super::mechanism::{Delivers, Mechanism, Nature, SIZES, Waiting};
use super::message::Injected;
use super::segments;
use super::two::{Moved, Place, Program, Two};
use crate::cpus::Pair;
use crate::probe::agree;
use crate::report::Trouble;
use crate::rounds::{Rounds, Sample};
use crate::run::{self, Settings, probe};

/// What is asked of each mechanism.
const EXERCISES: [Exercise; 2] = [Exercise::PingPong, Exercise::Stream];

/// What was measured with messages of one size.
#[derive(Clone, Debug)]
pub struct Measured {
    /// Bytes in a message.
    pub size: usize,
    /// The mechanisms, in the order in which they were given.
    pub lines: Vec<Line>,
    /// The rounds that the series below are of.
    pub rounds: Rounds,
}

/// What was measured of one mechanism with messages of one size.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// The mechanism.
    pub name: &'static str,
    /// What is known of it without measuring.
    pub nature: Nature,
    /// Nanoseconds one way, round by round, or why there are none.
    pub latency: Figure,
    /// Messages a second, round by round, or why there are none.
    pub rate: Figure,
    /// System calls for each message of a ping-pong, of both sides together, if the kernel counted
    /// them, or why it did not.
    pub system_calls: Result<f64, String>,
    /// How often a process slept for each message of a ping-pong.
    pub sleeps: Option<f64>,
}

/// A series of values, round by round, or why there is none.
pub type Figure = Result<Vec<f64>, Trouble>;

/// Measures all mechanisms with messages of every size that the settings ask for.
///
/// A mechanism that cannot be used here, or breaks when it is tried first, has no figures but the
/// reason; the others go on.
///
/// # Errors
/// [`Trouble`] if there are no two CPUs, if they moved or were taken away, or if a mechanism broke
/// later.
pub fn measure(
    settings: &Settings,
    pair: Pair,
    program: &Program,
    mechanisms: &[Mechanism],
) -> Result<Vec<Measured>, Trouble> {
    let sizes = settings.extent.pick(&SIZES[..1], &SIZES);
    let sized = |size: &usize| measure_size(settings, pair, program, mechanisms, *size);
    sizes.iter().map(sized).collect()
}

/// Two sides and a mechanism between them, for messages of one size.
#[derive(Clone, Copy)]
pub(super) struct Setup {
    pub(super) mechanism: Mechanism,
    pub(super) size: usize,
    pub(super) place: Place,
}

/// A setup, one exercise, and how many messages fill a sample.
pub(super) struct Case {
    setup: Setup,
    task: Task,
}

fn measure_size(
    settings: &Settings,
    pair: Pair,
    program: &Program,
    mechanisms: &[Mechanism],
    size: usize,
) -> Result<Measured, Trouble> {
    let mut lines = Vec::new();
    let (mut cases, mut lines_of_cases) = (Vec::new(), Vec::new());
    for (line, mechanism) in mechanisms.iter().enumerate() {
        // Not a reason of this mechanism: it would be that of all that come after it.
        pair.is_left()?;
        let setup = Setup {
            mechanism: *mechanism,
            size,
            place: Place::TwoProcesses,
        };
        let tried = EXERCISES.map(|exercise| calibrate(settings, pair, program, setup, exercise));
        lines.push(Line::first(mechanism, &tried));
        for calibrated in tried.into_iter().flatten() {
            cases.push(calibrated.case);
            lines_of_cases.push(line);
        }
    }
    if cases.is_empty() {
        let rounds = Rounds::default();
        return Ok(Measured {
            size,
            lines,
            rounds,
        });
    }
    let name = format!("ipc, {size} bytes");
    let rounds = in_turn(&name, &cases, pair, settings, program)?;
    for ((case, line), series) in cases.iter().zip(lines_of_cases).zip(&rounds.series) {
        let line: &mut Line = &mut lines[line];
        *match case.task.exercise {
            Exercise::PingPong => &mut line.latency,
            Exercise::Stream => &mut line.rate,
        } = Ok(series.clone());
    }
    Ok(Measured {
        size,
        lines,
        rounds,
    })
}

/// Nanoseconds one way, or messages a second, of each case in turn.
pub(super) fn in_turn(
    name: &str,
    cases: &[Case],
    pair: Pair,
    settings: &Settings,
    program: &Program,
) -> Result<Rounds, Trouble> {
    run::measure(name, cases.len(), Some(pair), settings, |round| {
        for index in round.order.clone() {
            let case = &cases[index];
            // New processes, and all that lies between them anew.
            let mut two = case.setup.start(program, pair)?;
            let distance = round.distance;
            round.take(index, || {
                let before = case.probe(pair)?;
                let moved = two.run(case.task)?;
                let after = case.probe(pair)?;
                let mut probes = [before, after].into_iter().flatten();
                let elsewhere = probes.any(|now| distance.is_some_and(|then| !agree(then, now)));
                Ok::<_, Trouble>(Sample {
                    value: case.value(&moved),
                    preemptions: moved.preemptions + u64::from(elsewhere),
                })
            })?;
        }
        Ok(())
    })
}

impl Setup {
    fn start(&self, program: &Program, pair: Pair) -> Result<Two, Trouble> {
        Two::start(program, self.place, &self.mechanism, self.size, Some(pair))
    }
}

impl Case {
    /// How far apart the CPUs are, where that matters: who sleeps for every message hardly notices,
    /// and a round is long enough for CPUs to move to and fro within it.
    fn probe(&self, pair: Pair) -> Result<Option<f64>, Trouble> {
        match self.setup.mechanism.nature.waiting {
            Waiting::Polls | Waiting::PollsFirst => probe(pair),
            Waiting::Sleeps => Ok(None),
        }
    }

    /// Nanoseconds one way, or messages a second.
    fn value(&self, moved: &Moved) -> f64 {
        match self.task.exercise {
            Exercise::PingPong => moved.each(),
            Exercise::Stream => 1e9 / moved.each(),
        }
    }
}

/// A case whose task fills a sample, and what counting found.
pub(super) struct Calibrated {
    pub(super) case: Case,
    counted: Moved,
}

impl Line {
    /// A line without figures yet.
    fn first(mechanism: &Mechanism, tried: &[Result<Calibrated, Trouble>; 2]) -> Self {
        let [latency, rate] = tried.each_ref().map(Result::as_ref);
        let why =
            |tried: Result<&Calibrated, &Trouble>| tried.map(|_| Vec::new()).map_err(Clone::clone);
        let counted = latency.map(|calibrated| &calibrated.counted);
        Line {
            name: mechanism.name,
            nature: mechanism.nature,
            latency: why(latency),
            rate: why(rate),
            system_calls: match counted {
                Ok(Moved {
                    system_calls: Some(Ok(count)),
                    messages,
                    ..
                }) => Ok(*count as f64 / *messages as f64),
                Ok(Moved {
                    system_calls: Some(Err(why)),
                    ..
                }) => Err(why.clone()),
                Ok(_) => Err("they were not counted".to_owned()),
                Err(Trouble::NotRun(why) | Trouble::Failed(why)) => Err(why.clone()),
            },
            sleeps: counted
                .ok()
                .map(|moved| moved.sleeps as f64 / moved.messages as f64),
        }
    }
}

/// Finds out how many messages take about as long as a sample shall, and counts once.
pub(super) fn calibrate(
    settings: &Settings,
    pair: Pair,
    program: &Program,
    setup: Setup,
    exercise: Exercise,
) -> Result<Calibrated, Trouble> {
    const FEWEST: u64 = 64;
    const MOST: u64 = 1 << 20;
    let nature = setup.mechanism.nature;
    if exercise == Exercise::Stream && nature.delivers == Delivers::Latest {
        return Err(Trouble::NotRun(
            "it holds the latest value: a writer that does not wait for the reader overwrites what was \
             not read (how fast that goes, `latest` measures)"
                .to_owned(),
        ));
    }
    let mut two = setup.start(program, pair)?;
    let mut task = Task {
        exercise,
        first: settings.first_item(),
        // Once around memory that costs nothing but its faults: they would be a part of the figure.
        warm_up: match nature.system_calls {
            0 if nature.waiting != Waiting::Sleeps => FEWEST.max(segments::capacity(setup.size)),
            _ => FEWEST,
        },
        count: FEWEST,
        injected: Injected::Nothing,
        system_calls: false,
    };
    let mut moved = two.run(task)?;
    // What was measured with few messages is mostly start: again with more, while that changes much.
    while moved.took * 4 < settings.sample && task.count < MOST {
        task.count = (task.count * 4).min(MOST);
        moved = two.run(task)?;
    }
    let share = settings.sample.as_secs_f64() / moved.took.as_secs_f64();
    task.count = ((task.count as f64 * share) as u64).clamp(FEWEST, MOST);
    let counted = two.run(Task {
        system_calls: true,
        count: FEWEST,
        ..task
    })?;
    Ok(Calibrated {
        case: Case { setup, task },
        counted,
    })
}
