//! The producer that the README shows: `cargo run --example producer NAME`. Its text is a file of its own so that a
//! test can run it, too.

include!("readme/producer.rs");
