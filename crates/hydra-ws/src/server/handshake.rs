//! The opening handshake of a web socket (RFC 6455, 4.2).

use hyper::header::{
    CONNECTION, HeaderMap, HeaderName, HeaderValue, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION,
    UPGRADE,
};
use hyper::{Method, Version};
use tungstenite::handshake::derive_accept_key;

use crate::http::Answer;

/// Whether a request asks to become a web socket.
pub(super) fn asks(method: &Method, version: Version, header: &HeaderMap) -> bool {
    *method == Method::GET
        && version == Version::HTTP_11
        && has_token(header, &UPGRADE, "websocket")
        && has_token(header, &CONNECTION, "upgrade")
}

/// What goes into `Sec-WebSocket-Accept`.
pub(super) fn accept(header: &HeaderMap) -> Result<HeaderValue, Answer> {
    if header.get(SEC_WEBSOCKET_VERSION).is_none_or(|version| version.as_bytes() != b"13") {
        return Err(Answer::upgrade_required());
    }
    let mut keys = header.get_all(SEC_WEBSOCKET_KEY).iter();
    let key = match (keys.next(), keys.next()) {
        (Some(key), None) if is_key(key.as_bytes()) => key.as_bytes(),
        _ => return Err(Answer::bad_request("Sec-WebSocket-Key is missing or not valid.")),
    };
    HeaderValue::try_from(derive_accept_key(key))
        .map_err(|_| Answer::bad_request("Sec-WebSocket-Key is not valid."))
}

/// Sixteen bytes in base 64.
fn is_key(key: &[u8]) -> bool {
    let digit = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    key.split_at_checked(22).is_some_and(|(digits, end)| digits.iter().all(digit) && end == b"==")
}

fn has_token(header: &HeaderMap, name: &HeaderName, wanted: &str) -> bool {
    let values = header.get_all(name).iter().filter_map(|value| value.to_str().ok());
    let mut tokens = values.flat_map(|value| value.split(','));
    tokens.any(|token| token.trim().eq_ignore_ascii_case(wanted))
}
