//! What both ends of a ring must do and report, whoever was there before.

use anyhow::{Context, Result, bail, ensure};
use ringproof::memory::Memory;
use ringproof::ring::{Consumer, Producer};
use ringproof::{PopError, PushError};

use crate::desk::same;
use crate::item::{Author, Item};

/// How far the first `count` of `steps` go.
pub(super) fn reach(steps: &[u64], count: u64) -> Result<u64> {
    let done = steps.get(..count as usize).with_context(|| {
        format!(
            "the index was stored {count} times, the operation allows {}",
            steps.len()
        )
    })?;
    Ok(done.iter().sum())
}

/// After how many of `steps` an index stands where it is, that started elsewhere.
pub(super) fn progress(word: &str, start: u64, steps: &[u64], found: u64) -> Result<u64> {
    let mut ends = vec![start];
    ends.extend(steps.iter().scan(start, |end, step| {
        *end += step;
        Some(*end)
    }));
    let place = ends.iter().position(|end| *end == found);
    let place = place.with_context(|| format!("{word} is {found}, expected one of {ends:?}"))?;
    Ok(place as u64)
}

/// The item at a position, whose author is the first of `authors` that wrote up to a later one; what
/// comes after all of them is by who lives.
pub(super) fn expected(seed: u64, authors: &[(u64, Author)], position: u64) -> Item {
    let author = (authors.iter())
        .find(|(end, _)| position < *end)
        .map_or(Author::Survivor, |(_, author)| *author);
    Item::of(seed, author, position)
}

/// What was found at a position is what must be there.
fn is_at(position: u64, found: Option<Item>, expected: &dyn Fn(u64) -> Item) -> Result<()> {
    let expected = expected(position);
    ensure!(
        found == Some(expected),
        "at position {position}: expected {expected:?}, found {found:?}"
    );
    Ok(())
}

/// Pushes until that is refused: for the reason that is `wanted`, and after as many items; at most
/// as many where the consumer closed the ring, which a producer sees whenever it looks.
pub(super) fn ensure_pushed<M: Memory, K>(
    producer: &mut Producer<'_, Item, M, K>,
    wanted: (u64, PushError),
    expected: &dyn Fn(u64) -> Item,
) -> Result<()> {
    let mut pushed = 0;
    let refused = loop {
        match producer.push(expected(producer.position())) {
            Ok(()) => pushed += 1,
            Err(refused) => break refused,
        }
        ensure!(pushed <= wanted.0, "it takes more than {} items", wanted.0);
    };
    ensure!(
        refused == wanted.1 && (pushed == wanted.0 || refused == PushError::PeerClosed),
        "the producer pushed {pushed} items, then {refused:?}; expected {}, then {:?}",
        wanted.0,
        wanted.1
    );
    Ok(())
}

/// The producer knows whether the consumer closed the ring.
pub(super) fn ensure_stopped<M: Memory, K>(
    producer: &mut Producer<'_, Item, M, K>,
    expected: bool,
) -> Result<()> {
    same(
        "whether the consumer closed the ring",
        producer.is_peer_closed(),
        Ok(expected),
    )
}

/// A consumer that closed the ring takes no more of what was committed up to `written`.
pub(super) fn ensure_takes_no_more<M: Memory, K>(
    consumer: &mut Consumer<'_, Item, M, K>,
    written: u64,
) -> Result<()> {
    same(
        "a pop from a ring closed from this side",
        consumer.pop(),
        Err(PopError::Closed),
    )?;
    let left = written - consumer.position();
    same("items that were not taken", consumer.occupancy()?, left)
}

/// Without taking anything: what was committed up to `written` is there, and right, unless this
/// side closed the ring.
pub(super) fn ensure_sees<M: Memory, K>(
    consumer: &mut Consumer<'_, Item, M, K>,
    written: u64,
    stopped: bool,
    expected: &dyn Fn(u64) -> Item,
) -> Result<()> {
    let (position, found) = (consumer.position(), consumer.occupancy()?);
    same("items that the consumer sees", found, written - position)?;
    if stopped || found == 0 {
        return Ok(());
    }
    let chunk = consumer.peek(found as usize)?;
    for (index, position) in (0..chunk.len()).zip(position..) {
        is_at(position, chunk.get(index), expected)?;
    }
    Ok(())
}

/// Takes the next item, which must be there and the right one.
pub(super) fn take<M: Memory, K>(
    consumer: &mut Consumer<'_, Item, M, K>,
    expected: &dyn Fn(u64) -> Item,
) -> Result<()> {
    let position = consumer.position();
    let found = consumer
        .pop()
        .with_context(|| format!("at position {position}, expected {:?}", expected(position)))?;
    is_at(position, Some(found), expected)
}

/// Both ends live again and pass on items for two laps, one by one and in batches, from full to
/// empty.
pub(super) fn go_on<M: Memory, N: Memory, K, L>(
    producer: &mut Producer<'_, Item, M, K>,
    consumer: &mut Consumer<'_, Item, N, L>,
    expected: &dyn Fn(u64) -> Item,
) -> Result<()> {
    let capacity = producer.capacity();
    let end = producer.position() + 2 * capacity + 1;
    while producer.position() < end {
        let full = consumer.position() + capacity;
        let (one, rest) = (producer.position(), producer.position() + 1);
        if one < full {
            producer
                .push(expected(one))
                .context("a push into a free slot")?;
        }
        if rest < full {
            let items: Vec<_> = (rest..full).map(expected).collect();
            let count = producer
                .push_slice(&items)
                .context("a slice into free slots")?;
            same("items that found room", count, items.len())?;
        }
        same(
            "a full ring",
            producer.push(expected(full)),
            Err(PushError::Full),
        )?;
        take(consumer, expected)?;
        while consumer.position() < full {
            let chunk = consumer.peek(3).context("a look at committed items")?;
            for (index, position) in (0..chunk.len()).zip(chunk.position()..) {
                is_at(position, chunk.get(index), expected)?;
            }
            chunk.release_all();
        }
        same("an empty ring", consumer.pop(), Err(PopError::Empty))?;
    }
    Ok(())
}

/// Takes what is left of a ring that was closed at position `end`.
pub(super) fn finish<M: Memory, K>(
    consumer: &mut Consumer<'_, Item, M, K>,
    end: u64,
    expected: &dyn Fn(u64) -> Item,
) -> Result<()> {
    for _ in 0..=consumer.capacity() {
        let position = consumer.position();
        match consumer.pop() {
            Ok(found) => is_at(position, Some(found), expected)?,
            Err(PopError::PeerClosed) if position == end => return Ok(()),
            Err(PopError::PeerClosed) => {
                bail!("the ring ends at position {position}, not at {end}")
            }
            Err(other) => bail!("at position {position} of a closed ring: {other}"),
        }
    }
    bail!("a closed ring does not end")
}
