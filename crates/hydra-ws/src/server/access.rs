//! Whose requests are answered.

use std::net::IpAddr;

use hyper::header::{AUTHORIZATION, HOST, HeaderMap, HeaderValue, ORIGIN};
use subtle::ConstantTimeEq;

use super::config::Access;
use crate::http::Answer;

/// Whether the request with this header may be answered; else how it is refused.
pub(super) fn check(access: &Access, header: &HeaderMap) -> Result<(), Answer> {
    let host = match header.get(HOST).map(HeaderValue::to_str) {
        Some(Ok(host)) => host,
        Some(Err(_)) => return Err(Answer::forbidden("The host is not one of this server.")),
        None => return Err(Answer::bad_request("The request names no host.")),
    };
    if header.get_all(HOST).iter().count() > 1 || !is_own(name_of(host), &access.hosts) {
        return Err(Answer::forbidden("The host is not one of this server."));
    }
    for origin in header.get_all(ORIGIN) {
        let admitted = origin.to_str().is_ok_and(|origin| admits(origin, host, &access.origins));
        if !admitted {
            return Err(Answer::forbidden("The origin is not admitted."));
        }
    }
    match &access.token {
        None => Ok(()),
        Some(token) => {
            let given = header.get(AUTHORIZATION).map(HeaderValue::as_bytes).and_then(bearer);
            let matches = given.is_some_and(|given| bool::from(given.ct_eq(&token.0)));
            if matches { Ok(()) } else { Err(Answer::unauthorized()) }
        }
    }
}

fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = value.split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then(|| token.trim_ascii())
}

/// A host without its port, and an IPv6 address without its brackets.
fn name_of(host: &str) -> &str {
    if let Some(rest) = host.strip_prefix('[') {
        return match rest.split_once(']') {
            Some((address, port)) if is_port(port) => address,
            _ => "",
        };
    }
    match host.split_once(':') {
        Some((name, port)) if is_digits(port) => name,
        Some(_) => "",
        None => host,
    }
}

fn is_port(text: &str) -> bool {
    text.is_empty() || text.strip_prefix(':').is_some_and(is_digits)
}

fn is_digits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_own(name: &str, hosts: &[String]) -> bool {
    let loopback = match name.parse::<IpAddr>() {
        Ok(address) => address.to_canonical().is_loopback(),
        Err(_) => name.eq_ignore_ascii_case("localhost"),
    };
    loopback || hosts.iter().any(|own| own == "*" || own.eq_ignore_ascii_case(name))
}

fn admits(origin: &str, host: &str, origins: &[String]) -> bool {
    if origins.iter().any(|own| own == "*" || own.eq_ignore_ascii_case(origin)) {
        return true;
    }
    match origin.split_once("://") {
        Some((scheme, _)) if scheme.ends_with("-extension") => true,
        Some(("http" | "https", from)) => {
            !from.is_empty() && name_of(from).eq_ignore_ascii_case(name_of(host))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::config::Token;

    fn code(access: &Access, fields: &[(&'static str, &'static str)]) -> u16 {
        let mut header = HeaderMap::new();
        for (name, value) in fields {
            header.append(*name, HeaderValue::from_static(value));
        }
        check(access, &header).map_or_else(|answer| answer.status, |()| 200)
    }

    #[test]
    fn hosts() {
        let own = Access { hosts: vec!["ingest.example".into()], ..Access::default() };
        for host in [
            "localhost",
            "LOCALHOST:8080",
            "127.0.0.1:1",
            "127.9.9.9",
            "[::1]:80",
            "[::1]",
            "Ingest.Example:7",
        ] {
            assert_eq!(code(&own, &[("host", host)]), 200, "{host}");
        }
        for host in [
            "",
            "evil.example",
            "localhost.evil.example",
            "10.0.0.1",
            "[::2]",
            "localhost:x",
            "[::1",
            "a@localhost",
        ] {
            assert_eq!(code(&own, &[("host", host)]), 403, "{host}");
        }
        assert_eq!(code(&own, &[]), 400);
        assert_eq!(code(&own, &[("host", "localhost"), ("host", "localhost")]), 403);
        let any = Access { hosts: vec!["*".into()], ..Access::default() };
        assert_eq!(code(&any, &[("host", "evil.example")]), 200);
    }

    #[test]
    fn origins() {
        let own = Access { origins: vec!["https://app.example".into()], ..Access::default() };
        let from = |origin| code(&own, &[("host", "localhost:8080"), ("origin", origin)]);
        for origin in [
            "http://localhost:8080",
            "https://localhost",
            "chrome-extension://omalebghpgejjiaoknljcfmglgbpocdp",
            "moz-extension://x",
            "https://app.example",
        ] {
            assert_eq!(from(origin), 200, "{origin}");
        }
        for origin in [
            "null",
            "",
            "http://evil.example",
            "http://",
            "file://localhost",
            "https://app.example.evil",
        ] {
            assert_eq!(from(origin), 403, "{origin}");
        }
    }

    #[test]
    fn tokens() {
        let access = Access { token: Some(Token::new("s3cret")), ..Access::default() };
        let with = |value| code(&access, &[("host", "localhost"), ("authorization", value)]);
        assert_eq!(with("Bearer s3cret"), 200);
        assert_eq!(with("bearer  s3cret "), 200);
        for wrong in ["Bearer s3cre", "Bearer s3cret1", "Basic s3cret", "Bearer", ""] {
            assert_eq!(with(wrong), 401, "{wrong}");
        }
        assert_eq!(code(&access, &[("host", "localhost")]), 401);
        assert_eq!(format!("{:?}", access.token), "Some(Token(..))");
    }
}
