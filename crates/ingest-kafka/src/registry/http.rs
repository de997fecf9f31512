//! One question to a registry, over a connection of its own: answers are remembered, so that there
//! are few.

use std::fmt::Write as _;

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::header::{ACCEPT, AUTHORIZATION, HOST, HeaderValue, USER_AGENT};
use hyper::rt::{Read, Write};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::error::RegistryError;
use super::options::RegistryOptions;
use super::tls;
use crate::avro::{AvroError, AvroSchema};

const ACCEPTED: &str = "application/vnd.schemaregistry.v1+json, application/json";
const AGENT: &str = concat!("ingestry/", env!("CARGO_PKG_VERSION"));
/// Characters of an answer that an error repeats.
const SHOWN: usize = 200;

pub(super) struct Client {
    /// Without a slash at the end.
    url: String,
    host: String,
    port: u16,
    /// `HOST:PORT` as a header has it.
    authority: HeaderValue,
    /// Behind the port, without a slash at the end.
    path: String,
    tls: Option<(TlsConnector, ServerName<'static>)>,
    authorization: Option<HeaderValue>,
    timeout: std::time::Duration,
    max_answer: usize,
}

/// What a URL says.
#[derive(Debug)]
struct Place<'a> {
    /// Without a slash at the end.
    url: &'a str,
    secure: bool,
    /// `HOST:PORT` as a header has it.
    authority: &'a str,
    host: &'a str,
    port: u16,
    /// Behind the port, without a slash at the end.
    path: &'a str,
}

impl<'a> Place<'a> {
    fn read(url: &'a str) -> Result<Self, RegistryError> {
        let wrong = |why: &str| Err(RegistryError::Settings(why.to_owned()));
        let url = url.trim_end_matches('/');
        let legal = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'?' | b'#' | b'@');
        if !url.bytes().all(legal) {
            return wrong("a URL of ASCII, without a question, a fragment and a user");
        }
        let (secure, rest) = match url.split_once("://") {
            Some(("http", rest)) => (false, rest),
            Some(("https", rest)) => (true, rest),
            _ => return wrong("http://HOST:PORT or https://HOST:PORT"),
        };
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let Some((host, port)) = split(authority, if secure { 443 } else { 80 }) else {
            return wrong("no HOST:PORT in it");
        };
        Ok(Self { url, secure, authority, host, port, path })
    }
}

/// Whether a URL can be one of a registry.
pub(super) fn check(url: &str) -> Result<(), RegistryError> {
    Place::read(url).map(drop)
}

impl Client {
    pub(super) fn new(options: &RegistryOptions) -> Result<Self, RegistryError> {
        let wrong = |why: &str| RegistryError::Settings(why.to_owned());
        let Place { url, secure, authority, host, port, path } = Place::read(&options.url)?;
        let tls = match secure {
            false => None,
            true => {
                let name = ServerName::try_from(host.to_owned());
                let name = name.map_err(|_| wrong("a host that no certificate is for"))?;
                Some((tls::connector(options.authority.as_deref())?, name))
            }
        };
        let header = HeaderValue::from_str(authority).map_err(|_| wrong("no HOST:PORT in it"))?;
        let authorization = options.credentials.as_ref().map(|(user, password)| {
            let text = format!("Basic {}", base64(format!("{user}:{password}").as_bytes()));
            let mut value = HeaderValue::from_str(&text)
                .map_err(|_| wrong("a user or a password that HTTP cannot carry"))?;
            value.set_sensitive(true);
            Ok::<_, RegistryError>(value)
        });
        Ok(Self {
            url: url.to_owned(),
            host: host.to_owned(),
            port,
            authority: header,
            path: path.to_owned(),
            tls,
            authorization: authorization.transpose()?,
            timeout: options.timeout,
            max_answer: options.max_answer,
        })
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// The schema of a subject.
    pub(super) async fn schema(
        &self,
        subject: &str,
        version: Option<u32>,
    ) -> Result<AvroSchema, RegistryError> {
        let version = version.map_or_else(|| "latest".to_owned(), |version| version.to_string());
        let target = format!("{}/subjects/{}/versions/{version}", self.path, encode(subject));
        let asked = timeout(self.timeout, self.get(&target)).await;
        let (status, body) = asked.map_err(|_| RegistryError::TimedOut(self.timeout))??;
        read(status, &body)
    }

    async fn get(&self, target: &str) -> Result<(u16, Bytes), RegistryError> {
        let unreachable = |error: std::io::Error| RegistryError::Unreachable(error.to_string());
        let stream =
            TcpStream::connect((self.host.as_str(), self.port)).await.map_err(unreachable)?;
        match &self.tls {
            None => self.ask(TokioIo::new(stream), target).await,
            Some((connector, name)) => {
                let stream = connector.connect(name.clone(), stream).await.map_err(unreachable)?;
                self.ask(TokioIo::new(stream), target).await
            }
        }
    }

    async fn ask(
        &self,
        stream: impl Read + Write + Unpin + Send + 'static,
        target: &str,
    ) -> Result<(u16, Bytes), RegistryError> {
        let broken = |error: hyper::Error| RegistryError::Unreachable(error.to_string());
        let mut request = Request::get(target)
            .header(HOST, &self.authority)
            .header(USER_AGENT, AGENT)
            .header(ACCEPT, ACCEPTED);
        if let Some(authorization) = &self.authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        let request = request
            .body(Empty::<Bytes>::new())
            .map_err(|error| RegistryError::Answer(error.to_string()))?;
        let (mut sender, connection) = http1::handshake(stream).await.map_err(broken)?;
        let answered = async {
            let response = sender.send_request(request).await.map_err(broken)?;
            let status = response.status().as_u16();
            Ok((status, self.body(response).await?))
        };
        let mut answered = std::pin::pin!(answered);
        let mut connection = std::pin::pin!(connection);
        tokio::select! {
            biased;
            answer = &mut answered => answer,
            // What ends the connection is told to whoever waits for the answer.
            _ = &mut connection => answered.await,
        }
    }

    async fn body(&self, mut response: Response<Incoming>) -> Result<Bytes, RegistryError> {
        let mut body = BytesMut::new();
        while let Some(frame) = response.body_mut().frame().await {
            let frame = frame.map_err(|error| RegistryError::Unreachable(error.to_string()))?;
            let Ok(data) = frame.into_data() else { continue };
            if body.len() + data.len() > self.max_answer {
                return Err(RegistryError::TooLarge(self.max_answer));
            }
            body.extend_from_slice(&data);
        }
        Ok(body.freeze())
    }
}

/// What an answer means.
fn read(status: u16, body: &[u8]) -> Result<AvroSchema, RegistryError> {
    let answer: Option<Value> = serde_json::from_slice(body).ok();
    let field = |name: &str| answer.as_ref().and_then(|answer| answer.get(name));
    let text = |name: &str| field(name).and_then(Value::as_str);
    let shown = || String::from_utf8_lossy(body).chars().take(SHOWN).collect::<String>();
    if status != 200 {
        let text = text("message").map(|text| text.chars().take(SHOWN).collect());
        let code = field("error_code").and_then(Value::as_u64).unwrap_or_else(|| status.into());
        return Err(RegistryError::Refused { status, code, text: text.unwrap_or_else(shown) });
    }
    let id = field("id").and_then(Value::as_u64).and_then(|id| u32::try_from(id).ok());
    let (Some(id), Some(schema)) = (id, text("schema")) else {
        return Err(RegistryError::Answer(shown()));
    };
    let kind = text("schemaType").unwrap_or("AVRO");
    if kind != "AVRO" {
        return Err(AvroError::Schema(format!("It is of type {kind}, not of Avro.")).into());
    }
    if field("references").and_then(Value::as_array).is_some_and(|all| !all.is_empty()) {
        let why = "It refers to schemas of other subjects, which are not read here.";
        return Err(AvroError::Schema(why.to_owned()).into());
    }
    Ok(AvroSchema::parse(id, schema)?)
}

/// Host, without brackets, and port.
fn split(authority: &str, default: u16) -> Option<(&str, u16)> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']')?;
            (host, port)
        }
        None => authority.split_at(authority.find(':').unwrap_or(authority.len())),
    };
    let port = match port.strip_prefix(':') {
        None if port.is_empty() => default,
        None => return None,
        Some(port) => port.parse().ok().filter(|port| *port > 0)?,
    };
    (!host.is_empty()).then_some((host, port))
}

/// A segment of a path.
fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            // Writing into a text does not fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let number = (0..3).fold(0_usize, |number, at| {
            number << 8 | usize::from(chunk.get(at).copied().unwrap_or_default())
        });
        for place in 0..4 {
            let letter =
                LETTERS.get(number >> (18 - 6 * place) & 63).filter(|_| place <= chunk.len());
            out.push(letter.map_or('=', |letter| char::from(*letter)));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(url: &str) -> Result<Client, RegistryError> {
        Client::new(&RegistryOptions::new(url))
    }

    #[test]
    fn urls() {
        let whole = client("http://[::1]:8081/api/").unwrap();
        assert_eq!((whole.host.as_str(), whole.port, whole.path.as_str()), ("::1", 8081, "/api"));
        assert_eq!(
            (whole.url(), whole.authority.to_str().unwrap()),
            ("http://[::1]:8081/api", "[::1]:8081")
        );
        let short = client("http://registry").unwrap();
        assert_eq!((short.host.as_str(), short.port, short.path.as_str()), ("registry", 80, ""));
        let bad = [
            "registry:8081",
            "ftp://a",
            "http://",
            "http://:1",
            "http://a:0",
            "http://a:x",
            "http://[::1",
            "http://u:p@a",
            "http://a/?b",
            "http://a b",
        ];
        for url in bad {
            assert!(matches!(client(url), Err(RegistryError::Settings(_))), "{url}");
        }
    }

    #[test]
    fn texts_in_requests() {
        assert_eq!(encode("a.b-c_d~"), "a.b-c_d~");
        assert_eq!(encode("a/b ü"), "a%2Fb%20%C3%BC");
        for (plain, coded) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("u:pä", "dTpww6Q=")]
        {
            assert_eq!(base64(plain.as_bytes()), coded);
        }
    }

    #[test]
    fn what_answers_mean() {
        let record = r#"{"id":7,"schema":"{\"type\":\"record\",\"name\":\"r\",\"fields\":[]}"}"#;
        assert_eq!(read(200, record.as_bytes()).unwrap().id(), 7);
        let refused = read(404, br#"{"error_code":40401,"message":"Subject 'x' not found."}"#);
        let refused = refused.unwrap_err();
        assert_eq!(refused.to_string(), "Subject 'x' not found.; error code: 40401");
        assert!(refused.is_of_request());
        let busy = read(503, b"<html>").unwrap_err();
        assert_eq!(busy.to_string(), "<html>; error code: 503");
        assert!(!busy.is_of_request());
        for body in ["", "{}", r#"{"id":-1,"schema":""}"#, r#"{"id":4294967296,"schema":""}"#] {
            let error = read(200, body.as_bytes()).unwrap_err();
            assert!(matches!(error, RegistryError::Answer(_)), "{body} {error}");
        }
        for body in [
            r#"{"id":1,"schema":"{"}"#,
            r#"{"id":1,"schema":"","schemaType":"JSON"}"#,
            r#"{"id":1,"schema":"\"long\"","references":[{}]}"#,
        ] {
            let none = read(200, body.as_bytes()).unwrap_err();
            assert!(matches!(none, RegistryError::Schema(_)) && none.is_of_request(), "{none}");
        }
    }
}
