//! Operations of one thread, each many times in a row.
//!
//! The compiler must not remove or merge them: the words are behind references that it cannot see
//! through, what they come to is looked at afterwards, and a test looks for them in the machine
//! code.

use std::hint::{self, black_box};
use std::os::unix::process::parent_id;
use std::sync::atomic::{AtomicU64, Ordering, fence};
use std::time::{Duration, Instant};

use memmap2::{Advice, MmapMut, UncheckedAdvice};
use nix::libc;

use crate::alone::Alone;
use crate::counters::Usage;
use crate::mutex::SharedMutex;
use crate::report::Trouble;

/// How many operations there are in a turn of the loop: the loop's own cost is divided by it.
pub(crate) const PER_TURN: u64 = 64;

/// An operation that is timed.
#[derive(Clone, Copy)]
pub(crate) struct Operation {
    /// How tables call it.
    pub(crate) name: &'static str,
    /// Nanoseconds on another machine, if it was measured there.
    pub(crate) elsewhere: &'static str,
    /// Times so many turns of [`PER_TURN`] operations.
    pub(crate) time: fn(u64) -> Result<Duration, Trouble>,
}

/// The loop around the others, with nothing in it.
pub(crate) const LOOP: &str = "the loop around them, for each";
/// What others are expressed in.
pub(crate) const LOAD: &str = "load";
/// What a store needs so that a later load cannot overtake it.
pub(crate) const FENCE: &str = "SeqCst fence";
/// The way into the kernel and back.
pub(crate) const SYSTEM_CALL: &str = "system call (getppid)";

/// All of them, in the order of the table.
pub(crate) const OPERATIONS: [Operation; 12] = [
    operation(LOOP, "", nothing),
    operation(LOAD, "0.3", load),
    operation("store", "0.2", store),
    operation(FENCE, "6", fences),
    operation("store, SeqCst fence, load", "8.4", announce),
    operation("fetch_add", "", fetch_add),
    operation("PAUSE (spin_loop)", "12", pause),
    operation("process-shared mutex, lock and unlock", "19", |turns| {
        mutex(turns, false)
    }),
    operation("robust mutex, lock and unlock", "24", |turns| {
        mutex(turns, true)
    }),
    operation(SYSTEM_CALL, "107", system_call),
    operation("futex wake, nobody sleeps", "181", futex_wake),
    operation("first touch of a page", "2,200", first_touch),
];

const fn operation(
    name: &'static str,
    elsewhere: &'static str,
    time: fn(u64) -> Result<Duration, Trouble>,
) -> Operation {
    Operation {
        name,
        elsewhere,
        time,
    }
}

/// Far from zero, so that nothing is right by chance.
const VALUE: u64 = 0x9E37_79B9_7F4A_7C15;

#[inline(always)]
fn four(mut operation: impl FnMut()) {
    operation();
    operation();
    operation();
    operation();
}

/// Times `turns` turns of [`PER_TURN`] operations.
#[inline(always)]
fn timed(turns: u64, mut operation: impl FnMut()) -> Duration {
    let start = Instant::now();
    for turn in 0..turns {
        // Or a loop around nothing would be none.
        black_box(turn);
        four(|| four(|| four(&mut operation)));
    }
    start.elapsed()
}

/// The time, if the operations did what they should.
fn if_right(right: bool, took: Duration, what: &str) -> Result<Duration, Trouble> {
    match right {
        true => Ok(took),
        false => Err(Trouble::Failed(format!(
            "a {what} did not do what it should"
        ))),
    }
}

fn nothing(turns: u64) -> Result<Duration, Trouble> {
    Ok(timed(turns, || ()))
}

/// Each value is added up: an addition is done beside the next load.
fn load(turns: u64) -> Result<Duration, Trouble> {
    let word = Alone(AtomicU64::new(VALUE));
    let word = black_box(&word);
    let mut sum = 0_u64;
    let took = timed(turns, || {
        sum = sum.wrapping_add(word.0.load(Ordering::Relaxed));
    });
    let expected = VALUE.wrapping_mul(turns.wrapping_mul(PER_TURN));
    if_right(sum == expected, took, "load")
}

fn store(turns: u64) -> Result<Duration, Trouble> {
    let word = Alone(AtomicU64::new(0));
    let word = black_box(&word);
    let mut value = VALUE;
    let took = timed(turns, || {
        value = value.wrapping_add(1);
        word.0.store(value, Ordering::Relaxed);
    });
    let expected = VALUE.wrapping_add(turns.wrapping_mul(PER_TURN));
    if_right(word.0.load(Ordering::Relaxed) == expected, took, "store")
}

fn fences(turns: u64) -> Result<Duration, Trouble> {
    Ok(timed(turns, || {
        fence(Ordering::SeqCst);
        // Two fences with nothing between them are one to the compiler. This is no instruction.
        black_box(());
    }))
}

/// What each side of a protocol does that may put the other to sleep: announce, then look.
fn announce(turns: u64) -> Result<Duration, Trouble> {
    let words = [0, VALUE].map(|value| Alone(AtomicU64::new(value)));
    let [own, other] = black_box(&words);
    let (mut value, mut sum) = (0_u64, 0_u64);
    let took = timed(turns, || {
        value = value.wrapping_add(1);
        own.0.store(value, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        sum = sum.wrapping_add(other.0.load(Ordering::Relaxed));
    });
    let count = turns.wrapping_mul(PER_TURN);
    let right = own.0.load(Ordering::Relaxed) == count && sum == VALUE.wrapping_mul(count);
    if_right(right, took, "store or a load")
}

fn fetch_add(turns: u64) -> Result<Duration, Trouble> {
    let word = Alone(AtomicU64::new(VALUE));
    let word = black_box(&word);
    let took = timed(turns, || {
        word.0.fetch_add(1, Ordering::Relaxed);
    });
    let expected = VALUE.wrapping_add(turns.wrapping_mul(PER_TURN));
    if_right(
        word.0.load(Ordering::Relaxed) == expected,
        took,
        "fetch_add",
    )
}

fn pause(turns: u64) -> Result<Duration, Trouble> {
    Ok(timed(turns, hint::spin_loop))
}

fn mutex(turns: u64, robust: bool) -> Result<Duration, Trouble> {
    let refused = "the C library refuses such a mutex";
    let mutex = SharedMutex::new(robust).map_err(Trouble::of(refused))?;
    let (mut count, mut refused) = (0_u64, 0);
    let took = timed(turns, || refused |= mutex.with(|| count += 1));
    let right = refused == 0 && count == turns * PER_TURN;
    if_right(right, took, "lock or an unlock")
}

/// A call that does next to nothing in the kernel, and that no library answers from memory.
fn system_call(turns: u64) -> Result<Duration, Trouble> {
    let parent = i64::from(parent_id());
    let mut wrong = 0;
    let took = timed(turns, || {
        // SAFETY: the call takes no argument and touches no memory of this process.
        wrong |= unsafe { libc::syscall(libc::SYS_getppid) } ^ parent;
    });
    if_right(wrong == 0, took, "system call")
}

fn futex_wake(turns: u64) -> Result<Duration, Trouble> {
    let word = libc::FUTEX_WAITERS;
    let mut woken = 0;
    let took = timed(turns, || {
        // SAFETY: the kernel takes the address of a word that lives longer than the call for the
        // name of a queue, which is empty; it reads and writes nothing there.
        woken |= unsafe { libc::syscall(libc::SYS_futex, &raw const word, libc::FUTEX_WAKE, 1) };
    });
    if_right(woken == 0, took, "futex wake")
}

/// Writes to pages that the kernel has taken back: each write is a fault, and gets a page of zeros.
fn first_touch(turns: u64) -> Result<Duration, Trouble> {
    const PAGE: usize = 4096;
    const NO_MEMORY: &str = "the system gives no memory";
    let mut map = MmapMut::map_anon(PAGE * PER_TURN as usize).map_err(Trouble::of(NO_MEMORY))?;
    // One fault for one page. A kernel that knows no huge pages refuses this, and is right.
    let _ = map.advise(Advice::NoHugePage);
    let mut took = Duration::ZERO;
    let mut touched = 0;
    let before = Usage::so_far();
    for turn in 0..turns {
        let mark = turn as u8 | 1;
        // SAFETY: no reference into the mapping exists now. It is private and anonymous: afterwards
        // it holds zeros, which are bytes as good as any.
        unsafe { map.unchecked_advise(UncheckedAdvice::DontNeed) }
            .map_err(Trouble::of(NO_MEMORY))?;
        let start = Instant::now();
        for page in map.chunks_exact_mut(PAGE) {
            page[0] = mark;
        }
        took += start.elapsed();
        let pages = map.chunks_exact(PAGE);
        touched += pages.filter(|page| page[0] == mark).count() as u64;
    }
    let faults = before.since().page_faults;
    let pages = turns * PER_TURN;
    if faults < pages {
        // So on a kernel whose pages are larger than ours.
        return Err(Trouble::NotRun(format!(
            "the first touch of {pages} times {PAGE} bytes made only {faults} page faults"
        )));
    }
    if_right(touched == pages, took, "page")
}

/// Looks for the operations in the machine code of this program.
#[cfg(all(test, target_arch = "x86_64"))]
mod machine_code {
    use std::fs;

    use object::{Object, ObjectSection, ObjectSymbol};

    use super::*;

    /// The machine code of an operation's function, from this program's own file.
    fn code(name: &str) -> Vec<u8> {
        let program = fs::read("/proc/self/exe").unwrap();
        let program = object::File::parse(&*program).unwrap();
        // As symbols are mangled: each name after its length.
        let wanted = format!("10operations{}{name}", name.len());
        let mut symbols = program.symbols().filter(|symbol| symbol.size() > 0);
        let symbol = symbols.find(|symbol| symbol.name().unwrap_or("").contains(&wanted));
        let symbol = symbol.unwrap_or_else(|| panic!("no code of {name}"));
        let section = symbol.section_index().unwrap();
        let section = program.section_by_index(section).unwrap();
        let code = section.data_range(symbol.address(), symbol.size());
        code.unwrap().unwrap().to_vec()
    }

    fn times(code: &[u8], instruction: &[u8]) -> u64 {
        let windows = code.windows(instruction.len());
        windows.filter(|window| *window == instruction).count() as u64
    }

    #[test]
    fn every_operation_is_there_as_often_as_it_is_counted() {
        const LOCK: &[u8] = &[0xf0];
        const MFENCE: &[u8] = &[0x0f, 0xae, 0xf0];
        const PAUSE: &[u8] = &[0xf3, 0x90];
        let fences = |code: &[u8]| times(code, MFENCE).max(times(code, LOCK));
        assert!(fences(&code("fences")) >= PER_TURN);
        assert!(times(&code("fetch_add"), LOCK) >= PER_TURN);
        assert!(times(&code("pause"), PAUSE) >= PER_TURN);
        // A load or store has many forms, of at least three bytes.
        for name in ["load", "store"] {
            assert!(code(name).len() as u64 >= PER_TURN * 3, "{name}");
        }
        // What is not there is not found.
        let empty = code("nothing");
        assert!((empty.len() as u64) < PER_TURN * 3);
        for instruction in [LOCK, MFENCE, PAUSE] {
            assert!(times(&empty, instruction) < PER_TURN);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_does_what_it_should() {
        for Operation { name, time, .. } in OPERATIONS {
            let took = time(3);
            assert!(!matches!(took, Err(Trouble::Failed(_))), "{name}: {took:?}");
        }
    }

    #[test]
    fn what_is_wrong_is_noticed() {
        let outcome = if_right(false, Duration::ZERO, "load");
        assert!(matches!(outcome, Err(Trouble::Failed(_))), "{outcome:?}");
    }
}
