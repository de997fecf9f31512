//! What went wrong between us and a broker.

use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};

/// What went wrong, in words for an operator, and of what kind it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct Error {
    kind: ErrorKind,
    text: Box<str>,
}

/// What kind of error it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A setting that the client library does not take.
    Settings,
    /// No broker answers, or the connection broke.
    Connection,
    /// The broker does not accept the credentials.
    Credentials,
    /// The broker does not allow it to this user.
    Denied,
    /// No answer in time: it may have happened or not.
    TimedOut,
    /// The brokers cannot store it just now: too few of them are in sync.
    NotStored,
    /// The topic is not there, or its name is none.
    Topic,
    /// The record is larger than the client or the broker takes.
    TooLarge,
    /// The broker refuses the record itself.
    Refused,
    /// The queue of the producer is full.
    Full,
    /// What came cannot be read: it is damaged, or compressed or framed in a way that the client does
    /// not know.
    Undecodable,
    /// The client cannot go on; another one has to take its place.
    Fatal,
    /// Something else.
    Other,
}

impl ErrorKind {
    /// Whether the record is at fault, so that it will fare no better the next time.
    #[must_use]
    pub const fn is_of_record(self) -> bool {
        matches!(self, Self::TooLarge | Self::Refused)
    }

    /// Whether trying again will not help until somebody changes something.
    #[must_use]
    pub const fn is_lasting(self) -> bool {
        matches!(self, Self::Settings | Self::Credentials | Self::Denied | Self::Topic)
    }
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, text: impl Into<Box<str>>) -> Self {
        Self { kind, text: text.into() }
    }

    /// An error of who uses this crate, in words.
    pub fn other(text: impl Into<Box<str>>) -> Self {
        Self::new(ErrorKind::Other, text)
    }

    /// What kind of error it is.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        self.kind
    }

    pub(crate) fn of_code(code: Code) -> Self {
        Self::new(kind(code), text(code))
    }
}

impl Error {
    /// What the library says. No `From`: its types are nobody's but ours.
    pub(crate) fn native(error: &KafkaError) -> Self {
        match error {
            KafkaError::ClientConfig(_, why, name, value) => {
                // The value may be a secret.
                let _ = value;
                Self::new(ErrorKind::Settings, format!("{name}: {}", first_line(why)))
            }
            KafkaError::ClientCreation(why) => {
                Self::new(ErrorKind::Settings, format!("no client: {}", first_line(why)))
            }
            KafkaError::MessageConsumptionFatal(code) => Self::new(ErrorKind::Fatal, text(*code)),
            other => match other.rdkafka_error_code() {
                Some(code) => Self::of_code(code),
                None => Self::new(ErrorKind::Other, other.to_string()),
            },
        }
    }
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or(text)
}

/// The library's words, without its own name for the code.
fn text(code: Code) -> String {
    let text = code.to_string();
    match text.split_once(" (") {
        Some((_, words)) => words.strip_suffix(')').unwrap_or(words).to_owned(),
        None => text,
    }
}

pub(crate) const fn kind(code: Code) -> ErrorKind {
    match code {
        Code::BrokerTransportFailure
        | Code::AllBrokersDown
        | Code::Resolve
        | Code::BrokerDestroy
        | Code::NetworkException
        | Code::BrokerNotAvailable
        | Code::CoordinatorNotAvailable
        | Code::CoordinatorLoadInProgress
        | Code::NotCoordinator
        | Code::WaitingForCoordinator
        | Code::NodeUpdate => ErrorKind::Connection,
        Code::Authentication | Code::SaslAuthenticationFailed | Code::SSL => ErrorKind::Credentials,
        Code::TopicAuthorizationFailed
        | Code::GroupAuthorizationFailed
        | Code::ClusterAuthorizationFailed
        | Code::TransactionalIdAuthorizationFailed => ErrorKind::Denied,
        Code::MessageTimedOut
        | Code::OperationTimedOut
        | Code::RequestTimedOut
        | Code::TimedOutQueue
        | Code::PurgeQueue
        | Code::PurgeInflight => ErrorKind::TimedOut,
        Code::NotEnoughReplicas | Code::NotEnoughReplicasAfterAppend | Code::KafkaStorageError => {
            ErrorKind::NotStored
        }
        Code::UnknownTopic
        | Code::UnknownTopicOrPartition
        | Code::InvalidTopic
        | Code::UnknownPartition => ErrorKind::Topic,
        Code::MessageSizeTooLarge | Code::MessageBatchTooLarge => ErrorKind::TooLarge,
        Code::InvalidRecord | Code::InvalidTimestamp => ErrorKind::Refused,
        Code::UnsupportedCompressionType | Code::UnsupportedSASLMechanism => ErrorKind::Settings,
        Code::QueueFull => ErrorKind::Full,
        Code::BadCompression | Code::BadMessage | Code::NotImplemented => ErrorKind::Undecodable,
        Code::Fatal | Code::OutOfOrderSequenceNumber | Code::UnknownProducerId => ErrorKind::Fatal,
        _ => ErrorKind::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_have_a_kind_and_words() {
        let error = Error::native(&KafkaError::MessageProduction(Code::MessageSizeTooLarge));
        assert_eq!(error.kind(), ErrorKind::TooLarge);
        assert!(error.kind().is_of_record() && !error.kind().is_lasting());
        assert!(error.to_string().contains("too large"), "{error}");
        let error = Error::native(&KafkaError::Global(Code::AllBrokersDown));
        assert_eq!(error.kind(), ErrorKind::Connection);
        assert!(!error.kind().is_lasting());
        let error = Error::native(&KafkaError::ClientCreation("no\nmore".to_owned()));
        assert_eq!(
            (error.kind(), error.to_string().as_str()),
            (ErrorKind::Settings, "no client: no")
        );
    }
}
