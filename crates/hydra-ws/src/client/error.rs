//! What can go wrong for a client.

use super::reading::Reply;

/// What can go wrong for a client.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The stream broke, or could not be opened.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// The server did not become a web socket: the head of what it answered.
    #[error("no web socket: {0}")]
    Handshake(String),
    /// The target wants TLS, which is done by whoever gives the stream.
    #[error("wss needs a stream that speaks TLS")]
    NeedsTls,
    /// It took too long. What was sent may have been taken all the same.
    #[error("no answer in time")]
    TimedOut,
    /// The connection has ended. What was sent may have been taken all the same.
    #[error("the connection has ended")]
    Closed,
    /// The server refused a command.
    #[error("refused with {}: {}", .0.status, .0.message)]
    Refused(Reply),
    /// No `SET` can say this: a value holds `=`, or something a line terminator.
    #[error("a value without \"=\" and line ends is needed")]
    Metadata,
    /// The payload holds a line terminator, and the server would refuse it.
    #[error("a payload without line ends is needed")]
    LineTerminator,
}
