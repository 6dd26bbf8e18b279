//! Ends made of a segment's parts, over a memory of the harness. Each keeps its claim, but where a trial loses
//! it on purpose.

use ringproof::memory::Native;
use ringproof::{Claim, latch, ring, seqlock};

pub(crate) type Producer<'a, T, M = Native> = ring::Producer<'a, T, M, Option<Claim>>;
pub(crate) type Consumer<'a, T, M = Native> = ring::Consumer<'a, T, M, Option<Claim>>;
pub(crate) type SeqWriter<'a, T, M = Native> = seqlock::SeqWriter<'a, T, M, Option<Claim>>;
pub(crate) type LatchWriter<'a, T, M = Native> = latch::LatchWriter<'a, T, M, Option<Claim>>;
