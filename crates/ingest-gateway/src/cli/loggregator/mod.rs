//! `ingestry loggregator`: reads what Cloud Foundry's Loggregator has, old and new, and prints it.

mod args;
mod print;
mod settings;

use std::io::{self, Write};

use anyhow::{Context as _, Result};
use loggregator_consumer::client::{
    ClientError, Consumer, End, Filter, Gateway, Item, LogCache, Messages, Query, Read, Reason,
    TlsOptions, TrafficController,
};

pub use args::{
    AppArgs, Connect, FirehoseArgs, LoggregatorArgs, LoggregatorCommand, Only, ReadArgs, Shape,
    Type,
};
use print::Shown;
use settings::{Server, Settings};

use super::Exit;

/// How many messages of Log Cache `recent` prints.
const RECENT: u32 = 100;

/// Does what was asked for.
pub(super) fn run(args: &LoggregatorArgs) -> Result<Exit> {
    let settings = Settings::read(&settings::environment)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("no runtime")?;
    runtime.block_on(async {
        match &args.command {
            LoggregatorCommand::Tail(args) => tail(args, &settings).await,
            LoggregatorCommand::Recent(args) => recent(args, &settings).await,
            LoggregatorCommand::Stream(args) => {
                let app = settings.app(args.app.as_ref())?;
                let client = controller(&args.connect, &settings)?;
                show(client.stream(&app), &args.connect).await
            }
            LoggregatorCommand::Firehose(args) => {
                let filter = match args.only {
                    None => Filter::All,
                    Some(Only::Logs) => Filter::Logs,
                    Some(Only::Metrics) => Filter::Metrics,
                };
                let client = controller(&args.connect, &settings)?;
                show(client.firehose(&args.subscription, filter), &args.connect).await
            }
            LoggregatorCommand::Read(args) => read(args, &settings).await,
        }
    })
}

fn tls(connect: &Connect, settings: &Settings<'_>) -> Result<TlsOptions> {
    let mut tls = TlsOptions::default();
    if let Some(ca) = &connect.ca {
        let pem = std::fs::read(ca).with_context(|| format!("cannot read {}", ca.display()))?;
        tls = tls.authority(pem);
    }
    let insecure = connect.insecure || (settings.insecure() && connect.ca.is_none());
    Ok(if insecure { tls.dangerous_accept_any_certificate() } else { tls })
}

async fn tail(args: &AppArgs, settings: &Settings<'_>) -> Result<Exit> {
    let (app, token) = (settings.app(args.app.as_ref())?, settings.token()?);
    let endpoint = settings.endpoint(args.connect.endpoint.as_ref(), Server::Loggregator)?;
    let consumer = Consumer::builder(endpoint).tls(tls(&args.connect, settings)?).build();
    show(consumer.tail(&app, &token).await?, &args.connect).await
}

async fn recent(args: &AppArgs, settings: &Settings<'_>) -> Result<Exit> {
    let (app, token) = (settings.app(args.app.as_ref())?, settings.token()?);
    let endpoint = settings.endpoint(args.connect.endpoint.as_ref(), Server::LogCache)?;
    let tls = tls(&args.connect, settings)?;
    let limit = args.connect.limit.unwrap_or(u64::MAX);
    if endpoint.starts_with("ws") {
        let consumer = Consumer::builder(endpoint).tls(tls).build();
        let mut recent = consumer.recent(&app, &token).await?;
        loggregator_consumer::sort_recent(&mut recent.messages);
        if recent.truncated {
            notice(&"the answer was cut off: messages are missing");
        }
        if recent.undecodable > 0 {
            notice(&format!("{} parts of the answer were no messages", recent.undecodable));
        }
        return print_all(last(&recent.messages, limit), args.connect.format);
    }
    let cache = LogCache::builder(endpoint).tls(tls).token(token).build();
    let wanted = u32::try_from(limit).unwrap_or(RECENT).min(1000);
    let read = Read {
        limit: Some(wanted),
        descending: true,
        types: vec!["LOG".to_owned()],
        ..Read::default()
    };
    let mut batch = cache.read(&app, &read).await?;
    if batch.rejected > 0 {
        notice(&format!("{} envelopes could not be read", batch.rejected));
    }
    batch.envelopes.reverse();
    print_all(&batch.envelopes, args.connect.format)
}

fn last<T>(list: &[T], count: u64) -> &[T] {
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    list.get(list.len().saturating_sub(count)..).unwrap_or_default()
}

fn print_all<M: Shown>(messages: &[M], shape: Shape) -> Result<Exit> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    for message in messages {
        message.print(shape, &mut out)?;
    }
    out.flush()?;
    Ok(Exit::Fine)
}

fn controller(connect: &Connect, settings: &Settings<'_>) -> Result<TrafficController> {
    let endpoint = settings.endpoint(connect.endpoint.as_ref(), Server::Doppler)?;
    let mut client = TrafficController::builder(endpoint).tls(tls(connect, settings)?);
    if let Some(source) = settings.next_token() {
        client = client.token_source(source);
    }
    Ok(client.token(settings.token()?).build())
}

async fn read(args: &ReadArgs, settings: &Settings<'_>) -> Result<Exit> {
    let endpoint = settings.endpoint(args.connect.endpoint.as_ref(), Server::LogStream)?;
    let gateway = Gateway::builder(endpoint).tls(tls(&args.connect, settings)?);
    let mut query = Query { shard_id: args.shard_id.clone(), ..Query::default() };
    query.source_ids.clone_from(&args.sources);
    if query.source_ids.is_empty() {
        query.source_ids.extend(settings.app_if_any());
    }
    for kind in &args.types {
        match kind {
            Type::Log => query.log = true,
            Type::Counter => query.counter = true,
            Type::Gauge => query.gauge = true,
            Type::Timer => query.timer = true,
            Type::Event => query.event = true,
        }
    }
    if args.types.is_empty() {
        query =
            Query { source_ids: query.source_ids, shard_id: query.shard_id, ..Query::everything() };
    }
    let mut gateway = gateway.token(settings.token()?);
    if let Some(source) = settings.next_token() {
        gateway = gateway.token_source(source);
    }
    let gateway = gateway.build();
    show(gateway.stream(query), &args.connect).await
}

/// Something that the messages do not say.
fn notice(text: &dyn std::fmt::Display) {
    let _ = writeln!(io::stderr().lock(), "ingestry: {text}");
}

/// What trying again does not change. The gateway says 404 to a token that is not good.
fn is_refusal(error: &ClientError) -> bool {
    matches!(error.status(), Some(401 | 403 | 404))
}

/// Prints messages until the stream, or whoever reads, ends.
async fn show<M: Shown>(mut stream: Messages<M>, connect: &Connect) -> Result<Exit> {
    let mut left = connect.limit.unwrap_or(u64::MAX);
    let mut ended = Reason::End(End::ClosedByUs);
    while left > 0 {
        let Some(item) = stream.next().await else { break };
        match item {
            Item::Message(message) => {
                left -= 1;
                let mut out = io::stdout().lock();
                let printed = message.print(connect.format, &mut out).and_then(|()| out.flush());
                match printed {
                    Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                        return Ok(Exit::Fine);
                    }
                    printed => printed?,
                }
            }
            Item::Connected => {}
            Item::Dropped(count) => notice(&format!("{count} messages were dropped here")),
            Item::Gap(gap) => notice(&format!("messages may be missing here: {}", gap.cause)),
            Item::Undecodable { error, .. } => notice(&error),
            Item::Retrying { error: Reason::Error(error), .. } if is_refusal(&error) => {
                return Err(anyhow::Error::new(error).context(
                    "the token is refused, or is not for this: log in again with cf, or set \
                     CF_ACCESS_TOKEN to what `cf oauth-token` prints",
                ));
            }
            Item::Retrying { error, wait } => {
                let seconds = wait.as_secs_f64();
                notice(&format!("{error}; the next try is in {seconds:.1} s"));
            }
            Item::Ended(reason) => ended = reason,
            _ => {}
        }
    }
    match ended {
        Reason::End(End::ClosedByUs) => Ok(Exit::Fine),
        Reason::End(End::Closed { code: Some(1000) | None, .. }) => {
            notice(&ended);
            Ok(Exit::Fine)
        }
        other => Err(other.into()),
    }
}
