//! How a peer stands beside ringproof: what is said of it, and what is not.

use ringproof_perf::report::per_mille;
use ringproof_perf::stats::{Effect, Ratio};
use ringproof_perf::table::figure;

/// One thing that a peer and ringproof both did.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Standing {
    /// Who did it.
    pub(crate) peer: String,
    /// What it was.
    pub(crate) what: String,
    /// The peer's rate as a multiple of ringproof's, round by round.
    pub(crate) ratio: Ratio,
}

/// Who of the peers is faster or slower than `ours`, in how many comparisons and where most: a
/// sentence for each. Of one that makes no difference nothing is said.
pub(crate) fn conclude(ours: &str, compared: &[Standing]) -> Vec<String> {
    let mut peers: Vec<&str> = Vec::new();
    for one in compared {
        if !peers.contains(&one.peer.as_str()) {
            peers.push(&one.peer);
        }
    }
    let sentence = |peer: &&str| {
        let of_peer = || compared.iter().filter(|one| one.peer == **peer);
        let those = |wanted: Effect| {
            let those = of_peer().filter(|one| one.ratio.effect == wanted);
            let those = those.map(|one| (one.ratio.of.median, one.what.as_str()));
            let mut those: Vec<(f64, &str)> = those.collect();
            those.sort_by(|one, other| one.0.total_cmp(&other.0));
            those
        };
        let (slower, faster) = (those(Effect::Below), those(Effect::Above));
        let most = |how: &str, all: usize, most: Option<&(f64, &str)>| {
            let (ratio, what) = most?;
            Some(format!(
                "{how} in {all}, most at {what}: {}",
                times(*ratio, ours)
            ))
        };
        let faster = most("faster", faster.len(), faster.last());
        let slower = most("slower", slower.len(), slower.first());
        let said: Vec<String> = faster.into_iter().chain(slower).collect();
        (!said.is_empty()).then(|| {
            let (all, said) = (of_peer().count(), said.join("; "));
            format!("{peer} beside {ours}, of {all} comparisons: {said}.")
        })
    };
    peers.iter().filter_map(sentence).collect()
}

fn times(ratio: f64, ours: &str) -> String {
    if ratio == 0.0 {
        format!("nothing where {ours} goes on")
    } else if ratio.is_infinite() {
        format!("something where {ours} starves")
    } else {
        format!("{} times its rate", figure(ratio))
    }
}

/// A ratio for a row: in thousandths, and what they are of.
pub(crate) fn row_count(ratio: f64, ours: &str) -> Option<(u64, String)> {
    (ratio.is_finite()).then(|| (per_mille(ratio), format!("‰ of {ours}'s rate")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compared(peer: &str, what: &str, ratios: &[f64]) -> Standing {
        Standing {
            peer: peer.to_owned(),
            what: what.to_owned(),
            ratio: Ratio::of(ratios, &vec![1.0; ratios.len()]).unwrap(),
        }
    }

    /// About so many times ringproof's rate.
    fn about(ratio: f64) -> [f64; 5] {
        [1.0, 0.98, 1.03, 0.99, 1.01].map(|noise| ratio * noise)
    }

    #[test]
    fn who_is_faster_or_slower_is_named_with_where_it_is_most() {
        let said = conclude(
            "ringproof",
            &[
                compared("quick", "one by one", &about(1.3)),
                compared("quick", "slices", &about(2.0)),
                compared("mixed", "one by one", &about(0.5)),
                compared("mixed", "slices", &about(1.2)),
                compared("quick", "in place", &about(1.0)),
            ],
        );
        assert_eq!(
            said,
            [
                "quick beside ringproof, of 3 comparisons: faster in 2, most at slices: 2.00 \
                 times its rate.",
                "mixed beside ringproof, of 2 comparisons: faster in 1, most at slices: 1.20 \
                 times its rate; slower in 1, most at one by one: 0.50 times its rate.",
            ]
        );
    }

    #[test]
    fn nothing_is_said_of_equals_nor_of_noise_nor_after_too_few_rounds() {
        let said = conclude(
            "ringproof",
            &[
                compared("equal", "one by one", &about(1.0)),
                compared("noisy", "one by one", &[0.4, 1.9, 0.5, 1.6, 1.4]),
                compared("hasty", "one by one", &[3.0; 4]),
                compared("both starve", "reads", &[f64::NAN; 5]),
            ],
        );
        assert!(said.is_empty(), "{said:?}");
    }

    #[test]
    fn a_reader_that_starves_is_slower_than_any() {
        let reads = |peer, ratio| compared(peer, "reads", &[ratio; 5]);
        let said = conclude("seqlock", &[reads("on", f64::INFINITY), reads("off", 0.0)]);
        assert_eq!(
            said,
            [
                "on beside seqlock, of 1 comparisons: faster in 1, most at reads: something where \
                 seqlock starves.",
                "off beside seqlock, of 1 comparisons: slower in 1, most at reads: nothing where \
                 seqlock goes on.",
            ]
        );
    }
}
