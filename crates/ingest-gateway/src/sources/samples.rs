//! Messages that a source takes as if its server had sent them: a source that connects gets its
//! samples (`ingestry test`) so, and connects nowhere.

use tokio::sync::{mpsc, oneshot, watch};

/// A message, as it would come from the server.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Message {
    /// Its routing key, where messages have one.
    pub(crate) key: String,
    /// Its body.
    pub(crate) body: Vec<u8>,
}

/// A message, and who waits until it is stored.
#[derive(Debug)]
pub(crate) struct Given {
    pub(crate) message: Message,
    told: oneshot::Sender<Result<(), String>>,
}

impl Given {
    /// It is stored or refused, and counted; or the log does not take it.
    pub(crate) fn done(self, outcome: Result<(), String>) {
        // Nobody may wait any more.
        let _ = self.told.send(outcome);
    }
}

/// Gives a source its messages. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Inlet(mpsc::Sender<Given>);

impl Inlet {
    /// Gives one, and waits until it is stored or refused.
    ///
    /// # Cancel safety
    /// Dropping the future before the source has it gives nothing; after that it forgets the wait.
    pub(crate) async fn give(&self, message: Message) -> Result<(), String> {
        let gone = || "the source has ended".to_owned();
        let (told, outcome) = oneshot::channel();
        self.0.send(Given { message, told }).await.map_err(|_| gone())?;
        outcome.await.unwrap_or_else(|_| Err(gone()))
    }
}

/// Where a source finds them.
#[derive(Debug)]
pub(crate) struct Samples(mpsc::Receiver<Given>);

impl Samples {
    /// The next one; `None` when there will be none, or the source ends.
    ///
    /// # Cancel safety
    /// Nothing is lost by dropping the future.
    pub(crate) async fn next(&mut self, stopping: &mut watch::Receiver<bool>) -> Option<Given> {
        tokio::select! {
            given = self.0.recv() => given,
            _ = stopping.wait_for(|stop| *stop) => None,
        }
    }
}

/// The two ends.
pub(crate) fn samples() -> (Inlet, Samples) {
    let (sender, receiver) = mpsc::channel(1);
    (Inlet(sender), Samples(receiver))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_gives_hears_what_became_of_it() {
        let (inlet, mut samples) = samples();
        let (stop, mut stopping) = watch::channel(false);
        let message = Message { key: "a.b".to_owned(), body: b"1 2".to_vec() };
        let source = async {
            let given = samples.next(&mut stopping).await.unwrap();
            assert_eq!(given.message.key, "a.b");
            given.done(Err("no room".to_owned()));
            drop(samples.next(&mut stopping).await.unwrap());
            stop.send_replace(true);
            assert!(samples.next(&mut stopping).await.is_none());
            drop(samples);
        };
        let giver = async {
            assert_eq!(inlet.give(message.clone()).await, Err("no room".to_owned()));
            let gone = Err("the source has ended".to_owned());
            assert_eq!(inlet.give(message.clone()).await, gone, "dropped without a word");
        };
        tokio::join!(source, giver);
        assert!(inlet.give(message).await.is_err(), "nobody is there");
    }
}
