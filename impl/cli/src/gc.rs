//! `ringproof gc`: the unused segments.

use std::fs::{self, File};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use ringproof::layout::Kind;
use ringproof::ring::index_of;
use ringproof::{Inspection, Role, SegmentError, Survey, unlink_free};
use serde::Serialize;

use crate::args::GcArgs;
use crate::exit::{self, Failure};
use crate::files::Output;
use crate::holders::{Holder, Lock};
use crate::{damaged, shown};

/// What `--json` prints.
#[derive(Serialize)]
struct Report {
    dry_run: bool,
    segments: Vec<SegmentReport>,
    /// Files that are no segments.
    foreign: usize,
    /// Files that this user may not read.
    closed: usize,
}

#[derive(Serialize)]
struct SegmentReport {
    name: String,
    /// `null` where it is not known.
    kind: Option<&'static str>,
    #[serde(flatten)]
    fate: Fate,
    /// Why it was not removed.
    #[serde(skip)]
    refusal: Option<SegmentError>,
}

#[derive(Serialize)]
#[serde(tag = "fate", rename_all = "lowercase")]
enum Fate {
    /// Removed, or with `--dry-run` free to be.
    Removed {
        /// What was in a ring and not taken.
        untaken: u64,
    },
    /// In use: this role is held.
    Live {
        role: &'static str,
        holders: Vec<Holder>,
    },
    /// Neither.
    Left { reason: String },
}

/// What was asked for.
struct Asked<'a> {
    args: &'a GcArgs,
    /// What was named in full: without a `*`, or with one that belongs to the name of what there is.
    full: Vec<&'a str>,
}

impl Asked<'_> {
    fn in_full(&self, name: &str) -> bool {
        self.full.contains(&name)
    }
}

/// Where a segment of this name is.
fn path_of(name: &str) -> PathBuf {
    Path::new("/dev/shm").join(name)
}

pub(crate) fn run(args: &GcArgs) -> Result<(), Failure> {
    // What is removed shall be said, so first it is made sure that it can, as far as that is known.
    let output = Output::stdout()?;
    output.check_for_report()?;
    let (full, patterns): (Vec<&str>, Vec<&str>) = (args.names.iter())
        .map(String::as_str)
        .partition(|name| !name.contains('*') || fs::symlink_metadata(path_of(name)).is_ok());
    let is_wanted =
        |name: &str| args.names.is_empty() || patterns.iter().any(|pattern| matches(pattern, name));
    let survey = Survey::of(|name| is_wanted(name) && !full.contains(&name))?;
    let asked = Asked { args, full };
    let named = (asked.full.iter()).map(|name| ((*name).to_owned(), Inspection::of(name)));
    let found = survey.segments.into_iter().chain(named);
    let mut report = Report {
        dry_run: args.dry_run,
        segments: found
            .filter_map(|(name, seen)| judge(&asked, name, seen))
            .collect(),
        foreign: survey.foreign,
        closed: survey.closed,
    };
    report
        .segments
        .sort_by(|one, other| one.name.cmp(&other.name));
    let said = output.report(&if args.json {
        crate::to_json(&report)?
    } else {
        text(&report)
    });
    match (said, removed(&report)) {
        (Err(source), Some(removed)) => Err(Failure::RemovedUnreported {
            removed,
            source: Box::new(source),
        }),
        (said, _) => said.and_then(|()| conclude(&asked, report)),
    }
}

/// The names of what is gone, if anything is.
fn removed(report: &Report) -> Option<String> {
    let gone = report.segments.iter().filter(|found| {
        let is_removed = matches!(found.fate, Fate::Removed { .. });
        is_removed && !report.dry_run
    });
    let names: Vec<_> = gone.map(|found| shown::name(&found.name)).collect();
    (!names.is_empty()).then(|| names.join(", "))
}

/// Fails where what was named in full was not removed.
fn conclude(asked: &Asked<'_>, report: Report) -> Result<(), Failure> {
    for name in &asked.full {
        if !report.segments.iter().any(|found| found.name == *name) {
            // Why it is not there: it does not exist, or is no segment, or another user's.
            Inspection::of(name)?;
        }
    }
    let mut segments = report.segments.into_iter();
    let refused = segments.find(|found| asked.in_full(&found.name) && found.refusal.is_some());
    match refused.and_then(|found| found.refusal) {
        Some(refusal) => Err(refusal.into()),
        None => Ok(()),
    }
}

/// Whether `name` is what `pattern` says, where a `*` stands for any characters.
fn matches(pattern: &str, name: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else {
        return pattern == name;
    };
    name.strip_prefix(start).is_some_and(|left| {
        left.char_indices()
            .map(|(at, _)| at)
            .chain([left.len()])
            .any(|at| matches(rest, &left[at..]))
    })
}

/// What becomes of a segment; `None` if it is gone already.
fn judge(
    asked: &Asked<'_>,
    name: String,
    seen: Result<Inspection, SegmentError>,
) -> Option<SegmentReport> {
    let kind = seen.as_ref().ok().map(|seen| seen.kind.name());
    let outcome = match seen {
        Ok(seen) => collect(asked, &name, &seen),
        Err(error) => collect_rest(asked, &name, error),
    };
    let (fate, refusal) = match outcome {
        Ok(fate) => (fate, None),
        Err(SegmentError::Gone { .. } | SegmentError::NotFound { .. }) => return None,
        Err(held @ SegmentError::Held { role, .. }) => (live(&name, role), Some(held)),
        Err(error) => {
            let reason = exit::chain(&error);
            (Fate::Left { reason }, Some(error))
        }
    };
    Some(SegmentReport {
        name,
        kind,
        fate,
        refusal,
    })
}

/// Removes the segment, unless something speaks against it.
fn collect(asked: &Asked<'_>, name: &str, seen: &Inspection) -> Result<Fate, SegmentError> {
    if let Some(state) = seen.roles.iter().find(|state| state.held) {
        return Err(SegmentError::Held {
            segment: name.to_owned(),
            role: state.role,
        });
    }
    if seen.kind != Kind::Ring && !asked.args.all && !asked.in_full(name) {
        return Ok(Fate::Left {
            reason: "it has no writer, but it may have readers (--all)".to_owned(),
        });
    }
    let mut untaken = match seen.kind {
        Kind::Ring => seen.occupancy(),
        Kind::SeqLock | Kind::Latch => 0,
    };
    if !asked.args.dry_run {
        let file = File::open(path_of(name));
        unlink_free(name)?;
        // Since the look somebody may have come, and gone.
        if let (Kind::Ring, Ok(file)) = (seen.kind, file) {
            untaken = left_in(&file).unwrap_or(untaken);
        }
    }
    Ok(Fate::Removed { untaken })
}

/// How many items are in a ring that is gone, where no role is taken any more; `None` if this is another file.
fn left_in(file: &File) -> Option<u64> {
    // Where ABI.md has them.
    const WRITE_INDEX: u64 = 256;
    const READ_INDEX: u64 = 640;
    let index = |at| {
        let mut word = [0; 8];
        file.read_exact_at(&mut word, at).ok()?;
        Some(index_of(u64::from_ne_bytes(word)).0)
    };
    let is_gone = file.metadata().is_ok_and(|meta| meta.nlink() == 0);
    let left = index(WRITE_INDEX)?.checked_sub(index(READ_INDEX)?)?;
    is_gone.then_some(left)
}

/// Removes what a truncation left of the segment, if it was named in full. It is no segment: why not,
/// says `error`.
fn collect_rest(asked: &Asked<'_>, name: &str, error: SegmentError) -> Result<Fate, SegmentError> {
    if asked.in_full(name) && damaged::remove(name, asked.args.dry_run)? {
        return Ok(Fate::Removed { untaken: 0 });
    }
    Err(error)
}

fn live(name: &str, role: Role) -> Fate {
    let lock = Lock::of(&path_of(name), role);
    Fate::Live {
        role: role.name(),
        // Of what is gone meanwhile no holder is named.
        holders: lock.map(|lock| lock.holders()).unwrap_or_default(),
    }
}

fn text(report: &Report) -> String {
    let mut text = String::new();
    let (mut removed, mut live) = (0, 0);
    let names: Vec<_> = report
        .segments
        .iter()
        .map(|found| shown::name(&found.name))
        .collect();
    let width = names
        .iter()
        .map(|name| name.chars().count())
        .max()
        .unwrap_or(0);
    for (name, segment) in names.iter().zip(&report.segments) {
        let (fate, why) = match &segment.fate {
            Fate::Removed { untaken } => {
                removed += 1;
                let fate = if report.dry_run { "free" } else { "removed" };
                match untaken {
                    0 => (fate, String::new()),
                    1 => (fate, ", with 1 item that was not taken".to_owned()),
                    _ => (fate, format!(", with {untaken} items that were not taken")),
                }
            }
            Fate::Live { role, holders } => {
                live += 1;
                ("live", format!(", its {role} is {}", say(holders)))
            }
            Fate::Left { reason } => ("left", format!(": {}", shown::line(reason))),
        };
        let kind = segment.kind.unwrap_or("unknown");
        text += &format!("{fate:7}  {name:width$}  {kind}{why}\n");
    }
    let others = report.segments.len() - removed - live;
    text += &format!(
        "{removed} {}, {live} live, {others} left; {} other files",
        if report.dry_run { "free" } else { "removed" },
        report.foreign
    );
    match report.closed {
        0 => text + "\n",
        closed => text + &format!(", {closed} that this user may not read\n"),
    }
}

fn say(holders: &[Holder]) -> String {
    let said =
        |holder: &Holder| format!("process {} ({})", holder.pid, shown::name(&holder.program));
    match holders {
        [] => "a process that this user may not look at".to_owned(),
        _ => holders.iter().map(said).collect::<Vec<_>>().join(", "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ringproof::{Ring, RingOptions};

    #[test]
    fn what_came_after_the_look_is_counted() {
        let name = format!("ringproof-cli-counted-{}", std::process::id());
        let ring = Ring::<u64>::create(&name, &RingOptions::new(5)).unwrap();
        let seen = Inspection::of(&name).unwrap();
        ring.producer().unwrap().push_slice(&[1, 2, 3]).unwrap();
        ring.consumer().unwrap().pop().unwrap();
        let args = GcArgs {
            names: vec![name.clone()],
            dry_run: false,
            all: false,
            json: false,
        };
        let asked = Asked {
            args: &args,
            full: vec![&name],
        };
        let fate = collect(&asked, &name, &seen).unwrap();
        assert!(matches!(fate, Fate::Removed { untaken: 2 }));
        assert!(!path_of(&name).exists());
    }

    #[test]
    fn a_star_stands_for_any_characters() {
        for (pattern, name, expected) in [
            ("news", "news", true),
            ("news", "news-1", false),
            ("news*", "news", true),
            ("news*", "news-1", true),
            ("*-1", "news-1", true),
            ("n*-*1", "news-2-1", true),
            ("n*-*1", "news1", false),
            ("*", "", true),
            ("*é", "né", true),
            ("", "news", false),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }
}
