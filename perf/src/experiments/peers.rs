//! ringproof beside the crates that its users would pick instead: asked of a program of its own.

use crate::experiments::Experiment;
use crate::outside::ask;

/// The experiment.
pub(crate) const EXPERIMENT: Experiment = Experiment {
    name: "peers",
    title: "peers",
    subject: "ring, latest value/peers",
    about: "Ring, seqlock and latch beside the crates that their users would pick instead",
    details: "rtrb, ringbuf, crossbeam, heapless, gil and iceoryx2; seqlock, arc-swap, \
         triple_buffer and parking_lot. They are measured by a program of its own, outside \
         the workspace, that is compiled only when asked for.",
    run: |settings| ask("peers", settings),
    ..Experiment::MEASURES
};

/// What belongs to the experiment `ipc` and needs that program.
pub(crate) const BETWEEN_PROCESSES: Experiment = Experiment {
    name: "ipc-peers",
    part_of: Some("ipc"),
    title: "ipc: D-Bus and gRPC",
    subject: "D-Bus, gRPC",
    run: |settings| ask("ipc", settings),
    ..Experiment::MEASURES
};
