//! Any bytes as the operations of an endpoint and the answers that it gets.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ringproof_stress::fuzz::peer(bytes));
