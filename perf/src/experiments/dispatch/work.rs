//! What is timed: calls of one function, of several in no order, and of one that is made for it.

use std::hint::black_box;
use std::marker::PhantomData;
use std::sync::Arc;

use super::mechanism::{KINDS, Mechanism};
use crate::cost::Work;

/// So many calls go by before their order repeats: more than branch predictors remember.
const CALLS: usize = 1 << 16;

/// Which function is called when.
#[derive(Clone)]
pub(super) struct Order(Arc<[u8; CALLS]>);

impl Order {
    /// Always the first.
    pub(super) fn same() -> Self {
        Order(Arc::new([0; CALLS]))
    }

    /// None that could be foretold; another one for each seed.
    pub(super) fn random(seed: u64) -> Self {
        let mut state = seed | 1;
        let kinds = std::array::from_fn(|_| {
            // An xorshift generator: its high bits look random, and only to predictors they must.
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 60) as u8 % KINDS as u8
        });
        Order(Arc::new(kinds))
    }

    #[inline]
    fn at(&self, index: u64) -> usize {
        // Below KINDS by how it was made; the remainder spares the check in each call.
        usize::from(self.0[index as usize % CALLS]) % KINDS
    }
}

/// Calls, the function of each chosen by an order.
pub(super) struct Calls<M> {
    ways: [M; KINDS],
    by: u64,
    order: Order,
}

impl<M: Mechanism> Calls<M> {
    pub(super) fn new(by: u64, order: Order) -> Self {
        Calls {
            ways: std::array::from_fn(|kind| M::make(if M::CHOOSES { kind } else { 0 }, by)),
            by,
            order,
        }
    }
}

impl<M: Mechanism> Work for Calls<M> {
    fn name(&self) -> String {
        format!("call by {}", M::NAME)
    }

    #[inline]
    fn once(&mut self, index: u64) -> u64 {
        self.ways[self.order.at(index)].call(black_box(index))
    }

    fn expected(&self, index: u64) -> u64 {
        M::answer(self.order.at(index), self.by, index)
    }
}

/// Makes what is called, calls it once, and drops it.
pub(super) struct Making<M> {
    by: u64,
    made: PhantomData<M>,
}

impl<M> Making<M> {
    pub(super) fn new(by: u64) -> Self {
        Making {
            by,
            made: PhantomData,
        }
    }
}

impl<M: Mechanism> Work for Making<M> {
    fn name(&self) -> String {
        format!("make, call and drop {}", M::NAME)
    }

    #[inline]
    fn once(&mut self, index: u64) -> u64 {
        let way = M::make(0, black_box(self.by));
        black_box(&way).call(black_box(index))
    }

    fn expected(&self, index: u64) -> u64 {
        M::answer(0, self.by, index)
    }
}
