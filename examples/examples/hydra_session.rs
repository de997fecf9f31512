//! The sample session of Hydra's document: metadata is set, then a payload is sent, and its report
//! comes back. `hydra-ws` with the feature `client`.
//!
//! ```sh
//! cargo run &
//! cargo run -p examples --example hydra_session
//! cargo run -p examples --example hydra_session -- \
//!     ws://127.0.0.1:8080/ws-ingest/gravwell_ingestor '{"name":"test"}'
//! ```
//!
//! Without arguments it asks `kafka_ingestor`, as the document does: that one wants a broker in the
//! gateway's configuration, and its report says so if there is none.

#![allow(clippy::print_stdout, reason = "an example")]

use anyhow::{Context, Result, ensure};
use hydra_ws::{ClientOptions, HydraClient, Target};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let url = "ws://127.0.0.1:8080/ws-ingest/kafka_ingestor";
    let target: Target = arguments.next().as_deref().unwrap_or(url).parse()?;
    let payload =
        arguments.next().unwrap_or_else(|| r#"{"name":"test","value":"test"}"#.to_owned());

    // Header fields beginning with `hydra-` would do as well: `ClientOptions::fields`.
    let connecting = HydraClient::connect(&target, ClientOptions::default()).await;
    let client = connecting.with_context(|| format!("cannot connect to {target}"))?;

    // `-c set hydra-kafka-topic = test-topic`, and the echo is waited for.
    client.set("hydra-kafka-topic", "test-topic").await?;
    client.set("hydra-ack", "explicit").await?;
    let mut metadata: Vec<_> = client.list().await?.into_iter().collect();
    metadata.sort();
    for (name, value) in metadata {
        println!("{name} = {value}");
    }

    // The client gives each payload an id, so that many can be on their way at once.
    let report = client.send(&payload).await?;
    println!("{} {}", report.code, report.message);
    for (ingestor, (code, message)) in &report.ingestors {
        println!("  {ingestor}: {code} {message}");
    }
    client.close().await;
    ensure!(report.code == 200, "the payload was not taken");
    Ok(())
}
