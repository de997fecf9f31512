//! Where the brokers are, and what the client library is told beside that.

use std::fmt;

use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;

use crate::error::Error;

/// Where the brokers are, and what the client library is told beside that.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Settings {
    /// Brokers to ask first, as `HOST:PORT`; one that answers names all others.
    pub brokers: Vec<String>,
    /// What brokers call us in their logs and quotas. Default `ingestry`.
    pub client_id: String,
    /// `None`: none are given.
    pub credentials: Option<Credentials>,
    /// Properties of the client library, as its documentation has them.
    pub properties: Vec<(String, String)>,
}

/// Who we are to a broker. They go in clear text unless `security.protocol` says otherwise.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The mechanism of SASL. Builds without the feature `ssl` know `PLAIN` alone.
    pub mechanism: String,
    /// The user.
    pub user: String,
    /// The password.
    pub password: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("mechanism", &self.mechanism)
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

/// Why a property cannot be set.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PropertyError {
    /// What we promise stands on it; the words name what says it here.
    #[error("a property that is set otherwise: {0}")]
    Owned(&'static str),
    /// The client library does not take it.
    #[error("{0}")]
    Refused(String),
}

/// Properties that are ours, and what says the same here.
const OWNED: &[(&str, &str)] = &[
    ("bootstrap.servers", "by the list of brokers"),
    ("metadata.broker.list", "by the list of brokers"),
    ("client.id", "by the name of this program"),
    ("acks", "it is always all"),
    ("request.required.acks", "it is always all"),
    ("enable.idempotence", "it is always true"),
    ("transactional.id", "there are no transactions"),
    ("enable.gapless.guarantee", "what fails is sent again"),
    ("delivery.timeout.ms", "by the delivery timeout"),
    ("message.timeout.ms", "by the delivery timeout"),
    ("linger.ms", "by linger"),
    ("queue.buffering.max.ms", "by linger"),
    ("queue.buffering.max.messages", "by what may be under way"),
    ("queue.buffering.max.kbytes", "by what may be under way"),
    ("compression.codec", "by the compression"),
    ("compression.type", "by the compression"),
    ("group.id", "by the group"),
    ("group.instance.id", "by the instance"),
    ("enable.auto.commit", "offsets are committed when what they stand for is durable"),
    ("enable.auto.offset.store", "offsets are committed when what they stand for is durable"),
    ("auto.commit.enable", "offsets are committed when what they stand for is durable"),
    ("auto.commit.interval.ms", "by the commit interval"),
    ("auto.offset.reset", "by where a new group begins"),
    ("enable.partition.eof", "it is always false"),
    ("queued.max.messages.kbytes", "by the read-ahead"),
    ("sasl.mechanism", "by the mechanism"),
    ("sasl.mechanisms", "by the mechanism"),
    ("sasl.username", "by the user"),
    ("sasl.password", "by the password"),
    ("plugin.library.paths", "no libraries are loaded"),
    ("statistics.interval.ms", "statistics are not read"),
    ("log_level", "by the level of the program's own log"),
    ("test.mock.num.brokers", "it is for the library's own tests"),
];

impl Settings {
    /// These brokers, and nothing else.
    pub fn new<B: Into<String>>(brokers: impl IntoIterator<Item = B>) -> Self {
        Self {
            brokers: brokers.into_iter().map(Into::into).collect(),
            client_id: "ingestry".to_owned(),
            credentials: None,
            properties: Vec::new(),
        }
    }

    /// Whether a property can be set: it is none of ours, and the client library of this build takes
    /// it. What only several of them are together (a protocol that wants a certificate, say) shows
    /// when a client is made.
    ///
    /// # Errors
    /// [`PropertyError`].
    pub fn check_property(name: &str, value: &str) -> Result<(), PropertyError> {
        if let Some((_, how)) = OWNED.iter().find(|(owned, _)| *owned == name) {
            return Err(PropertyError::Owned(how));
        }
        if name.contains('\0') || value.contains('\0') {
            return Err(PropertyError::Refused("a NUL in it".to_owned()));
        }
        let mut config = ClientConfig::new();
        config.set(name, value);
        let taken = config.create_native_config();
        taken.map(drop).map_err(|error| PropertyError::Refused(Error::native(&error).to_string()))
    }

    /// What every client is made with.
    pub(crate) fn config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        // Broken connections are told of by what needs them.
        config.set("log.connection.close", "false");
        for (name, value) in &self.properties {
            config.set(name, value);
        }
        if let Some(Credentials { mechanism, user, password }) = &self.credentials {
            config.set("sasl.mechanism", mechanism);
            config.set("sasl.username", user);
            config.set("sasl.password", password);
            if !self.properties.iter().any(|(name, _)| name == "security.protocol") {
                config.set("security.protocol", "sasl_plaintext");
            }
        }
        config.set("bootstrap.servers", self.brokers.join(","));
        config.set("client.id", &self.client_id);
        config.set_log_level(RDKafkaLogLevel::Warning);
        config
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn properties_are_checked_before_they_are_used() {
        for (name, value) in [("socket.timeout.ms", "5000"), ("broker.address.family", "v4")] {
            assert_eq!(Settings::check_property(name, value), Ok(()), "{name}");
        }
        for (name, how) in OWNED {
            assert_eq!(Settings::check_property(name, "1"), Err(PropertyError::Owned(how)));
        }
        for (name, value) in [("socket.timeout", "5"), ("socket.timeout.ms", "soon"), ("a\0", "1")]
        {
            let fault = Settings::check_property(name, value);
            assert!(matches!(fault, Err(PropertyError::Refused(_))), "{name} {fault:?}");
        }
    }

    #[test]
    fn this_build_reads_every_kind_of_batch() {
        let config = ClientConfig::new().create_native_config().unwrap();
        let built = config.get("builtin.features").unwrap();
        for kind in ["gzip", "snappy", "lz4", "zstd"] {
            assert!(built.split(',').any(|had| had == kind), "{kind} of {built}");
        }
    }

    #[test]
    fn a_password_is_not_shown() {
        let credentials = Credentials {
            mechanism: "PLAIN".to_owned(),
            user: "u".to_owned(),
            password: "secret".to_owned(),
        };
        let mut settings = Settings::new(["b:9092"]);
        settings.credentials = Some(credentials);
        assert!(!format!("{settings:?}").contains("secret"));
        let config = settings.config();
        assert_eq!(config.get("security.protocol"), Some("sasl_plaintext"));
        assert_eq!(config.get("bootstrap.servers"), Some("b:9092"));
    }
}
