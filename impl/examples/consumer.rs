//! The consumer that the README shows: `cargo run --example consumer NAME`. Its text is a file of its own so that a
//! test can run it, too.

include!("readme/consumer.rs");
