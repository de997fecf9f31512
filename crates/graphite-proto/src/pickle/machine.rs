//! The pickle machine: all protocols, for what points are made of, and nothing that could run code,
//! recurse or blow up (`graphite.md` 4.3, 4.5).

use super::containers::Containers;
use super::memo::Memo;
use super::opcode as op;
use super::reader::Reader;
use super::text::{self, Integer};
use super::value::{Kind, Origin, Span, Value};
use super::{Limits, PickleError};
use crate::RejectReason;

/// Buffers beyond so many entries are given back after a pickle.
const KEPT: usize = 4096;

/// The machine's memory, used again for each pickle.
#[derive(Debug, Clone, Default)]
pub(super) struct Machine {
    stack: Vec<Value>,
    marks: Vec<Mark>,
    memo: Memo,
    pub(super) containers: Containers,
    /// Strings whose escapes were undone, and digits.
    pub(super) text: Vec<u8>,
    /// A value was met twice, so that the points may be more than the pickle's length bounds.
    pub(super) shared: bool,
}

#[derive(Debug, Clone, Copy)]
struct Mark {
    /// How many values stood below.
    below: u32,
    at: u32,
}

impl Machine {
    /// Forgets the last pickle, and gives memory back beyond what a usual one needs.
    pub(super) fn clear(&mut self) {
        self.stack.clear();
        self.stack.shrink_to(KEPT);
        self.marks.clear();
        self.marks.shrink_to(KEPT);
        self.memo.clear(KEPT);
        self.containers.clear(KEPT);
        self.text.clear();
        self.text.shrink_to(KEPT * 16);
        self.shared = false;
    }

    /// Runs a pickle to its STOP, and gives what it makes. What follows STOP is nobody's.
    /// `strict_text` has each `str` of Python 2 be UTF-8, used or not, as carbon's unpickler does.
    pub(super) fn run(
        &mut self,
        pickle: &[u8],
        limits: &Limits,
        strict_text: bool,
    ) -> Result<Value, PickleError> {
        self.run_kind(pickle, limits, strict_text, false)
    }

    /// As [`run`](Self::run), for pickles in which dictionaries are allowed too. They become
    /// containers of their keys and values.
    #[cfg(feature = "serde-pickle")]
    pub(super) fn run_general(
        &mut self,
        pickle: &[u8],
        limits: &Limits,
    ) -> Result<Value, PickleError> {
        self.run_kind(pickle, limits, true, true)
    }

    fn run_kind(
        &mut self,
        pickle: &[u8],
        limits: &Limits,
        strict_text: bool,
        dictionaries: bool,
    ) -> Result<Value, PickleError> {
        self.clear();
        let mut reader = Reader::new(pickle);
        let mut run = Run { machine: self, limits, strict_text, dictionaries, started: false };
        loop {
            let at = reader.at();
            let failed = |reason, opcode| PickleError::new(reason, at, opcode);
            let opcode = reader.opcode().map_err(|reason| failed(reason, None))?;
            if opcode == op::STOP {
                let stop = reader.check_framing().and_then(|()| run.stop());
                return stop.map_err(|reason| failed(reason, Some(opcode)));
            }
            run.step(opcode, at as u32, &mut reader)
                .and_then(|()| reader.check_framing())
                .map_err(|reason| failed(reason, Some(opcode)))?;
        }
    }
}

struct Run<'m> {
    machine: &'m mut Machine,
    limits: &'m Limits,
    strict_text: bool,
    dictionaries: bool,
    started: bool,
}

type Step<T = ()> = Result<T, RejectReason>;

impl Run<'_> {
    #[inline]
    fn step(&mut self, opcode: u8, at: u32, reader: &mut Reader<'_>) -> Step {
        let first = !std::mem::replace(&mut self.started, true);
        match opcode {
            op::MARK => self.mark(at),
            op::BINUNICODE => {
                let length = u64::from(u32::from_le_bytes(reader.array()?));
                self.unicode(at, length, reader)
            }
            op::SHORT_BINUNICODE => {
                let [length] = reader.array()?;
                self.unicode(at, u64::from(length), reader)
            }
            op::BINUNICODE8 => {
                let length = u64::from_le_bytes(reader.array()?);
                self.unicode(at, length, reader)
            }
            op::BININT => {
                let value = i64::from(i32::from_le_bytes(reader.array()?));
                self.push(Value::Int { at, value })
            }
            op::BININT1 => {
                let [value] = reader.array()?;
                self.push(Value::Int { at, value: i64::from(value) })
            }
            op::BININT2 => {
                let value = i64::from(u16::from_le_bytes(reader.array()?));
                self.push(Value::Int { at, value })
            }
            op::BINFLOAT => {
                let value = f64::from_be_bytes(reader.array()?);
                self.push(Value::Float { at, value })
            }
            op::TUPLE2 => self.tuple(2, reader),
            op::BINPUT => {
                let [index] = reader.array()?;
                self.put(u32::from(index))
            }
            op::LONG_BINPUT => {
                let index = u32::from_le_bytes(reader.array()?);
                self.put(index)
            }
            op::MEMOIZE => {
                let value = self.top()?;
                self.machine.memo.memoize(value, self.limits)
            }
            op::TUPLE => self.container_from_mark(false, reader),
            op::LIST => self.container_from_mark(true, reader),
            op::APPEND => self.append(reader),
            op::APPENDS => self.appends(reader),
            op::EMPTY_LIST => self.container(&[], true, at, reader),
            op::BINGET => {
                let [index] = reader.array()?;
                self.load(at, u32::from(index))
            }
            op::LONG_BINGET => {
                let index = u32::from_le_bytes(reader.array()?);
                self.load(at, index)
            }
            op::PROTO => {
                let [version] = reader.array()?;
                if first && version <= 5 { Ok(()) } else { Err(RejectReason::PickleProtocol) }
            }
            op::FRAME => reader.frame(),
            _ => self.rare(opcode, at, reader),
        }
    }

    /// Opcodes that senders of today do not write, or not often.
    #[inline(never)]
    fn rare(&mut self, opcode: u8, at: u32, reader: &mut Reader<'_>) -> Step {
        match opcode {
            op::NONE => self.push(Value::None { at }),
            op::NEWTRUE => self.push(Value::Bool { at, value: true }),
            op::NEWFALSE => self.push(Value::Bool { at, value: false }),
            op::EMPTY_TUPLE => self.container(&[], false, at, reader),
            op::TUPLE1 => self.tuple(1, reader),
            op::TUPLE3 => self.tuple(3, reader),
            op::LONG1 => {
                let [length] = reader.array()?;
                let (bytes, _) = reader.take(u64::from(length))?;
                self.integer(at, text::two_complement(bytes)?)
            }
            op::LONG4 => {
                let length = i32::from_le_bytes(reader.array()?);
                let length = u64::try_from(length).map_err(|_| RejectReason::PickleNumber)?;
                let (bytes, _) = reader.take(length)?;
                self.integer(at, text::two_complement(bytes)?)
            }
            op::INT => match reader.line()?.0 {
                b"00" => self.push(Value::Bool { at, value: false }),
                b"01" => self.push(Value::Bool { at, value: true }),
                line => self.integer(at, text::integer(line, self.limits.max_digits)?),
            },
            op::LONG => {
                let (line, _) = reader.line()?;
                self.integer(at, text::long(line, self.limits.max_digits)?)
            }
            op::FLOAT => {
                let value = text::float(reader.line()?.0)?;
                self.push(Value::Float { at, value })
            }
            op::STRING => {
                let (line, _) = reader.line()?;
                let quoted = text::unquoted(line)?;
                let undo = |out: &mut Vec<u8>| text::unescape(quoted, out);
                self.own_string(at, Kind::Str, undo)
            }
            op::UNICODE => {
                let (line, _) = reader.line()?;
                self.own_string(at, Kind::Unicode, |out| text::raw_unicode(line, out))
            }
            op::BINSTRING => {
                let length = i32::from_le_bytes(reader.array()?);
                let length = u64::try_from(length).map_err(|_| RejectReason::PickleTruncated)?;
                self.bytes(at, Kind::Str, length, reader)
            }
            op::SHORT_BINSTRING => {
                let [length] = reader.array()?;
                self.bytes(at, Kind::Str, u64::from(length), reader)
            }
            op::BINBYTES => {
                let length = u32::from_le_bytes(reader.array()?);
                self.bytes(at, Kind::Bytes, u64::from(length), reader)
            }
            op::SHORT_BINBYTES => {
                let [length] = reader.array()?;
                self.bytes(at, Kind::Bytes, u64::from(length), reader)
            }
            op::BINBYTES8 => {
                let length = u64::from_le_bytes(reader.array()?);
                self.bytes(at, Kind::Bytes, length, reader)
            }
            op::PUT => {
                let index = text::index(reader.line()?.0)?;
                self.put(index)
            }
            op::GET => {
                let index = text::index(reader.line()?.0)?;
                self.load(at, index)
            }
            op::POP => self.pop_any(),
            op::POP_MARK => {
                let mark = self.machine.marks.pop().ok_or(RejectReason::PickleStack)?;
                self.machine.stack.truncate(mark.below as usize);
                Ok(())
            }
            op::DUP => {
                let value = self.top()?;
                self.again(at, value)
            }
            op::EMPTY_DICT if self.dictionaries => self.container(&[], true, at, reader),
            op::DICT if self.dictionaries => self.container_from_mark(true, reader),
            op::SETITEMS if self.dictionaries => self.appends(reader),
            op::SETITEM if self.dictionaries => {
                let value = self.top()?;
                self.machine.stack.pop();
                self.append(reader)?;
                self.push(value)?;
                self.append(reader)
            }
            _ => Err(RejectReason::PickleOpcode),
        }
    }

    #[inline]
    fn push(&mut self, value: Value) -> Step {
        if self.machine.stack.len() >= self.limits.max_stack {
            return Err(RejectReason::PickleSize);
        }
        self.machine.stack.push(value);
        Ok(())
    }

    fn mark(&mut self, at: u32) -> Step {
        if self.machine.marks.len() >= self.limits.max_stack {
            return Err(RejectReason::PickleSize);
        }
        self.machine.marks.push(Mark { below: self.machine.stack.len() as u32, at });
        Ok(())
    }

    /// How many values stand below the topmost mark: those are not to be touched.
    #[inline]
    fn floor(&self) -> usize {
        self.machine.marks.last().map_or(0, |mark| mark.below as usize)
    }

    #[inline]
    fn top(&self) -> Step<Value> {
        match self.machine.stack.last() {
            Some(value) if self.machine.stack.len() > self.floor() => Ok(*value),
            _ => Err(RejectReason::PickleStack),
        }
    }

    fn put(&mut self, index: u32) -> Step {
        let value = self.top()?;
        self.machine.memo.put(index, value, self.limits)
    }

    fn load(&mut self, at: u32, index: u32) -> Step {
        let value = self.machine.memo.get(index).ok_or(RejectReason::PickleMemo)?;
        self.again(at, value)
    }

    /// A value that the pickle has already.
    fn again(&mut self, at: u32, value: Value) -> Step {
        self.machine.shared = true;
        self.machine.containers.freeze(value);
        self.push(value.moved(at))
    }

    /// POP takes the topmost value or, where there is none, the topmost mark.
    fn pop_any(&mut self) -> Step {
        if self.top().is_ok() {
            self.machine.stack.pop();
            return Ok(());
        }
        self.machine.marks.pop().map(|_| ()).ok_or(RejectReason::PickleStack)
    }

    #[inline]
    fn unicode(&mut self, at: u32, length: u64, reader: &mut Reader<'_>) -> Step {
        let (bytes, span) = reader.take(length)?;
        if str::from_utf8(bytes).is_err() {
            return Err(RejectReason::NotUtf8);
        }
        self.push(Value::String { at, kind: Kind::Unicode, origin: Origin::Frame, span })
    }

    fn bytes(&mut self, at: u32, kind: Kind, length: u64, reader: &mut Reader<'_>) -> Step {
        let (bytes, span) = reader.take(length)?;
        if kind == Kind::Str && self.strict_text && str::from_utf8(bytes).is_err() {
            return Err(RejectReason::NotUtf8);
        }
        self.push(Value::String { at, kind, origin: Origin::Frame, span })
    }

    fn own_string(
        &mut self,
        at: u32,
        kind: Kind,
        write: impl FnOnce(&mut Vec<u8>) -> Step,
    ) -> Step {
        let start = self.machine.text.len();
        write(&mut self.machine.text)?;
        let bytes = self.machine.text.get(start..).unwrap_or_default();
        if kind == Kind::Str && self.strict_text && str::from_utf8(bytes).is_err() {
            return Err(RejectReason::NotUtf8);
        }
        let span = Span { start: start as u32, length: bytes.len() as u32 };
        self.push(Value::String { at, kind, origin: Origin::Own, span })
    }

    fn integer(&mut self, at: u32, integer: Integer) -> Step {
        match integer {
            Integer::Small(value) => self.push(Value::Int { at, value }),
            Integer::Large(digits) => self.own_string(at, Kind::Digits, |out| {
                out.extend_from_slice(digits.as_bytes());
                Ok(())
            }),
        }
    }

    fn container(&mut self, values: &[Value], is_list: bool, at: u32, r: &Reader<'_>) -> Step {
        let index = self.machine.containers.make(values, is_list, r.at(), self.limits)?;
        self.push(Value::Container { at, index })
    }

    #[inline]
    fn tuple(&mut self, length: usize, reader: &Reader<'_>) -> Step {
        let Machine { stack, containers, marks, .. } = &mut *self.machine;
        let floor = marks.last().map_or(0, |mark| mark.below as usize);
        let start = stack.len().checked_sub(length).filter(|start| *start >= floor);
        let start = start.ok_or(RejectReason::PickleStack)?;
        let values = stack.get(start..).unwrap_or_default();
        let at = values.first().map_or(0, |value| value.at());
        let index = containers.make(values, false, reader.at(), self.limits)?;
        stack.truncate(start);
        stack.push(Value::Container { at, index });
        Ok(())
    }

    fn container_from_mark(&mut self, is_list: bool, reader: &Reader<'_>) -> Step {
        let Machine { stack, containers, marks, .. } = &mut *self.machine;
        let mark = marks.pop().ok_or(RejectReason::PickleStack)?;
        let values = stack.get(mark.below as usize..).ok_or(RejectReason::PickleStack)?;
        let index = containers.make(values, is_list, reader.at(), self.limits)?;
        stack.truncate(mark.below as usize);
        self.push(Value::Container { at: mark.at, index })
    }

    fn append(&mut self, reader: &Reader<'_>) -> Step {
        let value = self.top()?;
        self.machine.stack.pop();
        let Value::Container { index, .. } = self.top()? else {
            return Err(RejectReason::PickleStack);
        };
        self.machine.containers.append(index, &[value], reader.at(), self.limits)
    }

    fn appends(&mut self, reader: &Reader<'_>) -> Step {
        let mark = self.machine.marks.pop().ok_or(RejectReason::PickleStack)?;
        let floor = self.floor();
        let Machine { stack, containers, .. } = &mut *self.machine;
        let below = mark.below as usize;
        let values = stack.get(below..).ok_or(RejectReason::PickleStack)?;
        let list = below.checked_sub(1).filter(|place| *place >= floor);
        match list.and_then(|place| stack.get(place)) {
            Some(Value::Container { index, .. }) => {
                containers.append(*index, values, reader.at(), self.limits)?;
            }
            _ => return Err(RejectReason::PickleStack),
        }
        stack.truncate(below);
        Ok(())
    }

    fn stop(&self) -> Step<Value> {
        match self.machine.stack.as_slice() {
            [value] if self.machine.marks.is_empty() => Ok(*value),
            _ => Err(RejectReason::PickleStack),
        }
    }
}
