//! Who is answered how: `loggregator.md` 1.3, 2.1 and 3.1.

use super::request::Request;
use super::{Fake, Who, cache, recent};

/// What is served on a connection from here on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Service {
    Tail,
    Dump,
    Stream,
    /// Of a subscription.
    Firehose(String),
    Gateway(Selection),
}

/// What the gateway asks the platform for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Selection {
    pub(crate) shard_id: String,
    pub(crate) deterministic_name: String,
    pub(crate) selectors: Vec<Selector>,
}

/// A source, a type, and the names of what is wanted of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Selector {
    pub(crate) source_id: String,
    pub(crate) kind: &'static str,
    pub(crate) names: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    Serve(Service),
    Say { status: u16, headers: Vec<(&'static str, String)>, body: Vec<u8> },
}

impl Answer {
    pub(crate) fn empty(status: u16) -> Self {
        Self::Say { status, headers: Vec::new(), body: Vec::new() }
    }

    pub(crate) fn text(status: u16, body: &str) -> Self {
        let plain = ("Content-Type", "text/plain; charset=utf-8".to_owned());
        Self::Say { status, headers: vec![plain], body: body.into() }
    }

    pub(crate) fn with(mut self, name: &'static str, text: &str) -> Self {
        if let Self::Say { headers, .. } = &mut self {
            headers.push((name, text.to_owned()));
        }
        self
    }

    pub(crate) fn service(&self) -> Option<Service> {
        match self {
            Self::Serve(service) => Some(service.clone()),
            Self::Say { .. } => None,
        }
    }

    pub(crate) fn bytes(&self) -> Option<Vec<u8>> {
        let Self::Say { status, headers, body } = self else { return None };
        let reason = match status {
            200 => "OK",
            400 => "Bad Request",
            401 => "Unauthorized",
            404 => "Not Found",
            405 => "Method Not Allowed",
            429 => "Too Many Requests",
            503 => "Service Unavailable",
            _ => "Internal Server Error",
        };
        let mut head = format!("HTTP/1.1 {status} {reason}\r\nContent-Length: {}\r\n", body.len());
        headers.iter().for_each(|(name, value)| head += &format!("{name}: {value}\r\n"));
        Some([head.as_bytes(), b"\r\n", body].concat())
    }
}

pub(crate) fn answer(fake: &Fake, request: &Request) -> Answer {
    let path = request.path.as_str();
    if path == "/v2/read" {
        return gateway(fake, request);
    }
    if path.starts_with("/api/v1/") {
        return cache::answer(fake, request);
    }
    if let Some(group) = path.strip_prefix("/firehose/") {
        return firehose(fake, request, group);
    }
    if let Some(app) = path.strip_prefix("/apps/").and_then(|rest| rest.strip_suffix("/stream")) {
        return stream(fake, request, app);
    }
    if !fake.today && ["/tail/", "/dump/", "/recent"].contains(&path) {
        return legacy(fake, request, path);
    }
    Answer::text(404, "404 page not found\n").with("X-Content-Type-Options", "nosniff")
}

/// The server of the first generation.
fn legacy(fake: &Fake, request: &Request, path: &str) -> Answer {
    let refuse = |why: &str| {
        let body = format!("You are not authorized. Error: {why}");
        Answer::text(401, &body).with("Www-Authenticate", "Basic")
    };
    if request.method == "HEAD" {
        return Answer::empty(200);
    }
    if request.value("app").is_none_or(str::is_empty) {
        return refuse("Invalid target");
    }
    let given = request.token().or_else(|| request.value("authorization").map(str::to_owned));
    match given {
        None => return refuse("Authorization not provided"),
        Some(token) if fake.who(&token).is_none() => return refuse("Invalid authorization"),
        Some(_) => {}
    }
    match path {
        "/tail/" => Answer::Serve(Service::Tail),
        "/dump/" => Answer::Serve(Service::Dump),
        _ => recent::answer(fake),
    }
}

/// The traffic controller's: what the cloud controller says of an application.
fn stream(fake: &Fake, request: &Request, app: &str) -> Answer {
    if !is_guid(app) {
        return Answer::empty(401);
    }
    let known = request.token().is_some_and(|token| fake.who(&token).is_some());
    // Applications whose number says what becomes of them.
    match app.rsplit('-').next() {
        _ if !known => Answer::empty(401).with("Www-Authenticate", "Basic"),
        Some("000000000404") => Answer::empty(404),
        Some("000000000500") => Answer::empty(500),
        _ => Answer::Serve(Service::Stream),
    }
}

fn firehose(fake: &Fake, request: &Request, group: &str) -> Answer {
    let refuse = |why: &str| {
        let body = format!("You are not authorized. {why}");
        Answer::text(401, &body).with("Www-Authenticate", "Basic")
    };
    match request.token() {
        None => refuse("authorization not provided"),
        Some(token) if fake.who(&token) != Some(Who::Admin) => refuse("invalid authorization"),
        Some(_) => Answer::Serve(Service::Firehose(group.to_owned())),
    }
}

fn gateway(fake: &Fake, request: &Request) -> Answer {
    let say = |status: u16, message: &str, error: &str| {
        let body = format!("{{\"message\":\"{message}\",\"error\":\"{error}\"}}\n\n");
        Answer::text(status, &body)
    };
    let not_found = || say(404, "resource not found", "not_found");
    let Some(who) = request.token().and_then(|token| fake.who(&token)) else { return not_found() };
    let sources: Vec<_> = request.values("source_id").filter(|source| !source.is_empty()).collect();
    if who != Who::Admin && (sources.is_empty() || !sources.iter().all(|id| is_guid(id))) {
        return not_found();
    }
    if request.method != "GET" {
        return say(405, "method not allowed", "method_not_allowed");
    }
    if request.query.is_empty() {
        return say(400, "query cannot be empty", "empty_query");
    }
    let selection = selection(request);
    if selection.selectors.is_empty() {
        let message = "query must provide at least one envelope type";
        return say(400, message, "missing_envelope_type");
    }
    Answer::Serve(Service::Gateway(selection))
}

fn selection(request: &Request) -> Selection {
    let mut sources: Vec<_> = request.values("source_id").map(str::to_owned).collect();
    if sources.is_empty() {
        sources.push(String::new());
    }
    let mut kinds: Vec<(&'static str, Vec<String>)> = Vec::new();
    for kind in ["log", "counter", "gauge", "timer", "event"] {
        let key = format!("{kind}.name");
        let named: Vec<_> = match kind {
            "counter" => request.values(&key).map(|name| vec![name.to_owned()]).collect(),
            "gauge" => {
                let list = |names: &str| names.split(',').map(str::to_owned).collect();
                request.values(&key).map(list).collect()
            }
            _ => Vec::new(),
        };
        if !named.is_empty() {
            kinds.extend(named.into_iter().map(|names| (kind, names)));
        } else if request.value(kind).is_some() {
            kinds.push((kind, Vec::new()));
        }
    }
    let selectors = sources.iter().flat_map(|source_id| {
        kinds.iter().map(|(kind, names)| Selector {
            source_id: source_id.clone(),
            kind,
            names: names.clone(),
        })
    });
    let first = |key: &str| request.value(key).unwrap_or_default().to_owned();
    Selection {
        shard_id: first("shard_id"),
        deterministic_name: first("deterministic_name"),
        selectors: selectors.collect(),
    }
}

fn is_guid(text: &str) -> bool {
    let lengths: Vec<_> = text.split('-').map(str::len).collect();
    lengths == [8, 4, 4, 4, 12] && text.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
}
