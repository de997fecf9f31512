//! The gateway from its sockets to what is found in its directory: as the program, and as a
//! library. Everything is on loopback, on ports that the system chooses.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]
#![allow(clippy::print_stdout, reason = "a test says what it saw")]

mod allow;
mod bad_input;
mod check;
mod eof_is_acknowledgement;
#[path = "../../../../testdata/support/folder.rs"]
mod folder;
mod graphite_bounds;
mod graphite_destination;
mod graphite_fifty;
mod graphite_frames;
mod graphite_transports;
mod gravwell_destination;
mod gravwell_source;
mod hydra_source;
mod limits;
mod logs;
mod main_job;
mod no_false_end;
mod rate_limits;
mod reload;
mod rules;
mod samples;
mod secrets;
mod send;
mod service_manager;
mod stop_and_restart;
mod support;
mod templates;
mod vectors;
