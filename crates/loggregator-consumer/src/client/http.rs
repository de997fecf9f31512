//! One request over a connection of its own.

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, HOST, HeaderValue, LOCATION, USER_AGENT};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};

use super::dial::{Dialer, Undialed};
use super::endpoint::Endpoint;

/// How many redirects are followed.
const MAX_REDIRECTS: usize = 10;

/// Ends a task with its owner.
#[derive(Debug)]
pub(crate) struct Guard(JoinHandle<()>);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// An answer, whose connection lives as long as the guard.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) response: Response<Incoming>,
    pub(crate) guard: Guard,
}

impl Answer {
    pub(crate) fn status(&self) -> StatusCode {
        self.response.status()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.response.headers().get(name).and_then(|value| value.to_str().ok())
    }

    /// The body, up to `limit` bytes and until the deadline, and whether all of it is there.
    pub(crate) async fn body(&mut self, limit: usize, deadline: Instant) -> (Bytes, bool) {
        let mut body = BytesMut::new();
        loop {
            match timeout_at(deadline, self.response.body_mut().frame()).await {
                Ok(Some(Ok(frame))) => {
                    let Ok(data) = frame.into_data() else { continue };
                    let room = limit - body.len();
                    body.extend_from_slice(data.get(..room.min(data.len())).unwrap_or_default());
                    if data.len() > room {
                        return (body.freeze(), false);
                    }
                }
                Ok(None) => return (body.freeze(), true),
                Ok(Some(Err(_))) | Err(_) => return (body.freeze(), false),
            }
        }
    }
}

/// What to ask for.
#[derive(Debug, Clone)]
pub(crate) struct Ask<'a> {
    pub(crate) server: &'a Endpoint,
    /// Path and query.
    pub(crate) target: &'a str,
    pub(crate) token: Option<&'a str>,
    pub(crate) headers: &'a [(&'static str, &'a str)],
}

fn cause(error: &dyn std::fmt::Display) -> Undialed {
    Undialed::Cause(error.to_string())
}

/// Sends a request and waits for the head of its answer.
pub(crate) async fn send(dialer: &Dialer, ask: &Ask<'_>) -> Result<Answer, Undialed> {
    let header = |text: &str| HeaderValue::from_str(text).map_err(|error| cause(&error));
    let mut request = Request::builder()
        .method(Method::GET)
        .uri(ask.target)
        .header(HOST, header(&ask.server.authority())?)
        .header(USER_AGENT, header(&dialer.agent)?);
    if let Some(token) = ask.token {
        let mut token = header(token)?;
        token.set_sensitive(true);
        request = request.header(AUTHORIZATION, token);
    }
    for (name, value) in ask.headers {
        request = request.header(*name, header(value)?);
    }
    let request = request.body(Empty::<Bytes>::new()).map_err(|error| cause(&error))?;
    let stream = dialer.connect(ask.server).await?;
    let (mut sender, connection) = hyper::client::conn::http1::Builder::new()
        .title_case_headers(true)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(|error| told(&error))?;
    let task = tokio::spawn(async move {
        // What ends it is told to whoever waits for an answer or its body.
        let _ = connection.with_upgrades().await;
    });
    let guard = Guard(task);
    let response = sender.send_request(request).await.map_err(|error| told(&error))?;
    Ok(Answer { response, guard })
}

/// What a person can use of an error of HTTP.
fn told(error: &hyper::Error) -> Undialed {
    if error.is_incomplete_message() || error.is_canceled() {
        return Undialed::Cause("unexpected EOF".to_owned());
    }
    if error.is_parse() {
        return Undialed::Cause(format!("malformed HTTP response ({error})"));
    }
    let source = std::error::Error::source(error);
    source.map_or_else(|| cause(error), |source| Undialed::Cause(format!("{error}: {source}")))
}

/// The same, following redirects. The token goes to the first host only.
pub(crate) async fn get(dialer: &Dialer, ask: &Ask<'_>) -> Result<Answer, Undialed> {
    let mut server = ask.server.clone();
    let mut target = ask.target.to_owned();
    let mut token = ask.token;
    for _ in 0..=MAX_REDIRECTS {
        let step = Ask { server: &server, target: &target, token, headers: ask.headers };
        let answer = send(dialer, &step).await?;
        let moved = matches!(answer.status().as_u16(), 301 | 302 | 303 | 307 | 308);
        let Some(location) = answer.header(LOCATION.as_str()).filter(|_| moved) else {
            return Ok(answer);
        };
        let next = if location.contains("://") {
            Endpoint::parse(location).map_err(Undialed::Cause)?
        } else if location.starts_with('/') {
            Endpoint { rest: location.to_owned(), ..server.clone() }
        } else {
            let folder = target.split('?').next().and_then(|path| path.rsplit_once('/'));
            let folder = folder.map_or("", |(folder, _)| folder);
            Endpoint { rest: format!("{folder}/{location}"), ..server.clone() }
        };
        if !matches!(next.scheme.as_str(), "http" | "https" | "ws" | "wss") {
            return Err(Undialed::Cause(format!("unsupported protocol scheme {:?}", next.scheme)));
        }
        // A token that was meant for TLS does not travel in clear text either.
        let same = next.host == server.host && (next.is_secure() || !server.is_secure());
        token = token.filter(|_| same);
        target =
            if next.rest.starts_with('/') { next.rest.clone() } else { format!("/{}", next.rest) };
        server = Endpoint { rest: String::new(), ..next };
    }
    Err(Undialed::Cause(format!("stopped after {MAX_REDIRECTS} redirects")))
}
