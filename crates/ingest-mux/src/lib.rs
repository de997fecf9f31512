//! Many destinations, one promise.
//!
//! A [`Muxer`] owns a crash-safe log. [`Source`]s put entries in, and are told when they are
//! durable; [`Output`]s get them out, each at its own pace, from the log and from nowhere else:
//! there is no queue in memory behind it. A destination that is slow or dead holds back its own
//! output, nobody else's.
//!
//! * What a source was told is durable is delivered to every output at least once, over any number
//!   of kills and restarts, or counted as lost with a reason.
//! * Entries go to a destination in [`Lease`]s, contiguous ranges of the log. A lease that is not
//!   confirmed goes back; first copies arrive in the order of the log at a single destination, and
//!   after a break the repeat begins with the oldest entry that was not confirmed.
//! * [`Destination`] is a trait with its contract written down.
//!
//! ```
//! use std::time::Duration;
//! use ingest_entry::{EntryRef, Source as Address, TagName, Timestamp};
//! use ingest_mux::{Level, Muxer};
//!
//! # let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
//! # runtime.block_on(async {
//! # let dir = tempfile::tempdir()?;
//! let muxer = Muxer::builder().dir(dir.path()).start()?;
//! let tag = muxer.tag(&TagName::new("syslog")?)?;
//! let source = muxer.source("example", 1 << 20)?;
//!
//! let grant = source.grant(1024).await;
//! let mut batch = source.batch(grant, 0, Level::Disk);
//! batch.push(&EntryRef::new(Timestamp::UNIX_EPOCH, Address::NONE, tag, b"hello"))?;
//! let sent = batch.finish();
//! if let Some(ticket) = &sent.ticket {
//!     source.done(ticket).await?; // fsynced
//! }
//! # drop(source);
//! muxer.close(Duration::from_secs(1)).await;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod about;
mod attach;
mod block_on;
mod bodies;
mod builder;
mod delivery;
mod destination;
mod durability;
mod error;
mod feeder;
#[cfg(feature = "gravwell")]
mod gravwell;
mod kept;
mod lag;
mod lease;
mod link;
mod matcher;
mod memory_fs;
mod muxer;
mod names;
mod output;
mod outputs;
mod rate;
mod relay;
mod sender;
mod shared;
mod source;
mod status;
mod sync;
#[cfg(feature = "gravwell")]
mod told;

pub use about::Identity;
pub use attach::AttachValue;
pub use builder::{Builder, Output};
pub use destination::{Destination, LinkError, LinkFuture, SharedDestination, Trouble};
pub use durability::{Accepted, Durability, State};
pub use error::{DefineError, FlushError, SendError, StartError};
#[cfg(feature = "gravwell")]
pub use gravwell::{Confirm, Dial, DialFuture, Gravwell, Stream};
pub use ingest_entry::TagPattern;
pub use ingest_wal::{Health, Level, Limits, LogId, Lsn, Options, Reached, RefusedError, Ticket};
pub use kept::KeptOutput;
pub use lease::{Entries, Lease, Leases, StableId};
pub use muxer::{Muxer, Tags};
pub use output::{Filter, From, OnLag, Policy};
pub use rate::{Rate, RateError};
pub use relay::{Relay, Severity};
pub use sender::{HandedOver, Sender};
pub use source::{Batch, Grant, Sent, Source};
pub use status::{CloseReport, LinkPhase, LinkState, OutputStatus, Status};
#[cfg(feature = "gravwell")]
pub use told::Announcement;

/// The examples of the README are tested with the others.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
