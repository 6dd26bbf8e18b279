//! What is known of an operation: how it starts, how it is called, and what a death inside it
//! may leave.

use std::fs::File;
use std::os::fd::OwnedFd;

use anyhow::{Context, Result};

use super::tracee::Stage;
use crate::fault::Fault;

/// Who acts.
#[derive(Clone, Copy)]
pub(super) enum Actor {
    /// The one who is killed.
    Victim,
    /// Who takes up the role of a victim that came this far, and is killed, too.
    Successor(u64),
}

/// An operation in one state of its structure.
///
/// How far an operation came is a number that never goes back: 0 before it has any effect, and
/// [`goal`](Self::goal) when it is done. What lies between depends on the operation.
pub(super) trait Scenario {
    fn subject(&self) -> &'static str;

    fn state(&self) -> &'static str;

    /// A segment in this state, of which nobody holds a role any more.
    fn furnish(&self) -> Result<Vec<u8>>;

    /// What the process of `actor` does.
    fn act(
        &self,
        actor: Actor,
        segment: OwnedFd,
        fault: Option<Fault>,
        stage: &Stage<'_>,
    ) -> Result<()>;

    /// The peer comes to the segment, `die` makes the actor's death happen, the peer goes on,
    /// a successor takes the role, and what they find is held to what may be there.
    ///
    /// Answers how far the actor came.
    fn judge(
        &self,
        actor: Actor,
        segment: &File,
        die: &mut dyn FnMut() -> Result<()>,
    ) -> Result<u64>;

    /// How far the actor comes if it lives, said from the specification.
    fn goal(&self, actor: Actor) -> u64;

    /// What the entry answers if the actor lives.
    fn answer(&self, actor: Actor) -> u64 {
        self.goal(actor)
    }
}

/// A descriptor of the segment, as another process would have one.
pub(super) fn descriptor(segment: &File) -> Result<OwnedFd> {
    Ok(segment.try_clone().context("a descriptor")?.into())
}
