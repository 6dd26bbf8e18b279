//! The axioms, and the search for the executions of a trace that keep them.

use std::fmt;

use super::relation::{Relation, members};
use super::trace::{Event, Trace};

/// Which axioms hold. [`Rules::CPP20`] is the memory model of C++20 and Rust; the others are for
/// comparison, and for tests that show what each axiom is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// A release store, seen by an acquire load, synchronises.
    pub synchronises: bool,
    /// A fence releases for the stores after it and acquires for the loads before it.
    pub fences: bool,
    /// A read-modify-write continues the release sequence of the store that it read from.
    pub release_sequences: bool,
    /// Coherence: of two writes of one location, the one that happened before comes before.
    pub write_write: bool,
    /// Coherence: a read sees no write older than one that happened before it.
    pub write_read: bool,
    /// Coherence: a read sees no write that happens after it, nor one that came after such.
    pub read_write: bool,
    /// Coherence: of two reads, the one that happened before sees no newer write.
    pub read_read: bool,
    /// Nothing comes between a read-modify-write and the write that it read from.
    pub atomicity: bool,
    /// The partial order of SeqCst events has no cycle, by the parts that begin or end with an
    /// access.
    pub seq_cst_accesses: bool,
    /// The same for those from fence to fence.
    pub seq_cst_fences: bool,
    /// Not in C++20: until C++17 a later store of the same thread continued a release sequence.
    pub own_stores_continue: bool,
    /// Not in C++20: RC11 forbids cycles of program order and reads-from.
    pub no_load_buffering: bool,
}

impl Rules {
    /// C++20, and therefore Rust.
    pub const CPP20: Rules = Rules {
        synchronises: true,
        fences: true,
        release_sequences: true,
        write_write: true,
        write_read: true,
        read_write: true,
        read_read: true,
        atomicity: true,
        seq_cst_accesses: true,
        seq_cst_fences: true,
        own_stores_continue: false,
        no_load_buffering: false,
    };
    /// The model of Lahav et al., 2017.
    pub const RC11: Rules = Rules {
        own_stores_continue: true,
        no_load_buffering: true,
        ..Rules::CPP20
    };
}

impl Default for Rules {
    fn default() -> Rules {
        Rules::CPP20
    }
}

/// How a search goes on after an execution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// With the next execution, which may differ in the order of stores alone.
    Execution,
    /// With the next one in which some read reads from another store.
    Reads,
    /// Not at all.
    Stop,
}

/// One consistent execution of a trace.
pub(super) struct Execution<'a> {
    trace: &'a Trace,
    from: &'a [Option<usize>],
    happens_before: &'a Relation,
    stores: &'a Relation,
}

/// Two conflicting accesses, at least one of them plain, of which neither happens before the
/// other. Numbers of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Race(usize, usize);

impl fmt::Display for Race {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Race(a, b) = self;
        write!(f, "nothing orders ({a}) and ({b})")
    }
}

impl Execution<'_> {
    /// A data race in it.
    pub(super) fn race(&self) -> Option<Race> {
        let events = self.trace.events();
        for (a, first) in events.iter().enumerate() {
            for (b, second) in events.iter().enumerate().skip(a + 1) {
                if first.location == second.location
                    && !first.is_fence()
                    && !second.is_fence()
                    && (first.is_plain() || second.is_plain())
                    && (first.kind.written().is_some() || second.kind.written().is_some())
                    && !self.happens_before.has(a, b)
                    && !self.happens_before.has(b, a)
                {
                    return Some(Race(a, b));
                }
            }
        }
        None
    }

    /// Whether no wake follows a wait in its queue.
    pub(super) fn is_last(&self, queue: usize, wait: usize) -> bool {
        let wakes = |event: &Event| {
            let steps = event.kind.read().zip(event.kind.written());
            event.location == queue && steps.is_some_and(|(read, written)| written - read > 1)
        };
        self.stores.after(wait) & self.trace.all_that(wakes) == 0
    }

    /// The writes of a location in their order.
    fn stores(&self, location: usize) -> Vec<usize> {
        let writes = writes(self.trace, location);
        let mut stores: Vec<_> = members(writes).collect();
        stores.sort_by_key(|&store| (self.stores.before(store) & writes).count_ones());
        stores
    }
}

/// The events by number, each read with the number of the write that it reads from, and the
/// order of the writes where there are several of a location besides its first value.
impl fmt::Display for Execution<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let events = self.trace.events();
        for (number, event) in events.iter().enumerate() {
            let separator = if number == 0 { "" } else { ", " };
            write!(f, "{separator}({number}) {event}")?;
            if let Some(from) = self.from[number] {
                write!(f, " from ({from})")?;
            }
        }
        for event in events.iter().filter(|event| event.is_initial()) {
            let stores = self.stores(event.location);
            if stores.len() > 2 {
                write!(f, "; order of writes of [{}]:", event.location)?;
                for store in stores {
                    write!(f, " ({store})")?;
                }
            }
        }
        Ok(())
    }
}

fn writes(trace: &Trace, location: usize) -> u64 {
    trace.all_that(|event| event.location == location && event.kind.written().is_some())
}

impl Trace {
    /// Visits every consistent execution of this trace once, until a visit ends the search.
    ///
    /// The reads in `open` are left without a write: it is still to come. As no axiom forbids
    /// with fewer events, or fewer pairs, what it allows with more, a trace without an execution
    /// has none either once it has gone on.
    pub(super) fn search(
        &self,
        rules: Rules,
        open: u64,
        visit: impl FnMut(&Execution<'_>) -> Next,
    ) {
        if let Some(mut search) = Search::new(self, rules, open, visit) {
            search.choose_reads(0);
        }
    }

    /// Whether there is a consistent execution.
    pub(super) fn is_consistent(&self, rules: Rules, open: u64) -> bool {
        let mut found = false;
        self.search(rules, open, |_| {
            found = true;
            Next::Stop
        });
        found
    }
}

/// What reads may read from, and what does not depend on that.
struct Search<'t, V> {
    trace: &'t Trace,
    rules: Rules,
    visit: V,
    /// Program order with starts and joins.
    order: Relation,
    /// Reads and the writes that they may read from; those without a choice come first.
    choices: Vec<(usize, u64)>,
    /// How many reads have no choice.
    forced: usize,
    from: Vec<Option<usize>>,
    /// Per write, the events of its thread that release by it.
    heads: Vec<u64>,
    /// Per read, the events of its thread that acquire by it.
    tails: Vec<u64>,
    /// The accesses of each location, and which of them write.
    locations: Vec<(u64, u64)>,
    seq_cst: u64,
}

impl<'t, V: FnMut(&Execution<'_>) -> Next> Search<'t, V> {
    /// `None` if some read can read from nothing.
    fn new(trace: &'t Trace, rules: Rules, open: u64, visit: V) -> Option<Self> {
        let events = trace.events();
        let order = trace.program_order();
        let mut search = Search {
            trace,
            rules,
            visit,
            choices: Vec::new(),
            forced: 0,
            from: vec![None; events.len()],
            heads: vec![0; events.len()],
            tails: vec![0; events.len()],
            locations: Vec::new(),
            seq_cst: trace.all_that(Event::is_seq_cst),
            order,
        };
        for event in events.iter().filter(|event| event.is_initial()) {
            let here = |other: &Event| other.location == event.location && !other.is_fence();
            let accesses = trace.all_that(here);
            (search.locations).push((accesses, writes(trace, event.location)));
        }
        for (number, event) in events.iter().enumerate() {
            search.heads[number] = search.heads_of(number, event);
            search.tails[number] = search.tails_of(number, event);
            if let Some(value) = event.kind.read()
                && open >> number & 1 == 0
            {
                let sources = trace.all_that(|other| {
                    other.location == event.location && other.kind.written() == Some(value)
                }) & !(1 << number);
                if sources == 0 {
                    return None;
                }
                search.choices.push((number, sources));
            }
        }
        let choices = &mut search.choices;
        choices.sort_by_key(|(_, sources)| sources.count_ones());
        search.forced = choices
            .iter()
            .filter(|(_, sources)| sources.count_ones() == 1)
            .count();
        Some(search)
    }

    /// The write itself and the fences before it, as far as they release.
    fn heads_of(&self, number: usize, event: &Event) -> u64 {
        if event.is_plain() || event.is_initial() || event.kind.written().is_none() {
            return 0;
        }
        let own =
            |other: &Event| other.thread == event.thread && other.releases() && other.is_fence();
        let mut heads = 0;
        if self.rules.fences {
            heads |= self.order.before(number) & self.trace.all_that(own);
        }
        if self.rules.synchronises && event.releases() {
            heads |= 1 << number;
        }
        heads
    }

    /// The read itself and the fences after it, as far as they acquire.
    fn tails_of(&self, number: usize, event: &Event) -> u64 {
        if event.is_plain() || event.kind.read().is_none() {
            return 0;
        }
        let own =
            |other: &Event| other.thread == event.thread && other.acquires() && other.is_fence();
        let mut tails = 0;
        if self.rules.fences {
            tails |= self.order.after(number) & self.trace.all_that(own);
        }
        if self.rules.synchronises && event.acquires() {
            tails |= 1 << number;
        }
        tails
    }

    /// Chooses what each read from the `next` on reads from, depth first.
    fn choose_reads(&mut self, next: usize) -> Next {
        // Reads without a choice are judged together, before the first one with a choice.
        let mut consistent = None;
        if next >= self.forced {
            consistent = self.consistent();
            if consistent.is_none() {
                return Next::Execution;
            }
        }
        match (self.choices.get(next).copied(), consistent) {
            (Some((read, sources)), _) => {
                for source in members(sources) {
                    self.from[read] = Some(source);
                    let flow = self.choose_reads(next + 1);
                    self.from[read] = None;
                    if flow == Next::Stop {
                        return Next::Stop;
                    }
                }
                Next::Execution
            }
            (None, Some((happens_before, stores))) => {
                match self.order_stores(&happens_before, stores) {
                    Next::Stop => Next::Stop,
                    Next::Reads | Next::Execution => Next::Execution,
                }
            }
            (None, None) => unreachable!("no more reads are forced than there are"),
        }
    }

    /// Happens-before and what is known of the order of stores, given what the reads chosen so
    /// far read from. `None` if that breaks an axiom.
    fn consistent(&self) -> Option<(Relation, Relation)> {
        if self.rules.no_load_buffering && !self.without_load_buffering() {
            return None;
        }
        let happens_before = self.happens_before()?;
        let mut stores = Relation::new(self.trace.events().len());
        for &(accesses, written) in &self.locations {
            self.order_by_coherence(accesses, written, &happens_before, &mut stores)?;
        }
        let stores = self.saturate(stores)?;
        Some((happens_before, stores))
    }

    /// Whether program order and reads-from have no cycle together.
    fn without_load_buffering(&self) -> bool {
        let mut order = self.order.clone();
        for (read, from) in self.from.iter().enumerate() {
            if let Some(from) = from {
                order.add(*from, read);
            }
        }
        order.closed().is_irreflexive()
    }

    /// Program order, starts, joins and synchronisations, closed. `None` if it has a cycle.
    fn happens_before(&self) -> Option<Relation> {
        let mut happens_before = self.order.clone();
        for (read, &from) in self.from.iter().enumerate() {
            let Some(write) = from else { continue };
            if self.tails[read] == 0 {
                continue;
            }
            for head in members(self.releasing(write)?) {
                for tail in members(self.tails[read]) {
                    happens_before.link(head, tail);
                }
            }
        }
        happens_before.is_irreflexive().then_some(happens_before)
    }

    /// The events that release to whoever reads from `write`: those of each write whose release
    /// sequence it is in. `None` if read-modify-writes read from each other in a circle.
    fn releasing(&self, mut write: usize) -> Option<u64> {
        let (mut heads, mut seen) = (0, 0u64);
        loop {
            if seen >> write & 1 == 1 {
                return None;
            }
            seen |= 1 << write;
            heads |= self.heads[write];
            if self.rules.own_stores_continue {
                let event = &self.trace.events()[write];
                let own = self.trace.all_that(|other| {
                    other.thread == event.thread && other.location == event.location
                });
                for earlier in members(own & self.order.before(write)) {
                    heads |= self.heads[earlier];
                }
            }
            match self.from[write] {
                Some(from) if self.rules.release_sequences => write = from,
                _ => return Some(heads),
            }
        }
    }

    /// Adds what coherence demands of the order of one location's stores: that each access
    /// stands, in that order, not before those that happened before it, where a read stands at
    /// the write that it reads from. `None` where it stands at a write that happens after it.
    fn order_by_coherence(
        &self,
        accesses: u64,
        written: u64,
        happens_before: &Relation,
        stores: &mut Relation,
    ) -> Option<()> {
        for a in members(accesses) {
            let writes_a = written >> a & 1 == 1;
            let Some(stands_a) = self.stands(a, writes_a) else {
                continue;
            };
            if writes_a && let Some(from) = self.from[a] {
                // A read-modify-write comes after what it read.
                stores.add(from, a);
            }
            for b in members(happens_before.after(a) & accesses) {
                let writes_b = written >> b & 1 == 1;
                let Some(stands_b) = self.stands(b, writes_b) else {
                    continue;
                };
                let demanded = self.trace.events()[a].is_initial()
                    || match (writes_a, writes_b) {
                        (true, true) => self.rules.write_write,
                        (true, false) => self.rules.write_read,
                        (false, true) => self.rules.read_write,
                        (false, false) => self.rules.read_read,
                    };
                if demanded && stands_a != stands_b {
                    stores.add(stands_a, stands_b);
                } else if demanded && stands_a == b {
                    // It reads from a write that happens after it.
                    return None;
                }
            }
        }
        Some(())
    }

    fn stands(&self, access: usize, writes: bool) -> Option<usize> {
        match writes {
            true => Some(access),
            false => self.from[access],
        }
    }

    /// Closes an order of stores, where a read-modify-write stands right behind the write that it
    /// read from. `None` if there is no such order. What is found can always be completed: take
    /// each write together with the read-modify-writes behind it as one, and sort.
    fn saturate(&self, mut stores: Relation) -> Option<Relation> {
        let atomic: Vec<(usize, usize)> = (self.from.iter().enumerate())
            .filter(|&(number, _)| self.trace.events()[number].kind.written().is_some())
            .filter_map(|(number, from)| from.map(|from| (from, number)))
            .filter(|_| self.rules.atomicity)
            .collect();
        loop {
            stores = stores.closed();
            if !stores.is_irreflexive() {
                return None;
            }
            let mut grew = false;
            for &(write, update) in &atomic {
                let behind = stores.after(write) & !(1 << update);
                grew |= behind & !stores.after(update) != 0;
                stores.add_all(update, behind);
                let before = stores.before(update) & !(1 << write);
                for earlier in members(before & !stores.before(write)) {
                    grew = true;
                    stores.add(earlier, write);
                }
            }
            if !grew {
                return Some(stores);
            }
        }
    }

    /// Completes the order of stores in each possible way, and visits those that keep the axioms
    /// of SeqCst.
    fn order_stores(&mut self, happens_before: &Relation, stores: Relation) -> Next {
        if let Some((a, b)) = self.unordered(&stores) {
            for (first, second) in [(a, b), (b, a)] {
                let mut stores = stores.clone();
                stores.add(first, second);
                if let Some(stores) = self.saturate(stores) {
                    match self.order_stores(happens_before, stores) {
                        Next::Execution => {}
                        other => return other,
                    }
                }
            }
            return Next::Execution;
        }
        if !self.seq_cst_is_acyclic(happens_before, &stores) {
            return Next::Execution;
        }
        (self.visit)(&Execution {
            trace: self.trace,
            from: &self.from,
            happens_before,
            stores: &stores,
        })
    }

    /// Two stores to one location whose order is open.
    fn unordered(&self, stores: &Relation) -> Option<(usize, usize)> {
        self.locations.iter().find_map(|&(_, written)| {
            members(written).find_map(|a| {
                let known = stores.after(a) | stores.before(a) | 1 << a;
                members(written & !known).next().map(|b| (a, b))
            })
        })
    }

    /// The axiom of SeqCst of RC11: `psc` has no cycle.
    fn seq_cst_is_acyclic(&self, happens_before: &Relation, stores: &Relation) -> bool {
        let seq_cst = self.seq_cst;
        let light = self.trace.all_that(Event::is_light);
        if seq_cst.count_ones() < 2 || seq_cst == light {
            return true;
        }
        let events = self.trace.events();
        let all = self.trace.all_that(|_| true);
        let fences = self.trace.all_that(Event::is_fence) & seq_cst;
        let accesses = seq_cst & !fences;

        let mut same_location = Relation::new(events.len());
        for &(here, _) in &self.locations {
            for a in members(here) {
                same_location.add_all(a, here);
            }
        }
        let mut same_thread = Relation::new(events.len());
        let mut reads_before = Relation::new(events.len());
        let mut reads_from = Relation::new(events.len());
        for (number, event) in events.iter().enumerate() {
            same_thread.add_all(number, self.trace.all_that(|e| e.thread == event.thread));
            if let Some(from) = self.from[number] {
                reads_from.add(from, number);
                reads_before.add_all(number, stores.after(from) & !(1 << number));
            }
        }
        let order = self.order.clone().and(&same_thread);
        let elsewhere = order.clone().without(&same_location);
        let coherence = stores.clone().or(&reads_before);

        // scb = sb ∪ sb≠loc ; hb ; sb≠loc ∪ hb=loc ∪ mo ∪ rb
        let scb = order
            .or(&elsewhere.then(happens_before).then(&elsewhere))
            .or(&happens_before.clone().and(&same_location))
            .or(&coherence);
        let eventually = happens_before.clone().reflexive(all);
        let mut psc = Relation::new(events.len());
        if self.rules.seq_cst_accesses {
            // ([Esc] ∪ [Fsc] ; hb?) ; scb ; ([Esc] ∪ hb? ; [Fsc])
            let begin = (eventually.clone().between(fences, all)).reflexive(accesses);
            let end = (eventually.clone().between(all, fences)).reflexive(accesses);
            psc = psc.or(&begin.then(&scb).then(&end));
        }
        if self.rules.seq_cst_fences {
            // [Fsc] ; (hb ∪ hb ; eco ; hb) ; [Fsc]
            let eco = coherence.or(&reads_from).closed();
            let around = happens_before.then(&eco).then(happens_before);
            psc = psc.or(&around.or(happens_before).between(fences, fences));
        }
        // A light fence and a heavy one know each other; a light one and any other do not.
        let heavy = self.trace.all_that(Event::is_heavy);
        let to_heavy = psc.clone().between(light, heavy);
        let to_light = psc.clone().between(heavy, light);
        let psc = psc.between(!light, !light).or(&to_heavy).or(&to_light);
        psc.closed().is_irreflexive()
    }
}
