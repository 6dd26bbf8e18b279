//! Which two CPUs an experiment runs on.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::str::FromStr;
use std::thread;

use core_affinity::CoreId;
use nix::libc;

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
    /// How the two lie to each other.
    pub kinship: Kinship,
    /// Whether threads can be pinned at all. If not, the two numbers are a wish.
    pub pinned: bool,
    /// Whether threads may be preferred to ordinary programs.
    pub preferred: bool,
}

/// How two CPUs lie to each other, as far as the kernel says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kinship {
    /// Different cores that share the last-level cache.
    Neighbours,
    /// Different cores that share no cache, or of which the kernel does not say.
    Cores,
    /// Two hyperthreads of one core: they share its caches, and lines do not travel.
    Hyperthreads,
    /// The kernel does not say.
    Unknown,
}

impl Kinship {
    fn name(self) -> &'static str {
        match self {
            Kinship::Neighbours => {
                "different cores that share the last-level cache, as far as the kernel knows"
            }
            Kinship::Cores => "different cores that share no cache, as far as the kernel knows",
            Kinship::Hyperthreads => "TWO HYPERTHREADS OF ONE CORE: lines do not travel",
            Kinship::Unknown => "of which the kernel does not say whether they are one core",
        }
    }

    /// Whether they are different cores, so that lines travel between them.
    pub fn is_apart(self) -> bool {
        matches!(self, Kinship::Neighbours | Kinship::Cores)
    }
}

impl Pair {
    /// Chooses two of the CPUs that this process may use: those wanted, or else the first two
    /// that are cores of their own and share the last-level cache, or else as near to that as
    /// there are.
    ///
    /// # Errors
    /// Why there are no two such CPUs.
    pub fn choose(wanted: Option<Wanted>) -> Result<Self, Unfit> {
        let allowed = allowed();
        let places: BTreeMap<usize, Place> = (allowed.iter().chain(&wanted.map(|cpus| cpus.0)))
            .map(|cpu| (*cpu, Place::of(*cpu)))
            .collect();
        let kinship =
            |first, second| (places.get(&first)).map_or(Kinship::Unknown, |cpu| cpu.kin(second));
        let (first, second, kinship) = pick(&allowed, wanted, kinship)?;
        let pinned = pin_elsewhere(first) && pin_elsewhere(second);
        // Two such threads on one CPU would spend whole turns waiting for each other.
        let preferred = pinned && thread::spawn(prefer_this_thread).join().unwrap_or(false);
        Ok(Pair {
            first,
            second,
            kinship,
            pinned,
            preferred,
        })
    }

    /// Pins the calling thread to the first or second CPU of the pair, where that is possible.
    pub fn pin(&self, second: bool) {
        if self.pinned {
            let id = if second { self.second } else { self.first };
            // It worked when the pair was chosen. If it stopped working meanwhile, the probes
            // around each round tell.
            core_affinity::set_for_current(CoreId { id });
        }
    }

    fn priority(&self) -> &'static str {
        if self.preferred {
            "preferred to ordinary programs (SCHED_RR)"
        } else {
            "at ordinary priority (SCHED_RR needs CAP_SYS_NICE)"
        }
    }

    /// Puts the calling thread before all ordinary programs on its CPU, where that is allowed, so
    /// that fewer samples are of a preempted thread. To be called when the threads of a sample are
    /// all running: one that waits for its partner would keep that from ever being started.
    pub fn prefer(&self) {
        if self.preferred {
            prefer_this_thread();
        }
    }
}

/// The CPUs that this process may use.
pub fn allowed() -> Vec<usize> {
    let cores = core_affinity::get_core_ids().unwrap_or_default();
    cores.iter().map(|core| core.id).collect()
}

/// Gives the calling thread the lowest real-time priority, and says whether that was allowed.
///
/// Nice values would not do: they rank the threads of one session or container, not sessions and
/// containers among each other. A thread that spins for ever harms the machine little, because the
/// kernel keeps a twentieth of each CPU for ordinary programs. Round robin and not first in, first
/// out: two experiments started at once would each keep one CPU from the other for ever.
fn prefer_this_thread() -> bool {
    let lowest = libc::sched_param { sched_priority: 1 };
    // SAFETY: the kernel reads the structure that the pointer leads to, which lives until the call
    // returns; the call touches no other memory of this process.
    unsafe { libc::sched_setscheduler(0, libc::SCHED_RR, &lowest) == 0 }
}

/// Puts the calling thread before ordinary programs if the main thread of this process is, and says
/// whether it did: for threads that a library starts, and that work for the one that measures.
pub fn follow_main_thread() -> bool {
    // Process ids fit; the main thread's is the process's.
    let main = std::process::id().cast_signed();
    // SAFETY: the call takes a number and touches no memory of this process.
    let preferred = unsafe { libc::sched_getscheduler(main) } == libc::SCHED_RR;
    preferred && prefer_this_thread()
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
        write!(f, "pinned to CPUs {} and {}", self.first, self.second)?;
        let (kinship, priority) = (self.kinship.name(), self.priority());
        write!(f, ", {kinship}; {priority}")
    }
}

/// Why an experiment has no two CPUs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// This process may use fewer than two; these.
    TooFew(Vec<usize>),
    /// A CPU that was asked for is not among those allowed.
    NotAllowed(usize, Vec<usize>),
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unfit::TooFew(allowed) => write!(
                f,
                "two CPUs are needed and this process may use {}: two threads that take turns on \
                 one CPU measure the scheduler; widen its cpuset or affinity (taskset, docker \
                 --cpuset-cpus)",
                list(allowed)
            ),
            Unfit::NotAllowed(cpu, allowed) => write!(
                f,
                "CPU {cpu} is not one that this process may use; it may use {}",
                list(allowed)
            ),
        }
    }
}

impl std::error::Error for Unfit {}

fn list(cpus: &[usize]) -> String {
    match cpus {
        [] => "none that the system would name".to_owned(),
        [one] => format!("only CPU {one}"),
        many => {
            let names: Vec<_> = many.iter().map(usize::to_string).collect();
            format!("CPUs {}", names.join(", "))
        }
    }
}

/// Two of the `allowed` CPUs, and how they lie.
fn pick(
    allowed: &[usize],
    wanted: Option<Wanted>,
    kinship: impl Fn(usize, usize) -> Kinship,
) -> Result<(usize, usize, Kinship), Unfit> {
    if let Some(Wanted(first, second)) = wanted {
        return match [first, second].iter().find(|cpu| !allowed.contains(cpu)) {
            // That there is only one is the news, whichever was asked for.
            Some(_) if allowed.len() < 2 => Err(Unfit::TooFew(allowed.to_vec())),
            Some(cpu) => Err(Unfit::NotAllowed(*cpu, allowed.to_vec())),
            None => Ok((first, second, kinship(first, second))),
        };
    }
    // In the order of the numbers: nearly always the first of all pairs is it.
    let pairs = || {
        let after = |at: usize| allowed[at + 1..].iter();
        (allowed.iter().enumerate()).flat_map(move |(at, one)| after(at).map(|two| (*one, *two)))
    };
    let by_preference = [
        Kinship::Neighbours,
        Kinship::Cores,
        Kinship::Unknown,
        Kinship::Hyperthreads,
    ];
    by_preference
        .iter()
        .find_map(|kind| {
            let (first, second) = pairs().find(|(one, two)| kinship(*one, *two) == *kind)?;
            Some((first, second, *kind))
        })
        .ok_or_else(|| Unfit::TooFew(allowed.to_vec()))
}

/// Where a CPU lies, as far as the kernel says.
struct Place {
    /// The hyperthreads of its core.
    core: Option<BTreeSet<usize>>,
    /// Those with which it shares the last-level cache.
    last_level: BTreeSet<usize>,
}

impl Place {
    fn of(cpu: usize) -> Self {
        let folder = format!("/sys/devices/system/cpu/cpu{cpu}");
        let read = |file: String| fs::read_to_string(format!("{folder}/{file}")).ok();
        let caches = (0..).map_while(|index| {
            let level = read(format!("cache/index{index}/level"))?;
            let shared = read(format!("cache/index{index}/shared_cpu_list"))?;
            Some((level.trim().parse::<u32>().ok()?, cpu_list(&shared)?))
        });
        let last = caches.max_by_key(|(level, _)| *level);
        Place {
            core: read("topology/thread_siblings_list".to_owned()).and_then(|list| cpu_list(&list)),
            last_level: last.map(|(_, shared)| shared).unwrap_or_default(),
        }
    }

    /// How another CPU lies to it.
    fn kin(&self, other: usize) -> Kinship {
        match &self.core {
            Some(core) if core.contains(&other) => Kinship::Hyperthreads,
            Some(_) if self.last_level.contains(&other) => Kinship::Neighbours,
            Some(_) => Kinship::Cores,
            None => Kinship::Unknown,
        }
    }
}

/// Reads a list of CPUs as the kernel writes it: `0-1,4`.
fn cpu_list(list: &str) -> Option<BTreeSet<usize>> {
    let mut cpus = BTreeSet::new();
    for range in list.trim().split(',') {
        let (from, to) = range.split_once('-').unwrap_or((range, range));
        cpus.extend(from.parse::<usize>().ok()?..=to.parse::<usize>().ok()?);
    }
    Some(cpus)
}

/// Tries to pin a thread made for it, so that the calling one stays as it is.
fn pin_elsewhere(id: usize) -> bool {
    thread::spawn(move || core_affinity::set_for_current(CoreId { id }))
        .join()
        .unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// CPUs 0 and 1 are one core, 2 and 3 another.
    fn two_cores(first: usize, second: usize) -> Kinship {
        if first / 2 == second / 2 {
            Kinship::Hyperthreads
        } else {
            Kinship::Cores
        }
    }

    #[test]
    fn different_cores_are_preferred_to_hyperthreads() {
        let picked = pick(&[0, 1, 2, 3], None, two_cores);
        assert_eq!(picked, Ok((0, 2, Kinship::Cores)));
        let picked = pick(&[0, 1], None, two_cores);
        assert_eq!(picked, Ok((0, 1, Kinship::Hyperthreads)));
    }

    #[test]
    fn cores_that_share_a_cache_are_preferred_also_to_the_first() {
        // CPU 0 is alone with its cache; 1 and 3 are two cores with one cache, 2 is 1's other half.
        let kinship = |first, second| match (first, second) {
            (1, 2) => Kinship::Hyperthreads,
            (1, 3) | (2, 3) => Kinship::Neighbours,
            _ => Kinship::Cores,
        };
        let picked = pick(&[0, 1, 2, 3], None, kinship);
        assert_eq!(picked, Ok((1, 3, Kinship::Neighbours)));
        let picked = pick(&[0, 1, 2], None, kinship);
        assert_eq!(picked, Ok((0, 1, Kinship::Cores)));
    }

    #[test]
    fn a_place_tells_hyperthreads_neighbours_and_strangers_apart() {
        let place = Place {
            core: Some([0, 4].into()),
            last_level: [0, 1, 4, 5].into(),
        };
        assert_eq!(place.kin(4), Kinship::Hyperthreads);
        assert_eq!(place.kin(5), Kinship::Neighbours);
        assert_eq!(place.kin(2), Kinship::Cores);
        let unknown = Place {
            core: None,
            last_level: BTreeSet::new(),
        };
        assert_eq!(unknown.kin(1), Kinship::Unknown);
    }

    #[test]
    fn what_is_wanted_is_taken_or_refused() {
        let picked = pick(&[0, 1, 2], Some(Wanted(1, 0)), two_cores);
        assert_eq!(picked, Ok((1, 0, Kinship::Hyperthreads)));
        let refused = pick(&[0, 1], Some(Wanted(0, 7)), two_cores);
        assert_eq!(refused, Err(Unfit::NotAllowed(7, vec![0, 1])));
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
    fn the_kernels_lists_are_read() {
        let set = |cpus: &[usize]| Some(cpus.iter().copied().collect());
        assert_eq!(cpu_list("0\n"), set(&[0]));
        assert_eq!(cpu_list("0-1,4\n"), set(&[0, 1, 4]));
        assert_eq!(cpu_list("\n"), None);
    }

    #[test]
    fn two_cpu_numbers_are_parsed() {
        assert_eq!("0,1".parse(), Ok(Wanted(0, 1)));
        for bad in ["0", "0,0", "a,b", "0,1,2"] {
            assert!(bad.parse::<Wanted>().is_err(), "{bad}");
        }
    }
}
