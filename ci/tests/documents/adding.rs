//! The lists in CONTRIBUTING.md of what a new site and a new kind of access take are those of the sites and
//! kinds that there are.

use std::collections::{BTreeMap, BTreeSet};

use crate::{files, read};

const SITE: &str = "Adding a site";
const KIND: &str = "Adding a kind of access";

/// The words of each file.
type Sources = BTreeMap<String, BTreeSet<String>>;

/// What may know sites: what ships, and the programs of the harness, without their tests.
fn sources() -> Sources {
    let folders = ["impl/src", "models/src", "stress/src"];
    let sources = folders.iter().flat_map(|folder| files(folder, ".rs"));
    let others = ["impl/ABI.md", "impl/ffi/include/ringproof.h"].map(str::to_owned);
    let paths = sources.filter(|path| !path.ends_with("/tests.rs"));
    let words_without_tests = |path: String| {
        let text = read(&path);
        let text = text.split("\n#[cfg(test)]\n").next().unwrap_or_default();
        let words = text.split(|c: char| !c.is_ascii_alphanumeric());
        (path, words.map(str::to_owned).collect())
    };
    paths.chain(others).map(words_without_tests).collect()
}

fn section<'a>(document: &'a str, title: &str) -> &'a str {
    let text = document.split(&format!("\n## {title}\n")).nth(1);
    let text = text.unwrap_or_else(|| panic!("no section {title}"));
    text.split("\n## ").next().unwrap_or_default()
}

/// The files that a text names. What stands in brackets is for some cases only.
fn named(text: &str) -> BTreeSet<&str> {
    let outside = text
        .split('(')
        .enumerate()
        .map(|(number, part)| match number {
            0 => part,
            _ => part.split_once(')').map_or("", |(_, rest)| rest),
        });
    let words = outside.flat_map(|part| part.split('`').skip(1).step_by(2));
    let is_file = |word: &&str| word.contains('/') && word.contains('.');
    words.filter(is_file).collect()
}

/// The items of a section's list, each the files of which one is to be touched.
fn places<'a>(document: &'a str, title: &str) -> Vec<BTreeSet<&'a str>> {
    let mut parts = section(document, title).split("\n\n");
    let list = parts.find(|part| part.starts_with("1. ")).expect("a list");
    let mut starts: Vec<_> = (list.match_indices('\n'))
        .map(|(at, _)| at + 1)
        .filter(|&at| list[at..].starts_with(|c: char| c.is_ascii_digit()))
        .collect();
    starts.insert(0, 0);
    starts.push(list.len());
    (starts.windows(2))
        .map(|item| named(&list[item[0]..item[1]]))
        .collect()
}

/// The rows of one kind in the table of sites.
fn sites_of<'a>(table: &'a str, kind: &str) -> Vec<&'a str> {
    let rows = table
        .split(&format!("    {kind} ("))
        .nth(1)
        .expect("a kind");
    let rows = rows.split("\n}\n").next().unwrap_or_default().lines();
    let row = |line: &'a str| line.strip_prefix("    ")?.split_once(", ");
    rows.filter_map(row)
        .map(|(name, _)| name)
        .filter(|name| name.starts_with(|c: char| c.is_ascii_uppercase()))
        .collect()
}

/// Where the lists and the tree differ.
fn problems(document: &str, sources: &Sources) -> Vec<String> {
    let table = read("impl/src/site.rs");
    let loads = sites_of(&table, "LoadSite");
    assert!(loads.len() >= 15, "{loads:?}");
    let (site, kind) = (places(document, SITE), places(document, KIND));
    let mut problems = Vec::new();
    for load in &loads {
        for place in &site {
            let there = |file: &&str| {
                sources
                    .get(*file)
                    .is_some_and(|words| words.contains(*load))
            };
            if !place.iter().any(there) {
                problems.push(format!("{load} stands in none of {place:?}"));
            }
        }
    }
    // Whatever else names a site is said to be no place for a new one.
    let single = section(document, SITE).split("\n\n");
    let single = single.filter(|part| part.starts_with("Other files name single sites"));
    let single: BTreeSet<_> = single.flat_map(named).collect();
    let of = |words: &[&str]| -> BTreeSet<&str> {
        let files = sources
            .iter()
            .filter(|(_, there)| words.iter().any(|word| there.contains(*word)));
        files.map(|(file, _)| file.as_str()).collect()
    };
    let listed: BTreeSet<_> = site.into_iter().flatten().chain(single).collect();
    for file in of(&loads).difference(&listed) {
        problems.push(format!(
            "{file} names load sites, and \"{SITE}\" does not name it"
        ));
    }
    // A kind stands where the list says, and where its sites are used.
    let listed_kind: BTreeSet<_> = kind.into_iter().flatten().collect();
    let found = of(&["FenceSite", "FenceOrdering"]);
    for file in listed_kind.difference(&found) {
        problems.push(format!("\"{KIND}\" names {file}, which knows no kind"));
    }
    for file in found
        .difference(&listed_kind)
        .filter(|file| !listed.contains(*file))
    {
        problems.push(format!(
            "{file} knows a kind, and \"{KIND}\" does not name it"
        ));
    }
    problems
}

#[test]
fn the_lists_of_what_is_to_be_touched_are_those_of_the_tree() {
    let (document, sources) = (read("CONTRIBUTING.md"), sources());
    assert_eq!(problems(&document, &sources), Vec::<String>::new());
    let (site, kind) = (places(&document, SITE), places(&document, KIND));
    assert!(site.len() <= 5, "{site:?}");
    let files: BTreeSet<_> = kind.iter().flatten().collect();
    assert!(files.len() <= 8, "{files:?}");
}

#[test]
fn a_place_that_is_missing_or_wrong_is_found() {
    let (document, sources) = (read("CONTRIBUTING.md"), sources());
    for (right, wrong) in [
        ("`impl/src/seqlock.rs`, ", ""),
        ("`stress/src/crash/document.rs`", "that list"),
        ("`stress/src/crash/document.rs`", "`stress/src/crash.rs`"),
        ("`models/src/order.rs`", "the orderings"),
        ("`models/src/order.rs`", "`models/src/orderings.rs`"),
        ("`stress/src/soak/countdown.rs`", "others"),
    ] {
        assert!(document.contains(right), "{right}");
        let altered = document.replace(right, wrong);
        assert!(!problems(&altered, &sources).is_empty(), "{right}: {wrong}");
    }
    // One more file that has to know every kind.
    let mut more = sources.clone();
    let kind = ["match", "FenceSite"].map(str::to_owned);
    more.insert("perf/src/sites.rs".to_owned(), kind.into());
    assert_eq!(problems(&document, &more).len(), 1);
}
