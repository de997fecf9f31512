//! The targets `command`, `frames` and `http`: what comes from clients of Hydra's protocol.

mod command;
mod frames;
mod http;
mod serve;

pub use command::{Said, command};
pub use frames::{Frames, frames};
pub use http::http;

use hydra_ws::{Compat, Dialect, Echo, Options};

/// The rules that a byte of flags chooses. Where messages may be dropped, it is not chosen.
fn options(flags: u8) -> Options {
    let dialect = match flags & 3 {
        1 => Dialect::Seed,
        2 => Dialect::Head,
        _ => Dialect::Doc,
    };
    let mut options = Options::new(dialect);
    if flags & 4 != 0 {
        options.echo = Echo::Code;
    }
    options.multiline = flags & 8 != 0;
    options.compat = Compat::Document;
    options
}

/// What is written, with the ids that are drawn and the time of day left out.
fn normal(written: &[u8]) -> String {
    let text = String::from_utf8_lossy(written);
    let mut normal = String::with_capacity(text.len());
    for (number, part) in text.split("Id\":\"").enumerate() {
        let part = match number {
            0 => part,
            _ => part.split_once('"').map_or("", |(_, rest)| rest),
        };
        normal.push_str(part);
    }
    let lines = normal.split("\r\n").filter(|line| !line.starts_with("date: "));
    lines.filter(|line| !line.starts_with("content-length: ")).collect::<Vec<_>>().join("\r\n")
}
