//! What a registry's schemas make of a request.

use hydra_ws::{Dialect, Failure, Request, Validation};
use serde_json::Value;

use super::prepared::{Prepared, Ready, Unencoded};
use crate::avro::{AvroError, AvroSchema};
use crate::registry::{Registry, RegistryError};

/// Makes the record, with what the registry says if that is needed.
pub(super) async fn ready(
    prepared: Prepared,
    request: &Request,
    registry: &Registry,
    dialect: Dialect,
) -> Result<Ready, Failure> {
    let Prepared { topic, key, value, avro } = prepared;
    let key = key.map(String::into_bytes);
    let Some(Unencoded { subject, tree, both }) = avro else {
        return Ok(Ready { topic, key, value });
    };
    let strict = request.validation() == Validation::Strict;
    let ask = async |name: String, version| {
        let found = registry.schema(&name, version).await;
        found.map_err(|error| unloaded(&name, &error))
    };
    let told = |schema: &AvroSchema, fault: &AvroError| {
        let mut text = fault.to_string();
        if dialect == Dialect::Head && fault.is_about_schema() {
            text.push_str(&format!(" [{}/schemas/ids/{}]", registry.url(), schema.id()));
        }
        Failure::invalid(text)
    };
    let encode = |schema: &AvroSchema, value: &Value| {
        schema.encode(value, strict).map_err(|fault| told(schema, &fault))
    };
    if both {
        let part = |name: &str| {
            let missing = || Failure::invalid(format!("The payload has no '{name}'."));
            tree.get(name).ok_or_else(missing)
        };
        let (key, value) = (part("key")?, part("value")?);
        let schema = ask(subject.key(), None).await?;
        let key = Some(encode(&schema, key)?);
        if value.is_null() {
            return Ok(Ready { topic, key, value: None });
        }
        let schema = ask(subject.value(), subject.version()).await?;
        return Ok(Ready { topic, key, value: Some(encode(&schema, value)?) });
    }
    let schema = ask(subject.value(), subject.version()).await?;
    let value = Some(encode(&schema, &tree)?);
    let key = match (key, &tree) {
        (None, Value::Object(object)) => {
            let key = schema.key(object).map_err(|fault| told(&schema, &fault))?;
            key.map(String::into_bytes)
        }
        (key, _) => key,
    };
    Ok(Ready { topic, key, value })
}

/// A subject that is not there is the request's fault; a registry that is not is nobody's here.
fn unloaded(subject: &str, error: &RegistryError) -> Failure {
    let text = format!("Schema '{subject}' cannot be loaded. Cause: {error}");
    if error.is_of_request() { Failure::invalid(text) } else { Failure::unavailable(text) }
}
