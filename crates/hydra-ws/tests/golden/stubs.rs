//! The ingestors of the recordings, and what they got.

use std::sync::{Arc, Mutex};
use std::time::UNIX_EPOCH;

use hydra_ws::{
    Ack, Dialect, Failure, FailureKind, Ingestor, Join, Outcome, Registry, Request, Validation,
};
use serde_json::{Value, json};

type Got = Arc<Mutex<Vec<Value>>>;

struct Stub {
    name: &'static str,
    joins_if: &'static str,
    dialect: Dialect,
    got: Got,
}

impl Stub {
    fn note(&self, request: &Request) {
        let head = self.dialect == Dialect::Head;
        let ack = match request.ack() {
            Ack::None if head => "NoAck",
            Ack::None => "None",
            Ack::Persisted => "Persisted",
            Ack::Replicated if head => "Replicated",
            Ack::Replicated => "Explicit",
        };
        let validation = match request.validation() {
            Validation::Strict => "Strict",
            Validation::Relaxed => "Relaxed",
        };
        let metadata = request.metadata();
        let retry =
            if metadata.get("hydra-retry-strategy") == Some("retry") { "Retry" } else { "Fail" };
        let client = metadata.get("hydra-client-id").map_or_else(|| "-".into(), str::to_lowercase);
        self.got.lock().unwrap().push(json!({
            "payload": str::from_utf8(request.payload()).unwrap(),
            "id": request.id().as_str(),
            "ack": ack,
            "validation": validation,
            "ingestor": self.name,
            "retry": retry,
            "client": client,
        }));
    }
}

impl Ingestor for Stub {
    fn join(&self, request: &Request) -> Join {
        match request.metadata().get(self.joins_if) {
            Some(_) => Join::Join,
            None => Join::Ignore,
        }
    }

    fn validate(&self, request: &Request) -> Result<(), Failure> {
        // The stubs of `head` take note here, those of the others below.
        if self.dialect == Dialect::Head {
            self.note(request);
        }
        match str::from_utf8(request.payload()).unwrap().contains("invalid") {
            true => Err(Failure::invalid("bad payload")),
            false => Ok(()),
        }
    }

    fn ingest(&self, request: Request) -> Outcome {
        if self.dialect != Dialect::Head {
            self.note(&request);
        }
        let payload = str::from_utf8(request.payload()).unwrap();
        if payload.contains("explode") {
            Outcome::failed(Failure::error("boom").caused_by("inner"))
        } else if payload.contains("hie") {
            Outcome::failed(Failure::new(FailureKind::Ingestion, "boom2"))
        } else if payload.contains("hang") {
            Outcome::later(std::future::pending())
        } else {
            Outcome::completed()
        }
    }
}

/// Both of them, and what they get.
pub(crate) fn registry(dialect: Dialect) -> (Registry, Got) {
    let registry = Registry::new();
    let got = Got::default();
    for (name, joins_if) in
        [("kafka_ingestor", "hydra-kafka-topic"), ("other_ingestor", "hydra-other")]
    {
        let stub = Stub { name, joins_if, dialect, got: Arc::clone(&got) };
        registry.register(name, Arc::new(stub), UNIX_EPOCH).unwrap();
    }
    (registry, got)
}
