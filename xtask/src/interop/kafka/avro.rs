//! Avro through `/ws-ingest/kafka_ingestor`, by the schemas of a registry: read back by the client of
//! Confluent, with its own decoder of Avro and its own client of the registry.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use super::broker::Broker;
use super::console::Console;
use super::registry::Registry;
use crate::interop::process::Gateway;
use crate::interop::programs;

const TOPIC: &str = "avro";
const SCHEMA: &str = r#"{"type":"record","name":"Reading","namespace":"plant","hydra.key":"id","fields":[{"name":"id","type":"string"},{"name":"at","type":{"type":"long","logicalType":"timestamp-millis"}},{"name":"value","type":["null","double"],"default":null},{"name":"state","type":{"type":"enum","name":"State","symbols":["ON","OFF"]},"default":"ON"},{"name":"labels","type":{"type":"map","values":"string"},"default":{}},{"name":"parts","type":{"type":"array","items":{"type":"record","name":"Part","fields":[{"name":"n","type":"int"}]}},"default":[]}]}"#;
const READER: &str = include_str!("avro.py");

pub(super) fn run(binary: &Path, dir: &Path, broker: &Broker) -> Result<()> {
    let python = programs::python(&[(
        "confluent-kafka[avro,schemaregistry]",
        "confluent_kafka.schema_registry.avro",
    )])?;
    let dir = dir.join("avro");
    std::fs::create_dir_all(&dir)?;
    let registry = Registry::start()?;
    registry.add(&format!("{TOPIC}-value"), 100_001, SCHEMA);
    let config = format!(
        "[admin]\nlisten = \"127.0.0.1:0\"\n[sources.hydra]\ntype = \"hydra\"\n\
         listen = \"127.0.0.1:0\"\nkafka = {{ brokers = [\"127.0.0.1:{}\"], \
         registry = {{ url = \"{}\" }} }}\n",
        broker.port,
        registry.url()
    );
    let gateway = Gateway::configured(binary, &dir, &config)?;
    let mut console = Console::start(binary, gateway.address("hydra")?)?;
    console.say(&format!("-c set hydra-kafka-topic = {TOPIC}\n-c set hydra-ack = explicit\n"))?;
    console.say(concat!(
        r#"-i 1 {"id":"a","at":1700000000000,"value":1.5,"labels":{"x":"y"},"parts":[{"n":1},{"n":-2}]}"#,
        "\n",
        r#"-i 2 {"id":"b","at":"1700000000001","state":"OFF"}"#,
        "\n",
        r#"-i 3 {"id":"c","at":1,"more":1}"#,
        "\n",
        r#"-i 4 {"id":"d"}"#,
        "\n-i 5 no json\n-c set hydra-validation = relaxed\n",
        r#"-i 6 {"id":"e","at":2,"more":1}"#,
        "\n-c set hydra-schema = nobody\n-i 7 {}\n",
    ))?;
    let answers = console.finish()?;
    let report = |id: &str| -> Result<(u64, String)> {
        let of = |answer: &String| -> Option<Value> {
            let value: Value = serde_json::from_str(answer).ok()?;
            (value.get("requestId")? == id).then_some(value)
        };
        let found = answers.iter().find_map(of).with_context(|| format!("no report of {id}"))?;
        let part = found.pointer("/ingestors/kafka_ingestor").context("not the ingestor's")?;
        let code = part.get("code").and_then(Value::as_u64).context("no code")?;
        Ok((code, part.get("message").and_then(Value::as_str).unwrap_or_default().to_owned()))
    };
    for id in ["1", "2", "6"] {
        ensure!(report(id)? == (200, "OK".to_owned()), "{id}: {:?}", report(id)?);
    }
    let told = [
        (
            "3",
            "Field(s) 'more' are not defined in the schema and validation is set to strict. \
               Declared fields are: id,at,value,state,labels,parts.",
        ),
        ("4", "Field at (Type LONG) is required, but it was not provided."),
        (
            "7",
            "Schema 'nobody-value' cannot be loaded. Cause: Subject 'nobody-value' not found.; \
               error code: 40401",
        ),
    ];
    for (id, text) in told {
        ensure!(report(id)? == (400, text.to_owned()), "{id}: {:?}", report(id)?);
    }
    let (code, text) = report("5")?;
    ensure!(code == 400 && text.starts_with("Failed to parse as Json: no json\n"), "{code} {text}");
    let status = gateway.status()?;
    ensure!(status.get("balanced") == Some(&true.into()), "the account does not balance: {status}");
    gateway.stop()?;

    let script = dir.join("avro.py");
    std::fs::write(&script, READER)?;
    let mut reader = Command::new(python);
    reader.arg(script).arg(format!("127.0.0.1:{}", broker.port)).arg(registry.url());
    let output = reader.args([TOPIC, "3"]).output()?;
    ensure!(
        output.status.success(),
        "the reader ended with {}: {}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    let mut records: Vec<Value> = Vec::new();
    for line in String::from_utf8(output.stdout)?.lines() {
        records.push(serde_json::from_str(line).with_context(|| line.to_owned())?);
    }
    records.sort_by_key(|record| record.get("key").map(Value::to_string));
    let record = |id: &str, at: u64, value: Value, state: &str, labels: Value, parts: Value| {
        let value = json!({"id": id, "at": at, "value": value, "state": state, "labels": labels,
                           "parts": parts});
        json!({ "key": id, "value": value })
    };
    let wanted = [
        record(
            "a",
            1_700_000_000_000,
            1.5.into(),
            "ON",
            json!({"x": "y"}),
            json!([{"n": 1}, {"n": -2}]),
        ),
        record("b", 1_700_000_000_001, Value::Null, "OFF", json!({}), json!([])),
        record("e", 2, Value::Null, "ON", json!({}), json!([])),
    ];
    ensure!(records == wanted, "Confluent's client reads {records:#?}");
    let asked = registry.state().asked.clone();
    let ours = asked.iter().filter(|target| target.starts_with("/subjects/avro-value/")).count();
    ensure!(ours == 1, "the schema was asked for {ours} times: {asked:?}");
    println!(
        "kafka: Avro by a registry's schema, 7 reports, {} records read by Confluent's client",
        records.len()
    );
    Ok(())
}
