//! JSON written as Avro.

use serde_json::{Map, Number, Value};

use super::fault::{AvroError, shown};
use super::shape::{Field, Record, Shape, Shapes};

/// Records in records. JSON itself is not deeper, but defaults of a schema can be.
const MAX_DEPTH: usize = 128;
/// Bytes of a record. Brokers take a million, unless they are told otherwise.
const MAX_BYTES: usize = 16 << 20;

/// Writes an object as the schema's record.
pub(super) fn write(
    shapes: &Shapes,
    object: &Map<String, Value>,
    strict: bool,
    out: &mut Vec<u8>,
) -> Result<(), AvroError> {
    Writer { shapes, strict, depth: 0, out }.record(shapes.record(0), object)
}

/// The key that a schema names.
pub(super) fn key(
    shapes: &Shapes,
    object: &Map<String, Value>,
) -> Result<Option<String>, AvroError> {
    let record = shapes.record(0);
    let mut key = String::new();
    for (at, name) in shapes.key.iter().enumerate() {
        let field = record.fields.iter().find(|field| field.name == *name);
        let field =
            field.ok_or_else(|| AvroError::Schema(format!("Field {name} is not in schema.")))?;
        if at > 0 {
            key.push('|');
        }
        let value = value_of(object, field).or(field.default.as_ref());
        key.push_str(&text_of(value.unwrap_or(&Value::Null)));
    }
    Ok((!shapes.key.is_empty()).then_some(key))
}

/// A field's value, unless it is null. A name that begins with what no name can begin with has `_`
/// there in the schema.
fn value_of<'v>(object: &'v Map<String, Value>, field: &Field) -> Option<&'v Value> {
    let found = object.get(&field.name).or_else(|| {
        let rest = field.name.strip_prefix('_')?;
        object.iter().find_map(|(name, value)| {
            let mut letters = name.chars();
            let first = letters.next()?;
            let replaced = !first.is_ascii_alphanumeric() && first != '_';
            (replaced && letters.as_str() == rest).then_some(value)
        })
    });
    found.filter(|value| !value.is_null())
}

/// A value as text: texts as they are, other things as JSON.
fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

struct Writer<'s, 'o> {
    shapes: &'s Shapes,
    strict: bool,
    depth: usize,
    out: &'o mut Vec<u8>,
}

/// Why a value was not written; what the field is, is known to who asked.
enum Unwritten {
    /// It is not of the type.
    Type,
    Fault(AvroError),
}

impl From<AvroError> for Unwritten {
    fn from(fault: AvroError) -> Self {
        Self::Fault(fault)
    }
}

impl Writer<'_, '_> {
    fn record(&mut self, record: &Record, object: &Map<String, Value>) -> Result<(), AvroError> {
        if self.strict {
            check_fields(record, object)?;
        }
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(AvroError::Deep(MAX_DEPTH));
        }
        for field in &record.fields {
            self.field(field, value_of(object, field))?;
            if self.out.len() > MAX_BYTES {
                return Err(AvroError::Large(MAX_BYTES));
            }
        }
        self.depth -= 1;
        Ok(())
    }

    fn field(&mut self, field: &Field, value: Option<&Value>) -> Result<(), AvroError> {
        let default = field.default.as_ref().filter(|value| !value.is_null());
        let (value, shape) = match (value.or(default), &field.shape) {
            (Some(value), shape) => (value, shape),
            (None, Shape::Null) => return Ok(()),
            (None, Shape::Nullable { null_first, .. }) => {
                self.long(i64::from(!*null_first));
                return Ok(());
            }
            (None, shape) => {
                let (field, kind) = (field.name.clone(), shape.kind());
                return Err(AvroError::Missing { field, kind });
            }
        };
        match self.value(shape, value, &field.name) {
            Ok(()) => Ok(()),
            Err(Unwritten::Fault(fault)) => Err(fault),
            Err(Unwritten::Type) => Err(AvroError::Type {
                value: shown(&text_of(value)),
                field: field.name.clone(),
                kind: shape.of_value(),
            }),
        }
    }

    fn value(&mut self, shape: &Shape, value: &Value, name: &str) -> Result<(), Unwritten> {
        if let Shape::Nullable { null_first, of } = shape {
            self.long(i64::from(value.is_null() != *null_first));
            return if value.is_null() { Ok(()) } else { self.value(of, value, name) };
        }
        if value.is_null() && !matches!(shape, Shape::Null) {
            let (field, schema) = (name.to_owned(), format!("\"{}\"", shape.name()));
            return Err(AvroError::Null { field, schema }.into());
        }
        match (shape, value) {
            (Shape::Null, Value::Null) => {}
            (Shape::Boolean, value) => {
                let truth = boolean(value).ok_or(Unwritten::Type)?;
                self.out.push(u8::from(truth));
            }
            (Shape::Int, value) => {
                let int = whole(value).and_then(|long| i32::try_from(long).ok());
                self.long(int.ok_or(Unwritten::Type)?.into());
            }
            (Shape::Long, value) => self.long(whole(value).ok_or(Unwritten::Type)?),
            (Shape::Float, value) => {
                // The nearest one, as everybody's conversion has it.
                #[allow(clippy::cast_possible_truncation, reason = "that is what a float holds")]
                let float = float(value).ok_or(Unwritten::Type)? as f32;
                self.out.extend_from_slice(&float.to_le_bytes());
            }
            (Shape::Double, value) => {
                let double = float(value).ok_or(Unwritten::Type)?;
                self.out.extend_from_slice(&double.to_le_bytes());
            }
            (Shape::Text, value) => self.text(&text_of(value)),
            (Shape::Enum(symbols), value) => {
                let text = text_of(value);
                let at = symbols.iter().position(|symbol| *symbol == text);
                let symbols = || symbols.join(", ");
                let fault = || AvroError::Symbol { value: shown(&text), symbols: symbols() };
                self.length(at.ok_or_else(fault)?);
            }
            (Shape::Array(of), Value::Array(items)) => {
                if !items.is_empty() {
                    self.length(items.len());
                }
                for item in items {
                    self.value(of, item, name)?;
                    self.bound()?;
                }
                self.out.push(0);
            }
            (Shape::Map(of), Value::Object(items)) => {
                if !items.is_empty() {
                    self.length(items.len());
                }
                for (key, item) in items {
                    self.text(key);
                    self.value(of, item, name)?;
                    self.bound()?;
                }
                self.out.push(0);
            }
            (Shape::Record(at), Value::Object(object)) => {
                let shapes = self.shapes;
                self.record(shapes.record(*at), object)?;
            }
            _ => return Err(Unwritten::Type),
        }
        Ok(())
    }

    fn bound(&self) -> Result<(), AvroError> {
        if self.out.len() > MAX_BYTES { Err(AvroError::Large(MAX_BYTES)) } else { Ok(()) }
    }

    /// Zigzag, seven bits a byte, the lowest first.
    fn long(&mut self, number: i64) {
        let mut left = ((number << 1) ^ (number >> 63)).cast_unsigned();
        while left >= 0x80 {
            // Seven bits of it.
            self.out.push(u8::try_from(left & 0x7f).unwrap_or_default() | 0x80);
            left >>= 7;
        }
        self.out.push(u8::try_from(left).unwrap_or_default());
    }

    fn length(&mut self, length: usize) {
        self.long(i64::try_from(length).unwrap_or(i64::MAX));
    }

    fn text(&mut self, text: &str) {
        self.length(text.len());
        self.out.extend_from_slice(text.as_bytes());
    }
}

fn check_fields(record: &Record, object: &Map<String, Value>) -> Result<(), AvroError> {
    let unknown: Vec<&str> =
        object.keys().map(String::as_str).filter(|name| !record.has(name)).collect();
    if unknown.is_empty() {
        return Ok(());
    }
    let declared: Vec<&str> = record.fields.iter().map(|field| field.name.as_str()).collect();
    Err(AvroError::Undefined { fields: shown(&unknown.join(",")), declared: declared.join(",") })
}

fn boolean(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(truth) => Some(*truth),
        Value::String(text) => Some(text.eq_ignore_ascii_case("true")),
        // Cut to a whole number, it is 0 or not.
        Value::Number(number) => Some(number.as_f64().is_some_and(|number| number.abs() >= 1.0)),
        _ => None,
    }
}

/// A whole number, or a text that is one.
fn whole(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => number.as_i64().or_else(|| whole_float(number)),
        Value::String(text) => text.parse().ok(),
        _ => None,
    }
}

/// `1e3` is a whole number too.
fn whole_float(number: &Number) -> Option<i64> {
    // Up to there every whole number is one of these.
    const MOST: f64 = 9_007_199_254_740_992.0;
    let float = number.as_f64().filter(|float| float.fract() == 0.0 && float.abs() <= MOST)?;
    #[allow(clippy::cast_possible_truncation, reason = "it is whole, and in the range")]
    let whole = float as i64;
    Some(whole)
}

fn float(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => match text.trim() {
            "NaN" => Some(f64::NAN),
            "Infinity" | "+Infinity" => Some(f64::INFINITY),
            "-Infinity" => Some(f64::NEG_INFINITY),
            text if text.bytes().any(|byte| byte.is_ascii_digit()) => text.parse().ok(),
            _ => None,
        },
        _ => None,
    }
}
