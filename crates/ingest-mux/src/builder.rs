//! How a muxer is put together.

use std::path::PathBuf;
use std::time::Duration;

use ingest_entry::{Source as Address, TagName};
use ingest_wal::Options;

use crate::about::Identity;
use crate::attach::AttachValue;
use crate::destination::SharedDestination;
use crate::error::StartError;
use crate::muxer::Muxer;
use crate::output::{Filter, From, Lag, OnLag, Policy};
use crate::rate::Rate;

/// An output: a name, what it gets, and the links over which it gets it. With several links each
/// entry goes to one of them; several outputs are replication.
#[derive(Clone, Debug)]
pub struct Output {
    pub(crate) name: String,
    pub(crate) filter: Filter,
    pub(crate) from: From,
    pub(crate) policy: Policy,
    pub(crate) links: Vec<SharedDestination>,
    pub(crate) rate: Option<Rate>,
    pub(crate) lag: Lag,
}

impl Output {
    /// An output of this name without links.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            filter: Filter::All,
            from: From::End,
            policy: Policy::Share,
            links: Vec::new(),
            rate: None,
            lag: Lag::default(),
        }
    }

    /// An output to Gravwell indexers: a link to each target (`tcp://HOST[:PORT]`,
    /// `tls://HOST[:PORT]`, `pipe://PATH`), all with one secret. Entries go on as they came, also
    /// those without a source. For TLS of one's own, tenants, compression and the like there are
    /// [`Output::link`] and [`crate::Gravwell`].
    ///
    /// # Errors
    /// [`ingest_wire::ClientError::Target`] for a target that is none.
    #[cfg(feature = "gravwell")]
    pub fn gravwell(
        name: impl Into<String>,
        targets: &[&str],
        secret: impl AsRef<[u8]>,
    ) -> Result<Self, ingest_wire::ClientError> {
        let mut output = Self::new(name);
        for target in targets {
            let connector = ingest_wire::Connector::new(target, &secret)?.source(Address::NONE);
            output = output.link(std::sync::Arc::new(crate::Gravwell::new(connector)));
        }
        Ok(output)
    }

    /// What it gets; everything by default.
    #[must_use]
    pub fn filter(mut self, filter: Filter) -> Self {
        self.filter = filter;
        self
    }

    /// Where it begins when it is new; at the end by default.
    #[must_use]
    pub fn from(mut self, from: From) -> Self {
        self.from = from;
        self
    }

    /// How it spreads entries over its links; [`Policy::Share`] by default.
    #[must_use]
    pub fn policy(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }

    /// Adds a link.
    #[must_use]
    pub fn link(mut self, destination: SharedDestination) -> Self {
        self.links.push(destination);
        self
    }

    /// What all its links together may send; without limit by default. Leases are handed out at
    /// this rate: what waits for it waits in the log. At most a quarter of a second's worth goes at
    /// once, but a record of the log (64 KiB) at least.
    #[must_use]
    pub fn rate_limit(mut self, rate: Rate) -> Self {
        self.rate = Some(rate);
        self
    }

    /// How many bytes of the log it may be behind, and what happens beyond while another output is
    /// not. Default: 80 % of the log's limit, and [`OnLag::DropOldest`].
    #[must_use]
    pub fn max_lag(mut self, bytes: Option<u64>, then: OnLag) -> Self {
        self.lag = Lag { most: bytes, then };
        self
    }
}

/// Options of a muxer.
#[derive(Clone, Debug)]
pub struct Builder {
    pub(crate) dir: Option<PathBuf>,
    pub(crate) memory: u64,
    pub(crate) log: Options,
    pub(crate) outputs: Vec<Output>,
    pub(crate) tags: Vec<TagName>,
    pub(crate) rate: Option<Rate>,
    pub(crate) attach: Vec<(String, AttachValue)>,
    pub(crate) address: Option<Address>,
    pub(crate) identity: Identity,
    pub(crate) longest_wait: Duration,
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            dir: None,
            memory: Self::MEMORY,
            log: Options::default(),
            outputs: Vec::new(),
            tags: Vec::new(),
            rate: None,
            attach: Vec::new(),
            address: None,
            identity: Identity::default(),
            longest_wait: Duration::from_secs(30),
        }
    }
}

impl Builder {
    /// What a muxer without a directory holds by default: 32 MiB.
    pub const MEMORY: u64 = 32 << 20;

    /// Keeps the log in this directory. Without one it is a bounded ring in memory, behind the same
    /// interface: nothing survives the process, and a write that is to be on disk is refused.
    #[must_use]
    pub fn dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.dir = Some(dir.into());
        self
    }

    /// How many bytes a muxer without a directory holds before writes wait; 1 MiB at least, 32 MiB
    /// by default. Means nothing with a directory, whose limits are those of [`Builder::log`].
    #[must_use]
    pub fn memory(mut self, bytes: u64) -> Self {
        self.memory = bytes;
        self
    }

    /// How the log is opened. Without a directory its sizes are those of [`Builder::memory`].
    #[must_use]
    pub fn log(mut self, options: Options) -> Self {
        self.log = options;
        self
    }

    /// Adds an output.
    #[must_use]
    pub fn output(mut self, output: Output) -> Self {
        self.outputs.push(output);
        self
    }

    /// Tags that have a number, and are negotiated with destinations, from the start.
    #[must_use]
    pub fn tags(mut self, names: impl IntoIterator<Item = TagName>) -> Self {
        self.tags.extend(names);
        self
    }

    /// What all outputs together may send; without limit by default. See [`Output::rate_limit`].
    #[must_use]
    pub fn rate_limit(mut self, rate: Rate) -> Self {
        self.rate = Some(rate);
        self
    }

    /// Attaches a value of this name to every entry, behind the entry's own.
    #[must_use]
    pub fn attach(mut self, name: impl Into<String>, value: AttachValue) -> Self {
        self.attach.push((name.into(), value));
        self
    }

    /// Lets this address take the place of the entries' own; [`crate::Source::address`] and
    /// [`crate::Sender::address`] have the last word.
    #[must_use]
    pub fn source_override(mut self, address: Address) -> Self {
        self.address = Some(address);
        self
    }

    /// Who the muxer is, as destinations are told.
    #[must_use]
    pub fn identity(mut self, identity: Identity) -> Self {
        self.identity = identity;
        self
    }

    /// Longest wait between two attempts to connect; 30 s by default.
    #[must_use]
    pub fn longest_wait(mut self, wait: Duration) -> Self {
        self.longest_wait = wait;
        self
    }

    /// Opens the log and sets the outputs going. Blocks on the disk; needs a tokio runtime.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn start(self) -> Result<Muxer, StartError> {
        Muxer::start(self)
    }
}
