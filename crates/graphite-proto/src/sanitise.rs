//! Names made harmless, as carbon-c-relay does it.

use std::borrow::Cow;

/// The bytes besides ASCII letters, digits and dots that [`sanitise`] keeps, which are
/// carbon-c-relay's defaults.
pub const SANITISE_ALLOWED: &[u8] = b"-_:#";

/// Makes a path safe for storage that takes few characters: leading and trailing dots go, runs of
/// dots become one, and every other byte that is not a letter, a digit or one of `-_:#` becomes
/// `_` (so a letter beyond ASCII becomes as many as it has bytes). From the first `;` on, tags
/// are kept as they are.
///
/// This is what carbon-c-relay 3.9 forwards (`graphite.md` 3.4). The result may be empty.
///
/// ```
/// assert_eq!(graphite_proto::sanitise(".a..b/c;host=x..y"), "a.b_c;host=x..y");
/// ```
#[must_use]
pub fn sanitise(path: &str) -> Cow<'_, str> {
    sanitise_with(path, SANITISE_ALLOWED)
}

/// [`sanitise`] with another list of allowed bytes. Bytes beyond ASCII in the list are ignored.
/// A `;` in the list turns the exception for tags off, as it does in carbon-c-relay.
#[must_use]
pub fn sanitise_with<'a>(path: &'a str, allowed: &[u8]) -> Cow<'a, str> {
    let tags = if allowed.contains(&b';') { None } else { path.find(';') };
    let (name, rest) = path.split_at_checked(tags.unwrap_or(path.len())).unwrap_or((path, ""));
    let clean = |b: u8| b.is_ascii_alphanumeric() || (b.is_ascii() && allowed.contains(&b));
    if name.bytes().all(|b| clean(b) || b == b'.')
        && !name.starts_with('.')
        && !name.ends_with('.')
        && !name.contains("..")
    {
        return Cow::Borrowed(path);
    }
    let mut out = String::with_capacity(path.len());
    for byte in name.bytes() {
        match byte {
            b'.' if out.is_empty() || out.ends_with('.') => {}
            b'.' => out.push('.'),
            _ if clean(byte) => out.push(char::from(byte)),
            _ => out.push('_'),
        }
    }
    while out.ends_with('.') {
        out.pop();
    }
    out.push_str(rest);
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follows_c_relay() {
        for (path, expected) in [
            ("a.b", "a.b"),
            ("..a..b..", "a.b"),
            ("...", ""),
            ("../etc/passwd", "_etc_passwd"),
            ("ñ.é", "__.__"),
            ("a:b#c-d_e", "a:b#c-d_e"),
            ("~cpu;host=~a..b", "_cpu;host=~a..b"),
            (";host=a", ";host=a"),
            ("cpu;", "cpu;"),
            ("a.;b=c", "a;b=c"),
        ] {
            assert_eq!(sanitise(path), expected, "{path}");
        }
        assert_eq!(sanitise_with("a;b=c", b";"), "a;b_c");
        assert!(matches!(sanitise("a.b;c=d"), Cow::Borrowed(_)));
    }
}
