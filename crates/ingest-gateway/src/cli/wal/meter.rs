//! How far long work is: a bar on a terminal, nothing where standard error is none.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use ingest_store::Watch;

use crate::units::format_size_rounded;

/// Between two looks at a search.
const TICK: Duration = Duration::from_millis(200);

/// Follows work that is measured in bytes of the log.
#[derive(Debug)]
pub(super) struct Meter {
    bar: ProgressBar,
    started: Instant,
}

impl Meter {
    /// Begins with nothing done; `what` stands in front of the bar.
    pub(super) fn new(what: &'static str) -> Self {
        let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr_with_hz(5));
        let template = "{prefix} [{bar:30}] {percent:>3} %  {binary_bytes} of {binary_total_bytes}  \
                        {binary_bytes_per_sec}  {eta} left";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.set_prefix(what);
        Self { bar, started: Instant::now() }
    }

    /// It is so far.
    pub(super) fn set(&self, done: u64, of: u64) {
        if self.bar.length() != Some(of) {
            self.bar.set_length(of);
        }
        self.bar.set_position(done);
    }

    /// Follows a search while `work` does it.
    pub(super) fn follow<T>(&self, watch: &Watch, work: impl FnOnce() -> T) -> T {
        if self.bar.is_hidden() {
            return work();
        }
        let (done, end) = mpsc::channel::<()>();
        std::thread::scope(|scope| {
            scope.spawn(move || {
                while end.recv_timeout(TICK) == Err(mpsc::RecvTimeoutError::Timeout) {
                    self.set(watch.done(), watch.total());
                }
            });
            let result = work();
            drop(done);
            result
        })
    }

    /// Prints something where the bar is not in the way.
    pub(super) fn aside<T>(&self, print: impl FnOnce() -> T) -> T {
        self.bar.suspend(print)
    }

    /// Takes the bar away; says how long the work took.
    pub(super) fn end(&self) -> Duration {
        self.bar.finish_and_clear();
        self.started.elapsed()
    }
}

/// `1.5 GiB in 2.0 s (768 MiB/s)`.
pub(super) fn throughput(bytes: u64, time: Duration) -> String {
    let seconds = time.as_secs_f64();
    format!(
        "{} in {seconds:.1} s ({}/s)",
        format_size_rounded(bytes),
        format_size_rounded(per_second(bytes, time))
    )
}

/// Bytes a second.
pub(super) fn per_second(bytes: u64, time: Duration) -> u64 {
    let nanos = time.as_nanos().max(1);
    u64::try_from(u128::from(bytes) * 1_000_000_000 / nanos).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn throughput_is_bytes_by_time() {
        assert_eq!(throughput(3 << 29, Duration::from_secs(2)), "1.5 GiB in 2.0 s (768 MiB/s)");
        assert_eq!(per_second(5, Duration::ZERO), 5_000_000_000);
    }
}
