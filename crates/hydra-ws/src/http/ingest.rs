//! A payload over HTTP.

use std::sync::Arc;

use bytes::Bytes;

use crate::ack::{Ack, Validation};
use crate::flight::Decided;
use crate::http::Answer;
use crate::ids::{Ids, base62};
use crate::json::write_string;
use crate::options::Options;
use crate::reply;
use crate::request::{Context, Id, Request};

/// Fields that stay out of the metadata: what ingestors do with metadata is theirs to decide, and
/// these are secrets.
const SECRET: [&str; 3] = ["authorization", "cookie", "proxy-authorization"];

/// How the report of a request goes back over HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HttpIngest {
    simple: bool,
}

/// Makes a request out of a body and the header fields. `ingestor` is what the path names;
/// `query` what is behind its `?`; `seed` makes the id if there is none, and should be random.
///
/// # Errors
/// The answer, where the request is refused.
pub fn begin<'a>(
    options: &Options,
    fields: impl IntoIterator<Item = (&'a str, &'a str)>,
    ingestor: Option<&str>,
    query: Option<&str>,
    body: Bytes,
    seed: u64,
) -> Result<(HttpIngest, Request), Answer> {
    if body.is_empty() {
        return Err(Answer::bad_request("Request entity expected but not supplied"));
    }
    let mut context = Context { path: ingestor.map(Into::into), ..Context::default() };
    for (name, value) in fields {
        let name = name.to_lowercase();
        if !SECRET.contains(&name.as_str()) {
            context.metadata.set(&name, value);
        }
    }
    let (recorded, head) = (options.is_recorded(), options.is_head());
    if let Some(value) = context.metadata.get("hydra-ack") {
        match Ack::read(value, options) {
            // The recorded code of the older dialects reads it, and leaves it at that.
            Some(_) if recorded && !head => {}
            Some(ack) => context.ack = ack,
            None => return Err(bad_ack(value)),
        }
    }
    if let Some(value) = context.metadata.get("hydra-validation") {
        match Validation::read(value) {
            Some(validation) => context.validation = validation,
            None if recorded && !head => {
                let mut body = Vec::new();
                let message = reply::unknown_validation(value);
                reply::write(options.dialect, 503, &message, &mut body);
                return Err(Answer::json(200, "OK", body));
            }
            None => {}
        }
    }
    let simple = !head && context.metadata.get("hydra-response-format") == Some("simple");
    let id = id(options, &context, query, seed);
    Ok((HttpIngest { simple }, Request { id, payload: body, context: Arc::new(context) }))
}

fn id(options: &Options, context: &Context, query: Option<&str>, seed: u64) -> Id {
    if !options.is_head() {
        return match context.metadata.get("hydra-request-id") {
            Some(id) => Id::given(id),
            None => Id::drawn(Ids::new(seed).draw()),
        };
    }
    let pairs = query.unwrap_or_default().split('&').filter_map(|pair| pair.split_once('='));
    let given = pairs.filter(|(name, _)| *name == "correlationId").map(|(_, value)| value).next();
    match given {
        Some(id) => Id::given(id),
        None => Id::given(&base62(seed >> 1)),
    }
}

/// What dialect `head` says of a `hydra-ack` that it does not know.
pub(crate) fn bad_ack(value: &str) -> Answer {
    let mut body = b"{\"errorMessage\":".to_vec();
    write_string(&format!("{value} is not a valid ack strategy."), &mut body);
    body.extend_from_slice(b",\"status\":400}");
    Answer::json(400, "Bad Request", body)
}

impl HttpIngest {
    /// The answer to a request that is decided.
    #[must_use]
    pub fn answer(self, decided: &Decided<'_>) -> Answer {
        let mut body = Vec::new();
        if self.simple {
            decided.write_simple(&mut body);
        } else {
            decided.write(&mut body);
        }
        Answer::json(decided.code(), decided.text(), body)
    }
}
