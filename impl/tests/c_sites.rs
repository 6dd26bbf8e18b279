//! The accesses of the C header, as text: against the site table, against the order in ABI.md and in
//! the Rust sources, and against what was read and agreed to. On a processor with strong ordering no
//! run can show a fence that is missing or stands elsewhere; so the text is held.

#[path = "../ffi/tests/common/c.rs"]
mod c;
#[path = "common/named.rs"]
mod named;

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use c::faults;
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
    c::header("ringproof.h")
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

/// What happens in each function, by its name.
type Functions = BTreeMap<String, Vec<Event>>;

/// The kind and the ordering of the access that a function makes.
fn access(function: &str) -> Option<(&'static str, &'static str)> {
    Some(match function {
        "ringproof_load_relaxed" => ("load", "Relaxed"),
        "ringproof_load_acquire" => ("load", "Acquire"),
        "ringproof_store_relaxed" => ("store", "Relaxed"),
        "ringproof_raise_relaxed" => ("store", "Relaxed"),
        "ringproof_store_release" => ("store", "Release"),
        "ringproof_fence_acquire" => ("fence", "Acquire"),
        "ringproof_fence_release" => ("fence", "Release"),
        "ringproof_fence_seq_cst" => ("fence", "SeqCst"),
        "ringproof_fence_light" => ("fence", "Light"),
        "ringproof_barrier" => ("barrier", "Heavy"),
        "ringproof_futex_wait" => ("futex wait", "Atomic"),
        "ringproof_futex_wake" => ("futex wake", "Atomic"),
        "memcpy" => ("slot", "Plain"),
        _ => return None,
    })
}

/// Whether the header calls that word of the table so.
fn is_word(word: &str, argument: &str) -> bool {
    let field = |name: &str| argument == name || argument.ends_with(&format!("->{name}"));
    match word {
        // Whichever of them it is that a notifier watches.
        "write_index" | "read_index" | "seq" | "version"
            if argument == "&notifier->waiter.theirs->index" =>
        {
            true
        }
        "write_index" => field("write_word"),
        "read_index" => field("read_word"),
        "seq" | "version" => field("values.index"),
        "payload" => argument == "&to[i]" || argument == "&from[i]",
        "retired" => field("retired") || argument == "mark",
        "asks" | "answers" | "epoch" | "note" => field(word),
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
                    // A slot is read or written by the same function.
                    (info.kind == kind || info.kind.split(' ').next() == Some(kind))
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
    /// What makes the accesses, which comes before the others.
    helpers: Vec<(Function<'a>, Vec<Node>)>,
    /// What is wrong with its comments and the accesses after them.
    problems: Vec<String>,
}

/// Where the helpers begin, and their struct; and where they end.
const WORDS: &str = "/* ---- Shared words";
const WORD: &str = "typedef struct ringproof_word {";
const LAYOUT: &str = "/* ---- The wire layout";

fn read_header(text: &str) -> Read<'_> {
    let [words, layout] = [WORDS, LAYOUT].map(|place| text.find(place).unwrap_or(0));
    let mut read = Read {
        text,
        functions: Vec::new(),
        helpers: Vec::new(),
        problems: Vec::new(),
    };
    if let Some(at) = text.find(WORD) {
        let open = at + WORD.len() - 1;
        let body = open + 1..closing(text, open);
        let nodes = parse(text, body.start, body.end);
        let name = "ringproof_word";
        read.helpers.push((Function { name, body }, nodes));
    }
    for function in functions(text) {
        let nodes = parse(text, function.body.start, function.body.end);
        let place = function.body.start;
        if place < layout {
            if place > words {
                read.helpers.push((function, nodes));
            }
            continue;
        }
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
    fn events(&self) -> Functions {
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
        for (function, nodes) in &self.helpers {
            text += &format!("\n{}\n", function.name);
            render(self.text, nodes, 1, &mut text);
        }
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
    let mut functions = BTreeMap::<_, Vec<_>>::new();
    for (number, piece) in statements.split("\n\n").enumerate() {
        let (name, lines) = if number == 0 {
            ("", piece)
        } else {
            piece.split_once('\n').unwrap_or((piece, ""))
        };
        // One in C and one in C++.
        let of_name = functions.entry(name).or_default();
        of_name.extend(lines.lines());
    }
    functions
}

// ---- The order of an operation ----------------------------------------------------------------

/// The accesses of a function and of all that it calls, in the order of the text. Two runs of slots are
/// one access.
fn in_order(functions: &Functions, name: &str, prefix: &str) -> Vec<String> {
    let mut found = Vec::new();
    walk(functions, name, prefix, &mut Vec::new(), &mut found);
    found
}

fn walk<'f>(
    functions: &'f Functions,
    name: &'f str,
    prefix: &str,
    within: &mut Vec<&'f str>,
    found: &mut Vec<String>,
) {
    if within.contains(&name) {
        return;
    }
    within.push(name);
    for event in functions.get(name).into_iter().flatten() {
        match event {
            Event::Call(other) => walk(functions, other, prefix, within, found),
            Event::CompilerFence => found.push("a compiler fence".to_owned()),
            Event::At(sites) => {
                let site = sites.iter().find(|site| site.starts_with(prefix));
                let site = site.or(sites.first()).cloned().unwrap_or_default();
                // What every publication is followed by is no part of an operation's own.
                if found.last() != Some(&site) && !site.starts_with("Wake") {
                    found.push(site);
                }
            }
        }
    }
    within.pop();
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
fn rust_functions(source: &str, head: &str) -> Functions {
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

/// An operation: what ABI.md calls it, the function in C; the source, the end and the function in Rust; with what
/// its sites begin. In the order of ABI.md, where two have the same name.
const OPERATIONS: &str = "\
Push, ringproof_push_sized, ring, Producer, push, Ring
Pop, ringproof_pop_sized, ring, Consumer, pop, Ring
Write a seqlock, ringproof_seqlock_write, seqlock, SeqWriter, write_words, Seq
Read it, ringproof_seqlock_try_read, seqlock, SeqReader, try_read_words, Seq
Write a latch, ringproof_latch_write, latch, LatchWriter, write_words, Latch
Read it, ringproof_latch_try_read, latch, LatchReader, try_read_words, Latch";

fn operations() -> Vec<[&'static str; 6]> {
    let split = |line: &'static str| line.split(", ").collect::<Vec<_>>();
    let rows = OPERATIONS.lines().map(split);
    rows.map(|row| row.try_into().expect("six columns"))
        .collect()
}

/// The functions of one of the ends.
fn of_end(source: &str, end: &str) -> Functions {
    let head = format!("impl<'a, T: Payload, M: Memory, K> {end}<'a, T, M, K> {{");
    rust_functions(source, &head)
}

/// Those operations as the document has them: the name, and the sites.
fn documented_operations(document: &str) -> Vec<(String, Vec<String>)> {
    let mut operations = documented(document);
    let known = self::operations();
    operations.retain(|(name, _)| known.iter().any(|operation| operation[0] == name));
    operations
}

/// After these stores a sleeper may have something to wake up for.
const PUBLICATIONS: [&str; 6] = [
    "RingPublish",
    "RingEnd",
    "RingFree",
    "RingStop",
    "SeqEven",
    "LatchPublish",
];

/// The publications in C that no look at who sleeps follows.
fn unheard_publications(c: &Functions) -> Vec<String> {
    let mut problems = Vec::new();
    for (function, events) in c {
        for (at, event) in events.iter().enumerate() {
            let Event::At(sites) = event else { continue };
            let is_heard = matches!(events.get(at + 1),
                Some(Event::Call(called)) if called == "ringproof_wake_if_asked");
            if sites.iter().any(|site| PUBLICATIONS.contains(&&**site)) && !is_heard {
                problems.push(format!("{function}: nobody is woken after {sites:?}"));
            }
        }
    }
    problems
}

/// What is wrong with the order of accesses in C, against the document and the Rust sources.
fn order_problems(c: &Functions) -> Vec<String> {
    let document = documented_operations(&read("ABI.md"));
    let mut problems = unheard_publications(c);
    if document.len() != operations().len() {
        problems.push(format!("other operations in ABI.md: {document:?}"));
    }
    let mut compare = |what: &str, found: Vec<String>, expected: &[String]| {
        if found != expected || expected.is_empty() {
            problems.push(format!("{what}: {found:?} instead of {expected:?}"));
        }
    };
    for ([name, function, source, end, rust, prefix], (found, expected)) in
        operations().into_iter().zip(&document)
    {
        compare(name, vec![found.clone()], &[name.to_owned()]);
        let source = format!("src/{source}.rs");
        let rust_functions = of_end(&read(&source), end);
        compare(&source, in_order(&rust_functions, rust, prefix), expected);
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
    // Of these ABI.md says which sites, but no order between two. What an end in Rust calls of its own is in C its own.
    let own = |functions: &Functions, name: &str| {
        let of = |name: &str| functions.get(name).into_iter().flatten();
        let events = of(name).flat_map(|event| match event {
            Event::Call(called) if called != name && !called.starts_with("ringproof_") => {
                of(called).collect()
            }
            event => vec![event],
        });
        let sites = events.filter_map(|event| match event {
            Event::At(sites) => sites.first().cloned(),
            _ => None,
        });
        sites.collect::<Vec<_>>()
    };
    let ring = read("src/ring.rs");
    let role = rust_function(&read("src/role/words.rs"), "pub fn enter<");
    let sleep = read("src/sleep.rs");
    let of_sleep =
        |side: &str| rust_functions(&sleep, &format!("impl<'a, M: Memory> {side}<'a, M> {{"));
    for (function, rust_functions, rust) in [
        (
            "ringproof_producer_close",
            of_end(&ring, "Producer"),
            "close",
        ),
        (
            "ringproof_consumer_close",
            of_end(&ring, "Consumer"),
            "close",
        ),
        ("ringproof_producer_open", of_end(&ring, "Producer"), "new"),
        ("ringproof_consumer_open", of_end(&ring, "Consumer"), "new"),
        ("ringproof_take", role, "enter"),
        ("ringproof_waker_init", of_sleep("Waker"), "new"),
        ("ringproof_wake_if_asked", of_sleep("Waker"), "asked"),
        ("ringproof_wake", of_sleep("Waker"), "handle"),
        ("ringproof_ask", of_sleep("Sleeper"), "ask"),
        ("ringproof_sleep", of_sleep("Sleeper"), "sleep"),
    ] {
        compare(function, own(c, function), &own(&rust_functions, rust));
    }
    problems
}

/// The same as [`rust_functions`] of one that stands alone.
fn rust_function(source: &str, head: &str) -> Functions {
    let (_, rest) = source
        .split_once(head)
        .unwrap_or_else(|| panic!("no {head}"));
    let name = head.trim_start_matches("pub fn ").trim_end_matches('<');
    let body = rest.split("\n}\n").next().unwrap_or("");
    rust_functions(&format!("impl {{\n    fn {name}<{body}\n}}\n"), "impl {")
}

// ---- The functions that make the accesses ---------------------------------------------------------

/// What is wrong with what makes the accesses. (The text of each is among the statements.)
fn helper_problems(header: &str) -> Vec<String> {
    let mut problems = Vec::new();
    let read = read_header(header);
    let is_access = |name: &str| access(name).is_some() || name == "ringproof_compiler_fence";
    let mut found = BTreeMap::new();
    for (function, _) in read.helpers.iter().filter(|(it, _)| is_access(it.name)) {
        let (word, ordering) = match access(function.name) {
            Some(("fence", "SeqCst")) => ("thread_fence", "seq_cst"),
            Some(("fence", "Light")) | None => ("signal_fence", "seq_cst"),
            Some(("fence", ordering)) => ("thread_fence", ordering),
            Some((_, ordering)) if function.name == "ringproof_raise_relaxed" => {
                ("compare_exchange", ordering)
            }
            // What the kernel does has no ordering of the language's, and is the same in C++.
            Some(("barrier" | "futex wait" | "futex wake", _)) => {
                found.insert(function.name, 2);
                continue;
            }
            Some(other) => other,
        };
        let body = plain(&header[function.body.clone()]);
        let mut orderings = body.split("memory_order_").skip(1).peekable();
        let fits = orderings.peek().is_some()
            && orderings.all(|found| found.starts_with(&ordering.to_lowercase()))
            && body.contains(word);
        if !fits {
            problems.push(format!("{}: {body}", function.name));
        }
        *found.entry(function.name).or_insert(0) += 1;
    }
    // In C++ and in C.
    if found.len() != 13 || found.values().any(|count| *count != 2) {
        problems.push(format!("other helpers: {found:?}"));
    }
    // Nothing that is included after the words, or is no header of the system, says what they mean.
    let words = header.find(WORDS).unwrap_or(0);
    for (at, _) in header.match_indices("include") {
        let before = header[..at].trim_end_matches([' ', '\t']);
        if before.ends_with('#') && (at > words || !header[at..].starts_with("include <")) {
            let line = header[at..].lines().next().unwrap_or("");
            problems.push(format!("another #{line}"));
        }
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
    let mut rest = String::new();
    let mut end = 0;
    for (function, _) in read.helpers.iter().filter(|(it, _)| is_access(it.name)) {
        rest += &header[end..function.body.start];
        end = function.body.end;
    }
    let rest = plain(&(rest + &header[end..]));
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
    for (function, _) in read.helpers.iter().filter(|(it, _)| is_access(it.name)) {
        let mut lines = header[..function.body.start].lines().rev();
        let (line, above) = (lines.next().unwrap_or(""), lines.next().unwrap_or(""));
        let is_comment = above.ends_with("*/") && !above.contains("__attribute__");
        let is_alone = above.starts_with('#') || above.ends_with('}') || is_comment;
        if !(line.starts_with("static inline ") && is_alone) {
            let name = function.name;
            problems.push(format!("{name} is declared otherwise: {above} {line}"));
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
    let (header, agreed) = (header(), agreed());
    let mut tried = 0;
    let mut check = |changed: &str, what: &str| {
        assert!(!problems(changed, &agreed).is_empty(), "{what}");
        tried += 1;
    };
    let orderings = ["relaxed", "acquire", "release", "seq_cst"];
    let read = read_header(&header);
    for (function, _) in &read.helpers {
        let name = function.name;
        let Some(ordering) = (orderings.iter()).find(|ordering| {
            header[function.body.clone()].contains(&format!("memory_order_{ordering}"))
        }) else {
            continue;
        };
        let (before, after) = (&header[..function.body.start], &header[function.body.end..]);
        let body = &header[function.body.clone()];
        let others = orderings.iter().map(|other| body.replace(ordering, other));
        let fences = [
            body.replace("thread_fence", "signal_fence"),
            body.replace("signal_fence", "thread_fence"),
        ];
        for wrong in others.chain(fences).chain([String::new()]) {
            if wrong != body {
                check(
                    &[before, &wrong, after].concat(),
                    &format!("{name}: {wrong}"),
                );
            }
        }
    }
    for fault in faults("helpers.txt") {
        check(&fault.inject(&header), &fault.to_string());
    }
    assert!(tried > 60, "{tried}");
}

/// What becomes of a header in which two neighbours changed places: with their comments, and without.
fn swapped(header: &str, one: &Node, other: &Node) -> [String; 2] {
    let with_comments = (one.whole.clone(), other.whole.clone());
    let without = (
        one.code.start..one.whole.end,
        other.code.start..other.whole.end,
    );
    [with_comments, without].map(|(a, b)| {
        let (before, between) = (&header[..a.start], &header[a.end..b.start]);
        let (a, b, after) = (&header[a], &header[b.clone()], &header[b.end..]);
        [before, b, between, a, after].concat()
    })
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
            let said = plain(whole);
            for changed in [
                [before, after].concat(),
                [before, whole, "\n", whole, after].concat(),
            ] {
                let found = statement_problems(&read_header(&changed), &agreed);
                let name = function.name;
                let [problem] = &found[..] else {
                    panic!("{name}: {said}: {found:?}");
                };
                assert!(problem.starts_with(&format!("{name}: `")), "{problem}");
                tried += 1;
                // One of several that are alike may be reported by the one after it, and a function
                // without its only access by its first line.
                let alike = plain(&header[function.body.clone()]).matches(&said).count() > 1;
                let gone = problem.contains("`nothing`");
                assert!(
                    alike || gone || problem.contains(&said),
                    "{said}: {problem}"
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
        ("ringproof_fence_seq_cst(", "ringproof_fence_light("),
        ("ringproof_fence_seq_cst(", "ringproof_fence_release("),
        ("ringproof_fence_seq_cst(", "not_a_fence("),
        ("ringproof_fence_light(", "ringproof_compiler_fence("),
        ("ringproof_fence_light(", "not_a_fence("),
        ("ringproof_barrier(", "ringproof_fence_seq_cst("),
        ("ringproof_barrier(", "not_a_barrier("),
        ("ringproof_futex_wait(", "ringproof_futex_wake("),
        ("ringproof_futex_wait(", "not_a_call("),
        ("ringproof_futex_wake(", "not_a_call("),
        ("ringproof_load_acquire(", "not_a_load("),
        ("ringproof_load_relaxed(", "not_a_load("),
        ("ringproof_store_release(", "not_a_store("),
        ("ringproof_store_relaxed(", "not_a_store("),
        ("ringproof_raise_relaxed(", "ringproof_store_release("),
        ("ringproof_raise_relaxed(", "not_a_store("),
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
        ("(&waker->theirs->asks)", "(&waker->theirs->answers)"),
        ("(&waker->ours->answers)", "(&waker->ours->asks)"),
        ("(&waker->ours->answers,", "(&waker->ours->index,"),
        ("(&waiter->ours->asks,", "(&waiter->ours->answers,"),
        ("(&waiter->theirs->answers)", "(&waiter->theirs->index)"),
        ("(&waiter->theirs->answers,", "(&waiter->theirs->index,"),
        ("(&waiter->theirs->epoch)", "(&waiter->theirs->asks)"),
        (
            "(&notifier->waiter.theirs->index)",
            "(&notifier->waiter.ours->index)",
        ),
        (
            "(&notifier->waiter.theirs->answers)",
            "(&notifier->waiter.theirs->index)",
        ),
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
    for fault in faults("comments.txt") {
        let read = fault.inject(&header);
        assert!(!read_header(&read).site_problems().is_empty(), "{fault}");
    }
    assert!(tried > 60, "{tried}");
}

/// A publication after which nobody looks whether somebody sleeps is reported, each.
#[test]
fn a_publication_that_wakes_nobody_is_reported() {
    let header = header();
    let start = header.find("/* ---- The ring").expect("a section");
    let call = "ringproof_wake_if_asked(";
    let mut tried = 0;
    for (at, _) in header.match_indices(call).filter(|(at, _)| *at > start) {
        let changed = [&header[..at], "not_a_look(", &header[at + call.len()..]].concat();
        let problems = unheard_publications(&read_header(&changed).events());
        assert_eq!(problems.len(), 1, "{problems:?}");
        tried += 1;
    }
    assert_eq!(tried, PUBLICATIONS.len());
}

/// The order is held against something: another one in the document, or in the Rust sources, is another.
#[test]
fn the_order_is_read_from_the_document_and_from_rust() {
    let document = read("ABI.md");
    let sites = |document: &str| {
        let operations = documented_operations(document).into_iter();
        operations
            .map(|(_, sites)| sites.join(" "))
            .collect::<Vec<_>>()
    };
    let expected = [
        "RingEnd RingReclaim RingFill RingPublish",
        "RingObserve RingTake RingFree",
        "SeqOdd SeqWriteFence SeqCopyIn SeqEven",
        "SeqObserve SeqCopyOut SeqReadFence SeqRecheck",
        "LatchWriteFence LatchCopyIn LatchPublish",
        "LatchObserve LatchCopyOut LatchReadFence LatchRecheck",
    ];
    assert_eq!(sites(&document), expected);
    let changed = document.replace("`SeqWriteFence`, `SeqCopyIn` of", "`SeqCopyIn` of");
    assert_ne!(sites(&changed), expected);
    let source = read("src/seqlock.rs");
    let order = |source: &str| {
        let functions = of_end(source, "SeqReader");
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
