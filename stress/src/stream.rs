//! The stream layer: a file through two real processes, each killed and started again.

mod data;
mod transfer;

use std::path::Path;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Args;
use ringproof_record::Record;

use crate::cli::{CommandLine, NO_PROGRAM};
use crate::desk::{Asked, Check, Layer, Setting};
use crate::fault::Fault;
use crate::item::mix;
use crate::process::{NotHere, patience};
use transfer::{Kill, Side, Transfer};

/// Whether to make another transfer, so many having been made since then. A kill that comes when
/// its process has finished does not count, and where others want the processors many do: it is
/// tried again until it has come in time, unless no kill can.
fn another(transfers: u64, since: Instant, len: u64) -> bool {
    transfers == 0 || (transfer::can_be_killed(len) && since.elapsed() < patience())
}

/// How long after its moment a kill may come, in microseconds.
const LONGEST_DELAY: u64 = 2000;

/// The transfer with a fault injected is short.
const TAMPERED_LEN: u64 = 4 << 20;

/// Send a file through `ringproof send` and `ringproof recv` and kill both on the way
///
/// A random file goes from one process to another through shared memory, while either is killed
/// by SIGKILL at random moments and started again as a user would: `send NAME < FILE`,
/// `recv NAME >> OUT`. Both must end with exit code 0, OUT must have the same SHA-256 as FILE,
/// and nothing may be left behind in /dev/shm. Injected faults show that a wrong output would be noticed.
#[derive(Args)]
#[command(after_long_help = "\
Examples:
  ringproof-stress stream
      64 MiB and 5 kills of each side, in seconds
  ringproof-stress stream --bytes 2G --kills 10
      more of both")]
pub(crate) struct Options {
    #[command(flatten)]
    asked: Asked,
    /// How long the file is (K, M, G: powers of 1024)
    #[arg(long, default_value = "64M", value_parser = bytes)]
    bytes: u64,
    /// How often each side is killed
    #[arg(long, value_name = "K", default_value_t = 5)]
    kills: u64,
    #[command(flatten)]
    command_line: CommandLine,
}

fn bytes(text: &str) -> Result<u64, String> {
    let (digits, unit) = match text.as_bytes().last() {
        Some(b'K' | b'k') => (&text[..text.len() - 1], 1 << 10),
        Some(b'M' | b'm') => (&text[..text.len() - 1], 1 << 20),
        Some(b'G' | b'g') => (&text[..text.len() - 1], 1 << 30),
        _ => (text, 1_u64),
    };
    (digits.parse().ok())
        .and_then(|count: u64| count.checked_mul(unit))
        .ok_or_else(|| "expected a number of bytes, for example 65536, 64K or 1G".to_owned())
}

/// What a transfer is made with.
struct Means {
    len: u64,
    /// Of each side.
    kills: u64,
    cli: CommandLine,
}

/// The transfer, and what a wrong one would make of the bytes.
fn checks(means: Rc<Means>, directory: &Path) -> Vec<Check> {
    let what = format!("{} bytes, {} kills of each side", means.len, means.kills);
    let directory = directory.to_owned();
    let check = Check::new("stream", what, "transfers", move |setting| {
        match setting.fault {
            None => transfers(setting, &means, &directory),
            Some(Fault::Tampered) => tampered(setting, &means, &directory),
            Some(damage) => data::compare(damage, setting.seed, &directory),
        }
    });
    let damages = data::DAMAGES.into_iter();
    let check = damages.fold(check, |check, (damage, _)| {
        check.injected(damage, "they differ")
    });
    vec![check.injected(Fault::Tampered, "they differ from byte 0")]
}

/// Runs the layer.
pub(crate) fn run(options: &Options) -> Result<Vec<Record>> {
    // It outlives the processes that fill it, whoever ends them.
    let directory = tempfile::tempdir().context("cannot make a temporary directory")?;
    let means = Rc::new(Means {
        len: options.bytes,
        kills: options.kills,
        cli: options.command_line.clone(),
    });
    let command = format!("stream --bytes {} --kills {}", means.len, means.kills);
    let checks = checks(means, directory.path());
    Layer::new("stream", command, &options.asked, checks).run()
}

/// Transfers until each side was killed as often as asked for, and at least once: how many.
fn transfers(setting: &Setting<'_>, means: &Means, directory: &Path) -> Result<u64> {
    let program = (means.cli.program()?).ok_or_else(|| NotHere(NO_PROGRAM.to_owned()))?;
    let mut killed = Vec::new();
    let start = Instant::now();
    let mut round = 0;
    while another(round, start, means.len) {
        let owed = Side::BOTH.map(|side| {
            let done = killed.iter().filter(|killed| **killed == side).count();
            (side, means.kills.saturating_sub(done as u64))
        });
        if round > 0 && owed.iter().all(|(_, count)| *count == 0) {
            break;
        }
        let seed = mix(setting.seed ^ mix(round));
        let transfer = Transfer {
            program: &program,
            name: &format!("{}{round}", setting.prefix),
            len: means.len,
            seed,
            kills: &schedule(seed, means.len, &owed),
            tamper: false,
        };
        let came = transfer.run(directory)?;
        killed.extend(came.killed);
        round += 1;
        if let Some(difference) = came.difference {
            bail!("{difference}");
        }
    }
    let (kills, asked) = (killed.len() as u64, 2 * means.kills);
    if kills < asked {
        let why = format!(
            "the transfer is too short: only {kills} of {asked} kills came before its end, \
             however often it was made; give more --bytes"
        );
        return Err(NotHere(why).into());
    }
    setting.remark(format!("{kills} kills"));
    Ok(round)
}

/// A transfer whose output is changed on the way: the comparison, and nothing before it, must
/// notice.
fn tampered(setting: &Setting<'_>, means: &Means, directory: &Path) -> Result<u64> {
    let program = (means.cli.program()?).ok_or_else(|| NotHere(NO_PROGRAM.to_owned()))?;
    let kills = [Kill {
        side: Side::Recv,
        at: 1,
        delay: Duration::ZERO,
    }];
    let start = Instant::now();
    let mut round = 0;
    while another(round, start, TAMPERED_LEN) {
        let transfer = Transfer {
            program: &program,
            name: &format!("{}{round}", setting.prefix),
            len: TAMPERED_LEN,
            seed: setting.seed,
            kills: &kills,
            tamper: true,
        };
        round += 1;
        let this = transfer.run(directory)?;
        match (this.killed.is_empty(), this.difference) {
            // Killed too late, and so not tampered with.
            (true, None) => {}
            (true, Some(_)) => {
                let why = "the output differs from the input, and it was not changed yet";
                return Err(NotHere(why.to_owned()).into());
            }
            (false, Some(difference)) => bail!("{difference}"),
            (false, None) => return Ok(round),
        }
    }
    let why = format!("recv could not be killed in time in {round} transfers");
    Err(NotHere(why).into())
}

/// When to kill whom: in the first three quarters, so that there is something left to do. Each
/// side once as it starts.
fn schedule(seed: u64, bytes: u64, owed: &[(Side, u64)]) -> Vec<Kill> {
    let end = (bytes / 4 * 3).max(1);
    let mut kills = Vec::new();
    for (side, count) in owed {
        for number in 0..*count {
            let random = mix(seed ^ mix(number ^ mix(*side as u64)));
            kills.push(Kill {
                side: *side,
                at: if number == 0 { 0 } else { random % end },
                delay: Duration::from_micros(mix(random) % LONGEST_DELAY),
            });
        }
    }
    kills.sort_by_key(|kill| kill.at);
    kills
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kills_come_in_order_and_before_the_end() {
        let owed = [(Side::Send, 5), (Side::Recv, 3)];
        let kills = schedule(1, 1000, &owed);
        assert_eq!(kills.len(), 8);
        assert!(kills.is_sorted_by_key(|kill| kill.at));
        assert!(kills.iter().all(|kill| kill.at < 750));
        let sends = kills.iter().filter(|kill| kill.side == Side::Send);
        assert_eq!(sends.count(), 5);
        assert_eq!(kills, schedule(1, 1000, &owed));
        assert_ne!(kills, schedule(2, 1000, &owed));
        assert_eq!(schedule(1, 0, &[(Side::Send, 2)])[1].at, 0);
    }
}
