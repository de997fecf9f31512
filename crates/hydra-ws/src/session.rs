//! One web socket's session: messages in, replies and requests out. Sans-I/O.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::ack::{Ack, Validation};
use crate::command::Command;
use crate::ids::Ids;
use crate::metadata::Metadata;
use crate::options::{Dialect, Echo, Options};
use crate::reply;
use crate::request::{Context, Id, Request};

/// Restarts after which the recorded code of dialect `head` gives a session up.
const RESTARTS: u32 = 20;
/// The shortest and the longest pause before a restarted session listens again.
const PAUSES: (Duration, Duration) = (Duration::from_secs(3), Duration::from_secs(30));

/// What came of a message.
#[derive(Debug)]
pub enum Step {
    /// A reply was appended.
    Replied,
    /// A payload: whoever runs the session takes it to the ingestors, and sends the report.
    Request(Request),
    /// Nothing: the recorded code drops such a message without a word.
    Dropped,
}

/// Why a session cannot begin.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SessionError {
    /// The header fields are more metadata than [`crate::Limits`] admits.
    #[error("too much metadata in the header")]
    TooMuchMetadata,
    /// Dialect `head` does not know the value of `hydra-ack`.
    #[error("{0} is not a valid ack strategy.")]
    Ack(String),
}

/// A session: what one client has set, and the rules for what it sends.
#[derive(Debug)]
pub struct Session {
    options: Arc<Options>,
    context: Arc<Context>,
    ids: Ids,
    /// In the recorded code: the id of all messages that have none, until the next `SET`.
    repeated: Option<[u8; 8]>,
    paused_until: Option<Instant>,
    restarts: u32,
}

impl Session {
    /// A session whose client connected with these header fields, on the path of this ingestor
    /// (`None`: of none). `seed` makes the ids of messages without one; it should be random.
    ///
    /// Fields whose names begin with `hydra` become metadata in dialects `doc` and `seed`; those
    /// with `hydra-` do in `head`, unless it is recorded.
    ///
    /// # Errors
    /// [`SessionError`].
    pub fn new<'a>(
        options: Arc<Options>,
        fields: impl IntoIterator<Item = (&'a str, &'a str)>,
        ingestor: Option<&str>,
        seed: u64,
    ) -> Result<Self, SessionError> {
        let mut context = Context::default();
        if !options.is_recorded() {
            context.path = ingestor.map(Into::into);
        }
        for (name, value) in fields {
            if !is_metadata(name, &options) {
                continue;
            }
            match set(&mut context, &name.to_uppercase(), value, &options) {
                Ok(()) => {}
                Err(Refused::TooMuch) => return Err(SessionError::TooMuchMetadata),
                Err(Refused::Ack) => return Err(SessionError::Ack(value.to_owned())),
            }
        }
        Ok(Self {
            options,
            context: Arc::new(context),
            ids: Ids::new(seed),
            repeated: None,
            paused_until: None,
            restarts: 0,
        })
    }

    /// The same session, of this peer.
    #[must_use]
    pub fn of_peer(mut self, peer: IpAddr) -> Self {
        self.context = Arc::new(Context { peer: Some(peer), ..Context::clone(&self.context) });
        self
    }

    /// The rules of the session.
    #[must_use]
    pub fn options(&self) -> &Arc<Options> {
        &self.options
    }

    /// What has been set.
    #[must_use]
    pub fn metadata(&self) -> &Metadata {
        &self.context.metadata
    }

    /// Takes a text message that came in `frames` pieces. A reply is appended to `out`.
    pub fn text(&mut self, message: &Bytes, frames: u32, now: Instant, out: &mut Vec<u8>) -> Step {
        if frames > self.options.limits.frames {
            return self.too_many_frames(now, out);
        }
        if frames > 1 && self.drops_what_is_unusual() {
            return Step::Dropped;
        }
        let text = str::from_utf8(message).unwrap_or_default();
        match Command::parse(text, self.options.multiline) {
            Ok(Command::Ingest { id, payload }) => self.ingest(message, text, id, payload, out),
            Ok(Command::Set { key, value }) => self.set(key, value, out),
            Ok(Command::List) => self.list(out),
            Ok(Command::Help) => {
                let recorded = self.options.is_recorded();
                self.reply(200, if recorded { reply::RECORDED_HELP } else { reply::HELP }, out)
            }
            Err(error) => self.reply(400, &error.to_string(), out),
        }
    }

    /// Takes note of a binary message, which Hydra does not have.
    pub fn binary(&mut self, now: Instant, out: &mut Vec<u8>) -> Step {
        if self.drops_what_is_unusual() {
            return Step::Dropped;
        }
        self.restart(now);
        self.reply(400, "Binary messages are not supported.", out)
    }

    /// Takes note of a message whose pieces did not come in time, [`crate::Limits::message_time`].
    /// Whoever runs the session drops what still comes of it.
    pub fn slow(&mut self, now: Instant, out: &mut Vec<u8>) -> Step {
        if self.drops_what_is_unusual() {
            return Step::Dropped;
        }
        self.restart(now);
        self.reply(400, "Timeout on frame buffer reached.", out)
    }

    /// Takes note of a message in more pieces than [`crate::Limits::frames`].
    fn too_many_frames(&mut self, now: Instant, out: &mut Vec<u8>) -> Step {
        if self.drops_what_is_unusual() {
            return Step::Dropped;
        }
        self.restart(now);
        let limit = self.options.limits.frames;
        self.reply(400, &format!("Frame limit reached after frame number {limit}."), out)
    }

    /// Until when no message may be given to it: the recorded code of dialect `head` restarts
    /// sessions, and lets what comes meanwhile wait.
    #[must_use]
    pub fn paused_until(&self) -> Option<Instant> {
        self.paused_until
    }

    /// Whether it has been restarted too often to go on.
    #[must_use]
    pub fn is_given_up(&self) -> bool {
        self.restarts > RESTARTS
    }

    fn drops_what_is_unusual(&self) -> bool {
        self.options.is_recorded() && !self.options.is_head()
    }

    /// The recorded `head` loses the session when something goes wrong; by default nothing
    /// happens to it.
    fn restart(&mut self, now: Instant) {
        if self.options.is_recorded() {
            let pause = PAUSES.0.saturating_mul(1 << self.restarts.min(8)).min(PAUSES.1);
            self.restarts += 1;
            self.paused_until = now.checked_add(pause);
            let peer = self.context.peer;
            self.context = Arc::new(Context { peer, ..Context::default() });
        }
    }

    fn ingest(
        &mut self,
        message: &Bytes,
        text: &str,
        id: Option<&str>,
        payload: &str,
        out: &mut Vec<u8>,
    ) -> Step {
        if self.drops_what_is_unusual()
            && let Some(bogus) = self.context.metadata.get("hydra-validation")
            && Validation::read(bogus).is_none()
        {
            let message = reply::unknown_validation(bogus);
            return self.reply(500, &message, out);
        }
        let start = text.len() - payload.len();
        let id = match id {
            Some(id) => Id::part(message.slice(start - id.len()..start)),
            None if self.options.is_head() => Id::zero(),
            None if self.options.is_recorded() => {
                Id::drawn(*self.repeated.get_or_insert_with(|| self.ids.draw()))
            }
            None => Id::drawn(self.ids.draw()),
        };
        let payload = message.slice(start..);
        Step::Request(Request { id, payload, context: Arc::clone(&self.context) })
    }

    fn set(&mut self, key: &str, value: &str, out: &mut Vec<u8>) -> Step {
        let key = key.to_uppercase();
        let (key, value) = (trim(&key), trim(value));
        let mut context = Context::clone(&self.context);
        let head_ack = self.options.is_head() && key == "HYDRA-ACK";
        match set(&mut context, key, value, &self.options) {
            Ok(()) => {}
            Err(Refused::TooMuch) => return self.reply(400, reply::TOO_MUCH_METADATA, out),
            Err(Refused::Ack) => {
                let text = format!("BAD REQUEST[hydra-ack={value}] is not a valid ack strategy.");
                return self.reply(400, &text, out);
            }
        }
        self.context = Arc::new(context);
        self.repeated = None;
        let document = self.options.echo == Echo::Document && !self.options.is_recorded();
        let text = match key {
            _ if head_ack => format!("OK[hydra-ack={value}]"),
            _ if document => format!("OK[{}={value}]", as_in_the_document(key)),
            _ => format!("OK[{key}={value}]"),
        };
        self.reply(200, &text, out)
    }

    fn list(&self, out: &mut Vec<u8>) -> Step {
        let mut text = String::new();
        for (place, (name, value)) in self.context.metadata.iter().enumerate() {
            if place > 0 {
                text.push(';');
            }
            text.extend([name, " -> ", value]);
        }
        self.reply(200, &text, out)
    }

    fn reply(&self, status: u16, message: &str, out: &mut Vec<u8>) -> Step {
        reply::write(self.options.dialect, status, message, out);
        Step::Replied
    }
}

/// Why metadata is refused.
enum Refused {
    TooMuch,
    Ack,
}

/// Sets a name that is in upper case, and what follows from it.
fn set(context: &mut Context, key: &str, value: &str, options: &Options) -> Result<(), Refused> {
    let mut canonical = (key, value);
    if key == "HYDRA-ACK" {
        let ack = Ack::read(value, options).ok_or(Refused::Ack)?;
        context.ack = ack;
        if options.is_head() {
            canonical = ("hydra-ack", ack.head_name());
        }
    }
    let (key, value) = canonical;
    let metadata = &mut context.metadata;
    let limits = &options.limits;
    let full = !metadata.contains(key) && metadata.len() >= limits.names;
    if full || metadata.bytes_with(key, value) > limits.metadata {
        return Err(Refused::TooMuch);
    }
    metadata.set(key, value);
    if key == "HYDRA-VALIDATION" {
        context.validation = Validation::read(value).unwrap_or_default();
    }
    Ok(())
}

fn is_metadata(name: &str, options: &Options) -> bool {
    let prefix = match options.dialect {
        Dialect::Head if options.is_recorded() => return false,
        Dialect::Head => "hydra-",
        _ => "hydra",
    };
    name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

/// Without the characters up to U+0020 at both ends, and no others.
fn trim(text: &str) -> &str {
    text.trim_matches(|c: char| c <= ' ')
}

/// The key with every dash but the first one as `_` (hydra.md 3.2).
fn as_in_the_document(key: &str) -> String {
    match key.split_once('-') {
        Some((first, rest)) => format!("{first}-{}", rest.replace('-', "_")),
        None => key.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_s_echoes() {
        assert_eq!(as_in_the_document("HYDRA-KAFKA-TOPIC"), "HYDRA-KAFKA_TOPIC");
        assert_eq!(as_in_the_document("HYDRA-ACK"), "HYDRA-ACK");
        assert_eq!(as_in_the_document("A"), "A");
    }

    #[test]
    fn which_fields_are_metadata() {
        let doc = Options::default();
        for name in ["hydra-a", "Hydra", "hydrant", "HYDRA_b"] {
            assert!(is_metadata(name, &doc), "{name}");
        }
        assert!(!is_metadata("ahydra-c", &doc) && !is_metadata("hydr", &doc));
        let head = Options::new(Dialect::Head);
        assert!(is_metadata("Hydra-a", &head) && !is_metadata("hydrant", &head));
        assert!(!is_metadata("hydra-a", &Options::recorded(Dialect::Head)));
    }

    #[test]
    fn refused_metadata_leaves_everything_as_it_was() {
        let mut options = Options::default();
        options.limits.names = 1;
        options.limits.metadata = 8;
        let mut session = Session::new(Arc::new(options), [], None, 1).unwrap();
        let now = Instant::now();
        let mut say = |text: &'static str| {
            let mut out = Vec::new();
            let step = session.text(&Bytes::from_static(text.as_bytes()), 1, now, &mut out);
            assert!(matches!(step, Step::Replied), "{step:?}");
            String::from_utf8(out).unwrap()
        };
        assert!(say("-c set a = 1").starts_with("{\"status\":200"));
        assert!(say("-c set b = 1").starts_with("{\"status\":400"));
        assert!(say("-c set a = 12345678").starts_with("{\"status\":400"));
        assert!(say("-c set a = 1234567").starts_with("{\"status\":200"));
        assert!(say("-c set").contains("A -> 1234567\""));
        let mut options = Options::default();
        options.limits.names = 1;
        let fields = [("hydra-a", "1"), ("hydra-b", "2")];
        let refused = Session::new(Arc::new(options), fields, None, 1);
        assert_eq!(refused.unwrap_err(), SessionError::TooMuchMetadata);
    }
}
