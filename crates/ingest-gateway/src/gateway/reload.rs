//! Another configuration for a gateway that runs: only what differs is touched.

use std::fmt;
use std::io::ErrorKind;
use std::time::Duration;

use ingest_mux::StartError;
use tokio::time::Instant;

use super::listener::Socket;
use super::outputs;
use super::units::{Prepared, Surroundings};
use super::{Gateway, GatewayError, Inner};
use crate::config::{Config, SourceConfig};
use crate::inherited::Inherited;

/// How long links of destinations that change may wait for confirmations.
const LAST_CONFIRMATIONS: Duration = Duration::from_secs(1);

/// How long the address of a source that was removed may be waited for.
const LAST_READS: Duration = Duration::from_secs(1);

/// What a reload does beside the configuration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReloadOptions {
    /// A destination may be removed although entries are queued for it. They are kept for a day,
    /// should it come back.
    pub drop_undelivered: bool,
}

/// Why nothing was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReloadError {
    /// Something that is new, or different, cannot be started.
    #[error(transparent)]
    Gateway(#[from] GatewayError),
    /// A destination that is not configured any more has not got everything.
    #[error(
        "destination {name:?} is not in the configuration any more, and {queued} entries are queued \
         for it; put it back, or reload with --drop-undelivered"
    )]
    Undelivered {
        /// The destination.
        name: String,
        /// What it is owed.
        queued: u64,
    },
}

/// What a reload has changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reloaded {
    /// Sources and destinations that are new.
    pub added: Vec<String>,
    /// Those that are gone.
    pub removed: Vec<String>,
    /// Those that run with other settings; `logs`, which whoever runs the gateway applies.
    pub changed: Vec<String>,
    /// Sources that listen at another address.
    pub moved: Vec<String>,
    /// Keys whose new values wait for a restart.
    pub waiting: Vec<&'static str>,
}

impl fmt::Display for Reloaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut some = false;
        let waiting: Vec<_> = self.waiting.iter().map(|key| (*key).to_owned()).collect();
        let lists = [
            ("new: ", &self.added),
            ("changed: ", &self.changed),
            ("listens elsewhere: ", &self.moved),
            ("removed: ", &self.removed),
            ("waits for a restart: ", &waiting),
        ];
        for (what, names) in lists {
            if !names.is_empty() {
                let semicolon = if some { "; " } else { "" };
                write!(f, "{semicolon}{what}{}", names.join(", "))?;
                some = true;
            }
        }
        if some { Ok(()) } else { f.write_str("nothing has changed") }
    }
}

impl Gateway {
    /// Lets the gateway run with another configuration. First everything that can fail is done:
    /// addresses are bound, files are read. When that succeeds, the difference is applied:
    ///
    /// * Sources that are the same, and whose certificates and secrets are the same, are not
    ///   touched. One that differs takes its connections with the new settings from now on; those
    ///   that are open go on as they were begun. Its address stays bound unless it differs.
    /// * Sources that are gone end as in a stop: what has arrived is read and made durable.
    /// * Destinations that differ get new links, which go on where the old ones were.
    /// * The log's directory and limits, what holds for all destinations together, and the admin
    ///   pages stay as they are until a restart.
    ///
    /// It takes a second at most for destinations, and waits for no connection.
    ///
    /// # Errors
    /// [`ReloadError`]; nothing was changed then.
    ///
    /// # Cancel safety
    /// None: let it end.
    pub async fn reload(
        &mut self,
        mut config: Config,
        options: ReloadOptions,
    ) -> Result<Reloaded, ReloadError> {
        let mut reloaded = Reloaded {
            waiting: keep_until_restart(&self.config, &mut config),
            ..Reloaded::default()
        };
        if self.config.logs != config.logs {
            reloaded.changed.push("logs".to_owned());
        }
        let running = outputs::Running {
            config: &self.config,
            known: &self.outputs,
            files: &self.output_files,
            given: &self.injected,
        };
        let outputs = outputs::Change::plan(&running, &config)?;
        if !options.drop_undelivered {
            self.check_undelivered(&outputs.remove)?;
        }
        let policy = self.policy.next(&config);
        let with = Surroundings::new(&self.inner.muxer, &config, &policy, &self.decoding);
        let mut prepared = Vec::new();
        for source in &config.sources {
            if let Some(new) = self.prepare(source, &with, &mut reloaded).await? {
                prepared.push(new);
            }
        }
        let gone = self.config.sources.iter().filter(|had| config.source(&had.name).is_none());
        reloaded.removed.extend(gone.map(|had| had.name.clone()));
        reloaded.added.extend(outputs.added.iter().cloned());
        reloaded.changed.extend(outputs.changed.iter().cloned());
        reloaded.removed.extend(outputs.gone.iter().cloned());
        // Nothing fails from here on.
        let muxer = &self.inner.muxer;
        if !(outputs.put.is_empty() && outputs.remove.is_empty()) {
            let changed = muxer.change_outputs(outputs.put, &outputs.remove, LAST_CONFIRMATIONS);
            match changed.await {
                Ok(()) => {}
                Err(StartError::Positions(error)) => {
                    tracing::error!(%error, "The start of a new destination is not on disk yet.");
                }
                Err(error) => tracing::error!(%error, "A destination could not be changed."),
            }
        }
        (self.output_files, self.outputs) = (outputs.files, outputs.known);
        for new in prepared {
            self.units.start(new, Inner::view(&self.inner));
        }
        let names: Vec<_> = config.sources.iter().map(|source| source.name.as_str()).collect();
        self.units.keep(&names);
        self.inner.show(&config, self.units.counters(), &self.outputs, &policy);
        self.policy = policy;
        self.config = config;
        Ok(reloaded)
    }

    /// What a source needs to run with other settings; `None` if it can run on.
    async fn prepare(
        &self,
        source: &SourceConfig,
        with: &Surroundings<'_>,
        reloaded: &mut Reloaded,
    ) -> Result<Option<Prepared>, GatewayError> {
        let before = self.units.get(&source.name);
        if before.is_some_and(|unit| unit.is_as(source, with)) {
            return Ok(None);
        }
        let socket = match self.units.lend(source)? {
            Some(socket) => socket,
            None => bind(source).await?,
        };
        let moved = before.is_some_and(|unit| unit.config.listen() != source.listen());
        let list = match before {
            None => &mut reloaded.added,
            Some(_) if moved => &mut reloaded.moved,
            Some(_) => &mut reloaded.changed,
        };
        list.push(source.name.clone());
        Prepared::new(source, socket, before, with).map(Some)
    }

    fn check_undelivered(&self, removed: &[String]) -> Result<(), ReloadError> {
        let outputs = self.inner.muxer.status().outputs;
        let owed =
            outputs.into_iter().find(|output| output.queued > 0 && removed.contains(&output.name));
        match owed {
            Some(output) => {
                Err(ReloadError::Undelivered { name: output.name, queued: output.queued })
            }
            None => Ok(()),
        }
    }
}

/// Binds what a new source wants. A source that the last reload has removed may still have the
/// address: it reads what had arrived.
async fn bind(source: &SourceConfig) -> Result<Socket, GatewayError> {
    let until = Instant::now() + LAST_READS;
    loop {
        match Socket::bind(source, &mut Inherited::default()).await {
            Err(GatewayError::Bind { error, .. })
                if error.kind() == ErrorKind::AddrInUse && Instant::now() < until =>
            {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            bound => return bound,
        }
    }
}

/// Puts back what cannot change while the gateway runs, and names it.
fn keep_until_restart(had: &Config, new: &mut Config) -> Vec<&'static str> {
    fn keep<T: Clone + PartialEq>(key: &'static str, had: &T, new: &mut T) -> Option<&'static str> {
        if had == new {
            return None;
        }
        new.clone_from(had);
        Some(key)
    }
    let (log, admin) = (&mut new.log, &mut new.admin);
    [
        keep("log.dir", &had.log.dir, &mut log.dir),
        keep("log.max_bytes", &had.log.max_bytes, &mut log.max_bytes),
        keep("log.min_free", &had.log.min_free, &mut log.min_free),
        keep("log.on_full", &had.log.on_full, &mut log.on_full),
        keep("log.memory", &had.log.memory, &mut log.memory),
        keep("log.keep", &had.log.keep, &mut log.keep),
        keep("admin", &had.admin, admin),
        keep("delivery", &had.delivery, &mut new.delivery),
    ]
    .into_iter()
    .flatten()
    .collect()
}
