//! The accesses of the C header, as text: against the site table, against the order in ABI.md and in
//! the Rust sources, and against what was read and agreed to. On a processor with strong ordering no
//! run can tell a fence that is missing or stands elsewhere; so the text is held.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use ringproof::site::Site;

/// Set, the statements are written instead of compared.
const WRITE: &str = "RINGPROOF_WRITE_C_SITES";

const COMMAND: &str = "RINGPROOF_WRITE_C_SITES=1 cargo test -p ringproof --test c_sites";

fn crate_file(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn read(path: &str) -> String {
    fs::read_to_string(crate_file(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn header() -> String {
    read("ffi/include/ringproof.h")
}

// ---- C, as far as the header needs it ------------------------------------------------------

/// The end of the comment or literal that begins at `at`, if one does.
fn end_of_opaque(text: &str, at: usize) -> Option<usize> {
    let rest = &text[at..];
    if rest.starts_with("/*") {
        return Some(at + rest.find("*/").map_or(rest.len(), |end| end + 2));
    }
    let quote = rest.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    let mut escaped = false;
    for (offset, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if c == quote => return Some(at + offset + 1),
            _ => {}
        }
    }
    Some(text.len())
}

/// The first place from `at` on, outside comments, literals and brackets, where there is one of these.
fn find_outside(text: &str, mut at: usize, wanted: &[char]) -> Option<usize> {
    let mut depth = 0_usize;
    while let Some(c) = text[at..].chars().next() {
        if let Some(end) = end_of_opaque(text, at) {
            at = end;
            continue;
        }
        if depth == 0 && wanted.contains(&c) {
            return Some(at);
        }
        match c {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        at += c.len_utf8();
    }
    None
}

/// The place of the bracket that closes the one at `open`.
fn closing(text: &str, open: usize) -> usize {
    let close = if text[open..].starts_with('(') {
        ')'
    } else {
        '}'
    };
    find_outside(text, open + 1, &[close]).unwrap_or(text.len())
}

/// Code on one line without its comments.
fn plain(code: &str) -> String {
    let mut text = String::new();
    let mut at = 0;
    while let Some(c) = code[at..].chars().next() {
        if code[at..].starts_with("/*") {
            at = end_of_opaque(code, at).unwrap_or(code.len());
            text.push(' ');
        } else {
            text.push(c);
            at += c.len_utf8();
        }
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A statement, or the head of a block with what is in it. The ranges are of the header.
struct Node {
    /// From the comments before it on.
    whole: Range<usize>,
    /// Without these: a statement with its semicolon, or a head without its brace.
    code: Range<usize>,
    block: Option<Vec<Node>>,
}

/// The statements between two places.
fn parse(text: &str, mut at: usize, end: usize) -> Vec<Node> {
    let mut nodes = Vec::new();
    let mut start = at;
    while at < end {
        let c = text[at..].chars().next().unwrap_or(' ');
        if c.is_whitespace() {
            at += c.len_utf8();
            continue;
        }
        if text[at..].starts_with("/*") {
            at = end_of_opaque(text, at).unwrap_or(end);
            continue;
        }
        let code = at;
        // To the end of the statement, or to a brace that is no initialiser's.
        let mut stop = code;
        loop {
            stop = find_outside(text, stop, &[';', '{', '#'])
                .unwrap_or(end)
                .min(end);
            if text[stop..].starts_with('#') {
                // A line of the preprocessor is a statement of its own.
                stop = text[stop..].find('\n').map_or(end, |line| stop + line);
                break;
            }
            let initialiser = text[stop..].starts_with('{')
                && text[code..stop].trim_end().ends_with(['=', ',', '(']);
            if !initialiser {
                break;
            }
            stop = closing(text, stop) + 1;
        }
        let block = text[stop..end].starts_with('{').then(|| {
            let close = closing(text, stop);
            (parse(text, stop + 1, close), close + 1)
        });
        let (block, next) = match block {
            Some((block, next)) => (Some(block), next),
            None => (None, (stop + 1).min(end)),
        };
        let code_end = if block.is_some() { stop } else { next };
        nodes.push(Node {
            whole: start..next,
            code: code..code_end,
            block,
        });
        (start, at) = (next, next);
    }
    nodes
}

struct Function<'a> {
    name: &'a str,
    /// Between its braces.
    body: Range<usize>,
}

/// The functions that a header defines, in order.
fn functions(header: &str) -> Vec<Function<'_>> {
    let mut functions = Vec::new();
    for (at, _) in header.match_indices("static ") {
        let line = header[..at].rfind('\n').map_or(0, |end| end + 1);
        let before = &header[line..at];
        let begins = before.is_empty()
            || before.starts_with("RINGPROOF_")
            || before.starts_with("__attribute__");
        let Some(open) = find_outside(header, at, &[';', '{']) else {
            continue;
        };
        if !begins || !header[open..].starts_with('{') {
            continue;
        }
        let Some((declared, _)) = header[at..open].split_once('(') else {
            continue;
        };
        let name = declared.rsplit([' ', '*', '\n']).next().unwrap_or("");
        functions.push(Function {
            name,
            body: open + 1..closing(header, open),
        });
    }
    functions
}

/// What is called in a piece of plain code, in order, each with its first argument.
fn calls(code: &str) -> Vec<(&str, &str)> {
    let mut calls = Vec::new();
    for (open, _) in code.match_indices('(') {
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let before = code[..open].trim_end_matches(is_name).len();
        let name = &code[before..open];
        if name.is_empty() {
            continue;
        }
        let end = find_outside(code, open + 1, &[',', ')']).unwrap_or(code.len());
        calls.push((name, code[open + 1..end].trim()));
    }
    calls
}

// ---- Sites ---------------------------------------------------------------------------------

/// What happens in a function.
#[derive(Clone, Debug, PartialEq)]
enum Event {
    /// An access, at one of these sites: what is written once for two structures names both.
    At(Vec<String>),
    CompilerFence,
    Call(String),
}

/// The kind and the ordering of the access that a function makes.
fn access(function: &str) -> Option<(&'static str, &'static str)> {
    Some(match function {
        "ringproof_load_relaxed" => ("load", "Relaxed"),
        "ringproof_load_acquire" => ("load", "Acquire"),
        "ringproof_store_relaxed" => ("store", "Relaxed"),
        "ringproof_store_release" => ("store", "Release"),
        "ringproof_fence_acquire" => ("fence", "Acquire"),
        "ringproof_fence_release" => ("fence", "Release"),
        "memcpy" => ("slot", "Plain"),
        _ => return None,
    })
}

/// Whether the header calls that word of the table so.
fn is_word(word: &str, argument: &str) -> bool {
    let field = |name: &str| argument == name || argument.ends_with(&format!("->{name}"));
    match word {
        "write_index" => field("write_word"),
        "read_index" => field("read_word"),
        "seq" | "version" => field("values.index"),
        "payload" => argument == "&to[i]" || argument == "&from[i]",
        "retired" => field("retired") || argument == "mark",
        "epoch" | "note" => argument == word,
        // What a fence stands between, and a slot.
        _ => true,
    }
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_ascii_alphanumeric())
}

/// The copies of a value: what is called the slot of a ring is private memory there.
const COPIES: [&str; 2] = ["ringproof_store_words", "ringproof_load_words"];

/// Reads one function.
struct Reading<'a> {
    name: &'a str,
    /// The sites of the next accesses, from the last comment that named some.
    named: Vec<Vec<String>>,
    /// The site of the last slot, of which a second run has no comment.
    slot: Option<Vec<String>>,
    events: Vec<Event>,
    problems: Vec<String>,
}

impl Reading<'_> {
    fn problem(&mut self, problem: impl std::fmt::Display) {
        self.problems.push(format!("{}: {problem}", self.name));
    }

    /// A comment that names sites says how they are ordered, and whom they pair with.
    fn comment(&mut self, comment: &str) {
        let Some((head, why)) = comment.split_once(':') else {
            return;
        };
        let sites: Vec<_> = words(head).filter_map(Site::named).collect();
        if sites.is_empty() {
            return;
        }
        for site in &self.named.split_off(0) {
            self.problem(format_args!("no access at {site:?}"));
        }
        for site in &sites {
            let info = site.info();
            let ordering = info.ordering.to_lowercase();
            if !words(head).any(|word| word == ordering) {
                self.problem(format_args!("{site} is not called {ordering}"));
            }
            let names_partner = |partner: &&str| words(why).any(|word| word == *partner);
            if !info.partners.is_empty() && !info.partners.iter().any(names_partner) {
                self.problem(format_args!(
                    "{site} names no partner of {:?}",
                    info.partners
                ));
            }
        }
        let names = sites.iter().map(|site| site.info().name.to_owned());
        self.named = if words(head).any(|word| word == "or") {
            vec![names.collect()]
        } else {
            names.map(|name| vec![name]).collect()
        };
    }

    fn code(&mut self, code: &str) {
        for (function, argument) in calls(code) {
            if function == "ringproof_compiler_fence" {
                self.events.push(Event::CompilerFence);
                continue;
            }
            let Some((kind, ordering)) = access(function) else {
                self.events.push(Event::Call(function.to_owned()));
                continue;
            };
            if kind == "slot" && COPIES.contains(&self.name) {
                continue;
            }
            let site = if self.named.is_empty() {
                self.slot.clone().filter(|_| kind == "slot")
            } else {
                Some(self.named.remove(0))
            };
            let Some(site) = site else {
                self.problem(format_args!("an access without a site: {code}"));
                continue;
            };
            for name in &site {
                let info = Site::named(name).map(Site::info);
                let fits = info.is_some_and(|info| {
                    info.kind.split(' ').next() == Some(kind)
                        && info.ordering == ordering
                        && is_word(info.word, argument)
                });
                if !fits {
                    self.problem(format_args!("{name} is another access than this: {code}"));
                }
            }
            if kind == "slot" {
                self.slot = Some(site.clone());
            }
            self.events.push(Event::At(site));
        }
    }

    fn nodes(&mut self, header: &str, nodes: &[Node]) {
        for node in nodes {
            let before = &header[node.whole.start..node.code.start];
            for comment in before.split("/*").skip(1) {
                self.comment(comment.split("*/").next().unwrap_or(""));
            }
            self.code(&plain(&header[node.code.clone()]));
            self.nodes(header, node.block.as_deref().unwrap_or_default());
        }
    }
}

/// A header, read.
struct Read<'a> {
    text: &'a str,
    functions: Vec<(Function<'a>, Vec<Node>, Vec<Event>)>,
    /// What is wrong with its comments and the accesses after them.
    problems: Vec<String>,
}

fn read_header(text: &str) -> Read<'_> {
    // The functions that make the accesses come before it, and have their own test.
    let start = text.find("/* ---- The wire layout").unwrap_or(0);
    let mut read = Read {
        text,
        functions: Vec::new(),
        problems: Vec::new(),
    };
    for function in functions(text) {
        if function.body.start < start {
            continue;
        }
        let nodes = parse(text, function.body.start, function.body.end);
        let mut reading = Reading {
            name: function.name,
            named: Vec::new(),
            slot: None,
            events: Vec::new(),
            problems: Vec::new(),
        };
        reading.nodes(text, &nodes);
        for site in &reading.named.split_off(0) {
            reading.problem(format_args!("no access at {site:?}"));
        }
        read.problems.append(&mut reading.problems);
        read.functions.push((function, nodes, reading.events));
    }
    read
}

impl Read<'_> {
    fn events(&self) -> BTreeMap<String, Vec<Event>> {
        let events = self.functions.iter();
        events
            .map(|(function, _, events)| (function.name.to_owned(), events.clone()))
            .collect()
    }

    /// What is wrong with the sites, against the table.
    fn site_problems(&self) -> Vec<String> {
        let mut problems = self.problems.clone();
        let events = self.functions.iter().flat_map(|(_, _, events)| events);
        let named: Vec<_> = events
            .filter_map(|event| match event {
                Event::At(sites) => Some(sites),
                _ => None,
            })
            .flatten()
            .collect();
        for site in Site::all() {
            // Only the Rust library reads a reserved slot back.
            let name = site.info().name;
            if name != "RingReview" && !named.iter().any(|site| *site == name) {
                problems.push(format!("{name}: nowhere"));
            }
        }
        problems
    }

    /// The functions that make accesses, statement by statement.
    fn statements(&self) -> String {
        let mut text = format!(
            "What each function of ringproof.h does that accesses shared memory, without its comments.\n\
             `{COMMAND}` writes it anew;\n\
             what it changes then is for eyes: no run on a processor with strong ordering sees it.\n"
        );
        for (function, nodes, events) in &self.functions {
            let accesses = |event: &Event| !matches!(event, Event::Call(_));
            if events.iter().any(accesses) || COPIES.contains(&function.name) {
                text += &format!("\n{}\n", function.name);
                render(self.text, nodes, 1, &mut text);
            }
        }
        text
    }
}

fn render(header: &str, nodes: &[Node], depth: usize, text: &mut String) {
    for node in nodes {
        let code = plain(&header[node.code.clone()]);
        *text += &format!("{:width$}{code}\n", "", width = 2 * depth);
        render(
            header,
            node.block.as_deref().unwrap_or_default(),
            depth + 1,
            text,
        );
    }
}

/// What is wrong with the statements, against the file: the first line of each function that is another.
fn statement_problems(read: &Read<'_>, agreed: &str) -> Vec<String> {
    let found = read.statements();
    let (found, agreed) = (by_function(&found), by_function(agreed));
    let names = found.keys().chain(agreed.keys()).collect::<BTreeSet<_>>();
    let problems = names.into_iter().filter_map(|name| {
        let empty = Vec::new();
        let mut here = found.get(name).unwrap_or(&empty).iter();
        let mut there = agreed.get(name).unwrap_or(&empty).iter();
        loop {
            match (here.next(), there.next()) {
                (None, None) => return None,
                (is, was) if is == was => {}
                (is, was) => {
                    let line =
                        |line: Option<&&str>| line.map_or("nothing", |line| line.trim()).to_owned();
                    let (is, was) = (line(is), line(was));
                    return Some(format!("{name}: `{is}`, where `{was}` was agreed to"));
                }
            }
        }
    });
    problems.collect()
}

/// The statements of each function; what is before the first has no name.
fn by_function(statements: &str) -> BTreeMap<&str, Vec<&str>> {
    let mut functions = BTreeMap::new();
    for (number, piece) in statements.split("\n\n").enumerate() {
        let (name, lines) = if number == 0 {
            ("", piece)
        } else {
            piece.split_once('\n').unwrap_or((piece, ""))
        };
        functions.insert(name, lines.lines().collect());
    }
    functions
}

// ---- The order of an operation ----------------------------------------------------------------

/// The accesses of a function and of all that it calls, in the order of the text. Two runs of slots are
/// one access.
fn in_order(functions: &BTreeMap<String, Vec<Event>>, name: &str, prefix: &str) -> Vec<String> {
    fn walk(
        functions: &BTreeMap<String, Vec<Event>>,
        name: &str,
        prefix: &str,
        within: &mut Vec<String>,
        found: &mut Vec<String>,
    ) {
        let Some(events) = functions.get(name) else {
            return;
        };
        if within.iter().any(|outer| outer == name) {
            return;
        }
        within.push(name.to_owned());
        for event in events {
            match event {
                Event::Call(other) => walk(functions, other, prefix, within, found),
                Event::CompilerFence => found.push("a compiler fence".to_owned()),
                Event::At(sites) => {
                    let site = sites.iter().find(|site| site.starts_with(prefix));
                    let site = site.or(sites.first()).cloned().unwrap_or_default();
                    if found.last() != Some(&site) {
                        found.push(site);
                    }
                }
            }
        }
        within.pop();
    }
    let mut found = Vec::new();
    walk(functions, name, prefix, &mut Vec::new(), &mut found);
    found
}

/// The operations below ABI.md's table of accesses, by what they are called there, and the sites of each.
fn documented(document: &str) -> Vec<(String, Vec<String>)> {
    let (_, section) = document
        .split_once("\n## The accesses\n")
        .expect("a section");
    let section = section.split("\n## ").next().unwrap_or("");
    let mut pieces = section.split("**").skip(1);
    let mut operations = Vec::new();
    while let (Some(name), Some(text)) = (pieces.next(), pieces.next()) {
        let sites = text.split('`').skip(1).step_by(2);
        let sites = sites.filter(|word| Site::named(word).is_some());
        operations.push((
            name.split_whitespace().collect::<Vec<_>>().join(" "),
            sites.map(str::to_owned).collect(),
        ));
    }
    operations
}

/// What each function of an `impl` in a Rust source does, of which the line is `head`.
fn rust_functions(source: &str, head: &str) -> BTreeMap<String, Vec<Event>> {
    let (_, rest) = source
        .split_once(head)
        .unwrap_or_else(|| panic!("no {head}"));
    let body = rest.split("\n}\n").next().unwrap_or("");
    let code = body
        .lines()
        .map(|line| line.split("//").next().unwrap_or(""));
    let code = code.collect::<Vec<_>>().join("\n");
    let mut found = BTreeMap::new();
    for function in code.split("fn ").skip(1) {
        let (name, rest) = function.split_once(['(', '<']).unwrap_or((function, ""));
        let body = rest.split_once('{').map_or("", |(_, body)| body);
        let mut events = Vec::new();
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
        let mut at = 0;
        for word in body.split(|c: char| !is_name(c)) {
            let after = &body[at + word.len()..];
            at += word.len() + after.chars().next().map_or(0, char::len_utf8);
            match word.split_once("Site::") {
                Some((_, site)) if Site::named(site).is_some() => {
                    events.push(Event::At(vec![site.to_owned()]));
                }
                _ if after.starts_with('(') && !word.is_empty() => {
                    let called = word.rsplit("::").next().unwrap_or(word);
                    events.push(Event::Call(called.to_owned()));
                }
                _ => {}
            }
        }
        found.insert(name.to_owned(), events);
    }
    found
}

const PRODUCER: &str = "impl<'a, T: Payload, M: Memory, K> Producer<'a, T, M, K> {";
const CONSUMER: &str = "impl<'a, T: Payload, M: Memory, K> Consumer<'a, T, M, K> {";

/// An operation: what ABI.md calls it, which of that name it is there; the function in C; the source, the
/// `impl` and the function in Rust; with what its sites begin.
type Operation = (
    (&'static str, usize),
    &'static str,
    (&'static str, &'static str, &'static str),
    &'static str,
);

const OPERATIONS: [Operation; 6] = [
    (
        ("Push", 0),
        "ringproof_push_sized",
        ("src/ring.rs", PRODUCER, "push"),
        "Ring",
    ),
    (
        ("Pop", 0),
        "ringproof_pop_sized",
        ("src/ring.rs", CONSUMER, "pop"),
        "Ring",
    ),
    (
        ("Write a seqlock", 0),
        "ringproof_seqlock_write",
        (
            "src/seqlock.rs",
            "impl<'a, T: Payload, M: Memory, K> SeqWriter<'a, T, M, K> {",
            "write_words",
        ),
        "Seq",
    ),
    (
        ("Read it", 0),
        "ringproof_seqlock_try_read",
        (
            "src/seqlock.rs",
            "impl<'a, T: Payload, M: Memory, K> SeqReader<'a, T, M, K> {",
            "try_read_words",
        ),
        "Seq",
    ),
    (
        ("Write a latch", 0),
        "ringproof_latch_write",
        (
            "src/latch.rs",
            "impl<'a, T: Payload, M: Memory, K> LatchWriter<'a, T, M, K> {",
            "write_words",
        ),
        "Latch",
    ),
    (
        ("Read it", 1),
        "ringproof_latch_try_read",
        (
            "src/latch.rs",
            "impl<'a, T: Payload, M: Memory, K> LatchReader<'a, T, M, K> {",
            "try_read_words",
        ),
        "Latch",
    ),
];

/// What is wrong with the order of accesses in C, against the document and the Rust sources.
fn order_problems(c: &BTreeMap<String, Vec<Event>>) -> Vec<String> {
    let document = documented(&read("ABI.md"));
    let mut problems = Vec::new();
    let mut compare = |what: &str, found: Vec<String>, expected: &[String]| {
        if found != expected || expected.is_empty() {
            problems.push(format!("{what}: {found:?} instead of {expected:?}"));
        }
    };
    for ((name, nth), function, (source, head, rust), prefix) in OPERATIONS {
        let mut of_name = document.iter().filter(|(operation, _)| operation == name);
        let (_, expected) = of_name
            .nth(nth)
            .unwrap_or_else(|| panic!("no {name} in ABI.md"));
        let rust_functions = rust_functions(&read(source), head);
        compare(source, in_order(&rust_functions, rust, prefix), expected);
        // What only a compiler could move.
        let mut expected = expected.clone();
        if let Some(taken) = expected.iter().position(|site| site == "RingTake") {
            expected.insert(taken + 1, "a compiler fence".to_owned());
        }
        compare(function, in_order(c, function, prefix), &expected);
        // The same by the batch.
        if let Some(batch) = function.strip_suffix("_sized") {
            let batch = format!("{batch}_slice");
            compare(&batch, in_order(c, &batch, prefix), &expected);
        }
    }
    // Of these ABI.md says which sites, but no order between two.
    let ring = read("src/ring.rs");
    for (function, source, head, rust) in [
        ("ringproof_producer_close", &ring, PRODUCER, "close"),
        ("ringproof_consumer_close", &ring, CONSUMER, "close"),
        ("ringproof_producer_open", &ring, PRODUCER, "new"),
        ("ringproof_consumer_open", &ring, CONSUMER, "new"),
        (
            "ringproof_take",
            &read("src/role/words.rs"),
            "\n\n",
            "enter",
        ),
    ] {
        let own = |functions: &BTreeMap<String, Vec<Event>>, name: &str| {
            let events = functions.get(name).into_iter().flatten();
            let sites = events.filter_map(|event| match event {
                Event::At(sites) => sites.first().cloned(),
                _ => None,
            });
            sites.collect::<Vec<_>>()
        };
        let expected = if rust == "enter" {
            own(&rust_function(source, "pub fn enter<"), rust)
        } else {
            own(&rust_functions(source, head), rust)
        };
        compare(function, own(c, function), &expected);
    }
    problems
}

/// The same as [`rust_functions`] of one that stands alone.
fn rust_function(source: &str, head: &str) -> BTreeMap<String, Vec<Event>> {
    let (_, rest) = source
        .split_once(head)
        .unwrap_or_else(|| panic!("no {head}"));
    let name = head.trim_start_matches("pub fn ").trim_end_matches('<');
    let body = rest.split("\n}\n").next().unwrap_or("");
    rust_functions(&format!("impl {{\n    fn {name}<{body}\n}}\n"), "impl {")
}

// ---- The functions that make the accesses ---------------------------------------------------------

/// Their whole text, in C++ and in C.
const HELPERS: [(&str, &str, &str); 7] = [
    (
        "ringproof_load_relaxed",
        "return word->value.load(std::memory_order_relaxed);",
        "return atomic_load_explicit(&word->value, memory_order_relaxed);",
    ),
    (
        "ringproof_load_acquire",
        "return word->value.load(std::memory_order_acquire);",
        "return atomic_load_explicit(&word->value, memory_order_acquire);",
    ),
    (
        "ringproof_store_relaxed",
        "word->value.store(value, std::memory_order_relaxed);",
        "atomic_store_explicit(&word->value, value, memory_order_relaxed);",
    ),
    (
        "ringproof_store_release",
        "word->value.store(value, std::memory_order_release);",
        "atomic_store_explicit(&word->value, value, memory_order_release);",
    ),
    (
        "ringproof_fence_acquire",
        "std::atomic_thread_fence(std::memory_order_acquire);",
        "atomic_thread_fence(memory_order_acquire);",
    ),
    (
        "ringproof_fence_release",
        "std::atomic_thread_fence(std::memory_order_release);",
        "atomic_thread_fence(memory_order_release);",
    ),
    (
        "ringproof_compiler_fence",
        "std::atomic_signal_fence(std::memory_order_seq_cst);",
        "atomic_signal_fence(memory_order_seq_cst);",
    ),
];

/// The others, which are the same in both.
const COMMON: [(&str, &str); 3] = [
    (
        "ringproof_spin",
        "#if defined __x86_64__ || defined __i386__ __builtin_ia32_pause(); \
         #elif defined __aarch64__ __asm__ volatile(\"isb\"); #endif",
    ),
    (
        "ringproof_store_words",
        "for (size_t i = 0; i < words; i++) { uint64_t word; \
         memcpy(&word, (const unsigned char *)from + i * 8, 8); \
         ringproof_store_relaxed(&to[i], word); }",
    ),
    (
        "ringproof_load_words",
        "for (size_t i = 0; i < words; i++) { \
         const uint64_t word = ringproof_load_relaxed(&from[i]); \
         memcpy((unsigned char *)to + i * 8, &word, 8); }",
    ),
];

/// A word: on 8 bytes, and atomic.
const WORD: &str = "typedef struct ringproof_word { #ifdef __cplusplus \
                    RINGPROOF_ALIGNAS(8) std::atomic<uint64_t> value; #else \
                    RINGPROOF_ALIGNAS(8) _Atomic uint64_t value; #endif } ringproof_word;";

/// What is wrong with what makes the accesses.
fn helper_problems(header: &str) -> Vec<String> {
    let mut problems = Vec::new();
    let functions = functions(header);
    let bodies = |name: &str| -> Vec<String> {
        let of_name = functions.iter().filter(|function| function.name == name);
        of_name
            .map(|function| plain(&header[function.body.clone()]))
            .collect()
    };
    for (name, cpp, c) in HELPERS {
        if bodies(name) != [cpp, c] {
            problems.push(format!("{name}: {:?}", bodies(name)));
        }
    }
    for (name, both) in COMMON {
        if bodies(name) != [both] {
            problems.push(format!("{name}: {:?}", bodies(name)));
        }
    }
    let typedef = header.find("typedef struct ringproof_word {");
    let typedef = typedef.map_or("", |at| &header[at..]);
    let end = typedef.find("} ringproof_word;").map_or(0, |end| end + 17);
    if plain(&typedef[..end]) != WORD {
        problems.push(format!("ringproof_word: {}", plain(&typedef[..end])));
    }
    // No macro stands in for one of them, or for what they call.
    for line in header.lines().map(str::trim_start) {
        let Some(defined) = line.strip_prefix('#').map(str::trim_start) else {
            continue;
        };
        let Some(name) = defined.strip_prefix("define").map(str::trim_start) else {
            continue;
        };
        if !name.starts_with("RINGPROOF_") && name != "_GNU_SOURCE 1" {
            problems.push(format!("a macro that is none of ours: {name}"));
        }
    }
    // Nothing else reaches a word: in C a mention of it is an access, and a compiler has others.
    let mut rest = plain(header);
    for (_, cpp, c) in HELPERS {
        rest = rest.replace(cpp, "").replace(c, "");
    }
    for (at, _) in rest.match_indices("value") {
        let (before, after) = (&rest[..at], &rest[at + "value".len()..]);
        let is_longer = after.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
        if !is_longer && before.ends_with(['.', '>']) {
            let near = before.rsplit(';').next().unwrap_or("");
            problems.push(format!("an access beside the helpers: {near}value"));
        }
    }
    for (function, argument) in calls(&rest) {
        // The list of what is attached is this process's own.
        let is_atomic = function.contains("atomic_") || function.starts_with("__sync_");
        if is_atomic && !argument.starts_with("&ringproof_attached.") {
            problems.push(format!(
                "an access beside the helpers: {function}({argument}"
            ));
        }
    }
    if rest.matches("volatile").count() != rest.matches("__asm__ volatile").count() {
        problems.push("something is volatile".to_owned());
    }
    // And no attribute lets a compiler make fewer of them.
    for function in &functions {
        let is_helper = HELPERS.iter().any(|(name, ..)| *name == function.name);
        let mut lines = header[..function.body.start].lines().rev();
        let (line, above) = (lines.next().unwrap_or(""), lines.next().unwrap_or(""));
        let is_alone = above.starts_with('#') || above.ends_with('}');
        if is_helper && !(line.starts_with("static inline ") && is_alone) {
            problems.push(format!(
                "{} is declared otherwise: {above} {line}",
                function.name
            ));
        }
    }
    problems
}

// ---- Tests ----------------------------------------------------------------------------------------

fn agreed() -> String {
    read("tests/c_sites.txt")
}

/// All that is wrong with a header.
fn problems(header: &str, agreed: &str) -> Vec<String> {
    let read = read_header(header);
    [
        helper_problems(header),
        read.site_problems(),
        order_problems(&read.events()),
        statement_problems(&read, agreed),
    ]
    .concat()
}

#[test]
fn the_header_makes_the_accesses_of_the_table_in_the_order_of_the_document_and_of_rust() {
    let header = header();
    let read = read_header(&header);
    assert_eq!(read.site_problems(), Vec::<String>::new());
    assert_eq!(order_problems(&read.events()), Vec::<String>::new());
}

#[test]
fn what_makes_the_accesses_is_pinned() {
    assert_eq!(helper_problems(&header()), Vec::<String>::new());
}

#[test]
fn every_statement_around_an_access_was_agreed_to() {
    let header = header();
    let read = read_header(&header);
    if env::var_os(WRITE).is_some() {
        fs::write(crate_file("tests/c_sites.txt"), read.statements()).expect("write the file");
        return;
    }
    let problems = statement_problems(&read, &agreed());
    assert!(
        problems.is_empty(),
        "{problems:#?}; look at it, then `{COMMAND}` takes it over"
    );
}

/// Every change of what makes an access is reported.
#[test]
fn a_helper_that_does_something_else_is_reported() {
    let header = header();
    let mut tried = 0;
    let orderings = ["relaxed", "acquire", "release", "seq_cst"];
    let mut try_change = |right: &str, wrong: &str| {
        assert_eq!(header.matches(right).count(), 1, "{right}: not one place");
        let changed = header.replace(right, wrong);
        assert!(!helper_problems(&changed).is_empty(), "{right} -> {wrong}");
        tried += 1;
    };
    for (name, cpp, c) in HELPERS {
        for body in [cpp, c] {
            let ordering = orderings.iter().find(|ordering| body.contains(**ordering));
            let ordering = ordering.unwrap_or_else(|| panic!("{name}: no ordering"));
            for other in orderings {
                if other != *ordering {
                    try_change(body, &body.replace(ordering, other));
                }
            }
            for (right, wrong) in [
                ("thread_fence", "signal_fence"),
                ("signal_fence", "thread_fence"),
            ] {
                if body.contains(right) {
                    try_change(body, &body.replace(right, wrong));
                }
            }
            try_change(body, "");
        }
    }
    for (right, wrong) in [
        ("std::atomic<uint64_t> value;", "volatile uint64_t value;"),
        ("_Atomic uint64_t value;", "volatile uint64_t value;"),
        ("RINGPROOF_ALIGNAS(8) _Atomic", "_Atomic"),
        ("__builtin_ia32_pause();", ""),
        ("__asm__ volatile(\"isb\");", "__asm__ volatile(\"yield\");"),
        ("ringproof_store_relaxed(&to[i], word);", "to[0] = to[i];"),
        (
            "const uint64_t word = ringproof_load_relaxed(&from[i]);",
            "const uint64_t word = ringproof_load_relaxed(from);",
        ),
        (
            "producer->write_index - producer->cached_read_index)",
            "producer->write_index - producer->read_word->value)",
        ),
        (
            "producer->write_index - producer->cached_read_index)",
            "producer->write_index - __atomic_load_n((uint64_t *)producer->read_word, 0))",
        ),
        (
            "producer->write_index - producer->cached_read_index)",
            "producer->write_index - *(volatile uint64_t *)producer->read_word)",
        ),
        (
            "static inline uint64_t ringproof_load_acquire(ringproof_word *word) {\n  return atomic",
            "__attribute__((pure)) static inline uint64_t ringproof_load_acquire(ringproof_word *word) \
             {\n  return atomic",
        ),
        (
            "}\nstatic inline uint64_t ringproof_load_acquire(ringproof_word *word) {\n  return word",
            "}\n__attribute__((pure))\n\
             static inline uint64_t ringproof_load_acquire(ringproof_word *word) {\n  return word",
        ),
        (
            "/* Off the hot path:",
            "#define ringproof_fence_release() ((void)0)\n/* Off the hot path:",
        ),
        (
            "/* Off the hot path:",
            "  # define atomic_thread_fence(order) ((void)0)\n/* Off the hot path:",
        ),
        (
            "/* One function for each ordering in use:",
            "#define memory_order_release memory_order_relaxed\n/* One function for each ordering in use:",
        ),
    ] {
        try_change(right, wrong);
    }
    assert!(tried > 60, "{tried}");
}

/// What becomes of a header in which two neighbours changed places: with their comments, and without.
fn swapped(header: &str, one: &Node, other: &Node) -> [String; 2] {
    let (first, second) = (&header[one.whole.clone()], &header[other.whole.clone()]);
    let with_comments = [
        &header[..one.whole.start],
        second,
        first,
        &header[other.whole.end..],
    ];
    let (a, b) = (
        one.code.start..one.whole.end,
        other.code.start..other.whole.end,
    );
    let without = [
        &header[..a.start],
        &header[b.clone()],
        &header[a.end..b.start],
        &header[a.clone()],
        &header[b.end..],
    ];
    [with_comments.concat(), without.concat()]
}

/// Pairs of neighbours, in a block and in the blocks in it, one of which is a statement with an access.
fn neighbours<'n>(read: &Read<'_>, nodes: &'n [Node], pairs: &mut Vec<[&'n Node; 2]>) {
    let code = |node: &Node| plain(&read.text[node.code.clone()]);
    let makes_access = |node: &Node| {
        let is_access =
            |function| access(function).is_some() || function == "ringproof_compiler_fence";
        let code = code(node);
        let mut calls = calls(&code).into_iter();
        node.block.is_none()
            && calls.any(|(function, _)| is_access(function) || COPIES.contains(&function))
    };
    for pair in nodes.windows(2) {
        let [one, other] = pair else { continue };
        // What is behind a `return` or before an `else` does not move.
        let bound = code(one).starts_with("return") || code(other).starts_with("else");
        let same = code(one) == code(other) && other.block.is_none();
        if (makes_access(one) || makes_access(other)) && !bound && !same {
            pairs.push([one, other]);
        }
    }
    for node in nodes {
        neighbours(read, node.block.as_deref().unwrap_or_default(), pairs);
    }
}

/// A load, store, fence or copy that moves past its neighbour is reported, whichever it is.
#[test]
fn an_access_that_moves_past_its_neighbour_is_reported() {
    let (header, agreed) = (header(), agreed());
    let read = read_header(&header);
    let (mut tried, mut by_order) = (0, 0);
    for (function, nodes, _) in &read.functions {
        let mut pairs = Vec::new();
        neighbours(&read, nodes, &mut pairs);
        for [one, other] in pairs {
            for changed in swapped(&header, one, other) {
                let name = function.name;
                let (a, b) = (&header[one.code.clone()], &header[other.code.clone()]);
                assert!(!problems(&changed, &agreed).is_empty(), "{name}: {a} | {b}");
                tried += 1;
                let changed = read_header(&changed);
                let order = order_problems(&changed.events());
                by_order += usize::from(!order.is_empty());
            }
        }
    }
    println!("{tried} moves, {by_order} of them against the order of a whole operation");
    assert!(tried > 60 && by_order > 15, "{tried}, {by_order}");
}

/// A statement of a function with an access that is missing, or there twice, is reported by its function
/// and its text.
#[test]
fn a_statement_that_is_missing_or_there_twice_is_reported_with_its_text() {
    fn walk<'n>(nodes: &'n [Node], found: &mut Vec<&'n Node>) {
        for node in nodes {
            found.push(node);
            walk(node.block.as_deref().unwrap_or_default(), found);
        }
    }
    let (header, agreed) = (header(), agreed());
    let read = read_header(&header);
    let pinned = by_function(&agreed);
    let mut tried = 0;
    for (function, nodes, _) in &read.functions {
        if !pinned.contains_key(function.name) {
            continue;
        }
        let mut all = Vec::new();
        walk(nodes, &mut all);
        for node in all.iter().filter(|node| node.block.is_none()) {
            let (range, whole) = (&node.code, &header[node.code.clone()]);
            let (before, after) = (&header[..range.start], &header[range.end..]);
            let told = plain(whole);
            for changed in [
                [before, after].concat(),
                [before, whole, "\n", whole, after].concat(),
            ] {
                let found = statement_problems(&read_header(&changed), &agreed);
                let name = function.name;
                let [problem] = &found[..] else {
                    panic!("{name}: {told}: {found:?}");
                };
                assert!(problem.starts_with(&format!("{name}: `")), "{problem}");
                tried += 1;
                // One of several that are alike may be told by the one after it, and a function
                // without its only access by its first line.
                let alike = plain(&header[function.body.clone()]).matches(&told).count() > 1;
                let gone = problem.contains("`nothing`");
                assert!(
                    alike || gone || problem.contains(&told),
                    "{told}: {problem}"
                );
            }
        }
    }
    assert!(tried > 200, "{tried}");
}

/// An access of another ordering, to another word or none at all is reported by the table alone.
#[test]
fn an_access_that_is_another_one_is_reported() {
    let header = header();
    let mut tried = 0;
    let start = header.find("/* ---- The wire layout").expect("a section");
    let mut try_change = |at: usize, right: &str, wrong: &str| {
        let changed = [&header[..at], wrong, &header[at + right.len()..]].concat();
        let read = read_header(&changed);
        let here = &header[at..(at + 60).min(header.len())];
        assert!(
            !read.site_problems().is_empty(),
            "{wrong} instead of {here}"
        );
        tried += 1;
    };
    for (right, wrong) in [
        ("ringproof_load_acquire(", "ringproof_load_relaxed("),
        ("ringproof_load_relaxed(", "ringproof_load_acquire("),
        ("ringproof_store_release(", "ringproof_store_relaxed("),
        ("ringproof_store_relaxed(", "ringproof_store_release("),
        ("ringproof_fence_acquire(", "ringproof_fence_release("),
        ("ringproof_fence_release(", "ringproof_fence_acquire("),
        ("ringproof_fence_acquire(", "ringproof_compiler_fence("),
        ("ringproof_fence_release(", "ringproof_compiler_fence("),
        ("ringproof_load_acquire(", "not_a_load("),
        ("ringproof_load_relaxed(", "not_a_load("),
        ("ringproof_store_release(", "not_a_store("),
        ("ringproof_store_relaxed(", "not_a_store("),
    ] {
        for (at, _) in header.match_indices(right).filter(|(at, _)| *at > start) {
            try_change(at, right, wrong);
        }
    }
    for (right, wrong) in [
        ("(write_word,", "(read_word,"),
        ("(read_word,", "(write_word,"),
        ("(producer->read_word)", "(producer->write_word)"),
        ("(consumer->write_word)", "(consumer->read_word)"),
        ("(producer->write_word,", "(producer->read_word,"),
        ("(consumer->read_word,", "(consumer->write_word,"),
        ("(reader->values.index)", "(reader->values.words)"),
        ("(writer->values.index,", "(writer->values.words,"),
    ] {
        let places = header.match_indices(right).filter(|(at, _)| {
            let before = header[..*at].rsplit(['\n', ' ']).next().unwrap_or("");
            access(before).is_some()
        });
        let places: Vec<_> = places.collect();
        assert!(!places.is_empty(), "{right}");
        for (at, _) in places {
            try_change(at, right, wrong);
        }
    }
    // And a comment that lies, or is gone.
    for (right, wrong) in [
        (
            "RingFree, release: pairs with RingReclaim",
            "RingFree, relaxed: pairs with RingReclaim",
        ),
        (
            "RingFree, release: pairs with RingReclaim",
            "RingFree, release: pairs with RingObserve",
        ),
        (
            "/* SeqReadFence, acquire: pairs with SeqWriteFence;",
            "/* Pairs with",
        ),
        (
            "RoleEpoch and RoleEpochNext, relaxed",
            "RoleEpochNext and RoleEpoch, relaxed",
        ),
    ] {
        let at = header.find(right).unwrap_or_else(|| panic!("{right}"));
        try_change(at, right, wrong);
    }
    assert!(tried > 60, "{tried}");
}

/// The order is held against something: another one in the document, or in the Rust sources, is another.
#[test]
fn the_order_is_read_from_the_document_and_from_rust() {
    let document = read("ABI.md");
    let sites = |name: &str, nth: usize, document: &str| {
        let operations = documented(document);
        let mut of_name = operations.into_iter().filter(|(found, _)| found == name);
        of_name.nth(nth).map(|(_, sites)| sites.join(" "))
    };
    for (name, nth, expected) in [
        ("Push", 0, "RingEnd RingReclaim RingFill RingPublish"),
        ("Pop", 0, "RingObserve RingTake RingFree"),
        (
            "Write a seqlock",
            0,
            "SeqOdd SeqWriteFence SeqCopyIn SeqEven",
        ),
        (
            "Read it",
            0,
            "SeqObserve SeqCopyOut SeqReadFence SeqRecheck",
        ),
        (
            "Write a latch",
            0,
            "LatchWriteFence LatchCopyIn LatchPublish",
        ),
        (
            "Read it",
            1,
            "LatchObserve LatchCopyOut LatchReadFence LatchRecheck",
        ),
    ] {
        assert_eq!(
            sites(name, nth, &document).as_deref(),
            Some(expected),
            "{name}"
        );
    }
    let changed = document.replace("`SeqWriteFence`, `SeqCopyIn` of", "`SeqCopyIn` of");
    assert_ne!(
        sites("Write a seqlock", 0, &changed),
        sites("Write a seqlock", 0, &document)
    );
    let source = read("src/seqlock.rs");
    let head = "impl<'a, T: Payload, M: Memory, K> SeqReader<'a, T, M, K> {";
    let order = |source: &str| {
        let functions = rust_functions(source, head);
        in_order(&functions, "try_read_words", "Seq").join(" ")
    };
    assert_eq!(
        order(&source),
        "SeqObserve SeqCopyOut SeqReadFence SeqRecheck"
    );
    let fence = "self.memory.fence(FenceSite::SeqReadFence);";
    assert_eq!(source.matches(fence).count(), 1);
    assert_eq!(
        order(&source.replace(fence, "")),
        "SeqObserve SeqCopyOut SeqRecheck"
    );
}
