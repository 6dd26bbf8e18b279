//! What a call costs by the way that leads to the function.

mod callable;
mod conclusions;
mod mechanism;
#[cfg(test)]
mod tests;
mod work;

use conclusions::Facts;
use mechanism::{Boxed, Direct, Generic, Inline, Mechanism, Nothing, Object, Pointer, Spilled};
use work::{Calls, Making, Order};

use crate::comparison::{Comparison, Unit};
use crate::cost::{Works, measure};
use crate::experiments::Experiment;
use crate::report::{Report, Trouble, build_note};
use crate::run::Settings;

/// The experiment.
pub(crate) const EXPERIMENT: Experiment = Experiment {
    name: "dispatch",
    title: "dispatch",
    subject: "dispatch",
    about: "Ways to a function: direct, generic, dyn, boxed closure, inline type-erased",
    details: "Calls of the same function, of four in no order, and of one that is made for the \
         call, beside published ranges. One thread on the first CPU.",
    run,
    ..Experiment::MEASURES
};

/// One way to a function.
struct Entry {
    facts: Facts,
    works: fn(&[Order; 2], u64) -> Works,
}

const fn entry<M: Mechanism>() -> Entry {
    Entry {
        facts: Facts {
            name: M::NAME,
            chooses: M::CHOOSES,
            makes: M::MAKES,
        },
        works: works::<M>,
    }
}

/// What is timed of a mechanism: calls of the same function; in no order, where there may be
/// several; made for each call, where anything is made.
fn works<M: Mechanism>([same, random]: &[Order; 2], by: u64) -> Works {
    let mut works: Works = vec![Box::new(Calls::<M>::new(by, same.clone()))];
    if M::CHOOSES {
        works.push(Box::new(Calls::<M>::new(by, random.clone())));
    }
    if M::MAKES {
        works.push(Box::new(Making::<M>::new(by)));
    }
    works
}

/// What is measured, in the order of the table: the loop, and what the others are compared with.
const ENTRIES: [Entry; 8] = [
    entry::<Nothing>(),
    entry::<Direct>(),
    entry::<Generic>(),
    entry::<Pointer>(),
    entry::<Object>(),
    entry::<Boxed>(),
    entry::<Inline>(),
    entry::<Spilled>(),
];

/// Measures every mechanism.
///
/// # Errors
/// [`Trouble`]; a call that answers something else than its function does has failed.
pub fn run(settings: &Settings) -> Result<Report, Trouble> {
    let pair = settings.pair()?;
    let by = settings.first_item();
    let orders = [Order::same(), Order::random(by)];
    let rounds = measure("dispatch", pair, settings, || {
        Ok(ENTRIES
            .iter()
            .flat_map(|entry| (entry.works)(&orders, by))
            .collect())
    })?;

    let mut report = Report::new("dispatch: ways to a function that does next to nothing, ns");
    report
        .notes
        .push(format!("one thread, on the first CPU; {pair}"));
    report.add_conditions("", "dispatch", &rounds);
    report.notes.extend(build_note());
    report.notes.extend(NOTES.map(str::to_owned));
    let mut series = rounds.series.into_iter();
    let mut all = Comparison::new(Unit::TIME, 0);
    for Entry { facts, .. } in ENTRIES {
        let mut next = || Ok(series.next().unwrap_or_default());
        let called = next();
        let random = facts.chooses.then(&mut next);
        let making = facts.makes.then(&mut next);
        let known = || Err("the function is known when the call is compiled".to_owned());
        let nothing = || Err("nothing is made at run time".to_owned());
        let series = vec![
            called,
            random.unwrap_or_else(known),
            making.unwrap_or_else(nothing),
        ];
        all.add(facts, series);
    }
    conclusions::add(&mut report, &all);
    Ok(report)
}

const NOTES: [&str; 3] = [
    "median [min–max]; ratios are taken round by round, and the sum of all answers is compared. The \
     empty loop, which reads what to call and hands a number on, is part of every figure.",
    "The function multiplies and adds; it is compiled into its caller only where a line says \
     inlined. No call waits for the answer of the one before: the figures are rates and not \
     latencies. In no order: one of four functions, in a sequence that repeats after 65,536 calls.",
    "Published: from the table of mechanisms in the course that has \"Practical measurements on a \
     typical Linux x86-64 system\" (A of `ipc`), for C++, without a machine, and without saying \
     whether making the callable is in them.",
];
