//! JSON made into Avro, checked by a reader of Avro that is not ours, and the texts for what does not
//! become any.
#![cfg(feature = "avro")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

use apache_avro::Schema;
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::types::Value as Avro;
use ingest_kafka::{AvroError, AvroSchema};
use serde_json::{Value, json};

/// What another reader makes of what was written.
fn read(schema: &str, bytes: &[u8]) -> Avro {
    assert_eq!(&bytes[..5], [0, 0, 0, 1, 2], "0, and the schema's number");
    let schema = Schema::parse_str(schema).unwrap();
    let reader = GenericDatumReader::builder(&schema).build().unwrap();
    let mut rest = &bytes[5..];
    let value = reader.read_value(&mut rest).unwrap();
    assert!(rest.is_empty(), "{rest:?}");
    value
}

fn converted(schema: &Value, object: &Value) -> Result<Avro, AvroError> {
    let text = schema.to_string();
    let parsed = AvroSchema::parse(258, &text)?;
    Ok(read(&text, &parsed.encode(object, true)?))
}

/// A record of one field of this type.
fn of(kind: Value) -> Value {
    json!({"type": "record", "name": "r", "fields": [{"name": "f", "type": kind}]})
}

fn field(kind: Value, value: Value) -> Result<Avro, String> {
    match converted(&of(kind), &json!({ "f": value })) {
        Ok(Avro::Record(mut fields)) => Ok(fields.remove(0).1),
        Ok(other) => panic!("{other:?}"),
        Err(fault) => Err(fault.to_string()),
    }
}

fn text(of: &str) -> Avro {
    Avro::String(of.to_owned())
}

#[test]
fn values_of_each_type() {
    let cases = [
        (json!("boolean"), json!(true), Avro::Boolean(true)),
        (json!("boolean"), json!("TRUE"), Avro::Boolean(true)),
        (json!("boolean"), json!("yes"), Avro::Boolean(false)),
        (json!("boolean"), json!(-2), Avro::Boolean(true)),
        (json!("boolean"), json!(0.5), Avro::Boolean(false)),
        (json!("int"), json!(i32::MIN), Avro::Int(i32::MIN)),
        (json!("int"), json!("+12"), Avro::Int(12)),
        (json!("int"), json!(1e3), Avro::Int(1000)),
        (json!("long"), json!(i64::MIN), Avro::Long(i64::MIN)),
        (json!("long"), json!(i64::MAX), Avro::Long(i64::MAX)),
        (json!("long"), json!("-7"), Avro::Long(-7)),
        (json!("float"), json!(1.5), Avro::Float(1.5)),
        (json!("float"), json!("Infinity"), Avro::Float(f32::INFINITY)),
        (json!("double"), json!(u64::MAX), Avro::Double(u64::MAX as f64)),
        (json!("double"), json!(" 2.5e3 "), Avro::Double(2500.0)),
        (json!("string"), json!("ü"), text("ü")),
        (json!("string"), json!(7), text("7")),
        (json!("string"), json!({"a": [1]}), text(r#"{"a":[1]}"#)),
        (json!("null"), json!(null), Avro::Null),
        (json!(["null", "long"]), json!(5), Avro::Union(1, Box::new(Avro::Long(5)))),
        (json!(["long", "null"]), json!(5), Avro::Union(0, Box::new(Avro::Long(5)))),
        (json!(["long", "null"]), json!(null), Avro::Union(1, Box::new(Avro::Null))),
        (
            json!({"type": "array", "items": "long"}),
            json!([1, "2"]),
            Avro::Array(vec![Avro::Long(1), Avro::Long(2)]),
        ),
        (json!({"type": "array", "items": "long"}), json!([]), Avro::Array(vec![])),
        (
            json!({"type": "map", "values": "string"}),
            json!({"k": 1}),
            Avro::Map([("k".to_owned(), text("1"))].into()),
        ),
        (
            json!({"type": "enum", "name": "e", "symbols": ["A", "B"]}),
            json!("B"),
            Avro::Enum(1, "B".to_owned()),
        ),
        (
            json!({"type": "long", "logicalType": "timestamp-millis"}),
            json!(9),
            Avro::TimestampMillis(9),
        ),
        (json!({"type": "int", "logicalType": "date"}), json!(9), Avro::Date(9)),
    ];
    for (kind, value, expected) in cases {
        let shown = format!("{kind} {value}");
        assert_eq!(field(kind, value).as_ref(), Ok(&expected), "{shown}");
    }
}

#[test]
fn what_is_of_another_type_is_told_in_hydra_s_words() {
    let cases = [
        (json!("long"), json!("test"), "Value test for element 'f' is not of type LONG."),
        (
            json!("int"),
            json!(2147483648_u64),
            "Value 2147483648 for element 'f' is not of type INT.",
        ),
        (
            json!("long"),
            json!(u64::MAX),
            "Value 18446744073709551615 for element 'f' is not of type LONG.",
        ),
        (json!("long"), json!(1.5), "Value 1.5 for element 'f' is not of type LONG."),
        (json!("double"), json!("inf"), "Value inf for element 'f' is not of type DOUBLE."),
        (json!("null"), json!("123"), "Value 123 for element 'f' is not of type NULL."),
        (
            json!(["null", "double"]),
            json!("x"),
            "Value x for element 'f' is not of type union [null,double].",
        ),
        (
            json!({"type": "array", "items": "long"}),
            json!(1),
            "Value 1 for element 'f' is not of type ARRAY.",
        ),
        (
            json!({"type": "array", "items": "long"}),
            json!([null]),
            "Avro conversion error for field f, null for \"long\"",
        ),
        (json!("long"), json!(null), "Field f (Type LONG) is required, but it was not provided."),
        (
            json!({"type": "enum", "name": "e", "symbols": ["A", "B"]}),
            json!("C"),
            "C is not a valid symbol. Possible values are: [A, B].",
        ),
        (json!("bytes"), json!("x"), "Unsupported type 'BYTES' for field 'f'"),
        (json!(["long", "string"]), json!("x"), "Unsupported type 'UNION' for field 'f'"),
        (
            json!({"type": "fixed", "name": "x", "size": 2}),
            json!("x"),
            "Unsupported type 'FIXED' for field 'f'",
        ),
        (json!({"type": "array", "items": "bytes"}), json!([]), "Unsupported type: BYTES"),
    ];
    for (kind, value, expected) in cases {
        assert_eq!(field(kind, value).unwrap_err(), expected);
    }
    let plain = converted(&json!("long"), &json!({})).unwrap_err();
    assert_eq!(plain.to_string(), "Not a record: \"long\"");
}

#[test]
fn strict_and_relaxed() {
    let inner = json!({"type": "record", "name": "i", "fields": [{"name": "x", "type": "long"}]});
    let schema = json!({"type": "record", "name": "r", "fields": [
        {"name": "a", "type": "long"}, {"name": "i", "type": inner}, {"name": "_b", "type": ["null", "long"]}
    ]});
    let parsed = AvroSchema::parse(258, &schema.to_string()).unwrap();
    let more = json!({"a": 1, "more": 2, "i": {"x": 3}, "other": 4});
    let fault = parsed.encode(&more, true).unwrap_err();
    assert_eq!(
        fault.to_string(),
        "Field(s) 'more,other' are not defined in the schema and validation is set to strict. \
         Declared fields are: a,i,_b."
    );
    assert!(fault.is_about_schema());
    let deep = json!({"a": 1, "i": {"x": 3, "y": 4}});
    let fault = parsed.encode(&deep, true).unwrap_err();
    assert!(fault.to_string().starts_with("Field(s) 'y' are not defined"), "{fault}");
    for loose in [&more, &deep] {
        let bytes = parsed.encode(loose, false).unwrap();
        let Avro::Record(fields) = read(&schema.to_string(), &bytes) else { panic!("a record") };
        assert_eq!(fields[0].1, Avro::Long(1));
        assert_eq!(fields[1].1, Avro::Record(vec![("x".to_owned(), Avro::Long(3))]));
    }
    // A name that Avro cannot have is found under the one that it can.
    let odd = parsed.encode(&json!({"a": 1, "i": {"x": 3}, "$b": 5}), false).unwrap();
    let Avro::Record(fields) = read(&schema.to_string(), &odd) else { panic!("a record") };
    assert_eq!(fields[2].1, Avro::Union(1, Box::new(Avro::Long(5))));
}

#[test]
fn defaults_and_keys() {
    let schema = json!({"type": "record", "name": "r", "hydra.key": "b,a", "fields": [
        {"name": "a", "type": "long", "default": 7},
        {"name": "b", "type": "string", "default": "x"},
        {"name": "c", "type": ["null", "long"], "default": null},
        {"name": "d", "type": {"type": "array", "items": "long"}, "default": [1]},
        {"name": "e", "type": {"type": "enum", "name": "e", "symbols": ["A", "B"]}, "default": "B"},
    ]});
    let Avro::Record(fields) = converted(&schema, &json!({"a": null})).unwrap() else {
        panic!("a record")
    };
    let values: Vec<Avro> = fields.into_iter().map(|(_, value)| value).collect();
    let expected = [
        Avro::Long(7),
        text("x"),
        Avro::Union(0, Box::new(Avro::Null)),
        Avro::Array(vec![Avro::Long(1)]),
        Avro::Enum(1, "B".to_owned()),
    ];
    assert_eq!(values, expected);
    let parsed = AvroSchema::parse(1, &schema.to_string()).unwrap();
    let key = |object: Value| parsed.key(object.as_object().unwrap()).unwrap();
    assert_eq!(key(json!({"b": "k", "a": 3})).as_deref(), Some("k|3"));
    assert_eq!(key(json!({})).as_deref(), Some("x|7"));
    let bad = json!({"type": "record", "name": "r", "hydra.key": "z", "fields": []});
    let bad = AvroSchema::parse(1, &bad.to_string()).unwrap();
    let fault = bad.key(json!({}).as_object().unwrap()).unwrap_err();
    assert_eq!(fault.to_string(), "Field z is not in schema.");
    let none = AvroSchema::parse(1, &of(json!("long")).to_string()).unwrap();
    assert_eq!(none.key(json!({}).as_object().unwrap()), Ok(None));
}

#[test]
fn records_may_name_themselves_and_no_schema_makes_us_write_without_end() {
    let list = json!({"type": "record", "name": "list", "namespace": "a.b", "fields": [
        {"name": "v", "type": "long"}, {"name": "next", "type": ["null", "list"], "default": null}
    ]});
    let value = converted(&list, &json!({"v": 1, "next": {"v": 2}})).unwrap();
    assert!(format!("{value:?}").contains("Long(2)"), "{value:?}");
    // One whose default has itself in it, and one whose default is long, many times over.
    let endless = json!({"type": "record", "name": "e", "fields": [
        {"name": "next", "type": "e", "default": {}}
    ]});
    if let Ok(parsed) = AvroSchema::parse(1, &endless.to_string()) {
        assert!(matches!(parsed.encode(&json!({}), false), Err(AvroError::Deep(_))));
    }
    let item = json!({"type": "record", "name": "i", "fields": [
        {"name": "s", "type": "string", "default": "x".repeat(1 << 16)}
    ]});
    let large = of(json!({"type": "array", "items": item}));
    let parsed = AvroSchema::parse(1, &large.to_string()).unwrap();
    let many = json!({ "f": vec![json!({}); 1 << 12] });
    assert!(matches!(parsed.encode(&many, true), Err(AvroError::Large(_))));
}
