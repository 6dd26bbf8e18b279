//! The ends of a seqlock or latch.

use std::ffi::c_void;

use ringproof::untyped::{Reader, Writer};

use crate::arguments::{exclusive, items, room, shared};
use crate::failure::{promised, ringproof_lib_error, ringproof_lib_status};
use crate::segment::{give_back, handed_over, ringproof_lib_segment, usable, usable_mut};

/// The writing end of a seqlock or latch.
pub struct ringproof_lib_writer {
    end: Writer,
}

/// A reading end of a seqlock or latch. It stores nothing, so there may be any number.
pub struct ringproof_lib_reader {
    pub(crate) end: Reader,
}

/// Takes the writer's role, where its last holder left the segment. Not for a child that is forked
/// later: see `ringproof_lib_create`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ringproof_lib_writer_open(
    segment: *const ringproof_lib_segment,
    writer: *mut *mut ringproof_lib_writer,
    error: *mut ringproof_lib_error,
) -> ringproof_lib_status {
    handed_over!(error, writer, {
        let end = shared(segment, "segment")?.structure.writer()?;
        Ok(ringproof_lib_writer { end })
    })
}

/// Gives the role back; null is none. The value stays.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ringproof_lib_writer_drop(writer: *mut ringproof_lib_writer) {
    // SAFETY: the caller's promises.
    unsafe { give_back(writer) };
}

/// Replaces the value. Never waits for readers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ringproof_lib_write(
    writer: *mut ringproof_lib_writer,
    value: *const c_void,
    error: *mut ringproof_lib_error,
) -> ringproof_lib_status {
    promised!(error, {
        let writer = exclusive(writer, "writer")?;
        let value = items(value, 1, writer.end.size(), "value")?;
        usable_mut(&mut writer.end)?.write(value);
        Ok(())
    })
}

/// How many values were written since the segment was made, by this writer and those before it
/// (one that died inside a write to a seqlock counts it, too). 0 for null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ringproof_lib_writer_version(writer: *const ringproof_lib_writer) -> u64 {
    // SAFETY: the caller's promises.
    let writer = unsafe { writer.as_ref() };
    writer.map_or(0, |writer| writer.end.version())
}

/// Whether the last writer of a seqlock died inside a write, and nothing was written since.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ringproof_lib_writer_needs_repair(
    writer: *const ringproof_lib_writer,
) -> bool {
    // SAFETY: the caller's promises.
    let writer = unsafe { writer.as_ref() };
    writer.is_some_and(|writer| writer.end.needs_repair())
}

/// A reader. Not for a child that is forked later: see `ringproof_lib_create`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ringproof_lib_reader_open(
    segment: *const ringproof_lib_segment,
    reader: *mut *mut ringproof_lib_reader,
    error: *mut ringproof_lib_error,
) -> ringproof_lib_status {
    handed_over!(error, reader, {
        let end = shared(segment, "segment")?.structure.reader()?;
        Ok(ringproof_lib_reader { end })
    })
}

/// Gives the reader back; null is none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ringproof_lib_reader_drop(reader: *mut ringproof_lib_reader) {
    // SAFETY: the caller's promises.
    unsafe { give_back(reader) };
}

/// The version of the last value that was written; a read that follows finds it, or a later one. 0 for
/// null and for an end that is the parent's of this process.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ringproof_lib_reader_version(reader: *const ringproof_lib_reader) -> u64 {
    // SAFETY: the caller's promises.
    let reader = unsafe { reader.as_ref() };
    let usable = reader.and_then(|reader| usable(&reader.end).ok());
    usable.map_or(0, ringproof::untyped::Reader::version)
}

/// Reads the value in one attempt. After `RINGPROOF_LIB_BUSY`, `value` may be a mixture.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ringproof_lib_try_read(
    reader: *const ringproof_lib_reader,
    value: *mut c_void,
    error: *mut ringproof_lib_error,
) -> ringproof_lib_status {
    promised!(error, {
        let reader = shared(reader, "reader")?;
        let value = room(value, 1, reader.end.size(), "value")?;
        Ok(usable(&reader.end)?.try_read_into(value)?)
    })
}

/// Reads the value in at most `attempts` attempts, at least one. Where it fails, `value` may be a
/// mixture.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ringproof_lib_read(
    reader: *const ringproof_lib_reader,
    value: *mut c_void,
    attempts: u32,
    error: *mut ringproof_lib_error,
) -> ringproof_lib_status {
    promised!(error, {
        let reader = shared(reader, "reader")?;
        let value = room(value, 1, reader.end.size(), "value")?;
        Ok(usable(&reader.end)?.read_into(value, attempts)?)
    })
}
