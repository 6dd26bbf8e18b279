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
use std::io::Read;
use std::os::unix::process::CommandExt;
use std::process::{Child, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use ringproof_record::{Record, deadline};

use crate::process::{Interrupts, SingleThreaded};
use crate::shm::{Name, Prefix, Sweeper};
use market::{Fault, Kind};
use programs::{Language, Programs, Sanitizer};

pub(crate) use market::{Peer, run as run_peer};

const LAYER: &str = "abi";

/// The hidden command that makes this program the Rust peer.
pub(crate) const PEER: &str = "abi-peer";

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
    /// What the items follow from
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Only these two, for example c-to-rust
    #[arg(long, value_name = "PAIR", value_parser = known)]
    pub(crate) only: Option<String>,
    /// How many orders each pair exchanges
    #[arg(long, value_name = "N", default_value_t = 2_000_000,
          value_parser = clap::value_parser!(u64).range(ORDERS_FOR_A_PICTURE..=1 << 40))]
    pub(crate) items: u64,
    /// What to watch the programs in C and C++ with
    #[arg(long, value_name = "WHAT", value_delimiter = ',')]
    pub(crate) sanitize: Vec<Sanitizer>,
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

fn known(pair: &str) -> Result<String, String> {
    let names = PAIRS.map(|pair| pair.to_string());
    if names.iter().any(|name| name == pair) {
        return Ok(pair.to_owned());
    }
    Err(format!("the pairs: {}", names.join(", ")))
}

/// What a pair does.
#[derive(Clone, Copy)]
struct Exchange {
    pair: Pair,
    /// What holds pictures; for orders, nothing: they go through a ring.
    kind: Option<Kind>,
    count: u64,
    fault: Option<Fault>,
}

impl Exchange {
    /// What must hold, or what is planted.
    fn check(&self) -> String {
        let through = name_of(self.kind.as_ref()).unwrap_or_else(|| "ring".to_owned());
        match (self.fault, self.kind) {
            (Some(fault), _) => {
                let fault = name_of(Some(&fault)).unwrap_or_default();
                format!("planted fault: {fault}, {through}")
            }
            (None, None) => format!("{through}: every item, by sequence and checksum"),
            (None, Some(_)) => format!("{through}: no value torn or older"),
        }
    }

    /// Part of the words in which this fault is noticed.
    fn sign(&self) -> &'static str {
        match (self.kind, self.fault) {
            (Some(_), _) => "a mixture",
            (None, Some(Fault::Corruption)) => "checksum",
            (None, _) => "was due",
        }
    }
}

fn name_of<V: ValueEnum>(value: Option<&V>) -> Option<String> {
    Some(value?.to_possible_value()?.get_name().to_owned())
}

/// What came of an exchange.
#[derive(Debug, PartialEq)]
enum Outcome {
    Held,
    Violated(String),
    NotRun(String),
}

/// Runs the layer.
pub(crate) fn run(options: &Options) -> Result<Vec<Record>> {
    let start = Instant::now();
    let alone = SingleThreaded::check()?;
    let interrupts = Interrupts::catch()?;
    let prefix = Prefix::new(LAYER);
    let _sweeper = Sweeper::start(&prefix, alone)?;
    let folder = tempfile::tempdir().context("cannot make a temporary directory")?;
    let programs = Programs::make(folder.path(), &options.sanitize)?;
    let place = Place {
        programs: &programs,
        prefix: &prefix,
        seed: options.seed,
        interrupts: &interrupts,
    };
    let mut rows = Vec::new();
    for pair in PAIRS {
        let subject = pair.to_string();
        if options.only.as_ref().is_some_and(|only| *only != subject) {
            continue;
        }
        for exchange in exchanges(pair, options.items) {
            let outcome = place.run(&exchange)?;
            rows.push(row(&exchange, outcome).repeat(command(options, &subject)));
        }
    }
    let seconds = start.elapsed().as_secs_f64();
    eprintln!("abi: {} rows in {seconds:.1} s", rows.len());
    Ok(rows)
}

/// All that a pair does. Mistakes are made by the Rust peer, to each who can receive.
fn exchanges(pair: Pair, items: u64) -> Vec<Exchange> {
    let exchange = |kind, count, fault| Exchange {
        pair,
        kind,
        count,
        fault,
    };
    let pictures = items / ORDERS_FOR_A_PICTURE;
    let kinds = [Kind::Seqlock, Kind::Latch];
    let mut all = vec![exchange(None, items, None)];
    all.extend(kinds.map(|kind| exchange(Some(kind), pictures, None)));
    if pair.0 == Language::Rust {
        let faults = Fault::value_variants().iter();
        all.extend(faults.map(|fault| exchange(None, FAULTY_ITEMS, Some(*fault))));
        all.extend(kinds.map(|kind| exchange(Some(kind), FAULTY_ITEMS, Some(Fault::Corruption))));
    }
    all
}

fn row(exchange: &Exchange, outcome: Outcome) -> Record {
    let (subject, check) = (exchange.pair.to_string(), exchange.check());
    let unit = exchange.kind.map_or("items", |_| "values");
    match (outcome, exchange.fault) {
        (Outcome::NotRun(why), _) => Record::not_run(LAYER, subject, check, why),
        (Outcome::Held, None) => Record::passed(LAYER, subject, check).count(exchange.count, unit),
        (Outcome::Violated(why), None) => Record::failed(LAYER, subject, check, why),
        (Outcome::Held, Some(_)) => {
            Record::failed(LAYER, subject, check, "the receiver did not notice")
        }
        (Outcome::Violated(why), Some(_)) if why.contains(exchange.sign()) => {
            Record::passed(LAYER, subject, check).reason(format!("noticed: {why}"))
        }
        (Outcome::Violated(why), Some(_)) => {
            let sign = exchange.sign();
            let why = format!("noticed, but not for `{sign}`: {why}");
            Record::failed(LAYER, subject, check, why)
        }
    }
}

fn command(options: &Options, subject: &str) -> String {
    let mut command = format!(
        "cargo run --release -p ringproof-stress -- abi --seed {} --items {}",
        options.seed, options.items
    );
    if !options.sanitize.is_empty() {
        let names: Vec<_> = options.sanitize.iter().map(|s| s.name()).collect();
        command += &format!(" --sanitize {}", names.join(","));
    }
    command + &format!(" --only {subject}")
}

/// Where peers meet.
struct Place<'a> {
    programs: &'a Programs,
    prefix: &'a Prefix,
    seed: u64,
    interrupts: &'a Interrupts,
}

impl Place<'_> {
    fn run(&self, exchange: &Exchange) -> Result<Outcome> {
        let start = Instant::now();
        let name = Name::new(format!("{}{}", self.prefix, exchange.pair));
        let ends = match exchange.kind {
            None => ["send", "recv"],
            Some(_) => ["write", "read"],
        };
        let mut peers = Vec::new();
        for (end, language) in ends.into_iter().zip([exchange.pair.0, exchange.pair.1]) {
            // The mistake is the sender's.
            let fault = exchange.fault.filter(|_| peers.is_empty());
            match self.start(language, end, &name, exchange, fault)? {
                Ok(peer) => peers.push(peer),
                Err(why) => return Ok(Outcome::NotRun(why)),
            }
        }
        let outcome = self.judge(exchange, peers)?;
        eprintln!(
            "abi: {}, {}: {} in {:.2} s",
            exchange.pair,
            exchange.check(),
            exchange.count,
            start.elapsed().as_secs_f64()
        );
        Ok(outcome)
    }

    /// Starts one end, or says why that cannot be.
    fn start(
        &self,
        language: Language,
        end: &'static str,
        name: &str,
        exchange: &Exchange,
        fault: Option<Fault>,
    ) -> Result<Result<Running, String>> {
        let mut command = match self.programs.command(language) {
            Ok(command) => command,
            Err(why) => return Ok(Err(why.to_owned())),
        };
        let numbers = [self.seed, exchange.count].map(|number| number.to_string());
        command.args([end, &numbers[0], name, &numbers[1]]);
        command.args(name_of(exchange.kind.as_ref()));
        if let Some(fault) = name_of(fault.as_ref()) {
            command.args(["--fault", &fault]);
        }
        (command.stdin(Stdio::null()))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        // SAFETY: between fork and exec only async-signal-safe calls are allowed; this is one
        // system call.
        unsafe {
            command.pre_exec(|| set_pdeathsig(Signal::SIGKILL).map_err(Into::into));
        }
        let child = (command.spawn())
            .with_context(|| format!("cannot start the peer in {}", language.name()))?;
        Ok(Ok(Running {
            what: format!("{end} in {}", language.name()),
            child,
            ended: None,
        }))
    }

    /// Waits until both have ended, or one has not ended well.
    fn judge(&self, exchange: &Exchange, mut peers: Vec<Running>) -> Result<Outcome> {
        // Many times what the slowest machine takes.
        let patience = deadline::seconds(300 + exchange.count / 10_000);
        let deadline = Instant::now() + patience;
        loop {
            self.interrupts.check()?;
            let mut running = 0;
            for peer in &mut peers {
                match peer.look()? {
                    None => running += 1,
                    Some(status) if status.success() => {}
                    Some(status) => return Ok(Outcome::Violated(peer.complaint(status))),
                }
            }
            if running == 0 {
                break;
            }
            if Instant::now() > deadline {
                let late: Vec<_> = (peers.iter())
                    .filter(|peer| peer.ended.is_none())
                    .map(|peer| &*peer.what)
                    .collect();
                return Ok(Outcome::Violated(format!(
                    "{} still running after {} s",
                    late.join(" and "),
                    patience.as_secs()
                )));
            }
            std::thread::sleep(PAUSE);
        }
        let said: Vec<_> = peers.iter_mut().map(Running::said).collect();
        Ok(match exchange.kind {
            None => same_orders(exchange.count, &said),
            Some(_) => Outcome::Held,
        })
    }
}

/// Whether both ends had as many orders, and the same checksum.
fn same_orders(count: u64, said: &[String]) -> Outcome {
    let [sent, received] = said else {
        return Outcome::Violated("not two peers".to_owned());
    };
    if sent != received {
        return Outcome::Violated(format!(
            "orders and checksum sent: {sent}; received: {received}"
        ));
    }
    if received.split(' ').next() != Some(&count.to_string()) {
        return Outcome::Violated(format!("{count} orders were due, not {received}"));
    }
    Outcome::Held
}

/// A peer. Dropping it kills and reaps it.
struct Running {
    what: String,
    child: Child,
    ended: Option<ExitStatus>,
}

impl Running {
    /// How it ended, if it has.
    fn look(&mut self) -> Result<Option<ExitStatus>> {
        if self.ended.is_none() {
            let look = self.child.try_wait();
            self.ended = look.with_context(|| format!("cannot wait for {}", self.what))?;
        }
        Ok(self.ended)
    }

    /// What it printed, once it has ended.
    fn said(&mut self) -> String {
        read_all(self.child.stdout.take())
    }

    fn complaint(&mut self, status: ExitStatus) -> String {
        let said = read_all(self.child.stderr.take());
        format!("{} ended with {status}: {said}", self.what)
    }
}

fn read_all(pipe: Option<impl Read>) -> String {
    let mut text = String::new();
    if let Some(mut pipe) = pipe
        && let Err(error) = pipe.read_to_string(&mut text)
    {
        text = format!("(cannot be read: {error})");
    }
    text.trim_end().to_owned()
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail only where it has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ringproof_record::Verdict;

    #[test]
    fn orders_must_be_as_many_and_the_same() {
        let said = |sent: &str, received: &str| {
            same_orders(5, &[sent, received].map(str::to_owned)) == Outcome::Held
        };
        assert!(said("5 77", "5 77"));
        assert!(!said("5 77", "5 78"));
        assert!(!said("4 77", "4 77"));
        assert!(!said("55 77", "55 77"));
        assert!(!said("", ""));
    }

    #[test]
    fn a_planted_fault_passes_only_if_noticed_for_what_it_is() {
        let [pair, ..] = PAIRS;
        let mut exchange = exchanges(pair, 100)[0];
        let violated = |why: &str| Outcome::Violated(why.to_owned());
        assert_eq!(row(&exchange, Outcome::Held).verdict, Verdict::Passed);
        assert_eq!(row(&exchange, violated("x")).verdict, Verdict::Failed);
        exchange.fault = Some(Fault::Loss);
        assert_eq!(row(&exchange, Outcome::Held).verdict, Verdict::Failed);
        assert_eq!(row(&exchange, violated("a crash")).verdict, Verdict::Failed);
        let noticed = violated("order 6 came where 5 was due");
        assert_eq!(row(&exchange, noticed).verdict, Verdict::Passed);
    }

    #[test]
    fn every_language_receives_every_fault() {
        for receiver in [Language::C, Language::Cpp, Language::C32, Language::Rust] {
            let pair = Pair(Language::Rust, receiver);
            assert!(PAIRS.contains(&pair), "{pair}");
            let all = exchanges(pair, 100);
            let faults = all.iter().filter(|exchange| exchange.fault.is_some());
            assert_eq!(faults.count(), 5, "{pair}");
        }
    }
}
