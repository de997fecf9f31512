//! Reads the part of the protobuf language that the project's files use. What it does not know is
//! an error; every item needs a comment, which becomes its documentation.

use anyhow::{Context as _, Result, bail, ensure};

#[derive(Debug)]
pub(super) struct File {
    pub(super) docs: String,
    pub(super) package: String,
    pub(super) proto3: bool,
    pub(super) enums: Vec<Enum>,
    pub(super) messages: Vec<Message>,
}

#[derive(Debug)]
pub(super) struct Enum {
    pub(super) docs: String,
    pub(super) name: String,
    pub(super) values: Vec<(String, i32, String)>,
}

#[derive(Debug)]
pub(super) struct Message {
    pub(super) docs: String,
    pub(super) name: String,
    pub(super) fields: Vec<Field>,
    pub(super) oneofs: Vec<Oneof>,
}

#[derive(Debug)]
pub(super) struct Oneof {
    pub(super) docs: String,
    pub(super) name: String,
    pub(super) fields: Vec<Field>,
}

#[derive(Debug)]
pub(super) struct Field {
    pub(super) docs: String,
    pub(super) name: String,
    pub(super) number: u32,
    pub(super) label: Label,
    pub(super) ty: Type,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Label {
    /// Of proto3: its default is absence.
    Plain,
    Optional,
    Required,
    Repeated,
    /// A map with texts as keys.
    Map,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Type {
    Bytes,
    Text,
    Int32,
    Int64,
    Uint64,
    Sint64,
    Double,
    Bool,
    Enum(String),
    Message(String),
}

pub(super) fn file(text: &str) -> Result<File> {
    let mut tokens = Tokens::new(text);
    let parsed = read(&mut tokens);
    let line = tokens.line;
    parsed.map_err(|error| error.context(format!("line {line}"))).map_err(flatten)
}

/// One text with all of its causes.
fn flatten(error: anyhow::Error) -> anyhow::Error {
    anyhow::anyhow!("{error:#}")
}

fn read(tokens: &mut Tokens<'_>) -> Result<File> {
    let mut file = File {
        docs: String::new(),
        package: String::new(),
        proto3: false,
        enums: Vec::new(),
        messages: Vec::new(),
    };
    while let Some(word) = tokens.next()? {
        let docs = tokens.docs();
        match word {
            "syntax" => {
                file.docs = docs;
                tokens.expect("=")?;
                file.proto3 = match tokens.word()? {
                    "\"proto3\"" => true,
                    "\"proto2\"" => false,
                    other => bail!("unknown syntax {other}"),
                };
                tokens.expect(";")?;
            }
            "package" => {
                file.package = tokens.word()?.to_owned();
                tokens.expect(";")?;
            }
            "enum" => file.enums.push(enumeration(tokens, docs)?),
            "message" => {
                let message = message(tokens, docs, &file)?;
                file.messages.push(message);
            }
            other => bail!("`{other}` is not understood"),
        }
    }
    Ok(file)
}

fn enumeration(tokens: &mut Tokens<'_>, docs: String) -> Result<Enum> {
    let name = tokens.word()?.to_owned();
    ensure!(!docs.is_empty(), "{name} has no comment");
    tokens.expect("{")?;
    let mut values = Vec::new();
    loop {
        let value = tokens.word()?;
        if value == "}" {
            return Ok(Enum { docs, name, values });
        }
        let docs = tokens.docs();
        ensure!(!docs.is_empty(), "{value} has no comment");
        tokens.expect("=")?;
        let number = tokens.word()?.parse().context("a number")?;
        tokens.expect(";")?;
        values.push((value.to_owned(), number, docs));
    }
}

fn message(tokens: &mut Tokens<'_>, docs: String, file: &File) -> Result<Message> {
    let name = tokens.word()?.to_owned();
    ensure!(!docs.is_empty(), "{name} has no comment");
    tokens.expect("{")?;
    let (mut fields, mut oneofs) = (Vec::new(), Vec::new());
    loop {
        let word = tokens.word()?;
        if word == "}" {
            return Ok(Message { docs, name, fields, oneofs });
        }
        let docs = tokens.docs();
        ensure!(!docs.is_empty(), "`{word}` in {name} has no comment");
        if word == "oneof" {
            oneofs.push(oneof(tokens, docs, file)?);
        } else {
            fields.push(field(tokens, word, docs, file)?);
        }
    }
}

fn oneof(tokens: &mut Tokens<'_>, docs: String, file: &File) -> Result<Oneof> {
    let name = tokens.word()?.to_owned();
    tokens.expect("{")?;
    let mut fields = Vec::new();
    loop {
        let word = tokens.word()?;
        if word == "}" {
            return Ok(Oneof { docs, name, fields });
        }
        let docs = tokens.docs();
        ensure!(!docs.is_empty(), "`{word}` in {name} has no comment");
        let field = field(tokens, word, docs, file)?;
        ensure!(field.label == Label::Plain, "{} in a oneof has a label", field.name);
        fields.push(field);
    }
}

fn field(tokens: &mut Tokens<'_>, first: &str, docs: String, file: &File) -> Result<Field> {
    let (label, ty) = match first {
        "optional" => (Label::Optional, tokens.word()?),
        "required" => (Label::Required, tokens.word()?),
        "repeated" => (Label::Repeated, tokens.word()?),
        "map" => {
            for part in ["<", "string", ","] {
                tokens.expect(part)?;
            }
            let value = tokens.word()?;
            tokens.expect(">")?;
            (Label::Map, value)
        }
        other => (Label::Plain, other),
    };
    ensure!(file.proto3 || label != Label::Plain, "a field of proto2 needs a label");
    let ty = kind(ty, file)?;
    let name = tokens.word()?.to_owned();
    tokens.expect("=")?;
    let number = tokens.word()?.parse().context("a field's number")?;
    tokens.expect(";")?;
    Ok(Field { docs, name, number, label, ty })
}

fn kind(name: &str, file: &File) -> Result<Type> {
    Ok(match name {
        "bytes" => Type::Bytes,
        "string" => Type::Text,
        "int32" => Type::Int32,
        "int64" => Type::Int64,
        "uint64" => Type::Uint64,
        "sint64" => Type::Sint64,
        "double" => Type::Double,
        "bool" => Type::Bool,
        // A message first: an event type may be named like the message that carries it.
        other if file.messages.iter().any(|message| message.name == other) => {
            Type::Message(other.to_owned())
        }
        other if file.enums.iter().any(|one| one.name == other) => Type::Enum(other.to_owned()),
        other => bail!("the type {other} is not known before its use"),
    })
}

/// Words and signs; comments before one are its documentation.
struct Tokens<'a> {
    rest: &'a str,
    line: usize,
    comment: String,
}

impl<'a> Tokens<'a> {
    fn new(text: &'a str) -> Self {
        Self { rest: text, line: 1, comment: String::new() }
    }

    fn next(&mut self) -> Result<Option<&'a str>> {
        self.comment.clear();
        loop {
            let trimmed = self.rest.trim_start();
            let skipped = self.rest.len() - trimmed.len();
            self.line += self.rest[..skipped].matches('\n').count();
            self.rest = trimmed;
            let Some(comment) = trimmed.strip_prefix("//") else { break };
            let (line, rest) = comment.split_once('\n').unwrap_or((comment, ""));
            self.comment += line.trim();
            self.comment.push('\n');
            self.rest = rest;
            self.line += 1;
        }
        let Some(first) = self.rest.chars().next() else { return Ok(None) };
        let len = if "={};<>,".contains(first) {
            1
        } else {
            let end = |c: char| c.is_whitespace() || "={};<>,".contains(c);
            self.rest.find(end).unwrap_or(self.rest.len())
        };
        let (token, rest) = self.rest.split_at(len);
        self.rest = rest;
        Ok(Some(token))
    }

    fn word(&mut self) -> Result<&'a str> {
        self.next()?.context("the file ends too early")
    }

    fn expect(&mut self, sign: &str) -> Result<()> {
        let found = self.word()?;
        ensure!(found == sign, "`{sign}` expected, found `{found}`");
        Ok(())
    }

    /// The comment before the token that was read last.
    fn docs(&mut self) -> String {
        std::mem::take(&mut self.comment)
    }
}
