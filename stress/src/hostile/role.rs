//! Roles, retirement and notes under an adversary.

use anyhow::{Context, Result, bail, ensure};
use ringproof::harness::{self, Through};
use ringproof::layout::NOTES;
use ringproof::memory::Word;
use ringproof::site::LoadSite::{self, RetiredCheck, RoleEpoch};
use ringproof::site::StoreSite::{Retire, RoleEpochNext};
use ringproof::{Ring, RingOptions, Role, SegmentError};

use super::memory::Adversary;
use super::memory::Event::{Load, Store};
use super::region::Guarded;
use super::script::Script;
use super::specimen;
use crate::ends::ensure_held;
use crate::fault::Fault;

pub(crate) const MARKING: &[&str] = &["role/enter", "role/is_retired", "role/retire"];

pub(crate) const CLAIMING: &[&str] = &[
    "segment/claim",
    "segment/claim-again",
    "segment/note",
    "segment/set_note",
];

/// Accesses that one operation may make.
const LIMIT: usize = 8;

pub(crate) fn mark(script: &Script<'_>, adversary: &Adversary<'_>) -> Result<()> {
    let words = Guarded::new(2 * size_of::<u64>(), script.geometry.edge())?;
    let words: &[Word] = words.words(2)?;
    let memory = adversary.memory();
    for operation in script.operations(MARKING) {
        adversary.begin(LIMIT);
        let name = MARKING[operation];
        let said = match name {
            "role/enter" if script.has(Fault::CountedEnter) => {
                specimen::counted_enter(&memory, &words[0])
            }
            "role/enter" => harness::enter(&memory, &words[0]),
            "role/is_retired" => u64::from(harness::is_retired(&memory, &words[1])),
            _ => {
                harness::retire(&memory, &words[1]);
                harness::reinstate(&memory, &words[1]);
                0
            }
        };
        let events = adversary.events();
        let right = match events[..] {
            [Load(RoleEpoch, before), Store(RoleEpochNext, next)] => {
                name == "role/enter" && next == before.wrapping_add(1) && said == next
            }
            [Load(RetiredCheck, mark)] => name == "role/is_retired" && said == u64::from(mark != 0),
            [Store(Retire, 1), Store(Retire, 0)] => name == "role/retire",
            _ => false,
        };
        ensure!(right, "{name} says {said} after {events:?}");
    }
    Ok(())
}

pub(crate) fn claim(script: &Script<'_>, adversary: &Adversary<'_>) -> Result<()> {
    let options = RingOptions::new(script.geometry.capacity()).slots(script.geometry.slots());
    let ring = Ring::<u64>::anonymous(&options).context("cannot make a ring")?;
    let (segment, memory) = (ring.segment(), adversary.memory());
    for operation in script.operations(CLAIMING) {
        adversary.begin(LIMIT);
        let name = CLAIMING[operation];
        match name {
            "segment/note" => {
                let note = |index| segment.note_through(&memory, Role::Consumer, index);
                let (said, beyond) = (note(NOTES - 1), note(NOTES));
                let events = adversary.events();
                let expected = match events[..] {
                    [Load(LoadSite::NoteRead, note)] => Some(note),
                    _ => None,
                };
                ensure!(
                    said.is_some() && said == expected && beyond.is_none(),
                    "a note is {said:?}, one that does not exist {beyond:?}, after {events:?}"
                );
            }
            "segment/set_note" => {
                let set = |index| segment.set_note_through(&memory, Role::Producer, index, 5);
                ensure!(
                    set(NOTES - 1).is_ok() && set(NOTES).is_err(),
                    "a note is refused, or one too many taken"
                );
            }
            _ => {
                let mut outcome = segment.claim_through(&memory, Role::Producer);
                if script.has(Fault::RetiredIgnored)
                    && matches!(outcome, Err(SegmentError::Gone { .. }))
                {
                    outcome = segment.claim(Role::Producer);
                }
                let epoch = outcome.as_ref().map(|claim| claim.epoch());
                judge_claim(adversary, epoch).context(name)?;
                if name == "segment/claim-again" && outcome.is_ok() {
                    // While it is held nothing that an adversary says gives it to a second one.
                    ensure_held(segment.claim_through(&memory, Role::Producer))?;
                }
            }
        }
    }
    Ok(())
}

/// A role is taken if and only if the last look said that the segment is not retired.
fn judge_claim(adversary: &Adversary<'_>, outcome: Result<u64, &SegmentError>) -> Result<()> {
    let events = adversary.events();
    let retired = events.iter().rev().find_map(|event| match event {
        Load(RetiredCheck, mark) => Some(*mark != 0),
        _ => None,
    });
    match (retired, outcome) {
        (Some(true), Err(SegmentError::Gone { .. })) => Ok(()),
        (Some(false), Ok(epoch)) => {
            let counted = events.contains(&Store(RoleEpochNext, epoch));
            ensure!(counted, "a taking of the role that was not counted");
            Ok(())
        }
        _ => bail!("the claim is {outcome:?} after {events:?}"),
    }
}
