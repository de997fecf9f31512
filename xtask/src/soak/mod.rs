//! `cargo xtask soak`: the gateway for an hour as operators have it, on its worst day.
//!
//! Every source is under load, both destinations come and go, the log fills up to its limit and
//! empties again, the configuration changes every minute, and the process is killed now and then:
//! by a signal, or by a power cut (`ingest_wal::PowerCut`). Who sends and who compares is the
//! [`oracle`], a process of its own that knows only what it sent, what was acknowledged, and what
//! the destinations stored.
//!
//! Not among the sources: `loggregator`, which takes data from a server that it connects to.

mod destination;
mod gateway;
mod oracle;
mod schedule;
mod teller;

use std::fmt;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use self::destination::Destination;
use self::gateway::{Gateway, Site};
use self::schedule::{Event, Schedule};
use self::teller::Teller;
use crate::crash::{NO_PLANT, Profile, Rng, build};
use crate::flags::Soak;
use crate::util::human;

pub(crate) use self::oracle::side;

const MINUTES: u32 = 2;
/// Between two looks at what is due.
const TICK: Duration = Duration::from_millis(50);
/// Between two looks at the status page.
const SAMPLE: Duration = Duration::from_secs(1);
/// How long the log may take to fill up, with nobody taking anything off it.
const FILLING: Duration = Duration::from_secs(180);
/// How long it stays full.
const FULL: Duration = Duration::from_secs(3);

/// What happened.
#[derive(Debug, Default)]
struct Tally {
    kills: u32,
    cuts: u32,
    reloads: u32,
    refused_reloads: u32,
    slowest_reload: Duration,
    breaks: u32,
    fills: u32,
    samples: u32,
    peak_kib: u64,
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kills, cuts, reloads, refused_reloads, breaks, fills, samples, .. } = self;
        writeln!(
            f,
            "  {kills} kills and {cuts} power cuts of the gateway, {breaks} breaks of destinations, \
             the log full {fills} times"
        )?;
        writeln!(
            f,
            "  {reloads} reloads, the slowest in {}; {refused_reloads} of wrong configurations, \
             refused",
            human(self.slowest_reload)
        )?;
        writeln!(
            f,
            "  {samples} looks at the status, balanced each time; at most {} MiB resident, \
             {} allowed",
            self.peak_kib / 1024,
            gateway::MEMORY_KIB / 1024
        )
    }
}

/// Runs it. `Ok(false)`: a promise was broken, and that was printed.
pub(crate) fn run(flags: &Soak) -> Result<bool> {
    let minutes = flags.minutes.map_or(MINUTES, Into::into);
    let seed = flags.seed.unwrap_or_else(|| RandomState::new().build_hasher().finish() >> 32);
    let plant = flags.plant.map(crate::crash::Plant::name);
    println!("soak: {minutes} minutes, seed {seed}, plant {}", plant.unwrap_or("not asked for"));
    let binary = match &flags.binary {
        Some(binary) => binary.clone(),
        None => build(Profile::Release, true)?,
    };
    let work = tempfile::Builder::new().prefix("ingestry-soak-").tempdir()?;
    let own = work.path().join("ingestry");
    std::fs::copy(&binary, &own).with_context(|| format!("cannot copy {}", binary.display()))?;
    let length = Duration::from_secs(60) * minutes;
    let mut tally = Tally::default();
    let site = Site::new(&own, work.path(), plant)?;
    let outcome = Run::start(site, seed, &mut tally)
        .and_then(|mut run| run.through(Schedule::new(seed, length), length));
    print!("{tally}");
    let planted = plant.filter(|name| *name != NO_PLANT);
    let (text, is_good) = match (&outcome, planted) {
        (Err(error), Some(name)) if error.is::<Broken>() => {
            (format!("the planted bug {name} was seen, as it must be: {error:#}"), true)
        }
        (Err(error), _) => (format!("FAILED: {error:#}"), false),
        (Ok(()), Some(name)) => (format!("FAILED: the planted bug {name} went unseen"), false),
        (Ok(()), None) if plant.is_some() => {
            ("nothing was found, and nothing was planted: exit 1, as it must be".to_owned(), false)
        }
        (Ok(()), None) => ("every promise was kept".to_owned(), true),
    };
    println!("soak: {text}");
    if outcome.is_err() && !is_good {
        println!("soak: kept for a look: {}", work.keep().display());
    }
    Ok(is_good)
}

/// A promise was broken.
#[derive(Debug)]
struct Broken(String);

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Broken {}

/// A broken promise as an error.
fn broken(what: impl Into<String>) -> anyhow::Error {
    Broken(what.into()).into()
}

/// The operator, on whose machine all of it happens.
struct Run<'a> {
    site: Site,
    gateway: Gateway,
    destinations: [Destination; 2],
    teller: Teller,
    rng: Rng,
    tally: &'a mut Tally,
    began: Instant,
    sampled: Instant,
    variant: u32,
}

impl<'a> Run<'a> {
    fn start(mut site: Site, seed: u64, tally: &'a mut Tally) -> Result<Self> {
        let mut rng = Rng::new(seed);
        let mut destinations = [site.destination("a"), site.destination("b")];
        for destination in &mut destinations {
            destination.wake()?;
        }
        site.settle(&destinations)?;
        let gateway = site.start(None)?;
        let teller = Teller::start(&site, &destinations, rng.next())?;
        let now = Instant::now();
        Ok(Self {
            site,
            gateway,
            destinations,
            teller,
            rng,
            tally,
            began: now,
            sampled: now,
            variant: 0,
        })
    }

    fn through(&mut self, schedule: Schedule, length: Duration) -> Result<()> {
        for (at, event) in schedule {
            if at >= length {
                break;
            }
            self.wait_until(at)?;
            self.happens(event).with_context(|| format!("{event:?} after {}", human(at)))?;
        }
        self.wait_until(length)?;
        self.check()?;
        self.teller.end()?;
        self.sample()?;
        self.gateway.stop()
    }

    fn happens(&mut self, event: Event) -> Result<()> {
        match event {
            Event::Kill { power } => self.kill(power)?,
            Event::Reload => self.reload()?,
            Event::Break(place, harm) => {
                if let Some(destination) = self.destinations.get_mut(place) {
                    self.tally.breaks += u32::from(destination.suffer(harm)?);
                }
            }
            Event::Wake(place) => {
                if let Some(destination) = self.destinations.get_mut(place) {
                    destination.wake()?;
                }
            }
            Event::Fill => self.fill()?,
            Event::Check => self.check()?,
        }
        Ok(())
    }

    /// Looks at the status meanwhile.
    fn wait_until(&mut self, at: Duration) -> Result<()> {
        while self.began.elapsed() < at {
            if self.sampled.elapsed() >= SAMPLE {
                self.sample()?;
            }
            self.teller.is_well()?;
            std::thread::sleep(TICK);
        }
        Ok(())
    }

    fn sample(&mut self) -> Result<()> {
        self.sampled = Instant::now();
        let status = self.gateway.status()?;
        let peak = self.gateway.peak_kib()?;
        self.tally.samples += 1;
        self.tally.peak_kib = self.tally.peak_kib.max(peak);
        if status.get("balanced") != Some(&true.into()) {
            return Err(broken(format!("the accounts do not balance: {status}")));
        }
        if peak > gateway::MEMORY_KIB {
            return Err(broken(format!("the gateway took {peak} KiB of memory")));
        }
        Ok(())
    }

    fn kill(&mut self, power: bool) -> Result<()> {
        self.sample()?;
        if self.gateway.kill()? {
            self.tally.cuts += 1;
        } else {
            self.tally.kills += 1;
        }
        self.gateway = self.site.start(power.then(|| self.rng.next()))?;
        Ok(())
    }

    fn reload(&mut self) -> Result<()> {
        self.variant += 1;
        if self.variant.is_multiple_of(5) {
            self.site.write_wrong()?;
            let (status, _) = self.site.reload()?;
            if status.code() != Some(2) {
                return Err(broken(format!("a wrong configuration was taken: {status}")));
            }
            self.tally.refused_reloads += 1;
        }
        self.site.write(self.variant, &self.destinations)?;
        if self.variant.is_multiple_of(2) {
            // Seen by what the status says of the sources.
            self.gateway.hang_up()?;
        } else {
            let (status, took) = self.site.reload()?;
            if !status.success() {
                return Err(broken(format!("a configuration was refused: {status}")));
            }
            self.tally.slowest_reload = self.tally.slowest_reload.max(took);
        }
        let wanted = gateway::has_extra(self.variant);
        let deadline = Instant::now() + Duration::from_secs(30);
        while self.gateway.has_source("extra")? != wanted {
            if Instant::now() > deadline {
                return Err(broken("a reload changed nothing"));
            }
            std::thread::sleep(TICK);
        }
        self.tally.reloads += 1;
        Ok(())
    }

    /// Nobody takes anything off the log until it is full, and for a while longer.
    fn fill(&mut self) -> Result<()> {
        for destination in &mut self.destinations {
            self.tally.breaks += u32::from(destination.suffer(destination::Harm::Stall)?);
        }
        let full = Instant::now() + FILLING;
        while self.gateway.log_health()? != "full" {
            if Instant::now() > full {
                return Err(broken(
                    "the log did not fill up, although nobody took anything off it",
                ));
            }
            self.wait_until(self.began.elapsed() + SAMPLE)?;
        }
        self.wait_until(self.began.elapsed() + FULL)?;
        self.tally.fills += 1;
        self.wake_all()
    }

    fn wake_all(&mut self) -> Result<()> {
        self.destinations.iter_mut().try_for_each(Destination::wake)
    }

    /// Everything accepted has arrived, once nobody is in the way.
    fn check(&mut self) -> Result<()> {
        self.wake_all()?;
        let report = self.teller.check()?;
        println!("soak: after {}: {report}", human(self.began.elapsed()));
        match report.broken {
            Some(what) => Err(broken(what)),
            None => Ok(()),
        }
    }
}
