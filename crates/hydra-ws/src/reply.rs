//! Replies to commands (hydra.md 3.1).

use crate::json::{write_number, write_string};
use crate::options::Dialect;

/// All the forms of a message, in one line.
pub(crate) const HELP: &str = "Set metadata: -c SET name = value; list metadata: -c SET; \
     this text: -c HELP; ingest: payload, or -i id payload";
/// What the code says.
pub(crate) const RECORDED_HELP: &str = "Set metadata: --set (name)=(value)";
pub(crate) const TOO_MUCH_METADATA: &str = "BAD_REQUEST:Too much metadata.";

/// What the code of `doc` and `seed` says of a `hydra-validation` that it does not know.
pub(crate) fn unknown_validation(value: &str) -> String {
    format!("Some({value}) (of class scala.Some)")
}

/// Appends a reply.
pub(crate) fn write(dialect: Dialect, status: u16, message: &str, out: &mut Vec<u8>) {
    if dialect == Dialect::Head {
        out.extend_from_slice(b"{\"message\":");
        write_string(message, out);
        out.extend_from_slice(b",\"status\":");
        write_number(status, out);
    } else {
        out.extend_from_slice(b"{\"status\":");
        write_number(status, out);
        out.extend_from_slice(b",\"message\":");
        write_string(message, out);
    }
    out.push(b'}');
}
