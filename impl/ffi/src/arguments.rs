//! What comes from C, made into what Rust takes. All of these functions rely on the caller's
//! [promises](crate) and on no others.

use std::ffi::{CStr, c_char, c_void};
use std::ptr::NonNull;
use std::slice;

use ringproof::segment::name_of;

use crate::failure::Failure;

/// A pointer that is needed.
pub(crate) fn needed<T>(pointer: *mut T, name: &'static str) -> Result<NonNull<T>, Failure> {
    NonNull::new(pointer).ok_or_else(|| Failure::argument(format!("`{name}` is null")))
}

/// A handle, or a struct to be read.
pub(crate) unsafe fn shared<'a, T>(
    pointer: *const T,
    name: &'static str,
) -> Result<&'a T, Failure> {
    // SAFETY: not null, hence what its type says.
    Ok(unsafe { needed(pointer.cast_mut(), name)?.as_ref() })
}

/// A handle that the call changes.
pub(crate) unsafe fn exclusive<'a, T>(
    pointer: *mut T,
    name: &'static str,
) -> Result<&'a mut T, Failure> {
    // SAFETY: not null, hence what its type says, and used by no other thread.
    Ok(unsafe { needed(pointer, name)?.as_mut() })
}

/// A string.
pub(crate) unsafe fn text<'a>(
    pointer: *const c_char,
    name: &'static str,
) -> Result<&'a str, Failure> {
    // SAFETY: the caller's promises.
    let text = unsafe { bytes_of_string(pointer, name)? };
    str::from_utf8(text).map_err(|_| Failure::argument(format!("`{name}` is not UTF-8")))
}

/// The name of a segment. One that is not UTF-8 is refused as any other that no segment has.
pub(crate) unsafe fn segment_name<'a>(pointer: *const c_char) -> Result<&'a str, Failure> {
    // SAFETY: the caller's promises.
    Ok(name_of(unsafe { bytes_of_string(pointer, "name")? })?)
}

unsafe fn bytes_of_string<'a>(
    pointer: *const c_char,
    name: &'static str,
) -> Result<&'a [u8], Failure> {
    let pointer = needed(pointer.cast_mut(), name)?;
    // SAFETY: not null, hence a string that ends.
    Ok(unsafe { CStr::from_ptr(pointer.as_ptr()) }.to_bytes())
}

/// An array. One without elements may be null.
pub(crate) unsafe fn array<'a, T>(
    pointer: *const T,
    count: usize,
    name: &'static str,
) -> Result<&'a [T], Failure> {
    if count == 0 {
        return Ok(&[]);
    }
    let pointer = needed(pointer.cast_mut(), name)?;
    within_memory::<T>(count, name)?;
    // SAFETY: not null, hence as many elements as the caller says.
    Ok(unsafe { slice::from_raw_parts(pointer.as_ptr(), count) })
}

/// `count` items of `size` bytes each.
pub(crate) unsafe fn items<'a>(
    pointer: *const c_void,
    count: usize,
    size: usize,
    name: &'static str,
) -> Result<&'a [u8], Failure> {
    let len = bytes_of(count, size, name)?;
    // SAFETY: the caller's promises.
    unsafe { array(pointer.cast(), len, name) }
}

/// Room for `count` items of `size` bytes each.
pub(crate) unsafe fn room<'a>(
    pointer: *mut c_void,
    count: usize,
    size: usize,
    name: &'static str,
) -> Result<&'a mut [u8], Failure> {
    let len = bytes_of(count, size, name)?;
    if len == 0 {
        return Ok(&mut []);
    }
    let pointer = needed(pointer, name)?;
    within_memory::<u8>(len, name)?;
    // SAFETY: not null, hence as many bytes. Whether C has stored anything there this compiler
    // cannot see, and nothing reads them before they are written.
    Ok(unsafe { slice::from_raw_parts_mut(pointer.as_ptr().cast(), len) })
}

fn bytes_of(count: usize, size: usize, name: &'static str) -> Result<usize, Failure> {
    let len = count.checked_mul(size);
    len.ok_or_else(|| Failure::argument(format!("`{name}`: {count} items of {size} bytes")))
}

/// Refuses what no array has.
fn within_memory<T>(count: usize, name: &'static str) -> Result<(), Failure> {
    let len = count.checked_mul(size_of::<T>());
    match len.filter(|len| isize::try_from(*len).is_ok()) {
        Some(_) => Ok(()),
        None => Err(Failure::argument(format!("`{name}`: {count} elements"))),
    }
}
