//! rsyslog, from Debian: lines in over TCP, out over TCP, with one of its queues in between.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use super::Kind;
use super::receiver::ROOM;
use crate::interop::programs::find_in;

pub(super) fn program() -> Result<PathBuf> {
    find_in(&["/usr/sbin", "/sbin"], "rsyslogd", "rsyslog")
}

pub(super) fn arguments(
    command: &mut Command,
    kind: Kind,
    dir: &Path,
    listen: SocketAddr,
    out: SocketAddr,
) -> Result<()> {
    let file = dir.join("rsyslog.conf");
    std::fs::write(&file, config(kind, dir, listen, out))?;
    // In the foreground, and without a file that a killed one leaves behind.
    command.arg("-n").arg("-iNONE").arg("-f").arg(file);
    Ok(())
}

fn config(kind: Kind, dir: &Path, listen: SocketAddr, out: SocketAddr) -> String {
    let queue = match kind {
        Kind::RsyslogSynced => {
            "queue.type=\"Disk\" queue.filename=\"queue\" queue.maxDiskSpace=\"8g\" \
             queue.syncQueueFiles=\"on\" queue.checkpointInterval=\"1\""
        }
        Kind::RsyslogDisk => {
            "queue.type=\"Disk\" queue.filename=\"queue\" queue.maxDiskSpace=\"8g\""
        }
        _ => "queue.type=\"LinkedList\"",
    };
    format!(
        "global(workDirectory={dir:?} net.enableDNS=\"off\")\n\
         module(load=\"imptcp\")\n\
         template(name=\"line\" type=\"string\" string=\"%rawmsg%\\n\")\n\
         input(type=\"imptcp\" address=\"{}\" port=\"{}\" ruleset=\"out\")\n\
         ruleset(name=\"out\" queue.size=\"{ROOM}\" {queue}) {{\n\
         action(type=\"omfwd\" protocol=\"tcp\" target=\"{}\" port=\"{}\" template=\"line\" \
         action.resumeRetryCount=\"-1\" action.resumeInterval=\"1\")\n}}\n",
        listen.ip(),
        listen.port(),
        out.ip(),
        out.port()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_synced_queue_asks_for_syncs() {
        let at = SocketAddr::from(([127, 0, 0, 1], 7));
        let of = |kind| config(kind, Path::new("/d"), at, at);
        assert!(of(Kind::RsyslogSynced).contains("queue.syncQueueFiles=\"on\""));
        assert!(!of(Kind::RsyslogDisk).contains("sync"));
        assert!(!of(Kind::RsyslogMemory).contains("Disk\""));
    }
}
