//! `ingestry top`: a running gateway in the terminal, from what its admin pages say.
#![allow(clippy::indexing_slicing, reason = "JSON that is not there is null")]

use std::fmt::Write as _;
use std::io::{self, IsTerminal as _, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use serde_json::Value;

use super::Exit;
use crate::config::{self, Overrides};
use crate::units::format_size_rounded;

/// A longer answer is none of a gateway's, in bytes.
const MOST: u64 = 64 << 20;
const PATIENCE: Duration = Duration::from_secs(5);
/// Clears the rest of each line as it goes, and of the screen at the end: nothing flickers.
const HOME: &str = "\x1b[H";
const REST_OF_LINE: &str = "\x1b[K\n";
const REST_OF_SCREEN: &str = "\x1b[J";

/// Arguments of `top`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct TopArgs {
    /// Where the gateway's admin pages are [default: 127.0.0.1:8910, or admin.listen of --config]
    #[arg(long, value_name = "ADDR", conflicts_with = "config")]
    pub admin: Option<SocketAddr>,
    /// The configuration of the gateway, which says where its admin pages are
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Seconds between two looks
    #[arg(long, value_name = "SECONDS", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub every: u64,
    /// Look twice, print once, and end
    #[arg(long)]
    pub once: bool,
}

/// Looks until it is interrupted.
pub(super) fn run(args: &TopArgs) -> anyhow::Result<Exit> {
    let admin = match admin(args) {
        Ok(admin) => admin,
        Err(error) => {
            let _ = writeln!(io::stderr().lock(), "{error}");
            return Ok(Exit::Usage);
        }
    };
    let live = !args.once && io::stdout().is_terminal();
    let mut before = status(admin)?;
    loop {
        std::thread::sleep(Duration::from_secs(args.every));
        // A gateway that restarts comes back; who watches wants to see when.
        let (text, now) = match status(admin) {
            Ok(now) => (screen(&now, &before), now),
            Err(error) if live => (format!("{error:#}\n"), before),
            Err(error) => return Err(error),
        };
        let mut out = io::stdout().lock();
        let written = if live {
            let text = text.replace('\n', REST_OF_LINE);
            out.write_all(format!("{HOME}{text}{REST_OF_SCREEN}").as_bytes())
        } else {
            out.write_all(text.as_bytes())
        };
        if args.once || written.and_then(|()| out.flush()).is_err() {
            return Ok(Exit::Fine);
        }
        before = now;
    }
}

fn admin(args: &TopArgs) -> Result<SocketAddr, String> {
    if let Some(admin) = args.admin {
        return Ok(admin);
    }
    let loaded = config::for_run(args.config.as_deref(), &Overrides::default());
    let admin = loaded.map_err(|error| error.to_string())?.config.admin;
    if !admin.enabled {
        return Err("error: this configuration has no admin pages (admin.enabled)".to_owned());
    }
    let text = admin.listen.to_string();
    std::net::ToSocketAddrs::to_socket_addrs(&text)
        .ok()
        .and_then(|mut all| all.next())
        .ok_or_else(|| format!("error: admin.listen: {text} has no address"))
}

/// What `/status` says.
fn status(admin: SocketAddr) -> anyhow::Result<Value> {
    let failed = || format!("no admin pages at {admin}: is the gateway running?");
    let mut stream = TcpStream::connect_timeout(&admin, PATIENCE).with_context(failed)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let request = format!("GET /status HTTP/1.1\r\nHost: {admin}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.take(MOST).read_to_string(&mut answer).with_context(failed)?;
    let (head, body) = answer.split_once("\r\n\r\n").with_context(failed)?;
    let code = head.split(' ').nth(1).unwrap_or_default();
    anyhow::ensure!(code == "200", "the admin pages at {admin} answer {code}: {}", body.trim());
    serde_json::from_str(body).with_context(|| format!("{admin} answers with no status"))
}

/// One look, with what has changed since the one before.
fn screen(now: &Value, before: &Value) -> String {
    let span = now["uptime_seconds"].as_f64().unwrap_or(0.0)
        - before["uptime_seconds"].as_f64().unwrap_or(0.0);
    // A new process counts from the beginning.
    let since = if span > 0.0 { Some((before, span)) } else { None };
    let log = &now["log"];
    let wide = name_width(now);
    let mut text = String::new();
    let mut line = |of: std::fmt::Arguments<'_>| {
        let _ = writeln!(text, "{of}");
    };
    let ready = if now["ready"] == true { "takes data" } else { "NOT READY" };
    let balanced = if now["balanced"] == true { "balanced" } else { "ACCOUNTS DO NOT ADD UP" };
    line(format_args!(
        "ingestry {}  {ready}, log {}, {balanced}  up {}",
        now["version"].as_str().unwrap_or_default(),
        log["health"].as_str().unwrap_or_default(),
        time(now["uptime_seconds"].as_f64()),
    ));
    let written =
        rate(log, since.map(|(had, span)| (&had["log"], span)), |log| count(&log["written_bytes"]));
    let syncs = rate(log, since.map(|(had, span)| (&had["log"], span)), |log| count(&log["syncs"]));
    line(format_args!(
        "log      {} of {}, {}/s written, {} syncs/s, {} of memory free",
        size(count(&log["used_bytes"])),
        size(count(&log["max_bytes"])),
        size(written),
        number(syncs),
        size(count(&log["memory_available"])),
    ));
    line(format_args!(""));
    line(format_args!(
        "{:<wide$} {:<18} {:>9} {:>11} {:>9} {:>9} {:>6}",
        "SOURCE", "TYPE", "items/s", "bytes/s", "accepted", "refused", "open"
    ));
    for source in rows(&now["sources"]) {
        let had = since.and_then(|(had, span)| Some((named(&had["sources"], source)?, span)));
        let items = rate(source, had, |source| count(&source["received"]["items"]));
        let bytes = rate(source, had, |source| count(&source["received"]["bytes"]));
        line(format_args!(
            "{:<wide$} {:<18} {:>9} {:>11} {:>9} {:>9} {:>6}",
            name(source),
            source["type"].as_str().unwrap_or_default(),
            number(items),
            size(bytes),
            number(count(&source["accepted"]["items"])),
            number(total(&source["rejected"])),
            count(&source["connections"]["open"]),
        ));
        if total(&source["rejected"]) > 0.0 {
            line(format_args!("  refused: {}", reasons(&source["rejected"])));
        }
        let made = &source["template"];
        if made.is_object() {
            line(format_args!(
                "  tags of {}: {} of {}; plain tag: {} missing, {} too many",
                made["template"].as_str().unwrap_or_default(),
                number(count(&made["tags"])),
                number(count(&made["most"])),
                number(count(&made["missing"])),
                number(count(&made["too_many"])),
            ));
        }
        if count(&source["kernel_drops"]) > 0.0 {
            line(format_args!(
                "  dropped by the kernel: {}",
                number(count(&source["kernel_drops"]))
            ));
        }
    }
    if rows(&now["rules"]).next().is_some() {
        line(format_args!(""));
        line(format_args!(
            "{:<wide$} {:<18} {:>9} {:>11} {:>9}",
            "RULE", "ACTION", "dropped/s", "kept", "dropped"
        ));
    }
    for rule in rows(&now["rules"]) {
        let had = since.and_then(|(had, span)| Some((named(&had["rules"], rule)?, span)));
        line(format_args!(
            "{:<wide$} {:<18} {:>9} {:>11} {:>9}",
            name(rule),
            rule["action"].as_str().unwrap_or_default(),
            number(rate(rule, had, |rule| count(&rule["dropped"]))),
            number(count(&rule["kept"])),
            number(count(&rule["dropped"])),
        ));
    }
    if rows(&now["limits"]).next().is_some() {
        line(format_args!(""));
        line(format_args!(
            "{:<wide$} {:<18} {:>9} {:>11} {:>9} {:>9}",
            "LIMIT", "ON LIMIT", "passed/s", "passed", "dropped", "waits"
        ));
    }
    for limit in rows(&now["limits"]) {
        let had = since.and_then(|(had, span)| Some((named(&had["limits"], limit)?, span)));
        line(format_args!(
            "{:<wide$} {:<18} {:>9} {:>11} {:>9} {:>9}",
            name(limit),
            limit["on_limit"].as_str().unwrap_or_default(),
            number(rate(limit, had, |limit| count(&limit["passed"]))),
            number(count(&limit["passed"])),
            number(count(&limit["dropped"])),
            number(count(&limit["waits"])),
        ));
    }
    line(format_args!(""));
    line(format_args!(
        "{:<wide$} {:<18} {:>9} {:>11} {:>9} {:>9} {:>6}",
        "DESTINATION", "TYPE", "entries/s", "lag", "oldest", "lost", "links"
    ));
    for output in rows(&now["outputs"]) {
        let had = since.and_then(|(had, span)| Some((named(&had["outputs"], output)?, span)));
        let confirmed = rate(output, had, |output| count(&output["confirmed"]));
        let links: Vec<_> = rows(&output["links"]).collect();
        let up = links.iter().filter(|link| link["state"] == "up").count();
        line(format_args!(
            "{:<wide$} {:<18} {:>9} {:>11} {:>9} {:>9} {:>6}",
            name(output),
            output["type"].as_str().unwrap_or_default(),
            number(confirmed),
            number(count(&output["lag"]["entries"])),
            time(output["lag"]["seconds"].as_f64()),
            number(total(&output["lost"])),
            if links.is_empty() { String::new() } else { format!("{up}/{}", links.len()) },
        ));
        if total(&output["lost"]) > 0.0 {
            line(format_args!("  lost: {}", reasons(&output["lost"])));
        }
        for link in links.iter().filter(|link| link["state"] != "up") {
            let error = link["last_error"].as_str().map(|error| format!(": {error}"));
            let state = link["state"].as_str().unwrap_or_default();
            line(format_args!("  link {state}{}", error.unwrap_or_default()));
        }
    }
    text
}

/// The width of the first column: that of the longest name, if a screen of 100 columns has room for it.
fn name_width(now: &Value) -> usize {
    let lists = ["sources", "rules", "limits", "outputs"];
    let names = lists.iter().flat_map(|list| rows(&now[*list])).map(name);
    names.map(|name| name.chars().count()).max().unwrap_or(0).clamp(18, 32)
}

fn rows(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}

fn name(row: &Value) -> &str {
    row["name"].as_str().unwrap_or_default()
}

fn named<'a>(list: &'a Value, row: &Value) -> Option<&'a Value> {
    rows(list).find(|had| had["name"] == row["name"])
}

fn count(value: &Value) -> f64 {
    value.as_f64().unwrap_or(0.0)
}

fn total(counts: &Value) -> f64 {
    counts
        .as_object()
        .map_or(0.0, |counts| counts.values().map(count).fold(0.0, |all, one| all + one))
}

fn reasons(counts: &Value) -> String {
    let some = counts.as_object().into_iter().flatten().filter(|(_, n)| count(n) > 0.0);
    let all: Vec<_> = some.map(|(reason, n)| format!("{reason} {}", number(count(n)))).collect();
    all.join(", ")
}

/// What a count has grown by in a second.
fn rate(now: &Value, had: Option<(&Value, f64)>, of: impl Fn(&Value) -> f64) -> f64 {
    had.map_or(0.0, |(had, span)| ((of(now) - of(had)) / span).max(0.0))
}

fn number(n: f64) -> String {
    let units = [(1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")];
    match units.into_iter().find(|(unit, _)| n >= *unit * 10.0) {
        Some((unit, letter)) => format!("{:.1}{letter}", n / unit),
        None => format!("{n:.0}"),
    }
}

fn size(bytes: f64) -> String {
    format_size_rounded(bytes as u64)
}

fn time(seconds: Option<f64>) -> String {
    match seconds {
        None => "?".to_owned(),
        Some(0.0) => "0 s".to_owned(),
        Some(s) if s < 1.0 => format!("{:.0} ms", s * 1e3),
        Some(s) if s < 120.0 => format!("{s:.1} s"),
        Some(s) if s < 7200.0 => format!("{:.0} min", s / 60.0),
        Some(s) if s < 172_800.0 => format!("{:.0} h", s / 3600.0),
        Some(s) => format!("{:.0} d", s / 86_400.0),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn look(uptime: f64, items: u64, refused: u64) -> Value {
        json!({
            "version": "1.2.3", "uptime_seconds": uptime, "ready": true, "balanced": true,
            "log": { "health": "accepting", "used_bytes": 1 << 20, "max_bytes": 10 << 20,
                "written_bytes": items * 100, "syncs": 5, "memory_available": 1 << 26 },
            "sources": [{ "name": "graphite", "type": "graphite",
                "received": { "items": items, "bytes": items * 20 },
                "accepted": { "items": items - refused },
                "rejected": { "field_count": refused, "too_long": 0 },
                "connections": { "open": 2 }, "kernel_drops": 0 }],
            "outputs": [{ "name": "out", "type": "gravwell", "confirmed": items / 2,
                "lag": { "entries": items / 2, "seconds": 3.0 }, "lost": {},
                "links": [{ "state": "down", "last_error": "nobody there" }, { "state": "up" }] }],
        })
    }

    #[test]
    fn rates_are_of_the_time_between_two_looks() {
        let text = screen(&look(12.0, 50_000, 4), &look(10.0, 10_000, 4));
        let line = |start: &str| {
            let found = text.lines().find(|line| line.starts_with(start)).unwrap();
            found.split_whitespace().collect::<Vec<_>>().join(" ")
        };
        assert_eq!(line("graphite"), "graphite graphite 20.0k 390.6 KiB 50.0k 4 2");
        assert_eq!(line("  refused"), "refused: field_count 4");
        assert_eq!(line("out"), "out gravwell 10.0k 25.0k 3.0 s 0 1/2");
        assert_eq!(line("  link"), "link down: nobody there");
    }

    #[test]
    fn rules_and_limits_stand_in_columns_of_their_own() {
        let decided = |dropped: u64| {
            json!({
                "uptime_seconds": dropped as f64,
                "rules": [{ "name": "no debug", "action": "drop", "kept": 7, "dropped": dropped }],
                "limits": [{ "name": "a name that is longer", "on_limit": "block",
                    "passed": 9, "dropped": 0, "waits": dropped }],
            })
        };
        let text = screen(&decided(40), &decided(20));
        let at = |line: &str, word: &str| text.lines().find(|l| l.starts_with(line))?.find(word);
        assert_eq!(at("no debug", "drop"), at("RULE", "ACTION"), "{text}");
        assert_eq!(at("a name that is longer", "block"), at("RULE", "ACTION"), "{text}");
        let rule = text.lines().find(|line| line.starts_with("no debug")).unwrap();
        assert_eq!(rule.split_whitespace().skip(2).collect::<Vec<_>>(), ["drop", "1", "7", "40"]);
        assert!(!screen(&look(2.0, 5, 0), &look(1.0, 5, 0)).contains("RULE"), "there are none");
    }

    #[test]
    fn after_a_restart_there_is_no_rate() {
        let text = screen(&look(1.0, 500, 0), &look(10.0, 10_000, 0));
        assert!(text.contains("graphite           graphite                   0"), "{text}");
    }
}
