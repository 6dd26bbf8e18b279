//! A failed execution as a table for people: a column for each actor, a row for each access, and
//! from which row a load has read.
//!
//! The rows stand in the order in which the engine executed them. Weak memory shows where a load
//! reads from a row that is not the last store to its word: it has *missed* that one.

use std::collections::HashMap;

use ringproof::ring::index_of;
use ringproof::site::SiteInfo;

use crate::engine::Read;
use crate::exploration::Failure;
use crate::trace::{Event, Label, Trace, Update, Waking, What};

/// How wide the text below the table may be, and a table of one or two actors.
const WIDTH: usize = 100;

/// How wide a table of more actors may be.
const WIDE: usize = 120;

/// How many lines a table may have, so that it fits a screen together with the text below it.
const HEIGHT: usize = 33;

/// The failed execution, what it broke, and the command that repeats it, as plain text of several
/// lines. The same failure always gives the same text.
///
/// Of an execution that is too long for a screen the last rows are shown, and of those before
/// them the ones to which a row below refers. The text says how many are not shown.
pub fn render(failure: &Failure, repeat: &str) -> String {
    let trace = &failure.trace;
    let rows = rows(failure);
    let mut lines = table(&trace.actors, &rows);
    lines.push(String::new());
    for site in changed(trace) {
        let partners = match site.partners {
            [] => String::new(),
            partners => format!(", paired with {}", partners.join(" and ")),
        };
        let what = format!(
            "{} is a {}, {} in the site table{partners}: {}",
            site.name, site.kind, site.ordering, site.why
        );
        lines.extend(paragraph("changed*", &what));
    }
    if let Some(point) = failure.crash_point {
        let what = format!("whoever may die in this scenario does so before access {point}");
        lines.extend(paragraph("crash", &what));
    }
    lines.extend(paragraph("broken", &failure.finding));
    lines.extend(paragraph("legend", &legend(&rows)));
    lines.extend(command("repeat", repeat));
    lines.join("\n") + "\n"
}

/// What the signs mean that occur in the table.
fn legend(rows: &[Row]) -> String {
    let mut legend = "← stores, = finds".to_owned();
    for (sign, meaning) in [
        ("from ", "from n: what row n stored"),
        ("missed ", "missed n: row n had stored something newer"),
        ("races ", "races with n: nothing orders it with row n"),
    ] {
        if rows.iter().any(|row| row.remark.contains(sign)) {
            legend = format!("{legend}; {meaning}");
        }
    }
    legend
}

/// One row of the table, in pieces.
struct Row {
    actor: usize,
    label: String,
    /// What was done to which word.
    access: String,
    order: String,
    /// Which store a load found, or what a slot access races with.
    remark: String,
    /// The places of the rows that the remark names, all of them above this one.
    named: Vec<usize>,
}

fn rows(failure: &Failure) -> Vec<Row> {
    let trace = &failure.trace;
    let names = names(trace);
    let racing = racing(failure);
    let row = |(place, event): (usize, &Event)| {
        let name = target(event).map_or("", |target| names[&target].as_str());
        let access = match event.what {
            What::Load { read, .. } => format!("{name} = {}", number(name, read.value)),
            What::Update { read, update, .. } => {
                let to = match update {
                    Update::Add(amount) => format!("+{amount}"),
                    Update::Raise(least) => format!("at least {}", number(name, least)),
                };
                format!("{name} = {} ← {to}", number(name, read.value))
            }
            What::Store { value, .. } | What::Write { value, .. } => {
                format!("{name} ← {}", number(name, value))
            }
            What::Fence { .. } => "fence".to_owned(),
            What::Nothing => "does nothing".to_owned(),
            What::Wait { value, .. } => format!("sleep while {name} = {}", number(name, value)),
            What::Wake { .. } => format!("wake by {name}"),
            What::Read { value, .. } => {
                format!(
                    "{name} = {}",
                    value.map_or("?".to_owned(), |value| number(name, value))
                )
            }
            What::LeftOut => "left out".to_owned(),
            What::Died => "✗ dies before this".to_owned(),
        };
        let order = match event.what {
            What::LeftOut | What::Died | What::Nothing | What::Wait { .. } | What::Wake { .. } => {
                String::new()
            }
            what => (what.order()).map_or("plain".to_owned(), |order| order.to_string()),
        };
        let (remark, named) = match event.what {
            What::Load { word, read, .. } | What::Update { word, read, .. } => {
                origin(trace, word, read)
            }
            What::Wait { ended, .. } => {
                let how = match ended {
                    Some(Waking::Woken) => "woken",
                    Some(Waking::Awake) => "it was not",
                    Some(Waking::TimedOut) => "its time was over",
                    None => "✗ asleep",
                };
                (how.to_owned(), Vec::new())
            }
            _ if racing == Some(place) => rivals(trace, place),
            _ => (String::new(), Vec::new()),
        };
        Row {
            actor: event.actor,
            label: event.label.to_string(),
            access,
            order: match departs(event) {
                Some(_) => order + "*",
                None => order,
            },
            remark,
            named,
        }
    };
    trace.events.iter().enumerate().map(row).collect()
}

/// Which store was read, and which newer one was missed.
fn origin(trace: &Trace, word: usize, read: Read) -> (String, Vec<usize>) {
    let place = |number| store_of(trace, word, number);
    let text = |number| place(number).map_or("unknown".to_owned(), |at| (at + 1).to_string());
    let mut remark = match read.from {
        0 => "initial".to_owned(),
        from => format!("from {}", text(from)),
    };
    if read.newest != read.from {
        remark = format!("{remark}, missed {}", text(read.newest));
    }
    let named = [read.from, read.newest].into_iter().filter_map(place);
    (remark, named.collect())
}

/// The lines of the table. Actors that did nothing have no column.
fn table(actors: &[String], rows: &[Row]) -> Vec<String> {
    let columns = columns(actors, rows);
    let mut lines = vec!["row".to_owned()];
    for column in columns.iter().flatten() {
        lines[0] = format!("{:<2$}{}", lines[0], actors[column.actor], column.start);
    }
    let after = columns
        .iter()
        .flatten()
        .map(|column| column.start + column.width);
    let after = after.max().unwrap_or(0) + 2;
    let orders = rows.iter().map(|row| width(&row.order)).max().unwrap_or(0);
    let mut hidden = 0;
    for ((place, row), is_shown) in rows.iter().enumerate().zip(shown(rows)) {
        if !is_shown {
            hidden += 1;
            continue;
        }
        lines.extend(gap(&mut hidden));
        let column = columns[row.actor]
            .as_ref()
            .expect("its actor did something");
        let (start, labels) = (column.start, column.labels);
        let line = format!("{:>3}", place + 1);
        let line = format!("{line:<start$}{:<labels$} {}", row.label, row.access);
        let line = format!("{line:<after$}{:<orders$}  {}", row.order, row.remark);
        lines.push(line.trim_end().to_owned());
    }
    lines
}

/// A column of the table.
struct Column {
    actor: usize,
    start: usize,
    width: usize,
    /// The width of the labels in it.
    labels: usize,
}

/// The column of each actor that did something. They overlap where they have to: a row has one
/// access only.
fn columns(actors: &[String], rows: &[Row]) -> Vec<Option<Column>> {
    let mut start = 5;
    let mut columns: Vec<_> = (actors.iter().enumerate())
        .map(|(actor, name)| {
            let own = || rows.iter().filter(|row| row.actor == actor);
            let labels = own().map(|row| width(&row.label)).max()?;
            let accesses = own().map(|row| width(&row.access)).max()?;
            let column = Column {
                actor,
                start,
                width: (labels + 1 + accesses).max(width(name)),
                labels,
            };
            start += column.width + 2;
            Some(column)
        })
        .collect();
    let count = columns.iter().flatten().count();
    let widest = |text: fn(&Row) -> &String| rows.iter().map(|row| width(text(row))).max();
    let end =
        start + widest(|row| &row.order).unwrap_or(0) + 2 + widest(|row| &row.remark).unwrap_or(0);
    let most = if count > 2 { WIDE } else { WIDTH };
    let excess = end.saturating_sub(most);
    for (number, column) in columns.iter_mut().flatten().enumerate() {
        column.start -= (excess * number)
            .div_ceil((count - 1).max(1))
            .min(column.start - 5);
    }
    columns
}

/// Which rows are shown: all of them if they fit, otherwise as many of the last ones as fit
/// together with those that they name.
fn shown(rows: &[Row]) -> Vec<bool> {
    for last in (1..=rows.len()).rev() {
        let mut shown = vec![false; rows.len()];
        shown[rows.len() - last..].fill(true);
        for place in (0..rows.len()).rev().filter(|_| last < rows.len()) {
            if shown[place] {
                rows[place]
                    .named
                    .iter()
                    .for_each(|&named| shown[named] = true);
            }
        }
        // A run of hidden rows takes one line.
        let lines = shown.chunk_by(|one, other| !one && !other).count();
        if lines < HEIGHT {
            return shown;
        }
    }
    vec![true; rows.len()]
}

/// The line for rows that are not shown, if there were any.
fn gap(hidden: &mut usize) -> Option<String> {
    match std::mem::take(hidden) {
        0 => None,
        1 => Some("  …  1 row to which no row shown below refers".to_owned()),
        count => Some(format!(
            "  …  {count} rows to which no row shown below refers"
        )),
    }
}

fn width(text: &str) -> usize {
    text.chars().count()
}

/// What an event accessed, if it accessed anything: a word or a slot.
fn target(event: &Event) -> Option<usize> {
    match event.what {
        What::Load { word, .. }
        | What::Update { word, .. }
        | What::Store { word, .. }
        | What::Wait { word, .. }
        | What::Wake { word } => Some(word),
        What::Read { place: slot, .. } | What::Write { slot, .. } => Some(slot),
        What::Fence { .. } | What::Nothing | What::LeftOut | What::Died => None,
    }
}

/// A name for every word and slot: what the site table calls it, and where that is not enough, a
/// letter, in the order of appearance. The words of one payload share their letter: they are
/// accessed one after the other.
fn names(trace: &Trace) -> HashMap<usize, String> {
    let mut order: Vec<(usize, &str, usize)> = Vec::new();
    let mut before: HashMap<usize, (Label, usize)> = HashMap::new();
    for event in &trace.events {
        let Some(place) = target(event) else {
            continue;
        };
        let letter = match order.iter().find(|(known, ..)| *known == place) {
            Some(&(_, _, letter)) => letter,
            None => {
                let base = base_name(event);
                let continued = before.get(&event.actor).filter(|(label, _)| {
                    event.label.part.is_some_and(|part| part > 0)
                        && label.name == event.label.name
                        && label.part.map(|part| part + 1) == event.label.part
                });
                let letter = match continued {
                    Some(&(_, letter)) => letter,
                    None => (order.iter())
                        .filter(|(_, name, _)| *name == base)
                        .map(|&(_, _, letter)| letter + 1)
                        .max()
                        .unwrap_or(0),
                };
                order.push((place, base, letter));
                letter
            }
        };
        before.insert(event.actor, (event.label, letter));
    }
    let alone = |name| {
        order
            .iter()
            .all(|&(_, other, letter)| other != name || letter == 0)
    };
    (order.iter())
        .map(|&(place, name, letter)| match alone(name) {
            true => (place, name.to_owned()),
            false => (place, format!("{name} {}", letter_of(letter))),
        })
        .collect()
}

fn base_name(event: &Event) -> &'static str {
    match (event.label.site, event.what) {
        (Some(site), _) => site.info().word,
        (None, What::Read { .. } | What::Write { .. }) => "slot",
        (None, _) => "word",
    }
}

/// `a` to `z`, then `a1`, and so on.
fn letter_of(number: usize) -> String {
    let letter = char::from(b'a' + (number % 26) as u8);
    match number / 26 {
        0 => letter.to_string(),
        round => format!("{letter}{round}"),
    }
}

/// A value; the largest stands for "none yet" in many a word, the highest bit for a
/// close, or for who needs whole fences.
fn number(name: &str, value: u64) -> String {
    let bit = match name.split(' ').next() {
        Some("asks" | "answers") => "fenced",
        _ => "closed",
    };
    match index_of(value) {
        _ if value == u64::MAX => "MAX".to_owned(),
        (index, true) => format!("{index} {bit}"),
        (index, false) => index.to_string(),
    }
}

/// The place of a store, by its number among those to its word.
fn store_of(trace: &Trace, word: usize, number: usize) -> Option<usize> {
    let place = |matches: &dyn Fn(What) -> bool| {
        let mut places = (trace.events.iter().enumerate())
            .filter(|(_, event)| target(event) == Some(word) && matches(event.what))
            .map(|(place, _)| place);
        // An update does not say its number, but where it is the only one that is no loss.
        places.next().filter(|_| places.next().is_none())
    };
    if number == 0 {
        return None;
    }
    place(&|what| matches!(what, What::Store { number: n, .. } if n == number))
        .or_else(|| place(&|what| matches!(what, What::Update { .. })))
}

/// Where the execution ended in a race: the engines then panic inside the access that noticed it,
/// the last plain one.
fn racing(failure: &Failure) -> Option<usize> {
    let engines = ["Causality violation", "a slot is "];
    let is_race = engines
        .iter()
        .any(|start| failure.finding.starts_with(start));
    let is_plain = |event: &Event| matches!(event.what, What::Read { .. } | What::Write { .. });
    (failure.trace.events.iter().rposition(is_plain)).filter(|_| is_race)
}

/// The last access of each other actor that conflicts with this one: if any of an actor's is not
/// ordered before this one, its last is not.
fn rivals(trace: &Trace, place: usize) -> (String, Vec<usize>) {
    let this = &trace.events[place];
    let reads = |event: &Event| matches!(event.what, What::Load { .. } | What::Read { .. });
    let conflicts = |event: &Event| target(event) == target(this) && !(reads(event) && reads(this));
    let rivals: Vec<_> = (0..trace.actors.len())
        .filter(|&actor| actor != this.actor)
        .filter_map(|actor| {
            let other = |event: &Event| event.actor == actor && conflicts(event);
            trace.events[..place].iter().rposition(other)
        })
        .collect();
    let rows: Vec<_> = rivals.iter().map(|rival| (rival + 1).to_string()).collect();
    let text = match rows.is_empty() {
        true => "unknown".to_owned(),
        false => rows.join(" or "),
    };
    (format!("✗ races with {text}"), rivals)
}

/// What the site table says of an event that was done otherwise, or left out.
fn departs(event: &Event) -> Option<SiteInfo> {
    let info = event.label.site?.info();
    let departs = match event.what {
        What::LeftOut => true,
        what => (what.order()).is_some_and(|order| order.to_string() != info.ordering),
    };
    departs.then_some(info)
}

/// The sites of which an event departs, each once.
fn changed(trace: &Trace) -> Vec<SiteInfo> {
    let mut changed: Vec<SiteInfo> = Vec::new();
    for info in trace.events.iter().filter_map(departs) {
        if !changed.contains(&info) {
            changed.push(info);
        }
    }
    changed
}

/// Text after a title, on as many lines as it needs.
fn paragraph(title: &str, text: &str) -> Vec<String> {
    fill(title, text.split_whitespace(), "")
}

/// A command after a title. Where it needs several lines a shell reads them as one.
fn command(title: &str, text: &str) -> Vec<String> {
    // What stands in quotes stays on one line, where a break would be part of it, and so does an
    // option together with its value.
    let mut quoted = false;
    let mut parts = vec![String::new()];
    for (place, sign) in text.char_indices() {
        let next = text[place + sign.len_utf8()..].chars().next();
        quoted ^= sign == '\'';
        match sign == ' ' && !quoted && next == Some('-') {
            true => parts.push(String::new()),
            false => parts.last_mut().expect("one from the start").push(sign),
        }
    }
    fill(title, parts.iter().map(String::as_str), " \\")
}

/// Words after a title, each line but the last ended by `line_end`.
fn fill<'a>(title: &str, words: impl Iterator<Item = &'a str>, line_end: &str) -> Vec<String> {
    const INDENT: usize = 10;
    let mut lines = Vec::new();
    let mut line = format!("{:<INDENT$}", format!("{title}:"));
    for word in words {
        let used = width(&line);
        if used > INDENT && used + 1 + width(word) + width(line_end) > WIDTH {
            lines.push(line + line_end);
            line = " ".repeat(INDENT);
        } else if used > INDENT {
            line.push(' ');
        }
        line.push_str(word);
    }
    lines.push(line);
    lines
}

#[cfg(test)]
mod tests {
    use ringproof::site::{LoadSite, Site, SlotReadSite, SlotWriteSite, StoreSite};

    use super::*;
    use crate::order::Order;

    const WORD: usize = 100;
    const SLOT: usize = 200;

    fn event(actor: usize, site: impl Into<Site>, what: What) -> Event {
        Event {
            actor,
            label: site.into().into(),
            what,
        }
    }

    fn load(actor: usize, from: usize, newest: usize) -> Event {
        let read = Read {
            value: from as u64,
            from,
            newest,
        };
        let order = Order::Acquire;
        let word = WORD;
        event(
            actor,
            LoadSite::RingObserve,
            What::Load { word, read, order },
        )
    }

    fn store(actor: usize, number: usize, order: Order) -> Event {
        let what = What::Store {
            word: WORD,
            value: number as u64,
            number,
            order,
        };
        event(actor, StoreSite::RingPublish, what)
    }

    fn failure(actors: &[&str], events: Vec<Event>) -> Failure {
        Failure {
            finding: "Causality violation: Concurrent read and write accesses.".to_owned(),
            trace: Trace {
                actors: actors.iter().map(|&actor| actor.to_owned()).collect(),
                events,
            },
            crash_point: None,
        }
    }

    #[test]
    fn a_small_race_looks_like_this() {
        let (slot, value) = (SLOT, 1);
        let events = vec![
            load(1, 0, 0),
            event(0, SlotWriteSite::RingFill, What::Write { slot, value }),
            store(0, 1, Order::Relaxed),
            load(1, 0, 1),
            load(1, 1, 1),
            event(
                1,
                SlotReadSite::RingTake,
                What::Read {
                    place: slot,
                    value: None,
                },
            ),
        ];
        let text = render(
            &failure(&["producer", "consumer", "idle"], events),
            "run 'a b'",
        );
        let expected = "\
row  producer                     consumer
  1                               RingObserve write_index = 0  Acquire   initial
  2  RingFill    slot ← 1                                      plain
  3  RingPublish write_index ← 1                               Relaxed*
  4                               RingObserve write_index = 0  Acquire   initial, missed 3
  5                               RingObserve write_index = 1  Acquire   from 3
  6                               RingTake    slot = ?         plain     ✗ races with 2

changed*: RingPublish is a store, Release in the site table, paired with RingObserve: makes the
          slot's bytes visible before the index that announces them
broken:   Causality violation: Concurrent read and write accesses.
legend:   ← stores, = finds; from n: what row n stored; missed n: row n had stored something newer;
          races with n: nothing orders it with row n
repeat:   run 'a b'
";
        assert_eq!(text, expected);
    }

    #[test]
    fn deaths_and_left_out_accesses_and_the_crash_point_are_shown() {
        let site = StoreSite::RingPublish;
        let events = vec![event(0, site, What::LeftOut), event(0, site, What::Died)];
        let mut failure = failure(&["producer"], events);
        failure.crash_point = Some(2);
        let text = render(&failure, "run");
        assert!(
            text.contains("RingPublish left out            *\n"),
            "{text}"
        );
        assert!(text.contains("RingPublish ✗ dies before this\n"), "{text}");
        assert!(text.contains("before access 2"), "{text}");
    }

    #[test]
    fn what_is_not_in_the_trace_is_unknown() {
        let (slot, value) = (SLOT, None);
        let events = vec![
            load(0, 5, 6),
            event(0, SlotReadSite::RingTake, What::Read { place: slot, value }),
        ];
        let text = render(&failure(&["consumer"], events), "");
        assert!(text.contains("from unknown, missed unknown"), "{text}");
        assert!(text.contains("races with unknown"), "{text}");
        // Not even an access.
        render(&failure(&[], Vec::new()), "");
    }

    #[test]
    fn two_words_of_one_name_are_told_apart() {
        let words = |word| {
            (0..2).map(move |part| {
                let what = What::Store {
                    word: word + part,
                    value: 7,
                    number: 1,
                    order: Order::Relaxed,
                };
                let mut event = event(0, StoreSite::LatchCopyIn, what);
                event.label = event.label.part(part);
                event
            })
        };
        let text = render(
            &failure(&["writer"], words(10).chain(words(20)).collect()),
            "",
        );
        for line in [
            "  1  LatchCopyIn[0] payload a ← 7",
            "  2  LatchCopyIn[1] payload a ← 7",
            "  3  LatchCopyIn[0] payload b ← 7",
            "  4  LatchCopyIn[1] payload b ← 7",
        ] {
            assert!(text.contains(line), "{line} in\n{text}");
        }
    }

    #[test]
    fn a_long_execution_keeps_its_end_and_what_that_refers_to() {
        let mut events: Vec<_> = (1..=99)
            .map(|number| store(0, number, Order::Release))
            .collect();
        events.push(load(1, 40, 99));
        let text = render(&failure(&["producer", "consumer"], events), "");
        assert!(text.contains("from 40, missed 99"), "{text}");
        assert!(
            text.contains("  …  39 rows to which no row shown below refers\n 40  RingPublish"),
            "{text}"
        );
        assert_eq!(
            text.lines().take_while(|line| !line.is_empty()).count(),
            HEIGHT,
            "{text}"
        );
    }

    #[test]
    fn columns_overlap_rather_than_leave_the_screen() {
        let events = (0..5).map(|actor| load(actor, 0, 7)).collect();
        let text = render(&failure(&["a", "b", "c", "d", "e"], events), "");
        let widths: Vec<_> = text.lines().map(width).collect();
        assert_eq!(widths.iter().max(), Some(&WIDE), "{text}");
    }

    #[test]
    fn a_command_is_broken_where_a_shell_joins_it() {
        let long = format!("run -- --only '{}-' --change 'A=b c'", "x -y ".repeat(13));
        assert_eq!(
            command("repeat", &long),
            [
                format!("repeat:   run -- --only '{}-' \\", "x -y ".repeat(13)),
                "          --change 'A=b c'".to_owned()
            ]
        );
    }
}
