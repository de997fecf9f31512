//! A RabbitMQ broker on loopback, without a service manager: its state is in a directory of the
//! caller's, and its ports are its own, so that several can live side by side.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use crate::interop::process::{Process, free_port, until};

/// Where Debian's package has the scripts. The ones in the path would change to another user.
const SCRIPTS: &str = "/usr/lib/rabbitmq/bin";

#[derive(Debug)]
pub(super) struct Broker {
    dir: PathBuf,
    pub(super) port: u16,
    /// Of Erlang's distribution, and of its port mapper.
    inner: [u16; 2],
    launcher: Option<Process>,
}

impl Broker {
    /// Starts one with an empty state.
    pub(super) fn start(dir: &Path) -> Result<Self> {
        ensure!(
            Path::new(SCRIPTS).join("rabbitmq-server").is_file(),
            "RabbitMQ is not installed (Debian's package rabbitmq-server): nothing was tried"
        );
        for part in ["home", "mnesia", "log"] {
            std::fs::create_dir_all(dir.join(part))?;
        }
        let ports = [free_port()?, free_port()?, free_port()?];
        let mut broker = Self {
            dir: dir.to_owned(),
            port: ports[0],
            inner: [ports[1], ports[2]],
            launcher: None,
        };
        std::fs::write(dir.join("rabbitmq-env.conf"), "")?;
        std::fs::write(dir.join("enabled_plugins"), "[].\n")?;
        std::fs::write(
            dir.join("rabbitmq.conf"),
            format!(
                "listeners.tcp.default = 127.0.0.1:{}\nlog.file.level = warning\n\
                 vm_memory_high_watermark.absolute = 512MB\ndisk_free_limit.absolute = 50MB\n",
                broker.port
            ),
        )?;
        broker.begin()?;
        Ok(broker)
    }

    /// Starts it on the state that it has.
    pub(super) fn begin(&mut self) -> Result<()> {
        let _ = std::fs::remove_file(self.dir.join("pid"));
        let mapper = Command::new("epmd")
            .args(["-port", &self.inner[1].to_string(), "-address", "127.0.0.1", "-daemon"])
            .status()
            .context("cannot start Erlang's epmd")?;
        ensure!(mapper.success(), "Erlang's epmd ended with {mapper}");
        let log = std::fs::File::create(self.dir.join("log/out"))?;
        let mut command = self.command("rabbitmq-server");
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        self.launcher = Some(Process::start(&mut command)?);
        until("RabbitMQ answers", || Ok(self.answers()))
    }

    /// Kills it, as a crash would.
    pub(super) fn kill(&mut self) -> Result<()> {
        let pid = std::fs::read_to_string(self.dir.join("pid"))?;
        let pid = rustix::process::Pid::from_raw(pid.trim().parse()?).context("no pid")?;
        rustix::process::kill_process(pid, rustix::process::Signal::KILL)?;
        until("the broker is gone", || Ok(TcpStream::connect(("127.0.0.1", self.port)).is_err()))?;
        self.launcher = None;
        Ok(())
    }

    /// Messages of a queue: ready, and sent but not acknowledged.
    pub(super) fn messages(&self, queue: &str) -> Result<(u64, u64)> {
        let mut command = self.command("rabbitmqctl");
        command.args(["--quiet", "list_queues", "name", "messages_ready"]);
        command.arg("messages_unacknowledged");
        let output = command.output()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let rows = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        for row in rows {
            if let [name, ready, unacknowledged] = row.as_slice()
                && *name == queue
            {
                return Ok((ready.parse()?, unacknowledged.parse()?));
            }
        }
        anyhow::bail!("rabbitmqctl names no queue {queue}: {text}")
    }

    fn answers(&self) -> bool {
        let Ok(mut stream) = TcpStream::connect(("127.0.0.1", self.port)) else { return false };
        let mut first = [0];
        let _ = stream.set_read_timeout(Some(Duration::from_secs(2)));
        stream.write_all(b"AMQP\0\0\x09\x01").is_ok()
            && stream.read_exact(&mut first).is_ok()
            && first == [1]
            && self.dir.join("pid").is_file()
    }

    fn command(&self, script: &str) -> Command {
        let mut command = Command::new(Path::new(SCRIPTS).join(script));
        if script == "rabbitmqctl" {
            command.args(["-n", &self.node()]);
        }
        let at = |part: &str| self.dir.join(part);
        command
            .env("HOME", at("home"))
            .env("RABBITMQ_NODENAME", self.node())
            .env("RABBITMQ_NODE_IP_ADDRESS", "127.0.0.1")
            .env("RABBITMQ_NODE_PORT", self.port.to_string())
            .env("RABBITMQ_DIST_PORT", self.inner[0].to_string())
            .env("ERL_EPMD_PORT", self.inner[1].to_string())
            .env("ERL_EPMD_ADDRESS", "127.0.0.1")
            .env("RABBITMQ_MNESIA_BASE", at("mnesia"))
            .env("RABBITMQ_LOG_BASE", at("log"))
            .env("RABBITMQ_PID_FILE", at("pid"))
            .env("RABBITMQ_ENABLED_PLUGINS_FILE", at("enabled_plugins"))
            .env("RABBITMQ_CONFIG_FILE", at("rabbitmq"))
            .env("RABBITMQ_ADVANCED_CONFIG_FILE", at("advanced.config"))
            .env("RABBITMQ_CONF_ENV_FILE", at("rabbitmq-env.conf"))
            .env(
                "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS",
                "-kernel inet_dist_use_interface {127,0,0,1} +S 2:2 +sbwt none",
            )
            .env("LANG", "C.UTF-8")
            .env("LC_ALL", "C.UTF-8");
        command
    }

    fn node(&self) -> String {
        format!("ingestry{}@localhost", self.port)
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        // It may be gone already, and its port mapper leaves once no node is registered.
        let _ = self.kill();
        let mut mapper = Command::new("epmd");
        mapper.args(["-port", &self.inner[1].to_string(), "-kill"]);
        let _ = mapper.stdout(Stdio::null()).stderr(Stdio::null()).status();
    }
}
