//! What the page says of each benchmark.

/// A section of the page.
#[derive(Debug)]
pub(super) struct Text {
    /// The benchmark's name on the command line.
    pub(super) name: &'static str,
    /// What is measured, and beside what.
    pub(super) about: &'static str,
    /// Where it says why goals are missed: from the page, and what that is called.
    pub(super) profile: Option<(&'static str, &'static str)>,
}

/// The sections, in the order of the page.
pub(super) const SUITES: &[Text] = &[
    Text {
        name: "wal",
        about: "\
The log beside the bare disk. The log's side notes how much it writes between two syncs; the bare lines
of the same round repeat exactly these chunks with write and fdatasync and nothing else, in files that
grow (`raw-append`), that were set aside (`raw-set-aside`) or that are written over (`raw-over`): that is
what the machine can do. `lone` is one writer that waits for each acknowledgement.",
        profile: Some(("operating-the-log.md", "operating the log")),
    },
    Text {
        name: "big",
        about: "\
A log of 20 GiB whose writer was killed: how long opening it takes, and how much memory it takes to read it
from the start and follow its end at once.",
        profile: Some(("operating-the-log.md", "operating the log")),
    },
    Text {
        name: "durable",
        about: "\
What a sender gets that sends lines of 59 bytes over one connection, ends its side and waits until the
other one ends: lines a second, from the first byte to that end. Nobody takes anything from what receives
them, so everything has to be kept. What the end means differs, and that is the point: *synced* programs
say that every line is in files that were synced, the others that they have read it. `raw-line` is
the machine: each line written and synced by itself, as some of the synced ones do it. Programs that
sync line by line get fewer lines.",
        profile: None,
    },
    Text {
        name: "loss",
        about: "\
What was accepted and never arrived. A sender hands over lines in many short connections and counts those
as accepted whose connection the receiver ended in order. Nobody takes anything from the receiver
meanwhile; at a random instant it is killed. Then it is started again on the same directory, with its
destination there, and what arrives is compared: *lost* was accepted and did not arrive before seconds of
silence. `kill` is SIGKILL: the system's caches survive. `power` is a power cut: the receiver's files are on
an ext4 file system of its own, which is shut down at that instant without writing anything more (as
the tests of file systems do it), so that nothing survives but what had reached the device; what the
device's own cache would lose is not modelled, which is kind to everybody. Each run begins with
a control: without a kill, everything has to arrive, or the run does not count. A program that ends a
connection before it has written what came over it loses that, however well it writes. The figure of ours
has to be none. Programs that keep nothing on disk have no `power`: a kill takes all that a cut could.",
        profile: None,
    },
    Text {
        name: "wire",
        about: "\
The Gravwell protocol from client to server over loopback, entries of 256 bytes, and the bytes of an entry.
Beside it the same frames one way, nothing acknowledged. Then the real program in the server's place, with
its log on the disk.",
        profile: None,
    },
    Text {
        name: "attack",
        about: "What is left to a good client while others attack the same server.",
        profile: None,
    },
    Text {
        name: "mux",
        about: "\
Entries of 256 bytes from a program's hand to destinations, through the log and its leases; what counts is
accepted, synced (with a directory), and confirmed by the destinations.",
        profile: Some(("../crates/ingest-mux/README.md#how-fast", "the crate's README")),
    },
    Text {
        name: "graphite",
        about: "\
Decoders of the Graphite protocols on one thread, from memory, in points of a second of CPU: 10,000 points
of as many series, beside copying the same bytes. Then the real program: from a socket into the synced log
(`into`), and on to another server (`relay`); `discarded` is what loopback and the sender allow. Foreign
programs on the same streams keep nothing: carbon-cache holds points in memory and may not make files,
carbon-c-relay throws lines away unread, or passes them on.",
        profile: Some(("../crates/graphite-proto/README.md#how-fast", "the crate's README")),
    },
    Text {
        name: "hydra",
        about: "\
Payloads over one web socket, pipelined, with a report for each one, which the client compares. Beside it
the same client with an echo of tungstenite alone and one of Node's `ws`. Then 10,000 silent sessions.",
        profile: Some(("../crates/hydra-ws/README.md#how-fast", "the crate's README")),
    },
    Text {
        name: "loggregator",
        about: "\
Messages of every generation with a line of 200 bytes: decoded from memory, and read from a server that
writes prepared bytes. Beside it the modules that Cloud Foundry's own Go clients decode with, on the same
bytes, in messages of a second of CPU like ours.",
        profile: Some(("../crates/loggregator-consumer/README.md#how-fast", "the crate's README")),
    },
    Text {
        name: "kafka",
        about: "\
Entries of 256 bytes from the log to a topic and back, by the real program, beside a bare producer and a
bare consumer of the same client library on the same broker.",
        profile: None,
    },
    Text {
        name: "fairness",
        about: "\
How long one entry's acknowledgement takes while another source is flooded, as a multiple of the time that
it takes alone.",
        profile: None,
    },
];

/// What is not on the page, and why.
pub(super) const ABSENT: &str = "
## Not compared

go-carbon is not here: the Go proxy does not serve its modules (`github.com/go-graphite/go-carbon` and
`github.com/lomik/go-carbon`), and neither Debian 12, Python's registry nor Node's has it. Programs come
from the registries only.
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_is_where_the_page_says() {
        let docs = crate::util::project_root().unwrap().join("docs");
        for (path, _) in SUITES.iter().filter_map(|text| text.profile) {
            let (file, anchor) = path.split_once('#').unwrap_or((path, ""));
            let text = std::fs::read_to_string(docs.join(file)).unwrap();
            let heading = |line: &str| {
                line.strip_prefix("## ")
                    .is_some_and(|title| title.to_lowercase().replace(' ', "-") == anchor)
            };
            assert!(anchor.is_empty() || text.lines().any(heading), "{path}");
        }
    }

    #[cfg(feature = "bench")]
    #[test]
    fn every_benchmark_has_a_section() {
        let mut texts: Vec<_> = SUITES.iter().map(|text| text.name).collect();
        let mut suites: Vec<_> = crate::bench::suite::names().collect();
        texts.sort_unstable();
        suites.sort_unstable();
        assert_eq!(texts, suites);
    }
}
