//! The clients against the server of the tests: its rules, its faults, and hours of it in paused
//! time.
#![cfg(feature = "client")]
#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

mod answers;
#[path = "../fake/mod.rs"]
mod fake;
#[path = "../../../../testdata/support/folder.rs"]
mod folder;
mod hours;
mod reader;
mod rules;
mod seeds;
mod tls;
#[path = "../../../../testdata/support/vectors.rs"]
#[allow(dead_code, reason = "the other test of vectors uses the rest")]
mod vectors;
mod ways;
