//! The sample interaction of Hydra's document, and what else a payload can say of its record.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::broker::Broker;
use super::console::start;

/// What is sent, behind the document's lines, and the key and value that it has to become.
const MORE: [(&str, &str); 6] = [
    ("-i 122 {\"name\":\"test\",\"value\":\"test\"}", "| {\"name\":\"test\",\"value\":\"test\"}"),
    ("-c set hydra-record-key = {$.name}", ""),
    ("-i 123 {\"name\":\"a\",\"value\":1}", "a| {\"name\":\"a\",\"value\":1}"),
    ("-c set hydra-record-format = string", ""),
    ("-c set hydra-record-key = k", ""),
    ("-i 124 not json", "k| not json"),
];

pub(super) fn run(binary: &Path, dir: &Path, broker: &Broker) -> Result<()> {
    let (gateway, mut console) = start(binary, &dir.join("document"), broker)?;
    console.say(
        "-c set hydra-kafka-topic = test-topic\n-c set hydra-ack = explicit\n\
         {\"name\":\"test\",\"value\":\"test\"}\n",
    )?;
    for (line, _) in MORE {
        console.say(&format!("{line}\n"))?;
    }
    // Neither of these becomes a record.
    console.say("-c set hydra-record-format = json\n-i 125 not json\n")?;
    console.say("-c set hydra-record-format = xml\n-i 126 {}\n")?;
    let answers = console.finish()?;

    // The document's, byte for byte but for the id.
    let expected = [
        r#"{"status":200,"message":"OK[HYDRA-KAFKA_TOPIC=test-topic]"}"#,
        r#"{"status":200,"message":"OK[HYDRA-ACK=explicit]"}"#,
    ];
    ensure!(answers.len() == 13, "{answers:#?}");
    ensure!(answers.iter().zip(expected).all(|(have, want)| have == want), "{answers:#?}");
    let report = |id: &str| {
        format!(
            "{{\"requestId\":\"{id}\",\"status\":{{\"code\":200,\"message\":\"OK\"}},\
             \"ingestors\":{{\"kafka_ingestor\":{{\"code\":200,\"message\":\"OK\"}}}}}}"
        )
    };
    let of = |answer: &String| -> Option<String> {
        let value: Value = serde_json::from_str(answer).ok()?;
        Some(value.get("requestId")?.as_str()?.to_owned())
    };
    let reports: Vec<_> = answers.iter().filter_map(|answer| Some((of(answer)?, answer))).collect();
    let drawn = reports.iter().find(|(id, _)| id.len() == 8).context("no report of the sample")?;
    for id in [drawn.0.as_str(), "122", "123", "124"] {
        let found = reports.iter().find(|(have, _)| have == id).map(|(_, answer)| *answer);
        ensure!(found == Some(&report(id)), "{id}: {found:?}");
    }
    for (id, says) in [("125", "expected"), ("126", "'xml' is not a valid format.")] {
        let found = reports.iter().find(|(have, _)| have == id).map(|(_, answer)| *answer);
        let found = found.with_context(|| format!("no report of {id}"))?;
        ensure!(found.contains("\"code\":400") && found.contains(says), "{found}");
    }

    let mut records = broker.read("test-topic", "%k|%s")?;
    let mut wanted: Vec<_> = MORE.iter().map(|(_, record)| (*record).to_owned()).collect();
    wanted.retain(|record| !record.is_empty());
    wanted.push("|{\"name\":\"test\",\"value\":\"test\"}".to_owned());
    records.sort();
    wanted.sort();
    ensure!(records == wanted, "kcat reads {records:#?}");
    let status = gateway.status()?;
    ensure!(status.get("balanced") == Some(&true.into()), "the account does not balance: {status}");
    gateway.stop()?;
    println!(
        "kafka: the document's interaction, {} reports, and {} records with their keys by kcat",
        reports.len(),
        records.len()
    );
    Ok(())
}
