//! HTTP requests.

use std::convert::Infallible;
use std::future::poll_fn;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Body as _, Incoming};
use hyper::ext::ReasonPhrase;
use hyper::header::{
    ALLOW, CONNECTION, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderMap, HeaderValue,
    SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_VERSION, UPGRADE, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use hyper::{Request, Response, StatusCode};
use tokio::time::{Instant, sleep_until, timeout};

use super::{Agreed, Shared, access, handshake};
use crate::http::{Answer, Route, begin, route};
use crate::{Flight, Session, SessionError};

type Body = Full<Bytes>;
type Slot = Arc<Mutex<Option<Agreed>>>;

const PAGE: &str = include_str!("page.html");
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; \
     connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Answers a request; one that becomes a web socket is put into the slot.
pub(super) async fn answer(
    shared: Arc<Shared>,
    slot: Slot,
    peer: IpAddr,
    mut request: Request<Incoming>,
) -> Result<Response<Body>, Infallible> {
    shared.counters.http_requests.add(1);
    let has_body = !request.body().is_end_stream();
    if let Err(refusal) = access::check(&shared.config.access, request.headers()) {
        shared.counters.refused.add(1);
        return Ok(ending(has_body, response(refusal)));
    }
    let upgrade = handshake::asks(request.method(), request.version(), request.headers());
    let route = route(
        request.method().as_str(),
        request.uri().path(),
        upgrade,
        shared.config.websocket_enabled,
        &shared.options,
        &shared.registry,
    );
    Ok(match route {
        Route::Answer(answer) => {
            let is_read = !has_body || body(&shared, request.into_body()).await.is_ok();
            ending(!is_read, response(answer))
        }
        Route::Page => ending(has_body, page()),
        Route::Ingest(ingestor) => response(ingest(&shared, ingestor, peer, request).await),
        Route::WebSocket(ingestor) => match agree(&shared, ingestor.as_deref(), peer, &mut request)
        {
            Err(answer) => ending(has_body, response(answer)),
            Ok((accept, agreed)) => {
                *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(agreed);
                switching(accept)
            }
        },
    })
}

/// The opening handshake. Offered protocols and extensions are not taken up.
fn agree(
    shared: &Shared,
    ingestor: Option<&str>,
    peer: IpAddr,
    request: &mut Request<Incoming>,
) -> Result<(HeaderValue, Agreed), Answer> {
    let accept = handshake::accept(request.headers())?;
    let fields = fields(request.headers());
    let fields = fields.iter().map(|(name, value)| (*name, &**value));
    let session = Session::new(Arc::clone(&shared.options), fields, ingestor, shared.seed())
        .map_err(|error| match error {
            SessionError::Ack(value) => crate::http::bad_ack(&value),
            SessionError::TooMuchMetadata => Answer::header_too_large(),
        })?;
    let session = session.of_peer(peer);
    Ok((accept, Agreed { session, stream: hyper::upgrade::on(request) }))
}

/// The header as text. Bytes that are not UTF-8 are replaced.
fn fields(header: &HeaderMap) -> Vec<(&str, std::borrow::Cow<'_, str>)> {
    let text = |value: &'_ HeaderValue| -> std::borrow::Cow<'_, str> {
        String::from_utf8_lossy(value.as_bytes()).into_owned().into()
    };
    header.iter().map(|(name, value)| (name.as_str(), text(value))).collect()
}

/// The whole body of a request.
async fn body(shared: &Shared, body: Incoming) -> Result<Bytes, Answer> {
    let body = Limited::new(body, shared.options.limits.message).collect();
    match timeout(shared.config.request_time, body).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => {
            Err(Answer::too_large())
        }
        Ok(Err(_)) => Err(Answer::bad_request("The body could not be read.")),
        Err(_) => Err(Answer::too_slow()),
    }
}

async fn ingest(
    shared: &Arc<Shared>,
    ingestor: Option<String>,
    peer: IpAddr,
    request: Request<Incoming>,
) -> Answer {
    let (head, body) = request.into_parts();
    let body = match self::body(shared, body).await {
        Ok(body) => body,
        Err(answer) => return answer,
    };
    let fields = fields(&head.headers);
    let fields = fields.iter().map(|(name, value)| (*name, &**value));
    let (query, seed) = (head.uri.query(), shared.seed());
    let begun = begin(&shared.options, fields, ingestor.as_deref(), query, body, seed);
    let (http, request) = match begun {
        Ok(begun) => begun,
        Err(answer) => return answer,
    };
    shared.counters.requests.add(1);
    let now = Instant::now().into_std();
    let list = shared.registry.list();
    let mut flight =
        Flight::start(vec![request.from_peer(peer)], &list, Arc::clone(&shared.options), now);
    let answer = drive(&mut flight, |decided| http.answer(&decided)).await;
    shared.counters.reports.add(1);
    answer
}

/// Runs the one request of a flight to its end.
async fn drive(
    flight: &mut Flight,
    mut report: impl FnMut(crate::Decided<'_>) -> Answer,
) -> Answer {
    loop {
        let mut answer = None;
        let mut sleep = pin!(sleep_until(match flight.deadline() {
            Some(deadline) => deadline.into(),
            None => Instant::now(),
        }));
        poll_fn(|wake| {
            let now = Instant::now().into_std();
            flight.poll(wake, now, |decided| answer = Some(report(decided)));
            if answer.is_some() || flight.is_done() {
                Poll::Ready(())
            } else {
                sleep.as_mut().poll(wake)
            }
        })
        .await;
        if let Some(answer) = answer {
            return answer;
        }
        if flight.is_done() {
            return Answer::bad_request("Nothing was asked.");
        }
    }
}

fn response(answer: Answer) -> Response<Body> {
    let mut response = Response::new(Full::new(Bytes::from(answer.body)));
    *response.status_mut() =
        StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    if response.status().canonical_reason() != Some(&*answer.reason)
        // What holds a control character, or anything that is not ASCII, is left out.
        && answer.reason.bytes().all(|byte| matches!(byte, b' '..=b'~'))
        && let Ok(reason) = ReasonPhrase::try_from(answer.reason.as_bytes())
    {
        response.extensions_mut().insert(reason);
    }
    let header = response.headers_mut();
    header.insert(CONTENT_TYPE, HeaderValue::from_static(answer.content_type));
    header.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if let Some(allow) = answer.allow {
        header.insert(ALLOW, HeaderValue::from_static(allow));
    }
    match answer.status {
        401 => {
            header.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        426 => {
            header.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
            header.insert(UPGRADE, HeaderValue::from_static("websocket"));
            header.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        }
        // Nothing more can be read: part of a body is in the way.
        408 | 413 => {
            header.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        _ => {}
    }
    response
}

/// An answer that comes before the body of its request is read ends the connection, and says so: the
/// body is in the way of the next request.
fn ending(ends: bool, mut response: Response<Body>) -> Response<Body> {
    if ends {
        response.headers_mut().append(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

fn switching(accept: HeaderValue) -> Response<Body> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let header = response.headers_mut();
    header.insert(UPGRADE, HeaderValue::from_static("websocket"));
    header.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    header.insert(SEC_WEBSOCKET_ACCEPT, accept);
    response
}

fn page() -> Response<Body> {
    let mut response = Response::new(Full::new(Bytes::from_static(PAGE.as_bytes())));
    let header = response.headers_mut();
    header.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=UTF-8"));
    header.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    header.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}
