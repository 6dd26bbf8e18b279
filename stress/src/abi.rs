//! The abi layer: peers in C, in C++ and in Rust, of 64 and of 32 bits, over the same segments.
//!
//! The programs in stress/abi are written as a user of the headers writes them, with nothing but
//! the headers and their README: what they need and do not find there is a defect of those. The
//! Rust peer is this program, started once more. Whoever receives checks each item by its number
//! and all of them by a checksum; that this notices anything is shown with senders that make one
//! mistake.

mod market;
mod programs;

use std::fmt;
use std::process::Stdio;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use ringproof_record::{Record, deadline};

use crate::cli::name_of;
use crate::desk::{Asked, Check, Layer, Setting, same};
use crate::fault::Fault;
use crate::process::NotHere;
use crate::program::Program;
use market::Kind;
use programs::{Language, Programs, Sanitizer};

pub(crate) use market::{Peer, run as run_peer};

/// How long to sleep between two looks at the peers.
const PAUSE: Duration = Duration::from_millis(1);

/// A picture is as long as several orders, and for each number written anew.
const ORDERS_FOR_A_PICTURE: u64 = 20;

/// What a sender with a mistake sends.
const FAULTY_ITEMS: u64 = 20_000;

/// Exchange items between programs in C, C++ and Rust, of 64 and of 32 bits
///
/// Programs that use the header-only library are compiled with the system's compilers (CC and CXX
/// choose others) and exchange orders with one in Rust through a ring, and a picture of the market
/// through a seqlock and a latch. Every order must arrive, in order, and all of them with the
/// checksum that the sender has; a picture must never be a mixture, nor older than one before.
/// Senders that lose, repeat or corrupt one item show that it would be noticed.
#[derive(Args)]
#[command(after_long_help = "\
Examples:
  ringproof-stress abi
      two million orders each way, in seconds
  ringproof-stress abi --only c-to-rust --items 100000000
      more of it
  ringproof-stress abi --sanitize address,undefined
      with the programs in C and C++ watched by the compiler")]
pub(crate) struct Options {
    #[command(flatten)]
    asked: Asked,
    /// How many orders each pair exchanges
    #[arg(long, value_name = "N", default_value_t = 2_000_000,
          value_parser = clap::value_parser!(u64).range(ORDERS_FOR_A_PICTURE..=1 << 40))]
    items: u64,
    /// What to watch the programs in C and C++ with
    #[arg(long, value_name = "WHAT", value_delimiter = ',')]
    sanitize: Vec<Sanitizer>,
}

/// Who sends or writes, and who receives or reads.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Pair(Language, Language);

impl fmt::Display for Pair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-to-{}", self.0.name(), self.1.name())
    }
}

const PAIRS: [Pair; 9] = [
    Pair(Language::C, Language::Rust),
    Pair(Language::Rust, Language::C),
    Pair(Language::Cpp, Language::Rust),
    Pair(Language::Rust, Language::Cpp),
    Pair(Language::C, Language::Cpp),
    Pair(Language::C32, Language::Rust),
    Pair(Language::Rust, Language::C32),
    Pair(Language::C32, Language::C),
    Pair(Language::Rust, Language::Rust),
];

/// What a pair does.
#[derive(Clone, Copy)]
struct Exchange {
    pair: Pair,
    /// What holds pictures; for orders, nothing: they go through a ring.
    kind: Option<Kind>,
}

/// All that the pairs do. Mistakes are made by the Rust peer, to each who can receive.
fn checks(programs: &Rc<Programs>, items: u64) -> Vec<Check> {
    let mut checks = Vec::new();
    for pair in PAIRS {
        for kind in [None, Some(Kind::Seqlock), Some(Kind::Latch)] {
            let through = kind.as_ref().map_or("ring".to_owned(), name_of);
            let (count, unit, must) = match kind {
                None => (items, "items", "every item, by sequence and checksum"),
                Some(_) => (
                    items / ORDERS_FOR_A_PICTURE,
                    "values",
                    "no value torn or older",
                ),
            };
            let exchange = Exchange { pair, kind };
            let programs = programs.clone();
            let what = format!("{through}: {must}");
            let check = Check::new(pair.to_string(), what, unit, move |setting| {
                let count = setting.fault.map_or(count, |_| FAULTY_ITEMS);
                exchange.run(&programs, setting, count)
            });
            let faults: &[_] = match (pair.0, kind) {
                (Language::Rust, None) => &[
                    (Fault::Loss, "was due"),
                    (Fault::Repetition, "was due"),
                    (Fault::Corruption, "checksum"),
                ],
                (Language::Rust, Some(_)) => &[(Fault::Corruption, "a mixture")],
                _ => &[],
            };
            checks.push(faults.iter().fold(check, |check, (fault, sign)| {
                check.injected_as(&format!("{}, {through}", fault.words()), *fault, sign)
            }));
        }
    }
    checks
}

/// Runs the layer.
pub(crate) fn run(options: &Options) -> Result<Vec<Record>> {
    let folder = tempfile::tempdir().context("cannot make a temporary directory")?;
    let programs = Rc::new(Programs::make(folder.path(), &options.sanitize)?);
    let mut command = format!("abi --items {}", options.items);
    if !options.sanitize.is_empty() {
        let names: Vec<_> = options.sanitize.iter().map(name_of).collect();
        command += &format!(" --sanitize {}", names.join(","));
    }
    Layer::new(
        "abi",
        command,
        &options.asked,
        checks(&programs, options.items),
    )
    .run()
}

impl Exchange {
    /// Lets a pair exchange so many, and says that it did.
    fn run(&self, programs: &Programs, setting: &Setting<'_>, count: u64) -> Result<u64> {
        let name = setting.name();
        let ends = match self.kind {
            None => ["send", "recv"],
            Some(_) => ["write", "read"],
        };
        let numbers = [setting.seed, count].map(|number| number.to_string());
        let mut peers = Vec::new();
        for (end, language) in ends.into_iter().zip([self.pair.0, self.pair.1]) {
            let command = programs.command(language);
            let mut command = command.map_err(|why| NotHere(why.to_owned()))?;
            command.args([end, &numbers[0], &name, &numbers[1]]);
            command.args(self.kind.as_ref().map(name_of));
            // The mistake is the sender's.
            if let (Some(fault), true) = (&setting.fault, peers.is_empty()) {
                command.args(["--fault", &name_of(fault)]);
            }
            command
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped());
            peers.push(Program::start(
                command,
                format!("{end} in {}", language.name()),
            )?);
        }
        let said = finish(peers, count)?;
        if self.kind.is_none() {
            same_orders(count, &said)?;
        }
        Ok(count)
    }
}

/// Waits until all have ended, and says what they said; an error where one has not ended well.
fn finish(mut peers: Vec<Program>, count: u64) -> Result<Vec<String>> {
    // Many times what the slowest machine takes.
    let patience = deadline::seconds(300 + count / 10_000);
    let deadline = Instant::now() + patience;
    loop {
        let mut running = Vec::new();
        for peer in &mut peers {
            match peer.look()? {
                None => running.push(&*peer.what),
                Some(status) if status.success() => {}
                Some(status) => {
                    let said = peer.complaint();
                    bail!("{} ended with {status}: {said}", peer.what);
                }
            }
        }
        if running.is_empty() {
            return Ok(peers.iter_mut().map(Program::said).collect());
        }
        ensure!(
            Instant::now() <= deadline,
            "{} still running after {} s",
            running.join(" and "),
            patience.as_secs()
        );
        std::thread::sleep(PAUSE);
    }
}

/// Whether both ends had as many orders, and the same checksum.
fn same_orders(count: u64, said: &[String]) -> Result<()> {
    let [sent, received] = said else {
        bail!("not two peers");
    };
    same("orders and checksum received", received, sent)?;
    same(
        "orders",
        received.split(' ').next(),
        Some(&count.to_string()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_must_be_as_many_and_the_same() {
        let said = |sent: &str, received: &str| {
            same_orders(5, &[sent, received].map(str::to_owned)).is_ok()
        };
        assert!(said("5 77", "5 77"));
        assert!(!said("5 77", "5 78"));
        assert!(!said("4 77", "4 77"));
        assert!(!said("55 77", "55 77"));
        assert!(!said("", ""));
    }
}
