//! The arguments of `ingestry loggregator`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

/// Arguments of `loggregator`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct LoggregatorArgs {
    /// What is read.
    #[command(subcommand)]
    pub command: LoggregatorCommand,
}

/// What `loggregator` is asked to read.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
#[non_exhaustive]
pub enum LoggregatorCommand {
    /// Follow an application's log on a server of the first generation (/tail/)
    Tail(AppArgs),
    /// Print what is kept of an application's log: from Log Cache (https), or from a server of the
    /// first generation (wss)
    Recent(AppArgs),
    /// Follow all that happens to an application, from a traffic controller (doppler)
    Stream(AppArgs),
    /// Follow all that happens on the platform, from a traffic controller (doppler)
    Firehose(FirehoseArgs),
    /// Follow logs and metrics from the RLP's gateway (log-stream)
    Read(ReadArgs),
}

/// Where the server is, and how it is spoken to.
#[derive(Debug, Clone, PartialEq, Eq, Default, Args)]
pub struct Connect {
    /// The server, wss://HOST:PORT or https://HOST [default: $LOGGREGATOR_ENDPOINT, else what
    /// ~/.cf/config.json says; $CF_HOME names another home]
    #[arg(long, value_name = "URL")]
    pub endpoint: Option<String>,
    /// Trust the certificates in this PEM file instead of the system's
    #[arg(long, value_name = "FILE")]
    pub ca: Option<PathBuf>,
    /// Accept any certificate: whoever sits between can read the token
    #[arg(long)]
    pub insecure: bool,
    /// End after so many messages
    #[arg(long, value_name = "N")]
    pub limit: Option<u64>,
    /// How messages are printed
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = Shape::Text)]
    pub format: Shape,
}

/// How messages are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
#[non_exhaustive]
pub enum Shape {
    /// A line with time, source and text
    #[default]
    Text,
    /// The message as JSON, one a line
    Json,
    /// What was logged, and nothing else
    Raw,
}

/// Arguments of what reads an application. The token is that of $CF_ACCESS_TOKEN, else of
/// ~/.cf/config.json.
#[derive(Debug, Clone, PartialEq, Eq, Default, Args)]
pub struct AppArgs {
    /// The application's GUID [default: $APP_GUID]
    #[arg(value_name = "GUID")]
    pub app: Option<String>,
    /// The server.
    #[command(flatten)]
    pub connect: Connect,
}

/// Arguments of `firehose`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Args)]
pub struct FirehoseArgs {
    /// Who reads: those with the same name share the envelopes
    #[arg(long, value_name = "NAME", default_value = "ingestry")]
    pub subscription: String,
    /// Only lines, or everything else
    #[arg(long, value_enum, value_name = "KIND")]
    pub only: Option<Only>,
    /// The server.
    #[command(flatten)]
    pub connect: Connect,
}

/// What of the firehose is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[non_exhaustive]
pub enum Only {
    /// Lines
    Logs,
    /// Everything but lines
    Metrics,
}

/// Arguments of `read`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Args)]
pub struct ReadArgs {
    /// Of this source, an application's GUID or a component's name; several are alternatives
    /// [default: $APP_GUID, or all]
    #[arg(value_name = "SOURCE")]
    pub sources: Vec<String>,
    /// Of this type; several are alternatives [default: all]
    #[arg(long = "type", value_enum, value_name = "TYPE")]
    pub types: Vec<Type>,
    /// Who reads: those with the same name share the envelopes
    #[arg(long, value_name = "NAME")]
    pub shard_id: Option<String>,
    /// The server.
    #[command(flatten)]
    pub connect: Connect,
}

/// A type of envelope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[non_exhaustive]
pub enum Type {
    /// Lines
    Log,
    /// Counters
    Counter,
    /// Measured values
    Gauge,
    /// Time spans
    Timer,
    /// Events
    Event,
}
