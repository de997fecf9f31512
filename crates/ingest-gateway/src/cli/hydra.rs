//! `ingestry hydra URL`: a console for Hydra's web sockets. Lines are sent as they are, what comes
//! back is printed; at the end of the input it waits for what is on its way.

use std::io::{self, BufRead as _, Write as _};
use std::str::FromStr;
use std::sync::Arc;

use anyhow::Context as _;
use clap::Args;
use hydra_ws::{ClientOptions, HydraClient, Others, Target};
use ingest_wire::TlsOptions;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;

use super::Exit;

/// Lines that may wait for the connection.
const QUEUE: usize = 64;

/// Arguments of `hydra`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct HydraArgs {
    /// Where to: ws://HOST:PORT/ws-ingest/INGESTOR, or wss://
    #[arg(value_name = "URL")]
    pub url: Url,
    /// A header field of the handshake, such as hydra-ack=persisted
    #[arg(long, value_name = "NAME=VALUE")]
    pub header: Vec<Field>,
}

/// Where to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Url(pub Target);

impl FromStr for Url {
    type Err = hydra_ws::TargetError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

/// A header field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field(pub String, pub String);

impl FromStr for Field {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((name, value)) if !name.is_empty() => Ok(Self(name.to_owned(), value.to_owned())),
            _ => Err("a field is NAME=VALUE".to_owned()),
        }
    }
}

/// Talks until the input ends, or the server closes.
pub(super) fn run(args: &HydraArgs) -> anyhow::Result<Exit> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let talked = runtime.block_on(talk(args));
    // A thread may be waiting for input that nobody wants any more.
    runtime.shutdown_background();
    talked
}

async fn talk(args: &HydraArgs) -> anyhow::Result<Exit> {
    let (client, mut others) = connect(args).await?;
    let (lines, mut input) = mpsc::channel::<String>(QUEUE);
    std::thread::spawn(move || {
        for line in io::stdin().lock().lines() {
            let Ok(line) = line else { return };
            if lines.blocking_send(line).is_err() {
                return;
            }
        }
    });
    let mut reading = true;
    loop {
        tokio::select! {
            line = input.recv(), if reading => match line {
                Some(line) => client.raw(&line).await?,
                None => {
                    reading = false;
                    client.close().await;
                }
            },
            reply = others.recv() => match reply {
                Some(reply) => print(&reply)?,
                None if reading => anyhow::bail!("the server has closed the connection"),
                None => return Ok(Exit::Fine),
            }
        }
    }
}

async fn connect(args: &HydraArgs) -> anyhow::Result<(HydraClient, Others)> {
    let target = &args.url.0;
    let mut options = ClientOptions::default();
    options.fields = args.header.iter().map(|one| (one.0.clone(), one.1.clone())).collect();
    let context = || format!("cannot connect to {target}");
    if !target.is_tls() {
        return HydraClient::console(target, options).await.with_context(context);
    }
    let config = Arc::new(TlsOptions::default().client_config()?);
    let address = target.address();
    let host = address.rsplit_once(':').map_or(address.as_str(), |(host, _)| host);
    let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned())?;
    let secured = async {
        let stream = TcpStream::connect(&address).await?;
        stream.set_nodelay(true)?;
        TlsConnector::from(config).connect(name, stream).await
    };
    let stream = timeout(options.connect_timeout, secured).await.with_context(context)?;
    let stream = stream.with_context(context)?;
    HydraClient::over(stream, target, options).await.with_context(context)
}

fn print(line: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
}
