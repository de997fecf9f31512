//! What fuzzing checks, target by target: functions on bytes that panic when a promise is broken.
//!
//! Two things run them: libFuzzer, through the programs in `fuzz_targets/`, and an ordinary test,
//! `xtask/tests/corpus.rs`, which takes this file as a module and replays the kept inputs.
//!
//! Every target counts memory as well: what an input makes us allocate is bounded by its length
//! and a constant, never by a length that it merely declares.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a broken promise is a panic")]

mod block;
mod client;
mod entry;
mod graphite;
mod gzip;
mod hydra;
mod loggregator;
pub mod plant;
mod script;
mod server;
mod stored;
mod wire;

use peak_alloc::PeakAlloc;

pub use block::block;
pub use client::client;
pub use entry::entry;
pub use graphite::{line, pickle, protobuf, proxy};
pub use gzip::gzip;
pub use hydra::{command, frames, http};
pub use loggregator::{envelope, json, multipart, sse};
pub use server::server;
pub use stored::stored;

/// Counts what is allocated; one target runs at a time.
#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// A target: its name, and its function without what the function has seen.
type Target = (&'static str, fn(&[u8]));

/// Every target.
pub const TARGETS: [Target; 17] = [
    ("entry", |input| drop(entry(input))),
    ("block", |input| drop(block(input))),
    ("stored", |input| drop(stored(input))),
    ("client", |input| drop(client(input))),
    ("server", |input| drop(server(input))),
    ("line", |input| drop(line(input))),
    ("pickle", |input| drop(pickle(input))),
    ("protobuf", |input| drop(protobuf(input))),
    ("proxy", |input| {
        proxy(input);
    }),
    ("gzip", |input| drop(gzip(input))),
    ("command", |input| drop(command(input))),
    ("frames", |input| drop(frames(input))),
    ("http", |input| drop(http(input))),
    ("envelope", |input| drop(envelope(input))),
    ("multipart", |input| drop(multipart(input))),
    ("sse", |input| drop(sse(input))),
    ("json", |input| drop(json(input))),
];

/// Runs something that may allocate so many bytes at most, in all that is alive at once.
///
/// # Panics
/// If it takes more.
fn within<T>(bytes: usize, run: impl FnOnce() -> T) -> T {
    let before = MEMORY.current_usage();
    MEMORY.reset_peak_usage();
    let result = run();
    let peak = MEMORY.peak_usage().saturating_sub(before);
    assert!(peak <= bytes, "{peak} bytes were allocated at once, {bytes} are due");
    result
}
