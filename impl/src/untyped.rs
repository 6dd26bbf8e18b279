//! The structures of this crate for payloads that are known only while the program runs: what
//! other languages call, and tools that move whatever a segment holds.
//!
//! A [`Structure`] is made, attached and opened by a [`Payload`] where a [`Ring`](crate::Ring) has
//! a type, and its ends move bytes. The other side may be typed, or written in another language:
//! the segment is the same.
//!
//! ```
//! use ringproof::layout::Kind;
//! use ringproof::shape::Description;
//! use ringproof::untyped::{Payload, Structure};
//! use ringproof::{Ring, RingOptions};
//!
//! let name = format!("untyped-{}", std::process::id());
//! let ring = Ring::<[u32; 2]>::create(&name, &RingOptions::new(8))?;
//! ring.producer()?.push([1, 2])?;
//!
//! // In a process that has read this text somewhere:
//! let text = b"ringproof-shape 1 little 8\nvalue 0 u32x2\n";
//! # let text = Description::of::<[u32; 2]>()?.to_string();
//! # let text = text.as_bytes();
//! let payload = Payload::new(Description::parse(text)?, 4)?;
//! let untyped = Structure::attach(&name, Kind::Ring, &payload)?;
//! let mut item = [0; 8];
//! untyped.consumer()?.pop(&mut item)?;
//! assert_eq!(item[..4], 1_u32.to_ne_bytes());
//! # ring.segment().unlink()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # In an event loop
//!
//! What is [`Waiter`](crate::Waiter) to ends that have a type is [`arm`](Consumer::arm) to these: an operation that is
//! refused for now leaves its wait to a descriptor.
//!
//! ```
//! use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
//! use ringproof::shape::Description;
//! use ringproof::untyped::{Form, Payload, Structure};
//! use ringproof::{PopError, RingOptions};
//!
//! let payload = Payload::new(Description::of::<u64>()?, 8)?;
//! let ring = Structure::anonymous(&Form::Ring(RingOptions::new(4)), &payload)?;
//! let (mut producer, mut consumer) = (ring.producer()?, ring.consumer()?);
//! std::thread::spawn(move || producer.push(&7_u64.to_ne_bytes()));
//! let mut item = [0; 8];
//! while consumer.pop(&mut item) == Err(PopError::Empty) {
//!     let mut descriptors = [PollFd::new(consumer.arm()?, PollFlags::POLLIN)];
//!     poll(&mut descriptors, PollTimeout::NONE)?;
//! }
//! assert_eq!(item, 7_u64.to_ne_bytes());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # One algorithm
//!
//! The ends are those of [`ring`], [`seqlock`](crate::seqlock) and [`latch`](crate::latch), over a
//! payload of [`Nothing`]. Such a ring's end reserves and commits, peeks at and releases
//! *positions*; their bytes are accessed here, in between, when the ring's invariant says that
//! they are this side's. All ends of a ring agree on where they are, typed or not: at
//! `data_offset + (position & (slots − 1)) · payload_size`. A seqlock or latch copies words as
//! ever; only their number is no constant.

use std::fmt;
use std::ops::Deref;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::ptr;
use std::sync::Arc;

use crate::error::SegmentError;
use crate::inspect::debug_ring;
use crate::layout::{Expected, HEADER_LEN, Kind, Layout};
use crate::memory::{Memory, Native, Slot};
use crate::read::WaitingReader;
use crate::read::{Busy, ReadError};
use crate::ring::{self, Corruption, OutOfChunk, PopError, PushError, within};
use crate::role::Role;
use crate::segment::{ANONYMOUS, Segment};
use crate::shape::Description;
use crate::shared::{
    DESCRIPTOR, Held, RingOptions, SeqLatchOptions, SeqLockOptions, lasting, latch_parts, no_room,
    ring_parts, seq_parts,
};
use crate::site::{SlotReadSite, SlotWriteSite};
use crate::wait::{Wait, WaitError, Waiting, waits};
use crate::waiter::{self, Proxy};
use crate::{LatchReader, LatchWriter, SeqReader, SeqWriter};

/// The payload of the typed ends beneath: it has no bytes.
pub type Nothing = [u8; 0];

/// What the payload of a [`Structure`] is.
#[derive(Clone, Debug)]
pub struct Payload {
    description: Description,
    align: u64,
}

/// Why something described cannot be a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PayloadError {
    /// Bytes that are no field's.
    #[error(
        "bytes {from} to {to} belong to no field: padding would carry memory of this process to \
         another one; give them a name"
    )]
    Padding {
        /// The first.
        from: u64,
        /// The one after the last.
        to: u64,
    },
    /// An alignment that no payload of this size has.
    #[error(
        "an alignment of {align} bytes; it must be a power of two up to {HEADER_LEN} of which \
         the size, {size}, is a multiple"
    )]
    Align {
        /// The alignment.
        align: u64,
        /// The bytes of the payload.
        size: u64,
    },
}

impl Payload {
    /// A payload of these fields, aligned to `align` bytes where it is made; a reader in another
    /// language may see it aligned otherwise.
    ///
    /// # Errors
    /// [`PayloadError`] where the fields leave bytes between them, as no
    /// [`Payload`](crate::Payload) does, or the alignment cannot be.
    pub fn new(description: Description, align: u64) -> Result<Payload, PayloadError> {
        let size = description.size();
        if !align.is_power_of_two() || align > HEADER_LEN || !size.is_multiple_of(align) {
            return Err(PayloadError::Align { align, size });
        }
        let mut end = 0;
        for field in description.fields() {
            if field.offset != end {
                let (from, to) = (end, field.offset);
                return Err(PayloadError::Padding { from, to });
            }
            // A description has seen to it that every field ends somewhere.
            end = field.end().unwrap_or(size);
        }
        if end != size {
            let (from, to) = (end, size);
            return Err(PayloadError::Padding { from, to });
        }
        Ok(Payload { description, align })
    }

    /// Its fields.
    pub fn description(&self) -> &Description {
        &self.description
    }

    /// What a segment of such payloads is.
    fn expected(&self, segment: &str, kind: Kind) -> Result<Expected, SegmentError> {
        let size = self.description.size();
        if kind != Kind::Ring && !size.is_multiple_of(8) {
            let problem = format!(
                "a payload of {size} bytes; that of a seqlock or latch must fill a whole \
                 number of 64-bit words"
            );
            return Err(SegmentError::size(segment, problem));
        }
        Ok(Expected::described(
            kind,
            self.align,
            self.description.clone(),
        ))
    }
}

/// What kind of structure to make, and how.
#[derive(Clone, Copy, Debug)]
pub enum Form<'a> {
    /// A ring.
    Ring(RingOptions),
    /// A seqlock that holds this value, the bytes of one payload; zeros if there are none.
    SeqLock(SeqLockOptions, &'a [u8]),
    /// A latch that holds this value, the bytes of one payload; zeros if there are none.
    Latch(SeqLatchOptions, &'a [u8]),
}

impl Form<'_> {
    /// The kind.
    pub fn kind(&self) -> Kind {
        match self {
            Form::Ring(_) => Kind::Ring,
            Form::SeqLock(..) => Kind::SeqLock,
            Form::Latch(..) => Kind::Latch,
        }
    }

    fn lay_out(&self, segment: &str, payload: &Payload) -> Result<Layout, SegmentError> {
        let expected = payload.expected(segment, self.kind())?;
        let (initial, size) = (self.data().len() as u64, expected.size());
        if initial != 0 && initial != size {
            let problem = format!("a first value of {initial} bytes for a payload of {size}");
            return Err(SegmentError::size(segment, problem));
        }
        match self {
            Form::Ring(options) => options.lay_out(segment, &expected),
            Form::SeqLock(options, _) => options.lay_out(segment, &expected),
            Form::Latch(options, _) => options.lay_out(segment, &expected),
        }
    }

    /// What its first slots hold.
    fn data(&self) -> &[u8] {
        match self {
            Form::Ring(_) => &[],
            Form::SeqLock(_, initial) | Form::Latch(_, initial) => initial,
        }
    }

    fn mode(&self) -> u32 {
        match self {
            Form::Ring(options) => options.mode,
            Form::SeqLock(options, _) => options.mode,
            Form::Latch(options, _) => options.mode,
        }
    }
}

/// A ring, seqlock or latch in shared memory, attached to this process. What can be asked of any
/// segment, its [`segment`](Structure::segment) answers. It and its ends are [`Send`] and [`Sync`].
///
/// Neither it nor its ends go over a `fork` (nor `daemon`): attach in the child; see
/// [`fork`](crate::fork).
pub struct Structure {
    segment: Arc<Segment>,
    kind: Kind,
    /// The bytes of a payload.
    size: usize,
}

impl Structure {
    fn new(segment: Arc<Segment>, kind: Kind, payload: &Payload) -> Structure {
        Structure {
            segment,
            kind,
            // What is mapped has room for one.
            size: payload.description.size() as usize,
        }
    }

    /// Makes the structure `name`. Not for a child that is forked later: see [`fork`](crate::fork).
    ///
    /// # Errors
    /// [`SegmentError::Exists`] if there is one, [`SegmentError::NoSpace`] if there is no room,
    /// [`SegmentError::Size`] if the payload or its first value is none for this kind, or another
    /// [`SegmentError`].
    pub fn create(name: &str, form: &Form, payload: &Payload) -> Result<Self, SegmentError> {
        let layout = form.lay_out(name, payload)?;
        let segment = Segment::create(name, &layout, form.data(), form.mode())?;
        Ok(Self::new(segment, form.kind(), payload))
    }

    /// Attaches to the structure `name`. Not for a child that is forked later: see
    /// [`fork`](crate::fork).
    ///
    /// # Errors
    /// [`SegmentError::NotFound`] if there is none, [`SegmentError::Mismatch`] if it is of another
    /// kind, [`SegmentError::Payload`] if its payload is another, or another [`SegmentError`].
    pub fn attach(name: &str, kind: Kind, payload: &Payload) -> Result<Self, SegmentError> {
        let segment = Segment::attach(name, &payload.expected(name, kind)?)?;
        Ok(Self::new(segment, kind, payload))
    }

    /// Attaches to the structure `name`, or makes it as `form` says.
    ///
    /// If there is one, only its kind and its payload are checked; the options and the first value in `form`
    /// are ignored, and it keeps its own. Not for a child that is forked later: see [`fork`](crate::fork).
    ///
    /// # Errors
    /// As [`attach`](Self::attach) and [`create`](Self::create).
    pub fn open_or_create(
        name: &str,
        form: &Form,
        payload: &Payload,
    ) -> Result<Self, SegmentError> {
        let kind = form.kind();
        let segment = Segment::open_or_create(name, &payload.expected(name, kind)?, || {
            Self::create(name, form, payload).map(|made| made.segment)
        })?;
        Ok(Self::new(segment, kind, payload))
    }

    /// Makes a structure without a name. Another process attaches by its descriptor. Not for a
    /// child that is forked later: see [`fork`](crate::fork).
    ///
    /// # Errors
    /// As [`create`](Self::create).
    pub fn anonymous(form: &Form, payload: &Payload) -> Result<Self, SegmentError> {
        let layout = form.lay_out(ANONYMOUS, payload)?;
        let segment = Segment::anonymous(&layout, form.data())?;
        Ok(Self::new(segment, form.kind(), payload))
    }

    /// Attaches to a structure without a name. Not for a child that is forked later: see
    /// [`fork`](crate::fork).
    ///
    /// # Errors
    /// As [`Ring::attach_fd`](crate::Ring::attach_fd).
    pub fn attach_fd(fd: OwnedFd, kind: Kind, payload: &Payload) -> Result<Self, SegmentError> {
        let segment = Segment::attach_fd(fd, &payload.expected(DESCRIPTOR, kind)?)?;
        Ok(Self::new(segment, kind, payload))
    }

    /// The bytes of a payload.
    pub fn size(&self) -> usize {
        self.size
    }

    /// The segment that this is in: its name, who is at its ends, its notes, its removal.
    pub fn segment(&self) -> &Segment {
        &self.segment
    }

    /// Takes the producer's role, where its last holder left the ring. A forked child that uses this
    /// end dies of it: see [`fork`](crate::fork).
    ///
    /// # Errors
    /// As [`Segment::claim`], also if this is no ring.
    pub fn producer(&self) -> Result<Producer, SegmentError> {
        let held = self.claim(Role::Producer)?;
        // SAFETY: the producer keeps the segment.
        let segment = unsafe { lasting(&self.segment) };
        // SAFETY: the claim, which the producer keeps, makes it the only one, and the kernel
        // freed the last holder's lock after all that it did. The parts go to no one else.
        let end = unsafe { ring::Producer::new(ring_parts(segment)?, Native, held) };
        let items = Items::of(segment, self.size)?;
        let proxy = None;
        self.segment.unless_lost(Producer { end, items, proxy })
    }

    /// Takes the consumer's role, where its last holder left the ring. A forked child that uses this
    /// end dies of it: see [`fork`](crate::fork).
    ///
    /// # Errors
    /// As [`Segment::claim`], also if this is no ring.
    pub fn consumer(&self) -> Result<Consumer, SegmentError> {
        let held = self.claim(Role::Consumer)?;
        // SAFETY: the consumer keeps the segment.
        let segment = unsafe { lasting(&self.segment) };
        // SAFETY: as for the producer.
        let end = unsafe { ring::Consumer::new(ring_parts(segment)?, Native, held) };
        let items = Items::of(segment, self.size)?;
        let proxy = None;
        self.segment.unless_lost(Consumer { end, items, proxy })
    }

    /// Takes the writer's role. A forked child that uses this end dies of it: see
    /// [`fork`](crate::fork).
    ///
    /// # Errors
    /// As [`Segment::claim`], also if this is neither a seqlock nor a latch.
    pub fn writer(&self) -> Result<Writer, SegmentError> {
        let held = self.claim(Role::Writer)?;
        // SAFETY: the writer keeps the segment.
        let segment = unsafe { lasting(&self.segment) };
        // A ring has no writer to claim.
        let end = match self.kind {
            Kind::Latch => {
                let parts = latch_parts(segment)?;
                LatchWriter::of_words(self.size / 8, parts, Native, held).map(Of::Latch)
            }
            _ => {
                let parts = seq_parts(segment)?;
                SeqWriter::of_words(self.size / 8, parts, Native, held).map(Of::SeqLock)
            }
        };
        let end = end.ok_or_else(|| no_room(&self.segment))?;
        let size = self.size;
        self.segment.unless_lost(Writer { end, size })
    }

    /// A reader. A forked child that uses this end dies of it: see [`fork`](crate::fork).
    ///
    /// # Errors
    /// [`SegmentError::Mismatch`] if this is a ring; [`SegmentError::Forked`] if the parent of this
    /// process attached it.
    pub fn reader(&self) -> Result<Reader, SegmentError> {
        // SAFETY: the reader keeps the segment.
        let segment = unsafe { lasting(&self.segment) };
        let keep = Arc::clone(&self.segment);
        let end = match self.kind {
            Kind::Ring => {
                let (label, found) = (self.segment.label(), self.kind.name());
                let expected = "one that has readers";
                return Err(SegmentError::mismatch(label, "kind", found, expected));
            }
            Kind::SeqLock => {
                let parts = seq_parts(segment)?;
                SeqReader::of_words(self.size / 8, parts, Native, keep).map(Of::SeqLock)
            }
            Kind::Latch => {
                let parts = latch_parts(segment)?;
                LatchReader::of_words(self.size / 8, parts, Native, keep).map(Of::Latch)
            }
        };
        let end = end.ok_or_else(|| no_room(&self.segment))?;
        let (size, proxy) = (self.size, None);
        Ok(Reader { end, size, proxy })
    }

    fn claim(&self, role: Role) -> Result<Held, SegmentError> {
        Held::new(&self.segment, self.segment.claim(role)?, role)
    }
}

impl fmt::Debug for Structure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut output = f.debug_struct("Structure");
        output.field("kind", &self.kind).field("size", &self.size);
        if self.kind == Kind::Ring {
            debug_ring(&self.segment, &mut output);
        }
        output.field("segment", &self.segment).finish()
    }
}

/// The slots of a ring, as bytes.
#[derive(Clone, Copy)]
struct Items<'a> {
    // Invariant: there are `slots · size` of them.
    bytes: &'a [Slot<u8>],
    /// A power of two: the header was checked.
    slots: u64,
    /// The bytes of one.
    size: usize,
}

impl<'a> Items<'a> {
    /// The slots of a ring whose items have so many bytes.
    fn of(segment: &'a Segment, size: usize) -> Result<Self, SegmentError> {
        let fixed = segment.fixed();
        // SAFETY: a byte holds any bit pattern, and is accessed through `Memory` alone.
        let bytes = unsafe { segment.data::<Slot<u8>>(fixed.slots * fixed.payload_size) };
        Ok(Items {
            bytes: bytes.ok_or_else(|| no_room(segment))?,
            slots: fixed.slots,
            size,
        })
    }

    /// The bytes of the `count` positions from `start`, at most as many as there are slots, before
    /// and after the end of memory.
    fn runs(&self, start: u64, count: usize) -> [&'a [Slot<u8>]; 2] {
        let number = (start & (self.slots - 1)) as usize;
        let first = count.min(self.slots as usize - number);
        let run = |from: usize, count: usize| &self.bytes[from * self.size..][..count * self.size];
        [run(number, first), run(0, count - first)]
    }

    /// How many items `bytes` are.
    fn count(&self, bytes: &[u8]) -> usize {
        assert!(
            bytes.len().is_multiple_of(self.size),
            "{} bytes are no whole number of items of {}",
            bytes.len(),
            self.size
        );
        bytes.len() / self.size
    }

    /// Writes `from`, whole items, to the positions from `start`.
    ///
    /// # Safety
    /// They are reserved, so that only this side accesses them.
    unsafe fn fill(&self, start: u64, from: &[u8]) {
        let [first, second] = self.runs(start, from.len() / self.size);
        // SAFETY: the caller's promise; the runs are the bytes of these positions, and no more.
        unsafe {
            Native.write_slots(first, from, SlotWriteSite::RingFill);
            Native.write_slots(second, &from[first.len()..], SlotWriteSite::RingFill);
        }
    }

    /// Reads the items at the positions from `start` into `to`, as many as it holds.
    ///
    /// # Safety
    /// They are committed and not released, so that the producer does not touch them.
    unsafe fn take(&self, start: u64, to: &mut [u8]) {
        let [first, second] = self.runs(start, to.len() / self.size);
        // SAFETY: as in `fill`.
        unsafe {
            Native.read_slots(first, to, SlotReadSite::RingTake);
            Native.read_slots(second, &mut to[first.len()..], SlotReadSite::RingTake);
        }
    }

    /// The bytes of the `count` positions from `start`, as pointers.
    fn pointers(&self, start: u64, count: usize) -> [*mut [u8]; 2] {
        self.runs(start, count).map(|run| {
            // A slot is a cell of one byte, which may be written through a shared reference.
            ptr::slice_from_raw_parts_mut(run.as_ptr().cast::<u8>().cast_mut(), run.len())
        })
    }
}

/// The sending end of a ring. What can be asked of any producer it answers as that: its
/// [`position`](ring::Producer::position), its [`occupancy`](ring::Producer::occupancy) and so on.
/// [`Send`] and [`Sync`], as its chunks are.
pub struct Producer {
    end: crate::Producer<Nothing>,
    items: Items<'static>,
    /// From the first call of `arm` on.
    proxy: Option<Proxy>,
}

impl Producer {
    /// Appends an item, visible to the consumer when the call returns.
    ///
    /// # Errors
    /// [`PushError`]; the ring is as it was.
    ///
    /// # Panics
    /// If `item` is not exactly one.
    pub fn push(&mut self, item: &[u8]) -> Result<(), PushError> {
        assert_eq!(item.len(), self.items.size, "the bytes of an item");
        self.push_slice(item).map(drop)
    }

    /// Appends as many items from the front of `items` as fit, in one commit, and says how many.
    /// Zero only if `items` is empty.
    ///
    /// # Errors
    /// [`PushError`] if not even one fits; the ring is as it was.
    ///
    /// # Panics
    /// If `items` is no whole number of them.
    pub fn push_slice(&mut self, items: &[u8]) -> Result<usize, PushError> {
        let size = self.items.size;
        let mut chunk = self.reserve(self.items.count(items))?;
        let count = chunk.len();
        chunk.fill(0, &items[..count * size]);
        chunk.commit_all();
        Ok(count)
    }

    /// Reserves up to `count` free slots, to be written in place and committed together: as many
    /// as there are, at least one unless `count` is zero. Dropping the chunk uncommitted leaves
    /// the ring as it was.
    ///
    /// # Errors
    /// [`PushError`] if not even one slot is free.
    pub fn reserve(&mut self, count: usize) -> Result<WriteChunk<'_>, PushError> {
        let (chunk, items) = (self.end.reserve(count)?, self.items);
        Ok(WriteChunk { chunk, items })
    }

    /// Reserves exactly `count` free slots, or none, as [`ring::Producer::reserve_exact`] does.
    ///
    /// # Errors
    /// As those of that.
    pub fn reserve_exact(&mut self, count: usize) -> Result<WriteChunk<'_>, PushError> {
        let (chunk, items) = (self.end.reserve_exact(count)?, self.items);
        Ok(WriteChunk { chunk, items })
    }

    /// Whether the consumer closed the ring, as [`ring::Producer::is_peer_closed`] says.
    ///
    /// # Errors
    /// [`Corruption`] if what the consumer stored breaks the ring's invariant.
    pub fn is_peer_closed(&mut self) -> Result<bool, Corruption> {
        self.end.is_peer_closed()
    }
}

impl<'e> Waiting<'e, Producer> {
    /// [`Producer::push`], when there is room.
    ///
    /// # Errors
    /// [`WaitError`]; the ring is as it was.
    ///
    /// # Panics
    /// As that.
    pub fn push(self, item: &[u8]) -> Result<(), WaitError<PushError>> {
        Ok(self.free_slots(1)?.push(item)?)
    }

    /// [`Producer::push_slice`], when there is room for one: as many as fit then.
    ///
    /// # Errors
    /// [`WaitError`]; the ring is as it was.
    ///
    /// # Panics
    /// As that.
    pub fn push_slice(self, items: &[u8]) -> Result<usize, WaitError<PushError>> {
        let least = self.end.items.count(items).min(1);
        Ok(self.free_slots(least)?.push_slice(items)?)
    }

    /// [`Producer::reserve`], when there is room for one: as many as are free then.
    ///
    /// # Errors
    /// [`WaitError`].
    pub fn reserve(self, count: usize) -> Result<WriteChunk<'e>, WaitError<PushError>> {
        Ok(self.free_slots(count.min(1))?.reserve(count)?)
    }

    /// [`Producer::reserve_exact`], when there is room for all of it.
    ///
    /// # Errors
    /// [`WaitError`]: [`PushError::TooMany`] at once, if there never will be.
    pub fn reserve_exact(self, count: usize) -> Result<WriteChunk<'e>, WaitError<PushError>> {
        Ok(self.free_slots(count)?.reserve_exact(count)?)
    }

    /// Waits until so many slots are free, and gives the producer back.
    ///
    /// # Errors
    /// [`WaitError`]: [`PushError::TooMany`] at once, if there never will be.
    pub fn free_slots(self, count: usize) -> Result<&'e mut Producer, WaitError<PushError>> {
        let (end, limit) = (&mut self.end.end, self.limit);
        Waiting { end, limit }.free_slots(count)?;
        Ok(self.end)
    }

    /// Waits until the consumer has released every item, as that of a [`ring::Producer`] does.
    ///
    /// # Errors
    /// [`WaitError`]: [`PushError::PeerClosed`] if the consumer closed the ring and left some.
    pub fn drained(self) -> Result<(), WaitError<PushError>> {
        let (end, limit) = (&mut self.end.end, self.limit);
        Waiting { end, limit }.drained()
    }
}

/// Slots reserved by the producer, to be written in place. Index 0 is the oldest.
///
/// It borrows its producer, so that it cannot outlive what it is of: with the line that closes the ring
/// this compiles only after the commit.
///
/// ```compile_fail
/// # use ringproof::untyped::Structure;
/// # fn send(ring: &Structure) -> Result<(), Box<dyn std::error::Error>> {
/// let mut producer = ring.producer()?;
/// let chunk = producer.reserve(2)?;
/// producer.close();
/// chunk.commit_all();
/// # Ok(())
/// # }
/// ```
pub struct WriteChunk<'p> {
    chunk: crate::WriteChunk<'p, Nothing>,
    items: Items<'p>,
}

impl WriteChunk<'_> {
    /// How many slots were reserved.
    pub fn len(&self) -> usize {
        self.chunk.len()
    }

    /// Whether none were.
    pub fn is_empty(&self) -> bool {
        self.chunk.is_empty()
    }

    /// The sequence number that the first item will have.
    pub fn position(&self) -> u64 {
        self.chunk.position()
    }

    /// Writes `items` to the slots from index `start`.
    ///
    /// # Errors
    /// [`OutOfChunk`] if they do not all fit; then none is written.
    ///
    /// # Panics
    /// If `items` is no whole number of them.
    pub fn copy_from_slice(&mut self, start: usize, items: &[u8]) -> Result<(), OutOfChunk> {
        within(start.saturating_add(self.items.count(items)), self.len())?;
        self.fill(start, items);
        Ok(())
    }

    /// The slots in place, before and after the end of memory. What they point to is this
    /// producer's until it commits, longer than the chunk lives, and holds what was written, or old
    /// items. A process that breaks the protocol may access it all the same: that is why these are
    /// pointers.
    pub fn as_mut_ptrs(&mut self) -> [*mut [u8]; 2] {
        self.items.pointers(self.position(), self.len())
    }

    /// Makes the first `count` items visible to the consumer, all at once, and gives the rest of
    /// the chunk back.
    ///
    /// # Errors
    /// [`OutOfChunk`] if the chunk has fewer; then none is committed.
    pub fn commit(self, count: usize) -> Result<(), OutOfChunk> {
        self.chunk.commit(count)
    }

    /// Commits the whole chunk.
    pub fn commit_all(self) {
        self.chunk.commit_all();
    }

    /// Writes items that the caller has found to fit.
    fn fill(&mut self, start: usize, items: &[u8]) {
        let position = self.position().wrapping_add(start as u64);
        // SAFETY: the positions lie within the chunk, so they are reserved.
        unsafe { self.items.fill(position, items) };
    }
}

/// The receiving end of a ring. What can be asked of any consumer it answers as that, as
/// [`Producer`] does. [`Send`] and [`Sync`], as its chunks are.
pub struct Consumer {
    end: crate::Consumer<Nothing>,
    items: Items<'static>,
    /// From the first call of `arm` on.
    proxy: Option<Proxy>,
}

impl Consumer {
    /// Takes the oldest item. It is released when the call returns: a consumer that must not lose
    /// it to its own crash uses [`peek`](Self::peek).
    ///
    /// # Errors
    /// [`PopError`]; `item` and the ring are as they were.
    ///
    /// # Panics
    /// If `item` has not room for exactly one.
    pub fn pop(&mut self, item: &mut [u8]) -> Result<(), PopError> {
        assert_eq!(item.len(), self.items.size, "the bytes of an item");
        self.pop_slice(item).map(drop)
    }

    /// Takes as many of the oldest items as there are and `items` has room for, in one release,
    /// and says how many. Zero only if `items` is empty.
    ///
    /// # Errors
    /// [`PopError`] if there is not even one; `items` and the ring are as they were.
    ///
    /// # Panics
    /// If `items` has room for no whole number of them.
    pub fn pop_slice(&mut self, items: &mut [u8]) -> Result<usize, PopError> {
        let size = self.items.size;
        let chunk = self.peek(self.items.count(items))?;
        let count = chunk.len();
        chunk.take(0, &mut items[..count * size]);
        chunk.release_all();
        Ok(count)
    }

    /// Looks at up to `count` of the oldest items in place: as many as there are, at least one
    /// unless `count` is zero. Dropping the chunk unreleased leaves the ring as it was.
    ///
    /// # Errors
    /// [`PopError`] if there is not even one.
    pub fn peek(&mut self, count: usize) -> Result<ReadChunk<'_>, PopError> {
        let (chunk, items) = (self.end.peek(count)?, self.items);
        Ok(ReadChunk { chunk, items })
    }

    /// Looks at exactly `count` of the oldest items, or at none, as [`ring::Consumer::peek_exact`]
    /// does.
    ///
    /// # Errors
    /// As those of that.
    pub fn peek_exact(&mut self, count: usize) -> Result<ReadChunk<'_>, PopError> {
        let (chunk, items) = (self.end.peek_exact(count)?, self.items);
        Ok(ReadChunk { chunk, items })
    }
}

impl<'e> Waiting<'e, Consumer> {
    /// [`Consumer::pop`], when there is an item.
    ///
    /// # Errors
    /// [`WaitError`]; `item` and the ring are as they were.
    ///
    /// # Panics
    /// As that.
    pub fn pop(self, item: &mut [u8]) -> Result<(), WaitError<PopError>> {
        Ok(self.items(1)?.pop(item)?)
    }

    /// [`Consumer::pop_slice`], when there is an item: as many as there are then.
    ///
    /// # Errors
    /// [`WaitError`]; `items` and the ring are as they were.
    ///
    /// # Panics
    /// As that.
    pub fn pop_slice(self, items: &mut [u8]) -> Result<usize, WaitError<PopError>> {
        let least = self.end.items.count(items).min(1);
        Ok(self.items(least)?.pop_slice(items)?)
    }

    /// [`Consumer::peek`], when there is an item: as many as there are then.
    ///
    /// # Errors
    /// [`WaitError`].
    pub fn peek(self, count: usize) -> Result<ReadChunk<'e>, WaitError<PopError>> {
        Ok(self.items(count.min(1))?.peek(count)?)
    }

    /// [`Consumer::peek_exact`], when there are all of them.
    ///
    /// # Errors
    /// [`WaitError`]: [`PopError::TooMany`] at once, if there never will be.
    pub fn peek_exact(self, count: usize) -> Result<ReadChunk<'e>, WaitError<PopError>> {
        Ok(self.items(count)?.peek_exact(count)?)
    }

    /// Waits until so many items are there, and gives the consumer back.
    ///
    /// # Errors
    /// [`WaitError`]: [`PopError::TooMany`] at once, if there never will be.
    pub fn items(self, count: usize) -> Result<&'e mut Consumer, WaitError<PopError>> {
        let (end, limit) = (&mut self.end.end, self.limit);
        Waiting { end, limit }.items(count)?;
        Ok(self.end)
    }
}

/// Committed items, looked at in place by the consumer. Index 0 is the oldest.
pub struct ReadChunk<'c> {
    chunk: crate::ReadChunk<'c, Nothing>,
    items: Items<'c>,
}

impl ReadChunk<'_> {
    /// How many items there are.
    pub fn len(&self) -> usize {
        self.chunk.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.chunk.is_empty()
    }

    /// The sequence number of the first item.
    pub fn position(&self) -> u64 {
        self.chunk.position()
    }

    /// Copies the items from index `start` to `items`, as many as it has room for.
    ///
    /// # Errors
    /// [`OutOfChunk`] if there are not as many; then none is copied.
    ///
    /// # Panics
    /// If `items` has room for no whole number of them.
    pub fn copy_to_slice(&self, start: usize, items: &mut [u8]) -> Result<(), OutOfChunk> {
        within(start.saturating_add(self.items.count(items)), self.len())?;
        self.take(start, items);
        Ok(())
    }

    /// The items in place, before and after the end of memory. By protocol nobody writes what they
    /// point to until this consumer releases it, also when the chunk is gone. A process that breaks
    /// the protocol may all the same: that is why these are pointers.
    pub fn as_ptrs(&self) -> [*const [u8]; 2] {
        let pointers = self.items.pointers(self.position(), self.len());
        pointers.map(<*mut [u8]>::cast_const)
    }

    /// Gives the slots of the first `count` items back to the producer; the rest stays.
    ///
    /// # Errors
    /// [`OutOfChunk`] if the chunk has fewer; then none is released.
    pub fn release(self, count: usize) -> Result<(), OutOfChunk> {
        self.chunk.release(count)
    }

    /// Releases the whole chunk.
    pub fn release_all(self) {
        self.chunk.release_all();
    }

    /// Copies out items that the caller has found to be within the chunk.
    fn take(&self, start: usize, items: &mut [u8]) {
        let position = self.position().wrapping_add(start as u64);
        // SAFETY: the positions lie within the chunk, so they are committed and not released.
        unsafe { self.items.take(position, items) };
    }
}

/// An end of a seqlock or of a latch.
#[derive(Debug)]
enum Of<S, L> {
    SeqLock(S),
    Latch(L),
}

/// What both of them have a method for, and no trait.
macro_rules! either {
    ($of:expr, $end:ident => $answer:expr) => {
        match $of {
            Of::SeqLock($end) => $answer,
            Of::Latch($end) => $answer,
        }
    };
}

/// The writing end of a seqlock or latch. [`Send`] and [`Sync`].
#[derive(Debug)]
pub struct Writer {
    end: Of<SeqWriter<Nothing>, LatchWriter<Nothing>>,
    size: usize,
}

impl Writer {
    /// Replaces the value. Never waits for readers.
    ///
    /// # Panics
    /// If `value` is not exactly one.
    pub fn write(&mut self, value: &[u8]) {
        assert_eq!(value.len(), self.size, "the bytes of a value");
        let (words, _) = value.as_chunks();
        either!(&mut self.end, end => end.write_words(words))
    }

    /// How many values were written since the structure was made, by this writer and those before
    /// it (one that died inside a write to a seqlock counts it too).
    pub fn version(&self) -> u64 {
        either!(&self.end, end => end.version())
    }

    /// Whether the last writer of a seqlock died inside a write, and nothing was written since.
    /// Never so of a latch.
    pub fn needs_repair(&self) -> bool {
        match &self.end {
            Of::SeqLock(end) => end.needs_repair(),
            Of::Latch(_) => false,
        }
    }

    /// How many times the writer's role was taken, this time included.
    pub fn epoch(&self) -> u64 {
        either!(&self.end, end => end.epoch())
    }

    /// The bytes of a value.
    pub fn size(&self) -> usize {
        self.size
    }

    /// The segment that this is an end of, which it keeps.
    pub fn segment(&self) -> &Segment {
        either!(&self.end, end => end.segment())
    }
}

/// A reading end of a seqlock or latch. [`Send`] and [`Sync`]: one may serve any number of threads.
#[derive(Debug)]
pub struct Reader {
    end: Of<SeqReader<Nothing>, LatchReader<Nothing>>,
    size: usize,
    /// From the first call of `arm` on.
    proxy: Option<Proxy>,
}

impl Reader {
    /// Reads the value in one attempt.
    ///
    /// # Errors
    /// [`Busy`] if a write came in between; `value` may then be a mixture.
    ///
    /// # Panics
    /// If `value` has not room for exactly one.
    pub fn try_read_into(&self, value: &mut [u8]) -> Result<(), Busy> {
        let words = self.words(value);
        either!(&self.end, end => end.try_read_words(words))
    }

    /// The version of the last value that was written, as
    /// [`SeqReader::version`](crate::seqlock::SeqReader::version) and
    /// [`LatchReader::version`](crate::latch::LatchReader::version) say.
    pub fn version(&self) -> u64 {
        either!(&self.end, end => end.version())
    }

    /// Whether the version is no longer `since`.
    pub fn has_changed(&self, since: u64) -> bool {
        self.version() != since
    }

    /// Reads the value in at most `attempts` attempts, at least one.
    ///
    /// # Errors
    /// As [`SeqReader::read`](crate::seqlock::SeqReader::read) and
    /// [`LatchReader::read`](crate::latch::LatchReader::read); `value` may then be a mixture.
    ///
    /// # Panics
    /// If `value` has not room for exactly one.
    pub fn read_into(&self, value: &mut [u8], attempts: u32) -> Result<(), ReadError> {
        let words = self.words(value);
        either!(&self.end, end => end.read_words(attempts, words))
    }

    /// The bytes of a value.
    pub fn size(&self) -> usize {
        self.size
    }

    /// The segment that this is an end of, which it keeps.
    pub fn segment(&self) -> &Segment {
        either!(&self.end, end => end.segment())
    }

    /// Says how this end [waits](crate::wait) from now on.
    pub fn set_wait(&mut self, how: Wait) {
        either!(&mut self.end, end => end.wait = how);
    }

    waits!(&Self, WaitingReader<'_, Self>, |end, limit| WaitingReader {
        end,
        limit
    });

    /// Leaves a wait to an event loop: the descriptor is readable when the [version](Self::version), which was `since`, may
    /// be another one. For the rest it is as [`Consumer::arm`]; it is the writer that may be gone.
    ///
    /// # Errors
    /// As those of that.
    pub fn arm(&mut self, since: u64) -> Result<BorrowedFd<'_>, WaitError<SegmentError>> {
        either!(&self.end, end => waiter::arm(&mut self.proxy, end, since))
    }

    fn words<'v>(&self, value: &'v mut [u8]) -> &'v mut [[u8; 8]] {
        assert_eq!(value.len(), self.size, "the bytes of a value");
        value.as_chunks_mut().0
    }
}

impl WaitingReader<'_, Reader> {
    /// Waits until the [version](Reader::version) is no longer `since`, and says what it is then.
    ///
    /// # Errors
    /// [`WaitError`], but no refusal; it is the writer that may be gone.
    pub fn newer(&self, since: u64) -> Result<u64, WaitError<ReadError>> {
        let limit = self.limit;
        either!(&self.end.end, end => WaitingReader { end, limit }.newer(since))
    }

    /// Waits as [`newer`](Self::newer) and then [reads](Reader::read_into) in at most `attempts` attempts.
    ///
    /// # Errors
    /// As [`newer`](Self::newer), and [`WaitError::Refused`] with a [`ReadError`].
    ///
    /// # Panics
    /// If `value` has not room for exactly one.
    pub fn read_newer_into(
        &self,
        value: &mut [u8],
        since: u64,
        attempts: u32,
    ) -> Result<u64, WaitError<ReadError>> {
        let version = self.newer(since)?;
        self.end.read_into(value, attempts)?;
        Ok(version)
    }
}

/// What both ends of a ring have.
macro_rules! ends {
    ($($end:ident),*) => {
        $(impl $end {
            /// The bytes of an item.
            pub fn size(&self) -> usize {
                self.items.size
            }

            /// Says how this end [waits](crate::wait) from now on.
            pub fn set_wait(&mut self, how: Wait) {
                self.end.wait = how;
            }

            waits!(&mut Self, Waiting<'_, Self>, |end, limit| Waiting { end, limit });

            /// Leaves a wait to an event loop, after an operation was refused for now, as by a full or an empty ring. The
            /// descriptor is unreadable from here until the end may go on: until the other side has stored something since the
            /// end looked last, has closed the ring or is gone.
            ///
            /// It is the same one each time, for polling only, and closed when the end is dropped. A thread of the end's own
            /// sleeps meanwhile, from the first call on; [`waiter`] says what can be relied on and what it costs.
            ///
            /// # Errors
            /// [`WaitError::PeerGone`] if nobody was at the other end any more when the last wait for the same ended; the
            /// descriptor stays readable then, and to arm it again waits for a successor. [`WaitError::Refused`] if there is
            /// no descriptor or no thread to be had, or the parent of this process has the end.
            pub fn arm(&mut self) -> Result<BorrowedFd<'_>, WaitError<SegmentError>> {
                waiter::arm(&mut self.proxy, &self.end, self.end.seen_index())
            }

            #[doc = concat!("Closes the ring, as [`ring::", stringify!($end), "::close`] does.")]
            pub fn close(&mut self) {
                self.end.close();
            }
        }

        impl Deref for $end {
            type Target = crate::$end<Nothing>;

            fn deref(&self) -> &Self::Target {
                &self.end
            }
        }

        impl fmt::Debug for $end {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.end.fmt(f)
            }
        })*
    };
}

ends!(Producer, Consumer);
