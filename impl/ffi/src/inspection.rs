//! A look at a segment from outside, and at the text that describes a payload.

use std::ffi::c_char;

use ringproof::Inspection;

use crate::arguments::{needed, segment_name, shared};
use crate::failure::{Failure, promised, ringproof_lib_error, ringproof_lib_status};
use crate::payload::ringproof_lib_payload;

/// What a role looked like.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ringproof_lib_role_state {
    /// How often it was taken.
    pub epoch: u64,
    /// Whether somebody held it.
    pub held: bool,
}

/// What a segment looked like at one moment.
#[repr(C)]
pub struct ringproof_lib_inspection {
    /// An `enum ringproof_lib_kind`.
    pub kind: u32,
    /// Whether it was retired: no role may be taken any more.
    pub retired: bool,
    /// Bytes of one payload.
    pub payload_size: u64,
    /// Its alignment, where it was made.
    pub payload_align: u64,
    /// The fingerprint of its description.
    pub fingerprint: u64,
    /// Payloads of memory that are cycled through.
    pub slots: u64,
    /// Items that may be live at once.
    pub capacity: u64,
    /// Bytes of the whole segment.
    pub segment_len: u64,
    /// How many items were committed; a seqlock's sequence, or a latch's version.
    pub write_index: u64,
    /// How many items were released.
    pub read_index: u64,
    /// Where the producer closed the ring; all ones while it is open.
    pub end_index: u64,
    /// Where the consumer closed the ring; all ones while it is open.
    pub stop_index: u64,
    /// The producer of a ring, or the writer.
    pub producer: ringproof_lib_role_state,
    /// The consumer of a ring.
    pub consumer: ringproof_lib_role_state,
}

/// Looks at the segment `name`; nothing is mapped, locked or changed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ringproof_lib_inspect(
    name: *const c_char,
    inspection: *mut ringproof_lib_inspection,
    error: *mut ringproof_lib_error,
) -> ringproof_lib_status {
    promised!(error, {
        let inspection = needed(inspection, "inspection")?;
        let seen = Inspection::of(segment_name(name)?)?;
        let role = |index: usize| {
            let role = seen.roles.get(index);
            ringproof_lib_role_state {
                epoch: role.map_or(0, |role| role.epoch),
                held: role.is_some_and(|role| role.held),
            }
        };
        inspection.write(ringproof_lib_inspection {
            kind: seen.fixed.kind,
            retired: seen.retired,
            payload_size: seen.fixed.payload_size,
            payload_align: seen.fixed.payload_align,
            fingerprint: seen.fixed.fingerprint,
            slots: seen.fixed.slots,
            capacity: seen.fixed.capacity,
            segment_len: seen.fixed.segment_len,
            write_index: seen.write_index,
            read_index: seen.read_index,
            end_index: seen.end_index.unwrap_or(u64::MAX),
            stop_index: seen.stop_index.unwrap_or(u64::MAX),
            producer: role(0),
            consumer: role(1),
        });
        Ok(())
    })
}

/// Writes the text that describes the payload of the segment `name`, with a zero at its end, and
/// its length without. At most 65,537 bytes are needed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ringproof_lib_description(
    name: *const c_char,
    description: *mut c_char,
    size: usize,
    len: *mut usize,
    error: *mut ringproof_lib_error,
) -> ringproof_lib_status {
    promised!(error, {
        let seen = Inspection::of(segment_name(name)?)?;
        copy_out(&seen.description.to_string(), description, size, len)
    })
}

/// Writes the text that describes a payload, as `ringproof_lib_description` does.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ringproof_lib_describe(
    payload: *const ringproof_lib_payload,
    description: *mut c_char,
    size: usize,
    len: *mut usize,
    error: *mut ringproof_lib_error,
) -> ringproof_lib_status {
    promised!(error, {
        let payload = shared(payload, "payload")?.described()?;
        copy_out(&payload.description().to_string(), description, size, len)
    })
}

/// Copies a text to where the caller has `size` bytes for it.
unsafe fn copy_out(
    text: &str,
    to: *mut c_char,
    size: usize,
    len: *mut usize,
) -> Result<(), Failure> {
    let (to, len) = (needed(to, "description")?, needed(len, "len")?);
    if text.len() >= size {
        return Err(Failure::argument(format!(
            "`size`: {size} bytes for a text of {} and its end",
            text.len()
        )));
    }
    // SAFETY: not null, hence as much room as the caller says, and it is enough.
    unsafe {
        let to = to.cast::<u8>().as_ptr();
        to.copy_from_nonoverlapping(text.as_ptr(), text.len());
        to.add(text.len()).write(0);
        len.write(text.len());
    }
    Ok(())
}
