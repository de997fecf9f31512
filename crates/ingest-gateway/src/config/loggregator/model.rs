//! The settings of a source of Loggregator messages as plain data.

use ingest_entry::TagName;

use crate::config::choice::choice;
use crate::config::secret::SecretFrom;
use crate::config::tls::ClientTls;
use crate::template::{Known, Template};

/// A platform's logs and metrics, read from one of its servers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoggregatorSource {
    /// The server: `https://HOST` for `gateway`, `wss://HOST:PORT` for the others.
    pub endpoint: String,
    /// What is read.
    pub reads: LoggregatorReads,
    /// The applications, by GUID; for `gateway` also names of components. Empty for `gateway`:
    /// everything, which needs an administrator's token.
    pub apps: Vec<String>,
    /// Who reads the firehose, or shares the gateway's stream: those with the same name share the
    /// envelopes.
    pub group: Option<String>,
    /// The token: the whole value of the header, `bearer …`. Read again when it is refused.
    pub token: SecretFrom,
    /// How TLS is set up.
    pub tls: ClientTls,
    /// The tag of the entries that have no other.
    pub tag: TagName,
    /// Other tags for some kinds.
    pub tags: Vec<(LoggregatorKind, TagName)>,
    /// Other tags for some applications, by GUID or name. They go before those of organizations,
    /// and those before those of kinds.
    pub app_tags: Vec<(String, TagName)>,
    /// Other tags for some organizations, by name or GUID.
    pub org_tags: Vec<(String, TagName)>,
    /// What tags are made of for entries that have none of those; `tag_per` is one: `TAG-{app}`.
    pub template: Option<Template>,
    /// How many tags it makes at most; entries beyond that get `tag`.
    pub max_tags: usize,
    /// How many messages wait for the log.
    pub buffer: usize,
    /// What happens when they are more.
    pub when_full: LoggregatorWhenFull,
}

choice! {
    /// What has a tag of its own.
    LoggregatorPer {
        /// An application, by GUID.
        #[default]
        App = "app",
        /// All applications of a name.
        AppName = "app-name",
        /// A space, by name.
        Space = "space",
        /// An organization, by name.
        Org = "org",
    }
}

impl LoggregatorPer {
    /// The template that makes `TAG-…`.
    pub(super) fn template(self, tag: &TagName) -> Option<Template> {
        let field = match self {
            Self::App => Known::App,
            Self::AppName => Known::AppName,
            Self::Space => Known::Space,
            Self::Org => Known::Org,
        };
        let text = format!("{tag}-{{{}}}", field.as_str());
        Template::parse(&text, &[field], TagName::allows).ok()
    }
}

choice! {
    /// What happens when messages come faster than the log takes them.
    LoggregatorWhenFull {
        /// The server is not read: it finds us slow, and drops or closes.
        #[default]
        Block = "block",
        /// The oldest that wait are dropped, counted, and told of by an entry.
        DropOldest = "drop-oldest",
    }
}

choice! {
    /// Which server is read, and what of it.
    LoggregatorReads {
        /// The RLP's gateway.
        #[default]
        Gateway = "gateway",
        /// The firehose of a traffic controller.
        Firehose = "firehose",
        /// Applications' streams of a traffic controller.
        Stream = "stream",
        /// Applications' logs of a server of the first generation.
        Tail = "tail",
    }
}

choice! {
    /// What a message is about.
    LoggregatorKind {
        /// A line.
        #[default]
        Log = "log",
        /// A counter.
        Counter = "counter",
        /// Measured values.
        Gauge = "gauge",
        /// A time span.
        Timer = "timer",
        /// An event, or what has no kind.
        Event = "event",
        /// An HTTP request.
        Http = "http",
        /// An error of the platform.
        Error = "error",
        /// What a container uses.
        Container = "container",
    }
}
