//! Carbon servers as a destination: the settings, and how they are read.

use std::time::Duration;

use graphite_proto::hashing::Node as Server;

use crate::config::choice::choice;
use crate::config::targets;
use crate::config::tls::{ClientTls, read_client_if_named};
use crate::config::values::set;
use crate::config::walk::{Node, Table};

/// Most targets of a destination.
const MAX_TARGETS: usize = 64;
const LEAST_SETTLE: Duration = Duration::from_millis(10);
const MOST_SETTLE: Duration = Duration::from_secs(30);

/// Carbon daemons, relays, or whatever else takes Graphite's protocols.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GraphiteDestination {
    /// Where they are: `HOST:PORT` or `HOST:PORT:INSTANCE`, as carbon's `DESTINATIONS` has it.
    pub targets: Vec<Server>,
    /// What they read.
    pub format: GraphiteWire,
    /// How points are spread over them.
    pub policy: GraphitePolicy,
    /// Whose placement a hash follows.
    pub dialect: HashDialect,
    /// How many targets get each point, by a hash.
    pub replication: usize,
    /// Whether these are of different hosts, carbon's `DIVERSE_REPLICAS`.
    pub diverse: bool,
    /// Whether infinite values are sent.
    pub infinite: bool,
    /// When points count as delivered.
    pub confirm: GraphiteConfirm,
    /// For how long a connection has to stand after points were written to it, with
    /// [`GraphiteConfirm::Written`].
    pub settle: Duration,
    /// `None`: clear text.
    pub tls: Option<ClientTls>,
}

choice! {
    /// What Carbon servers read.
    GraphiteWire {
        /// Frames of pickles.
        #[default]
        Pickle = "pickle",
        /// Plaintext lines.
        Lines = "lines",
        /// Frames of protobuf messages.
        Protobuf = "protobuf",
    }
}

choice! {
    /// How points are spread over Carbon servers.
    GraphitePolicy {
        /// Each goes to one of them, whichever has time.
        #[default]
        Share = "share",
        /// All go to the first that is up, in the order of the list.
        FailOver = "fail-over",
        /// By the hash of carbon's relay.
        CarbonCh = "carbon_ch",
        /// By FNV-1a of 32 bits.
        Fnv1aCh = "fnv1a_ch",
        /// By FNV-1a of 64 bits and a jump hash, carbon-c-relay's.
        JumpFnv1aCh = "jump_fnv1a_ch",
    }
}

impl GraphitePolicy {
    /// Whether a point's name decides where it goes.
    #[must_use]
    pub const fn is_hash(self) -> bool {
        matches!(self, Self::CarbonCh | Self::Fnv1aCh | Self::JumpFnv1aCh)
    }
}

choice! {
    /// Whose placement a hash follows.
    HashDialect {
        /// Carbon's relay.
        #[default]
        Carbon = "carbon",
        /// Carbon-c-relay.
        CRelay = "carbon-c-relay",
        /// Carbon-relay-ng's `consistentHashing`.
        RelayNg = "relay-ng",
        /// Carbon-relay-ng's `consistentHashing-v2`.
        RelayNg2 = "relay-ng-v2",
    }
}

choice! {
    /// When points count as delivered to a Carbon server, which never answers.
    GraphiteConfirm {
        /// When the system took them, and the connection stood for a while after.
        #[default]
        Written = "written",
        /// When the server closed the connection after we ended our side: it has read them.
        Closed = "closed",
    }
}

const TARGETS: &str =
    "an array of servers such as \"10.0.0.1:2004\" or, with its instance, \"10.0.0.1:2004:a\"";

/// `type = "graphite"` among the destinations.
pub(in crate::config) fn read_destination(table: &mut Table<'_>) -> Option<GraphiteDestination> {
    let node = table.required("targets", TARGETS);
    let targets = node
        .as_ref()
        .and_then(|node| targets::read(node, MAX_TARGETS, TARGETS, "each server once", |_| None));
    let mut read = GraphiteDestination {
        targets: Vec::new(),
        format: GraphiteWire::default(),
        policy: GraphitePolicy::default(),
        dialect: HashDialect::default(),
        replication: 1,
        diverse: true,
        infinite: false,
        confirm: GraphiteConfirm::default(),
        settle: Duration::from_secs(1),
        tls: None,
    };
    set(&mut read.format, table.key("format").and_then(|node| node.choice()));
    set(&mut read.policy, table.key("policy").and_then(|node| node.choice()));
    let (dialect, replication) = (table.key("dialect"), table.key("replication"));
    if read.policy.is_hash() {
        set(&mut read.dialect, dialect.and_then(|node| node.choice()));
        let most = targets.as_ref().map_or(MAX_TARGETS, Vec::len) as u64;
        set(&mut read.replication, replication.and_then(|node| node.count(1, most)));
    } else {
        for node in [dialect, replication].into_iter().flatten() {
            let allowed = "a policy that hashes, such as \"carbon_ch\", beside it";
            node.wrong(node.found(), allowed, None);
        }
    }
    set(&mut read.diverse, table.key("diverse").and_then(|node| node.boolean()));
    set(&mut read.infinite, table.key("infinite").and_then(|node| node.boolean()));
    set(&mut read.confirm, table.key("confirm").and_then(|node| node.choice()));
    set(&mut read.settle, table.key("settle").and_then(|node| read_settle(&node)));
    read.tls = read_client_if_named(table);
    read.targets = targets?;
    if let Some(node) = node {
        check_instances(&node, &read);
    }
    Some(read)
}

fn read_settle(node: &Node<'_>) -> Option<Duration> {
    let settle = node.time_or_off(LEAST_SETTLE, "1s")?;
    if settle.is_some_and(|settle| settle <= MOST_SETTLE) {
        return settle;
    }
    node.wrong(node.found(), "a time from 10ms to 30s", None);
    None
}

/// Hashes that tell servers apart by less than what the list has of them.
fn check_instances(node: &Node<'_>, read: &GraphiteDestination) {
    let twins = |one: &Server, other: &Server| {
        one != other && one.host == other.host && one.instance == other.instance
    };
    let alike = read.targets.iter().any(|one| read.targets.iter().any(|other| twins(one, other)));
    let bare = read.targets.iter().any(|server| server.instance.is_none());
    if read.policy == GraphitePolicy::CarbonCh && alike {
        let found = "two servers of one host and instance";
        node.wrong(found, "an instance for each: the port plays no part in carbon_ch", None);
    }
    if read.policy == GraphitePolicy::Fnv1aCh
        && read.dialect == HashDialect::Carbon
        && bare
        && read.targets.len() > 1
    {
        node.warn("carbon's fnv1a_ch takes all servers without an instance for the same one");
    }
}
