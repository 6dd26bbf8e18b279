//! Segments: made, attached, given back.

use std::ffi::{c_char, c_int, c_void};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::ptr;
use std::sync::OnceLock;

use ringproof::layout::{Kind, NOTES};
use ringproof::segment::DEFAULT_MODE;
use ringproof::untyped::{Consumer, Form, Payload, Producer, Reader, Structure, Writer};
use ringproof::{
    NameStatus, RingOptions, Role, Segment, SegmentError, SeqLatchOptions, SeqLockOptions, guard,
    unlink,
};

use crate::arguments::{items, needed, segment_name, shared};
use crate::failure::{Failure, call, promised, ringproof_lib_error, ringproof_lib_status};
use crate::payload::ringproof_lib_payload;

/// What a segment is.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ringproof_lib_kind {
    /// A queue of items, none lost, for one producer and one consumer.
    RINGPROOF_LIB_RING = 1,
    /// The latest value, for one writer and any number of readers.
    RINGPROOF_LIB_SEQLOCK = 2,
    /// The same, and the last committed value stays readable whatever happens to its writer.
    RINGPROOF_LIB_LATCH = 3,
}

const _: () = {
    assert!(ringproof_lib_kind::RINGPROOF_LIB_RING as u32 == Kind::Ring as u32);
    assert!(ringproof_lib_kind::RINGPROOF_LIB_SEQLOCK as u32 == Kind::SeqLock as u32);
    assert!(ringproof_lib_kind::RINGPROOF_LIB_LATCH as u32 == Kind::Latch as u32);
};

/// The right to act on one side of a segment.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ringproof_lib_role {
    /// A ring's sending side.
    RINGPROOF_LIB_PRODUCER = 0,
    /// A ring's receiving side.
    RINGPROOF_LIB_CONSUMER = 1,
    /// The writing side of a seqlock or latch.
    RINGPROOF_LIB_WRITER = 2,
}

/// The roles by number.
const ROLES: [(ringproof_lib_role, Role); 3] = [
    (ringproof_lib_role::RINGPROOF_LIB_PRODUCER, Role::Producer),
    (ringproof_lib_role::RINGPROOF_LIB_CONSUMER, Role::Consumer),
    (ringproof_lib_role::RINGPROOF_LIB_WRITER, Role::Writer),
];

/// What a segment's name leads to, for somebody who is attached to it.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ringproof_lib_name {
    /// To this segment. Or it never had a name, and needs none.
    RINGPROOF_LIB_NAME_CURRENT = 0,
    /// To nothing.
    RINGPROOF_LIB_NAME_UNLINKED = 1,
    /// To something else: this one was unlinked, and another made.
    RINGPROOF_LIB_NAME_REPLACED = 2,
}

/// How to make a segment. What is 0 is as usual, but for the kind, and the capacity of a ring.
#[repr(C)]
pub struct ringproof_lib_options {
    /// An `enum ringproof_lib_kind`.
    pub kind: u32,
    /// The permission bits of a named segment, from 0600 to 0777; usually 0600.
    pub mode: u32,
    /// How many items of a ring may be live at once.
    pub capacity: u64,
    /// Memory cycled through, in items, a power of two. Usually as much as a ring's capacity
    /// needs and at least 256 KiB; four values of a latch.
    pub slots: u64,
}

/// A segment, mapped into this process, which it takes one descriptor of, and its ends none. A
/// process that it forks has no access there: see `ringproof_lib_create`.
pub struct ringproof_lib_segment {
    pub(crate) structure: Structure,
    /// What is passed to other processes, once somebody has asked for it.
    descriptor: OnceLock<OwnedFd>,
}

impl ringproof_lib_segment {
    fn new(structure: Structure) -> Self {
        ringproof_lib_segment {
            structure,
            descriptor: OnceLock::new(),
        }
    }
}

/// An end of any kind.
pub(crate) trait End {
    /// The segment that it is an end of.
    fn whole(&self) -> &Segment;
}

macro_rules! ends {
    ($($end:ty),*) => {
        $(impl End for $end {
            fn whole(&self) -> &Segment {
                self.segment()
            }
        })*
    };
}

ends!(Producer, Consumer, Writer, Reader);

/// The end, unless it is the parent's of this process, which would die of its use.
pub(crate) fn usable<E: End>(end: &E) -> Result<&E, Failure> {
    unless_inherited(end.whole())?;
    Ok(end)
}

/// The same, to change something.
pub(crate) fn usable_mut<E: End>(end: &mut E) -> Result<&mut E, Failure> {
    unless_inherited(end.whole())?;
    Ok(end)
}

fn unless_inherited(segment: &Segment) -> Result<(), Failure> {
    if segment.is_inherited() {
        return Err(forked(segment));
    }
    Ok(())
}

#[cold]
fn forked(segment: &Segment) -> Failure {
    Failure::from(SegmentError::Forked {
        segment: segment.label().to_owned(),
    })
}

/// The segment of a handle.
unsafe fn segment_of<'a>(handle: *const ringproof_lib_segment) -> Result<&'a Segment, Failure> {
    // SAFETY: the caller's promises.
    Ok(unsafe { shared(handle, "segment")? }.structure.segment())
}

/// The body of a function that C calls and that hands over what it makes; see [`promised`].
macro_rules! handed_over {
    ($error:expr, $handle:ident, $make:block) => {
        crate::failure::promised!($error, {
            crate::segment::hand_over($handle, stringify!($handle), || $make)
        })
    };
}

pub(crate) use handed_over;

/// Hands a new handle over, once `make` has made what it stands for; null until then.
pub(crate) unsafe fn hand_over<H>(
    handle: *mut *mut H,
    name: &'static str,
    make: impl FnOnce() -> Result<H, Failure>,
) -> Result<(), Failure> {
    let handle = needed(handle, name)?;
    // SAFETY: not null, hence room for a pointer.
    unsafe { handle.write(ptr::null_mut()) };
    let made = Box::into_raw(Box::new(make()?));
    // SAFETY: as above.
    unsafe { handle.write(made) };
    Ok(())
}

/// Gives a handle back; null is none.
pub(crate) unsafe fn give_back<H>(handle: *mut H) {
    // SAFETY: `error` is none, and the body touches the handle alone.
    unsafe {
        call(ptr::null_mut(), || {
            if !handle.is_null() {
                // From `hand_over`, and given back once: the caller's promises.
                drop(Box::from_raw(handle));
            }
            Ok(())
        });
    }
}

fn kind(number: u32) -> Result<Kind, Failure> {
    Kind::from_number(number)
        .ok_or_else(|| Failure::argument(format!("{number} is no enum ringproof_lib_kind")))
}

fn role(number: u32) -> Result<Role, Failure> {
    let known = ROLES.iter().find(|(known, _)| *known as u32 == number);
    known
        .map(|(_, role)| *role)
        .ok_or_else(|| Failure::argument(format!("{number} is no enum ringproof_lib_role")))
}

/// The role whose notes are meant, and which of them.
fn place(whose: u32, index: usize) -> Result<(Role, usize), Failure> {
    let role = role(whose)?;
    if index < NOTES {
        Ok((role, index))
    } else {
        Err(Failure::argument(format!(
            "there is no note {index}, only {NOTES} of each role"
        )))
    }
}

impl ringproof_lib_options {
    fn form<'a>(&self, initial: &'a [u8]) -> Result<Form<'a>, Failure> {
        let mode = if self.mode == 0 {
            DEFAULT_MODE
        } else {
            self.mode
        };
        Ok(match kind(self.kind)? {
            Kind::Ring => {
                let options = RingOptions::new(self.capacity).mode(mode);
                Form::Ring(match self.slots {
                    0 => options,
                    slots => options.slots(slots),
                })
            }
            Kind::SeqLock => Form::SeqLock(SeqLockOptions::default().mode(mode), initial),
            Kind::Latch => {
                let options = SeqLatchOptions::default().mode(mode);
                let options = match self.slots {
                    0 => options,
                    slots => options.slots(slots),
                };
                Form::Latch(options, initial)
            }
        })
    }
}

/// What is made by `create`, once the arguments are understood.
unsafe fn made(
    options: *const ringproof_lib_options,
    payload: *const ringproof_lib_payload,
    initial: *const c_void,
    create: impl FnOnce(&Form, &Payload) -> Result<Structure, Failure>,
) -> Result<ringproof_lib_segment, Failure> {
    // SAFETY: the caller's promises.
    let (options, payload) = unsafe { (shared(options, "options")?, shared(payload, "payload")?) };
    // SAFETY: as above.
    let described = unsafe { payload.described()? };
    let count = usize::from(!initial.is_null());
    // SAFETY: as above.
    let initial = unsafe { items(initial, count, payload.size, "initial")? };
    let structure = create(&options.form(initial)?, &described)?;
    Ok(ringproof_lib_segment::new(structure))
}

/// Makes the segment `name`; without a name if that is null, and another process attaches by its
/// descriptor. A seqlock or latch holds `initial` first, or zeros if that is null; a ring has no
/// use for it.
///
/// Neither a segment nor its ends go over a `fork`, `daemon`, or a worker that a runtime forks
/// (Python's `multiprocessing` does): for the child every call that needs the memory is `RINGPROOF_LIB_FORKED`,
/// and an access to items in place is SIGSEGV. To drop them is fine. Attach in the child. (A bare
/// `clone` goes unnoticed: its child must not touch them.)
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ringproof_lib_create(
    name: *const c_char,
    options: *const ringproof_lib_options,
    payload: *const ringproof_lib_payload,
    initial: *const c_void,
    segment: *mut *mut ringproof_lib_segment,
    error: *mut ringproof_lib_error,
) -> ringproof_lib_status {
    handed_over!(error, segment, {
        made(options, payload, initial, |form, payload| {
            Ok(if name.is_null() {
                Structure::anonymous(form, payload)?
            } else {
                Structure::create(segment_name(name)?, form, payload)?
            })
        })
    })
}

/// Attaches to the segment `name`, or makes it, as `ringproof_lib_create` does. Of one that exists only kind and
/// payload are checked: it keeps its capacity, its slots, its mode and its value, whatever `options`
/// and `initial` say. Not for a child that is forked later: see there.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ringproof_lib_open_or_create(
    name: *const c_char,
    options: *const ringproof_lib_options,
    payload: *const ringproof_lib_payload,
    initial: *const c_void,
    segment: *mut *mut ringproof_lib_segment,
    error: *mut ringproof_lib_error,
) -> ringproof_lib_status {
    handed_over!(error, segment, {
        made(options, payload, initial, |form, payload| {
            let name = segment_name(name)?;
            Ok(Structure::open_or_create(name, form, payload)?)
        })
    })
}

/// Attaches to the segment `name`, which must be of this kind, an `enum ringproof_lib_kind`, and have this
/// payload. Not for a child that is forked later: see `ringproof_lib_create`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ringproof_lib_attach(
    name: *const c_char,
    segment_kind: u32,
    payload: *const ringproof_lib_payload,
    segment: *mut *mut ringproof_lib_segment,
    error: *mut ringproof_lib_error,
) -> ringproof_lib_status {
    handed_over!(error, segment, {
        let payload = shared(payload, "payload")?.described()?;
        let structure = Structure::attach(segment_name(name)?, kind(segment_kind)?, &payload)?;
        Ok(ringproof_lib_segment::new(structure))
    })
}

/// Attaches to a segment without a name by a descriptor, which stays the caller's. Not for a child
/// that is forked later: see `ringproof_lib_create`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ringproof_lib_attach_fd(
    fd: c_int,
    segment_kind: u32,
    payload: *const ringproof_lib_payload,
    segment: *mut *mut ringproof_lib_segment,
    error: *mut ringproof_lib_error,
) -> ringproof_lib_status {
    handed_over!(error, segment, {
        let payload = shared(payload, "payload")?.described()?;
        let kind = kind(segment_kind)?;
        if fd < 0 {
            return Err(Failure::argument(format!("{fd} is no descriptor")));
        }
        let fd = BorrowedFd::borrow_raw(fd).try_clone_to_owned();
        let fd = fd.map_err(|error| Failure::system("duplicate the descriptor", &error))?;
        let structure = Structure::attach_fd(fd, kind, &payload)?;
        Ok(ringproof_lib_segment::new(structure))
    })
}

/// Gives the segment back; null is none. Its memory stays mapped until its ends are dropped, too.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ringproof_lib_detach(segment: *mut ringproof_lib_segment) {
    // SAFETY: the caller's promises.
    unsafe { give_back(segment) };
}

/// A descriptor of the segment, to be passed to another process; it stays the segment's. It is
/// opened when it is first asked for. -1 for null, or if it cannot be had.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ringproof_lib_fd(segment: *const ringproof_lib_segment) -> c_int {
    let mut fd = -1;
    // The reason is not asked for.
    let error = ptr::null_mut();
    // SAFETY: the caller's promises.
    unsafe {
        call(error, || {
            let segment = shared(segment, "segment")?;
            let kept = match segment.descriptor.get() {
                Some(kept) => kept,
                None => {
                    let opened = segment.structure.segment().descriptor()?;
                    segment.descriptor.get_or_init(|| opened)
                }
            };
            fd = kept.as_raw_fd();
            Ok(())
        });
    }
    fd
}

/// Takes the segment's name away. Who is attached may go on; no role of it is taken any more.
/// Nothing happens if another segment has the name by now.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ringproof_lib_unlink(
    segment: *const ringproof_lib_segment,
    error: *mut ringproof_lib_error,
) -> ringproof_lib_status {
    promised!(error, { Ok(segment_of(segment)?.unlink()?) })
}

/// Takes the name of a segment away, whatever it holds and whoever uses it. A file that is no
/// segment is left alone.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ringproof_lib_unlink_name(
    name: *const c_char,
    error: *mut ringproof_lib_error,
) -> ringproof_lib_status {
    // SAFETY: the caller's promises.
    unsafe { call(error, || Ok(unlink(segment_name(name)?)?)) }
}

/// What has become of the segment's name since it was opened. Who holds a role may go on without a name,
/// and a reader sees the last value for good, but no one joins them: ask in a wait that becomes long.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ringproof_lib_name_status(
    segment: *const ringproof_lib_segment,
    found: *mut ringproof_lib_name,
    error: *mut ringproof_lib_error,
) -> ringproof_lib_status {
    promised!(error, {
        let found = needed(found, "found")?;
        let status = segment_of(segment)?.name_status()?;
        found.write(match status {
            NameStatus::Current => ringproof_lib_name::RINGPROOF_LIB_NAME_CURRENT,
            NameStatus::Unlinked => ringproof_lib_name::RINGPROOF_LIB_NAME_UNLINKED,
            NameStatus::Replaced => ringproof_lib_name::RINGPROOF_LIB_NAME_REPLACED,
        });
        Ok(())
    })
}

/// Whether anybody holds a role, an `enum ringproof_lib_role`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ringproof_lib_is_held(
    segment: *const ringproof_lib_segment,
    whose: u32,
    held: *mut bool,
    error: *mut ringproof_lib_error,
) -> ringproof_lib_status {
    promised!(error, {
        let held = needed(held, "held")?;
        held.write(segment_of(segment)?.is_held(role(whose)?)?);
        Ok(())
    })
}

/// Reads one of the words that an application keeps in the notes of a role, an `enum ringproof_lib_role`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ringproof_lib_note(
    segment: *const ringproof_lib_segment,
    whose: u32,
    index: usize,
    value: *mut u64,
    error: *mut ringproof_lib_error,
) -> ringproof_lib_status {
    promised!(error, {
        let value = needed(value, "value")?;
        let segment = segment_of(segment)?;
        let (role, index) = place(whose, index)?;
        unless_inherited(segment)?;
        // There is none of these otherwise only where the memory is gone.
        let lost = || SegmentError::Lost {
            segment: segment.label().to_owned(),
        };
        value.write(segment.note(role, index).ok_or_else(lost)?);
        Ok(())
    })
}

/// Writes one of these words. Only the holder of the role should.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ringproof_lib_set_note(
    segment: *const ringproof_lib_segment,
    whose: u32,
    index: usize,
    value: u64,
    error: *mut ringproof_lib_error,
) -> ringproof_lib_status {
    promised!(error, {
        let (segment, (role, index)) = (segment_of(segment)?, place(whose, index)?);
        Ok(segment.set_note(role, index, value)?)
    })
}

/// Turns SIGBUS, of which a program dies that uses a segment truncated by somebody, into errors:
/// for the whole process, once. See `ringproof_lib_is_lost`. The library stays in the process from then on:
/// `dlclose` does not unload it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ringproof_lib_guard_install(
    error: *mut ringproof_lib_error,
) -> ringproof_lib_status {
    // SAFETY: the caller's promises.
    unsafe { call(error, || Ok(guard::install()?)) }
}

/// Whether the segment was found truncated, which is only known where `ringproof_lib_guard_install` was
/// called. What was taken from a segment counts if this is false after it was taken.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ringproof_lib_is_lost(segment: *const ringproof_lib_segment) -> bool {
    // SAFETY: the caller's promises.
    let segment = unsafe { segment.as_ref() };
    segment.is_some_and(|segment| segment.structure.segment().is_lost())
}
