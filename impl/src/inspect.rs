//! A look at a segment from outside: nothing is mapped, locked or changed.

use std::fs::File;

use crate::error::SegmentError;
use crate::layout::{Fixed, Kind, NOTES, offset};
use crate::ring::OPEN;
use crate::role::{self, Role};
use crate::segment::{Segment, open_existing, read_description, read_fixed, read_words};
use crate::shape::Description;

/// What a segment looked like at one moment. The words were read one after the other while its
/// peers went on, so together they need not be consistent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inspection {
    /// The segment's name, or what else tells which one it is.
    pub name: String,
    /// What it holds.
    pub kind: Kind,
    /// What its creator said of it.
    pub fixed: Fixed,
    /// What its payload is made of.
    pub description: Description,
    /// Whether it was retired: no role may be taken any more.
    pub retired: bool,
    /// Its roles.
    pub roles: Vec<RoleState>,
    /// The ring's `write_index`, the seqlock's `seq` or the latch's `version`.
    pub write_index: u64,
    /// The ring's `read_index`; zero otherwise.
    pub read_index: u64,
    /// Where the producer closed the ring: how many items were committed in all.
    pub end_index: Option<u64>,
    /// Where the consumer closed the ring: how many items were released in all.
    pub stop_index: Option<u64>,
}

/// The state of one role.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoleState {
    /// The role.
    pub role: Role,
    /// Whether somebody held it.
    pub held: bool,
    /// How often it was taken.
    pub epoch: u64,
    /// What the application has left in its notes.
    pub notes: [u64; NOTES],
}

impl Inspection {
    /// Looks at the segment `name`. Permission to read it is enough.
    ///
    /// # Errors
    /// [`SegmentError::NotFound`] if there is none, [`SegmentError::Mismatch`] if it is no
    /// segment of this version, or another [`SegmentError`].
    ///
    /// ```
    /// use ringproof::{Inspection, Ring, RingOptions};
    ///
    /// let name = format!("looked-at-{}", std::process::id());
    /// let ring = Ring::<u64>::create(&name, &RingOptions::new(8))?;
    /// ring.producer()?.push(1)?;
    /// let seen = Inspection::of(&name)?;
    /// assert_eq!((seen.occupancy(), seen.roles[0].epoch), (1, 1));
    /// ring.unlink()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn of(name: &str) -> Result<Inspection, SegmentError> {
        let (file, len) = open_existing(name, false)?;
        let fixed = read_fixed(&file, name, len)?;
        fixed.check(name, len)?;
        Self::look(&file, name, fixed)
    }

    /// Looks at a segment that is at hand, also at one without a name.
    ///
    /// # Errors
    /// [`SegmentError::System`] if it cannot be read; [`SegmentError::Mismatch`] if its
    /// description was written over.
    ///
    /// ```
    /// use ringproof::{Inspection, Ring, RingOptions};
    ///
    /// let ring = Ring::<u64>::anonymous(&RingOptions::new(8))?;
    /// let producer = ring.producer()?;
    /// let seen = Inspection::of_segment(&ring)?;
    /// assert_eq!((seen.occupancy(), seen.roles[0].held), (0, true));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn of_segment(segment: &Segment) -> Result<Inspection, SegmentError> {
        Self::look(segment.file(), segment.label(), *segment.fixed())
    }

    /// Reads the words behind a header that was checked.
    fn look(file: &File, name: &str, fixed: Fixed) -> Result<Inspection, SegmentError> {
        let word = |at| read_words(file, name, at).map(|[word]| word);
        let state = |role, epoch, notes| {
            Ok::<_, SegmentError>(RoleState {
                role,
                held: role::is_held(file, name, role)?,
                epoch: word(epoch)?,
                notes: read_words(file, name, notes)?,
            })
        };
        let description = fixed.described(name, &read_description(file, name, &fixed)?)?;
        // The check has found a known kind; the fallback is never reached.
        let kind = Kind::from_number(fixed.kind).unwrap_or(Kind::Ring);
        let roles = match kind {
            Kind::Ring => vec![
                state(
                    Role::Producer,
                    offset::PRODUCER_EPOCH,
                    offset::PRODUCER_NOTES,
                )?,
                state(
                    Role::Consumer,
                    offset::CONSUMER_EPOCH,
                    offset::CONSUMER_NOTES,
                )?,
            ],
            Kind::SeqLock | Kind::Latch => vec![state(
                Role::Writer,
                offset::PRODUCER_EPOCH,
                offset::PRODUCER_NOTES,
            )?],
        };
        // The reader's index first: it only grows, so the difference is never negative.
        let read_index = word(offset::READ_INDEX)?;
        Ok(Inspection {
            name: name.to_owned(),
            kind,
            fixed,
            description,
            retired: word(offset::RETIRED)? != 0,
            roles,
            write_index: word(offset::WRITE_INDEX)?,
            read_index,
            end_index: closed(word(offset::END_INDEX)?),
            stop_index: closed(word(offset::STOP_INDEX)?),
        })
    }

    /// How many items of a ring were live. (More than the capacity if the consumer released
    /// some between the looks at the two indices.)
    pub fn occupancy(&self) -> u64 {
        self.write_index.wrapping_sub(self.read_index)
    }
}

/// Where a side closed the ring, if it did.
fn closed(word: u64) -> Option<u64> {
    (word != OPEN).then_some(word)
}
