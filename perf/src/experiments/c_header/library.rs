//! The C ends, where the build script found a compiler for them.

/// Which compiler made them and how; or why none did.
const COMPILED: &str = env!("RINGPROOF_C");

#[cfg(with_c)]
pub(super) use with_c::{compiler, ends};
#[cfg(not(with_c))]
pub(super) use without_c::{compiler, ends};

#[cfg(with_c)]
mod with_c {
    use std::ffi::{CStr, CString, c_char};

    use crate::experiments::c_header::calls::{Calls, Ends, Raw};

    unsafe extern "C" {
        // SAFETY: a constant of ends.c, of the type that `Calls` mirrors.
        #[link_name = "ringproof_perf_calls"]
        safe static CALLS: Calls;
        #[link_name = "ringproof_perf_ends_open"]
        fn open(name: *const c_char, why: *mut c_char, room: usize) -> *mut Raw;
    }

    /// Which compiler made the C ends, and how.
    pub(in crate::experiments::c_header) fn compiler() -> Result<&'static str, String> {
        Ok(super::COMPILED)
    }

    /// Both ends of the ring of this name, as C has them; or why not.
    pub(in crate::experiments::c_header) fn ends(name: &str) -> Result<Ends<'static>, String> {
        let name = CString::new(name).map_err(|_| "a name with a zero in it".to_owned())?;
        let mut why = [0_u8; 512];
        // SAFETY: a string of C, and room for as many bytes as is said.
        let raw = unsafe { open(name.as_ptr(), why.as_mut_ptr().cast(), why.len()) };
        if raw.is_null() {
            let why = CStr::from_bytes_until_nul(&why).unwrap_or_default();
            return Err(format!("C: {}", why.to_string_lossy()));
        }
        // SAFETY: just opened, of `u64` by its shape, with a mapping of its own.
        Ok(unsafe { Ends::new(raw, CALLS) })
    }
}

#[cfg(not(with_c))]
mod without_c {
    use crate::experiments::c_header::calls::Ends;

    /// Why there are no C ends.
    pub(in crate::experiments::c_header) fn compiler() -> Result<&'static str, String> {
        Err(format!(
            "this program was built without C ({}); have a C compiler, or name one in CC, and build \
             again",
            super::COMPILED
        ))
    }

    /// There are none.
    pub(in crate::experiments::c_header) fn ends(_: &str) -> Result<Ends<'static>, String> {
        Err(super::COMPILED.to_owned())
    }
}
