//! From a file to a [`Config`], or to everything that is wrong with it.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::Arc;

use toml::de::{DeTable, DeValue};

use super::conflict::{bindings, conflicts};
use super::error::{ConfigError, Place, Rejected, Warning};
use super::findings::Findings;
use super::listen::Listen;
use super::model::{Config, SourceKind};
use super::sources::Source;
use super::walk::{Node, Table};
use super::{admin, destinations, log, routes, sources, syntax};
use crate::units::format_size;

/// The largest configuration file that is read, in bytes.
pub const MAX_FILE: u64 = 1 << 20;

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
}

/// Reads a configuration file.
///
/// # Errors
/// [`Rejected`], with everything that is wrong. Files above [`MAX_FILE`] are refused.
pub fn load(path: &Path) -> Result<Loaded, Rejected> {
    let mut text = Vec::new();
    let mut exposed = false;
    let read = File::open(path).and_then(|file| {
        exposed = file.metadata()?.mode() & 0o077 != 0;
        file.take(MAX_FILE + 1).read_to_end(&mut text)
    });
    let reason = match read {
        Err(error) => error.to_string(),
        Ok(_) if text.len() as u64 > MAX_FILE => {
            format!("larger than {}", format_size(MAX_FILE))
        }
        Ok(_) => return parse_text(path, &text, exposed),
    };
    let error = ConfigError::Unreadable { file: path.to_owned(), reason };
    Err(Rejected { errors: vec![error], warnings: Vec::new() })
}

/// Reads the text of a configuration; `file` is the name that errors give it.
///
/// # Errors
/// [`Rejected`], with everything that is wrong.
pub fn parse(file: &Path, text: &[u8]) -> Result<Loaded, Rejected> {
    parse_text(file, text, false)
}

fn parse_text(file: &Path, text: &[u8], exposed: bool) -> Result<Loaded, Rejected> {
    let file: Arc<Path> = file.into();
    let text = match std::str::from_utf8(text) {
        Ok(text) => text,
        Err(error) => {
            let valid = text.get(..error.valid_up_to()).unwrap_or_default();
            let findings = Findings::default();
            findings.syntax(valid.len(), "bytes that are no UTF-8".into(), "UTF-8 text".into());
            let valid = std::str::from_utf8(valid).unwrap_or_default();
            let (errors, warnings) = findings.finish(&file, valid);
            return Err(Rejected { errors, warnings });
        }
    };
    let findings = Findings::of(exposed);
    let (document, broken) = DeTable::parse_recoverable(text);
    let mut local = true;
    for error in &broken {
        local &= syntax::is_local(error.message());
        syntax::note(&findings, text, error);
    }
    let document = DeValue::Table(document.into_inner());
    let config = if local { walk(&document, &findings) } else { None };
    drop(document);
    let (errors, warnings) = findings.finish(&file, text);
    match config {
        Some(config) if errors.is_empty() => Ok(Loaded { config, warnings }),
        _ => Err(Rejected { errors: at_least_one(errors, &file), warnings }),
    }
}

fn at_least_one(mut errors: Vec<ConfigError>, file: &Arc<Path>) -> Vec<ConfigError> {
    if errors.is_empty() {
        let place = Place { line: 1, column: 1, file: Arc::clone(file) };
        let (found, allowed) = ("no configuration".to_owned(), "TOML".to_owned());
        errors.push(ConfigError::Syntax { place, found, allowed });
    }
    errors
}

fn walk<'a>(document: &'a DeValue<'a>, findings: &'a Findings) -> Option<Config> {
    let mut root = Table::root(document, findings)?;
    let mut config = Config { log: log::read(root.sub_table("log")), ..Config::default() };
    let admin_listen;
    (config.admin, admin_listen) = admin::read(root.sub_table("admin"));
    config.hydra = admin::read_hydra(root.sub_table("hydra"));

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
        SourceKind::GraphiteUdp(_) => return,
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
