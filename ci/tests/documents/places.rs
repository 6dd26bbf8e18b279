//! Files, links, packages and layers that a document names are there, and none is left out.

use std::collections::BTreeMap;
use std::path::Path;

use ringproof_verify::layers::LAYERS;

use crate::commands::Tree;
use crate::{documents, read, root};

/// The targets of links, and the files that are named in the text, which do not exist.
fn missing_files(path: &str, text: &str) -> Vec<String> {
    let directory = Path::new(path).parent().unwrap_or(Path::new(""));
    let exists = |target: &str| {
        let from_here = root().join(directory).join(target);
        from_here.exists() || root().join(target).exists()
    };
    let links = text
        .split("](")
        .skip(1)
        .filter_map(|rest| rest.split(')').next());
    let links = links.filter(|link| !link.contains("://") && !link.starts_with('#'));
    let links = links.map(|link| link.split('#').next().unwrap_or_default());
    let mut missing: Vec<_> = (links.filter(|link| !root().join(directory).join(link).exists()))
        .map(|link| format!("link to {link}"))
        .collect();
    // Within backticks, outside blocks of code.
    let prose: String = text.split("```").step_by(2).collect();
    let named = prose.split('`').skip(1).step_by(2).filter(|word| {
        let ends = [".rs", ".md", ".sh", ".h", ".hpp", ".c", ".toml"];
        word.contains('/')
            && !word.contains([' ', '*', '<'])
            && ends.iter().any(|end| word.ends_with(end))
    });
    missing.extend(named.filter(|name| !exists(name)).map(str::to_owned));
    missing
}

#[test]
fn every_file_that_is_named_exists() {
    let mut texts = documents();
    // A recorded run names the files of the program that printed it.
    texts.remove("perf/RUN.md");
    let missing = texts
        .iter()
        .map(|(path, text)| (path, missing_files(path, text)));
    let missing: BTreeMap<_, _> = missing.filter(|(_, found)| !found.is_empty()).collect();
    assert!(missing.is_empty(), "{missing:#?}");
    assert_eq!(
        missing_files("docs/PROOF.md", "[x](../README.md)"),
        Vec::<String>::new()
    );
    for wrong in [
        "[x](README.md)",
        "[x](../docs/PROFF.md#a)",
        "`impl/src/rings.rs`",
    ] {
        assert_eq!(missing_files("docs/PROOF.md", wrong).len(), 1, "{wrong}");
    }
}

/// What README.md may have in bytes: it is read on a page of a repository.
const MOST: usize = 6000;

#[test]
fn the_readme_is_one_page() {
    let length = read("README.md").len();
    assert!(
        length < MOST,
        "README.md has {length} bytes; it must stay below {MOST}"
    );
}

/// The layers in the table of docs/PROOF.md that are none, and those that are not in it.
fn layer_differences(document: &str) -> Vec<String> {
    let rows = document.lines().filter_map(|line| line.strip_prefix("| `"));
    let named: Vec<_> = rows.filter_map(|row| row.split('`').next()).collect();
    let known: Vec<_> = LAYERS
        .iter()
        .map(|layer| layer.name)
        .chain(["cargo test"])
        .collect();
    let unknown = named.iter().filter(|name| !known.contains(name));
    let missing = known
        .iter()
        .filter(|name| named.iter().filter(|n| n == name).count() != 1);
    unknown
        .chain(missing)
        .map(|name| (*name).to_owned())
        .collect()
}

#[test]
fn the_table_of_layers_has_every_layer_and_no_other() {
    let document = read("docs/PROOF.md");
    assert_eq!(layer_differences(&document), Vec::<String>::new());
    let without: String = (document.lines())
        .filter(|line| !line.starts_with("| `asm`"))
        .map(|line| format!("{line}\n"))
        .collect();
    assert_eq!(layer_differences(&without), ["asm"]);
    let another = document.replace("| `asm` |", "| `assembly` |");
    assert_eq!(layer_differences(&another), ["assembly", "asm"]);
}

/// The packages of CONTRIBUTING.md's map that are not where it says, and the members it leaves out.
fn wrong_places(document: &str, packages: &BTreeMap<String, String>) -> Vec<String> {
    let map = document.split("```text\n").nth(1).expect("the map");
    let map = map.split("```").next().expect("its end");
    let rows = map.lines().filter(|line| !line.starts_with(' '));
    let named: Vec<_> = (rows.filter_map(|row| {
        let (at, rest) = row.split_once(' ')?;
        let name = rest.split_whitespace().next()?;
        Some((name, at.trim_end_matches('/')))
    }))
    .filter(|(name, _)| name.starts_with("ringproof"))
    .collect();
    let wrong = named
        .iter()
        .filter(|(name, at)| packages.get(*name).map(String::as_str) != Some(at));
    let wrong = wrong.map(|(name, at)| format!("{name} is not in {at}"));
    let left_out = packages.values().filter(|at| !map.contains(at.as_str()));
    wrong
        .chain(left_out.map(|at| format!("{at} is left out")))
        .collect()
}

#[test]
fn the_map_of_the_workspace_is_the_workspace() {
    let (document, tree) = (read("CONTRIBUTING.md"), Tree::new());
    assert_eq!(
        wrong_places(&document, &tree.packages),
        Vec::<String>::new()
    );
    for (right, wrong) in [
        ("\nci/record ", "\nci/records "),
        ("ringproof-perf ", "ringproof-bench "),
        ("impl/derive", "its"),
    ] {
        assert!(document.contains(right), "{right}");
        let altered = document.replacen(right, wrong, 1);
        assert!(
            !wrong_places(&altered, &tree.packages).is_empty(),
            "{right}"
        );
    }
}
