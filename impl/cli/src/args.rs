//! The command line, and the help that teaches it.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;

use clap::builder::{OsStringValueParser, TypedValueParser};
use clap::{Args, Parser, Subcommand};
use ringproof::segment::{MODES, name_of};
use ringproof::{RingOptions, SegmentError};

use crate::exit::TABLE;

const ABOUT: &str = "Moves a stream of bytes from one process to another through shared memory";

const LONG_ABOUT: &str = "\
Moves a stream of bytes from one process to another through shared memory.

`send` copies its standard input into a ring named NAME, `recv` copies the ring to its standard
output. Either may be started first: whoever comes first makes the ring (in /dev/shm), the other
joins. `send` closes the ring at the end of its input and exits; `recv` takes what is left,
removes the ring and exits. Whoever has to wait sleeps until the other one wakes it.

Either side may be killed at any moment, with any signal, and started again with the same
command: nothing is lost, nothing is repeated (see the restart rules below).";

const GUIDE: &str = "\
Examples:
  ringproof recv news >> copy &            # either one first
  ringproof send news < original
  ringproof inspect news                   # who is there, how far they are
  ringproof send --wait news < original    # exits when recv has written everything
  tar c dir | ringproof send box           # and elsewhere: ringproof recv box | tar x
  ringproof gc --dry-run                   # which segments are unused
  ringproof gc news                        # give a stream up that is never to be finished

Restart rules (after a kill -9, a crash, Ctrl-C):
  send < FILE      Start it again with < the same FILE: it goes on after the last byte that it
                   had committed to the ring. FILE may have grown, but not shrunk, and what was
                   sent must not have been changed. If the killed send had finished, it says so.
  … | send         What a killed send had read from its pipe and not committed is gone, and
                   it is not known how much that was. Starting again is refused, unless nothing
                   was committed yet; --continue appends what comes from the new input.
  recv >> FILE     Start it again with >> the same FILE: it goes on after the last byte that FILE
                   has. With > the shell empties FILE first; that is refused once bytes have been
                   taken out of the ring; before that, any empty file will do. Nobody else may
                   write to FILE meanwhile, nor cut or remove it.
  recv | …         Starting again delivers at least once: the last bytes before the kill may be
                   delivered twice. What the pipe's reader left unread when it died is gone.
  finished         A stream that was closed and drained is over, and its ring is gone: whoever
                   starts then begins a new one. So when recv has exited with 0, do not restart
                   send, and when `ringproof inspect` finds no NAME any more, neither of them.

A FILE must not be cut while it is sent: send ends with 8 then, and the stream stays open. It must
not be the FILE that is received into, either.

Written means that write(2) took it. Once the stream is closed, recv keeps what it writes to a FILE
in the ring until the file system has said, to fsync and close, that all of it arrived; only then
is the ring removed. A power failure takes /dev/shm with it, and may take what the disk has not got
yet.

Messages go to standard error, unless that is the FILE (as in recv news >> FILE 2>&1), where they
would be taken for bytes of the stream; then there is only the exit code.";

const INSPECT_ABOUT: &str = "\
Show a segment's header, roles, positions and occupancy, changing nothing.

Of each role: whether a process holds it (`held` in JSON), how often it was taken (`epoch`), whether it
asks to be woken (`asks`: it sleeps, or did when it was killed), and how often it woke who waited for
it (`wakes`: of all that held it).";

const GC_ABOUT: &str = "\
Remove the unused segments: those whose roles are all free.

A segment one of whose roles is held is never removed, nor is a file that is no segment; whoever
comes for a role at that moment gets the segment, or a new one. What was in a ring and not taken
goes with it: a stream whose two sides were both killed, or whose recv was not started yet, looks
like any other that is unused. --dry-run shows what would be removed.

A * in a NAME stands for any characters, unless there is a segment whose name has it: then only that
one is meant.

What a truncation left of a segment, an empty file or the beginning of one, is removed if it is
named in full.

A seqlock or latch has readers that hold no role, so it is not known whether there are any. (They
would keep the memory, and not see the next writer's values.) Therefore one is removed only if it
is named in full, or with --all.

The exit code is 0, whatever was left, unless that was named in full.";

/// The command line.
#[derive(Debug, Parser)]
#[command(name = "ringproof", bin_name = "ringproof", version, about = ABOUT, long_about = LONG_ABOUT)]
#[command(after_long_help = format!("{GUIDE}\n\n{TABLE}"), after_help = TABLE)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Copy standard input into the ring NAME, and close it at the end
    #[command(after_long_help = format!("{GUIDE}\n\n{TABLE}"))]
    Send(SendArgs),
    /// Copy the ring NAME to standard output, and remove it at its end
    #[command(after_long_help = format!("{GUIDE}\n\n{TABLE}"))]
    Recv(RecvArgs),
    /// Show a segment's header, roles, positions and occupancy, changing nothing
    #[command(long_about = INSPECT_ABOUT)]
    Inspect(InspectArgs),
    /// Remove the unused segments
    #[command(long_about = GC_ABOUT, after_long_help = TABLE)]
    Gc(GcArgs),
}

#[derive(Debug, Args)]
pub(crate) struct SendArgs {
    #[command(flatten)]
    pub(crate) stream: StreamArgs,
    /// Append this input to a stream whose earlier input was a pipe, although bytes may be
    /// missing in between
    #[arg(long = "continue")]
    pub(crate) go_on: bool,
    /// Exit only when recv has written everything, not as soon as all is in the ring. If it is
    /// killed while it waits, see "finished" below
    #[arg(long)]
    pub(crate) wait: bool,
}

#[derive(Debug, Args)]
pub(crate) struct RecvArgs {
    #[command(flatten)]
    pub(crate) stream: StreamArgs,
}

#[derive(Debug, Args)]
pub(crate) struct InspectArgs {
    /// The segment's name: a file in /dev/shm
    #[arg(value_parser = name_parser())]
    pub(crate) name: String,
    /// Show the next N items of a ring, or the value of a seqlock or latch, and leave them there
    #[arg(long, value_name = "N")]
    pub(crate) peek: Option<u64>,
    /// Print one JSON object instead of text
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct GcArgs {
    /// Only the segments of these names; a * stands for any characters [default: all segments]
    #[arg(value_name = "NAME", value_parser = name_parser())]
    pub(crate) names: Vec<String>,
    /// Remove nothing, only say what would be removed
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Also seqlocks and latches that have no writer, whoever may be reading them
    #[arg(long)]
    pub(crate) all: bool,
    /// Print one JSON object instead of text
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct StreamArgs {
    /// The ring's name: a file in /dev/shm, without slashes
    #[arg(value_parser = name_parser())]
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) shape: Shape,
}

/// How to make the ring; without effect on one that exists.
#[derive(Debug, Args)]
pub(crate) struct Shape {
    /// Bytes that may be in the ring at once, if this process makes it (K, M, G: powers of
    /// 1024) [default: 1M]
    #[arg(long, value_name = "BYTES", value_parser = bytes)]
    pub(crate) capacity: Option<u64>,
    /// Memory that the ring cycles through: a power of two, at least the capacity [default: the
    /// next one, at least 256K]
    #[arg(long, value_name = "BYTES", value_parser = bytes)]
    pub(crate) slots: Option<u64>,
    /// Who may use the ring, as chmod has it: 600 this user, 660 its group too, 666 everybody. To
    /// send or receive, one must be permitted to read and write. (The group is that of the
    /// process that makes the ring.)
    #[arg(long, value_name = "OCTAL", value_parser = mode, default_value = "600")]
    pub(crate) mode: u32,
}

/// As much as keeps both sides busy and still fits into the caches between them.
const DEFAULT_CAPACITY: u64 = 1 << 20;

impl Shape {
    pub(crate) fn options(&self) -> RingOptions {
        let most = self.slots.unwrap_or(DEFAULT_CAPACITY);
        let capacity = self.capacity.unwrap_or(DEFAULT_CAPACITY.min(most));
        let options = RingOptions::new(capacity).mode(self.mode);
        match self.slots {
            Some(slots) => options.slots(slots),
            None => options,
        }
    }
}

/// Takes a name as the library does, so that one that is not UTF-8 is refused in its words.
fn name_parser() -> impl TypedValueParser<Value = String> {
    OsStringValueParser::new().try_map(|name: OsString| -> Result<String, SegmentError> {
        name_of(name.as_bytes()).map(str::to_owned)
    })
}

fn bytes(text: &str) -> Result<u64, String> {
    let (digits, unit) = match text.as_bytes().last() {
        Some(b'K' | b'k') => (&text[..text.len() - 1], 1 << 10),
        Some(b'M' | b'm') => (&text[..text.len() - 1], 1 << 20),
        Some(b'G' | b'g') => (&text[..text.len() - 1], 1 << 30),
        _ => (text, 1),
    };
    let count: u64 = digits
        .parse()
        .map_err(|_| "expected a number of bytes, for example 65536, 64K or 1M".to_owned())?;
    match count.checked_mul(unit) {
        Some(0) => Err("it must be 1 byte at least".to_owned()),
        Some(bytes) => Ok(bytes),
        None => Err("no machine can address so many bytes".to_owned()),
    }
}

fn mode(text: &str) -> Result<u32, String> {
    match u32::from_str_radix(text, 8) {
        Ok(mode) if MODES.contains(&mode) => Ok(mode),
        Ok(_) => Err(MODE_RULE.to_owned()),
        Err(_) => Err(
            "expected three octal digits, for owner, group and others (6: read and write, \
             0: nothing), for example 600 or 660"
                .to_owned(),
        ),
    }
}

/// As [`SegmentError::Mode`] says it.
const MODE_RULE: &str = "it must be from 600 to 777, in octal: permissions and nothing else, and its \
                         owner may read and write";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }

    #[test]
    fn sizes_are_read_or_refused() {
        for (text, expected) in [
            ("1", Some(1)),
            ("64K", Some(65536)),
            ("1m", Some(1 << 20)),
            ("2G", Some(2 << 30)),
            ("0", None),
            ("", None),
            ("K", None),
            ("-1", None),
            ("1.5M", None),
            ("18446744073709551615", Some(u64::MAX)),
            ("18446744073709551615K", None),
            ("1é", None),
        ] {
            assert_eq!(bytes(text).ok(), expected, "{text:?}");
        }
    }

    #[test]
    fn modes_are_octal() {
        for (text, expected) in [
            ("600", Some(0o600)),
            ("0660", Some(0o660)),
            ("777", Some(0o777)),
            ("1777", None),
            ("8", None),
            ("060", None),
            ("400", None),
            ("", None),
            ("-600", None),
            ("0o600", None),
            ("u+rw", None),
        ] {
            assert_eq!(mode(text).ok(), expected, "{text:?}");
        }
        let refused = SegmentError::Mode {
            segment: "s".to_owned(),
            mode: 0o1777,
        };
        assert!(refused.to_string().ends_with(MODE_RULE), "{refused}");
    }

    #[test]
    fn what_a_refusal_suggests_is_accepted() {
        for text in ["1777", "400", "0", "x"] {
            let refused = mode(text).unwrap_err();
            let numbers = refused.split(|c: char| !c.is_ascii_digit());
            let suggested: Vec<_> = numbers.filter(|number| number.len() == 3).collect();
            assert_eq!(suggested.len(), 2, "{refused}");
            for number in suggested {
                assert!(mode(number).is_ok(), "{number}: {refused}");
            }
        }
        for text in ["0", "K", "", "18446744073709551615K"] {
            let refused = bytes(text).unwrap_err();
            let words = refused.split([' ', ',']);
            for number in words.filter(|word| word.starts_with(|c: char| c.is_ascii_digit())) {
                assert!(bytes(number).is_ok(), "{number}: {refused}");
            }
        }
    }
}
