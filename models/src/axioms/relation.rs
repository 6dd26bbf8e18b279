//! Relations over the events of a trace, as bit matrices.

/// As many events as one trace may have: a set of them is one machine word.
pub(super) const EVENTS: usize = 64;

/// The events in a set, from the first.
pub(super) fn members(mut set: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let first = set.trailing_zeros() as usize;
        set &= set.checked_sub(1)?;
        Some(first)
    })
}

/// A relation: bit `b` of row `a` says that `a` is related to `b`.
#[derive(Clone)]
pub(super) struct Relation {
    size: usize,
    rows: [u64; EVENTS],
}

impl Relation {
    /// The empty relation over so many events.
    pub(super) fn new(size: usize) -> Relation {
        Relation {
            size,
            rows: [0; EVENTS],
        }
    }

    pub(super) fn has(&self, a: usize, b: usize) -> bool {
        self.rows[a] >> b & 1 == 1
    }

    pub(super) fn add(&mut self, a: usize, b: usize) {
        self.rows[a] |= 1 << b;
    }

    pub(super) fn add_all(&mut self, a: usize, set: u64) {
        self.rows[a] |= set;
    }

    /// What `a` is related to.
    pub(super) fn after(&self, a: usize) -> u64 {
        self.rows[a]
    }

    /// What is related to `b`.
    pub(super) fn before(&self, b: usize) -> u64 {
        (0..self.size).fold(0, |set, a| set | (self.rows[a] >> b & 1) << a)
    }

    /// The pairs of either.
    pub(super) fn or(mut self, other: &Relation) -> Relation {
        for (row, others) in self.rows.iter_mut().zip(&other.rows) {
            *row |= others;
        }
        self
    }

    /// The pairs of both.
    pub(super) fn and(mut self, other: &Relation) -> Relation {
        for (row, others) in self.rows.iter_mut().zip(&other.rows) {
            *row &= others;
        }
        self
    }

    /// The pairs of this one alone.
    pub(super) fn without(mut self, other: &Relation) -> Relation {
        for (row, others) in self.rows.iter_mut().zip(&other.rows) {
            *row &= !others;
        }
        self
    }

    /// With every event of `set` related to itself.
    pub(super) fn reflexive(mut self, set: u64) -> Relation {
        for a in members(set) {
            self.add(a, a);
        }
        self
    }

    /// The pairs from `from` to `to`.
    pub(super) fn between(mut self, from: u64, to: u64) -> Relation {
        for (a, row) in self.rows.iter_mut().enumerate() {
            *row &= if from >> a & 1 == 1 { to } else { 0 };
        }
        self
    }

    /// First a step of this, then one of the other.
    pub(super) fn then(&self, other: &Relation) -> Relation {
        let mut both = Relation::new(self.size);
        for a in 0..self.size {
            for b in members(self.rows[a]) {
                both.rows[a] |= other.rows[b];
            }
        }
        both
    }

    /// The transitive closure.
    pub(super) fn closed(mut self) -> Relation {
        for middle in 0..self.size {
            let beyond = self.rows[middle];
            for a in 0..self.size {
                if self.has(a, middle) {
                    self.rows[a] |= beyond;
                }
            }
        }
        self
    }

    /// Adds a pair to a transitively closed relation, and closes it again.
    pub(super) fn link(&mut self, a: usize, b: usize) {
        if self.has(a, b) {
            return;
        }
        let beyond = self.rows[b] | 1 << b;
        for before in members(self.before(a) | 1 << a) {
            self.rows[before] |= beyond;
        }
    }

    /// Whether no event is related to itself: that of a closed relation, no cycle.
    pub(super) fn is_irreflexive(&self) -> bool {
        (0..self.size).all(|a| !self.has(a, a))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_closure_follows_every_path_and_shows_cycles() {
        let mut chain = Relation::new(4);
        chain.add(2, 0);
        chain.add(0, 3);
        chain.add(3, 1);
        let mut chain = chain.closed();
        assert_eq!(members(chain.after(2)).collect::<Vec<_>>(), [0, 1, 3]);
        assert_eq!(chain.before(1), 0b1101);
        assert!(chain.is_irreflexive());
        chain.link(1, 2);
        assert!((0..4).all(|a| chain.has(a, a)));
    }

    #[test]
    fn a_link_closes_like_the_closure() {
        let pairs = [(0, 1), (4, 5), (2, 3), (1, 2), (5, 0)];
        let (mut linked, mut added) = (Relation::new(6), Relation::new(6));
        for (a, b) in pairs {
            linked.link(a, b);
            added.add(a, b);
        }
        let closed = added.closed();
        assert!((0..6).all(|a| linked.after(a) == closed.after(a)));
    }

    #[test]
    fn the_last_of_sixty_four_is_a_member() {
        assert_eq!(members(u64::MAX).count(), EVENTS);
        assert_eq!(members(0).count(), 0);
    }
}
