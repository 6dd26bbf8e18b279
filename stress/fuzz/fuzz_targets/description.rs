//! Any bytes as the description of a payload.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ringproof_stress::fuzz::description(bytes));
