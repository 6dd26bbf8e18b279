//! The waits of the ends.

use std::ffi::c_int;
use std::os::fd::AsRawFd;
use std::time::Duration;

use ringproof::Wait;

use crate::arguments::{exclusive, needed, shared};
use crate::failure::{Failure, promised, ringproof_lib_error, ringproof_lib_status};
use crate::ring::{ringproof_lib_consumer, ringproof_lib_producer};
use crate::segment::{usable, usable_mut};
use crate::value::ringproof_lib_reader;

/// A timeout: without limit.
pub const RINGPROOF_LIB_FOREVER: u64 = u64::MAX;

/// How an end waits.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ringproof_lib_wait {
    /// It looks for some microseconds, then sleeps in the kernel until it is woken. So does an end that
    /// nothing else was said to.
    RINGPROOF_LIB_WAIT_SLEEP = 0,
    /// It sleeps as soon as it finds nothing: for many ends on few processors.
    RINGPROOF_LIB_WAIT_SLEEP_AT_ONCE = 1,
    /// It looks for some microseconds, then lets other threads run between two looks.
    RINGPROOF_LIB_WAIT_YIELD = 2,
    /// It looks again and again, and keeps its processor busy. The fastest where each of the two ends has
    /// a processor of its own, and the slowest where they share one.
    RINGPROOF_LIB_WAIT_SPIN = 3,
}

/// The ways to wait by number.
const WAITS: [(ringproof_lib_wait, Wait); 4] = [
    (ringproof_lib_wait::RINGPROOF_LIB_WAIT_SLEEP, Wait::Sleep),
    (
        ringproof_lib_wait::RINGPROOF_LIB_WAIT_SLEEP_AT_ONCE,
        Wait::SleepAtOnce,
    ),
    (ringproof_lib_wait::RINGPROOF_LIB_WAIT_YIELD, Wait::Yield),
    (ringproof_lib_wait::RINGPROOF_LIB_WAIT_SPIN, Wait::Spin),
];

fn wait(number: u32) -> Result<Wait, Failure> {
    let known = WAITS.iter().find(|(known, _)| *known as u32 == number);
    known
        .map(|(_, how)| *how)
        .ok_or_else(|| Failure::argument(format!("{number} is no enum ringproof_lib_wait")))
}

/// An end that waits for so many nanoseconds in its next operation.
macro_rules! waiting {
    ($end:expr, $timeout:expr) => {
        match $timeout {
            RINGPROOF_LIB_FOREVER => $end.wait(),
            nanos => $end.wait_for(Duration::from_nanos(nanos)),
        }
    };
}

/// Waits until `count` slots are free, for at most `timeout` nanoseconds (`RINGPROOF_LIB_FOREVER`: without
/// limit; 0: one look). Then as many items can be pushed without another wait. What is reserved stays so.
/// `RINGPROOF_LIB_ARGUMENT` if so many never will be free.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ringproof_lib_wait_free(
    producer: *mut ringproof_lib_producer,
    count: usize,
    timeout: u64,
    error: *mut ringproof_lib_error,
) -> ringproof_lib_status {
    promised!(error, {
        let end = usable_mut(&mut exclusive(producer, "producer")?.end)?;
        waiting!(end, timeout).free_slots(count)?;
        Ok(())
    })
}

/// Waits until the consumer has released every item, also those before a close, for at most `timeout`
/// nanoseconds, as `ringproof_lib_wait_free` does. `RINGPROOF_LIB_PEER_CLOSED` if the consumer closed the ring
/// and left some.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ringproof_lib_wait_drained(
    producer: *mut ringproof_lib_producer,
    timeout: u64,
    error: *mut ringproof_lib_error,
) -> ringproof_lib_status {
    promised!(error, {
        let end = usable_mut(&mut exclusive(producer, "producer")?.end)?;
        waiting!(end, timeout).drained()?;
        Ok(())
    })
}

/// Waits until `count` items are there, for at most `timeout` nanoseconds, as `ringproof_lib_wait_free` does.
/// Then as many can be popped without another wait. What was peeked at stays shown.
/// `RINGPROOF_LIB_ARGUMENT` if so many never will be there: more than the capacity, or than are left of a
/// ring that the producer closed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ringproof_lib_wait_items(
    consumer: *mut ringproof_lib_consumer,
    count: usize,
    timeout: u64,
    error: *mut ringproof_lib_error,
) -> ringproof_lib_status {
    promised!(error, {
        let end = usable_mut(&mut exclusive(consumer, "consumer")?.end)?;
        waiting!(end, timeout).items(count)?;
        Ok(())
    })
}

/// Waits until the version is no longer `*version`, for at most `timeout` nanoseconds, as
/// `ringproof_lib_wait_free` does, and says what it is then; it is the writer that may be gone. Who waits so
/// and then reads misses no value but those that were replaced meanwhile.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ringproof_lib_wait_newer(
    reader: *const ringproof_lib_reader,
    version: *mut u64,
    timeout: u64,
    error: *mut ringproof_lib_error,
) -> ringproof_lib_status {
    promised!(error, {
        let version = needed(version, "version")?;
        let end = usable(&shared(reader, "reader")?.end)?;
        version.write(waiting!(end, timeout).newer(version.read())?);
        Ok(())
    })
}

/// After a call said `RINGPROOF_LIB_FULL`: leaves the wait to an event loop. The descriptor, the same one each
/// time, is unreadable from here until the consumer has released something since, has closed the ring or is
/// gone; now and then it is readable in vain. It is level-triggered and for polling only: who reads it makes it
/// unreadable, although nothing waits. A thread of the producer's own sleeps meanwhile, from the first call
/// on; it handles no signals. Both end when the producer is dropped.
/// `RINGPROOF_LIB_PEER_GONE` if the consumer was gone when the last wait for the same ended: the descriptor
/// stays readable then, and to arm it again waits for a successor.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ringproof_lib_producer_arm(
    producer: *mut ringproof_lib_producer,
    descriptor: *mut c_int,
    error: *mut ringproof_lib_error,
) -> ringproof_lib_status {
    promised!(error, {
        let descriptor = needed(descriptor, "descriptor")?;
        let end = usable_mut(&mut exclusive(producer, "producer")?.end)?;
        descriptor.write(end.arm()?.as_raw_fd());
        Ok(())
    })
}

/// After a call said `RINGPROOF_LIB_EMPTY`: as `ringproof_lib_producer_arm`, until the producer has committed
/// something since.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ringproof_lib_consumer_arm(
    consumer: *mut ringproof_lib_consumer,
    descriptor: *mut c_int,
    error: *mut ringproof_lib_error,
) -> ringproof_lib_status {
    promised!(error, {
        let descriptor = needed(descriptor, "descriptor")?;
        let end = usable_mut(&mut exclusive(consumer, "consumer")?.end)?;
        descriptor.write(end.arm()?.as_raw_fd());
        Ok(())
    })
}

/// After `ringproof_lib_reader_version` said `since`: as `ringproof_lib_producer_arm`, until there is another
/// version; it is the writer that may be gone.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ringproof_lib_reader_arm(
    reader: *mut ringproof_lib_reader,
    since: u64,
    descriptor: *mut c_int,
    error: *mut ringproof_lib_error,
) -> ringproof_lib_status {
    promised!(error, {
        let descriptor = needed(descriptor, "descriptor")?;
        let end = usable_mut(&mut exclusive(reader, "reader")?.end)?;
        descriptor.write(end.arm(since)?.as_raw_fd());
        Ok(())
    })
}

/// Says how the producer waits from now on, an `enum ringproof_lib_wait`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ringproof_lib_producer_set_wait(
    producer: *mut ringproof_lib_producer,
    how: u32,
    error: *mut ringproof_lib_error,
) -> ringproof_lib_status {
    promised!(error, {
        exclusive(producer, "producer")?.end.set_wait(wait(how)?);
        Ok(())
    })
}

/// Says how the consumer waits from now on, an `enum ringproof_lib_wait`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ringproof_lib_consumer_set_wait(
    consumer: *mut ringproof_lib_consumer,
    how: u32,
    error: *mut ringproof_lib_error,
) -> ringproof_lib_status {
    promised!(error, {
        exclusive(consumer, "consumer")?.end.set_wait(wait(how)?);
        Ok(())
    })
}

/// Says how the reader waits from now on, an `enum ringproof_lib_wait`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ringproof_lib_reader_set_wait(
    reader: *mut ringproof_lib_reader,
    how: u32,
    error: *mut ringproof_lib_error,
) -> ringproof_lib_status {
    promised!(error, {
        exclusive(reader, "reader")?.end.set_wait(wait(how)?);
        Ok(())
    })
}
