use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::notes::WORDS;

const FILE: FileId = FileId {
    device: 8,
    inode: 1234,
    born: 99,
};
const OTHER: FileId = FileId {
    device: 8,
    inode: 1235,
    born: 99,
};

fn notes(file: Option<FileId>, base: u64) -> Option<Notes> {
    Some(Notes {
        stream: 1,
        file,
        base,
    })
}

/// A file opened for appending.
fn file(len: u64) -> FileFacts {
    FileFacts {
        id: FILE,
        len,
        links: 1,
        offset: 0,
        append: true,
    }
}

/// A file opened with `>` or `<`, read or written up to `offset`.
fn standing(len: u64, offset: u64) -> FileFacts {
    FileFacts {
        offset,
        append: false,
        ..file(len)
    }
}

fn sent(notes: Option<Notes>, committed: u64, released: u64, closed: bool) -> Sent {
    Sent {
        notes,
        output: None,
        committed,
        released,
        closed,
    }
}

fn received(notes: Option<Notes>, committed: u64, released: u64) -> Received {
    Received {
        notes,
        input: None,
        committed,
        released,
    }
}

/// What `send` decides where there are notes, or need be none.
#[track_caller]
fn sends(found: &Sent, input: Option<&FileFacts>, go_on: bool) -> Result<SendPlan, Refusal> {
    send(found, input, go_on).expect("notes")
}

/// The same of `recv`.
#[track_caller]
fn receives(found: &Received, output: Option<&FileFacts>) -> Result<RecvPlan, Refusal> {
    recv(found, output).expect("notes")
}

/// Another file.
fn other(len: u64) -> FileFacts {
    FileFacts {
        id: OTHER,
        ..file(len)
    }
}

#[test]
fn send_starts_wherever_nothing_was_committed() {
    let ours = notes(Some(FILE), 10);
    for old in [None, ours, notes(Some(OTHER), 0), notes(None, 0)] {
        for input in [None, Some(&standing(100, 10))] {
            let plan = sends(&sent(old, 0, 0, false), input, false);
            assert_eq!(plan, Ok(SendPlan::Start));
        }
    }
}

#[test]
fn send_goes_on_in_the_same_file_only() {
    let found = sent(notes(Some(FILE), 10), 50, 20, false);
    let reborn = FileFacts {
        id: FileId { born: 100, ..FILE },
        ..file(1000)
    };
    let short = Refusal::InputShort {
        len: 59,
        needed: 60,
    };
    let is_other = |found| Err(Refusal::InputOther { file: FILE, found });
    let no_file = Refusal::InputNoFile {
        committed: 50,
        file: FILE,
    };
    for (input, expected) in [
        (Some(standing(60, 0)), Ok(SendPlan::Seek(60))),
        (Some(standing(61, 0)), Ok(SendPlan::Seek(60))),
        (Some(standing(1000, 0)), Ok(SendPlan::Seek(60))),
        (Some(standing(59, 0)), Err(short)),
        (Some(other(1000)), is_other(OTHER)),
        (Some(reborn), is_other(reborn.id)),
        (None, Err(no_file)),
    ] {
        for go_on in [false, true] {
            assert_eq!(sends(&found, input.as_ref(), go_on), expected, "{input:?}");
        }
    }
}

#[test]
fn send_continues_a_pipe_only_when_asked_to() {
    let found = sent(notes(None, 0), 50, 20, false);
    for input in [None, Some(&standing(1000, 7))] {
        let unknown = Refusal::InputUnknown { committed: 50 };
        assert_eq!(sends(&found, input, false), Err(unknown));
        assert_eq!(sends(&found, input, true), Ok(SendPlan::Append));
    }
}

#[test]
fn send_knows_a_finished_stream() {
    let closed = |end, released| sent(notes(Some(FILE), 10), end, released, true);
    // Its own, killed after the close.
    for (end, released) in [(50, 0), (50, 49), (0, 0)] {
        let input = standing(10 + end, 0);
        let plan = sends(&closed(end, released), Some(&input), false);
        assert_eq!(plan, Ok(SendPlan::Complete));
    }
    // Another one's, or the file has grown.
    for input in [None, Some(&standing(59, 0)), Some(&standing(61, 0))] {
        for go_on in [false, true] {
            let finished = Refusal::Finished { end: 50, left: 30 };
            assert_eq!(sends(&closed(50, 20), input, go_on), Err(finished));
        }
    }
    // Drained: over, whatever the input.
    for input in [None, Some(&standing(60, 0)), Some(&standing(1, 0))] {
        let plan = sends(&closed(50, 50), input, false);
        assert_eq!(plan, Ok(SendPlan::Replace));
    }
}

#[test]
fn what_was_moved_without_notes_has_no_owner() {
    let moved = sent(None, 1, 0, false);
    assert_eq!(send(&moved, None, true), Err(NoNotes));
    assert_eq!(send(&moved, Some(&file(9)), false), Err(NoNotes));
    let found = received(None, 5, 1);
    assert_eq!(recv(&found, None), Err(NoNotes));
    assert_eq!(recv(&found, Some(&file(9))), Err(NoNotes));
}

#[test]
fn recv_starts_where_it_can_append() {
    let found = received(None, 5, 0);
    assert_eq!(receives(&found, None), Ok(RecvPlan::Start));
    for output in [file(0), file(77), standing(0, 0), standing(7, 7)] {
        assert_eq!(receives(&found, Some(&output)), Ok(RecvPlan::Start));
    }
    let not_at_end = Refusal::OutputNotAtEnd { len: 7, offset: 0 };
    assert_eq!(receives(&found, Some(&standing(7, 0))), Err(not_at_end));
}

#[test]
fn recv_goes_on_in_the_same_file_only() {
    let found = received(notes(Some(FILE), 100), 50, 20);
    let into = |output: FileFacts| receives(&found, Some(&output));
    for (len, skip) in [(120, 0), (121, 1), (150, 30)] {
        assert_eq!(into(file(len)), Ok(RecvPlan::Skip(skip)));
        // A description that stands at the end appends just as well.
        assert_eq!(into(standing(len, len)), Ok(RecvPlan::Skip(skip)));
        let not_at_end = Refusal::OutputNotAtEnd { len, offset: 3 };
        assert_eq!(into(standing(len, 3)), Err(not_at_end));
    }
    for output in [file(119), file(0), standing(0, 0)] {
        let (len, needed) = (output.len, 120);
        assert_eq!(into(output), Err(Refusal::OutputShort { len, needed }));
    }
    let (len, most) = (151, 150);
    assert_eq!(into(file(len)), Err(Refusal::OutputLong { len, most }));
    let refused = into(other(120));
    assert!(matches!(refused, Err(Refusal::OutputOther { .. })));
    assert_eq!(receives(&found, None), Ok(RecvPlan::Repeat));
}

#[test]
fn recv_cannot_tell_what_a_file_has_of_a_stream_that_went_to_a_pipe() {
    for released in [0, 20] {
        let found = received(notes(None, 0), 50, released);
        assert_eq!(receives(&found, None), Ok(RecvPlan::Repeat));
        let unknown = Err(Refusal::OutputUnknown);
        assert_eq!(receives(&found, Some(&file(20))), unknown);
    }
}

#[test]
fn an_empty_file_will_do_while_all_of_the_stream_is_in_the_ring() {
    for before in [notes(None, 0), notes(Some(FILE), 0), notes(Some(FILE), 7)] {
        let decide = |released, output| recv(&received(before, 50, released), Some(&output));
        assert_eq!(decide(0, other(0)), Ok(Ok(RecvPlan::Start)));
        // It may have some of it, or cannot have what was released.
        for (released, len) in [(0, 1), (20, 0), (20, 20)] {
            assert!(matches!(decide(released, other(len)), Ok(Err(_))));
        }
    }
    // The file that it went to before lacks what it had.
    let same = recv(&received(notes(Some(FILE), 7), 50, 0), Some(&file(0)));
    assert_eq!(same, Ok(Err(Refusal::OutputShort { len: 0, needed: 7 })));
}

#[test]
fn a_file_is_not_received_into_itself() {
    for old in [None, notes(Some(FILE), 100)] {
        let into = |committed, output: Option<&FileFacts>| {
            let found = received(old, committed, 0);
            let input = Some(FILE);
            recv(&Received { input, ..found }, output)
        };
        assert_eq!(into(50, Some(&file(100))), Ok(Err(Refusal::OutputIsInput)));
        // Nothing would be written.
        let empty = Ok(Ok(if old.is_none() {
            RecvPlan::Start
        } else {
            RecvPlan::Skip(0)
        }));
        assert_eq!(into(0, Some(&file(100))), empty);
        assert_ne!(into(50, Some(&other(100))), Ok(Err(Refusal::OutputIsInput)));
        assert_ne!(into(50, None), Ok(Err(Refusal::OutputIsInput)));
    }
    for (committed, closed) in [(0, false), (50, false), (50, true)] {
        let from = |output, input: Option<&FileFacts>| {
            let found = sent(notes(Some(FILE), 0), committed, 0, closed);
            send(&Sent { output, ..found }, input, true)
        };
        let itself = Ok(Err(Refusal::InputIsOutput));
        assert_eq!(from(Some(FILE), Some(&file(100))), itself);
        for (output, input) in [
            (Some(OTHER), Some(file(100))),
            (None, Some(file(100))),
            (Some(FILE), None),
        ] {
            assert_ne!(from(output, input.as_ref()), itself);
        }
    }
}

#[test]
fn an_output_has_its_length_and_its_name_at_the_end() {
    let now = |len, links| FileFacts { links, ..file(len) };
    let check = |before: u64, len, links| check_at_end(&now(0, before), &now(len, links), 150, 20);
    for len in [150, 151] {
        assert_eq!(check(1, len, 1), Ok(()));
        // It never had a name.
        assert_eq!(check(0, len, 0), Ok(()));
        let held_from = 20;
        assert_eq!(check(1, len, 0), Err(Refusal::OutputUnlinked { held_from }));
    }
    let cut = Refusal::OutputCut {
        len: 149,
        needed: 150,
        held_from: 20,
    };
    for links in [0, 1] {
        assert_eq!(check(links, 149, links), Err(cut));
    }
}

#[test]
fn words_that_no_correct_process_wrote_are_refused() {
    let far = notes(Some(FILE), u64::MAX - 1);
    assert!(receives(&received(far, 50, 20), Some(&file(20))).is_err());
    assert!(sends(&sent(far, 50, 0, false), Some(&file(20)), false).is_err());
    // More released than committed: the ring refuses it earlier, and here nothing overflows.
    let found = sent(notes(None, 0), 5, u64::MAX, true);
    assert!(sends(&found, None, false).is_err());
}

/// Steps left to a process before it is killed, and a source of small numbers.
struct Life<'a> {
    steps: u64,
    numbers: std::iter::Cycle<std::slice::Iter<'a, u8>>,
}

struct Killed;

/// How an incarnation ended otherwise.
enum End {
    Finished,
    Refused(Refusal),
}

impl<'a> Life<'a> {
    fn new(steps: u64, numbers: &'a [u8]) -> Life<'a> {
        Life {
            steps,
            numbers: numbers.iter().cycle(),
        }
    }

    fn step(&mut self) -> Result<(), Killed> {
        self.steps = self.steps.checked_sub(1).ok_or(Killed)?;
        Ok(())
    }

    /// From 1 to `most`.
    fn number(&mut self, most: usize) -> usize {
        let number = usize::from(*self.numbers.next().unwrap_or(&0));
        number % most.max(1) + 1
    }
}

/// A stream between a sender that never dies and a receiver that does, and what it makes of its
/// output file.
struct Receiving {
    stream: Vec<u8>,
    capacity: usize,
    committed: usize,
    released: usize,
    notes: [u64; WORDS],
    file: Vec<u8>,
    removed: bool,
}

impl Receiving {
    fn new(len: usize, capacity: usize, file: Vec<u8>) -> Receiving {
        Receiving {
            stream: stream(len),
            capacity,
            committed: 0,
            released: 0,
            notes: [0; WORDS],
            file,
            removed: false,
        }
    }

    fn decide(&self, facts: &FileFacts) -> Result<RecvPlan, Refusal> {
        let notes = Notes::decode(&self.notes);
        let found = received(notes, self.committed as u64, self.released as u64);
        recv(&found, Some(facts)).expect("what was released without notes?")
    }

    fn facts(&self, append: bool) -> FileFacts {
        let len = self.file.len() as u64;
        if append {
            file(len)
        } else {
            standing(len, len)
        }
    }

    /// The receiver, with a step wherever it can be killed: the mirror of `crate::recv::run`.
    fn incarnation(&mut self, life: &mut Life<'_>, append: bool) -> Result<End, Killed> {
        if !append {
            self.file.clear();
        }
        life.step()?;
        let plan = match self.decide(&self.facts(append)) {
            Ok(plan) => plan,
            Err(refusal) => return Ok(End::Refused(refusal)),
        };
        let (mut noted, mut held) = match plan {
            RecvPlan::Skip(count) => (true, count as usize),
            _ => (false, 0),
        };
        let mut closed = false;
        loop {
            // Once it is seen that the sender has closed, nothing is released before the end.
            closed = closed || (self.committed == self.stream.len() && life.number(2) == 1);
            if held > 0 && !closed {
                life.step()?;
                self.released += held;
                held = 0;
            }
            let room = self.capacity - (self.committed - self.released);
            self.committed =
                (self.committed + life.number(room.max(1)).min(room)).min(self.stream.len());
            let written = self.released + held;
            if written == self.stream.len() {
                life.step()?;
                self.released += held;
                life.step()?;
                self.removed = true;
                return Ok(End::Finished);
            }
            if written == self.committed {
                continue;
            }
            if !noted {
                let notes = Notes {
                    stream: 1,
                    file: Some(FILE),
                    base: self.file.len() as u64,
                };
                for (word, value) in self.notes.iter_mut().zip(notes.encode()) {
                    life.step()?;
                    *word = value;
                }
                noted = true;
            }
            let count = life.number(self.committed - written);
            let chunk = self.stream[written..written + count].to_vec();
            let mut rest = chunk.as_slice();
            while !rest.is_empty() {
                life.step()?;
                let (now, later) = rest.split_at(life.number(rest.len()).min(rest.len()));
                self.file.extend_from_slice(now);
                rest = later;
            }
            held += count;
        }
    }
}

fn stream(len: usize) -> Vec<u8> {
    (0..len).map(|byte| (byte * 7 + byte / 251) as u8).collect()
}

proptest! {
    /// Whenever a receiver is killed, its successors complete the file, each byte once.
    #[test]
    fn a_killed_recv_loses_and_repeats_nothing(
        len in 0usize..60,
        capacity in 1usize..20,
        prefix in 0usize..4,
        lives in vec(0u64..40, 0..8),
        numbers in vec(any::<u8>(), 1..50),
    ) {
        let before = vec![b'#'; prefix];
        let mut world = Receiving::new(len, capacity, before.clone());
        for steps in lives.into_iter().chain([u64::MAX]) {
            match world.incarnation(&mut Life::new(steps, &numbers), true) {
                Err(Killed) => {}
                Ok(End::Finished) => break,
                Ok(End::Refused(refusal)) => prop_assert!(false, "refused: {refusal}"),
            }
        }
        prop_assert!(world.removed);
        prop_assert_eq!(world.file, [before, world.stream].concat());
    }

    /// A restart with `>` is refused exactly when the file had bytes that it should have.
    #[test]
    fn a_truncated_output_is_refused_or_harmless(
        len in 1usize..40,
        capacity in 1usize..20,
        prefix in 0usize..4,
        steps in 0u64..120,
        numbers in vec(any::<u8>(), 1..50),
    ) {
        let mut world = Receiving::new(len, capacity, vec![b'#'; prefix]);
        let first = world.incarnation(&mut Life::new(steps, &numbers), true);
        prop_assume!(first.is_err());
        let needed = Notes::decode(&world.notes).map_or(0, |notes| notes.base)
            + world.released as u64;
        match world.incarnation(&mut Life::new(u64::MAX, &numbers), false) {
            Err(Killed) => unreachable!("it had steps without end"),
            Ok(End::Refused(refusal)) => {
                prop_assert_eq!(refusal, Refusal::OutputShort { len: 0, needed });
                prop_assert!(needed > 0);
            }
            Ok(End::Finished) => {
                prop_assert_eq!(needed, 0);
                prop_assert_eq!(world.file, world.stream);
            }
        }
    }

    /// Whenever a sender is killed, its successors commit the rest of the file, each byte once.
    #[test]
    fn a_killed_send_loses_and_repeats_nothing(
        len in 0usize..60,
        base in 0usize..4,
        lives in vec(0u64..40, 0..8),
        numbers in vec(any::<u8>(), 1..50),
    ) {
        let input = stream(base + len);
        let mut committed: Vec<u8> = Vec::new();
        let mut words = [0; WORDS];
        let mut closed = false;
        // The mirror of `crate::send::run`, with a step wherever it can be killed.
        let mut incarnation = |life: &mut Life<'_>| -> Result<End, Killed> {
            life.step()?;
            // Its caller starts it anew, so its input stands where the first one's stood.
            let facts = standing(input.len() as u64, base as u64);
            let found = sent(Notes::decode(&words), committed.len() as u64, 0, closed);
            let plan = send(&found, Some(&facts), false).expect("committed without notes?");
            let mut at = match plan {
                Err(refusal) => return Ok(End::Refused(refusal)),
                Ok(SendPlan::Complete) => return Ok(End::Finished),
                Ok(SendPlan::Seek(offset)) => offset as usize,
                Ok(SendPlan::Start) => {
                    let notes = Notes { stream: life.steps, file: Some(FILE), base: base as u64 };
                    for (word, value) in words.iter_mut().zip(notes.encode()) {
                        life.step()?;
                        *word = value;
                    }
                    base
                }
                Ok(plan) => unreachable!("{plan:?}"),
            };
            while at < input.len() {
                let count = life.number(9).min(input.len() - at);
                let mut batch = &input[at..at + count];
                at += count;
                while !batch.is_empty() {
                    life.step()?;
                    let (now, later) = batch.split_at(life.number(batch.len()).min(batch.len()));
                    committed.extend_from_slice(now);
                    batch = later;
                }
            }
            life.step()?;
            closed = true;
            life.step()?;
            Ok(End::Finished)
        };
        for steps in lives.into_iter().chain([u64::MAX]) {
            match incarnation(&mut Life::new(steps, &numbers)) {
                Err(Killed) => {}
                Ok(End::Finished) => break,
                Ok(End::Refused(refusal)) => prop_assert!(false, "refused: {refusal}"),
            }
        }
        prop_assert!(closed);
        prop_assert_eq!(&committed, &input[base..]);
    }
}
