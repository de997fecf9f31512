//! The configuration: what can be set, its defaults, and how it is read.
//!
//! [`load`] reads a file and reports everything that is wrong with it at once, each error with its
//! line and column, the key, what was found and what is allowed. [`for_run`] is what `run` uses:
//! the file, or the default set, with the overrides of the command line on top. `check` reads
//! through the same function, so that the two cannot disagree.
//!
//! Nothing here touches the machine beyond reading the file: whether a directory fits or an
//! address can be bound shows when the gateway starts.
//!
//! # Keys
//!
//! | key | value | default |
//! |---|---|---|
//! | `log.dir` | path, relative to the working directory | `"ingestry-data"` |
//! | `log.max_bytes` | size, at least 1 MiB | the lesser of 10 GiB and a quarter of the file system |
//! | `log.durability` | `memory`, `os`, `disk` | `disk` |
//! | `log.min_free` | size | the lesser of 1 GiB and 5 % of the file system |
//! | `log.on_full` | `block` | `block` |
//! | `log.memory` | size, at least 1 MiB | 64 MiB |
//! | `log.keep.bytes` | size, at most `log.max_bytes` | `log.max_bytes` |
//! | `log.keep.age` | time, or `off` | `off` |
//! | `admin.enabled` | boolean | `true` |
//! | `admin.listen` | address | `127.0.0.1:8910` |
//! | `admin.control` | boolean | `false` |
//! | `admin.allow_public` | boolean | `false` |
//! | `hydra.ingest.websocket.enabled` | boolean | `true` |
//! | `sources.NAME.type` | `graphite`, `graphite-udp` | required |
//! | `sources.NAME.listen` | address | `127.0.0.1:2003` |
//! | `sources.NAME.tag` | tag name | `graphite` |
//! | `sources.NAME.values` | `none`, `tags`, `all` | `tags` |
//! | `sources.NAME.profile` | `default`, `carbon`, `go-carbon`, `relay-ng`, `relay-ng-strict` | `default` |
//! | `sources.NAME.tagged` | `normalise`, `raw` | `normalise` |
//! | `sources.NAME.bad_tags` | `raw`, `reject` | `raw` |
//! | `sources.NAME.infinity` | `accept`, `drop` | `accept` |
//! | `sources.NAME.fraction` | boolean | `false` |
//! | `sources.NAME.max_line` | size, 256 B to 16 MiB | 16 KiB |
//! | `sources.NAME.max_past`, `max_future` | time, or `off` | `off` |
//! | `sources.NAME.allow_public` | boolean | `false` |
//! | `sources.NAME.read_ahead` (`graphite`) | size, at least 64 KiB | 4 MiB |
//! | `sources.NAME.max_connections` (`graphite`) | 1 to 1000000 | 10000 |
//! | `sources.NAME.idle_timeout` (`graphite`) | time, or `off` | `off` |
//! | `sources.NAME.receive_buffer` (`graphite-udp`) | size, 4 KiB to 1 GiB | 4 MiB |
//! | `destinations.NAME.type` | `store` | required |
//! | `routes[].tags` | tag names, also with a trailing `*` | required |
//! | `routes[].to` | names of destinations | required |
//!
//! A file that says nothing about `sources` gets the default ones (`[sources]` alone means none);
//! without `destinations` there is one, the store. Without `routes` everything goes to every
//! destination. Sizes and times carry units ([`crate::units`]).

mod addr;
mod admin;
mod choice;
mod conflict;
mod destinations;
mod error;
mod findings;
mod graphite;
mod listen;
mod load;
mod log;
mod model;
mod overrides;
mod pattern;
mod routes;
mod sources;
mod syntax;
mod values;
mod walk;

pub use addr::{ListenAddr, ListenAddrError};
pub use choice::Choice;
pub use conflict::Protocol;
pub use error::{ConfigError, Place, Rejected, Warning};
pub use graphite::{
    BadTags, GraphiteLines, GraphiteSource, GraphiteUdpSource, Infinity, Profile, Tagged, Values,
};
pub use load::{Loaded, MAX_FILE, load, parse};
pub use model::{
    AdminConfig, Config, DestinationConfig, DestinationKind, Durability, HydraConfig, Keep,
    LogConfig, MIN_MAX_BYTES, OnFull, Route, SourceConfig, SourceKind,
};
pub use overrides::{
    ListenOverride, ListenOverrideError, OverrideError, Overrides, StartError, for_run,
};
pub use pattern::{TagPattern, TagPatternError};
