//! The experiments, by name.

use crate::abi::compile::Tools;
use crate::report::{LAYER, Report, Trouble};
use crate::run::Settings;
use crate::{
    abi, c_header, dispatch, false_sharing, ipc, latest, limits, padding, peers, serialize,
};

/// One question to the machine.
#[derive(Clone, Copy, Debug)]
pub struct Experiment {
    /// What the command line calls it.
    pub name: &'static str,
    /// What it is called where it has no report of its own.
    pub title: &'static str,
    /// What its rows are about where there are none.
    pub subject: &'static str,
    /// The layer of its rows.
    pub layer: &'static str,
    /// How to repeat it.
    pub repeat: &'static str,
    /// Asks it.
    pub run: fn(&Settings) -> Result<Report, Trouble>,
}

/// All of them, in the order in which a reader needs them.
pub const ALL: [Experiment; 11] = [
    Experiment {
        name: "limits",
        title: "limits",
        subject: "machine",
        layer: LAYER,
        repeat: limits::REPEAT,
        run: limits::run,
    },
    Experiment {
        name: "false-sharing",
        title: "false sharing",
        subject: "ring/index placement",
        layer: LAYER,
        repeat: false_sharing::REPEAT,
        run: |settings| false_sharing::run(settings, None),
    },
    Experiment {
        name: "padding",
        title: "padding",
        subject: "ring/slot placement",
        layer: LAYER,
        repeat: padding::REPEAT,
        run: padding::run,
    },
    Experiment {
        name: "peers",
        title: "peers",
        subject: "ring, latest value/peers",
        layer: LAYER,
        repeat: peers::REPEAT,
        run: peers::run,
    },
    Experiment {
        name: "c-header",
        title: "the C header",
        subject: "ring/C header",
        layer: LAYER,
        repeat: c_header::REPEAT,
        run: c_header::run,
    },
    Experiment {
        name: "latest",
        title: "latest value",
        subject: "seqlock, latch",
        layer: LAYER,
        repeat: latest::REPEAT,
        run: latest::run,
    },
    Experiment {
        name: "ipc",
        title: "between processes",
        subject: "ipc",
        layer: LAYER,
        repeat: ipc::REPEAT,
        run: ipc::run,
    },
    Experiment {
        name: "ipc-peers",
        title: "ipc: D-Bus and gRPC",
        subject: "D-Bus, gRPC",
        layer: LAYER,
        repeat: ipc::REPEAT,
        run: peers::run_ipc,
    },
    Experiment {
        name: "serialize",
        title: "serialize",
        subject: "serialize",
        layer: LAYER,
        repeat: serialize::REPEAT,
        run: serialize::run,
    },
    Experiment {
        name: "dispatch",
        title: "dispatch",
        subject: "dispatch",
        layer: LAYER,
        repeat: dispatch::REPEAT,
        run: dispatch::run,
    },
    Experiment {
        name: "abi",
        title: "the ABI trap",
        subject: "one struct",
        layer: abi::LAYER,
        repeat: abi::REPEAT,
        run: |_| {
            abi::run(&Tools::from_env()).map_err(|error| Trouble::Failed(format!("{error:#}")))
        },
    },
];

impl Experiment {
    /// Asks it; an experiment that has no answer reports why.
    pub fn report(&self, settings: &Settings) -> Report {
        self.report_of((self.run)(settings))
    }

    /// The report of an answer, also of one that was not to be had.
    pub fn report_of(&self, answer: Result<Report, Trouble>) -> Report {
        answer.unwrap_or_else(|trouble| {
            Report::of_trouble(self.title, self.subject, self.repeat, &trouble)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_apart() {
        let mut names = ALL.map(|experiment| experiment.name);
        names.sort_unstable();
        assert!(names.windows(2).all(|pair| pair[0] != pair[1]), "{names:?}");
    }
}
