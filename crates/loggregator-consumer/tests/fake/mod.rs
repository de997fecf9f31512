//! Loggregator's servers in one, as far as `loggregator.md` says what they do: a server of the first
//! generation, a traffic controller, an RLP gateway and Log Cache, with faults on demand.

pub(crate) mod answers;
pub(crate) mod cache;
pub(crate) mod controller;
pub(crate) mod gateway;
pub(crate) mod messages;
pub(crate) mod recent;
pub(crate) mod request;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use loggregator_consumer::client::{Connecting, Connector};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};

use answers::{Answer, Service};
use request::Request;

const TOKEN_TIME: u64 = 3600;
/// From here on numbers are those of messages that are not made of them.
const RAW: u64 = 1 << 60;

/// What carries a connection.
pub(crate) trait Carrier: AsyncRead + AsyncWrite + Send + Unpin + 'static {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> Carrier for T {}

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Connections are cut in the middle of a message.
    Drop,
    /// Connections are cut, and nobody answers for so long.
    Down(Duration),
    /// Connections are cut, and requests are refused with 503 for so long.
    Unavailable(Duration),
    /// Connections stay open, and nothing comes of them any more.
    Silence,
    /// A message that is none, and the end.
    Garbage,
    /// Closes with this code and text; 1000 and none as it does with slow consumers.
    Close(u16, &'static str),
}

/// Closes as it does with slow consumers.
pub(crate) const SLOW: Fault = Fault::Close(1000, "");

/// Whose token it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Who {
    /// May read everything.
    Admin,
    /// May read applications.
    User,
}

/// An open stream: its shard, where its envelopes go, and where its faults.
struct Stream {
    shard: String,
    envelopes: mpsc::UnboundedSender<(u64, Instant)>,
    faults: mpsc::UnboundedSender<Fault>,
}

/// The server's side of an open stream.
pub(crate) struct Told {
    pub(crate) envelopes: mpsc::UnboundedReceiver<(u64, Instant)>,
    pub(crate) faults: mpsc::UnboundedReceiver<Fault>,
}

#[derive(Default)]
struct State {
    streams: Vec<Stream>,
    sent: Vec<(u64, SystemTime)>,
    connections: u64,
    down_until: Option<Instant>,
    unavailable_until: Option<Instant>,
    turn: usize,
    /// Messages that are not made of their numbers.
    raw: Vec<Vec<u8>>,
    /// How long what is sent is on its way: for each connection one of these, in turn.
    lags: Vec<Duration>,
}

pub(crate) struct Fake {
    start: Instant,
    wall: SystemTime,
    /// Tokens, where they are not those of the hour.
    tokens: BTreeMap<String, Who>,
    /// Whether it is of the days after `/tail/`.
    pub(crate) today: bool,
    /// The size of the chunks of event streams, at most.
    pub(crate) chunk: usize,
    state: Mutex<State>,
}

impl Fake {
    pub(crate) fn new() -> Self {
        Self {
            start: Instant::now(),
            wall: SystemTime::now(),
            tokens: BTreeMap::new(),
            today: false,
            chunk: usize::MAX,
            state: Mutex::default(),
        }
    }

    pub(crate) fn start() -> Arc<Self> {
        Arc::new(Self::new())
    }

    /// With tokens that do not run out.
    pub(crate) fn with_tokens(mut self, tokens: &[(&str, Who)]) -> Self {
        self.tokens = tokens.iter().map(|(token, who)| ((*token).to_owned(), *who)).collect();
        self
    }

    /// With connections on which everything takes so long to arrive.
    pub(crate) fn with_lags(self, lags: Vec<Duration>) -> Self {
        self.state.lock().unwrap().lags = lags;
        self
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

    /// How many streams are open.
    pub(crate) fn open(&self) -> usize {
        let mut state = self.state.lock().unwrap();
        state.streams.retain(|stream| !stream.envelopes.is_closed());
        state.streams.len()
    }

    /// Until so many streams are open.
    pub(crate) async fn opened(&self, streams: usize) {
        while self.open() < streams {
            sleep(Duration::from_millis(10)).await; // tidy: sleep until clients have come
        }
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

    pub(crate) fn who(&self, token: &str) -> Option<Who> {
        if self.tokens.is_empty() {
            return (token == self.token()).then_some(Who::Admin);
        }
        self.tokens.get(token).copied()
    }

    /// Sends an envelope each time `every` has passed, and lets faults happen at their seconds.
    /// What is sent before the first stream is open is not counted.
    pub(crate) async fn drive(&self, time: Duration, every: Duration, faults: Vec<(u64, Fault)>) {
        self.opened(1).await;
        let begun = Instant::now();
        let mut faults = faults;
        faults.sort_by_key(|(at, _)| *at);
        let mut faults = faults.into_iter().peekable();
        let mut number = 0;
        while begun.elapsed() < time {
            sleep(every).await; // tidy: sleep paused time is what is tested
            let second = begun.elapsed().as_secs();
            while let Some((_, fault)) = faults.next_if(|(at, _)| *at <= second) {
                self.fault(fault);
            }
            number += 1;
            self.send(number);
        }
        // Longer than any buffer or lag on the way.
        sleep(Duration::from_secs(4)).await; // tidy: sleep paused time, for what is on its way
    }

    pub(crate) fn fault(&self, fault: Fault) {
        let mut state = self.state.lock().unwrap();
        for stream in state.streams.drain(..) {
            let _ = stream.faults.send(fault);
        }
        match fault {
            Fault::Down(time) => state.down_until = Some(Instant::now() + time),
            Fault::Unavailable(time) => state.unavailable_until = Some(Instant::now() + time),
            _ => {}
        }
    }

    /// One envelope: to one stream of each shard, and to each stream without.
    pub(crate) fn send(&self, number: u64) {
        let mut state = self.state.lock().unwrap();
        state.streams.retain(|stream| !stream.envelopes.is_closed());
        state.sent.push((number, self.now()));
        state.turn += 1;
        let mut shards: Vec<_> = state.streams.iter().map(|stream| &stream.shard).collect();
        shards.sort();
        shards.dedup();
        for shard in shards {
            let members: Vec<_> = state.streams.iter().filter(|s| s.shard == *shard).collect();
            let chosen =
                if shard.is_empty() { members } else { vec![members[state.turn % members.len()]] };
            for stream in chosen {
                let _ = stream.envelopes.send((number, Instant::now()));
            }
        }
    }

    /// Sends a message that is not made of a number to all.
    pub(crate) fn say(&self, message: Vec<u8>) {
        let mut state = self.state.lock().unwrap();
        let number = RAW + state.raw.len() as u64;
        state.raw.push(message);
        drop(state);
        self.send(number);
    }

    pub(crate) fn message(&self, number: u64, made: fn(u64) -> Vec<u8>) -> Vec<u8> {
        match number.checked_sub(RAW) {
            Some(raw) => self.state.lock().unwrap().raw[raw as usize].clone(),
            None => made(number),
        }
    }

    /// A stream is open, and what comes of it takes so long to arrive.
    pub(crate) fn join(&self, shard: &str) -> (Told, Duration) {
        let (envelopes, told) = mpsc::unbounded_channel();
        let (faults, faulty) = mpsc::unbounded_channel();
        let mut state = self.state.lock().unwrap();
        let lag = state.connections.checked_rem(state.lags.len() as u64);
        let lag = lag.map_or(Duration::ZERO, |turn| state.lags[turn as usize]);
        state.connections += 1;
        state.streams.push(Stream { shard: shard.to_owned(), envelopes, faults });
        (Told { envelopes: told, faults: faulty }, lag)
    }

    pub(crate) async fn serve(self: Arc<Self>, mut stream: impl Carrier) -> Option<()> {
        loop {
            let request = Request::read(&mut stream).await?;
            let unavailable = self.state.lock().unwrap().unavailable_until;
            if unavailable.is_some_and(|until| Instant::now() < until) {
                let body = "{\"message\":\"streaming is temporarily unavailable\",\
                            \"error\":\"streaming_unavailable\"}\n\n";
                let answer = Answer::text(503, body);
                return stream.write_all(&answer.bytes()?).await.ok();
            }
            let answer = answers::answer(&self, &request);
            let Some(service) = answer.service() else {
                stream.write_all(&answer.bytes()?).await.ok()?;
                continue;
            };
            return match service {
                Service::Tail => {
                    controller::switch(&mut stream, &request).await?;
                    controller::serve(&self, stream, "", messages::line).await
                }
                Service::Dump => {
                    controller::switch(&mut stream, &request).await?;
                    controller::dump(&self, stream).await
                }
                Service::Stream => {
                    controller::switch(&mut stream, &request).await?;
                    controller::serve(&self, stream, "", messages::dropsonde).await
                }
                Service::Firehose(group) => {
                    controller::switch(&mut stream, &request).await?;
                    controller::serve(&self, stream, &group, messages::dropsonde).await
                }
                Service::Gateway(selection) => {
                    gateway::serve(&self, stream, &selection.shard_id).await
                }
            };
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
