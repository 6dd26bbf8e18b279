//! Which mechanism to take, from figures of this machine; and what a published decision matrix
//! says to the same question.

use std::fmt;

use clap::Args;
use clap::builder::RangedU64ValueParser;
use ringproof_record::{Record, Verdict};

use super::conclusions::{LATENCY, RATE, SUBJECT};
use super::matrix::{self, Entry};
use super::mechanism::{Delivers, Lasting, Mechanism, Nature, Trust, Waiting};
use crate::table::figure;

/// What somebody needs.
#[derive(Args, Clone, Copy, Debug, PartialEq)]
pub struct Question {
    /// Bytes in a message
    #[arg(long, value_name = "N", default_value_t = 64, requires = "advise",
          value_parser = RangedU64ValueParser::<usize>::new().range(1..1 << 32))]
    pub size: usize,

    /// Messages a second
    #[arg(long, value_name = "N", default_value_t = 1000, requires = "advise")]
    pub rate: u32,

    /// Messages must outlive the processes and a reboot
    #[arg(long, requires = "advise")]
    pub persistent: bool,

    /// So many processes receive every message
    #[arg(long, value_name = "N", default_value_t = 1, requires = "advise",
          value_parser = clap::value_parser!(u32).range(1..))]
    pub readers: u32,

    /// A receiver must sleep while there is nothing to receive
    #[arg(long, requires = "advise")]
    pub blocking: bool,

    /// The peer may break every rule
    #[arg(long, requires = "advise")]
    pub untrusted: bool,
}

impl Question {
    /// Messages a second to all readers together.
    fn needed(&self) -> f64 {
        f64::from(self.rate) * f64::from(self.readers)
    }
}

/// A mechanism with what was measured of it, from small messages to large ones.
#[derive(Clone, Debug, PartialEq)]
pub struct Known {
    /// What it is called.
    pub name: &'static str,
    /// What is known of it without measuring.
    pub nature: Nature,
    /// Size, and nanoseconds one way.
    latency: Vec<Point>,
    /// Size, and messages a second.
    rate: Vec<Point>,
}

/// What was measured at one size, or why nothing was.
type Point = (usize, Result<f64, String>);

/// What rows of this experiment say about `mechanisms`.
pub fn known(rows: &[Record], mechanisms: &[Mechanism]) -> Vec<Known> {
    let points = |name: &str, quantity: &str| {
        let mut points: Vec<Point> = rows
            .iter()
            .filter(|row| row.subject.strip_prefix(SUBJECT) == Some(name))
            .filter_map(|row| {
                let size = row.check.strip_prefix(quantity)?.strip_prefix(", ")?;
                let size = size.strip_suffix(" B")?.parse().ok()?;
                let value = match (row.verdict, row.count) {
                    (Verdict::Passed, Some(count)) => Ok(count as f64),
                    _ => Err(row.reason.clone().unwrap_or_default()),
                };
                Some((size, value))
            })
            .collect();
        points.sort_by_key(|(size, _)| *size);
        points
    };
    let known = mechanisms.iter().map(|mechanism| Known {
        name: mechanism.name,
        nature: mechanism.nature,
        latency: points(mechanism.name, LATENCY),
        rate: points(mechanism.name, RATE),
    });
    known.filter(|known| !known.latency.is_empty()).collect()
}

/// The value at a size. Between two sizes that were measured a power law is assumed; below the
/// smallest it stays as it is; beyond the largest it goes with the size, by `per_byte`.
fn value(points: &[Point], size: usize, per_byte: i32) -> Result<f64, String> {
    let (Some(first), Some(last)) = (points.first(), points.last()) else {
        return Err("nothing was measured".to_owned());
    };
    if size <= first.0 {
        return first.1.clone();
    }
    if size >= last.0 {
        let times = size as f64 / last.0 as f64;
        return last.1.clone().map(|value| value * times.powi(per_byte));
    }
    let above = points.partition_point(|(at, _)| *at < size);
    let ((from, low), (to, high)) = (&points[above - 1], &points[above]);
    let (low, high) = (low.clone()?, high.clone()?);
    let share = (size as f64 / *from as f64).ln() / (*to as f64 / *from as f64).ln();
    Ok(low * (high / low).powf(share))
}

/// What one mechanism would do.
#[derive(Clone, Debug, PartialEq)]
pub struct Fit {
    /// What it is called.
    pub name: &'static str,
    /// Nanoseconds one way.
    pub latency: f64,
    /// Messages a second that it carries to one receiver.
    pub rate: f64,
    /// What is known of it without measuring.
    pub nature: Nature,
}

/// The answer to a question.
#[derive(Clone, Debug)]
pub struct Advice {
    question: Question,
    /// What fits, the best first.
    pub fits: Vec<Fit>,
    /// What does not, and why.
    pub ruled_out: Vec<(&'static str, String)>,
    /// What a published decision matrix says.
    pub matrix: Option<&'static Entry>,
}

/// Answers.
pub fn advise(question: Question, known: &[Known]) -> Advice {
    let mut fits = Vec::new();
    let mut ruled_out = Vec::new();
    for mechanism in known {
        match fit(&question, mechanism) {
            Ok(fit) => fits.push(fit),
            Err(why) => ruled_out.push((mechanism.name, why)),
        }
    }
    sort(&mut fits);
    Advice {
        question,
        fits,
        ruled_out,
        matrix: matrix::entry(&question),
    }
}

/// By this factor latencies may differ and be called alike.
const ALIKE: f64 = 1.2;

/// The lowest latency first; where latencies are alike, what asks for the least trust, and then what
/// carries most.
fn sort(fits: &mut [Fit]) {
    let latencies = fits.iter().map(|fit| fit.latency);
    let lowest = latencies.fold(f64::INFINITY, f64::min);
    let trust = |fit: &Fit| match fit.nature.trust {
        Trust::Kernel => 0,
        Trust::Checked => 1,
        Trust::Needed => 2,
    };
    let alike = |fit: &Fit| fit.latency <= ALIKE * lowest;
    fits.sort_by(|one, other| match (alike(one), alike(other)) {
        (true, true) => (trust(one).cmp(&trust(other))).then(other.rate.total_cmp(&one.rate)),
        _ => one.latency.total_cmp(&other.latency),
    });
}

fn fit(question: &Question, known: &Known) -> Result<Fit, String> {
    let nature = known.nature;
    if nature.delivers == Delivers::Latest {
        let latency = value(&known.latency, question.size, 1);
        let latency = latency.map_or_else(|_| String::new(), |ns| format!(", in {}", time(ns)));
        return Err(format!(
            "it keeps the latest message only; if that is what is wanted, it serves any number of \
             readers{latency}"
        ));
    }
    if question.persistent && nature.lasting != Lasting::File {
        return Err(match nature.lasting {
            Lasting::UntilReboot => "its messages outlive the processes, but no reboot",
            _ => "its messages die with the processes",
        }
        .to_owned());
    }
    if question.blocking && nature.waiting == Waiting::Polls {
        return Err("its receiver polls and never sleeps".to_owned());
    }
    if question.untrusted && nature.trust == Trust::Needed {
        return Err(
            "a peer that breaks the rules corrupts it or leaves the other one waiting".to_owned(),
        );
    }
    let latency = value(&known.latency, question.size, 1)?;
    let rate = value(&known.rate, question.size, -1)?;
    let needed = question.needed();
    if rate < needed {
        let readers = match question.readers {
            1 => String::new(),
            readers => format!(" ({readers} readers, a channel for each)"),
        };
        return Err(format!(
            "it carries less than the {} that are needed{readers}",
            per_second(needed)
        ));
    }
    Ok(Fit {
        name: known.name,
        latency,
        rate,
        nature,
    })
}

impl fmt::Display for Advice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let question = &self.question;
        writeln!(f, "For {question}:\n")?;
        match self.fits.split_first() {
            None => writeln!(f, "→ Nothing that was measured does.")?,
            Some((best, others)) => {
                writeln!(f, "→ {}: {}.", best.name, why(question, best))?;
                if let Some(next) = others.first() {
                    let (name, why) = (next.name, why(question, next));
                    writeln!(f, "  Next: {name}, {}: {why}.", beside(next, best))?;
                }
                let sleeps = |fit: &&Fit| fit.nature.waiting != Waiting::Polls;
                if !sleeps(&best)
                    && let Some(asleep) = others.iter().find(sleeps)
                {
                    writeln!(
                        f,
                        "  It keeps a CPU busy; the fastest that sleeps: {}, {}.",
                        asleep.name,
                        why(question, asleep)
                    )?;
                }
            }
        }
        if let Some(entry) = self.matrix {
            writeln!(f, "  {}", self.compared(entry))?;
        }
        if !self.ruled_out.is_empty() {
            writeln!(f, "\nRuled out:")?;
        }
        for (at, (_, why)) in self.ruled_out.iter().enumerate() {
            if self.ruled_out[..at].iter().any(|(_, known)| known == why) {
                continue;
            }
            let alike = self.ruled_out.iter().filter(|(_, other)| other == why);
            let names: Vec<_> = alike.map(|(name, _)| *name).collect();
            writeln!(f, "  {}: {why}", names.join("; "))?;
        }
        Ok(())
    }
}

impl Advice {
    /// The matrix's answer beside the one from the figures.
    fn compared(&self, entry: &Entry) -> String {
        let said = format!(
            "{} says {} for \"{}\"",
            entry.printed_in, entry.pick, entry.need
        );
        let is = |name: &str| entry.of.iter().any(|start| name.starts_with(start));
        let Some(best) = self.fits.first() else {
            return format!("{said}.");
        };
        if is(best.name) {
            return format!("{said}: the figures agree.");
        }
        match self.fits.iter().find(|fit| is(fit.name)) {
            Some(theirs) => format!(
                "{said}: that does, too, {} ({}, {}).",
                beside(theirs, best),
                theirs.name,
                time(theirs.latency)
            ),
            None => match self.ruled_out.iter().find(|(name, _)| is(name)) {
                Some((name, why)) => format!("{said}: it does not do here ({name}: {why})."),
                None => format!("{said}, which was not measured."),
            },
        }
    }
}

impl fmt::Display for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "messages of {} B, {}",
            self.size,
            per_second(self.rate.into())
        )?;
        let readers = (self.readers != 1).then(|| format!("{} readers", self.readers));
        let needs = [
            readers.as_deref(),
            self.persistent.then_some("persistent"),
            self.blocking.then_some("a receiver that sleeps"),
            self.untrusted.then_some("a peer that is not trusted"),
        ];
        needs
            .iter()
            .flatten()
            .try_for_each(|need| write!(f, ", {need}"))
    }
}

/// The latency of one beside that of the best.
fn beside(fit: &Fit, best: &Fit) -> String {
    match fit.latency / best.latency {
        ratio if (1.0 / ALIKE..=ALIKE).contains(&ratio) => "with much the same latency".to_owned(),
        ratio => format!("with {} times the latency", figure(ratio)),
    }
}

fn why(question: &Question, fit: &Fit) -> String {
    let needed = question.needed();
    format!(
        "{} one way, at {:.0} % of the {} that it carries",
        time(fit.latency),
        100.0 * needed / fit.rate,
        per_second(fit.rate)
    )
}

fn time(ns: f64) -> String {
    format!("{} µs", figure(ns / 1e3))
}

fn per_second(rate: f64) -> String {
    match rate {
        rate if rate >= 1e6 => format!("{} million/s", figure(rate / 1e6)),
        rate if rate >= 1e3 => format!("{} thousand/s", figure(rate / 1e3)),
        rate => format!("{}/s", figure(rate)),
    }
}

#[cfg(test)]
mod tests;
