//! The umbrella of the ingestry workspace: re-exports, no code.
//!
//! Each library is a module behind a feature of the same name.
//!
//! | feature | module | crate | default |
//! |---|---|---|---|
//! | `entry` | `entry` | `ingest-entry` | on |
//! | `graphite` | `graphite` | `graphite-proto` | on |
//! | `hydra` | `hydra` | `hydra-ws` | off |
//! | `loggregator` | `loggregator` | `loggregator-consumer` | off |
//! | `wal` | `wal` | `ingest-wal` | off |
//! | `store` | `store` | `ingest-store` | off |
//! | `mux` | `mux` | `ingest-mux` | off |
//! | `kafka` | `kafka` | `ingest-kafka` | off |
//! | `wire` | `wire` | `ingest-wire` | off |
//! | `gateway` | `gateway` | `ingest-gateway` | off |
//!
//! # Tour
//!
//! | to do this | take |
//! |---|---|
//! | read Graphite lines from any bytes, and say why one is refused | `graphite::LineDecoder` |
//! | take payloads over Hydra's web sockets and HTTP, with ingestors of your own | `hydra::Session`, `hydra::Ingestor` |
//! | make, read or check entries, tags, enumerated values | `entry::Entry`, `entry::EntryRef`, `entry::TagName` |
//! | know that bytes are on disk before you say so; a queue that survives a kill | `wal::Log` |
//! | bound memory before anything is encoded, fairly | `wal::Permits` |
//! | look into a log's directory beside the process that writes it | `wal::Directory` |
//! | search what a log keeps, or follow it | `store::Store` |
//! | send entries to one or many destinations at least once, each at its pace | `mux::Muxer`, `mux::Destination` |
//! | send to Kafka and know what is there; read from it and commit what is safe | `kafka::Producer`, `kafka::Consumer` |
//! | speak the Gravwell ingest protocol, as an ingester or as an indexer | `wire::connect`, `wire::Acceptor` |
//! | read what Cloud Foundry's Loggregator sends, of any generation | `loggregator::client::Gateway`, `loggregator::v2::Envelope` |
//! | run the whole gateway inside your program, with destinations of your own | `gateway::Gateway` |
//! | run it as a program | the binary `ingestry` of `ingest-gateway` |
//!
//! They stack: `entry`, `wal`, `graphite`, `hydra`, `loggregator` and `kafka` know none of the others;
//! `wire` stands on `entry`; `store` stands on `entry` and `wal`, `mux` on these and `wire`; `gateway`
//! stands on all of them. Taking one never brings a crate above it.

#[cfg(feature = "graphite")]
pub use graphite_proto as graphite;
#[cfg(feature = "hydra")]
pub use hydra_ws as hydra;
#[cfg(feature = "entry")]
pub use ingest_entry as entry;
#[cfg(feature = "gateway")]
pub use ingest_gateway as gateway;
#[cfg(feature = "kafka")]
pub use ingest_kafka as kafka;
#[cfg(feature = "mux")]
pub use ingest_mux as mux;
#[cfg(feature = "store")]
pub use ingest_store as store;
#[cfg(feature = "wal")]
pub use ingest_wal as wal;
#[cfg(feature = "wire")]
pub use ingest_wire as wire;
#[cfg(feature = "loggregator")]
pub use loggregator_consumer as loggregator;

/// The example of the README is tested with the others.
#[cfg(all(doctest, feature = "entry", feature = "graphite"))]
#[doc = include_str!("../README.md")]
struct Readme;
