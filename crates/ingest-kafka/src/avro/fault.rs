//! Why JSON does not become Avro, in Hydra's words.

/// Characters of a payload that an error repeats.
const SHOWN: usize = 1024;

/// Why JSON does not become Avro. The texts are Hydra's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AvroError {
    /// The payload is no JSON, or no object of it.
    #[error("Failed to parse as Json: {payload}\n\n{why}")]
    Json {
        /// The payload, or its beginning.
        payload: String,
        /// What is wrong with it.
        why: String,
    },
    /// Strictly taken, it has more than the schema knows.
    #[error(
        "Field(s) '{fields}' are not defined in the schema and validation is set to strict. Declared \
         fields are: {declared}."
    )]
    Undefined {
        /// What it has, with commas between.
        fields: String,
        /// What the schema knows, with commas between.
        declared: String,
    },
    /// It lacks something that has no default.
    #[error("Field {field} (Type {kind}) is required, but it was not provided.")]
    Missing {
        /// The field.
        field: String,
        /// Its type.
        kind: String,
    },
    /// A value of another type, or one that the type does not hold.
    #[error("Value {value} for element '{field}' is not of type {kind}.")]
    Type {
        /// The value.
        value: String,
        /// The field.
        field: String,
        /// The field's type.
        kind: String,
    },
    /// Null where there has to be something.
    #[error("Avro conversion error for field {field}, null for {schema}")]
    Null {
        /// The field.
        field: String,
        /// Its type, as in a schema.
        schema: String,
    },
    /// A symbol that the enumeration does not have.
    #[error("{value} is not a valid symbol. Possible values are: [{symbols}].")]
    Symbol {
        /// What is there instead.
        value: String,
        /// Those that it has.
        symbols: String,
    },
    /// More records in records than anybody means.
    #[error("It is nested deeper than {0} levels.")]
    Deep(usize),
    /// As Avro it would be larger than anything that a broker takes.
    #[error("As Avro it would have more than {0} bytes.")]
    Large(usize),
    /// The schema itself cannot be used.
    #[error("{0}")]
    Schema(String),
}

impl AvroError {
    pub(crate) fn json(payload: &str, why: impl Into<String>) -> Self {
        Self::Json { payload: shown(payload), why: why.into() }
    }

    /// Whether Hydra's last version adds where the schema is to be found.
    #[must_use]
    pub const fn is_about_schema(&self) -> bool {
        matches!(
            self,
            Self::Undefined { .. } | Self::Missing { .. } | Self::Type { .. } | Self::Null { .. }
        )
    }
}

/// The beginning of a text.
pub(super) fn shown(text: &str) -> String {
    text.chars().take(SHOWN).collect()
}
