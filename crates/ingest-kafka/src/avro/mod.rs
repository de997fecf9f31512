//! Avro for `kafka_ingestor`: a schema as the ingestor needs it, and JSON made into Avro by it.
//!
//! No I/O happens here. Schemas are read by the `apache-avro` crate; what is made of them is a tree
//! with its names resolved, by which JSON is written as Avro in one go.

mod convert;
mod fault;
mod shape;

use serde_json::{Map, Value};

pub use fault::AvroError;
use shape::Shapes;

/// What a registry's framing begins with.
const MAGIC: u8 = 0;

/// A schema of a registry, by which JSON becomes Avro.
#[derive(Debug)]
pub struct AvroSchema {
    id: u32,
    shapes: Shapes,
}

impl AvroSchema {
    /// Reads a schema. `id` is its number in the registry.
    ///
    /// # Errors
    /// [`AvroError::Schema`]: it is none, is no record, or has something that JSON is not converted
    /// to, which is `bytes`, `fixed`, and unions other than of null and one more.
    pub fn parse(id: u32, text: &str) -> Result<Self, AvroError> {
        Ok(Self { id, shapes: Shapes::parse(text)? })
    }

    /// Its number in the registry.
    #[must_use]
    pub const fn id(&self) -> u32 {
        self.id
    }

    /// The value that a registry's clients read: 0, the schema's number in 4 bytes with the highest
    /// first, and the object as Avro.
    ///
    /// # Errors
    /// [`AvroError`]. With `strict`, fields that the schema does not have are an error, in nested
    /// records as well; else they are left out.
    pub fn encode(&self, object: &Value, strict: bool) -> Result<Vec<u8>, AvroError> {
        let Value::Object(object) = object else {
            return Err(AvroError::json(&object.to_string(), "it is no object"));
        };
        let mut out = Vec::with_capacity(128);
        out.push(MAGIC);
        out.extend_from_slice(&self.id.to_be_bytes());
        convert::write(&self.shapes, object, strict, &mut out)?;
        Ok(out)
    }

    /// The key that the schema itself names, by its property `hydra.key`: the values of these fields,
    /// with `|` between them. `None`: it names none.
    ///
    /// # Errors
    /// [`AvroError::Schema`]: it names a field that it does not have.
    pub fn key(&self, object: &Map<String, Value>) -> Result<Option<String>, AvroError> {
        convert::key(&self.shapes, object)
    }
}
