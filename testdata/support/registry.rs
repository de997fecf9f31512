//! A small schema registry for tests: HTTP on loopback, one request a connection, schemas in memory.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What it does with a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(dead_code, reason = "not every test needs all of it")]
pub(crate) enum Mood {
    /// It answers it.
    #[default]
    Well,
    /// It reads it, and says nothing.
    Silent,
    /// It closes the connection.
    Gone,
    /// It answers this.
    Odd(String),
}

/// What a registry has, and what it was asked.
#[derive(Debug, Default)]
pub(crate) struct State {
    /// By subject, the versions from 1 on: number and schema.
    pub(crate) subjects: BTreeMap<String, Vec<(u32, String)>>,
    /// Targets, in order.
    pub(crate) asked: Vec<String>,
    /// The last request's `authorization`.
    pub(crate) authorization: Option<String>,
    pub(crate) mood: Mood,
    /// Connections that are kept open, unanswered.
    silent: Vec<TcpStream>,
}

/// A registry that runs until the process ends.
#[derive(Debug)]
pub(crate) struct Registry {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

impl Registry {
    /// One without schemas.
    pub(crate) fn start() -> std::io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // Whoever goes away meanwhile gets no answer.
                let _ = serve(stream, &shared);
            }
        });
        Ok(Self { address, state })
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One more version of a subject.
    pub(crate) fn add(&self, subject: &str, id: u32, schema: &str) {
        let mut state = self.state();
        state.subjects.entry(subject.to_owned()).or_default().push((id, schema.to_owned()));
    }
}

fn serve(mut stream: TcpStream, state: &Mutex<State>) -> std::io::Result<()> {
    let mut authorization = None;
    let mut target = String::new();
    for (at, line) in BufReader::new(Read::by_ref(&mut stream)).lines().enumerate() {
        let line = line?;
        if at == 0 {
            target = line.split(' ').nth(1).unwrap_or_default().to_owned();
        }
        if let Some((name, value)) = line.split_once(": ")
            && name.eq_ignore_ascii_case("authorization")
        {
            authorization = Some(value.to_owned());
        }
        if line.is_empty() {
            break;
        }
    }
    let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
    state.asked.push(target.clone());
    state.authorization = authorization;
    match state.mood.clone() {
        Mood::Well => stream.write_all(http(&answer(&state, &target)).as_bytes()),
        Mood::Odd(text) => stream.write_all(text.as_bytes()),
        Mood::Gone => Ok(()),
        Mood::Silent => {
            state.silent.push(stream);
            Ok(())
        }
    }
}

fn http((status, body): &(u16, String)) -> String {
    format!(
        "HTTP/1.1 {status} X\r\nContent-Type: application/vnd.schemaregistry.v1+json\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}

fn answer(state: &State, target: &str) -> (u16, String) {
    let refused = |code: u32, text: &str| {
        (404, format!("{{\"error_code\":{code},\"message\":{}}}", quoted(text)))
    };
    let path = target.split('?').next().unwrap_or_default();
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    match parts.as_slice() {
        ["subjects", subject, "versions", version] => {
            let Some(versions) = state.subjects.get(*subject) else {
                return refused(40401, &format!("Subject '{subject}' not found."));
            };
            let at = match *version {
                "latest" => versions.len(),
                number => number.parse().unwrap_or(0),
            };
            let Some((id, schema)) = at.checked_sub(1).and_then(|at| versions.get(at)) else {
                return refused(40402, &format!("Version {version} not found."));
            };
            let (subject, schema) = (quoted(subject), quoted(schema));
            let text = "{\"subject\":SUBJECT,\"version\":VERSION,\"id\":ID,\"schema\":SCHEMA}";
            let text = text.replace("SUBJECT", &subject).replace("VERSION", &at.to_string());
            (200, text.replace("ID", &id.to_string()).replace("SCHEMA", &schema))
        }
        ["schemas", "ids", id] => {
            let mut all = state.subjects.values().flatten();
            match all.find(|(had, _)| had.to_string() == *id) {
                Some((_, schema)) => (200, format!("{{\"schema\":{}}}", quoted(schema))),
                None => refused(40403, "Schema not found"),
            }
        }
        _ => (404, "{\"error_code\":404,\"message\":\"HTTP 404 Not Found\"}".to_owned()),
    }
}

/// As JSON has it. There are no control characters in what is quoted here.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
