//! Real logs, searched and followed, compared with what was written to them.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]

mod faults;
mod follow;
mod model;
mod sidecars;
mod support;
