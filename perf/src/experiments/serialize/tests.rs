use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed, TestRunner};

use super::format::{Message, Own};
use super::work::{Encoded, comes_back};
use super::*;
use crate::comparison::recorded;
use crate::cost::as_they_must;

/// A format with a fault.
#[derive(Default)]
struct Faulty<const FAULT: u8> {
    sound: Offsets,
    calls: u64,
}

const LOSES_A_BYTE: u8 = 0;
const SWAPS_FIELDS: u8 = 1;
const WRONG_FIELD: u8 = 2;
const TOO_LONG: u8 = 3;
const REFUSES: u8 = 4;
const TIRES: u8 = 5;
const NONE: u8 = 6;

impl<const FAULT: u8> Format<PAYLOAD> for Faulty<FAULT> {
    const NAME: &'static str = "faulty";
    type Own = Message<PAYLOAD>;

    fn encode(&mut self, own: &Self::Own) -> Option<&[u8]> {
        const LONG: &[u8] = &[0; 4096];
        self.calls += 1;
        match FAULT {
            TOO_LONG => Some(LONG),
            REFUSES => None,
            TIRES if self.calls == 50 => None,
            _ => Format::<PAYLOAD>::encode(&mut self.sound, own),
        }
    }

    fn decode(bytes: &[u8]) -> Option<Self::Own> {
        let mut message: Self::Own = <Offsets as Format<PAYLOAD>>::decode(bytes)?;
        match FAULT {
            LOSES_A_BYTE => message.payload[PAYLOAD - 1] ^= 1,
            SWAPS_FIELDS => std::mem::swap(&mut message.x, &mut message.y),
            _ => (),
        }
        Some(message)
    }

    fn field(bytes: &[u8]) -> Option<f64> {
        match FAULT {
            WRONG_FIELD => Self::decode(bytes).map(|message| message.y),
            _ => <Offsets as Format<PAYLOAD>>::field(bytes),
        }
    }
}

#[test]
fn a_format_with_a_fault_is_noticed_before_the_clock_starts() {
    fn pool<const FAULT: u8>() -> Result<(), String> {
        Pool::<Faulty<FAULT>, PAYLOAD>::new(7).map(|_| ())
    }
    assert_eq!(pool::<NONE>(), Ok(()));
    for noticed in [
        pool::<LOSES_A_BYTE>(),
        pool::<SWAPS_FIELDS>(),
        pool::<WRONG_FIELD>(),
        pool::<TOO_LONG>(),
        pool::<REFUSES>(),
    ] {
        let why = noticed.unwrap_err();
        assert!(why.starts_with("faulty: message 0"), "{why}");
    }
}

/// Whether all that a format does again and again gives what it has to.
fn as_expected<F: Format<N>, const N: usize>() -> bool {
    as_they_must(works::<F, N>(3).unwrap())
}

#[test]
fn an_encoder_that_fails_once_in_a_sample_is_noticed() {
    assert!(as_expected::<Faulty<NONE>, PAYLOAD>());
    assert!(!as_expected::<Faulty<TIRES>, PAYLOAD>());
}

/// Does it with every format, with both sizes of message.
macro_rules! of_all {
    ($check:ident) => {
        of_all!($check: Raw, Offsets, View, Rkyv, Flat, Protobuf, Json)
    };
    ($check:ident: $($format:ty),*) => {
        $($check::<$format, 0>(); $check::<$format, PAYLOAD>();)*
    };
}

#[test]
fn every_format_gives_what_it_has_to() {
    fn check<F: Format<N>, const N: usize>() {
        assert!(as_expected::<F, N>(), "{}", F::NAME);
    }
    of_all!(check);
}

#[test]
fn what_a_format_does_not_carry_is_found() {
    fn check<F: Format<N>, const N: usize>() {
        let expected: &[&str] = match F::NAME {
            // What equals the default is not sent, and −0 equals 0.
            "FlatBuffers" | "Protobuf (prost)" => &["−0"],
            "JSON (serde_json)" => &["NaN", "∞"],
            _ => &[],
        };
        assert_eq!(lost::<F, N>(), expected, "{}", F::NAME);
    }
    of_all!(check);
}

/// The same cases in every run.
fn runner(cases: u32) -> TestRunner {
    TestRunner::new(Config {
        cases,
        rng_seed: RngSeed::Fixed(20_240_229),
        failure_persistence: None,
        ..Config::default()
    })
}

/// Any message whose floats all formats carry.
fn messages<const N: usize>() -> impl Strategy<Value = Message<N>> {
    let float = || {
        use proptest::num::f64::{NEGATIVE, NORMAL, POSITIVE, SUBNORMAL};
        prop_oneof![Just(0.0), POSITIVE | NEGATIVE | NORMAL | SUBNORMAL]
    };
    let payload = prop::collection::vec(any::<u8>(), N);
    (any::<u64>(), float(), float(), float(), payload).prop_map(|(ts, x, y, z, payload)| Message {
        ts,
        x,
        y,
        z,
        payload: payload.try_into().unwrap(),
    })
}

#[test]
fn whatever_a_format_carries_comes_back() {
    fn round_trip<F: Format<N>, const N: usize>() {
        let outcome = runner(200).run(&messages::<N>(), |message| {
            let encoded = Encoded::by(&mut F::default(), &F::Own::of(&message));
            prop_assert!(comes_back::<F, N>(encoded.bytes(), &message));
            Ok(())
        });
        outcome.unwrap_or_else(|failure| panic!("{}: {failure}", F::NAME));
    }
    of_all!(round_trip);
}

#[test]
fn bytes_that_are_no_message_do_no_harm() {
    fn survives<F: Format<N>, const N: usize>() {
        let changes = (any::<u64>(), 0.0..1.0, 0.0..1.0, any::<u8>());
        let outcome = runner(500).run(&changes, |(number, cut, at, byte)| {
            let message = Message::<N>::numbered(number);
            let mut encoded = Encoded::by(&mut F::default(), &F::Own::of(&message));
            let len = encoded.bytes().len() as f64;
            // A shorter one is another message or none.
            let cut = (len * cut) as usize;
            prop_assert!(!comes_back::<F, N>(&encoded.bytes()[..cut], &message));
            // A changed one may be any or none; looking must not panic or leave the bytes.
            encoded.set((len * at) as usize, byte);
            F::field(encoded.bytes());
            F::decode(encoded.bytes()).and_then(|own| own.message());
            Ok(())
        });
        outcome.unwrap_or_else(|failure| panic!("{}: {failure}", F::NAME));
    }
    of_all!(survives);
}

#[test]
fn every_line_of_the_tutorial_stands_beside_a_format() {
    let facts = ENTRIES.map(|entry| (entry.facts)(0).unwrap());
    let placed = |name: &str| facts.iter().any(|facts| facts.format == name);
    assert!(conclusions::TUTORIAL.iter().all(|(name, ..)| placed(name)));
}

/// Recorded samples of a format with 32 bytes: encode, decode, field, and of trusted bytes.
type Costs = (&'static str, [f64; 3], Option<f64>);

fn concluded<const N: usize>(costs: [Costs; N], rounds: usize) -> Vec<String> {
    let mut all = Comparison::new(Unit::TIME, 0);
    for (format, costs, trusting) in costs {
        let facts = Facts {
            format,
            size: 32,
            bytes: 32,
            lost: Vec::new(),
            validates: trusting.is_some(),
        };
        let timed = |cost: f64| recorded(Unit::TIME, cost)[..rounds].to_vec();
        let mut series: Vec<Series> = costs.into_iter().map(|cost| Ok(timed(cost))).collect();
        series.push(
            trusting
                .map(timed)
                .ok_or_else(|| NEVER_VALIDATED.to_owned()),
        );
        all.add(facts, series);
    }
    let mut report = Report::new("recorded");
    conclusions::add(&mut report, Ok(vec![0.4; 5]), &[all]);
    report.conclusions
}

#[test]
fn injected_costs_are_named() {
    let said = concluded(
        [
            ("raw copy", [3.0, 3.0, 0.5], None),
            ("hand-written offsets", [3.0, 3.0, 3.0], None),
            ("FlatBuffers", [20.0, 10.0, 8.0], Some(1.0)),
            ("JSON (serde_json)", [250.0, 350.0, 350.0], None),
        ],
        5,
    );
    assert_eq!(
        said,
        [
            "To encode and decode 32 bytes takes 6.00 ns with raw copy; FlatBuffers 5.00 and JSON \
             (serde_json) 100 times as long; hand-written offsets as long within the noise.",
            "One field of 32 bytes takes, of the time to decode them: raw copy 17 % and \
             FlatBuffers 80 %; no sooner than all of it: hand-written offsets and JSON \
             (serde_json).",
            "Whoever trusts the bytes reaches the field of 32 without validation: FlatBuffers in \
             1.00 ns instead of 8.00.",
            "Of 8 published ranges 5 hold here; faster: hand-written offsets, encode 3.00 ns \
             instead of 5–15 and hand-written offsets, decode 3.00 ns instead of 5–15; slower: \
             FlatBuffers, decode 10.0 ns instead of 1–5.",
        ]
    );
}

#[test]
fn flat_samples_are_not_called_an_effect() {
    let said = concluded(
        [
            ("raw copy", [3.0, 3.0, 3.0], None),
            ("rkyv", [3.0, 3.1, 3.0], Some(3.0)),
        ],
        5,
    );
    assert_eq!(
        said,
        [
            "To encode and decode 32 bytes takes 6.00 ns with raw copy; rkyv as long within the \
             noise.",
            "One field of 32 bytes is reached no sooner than all of it: raw copy and rkyv.",
            "Of 2 published ranges 2 hold here.",
        ]
    );
}

#[test]
fn too_few_rounds_say_nothing() {
    let costs = [
        ("raw copy", [1.0, 1.0, 0.5], None),
        ("rkyv", [9.0, 9.0, 1.0], Some(0.5)),
    ];
    assert_eq!(concluded(costs, 3), Vec::<String>::new());
}
