//! A push and a pop of one ring, at the same time.

use std::fs::File;

use anyhow::{Context, Result, bail, ensure};
use ringproof::{Ring, Role};

use super::ends::{expected, finish, go_on, progress, take};
use super::{Kind, OnRing, operations};
use crate::crash::case::AnyOperation;
use crate::crash::trial::ensure_free;
use crate::desk::same;
use crate::item::{Author, Item};
use crate::process::Note;

/// A push and a pop of one ring, one of them stopped between two instructions while the other
/// one goes on and dies.
pub(crate) struct Pair {
    stopped: OnRing,
    dying: OnRing,
}

pub(crate) fn pairs() -> impl Iterator<Item = Pair> {
    let pair = |stopped: OnRing| {
        let (subject, kind) = match stopped.kind {
            Kind::Push => ("ring/pop", Kind::Pop),
            Kind::Pop => ("ring/push", Kind::Push),
            _ => return None,
        };
        let state = stopped.state;
        let dying = OnRing {
            subject,
            kind,
            state,
        };
        (!state.closed && !state.stopped).then_some(Pair { stopped, dying })
    };
    operations().filter_map(pair)
}

/// How one of a pair ended.
pub(crate) enum End {
    /// It came to its end, and reported this.
    Reported(Vec<Note>),
    /// It was killed; if its entry had returned, it answered this.
    Killed(Option<u64>),
}

impl Pair {
    pub(crate) fn stopped(&self) -> &dyn AnyOperation {
        &self.stopped
    }

    pub(crate) fn dying(&self) -> &dyn AnyOperation {
        &self.dying
    }

    /// Both are dead now, and two others take up their roles.
    pub(crate) fn judge(
        &self,
        seed: u64,
        segment: &File,
        stopped: &End,
        dying: &End,
    ) -> Result<()> {
        let case = &self.stopped;
        let segment = segment.try_clone().context("a descriptor")?;
        let ring = Ring::<Item>::attach_fd(segment.into())?;
        for role in [Role::Producer, Role::Consumer] {
            ensure_free(ring.segment(), role)?;
        }
        let (mut producer, mut consumer) = (ring.producer()?, ring.consumer()?);
        let (read, written) = (case.read(seed), case.written(seed));
        let pushed = progress("write_index", written, &[1], producer.position())?;
        let popped = progress("read_index", read, &[1], consumer.position())?;
        let (push, pop) = match case.kind.role() {
            Role::Consumer => (dying, stopped),
            _ => (stopped, dying),
        };

        // What was answered has taken effect, and what was refused has not.
        let (full, empty) = (case.state.live == case.state.capacity, case.state.live == 0);
        for (what, end, effect, may_refuse) in [
            ("the push", push, pushed, full),
            ("the pop", pop, popped, empty),
        ] {
            let answered = match end {
                End::Reported(notes) => u64::from(!notes.is_empty()),
                End::Killed(Some(answer)) => *answer,
                End::Killed(None) => continue,
            };
            same(&format!("{what} answered"), answered, effect)?;
            ensure!(answered == 1 || may_refuse, "{what} was refused");
        }
        let authors = [(written, Author::Setup), (written + pushed, Author::Victim)];
        let expected = |position| expected(seed, &authors, position);
        if let End::Reported(notes) = pop {
            for note in notes {
                let taken = match note {
                    Note::Took(position, words) => (*position, Item::from_words(*words)),
                    other => bail!("a consumer reports {other:?}"),
                };
                same("popped", taken, (read, expected(read)))?;
            }
        }
        while consumer.position() < producer.position() {
            take(&mut consumer, &expected)?;
        }
        go_on(&mut producer, &mut consumer, &expected)?;
        producer.close();
        finish(&mut consumer, producer.position(), &expected)
    }
}
