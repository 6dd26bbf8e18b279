//! The soak: processes of every role, killed and stopped at random moments for as long as one
//! likes.
//!
//! The time is divided into *rounds*. A round has one structure, whose kind, size and start follow
//! from the seed and the round's number, and some processes that use it. One in eight is killed, or
//! stopped and let go on or killed then, at a moment that was drawn in microseconds from its start:
//! it runs what ships. Most such moments find it before its first operation, or between two. The
//! others have a number of accesses instead, and kill themselves after the last one, which is
//! inside an operation; what their peers do meanwhile is as free as ever. Another one takes the
//! place of each. After each death what it left is held to what the structure promises; the
//! processes themselves check each item and each value. At last nobody is killed any more, and all
//! must come to a goal.
//!
//! A death is *inside* an operation where the dead process had begun to move an item or a value (a
//! mere look at an index is nothing yet), and the operation had not returned. A process with a
//! number of accesses says so itself, in a word that outlives it ([`countdown`]); of any process
//! what it left may show it, as an odd sequence or an index of which there is no note. What neither
//! shows counts as outside.

mod campaign;
mod choice;
mod countdown;
mod crew;
mod dump;
mod plant;
mod progress;
mod ring;
mod tally;
mod value;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use ringproof::layout::Kind;
use ringproof_record::{Record, Shard, deadline, machine};

use crate::process::{Interrupts, SingleThreaded, short_patience};
use crate::shm::{Prefix, Sweeper};
use campaign::{Campaign, KINDS, Outcome, Rounds};
use choice::Round;
use plant::Plant;
use progress::Progress;
use tally::Failure;
pub(crate) use tally::RoundReport;

const LAYER: &str = "soak";

/// In minutes.
const SHORT: f64 = 0.25;
const LONGEST: f64 = 1e6;

/// So many processors are used at most: each takes processes, and descriptors for them.
const MOST_SUPERVISORS: u64 = 1024;

/// How long to look for a planted fault.
fn planted() -> Duration {
    deadline::seconds(60)
}

/// Kills in which a planted fault must be noticed; it mostly is in tens. Fewer, where the time was
/// short, show nothing.
const MANY: u64 = 20_000;

/// Kill and stop processes at random moments, for minutes or for a night
///
/// Producers and consumers of rings, writers and readers of seqlocks and latches, one crew for each
/// processor: each process is killed by SIGKILL, or stopped by SIGSTOP and later let go on or
/// killed, alone or with all others, some microseconds to a millisecond after its start, or kills
/// itself after a number of accesses, inside an operation, and another one takes its place. Rings
/// hold from 1 to 65,536 items and start at zero or shortly before a corner of the range of
/// positions, its end included; some have a name, and are unlinked and made anew by a process that
/// is killed, too. Every item must be processed once, whole and in order; no reader may get a torn
/// value or an older one than before; a role must be free after a death, and held during a stop; and
/// who is left alone must get on. Planted faults show that each of these would be noticed.
///
/// The seed decides every choice: what, how large, who is killed and how many microseconds or
/// accesses after its start. It does not decide how far a process comes in these microseconds, nor
/// what its peers do: two runs with one seed choose alike and do not happen alike. So `--round`
/// repeats a round many times.
#[derive(Args)]
#[command(after_long_help = "\
Examples:
  ringproof-stress soak
      a quarter of a minute, after the planted faults
  ringproof-stress soak --minutes 480 --seed 7
      a night
  ringproof-stress soak --minutes 480 --seed 7 --shard 2/3
      a night of the second of three machines: it takes every third round of this seed
  ringproof-stress soak --seed 7 --round 41
      one round, again and again, as the row of a failure says")]
pub(crate) struct Options {
    /// How long, not counting the planted faults; a fraction such as 0.1 is fine [default: 0.25, or
    /// with --round no limit]
    #[arg(long, value_parser = minutes)]
    minutes: Option<f64>,
    /// What every choice follows from
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The rounds I, I + N, I + 2N, …, each of which has choices of its own
    #[arg(long, value_name = "I/N", default_value_t = Shard::WHOLE)]
    shard: Shard,
    /// Only this round, again and again
    #[arg(long, value_name = "R", conflicts_with = "shard")]
    round: Option<u64>,
    /// How many times, unless it fails before
    #[arg(long, value_name = "K", default_value_t = 1000, requires = "round")]
    times: u64,
    /// Plant this fault: it must be noticed
    #[arg(long, value_name = "FAULT")]
    plant: Option<Plant>,
    /// For how many seconds an endpoint may not get on that nobody hinders
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    patience: u64,
    /// How many processors to use; all unless this is given
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=MOST_SUPERVISORS))]
    supervisors: Option<u64>,
    /// Where to keep the segment of a round that failed; beside this program unless this is given
    #[arg(long, value_name = "DIRECTORY")]
    dump: Option<PathBuf>,
}

fn minutes(text: &str) -> Result<f64, String> {
    (text.parse().ok())
        .filter(|minutes: &f64| *minutes > 0.0 && *minutes <= LONGEST)
        .ok_or_else(|| "expected a number of minutes, for example 0.25 or 480".to_owned())
}

impl Options {
    fn duration(&self) -> Duration {
        let minutes = self.minutes.unwrap_or(match self.round {
            Some(_) => LONGEST,
            None => SHORT,
        });
        Duration::from_secs_f64(minutes * 60.0)
    }

    fn supervisors(&self) -> u64 {
        let all = || (machine::parallelism() as u64).min(MOST_SUPERVISORS);
        match self.round {
            // The same round at the same time, too, is a matter of luck.
            Some(_) => 1,
            None => self.supervisors.unwrap_or_else(all),
        }
    }

    fn rounds(&self) -> Rounds {
        match self.round {
            Some(number) => Rounds::Only {
                number,
                times: self.times,
            },
            None => Rounds::Every {
                first: self.shard.number.into(),
                step: self.shard.of.into(),
            },
        }
    }

    /// The command that repeats a round, or all of them.
    fn command(&self, plant: Option<Plant>, round: Option<u64>) -> String {
        let mut command = format!("cargo run -p ringproof-stress -- soak --seed {}", self.seed);
        if let Some(name) = plant.and_then(|plant| plant.to_possible_value()) {
            command += &format!(" --plant {}", name.get_name());
        }
        match round {
            Some(round) => command += &format!(" --round {round}"),
            None => {
                if let Some(minutes) = self.minutes {
                    command += &format!(" --minutes {minutes}");
                }
                if self.shard != Shard::WHOLE {
                    command += &format!(" --shard {}", self.shard);
                }
            }
        }
        command
    }

    /// Whether a structure of this kind is to be tried.
    fn concerns(&self, kind: Kind) -> bool {
        match (self.round, self.plant) {
            (Some(round), _) => Round::of(self.seed, round).kind == kind,
            (None, Some(plant)) => plant.kind() == kind,
            (None, None) => true,
        }
    }

    fn dump(&self) -> Result<PathBuf> {
        match &self.dump {
            Some(directory) => Ok(directory.clone()),
            None => {
                let this = std::env::current_exe().context("cannot find this program")?;
                Ok(this.with_file_name("soak"))
            }
        }
    }
}

/// Runs the layer.
pub(crate) fn run(options: &Options) -> Result<Vec<Record>> {
    let alone = SingleThreaded::check()?;
    let interrupts = Interrupts::catch()?;
    let prefix = Prefix::new(LAYER);
    let _sweeper = Sweeper::start(&prefix, alone)?;
    eprintln!("soak: seed {}", options.seed);

    let names = prefix.to_string();
    let campaign = |plant, duration| -> Result<Campaign<'_>> {
        Ok(Campaign {
            alone,
            interrupts: &interrupts,
            seed: options.seed,
            rounds: options.rounds(),
            plant,
            end: Instant::now() + duration,
            supervisors: options.supervisors(),
            patience: match plant {
                Some(Plant::Hang) => short_patience(),
                _ => deadline::seconds(options.patience),
            },
            prefix: &names,
            dump: (plant == options.plant)
                .then(|| options.dump())
                .transpose()?,
        })
    };
    let mut rows = Vec::new();
    let mut interrupted = false;
    if options.plant.is_none() && options.round.is_none() {
        for plant in Plant::value_variants() {
            let outcome = if interrupted {
                Outcome::interrupted()
            } else {
                campaign(Some(*plant), planted())?.run(None)?
            };
            interrupted |= outcome.interrupted;
            rows.push(plant_row(options, *plant, &outcome));
        }
    }
    let start = Instant::now();
    let outcome = if interrupted {
        Outcome::interrupted()
    } else {
        campaign(options.plant, options.duration())?.run(Some(&mut Progress::start()))?
    };
    let total = outcome.total();
    eprintln!(
        "soak: {:.1} s, {}",
        start.elapsed().as_secs_f64(),
        total.describe("items and values")
    );
    let kinds = KINDS.into_iter().filter(|kind| options.concerns(*kind));
    let mut soaked: Vec<_> = kinds
        .flat_map(|kind| kind_rows(options, kind, &outcome))
        .collect();
    soaked.append(&mut rows);
    soaked.push(
        prefix
            .judge(LAYER)?
            .repeat(options.command(options.plant, options.round)),
    );
    Ok(soaked)
}

/// What became of a structure of this kind.
fn kind_rows(options: &Options, kind: Kind, outcome: &Outcome) -> Vec<Record> {
    let tally = outcome.tally(kind);
    let mut rows = vec![
        judged(options, kind, outcome, false).count(tally.kills, "kills"),
        judged(options, kind, outcome, true).count(tally.rounds, "rounds"),
    ];
    if options.round.is_none() && options.plant.is_none() {
        let check = "witness: deaths inside an operation";
        let share = 100.0 * tally.inside as f64 / tally.kills.max(1) as f64;
        let why = format!("{share:.1} % of {} kills", tally.kills);
        let row = if 2 * tally.inside > tally.kills {
            Record::passed(LAYER, kind.name(), check).reason(why)
        } else {
            let why = format!("{why}, and not more than half of them");
            Record::not_run(LAYER, kind.name(), check, why)
        };
        let row = row.repeat(options.command(None, None));
        rows.push(row.count(tally.inside, "deaths"));
        if kind == Kind::Ring {
            let check = "witness: unlinked and made anew by somebody who was killed";
            let row = if tally.renewals > 0 {
                Record::passed(LAYER, "segment", check)
            } else {
                let why = format!("in {} kills it has not happened", tally.kills);
                Record::not_run(LAYER, "segment", check, why)
            };
            let row = row.repeat(options.command(None, None));
            rows.push(row.count(tally.renewals, "segments"));
        }
    }
    rows
}

/// Whether anything was found wrong: that somebody did not get on, or anything else.
fn judged(options: &Options, kind: Kind, outcome: &Outcome, hang: bool) -> Record {
    let check = if hang {
        "who is left alone gets on"
    } else {
        "random kills and stops"
    };
    let tally = outcome.tally(kind);
    let failed = outcome.failure.as_ref().filter(|(round, failure)| {
        Round::of(options.seed, *round).kind == kind && failure.hang == hang
    });
    let name = kind.name();
    if let Some((round, Failure { what, .. })) = failed {
        return Record::failed(LAYER, name, check, what)
            .repeat(options.command(options.plant, Some(*round)));
    }
    let (done, tried) = if hang {
        let patience = deadline::seconds(options.patience).as_secs();
        let done = format!("0 hangs, of {patience} s or more without any progress");
        (done, tally.rounds)
    } else {
        let things = if kind == Kind::Ring {
            "items"
        } else {
            "values"
        };
        (tally.describe(things), tally.kills)
    };
    let row = if outcome.interrupted {
        let why = format!("interrupted; nothing wrong until then: {done}");
        Record::not_run(LAYER, name, check, why)
    } else if tried == 0 {
        Record::not_run(
            LAYER,
            name,
            check,
            "the time, or the first failure, came before it",
        )
    } else {
        Record::passed(LAYER, name, check).reason(done)
    };
    row.repeat(options.command(options.plant, options.round))
}

/// A planted fault passes when it was caught, for what it is.
fn plant_row(options: &Options, plant: Plant, outcome: &Outcome) -> Record {
    let subject = plant.kind().name();
    let check = format!("planted fault: {}", plant.describe());
    let kills = outcome.total().kills;
    let row = match &outcome.failure {
        Some((round, failure)) if failure.hang == (plant == Plant::Hang) => {
            Record::passed(LAYER, subject, check)
                .reason(&failure.what)
                .repeat(options.command(Some(plant), Some(*round)))
        }
        Some((round, failure)) => {
            let why = format!("something else was noticed: {}", failure.what);
            Record::failed(LAYER, subject, check, why)
                .repeat(options.command(Some(plant), Some(*round)))
        }
        None if outcome.interrupted => Record::not_run(LAYER, subject, check, "interrupted")
            .repeat(options.command(Some(plant), None)),
        None if kills < MANY => {
            let seconds = planted().as_secs();
            let why = format!("not noticed in {seconds} s, which was time for {kills} kills only");
            Record::not_run(LAYER, subject, check, why).repeat(options.command(Some(plant), None))
        }
        None => Record::failed(LAYER, subject, check, "the planted fault was not noticed")
            .repeat(options.command(Some(plant), None)),
    };
    row.count(kills, "kills until caught")
}

#[cfg(test)]
mod tests {
    use super::tally::Tally;
    use super::*;
    use ringproof_record::Verdict;

    fn options() -> Options {
        Options {
            minutes: None,
            seed: 4,
            shard: Shard::WHOLE,
            round: None,
            times: 1,
            plant: None,
            patience: 10,
            supervisors: None,
            dump: None,
        }
    }

    fn verdicts(outcome: &Outcome) -> Vec<Verdict> {
        let rows = kind_rows(&options(), Kind::Latch, outcome);
        rows.iter().map(|row| row.verdict).collect()
    }

    /// What came of so many kills, rounds that came to their end and deaths inside an operation.
    fn outcome(kills: u64, rounds: u64, inside: u64) -> Outcome {
        let tally = Tally {
            kills,
            rounds,
            inside,
            ..Tally::default()
        };
        Outcome {
            tallies: [tally; KINDS.len()],
            ..Outcome::default()
        }
    }

    /// What came of so many kills of seqlocks alone.
    fn outcome_in(kills: u64) -> Outcome {
        let mut outcome = Outcome::default();
        outcome.tallies[1].kills = kills;
        outcome
    }

    #[test]
    fn what_was_not_tried_has_not_passed() {
        use Verdict::{NotRun, Passed};
        assert_eq!(verdicts(&outcome(0, 0, 0)), [NotRun; 3]);
        assert_eq!(verdicts(&outcome(9, 0, 0)), [Passed, NotRun, NotRun]);
        assert_eq!(verdicts(&outcome(9, 1, 5)), [Passed; 3]);
        // Half of them is no majority.
        assert_eq!(verdicts(&outcome(10, 1, 5)), [Passed, Passed, NotRun]);
        assert_eq!(verdicts(&Outcome::interrupted()), [NotRun; 3]);
    }

    #[test]
    fn a_failure_fails_the_row_of_its_kind() {
        let round = (0..)
            .find(|number| Round::of(4, *number).kind == Kind::Latch)
            .unwrap();
        for hang in [false, true] {
            let mut outcome = outcome(9, 1, 1);
            let what = "all is lost".to_owned();
            outcome.failure = Some((round, Failure { what, hang }));
            let rows = kind_rows(&options(), Kind::Latch, &outcome);
            let failed: Vec<_> = (rows.iter())
                .filter(|row| row.verdict == Verdict::Failed)
                .collect();
            assert_eq!(failed.len(), 1);
            assert_eq!(failed[0].check, rows[usize::from(hang)].check);
            let repeat = failed[0].repeat.as_deref().unwrap();
            assert!(repeat.ends_with(&format!("soak --seed 4 --round {round}")));
            let others = kind_rows(&options(), Kind::Ring, &outcome);
            assert!(others.iter().all(|row| row.verdict != Verdict::Failed));
        }
    }

    #[test]
    fn a_planted_fault_passes_when_it_was_caught_for_what_it_is() {
        for (hang, caught) in [(Some(true), true), (Some(false), false), (None, false)] {
            let mut outcome = outcome(9, 1, 1);
            let what = "all is lost".to_owned();
            outcome.failure = hang.map(|hang| (7, Failure { what, hang }));
            let row = plant_row(&options(), Plant::Hang, &outcome);
            assert_eq!(row.verdict == Verdict::Passed, caught, "{row:?}");
        }
        // What is not noticed has failed, if there was time for it.
        for (kills, verdict) in [(MANY - 1, Verdict::NotRun), (MANY, Verdict::Failed)] {
            let row = plant_row(&options(), Plant::RoundUp, &outcome_in(kills));
            assert_eq!(row.verdict, verdict, "{row:?}");
        }
    }
}
