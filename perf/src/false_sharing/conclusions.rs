//! What follows from the regimes: where nearness costs, what those have in common, and how far is
//! far enough.

use super::regimes::Told;
use super::{DISTANCES, REFERENCE};

/// A trait tells where nearness costs if the share of regimes that suffer is larger by this with it
/// than without.
const TELLING: f64 = 0.5;

/// How many regimes suffer, and which most.
pub(super) fn where_it_matters(told: &[Told]) -> String {
    let (near, all) = (DISTANCES[0], told.len());
    let by_speed = |one: &&Told, other: &&Told| {
        let speed = |told: &Told| told.nearest().speed.median;
        speed(one).total_cmp(&speed(other))
    };
    let slower = || told.iter().filter(|told| told.nearest().slower());
    let faster = || told.iter().filter(|told| told.nearest().faster());
    let mut text = match slower().min_by(by_speed) {
        Some(worst) => format!(
            "The ring's indices on one line, {near} bytes apart instead of {REFERENCE}, make it \
             slower in {} of {all} regimes, most ({}) where: {}.",
            slower().count(),
            worst.nearest().percent(),
            worst.regime
        ),
        None => format!(
            "The ring's indices {near} bytes apart instead of {REFERENCE}: in none of {all} \
             regimes does that cost anything that stands out of the noise."
        ),
    };
    if let Some(best) = faster().max_by(by_speed) {
        text += &format!(
            " One line is faster in {}, most ({}) where: {}.",
            faster().count(),
            best.nearest().percent(),
            best.regime
        );
    }
    text
}

/// What most of the regimes that suffer have in common and others have not: one trait or two.
pub(super) fn what_decides(told: &[Told]) -> Option<String> {
    let mut traits: Vec<(usize, String)> = (told.iter())
        .flat_map(|told| told.regime.traits().into_iter().enumerate())
        .collect();
    traits.sort();
    traits.dedup();
    let single = traits.iter().map(|one| vec![one]);
    let double = traits.iter().flat_map(|one| {
        let others = traits.iter().filter(move |other| one.0 < other.0);
        others.map(move |other| vec![one, other])
    });
    // How many suffer with and without, and of how many.
    let suffer = |wanted: &[&(usize, String)]| {
        let mut counts = [(0, 0); 2];
        for told in told {
            let traits = told.regime.traits();
            let has = wanted
                .iter()
                .all(|(choice, value)| traits[*choice] == *value);
            let (slower, all) = &mut counts[usize::from(!has)];
            *slower += usize::from(told.nearest().slower());
            *all += 1;
        }
        counts
    };
    // How many regimes it is right about to say "slower with, and not slower without".
    let right = |[(slower, _), (slower_elsewhere, elsewhere)]: [(usize, usize); 2]| {
        slower + elsewhere - slower_elsewhere
    };
    let mut best: Option<(Vec<_>, [(usize, usize); 2])> = None;
    for wanted in single.chain(double) {
        let counts = suffer(&wanted);
        // Two traits have to be right more often than one.
        if (best.as_ref()).is_none_or(|(_, best)| right(counts) > right(*best)) {
            best = Some((wanted, counts));
        }
    }
    let (wanted, [(slower, all), (slower_elsewhere, elsewhere)]) = best?;
    // What all have in common tells none apart.
    if all == 0 || elsewhere == 0 {
        return None;
    }
    let share = |part: usize, of: usize| part as f64 / of as f64;
    if share(slower, all) - share(slower_elsewhere, elsewhere) < TELLING {
        return None;
    }
    let wanted: Vec<&str> = wanted.iter().map(|(_, value)| value.as_str()).collect();
    Some(format!(
        "It is a matter of {}: of the regimes with that {slower} of {all} are slower, of the others \
         {slower_elsewhere} of {elsewhere}.",
        wanted.join(" and ")
    ))
}

/// From which distance on more of it gains nothing.
pub(super) fn how_far(distances: &[usize], told: &[Told]) -> Option<String> {
    let slower_at = |index: usize| {
        let slower = told.iter().filter(|told| told.compared[index].slower());
        slower.count()
    };
    let line = distances.iter().position(|distance| *distance == 64)?;
    let before = (0..line).map(slower_at).max()?;
    if before == 0 {
        return None;
    }
    let counts = (line..distances.len())
        .filter(|index| distances[*index] != REFERENCE)
        .map(|index| {
            let slower = told.iter().filter(|told| told.compared[index].slower());
            let worst = slower.min_by(|one, other| {
                let speed = |told: &Told| told.compared[index].speed.median;
                speed(one).total_cmp(&speed(other))
            });
            let at = format!("{} at {} bytes", slower_at(index), distances[index]);
            worst.map_or(at.clone(), |worst| {
                format!(
                    "{at} (most, {}: {})",
                    worst.compared[index].percent(),
                    worst.regime
                )
            })
        });
    Some(format!(
        "Slower than at {REFERENCE} bytes are up to {before} of {} regimes with both indices in one \
         line; {}.",
        told.len(),
        counts.collect::<Vec<_>>().join("; ")
    ))
}
