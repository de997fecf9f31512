//! A schema with its names resolved, as far as JSON is converted to it.

use std::collections::HashMap;

use apache_avro::Schema;
use apache_avro::schema::{RecordSchema, UnionSchema};
use serde_json::Value;

use super::fault::AvroError;

/// A type.
#[derive(Clone, Debug)]
pub(super) enum Shape {
    Null,
    Boolean,
    Int,
    Long,
    Float,
    Double,
    Text,
    Enum(Vec<String>),
    Array(Box<Self>),
    Map(Box<Self>),
    /// A record, by its place in [`Shapes`].
    Record(usize),
    /// A union of null and something.
    Nullable {
        null_first: bool,
        of: Box<Self>,
    },
}

/// A field of a record.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) name: String,
    pub(super) shape: Shape,
    pub(super) default: Option<Value>,
}

/// A record.
#[derive(Debug, Default)]
pub(super) struct Record {
    pub(super) fields: Vec<Field>,
}

impl Record {
    pub(super) fn has(&self, name: &str) -> bool {
        self.fields.iter().any(|field| field.name == name)
    }
}

/// The records of a schema. The first is the schema itself.
#[derive(Debug)]
pub(super) struct Shapes {
    pub(super) records: Vec<Record>,
    /// Fields that are the key.
    pub(super) key: Vec<String>,
}

impl Shapes {
    pub(super) fn parse(text: &str) -> Result<Self, AvroError> {
        let schema =
            Schema::parse_str(text).map_err(|error| AvroError::Schema(error.to_string()))?;
        let Schema::Record(record) = &schema else {
            return Err(AvroError::Schema(format!("Not a record: {}", name_of(&schema))));
        };
        let mut builder = Builder::default();
        builder.record(record)?;
        let key = match record.attributes.get("hydra.key") {
            Some(Value::String(names)) => names.split(',').map(|name| name.trim().into()).collect(),
            _ => Vec::new(),
        };
        Ok(Self { records: builder.records, key })
    }

    pub(super) fn record(&self, at: usize) -> &Record {
        const NONE: &Record = &Record { fields: Vec::new() };
        self.records.get(at).unwrap_or(NONE)
    }
}

/// Named types that were seen.
#[derive(Default)]
struct Builder {
    records: Vec<Record>,
    named: HashMap<String, Shape>,
}

impl Builder {
    fn record(&mut self, record: &RecordSchema) -> Result<Shape, AvroError> {
        let at = self.records.len();
        self.records.push(Record::default());
        // Before its fields, which may name it.
        self.named.insert(record.name.to_string(), Shape::Record(at));
        let mut fields = Vec::with_capacity(record.fields.len());
        for field in &record.fields {
            let unsupported = |kind: &str| {
                AvroError::Schema(format!("Unsupported type '{kind}' for field '{}'", field.name))
            };
            let shape = self.shape(&field.schema, &unsupported)?;
            fields.push(Field { name: field.name.clone(), shape, default: field.default.clone() });
        }
        if let Some(made) = self.records.get_mut(at) {
            made.fields = fields;
        }
        Ok(Shape::Record(at))
    }

    fn shape(
        &mut self,
        schema: &Schema,
        unsupported: &dyn Fn(&str) -> AvroError,
    ) -> Result<Shape, AvroError> {
        let of_element = |kind: &str| AvroError::Schema(format!("Unsupported type: {kind}"));
        Ok(match schema {
            Schema::Null => Shape::Null,
            Schema::Boolean => Shape::Boolean,
            Schema::Int | Schema::Date | Schema::TimeMillis => Shape::Int,
            Schema::Long
            | Schema::TimeMicros
            | Schema::TimestampMillis
            | Schema::TimestampMicros
            | Schema::TimestampNanos
            | Schema::LocalTimestampMillis
            | Schema::LocalTimestampMicros
            | Schema::LocalTimestampNanos => Shape::Long,
            Schema::Float => Shape::Float,
            Schema::Double => Shape::Double,
            Schema::String | Schema::Uuid(apache_avro::schema::UuidSchema::String) => Shape::Text,
            Schema::Array(array) => Shape::Array(Box::new(self.shape(&array.items, &of_element)?)),
            Schema::Map(map) => Shape::Map(Box::new(self.shape(&map.types, &of_element)?)),
            Schema::Union(union) => self.union(union, unsupported)?,
            Schema::Record(record) => self.record(record)?,
            Schema::Enum(symbols) => {
                let shape = Shape::Enum(symbols.symbols.clone());
                self.named.insert(symbols.name.to_string(), shape.clone());
                shape
            }
            Schema::Ref { name } => match self.named.get(&name.to_string()) {
                Some(shape) => shape.clone(),
                None => return Err(unsupported(name.as_ref())),
            },
            Schema::Fixed(_) | Schema::Duration(_) => return Err(unsupported("FIXED")),
            _ => return Err(unsupported("BYTES")),
        })
    }

    fn union(
        &mut self,
        union: &UnionSchema,
        unsupported: &dyn Fn(&str) -> AvroError,
    ) -> Result<Shape, AvroError> {
        let (null_first, of) = match union.variants() {
            [Schema::Null, of] => (true, of),
            [of, Schema::Null] => (false, of),
            _ => return Err(unsupported("UNION")),
        };
        Ok(Shape::Nullable { null_first, of: Box::new(self.shape(of, unsupported)?) })
    }
}

fn name_of(schema: &Schema) -> String {
    let text = serde_json::to_string(schema).unwrap_or_default();
    super::fault::shown(&text)
}

impl Shape {
    /// As a schema has it.
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Boolean => "boolean",
            Self::Int => "int",
            Self::Long => "long",
            Self::Float => "float",
            Self::Double => "double",
            Self::Text => "string",
            Self::Enum(_) => "enum",
            Self::Array(_) => "array",
            Self::Map(_) => "map",
            Self::Record(_) => "record",
            Self::Nullable { .. } => "union",
        }
    }

    /// As texts about fields have it.
    pub(super) fn kind(&self) -> String {
        self.name().to_uppercase()
    }

    /// As texts about values have it.
    pub(super) fn of_value(&self) -> String {
        match self {
            Self::Nullable { null_first: true, of } => format!("union [null,{}]", of.name()),
            Self::Nullable { null_first: false, of } => format!("union [{},null]", of.name()),
            other => other.kind(),
        }
    }
}
