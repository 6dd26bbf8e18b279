//! What the threads of one run did: events in program order, not yet what came before what.

use std::fmt;

use super::relation::{EVENTS, Relation, members};
use crate::order::Order;

/// What an event does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The value that a location has from the start.
    Initial(u64),
    /// An atomic load of this value.
    Load(u64),
    /// An atomic store of this value.
    Store(u64),
    /// An atomic read-modify-write.
    Rmw {
        /// The value before.
        read: u64,
        /// The value after.
        written: u64,
    },
    /// A fence.
    Fence,
    /// A read of plain memory.
    PlainRead(u64),
    /// A write of plain memory.
    PlainWrite(u64),
}

impl Kind {
    /// The value that it reads.
    pub(super) fn read(self) -> Option<u64> {
        match self {
            Kind::Load(value) | Kind::PlainRead(value) | Kind::Rmw { read: value, .. } => {
                Some(value)
            }
            _ => None,
        }
    }

    /// The value that it writes.
    pub(super) fn written(self) -> Option<u64> {
        match self {
            Kind::Initial(value)
            | Kind::Store(value)
            | Kind::PlainWrite(value)
            | Kind::Rmw { written: value, .. } => Some(value),
            _ => None,
        }
    }
}

/// One event of a trace.
#[derive(Clone, Copy, Debug)]
pub(super) struct Event {
    /// The thread that made it. An initial value has the one that made the location.
    pub(super) thread: usize,
    /// The location that it accesses. A fence has none; the number means nothing then.
    pub(super) location: usize,
    /// What it does.
    pub(super) kind: Kind,
    /// Its ordering; that of a plain access or an initial value means nothing.
    pub(super) order: Order,
    /// The events right before it in its thread, and at the ends of those that it joined.
    after: u64,
}

impl Event {
    /// Whether it accesses plain memory.
    pub(super) fn is_plain(&self) -> bool {
        matches!(self.kind, Kind::PlainRead(_) | Kind::PlainWrite(_))
    }

    /// Whether it is an atomic access or a fence.
    fn is_atomic(&self) -> bool {
        !self.is_plain() && !self.is_initial()
    }

    pub(super) fn is_initial(&self) -> bool {
        matches!(self.kind, Kind::Initial(_))
    }

    pub(super) fn is_fence(&self) -> bool {
        self.kind == Kind::Fence
    }

    /// Whether it is of a kind that begins a synchronisation.
    pub(super) fn releases(&self) -> bool {
        self.is_atomic() && self.order.releases()
    }

    /// Whether it is of a kind that ends a synchronisation.
    pub(super) fn acquires(&self) -> bool {
        self.is_atomic() && self.order.acquires()
    }

    pub(super) fn is_seq_cst(&self) -> bool {
        self.is_atomic() && matches!(self.order, Order::SeqCst | Order::Light | Order::Heavy)
    }

    /// Whether it is a fence that none but heavy ones know.
    pub(super) fn is_light(&self) -> bool {
        self.is_fence() && self.order == Order::Light
    }

    /// Whether it is one that light fences know.
    pub(super) fn is_heavy(&self) -> bool {
        self.is_fence() && self.order == Order::Heavy
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Event {
            thread, location, ..
        } = self;
        match self.kind {
            Kind::Initial(value) => write!(f, "initially [{location}] = {value}"),
            Kind::Load(value) => {
                write!(f, "{thread}: load [{location}] {} = {value}", self.order)
            }
            Kind::Store(value) => {
                write!(f, "{thread}: store [{location}] {} := {value}", self.order)
            }
            Kind::Rmw { read, written } => {
                let order = self.order;
                write!(f, "{thread}: rmw [{location}] {order} {read} := {written}")
            }
            Kind::Fence => write!(f, "{thread}: fence {}", self.order),
            Kind::PlainRead(value) => write!(f, "{thread}: read [{location}] = {value}"),
            Kind::PlainWrite(value) => write!(f, "{thread}: write [{location}] := {value}"),
        }
    }
}

/// A candidate: what each thread did, with the values that its reads are said to have returned.
/// Which store each of them read from, and in which order the stores came, is for
/// [`Trace::search`] to find.
///
/// Threads and locations are numbers of the caller's choice; each location has an initial value,
/// given before anything else is said of it.
#[derive(Clone, Debug, Default)]
pub(super) struct Trace {
    events: Vec<Event>,
    /// Per thread, the events that its next one comes right after.
    frontiers: Vec<u64>,
}

impl Trace {
    /// Whether no further event fits.
    pub(super) fn is_full(&self) -> bool {
        self.events.len() == EVENTS
    }

    /// The events.
    pub(super) fn events(&self) -> &[Event] {
        &self.events
    }

    /// Adds the next event of a thread.
    ///
    /// # Panics
    /// If the trace [is full](Self::is_full).
    pub(super) fn push(&mut self, thread: usize, location: usize, kind: Kind, order: Order) {
        assert!(!self.is_full(), "a trace has at most {EVENTS} events");
        let number = self.events.len();
        let frontier = self.frontier(thread);
        let after = *frontier;
        // An initial value comes before everything, and after nothing.
        if !matches!(kind, Kind::Initial(_)) {
            *frontier = 1 << number;
        }
        self.events.push(Event {
            thread,
            location,
            kind,
            order,
            after,
        });
    }

    /// Takes the last event back.
    pub(super) fn pop(&mut self) {
        if let Some(event) = self.events.pop() {
            *self.frontier(event.thread) = event.after;
        }
    }

    /// `child` starts here in `parent`.
    pub(super) fn start(&mut self, parent: usize, child: usize) {
        *self.frontier(child) |= *self.frontier(parent);
    }

    /// `child` has ended, and `parent` joins it here.
    pub(super) fn join(&mut self, parent: usize, child: usize) {
        *self.frontier(parent) |= *self.frontier(child);
    }

    fn frontier(&mut self, thread: usize) -> &mut u64 {
        if self.frontiers.len() <= thread {
            self.frontiers.resize(thread + 1, 0);
        }
        &mut self.frontiers[thread]
    }

    /// The set of events of which this is true.
    pub(super) fn all_that(&self, is: impl Fn(&Event) -> bool) -> u64 {
        (self.events.iter().enumerate())
            .filter(|(_, event)| is(event))
            .fold(0, |set, (number, _)| set | 1 << number)
    }

    /// Program order, starts and joins, and that every initial value comes first.
    pub(super) fn program_order(&self) -> Relation {
        let mut order = Relation::new(self.events.len());
        let initial = self.all_that(Event::is_initial);
        for (number, event) in self.events.iter().enumerate() {
            if !event.is_initial() {
                for before in members(event.after | initial) {
                    order.add(before, number);
                }
            }
        }
        order.closed()
    }
}
