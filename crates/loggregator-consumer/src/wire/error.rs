//! What can be wrong with encoded messages.

/// Why bytes are no message. The stream that they came in can go on with the next ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no protobuf message: {fault} (byte {at})")]
pub struct DecodeError {
    /// Where it was noticed, counted from the start of the message.
    pub at: usize,
    /// What is wrong.
    pub fault: Fault,
}

/// What is wrong with a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// It ends inside a field.
    #[error("cut off")]
    Truncated,
    /// A number of more than ten bytes, or more than 64 bits.
    #[error("a number that does not end")]
    Varint,
    /// A field's number that cannot be.
    #[error("field number {0}")]
    FieldNumber(u64),
    /// Wire types 6 and 7.
    #[error("wire type {0}")]
    WireType(u8),
    /// An end of a group that did not begin.
    #[error("the end of a group that did not begin")]
    GroupEnd,
    /// More groups inside each other than [`Fault::MAX_GROUPS`].
    #[error("groups inside groups")]
    TooDeep,
    /// A required field is not there.
    #[error("no {0}")]
    Missing(&'static str),
}

impl Fault {
    /// How many unknown groups may be inside each other.
    pub const MAX_GROUPS: usize = 100;
}
