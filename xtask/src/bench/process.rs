//! The processes of a run: this program again, as one of the sides.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// How long a side may say nothing.
const PATIENCE: Duration = Duration::from_secs(120);

/// A side, killed and reaped when it is dropped.
#[derive(Debug)]
pub(crate) struct Side {
    name: &'static str,
    child: Child,
    lines: Receiver<String>,
}

impl Side {
    /// Starts one, with whatever it has to know.
    pub(crate) fn start(name: &'static str, args: &impl Serialize) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args([super::SIDE, name, &serde_json::to_string(args)?]);
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("cannot start {name}"))?;
        let output = child.stdout.take().context("its output is piped")?;
        let (sender, lines) = channel();
        // Ends with the output, or with this side.
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        Ok(Self { name, child, lines })
    }

    /// The next thing that it says.
    pub(crate) fn hear<T: DeserializeOwned>(&mut self) -> Result<T> {
        let Ok(line) = self.lines.recv_timeout(PATIENCE) else {
            bail!("{} says nothing, and its end is {:?}", self.name, self.child.try_wait()?);
        };
        serde_json::from_str(&line).with_context(|| format!("{} said {line:?}", self.name))
    }

    /// The next thing that it says, if it says something within this time.
    pub(crate) fn hear_within<T: DeserializeOwned>(&mut self, time: Duration) -> Result<Option<T>> {
        let Ok(line) = self.lines.recv_timeout(time) else { return Ok(None) };
        let heard = serde_json::from_str(&line);
        heard.map(Some).with_context(|| format!("{} said {line:?}", self.name))
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its last words, behind which it ends well.
    pub(crate) fn finish<T: DeserializeOwned>(mut self) -> Result<T> {
        let last = self.hear()?;
        let status = self.child.wait()?;
        ensure!(status.success(), "{} ended with {status}", self.name);
        Ok(last)
    }
}

impl Drop for Side {
    fn drop(&mut self) {
        // One that has ended cannot be killed, and that is all that can be wrong.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a side says, to be heard by [`Side::hear`].
pub(crate) fn say(what: &impl Serialize) -> Result<()> {
    let mut out = std::io::stdout().lock();
    serde_json::to_writer(&mut out, what)?;
    out.write_all(b"\n")?;
    Ok(out.flush()?)
}
