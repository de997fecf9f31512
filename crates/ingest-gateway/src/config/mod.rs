//! The configuration: what can be set, its defaults, and how it is read.
//!
//! [`load`] reads a file and reports everything that is wrong with it at once, each error with its
//! line and column, the key, what was found and what is allowed. Fragments in the directory
//! `conf.d` beside the file are read with it. [`for_run`] is what `run` uses:
//! the file, or the default set, with the overrides of the command line on top. `check` reads
//! through the same function, so that the two cannot disagree.
//!
//! Nothing here touches the machine beyond reading: the file, the secrets and the certificates
//! that it names. Whether a directory fits or an address can be bound shows when the gateway starts.
//!
//! # Keys
//!
//! | key | value | default |
//! |---|---|---|
//! | `log.dir` | path, relative to the working directory | `"ingestry-data"` |
//! | `log.max_bytes` | size, at least 1 MiB | the lesser of 10 GiB and a quarter of the file system |
//! | `log.durability` | `memory`, `os`, `disk` | `disk` |
//! | `log.min_free` | size | the lesser of 1 GiB and 5 % of the file system |
//! | `log.on_full` | `block` | `block`, `drop-newest`, `drop-oldest` |
//! | `log.memory` | size, at least 1 MiB | 64 MiB |
//! | `log.keep.bytes` | size, at most `log.max_bytes` | `log.max_bytes` |
//! | `log.keep.age` | time, or `off` | `off` |
//! | `logs.format` | `text`, `json` | `text` |
//! | `logs.level` | `error`, `warn`, `info`, `debug`, `trace` | `info` |
//! | `logs.repeat` | 1 to 1000000: the same message in a period | 20 |
//! | `logs.period` | time, or `off` | 10 s |
//! | `admin.enabled` | boolean | `true` |
//! | `admin.listen` | address | `127.0.0.1:8910` |
//! | `admin.control` | boolean | `false` |
//! | `admin.allow_public` | boolean | `false` |
//! | `hydra.ingest.websocket.enabled` | boolean | `true` |
//! | `sources.NAME.type` | `graphite`, `graphite-udp`, `graphite-unix`, `graphite-pickle`, `graphite-protobuf`, `gravwell`, `hydra`, `loggregator`, `amqp`, `kafka` | required |
//! | `sources.NAME.listen` | address | port 2003 of 127.0.0.1; 2004 (`graphite-pickle`), 2005 (`graphite-protobuf`), 4023 (`gravwell`), 8080 (`hydra`) |
//! | `sources.NAME.allow_public` | boolean | `false` |
//! | `sources.NAME.allow` (all that listen on an address) | addresses and networks that may connect, or send | all |
//! | `sources.NAME.tag` (Graphite, as all down to `rejects`) | tag name, or template of `{path}`, `{path.N}`, `{tag.NAME}`, and with `amqp` `{key}`, `{key.N}` | `graphite` |
//! | `sources.NAME.plain_tag` (with a template, as `max_tags`) | tag name, for what the template makes no tag | the default of `tag` |
//! | `sources.NAME.max_tags` (Graphite) | 1 to 65000 tags made by the template in one run | 1000 |
//! | `sources.NAME.values` | `none`, `tags`, `all` | `tags` |
//! | `sources.NAME.profile` | `default`, `carbon`, `go-carbon`, `relay-ng`, `relay-ng-strict` | `default` |
//! | `sources.NAME.tagged` | `normalise`, `raw` | `normalise` |
//! | `sources.NAME.bad_tags` | `raw`, `reject` | `raw` |
//! | `sources.NAME.infinity` | `accept`, `drop` | `accept` |
//! | `sources.NAME.fraction` | boolean | `false` |
//! | `sources.NAME.max_line` (`graphite`, `graphite-udp`) | size, 256 B to 16 MiB | 16 KiB |
//! | `sources.NAME.max_frame` (`graphite-pickle`, `graphite-protobuf`) | size, 1 KiB to 64 MiB | 1 MiB |
//! | `sources.NAME.max_past`, `max_future` | time, or `off` | `off` |
//! | `sources.NAME.rejects` | tag name: keeps a sample of what is rejected, 100 a second | none |
//! | `sources.NAME.path` (`graphite-unix`) | path of the socket | required |
//! | `sources.NAME.socket` (`graphite-unix`) | `stream`, `datagram` | `stream` |
//! | `sources.NAME.proxies` (Graphite over TCP) | addresses and networks whose PROXY header, v1 or v2, is required and believed | none |
//! | `sources.NAME.compression` (Graphite over TCP or a unix stream) | `none`, `gzip` | `none` |
//! | `sources.NAME.max_rate` (likewise) | 1 to 1000000000 points a second of one connection | any number |
//! | `sources.NAME.over_rate` (with `max_rate`) | `block`, `drop` | `block` |
//! | `sources.NAME.read_ahead` (all over TCP) | size, at least 64 KiB | 4 MiB |
//! | `sources.NAME.max_connections` (all over TCP) | 1 to 1000000 | 10000; 1000 (`graphite-pickle`, `graphite-protobuf`) |
//! | `sources.NAME.idle_timeout` (all over TCP) | time, or `off` | `off`, 10 min (`gravwell`), 60 s (`hydra`) |
//! | `sources.NAME.receive_buffer` (`graphite-udp`) | size, 4 KiB to 1 GiB | 4 MiB |
//! | `sources.NAME.secret` (`gravwell`) | `env:NAME`, `file:PATH`, `literal:TEXT` | `INGEST_SECRET`, `GRAVWELL_INGEST_SECRET`, or one that is made |
//! | `sources.NAME.tls` (`gravwell`, `hydra`, Graphite over TCP) | `cert`, `key` and, to ask for certificates, `client_ca`: PEM files | clear text |
//! | `sources.NAME.max_entry` (`gravwell`) | size, 1 KiB to 256 MiB | 16 MiB |
//! | `sources.NAME.max_tags` (`gravwell`, `hydra`) | 1 to 65000 for one connection, or for one run (`hydra`) | 4096 |
//! | `sources.NAME.tag` (`hydra`) | tag name, or template of `{topic}` and `{header.NAME}`, where `hydra-tag` names none | `hydra` |
//! | `sources.NAME.values` (`hydra`) | `none`, `metadata` | `none` |
//! | `sources.NAME.token` (`hydra`) | `env:NAME`, `file:PATH`, `literal:TEXT`: the bearer token | none |
//! | `sources.NAME.hosts`, `origins` (`hydra`) | texts: who may ask beside loopback | none |
//! | `sources.NAME.dialect` (`hydra`) | `doc`, `seed`, `head` | `doc` |
//! | `sources.NAME.compat` (`hydra`) | `document`, `recorded` | `document` |
//! | `sources.NAME.echo` (`hydra`) | `document`, `code` | `document` in dialect `doc` |
//! | `sources.NAME.multiline` (`hydra`) | boolean | `false` |
//! | `sources.NAME.max_message` (`hydra`) | size, 1 KiB to 64 MiB | 1 MiB |
//! | `sources.NAME.ingest_timeout` (`hydra`) | time, or `off` | 3 s |
//! | `sources.NAME.endpoint` (`loggregator`, as all down to `when_full`) | `https://HOST` (`gateway`), `wss://HOST:PORT` | required |
//! | `sources.NAME.read` | `gateway`, `firehose`, `stream`, `tail` | `gateway` |
//! | `sources.NAME.token` | `env:NAME`, `file:PATH`, `literal:TEXT` | required |
//! | `sources.NAME.apps` | GUIDs, 1 to 1000 | all; required for `stream` and `tail` |
//! | `sources.NAME.group` | text: the subscription, or the shard | `ingestry` (`firehose`), none |
//! | `sources.NAME.tls` | as for destinations | the system's authorities, verified |
//! | `sources.NAME.tag` | tag name, or template of `{org}`, `{space}`, `{app}`, `{app_name}`, `{source_type}` | `loggregator` |
//! | `sources.NAME.tags` | for `log`, `counter`, `gauge`, `timer`, `event`, `http`, `error`, `container`: tag names | `tag` |
//! | `sources.NAME.app_tags`, `org_tags` | for GUIDs or names: tag names; before `tags` | none |
//! | `sources.NAME.tag_per` | `app`, `app-name`, `space`, `org`: a tag `TAG-…` for each | none |
//! | `sources.NAME.max_tags` (`loggregator`) | 1 to 65000 tags made by `tag_per` or the template | 1000 |
//! | `sources.NAME.buffer` | 1 to 1000000 messages that wait for the log | 10000 |
//! | `sources.NAME.when_full` | `block`, `drop-oldest` | `block` |
//! | `sources.NAME.AMQP_HOST`, `AMQP_PORT`, `AMQP_VHOST`, `AMQP_USER` (`amqp`, sources and destinations, as all down to `heartbeat`) | as in carbon.conf | `localhost`, 5672, `/`, `guest` |
//! | `sources.NAME.AMQP_PASSWORD` | `env:NAME`, `file:PATH`, `literal:TEXT` | `guest` |
//! | `sources.NAME.AMQP_EXCHANGE` | text | `graphite` |
//! | `sources.NAME.exchange_type` | text | `topic` |
//! | `sources.NAME.declare`, `durable` | boolean: of the exchange | `true` |
//! | `sources.NAME.heartbeat` | time, or `off` | 30 s |
//! | `sources.NAME.BIND_PATTERNS` (`amqp`) | routing keys with `*` and `#`, commas between them | `#` |
//! | `sources.NAME.AMQP_METRIC_NAME_IN_BODY` (`amqp`) | boolean | `false` |
//! | `sources.NAME.name` (`amqp`) | `key`, `body`, `auto`: where names stand | `key` |
//! | `sources.NAME.queue` (`amqp`) | text: a durable queue | one of the connection alone |
//! | `sources.NAME.prefetch` (`amqp`) | 1 to 65535 messages | 1000 |
//! | `sources.NAME.ack` (`amqp`) | `durable`, `none` | `durable` |
//! | `sources.NAME.ENABLE_AMQP`, `AMQP_VERBOSE` (`amqp`) | boolean | `true`, `false` |
//! | `sources.NAME.brokers` (`kafka`, sources and destinations, and `sources.NAME.kafka`, as all down to `properties`) | `HOST:PORT` | required |
//! | `sources.NAME.user`, `password` | text; `env:NAME`, `file:PATH`, `literal:TEXT` | no authentication |
//! | `sources.NAME.mechanism` | of SASL | `PLAIN` |
//! | `sources.NAME.properties` | a table of properties of librdkafka, except those that have a key here | none |
//! | `sources.NAME.topics` (`kafka`, as all down to `commit_interval`) | names, or expressions that begin with `^` | required |
//! | `sources.NAME.group` | text | `ingestry` |
//! | `sources.NAME.instance` | text: a member's name that stays | none |
//! | `sources.NAME.from` | `oldest`, `end`: where a new group begins | `oldest` |
//! | `sources.NAME.tag` | tag name, or template of `{topic}`, `{key}`, `{key.N}` and `{header.NAME}`, for records that bring none | `kafka` |
//! | `sources.NAME.tag_per` (`kafka`) | `topic`: a tag `TAG-…` for each | none |
//! | `sources.NAME.encoding` | `auto`, `raw`, `entry` | `auto` |
//! | `sources.NAME.timestamp` | `record`, `arrival`: of records that bring none | `record` |
//! | `sources.NAME.values` (`kafka`) | `none`, `headers` | `none` |
//! | `sources.NAME.max_tags` (`kafka`) | 1 to 65000 brought by records, in one run, and as many made by the template | 4096 |
//! | `sources.NAME.read_ahead` (`kafka`) | size, 64 KiB to 1 GiB | 16 MiB |
//! | `sources.NAME.commit_interval` | time, 10 ms to 1 h | 1 s |
//! | `sources.NAME.kafka.brokers` (`hydra`) | `HOST:PORT`, and in the same table what may be beside them, and what a destination `kafka` has from `compression` to `delivery_timeout`: what `kafka_ingestor` sends to | none: it refuses |
//! | `sources.NAME.kafka.format` (`hydra`) | `json`, `string`, `avro`: where `hydra-record-format` names none | `avro` with a registry, else `json` |
//! | `sources.NAME.kafka.registry` (`hydra`) | a table of `url` (`http://…`, `https://…`), `user` and `password`, `ca`, `timeout` (2 s), `fresh` (2 min: how long the latest schema is believed to be it) | none: no Avro |
//! | `destinations.NAME.type` | `store`, `gravwell`, `graphite`, `amqp`, `kafka` | required |
//! | `destinations.NAME.topic` (`kafka`, as all down to `delivery_timeout`) | text with `{tag}`, `{source}` and `{value:NAME}`, each with a default as in `{value:NAME\|none}` | required |
//! | `destinations.NAME.key` | likewise | none: any partition |
//! | `destinations.NAME.encoding` | `raw`, `entry` | `raw` |
//! | `destinations.NAME.values` (`kafka`, `raw`) | `block`, `headers`, `none`: where enumerated values go | `block` |
//! | `destinations.NAME.compression` (`kafka`) | `none`, `lz4`, `snappy`, `gzip`, `zstd` | `none` |
//! | `destinations.NAME.linger` | time, 1 ms to 10 s, or `off` | 5 ms |
//! | `destinations.NAME.delivery_timeout` | time, 1 s to 50 s | 30 s |
//! | `destinations.NAME.name` (`amqp`) | `key`, `body`: where names go | `key` |
//! | `destinations.NAME.routing_key` (`amqp`, name in the body) | text | `graphite` |
//! | `destinations.NAME.lines` (`amqp`, name in the body) | 1 to 10000 of a message | 500 |
//! | `destinations.NAME.persistent` (`amqp`) | boolean | `true` |
//! | `destinations.NAME.targets` (`gravwell`) | `tcp://HOST:PORT`, `tls://HOST:PORT`, `pipe://PATH` | required |
//! | `destinations.NAME.secret` (`gravwell`) | `env:NAME`, `file:PATH`, `literal:TEXT` | required |
//! | `destinations.NAME.policy` (`gravwell`) | `share`, `fail-over` | `share` |
//! | `destinations.NAME.compression` (`gravwell`) | boolean | `false` |
//! | `destinations.NAME.tenant` (`gravwell`) | text, at most 512 bytes | none |
//! | `destinations.NAME.confirm` (`gravwell`) | `acknowledged`, `stored` | `acknowledged` |
//! | `destinations.NAME.min_version` (`gravwell`) | 0 to 65535: of the protocol | 0 |
//! | `destinations.NAME.from` (`gravwell` and `kafka`, as all down to `on_lag`) | `end`, `oldest`, a time: for a new one | `end` |
//! | `destinations.NAME.rate_limit` | rate | none |
//! | `destinations.NAME.max_lag` | size, at least 1 MiB | 80 % of `log.max_bytes` |
//! | `destinations.NAME.on_lag` | `drop-oldest`, `block` | `drop-oldest` |
//! | `destinations.NAME.tls` (`gravwell`) | `ca`, `cert` and `key`: PEM files; `verify`: boolean | the system's authorities, verified |
//! | `destinations.NAME.targets` (`graphite`) | `HOST:PORT` or `HOST:PORT:INSTANCE` | required |
//! | `destinations.NAME.format` (`graphite`) | `pickle`, `lines`, `protobuf` | `pickle` |
//! | `destinations.NAME.policy` (`graphite`) | `share`, `fail-over`, `carbon_ch`, `fnv1a_ch`, `jump_fnv1a_ch` | `share` |
//! | `destinations.NAME.dialect` (`graphite`, with a hash) | `carbon`, `carbon-c-relay`, `relay-ng`, `relay-ng-v2` | `carbon` |
//! | `destinations.NAME.replication` (`graphite`, with a hash) | 1 to the number of targets | 1 |
//! | `destinations.NAME.diverse` (`graphite`) | boolean: copies on different hosts | `true` |
//! | `destinations.NAME.infinite` (`graphite`) | boolean | `false` |
//! | `destinations.NAME.confirm` (`graphite`) | `written`, `closed` | `written` |
//! | `destinations.NAME.settle` (`graphite`) | time, 10 ms to 30 s | 1 s |
//! | `destinations.NAME.tls` (`graphite`) | as for `gravwell`; the table alone means TLS | clear text |
//! | `delivery.rate_limit` | rate: all destinations together | none |
//! | `delivery.longest_wait` | time, at least 1 s: between attempts to connect | 30 s |
//! | `delivery.label` | text, at most 256 bytes, told to indexers | none |
//! | `delivery.state` | `full`, `minimal`: what indexers are told | `full` |
//! | `delivery.relay` | `off`, `error`, `warn`, `info`: own log lines that become entries of the tag `gravwell` | `off` |
//! | `routes[].tags` | tag names, also with a trailing `*` | required |
//! | `routes[].to` | names of destinations | required |
//! | `rules[].action` | `keep`, `drop`, `sample`: of what the rule fits; the first that fits decides | required |
//! | `rules[].name` | text: what it is called where it is counted | `rule N` |
//! | `rules[].sources` | names of sources | all |
//! | `rules[].tags` | tag names, also with a trailing `*` | all |
//! | `rules[].contains` | text in the data | any |
//! | `rules[].one_in` (`sample`) | 2 to 1000000000: one in so many is kept | required |
//! | `tests[].source` | name of a source that listens: gets the sample when `ingestry test` runs | required |
//! | `tests[].lines`, `hex` | the sample: text with a line for each item, or bytes of a Graphite connection or datagram | one is required |
//! | `tests[].tag` (`gravwell`), `headers` (`hydra`) | the tag of the entries; fields of the handshake | `default`, none |
//! | `tests[].entries` | tables of `tag`, `data` and `to`: what the sample becomes | none; it or `rejected` is required |
//! | `tests[].rejected` | for reasons: how many items are refused | none |
//! | `tests[].name` | text | `test N` |
//! | `limits[].entries` | 1 to 1000000000 entries a second of what the limit fits | any number; it or `bytes` is required |
//! | `limits[].bytes` | rate, of entries as they are stored: 34 B and their data and values | any |
//! | `limits[].per` | `all`, `source`, `tag`: what it holds for each of | `all` |
//! | `limits[].on_limit` | `block`, `drop` | `block` |
//! | `limits[].name`, `sources`, `tags` | as for rules | `limit N`, all, all |
//!
//! A file that says nothing about `sources` gets the default ones (`[sources]` alone means none);
//! without `destinations` there is one, the store. Without `routes` everything goes to every
//! destination. Sizes and times carry units ([`crate::units`]).

mod addr;
mod admin;
mod amqp;
mod choice;
mod conflict;
mod delivery;
mod destinations;
mod error;
mod files;
mod findings;
mod graphite;
mod gravwell;
mod headers;
mod hydra;
mod kafka;
mod limits;
mod listen;
mod load;
mod log;
mod loggregator;
mod logs;
mod merge;
mod model;
mod outflow;
mod overrides;
mod patterns;
mod routes;
mod rules;
mod secret;
mod sources;
mod synonyms;
mod syntax;
mod targets;
mod template;
mod tests;
mod texts;
mod tls;
mod values;
mod walk;

pub use addr::{ListenAddr, ListenAddrError};
pub use amqp::{AmqpAck, AmqpBroker, AmqpDestination, AmqpName, AmqpSource};
pub use choice::Choice;
pub use conflict::Protocol;
pub use delivery::{DeliveryConfig, RelayedLog, StateMessages};
pub use error::{ConfigError, LoadError, Place, Warning};
pub(crate) use files::fingerprint;
pub use graphite::{
    BadTags, GraphiteCompression, GraphiteConfirm, GraphiteDestination, GraphiteFormat,
    GraphiteLines, GraphitePolicy, GraphiteSource, GraphiteUdpSource, GraphiteUnixSource,
    GraphiteWire, HashDialect, Infinity, OverRate, Profile, Tagged, UnixSocket, Values,
};
pub use gravwell::{Confirm, GravwellDestination, GravwellSource, Policy};
pub use hydra::{HydraCompat, HydraDialect, HydraEcho, HydraSource, HydraValues};
#[cfg(feature = "kafka")]
pub(crate) use kafka::write_value;
pub use kafka::{
    HydraKafka, KafkaBrokers, KafkaCompression, KafkaDecoding, KafkaDestination, KafkaEncoding,
    KafkaFormat, KafkaFrom, KafkaHeaders, KafkaRegistry, KafkaSending, KafkaSent, KafkaSource,
    KafkaTagPer, KafkaTime, KafkaValues, Template, TemplateError,
};
pub use limits::{LimitConfig, LimitPer, OnLimit};
pub use load::{Loaded, load, parse};
pub use loggregator::{
    LoggregatorKind, LoggregatorPer, LoggregatorReads, LoggregatorSource, LoggregatorWhenFull,
};
pub use logs::{LogFormat, LogLevel, LogsConfig};
pub use model::{
    AdminConfig, Config, DestinationConfig, DestinationKind, Durability, HydraConfig, Keep,
    LogConfig, MIN_MAX_BYTES, OnFull, Route, SourceConfig, SourceKind,
};
pub use outflow::{OnLag, Outflow, StartAt};
pub use overrides::{
    ListenOverride, ListenOverrideError, OverrideError, Overrides, StartError, for_run,
};
pub use rules::{RuleAction, RuleConfig};
pub use secret::{SecretError, SecretFrom};
pub use template::TagTemplate;
pub use tests::{ExpectedEntry, Sample, TestConfig};
pub use texts::{FRAGMENTS, MAX_FILE, MAX_FRAGMENTS};
#[cfg(feature = "avro")]
pub(crate) use tls::pem;
pub use tls::{ClientTls, ServerTls, TlsFileError};
