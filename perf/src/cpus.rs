//! Which two CPUs an experiment runs on.

pub(crate) mod groups;
mod seat;
pub(crate) mod topology;

use std::fmt;
use std::str::FromStr;
use std::thread;

use nix::libc;
use ringproof_record::affinity::{self, Cpus};

pub use seat::{Gone, Seat, allowed, follow_main_thread, stands};
pub use topology::{Difference, Kinship, Likeness, Relation, Topology};

/// Two CPUs as `--cpus A,B` names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted(pub usize, pub usize);

impl FromStr for Wanted {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |text: &str| {
            (text.trim().parse::<usize>()).map_err(|_| format!("`{text}` is no CPU number"))
        };
        let (first, second) = text
            .split_once(',')
            .ok_or("two CPU numbers are needed, as in 0,1")?;
        let (first, second) = (number(first)?, number(second)?);
        if first == second {
            return Err("the two CPUs must be different ones".to_owned());
        }
        Ok(Wanted(first, second))
    }
}

/// The CPUs that the two threads of an experiment run on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pair {
    /// The CPU of the thread that sends or reads.
    pub first: usize,
    /// The CPU of the other one.
    pub second: usize,
    /// How the two are related.
    pub relation: Relation,
    /// Whether threads can be pinned at all. If not, the two numbers are a wish.
    pub pinned: bool,
    /// Whether threads may be preferred to ordinary programs.
    pub preferred: bool,
}

impl Pair {
    /// Chooses two of the CPUs that this process may use: those wanted, or else the first two
    /// that are equally strong cores of their own and share the last-level cache, or else as near to
    /// that as there are.
    pub fn choose(wanted: Option<Wanted>) -> Result<Self, Unfit> {
        let allowed = allowed().map_err(|error| Unfit::Unknown(error.to_string()))?;
        let allowed: Vec<usize> = allowed.iter().collect();
        let topology = Topology::of_this_machine();
        let related = |first, second| topology.relation(first, second);
        let (first, second, relation) = pick(&allowed, wanted, related)?;
        let pinned = pin_elsewhere(first)? && pin_elsewhere(second)?;
        // Two such threads on one CPU would spend whole turns waiting for each other.
        let preferred = pinned
            && thread::spawn(seat::prefer_this_thread)
                .join()
                .unwrap_or(false);
        Ok(Pair {
            first,
            second,
            relation,
            pinned,
            preferred,
        })
    }

    /// Another two CPUs, of which the process may do the same as with these.
    pub fn between(self, first: usize, second: usize, topology: &Topology) -> Self {
        Pair {
            first,
            second,
            relation: topology.relation(first, second),
            ..self
        }
    }

    /// The seat of the thread on the first or the second CPU.
    pub fn seat(&self, second: bool) -> Seat {
        let (own, other) = match second {
            false => (self.first, self.second),
            true => (self.second, self.first),
        };
        Seat {
            own,
            other,
            pinned: self.pinned,
            preferred: self.preferred,
        }
    }

    /// The same for a process with one thread, which once it is pinned may use no other CPU.
    pub fn seat_of_process(&self, second: bool) -> Seat {
        let seat = self.seat(second);
        let other = if seat.pinned { seat.own } else { seat.other };
        Seat { other, ..seat }
    }

    /// Whether the process may still use the two CPUs.
    pub fn is_left(&self) -> Result<(), Gone> {
        self.seat(false).is_allowed()
    }

    /// The seat of a thread that measures alone, on the first CPU.
    pub fn single(&self) -> Seat {
        Seat {
            other: self.first,
            ..self.seat(false)
        }
    }

    fn priority(&self) -> &'static str {
        match self.preferred {
            true => "preferred to ordinary programs (SCHED_RR)",
            false => "at ordinary priority (SCHED_RR needs CAP_SYS_NICE)",
        }
    }

    /// Two threads wherever they happen to run, for tests that need no CPUs of their own.
    #[cfg(test)]
    pub(crate) fn anywhere() -> Self {
        Pair {
            first: 0,
            second: 0,
            relation: Relation {
                kinship: Kinship::Unknown,
                likeness: Likeness::Unknown,
            },
            pinned: false,
            preferred: false,
        }
    }
}

impl fmt::Display for Pair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.pinned {
            return write!(
                f,
                "UNPINNED (the system refuses sched_setaffinity): the scheduler may move the \
                 threads, and rates mix what it did with what the code does"
            );
        }
        let Relation { kinship, likeness } = self.relation;
        write!(
            f,
            "pinned to CPUs {} and {}, {kinship}; {likeness}; {}",
            self.first,
            self.second,
            self.priority()
        )
    }
}

/// Why an experiment has no two CPUs.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// This process may use fewer than two; these.
    #[error(
        "two CPUs are needed and this process may use {}: two threads that take turns on one CPU measure the \
         scheduler; widen its cpuset or affinity (taskset, docker --cpuset-cpus)", list(.0)
    )]
    TooFew(Vec<usize>),
    /// A CPU that was asked for is not among those allowed.
    #[error("CPU {cpu} is not one that this process may use; it may use {}", list(.allowed))]
    NotAllowed {
        /// The one that was asked for.
        cpu: usize,
        /// Those allowed.
        allowed: Vec<usize>,
    },
    /// Which ones it may use the system does not say, for this reason.
    #[error("which CPUs this process may use is not known (sched_getaffinity: {0})")]
    Unknown(String),
    /// One was taken away as soon as it was chosen.
    #[error(transparent)]
    Gone(#[from] Gone),
}

fn list(cpus: &[usize]) -> String {
    match cpus {
        [] => "none".to_owned(),
        [one] => format!("only CPU {one}"),
        many => topology::cpu_ranges(many),
    }
}

/// Two of the `allowed` CPUs, and how they are related.
fn pick(
    allowed: &[usize],
    wanted: Option<Wanted>,
    relation: impl Fn(usize, usize) -> Relation,
) -> Result<(usize, usize, Relation), Unfit> {
    if let Some(Wanted(first, second)) = wanted {
        return match [first, second].iter().find(|cpu| !allowed.contains(cpu)) {
            // That there is only one is the news, whichever was asked for.
            Some(_) if allowed.len() < 2 => Err(Unfit::TooFew(allowed.to_vec())),
            Some(cpu) => Err(Unfit::NotAllowed {
                cpu: *cpu,
                allowed: allowed.to_vec(),
            }),
            None => Ok((first, second, relation(first, second))),
        };
    }
    // In the order of the numbers: nearly always the first of all pairs, or one soon after, is it.
    let mut best: Option<(usize, usize, Relation)> = None;
    for (at, one) in allowed.iter().enumerate() {
        for two in &allowed[at + 1..] {
            let found = relation(*one, *two);
            if best.is_none_or(|(.., known)| found.distance() < known.distance()) {
                best = Some((*one, *two, found));
                if found.distance() == 0 {
                    return Ok((*one, *two, found));
                }
            }
        }
    }
    best.ok_or_else(|| Unfit::TooFew(allowed.to_vec()))
}

/// Whether a thread can be pinned to this CPU, which the process may use. It is tried with a thread made
/// for it, so that the calling one stays as it is.
///
/// # Errors
/// The CPU was taken away meanwhile: that is no refusal.
fn pin_elsewhere(cpu: usize) -> Result<bool, Gone> {
    let pinned = thread::spawn(move || affinity::restrict(0, &Cpus::one(cpu))).join();
    match pinned {
        Ok(Ok(())) => Ok(true),
        // The only CPU of the mask is off, or not in the cpuset (`sched_setaffinity(2)`).
        Ok(Err(error)) if error.raw_os_error() == Some(libc::EINVAL) => Err(Gone::Cpu(cpu)),
        Ok(Err(_)) | Err(_) => Ok(false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alike(kinship: Kinship) -> Relation {
        Relation {
            kinship,
            likeness: Likeness::Alike,
        }
    }

    /// CPUs 0 and 1 are one core, 2 and 3 another.
    fn two_cores(first: usize, second: usize) -> Relation {
        alike(if first / 2 == second / 2 {
            Kinship::Hyperthreads
        } else {
            Kinship::Cores
        })
    }

    #[test]
    fn different_cores_are_preferred_to_hyperthreads() {
        let cores = pick(&[0, 1, 2, 3], None, two_cores);
        assert_eq!(cores, Ok((0, 2, alike(Kinship::Cores))));
        let one = pick(&[0, 1], None, two_cores);
        assert_eq!(one, Ok((0, 1, alike(Kinship::Hyperthreads))));
    }

    #[test]
    fn cores_that_share_a_cache_are_preferred_also_to_the_first() {
        // CPU 0 is alone with its cache; 1 and 3 are two cores with one cache, 2 is 1's other half.
        let relation = |first, second| {
            alike(match (first, second) {
                (1, 2) => Kinship::Hyperthreads,
                (1, 3) | (2, 3) => Kinship::Neighbours,
                _ => Kinship::Cores,
            })
        };
        let near = pick(&[0, 1, 2, 3], None, relation);
        assert_eq!(near, Ok((1, 3, alike(Kinship::Neighbours))));
        let apart = pick(&[0, 1, 2], None, relation);
        assert_eq!(apart, Ok((0, 1, alike(Kinship::Cores))));
    }

    /// CPUs 0 and 1 are weaker than those after them, and share the last-level cache with them.
    fn hybrid(first: usize, second: usize) -> Relation {
        let capacity = |cpu| if cpu < 2 { 446 } else { 1024 };
        Relation {
            kinship: Kinship::Neighbours,
            likeness: match (capacity(first), capacity(second)) {
                (one, other) if one == other => Likeness::Alike,
                (one, other) => Likeness::Unlike(Difference::Capacity(one, other)),
            },
        }
    }

    #[test]
    fn equally_strong_cores_are_preferred_and_others_are_said_to_differ() {
        let picked = pick(&[1, 2, 3], None, hybrid);
        assert_eq!(picked, Ok((2, 3, alike(Kinship::Neighbours))));
        // Who has no others, or asks for them, gets them; the report says it.
        for (allowed, wanted) in [(&[1, 2][..], None), (&[0, 1, 2, 3], Some(Wanted(1, 2)))] {
            let (first, second, relation) = pick(allowed, wanted, hybrid).unwrap();
            assert_eq!((first, second), (1, 2));
            let pair = Pair {
                first,
                second,
                relation,
                pinned: true,
                ..Pair::anywhere()
            };
            let said = pair.to_string();
            let differ = "NOT EQUALLY STRONG (capacity 446 and 1024)";
            assert!(said.contains(differ), "{said}");
        }
        // They are two cores all the same.
        let unlike_cores_or_one_core = |first, second| match (first, second) {
            (0, 1) => alike(Kinship::Hyperthreads),
            _ => hybrid(1, 2),
        };
        let picked = pick(&[0, 1, 2], None, unlike_cores_or_one_core);
        assert_eq!(picked, Ok((0, 2, hybrid(1, 2))));
    }

    #[test]
    fn of_thousands_of_cpus_two_are_found() {
        let all: Vec<usize> = (0..4096).collect();
        // Nothing is known of any but the last two.
        let relation = |first, second| match (first, second) {
            (4094, 4095) => alike(Kinship::Neighbours),
            _ => Relation {
                kinship: Kinship::Unknown,
                likeness: Likeness::Unknown,
            },
        };
        let picked = pick(&all, None, relation);
        assert_eq!(picked, Ok((4094, 4095, alike(Kinship::Neighbours))));
        let picked = pick(&all, Some(Wanted(3000, 1)), two_cores);
        assert_eq!(picked, Ok((3000, 1, alike(Kinship::Cores))));
    }

    #[test]
    fn what_is_wanted_is_taken_or_refused() {
        let picked = pick(&[0, 1, 2], Some(Wanted(1, 0)), two_cores);
        assert_eq!(picked, Ok((1, 0, alike(Kinship::Hyperthreads))));
        let refused = pick(&[0, 1], Some(Wanted(0, 7)), two_cores);
        let (cpu, allowed) = (7, vec![0, 1]);
        let unfit = Unfit::NotAllowed { cpu, allowed };
        assert_eq!(refused, Err(unfit));
    }

    #[test]
    fn one_cpu_is_too_few_and_the_message_says_which() {
        for wanted in [None, Some(Wanted(3, 4))] {
            let unfit = pick(&[3], wanted, two_cores).unwrap_err();
            assert_eq!(unfit, Unfit::TooFew(vec![3]));
            assert!(unfit.to_string().contains("only CPU 3"), "{unfit}");
        }
    }

    #[test]
    fn cpus_that_the_system_does_not_name_are_not_known() {
        let said = Unfit::Unknown("refused".to_owned()).to_string();
        let expected = "not known (sched_getaffinity: refused)";
        assert!(said.contains(expected), "{said}");
    }

    #[test]
    fn a_cpu_that_is_gone_before_a_thread_is_pinned_to_it_is_no_refusal() {
        let beyond = 1 << 20;
        assert_eq!(pin_elsewhere(beyond), Err(Gone::Cpu(beyond)));
        let said = Unfit::from(Gone::Cpu(beyond)).to_string();
        assert!(said.starts_with("CPU 1048576 was taken away"), "{said}");
        let cpu = allowed().unwrap().iter().next().unwrap();
        assert!(pin_elsewhere(cpu).is_ok());
    }

    #[test]
    fn two_cpu_numbers_are_parsed() {
        assert_eq!("0,1".parse(), Ok(Wanted(0, 1)));
        for bad in ["0", "0,0", "a,b", "0,1,2"] {
            assert!(bad.parse::<Wanted>().is_err(), "{bad}");
        }
    }
}
