//! The structures of this crate in shared memory: [`Ring`], [`SeqLock`], [`SeqLatch`].

use std::fmt;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use crate::error::SegmentError;
use crate::inspect::debug_ring;
use crate::latch::{self, LatchParts};
use crate::layout::{Expected, Kind, Layout};
use crate::memory::{Native, Slot, Word};
use crate::payload::{Payload, WholeWords, words_of};
use crate::ring::{self, RingParts};
use crate::role::{Claim, Role};
use crate::segment::{ANONYMOUS, DEFAULT_MODE, Segment, open_or_create_as};
use crate::seqlock::{self, SeqParts, Watch};
use crate::slots::Slots;

/// Memory that a ring cycles through unless another number of slots is asked for, in bytes.
/// Streaming through less costs up to twice as much on some processors, because both sides then
/// keep meeting in the caches closest to them.
const DEFAULT_MEMORY: u64 = 256 * 1024;

/// How an error calls a segment of which only the descriptor is known, before it is looked at.
pub(crate) const DESCRIPTOR: &str = "(descriptor)";

/// How to make a [`Ring`].
#[derive(Clone, Copy, Debug)]
pub struct RingOptions {
    capacity: u64,
    slots: Option<u64>,
    pub(crate) mode: u32,
}

// No `Default`: a capacity that is too small for a burst loses time, and one that is too large hides a consumer
// that is too slow; only the program knows.
impl RingOptions {
    /// A ring in which up to `capacity` items are live at once. Any number from 1.
    pub fn new(capacity: u64) -> Self {
        RingOptions {
            capacity,
            slots: None,
            mode: DEFAULT_MODE,
        }
    }

    /// How many slots the ring cycles through: a power of two, at least the capacity. Unless
    /// this is called, as many as the capacity needs and at least 256 KiB of them.
    pub fn slots(mut self, slots: u64) -> Self {
        self.slots = Some(slots);
        self
    }

    /// The beginning of a new ring of what is `expected`.
    pub(crate) fn lay_out(
        &self,
        segment: &str,
        expected: &Expected,
    ) -> Result<Layout, SegmentError> {
        let slots = self.slots.unwrap_or_else(|| {
            let least = self.capacity.max(DEFAULT_MEMORY / expected.size()).max(1);
            // A capacity beyond the last power of two is refused below, as too large.
            least.checked_next_power_of_two().unwrap_or(1 << 63)
        });
        expected.lay_out(segment, slots, self.capacity)
    }
}

/// What all options have.
macro_rules! with_mode {
    ($($options:ident),*) => {
        $(impl $options {
            /// The permission bits of a named segment, one of [`MODES`](crate::segment::MODES); 0600
            /// unless this is called.
            pub fn mode(mut self, mode: u32) -> Self {
                self.mode = mode;
                self
            }
        })*
    };
}

with_mode!(RingOptions, SeqLockOptions, SeqLatchOptions);

/// The two ways to an end with a role, by a claim of its own and by one that is held already.
macro_rules! with_role {
    (
        $take:ident, $with:ident: Role::$role:ident => $end:ty, $from:literal;
        |$structure:ident, $held:ident| $make:expr
    ) => {
        #[doc = concat!("Takes the ", stringify!($take), "'s role", $from, ".")]
        /// A forked child that uses this end dies of it: see [`fork`](crate::fork).
        ///
        /// # Errors
        /// As [`Segment::claim`].
        pub fn $take(&self) -> Result<$end, SegmentError> {
            self.$with(self.segment.claim(Role::$role)?)
        }

        #[doc = concat!("The ", stringify!($take), " for a claim already held.")]
        ///
        /// # Errors
        /// [`SegmentError::Unclaimed`] if the claim is of another role or segment;
        /// [`SegmentError::Lost`] if the memory is gone; [`SegmentError::Forked`] if segment or claim
        /// are of the process that this one was forked from.
        pub fn $with(&self, claim: Claim) -> Result<$end, SegmentError> {
            let $structure = self;
            let $held = Held::new(&self.segment, claim, Role::$role)?;
            let end = $make;
            self.segment.unless_lost(end)
        }
    };
}

/// A ring in shared memory, attached to this process.
///
/// It is open to one [`producer`](Ring::producer) and one [`consumer`](Ring::consumer), in this
/// process or in others. What can be asked of any segment, its [`segment`](Ring::segment) answers. It is [`Send`] and
/// [`Sync`], and printed with how full it is and who closed it, for which it needs no role.
///
/// Its ends keep the segment themselves, and so do those of a [`SeqLock`] and a [`SeqLatch`]: the ring may
/// be dropped before them. The memory is unmapped, and the descriptor closed, with the last of all.
///
/// Neither it nor its ends go over a `fork` (nor `daemon`): attach in the child; see
/// [`fork`](crate::fork).
///
/// ```
/// use ringproof::{Ring, RingOptions};
///
/// let name = format!("example-{}", std::process::id());
/// let ring = Ring::<u64>::create(&name, &RingOptions::new(100))?;
/// let mut producer = ring.producer()?;
/// producer.push(7)?;
///
/// // In another process:
/// let ring = Ring::<u64>::attach(&name)?;
/// assert_eq!(ring.consumer()?.pop()?, 7);
///
/// ring.segment().unlink()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Ring<T: Payload> {
    segment: Arc<Segment>,
    payload: core::marker::PhantomData<fn(T) -> T>,
}

impl<T: Payload> Ring<T> {
    /// Makes the ring `name`. Not for a child that is forked later: see [`fork`](crate::fork).
    ///
    /// # Errors
    /// [`SegmentError::Exists`] if there is one, [`SegmentError::NoSpace`] if there is no room,
    /// or another [`SegmentError`].
    pub fn create(name: &str, options: &RingOptions) -> Result<Self, SegmentError> {
        let layout = options.lay_out(name, &Expected::of::<T>(name, Kind::Ring)?)?;
        Segment::create(name, &layout, &[], options.mode).map(Self::new)
    }

    /// Attaches to the ring `name`. Not for a child that is forked later: see
    /// [`fork`](crate::fork).
    ///
    /// # Errors
    /// [`SegmentError::NotFound`] if there is none, [`SegmentError::Mismatch`] if it is no ring
    /// of such items, or another [`SegmentError`].
    pub fn attach(name: &str) -> Result<Self, SegmentError> {
        Segment::attach(name, &Expected::of::<T>(name, Kind::Ring)?).map(Self::new)
    }

    /// Attaches to the ring `name`, or makes it as `options` say.
    ///
    /// If there is one, `options` are ignored: it keeps its [`capacity`](Self::capacity), its slots and its
    /// mode, whatever they are, and options that nothing could be made with are no error. Only its items are
    /// checked, as by [`attach`](Self::attach). Not for a child that is forked later: see
    /// [`fork`](crate::fork).
    ///
    /// # Errors
    /// As [`attach`](Self::attach) and [`create`](Self::create).
    pub fn open_or_create(name: &str, options: &RingOptions) -> Result<Self, SegmentError> {
        Segment::open_or_create(name, &Expected::of::<T>(name, Kind::Ring)?, || {
            Self::create(name, options).map(|ring| ring.segment)
        })
        .map(Self::new)
    }

    /// [Attaches to the ring `name`, or makes it](Self::open_or_create), and takes `role`, also while
    /// others unlink it: the claim is of a ring that had its name when the role was taken.
    ///
    /// # Errors
    /// As [`open_or_create`](Self::open_or_create) and [`Segment::claim`].
    pub fn open_or_create_as(
        name: &str,
        role: Role,
        options: &RingOptions,
    ) -> Result<(Self, Claim), SegmentError> {
        open_or_create_as(name, role, || {
            Ok(Self::open_or_create(name, options)?.segment)
        })
        .map(|(segment, claim)| (Self::new(segment), claim))
    }

    /// Makes a ring without a name. Another process attaches by its
    /// [descriptor](Segment::descriptor). Not for a child that is forked later: see
    /// [`fork`](crate::fork).
    ///
    /// # Errors
    /// [`SegmentError`].
    pub fn anonymous(options: &RingOptions) -> Result<Self, SegmentError> {
        let layout = options.lay_out(ANONYMOUS, &Expected::of::<T>(ANONYMOUS, Kind::Ring)?)?;
        Segment::anonymous(&layout, &[]).map(Self::new)
    }

    /// Attaches to a ring without a name. Not for a child that is forked later: see
    /// [`fork`](crate::fork).
    ///
    /// # Errors
    /// [`SegmentError::Mismatch`] if the descriptor is of anything else than a sealed memory
    /// file with a ring of such items, or another [`SegmentError`].
    pub fn attach_fd(fd: OwnedFd) -> Result<Self, SegmentError> {
        Segment::attach_fd(fd, &Expected::of::<T>(DESCRIPTOR, Kind::Ring)?).map(Self::new)
    }

    /// How many items may be live at once. (It needs no role to ask.)
    pub fn capacity(&self) -> u64 {
        self.segment.fixed().capacity
    }

    with_role! {
        producer, producer_with: Role::Producer => Producer<T>, ", where its last holder left the ring";
        // SAFETY: the claim, which the producer keeps, makes it the only one, and the kernel
        // freed the last holder's lock after all that it did. The parts go to no one else, and it
        // keeps the segment that they lie in.
        |ring, held| unsafe { Producer::new(ring_parts(lasting(&ring.segment))?, Native, held) }
    }

    with_role! {
        consumer, consumer_with: Role::Consumer => Consumer<T>, ", where its last holder left the ring";
        // SAFETY: as for the producer.
        |ring, held| unsafe { Consumer::new(ring_parts(lasting(&ring.segment))?, Native, held) }
    }
}

/// How to make a [`SeqLock`].
#[derive(Clone, Copy, Debug)]
pub struct SeqLockOptions {
    pub(crate) mode: u32,
}

impl Default for SeqLockOptions {
    fn default() -> Self {
        SeqLockOptions { mode: DEFAULT_MODE }
    }
}

impl SeqLockOptions {
    /// As usual, which is what [`Default`] gives.
    pub fn new() -> Self {
        Self::default()
    }

    /// The beginning of a new seqlock of what is `expected`.
    pub(crate) fn lay_out(
        &self,
        segment: &str,
        expected: &Expected,
    ) -> Result<Layout, SegmentError> {
        expected.lay_out(segment, 1, 1)
    }
}

/// A seqlock in shared memory, attached to this process: the latest value, for one
/// [`writer`](SeqLock::writer) and any number of [`reader`](SeqLock::reader)s.
///
/// A reader gets no value while a write is in progress, nor after a writer died inside one
/// until the next writes; where that matters, use a [`SeqLatch`]. It is [`Send`] and [`Sync`].
///
/// Neither it nor its ends go over a `fork` (nor `daemon`): attach in the child; see
/// [`fork`](crate::fork).
pub struct SeqLock<T: Payload> {
    segment: Arc<Segment>,
    payload: core::marker::PhantomData<fn(T) -> T>,
}

/// How to make a [`SeqLatch`].
#[derive(Clone, Copy, Debug)]
pub struct SeqLatchOptions {
    slots: u64,
    pub(crate) mode: u32,
}

impl Default for SeqLatchOptions {
    fn default() -> Self {
        SeqLatchOptions {
            slots: 4,
            mode: DEFAULT_MODE,
        }
    }
}

impl SeqLatchOptions {
    /// As usual, which is what [`Default`] gives.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many slots the writer cycles through: a power of two, at least 2; 4 unless this is
    /// called. More let a reader be slower without having to try again.
    pub fn slots(mut self, slots: u64) -> Self {
        self.slots = slots;
        self
    }

    /// The beginning of a new latch of what is `expected`.
    pub(crate) fn lay_out(
        &self,
        segment: &str,
        expected: &Expected,
    ) -> Result<Layout, SegmentError> {
        if self.slots < 2 {
            let problem = format!("{} slots; a latch needs at least 2", self.slots);
            return Err(SegmentError::size(segment, problem));
        }
        expected.lay_out(segment, self.slots, 1)
    }
}

/// A latch in shared memory, attached to this process: the latest committed value, always
/// readable, for one [`writer`](SeqLatch::writer) and any number of
/// [`reader`](SeqLatch::reader)s. It is [`Send`] and [`Sync`].
///
/// Neither it nor its ends go over a `fork` (nor `daemon`): attach in the child; see
/// [`fork`](crate::fork).
pub struct SeqLatch<T: Payload> {
    segment: Arc<Segment>,
    payload: core::marker::PhantomData<fn(T) -> T>,
}

/// What a seqlock and a latch have: they are made with a first value, and have a writer and readers.
macro_rules! latest_value {
    (
        $lock:ident: $kind:ident, $word:literal, $options:ident, $writer:ident, $reader:ident, $parts:ident;
        $kept:literal
    ) => {
        impl<T: Payload> $lock<T> {
            #[doc = concat!("Makes the ", $word, " `name`, which holds `initial`.")]
            /// Not for a child that is forked later: see [`fork`](crate::fork).
            ///
            /// # Errors
            /// [`SegmentError::Exists`] if there is one, or another [`SegmentError`].
            pub fn create(name: &str, initial: &T, options: &$options) -> Result<Self, SegmentError>
            where
                T: WholeWords,
            {
                let layout = options.lay_out(name, &expected_words::<T>(name, Kind::$kind)?)?;
                Segment::create(name, &layout, bytemuck::bytes_of(initial), options.mode).map(Self::new)
            }

            #[doc = concat!("Attaches to the ", $word, " `name`.")]
            /// Not for a child that is forked later: see [`fork`](crate::fork).
            ///
            /// # Errors
            /// [`SegmentError::NotFound`] if there is none, [`SegmentError::Mismatch`] if it is no
            #[doc = concat!($word, " of such a value, or another [`SegmentError`].")]
            pub fn attach(name: &str) -> Result<Self, SegmentError>
            where
                T: WholeWords,
            {
                Segment::attach(name, &expected_words::<T>(name, Kind::$kind)?).map(Self::new)
            }

            #[doc = concat!("Attaches to the ", $word, " `name`, or makes it, holding `initial`, as `options` say.")]
            ///
            #[doc = concat!("If there is one, `initial` and `options` are ignored: it keeps ", $kept, ".")]
            /// Only the type of its value is checked, as by [`attach`](Self::attach). Not for a child that is
            /// forked later: see [`fork`](crate::fork).
            ///
            /// # Errors
            /// As [`attach`](Self::attach) and [`create`](Self::create).
            pub fn open_or_create(
                name: &str,
                initial: &T,
                options: &$options,
            ) -> Result<Self, SegmentError>
            where
                T: WholeWords,
            {
                Segment::open_or_create(name, &expected_words::<T>(name, Kind::$kind)?, || {
                    Self::create(name, initial, options).map(|made| made.segment)
                })
                .map(Self::new)
            }

            #[doc = concat!("[Attaches to the ", $word, " `name`, or makes it](Self::open_or_create),")]
            /// and takes the writer's role, also while others unlink it, as [`Ring::open_or_create_as`] does.
            ///
            /// # Errors
            /// As [`open_or_create`](Self::open_or_create) and [`Segment::claim`].
            pub fn open_or_create_as_writer(
                name: &str,
                initial: &T,
                options: &$options,
            ) -> Result<(Self, Claim), SegmentError>
            where
                T: WholeWords,
            {
                open_or_create_as(name, Role::Writer, || {
                    Ok(Self::open_or_create(name, initial, options)?.segment)
                })
                .map(|(segment, claim)| (Self::new(segment), claim))
            }

            #[doc = concat!("Makes a ", $word, " without a name. Another process attaches by its descriptor.")]
            /// Not for a child that is forked later: see [`fork`](crate::fork).
            ///
            /// # Errors
            /// [`SegmentError`].
            pub fn anonymous(initial: &T, options: &$options) -> Result<Self, SegmentError>
            where
                T: WholeWords,
            {
                let layout = options.lay_out(ANONYMOUS, &expected_words::<T>(ANONYMOUS, Kind::$kind)?)?;
                Segment::anonymous(&layout, bytemuck::bytes_of(initial)).map(Self::new)
            }

            #[doc = concat!("Attaches to a ", $word, " without a name.")]
            /// Not for a child that is forked later: see [`fork`](crate::fork).
            ///
            /// # Errors
            /// As [`Ring::attach_fd`].
            pub fn attach_fd(fd: OwnedFd) -> Result<Self, SegmentError>
            where
                T: WholeWords,
            {
                Segment::attach_fd(fd, &expected_words::<T>(DESCRIPTOR, Kind::$kind)?).map(Self::new)
            }

            with_role! {
                writer, writer_with: Role::Writer => $writer<T>, "";
                |structure, held| {
                    // SAFETY: the writer keeps the segment.
                    let parts = $parts(unsafe { lasting(&structure.segment) })?;
                    $writer::new(parts, Native, held).ok_or_else(|| no_room(&structure.segment))?
                }
            }

            /// A reader. A forked child that uses this end dies of it: see [`fork`](crate::fork).
            ///
            /// # Errors
            /// [`SegmentError::Forked`] if the parent of this process attached it.
            pub fn reader(&self) -> Result<$reader<T>, SegmentError> {
                // SAFETY: the reader keeps the segment.
                let parts = $parts(unsafe { lasting(&self.segment) })?;
                let keep = Arc::clone(&self.segment);
                $reader::new(parts, Native, keep).ok_or_else(|| no_room(&self.segment))
            }
        }
    };
}

latest_value! {
    SeqLock: SeqLock, "seqlock", SeqLockOptions, SeqWriter, SeqReader, seq_parts;
    "its value and its mode"
}
latest_value! {
    SeqLatch: Latch, "latch", SeqLatchOptions, LatchWriter, LatchReader, latch_parts;
    "its value, its slots and its mode"
}

/// What an end with a role keeps for its life: the claim of the role, and the segment that its words
/// and slots lie in.
///
/// It is [`Send`] and [`Sync`]: a role belongs to no thread.
#[derive(Debug)]
pub struct Held {
    /// First: the role is given back while there is a segment.
    claim: Claim,
    segment: Arc<Segment>,
}

impl Held {
    /// Refuses a claim of another role or segment.
    pub(crate) fn new(
        segment: &Arc<Segment>,
        claim: Claim,
        role: Role,
    ) -> Result<Held, SegmentError> {
        segment.check_claim(&claim, role)?;
        Ok(Held {
            claim,
            segment: Arc::clone(segment),
        })
    }
}

/// A segment, for as long as it is kept: by an end that is made of its parts and dropped with them, so
/// that it may go to another thread, and where it likes.
///
/// # Safety
/// What is made of the result is not used when `segment` and its clones are gone. (References to its
/// words and slots may be there still, as the fields of an end are while the end is dropped: both are
/// cells, whose memory may go before a reference to them does.)
pub(crate) unsafe fn lasting(segment: &Arc<Segment>) -> &'static Segment {
    // SAFETY: the caller's promise. It stays where it is, whatever becomes of `segment` itself.
    unsafe { &*Arc::as_ptr(segment) }
}

/// The sending end of a ring in shared memory.
///
/// Like every end that a [`Ring`], [`SeqLock`] or [`SeqLatch`] gives, it keeps the segment that it is an
/// end of (and its role, if it has one) until it is dropped. It borrows nothing, and is [`Send`]: it goes to a
/// thread, and into a struct with the other end, or the end of another ring.
///
/// ```
/// use ringproof::{Consumer, Producer, Ring, RingOptions, SegmentError};
///
/// /// Answers each number by its square.
/// struct Server {
///     requests: Consumer<u64>,
///     answers: Producer<u64>,
/// }
///
/// let there = Ring::anonymous(&RingOptions::new(8))?;
/// let back = Ring::anonymous(&RingOptions::new(8))?;
/// let mut server = Server { requests: there.consumer()?, answers: back.producer()? };
/// let (mut requests, mut answers) = (there.producer()?, back.consumer()?);
/// drop((there, back));
/// let server = std::thread::spawn(move || {
///     while server.answers.position() < 3 {
///         if let Ok(number) = server.requests.pop() {
///             server.answers.push(number * number)?;
///         }
///     }
///     Ok::<_, ringproof::PushError>(())
/// });
/// assert_eq!(requests.push_slice(&[1, 2, 3]), Ok(3));
/// server.join().expect("no panic")?;
/// let mut squares = [0; 3];
/// assert_eq!(answers.pop_slice(&mut squares), Ok(3));
/// assert_eq!(squares, [1, 4, 9]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// It is [`Sync`] as well: what `&self` allows, such as [`occupancy`](ring::Producer::occupancy), any
/// number of threads may ask for. Two that push through one producer are refused by the compiler:
///
/// ```compile_fail
/// # let ring = ringproof::Ring::<u64>::anonymous(&ringproof::RingOptions::new(8)).unwrap();
/// let mut producer = ring.producer().unwrap();
/// std::thread::scope(|scope| {
///     scope.spawn(|| producer.push(1));
///     scope.spawn(|| producer.push(2));
/// });
/// ```
pub type Producer<T> = ring::Producer<'static, T, Native, Held>;
/// The receiving end of a ring in shared memory. What is said of [`Producer`] is true of it as well.
pub type Consumer<T> = ring::Consumer<'static, T, Native, Held>;
/// Slots reserved by a [`Producer`]; [`Send`] and [`Sync`] as that.
pub type WriteChunk<'p, T> = ring::WriteChunk<'p, 'static, T, Native, Held>;
/// Items that a [`Consumer`] looks at in place; [`Send`] and [`Sync`] as that.
pub type ReadChunk<'c, T> = ring::ReadChunk<'c, 'static, T, Native, Held>;
/// The writing end of a seqlock in shared memory. What is said of [`Producer`] is true of it as well.
pub type SeqWriter<T> = seqlock::SeqWriter<'static, T, Native, Held>;
/// A reading end of a seqlock in shared memory. It keeps the segment, and is [`Send`] and [`Sync`]: one
/// may serve any number of threads.
pub type SeqReader<T> = seqlock::SeqReader<'static, T, Native, Arc<Segment>>;
/// The writing end of a latch in shared memory. What is said of [`Producer`] is true of it as well.
pub type LatchWriter<T> = latch::LatchWriter<'static, T, Native, Held>;
/// A reading end of a latch in shared memory. It keeps the segment, and is [`Send`] and [`Sync`]: one may
/// serve any number of threads.
pub type LatchReader<T> = latch::LatchReader<'static, T, Native, Arc<Segment>>;

/// What an end of a segment has beside what the algorithm gives it.
macro_rules! ends {
    ($($module:ident::$end:ident, $role:literal;)*) => {
        $(impl<T: Payload> $module::$end<'_, T, Native, Held> {
            #[doc = concat!("How many times the ", $role, "'s role was taken, this time included.")]
            pub fn epoch(&self) -> u64 {
                self.keep.claim.epoch()
            }

            /// The segment that this is an end of, which it keeps.
            pub fn segment(&self) -> &Segment {
                &self.keep.segment
            }

            /// The same, to be kept by something else as well.
            #[allow(dead_code, reason = "a writer does not wait")]
            pub(crate) fn segment_kept(&self) -> &Arc<Segment> {
                &self.keep.segment
            }
        })*
    };
    (readers: $($module:ident::$end:ident;)*) => {
        $(impl<T: Payload> $module::$end<'_, T, Native, Arc<Segment>> {
            /// The segment that this is an end of, which it keeps.
            pub fn segment(&self) -> &Segment {
                &self.keep
            }

            /// The same, to be kept by something else as well.
            pub(crate) fn segment_kept(&self) -> &Arc<Segment> {
                &self.keep
            }
        })*
    };
}

ends! {
    ring::Producer, "producer";
    ring::Consumer, "consumer";
    seqlock::SeqWriter, "writer";
    latch::LatchWriter, "writer";
}

ends! {
    readers:
    seqlock::SeqReader;
    latch::LatchReader;
}

impl<T: Payload> ring::Producer<'_, T, Native, Held> {
    /// Whether a consumer holds its role now. A consumer that closed and left is no dead one: who
    /// wants to tell them apart asks this first, and then [`is_peer_closed`](Self::is_peer_closed).
    ///
    /// # Errors
    /// [`SegmentError`] if the kernel cannot tell.
    pub fn peer_present(&self) -> Result<bool, SegmentError> {
        self.keep.segment.is_held(Role::Consumer)
    }
}

impl<T: Payload> ring::Consumer<'_, T, Native, Held> {
    /// Whether a producer holds its role now. Items may still be there when none does, or the end
    /// of the stream: who wants to tell a dead producer from one that closed and left asks this
    /// first, and then pops until the ring is empty or has ended.
    ///
    /// # Errors
    /// [`SegmentError`] if the kernel cannot tell.
    pub fn peer_present(&self) -> Result<bool, SegmentError> {
        self.keep.segment.is_held(Role::Producer)
    }
}

/// A kernel that cannot tell who holds the writer's role leaves the question open: stalled is the
/// weaker claim.
impl Watch for Arc<Segment> {
    fn watch(&self) -> Option<impl FnOnce() -> bool> {
        Some(|| self.is_without(Role::Writer))
    }

    fn is_gone(&self) -> bool {
        self.was_left(Role::Writer)
    }
}

/// Of a producer it is the consumer that is watched, and the other way round.
impl Watch for Held {
    fn watch(&self) -> Option<impl FnOnce() -> bool> {
        let peer = self.claim.role().peer()?;
        Some(move || self.segment.is_without(peer))
    }

    fn is_gone(&self) -> bool {
        let peer = self.claim.role().peer();
        peer.is_some_and(|peer| self.segment.was_left(peer))
    }
}

/// What a seqlock or latch of `T` is.
fn expected_words<T: WholeWords>(segment: &str, kind: Kind) -> Result<Expected, SegmentError> {
    // Here, too: else a program that only creates would build with half a word.
    let _ = words_of::<T>();
    Expected::of::<T>(segment, kind)
}

/// The words and slots of a ring.
///
/// # Safety
/// As [`PartsOfRing::parts`](crate::harness::PartsOfRing::parts).
pub(crate) unsafe fn ring_parts<T: Payload>(
    segment: &Segment,
) -> Result<RingParts<'_, Native, T>, SegmentError> {
    segment.unless_inherited()?;
    let fixed = segment.fixed();
    let header = segment.header();
    // SAFETY: a slot holds a payload, for which any bit pattern is a value, and is accessed
    // through `Memory` alone.
    let cells = unsafe { segment.data::<Slot<T>>(fixed.slots) };
    let slots = cells.and_then(Slots::new);
    Ok(RingParts {
        write_index: &header.producer.index,
        read_index: &header.consumer.index,
        for_items: header.for_items(),
        for_room: header.for_room(),
        slots: slots.ok_or_else(|| no_room(segment))?,
        capacity: fixed.capacity,
    })
}

/// The words of a seqlock.
pub(crate) fn seq_parts(segment: &Segment) -> Result<SeqParts<'_, Native>, SegmentError> {
    segment.unless_inherited()?;
    Ok(SeqParts {
        seq: &segment.header().producer.index,
        for_news: segment.header().for_items(),
        payload: data_words(segment)?,
    })
}

/// The words of a latch.
pub(crate) fn latch_parts(segment: &Segment) -> Result<LatchParts<'_, Native>, SegmentError> {
    segment.unless_inherited()?;
    Ok(LatchParts {
        version: &segment.header().producer.index,
        for_news: segment.header().for_items(),
        slots: data_words(segment)?,
    })
}

/// The data of a seqlock or latch as words.
fn data_words(segment: &Segment) -> Result<&[Word], SegmentError> {
    let fixed = segment.fixed();
    let count = fixed.slots * (fixed.payload_size / 8);
    // SAFETY: a word is atomic, and any bit pattern is a value of it.
    unsafe { segment.data::<Word>(count) }.ok_or_else(|| no_room(segment))
}

pub(crate) fn no_room(segment: &Segment) -> SegmentError {
    SegmentError::size(segment.label(), "its slots do not lie within it")
}

/// What all of them have: the segment, and a form to be printed in, which a payload need not have.
macro_rules! of_segment {
    ($($name:ident $(, $more:expr)?;)*) => {
        $(impl<T: Payload> $name<T> {
            fn new(segment: Arc<Segment>) -> Self {
                let payload = core::marker::PhantomData;
                $name { segment, payload }
            }

            /// The segment that this is in: its name, who is at its ends, its notes, its removal.
            pub fn segment(&self) -> &Segment {
                &self.segment
            }
        }

        impl<T: Payload> fmt::Debug for $name<T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let mut output = f.debug_struct(stringify!($name));
                $($more(&self.segment, &mut output);)?
                output.field("segment", &self.segment).finish_non_exhaustive()
            }
        })*
    };
}

of_segment! {
    Ring, debug_ring;
    SeqLock;
    SeqLatch;
}
