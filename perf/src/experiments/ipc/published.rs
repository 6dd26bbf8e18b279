//! What published tables say about mechanisms: their figures, with their source.

use crate::table::figure;

/// One of the published tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// *Practical measurements*, of a course on shared memory, serialization and type erasure.
    Practical,
    /// *The IPC Mechanisms*, of the chapter *Inter-Process Communication and Shared Memory*.
    Mechanisms,
    /// *Complete Performance Table*, of the guide *Inter-Process Communication (IPC) in C++*.
    Complete,
}

impl Source {
    /// All of them.
    pub const ALL: [Source; 3] = [Source::Practical, Source::Mechanisms, Source::Complete];

    /// How tables call it.
    pub fn letter(self) -> &'static str {
        match self {
            Source::Practical => "A",
            Source::Mechanisms => "B",
            Source::Complete => "C",
        }
    }

    /// What the letter stands for.
    pub fn title(self) -> &'static str {
        match self {
            Source::Practical => {
                "\"Practical measurements on a typical Linux x86-64 system\" (shared memory, \
                 serialization, type erasure)"
            }
            Source::Mechanisms => {
                "\"The IPC Mechanisms\" (Inter-Process Communication and Shared Memory)"
            }
            Source::Complete => {
                "\"Complete Performance Table\" (Inter-Process Communication (IPC) in C++: Complete \
                 Guide)"
            }
        }
    }
}

/// From where to where a figure lies.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Range {
    /// The least.
    pub low: f64,
    /// The most.
    pub high: f64,
    /// The one figure that is printed, where there is no range.
    pub about: Option<f64>,
}

const fn from(low: f64, high: f64) -> Option<Range> {
    Some(Range {
        low,
        high,
        about: None,
    })
}

/// A single figure stands for everything from half to twice of it.
const fn about(value: f64) -> Option<Range> {
    Some(Range {
        low: value / 2.0,
        high: value * 2.0,
        about: Some(value),
    })
}

/// How a figure lies to a range.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Lies {
    /// In it.
    Within,
    /// Below it, by this factor.
    Below(f64),
    /// Above it, by this factor.
    Above(f64),
}

impl Range {
    /// Where `value` lies.
    pub fn place(&self, value: f64) -> Lies {
        match value {
            value if value < self.low => Lies::Below(self.low / value),
            value if value > self.high => Lies::Above(value / self.high),
            _ => Lies::Within,
        }
    }

    /// It in another unit, as text.
    pub fn said(&self, unit: f64) -> String {
        match (self.about, self.low) {
            (Some(value), _) => format!("~{}", short(value / unit)),
            (None, 0.0) => format!("<{}", short(self.high / unit)),
            (None, low) => format!("{}–{}", short(low / unit), short(self.high / unit)),
        }
    }
}

/// A figure without needless zeros.
pub(super) fn short(value: f64) -> String {
    let text = figure(value);
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

/// What one line of a table says.
#[derive(Clone, Copy, Debug)]
pub struct Claim {
    /// Which table.
    pub source: Source,
    /// Mechanisms of ours that it is about: their names begin like this.
    pub of: &'static [&'static str],
    /// One-way latency in nanoseconds.
    pub latency: Option<Range>,
    /// Messages a second.
    pub rate: Option<Range>,
    /// System calls for each message.
    pub system_calls: Option<&'static str>,
}

const UNIX: &[&str] = &["Unix "];
const RING: &[&str] = &["ring, ", "seqlock"];

/// Microseconds, from and to.
const fn us(low: f64, high: f64) -> Option<Range> {
    from(low * 1e3, high * 1e3)
}

/// About so many microseconds.
const fn about_us(value: f64) -> Option<Range> {
    about(value * 1e3)
}

const fn claim(
    source: Source,
    of: &'static [&'static str],
    latency: Option<Range>,
    rate: Option<Range>,
    system_calls: Option<&'static str>,
) -> Claim {
    Claim {
        source,
        of,
        latency,
        rate,
        system_calls,
    }
}

/// All of them. None of the tables says how long its messages are.
pub const CLAIMS: [Claim; 20] = {
    use Source::{Complete, Mechanisms, Practical};
    const ZERO: Option<&str> = Some("0");
    const TWO: Option<&str> = Some("2");
    const MORE: Option<&str> = Some("2+");
    const MUTEX: &[&str] = &["shm + mutex", "shm + robust"];
    const QUEUES: &[&str] = &["POSIX", "System V"];
    const PIPES: &[&str] = &["pipe", "FIFO"];
    const MAPPED: &[&str] = &["ring in a mapped"];
    const FILE: &[&str] = &["file with"];
    const DBUS: &[&str] = &["D-Bus"];
    const FOUR: Option<&str> = Some("4+");
    [
        claim(Practical, RING, from(50.0, 200.0), from(5e6, 20e6), ZERO),
        claim(Practical, UNIX, us(1.0, 5.0), from(2e5, 1e6), TWO),
        claim(Practical, &["TCP"], us(5.0, 20.0), from(5e4, 2e5), MORE),
        claim(Practical, PIPES, us(2.0, 8.0), from(1e5, 5e5), TWO),
        claim(Practical, &["POSIX"], us(1.0, 5.0), from(2e5, 1e6), TWO),
        claim(Practical, DBUS, us(50.0, 200.0), from(5e3, 2e4), FOUR),
        claim(Practical, &["gRPC"], us(100.0, 500.0), from(2e3, 1e4), MORE),
        claim(Mechanisms, UNIX, us(1.0, 2.0), None, None),
        claim(Mechanisms, &["TCP"], us(10.0, 100.0), None, None),
        claim(Mechanisms, MUTEX, about(100.0), None, None),
        claim(Complete, RING, about_us(0.24), about(3.8e6), None),
        claim(Complete, MAPPED, about_us(0.3), about(3.5e6), None),
        claim(Complete, &["shm + signal"], us(0.0, 1.0), about(1e6), None),
        claim(Complete, QUEUES, about_us(14.7), about(68e3), None),
        claim(Complete, UNIX, about_us(24.5), about(41e3), None),
        claim(Complete, &["pipe"], about_us(27.3), about(37e3), None),
        claim(Complete, &["FIFO"], about_us(38.0), about(26e3), None),
        claim(Complete, &["TCP"], about_us(44.4), about(22e3), None),
        claim(Complete, FILE, about_us(10_000.0), about(100.0), None),
        claim(Complete, &["gRPC"], about_us(100.0), about(1e4), None),
    ]
};

/// By how much shared memory is said to win over what goes through the kernel, by
/// [`Source::Practical`].
pub const GAIN: Range = Range {
    low: 10.0,
    high: 1000.0,
    about: None,
};

/// What is said about a mechanism.
pub fn about_mechanism(name: &str) -> impl Iterator<Item = &'static Claim> {
    let is = |claim: &&Claim| claim.of.iter().any(|start| name.starts_with(start));
    CLAIMS.iter().filter(is)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_lies_in_a_range_or_beside_it_by_a_factor() {
        let range = from(1000.0, 5000.0).unwrap();
        assert_eq!(range.place(1000.0), Lies::Within);
        assert_eq!(range.place(20_000.0), Lies::Above(4.0));
        assert_eq!(range.place(500.0), Lies::Below(2.0));
        assert_eq!(range.said(1000.0), "1–5");
        let single = about(240.0).unwrap();
        assert_eq!(single.place(400.0), Lies::Within);
        assert_eq!(single.place(960.0), Lies::Above(2.0));
        assert_eq!(single.said(1000.0), "~0.24");
        assert_eq!(from(0.0, 1000.0).unwrap().said(1000.0), "<1");
    }

    #[test]
    fn every_claim_is_about_something_that_is_measured_here_or_beside() {
        let beside = ["D-Bus", "gRPC"];
        for claim in &CLAIMS {
            for start in claim.of {
                let mut all = crate::ipc::all().iter();
                let here = all.any(|mechanism| mechanism.name.starts_with(start));
                assert!(here || beside.contains(start), "{start}");
            }
        }
    }
}
