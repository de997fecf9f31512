//! One connection to the gateway.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt as _;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::Gateway;
use crate::client::endpoint::Endpoint;
use crate::client::error::{ClientError, Service};
use crate::client::http::{self, Answer, Ask};
use crate::client::item::Reason;
use crate::client::legacy::answered;
use crate::client::machine::End;
use crate::client::socket::{dial_error, timed_out};
use crate::client::token::refused_or_not_found;
use crate::json::{Batch, decode_batch};
use crate::sse::SseDecoder;

/// How long what stands behind a closing event is waited for.
const LAST_READS: Duration = Duration::from_secs(5);
const MAX_BODY: usize = 1024;

/// What happened on a connection.
#[derive(Debug)]
pub(super) enum Event {
    /// It is open.
    Open,
    /// Envelopes came, and the text that they were read from.
    Batch(Batch, Bytes),
    /// A sign of life.
    Alive,
    /// The gateway is about to close it.
    Closing,
    /// It is over, or was never open.
    Over(Reason),
}

/// Connects, and tells all that happens until it is over.
pub(super) async fn run(
    gateway: Gateway,
    target: String,
    id: u64,
    events: mpsc::Sender<(u64, Event)>,
) {
    let reason = match connect(&gateway, &target).await {
        Err(error) => Reason::Error(error),
        Ok(mut answer) => match read(&gateway, &mut answer, id, &events).await {
            Some(end) => Reason::End(end),
            None => return,
        },
    };
    // The supervisor may be gone.
    let _ = events.send((id, Event::Over(reason))).await;
}

/// Connects; once more with a new token, where the answer may mean that it has run out.
async fn connect(gateway: &Gateway, target: &str) -> Result<Answer, ClientError> {
    let open = |token: String| async move { open(gateway, target, &token).await };
    gateway.tokens.ask(refused_or_not_found, open).await
}

async fn open(gateway: &Gateway, target: &str, token: &str) -> Result<Answer, ClientError> {
    let settings = &gateway.settings;
    let (endpoint, service) = (&settings.endpoint, Service::Gateway);
    let server = Endpoint::parse(endpoint).map_err(ClientError::Endpoint)?;
    let target = format!("{}{target}", server.rest.trim_end_matches('/'));
    let headers = [("Accept", "text/event-stream"), ("Cache-Control", "no-cache")];
    let ask = Ask { server: &server, target: &target, token: Some(token), headers: &headers };
    let deadline = Instant::now() + settings.dialer.timeout;
    let mut answer = timeout_at(deadline, http::get(&settings.dialer, &ask))
        .await
        .map_err(|_| timed_out(endpoint, service, settings.dialer.timeout))?
        .map_err(|cause| dial_error(endpoint, service, cause))?;
    let status = answer.status().as_u16();
    if status != 200 {
        let (body, _) = answer.body(MAX_BODY, deadline).await;
        let body = String::from_utf8_lossy(&body).into_owned();
        return Err(answered(endpoint, service, status, body));
    }
    Ok(answer)
}

/// Reads until the end; none when nobody wants to know.
async fn read(
    gateway: &Gateway,
    answer: &mut Answer,
    id: u64,
    events: &mpsc::Sender<(u64, Event)>,
) -> Option<End> {
    events.send((id, Event::Open)).await.ok()?;
    let settings = &gateway.settings;
    let mut decoder = SseDecoder::new(settings.max_event);
    let mut closing = None;
    loop {
        let idle = settings.idle.map(|idle| Instant::now() + idle);
        let late = async {
            match closing.or(idle) {
                Some(at) => sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        let frame = tokio::select! {
            frame = answer.response.body_mut().frame() => frame,
            () = late => {
                let millis = settings.idle.map_or(0, |idle| idle.as_millis());
                let idle = End::Idle(u64::try_from(millis).unwrap_or(u64::MAX));
                return Some(if closing.is_some() { closed() } else { idle });
            }
            () = events.closed() => return None,
        };
        let data = match frame {
            None if closing.is_some() => return Some(closed()),
            None => return Some(End::Eof),
            Some(Err(_)) if closing.is_some() => return Some(closed()),
            Some(Err(error)) => {
                return Some(broken(&error));
            }
            Some(Ok(frame)) => frame.into_data().unwrap_or_default(),
        };
        let mut found = Vec::new();
        let pushed = decoder.push_shared(data, |event| found.push(event));
        let mut alive = true;
        for event in found {
            let told = match event.name.as_str() {
                "" | "message" => Event::Batch(decode_batch(&event.data), event.data),
                "closing" => {
                    closing = Some(Instant::now() + LAST_READS);
                    Event::Closing
                }
                // Heartbeats, and what later gateways may send.
                _ => Event::Alive,
            };
            alive = false;
            events.send((id, told)).await.ok()?;
        }
        if alive {
            events.send((id, Event::Alive)).await.ok()?;
        }
        if let Err(long) = pushed {
            return Some(End::TooLong { limit: long.limit });
        }
    }
}

/// What broke a connection.
fn broken(error: &hyper::Error) -> End {
    let first: &(dyn std::error::Error + 'static) = error;
    let mut chain = std::iter::successors(Some(first), |error| error.source());
    let cut = |error: &(dyn std::error::Error + 'static)| {
        let io = error.downcast_ref::<std::io::Error>();
        io.is_some_and(|io| io.kind() == std::io::ErrorKind::UnexpectedEof)
    };
    if error.is_incomplete_message() || chain.clone().any(cut) {
        return End::Eof;
    }
    let first = chain.next().map(ToString::to_string).unwrap_or_default();
    End::Io(chain.fold(first, |all, error| format!("{all}: {error}")))
}

/// The end that the gateway told before.
fn closed() -> End {
    End::Closed { code: None, text: "closing due to stream timeout".to_owned() }
}
