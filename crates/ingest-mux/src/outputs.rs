//! The outputs that run, and how one is put in the place of another while entries come in.

use std::collections::BTreeMap;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use crate::builder::Output;
use crate::error::StartError;
use crate::lease::Leases;
use crate::matcher::Matcher;
use crate::muxer::{Muxer, first_account, unix_seconds};
use crate::output::Account;
use crate::rate::Limiter;
use crate::shared::{Shared, State};
use crate::sync::lock;
use crate::{feeder, link};

/// The outputs of a muxer, in order. Clones share the list.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outputs(Arc<Mutex<Arc<[Arc<Shared>]>>>);

impl Outputs {
    /// All of them, now.
    pub(crate) fn all(&self) -> Arc<[Arc<Shared>]> {
        Arc::clone(&lock(&self.0))
    }

    /// The output that has taken the place of this one.
    pub(crate) fn instead_of(&self, output: &Arc<Shared>) -> Option<Arc<Shared>> {
        self.get(&output.name).filter(|one| !Arc::ptr_eq(one, output))
    }

    fn get(&self, name: &str) -> Option<Arc<Shared>> {
        lock(&self.0).iter().find(|output| output.name == name).map(Arc::clone)
    }

    /// Puts an output in the place of the one of its name, or behind all.
    fn put(&self, output: Arc<Shared>) {
        let mut all = lock(&self.0);
        let mut list = all.to_vec();
        match list.iter_mut().find(|one| one.name == output.name) {
            Some(one) => *one = output,
            None => list.push(output),
        }
        *all = list.into();
    }

    fn remove(&self, name: &str) {
        let mut all = lock(&self.0);
        *all = all.iter().filter(|output| output.name != name).map(Arc::clone).collect();
    }
}

/// The tasks of the outputs that run, by name.
pub(crate) type Tasks = BTreeMap<String, JoinSet<()>>;

impl Muxer {
    /// Changes the outputs while entries come in, and leaves all others as they are.
    ///
    /// An output of `put` whose name runs takes its place: it goes on where that one was, with its
    /// own filter from there on, and its own links. One that ran earlier and left goes on where it
    /// was then; one that is new begins where it says. An output of `remove` ends; what it is still
    /// owed is kept for a day, should it come back.
    ///
    /// Links that end have `within` to get confirmed what they sent; what they did not is sent
    /// again by the links that take their place.
    ///
    /// # Errors
    /// [`StartError::Positions`] when the start of a new output could not be made durable: then it
    /// runs, and what comes in may be delivered to it from an earlier position after a crash.
    ///
    /// # Cancel safety
    /// None: outputs that were being replaced may be missing afterwards.
    pub async fn change_outputs(
        &self,
        put: Vec<Output>,
        remove: &[String],
        within: Duration,
    ) -> Result<(), StartError> {
        let mut tasks = self.tasks.lock().await;
        let until = Instant::now() + within;
        let names = put.iter().map(|output| &output.name).chain(remove);
        let leaving: Vec<_> = names.filter_map(|name| self.outputs.get(name)).collect();
        leaving.iter().for_each(|output| output.retire());
        for output in &leaving {
            let Some(mut running) = tasks.remove(&output.name) else { continue };
            let ended = async { while running.join_next().await.is_some() {} };
            if timeout_at(until, ended).await.is_err() {
                running.shutdown().await;
            }
        }
        for name in remove {
            let Some(output) = self.outputs.get(name) else { continue };
            let mut account = lock(&output.state).account.clone();
            account.absent_since = Some(unix_seconds());
            lock(&self.book.absent).insert(name.clone(), account);
            self.outputs.remove(name);
        }
        let mut some_are_new = false;
        for output in put {
            let kept = match self.outputs.get(&output.name) {
                Some(had) => Some(lock(&had.state).account.clone()),
                None => lock(&self.book.absent).remove(&output.name),
            };
            some_are_new |= kept.is_none();
            self.run_output(output, kept, &mut tasks);
        }
        leaving.iter().for_each(|output| output.close());
        if some_are_new {
            let log = Arc::clone(&self.log);
            let twice = move || log.snapshot().and_then(|()| log.snapshot());
            let snapshot = tokio::task::spawn_blocking(twice).await;
            snapshot.unwrap_or(Ok(())).map_err(StartError::Positions)?;
        }
        self.log.look();
        Ok(())
    }

    /// Makes an output known; it does nothing yet.
    pub(crate) fn add_output(&self, output: &Output, kept: Option<Account>) -> Arc<Shared> {
        let mut account = first_account(&self.log, kept, output.from);
        account.absent_since = None;
        let own = output.rate.map(|rate| Arc::new(Limiter::new(rate)));
        let shared = Arc::new(Shared {
            state: Mutex::new(State::new(account, output.links.len())),
            name: output.name.clone(),
            matcher: Matcher::new(output.filter.clone(), Arc::clone(&self.book.names)),
            policy: output.policy,
            lag: output.lag,
            names: Arc::clone(&self.book.names),
            about: Arc::clone(&self.common.about),
            log_id: self.log.log_id(),
            writer: self.log.writer(),
            limiters: own.into_iter().chain(self.for_all.clone()).collect(),
            ready: Notify::new(),
            feed: Notify::new(),
            settled: Notify::new(),
        });
        self.outputs.put(Arc::clone(&shared));
        shared
    }

    /// Sets a known output going.
    pub(crate) fn set_going(&self, shared: &Arc<Shared>, output: &Output) -> JoinSet<()> {
        let mut tasks = JoinSet::new();
        let reader = self.log.reader(lock(&shared.state).fed);
        tasks.spawn(feeder::run(Arc::clone(shared), reader, self.log.writer()));
        for (link, destination) in output.links.iter().enumerate() {
            let held = Arc::new(Mutex::new(VecDeque::new()));
            let leases = Leases { shared: Arc::clone(shared), link, held };
            let destination = Arc::clone(destination);
            tasks.spawn(link::supervise(destination, leases, self.longest_wait));
        }
        tasks
    }

    fn run_output(&self, output: Output, kept: Option<Account>, tasks: &mut Tasks) {
        let shared = self.add_output(&output, kept);
        tasks.insert(output.name.clone(), self.set_going(&shared, &output));
    }
}
