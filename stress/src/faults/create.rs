//! Making a segment where there is no room for it.

use std::fs::{self, File};
use std::io::ErrorKind;

use anyhow::{Context, Result, bail, ensure};
use nix::errno::Errno;
use nix::fcntl::{FallocateFlags, fallocate};
use nix::sched::CloneFlags;
use nix::sys::statvfs::statvfs;
use ringproof::{Ring, RingOptions, unlink};

use super::namespace;
use super::race::{Act, both_came, race};
use crate::desk::{Check, Setting, same};
use crate::process::Note;
use crate::shm::{DIRECTORY, Name};
use crate::specimen::{Make, s22_no_memory, window};

/// How large the file system is, in pages.
const PAGES: u64 = 8;

/// The pages before the slots: of the header, and of what describes them.
const BEFORE: u64 = 2;

/// How many slots of a page the segments have. The last has no room in any case.
const SLOTS: [u64; 4] = [1, 2, 4, 8];

checks! { setting:
    "full-file-system",
        "create with 0 to 8 pages left: works, or says no room; every page is there", "creations" =>
        full(setting, make),
    wrong "specimen: S22, ftruncate on a full file system, SIGBUS at first touch",
        "was killed by SIGBUS" => full(setting, s22_no_memory::make),
    wrong "injected fault: a creation that failed leaves its file", "is left" =>
        full(setting, litter);

    "filling-file-system",
        "create while somebody fills the disk: works, or says no room, and leaves nothing",
        "rounds" => filling(setting, make),
    wrong "injected fault: what a creation that failed had is not given back", "is left" =>
        filling(setting, litter);
}

/// Ours.
fn make(name: &Name, pages: u64) -> Result<()> {
    let options = RingOptions::new(pages).slots(pages);
    let ring = Ring::<[u8; 4096]>::create(name, &options)?;
    let (mut producer, mut consumer) = (ring.producer()?, ring.consumer()?);
    for number in 0..pages {
        let page = [number as u8 + 1; 4096];
        producer.push(page)?;
        ensure!(consumer.pop()? == page, "a page is not what it was");
    }
    unlink(name)?;
    Ok(())
}

/// Asks for its memory, as it should, and forgets to tidy up when it gets none.
fn litter(name: &Name, pages: u64) -> Result<()> {
    let file = File::create_new(name.path())?;
    let len = (BEFORE + pages) * namespace::page();
    // A part of it, then the rest: so that something is left where there was something.
    for part in [namespace::page(), len] {
        fallocate(&file, FallocateFlags::empty(), 0, part.cast_signed())
            .context("no room for it")?;
    }
    fs::remove_file(name.path())?;
    Ok(())
}

/// Pages that are free.
fn free_pages() -> Result<u64> {
    let found = statvfs(DIRECTORY).context("cannot ask how much room there is")?;
    Ok(found.blocks_free() * found.fragment_size() / namespace::page())
}

/// Nothing of a creation is there any more.
fn nothing_left(name: &Name) -> Result<()> {
    match fs::symlink_metadata(name.path()) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error).context("cannot look for a file"),
        Ok(found) => {
            // So that it is not in the way of the next.
            let _ = fs::remove_file(name.path());
            bail!("a file of {} bytes is left", found.len())
        }
    }
}

/// A process of its own creates: whether it had the room.
fn create(setting: &Setting<'_>, make: Make, name: &Name, pages: u64) -> Result<bool> {
    let reported = setting.apart("the creator", |ledger| {
        if let Err(error) = make(name, pages) {
            ledger.note(&Note::Refused(format!("{error:#}")));
        }
        Ok(())
    })?;
    match reported.first() {
        None => Ok(true),
        Some(Note::Refused(why)) if why.contains("no room") => Ok(false),
        Some(other) => bail!("expected `no room`, found {other:?}"),
    }
}

/// Creates with every number of pages free.
fn full(setting: &Setting<'_>, make: Make) -> Result<u64> {
    namespace::enter(CloneFlags::CLONE_NEWNS)?;
    namespace::small_shm(PAGES)?;
    let name = setting.name();
    let filler = Filler::new(setting)?;
    let mut tried = 0;
    for free in 0..=PAGES {
        filler.leave(free)?;
        same("pages that are free", free_pages()?, free)?;
        for slots in SLOTS {
            let pages = BEFORE + slots;
            let of = || format!("a segment of {pages} pages where {free} are free");
            let made = create(setting, make, &name, slots).with_context(of)?;
            ensure!(made == (pages <= free), "{}: made is {made}", of());
            nothing_left(&name).with_context(of)?;
            let left = free_pages()?;
            ensure!(left == free, "{}: then {left} pages are", of());
            tried += 1;
        }
    }
    Ok(tried)
}

/// A file that is in the way.
struct Filler {
    file: File,
    /// Gone with it.
    _name: Name,
}

impl Filler {
    fn new(setting: &Setting<'_>) -> Result<Filler> {
        let name = setting.name_of("filler");
        let file = File::create_new(name.path()).context("cannot create a file in the way")?;
        Ok(Filler { file, _name: name })
    }

    /// Takes all but so many pages.
    fn leave(&self, free: u64) -> Result<()> {
        self.take(PAGES - free).context("cannot be in the way")
    }

    fn take(&self, pages: u64) -> nix::Result<()> {
        self.file.set_len(0).map_err(|_| Errno::last())?;
        match pages * namespace::page() {
            0 => Ok(()),
            len => fallocate(&self.file, FallocateFlags::empty(), 0, len.cast_signed()),
        }
    }
}

/// Creates while another process takes what room there is, and gives it back.
fn filling(setting: &Setting<'_>, make: Make) -> Result<u64> {
    namespace::enter(CloneFlags::CLONE_NEWNS)?;
    namespace::small_shm(PAGES)?;
    let name = setting.name();
    let filler = Filler::new(setting)?;
    // How many were made, and how many not.
    let mut outcomes = [0_u64; 2];
    let seed = setting.seed;
    let rounds = race(
        setting,
        setting.rounds,
        |_| Ok(()),
        |_| match make(&name, 4) {
            Ok(()) => Ok(Act::new([1, 0], ())),
            Err(error) if format!("{error:#}").contains("no room") => Ok(Act::new([0, 0], ())),
            Err(error) => Err(error),
        },
        |round| {
            // None to all, so that the last pages go sooner or later, or not.
            for step in 0..4 {
                let random = crate::item::mix(seed ^ (round * 4 + step));
                match filler.take(random % (PAGES + 1)) {
                    Ok(()) | Err(Errno::ENOSPC) => {}
                    Err(error) => return Err(error).context("cannot be in the way"),
                }
                if random.is_multiple_of(1 << 6) {
                    window();
                }
            }
            filler.take(0).context("cannot get out of the way")?;
            Ok(Act::new([0, 0], ()))
        },
        |_, [[made, _], _]| {
            outcomes[made as usize] += 1;
            nothing_left(&name)?;
            let left = free_pages()?;
            same("pages that are free when all is given back", left, PAGES)
        },
    )?;
    both_came(rounds, outcomes, ["were not", "were made"])
}
