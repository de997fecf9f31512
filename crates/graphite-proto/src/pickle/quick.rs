//! The quick way through what CPython's pickler writes for points with protocols 2 to 5: the opcodes
//! of a whole point are matched at once, where the machine goes through its stack, memo and
//! containers for each.
//!
//! What this reads, the machine reads alike; what is not of that shape, or near a limit, is left to
//! the machine.

use super::Limits;
use super::opcode as op;
use crate::metric::{MetricRef, Text};
use crate::options::Infinite;
use crate::typed::{self, Scalar};
use crate::{Event, Options, Profile, Timestamp};

/// A buffer beyond so many points is given back after a pickle.
const KEPT: usize = 4096;

/// A point as it stands in the pickle.
#[derive(Debug, Clone, Copy)]
pub(super) struct Element<'p> {
    /// Where its first opcode stands, and where its last one ends.
    pub(super) at: usize,
    pub(super) end: usize,
    pub(super) path: &'p [u8],
    pub(super) time: Scalar<'p>,
    pub(super) value: Scalar<'p>,
}

#[derive(Debug, Clone, Copy)]
enum Number {
    Int(i32),
    Float(f64),
}

impl From<Number> for Scalar<'_> {
    fn from(number: Number) -> Self {
        match number {
            Number::Int(value) => Self::Int(i64::from(value)),
            Number::Float(value) => Self::Float(value),
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct Point {
    at: u32,
    end: u32,
    path: u32,
    length: u32,
    /// The path is printable ASCII, without tags: nothing about it has to be looked at again.
    plain: bool,
    time: Number,
    value: Number,
}

/// The points of a pickle, and the memory for those of the next.
#[derive(Debug, Clone, Default)]
pub(super) struct Points {
    points: Vec<Point>,
}

/// Whether points of this shape mean the same to the profile as they do to this module.
pub(super) fn applies(options: &Options) -> bool {
    matches!(options.profile, Profile::Default | Profile::Carbon)
}

impl Points {
    /// Reads a pickle; `false` where the machine has to. Only a pickle that is good to its STOP is
    /// read.
    pub(super) fn read(&mut self, pickle: &[u8], limits: &Limits) -> bool {
        self.points.clear();
        self.points.shrink_to(KEPT);
        // A point takes 3 entries of the memo, and of the containers 7 and the run it is in.
        let items = limits.max_items.saturating_sub(16) / 8;
        let bound = limits.max_points.min(limits.max_memo / 4).min(items);
        let most = bound.min(limits.max_stack.saturating_sub(8));
        let fits = limits.max_depth >= 3 && limits.max_stack >= 8 && most >= 1;
        fits && read(pickle, most, limits.max_memo_index, &mut self.points).is_some()
    }

    /// Gives out what was read. A point that is anything but ordinary goes to `other`.
    #[inline]
    pub(super) fn each<S: FnMut(Event<'_>)>(
        &self,
        pickle: &[u8],
        options: &Options,
        sink: &mut S,
        mut other: impl FnMut(Element<'_>, &mut S),
    ) {
        for point in &self.points {
            let path = point.path as usize;
            let path = pickle.get(path..path + point.length as usize).unwrap_or_default();
            let (time, value) = (Scalar::from(point.time), Scalar::from(point.value));
            let mut digits = [0; 20];
            match ordinary(point, path, options, &mut digits) {
                Some(metric) => sink(Event::Metric(metric)),
                None => {
                    let (at, end) = (point.at as usize, point.end as usize);
                    other(Element { at, end, path, time, value }, sink);
                }
            }
        }
    }
}

/// The metric of a point that breaks no rule of any kind.
#[inline]
fn ordinary<'a>(
    point: &Point,
    path: &'a [u8],
    options: &Options,
    digits: &'a mut [u8; 20],
) -> Option<MetricRef<'a>> {
    let seconds = match point.time {
        Number::Int(seconds) => i64::from(seconds),
        // A second that is whole, and exact as a float.
        Number::Float(seconds) if (0.0..9e15).contains(&seconds) => {
            let whole = seconds as i64;
            if options.fraction && whole as f64 != seconds {
                return None;
            }
            whole
        }
        Number::Float(_) => return None,
    };
    if !point.plain || path.len() > options.max_path {
        return None;
    }
    if seconds < 0 || seconds > options.max_timestamp {
        return None;
    }
    let (value, text, form) = match point.value {
        Number::Float(value) if value.is_finite() => (value, &[][..], Text::Other),
        Number::Float(value) if value.is_infinite() && options.infinite == Infinite::Accept => {
            (value, &[][..], Text::Other)
        }
        Number::Float(_) => return None,
        Number::Int(value) => {
            (f64::from(value), typed::integer_digits(i64::from(value), digits), Text::Integer)
        }
    };
    Some(MetricRef {
        path,
        lossy: None,
        value,
        text,
        form,
        timestamp: Timestamp::from_seconds(seconds),
        verbatim: &[],
        tagged: false,
        rule: options.paths,
    })
}

/// What is left of the pickle, and where that is.
struct Cursor<'p> {
    rest: &'p [u8],
    length: usize,
    max_index: u32,
}

impl<'p> Cursor<'p> {
    #[inline]
    fn at(&self) -> usize {
        self.length - self.rest.len()
    }

    #[inline]
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }

    #[inline]
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (array, rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        Some(*array)
    }

    #[inline]
    fn take(&mut self, length: usize) -> Option<&'p [u8]> {
        let (taken, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(taken)
    }

    /// An opcode that stores into the memo, if one is next. Nothing is ever loaded here, so that
    /// what the memo holds does not matter.
    #[inline]
    fn put(&mut self) -> Option<()> {
        let (index, rest) = match self.rest {
            [op::MEMOIZE, rest @ ..] => (0, rest),
            [op::BINPUT, index, rest @ ..] => (u32::from(*index), rest),
            [op::LONG_BINPUT, a, b, c, d, rest @ ..] => {
                (u32::from_le_bytes([*a, *b, *c, *d]), rest)
            }
            rest => (0, rest),
        };
        self.rest = rest;
        (index <= self.max_index).then_some(())
    }

    #[inline]
    fn expect(&mut self, opcode: u8) -> Option<()> {
        (self.byte()? == opcode).then_some(())
    }

    #[inline]
    fn number(&mut self) -> Option<Number> {
        match self.byte()? {
            op::BININT => Some(Number::Int(i32::from_le_bytes(self.array()?))),
            op::BINFLOAT => Some(Number::Float(f64::from_be_bytes(self.array()?))),
            op::BININT1 => Some(Number::Int(i32::from(self.byte()?))),
            op::BININT2 => Some(Number::Int(i32::from(u16::from_le_bytes(self.array()?)))),
            _ => None,
        }
    }

    #[inline]
    fn point(&mut self) -> Option<Point> {
        let at = self.at() as u32;
        let length = match self.byte()? {
            op::BINUNICODE => u32::from_le_bytes(self.array()?),
            op::SHORT_BINUNICODE => u32::from(self.byte()?),
            _ => return None,
        };
        let start = self.at() as u32;
        let path = self.take(length as usize)?;
        let plain = is_plain(path);
        if !plain && str::from_utf8(path).is_err() {
            return None;
        }
        self.put()?;
        let time = self.number()?;
        let value = self.number()?;
        self.expect(op::TUPLE2)?;
        self.put()?;
        self.expect(op::TUPLE2)?;
        let end = self.at() as u32;
        self.put()?;
        Some(Point { at, end, path: start, length, plain, time, value })
    }
}

fn read(pickle: &[u8], most: usize, max_index: u32, points: &mut Vec<Point>) -> Option<()> {
    let mut cursor = Cursor { rest: pickle, length: pickle.len(), max_index };
    let [op::PROTO, 2..=5] = cursor.array()? else { return None };
    if let [op::FRAME, rest @ ..] = cursor.rest {
        cursor.rest = rest;
        // One frame to the end: what is behind STOP might be behind the frame.
        let length = u64::from_le_bytes(cursor.array()?);
        if usize::try_from(length).ok()? != cursor.rest.len() {
            return None;
        }
    }
    cursor.expect(op::EMPTY_LIST)?;
    cursor.put()?;
    loop {
        match *cursor.rest.first()? {
            op::STOP => return Some(()),
            op::MARK => {
                cursor.byte()?;
                while *cursor.rest.first()? != op::APPENDS {
                    let point = cursor.point()?;
                    push(points, point, most)?;
                }
            }
            _ => {
                let point = cursor.point()?;
                push(points, point, most)?;
                if *cursor.rest.first()? != op::APPEND {
                    return None;
                }
            }
        }
        cursor.byte()?;
    }
}

#[inline]
fn push(points: &mut Vec<Point>, point: Point, most: usize) -> Option<()> {
    if points.len() >= most {
        return None;
    }
    points.push(point);
    Some(())
}

/// Printable ASCII without `;`, not empty, and not of the form `name{…}`.
#[inline]
fn is_plain(path: &[u8]) -> bool {
    // No early end, so that the loop goes over many bytes at once.
    let odd = path
        .iter()
        .fold(false, |odd, byte| odd | (byte.wrapping_sub(0x21) > 0x5d) | (*byte == b';'));
    !odd && path.last().is_some_and(|last| *last != b'}')
}
