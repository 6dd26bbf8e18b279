//! The CPUs that a thread may use, on machines of any size.
//!
//! A `cpu_set_t` has room for 1,024 CPUs, and a kernel that may have more does not fill one in
//! (`sched_getaffinity(2)`: EINVAL). Masks here grow until they are as long as the kernel wants them.
//! Everything in the tree that asks for CPUs asks here.

use std::io;

use nix::libc::{self, c_ulong};

/// The bits of one word of a mask.
const BITS: usize = c_ulong::BITS as usize;

/// As many CPUs as a `cpu_set_t` has room for: most machines have no more.
const USUAL: usize = 1024;

/// No machine has so many, and a kernel that wants a longer mask is not asked any further.
const MOST: usize = 1 << 22;

/// A set of CPUs, by their numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cpus {
    /// As the kernel has them: bit `n % BITS` of word `n / BITS`. The last word is not zero, so that
    /// equal sets are equal words.
    words: Vec<c_ulong>,
}

impl Cpus {
    /// This one alone.
    pub fn one(cpu: usize) -> Self {
        [cpu].into_iter().collect()
    }

    /// Whether it is one of them.
    pub fn contains(&self, cpu: usize) -> bool {
        let word = self.words.get(cpu / BITS);
        word.is_some_and(|word| word >> (cpu % BITS) & 1 == 1)
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        let ones = self.words.iter().map(|word| word.count_ones() as usize);
        ones.sum()
    }

    /// Their numbers, the smallest first.
    pub fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        let words = self.words.iter().enumerate();
        words.flat_map(|(index, word)| {
            let set = (0..BITS).filter(move |bit| word >> bit & 1 == 1);
            set.map(move |bit| index * BITS + bit)
        })
    }

    fn of_words(mut words: Vec<c_ulong>) -> Self {
        while words.last() == Some(&0) {
            words.pop();
        }
        Cpus { words }
    }
}

/// A number beyond all machines is left out: no set may be made to take up all memory.
impl FromIterator<usize> for Cpus {
    fn from_iter<I: IntoIterator<Item = usize>>(cpus: I) -> Self {
        let mut words = Vec::new();
        for cpu in cpus.into_iter().filter(|cpu| *cpu < MOST) {
            if words.len() <= cpu / BITS {
                words.resize(cpu / BITS + 1, 0);
            }
            words[cpu / BITS] |= 1 << (cpu % BITS);
        }
        Cpus { words }
    }
}

/// The CPUs that a thread may use: a thread of any process by its number, the calling one by 0. The
/// number of a process is that of its first thread.
///
/// # Errors
/// What the system says, or that it names no CPU at all.
pub fn allowed(thread: i32) -> io::Result<Cpus> {
    let words = ask_longer(|words| {
        let bytes = size_of_val(words);
        // SAFETY: the kernel, and the C library after it, write at most so many bytes, which are those
        // of the words.
        let asked = unsafe { libc::sched_getaffinity(thread, bytes, words.as_mut_ptr().cast()) };
        match asked {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    })?;
    let cpus = Cpus::of_words(words);
    match cpus.count() {
        0 => Err(io::Error::other("the system names no CPU")),
        _ => Ok(cpus),
    }
}

/// Lets a thread use these CPUs only, named like one for [`allowed`].
///
/// # Errors
/// What the system says: none of them may be used, or the thread is not ours to move.
pub fn restrict(thread: i32, cpus: &Cpus) -> io::Result<()> {
    let bytes = size_of_val(cpus.words.as_slice());
    // SAFETY: the kernel reads so many bytes, which are those of the words.
    let set = unsafe { libc::sched_setaffinity(thread, bytes, cpus.words.as_ptr().cast()) };
    match set {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Asks with a mask of the usual length, and with longer and longer ones while the answer is that it
/// is too short.
fn ask_longer(mut ask: impl FnMut(&mut [c_ulong]) -> io::Result<()>) -> io::Result<Vec<c_ulong>> {
    let mut length = USUAL;
    loop {
        let mut words = vec![0; length.div_ceil(BITS)];
        match ask(&mut words) {
            Ok(()) => return Ok(words),
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) && length < MOST => {
                length *= 2;
            }
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    /// What a kernel answers that may have so many CPUs, of which this process may use `allowed`.
    fn kernel(possible: usize, allowed: &[usize]) -> io::Result<Cpus> {
        let mask: Cpus = allowed.iter().copied().collect();
        let words = ask_longer(|words| {
            if words.len() * BITS < possible {
                return Err(io::Error::from_raw_os_error(libc::EINVAL));
            }
            words[..mask.words.len()].copy_from_slice(&mask.words);
            Ok(())
        })?;
        Ok(Cpus::of_words(words))
    }

    #[test]
    fn a_mask_is_as_long_as_the_kernel_wants_it() {
        for (possible, allowed) in [
            (2, &[0, 1][..]),
            (1024, &[5, 1023]),
            (1025, &[0, 1024]),
            (2048, &[1024, 2047]),
            (4096, &[0, 63, 64, 4095]),
            (8192, &[8191]),
            (MOST, &[MOST - 1]),
        ] {
            let found = kernel(possible, allowed).unwrap();
            let numbers: Vec<usize> = found.iter().collect();
            assert_eq!(numbers, allowed, "{possible}");
            assert_eq!(found.count(), allowed.len());
            assert!(allowed.iter().all(|cpu| found.contains(*cpu)));
            assert!(!found.contains(possible) && !found.contains(usize::MAX));
        }
    }

    #[test]
    fn a_kernel_that_wants_more_than_there_is_and_one_that_refuses_have_the_last_word() {
        let error = kernel(MOST + 1, &[0]).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EINVAL));
        let mut asked = 0;
        let refused = ask_longer(|_| {
            asked += 1;
            Err(io::Error::from_raw_os_error(libc::EPERM))
        });
        assert_eq!(refused.unwrap_err().raw_os_error(), Some(libc::EPERM));
        assert_eq!(asked, 1, "another error is no reason to ask again");
    }

    #[test]
    fn sets_are_equal_whatever_the_length_of_the_mask_was() {
        let short = kernel(64, &[3, 5]).unwrap();
        assert_eq!(short, kernel(4096, &[3, 5]).unwrap());
        assert_eq!(short, [5, 3, 5].into_iter().collect());
        assert_ne!(short, Cpus::one(3));
        assert_eq!(Cpus::one(usize::MAX), Cpus::default());
    }

    #[test]
    fn a_thread_keeps_to_the_cpus_it_is_given() {
        let on_one = thread::spawn(|| {
            let before = allowed(0).unwrap();
            let last = before.iter().last().unwrap();
            restrict(0, &Cpus::one(last)).unwrap();
            let now = allowed(0).unwrap();
            // No other thread is moved by it.
            (now == Cpus::one(last), before)
        });
        let (moved, before) = on_one.join().unwrap();
        assert!(moved);
        assert_eq!(allowed(0).unwrap(), before);
        for nowhere in [Cpus::default(), Cpus::one(MOST - 1)] {
            let error = restrict(0, &nowhere).unwrap_err();
            assert_eq!(error.raw_os_error(), Some(libc::EINVAL), "{error}");
        }
    }
}
