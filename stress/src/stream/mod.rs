//! The stream layer: a file through two real processes, each killed and started again.

mod data;
mod transfer;

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;
use clap::Args;
use ringproof_record::Record;

use crate::cli::{CommandLine, NO_PROGRAM};
use crate::item::mix;
use crate::process::{Interrupts, patience};
use crate::shm::Prefix;
use transfer::{Kill, Outcome, Side, Transfer};

const LAYER: &str = "stream";
const SUBJECT: &str = "stream";

/// Whether to make another transfer, so many having been made since then. A kill that comes when
/// its process has finished does not count, and where others want the processors many do: it is
/// tried again until it has come in time, unless no kill can.
fn another(transfers: u64, since: Instant, len: u64) -> bool {
    transfers == 0 || (transfer::can_be_killed(len) && since.elapsed() < patience())
}

/// How long after its moment a kill may come, in microseconds.
const LONGEST_DELAY: u64 = 2000;

/// The transfer with a fault planted is short.
const TAMPERED_LEN: u64 = 4 << 20;

/// Send a file through `ringproof send` and `ringproof recv` and kill both on the way
///
/// A random file goes from one process to another through shared memory, while either is killed
/// by SIGKILL at random moments and started again as a user would: `send NAME < FILE`,
/// `recv NAME >> OUT`. Both must end with exit code 0, OUT must have the same SHA-256 as FILE,
/// and nothing may be left behind in /dev/shm. Planted faults show that a wrong output would be noticed.
#[derive(Args)]
#[command(after_long_help = "\
Examples:
  ringproof-stress stream
      64 MiB and 5 kills of each side, in seconds
  ringproof-stress stream --bytes 2G --kills 10
      more of both")]
pub(crate) struct Options {
    /// What the file and the moments of the kills follow from
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// How long the file is (K, M, G: powers of 1024)
    #[arg(long, default_value = "64M", value_parser = bytes)]
    pub(crate) bytes: u64,
    /// How often each side is killed
    #[arg(long, value_name = "K", default_value_t = 5)]
    pub(crate) kills: u64,
    #[command(flatten)]
    pub(crate) command_line: CommandLine,
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

/// Runs the layer.
pub(crate) fn run(options: &Options) -> Result<Vec<Record>> {
    let interrupts = Interrupts::catch()?;
    let check = format!(
        "{} bytes, {} kills of each side",
        options.bytes, options.kills
    );
    let command = format!(
        "cargo build -p ringproof-cli -p ringproof-stress && \
         cargo run -p ringproof-stress -- stream --seed {} --bytes {} --kills {}",
        options.seed, options.bytes, options.kills
    );
    let mut rows = Vec::new();
    for (what, damage) in data::DAMAGES {
        let check = format!("planted fault: {what}");
        rows.push(if data::notices(damage, options.seed)? {
            Record::passed(LAYER, SUBJECT, check).count(1, "comparisons")
        } else {
            Record::failed(LAYER, SUBJECT, check, "the comparison does not notice it")
        });
    }
    match options.command_line.program()? {
        Some(program) => {
            rows.push(tampered(options, &program, &interrupts)?);
            rows.extend(transfers(options, &program, &interrupts, &check)?);
        }
        None => rows.push(Record::not_run(LAYER, SUBJECT, check, NO_PROGRAM)),
    }
    Ok(rows.into_iter().map(|row| row.repeat(&command)).collect())
}

/// The transfer proper: what arrived, and what was left behind.
fn transfers(
    options: &Options,
    program: &Path,
    interrupts: &Interrupts,
    check: &str,
) -> Result<[Record; 2]> {
    let start = Instant::now();
    let prefix = Prefix::new("stream");
    let outcome = transfer_often(options, program, interrupts, &prefix);
    interrupts.check()?;
    let asked = 2 * options.kills;
    let row = match outcome {
        Err(error) => Record::failed(LAYER, SUBJECT, check, format!("{error:#}")),
        Ok(Outcome { killed, difference }) => {
            let kills = killed.len() as u64;
            let seconds = start.elapsed().as_secs_f64();
            eprintln!("stream: {kills} kills in {seconds:.1} s");
            match difference {
                Some(difference) => Record::failed(LAYER, SUBJECT, check, difference),
                None if kills < asked => Record::not_run(
                    LAYER,
                    SUBJECT,
                    check,
                    format!(
                        "the transfer is too short: only {kills} of {asked} kills came before its \
                         end, however often it was made; give more --bytes"
                    ),
                ),
                None => Record::passed(LAYER, SUBJECT, check),
            }
            .count(kills, "kills")
        }
    };
    Ok([row, prefix.judge(LAYER)?])
}

/// Transfers until each side was killed as often as asked for, and at least once.
fn transfer_often(
    options: &Options,
    program: &Path,
    interrupts: &Interrupts,
    prefix: &Prefix,
) -> Result<Outcome> {
    let mut killed = Vec::new();
    let start = Instant::now();
    let mut round = 0;
    while another(round, start, options.bytes) {
        let owed = Side::BOTH.map(|side| {
            let done = killed.iter().filter(|killed| **killed == side).count();
            (side, options.kills.saturating_sub(done as u64))
        });
        if round > 0 && owed.iter().all(|(_, count)| *count == 0) {
            break;
        }
        let seed = mix(options.seed ^ mix(round));
        let transfer = Transfer {
            program,
            name: &format!("{prefix}{round}"),
            len: options.bytes,
            seed,
            kills: &schedule(seed, options.bytes, &owed),
            tamper: false,
        };
        let this = transfer.run(interrupts)?;
        killed.extend(this.killed);
        round += 1;
        if this.difference.is_some() {
            return Ok(Outcome {
                killed,
                difference: this.difference,
            });
        }
    }
    Ok(Outcome {
        killed,
        difference: None,
    })
}

/// A transfer whose output is changed on the way: the comparison, and nothing before it, must
/// notice.
fn tampered(options: &Options, program: &Path, interrupts: &Interrupts) -> Result<Record> {
    let check = "planted fault: the output is changed while recv is dead";
    let prefix = Prefix::new("tampered");
    let kills = [Kill {
        side: Side::Recv,
        at: 1,
        delay: Duration::ZERO,
    }];
    let start = Instant::now();
    let mut round = 0;
    while another(round, start, TAMPERED_LEN) {
        let transfer = Transfer {
            program,
            name: &format!("{prefix}{round}"),
            len: TAMPERED_LEN,
            seed: options.seed,
            kills: &kills,
            tamper: true,
        };
        round += 1;
        let row = match transfer.run(interrupts) {
            // Killed too late, and so not tampered with.
            Ok(this) if this.killed.is_empty() && this.difference.is_none() => continue,
            Ok(this) if this.killed.is_empty() => {
                let why = "the output differs from the input, and it was not changed yet";
                Record::not_run(LAYER, SUBJECT, check, why)
            }
            Ok(this) if this.difference.is_some() => Record::passed(LAYER, SUBJECT, check),
            Ok(_) => Record::failed(LAYER, SUBJECT, check, "the planted fault was not noticed"),
            Err(error) => Record::failed(LAYER, SUBJECT, check, format!("{error:#}")),
        };
        interrupts.check()?;
        return Ok(row.count(round, "transfers"));
    }
    let why = format!("recv could not be killed in time in {round} transfers");
    Ok(Record::not_run(LAYER, SUBJECT, check, why))
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
