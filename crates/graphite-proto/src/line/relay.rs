//! Names as carbon-relay-ng validates them (`graphite.md` 3.3).

use memchr::memmem::find;

/// What a name is taken for, by what comes before its first dot.
enum Kind {
    /// A name of nodes, with tags behind `;` or without.
    Plain,
    /// "Metrics 2.0": `=` between tag and value.
    Equals,
    /// "Metrics 2.0" with `_is_` in its place.
    Is,
}

/// Whether the name passes at level *strict* or *medium*.
pub(super) fn is_valid(path: &[u8], strict: bool) -> bool {
    let kind = kind(path);
    // A leading dot decides what the name is, but is not part of what is checked.
    let path = path.strip_prefix(b".").unwrap_or(path);
    match kind {
        Kind::Plain => plain(path, strict),
        Kind::Equals => metrics20(path, b"=", b"_is_"),
        Kind::Is => metrics20(path, b"_is_", b"="),
    }
}

fn kind(path: &[u8]) -> Kind {
    let node = path.split(|b| *b == b'.').next().unwrap_or_default();
    match (find(node, b"="), find_is(path, node.len())) {
        (Some(equals), Some(is)) if is < equals => Kind::Is,
        (Some(_), _) => Kind::Equals,
        (None, Some(_)) => Kind::Is,
        (None, None) => Kind::Plain,
    }
}

/// Where `_is_` starts, if that is inside the first node.
fn find_is(path: &[u8], node: usize) -> Option<usize> {
    find(path, b"_is_").filter(|at| *at < node)
}

fn plain(path: &[u8], strict: bool) -> bool {
    let (name, tags) = match memchr::memchr(b';', path) {
        Some(0) => return false,
        Some(at) => path.split_at_checked(at).unwrap_or((path, &[])),
        None => (path, &[][..]),
    };
    let sensible = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
    let strictly = || find(name, b"..").is_none() && name.iter().all(sensible);
    path.iter().all(|b| *b != 0 && b.is_ascii())
        && (!strict || strictly())
        && (tags.is_empty() || tags.split(|b| *b == b';').skip(1).all(is_tag))
}

/// `key=value`: neither is empty, no `!` in the key, one `=`.
fn is_tag(tag: &[u8]) -> bool {
    let mut parts = tag.split(|b| *b == b'=');
    match (parts.next(), parts.next(), parts.next()) {
        (Some(key), Some(value), None) => {
            !key.is_empty() && !value.is_empty() && !key.contains(&b'!')
        }
        _ => false,
    }
}

/// A unit, a metric type and one tag more, and not both ways of writing them.
fn metrics20(path: &[u8], sign: &[u8], other: &[u8]) -> bool {
    let has = |tag: &[u8]| {
        let wanted = [b".", tag, sign].concat();
        path.starts_with(wanted.get(1..).unwrap_or_default()) || find(path, &wanted).is_some()
    };
    find(path, other).is_none()
        && has(b"unit")
        && has(b"mtype")
        && path.iter().filter(|b| **b == b'.').count() >= 2
}

#[cfg(test)]
mod tests {
    use super::is_valid;

    #[test]
    fn levels_differ_for_plain_names() {
        for (path, medium, strict) in [
            ("a.b", true, true),
            (".a.b", true, true),
            (".", true, true),
            ("a.b.", true, true),
            ("a..b", true, false),
            ("...", true, false),
            ("..a", true, true),
            ("a/b", true, false),
            ("a\x01b", true, false),
            ("a\0b", false, false),
            ("é", false, false),
            ("cpu.load;host=a", true, true),
            ("cpu.load;host=a/b;dc=~", true, true),
            ("cpu..x;host=a..b", true, false),
            ("cpu.x;host=é", false, false),
            ("cpu.x;host", false, false),
            ("cpu.x;", false, false),
            ("cpu.x;host=", false, false),
            ("cpu.x;=a", false, false),
            ("cpu.x;a=b;", false, false),
            ("cpu.x;a=b=c", false, false),
            ("cpu.x;a!=b", false, false),
            ("cpu.x;a^=b", true, true),
            (".;a=b", false, false),
        ] {
            assert_eq!(is_valid(path.as_bytes(), false), medium, "{path}");
            assert_eq!(is_valid(path.as_bytes(), true), strict, "{path}");
        }
    }

    #[test]
    fn metrics20_names_need_their_tags() {
        for (path, valid) in [
            ("cpu;host=a", false),
            ("a=b", false),
            ("unit=B.mtype=gauge.host=a", true),
            ("host=é.mtype=gauge.unit=B", true),
            ("unit=B.mtype=gauge", false),
            ("unit=B.xmtype=gauge.host=a", false),
            ("unit=B.mtype=gauge.host_is_a", false),
            ("unit_is_B.mtype_is_gauge.host_is_a", true),
            ("unit_is_B.mtype_is_gauge.host=a", false),
            ("a_is_b.c.d", false),
            ("a.b_is_c", true),
            ("a._is_", true),
            ("a_is.b", true),
        ] {
            assert_eq!(is_valid(path.as_bytes(), false), valid, "{path}");
            assert_eq!(is_valid(path.as_bytes(), true), valid, "{path}");
        }
    }
}
