//! Paths.

use crate::http::{Answer, list};
use crate::options::{Dialect, Options};
use crate::registry::Registry;

/// What a request is for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Route {
    /// This is the answer; the body does not matter.
    Answer(Answer),
    /// The page at `/`.
    Page,
    /// A payload, for the ingestor that the path names or for all.
    Ingest(Option<String>),
    /// A web socket, for the ingestor that the path names or for all.
    WebSocket(Option<String>),
}

/// What a request is for. `upgrade`: it asks to become a web socket. `enabled`: web sockets are.
#[must_use]
pub fn route(
    method: &str,
    path: &str,
    upgrade: bool,
    enabled: bool,
    options: &Options,
    registry: &Registry,
) -> Route {
    let path = path.split(['?', '#']).next().unwrap_or_default();
    let path = path.strip_prefix('/').unwrap_or(path);
    let (first, rest) = match path.split_once('/') {
        Some((first, rest)) => (first, Some(rest)),
        None => (path, None),
    };
    let deeper = rest.is_some_and(|rest| rest.contains('/'));
    match (first, rest) {
        _ if deeper => Route::Answer(Answer::not_found()),
        ("", None) => match method {
            "GET" | "HEAD" => Route::Page,
            _ => Route::Answer(Answer::method_not_allowed("GET, HEAD")),
        },
        ("ingestors", None | Some("")) => Route::Answer(match method {
            "GET" | "HEAD" => list(registry, options),
            _ => Answer::method_not_allowed("GET"),
        }),
        ("ingest", _) if method != "POST" => Route::Answer(Answer::method_not_allowed("POST")),
        ("ingest", None | Some("")) => Route::Ingest(None),
        ("ingest", Some(name)) => named_ingest(&decode(name), options, registry),
        ("ws-ingest", name) => web_socket(name, upgrade, enabled, options),
        _ => Route::Answer(Answer::not_found()),
    }
}

fn named_ingest(name: &str, options: &Options, registry: &Registry) -> Route {
    if !registry.contains(name) {
        let message = format!("Ingestor {name} not found.");
        return Route::Answer(Answer::reply(options.dialect, 404, "Not Found", &message));
    }
    // The recorded code looks the name up, and then asks everybody.
    Route::Ingest((!options.is_recorded()).then(|| name.to_owned()))
}

fn web_socket(name: Option<&str>, upgrade: bool, enabled: bool, options: &Options) -> Route {
    let recorded = options.is_recorded();
    let head = options.is_head();
    match name {
        Some("") if head || !recorded => return Route::Answer(Answer::not_found()),
        Some(_) if head && recorded => return Route::Answer(Answer::not_found()),
        // The recorded route wants a name.
        None | Some("") if recorded && !head => {
            return Route::Answer(Answer::method_not_allowed("POST"));
        }
        _ => {}
    }
    if !enabled {
        let message = match options.dialect {
            Dialect::Head => "Web Socket not available.",
            _ => "Websocket not available.",
        };
        return Route::Answer(Answer::reply(options.dialect, 409, "Conflict", message));
    }
    if !upgrade {
        return Route::Answer(if recorded && !head {
            Answer::method_not_allowed("POST")
        } else {
            Answer::bad_request("Expected WebSocket Upgrade request")
        });
    }
    Route::WebSocket(name.map(decode))
}

/// Without `%` escapes. What is no escape stays.
fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, behind)) = rest.split_first() {
        let escape = match (byte, behind) {
            (b'%', [high, low, behind @ ..]) => digit(*high).zip(digit(*low)).map(|d| (d, behind)),
            _ => None,
        };
        match escape {
            Some(((high, low), behind)) => {
                bytes.push(high * 16 + low);
                rest = behind;
            }
            None => {
                bytes.push(byte);
                rest = behind;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_in_names() {
        assert_eq!(decode("a%20b%2Fc"), "a b/c");
        assert_eq!(decode("%zz%4"), "%zz%4");
        assert_eq!(decode("%c3%a9"), "é");
    }
}
