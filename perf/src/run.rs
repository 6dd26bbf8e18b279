//! What the command line asks of an experiment, and how it measures what it compares.

use std::time::Duration;

use clap::ValueEnum;
use indicatif::{ProgressBar, ProgressFinish, ProgressStyle};
use ringproof::Payload;

use crate::cpus::{Pair, Wanted};
use crate::links::BATCH;
use crate::placement::Board;
use crate::probe;
use crate::report::Trouble;
use crate::rounds::{Round, Rounds, Sample, interleave};
use crate::stats::FEWEST_ROUNDS;
use crate::stream::Link;
use crate::together::Fault;

/// What the command line asks of every experiment.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// The CPUs to use; chosen if not given.
    pub cpus: Option<Wanted>,
    /// Rounds that must count.
    pub rounds: usize,
    /// Turns the order of the cases and sets the number of the first item.
    pub seed: u64,
    /// How long one sample runs, roughly. Short, so that it has a chance to run undisturbed.
    pub sample: Duration,
    /// How much of an experiment is done.
    pub extent: Extent,
    /// Where an experiment has rings of several capacities, only this one.
    pub capacity: Option<u64>,
}

/// How much of an experiment is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Extent {
    /// Every size, as many rounds as it takes to trust the figures.
    Full,
    /// Fewer sizes, as few rounds as show anything: all experiments together in four minutes.
    Quick,
    /// That it runs, not how fast: all experiments together in seconds.
    Smoke,
}

impl Extent {
    /// Less of something where it is enough to see that it runs.
    pub fn pick<T>(self, smoke: T, more: T) -> T {
        match self {
            Extent::Smoke => smoke,
            Extent::Full | Extent::Quick => more,
        }
    }

    /// How many rounds there are unless asked otherwise.
    pub fn rounds(self) -> usize {
        match self {
            Extent::Full => 9,
            Extent::Quick => FEWEST_ROUNDS,
            Extent::Smoke => 3,
        }
    }

    /// How long a sample runs.
    pub fn sample(self) -> Duration {
        match self {
            Extent::Full | Extent::Quick => Duration::from_millis(5),
            Extent::Smoke => Duration::from_millis(2),
        }
    }
}

impl Settings {
    /// What is usual for this extent.
    pub fn of(extent: Extent) -> Self {
        Settings {
            cpus: None,
            rounds: extent.rounds(),
            seed: 0,
            sample: extent.sample(),
            extent,
            capacity: None,
        }
    }

    /// The two CPUs.
    pub fn pair(&self) -> Result<Pair, Trouble> {
        Pair::choose(self.cpus).map_err(|unfit| Trouble::NotRun(unfit.to_string()))
    }

    /// The number of the first item: far from zero, so that an item that was never written is not
    /// taken for one.
    pub fn first_item(&self) -> u64 {
        self.seed
            .wrapping_add(1)
            .wrapping_mul(0x9E37_79B9_7F4A_7C15)
            // It is a ring's position, too; these end at 2^63.
            >> 2
    }
}

/// How far apart the two CPUs are; where threads cannot be pinned there is nothing to probe.
pub fn probe(pair: Pair) -> Result<Option<f64>, Trouble> {
    pair.is_left()?;
    let probed = pair.pinned.then(|| probe::one_way(pair)).transpose();
    probed.map_err(|fault| fault.of("a ping-pong between the two CPUs"))
}

/// Measures `cases` cases in turn, round by round. The two CPUs are probed if they are given.
///
/// `round` makes what one round measures and takes its samples.
///
/// # Errors
/// The first error of `round`. CPUs that would not stay where they are make it not run: if fewer
/// rounds than wanted count, and too few to conclude anything from.
pub fn measure(
    name: &str,
    cases: usize,
    pair: Option<Pair>,
    settings: &Settings,
    round: impl FnMut(&mut Round) -> Result<(), Trouble>,
) -> Result<Rounds, Trouble> {
    let progress = progress(name, settings.rounds);
    let rounds = interleave(
        settings.rounds,
        cases,
        settings.seed,
        || pair.map_or(Ok(None), probe),
        round,
        |counting| progress.set_position(counting as u64),
    )?;
    if rounds.count() < settings.rounds.min(FEWEST_ROUNDS) {
        return Err(Trouble::NotRun(format!(
            "the two CPUs moved: in {} of {} rounds the one-way latency before and after \
             disagreed, as when a hypervisor moves virtual CPUs between cores and hyperthreads",
            rounds.moved,
            rounds.moved + rounds.count(),
        )));
    }
    Ok(rounds)
}

/// Measures cases of which nothing is made but in their samples.
pub fn measure_each(
    name: &str,
    cases: usize,
    pair: Option<Pair>,
    settings: &Settings,
    mut sample: impl FnMut(usize) -> Result<Sample, Trouble>,
) -> Result<Rounds, Trouble> {
    measure(name, cases, pair, settings, |round| round.each(&mut sample))
}

/// Measures cases whose samples have several values: the first case's values come first.
pub fn measure_several<const N: usize>(
    name: &str,
    cases: usize,
    pair: Option<Pair>,
    settings: &Settings,
    mut sample: impl FnMut(usize) -> Result<([f64; N], u64), Trouble>,
) -> Result<Rounds, Trouble> {
    measure(name, N * cases, pair, settings, |round| {
        let order = round.order.clone();
        let mut firsts = order.into_iter().filter(|case| case.is_multiple_of(N));
        firsts.try_for_each(|first| {
            let values = std::array::from_fn(|at| first + at);
            round.take_together(values, || sample(first / N))
        })
    })
}

/// One line on standard error for an experiment of so many rounds, drawn only where that is a terminal, and
/// gone when it is dropped.
fn progress(name: &str, rounds: usize) -> ProgressBar {
    let bar = ProgressBar::new(rounds as u64).with_finish(ProgressFinish::AndClear);
    let bar = bar.with_message(name.to_owned());
    // The template is ours and constant; the plain bar is no reason to stop.
    if let Ok(style) =
        ProgressStyle::with_template("{msg} {wide_bar} round {pos} of {len}  {elapsed}")
    {
        bar.set_style(style);
    }
    // Drawn between samples only: a thread that ticks would take a CPU from the experiment.
    bar.tick();
    bar
}

/// How many repetitions, but at least so many, take about as long as a sample shall, if so many take what
/// `timed` says.
pub(crate) fn fit<E>(
    fewest: u64,
    sample: Duration,
    mut timed: impl FnMut(u64) -> Result<Duration, E>,
) -> Result<u64, E> {
    let mut count = fewest;
    loop {
        let took = timed(count)?;
        // From this part of a sample on the clock's own cost is no part of it.
        if took * 16 >= sample {
            // A preemption makes it look slow, and the samples shorter than they might be.
            let share = sample.as_secs_f64() / took.as_secs_f64();
            return Ok(((count as f64 * share) as u64).max(fewest));
        }
        count *= 2;
    }
}

/// Memory that items stream through, made anew for each round.
pub trait Medium {
    /// A link through it, for one sample after the other.
    fn link(&mut self) -> Result<Link<'_>, Trouble>;

    /// Whether it is kept until all rounds are over: if the next one would else get the same
    /// memory.
    fn is_kept(&self) -> bool {
        false
    }
}

/// Memory with the link that `link` makes of it.
pub fn through<'m, M, F>(memory: M, is_kept: bool, link: F) -> Box<dyn Medium + 'm>
where
    M: 'm,
    F: for<'a> Fn(&'a mut M) -> Result<Link<'a>, Trouble> + 'm,
{
    Box::new(Through {
        memory,
        is_kept,
        link,
    })
}

struct Through<M, F> {
    memory: M,
    is_kept: bool,
    link: F,
}

impl<M, F: for<'a> Fn(&'a mut M) -> Result<Link<'a>, Trouble>> Medium for Through<M, F> {
    fn link(&mut self) -> Result<Link<'_>, Trouble> {
        (self.link)(&mut self.memory)
    }

    fn is_kept(&self) -> bool {
        self.is_kept
    }
}

/// A board as something to stream through, if there is one: by the link that `link` makes of it.
/// It is kept until all rounds are over, or the next board would get the same memory.
pub fn stream_through<T, F>(board: Option<Board<T>>, link: F) -> Result<Box<dyn Medium>, Trouble>
where
    T: Payload,
    F: for<'a> Fn(&'a mut Board<T>) -> Option<Link<'a>> + 'static,
{
    let board = board.ok_or_else(no_room)?;
    Ok(through(board, true, move |board| {
        link(board).ok_or_else(no_room)
    }))
}

fn no_room() -> Trouble {
    Trouble::NotRun("a ring's parts cannot lie where they shall".to_owned())
}

/// Streams through `cases` links in turn: million items a second, round by round.
///
/// `fresh` makes the memory of a case for one round, in the order of that round.
///
/// # Errors
/// A link that loses, repeats or reorders items has failed; CPUs that would not stay where they
/// are, or are taken away, make it not run.
pub fn stream_all<'m>(
    name: &str,
    cases: usize,
    pair: Pair,
    settings: &Settings,
    mut fresh: impl FnMut(usize) -> Result<Box<dyn Medium + 'm>, Trouble>,
) -> Result<Rounds, Trouble> {
    // Before memory is made that will not be used.
    pair.is_left()?;
    let mut kept = Vec::new();
    let mut with_links =
        |order: &[usize], act: &mut dyn FnMut(&mut [Link<'_>]) -> Result<(), Trouble>| {
            let mut media = Vec::new();
            for &case in order {
                media.push((case, fresh(case)?));
            }
            media.sort_by_key(|(case, _)| *case);
            let links = media.iter_mut().map(|(_, medium)| medium.link());
            let mut links = links.collect::<Result<Vec<_>, _>>()?;
            let outcome = act(&mut links);
            drop(links);
            kept.extend(media.into_iter().filter(|(_, medium)| medium.is_kept()));
            outcome
        };
    let mut items = Vec::new();
    with_links(&Vec::from_iter(0..cases), &mut |links| {
        for link in links {
            let fit = calibrate(link, pair, settings.sample);
            items.push(fit.map_err(|fault| fault.of(&link.name))?);
        }
        Ok(())
    })?;
    measure(name, cases, Some(pair), settings, |round| {
        let order = round.order.clone();
        with_links(&order, &mut |links| {
            round.each(|case| sample(&mut links[case], pair, items[case]))
        })
    })
}

fn sample(link: &mut Link<'_>, pair: Pair, items: u64) -> Result<Sample, Trouble> {
    let run = (link.run(pair, items, false)).map_err(|fault| fault.of(&link.name))?;
    Ok(Sample {
        value: run.rate(),
        preemptions: run.preemptions,
    })
}

/// How many items take about as long as a sample shall: whole batches.
fn calibrate(link: &mut Link<'_>, pair: Pair, sample: Duration) -> Result<u64, Fault> {
    const FEWEST: u64 = 1 << 14;
    const MOST: u64 = 1 << 26;
    let mut best = 0.0_f64;
    for _ in 0..3 {
        // A preempted run makes the link look slow; the fastest of three seldom is.
        best = best.max(link.run(pair, FEWEST, false)?.rate());
    }
    let items = (best * 1e6 * sample.as_secs_f64()) as u64;
    Ok(items.clamp(FEWEST, MOST).next_multiple_of(BATCH as u64))
}
