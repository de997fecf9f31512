//! The task that owns a client's connection, and those that follow it.

use std::collections::{HashMap, VecDeque};
use std::future::Future;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, WriteHalf};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tungstenite::protocol::Role;

use super::connect::handshake;
use super::reading::{ClientReport, Incoming, Reply, read};
use super::{ClientOptions, Job, Target};
use crate::ws::{Event, Frames};

/// Bytes read at a time.
const READ: usize = 16 << 10;
/// Jobs taken before what they wrote is sent.
const AT_ONCE: usize = 256;
/// Requests on their way before it is worth looking for those that nobody waits for.
const CROWD: usize = 1024;
/// Bytes that may wait to be sent; past it no job is taken.
const UNSENT: usize = 256 << 10;
/// How long the server may take to answer a close frame, the reports before it included.
const FAREWELL: Duration = Duration::from_secs(10);

/// What a connection leaves to the next one.
#[derive(Default)]
pub(super) struct Kept {
    /// The commands that set metadata, by key, in the order in which the keys came first.
    set: Vec<(String, String)>,
}

impl Kept {
    fn keep(&mut self, key: String, text: String) {
        match self.set.iter_mut().find(|(have, _)| *have == key) {
            Some((_, have)) => *have = text,
            None => self.set.push((key, text)),
        }
    }
}

/// Who waits for the reply to a command.
enum Waiting {
    /// The reply, and what is kept when it is good.
    Caller(oneshot::Sender<Reply>, Option<(String, String)>),
    /// It was set in an earlier connection.
    Again,
}

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// Somebody wanted it, or nobody wants anything any more.
    Wanted,
    /// The server closed, or the stream broke.
    Lost,
}

struct Client<'a> {
    frames: Frames,
    kept: &'a mut Kept,
    /// Commands wait for replies in their order.
    commands: VecDeque<Waiting>,
    payloads: HashMap<String, oneshot::Sender<ClientReport>>,
    /// As many places of callers who have stopped waiting are looked for then.
    crowded: usize,
    others: &'a mpsc::Sender<String>,
    /// Replies that belong to a raw message come among those of commands.
    out: Vec<u8>,
}

/// Connects again and again, each time after a longer pause, until that is not wanted any more.
pub(super) async fn supervise<T, C, F>(
    first: (T, Vec<u8>),
    mut connect: C,
    target: Target,
    options: ClientOptions,
    mut jobs: mpsc::Receiver<Job>,
    others: mpsc::Sender<String>,
) where
    T: AsyncRead + AsyncWrite + Unpin,
    C: FnMut() -> F,
    F: Future<Output = io::Result<T>>,
{
    let mut kept = Kept::default();
    let (mut stream, mut behind) = first;
    loop {
        let ended = run(stream, behind, options.max_message, &mut jobs, &others, &mut kept).await;
        let Some(reconnect) = options.reconnect.filter(|_| ended == Ended::Lost) else { return };
        let mut pause = reconnect.first;
        (stream, behind) = loop {
            sleep(jittered(pause)).await;
            if jobs.is_closed() && jobs.is_empty() {
                return;
            }
            let shaken = async { handshake(connect().await?, &target, &options).await };
            match timeout(options.connect_timeout, shaken).await {
                Ok(Ok(shaken)) => break shaken,
                Ok(Err(_)) | Err(_) => pause = pause.saturating_mul(2).min(reconnect.most),
            }
        };
    }
}

/// Between three quarters of a pause and all of it: clients that lost one server come back one
/// after the other.
fn jittered(pause: Duration) -> Duration {
    let random = RandomState::new().build_hasher().finish() % 256;
    pause.mul_f64(0.75 + 0.25 * f64::from(u8::try_from(random).unwrap_or(0)) / 256.0)
}

/// Runs until the server closes, or nobody wants anything any more.
async fn run<T: AsyncRead + AsyncWrite + Unpin>(
    stream: T,
    behind: Vec<u8>,
    max_message: usize,
    jobs: &mut mpsc::Receiver<Job>,
    others: &mpsc::Sender<String>,
    kept: &mut Kept,
) -> Ended {
    let mut client = Client {
        frames: Frames::new(Role::Client, &[], max_message),
        kept,
        commands: VecDeque::new(),
        payloads: HashMap::new(),
        crowded: CROWD,
        others,
        out: Vec::new(),
    };
    client.set_again();
    let mut open = client.heard(&behind).await;
    let (mut reader, mut writer) = tokio::io::split(stream);
    let mut buffer = vec![0; READ];
    let mut list = Vec::new();
    let mut written = 0;
    let mut unflushed = false;
    let mut until: Option<Instant> = None;
    while open || written < client.out.len() {
        let rest = client.out.get(written..).unwrap_or_default();
        // Reading goes on while something is written: the server may wait for us to read.
        tokio::select! {
            count = send(&mut writer, rest), if unflushed || !rest.is_empty() => match count {
                Ok(0) if !rest.is_empty() => break,
                Ok(0) => unflushed = false,
                Ok(count) => {
                    written += count;
                    unflushed = true;
                    if written == client.out.len() {
                        client.out.clear();
                        written = 0;
                    }
                }
                Err(_) => break,
            },
            count = reader.read(&mut buffer), if open => match count {
                Ok(count) if count > 0 => {
                    let bytes = buffer.get(..count).unwrap_or_default();
                    open = client.heard(bytes).await;
                }
                _ => break,
            },
            count = jobs.recv_many(&mut list, AT_ONCE), if until.is_none() && rest.len() < UNSENT => {
                if count == 0 {
                    list.push(Job::Close);
                }
                for job in list.drain(..) {
                    if until.is_none() && !client.take(job) {
                        until = Some(Instant::now() + FAREWELL);
                    }
                }
            },
            () = sleep_until(until.unwrap_or_else(Instant::now)), if until.is_some() => break,
        }
    }
    let _ = writer.shutdown().await;
    if until.is_some() { Ended::Wanted } else { Ended::Lost }
}

/// Writes some of it, or flushes when there is nothing.
async fn send<T: AsyncWrite>(writer: &mut WriteHalf<T>, rest: &[u8]) -> io::Result<usize> {
    if rest.is_empty() {
        writer.flush().await?;
        return Ok(0);
    }
    writer.write(rest).await
}

impl Client<'_> {
    /// Sends what was set in earlier connections, in front of anything else.
    fn set_again(&mut self) {
        for (_, text) in &self.kept.set {
            self.commands.push_back(Waiting::Again);
            if self.frames.text(text.clone(), &mut self.out).is_err() {
                return;
            }
        }
    }

    /// Whether there may be more. What nobody waits for any more is not sent.
    fn take(&mut self, job: Job) -> bool {
        let written = match job {
            Job::Close => {
                self.frames.close(1000, "", &mut self.out);
                return false;
            }
            Job::Raw(text) => self.frames.text(text, &mut self.out),
            Job::Command(_, answer, _) if answer.is_closed() => Ok(()),
            Job::Payload(_, _, answer) if answer.is_closed() => Ok(()),
            Job::Command(text, answer, key) => {
                let kept = key.map(|key| (key, text.clone()));
                self.commands.push_back(Waiting::Caller(answer, kept));
                self.frames.text(text, &mut self.out)
            }
            Job::Payload(id, text, answer) => {
                if self.payloads.len() >= self.crowded {
                    // Who has stopped waiting needs no place.
                    self.payloads.retain(|_, waiting| !waiting.is_closed());
                    self.crowded = CROWD.max(self.payloads.len() * 2);
                }
                self.payloads.insert(id.to_string(), answer);
                self.frames.text(text, &mut self.out)
            }
        };
        written.is_ok()
    }

    /// Takes what came. Whether the connection goes on.
    async fn heard(&mut self, bytes: &[u8]) -> bool {
        self.frames.room().extend_from_slice(bytes);
        self.frames.has_read(bytes.len(), false);
        loop {
            match self.frames.next(&mut self.out) {
                Ok(None) => return true,
                Ok(Some(Event::Text(text, _))) => {
                    if !self.message(str::from_utf8(&text).unwrap_or_default()).await {
                        return false;
                    }
                }
                Ok(Some(Event::Close)) => {
                    self.frames.answer_close(&mut self.out);
                    return false;
                }
                Ok(Some(_)) => {}
                Err(_) => return false,
            }
        }
    }

    /// Whether the connection goes on.
    async fn message(&mut self, text: &str) -> bool {
        match read(text) {
            Incoming::Report(report) => {
                if let Some(waiting) = self.payloads.remove(&report.id) {
                    let _ = waiting.send(report);
                    return true;
                }
            }
            Incoming::Reply(reply) => match self.commands.pop_front() {
                Some(Waiting::Caller(waiting, kept)) => {
                    if let Some((key, text)) = kept.filter(|_| reply.status == 200) {
                        self.kept.keep(key, text);
                    }
                    let _ = waiting.send(reply);
                    return true;
                }
                // A session without its metadata would send payloads elsewhere.
                Some(Waiting::Again) => return reply.status == 200,
                None => {}
            },
            Incoming::Other => {}
        }
        // Nobody listens: then it is of no interest.
        let _ = self.others.send(text.to_owned()).await;
        true
    }
}
