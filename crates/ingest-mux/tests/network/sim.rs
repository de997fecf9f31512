//! A network of streams in memory, on a clock that is paused, with troubles that a seed decides.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ingest_entry::{TagId, TagName};
use ingest_mux::{Dial, DialFuture};
use ingest_wire::{Acceptor, Secret};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio::sync::watch;

pub(crate) const SECRET: &str = "open sesame";
/// What the network holds of a direction.
const PIPE: usize = 16 << 10;

/// SplitMix64.
#[derive(Debug)]
pub(crate) struct Rng(pub(crate) u64);

impl Rng {
    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % n
    }
}

/// What happens to a connection, after so many bytes from the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// Nobody listens.
    Refused,
    /// A partition: nobody answers, and nobody says so.
    Unreachable,
    /// Both ends are told that it is over.
    Reset(u64),
    /// A partition: nothing passes any more, and nobody is told.
    Silent(u64),
    /// What the indexer says gets lost, and nobody is told.
    Deaf(u64),
    /// Nothing passes for so many seconds, then all of it.
    Stalled(u64, u64),
    /// The indexer dies, with all its connections, and is there again at once: what it has
    /// acknowledged it has.
    Restarted(u64),
}

/// An indexer, and the way to it.
#[derive(Debug)]
pub(crate) struct Host {
    rng: Mutex<Rng>,
    /// Troubles that are left.
    left: Mutex<u32>,
    troubles: Mutex<Vec<Trouble>>,
    /// Stored entries, in the order of their arrival.
    stored: Mutex<Vec<u64>>,
    /// Counts restarts: connections of an earlier life end.
    life: watch::Sender<u32>,
}

impl Host {
    pub(crate) fn new(seed: u64, troubles: u32) -> Arc<Self> {
        Arc::new(Self {
            rng: Mutex::new(Rng(seed)),
            left: Mutex::new(troubles),
            troubles: Mutex::default(),
            stored: Mutex::default(),
            life: watch::Sender::new(0),
        })
    }

    pub(crate) fn stored(&self) -> Vec<u64> {
        self.stored.lock().unwrap().clone()
    }

    pub(crate) fn troubles(&self) -> Vec<Trouble> {
        self.troubles.lock().unwrap().clone()
    }

    fn trouble(&self) -> Option<Trouble> {
        let mut left = self.left.lock().unwrap();
        *left = left.checked_sub(1)?;
        let mut rng = self.rng.lock().unwrap();
        // From the middle of the handshake to the middle of the entries.
        let after = rng.below(40) * rng.below(40) * 100;
        let trouble = match rng.below(7) {
            0 => Trouble::Refused,
            1 => Trouble::Unreachable,
            2 => Trouble::Reset(after),
            3 => Trouble::Silent(after),
            4 => Trouble::Deaf(after),
            5 => Trouble::Stalled(after, rng.below(100)),
            _ => Trouble::Restarted(after),
        };
        self.troubles.lock().unwrap().push(trouble);
        Some(trouble)
    }

    /// Stores what comes, and then acknowledges it.
    async fn serve(&self, stream: DuplexStream) {
        let acceptor = Acceptor::new(Secret::new(SECRET)).iterations(0, 0);
        let number = |_: &TagName| Some(TagId(1));
        let Ok(mut session) = acceptor.accept(stream, number).await else { return };
        while let Ok(Some(batch)) = session.next_batch().await {
            let numbers = batch.iter().map(|entry| text(entry.data).parse().unwrap());
            self.stored.lock().unwrap().extend(numbers.collect::<Vec<u64>>());
            let receipt = batch.receipt();
            session.confirm(receipt);
        }
    }
}

fn text(data: &[u8]) -> &str {
    std::str::from_utf8(data).unwrap().trim_end_matches('.')
}

/// The way to a host.
#[derive(Debug)]
pub(crate) struct Way(pub(crate) Arc<Host>);

impl Dial for Way {
    fn dial(&self) -> DialFuture<'_> {
        Box::pin(async {
            let trouble = self.0.trouble();
            match trouble {
                Some(Trouble::Refused) => return Err(io::ErrorKind::ConnectionRefused.into()),
                Some(Trouble::Unreachable) => std::future::pending::<()>().await,
                _ => {}
            }
            let (near, far) = tokio::io::duplex(PIPE);
            let (arrived, served) = tokio::io::duplex(PIPE);
            let host = Arc::clone(&self.0);
            let mut life = host.life.subscribe();
            tokio::spawn(async move {
                tokio::select! {
                    () = host.serve(served) => {}
                    _ = life.changed() => {}
                }
            });
            tokio::spawn(carry(far, arrived, trouble, Arc::clone(&self.0)));
            Ok(Box::new(near) as _)
        })
    }
}

/// Carries bytes both ways until the trouble comes.
async fn carry(
    mut near: DuplexStream,
    mut far: DuplexStream,
    trouble: Option<Trouble>,
    host: Arc<Host>,
) {
    let after = match trouble {
        Some(
            Trouble::Reset(after)
            | Trouble::Silent(after)
            | Trouble::Deaf(after)
            | Trouble::Stalled(after, _)
            | Trouble::Restarted(after),
        ) => Some(after),
        _ => None,
    };
    let mut left = after.unwrap_or(u64::MAX);
    let (mut up, mut down) = ([0; 2048], [0; 2048]);
    let mut deaf = false;
    loop {
        if left == 0 {
            left = u64::MAX;
            match trouble {
                Some(Trouble::Silent(_)) => {
                    // Both ends stay open until one of them has had enough.
                    return swallow(near, far).await;
                }
                Some(Trouble::Deaf(_)) => deaf = true,
                Some(Trouble::Stalled(_, seconds)) => {
                    let end = tokio::time::Instant::now() + Duration::from_secs(seconds);
                    tokio::time::sleep_until(end).await; // tidy: sleep the clock is paused
                }
                Some(Trouble::Restarted(_)) => {
                    host.life.send_modify(|life| *life += 1);
                    return;
                }
                _ => return,
            }
        }
        let most = usize::try_from(left).unwrap_or(usize::MAX).min(up.len());
        tokio::select! {
            biased;
            read = near.read(&mut up[..most]) => match read {
                Ok(len) if len > 0 => {
                    if far.write_all(&up[..len]).await.is_err() {
                        return;
                    }
                    left = left.saturating_sub(len as u64);
                }
                _ => return,
            },
            read = far.read(&mut down) => match read {
                Ok(len) if len > 0 => {
                    if !deaf && near.write_all(&down[..len]).await.is_err() {
                        return;
                    }
                }
                _ => return,
            },
        }
    }
}

/// Takes whatever comes from the client and lets nothing through, until the client hangs up.
async fn swallow(mut near: DuplexStream, far: DuplexStream) {
    let mut buf = [0; 2048];
    while near.read(&mut buf).await.is_ok_and(|len| len > 0) {}
    drop(far);
}
