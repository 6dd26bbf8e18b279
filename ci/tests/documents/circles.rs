//! No two files of a crate use each other, directly or through others, unless one says why; and no program of
//! the harness has an exit code of its own.

use std::collections::{BTreeMap, BTreeSet};

use crate::commands::Tree;
use crate::{files, flat, read, root};

/// With this a file says why it is in a circle with the one that it names in backticks.
const ARGUMENT: &str = "A circle with `";

/// The files of a crate by the path of the module: what its head says, and its code without comments and tests.
type Sources = BTreeMap<String, (String, String)>;

/// From each module to the modules that it uses, but for those below it, which it may list and re-export.
type Uses<'a> = BTreeMap<&'a str, BTreeSet<&'a str>>;

fn parts(text: &str) -> (String, String) {
    let head = text.lines().map_while(|line| line.strip_prefix("//!"));
    let code = text
        .split("\nmod tests {")
        .next()
        .unwrap_or_default()
        .lines();
    let code = code.map(|line| line.split("//").next().unwrap_or_default());
    (
        head.collect::<Vec<_>>().join(" "),
        code.collect::<Vec<_>>().join("\n"),
    )
}

fn sources(folder: &str) -> Sources {
    let file = |path: String| {
        let module = path[folder.len() + 1..].trim_end_matches(".rs");
        let module = module.trim_end_matches("/mod").replace('/', "::");
        (module, parts(&read(&path)))
    };
    files(folder, ".rs").into_iter().map(file).collect()
}

/// Adds the paths of the use tree, or the path, that `text` begins with; and gives the rest.
fn tree<'a>(text: &'a str, above: &[&'a str], found: &mut Vec<Vec<&'a str>>) -> &'a str {
    let text = text.trim_start();
    let Some(mut rest) = text.strip_prefix('{') else {
        let is_name = |c: char| c.is_alphanumeric() || c == '_';
        let (name, rest) = text.split_at(text.find(|c| !is_name(c)).unwrap_or(text.len()));
        let path = [above, &[name]].concat();
        return match rest.strip_prefix("::") {
            Some(below) => tree(below, &path, found),
            None => {
                found.push(path);
                rest
            }
        };
    };
    while !rest.is_empty() {
        rest = tree(rest, above, found);
        // An `as`, or a star.
        let at = rest.find([',', '}']).unwrap_or(rest.len());
        let ends = rest[at..].starts_with('}');
        rest = rest.get(at + 1..).unwrap_or_default();
        if ends {
            break;
        }
    }
    rest
}

/// The module that a path of `module` leads into, if it is one of these.
fn target<'a>(module: &'a str, path: &[&'a str], sources: &'a Sources) -> Option<&'a str> {
    let ups = path.iter().take_while(|name| **name == "super").count();
    let own: Vec<_> = module.split("::").collect();
    let mut at = match ups {
        0 => Vec::new(),
        _ => own[..own.len().checked_sub(ups)?].to_vec(),
    };
    at.extend(path.iter().skip(ups.max(1)));
    while !at.is_empty() {
        if let Some((module, _)) = sources.get_key_value(&at.join("::")) {
            return Some(module);
        }
        at.pop();
    }
    None
}

fn uses(sources: &Sources) -> Uses<'_> {
    let mut uses = Uses::new();
    for (module, (_, code)) in sources {
        let entry: &mut BTreeSet<_> = uses.entry(module).or_default();
        let starts = code
            .match_indices("crate::")
            .chain(code.match_indices("super::"));
        // Of several `super` the first; and the root lists what there is.
        let starts = starts.filter(|(at, _)| !code[..*at].ends_with("super::"));
        for (at, _) in starts.filter(|_| !["lib", "main"].contains(&module.as_str())) {
            let mut paths = Vec::new();
            tree(&code[at..], &[], &mut paths);
            let targets = paths
                .iter()
                .filter_map(|path| target(module, path, sources));
            let below = format!("{module}::");
            entry.extend(targets.filter(|to| to != module && !to.starts_with(&below)));
        }
    }
    uses
}

fn leads_to(uses: &Uses<'_>, from: &str, to: &str) -> bool {
    let (mut seen, mut left) = (BTreeSet::new(), vec![from]);
    while let Some(module) = left.pop() {
        if module == to {
            return true;
        }
        if seen.insert(module) {
            left.extend(uses.get(module).into_iter().flatten());
        }
    }
    false
}

/// The circles without an argument, and arguments without a circle.
fn problems(sources: &Sources) -> Vec<String> {
    let all = uses(sources);
    let mut argued = all.clone();
    let mut problems = Vec::new();
    for (module, (head, _)) in sources {
        for argument in flat(head).split(ARGUMENT).skip(1) {
            let (with, why) = argument.split_once('`').unwrap_or((argument, ""));
            let used = argued
                .get_mut(module.as_str())
                .is_some_and(|to| to.remove(with));
            if !used || !leads_to(&all, with, module) {
                problems.push(format!(
                    "{module} argues for a circle with {with}; there is none"
                ));
            } else if why.split_whitespace().count() < 8 {
                problems.push(format!(
                    "{module} gives no argument for its circle with {with}"
                ));
            }
        }
    }
    for (from, targets) in &argued {
        for to in targets.iter().filter(|to| leads_to(&argued, to, from)) {
            problems.push(format!("{from} uses {to}, which leads back to it"));
        }
    }
    problems
}

fn made_up(files: &[(&str, &str)]) -> Vec<String> {
    let file = |&(module, text): &(&str, &str)| (module.to_owned(), parts(text));
    problems(&files.iter().map(file).collect())
}

#[test]
fn no_two_files_use_each_other_unless_one_says_why() {
    let tree = Tree::new();
    let crates = tree.packages.values().map(|member| format!("{member}/src"));
    let mut found = BTreeMap::new();
    for folder in crates.filter(|folder| root().join(folder).is_dir()) {
        found.insert(folder.clone(), problems(&sources(&folder)));
    }
    assert!(found.len() > 5);
    found.retain(|_, problems| !problems.is_empty());
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn a_circle_is_found_however_it_is_written() {
    let other = ("b::c", "use crate::{x::Y, a};\n");
    for to in [
        "use crate::b::c::D;\n",
        "use crate::{x, b::{e, c::{self as f}}};\n",
        "fn f() -> super::b::c::D {}\n",
    ] {
        assert_eq!(made_up(&[("a", to), ("b", ""), other]).len(), 2, "{to}");
    }
    // Through a third one.
    let third = ("d", "use crate::b::c;\n");
    assert_eq!(
        made_up(&[("a", "use crate::d;\n"), third, ("b", ""), other]).len(),
        3
    );
    // A comment, a test, a list of what lies below are none.
    for to in [
        "//! See [`D`](crate::b::c::D).\n",
        "\nmod tests {\n    use crate::b::c;\n}\n",
    ] {
        assert_eq!(made_up(&[("a", to), ("b", ""), other]), [""; 0], "{to}");
    }
    let below = ("b", "mod c;\npub use crate::b::c::D;\n");
    assert_eq!(made_up(&[below, ("b::c", "use super::E;\n")]), [""; 0]);
}

#[test]
fn an_argument_has_a_reason_and_a_circle() {
    let back = ("b", "use crate::a::C;\n");
    let with = |head: &str| format!("//! Words.\n//!\n//! {head}\nuse crate::b::D;\n");
    let argued = with(
        "A circle with `b`: each is a part of what\n//! the other one is, and has no meaning alone.",
    );
    assert_eq!(made_up(&[("a", &argued), back]), [""; 0]);
    assert_eq!(
        made_up(&[("a", &with("A circle with `b`.")), back]).len(),
        1
    );
    assert_eq!(made_up(&[("a", &argued), ("b", "")]).len(), 1);
    assert_eq!(
        made_up(&[
            ("a", &argued),
            back,
            ("c", "use crate::d;\n"),
            ("d", "use crate::c;\n")
        ])
        .len(),
        2
    );
}

/// What a program of the harness says of its end that is not in the table of `ringproof_record`.
fn exit_codes(text: &str) -> Vec<&str> {
    let code = text.split("\nmod tests {").next().unwrap_or_default();
    let lines = code
        .lines()
        .map(str::trim)
        .filter(|line| !line.starts_with("//"));
    let own = |line: &&str| {
        let main = line.contains("fn main()") && !line.contains("-> Exit {");
        let exits = line.contains("process::exit(") && !line.contains("process::exit(Exit::");
        main || exits || line.contains("ExitCode")
    };
    lines.filter(own).collect()
}

#[test]
fn no_program_of_the_harness_has_an_exit_code_of_its_own() {
    let folders = [
        "models/src",
        "stress/src",
        "perf/src",
        "perf/peers/src",
        "ci/src",
        "ci/record/src",
    ];
    let paths = folders.iter().flat_map(|folder| files(folder, ".rs"));
    let mut found = BTreeMap::new();
    for path in paths.filter(|path| path != "ci/record/src/exit.rs") {
        let text = read(&path);
        let own: Vec<_> = exit_codes(&text).into_iter().map(str::to_owned).collect();
        found.insert(path, own);
    }
    assert!(found.len() > 100);
    found.retain(|_, own| !own.is_empty());
    assert!(found.is_empty(), "{found:#?}");
    for wrong in [
        "process::exit(4);",
        "fn main() -> ExitCode {",
        "fn main() {",
    ] {
        assert_eq!(exit_codes(wrong).len(), 1, "{wrong}");
    }
    for right in [
        "fn main() -> Exit {",
        "process::exit(Exit::Failed.code().into());",
    ] {
        assert_eq!(exit_codes(right), [""; 0], "{right}");
    }
}
