//! Every experiment once, small: that it runs and that every item arrives. It judges no speed.

use crate::doctor;
use crate::experiments;
use crate::report::{LAYER, Report};
use crate::run::Settings;

/// Runs all of them, and tells what this machine can measure: that can be told even if no
/// experiment could run.
pub fn run(settings: &Settings) -> Vec<Report> {
    let experiments = experiments::ALL
        .iter()
        // What judges something else than speed is a layer of its own.
        .filter(|experiment| experiment.layer == LAYER)
        .map(|experiment| experiment.report(settings));
    experiments.chain([doctor::examine(settings)]).collect()
}
