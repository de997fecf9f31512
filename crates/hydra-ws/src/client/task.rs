//! The task that owns a client's connection.

use std::collections::{HashMap, VecDeque};
use std::io::{self, Read};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, WriteHalf};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};
use tungstenite::protocol::Role;

use super::Job;
use super::reading::{ClientReport, Incoming, Reply, read};
use crate::ws::{Event, Frames};

/// Bytes read at a time.
const READ: usize = 16 << 10;
/// Jobs taken before what they wrote is sent.
const AT_ONCE: usize = 256;
/// Bytes that may wait to be sent; past it no job is taken.
const UNSENT: usize = 256 << 10;
/// How long the server may take to answer a close frame, the reports before it included.
const FAREWELL: Duration = Duration::from_secs(10);

/// What was read and is not looked at.
struct Input<'a>(&'a [u8]);

impl Read for Input<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.0.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Read::read(&mut self.0, buffer)
    }
}

struct Client {
    frames: Frames,
    /// Commands wait for replies in their order.
    commands: VecDeque<oneshot::Sender<Reply>>,
    payloads: HashMap<String, oneshot::Sender<ClientReport>>,
    others: mpsc::Sender<String>,
    /// Replies that belong to a raw message come among those of commands.
    out: Vec<u8>,
}

/// Runs until the server closes, or nobody wants anything any more.
pub(super) async fn run<T: AsyncRead + AsyncWrite + Unpin>(
    stream: T,
    behind: Vec<u8>,
    max_message: usize,
    mut jobs: mpsc::Receiver<Job>,
    others: mpsc::Sender<String>,
) {
    let mut client = Client {
        frames: Frames::new(Role::Client, &[], max_message),
        commands: VecDeque::new(),
        payloads: HashMap::new(),
        others,
        out: Vec::new(),
    };
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
}

/// Writes some of it, or flushes when there is nothing.
async fn send<T: AsyncWrite>(writer: &mut WriteHalf<T>, rest: &[u8]) -> io::Result<usize> {
    if rest.is_empty() {
        writer.flush().await?;
        return Ok(0);
    }
    writer.write(rest).await
}

impl Client {
    /// Whether there may be more.
    fn take(&mut self, job: Job) -> bool {
        let written = match job {
            Job::Close => {
                self.frames.close(1000, "", &mut self.out);
                return false;
            }
            Job::Raw(text) => self.frames.text(text, &mut self.out),
            Job::Command(text, answer) => {
                self.commands.push_back(answer);
                self.frames.text(text, &mut self.out)
            }
            Job::Payload(id, text, answer) => {
                // Who has stopped waiting needs no place.
                self.payloads.retain(|_, waiting| !waiting.is_closed());
                self.payloads.insert(id.to_string(), answer);
                self.frames.text(text, &mut self.out)
            }
        };
        written.is_ok()
    }

    /// Takes what came. Whether the connection goes on.
    async fn heard(&mut self, bytes: &[u8]) -> bool {
        let mut input = Input(bytes);
        loop {
            match self.frames.next(&mut input, &mut self.out) {
                Ok(None) => return true,
                Ok(Some(Event::Text(text, _))) => {
                    self.message(str::from_utf8(&text).unwrap_or_default()).await;
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

    async fn message(&mut self, text: &str) {
        match read(text) {
            Incoming::Report(report) => {
                if let Some(waiting) = self.payloads.remove(&report.id) {
                    let _ = waiting.send(report);
                    return;
                }
            }
            Incoming::Reply(reply) => {
                if let Some(waiting) = self.commands.pop_front() {
                    let _ = waiting.send(reply);
                    return;
                }
            }
            Incoming::Other => {}
        }
        // Nobody listens: then it is of no interest.
        let _ = self.others.send(text.to_owned()).await;
    }
}
