//! Pickles of any plain values, by way of the crate `serde-pickle`: lists, tuples, dictionaries,
//! texts, bytes, numbers, booleans and `None`. carbon's cache answers queries in such
//! (`graphite.md` 8).
//!
//! A pickle runs through this crate's own machine first, which refuses what could execute, recurse
//! or multiply, under the same [`Limits`]; only what passed is handed over. Depth, values and bytes
//! are bounded then, and with them the stack and the memory of what reads it.

use super::machine::Machine;
use super::value::Value as Part;
use super::{Limits, PickleError};
use crate::RejectReason;

pub use serde_pickle::{HashableValue, Value};

/// Why there is no value, or no pickle.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GeneralError {
    /// The pickle breaks a limit, or has an opcode that is not allowed.
    #[error(transparent)]
    Refused(#[from] PickleError),
    /// What passed is still no value: a dictionary with a list as a key, say.
    #[error("{0}")]
    Value(#[from] serde_pickle::Error),
}

impl GeneralError {
    /// Whether a stream of frames can be read on: it can, a bad pickle costs itself only.
    #[must_use]
    pub const fn can_continue(&self) -> bool {
        match self {
            Self::Refused(error) => error.can_continue(),
            Self::Value(_) => true,
        }
    }
}

/// Reads one pickle. [`Limits::max_items`] bounds the values after what is shared was multiplied,
/// [`Limits::max_expansion`] the bytes of texts, as multiples of the pickle's own.
///
/// ```
/// use graphite_proto::pickle::Limits;
/// use graphite_proto::pickle::general::{self, Value};
/// let value = general::read(b"\x80\x02}X\x01\0\0\0aK\x07s.", &Limits::default())?;
/// let Value::Dict(entries) = value else { panic!("a dictionary") };
/// assert_eq!(entries.values().next(), Some(&Value::I64(7)));
/// assert!(general::read(b"cos\nsystem\n.", &Limits::default()).is_err());
/// # Ok::<(), general::GeneralError>(())
/// ```
///
/// # Errors
/// [`GeneralError`] where the pickle is refused, or no value.
pub fn read(pickle: &[u8], limits: &Limits) -> Result<Value, GeneralError> {
    let refused = |reason| PickleError::new(reason, 0, None);
    if pickle.len() > limits.max_frame || u32::try_from(pickle.len()).is_err() {
        return Err(refused(RejectReason::FrameTooLong).into());
    }
    let mut machine = Machine::default();
    let outer = machine.run_general(pickle, limits)?;
    measure(&machine, outer, pickle.len(), limits).map_err(refused)?;
    Ok(serde_pickle::value_from_slice(pickle, serde_pickle::DeOptions::new())?)
}

/// Writes one pickle, with protocol 2.
///
/// # Errors
/// [`GeneralError::Value`] where the value has no pickle.
pub fn write(value: &Value) -> Result<Vec<u8>, GeneralError> {
    let options = serde_pickle::SerOptions::new().proto_v2();
    Ok(serde_pickle::value_to_vec(value, options)?)
}

/// Refuses what would be too much once everything shared has its own copy.
fn measure(
    machine: &Machine,
    outer: Part,
    length: usize,
    limits: &Limits,
) -> Result<(), RejectReason> {
    let bound = limits.max_expansion.saturating_mul(length);
    let (mut values, mut bytes) = (0, 0_usize);
    let mut open = vec![outer];
    while let Some(part) = open.pop() {
        values += 1;
        match part {
            Part::String { span, .. } => bytes = bytes.saturating_add(span.length as usize),
            Part::Container { index, .. } => {
                if open.len() + values + machine.containers.length(index) > limits.max_items {
                    return Err(RejectReason::PickleExpansion);
                }
                open.extend(machine.containers.values(index));
            }
            _ => {}
        }
        if values > limits.max_items || bytes > bound {
            return Err(RejectReason::PickleExpansion);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(pickle: &[u8]) -> RejectReason {
        match read(pickle, &Limits::default()) {
            Err(GeneralError::Refused(error)) => error.reason,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_query_of_the_cache_and_its_answer() {
        // {"type": "cache-query", "metric": "a.b"}, as Python 3 writes it with protocols 0, 2, 4.
        for query in [
            &b"(dp0\nVtype\np1\nVcache-query\np2\nsVmetric\np3\nVa.b\np4\ns."[..],
            b"\x80\x02}q\0(X\x04\0\0\0typeq\x01X\x0b\0\0\0cache-queryq\x02X\x06\0\0\0metricq\x03X\x03\0\0\0a.bq\x04u.",
            b"\x80\x04\x95\x29\0\0\0\0\0\0\0}\x94(\x8c\x04type\x94\x8c\x0bcache-query\x94\x8c\x06metric\x94\x8c\x03a.b\x94u.",
        ] {
            let Value::Dict(query) = read(query, &Limits::default()).unwrap() else { panic!() };
            let metric = HashableValue::String("metric".into());
            assert_eq!(query.get(&metric), Some(&Value::String("a.b".into())));
        }
        let point = Value::Tuple(vec![Value::I64(7), Value::F64(1.5)]);
        let points = Value::List(vec![point.clone(), point]);
        let answer = [(HashableValue::String("datapoints".into()), points)];
        let answer = Value::Dict(answer.into_iter().collect());
        let pickle = write(&answer).unwrap();
        assert_eq!(read(&pickle, &Limits::default()).unwrap(), answer);
    }

    #[test]
    fn what_could_run_recurse_or_multiply_is_refused() {
        assert_eq!(refusal(b"cos\nsystem\n(S'true'\ntR."), RejectReason::PickleOpcode);
        assert_eq!(refusal(&[&b"]".repeat(10_000)[..], b"."].concat()), RejectReason::PickleStack);
        let nested = [&b"]".repeat(10_000)[..], &b"a".repeat(9_999), b"."].concat();
        assert_eq!(refusal(&nested), RejectReason::PickleDepth);
        assert_eq!(refusal(b"}q\0U\x01ah\0s."), RejectReason::PickleCycle);
        let shared = [&b"]q\0U\xff"[..], &[b'x'; 255], b"q\x01", &b"h\x01".repeat(1000)];
        let text = [b"(", &shared.concat()[..], b"l."].concat();
        assert_eq!(refusal(&text), RejectReason::PickleExpansion);
        // Seven levels of fifty: as many values as no memory holds.
        let mut bomb = b"]q\0".to_vec();
        for level in 1..7_u8 {
            bomb.extend_from_slice(b"](");
            bomb.extend_from_slice(&[b'h', level - 1].repeat(50));
            bomb.extend_from_slice(&[b'e', b'q', level]);
        }
        let bomb = [b"(", &bomb[..], b"l."].concat();
        assert_eq!(refusal(&bomb), RejectReason::PickleExpansion);
        let long = vec![b'0'; (1 << 20) + 1];
        assert_eq!(refusal(&long), RejectReason::FrameTooLong);
        let unhashable = read(b"}]K\x01s.", &Limits::default());
        assert!(matches!(unhashable, Err(GeneralError::Value(_))));
    }
}
