//! Exploring at the user's word: what is selected, and what comes of it.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use ringproof_models::calibration;
use ringproof_models::change::Change;
use ringproof_models::engine::Engine;
use ringproof_models::engine::shuttle::Strategy;
use ringproof_models::exploration::Effort;
use ringproof_models::scenario;
use ringproof_models::suite::{self, Plan, Shard};
use ringproof_record::{Exit, Record};

use crate::output::{Format, show};

/// Executions per exploration in the suite of every day: above what any of its scenarios has.
const BY_DAY: u64 = 2_000_000;
/// And at night, where some scenarios would not end before the morning.
const BY_NIGHT: u64 = 30_000_000;

/// Schedules per exploration under shuttle: what loom has exhausted holds no more for an engine
/// without weak memory, and the larger ones cannot be exhausted.
const SCHEDULES_BY_DAY: u64 = 10_000;
const SCHEDULES_BY_NIGHT: u64 = 100_000;

const STEPS_BY_DAY: u64 = 4_000_000;
const STEPS_BY_NIGHT: u64 = 200_000_000;

#[derive(Args)]
pub(crate) struct Selection {
    #[command(flatten)]
    pub(crate) format: Format,
    /// Where random schedules start from (loom makes no random choice)
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Executions per exploration at most, 2,000,000 by day and 30,000,000 by night; under shuttle
    /// 10,000 and 100,000, and as many again at random where they are not all
    #[arg(long)]
    executions: Option<u64>,
    /// The large scenarios, too: hours
    #[arg(long)]
    nightly: bool,
    /// How many minutes the large scenarios have together: each a share, at the end of which it is
    /// TRUNCATED [default: as many as they need]
    #[arg(long, requires = "nightly", value_parser = minutes)]
    minutes: Option<Duration>,
    /// The part I of N of the work
    #[arg(long, value_name = "I/N", default_value_t = Shard::WHOLE)]
    shard: Shard,
    /// Only the scenario of this name
    #[arg(long, value_name = "SCENARIO")]
    only: Option<String>,
    /// As one line, for the process that started this one
    #[arg(long, hide = true, requires = "only", conflicts_with = "change")]
    apart: bool,
    /// With one change of the site table, for example `RingPublish=Relaxed`: it must be noticed
    #[arg(long, value_name = "SITE=CHANGE", requires = "only", value_parser = Change::parse)]
    change: Option<Change>,
}

impl Selection {
    fn effort<E: Engine>(&self) -> Effort {
        let most = match (E::WEAK, self.nightly) {
            (true, false) => BY_DAY,
            (true, true) => BY_NIGHT,
            (false, false) => SCHEDULES_BY_DAY,
            (false, true) => SCHEDULES_BY_NIGHT,
        };
        Effort {
            executions: self.executions.unwrap_or(most),
            seed: self.seed,
        }
    }

    fn plan<E: Engine>(&self) -> Plan {
        Plan {
            effort: self.effort::<E>(),
            // In a limited time they come last, after all that has none.
            nightly: self.nightly && self.minutes.is_none(),
            shard: self.shard,
        }
    }

    /// What comes last: the calibration, and the large scenarios if their time is limited.
    fn rest<E: Engine>(&self, seen: &(dyn Fn(&Record) + Sync)) -> Vec<Record> {
        let mut rows = Vec::new();
        if self.shard.has(0) {
            rows = calibration::rows::<E>();
            rows.iter().for_each(seen);
        }
        if let Some(long) = self.minutes {
            let scenarios = self.shard.part_of(scenario::night());
            rows.extend(suite::run_for::<E>(
                &scenarios,
                self.effort::<E>(),
                long,
                seen,
            ));
        }
        rows
    }
}

fn minutes(text: &str) -> Result<Duration, String> {
    (text.parse::<f64>().ok())
        .filter(|minutes| (0.0..=10_000.0).contains(minutes))
        .map(|minutes| Duration::from_secs_f64(60.0 * minutes))
        .ok_or_else(|| "expected a number of minutes, for example 0.5 or 90".to_owned())
}

/// Runs what is selected under loom.
#[cfg(feature = "loom")]
pub(crate) fn under_loom(selection: &Selection) -> anyhow::Result<Exit> {
    use ringproof_models::apart;
    use ringproof_models::engine::loom::Loom;

    let effort = selection.effort::<Loom>();
    if let (true, Some(name)) = (selection.apart, &selection.only) {
        let scenario = suite::find(name).map_err(anyhow::Error::msg)?;
        let (_, control) = suite::control::<Loom>(&scenario, effort);
        println!("{}", apart::write(&control));
        return Ok(Exit::Passed);
    }
    show(&selection.format, |seen| {
        if let Some(name) = &selection.only {
            let rows = suite::run_one::<Loom>(name, selection.change, effort)?;
            rows.iter().for_each(seen);
            return Ok(rows);
        }
        let plan = selection.plan::<Loom>();
        let explore = |scenario: &_| apart::control::<Loom>(scenario, effort);
        let mut rows = suite::run::<Loom>(&plan, Some(&explore), seen);
        rows.extend(selection.rest::<Loom>(seen));
        Ok(rows)
    })
}

/// What else shuttle takes.
#[derive(Args)]
pub(crate) struct Long {
    /// Steps for each long scenario and strategy; 4,000,000 by day and 200,000,000 by night
    #[arg(long)]
    steps: Option<u64>,
    /// Only this strategy, with `--only long/…`: random, PCT(1) to PCT(5) or URW
    #[arg(long, requires = "only")]
    strategy: Option<Strategy>,
    /// Where the schedule of a failure is written to [default: in the target directory]
    #[arg(long, value_name = "DIRECTORY")]
    save: Option<PathBuf>,
    /// Repeat this saved schedule, and nothing else
    #[arg(long, value_name = "FILE", conflicts_with_all = ["only", "nightly", "shard", "steps", "save"])]
    replay: Option<PathBuf>,
}

/// Runs what is selected under shuttle.
pub(crate) fn under_shuttle(selection: &Selection, long: &Long) -> anyhow::Result<Exit> {
    use ringproof_models::engine::shuttle::Shuttle;
    use ringproof_models::long::{self as long_runs, Budget};

    let steps = if selection.nightly {
        STEPS_BY_NIGHT
    } else {
        STEPS_BY_DAY
    };
    let budget = Budget {
        steps: long.steps.unwrap_or(steps),
        seed: selection.seed,
    };
    let directory = (long.save.clone()).unwrap_or_else(long_runs::default_directory);
    show(&selection.format, |seen| {
        let asked_for = match (&long.replay, &selection.only) {
            (Some(file), _) => vec![long_runs::replay(file)?],
            (None, Some(name)) if name.starts_with("long/") => {
                long_runs::run_one(name, long.strategy, selection.change, budget, &directory)?
            }
            (None, Some(name)) => {
                let effort = selection.effort::<Shuttle>();
                suite::run_one::<Shuttle>(name, selection.change, effort)?
            }
            (None, None) => {
                let plan = selection.plan::<Shuttle>();
                let mut rows = suite::run::<Shuttle>(&plan, None, seen);
                let scenarios = plan.shard.part_of(scenario::long::inventory());
                rows.extend(long_runs::run(&scenarios, budget, &directory, seen));
                rows.extend(selection.rest::<Shuttle>(seen));
                return Ok(rows);
            }
        };
        asked_for.iter().for_each(seen);
        Ok(asked_for)
    })
}
