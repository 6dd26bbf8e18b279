//! The faults layer: the system refuses, interrupts or ends, and processes meet at the worst
//! moment.
//!
//! Beside each check stand specimens, which are published mistakes, and a few wrong implementations
//! that are injected for the purpose; the same trial must catch each of them.

/// The checks of a file: each with what happens and must hold then, what its trial counts, and the wrong
/// implementations that the same trial must catch, each in its own words.
macro_rules! checks {
    ($setting:ident: $(
        $subject:literal, $what:literal, $unit:literal => $trial:expr
        $(, wrong $mistake:literal, $sign:literal => $wrong:expr)*;
    )*) => {
        pub(super) fn checks() -> Vec<Check> {
            vec![$(
                Check::new($subject, $what, $unit, |$setting| $trial)
                    $(.wrong($mistake, $sign, |$setting| $wrong))*
            ),*]
        }
    };
}

mod access;
mod create;
mod death;
mod exclusive_role;
mod inheritance;
mod layout;
mod limits;
mod mounts;
mod namespace;
mod race;
mod races;
mod restart;
mod signals;
mod sleep;
mod truncation;

use anyhow::Result;
use clap::Args;
use ringproof_record::Record;

use crate::desk::{Asked, Check, Layer};

/// Put segments and roles in the way of every fault of the system that can be had
///
/// File systems without room, limits of the process, directories that are read-only or missing,
/// a signal every 50 microseconds, other users, other pid namespaces, forks, programs started,
/// descriptors passed on, stopped processes, and thousands of races of processes that are let go
/// together. What cannot be done must be an error that says why, leave nothing behind, and
/// no two may ever share a role. The same trials are made with wrong implementations, each of
/// which must be caught.
#[derive(Args)]
#[command(after_long_help = "\
Examples:
  ringproof-stress faults
      everything, in seconds
  ringproof-stress faults --only full-file-system
      one check, with the wrong implementations that it must catch
  ringproof-stress faults --only recoverers --rounds 100000
      more of it")]
pub(crate) struct Options {
    #[command(flatten)]
    asked: Asked,
    /// How often each race is run, unless that takes longer than a minute
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(20..))]
    rounds: u64,
}

/// Every check, in the order of the report.
fn checks() -> Vec<Check> {
    [
        create::checks(),
        limits::checks(),
        mounts::checks(),
        access::checks(),
        signals::checks(),
        races::checks(),
        exclusive_role::checks(),
        inheritance::checks(),
        death::checks(),
        restart::checks(),
        layout::checks(),
        truncation::checks(),
        sleep::checks(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Runs the layer. Its races want the processors for themselves.
pub(crate) fn run(options: &Options) -> Result<Vec<Record>> {
    let command = format!("faults --rounds {}", options.rounds);
    let layer = Layer {
        rounds: options.rounds,
        ..Layer::new("faults", command, &options.asked, checks())
    };
    layer.run()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_check_has_a_name_of_its_own_and_something_to_catch() {
        let checks = checks();
        let subjects: BTreeSet<_> = checks.iter().map(|check| &check.subject).collect();
        assert_eq!(subjects.len(), checks.len());
        for check in &checks {
            assert!(!check.wrong.is_empty(), "{}", check.subject);
        }
    }
}
