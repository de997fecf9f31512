//! Reads the settings of Kafka.

use std::time::Duration;

use toml::de::DeValue;

use super::model::{
    HydraKafka, KafkaBrokers, KafkaDestination, KafkaEncoding, KafkaFormat, KafkaHeaders,
    KafkaRegistry, KafkaSending, KafkaSent, KafkaSource,
};
use super::template::Template;
use crate::config::model::SourceKind;
use crate::config::outflow;
use crate::config::secret::SecretFrom;
use crate::config::sources::Source;
use crate::config::template;
use crate::config::tls::read_ca;
use crate::config::values::{Sizes, set};
use crate::config::walk::{Node, Table};
use crate::template::Known;

const BROKERS: &str = "an array of brokers such as [\"10.0.0.1:9092\", \"10.0.0.2:9092\"]";
const TOPICS: &str = "an array of topics such as [\"metrics\", \"^app-.*\"]: names of letters, \
                      digits, ., _ and -, or expressions behind a ^";
const TOPIC: &str = "a topic of letters, digits, ., _ and -, with places such as {tag} or \
                     {value:NAME}";
const KEY: &str = "a text with places such as {tag} or {value:NAME}";
const PROPERTY: &str = "a text, a whole number, or a boolean";
/// What templates of tags can be made of.
const RECORD: &[Known] = &[Known::Topic, Known::Key, Known::KeyPart, Known::Header];
/// Most brokers, and most topics.
const MAX_LIST: usize = 64;
/// Bytes of the longest name of a topic.
const MAX_TOPIC: usize = 249;
const LINGER: Duration = Duration::from_millis(1);
const MOST_LINGER: Duration = Duration::from_secs(10);
const LEAST_DELIVERY: Duration = Duration::from_secs(1);
/// A lease that has no answer for 60 s ends its link.
const MOST_DELIVERY: Duration = Duration::from_secs(50);
const REGISTRY: &str = "the URL of a schema registry, such as \"http://10.0.0.1:8081\"";
const LEAST_ANSWER: Duration = Duration::from_millis(1);
/// Whoever waits longer has been told that nobody knows.
const MOST_ANSWER: Duration = Duration::from_secs(60);
const MOST_FRESH: Duration = Duration::from_secs(86_400);
const LEAST_COMMIT: Duration = Duration::from_millis(10);
const READ_AHEAD: Sizes = Sizes { least: 64 << 10, most: Some(1 << 30), example: "16 MiB" };

/// `type = "kafka"` among the sources.
pub(in crate::config) fn read_source<'a>(table: &mut Table<'a>, source: &mut Source<'a>) {
    check_build(&table.node);
    let mut kafka = KafkaSource { brokers: read_brokers(table), ..KafkaSource::default() };
    let topics = table.required("topics", TOPICS);
    kafka.topics = topics.and_then(|node| read_topics(&node)).unwrap_or_default();
    set(&mut kafka.group, table.key("group").and_then(|node| read_name(&node)));
    kafka.instance = table.key("instance").and_then(|node| read_name(&node));
    set(&mut kafka.from, table.key("from").and_then(|node| node.choice()));
    kafka.template = template::read(table, &mut source.tag, &mut kafka.tag, RECORD);
    if let Some(node) = table.key("tag_per") {
        kafka.tag_per = node.choice();
        if kafka.template.is_some() {
            node.wrong(node.found(), "one of the two: the template in \"tag\" says it too", None);
        }
    }
    set(&mut kafka.encoding, table.key("encoding").and_then(|node| node.choice()));
    set(&mut kafka.timestamp, table.key("timestamp").and_then(|node| node.choice()));
    set(&mut kafka.values, table.key("values").and_then(|node| node.choice()));
    set(&mut kafka.max_tags, table.key("max_tags").and_then(|node| node.count(1, 65_000)));
    source.read_ahead = table.key("read_ahead");
    let read_ahead = source.read_ahead.as_ref().and_then(|node| node.size(READ_AHEAD));
    set(&mut kafka.read_ahead, read_ahead);
    let commit = |node: Node<'_>| read_time(&node, LEAST_COMMIT, Duration::from_secs(3600), "1s");
    set(&mut kafka.commit_interval, table.key("commit_interval").and_then(commit));
    kafka.rejects = table.key("rejects").and_then(|node| node.tag());
    source.config.kind = SourceKind::Kafka(Box::new(kafka));
}

/// `type = "kafka"` among the destinations.
pub(in crate::config) fn read_destination(table: &mut Table<'_>) -> Option<KafkaDestination> {
    check_build(&table.node);
    let brokers = read_brokers(table);
    let sending = read_sending(table);
    let topic = table.required("topic", TOPIC).and_then(|node| read_topic_template(&node));
    let key = table.key("key").and_then(|node| read_template(&node, KEY));
    let mut encoding = KafkaEncoding::default();
    set(&mut encoding, table.key("encoding").and_then(|node| node.choice()));
    let mut headers = KafkaHeaders::default();
    if let Some(node) = table.key("headers") {
        set(&mut headers, node.choice());
        if encoding == KafkaEncoding::Entry {
            node.wrong(node.found(), "no such key beside encoding = \"entry\": it is whole", None);
        }
    }
    let mut values = KafkaSent::default();
    if let Some(node) = table.key("values") {
        set(&mut values, node.choice());
        if encoding == KafkaEncoding::Entry {
            node.wrong(node.found(), "no such key beside encoding = \"entry\": all are sent", None);
        }
    }
    let outflow = outflow::read(table);
    Some(KafkaDestination {
        brokers,
        sending,
        topic: topic?,
        key,
        encoding,
        headers,
        values,
        outflow,
    })
}

/// The table `kafka` of `type = "hydra"`.
pub(in crate::config) fn read_hydra(table: &mut Table<'_>) -> HydraKafka {
    check_build(&table.node);
    let mut kafka = HydraKafka {
        brokers: read_brokers(table),
        sending: read_sending(table),
        ..HydraKafka::default()
    };
    kafka.registry = read_registry(table);
    if kafka.registry.is_some() {
        // Hydra's own default.
        kafka.format = KafkaFormat::Avro;
    }
    if let Some(node) = table.key("format") {
        set(&mut kafka.format, node.choice());
        if kafka.format == KafkaFormat::Avro && kafka.registry.is_none() {
            node.wrong(node.found(), "a \"registry\" beside it, which has the schemas", None);
        }
    }
    kafka
}

/// The table `registry` of that one.
fn read_registry(table: &mut Table<'_>) -> Option<KafkaRegistry> {
    let mut table = table.sub_table("registry")?;
    if !cfg!(feature = "avro") {
        let found = "a use of Avro, which is not in this build of ingestry".to_owned();
        table.node.at_key(found, "a build with the feature \"avro\" or \"full\"");
    }
    let mut read = KafkaRegistry::default();
    if let Some(node) = table.required("url", REGISTRY) {
        let url = node.string(REGISTRY).map(str::to_owned);
        if let Some(url) = url {
            check_url(&node, &url);
            read.url = url;
        }
    }
    (read.user, read.password) = read_credentials(&mut table);
    read.ca = read_ca(&mut table);
    let timeout = |node: Node<'_>| read_time(&node, LEAST_ANSWER, MOST_ANSWER, "2s");
    set(&mut read.timeout, table.key("timeout").and_then(timeout));
    let fresh = |node: Node<'_>| read_time(&node, LEAST_ANSWER, MOST_FRESH, "2m");
    set(&mut read.fresh, table.key("fresh").and_then(fresh));
    table.finish(crate::config::load::HOMES);
    Some(read)
}

#[cfg(feature = "avro")]
fn check_url(node: &Node<'_>, url: &str) {
    if let Err(error) = ingest_kafka::RegistryOptions::check_url(url) {
        node.wrong(format!("{} ({error})", node.found()), REGISTRY, None);
    }
}

#[cfg(not(feature = "avro"))]
fn check_url(_: &Node<'_>, _: &str) {}

/// A program without the client says so.
fn check_build(node: &Node<'_>) {
    if !cfg!(feature = "kafka") {
        let found = "a use of Kafka, which is not in this build of ingestry".to_owned();
        node.at_key(found, "a build with the feature \"kafka\" or \"full\"");
    }
}

fn read_brokers(table: &mut Table<'_>) -> KafkaBrokers {
    let mut read = KafkaBrokers::default();
    let brokers = table.required("brokers", BROKERS).and_then(|node| read_list(&node));
    read.brokers = brokers.unwrap_or_default();
    (read.user, read.password) = read_credentials(table);
    set(&mut read.mechanism, table.key("mechanism").and_then(|node| read_name(&node)));
    if let Some(properties) = table.sub_table("properties") {
        for (name, node) in properties.entries() {
            if let Some(value) = read_property(&node) {
                check_property(&node, name, &value);
                read.properties.push((name.to_owned(), value));
            }
        }
    }
    read
}

fn read_credentials(table: &mut Table<'_>) -> (Option<String>, Option<SecretFrom>) {
    let (user, password) = (table.key("user"), table.key("password"));
    let read =
        (user.as_ref().and_then(read_name), password.as_ref().and_then(|node| node.secret()));
    match (&user, &password) {
        (Some(node), None) => node.wrong(node.found(), "a password beside it", None),
        (None, Some(node)) => node.at_key("a password".to_owned(), "a user beside it"),
        _ => {}
    }
    read
}

fn read_property(node: &Node<'_>) -> Option<String> {
    match node.value {
        DeValue::String(text) => Some(text.clone().into_owned()),
        DeValue::Integer(number) if number.radix() == 10 => Some(number.as_str().to_owned()),
        DeValue::Boolean(value) => Some(value.to_string()),
        _ => {
            node.wrong(node.found(), PROPERTY, None);
            None
        }
    }
}

/// The client library of this build says what it takes.
#[cfg(feature = "kafka")]
fn check_property(node: &Node<'_>, name: &str, value: &str) {
    use ingest_kafka::{PropertyError, Settings};
    match Settings::check_property(name, value) {
        Ok(()) => {}
        Err(PropertyError::Owned(how)) => {
            node.at_key("a property that is not for this table".to_owned(), how);
        }
        Err(fault) => {
            node.wrong(fault.to_string(), "what the Kafka client of this build takes", None);
        }
    }
}

#[cfg(not(feature = "kafka"))]
fn check_property(_: &Node<'_>, _: &str, _: &str) {}

fn read_sending(table: &mut Table<'_>) -> KafkaSending {
    let mut sending = KafkaSending::default();
    set(&mut sending.compression, table.key("compression").and_then(|node| node.choice()));
    let linger = |node: Node<'_>| match node.time_or_off(LINGER, "5ms")? {
        None => Some(Duration::ZERO),
        Some(time) if time <= MOST_LINGER => Some(time),
        Some(_) => {
            node.wrong(node.found(), "a time of at most 10s, or \"off\"", None);
            None
        }
    };
    set(&mut sending.linger, table.key("linger").and_then(linger));
    let delivery = |node: Node<'_>| read_time(&node, LEAST_DELIVERY, MOST_DELIVERY, "30s");
    set(&mut sending.delivery_timeout, table.key("delivery_timeout").and_then(delivery));
    sending
}

fn read_time(node: &Node<'_>, least: Duration, most: Duration, example: &str) -> Option<Duration> {
    match node.time_or_off(least, example)? {
        Some(time) if time <= most => Some(time),
        _ => {
            let [least, most] = [least, most].map(crate::units::format_duration);
            node.wrong(node.found(), format!("a time from {least} to {most}"), None);
            None
        }
    }
}

fn read_list(node: &Node<'_>) -> Option<Vec<String>> {
    let texts = node.strings(BROKERS)?;
    if texts.len() > MAX_LIST {
        node.wrong(format!("{} brokers", texts.len()), format!("at most {MAX_LIST}"), None);
        return None;
    }
    let mut brokers = Vec::with_capacity(texts.len());
    for (text, node) in texts {
        let port = text.rsplit_once(':').filter(|(host, _)| !host.is_empty());
        let port = port.and_then(|(_, port)| port.parse::<u16>().ok());
        let legal = |c: char| !c.is_whitespace() && !c.is_control() && c != ',' && c != '/';
        if port.is_some_and(|port| port > 0) && text.chars().all(legal) {
            brokers.push(text);
        } else {
            node.wrong(node.found(), "a broker as HOST:PORT", None);
        }
    }
    Some(brokers)
}

fn read_topics(node: &Node<'_>) -> Option<Vec<String>> {
    let texts = node.strings(TOPICS)?;
    if texts.len() > MAX_LIST {
        node.wrong(format!("{} topics", texts.len()), format!("at most {MAX_LIST}"), None);
        return None;
    }
    let mut topics = Vec::with_capacity(texts.len());
    for (text, node) in texts {
        if is_topic(&text) || (text.starts_with('^') && text.len() > 1 && !text.contains('\0')) {
            topics.push(text);
        } else {
            node.wrong(node.found(), "a topic, or an expression behind a ^", None);
        }
    }
    Some(topics)
}

fn is_topic(text: &str) -> bool {
    (1..=MAX_TOPIC).contains(&text.len())
        && !matches!(text, "." | "..")
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
}

fn read_topic_template(node: &Node<'_>) -> Option<Template> {
    let template = read_template(node, TOPIC)?;
    let fixed = template.texts();
    if is_topic(&fixed) || (fixed.is_empty() && !template.is_fixed()) {
        return Some(template);
    }
    node.wrong(node.found(), TOPIC, None);
    None
}

fn read_template(node: &Node<'_>, allowed: &str) -> Option<Template> {
    match node.string(allowed)?.parse() {
        Ok(template) => Some(template),
        Err(error) => {
            node.wrong(format!("{} ({error})", node.found()), allowed, None);
            None
        }
    }
}

fn read_name(node: &Node<'_>) -> Option<String> {
    let allowed = "a text of 1 to 255 bytes";
    let text = node.string(allowed)?;
    if (1..=255).contains(&text.len()) && !text.contains('\0') {
        return Some(text.to_owned());
    }
    node.wrong(node.found(), allowed, None);
    None
}
