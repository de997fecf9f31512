//! A web socket over a connection: the handshake, and moving bytes to and from the machine.

use std::time::Duration;

use bytes::Bytes;
use hyper::header::{CONNECTION, UPGRADE};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::{Instant, timeout_at};
use tungstenite::handshake::client::generate_key;
use tungstenite::handshake::derive_accept_key;

use super::dial::{Dialer, Undialed};
use super::endpoint::{self, Endpoint, without_user};
use super::error::{ClientError, DialError, Service};
use super::http::{self, Ask, Guard};
use super::machine::{End, Machine, Payload};

/// How much of the body of a refusal is kept.
const MAX_BODY: usize = 1024;
/// One read of the socket.
const READ: usize = 64 << 10;
/// How long a close waits for its answer.
const CLOSE_TIME: Duration = Duration::from_secs(1);

/// An open web socket.
pub(crate) struct Socket {
    io: TokioIo<hyper::upgrade::Upgraded>,
    pub(crate) machine: Machine,
    /// Something was written and may not have left yet, as with TLS.
    dirty: bool,
    _guard: Guard,
}

/// What to connect to.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    /// As it was given.
    pub(crate) endpoint: String,
    pub(crate) path: String,
    pub(crate) service: Service,
    pub(crate) max_message: usize,
}

/// An error of the dial with a text.
pub(crate) fn dial_error(endpoint: &str, service: Service, undialed: Undialed) -> ClientError {
    match undialed {
        Undialed::Tls(error) => error,
        Undialed::Cause(cause) => ClientError::Dial(Box::new(DialError {
            cause,
            endpoint: without_user(endpoint),
            service,
            status: None,
            body: String::new(),
        })),
    }
}

pub(crate) fn timed_out(endpoint: &str, service: Service, limit: Duration) -> ClientError {
    let cause = format!("i/o timeout: no answer within {} s", limit.as_secs_f64());
    dial_error(endpoint, service, Undialed::Cause(cause))
}

impl Target {
    fn server(&self) -> Result<Endpoint, ClientError> {
        if self.service == Service::TrafficController {
            let scheme = self.endpoint.split_once("://").map_or("", |(scheme, _)| scheme);
            let scheme = scheme.to_ascii_lowercase();
            if !matches!(scheme.as_str(), "ws" | "wss") {
                let first = self.endpoint.split('/').next().unwrap_or_default();
                return Err(ClientError::NonRetry(if scheme.is_empty() && first.contains(':') {
                    match endpoint::web_socket(&self.endpoint, &self.path) {
                        Err(error) => error,
                        Ok(_) => format!("invalid scheme '{scheme}'"),
                    }
                } else {
                    format!("invalid scheme '{scheme}'")
                }));
            }
        }
        endpoint::web_socket(&self.endpoint, &self.path)
            .map_err(|cause| dial_error(&self.endpoint, self.service, Undialed::Cause(cause)))
    }

    /// Connects, within the dialer's limit of time.
    pub(crate) async fn connect(
        &self,
        dialer: &Dialer,
        token: &str,
    ) -> Result<Socket, ClientError> {
        let server = self.server()?;
        let deadline = Instant::now() + dialer.timeout;
        let opened = timeout_at(deadline, self.open(dialer, &server, token, deadline)).await;
        match opened {
            Ok(opened) => opened,
            Err(_) => Err(timed_out(&self.endpoint, self.service, dialer.timeout)),
        }
    }

    async fn open(
        &self,
        dialer: &Dialer,
        server: &Endpoint,
        token: &str,
        deadline: Instant,
    ) -> Result<Socket, ClientError> {
        let key = generate_key();
        let origin = match self.service {
            Service::Loggregator => "http://localhost".to_owned(),
            _ => without_user(&self.endpoint),
        };
        let target = if server.rest.starts_with('/') {
            server.rest.clone()
        } else {
            format!("/{}", server.rest)
        };
        let headers = [
            ("Connection", "Upgrade"),
            ("Origin", origin.as_str()),
            ("Sec-WebSocket-Key", key.as_str()),
            ("Sec-WebSocket-Version", "13"),
            ("Upgrade", "websocket"),
        ];
        let ask = Ask { server, target: &target, token: Some(token), headers: &headers };
        let failed = |cause| dial_error(&self.endpoint, self.service, cause);
        let mut answer = http::send(dialer, &ask).await.map_err(failed)?;
        let has = |name: &str, word: &str| {
            let words = answer.header(name).unwrap_or_default().split(',');
            words.map(str::trim).any(|one| one.eq_ignore_ascii_case(word))
        };
        let accepted = answer.header("sec-websocket-accept");
        let upgraded = answer.status() == 101
            && has(UPGRADE.as_str(), "websocket")
            && has(CONNECTION.as_str(), "upgrade")
            && accepted == Some(derive_accept_key(key.as_bytes()).as_str());
        if !upgraded {
            return Err(self.refused(&mut answer, deadline).await);
        }
        let upgraded = hyper::upgrade::on(answer.response).await;
        let upgraded = upgraded.map_err(|error| failed(Undialed::Cause(error.to_string())))?;
        Ok(Socket {
            io: TokioIo::new(upgraded),
            machine: Machine::new(self.max_message),
            dirty: false,
            _guard: answer.guard,
        })
    }

    async fn refused(&self, answer: &mut http::Answer, deadline: Instant) -> ClientError {
        let status = answer.status().as_u16();
        let body = match status {
            101 => Bytes::new(),
            _ => answer.body(MAX_BODY, deadline).await.0,
        };
        let body = String::from_utf8_lossy(&body).into_owned();
        if status == 401 && self.service == Service::Loggregator {
            return ClientError::Unauthorized(body);
        }
        let cause = match status {
            401 => ClientError::Unauthorized(body.clone()).to_string(),
            _ => "websocket: bad handshake".to_owned(),
        };
        let dial = Box::new(DialError {
            cause,
            endpoint: without_user(&self.endpoint),
            service: self.service,
            status: Some(status),
            body,
        });
        if status == 401 { ClientError::UnauthorizedStream(dial) } else { ClientError::Dial(dial) }
    }
}

impl Socket {
    /// Writes what there is, then reads once.
    ///
    /// # Cancel safety
    /// What was read is in the machine, and what was not written still is.
    pub(crate) async fn turn(&mut self) -> Result<(), End> {
        let Self { io, machine, dirty, .. } = self;
        while !machine.output.is_empty() {
            let written = io.write(&machine.output).await.map_err(broken)?;
            machine.output.drain(..written);
            *dirty = true;
        }
        if *dirty {
            io.flush().await.map_err(broken)?;
            *dirty = false;
        }
        machine.input.reserve(READ);
        match io.read_buf(&mut machine.input).await {
            Ok(0) => Err(End::Eof),
            Ok(_) => Ok(()),
            Err(error) => Err(broken(error)),
        }
    }

    /// Sends what is left, waits for the server's close if ours was the first, and ends. Messages
    /// that come meanwhile are given to `sink`.
    pub(crate) async fn finish(&mut self, mut sink: impl FnMut(Payload<'_>)) {
        let deadline = Instant::now() + CLOSE_TIME;
        let closing = async {
            while self.machine.end().is_none() {
                if self.turn().await.is_err() {
                    return;
                }
                while let Some(message) = self.machine.next() {
                    sink(message);
                }
            }
            let _ = self.io.write_all(&self.machine.output).await;
            let _ = self.io.shutdown().await;
        };
        // A server that does not answer in time is left alone.
        let _ = timeout_at(deadline, closing).await;
    }
}

fn broken(error: std::io::Error) -> End {
    match error.kind() {
        std::io::ErrorKind::UnexpectedEof => End::Eof,
        _ => End::Io(error.to_string()),
    }
}
