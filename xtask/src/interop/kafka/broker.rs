//! A broker of Apache Kafka on loopback: one process that is broker and controller, with its state in
//! a directory of the caller's. The jars come from Maven's registry, once.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use rustix::process::Signal;

use crate::interop::process::{Process, free_port, until};
use crate::util;

const POM: &str = include_str!("pom.xml");
/// The identity of a cluster: any 16 bytes, in base64 for addresses.
const CLUSTER: &str = "aW5nZXN0cnktYnJva2VyMQ";

#[derive(Debug)]
pub(crate) struct Broker {
    dir: PathBuf,
    jars: PathBuf,
    pub(crate) port: u16,
    process: Option<Process>,
}

impl Broker {
    /// Starts one with an empty state, whose topics get so many partitions when they are first named.
    pub(crate) fn start(dir: &Path, partitions: u32) -> Result<Self> {
        let jars = jars()?;
        std::fs::create_dir_all(dir)?;
        let (port, controller) = (free_port()?, free_port()?);
        let data = dir.join("data");
        std::fs::write(
            dir.join("server.properties"),
            format!(
                "process.roles=broker,controller\nnode.id=1\n\
                 controller.quorum.voters=1@127.0.0.1:{controller}\n\
                 listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}\n\
                 advertised.listeners=PLAINTEXT://127.0.0.1:{port}\n\
                 listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT\n\
                 inter.broker.listener.name=PLAINTEXT\ncontroller.listener.names=CONTROLLER\n\
                 log.dirs={}\nnum.partitions={partitions}\nauto.create.topics.enable=true\n\
                 offsets.topic.num.partitions=1\noffsets.topic.replication.factor=1\n\
                 transaction.state.log.num.partitions=1\n\
                 transaction.state.log.replication.factor=1\ntransaction.state.log.min.isr=1\n\
                 min.insync.replicas=1\ngroup.initial.rebalance.delay.ms=0\n\
                 num.network.threads=2\nnum.io.threads=2\nlog.segment.bytes=268435456\n",
                data.display()
            ),
        )?;
        let mut broker = Self { dir: dir.to_owned(), jars, port, process: None };
        let mut format = broker.java("-Xmx256m", "kafka.tools.StorageTool");
        format.args(["format", "-t", CLUSTER, "-c"]).arg(dir.join("server.properties"));
        let formatted = format.output()?;
        ensure!(
            formatted.status.success(),
            "the storage cannot be formatted: {}",
            String::from_utf8_lossy(&formatted.stderr)
        );
        broker.begin()?;
        Ok(broker)
    }

    /// Starts it on the state that it has.
    pub(crate) fn begin(&mut self) -> Result<()> {
        let log = std::fs::File::create(self.dir.join("server.log"))?;
        let mut command = self.java("-Xmx512m", "kafka.Kafka");
        command.arg(self.dir.join("server.properties"));
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        self.process = Some(Process::start(&mut command)?);
        until("the broker answers", || Ok(self.answers()))
    }

    /// Kills it, as a crash would.
    pub(crate) fn kill(&mut self) -> Result<()> {
        let Some(process) = self.process.take() else { return Ok(()) };
        process.signal(Signal::KILL)?;
        drop(process);
        until("the broker is gone", || Ok(TcpStream::connect(("127.0.0.1", self.port)).is_err()))
    }

    /// Its process, for those who measure.
    #[cfg_attr(not(feature = "bench"), allow(dead_code, reason = "only benchmarks need it"))]
    pub(crate) fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(|process| process.0.id())
    }

    /// The records of a topic, from the first to what is there now, each in this form of kcat's.
    pub(crate) fn read(&self, topic: &str, form: &str) -> Result<Vec<String>> {
        let mut kcat = Command::new(super::super::programs::find("kcat", "kcat")?);
        kcat.args(["-C", "-q", "-e", "-o", "beginning", "-b"]);
        kcat.arg(format!("127.0.0.1:{}", self.port)).args(["-t", topic, "-f"]);
        let output = kcat.arg(format!("{form}\n")).output()?;
        ensure!(
            output.status.success(),
            "kcat ended with {}: {}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect())
    }

    /// How many records a topic has, as the ends of its partitions say.
    pub(crate) fn count(&self, topic: &str, partitions: u32) -> Result<u64> {
        let mut kcat = Command::new(super::super::programs::find("kcat", "kcat")?);
        kcat.args(["-Q", "-b"]).arg(format!("127.0.0.1:{}", self.port));
        for partition in 0..partitions {
            kcat.args(["-t", &format!("{topic}:{partition}:-1")]);
        }
        let output = kcat.output()?;
        let text = String::from_utf8_lossy(&output.stdout);
        let ends = text.lines().filter_map(|line| line.rsplit_once("offset "));
        let ends: Vec<u64> = ends.filter_map(|(_, end)| end.trim().parse().ok()).collect();
        ensure!(
            output.status.success() && ends.len() == partitions as usize,
            "kcat ended with {}: {text}{}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(ends.iter().sum())
    }

    /// Writes records without keys, in batches that are compressed like this.
    pub(crate) fn write(&self, topic: &str, codec: &str, values: &[String]) -> Result<()> {
        let mut kcat = Command::new(super::super::programs::find("kcat", "kcat")?);
        kcat.args(["-P", "-b"]).arg(format!("127.0.0.1:{}", self.port)).args(["-t", topic]);
        // All of them in one batch, however slow it is: one of a few is not worth compressing.
        kcat.args([
            "-z",
            codec,
            "-X",
            "linger.ms=1000",
            "-X",
            "sticky.partitioning.linger.ms=5000",
        ]);
        kcat.stdin(Stdio::piped());
        let mut process = Process::start(&mut kcat)?;
        let mut input = process.0.stdin.take().context("it has an input")?;
        input.write_all((values.join("\n") + "\n").as_bytes())?;
        drop(input);
        process.finish("kcat")
    }

    /// How the batches of a topic are compressed where they lie, by the broker's own tool.
    pub(crate) fn codecs(&self, topic: &str) -> Result<BTreeSet<String>> {
        let mut files = Vec::new();
        for partition in std::fs::read_dir(self.dir.join("data"))? {
            let partition = partition?.path();
            let name = partition.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if name.rsplit_once('-').is_some_and(|(of, _)| of == topic) {
                files.push(partition.join("00000000000000000000.log").display().to_string());
            }
        }
        let mut dump = self.java("-Xmx256m", "kafka.tools.DumpLogSegments");
        let output = dump.args(["--files", &files.join(",")]).output()?;
        ensure!(
            output.status.success(),
            "the segments cannot be dumped: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        let text = String::from_utf8_lossy(&output.stdout);
        let words = text.lines().filter_map(|line| line.split_once("compresscodec: "));
        Ok(words.filter_map(|(_, rest)| Some(rest.split(' ').next()?.to_lowercase())).collect())
    }

    /// It answers a request for its versions, which has the number 7.
    fn answers(&self) -> bool {
        let Ok(mut stream) = TcpStream::connect(("127.0.0.1", self.port)) else { return false };
        let _ = stream.set_read_timeout(Some(Duration::from_secs(2)));
        let mut answer = [0; 8];
        stream.write_all(b"\0\0\0\x0a\0\x12\0\0\0\0\0\x07\xff\xff").is_ok()
            && stream.read_exact(&mut answer).is_ok()
            && answer.ends_with(&[0, 0, 0, 7])
    }

    fn java(&self, heap: &str, class: &str) -> Command {
        let mut command = Command::new("java");
        command.args([heap, "-XX:+UseSerialGC"]);
        command.arg(format!("-Dkafka.logs.dir={}", self.dir.display()));
        command.arg("-cp").arg(self.jars.join("*")).arg(class);
        command
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.kill();
    }
}

/// The directory with the broker's jars.
fn jars() -> Result<PathBuf> {
    let dir = util::project_root()?.join("target/peers/kafka");
    std::fs::create_dir_all(&dir)?;
    let (jars, done) = (dir.join("lib"), dir.join("installed"));
    if std::fs::read_to_string(&done).is_ok_and(|have| have == POM) {
        return Ok(jars);
    }
    std::fs::write(dir.join("pom.xml"), POM)?;
    let mut maven = Command::new("mvn");
    maven.args(["-q", "-B", "dependency:copy-dependencies", "-DoutputDirectory=lib"]);
    maven.args(["-DincludeScope=runtime"]).current_dir(&dir).stdin(Stdio::null());
    let status = maven.stdout(Stdio::null()).status();
    let status = status.context("needed, and not there: mvn (Maven, with Java 17 or later)")?;
    ensure!(status.success(), "Maven did not bring the broker's jars: {status}");
    std::fs::write(done, POM)?;
    Ok(jars)
}
