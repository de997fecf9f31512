//! The attackers.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use ingest_wire::{AuthResponse, Challenge, STATE_HOT, Secret, StateResponse, TagRequest};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::super::{SECRET, TAG};
use super::{Attack, HANDSHAKES, IDLE, Orders, SOME, raise_files};
use crate::bench::process::say;

/// Where attackers come from.
const FAR: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 9);
/// How many of them are on their way in at once, of one address.
const AT_ONCE: usize = 16;
/// How long the slow take over a byte, and how long others wait before they come again.
const PAUSE: Duration = Duration::from_secs(1);

/// Attacks until it is killed; says how many connections there are once all have been made.
pub(crate) fn run(orders: Orders) -> Result<()> {
    raise_files()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(attack(orders))
}

async fn attack(Orders { to, attack }: Orders) -> Result<()> {
    let count = match attack {
        Attack::SlowLoris | Attack::Silent => HANDSHAKES,
        Attack::Deaf | Attack::Lengths | Attack::Secrets => SOME,
        Attack::Idle => IDLE,
    };
    let door = Arc::new(Semaphore::new(AT_ONCE));
    let (ready, mut are_ready) = tokio::sync::mpsc::unbounded_channel();
    let mut attackers = JoinSet::new();
    for number in 0..count {
        let (door, ready) = (door.clone(), ready.clone());
        attackers.spawn(async move {
            let mut ready = Some(ready);
            loop {
                // A connection that the server ends is made again.
                let ended = one(to, attack, number, &door, &mut ready).await;
                if let (Attack::Idle, Err(error)) = (attack, &ended) {
                    eprintln!("an idle connection ended: {error:#}");
                }
                if attack != Attack::Secrets {
                    sleep(PAUSE).await;
                }
            }
        });
    }
    for _ in 0..count {
        let first = timeout(Duration::from_secs(100), are_ready.recv()).await;
        first.context("not all attackers came up")?;
    }
    say(&count)?;
    while attackers.join_next().await.is_some() {}
    bail!("the attackers have ended")
}

type Ready = Option<tokio::sync::mpsc::UnboundedSender<()>>;

/// One connection; says once that it is there.
async fn one(
    to: SocketAddr,
    attack: Attack,
    number: usize,
    door: &Semaphore,
    ready: &mut Ready,
) -> Result<()> {
    // Those who come in do so a few at a time, so that they need not give way to one another.
    let entered = match attack {
        Attack::Idle | Attack::Lengths | Attack::Deaf => Some(door.acquire().await?),
        Attack::SlowLoris | Attack::Silent | Attack::Secrets => None,
    };
    let socket = TcpSocket::new_v4()?;
    socket.bind((FAR, 0).into())?;
    let mut stream = socket.connect(to).await?;
    let mut is_ready = || ready.take().map(|ready| ready.send(()));
    match attack {
        Attack::SlowLoris => {
            is_ready();
            for byte in [7; 32] {
                stream.write_all(&[byte]).await?;
                sleep(PAUSE).await;
            }
        }
        Attack::Silent => {
            is_ready();
        }
        Attack::Secrets => {
            let mut challenge = [0; Challenge::LEN];
            let asked = stream.read_exact(&mut challenge).await;
            is_ready();
            asked?;
            stream.write_all(&[number as u8; 32]).await?;
        }
        Attack::Idle => {
            enter(&mut stream).await?;
            drop(entered);
            is_ready();
        }
        Attack::Lengths => {
            let challenge = enter(&mut stream).await;
            drop(entered);
            is_ready();
            challenge?;
            stream.write_all(&declared(number)).await?;
        }
        Attack::Deaf => {
            enter(&mut stream).await?;
            drop(entered);
            is_ready();
            return deaf(&mut stream).await;
        }
    }
    // Until the server has had enough.
    let mut replies = [0; 256];
    while stream.read(&mut replies).await? > 0 {}
    Ok(())
}

/// The handshake of somebody who knows the secret.
async fn enter(stream: &mut TcpStream) -> Result<()> {
    let mut challenge = [0; Challenge::LEN];
    stream.read_exact(&mut challenge).await?;
    let challenge = Challenge::decode(&challenge);
    let hash = Secret::new(SECRET).respond(&challenge);
    let mut bytes = Vec::new();
    AuthResponse { hash, tenant: None }.encode(challenge.version, &mut bytes)?;
    stream.write_all(&bytes).await?;
    let state_len = stream.read_u16_le().await?;
    skip(stream, usize::from(state_len)).await?;
    bytes.clear();
    let tags = TagRequest { count: 1, tags: Some(vec![TAG.to_owned()]) };
    tags.encode(1 << 20, &mut bytes)?;
    stream.write_all(&bytes).await?;
    let tags_len = stream.read_u32_le().await?;
    skip(stream, tags_len as usize).await?;
    bytes.clear();
    StateResponse { id: STATE_HOT, info: String::new() }.encode(4096, &mut bytes)?;
    Ok(stream.write_all(&bytes).await?)
}

async fn skip(stream: &mut TcpStream, len: usize) -> Result<()> {
    anyhow::ensure!(len < 4096, "a reply of {len} bytes");
    stream.read_exact(&mut vec![0; len]).await?;
    Ok(())
}

/// Something whose length is declared and that never comes.
fn declared(number: usize) -> Vec<u8> {
    let word = |word: u32| word.to_le_bytes().to_vec();
    match number % 5 {
        // An entry of 1 GiB - 1, and one as long as is allowed, each with a little of its data.
        0 => [word(0xC7C9_5ACB), word(0x3FFF_FFFF), vec![0; 1000]].concat(),
        1 => [word(0xC7C9_5ACB), word(16 << 20), vec![0; 1000]].concat(),
        // A state message, a ditto block, a stream configuration.
        2 => [word(0x4455_6600), word(1 << 20), vec![b' '; 100]].concat(),
        3 => [word(0xDDCC_BBAA), word(u32::MAX), word(u32::MAX)].concat(),
        _ => {
            let set_up: &[u8] = &[0, 0x44, 0x33, 0x22, 9, 0, 0, 0x55, 0x44, 0x33];
            [set_up.to_vec(), word(1 << 20), vec![0; 10]].concat()
        }
    }
}

/// Asks and sends for ever, and reads nothing.
async fn deaf(stream: &mut TcpStream) -> Result<()> {
    let empty_state = [0x00, 0x66, 0x55, 0x44, 0, 0, 0, 0].repeat(512);
    loop {
        stream.write_all(&empty_state).await?;
    }
}
