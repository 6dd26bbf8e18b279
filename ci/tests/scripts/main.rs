//! The scripts of ci/ in made-up trees, with programs that stand in for cargo and its like: what they are
//! there to find is found.

mod bare;
mod crates;
mod flaky;
mod nightly;
mod packages;
mod test;
mod tree;
mod workflows;
