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
//! processes themselves check each item and each value. At last there are no more kills, and all
//! must come to a goal.
//!
//! A death is *inside* an operation where the dead process had begun to move an item or a value (a
//! mere look at an index is nothing yet), and the operation had not returned. A process with a
//! number of accesses says so itself, in a word that outlives it ([`countdown`]); of any process
//! what it left may show it, as an odd sequence or an index of which there is no note. What neither
//! shows counts as outside.
//!
//! In half of the rounds an end that can do nothing sleeps until it is woken ([`vigil`]).

mod campaign;
mod choice;
mod countdown;
mod dump;
mod ring;
mod tally;
mod value;
mod vigil;
mod workers;

use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Args;
use ringproof::layout::Kind;
use ringproof_record::{Record, Shard, deadline, machine};

use crate::desk::{Asked, Check, Desk, Layer, Setting, Unknown};
use crate::ends::KINDS;
use crate::fault::Fault;
use crate::process::{Interrupts, NotHere, short_patience};
use campaign::{Campaign, Outcome, Place, Rounds};
use choice::Round;
use tally::Progress;

/// In minutes.
const SHORT: f64 = 0.25;
const LONGEST: f64 = 1e6;

/// So many processors are used at most: each takes processes, and descriptors for them.
const MOST_SUPERVISORS: u64 = 1024;

/// How long to look for an injected fault.
fn injected() -> Duration {
    deadline::seconds(60)
}

/// Kills in which an injected fault must be noticed; it mostly is in tens. Fewer, where the time was
/// short, show nothing.
const MANY: u64 = 20_000;

/// What is noticed of a structure, in whatever words: which come first is a matter of luck.
const WRONG: &str = "a wrong state";

/// The checks of each kind of structure.
const KILLS: &str = "random kills and stops";
const ALONE: &str = "who is left alone gets on";

/// Kill and stop processes at random moments, for minutes or for a night
///
/// Producers and consumers of rings, writers and readers of seqlocks and latches, one group of workers
/// for each processor: each process is killed by SIGKILL, or stopped by SIGSTOP and later let go on or
/// killed, alone or with all others, some microseconds to a millisecond after its start, or kills
/// itself after a number of accesses, inside an operation, and another one takes its place. Rings
/// hold from 1 to 65,536 items and start at zero or shortly before a corner of the range of
/// positions, its end included; some have a name, and are unlinked and made anew by a process that
/// is killed, too. Every item must be processed once, whole and in order; no reader may get a torn
/// value or an older one than before; a role must be free after a death, and held during a stop; and
/// who is left alone must get on. Injected faults show that each of these would be noticed.
///
/// The seed decides every choice: what, how large, who is killed and how many microseconds or
/// accesses after its start. It does not decide how far a process comes in these microseconds, nor
/// what its peers do: two runs with one seed choose alike and do not happen alike. So a round that is
/// asked for is repeated many times.
#[derive(Args, Clone)]
#[command(after_long_help = "\
Examples:
  ringproof-stress soak
      a quarter of a minute, and then the injected faults
  ringproof-stress soak --minutes 480 --seed 7
      a night
  ringproof-stress soak --minutes 480 --seed 7 --shard 2/3
      a night of the second of three machines: it takes every third round of this seed
  ringproof-stress soak --seed 7 --only ring:41
      one round, again and again, as the row of a failure says")]
pub(crate) struct Options {
    #[command(flatten)]
    asked: Asked,
    /// How long, not counting the injected faults; a fraction such as 0.1 is fine. A round that is
    /// asked for, as `--only ring:41`, is repeated instead
    #[arg(long, default_value_t = SHORT, value_parser = minutes)]
    minutes: f64,
    /// How often a round that is asked for is repeated, unless it fails before
    #[arg(long, value_name = "K", default_value_t = 1000, requires = "only")]
    times: u64,
    /// For how many seconds an endpoint may not get on that nothing hinders
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
    /// The round that is asked for.
    fn round(&self) -> Option<u64> {
        self.asked.only.as_ref()?.split_once(':')?.1.parse().ok()
    }

    /// Whether structures of this kind are asked for.
    fn concerns(&self, kind: Kind) -> bool {
        let only = self.asked.only.as_ref();
        only.is_none_or(|only| only.split(':').next() == Some(kind.name()))
    }

    fn supervisors(&self) -> u64 {
        let all = || (machine::parallelism() as u64).min(MOST_SUPERVISORS);
        match self.round() {
            // The same round at the same time, too, is a matter of luck.
            Some(_) => 1,
            None => self.supervisors.unwrap_or_else(all),
        }
    }

    fn rounds(&self) -> Rounds {
        let shard = self.asked.shard;
        match self.round() {
            Some(number) => Rounds::Only {
                number,
                times: self.times,
            },
            None => Rounds::Every {
                first: shard.number.into(),
                step: shard.of.into(),
            },
        }
    }

    /// A campaign for that long, unless it is one round that is asked for.
    fn campaign<'a>(
        &self,
        setting: Place<'a>,
        fault: Option<Fault>,
        time: Duration,
    ) -> Result<Campaign<'a>> {
        let time = match self.round() {
            Some(_) => Duration::from_secs_f64(LONGEST * 60.0),
            None => time,
        };
        let dump = match &self.dump {
            Some(directory) => directory.clone(),
            None => {
                let this = std::env::current_exe().context("cannot find this program")?;
                this.with_file_name("soak")
            }
        };
        Ok(Campaign {
            place: setting,
            seed: self.asked.seed,
            rounds: self.rounds(),
            kinds: KINDS
                .into_iter()
                .filter(|kind| self.concerns(*kind))
                .collect(),
            fault,
            end: Instant::now() + time,
            supervisors: self.supervisors(),
            patience: match fault {
                Some(Fault::Hang | Fault::WakeLost) => short_patience(),
                _ => deadline::seconds(self.patience),
            },
            // What is injected to be caught is of no interest.
            dump: (fault == self.asked.inject).then_some(dump),
        })
    }
}

/// Two checks of each kind of structure: the trials are what the injected faults are looked for in.
fn checks(options: &Rc<Options>) -> Vec<Check> {
    let mut checks = Vec::new();
    for kind in KINDS {
        let check = |what, unit| {
            let options = options.clone();
            Check::new(kind.name(), what, unit, move |setting| {
                look(&options, kind, setting)
            })
        };
        let kills = check(KILLS, "kills");
        checks.push(match kind {
            Kind::Ring => kills
                .injected(Fault::PublishFirst, WRONG)
                .injected(Fault::ResumeLate, WRONG)
                .injected(Fault::ResumeEarly, WRONG)
                .injected(Fault::FreeFirst, WRONG)
                .injected(Fault::Forget, WRONG)
                .injected(Fault::AskLost, "a wake-up was lost")
                .injected(Fault::RoleKept, "role is still held")
                .injected(Fault::RoleLost, "another one can take it"),
            Kind::SeqLock => kills
                .injected(Fault::NoOdd, WRONG)
                .injected(Fault::RoundUp, WRONG)
                .injected(Fault::AskLost, "a wake-up was lost"),
            Kind::Latch => kills
                .injected(Fault::LatchFirst, WRONG)
                .injected(Fault::AskLost, "a wake-up was lost"),
        });
        let alone = check(ALONE, "rounds");
        checks.push(match kind {
            Kind::Ring => alone
                .injected(Fault::Hang, "no progress for")
                .injected(Fault::WakeLost, "no progress for"),
            Kind::SeqLock | Kind::Latch => alone.injected(Fault::WakeLost, "no progress for"),
        });
    }
    checks
}

/// Looks for something wrong in structures of this kind: how many were killed until there was no
/// more time.
fn look(options: &Options, kind: Kind, setting: &Setting<'_>) -> Result<u64> {
    let interrupts = Interrupts::catch()?;
    let place = Place {
        alone: setting.alone,
        interrupts: &interrupts,
        prefix: setting.prefix,
    };
    let mut campaign = options.campaign(place, setting.fault, injected())?;
    campaign.kinds = vec![kind];
    let outcome = campaign.run(None)?;
    if let Some((round, failure)) = &outcome.failure {
        let address = format!("{}:{round}", kind.name());
        setting.attempt(&address, None, || -> Result<()> {
            let kind = if failure.hang { "a hang" } else { WRONG };
            bail!("{kind}: {}", failure.what)
        })?;
    }
    let kills = outcome.tally(kind).kills;
    if kills < MANY {
        let seconds = injected().as_secs();
        let why = format!("not noticed in {seconds} s, which was time for {kills} kills only");
        return Err(NotHere(why).into());
    }
    Ok(kills)
}

/// Runs the layer.
pub(crate) fn run(options: Options) -> Result<Vec<Record>> {
    let options = Rc::new(options);
    eprintln!("soak: seed {}", options.asked.seed);
    let mut command = format!("soak --minutes {}", options.minutes);
    if options.asked.shard != Shard::WHOLE {
        command += &format!(" --shard {}", options.asked.shard);
    }
    // The shard is one of the rounds, not of the checks.
    let asked = Asked {
        shard: Shard::WHOLE,
        ..options.asked.clone()
    };
    let layer = Layer::new("soak", command, &asked, checks(&options));
    if let Some(number) = options.round() {
        let kind = Round::of(asked.seed, number).kind;
        if !options.concerns(kind) {
            let name = kind.name();
            return Err(Unknown(format!("round {number} is of a {name}: {name}:{number}")).into());
        }
    }
    let desk = Desk::open(&layer)?;
    if asked.inject.is_some() {
        return desk.run(|_| None);
    }
    let names = format!("{}main-", desk.prefix);
    let place = Place {
        alone: desk.alone,
        interrupts: &desk.interrupts,
        prefix: &names,
    };
    let start = Instant::now();
    let time = Duration::from_secs_f64(options.minutes * 60.0);
    let outcome = (options.campaign(place, None, time)?).run(Some(&mut Progress::start()))?;
    eprintln!(
        "soak: {:.1} s, {}",
        start.elapsed().as_secs_f64(),
        outcome.total().describe("items and values")
    );
    desk.run(|check| {
        let kind = KINDS
            .into_iter()
            .find(|kind| kind.name() == check.subject)?;
        Some(rows(&options, &layer, check, kind, &outcome))
    })
}

/// What became of a structure of this kind, as far as this check is concerned.
fn rows(
    options: &Options,
    layer: &Layer<'_>,
    check: &Check,
    kind: Kind,
    outcome: &Outcome,
) -> Vec<Record> {
    let again = |only: &str| layer.again(Some(check), only, None);
    let (tally, name) = (outcome.tally(kind), kind.name());
    let whole = options.asked.only.as_deref().unwrap_or_default();
    let hang = check.what == ALONE;
    let failed = outcome.failure.as_ref().filter(|(round, failure)| {
        Round::of(options.asked.seed, *round).kind == kind && failure.hang == hang
    });
    let (done, tried, unit) = if hang {
        let patience = deadline::seconds(options.patience).as_secs();
        let done = format!("0 hangs, of {patience} s or more without any progress");
        (done, tally.rounds, "rounds")
    } else {
        let things = match kind {
            Kind::Ring => "items",
            Kind::SeqLock | Kind::Latch => "values",
        };
        (tally.describe(things), tally.kills, "kills")
    };
    let not_run = |why: &str| Record::not_run("soak", name, check.what.clone(), why);
    let row = match failed {
        Some((_, failure)) => Record::failed("soak", name, check.what.clone(), &failure.what),
        None if outcome.interrupted => {
            not_run(&format!("interrupted; nothing wrong until then: {done}"))
        }
        None if tried == 0 => not_run("the time, or the first failure, came before it"),
        None => Record::passed("soak", name, check.what.clone()).reason(done),
    };
    let only = failed.map_or(whole.to_owned(), |(round, _)| format!("{name}:{round}"));
    let mut rows = vec![row.count(tried, unit).repeat(again(&only))];
    if hang && options.round().is_none() {
        let mut witness = |subject: &str, check: &str, enough, why: String, times, unit: &str| {
            let row = match enough {
                true => Record::passed("soak", subject, check).reason(why),
                false => Record::not_run("soak", subject, check, why),
            };
            rows.push(row.count(times, unit).repeat(again(whole)));
        };
        let (inside, kills) = (tally.inside, tally.kills);
        let enough = 2 * inside > kills;
        let mut share = format!(
            "{:.1} % of {kills} kills",
            100.0 * inside as f64 / kills.max(1) as f64
        );
        if !enough {
            share += ", and not more than half of them";
        }
        let deaths = "witness: deaths inside an operation";
        witness(name, deaths, enough, share, inside, "deaths");
        if kind == Kind::Ring {
            let anew = "witness: unlinked and made anew by somebody who was killed";
            let (renewals, why) = (tally.renewals, format!("in {kills} kills"));
            witness("segment", anew, renewals > 0, why, renewals, "segments");
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::tally::{Failure, Tally};
    use super::*;
    use ringproof_record::Verdict;

    /// The rows of a kind, of a soak of which this came.
    fn kind_rows(kind: Kind, outcome: &Outcome) -> Vec<Record> {
        let options = Rc::new(Options {
            asked: Asked::everything(4),
            minutes: SHORT,
            times: 1,
            patience: 10,
            supervisors: None,
            dump: None,
        });
        let layer = Layer::new("soak", "soak", &options.asked, checks(&options));
        let of_kind = layer
            .checks
            .iter()
            .filter(|check| check.subject == kind.name());
        of_kind
            .flat_map(|check| rows(&options, &layer, check, kind, outcome))
            .collect()
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

    #[test]
    fn what_was_not_tried_has_not_passed() {
        use Verdict::{NotRun, Passed};
        let verdicts = |outcome: &Outcome| -> Vec<_> {
            let rows = kind_rows(Kind::Latch, outcome);
            rows.iter().map(|row| row.verdict).collect()
        };
        assert_eq!(verdicts(&outcome(0, 0, 0)), [NotRun; 3]);
        assert_eq!(verdicts(&outcome(9, 0, 0)), [Passed, NotRun, NotRun]);
        assert_eq!(verdicts(&outcome(9, 1, 5)), [Passed; 3]);
        // Half of them is no majority.
        assert_eq!(verdicts(&outcome(10, 1, 5)), [Passed, Passed, NotRun]);
        let interrupted = Outcome {
            interrupted: true,
            ..Outcome::default()
        };
        assert_eq!(verdicts(&interrupted), [NotRun; 3]);
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
            let rows = kind_rows(Kind::Latch, &outcome);
            let failed: Vec<_> = (rows.iter())
                .filter(|row| row.verdict == Verdict::Failed)
                .collect();
            assert_eq!(failed.len(), 1);
            assert_eq!(failed[0].check, rows[usize::from(hang)].check);
            let repeat = failed[0].repeat.as_deref().unwrap();
            assert!(repeat.ends_with(&format!("soak --seed 4 --only latch:{round}")));
            let others = kind_rows(Kind::Ring, &outcome);
            assert!(others.iter().all(|row| row.verdict != Verdict::Failed));
        }
    }
}
