//! Rust for the JSON form: writing for every message, reading where it is asked for.

use std::fmt::Write as _;

use anyhow::Result;

use super::emit::{Scope, pascal, snake};
use super::parse::{Label, Type};

pub(super) fn writer(scope: &Scope<'_>, out: &mut String) -> Result<()> {
    let mut code = String::new();
    for field in &scope.message.fields {
        let (rust, name) = (snake(&field.name), &field.name);
        let value = value(&field.ty);
        match field.label {
            Label::Map => writeln!(
                code,
                "if writer.wants(self.{rust}.is_empty()) {{ writer.key(\"{name}\"); writer.map(&self.{rust}, |writer, value| {value}); }}"
            )?,
            Label::Repeated => writeln!(
                code,
                "if writer.wants(self.{rust}.is_empty()) {{ writer.key(\"{name}\"); writer.list(&self.{rust}, |writer, value| {value}); }}"
            )?,
            Label::Plain if !matches!(field.ty, Type::Message(_)) => {
                let absent = match &field.ty {
                    Type::Bytes => format!("self.{rust}.as_ref().is_empty()"),
                    Type::Text => format!("self.{rust}.is_empty()"),
                    Type::Double => format!("self.{rust}.to_bits() == 0"),
                    Type::Bool => format!("!self.{rust}"),
                    Type::Enum(_) => format!("self.{rust}.0 == 0"),
                    _ => format!("self.{rust} == 0"),
                };
                writeln!(
                    code,
                    "if writer.wants({absent}) {{ let value = &self.{rust}; writer.key(\"{name}\"); {value}; }}"
                )?;
            }
            _ => {
                let value = if scope.boxed(field) { "writer.message(&**value)" } else { value };
                writeln!(
                    code,
                    "if let Some(value) = &self.{rust} {{ writer.key(\"{name}\"); {value}; }}"
                )?;
            }
        }
    }
    for oneof in &scope.message.oneofs {
        writeln!(code, "match &self.{} {{ None => {{}}", snake(&oneof.name))?;
        for field in &oneof.fields {
            let variant = format!("{}::{}", scope.oneof_name(oneof), pascal(&field.name));
            writeln!(
                code,
                "Some({variant}(value)) => {{ writer.key(\"{}\"); {}; }}",
                field.name,
                value(&field.ty)
            )?;
        }
        code.push_str("}\n");
    }
    let (bounds, name) = scope.header("Slice");
    writeln!(
        out,
        "impl{bounds} ToJson for {name} {{\nfn members(&self, writer: &mut JsonWriter<'_>) {{ {code} }}\n}}\n"
    )?;
    Ok(())
}

fn value(ty: &Type) -> &'static str {
    match ty {
        Type::Bytes => "writer.bytes(value.as_ref())",
        Type::Text => "writer.text(value.as_bytes())",
        Type::Int32 => "writer.small(*value)",
        Type::Int64 | Type::Sint64 => "writer.signed(*value)",
        Type::Uint64 => "writer.unsigned(*value)",
        Type::Double => "writer.double(*value)",
        Type::Bool => "writer.boolean(*value)",
        Type::Enum(_) => "writer.enumeration(*value)",
        Type::Message(_) => "writer.message(value)",
    }
}

pub(super) fn reader(scope: &Scope<'_>, out: &mut String) -> Result<()> {
    let mut arms = String::new();
    let mut bit = 0_u32;
    for field in &scope.message.fields {
        let rust = snake(&field.name);
        let read = match (&field.ty, field.label) {
            (Type::Message(_), Label::Map) => {
                format!(
                    "reader.map(&mut self.{rust}, |reader, value| {{ *value = reader.message()?; Ok(()) }})?"
                )
            }
            (_, Label::Map) => format!("reader.map(&mut self.{rust}, JsonReader::text)?"),
            (ty, Label::Repeated) => {
                format!("reader.list(&mut self.{rust}, |reader| {})?", parse(ty))
            }
            (Type::Text, Label::Plain) => format!("reader.text(&mut self.{rust})?"),
            (ty, Label::Plain) if !matches!(ty, Type::Message(_)) => {
                format!("self.{rust} = {}?", parse(ty))
            }
            (ty, _) => format!("self.{rust} = Some({}?)", parse(ty)),
        };
        writeln!(
            arms,
            "{} => {{ reader.once(seen, {bit}); if !reader.null()? {{ {read}; }} }}",
            names(&field.name)
        )?;
        bit += 1;
    }
    for oneof in &scope.message.oneofs {
        let rust = snake(&oneof.name);
        for field in &oneof.fields {
            let variant = format!("{}::{}", scope.oneof_name(oneof), pascal(&field.name));
            writeln!(
                arms,
                "{} => {{ reader.once(seen, {bit}); if !reader.null()? {{\n\
                 if !matches!(self.{rust}, None | Some({variant}(_))) {{ return Err(reader.two_of(\"{rust}\")); }}\n\
                 self.{rust} = Some({variant}({}?)); }} }}",
                names(&field.name),
                parse(&field.ty)
            )?;
            bit += 1;
        }
    }
    let name = scope.type_name(&scope.message.name);
    writeln!(
        out,
        "impl<B: Parsed> FromJson<B> for {name} {{\n\
         fn member(&mut self, key: &[u8], seen: &mut u32, reader: &mut JsonReader<'_, B>) -> Result<bool, JsonError> {{\n\
         match key {{ {arms} _ => return Ok(false) }}\n#[allow(unreachable_code)]\nOk(true)\n}}\n}}\n"
    )?;
    Ok(())
}

fn parse(ty: &Type) -> &'static str {
    match ty {
        Type::Bytes => "reader.base64()",
        Type::Text => "{ let mut text = Text::default(); reader.text(&mut text).map(|()| text) }",
        Type::Int32 => "reader.small()",
        Type::Int64 | Type::Sint64 => "reader.signed()",
        Type::Uint64 => "reader.unsigned()",
        Type::Double => "reader.double()",
        Type::Bool => "reader.boolean()",
        Type::Enum(_) => "reader.enumeration()",
        Type::Message(_) => "reader.message()",
    }
}

/// Both spellings of a name.
fn names(name: &str) -> String {
    let mut camel = String::new();
    let mut up = false;
    for c in name.chars() {
        match c {
            '_' => up = true,
            c if up => {
                camel.extend(c.to_uppercase());
                up = false;
            }
            c => camel.push(c),
        }
    }
    if camel == name { format!("b\"{name}\"") } else { format!("b\"{name}\" | b\"{camel}\"") }
}
