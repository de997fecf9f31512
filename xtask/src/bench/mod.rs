//! `cargo xtask bench`: how fast it is, beside what the machine can do at best.
//!
//! What measures is behind the feature `bench` and runs in release: any other build of this program
//! makes one, and hands it the command line. Each side of a benchmark is a process of its own, this
//! very program started with hidden arguments ([`side`]).
//!
//! A new benchmark is a module with a list of [`case::Case`]s, a row in `suite::SUITES`, the sides
//! that it starts in `suite::side`, and what the page says of it in `document::texts`.

#[cfg(feature = "bench")]
mod case;
mod document;
#[cfg(feature = "bench")]
mod fairness;
#[cfg(feature = "bench")]
mod gateway;
#[cfg(feature = "bench")]
mod graphite;
#[cfg(feature = "bench")]
mod hydra;
#[cfg(feature = "bench")]
mod kafka;
mod launch;
#[cfg(feature = "bench")]
mod loggregator;
#[cfg(feature = "bench")]
mod mux;
#[cfg(feature = "bench")]
mod peers;
#[cfg(feature = "bench")]
mod process;
#[cfg(feature = "bench")]
mod report;
#[cfg(feature = "bench")]
mod rounds;
#[cfg(feature = "bench")]
mod suite;
#[cfg(feature = "bench")]
mod usage;
#[cfg(feature = "bench")]
mod wal;
#[cfg(feature = "bench")]
mod wire;

use anyhow::Result;

use crate::flags::Bench;

/// The hidden first argument of a process that is a side.
#[cfg(feature = "bench")]
const SIDE: &str = "bench-side";

/// Measures: whether no floor was missed.
pub(crate) fn run(flags: &Bench) -> Result<bool> {
    if flags.name.as_deref() == Some("page") {
        return document::again(flags.write.as_deref());
    }
    #[cfg(feature = "bench")]
    if !cfg!(debug_assertions) {
        return suite::run(flags);
    }
    launch::run(flags)
}

/// Does the work of a side, if that is what this process was started for.
pub(crate) fn side() -> Option<Result<()>> {
    #[cfg(feature = "bench")]
    {
        let mut args = std::env::args().skip(1);
        if args.next()? == SIDE {
            let name = args.next().unwrap_or_default();
            return Some(suite::side(&name, &args.next().unwrap_or_default()));
        }
    }
    None
}
