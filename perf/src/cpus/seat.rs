//! The CPU of a thread that measures, for as long as it is left to it.
//!
//! A cpuset can change while an experiment runs, a CPU can be switched off, and anybody who may can move
//! the threads of a process. Two threads that then spin on one CPU, each before all ordinary programs,
//! would do so for ever, and what they measured would be no figure. So a thread takes its seat
//! before it measures, every spin asks from time to time whether the seat still stands, and a sample
//! counts only if it stands afterwards.

use std::cell::Cell;

use nix::libc;
use ringproof_record::affinity::{self, Cpus};
use serde::{Deserialize, Serialize};

thread_local! {
    static TAKEN: Cell<Option<Seat>> = const { Cell::new(None) };
}

/// Where a thread measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seat {
    /// The CPU of the thread.
    pub own: usize,
    /// The CPU of the thread that it measures with; its own if there is none, or if that one is another
    /// process's affair.
    pub other: usize,
    /// Whether threads can be pinned at all. If not, the two numbers are a wish.
    pub pinned: bool,
    /// Whether threads may be preferred to ordinary programs.
    pub preferred: bool,
}

impl Seat {
    /// Pins the calling thread to its CPU, where that is possible, and remembers the seat for
    /// [`stands`].
    ///
    /// # Errors
    /// The CPU is not to be had any more: it was when the seat was chosen.
    pub fn take(self) -> Result<(), Gone> {
        if self.pinned {
            // Who is allowed fewer CPUs by an affinity could pin itself to the others all the same.
            self.is_allowed()?;
            let pinned = affinity::restrict(0, &Cpus::one(self.own));
            pinned.map_err(|_| Gone::Cpu(self.own))?;
        }
        TAKEN.set(Some(self));
        stands()
    }

    /// Puts the calling thread before all ordinary programs on its CPU, where that is allowed, so
    /// that fewer samples are of a preempted thread. To be called when the threads of a sample are
    /// all running: one that waits for its partner would keep that from ever being started.
    ///
    /// # Errors
    /// The CPU is not the thread's any more: it would keep others from theirs.
    pub fn prefer(self) -> Result<(), Gone> {
        if self.preferred {
            stands()?;
            prefer_this_thread();
        }
        Ok(())
    }

    /// Whether the process may still use what the seat needs.
    pub(super) fn is_allowed(self) -> Result<(), Gone> {
        let allowed = allowed().unwrap_or_default();
        if !self.pinned {
            // Two threads that are not pinned need two CPUs. Who has one seat for both needs one.
            return match self.own != self.other && allowed.count() < 2 {
                true => Err(Gone::AllButOne),
                false => Ok(()),
            };
        }
        let mut both = [self.own, self.other].into_iter();
        match both.find(|cpu| !allowed.contains(*cpu)) {
            Some(cpu) => Err(Gone::Cpu(cpu)),
            None => Ok(()),
        }
    }
}

/// Whether the calling thread has the seat still that it took; so has one that took none.
pub fn stands() -> Result<(), Gone> {
    let Some(seat) = TAKEN.get() else {
        return Ok(());
    };
    seat.is_allowed()?;
    if !seat.pinned {
        return Ok(());
    }
    match affinity::allowed(0) {
        Ok(here) if here == Cpus::one(seat.own) => Ok(()),
        _ => Err(Gone::Cpu(seat.own)),
    }
}

/// What helps when a CPU is gone.
const HELP: &str = "(the process's cpuset or affinity was changed, or a CPU switched off): give it two CPUs for \
                    as long as it runs";

/// A CPU that an experiment had, and has no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum Gone {
    /// This one.
    #[error("CPU {0} was taken away during the experiment {HELP}")]
    Cpu(usize),
    /// No thread was pinned, and of the CPUs one is left.
    #[error("all CPUs but one were taken away during the experiment {HELP}")]
    AllButOne,
}

/// The CPUs that this process may use: its first thread, which is never pinned while others measure.
pub fn allowed() -> std::io::Result<Cpus> {
    affinity::allowed(main_thread())
}

/// The number of the process is that of its first thread, and fits.
fn main_thread() -> i32 {
    std::process::id().cast_signed()
}

/// Gives the calling thread the lowest real-time priority, and says whether that was allowed.
///
/// Nice values would not do: they rank the threads of one session or container, not sessions and
/// containers among each other. What spins at this priority ends by itself and gives up when its CPU
/// is no longer its own ([`stands`]); until then the kernel keeps a twentieth of each CPU for ordinary
/// programs, unless the machine's owner has forbidden it. Round robin and not first in, first out:
/// two experiments started at once would each keep one CPU from the other for ever.
pub(super) fn prefer_this_thread() -> bool {
    let lowest = libc::sched_param { sched_priority: 1 };
    // SAFETY: the kernel reads the structure that the pointer leads to, which lives until the call
    // returns; the call touches no other memory of this process.
    unsafe { libc::sched_setscheduler(0, libc::SCHED_RR, &lowest) == 0 }
}

/// Puts the calling thread before ordinary programs if the main thread of this process is, and says
/// whether it did: for threads that a library starts, and that work for the one that measures.
pub fn follow_main_thread() -> bool {
    // SAFETY: the call takes a number and touches no memory of this process.
    let preferred = unsafe { libc::sched_getscheduler(main_thread()) } == libc::SCHED_RR;
    preferred && prefer_this_thread()
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    /// A seat on a CPU of this process, for one thread alone.
    fn seat(own: usize) -> Seat {
        Seat {
            own,
            other: own,
            pinned: true,
            preferred: false,
        }
    }

    /// In a thread of its own, which may be pinned.
    fn elsewhere<T: Send>(act: impl FnOnce() -> T + Send) -> T {
        thread::scope(|scope| scope.spawn(act).join().unwrap())
    }

    #[test]
    fn who_took_no_seat_can_lose_none() {
        assert_eq!(elsewhere(stands), Ok(()));
    }

    #[test]
    fn a_seat_is_lost_with_its_cpu() {
        let cpus: Vec<usize> = allowed().unwrap().iter().collect();
        let [one, other, ..] = cpus[..] else {
            eprintln!("not run: a thread can be moved only where there are two CPUs");
            return;
        };
        elsewhere(|| {
            assert_eq!(seat(one).take(), Ok(()));
            assert_eq!(stands(), Ok(()));
            // As anybody may do who may move this thread, in one way or the other.
            for moved in [Cpus::one(other), [one, other].into_iter().collect()] {
                affinity::restrict(0, &moved).unwrap();
                assert_eq!(stands(), Err(Gone::Cpu(one)));
                let preferring = Seat {
                    preferred: true,
                    ..seat(one)
                };
                assert_eq!(preferring.prefer(), Err(Gone::Cpu(one)));
            }
            assert_eq!(seat(one).take(), Ok(()), "and there it is again");
        });
    }

    #[test]
    fn what_the_process_may_not_use_is_no_seat() {
        let cpu = allowed().unwrap().iter().next().unwrap();
        let beyond = 1 << 20;
        assert_eq!(elsewhere(|| seat(beyond).take()), Err(Gone::Cpu(beyond)));
        let beside = Seat {
            other: beyond,
            ..seat(cpu)
        };
        assert_eq!(elsewhere(|| beside.take()), Err(Gone::Cpu(beyond)));
        let anywhere = Seat {
            pinned: false,
            ..seat(0)
        };
        assert_eq!(elsewhere(|| anywhere.take()), Ok(()));
    }

    #[test]
    fn a_loss_is_said_with_what_would_help() {
        for (gone, what) in [
            (Gone::Cpu(7), "CPU 7 was"),
            (Gone::AllButOne, "but one were"),
        ] {
            let said = gone.to_string();
            assert!(said.contains(what) && said.contains("cpuset"), "{said}");
        }
    }
}
