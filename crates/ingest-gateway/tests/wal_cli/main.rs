//! `ingestry wal` and the part of `ingestry check` that looks at the log: the built program, over
//! directories that the built program, or the library, has written.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]

mod beside;
mod formats;
mod outputs;
mod repair;
mod replay;
#[allow(dead_code, reason = "a part of what the other tests use")]
#[path = "../e2e/support/mod.rs"]
mod support;
mod tools;
