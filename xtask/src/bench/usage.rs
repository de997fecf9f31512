//! What a process has used.

use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

use super::case::Sample;

/// What a side says of itself at its end.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Spent {
    /// How many items it handled.
    pub(crate) count: u64,
    /// In how many seconds.
    pub(crate) seconds: f64,
    /// CPU seconds meanwhile, of all threads, user and system.
    pub(crate) cpu: f64,
    /// Its peak of resident memory, in MiB.
    pub(crate) rss_mib: f64,
}

impl Spent {
    /// What a program that is not ours prints of itself, as JSON, when it has run to its end.
    pub(crate) fn of_program(command: &mut Command) -> Result<Self> {
        let name = command.get_program().display().to_string();
        let output = command.stderr(Stdio::inherit()).output();
        let output = output.with_context(|| format!("cannot start {name}"))?;
        ensure!(output.status.success(), "{name} ended with {}", output.status);
        serde_json::from_slice(&output.stdout).with_context(|| format!("what {name} printed"))
    }

    /// The sample of a program that does nothing else: its value is what it does in a second of CPU.
    pub(crate) fn of_cpu(&self) -> Sample {
        Sample {
            value: self.count as f64 / self.cpu,
            cpu: [("program", self.cpu_per_million())].into(),
            rss_mib: self.rss_mib,
            ..Sample::default()
        }
    }

    pub(crate) fn rate(&self) -> f64 {
        self.count as f64 / self.seconds
    }

    pub(crate) fn cpu_per_million(&self) -> f64 {
        self.cpu * 1e6 / self.count as f64
    }
}

/// The start of what is measured in this process.
#[derive(Debug)]
pub(crate) struct Meter {
    at: Instant,
    cpu: f64,
}

impl Meter {
    pub(crate) fn start() -> Self {
        Self { at: Instant::now(), cpu: cpu() }
    }

    /// What was spent since, for so many items.
    pub(crate) fn stop(&self, count: u64) -> Result<Spent> {
        let (seconds, cpu) = (self.at.elapsed().as_secs_f64(), cpu() - self.cpu);
        Ok(Spent { count, seconds, cpu, rss_mib: peak_rss_mib("self")? })
    }
}

/// CPU seconds of this process so far, of all its threads.
fn cpu() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// CPU seconds of another process so far, user and system, counted in the system's ticks.
pub(crate) fn cpu_of(pid: u32) -> Result<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let ticks = ticks(&stat).context("the system does not say how much a process has used")?;
    Ok(ticks as f64 / rustix::param::clock_ticks_per_second() as f64)
}

/// User and system ticks: the 14th and 15th field. The second is a name in parentheses, which may
/// hold anything.
fn ticks(stat: &str) -> Option<u64> {
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace().skip(11);
    let mut next = || fields.next()?.parse::<u64>().ok();
    Some(next()? + next()?)
}

/// The peak of a process's resident memory.
pub(crate) fn peak_rss_mib(pid: &str) -> Result<f64> {
    memory_mib(pid, "VmHWM:")
}

/// A process's resident memory now.
pub(crate) fn rss_mib(pid: u32) -> Result<f64> {
    memory_mib(&pid.to_string(), "VmRSS:")
}

fn memory_mib(pid: &str, what: &str) -> Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(what));
    let kib = line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse::<f64>().ok());
    Ok(kib.context("the system does not say how much memory was used")? / 1024.0)
}

/// The load of the machine over the last minute.
pub(crate) fn load() -> Option<f64> {
    std::fs::read_to_string("/proc/loadavg").ok()?.split(' ').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_behind_a_name() {
        let stat = "7 (a ) b) S 1 2 3 4 5 6 7 8 9 10 30 12 13 14 15 16";
        assert_eq!(ticks(stat), Some(42));
        assert_eq!(ticks("7 (a"), None);
        assert!(cpu_of(std::process::id()).unwrap() >= 0.0);
    }

    #[test]
    fn a_busy_process_has_used_something() {
        let meter = Meter::start();
        let mut sum = 0u64;
        while meter.stop(1).unwrap().cpu < 0.01 {
            sum = std::hint::black_box(sum.wrapping_mul(31) + 1);
        }
        let spent = meter.stop(10).unwrap();
        assert!(spent.seconds > 0.0 && spent.rate() > 0.0);
        assert!((spent.cpu_per_million() - spent.cpu * 1e5).abs() < 1e-6);
        assert!((0.1..10_000.0).contains(&spent.rss_mib), "{}", spent.rss_mib);
    }
}
