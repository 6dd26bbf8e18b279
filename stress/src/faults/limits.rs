//! What a process may have: open files, address space, locked memory, long files.
//!
//! A process leads a whole life with segments under each limit from one that allows nothing to
//! one that allows it all.

use std::collections::BTreeSet;
use std::fs::{self, File};

use anyhow::{Context, Result, bail, ensure};
use nix::fcntl::{FallocateFlags, fallocate};
use nix::sys::mman::{MlockAllFlags, mlockall};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{SigHandler, Signal, signal};
use ringproof::{Inspection, Ring, RingOptions, SeqLatch, SeqLatchOptions};

use super::access::need_root;
use super::namespace;
use crate::desk::{Check, Setting, same};
use crate::process::{Note, become_nobody};
use crate::shm::Name;
use crate::words::Words;

checks! { setting:
    "open-files",
        "every limit from 3 on: works, or an error that says so and leaves nothing", "limits" =>
        open_files(setting, life),
    wrong "injected fault: panics", "panicked" =>
        open_files(setting, |name| {
            life(name).expect("a segment");
            Ok(())
        }),
    wrong "injected fault: leaves a descriptor behind", "descriptors are left" =>
        open_files(setting, |name| {
            std::mem::forget(File::open("/dev/null")?);
            life(name)
        }),
    wrong "injected fault: does not say why", "instead of `Too many open files`" =>
        open_files(setting, |name| {
            life(name).map_err(|_| anyhow::anyhow!("it failed"))
        });

    "address-space",
        "every limit until all can be mapped: works, or says that it cannot map", "limits" =>
        address_space(setting, life),
    wrong "injected fault: leaves a mapping behind", "mappings are left" =>
        address_space(setting, |name| {
            life(name)?;
            std::mem::forget(Words::new(1)?);
            Ok(())
        });

    "locked-memory",
        "every limit under mlockall: works, or says that it cannot map; none without", "limits" =>
        locked_memory(setting, life),
    wrong "injected fault: locks its segments, asked or not", "without mlockall" =>
        locked_memory(setting, |name| {
            mlockall(MlockAllFlags::MCL_FUTURE).context("cannot lock")?;
            life(name)
        });

    "file-size",
        "every limit on the length of files, SIGXFSZ ignored or not: an error, no signal",
        "limits" => file_size(setting, life),
    wrong "injected fault: asks the system for too long a file", "was killed by SIGXFSZ" =>
        file_size(setting, |name| {
            let file = File::create_new(name.path())?;
            fallocate(&file, FallocateFlags::empty(), 0, 8192)?;
            fs::remove_file(name.path())?;
            Ok(())
        });
}

/// All that one does with segments. Whatever comes of it, it leaves nothing open.
type Life = fn(&Name) -> Result<()>;

fn life(name: &Name) -> Result<()> {
    let options = RingOptions::new(4).slots(4);
    let ring = Ring::<u64>::create(name, &options)?;
    // From here on the name is to be taken away.
    let rest = || -> Result<()> {
        let again = Ring::<u64>::attach(name)?;
        let (mut producer, mut consumer) = (ring.producer()?, again.consumer()?);
        producer.push(7)?;
        ensure!(consumer.pop()? == 7, "an item is not what it was");
        let looked_at = Inspection::of(name)?;
        ensure!(looked_at.write_index == 1, "one item was sent");
        let latch = SeqLatch::anonymous(&1_u64, &SeqLatchOptions::default())?;
        latch.writer()?.write(&2);
        ensure!(latch.reader()?.read(1)? == 2, "a value is not what it was");
        ring.segment().unlink()?;
        Ok(())
    };
    rest().inspect_err(|_| {
        // A removal wants a descriptor, too, and there may be none.
        let _ = fs::remove_file(name.path());
    })
}

/// Leads a life under each limit of a resource, in a process that prepared for it, until one is as good as
/// without. An error must contain what it `says`. How many there were.
fn climb(
    setting: &Setting<'_>,
    (resource, says): (Resource, &str),
    limits: impl Iterator<Item = u64>,
    prepare: impl Fn() -> Result<()>,
    life: Life,
) -> Result<u64> {
    let name = setting.name();
    let mut tried = 0;
    for limit in limits {
        let under = || format!("{resource:?} {limit}");
        let who = format!("a process under {}", under());
        let reported = setting.apart(who, |ledger| {
            // Once without a limit: then stack and heap are as large as it takes.
            self::life(&name).context("without a limit")?;
            prepare()?;
            let before = Possessions::now()?;
            let (soft, hard) = getrlimit(resource).context("cannot ask for a limit")?;
            setrlimit(resource, limit, hard).with_context(under)?;
            let outcome = life(&name);
            setrlimit(resource, soft, hard).context("cannot lift a limit")?;
            if let Err(error) = outcome {
                ledger.note(&Note::Refused(format!("{error:#}")));
            }
            before.compare(&Possessions::now()?)
        })?;
        let left = fs::exists(name.path()).context("cannot look for a name")?;
        ensure!(!left, "under {} a name is left", under());
        tried += 1;
        match reported.first() {
            None => {
                ensure!(tried > 1, "{} is no limit", under());
                return Ok(tried);
            }
            Some(Note::Refused(why)) if why.contains(says) => {}
            Some(Note::Refused(why)) => {
                bail!("under {} `{why}` instead of `{}`", under(), says)
            }
            Some(other) => bail!("under {} {other:?}", under()),
        }
    }
    bail!("no limit on {resource:?} sufficed")
}

/// What a process has that a library can forget to give back.
struct Possessions {
    descriptors: BTreeSet<String>,
    mappings: usize,
}

impl Possessions {
    fn now() -> Result<Possessions> {
        let directory = fs::read_dir("/proc/self/fd").context("cannot list descriptors")?;
        let descriptors = directory
            .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
            .collect::<Result<_>>()?;
        let maps = fs::read_to_string("/proc/self/maps").context("cannot list mappings")?;
        // Those of files in memory, named or not, deleted or not.
        let shared = |line: &&str| line.contains(" rw-s ");
        Ok(Possessions {
            descriptors,
            mappings: maps.lines().filter(shared).count(),
        })
    }

    fn compare(&self, after: &Possessions) -> Result<()> {
        same(
            "descriptors are left",
            &after.descriptors,
            &self.descriptors,
        )?;
        same("mappings are left", after.mappings, self.mappings)
    }
}

fn open_files(setting: &Setting<'_>, life: Life) -> Result<u64> {
    let limit = (Resource::RLIMIT_NOFILE, "Too many open files");
    climb(setting, limit, 3..100, || Ok(()), life)
}

fn address_space(setting: &Setting<'_>, life: Life) -> Result<u64> {
    let statm = fs::read_to_string("/proc/self/statm").context("cannot ask for its size")?;
    let pages: u64 = (statm.split(' ').next())
        .and_then(|pages| pages.parse().ok())
        .context("nonsense in /proc/self/statm")?;
    let limit = (Resource::RLIMIT_AS, "cannot map it: Cannot allocate memory");
    let limits = (pages..pages + 1000).map(|pages| pages * namespace::page());
    climb(setting, limit, limits, || Ok(()), life)
}

fn locked_memory(setting: &Setting<'_>, life: Life) -> Result<u64> {
    // Root's processes are not bound by it.
    need_root()?;
    let name = setting.name();
    setting.apart("a process", |_| {
        become_nobody(&[])?;
        setrlimit(Resource::RLIMIT_MEMLOCK, 0, 0).context("cannot set a limit")?;
        life(&name).context("without mlockall a limit on locked memory is in the way")
    })?;
    let says = "cannot map it: Resource temporarily unavailable";
    let limits = (0..1000).map(|pages| pages * namespace::page());
    let prepare = || {
        become_nobody(&[])?;
        mlockall(MlockAllFlags::MCL_FUTURE).context("cannot lock what it will have")
    };
    let limit = (Resource::RLIMIT_MEMLOCK, says);
    Ok(1 + climb(setting, limit, limits, prepare, life)?)
}

fn file_size(setting: &Setting<'_>, life: Life) -> Result<u64> {
    let mut tried = 0;
    for handler in [SigHandler::SigDfl, SigHandler::SigIgn] {
        // SAFETY: neither of the two is a function.
        let prepare = || match unsafe { signal(Signal::SIGXFSZ, handler) } {
            Ok(_) => Ok(()),
            Err(error) => Err(error).context("cannot choose what a signal does"),
        };
        let (limit, limits) = ((Resource::RLIMIT_FSIZE, "RLIMIT_FSIZE"), 0..100);
        tried += climb(setting, limit, limits.map(|kib| kib * 1024), prepare, life)?;
    }
    Ok(tried)
}
