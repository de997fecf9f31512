//! The tokio shell: a client with its own connection.

mod connect;
mod error;
mod reading;
mod target;
mod task;

use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use crate::has_line_terminator;

pub use error::ClientError;
pub use reading::{ClientReport, Reply};
pub use target::{Target, TargetError};

/// Messages that may wait for the connection.
const QUEUE: usize = 1024;

/// How a client behaves.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ClientOptions {
    /// Header fields of the handshake, such as `hydra-ack` or `Authorization`.
    pub fields: Vec<(String, String)>,
    /// Time for the connection and its handshake. Default: 10 s.
    pub connect_timeout: Duration,
    /// Time for a reply or a report. Default: 5 s.
    pub timeout: Duration,
    /// The largest message that is taken. Default: 1 MiB.
    pub max_message: usize,
    /// What happens when the connection is lost. `None`: nothing more is sent. Default: it is
    /// opened again.
    pub reconnect: Option<Reconnect>,
}

/// How a lost connection is opened again: what was set is set again first, and what was sent
/// without an answer fails with [`ClientError::Closed`], as nobody knows what became of it. What
/// is asked for meanwhile waits, as long as its own time lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reconnect {
    /// The first pause, which each failure doubles. Default: 100 ms. A quarter of each pause is
    /// left to chance.
    pub first: Duration,
    /// The longest pause. Default: 10 s.
    pub most: Duration,
}

impl Default for Reconnect {
    fn default() -> Self {
        Self { first: Duration::from_millis(100), most: Duration::from_secs(10) }
    }
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self {
            fields: Vec::new(),
            connect_timeout: Duration::from_secs(10),
            timeout: Duration::from_secs(5),
            max_message: 1 << 20,
            reconnect: Some(Reconnect::default()),
        }
    }
}

/// What the task of a connection is asked for.
enum Job {
    /// A command; its reply is the next one that is no report. The key, if it sets something.
    Command(String, oneshot::Sender<Reply>, Option<String>),
    /// A payload with an id of its own.
    Payload(u64, String, oneshot::Sender<ClientReport>),
    /// As it is; what comes back goes to whoever listens.
    Raw(String),
    Close,
}

/// A connection to a server that speaks Hydra's protocol. Requests may overlap: reports are
/// matched by their ids. Clones share the connection.
#[derive(Clone, Debug)]
pub struct HydraClient {
    jobs: mpsc::Sender<Job>,
    timeout: Duration,
    next: Arc<std::sync::atomic::AtomicU64>,
}

/// What comes that belongs to no request: for consoles.
pub type Others = mpsc::Receiver<String>;

impl HydraClient {
    /// Connects over TCP to `ws://HOST[:PORT]/PATH`, and again when the connection is lost, if
    /// [`ClientOptions::reconnect`] says so.
    ///
    /// # Errors
    /// [`ClientError`], of the first connection.
    ///
    /// # Cancel safety
    /// Dropping the future gives the connection up.
    pub async fn connect(target: &Target, options: ClientOptions) -> Result<Self, ClientError> {
        if target.is_tls() {
            return Err(ClientError::NeedsTls);
        }
        let address = target.address();
        Ok(Self::connect_with(move || tcp(address.clone()), target, options).await?.0)
    }

    /// As [`HydraClient::connect`], with what belongs to no request beside it, and over one
    /// connection only: who sends messages as they are has to know when it ends. What comes has
    /// to be read, or dropped: while it is full nothing else is.
    ///
    /// # Errors
    /// [`ClientError`].
    ///
    /// # Cancel safety
    /// Dropping the future gives the connection up.
    pub async fn console(
        target: &Target,
        mut options: ClientOptions,
    ) -> Result<(Self, Others), ClientError> {
        if target.is_tls() {
            return Err(ClientError::NeedsTls);
        }
        options.reconnect = None;
        let address = target.address();
        Self::connect_with(move || tcp(address.clone()), target, options).await
    }

    /// Speaks over a stream that is there, and ends with it.
    ///
    /// # Errors
    /// [`ClientError`].
    ///
    /// # Cancel safety
    /// Dropping the future drops the stream.
    pub async fn over<T>(
        stream: T,
        target: &Target,
        mut options: ClientOptions,
    ) -> Result<(Self, Others), ClientError>
    where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        options.reconnect = None;
        let mut stream = Some(stream);
        let once = move || {
            let stream = stream.take().ok_or_else(|| io::ErrorKind::NotConnected.into());
            std::future::ready(stream)
        };
        Self::connect_with(once, target, options).await
    }

    /// Speaks over streams that `connect` opens, one after the other: TLS, for one.
    ///
    /// # Errors
    /// [`ClientError`], of the first connection.
    ///
    /// # Cancel safety
    /// Dropping the future gives the connection up.
    pub async fn connect_with<T, C, F>(
        mut connect: C,
        target: &Target,
        options: ClientOptions,
    ) -> Result<(Self, Others), ClientError>
    where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        C: FnMut() -> F + Send + 'static,
        F: Future<Output = io::Result<T>> + Send + 'static,
    {
        let shaken = async { connect::handshake(connect().await?, target, &options).await };
        let first = match timeout(options.connect_timeout, shaken).await {
            Ok(shaken) => shaken?,
            Err(_) => return Err(ClientError::TimedOut),
        };
        let (jobs, todo) = mpsc::channel(QUEUE);
        let (others, listener) = mpsc::channel(QUEUE);
        let timeout = options.timeout;
        let target = target.clone();
        tokio::spawn(task::supervise(first, connect, target, options, todo, others));
        Ok((Self { jobs, timeout, next: Arc::default() }, listener))
    }

    /// Sets metadata, and waits for the echo.
    ///
    /// # Errors
    /// [`ClientError`]: [`ClientError::Refused`] when the server does not take it,
    /// [`ClientError::Metadata`] for what no `SET` can say: a value with `=`, a line terminator.
    ///
    /// # Cancel safety
    /// Dropping the future does not take the command back.
    pub async fn set(&self, key: &str, value: &str) -> Result<(), ClientError> {
        let text = format!("-c SET {key} = {value}");
        if value.contains('=') || has_line_terminator(&text) {
            return Err(ClientError::Metadata);
        }
        let reply = self.command(text, Some(key.trim().to_uppercase())).await?;
        if reply.status == 200 && reply.echoes(key, value) {
            Ok(())
        } else {
            Err(ClientError::Refused(reply))
        }
    }

    /// The metadata, as the server lists it.
    ///
    /// # Errors
    /// [`ClientError`].
    ///
    /// # Cancel safety
    /// As [`HydraClient::set`].
    pub async fn list(&self) -> Result<HashMap<String, String>, ClientError> {
        let reply = self.command("-c SET".to_owned(), None).await?;
        let pairs = reply.message.split(';').filter_map(|pair| pair.split_once(" -> "));
        Ok(pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect())
    }

    async fn command(&self, text: String, key: Option<String>) -> Result<Reply, ClientError> {
        let (answer, answered) = oneshot::channel();
        self.wait(Job::Command(text, answer, key), answered).await
    }

    /// Sends a payload under an id of its own, and waits for its report. A leading blank is added,
    /// as the protocol has it: payloads arrive with the blank behind the id.
    ///
    /// # Errors
    /// [`ClientError`]: [`ClientError::LineTerminator`] for a payload that the server would not
    /// take. A report with another code than 200 is no error.
    ///
    /// # Cancel safety
    /// Dropping the future does not take the payload back.
    pub async fn send(&self, payload: &str) -> Result<ClientReport, ClientError> {
        if has_line_terminator(payload) {
            return Err(ClientError::LineTerminator);
        }
        let id = self.next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let (answer, answered) = oneshot::channel();
        let text = format!("-i {id} {payload}");
        self.wait(Job::Payload(id, text, answer), answered).await
    }

    async fn wait<T>(&self, job: Job, answered: oneshot::Receiver<T>) -> Result<T, ClientError> {
        let whole = async {
            self.jobs.send(job).await.map_err(|_| ClientError::Closed)?;
            answered.await.map_err(|_| ClientError::Closed)
        };
        timeout(self.timeout, whole).await.map_err(|_| ClientError::TimedOut)?
    }

    /// Sends a message as it is. What comes back is among the [`Others`].
    ///
    /// # Errors
    /// [`ClientError::Closed`].
    ///
    /// # Cancel safety
    /// The message is sent or not.
    pub async fn raw(&self, message: &str) -> Result<(), ClientError> {
        self.jobs.send(Job::Raw(message.to_owned())).await.map_err(|_| ClientError::Closed)
    }

    /// Closes with 1000. Reports that are on their way come still, and then the end of the
    /// [`Others`].
    ///
    /// # Cancel safety
    /// The connection is closed or not.
    pub async fn close(&self) {
        let _ = self.jobs.send(Job::Close).await;
    }
}

async fn tcp(address: String) -> io::Result<tokio::net::TcpStream> {
    let stream = tokio::net::TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}
