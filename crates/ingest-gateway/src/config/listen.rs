//! `listen` and `allow_public`, which everything that listens has.

use super::addr::ListenAddr;
use super::walk::{Node, Table};

/// Where something listens, as far as the file says it.
#[derive(Debug)]
pub(super) struct Listen<'a> {
    /// The address, where the file names one.
    pub(super) node: Option<Node<'a>>,
    /// Whether the address is known: not so when what the file names is none.
    pub(super) known: bool,
}

impl Listen<'_> {
    /// Nothing in the file: the default address.
    pub(super) const DEFAULT: Self = Self { node: None, known: true };
}

/// Reads both keys. An address that others can reach, with neither TLS nor authentication, must
/// be asked for.
pub(super) fn read<'a>(
    table: &mut Table<'a>,
    address: &mut ListenAddr,
    allow_public: &mut bool,
) -> Listen<'a> {
    read_with(table, address, allow_public, "without TLS or authentication")
}

/// As [`read`], for a source that authenticates its clients: in clear text, a public address must
/// be asked for all the same.
pub(super) fn read_authenticated<'a>(
    table: &mut Table<'a>,
    address: &mut ListenAddr,
    allow_public: &mut bool,
    tls: bool,
) -> Listen<'a> {
    *allow_public |= tls;
    read_with(table, address, allow_public, "without TLS")
}

fn read_with<'a>(
    table: &mut Table<'a>,
    address: &mut ListenAddr,
    allow_public: &mut bool,
    lacking: &str,
) -> Listen<'a> {
    let node = table.key("listen");
    let named = node.as_ref().map(Node::address);
    let known = !matches!(named, Some(None));
    if let Some(Some(named)) = named {
        *address = named;
    }
    let allowed = table.key("allow_public").map(|node| node.boolean());
    if let Some(Some(allowed)) = allowed {
        *allow_public = allowed;
    }
    if let Some(node) = &node
        && !address.is_loopback()
        && !*allow_public
        && !matches!(allowed, Some(None))
    {
        let found = node.found();
        node.wrong(
            format!("{found}, which other machines can reach {lacking}"),
            "a loopback address, or allow_public = true beside it",
            None,
        );
    }
    Listen { node, known }
}
