//! Index, search and follow over a kept ingest log.
//!
//! The directory of an [`ingest_wal`] log is the store: this crate reads it, without the lock,
//! whether or not a process is writing to it, and writes nothing but *sidecars*, which make
//! searches fast and never change their answers.
//!
//! * [`Store::search`] finds the entries that a [`Query`] asks for, in order of arrival or of
//!   their own time, all or the last so many. An entry is its log sequence number: it is found
//!   exactly once.
//! * [`Follow::poll`] hands out entries as they become durable, over rotations and restarts of
//!   the process that writes.
//! * [`missing_sidecars`] and [`write_sidecar`] keep the index of the segments that are finished.
//!
//! Only what is durable is shown while a process holds the log, and everything valid otherwise.
//! Damage and what retention removes meanwhile are passed over and counted in the [`Report`].
//! Memory is bounded, and no call blocks on anything but files.
//!
//! ```no_run
//! use std::ops::ControlFlow;
//! use ingest_store::{Query, Store};
//!
//! let store = Store::open("ingestry-data")?;
//! let mut query = Query::new();
//! query.tags.push("app-*".parse()?);
//! query.contains = Some(b"error".to_vec());
//! query.limit = Some(10);
//! let report = store.search(&query, &mut |hit| {
//!     println!("{} {} {} bytes", hit.lsn, hit.tag_name, hit.entry.data.len());
//!     ControlFlow::Continue(())
//! })?;
//! println!("{} found", report.hits);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod address;
mod filter;
mod follow;
mod hit;
mod names;
mod net;
mod query;
mod search;
mod segment;
pub mod sidecar;
mod store;
mod stored;
mod view;
mod watch;

pub use follow::Follow;
pub use hit::{Hit, Report, Sink};
pub use ingest_entry::TagPattern;
pub use net::{Net, NetError};
pub use query::{Query, Sort};
pub use sidecar::{
    Digests, SidecarCheck, SidecarError, SidecarState, missing_sidecars, missing_sidecars_but,
    write_sidecar, write_sidecar_with,
};
pub use store::{Store, StoreError};
pub use watch::Watch;

/// The examples of the README are tested with the others.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
