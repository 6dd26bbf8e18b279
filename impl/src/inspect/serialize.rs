//! An [`Inspection`] as data: what `ringproof inspect --json` prints, without the items.

use serde::{Serialize, Serializer};

use super::{Inspection, RoleState};
use crate::layout::{Kind, NOTES};
use crate::shape::Field;

#[derive(Serialize)]
struct Report<'a> {
    name: &'a str,
    kind: &'static str,
    version: u32,
    payload_size: u64,
    payload_align: u64,
    slots: u64,
    capacity: u64,
    segment_len: u64,
    retired: bool,
    roles: Vec<RoleReport>,
    #[serde(flatten)]
    positions: Positions,
    byte_order: &'static str,
    fields: Vec<FieldReport<'a>>,
}

#[derive(Serialize)]
struct RoleReport {
    role: &'static str,
    held: bool,
    epoch: u64,
    wakes: u64,
    asks: bool,
    notes: [u64; NOTES],
}

impl From<&RoleState> for RoleReport {
    fn from(state: &RoleState) -> RoleReport {
        RoleReport {
            role: state.role.name(),
            held: state.held,
            epoch: state.epoch,
            wakes: state.wakes,
            asks: state.asks,
            notes: state.notes,
        }
    }
}

#[derive(Serialize)]
#[serde(untagged)]
enum Positions {
    Ring {
        write_index: u64,
        read_index: u64,
        occupancy: u64,
        end_index: Option<u64>,
        stop_index: Option<u64>,
    },
    SeqLock {
        seq: u64,
    },
    Latch {
        latest: u64,
    },
}

impl From<&Inspection> for Positions {
    fn from(seen: &Inspection) -> Positions {
        match seen.kind {
            Kind::Ring => Positions::Ring {
                write_index: seen.write_index,
                read_index: seen.read_index,
                occupancy: seen.occupancy(),
                end_index: seen.end_index,
                stop_index: seen.stop_index,
            },
            Kind::SeqLock => Positions::SeqLock {
                seq: seen.write_index,
            },
            Kind::Latch => Positions::Latch {
                latest: seen.write_index,
            },
        }
    }
}

#[derive(Serialize)]
struct FieldReport<'a> {
    name: &'a str,
    offset: u64,
    #[serde(rename = "type")]
    kind: String,
}

impl<'a> From<&'a Field> for FieldReport<'a> {
    fn from(field: &'a Field) -> FieldReport<'a> {
        FieldReport {
            name: &field.name,
            offset: field.offset,
            kind: field.leaf.to_string(),
        }
    }
}

/// A map: of a ring with `write_index`, `read_index`, `occupancy`, `end_index` and `stop_index`, of a seqlock
/// with `seq`, of a latch with `latest`. Each of its `roles` is a map with `role`, `held`, `epoch`, `wakes`, `asks` and
/// `notes`, as of [`RoleState`]. More keys may come.
impl Serialize for Inspection {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let report = Report {
            name: &self.name,
            kind: self.kind.name(),
            version: self.fixed.version,
            payload_size: self.fixed.payload_size,
            payload_align: self.fixed.payload_align,
            slots: self.fixed.slots,
            capacity: self.fixed.capacity,
            segment_len: self.fixed.segment_len,
            retired: self.retired,
            roles: self.roles.iter().map(Into::into).collect(),
            positions: self.into(),
            byte_order: self.description.order().name(),
            fields: self.description.fields().iter().map(Into::into).collect(),
        };
        report.serialize(serializer)
    }
}
