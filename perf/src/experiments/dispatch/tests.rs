use super::*;
use crate::comparison::recorded;
use crate::cost::as_they_must;

/// Whether everything that is timed answers what it has to.
fn as_expected(works: fn(&[Order; 2], u64) -> Works) -> bool {
    let orders = [Order::same(), Order::random(7)];
    as_they_must(works(&orders, 1 << 40))
}

#[test]
fn every_mechanism_leads_to_its_functions() {
    for works in ENTRIES.map(|entry| entry.works) {
        assert!(as_expected(works));
    }
}

/// Leads to another function than it is asked for.
struct Astray(Pointer);

impl Mechanism for Astray {
    const NAME: &'static str = "astray";

    fn make(kind: usize, by: u64) -> Self {
        Astray(Pointer::make(kind.max(1), by))
    }

    fn call(&self, number: u64) -> u64 {
        self.0.call(number)
    }
}

#[test]
fn a_way_that_leads_astray_is_noticed() {
    assert!(!as_expected(works::<Astray>));
}

#[test]
fn every_line_of_the_tutorial_stands_beside_a_mechanism() {
    let placed = |name: &str| ENTRIES.iter().any(|entry| entry.facts.name == name);
    assert!(TUTORIAL.iter().all(|(name, ..)| placed(name)));
}

/// Recorded samples: a call, in no order, made.
type Costs = (&'static str, f64, Option<f64>, Option<f64>);

fn concluded<const N: usize>(costs: [Costs; N], rounds: usize) -> Vec<String> {
    let mut all = Comparison::new(Unit::TIME, 0);
    for (name, called, random, making) in costs {
        let facts = Facts {
            name,
            chooses: random.is_some(),
            makes: making.is_some(),
        };
        let mut called = recorded(Unit::TIME, called);
        called.truncate(rounds);
        let others = [random, making].map(|cost| match cost {
            Some(cost) => Ok(recorded(Unit::TIME, cost)),
            None => Err("there is none".to_owned()),
        });
        all.add(facts, [Ok(called)].into_iter().chain(others).collect());
    }
    Report::recorded(|report| add(report, &all)).conclusions
}

#[test]
fn injected_costs_are_named() {
    let said = concluded(
        [
            ("the empty loop", 0.4, None, None),
            ("direct call", 1.2, None, None),
            ("generic, inlined", 0.6, None, None),
            ("trait object (dyn)", 2.4, Some(12.0), Some(18.0)),
            ("boxed closure", 1.2, Some(1.2), Some(1.2)),
        ],
        5,
    );
    assert_eq!(
        said,
        [
            "A direct call takes 1.20 ns; trait object (dyn) 2.00 times as long; only generic, \
             inlined 0.50 times as long; boxed closure as long within the noise.",
            "Four functions in no order take, in units of the same one again and again: trait \
             object (dyn) 5.00.",
            "Made for one call and dropped, these take longer than the call: trait object (dyn) \
             18.0 ns.",
            "Of 3 published ranges 2 hold here; faster: boxed closure (there std::function \
             (heap)) 1.20 ns instead of 8–15.",
        ]
    );
}

#[test]
fn flat_samples_are_not_called_an_effect() {
    let said = concluded(
        [
            ("the empty loop", 1.0, None, None),
            ("direct call", 1.0, None, None),
            ("function pointer", 1.02, Some(1.0), None),
            ("a callable", 0.99, Some(1.01), Some(1.0)),
        ],
        5,
    );
    assert_eq!(
        said,
        [
            "A direct call takes 1.00 ns; function pointer and a callable as long within the \
             noise.",
            "Four functions in no order take no longer than the same one again and again.",
            "To make a callable for each call takes no longer than to call it.",
            "Of 1 published ranges 1 hold here.",
        ]
    );
}

#[test]
fn too_few_rounds_say_nothing() {
    let costs = [
        ("the empty loop", 1.0, None, None),
        ("direct call", 1.0, None, None),
        ("boxed closure", 5.0, Some(50.0), Some(500.0)),
    ];
    assert_eq!(concluded(costs, 3), Vec::<String>::new());
}
