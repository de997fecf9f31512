//! Answers.

use std::borrow::Cow;

use crate::options::Dialect;
use crate::reply;

const JSON: &str = "application/json";
const TEXT: &str = "text/plain; charset=UTF-8";

/// What is answered to an HTTP request.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Answer {
    /// The code.
    pub status: u16,
    /// The words of the status line. A report's text, which may name what a client sent: whoever
    /// writes it drops what cannot be in a status line.
    pub reason: Cow<'static, str>,
    /// `Content-Type`.
    pub content_type: &'static str,
    /// `Allow`, where there is one.
    pub allow: Option<&'static str>,
    /// The body.
    pub body: Vec<u8>,
}

impl Answer {
    pub(crate) fn json(status: u16, reason: impl Into<Cow<'static, str>>, body: Vec<u8>) -> Self {
        Self { status, reason: reason.into(), content_type: JSON, allow: None, body }
    }

    pub(crate) fn text(status: u16, reason: &'static str, body: &str) -> Self {
        let body = body.as_bytes().to_vec();
        Self { status, reason: reason.into(), content_type: TEXT, allow: None, body }
    }

    /// In the form of a reply to a command.
    pub(crate) fn reply(
        dialect: Dialect,
        status: u16,
        reason: &'static str,
        message: &str,
    ) -> Self {
        let mut body = Vec::new();
        reply::write(dialect, status, message, &mut body);
        Self::json(status, reason, body)
    }

    /// There is nothing at this path.
    #[must_use]
    pub fn not_found() -> Self {
        Self::text(404, "Not Found", "The requested resource could not be found.")
    }

    pub(crate) fn method_not_allowed(allow: &'static str) -> Self {
        let body = format!("HTTP method not allowed, supported methods: {allow}");
        Self { allow: Some(allow), ..Self::text(405, "Method Not Allowed", &body) }
    }

    /// The body is larger than [`crate::Limits::message`].
    #[must_use]
    pub fn too_large() -> Self {
        Self::text(413, "Request Entity Too Large", "The request is too large.")
    }

    /// Whoever asks may not: `body` says why.
    #[must_use]
    pub fn forbidden(body: &str) -> Self {
        Self::text(403, "Forbidden", body)
    }

    /// Whoever asks has not said who it is.
    #[must_use]
    pub fn unauthorized() -> Self {
        Self::text(401, "Unauthorized", "A bearer token is required.")
    }

    /// The header is more than a session may hold.
    #[must_use]
    pub fn header_too_large() -> Self {
        Self::text(431, "Request Header Fields Too Large", "Too much metadata in the header.")
    }

    /// The body did not come in time.
    #[must_use]
    pub fn too_slow() -> Self {
        Self::text(408, "Request Timeout", "The request did not come in time.")
    }

    /// The web socket's version is not 13.
    #[must_use]
    pub fn upgrade_required() -> Self {
        Self::text(426, "Upgrade Required", "The version of web sockets is 13.")
    }

    /// The request cannot be understood.
    #[must_use]
    pub fn bad_request(body: &str) -> Self {
        Self::text(400, "Bad Request", body)
    }
}
