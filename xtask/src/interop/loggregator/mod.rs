//! Loggregator, both sides: our clients and the server of the tests (the example
//! `loggregator_peer`) against a program in Go that is made of Cloud Foundry's own modules.

pub(super) mod peer;

use anyhow::{Context as _, Result, ensure};

use crate::flags::Interop;
use peer::{Server, client};

/// Messages of each exchange, unless told otherwise.
const COUNT: u64 = 100_000;

/// What the Go program reads of our server: `go-loggregator` the gateway, `noaa` the others.
const THEIRS: [(&str, &str); 3] = [("gateway", "http"), ("firehose", "ws"), ("stream", "ws")];
/// What our clients read of the Go program's.
const OURS: [(&str, &str); 4] =
    [("tail", "ws"), ("stream", "ws"), ("firehose", "ws"), ("gateway", "http")];
/// What our clients read of what the Go program keeps: as much as that is.
const KEPT: [(&str, &str); 2] = [("recent", "ws"), ("cache", "http")];
const KEPT_COUNT: u64 = 100;

pub(super) fn run(flags: &Interop) -> Result<()> {
    let (go, ours) = (peer::go()?, peer::ours()?);
    let count = flags.entries.unwrap_or(COUNT);
    for (what, scheme) in THEIRS {
        exchange(&ours, &go, what, scheme, count)
            .with_context(|| format!("Go's {what} from our server"))?;
        println!("Go's {what} from our server: {count} messages, equal field by field");
    }
    for (what, scheme) in OURS {
        exchange(&go, &ours, what, scheme, count)
            .with_context(|| format!("our {what} from Go's server"))?;
        println!("our {what} from Go's server: {count} messages, equal field by field");
    }
    for (what, scheme) in KEPT {
        let kept = count.min(KEPT_COUNT);
        exchange(&go, &ours, what, scheme, kept)
            .with_context(|| format!("our {what} from Go's server"))?;
        println!("our {what} from Go's server: {kept} messages, equal field by field");
    }
    refusal(&ours, &go).context("Go's gateway with a wrong token")?;
    Ok(())
}

/// One server, one client: what was sent is what was read, field by field.
fn exchange(
    server: &std::path::Path,
    reader: &std::path::Path,
    what: &str,
    scheme: &str,
    count: u64,
) -> Result<()> {
    let server = Server::start(server, count)?;
    let url = format!("{scheme}://{}", server.address);
    let read = client(reader, what, &url, &server.token, count)?;
    ensure!(read.count == count, "{} of {count} were read", read.count);
    server.finish()
}

/// A wrong token: neither side takes it for an empty stream.
fn refusal(ours: &std::path::Path, go: &std::path::Path) -> Result<()> {
    for (server, reader) in [(ours, go), (go, ours)] {
        let server = Server::start(server, 1)?;
        let url = format!("ws://{}", server.address);
        let read = client(reader, "firehose", &url, "bearer wrong", 1);
        ensure!(read.is_err(), "a wrong token was taken: {read:?}");
        let text = format!("{:#}", read.err().context("no error")?);
        ensure!(text.contains("not authorized"), "the refusal does not say why: {text}");
    }
    println!("a wrong token is refused, and the reason told, both ways");
    Ok(())
}
