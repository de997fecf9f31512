//! What a process has used.

use std::time::Instant;

use anyhow::{Context as _, Result};
use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

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
