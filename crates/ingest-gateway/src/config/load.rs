//! From a file to a [`Config`], or to everything that is wrong with it.

use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};

use super::conflict::{bindings, conflicts};
use super::error::{ConfigError, LoadError, Warning};
use super::findings::Findings;
use super::headers::Headers;
use super::listen::Listen;
use super::model::{Config, SourceKind};
use super::sources::Source;
use super::texts::Text;
use super::walk::{Node, Table};
use super::{
    admin, delivery, destinations, limits, log, logs, merge, routes, rules, sources, syntax, tests,
    texts,
};
use crate::units::format_size;

/// Keys that are easily written into the wrong table.
pub(super) const HOMES: &[&str] = &[
    "log.dir",
    "log.max_bytes",
    "log.durability",
    "log.min_free",
    "log.on_full",
    "log.memory",
    "log.keep",
    "log.keep.bytes",
    "log.keep.age",
    "admin.control",
    "hydra.ingest.websocket.enabled",
];

/// A configuration that can be run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// What is odd about it.
    pub warnings: Vec<Warning>,
    /// The files that were read.
    pub files: Vec<PathBuf>,
}

/// Reads a configuration file, and the fragments (`*.toml`) in the directory [`FRAGMENTS`] beside
/// it, in the order of their names, as if they were one: tables are joined, routes follow one
/// another, and a value that stands in two of them is an error.
///
/// # Errors
/// [`LoadError`], with everything that is wrong. Files above [`MAX_FILE`] and more fragments than
/// [`MAX_FRAGMENTS`] are refused.
///
/// [`FRAGMENTS`]: super::FRAGMENTS
/// [`MAX_FILE`]: super::MAX_FILE
/// [`MAX_FRAGMENTS`]: super::MAX_FRAGMENTS
pub fn load(path: &Path) -> Result<Loaded, LoadError> {
    match texts::read(path) {
        Ok(texts) => parse_texts(&texts),
        Err(errors) => Err(LoadError { errors, warnings: Vec::new() }),
    }
}

/// Reads the text of a configuration; `file` is the name that errors give it.
///
/// # Errors
/// [`LoadError`], with everything that is wrong.
pub fn parse(file: &Path, text: &[u8]) -> Result<Loaded, LoadError> {
    parse_texts(&[Text::new(file, text.to_owned(), false)])
}

fn parse_texts(texts: &[Text]) -> Result<Loaded, LoadError> {
    let findings = Findings::of(texts);
    let mut whole = DeTable::new();
    let mut local = true;
    for text in texts {
        let base = text.base;
        if !text.is_utf8() {
            let at = base + text.valid().len();
            findings.syntax(at, None, "bytes that are no UTF-8".into(), "UTF-8 text".into());
            local = false;
            continue;
        }
        let (document, broken) = DeTable::parse_recoverable(text.valid());
        let headers = (!broken.is_empty()).then(|| Headers::of(text.valid()));
        // A table that stands twice makes keys stand twice.
        let mut double = None;
        for error in &broken {
            local &= syntax::is_local(error.message());
            if let (Some(headers), "duplicate key") = (&headers, error.message()) {
                let at = error.span().unwrap_or_default().start;
                if headers.is_header(at) {
                    double = headers.header_of(at);
                } else if double.is_some() && headers.header_of(at) == double {
                    continue;
                }
            }
            syntax::note(&findings, text, headers.as_ref(), error);
        }
        merge::merge(&mut whole, merge::moved(document.into_inner(), base), "", texts, &findings);
    }
    let document = DeValue::Table(whole);
    let config = if local { walk(&document, &findings) } else { None };
    drop(document);
    let (errors, warnings) = findings.finish(texts);
    match config {
        Some(config) if errors.is_empty() => {
            let files = texts.iter().map(|text| text.file.to_path_buf()).collect();
            Ok(Loaded { config, warnings, files })
        }
        _ => Err(LoadError { errors: at_least_one(errors, texts), warnings }),
    }
}

fn at_least_one(mut errors: Vec<ConfigError>, texts: &[Text]) -> Vec<ConfigError> {
    if let ([], Some(text)) = (errors.as_slice(), texts.first()) {
        let place = text.place(0);
        let (found, allowed) = ("no configuration".to_owned(), "TOML".to_owned());
        errors.push(ConfigError::Syntax { place, key: None, found, allowed });
    }
    errors
}

fn walk<'a>(document: &'a DeValue<'a>, findings: &'a Findings) -> Option<Config> {
    let mut root = Table::root(document, findings)?;
    let mut config = Config { log: log::read(root.sub_table("log")), ..Config::default() };
    config.logs = logs::read(root.sub_table("logs"));
    let admin_listen;
    (config.admin, admin_listen) = admin::read(root.sub_table("admin"));
    config.hydra = admin::read_hydra(root.sub_table("hydra"));
    config.delivery = delivery::read(root.sub_table("delivery"));

    let sources_node = root.key("sources");
    let sources: Option<Vec<Source<'_>>> = sources_node
        .clone()
        .map(|node| node.table().map(|t| sources::read(&t)).unwrap_or_default());
    if let Some(sources) = &sources {
        config.sources = sources.iter().map(|source| source.config.clone()).collect();
    }
    let destinations = root.key("destinations").map(Node::table);
    let unknown = matches!(destinations, Some(None));
    let named = destinations.flatten().map(|t| destinations::read(&t)).unwrap_or_default();
    if !named.is_empty() {
        config.destinations = named.iter().filter_map(|named| named.config.clone()).collect();
    }
    let names: Option<Vec<String>> = match named.as_slice() {
        [] if unknown => None,
        [] => Some(config.destinations.iter().map(|default| default.name.clone()).collect()),
        named => Some(named.iter().map(|named| named.name.clone()).collect()),
    };
    let routes_node = root.key("routes");
    config.routes =
        routes_node.as_ref().map(|n| routes::read(n, names.as_deref())).unwrap_or_default();
    let source_names: Vec<_> = config.sources.iter().map(|source| source.name.clone()).collect();
    config.rules =
        root.key("rules").map(|node| rules::read(&node, &source_names)).unwrap_or_default();
    config.limits =
        root.key("limits").map(|node| limits::read(&node, &source_names)).unwrap_or_default();
    config.tests = root
        .key("tests")
        .map(|node| tests::read(&node, &config.sources, names.as_deref()))
        .unwrap_or_default();
    root.finish(HOMES);

    let sources = sources.unwrap_or_default();
    check_addresses(&config, &sources, &admin_listen);
    if findings.any_error() {
        return None;
    }
    if let (Some(node), true) = (sources_node, config.sources.is_empty()) {
        findings.warn(node.key_at, node.path, "no sources: nothing will come in");
    }
    for source in &sources {
        check_read_ahead(&config, source);
        check_routed(&config, source);
    }
    for destination in &named {
        let reached = config.routes.iter().any(|route| route.to.contains(&destination.name));
        if !config.routes.is_empty() && !reached {
            let node = &destination.node;
            findings.warn(node.key_at, node.path.clone(), "nothing routes to it");
        }
    }
    Some(config)
}

/// Two listeners on one address: the later one is wrong, or the one that the file places there.
fn check_addresses(config: &Config, sources: &[Source<'_>], admin: &Listen<'_>) {
    let source = |owner: &str| sources.iter().find(|source| source.node.path == owner);
    let mut bindings = bindings(config);
    bindings.retain(|binding| source(&binding.owner).map_or(admin.known, |s| s.listen.known));
    for (later, earlier) in conflicts(&bindings) {
        let (source, wrong, right) = match (source(&later.owner), source(&earlier.owner)) {
            (Some(source), _) => (Some(source), later, earlier),
            // The admin pages are where they always are: it is the source that came there.
            (None, Some(source)) if admin.node.is_none() => (Some(source), earlier, later),
            (None, _) => (None, later, earlier),
        };
        let node = source.map_or(admin.node.as_ref(), |source| {
            Some(source.listen.node.as_ref().unwrap_or(&source.node))
        });
        let found = format!(
            "\"{}\", the {} address of {} already",
            wrong.listen, wrong.protocol, right.owner
        );
        if let Some(node) = node {
            node.address_taken(&super::walk::join(&wrong.owner, "listen"), found);
        }
    }
}

fn check_read_ahead(config: &Config, source: &Source<'_>) {
    let read_ahead = match &source.config.kind {
        SourceKind::Graphite(graphite) => graphite.read_ahead,
        SourceKind::Gravwell(gravwell) => gravwell.read_ahead,
        SourceKind::Hydra(hydra) => hydra.read_ahead,
        SourceKind::GraphiteUnix(graphite) => graphite.stream.read_ahead,
        SourceKind::Kafka(kafka) => kafka.read_ahead,
        SourceKind::GraphiteUdp(_) | SourceKind::Loggregator(_) | SourceKind::Amqp(_) => return,
    };
    if let Some(node) = &source.read_ahead
        && read_ahead > config.log.memory
    {
        let memory = format_size(config.log.memory);
        node.warn(format!("more than log.memory, which is {memory}: never reached"));
    }
}

fn check_routed(config: &Config, source: &Source<'_>) {
    let Some(tag) = source.config.tag() else { return };
    let mut patterns = config.routes.iter().flat_map(|route| &route.tags);
    if !config.routes.is_empty() && !patterns.any(|pattern| pattern.matches(tag.as_str())) {
        let message = format!("no route takes the tag \"{tag}\"");
        match &source.tag {
            Some(node) => node.warn(message),
            None => {
                let node = &source.node;
                node.findings.warn(node.key_at, node.path.clone(), message);
            }
        }
    }
}
