//! The driver behind `cargo verify`: it runs the layers of the harness and writes one report.
//!
//! Data flows one way. [`layers`] says what there is to run, [`drive`] builds and runs it,
//! [`process`] keeps one program to its deadline, [`collect`] holds its output against the contract
//! of a layer, [`report`] turns rows into a verdict and a matrix, [`inventory`] into a list of models,
//! `view` both into the tables that [`terminal`] and [`html`] draw. [`merge`] puts the reports of
//! several machines together. Nothing here depends on a layer: rows arrive as lines of JSON
//! ([`ringproof_record::Record`]).

pub mod collect;
pub mod drive;
pub mod html;
pub mod inventory;
pub mod layers;
pub mod merge;
pub mod process;
pub mod progress;
pub mod report;
pub mod terminal;
pub mod text;
mod view;
pub mod workspace;
