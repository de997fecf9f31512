//! A traffic controller and an RLP gateway in one, as far as `loggregator.md` 2.1 and 3.1 say what
//! they do: tokens (401 for streams, 404 for the gateway), pings every 15 s and 1008 after 30 s
//! without a pong, heartbeats, a closing event after 14 minutes, shards, and faults on demand.

pub(crate) mod messages;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use loggregator_consumer::client::{Connecting, Connector};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until};

/// How often an envelope is sent.
const EVERY: Duration = Duration::from_secs(1);
const HEARTBEAT: Duration = Duration::from_secs(15);
const STREAM_TIME: Duration = Duration::from_secs(14 * 60);
const PONG_TIME: Duration = Duration::from_secs(30);
const TOKEN_TIME: u64 = 3600;
/// Envelopes of an event of the gateway.
const BATCH: usize = 100;

/// What carries a connection.
pub(crate) trait Carrier: AsyncRead + AsyncWrite + Send + Unpin + 'static {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> Carrier for T {}

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Connections are cut in the middle of a message.
    Drop,
    /// Nobody answers for so long.
    Down(Duration),
    /// Connections stay open, and nothing comes of them any more.
    Silence,
    /// A message that is none, and the end.
    Garbage,
    /// Closes as it does with slow consumers.
    Slow,
}

#[derive(Debug, Clone)]
enum Told {
    Envelope(u64),
    Fault(Fault),
}

#[derive(Default)]
struct State {
    /// The open streams: their shard, and where their envelopes go.
    streams: Vec<(String, mpsc::UnboundedSender<Told>)>,
    sent: Vec<(u64, SystemTime)>,
    connections: u64,
    down_until: Option<Instant>,
    turn: usize,
}

pub(crate) struct Fake {
    start: Instant,
    wall: SystemTime,
    state: Mutex<State>,
}

impl Fake {
    pub(crate) fn start() -> Arc<Self> {
        Arc::new(Self { start: Instant::now(), wall: SystemTime::now(), state: Mutex::default() })
    }

    /// What connects to it: in memory, for time that is paused does not wait for sockets.
    pub(crate) fn connector(self: &Arc<Self>) -> Arc<dyn Connector> {
        Arc::new(Wire(Arc::clone(self)))
    }

    /// Serves a port of this machine.
    pub(crate) async fn listen(self: &Arc<Self>) -> std::io::Result<SocketAddr> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let server = Arc::clone(self);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let server = Arc::clone(&server);
                tokio::spawn(async move { server.serve(stream).await });
            }
        });
        Ok(address)
    }

    /// Whether a stream is open.
    pub(crate) fn is_read(&self) -> bool {
        !self.state.lock().unwrap().streams.is_empty()
    }

    pub(crate) fn connections(&self) -> u64 {
        self.state.lock().unwrap().connections
    }

    pub(crate) fn sent(&self) -> Vec<(u64, SystemTime)> {
        self.state.lock().unwrap().sent.clone()
    }

    /// The wall clock, moved on with the time of the test.
    pub(crate) fn now(&self) -> SystemTime {
        self.wall + self.start.elapsed()
    }

    /// The token that is good for this hour.
    pub(crate) fn token(&self) -> String {
        format!("bearer {}", self.start.elapsed().as_secs() / TOKEN_TIME)
    }

    /// Sends an envelope every second, and lets faults happen at their seconds. What is sent before
    /// the first stream is open is not counted.
    pub(crate) async fn drive(&self, time: Duration, faults: Vec<(u64, Fault)>) {
        while self.state.lock().unwrap().streams.is_empty() {
            sleep(Duration::from_millis(10)).await; // tidy: sleep paused time, until the client has come
        }
        let begun = Instant::now();
        let mut number = 0;
        while begun.elapsed() < time {
            sleep(EVERY).await; // tidy: sleep paused time is what is tested
            let second = begun.elapsed().as_secs();
            if let Some((_, fault)) = faults.iter().find(|(at, _)| *at == second) {
                self.fault(*fault);
            }
            number += 1;
            self.send(number);
        }
        // Longer than any buffer on the way.
        sleep(Duration::from_millis(500)).await; // tidy: sleep paused time, for what is on its way
    }

    fn fault(&self, fault: Fault) {
        let mut state = self.state.lock().unwrap();
        for (_, stream) in state.streams.drain(..) {
            let _ = stream.send(Told::Fault(fault));
        }
        if let Fault::Down(time) = fault {
            state.down_until = Some(Instant::now() + time);
        }
    }

    /// One envelope: to one stream of each shard, and to each stream without.
    pub(crate) fn send(&self, number: u64) {
        let mut state = self.state.lock().unwrap();
        state.streams.retain(|(_, stream)| !stream.is_closed());
        state.sent.push((number, self.now()));
        state.turn += 1;
        let mut shards: Vec<_> = state.streams.iter().map(|(shard, _)| shard.clone()).collect();
        shards.sort();
        shards.dedup();
        for shard in shards {
            let members: Vec<_> = state.streams.iter().filter(|(name, _)| *name == shard).collect();
            let chosen =
                if shard.is_empty() { members } else { vec![members[state.turn % members.len()]] };
            for (_, stream) in chosen {
                let _ = stream.send(Told::Envelope(number));
            }
        }
    }

    fn join(&self, shard: &str) -> mpsc::UnboundedReceiver<Told> {
        let (sender, receiver) = mpsc::unbounded_channel();
        let mut state = self.state.lock().unwrap();
        state.connections += 1;
        state.streams.push((shard.to_owned(), sender));
        receiver
    }

    pub(crate) async fn serve(self: Arc<Self>, mut stream: impl Carrier) -> Option<()> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.ok()?);
        }
        let head = String::from_utf8(head).unwrap();
        let target = head.split(' ').nth(1).unwrap().to_owned();
        let header = |name: &str| {
            head.lines().find_map(|line| {
                let (key, value) = line.split_once(": ")?;
                key.eq_ignore_ascii_case(name).then(|| value.to_owned())
            })
        };
        let good = header("authorization") == Some(self.token());
        if target.starts_with("/v2/read?") {
            if !good {
                let body = "{\"message\":\"resource not found\",\"error\":\"not_found\"}\n\n";
                let answer = format!(
                    "HTTP/1.1 404 Not Found\r\nContent-Type: text/plain; charset=utf-8\r\n\
                     Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
                    body.len()
                );
                return stream.write_all(answer.as_bytes()).await.ok();
            }
            let shard = target.split("shard_id=").nth(1).unwrap_or_default();
            let shard = shard.split('&').next().unwrap_or_default().to_owned();
            return self.gateway(stream, &shard).await;
        }
        if !good {
            let body = "You are not authorized. invalid authorization";
            let answer = format!(
                "HTTP/1.1 401 Unauthorized\r\nWww-Authenticate: Basic\r\nContent-Length: {}\r\n\
                 Connection: close\r\n\r\n{body}",
                body.len()
            );
            return stream.write_all(answer.as_bytes()).await.ok();
        }
        let key = header("sec-websocket-key")?;
        let accept = tungstenite::handshake::derive_accept_key(key.as_bytes());
        let answer = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {accept}\r\n\r\n"
        );
        stream.write_all(answer.as_bytes()).await.ok()?;
        if target.starts_with("/tail/?app=") {
            return self.controller(stream, "", messages::line).await;
        }
        // The streams of applications are not shared.
        let shard = match target.strip_prefix("/firehose/") {
            Some(group) => group.split('?').next()?,
            None => target.strip_prefix("/apps/").and(Some(""))?,
        };
        self.controller(stream, shard, messages::dropsonde).await
    }

    /// The gateway's side: chunks that end anywhere, heartbeats, the closing event.
    async fn gateway(&self, mut stream: impl Carrier, shard: &str) -> Option<()> {
        let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\n\
                    Transfer-Encoding: chunked\r\n\r\n";
        stream.write_all(head.as_bytes()).await.ok()?;
        let mut envelopes = self.join(shard);
        let over = Instant::now() + STREAM_TIME;
        let mut heartbeat = Instant::now() + HEARTBEAT;
        let mut waiting = None;
        loop {
            let next = tokio::select! {
                biased;
                next = async {
                    match waiting.take() {
                        Some(next) => Some(next),
                        None => envelopes.recv().await,
                    }
                } => next,
                () = sleep_until(heartbeat.min(over)) => {
                    if Instant::now() >= over {
                        break;
                    }
                    heartbeat += HEARTBEAT;
                    let now = self.start.elapsed().as_secs();
                    let event = format!("event: heartbeat\ndata: {now}\n\n");
                    chunks(&mut stream, event.as_bytes()).await?;
                    continue;
                }
            };
            heartbeat = Instant::now() + HEARTBEAT;
            match next? {
                Told::Envelope(number) => {
                    let mut numbers = vec![number];
                    while numbers.len() < BATCH && waiting.is_none() {
                        match envelopes.try_recv() {
                            Ok(Told::Envelope(number)) => numbers.push(number),
                            Ok(fault) => waiting = Some(fault),
                            Err(_) => break,
                        }
                    }
                    chunks(&mut stream, &batch(&numbers)).await?;
                }
                Told::Fault(Fault::Silence) => {
                    std::future::pending::<()>().await;
                }
                Told::Fault(Fault::Garbage) => {
                    return stream.write_all(b"\r\nno chunk at all\r\n").await.ok();
                }
                Told::Fault(_) => {
                    let event = b"data: {\"batch\":[{\"timest";
                    return chunks(&mut stream, event).await;
                }
            }
        }
        // No more envelopes for this stream; those that are in it are still sent.
        envelopes.close();
        while let Some(Told::Envelope(number)) = envelopes.recv().await {
            chunks(&mut stream, &batch(&[number])).await?;
        }
        let event = b"event: closing\ndata: closing due to stream timeout\n\n";
        chunks(&mut stream, event).await?;
        stream.write_all(b"0\r\n\r\n").await.ok()
    }

    /// The traffic controller's side: one envelope a frame, pings, 1008 without pongs.
    async fn controller(
        &self,
        mut stream: impl Carrier,
        shard: &str,
        message: fn(u64) -> Vec<u8>,
    ) -> Option<()> {
        let mut envelopes = self.join(shard);
        let mut ping = Instant::now();
        let mut pong = Instant::now() + PONG_TIME;
        let (mut buffer, mut heard) = ([0; 256], Vec::new());
        loop {
            tokio::select! {
                biased;
                next = envelopes.recv() => match next? {
                    Told::Envelope(number) => {
                        stream.write_all(&frame(0x82, &message(number))).await.ok()?;
                    }
                    Told::Fault(Fault::Slow) => {
                        return stream.write_all(&frame(0x88, &[0x03, 0xe8])).await.ok();
                    }
                    Told::Fault(Fault::Silence) => {
                        std::future::pending::<()>().await;
                    }
                    Told::Fault(Fault::Garbage) => {
                        let bad = [&frame(0x82, b"\xff\xff")[..], b"\xff\x01garbage"].concat();
                        return stream.write_all(&bad).await.ok();
                    }
                    Told::Fault(_) => {
                        let whole = frame(0x82, &message(0));
                        return stream.write_all(&whole[..whole.len() / 2]).await.ok();
                    }
                },
                read = stream.read(&mut buffer) => {
                    let read = read.ok()?;
                    if read == 0 {
                        return None;
                    }
                    heard.extend_from_slice(&buffer[..read]);
                    // Masked frames of less than 126 bytes: texts, pongs and closes.
                    while heard.len() >= 2 && heard.len() >= 6 + usize::from(heard[1] & 0x7f) {
                        let frame: Vec<u8> = heard.drain(..6 + usize::from(heard[1] & 0x7f)).collect();
                        if frame[0] == 0x8a {
                            pong = Instant::now() + PONG_TIME;
                        } else if frame[0] == 0x88 {
                            return stream.write_all(&self::frame(0x88, &[0x03, 0xe8])).await.ok();
                        }
                    }
                }
                () = sleep_until(ping) => {
                    ping += Duration::from_secs(15);
                    stream.write_all(&frame(0x89, b"")).await.ok()?;
                }
                () = sleep_until(pong) => {
                    let text = b"\x03\xf0Client did not respond to ping before keep-alive timeout expired.";
                    return stream.write_all(&frame(0x88, text)).await.ok();
                }
            }
        }
    }
}

struct Wire(Arc<Fake>);

impl Connector for Wire {
    fn connect<'a>(&'a self, _: &'a str, _: u16) -> Connecting<'a> {
        Box::pin(async {
            let down = self.0.state.lock().unwrap().down_until;
            if down.is_some_and(|until| Instant::now() < until) {
                return Err(std::io::ErrorKind::ConnectionRefused.into());
            }
            let (ours, theirs) = tokio::io::duplex(64 << 10);
            let server = Arc::clone(&self.0);
            tokio::spawn(async move { server.serve(theirs).await });
            Ok(Box::new(ours) as Box<dyn loggregator_consumer::client::Stream>)
        })
    }
}

/// Writes in chunks of sizes that cut anywhere.
async fn chunks(stream: &mut impl Carrier, bytes: &[u8]) -> Option<()> {
    for piece in bytes.chunks(37.max(bytes.len() / 16)) {
        let chunk = [format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat();
        stream.write_all(&chunk).await.ok()?;
    }
    Some(())
}

fn batch(numbers: &[u64]) -> Vec<u8> {
    let batch: Vec<_> = numbers
        .iter()
        .map(|number| loggregator_consumer::json::to_json(&messages::v2(*number), true))
        .collect();
    format!("data: {{\"batch\":[{}]}}\n\n", batch.join(",")).into_bytes()
}

fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let length = match payload.len() {
        short @ 0..126 => vec![short as u8],
        long => [&[126], &(long as u16).to_be_bytes()[..]].concat(),
    };
    [&[first], &length[..], payload].concat()
}
