//! Scenarios of the seqlock. Both words of a value hold its number, so a torn one shows.

use std::sync::Arc;

use ringproof::ReadError;
use ringproof::seqlock::SeqReader;

use super::latest::{Seqlock, Value, one_reader, two_readers};
use super::{NIGHT, READS, REFUSED, Scenario};
use crate::actor::Actor;
use crate::engine::{Lock, Word, lock, spawn, word};
use crate::instrumented::Instrumented;
use crate::order::Order;
use crate::owned::{Kept, OwnedWords};
use crate::run::Run;

pub(super) fn inventory() -> Vec<Scenario> {
    scenarios! {
        "seqlock/1 write, 1 read", one_reader::<Seqlock, 2, 1, 1>, 650, Exhausted, READS;
        "seqlock/1 write, 2 reads", one_reader::<Seqlock, 2, 1, 2>, 10_000, Exhausted, READS;
        "seqlock/2 writes, 1 read", one_reader::<Seqlock, 2, 2, 1>, 9_400, Exhausted, READS;
        "seqlock/3 writes, 1 read", one_reader::<Seqlock, 2, 3, 1>, 62_000, Exhausted, READS;
        "seqlock/4 writes, 1 read", one_reader::<Seqlock, 2, 4, 1>, 250_000, Exhausted, READS;
        "seqlock/3 writes, 2 reads", one_reader::<Seqlock, 2, 3, 2>, 290_000, Bounded(4), READS;
        "seqlock/1 write, 2 readers", two_readers::<Seqlock, 2, 1>, 2_100, Bounded(2), READS;
        "seqlock/2 writes, 2 readers", two_readers::<Seqlock, 2, 2>, 250_000, Bounded(3), READS;
        "seqlock/writer succeeded", repaired, 44, Exhausted, &[REFUSED, "read the successor's value"];
        "seqlock/bounded read", bounded_read, 44, Exhausted, &["reader gave up", "read the successor's value"];
        "seqlock/watched, two writers in turn", two_in_turn, 42_000, Exhausted,
            &["read a value", "reader gave up"];
        "seqlock/watched, dead writer succeeded", dead_or_succeeded, 260, Exhausted,
            &["read a value", "reader gave up", "a death was said"];
    }
}

pub(super) fn night() -> Vec<Scenario> {
    scenarios! {
        "seqlock/2 writes, 2 reads", one_reader::<Seqlock, 2, 2, 2>, NIGHT, Exhausted, READS;
        "seqlock/3 writes, 2 reads, all", one_reader::<Seqlock, 2, 3, 2>, NIGHT, Exhausted, READS;
        "seqlock/1 write, 2 readers, all", two_readers::<Seqlock, 2, 1>, NIGHT, Exhausted, READS;
        "seqlock/2 writes, 2 readers, bound 4", two_readers::<Seqlock, 2, 2>, NIGHT, Bounded(4), READS;
    }
}

/// A writer died inside its first write, half-way through the payload: that half is never
/// read, and the successor's value is read once it is there.
fn repaired(run: &Arc<Run>) {
    let words = OwnedWords::new(1, &[1, 0]);
    let writing = spawn({
        let mut writer = words.seq_writer::<Value>(run.memory("successor"));
        move || {
            assert!(writer.needs_repair());
            writer.write(&[2; 2]);
        }
    });
    let reader = words.seq_reader::<Value>(run.memory("reader"));
    for _ in 0..2 {
        match reader.try_read() {
            Ok(value) => {
                assert_eq!(value, [2; 2], "a value that nobody wrote");
                run.saw("read the successor's value");
            }
            Err(_) => run.saw(REFUSED),
        }
    }
    writing.join();
    assert_eq!(reader.try_read(), Ok([2; 2]));
}

/// The writer's role. The kernel's own table says who has it, behind a lock of the kernel's.
struct WriterRole {
    table: Lock,
    held: Word,
}

impl WriterRole {
    fn free() -> Arc<WriterRole> {
        Arc::new(WriterRole {
            table: lock(),
            held: word(0),
        })
    }

    fn take(&self, actor: &Actor) {
        self.table
            .locked(|| actor.store("role taken", &self.held, 1, Order::Relaxed));
    }

    fn give_back(&self, actor: &Actor) {
        self.table
            .locked(|| actor.store("role freed", &self.held, 0, Order::Relaxed));
    }

    fn is_free(&self, actor: &Actor) -> bool {
        self.table
            .locked(|| actor.load("role asked", &self.held, Order::Relaxed) == 0)
    }
}

/// The life of a writer who writes once.
fn life(
    run: &Arc<Run>,
    words: &Arc<OwnedWords>,
    role: &Arc<WriterRole>,
    name: &str,
    number: u64,
) -> impl FnOnce() + Send + 'static {
    let (actor, memory) = (run.actor(name), run.memory(name));
    let (words, role) = (Arc::clone(words), Arc::clone(role));
    move || {
        role.take(&actor);
        words.seq_writer::<Word1>(memory).write(&[number]);
        role.give_back(&actor);
    }
}

/// A value of one word, so that two writers and a reader can be exhausted.
type Word1 = [u64; 1];

/// Two writers in turn, who both live: a reader that asks who has the role never says that one
/// died, though its attempt met one write and its question came between the two.
fn two_in_turn(run: &Arc<Run>) {
    watched_in_turn(run, |reader, is_free| reader.read_unless(1, is_free));
}

fn watched_in_turn(
    run: &Arc<Run>,
    read: impl FnOnce(
        &SeqReader<'static, Word1, Instrumented, Kept<OwnedWords>>,
        &dyn Fn() -> bool,
    ) -> Result<Word1, ReadError>,
) {
    let words = OwnedWords::new(0, &[0]);
    let role = WriterRole::free();
    // One after the other anyway, so one thread: with two there is nothing else to see, and no end.
    let lives = [("writer", 1), ("successor", 2)];
    let lives = lives.map(|(name, number)| life(run, &words, &role, name, number));
    let writing = spawn(move || lives.into_iter().for_each(|life| life()));
    let actor = run.actor("reader");
    let reader = words.seq_reader::<Word1>(run.memory("reader"));
    match read(&reader, &|| role.is_free(&actor)) {
        Ok(_) => run.saw("read a value"),
        Err(ReadError::WriterStalled { .. }) => run.saw("reader gave up"),
        Err(other) => panic!("a death was said, and nobody died: {other}"),
    }
    writing.join();
}

/// A writer died inside its write, and one succeeds it: the death is said until then.
fn dead_or_succeeded(run: &Arc<Run>) {
    let words = OwnedWords::new(1, &[1]);
    let role = WriterRole::free();
    let writing = spawn(life(run, &words, &role, "successor", 2));
    let actor = run.actor("reader");
    let reader = words.seq_reader::<Word1>(run.memory("reader"));
    match reader.read_unless(1, || role.is_free(&actor)) {
        Ok(value) => {
            assert_eq!(value, [2], "a value that nobody wrote");
            run.saw("read a value");
        }
        Err(ReadError::WriterStalled { .. }) => run.saw("reader gave up"),
        Err(ReadError::WriterDead { .. }) => run.saw("a death was said"),
        Err(other) => panic!("no outcome of a read that is known: {other}"),
    }
    writing.join();
    assert_eq!(reader.read_unless(1, || role.is_free(&actor)), Ok([2]));
}

/// The same with a bounded read: it ends, with a value or an error.
fn bounded_read(run: &Arc<Run>) {
    let words = OwnedWords::new(1, &[1, 0]);
    let writing = spawn({
        let mut writer = words.seq_writer::<Value>(run.memory("successor"));
        move || writer.write(&[2; 2])
    });
    match words.seq_reader::<Value>(run.memory("reader")).read(2) {
        Ok(value) => {
            assert_eq!(value, [2; 2], "a value that nobody wrote");
            run.saw("read the successor's value");
        }
        Err(ReadError::WriterStalled { attempts }) => {
            assert_eq!(attempts, 2);
            run.saw("reader gave up");
        }
        Err(other) => panic!("nobody could tell that: {other}"),
    }
    writing.join();
}

#[cfg(all(test, feature = "loom"))]
mod tests {
    use super::*;
    use crate::engine::loom::Loom;
    use crate::exploration::{self, Effort};

    /// As it was: the role was never held twice, and an attempt between the two met a write. It was
    /// another writer's.
    fn two_questions(run: &Arc<Run>) {
        watched_in_turn(run, |reader, is_free| {
            let stalled = ReadError::WriterStalled { attempts: 1 };
            let attempt = || reader.try_read().map_err(|_| stalled);
            attempt().or_else(|stalled| match is_free() {
                false => Err(stalled),
                true => attempt().map_err(|stalled| match is_free() {
                    false => stalled,
                    true => ReadError::WriterDead { attempts: 1 },
                }),
            })
        });
    }

    #[test]
    fn a_death_that_is_put_together_from_two_writes_is_found() {
        let effort = Effort::of(2_000_000);
        let scenario = Scenario::new("two questions", two_questions, 1, &[]);
        let explored = exploration::explore::<Loom>(&scenario, None, effort);
        let failure = explored.outcome.expect_err("a death that never happened");
        assert!(
            failure.finding.contains("nobody died"),
            "{}",
            failure.finding
        );
    }
}
