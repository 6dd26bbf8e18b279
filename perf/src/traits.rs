//! What most of those have in common that something happens to, and others have not.

/// Traits decide if the share of those that it happens to is larger by this with them than without.
const DECIDE: f64 = 0.5;

/// To how many it happens, and of how many.
type Share = (usize, usize);

/// The trait, or the two, by which it is best foretold which it happens to; and to how many it does, of how
/// many, with them and without.
pub(crate) fn deciding<const N: usize>(
    things: &[([String; N], bool)],
) -> Option<(Vec<&str>, [Share; 2])> {
    let mut traits: Vec<(usize, &str)> = (things.iter())
        .flat_map(|(traits, _)| traits.iter().map(String::as_str).enumerate())
        .collect();
    traits.sort_unstable();
    traits.dedup();
    let sets = traits.iter().enumerate().flat_map(|(at, one)| {
        // The others of another choice.
        let more = traits[at..].iter().filter(move |other| one.0 < other.0);
        let two = more.map(move |other| vec![*one, *other]);
        [vec![*one]].into_iter().chain(two)
    });
    let mut sets: Vec<_> = sets.collect();
    sets.sort_by_key(Vec::len);
    // To how many it happens with and without, and of how many.
    let count = |wanted: &[(usize, &str)]| {
        let mut counts = [(0, 0); 2];
        for (traits, happens) in things {
            let has = |(choice, value): &(usize, &str)| traits[*choice] == *value;
            let (some, all) = &mut counts[usize::from(!wanted.iter().all(has))];
            *some += usize::from(*happens);
            *all += 1;
        }
        counts
    };
    // Of how many it is right to say "with it happens, and without it does not".
    let right = |[(some, _), (elsewhere, others)]: [Share; 2]| some + others - elsewhere;
    let counted = sets.into_iter().map(|wanted| (count(&wanted), wanted));
    // Two traits have to be right more often than one: of equals the first counts.
    let best = counted.reduce(|best, one| match right(one.0) > right(best.0) {
        true => one,
        false => best,
    });
    let (counts, wanted) = best?;
    let share = |(some, all): Share| (all > 0).then(|| some as f64 / all as f64);
    // What all have in common distinguishes none.
    let [with, without] = counts.map(share);
    let decides = with? - without? >= DECIDE;
    decides.then(|| (wanted.into_iter().map(|(_, value)| value).collect(), counts))
}
