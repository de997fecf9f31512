//! The points of a pickle.

use super::machine::Machine;
use super::value::{Kind, Origin, Value};
use super::{Limits, PickleError, quick};
use crate::typed::{self, Path, Scalar, Scratch};
use crate::{Event, MetricRef, Options, Profile, RejectReason, Rejected, Timestamp};

/// Reads pickles one by one, without lengths before them.
///
/// What it allocates is kept for the next pickle, up to some 300 KiB.
#[derive(Debug, Clone)]
pub struct PickleReader {
    options: Options,
    limits: Limits,
    quick: quick::Points,
    machine: Machine,
    scratch: Scratch,
}

impl PickleReader {
    /// A reader with these rules and limits. [`Limits::max_frame`] is not looked at here.
    #[must_use]
    pub fn new(options: Options, limits: Limits) -> Self {
        Self {
            options,
            limits,
            quick: quick::Points::default(),
            machine: Machine::default(),
            scratch: Scratch::default(),
        }
    }

    /// The options it was made with.
    #[must_use]
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// Reads a pickle and gives out its points. `now` is what a timestamp of −1 stands for.
    ///
    /// A bad point is an [`Event::Rejected`]. Its offset counts from the start of the pickle.
    ///
    /// # Errors
    /// [`PickleError`] where the whole pickle is refused. Then nothing was given out.
    pub fn read(
        &mut self,
        pickle: &[u8],
        now: Timestamp,
        sink: &mut impl FnMut(Event<'_>),
    ) -> Result<(), PickleError> {
        self.read_at(pickle, 0, now, sink)
    }

    /// As [`read`](Self::read), for a pickle that starts at this offset of a stream.
    pub(super) fn read_at(
        &mut self,
        pickle: &[u8],
        offset: u64,
        now: Timestamp,
        sink: &mut impl FnMut(Event<'_>),
    ) -> Result<(), PickleError> {
        if u32::try_from(pickle.len()).is_err() {
            return Err(PickleError::new(RejectReason::PickleSize, 0, None));
        }
        let Self { options, limits, quick, scratch, .. } = self;
        if quick::applies(options) && quick.read(pickle, limits) {
            quick.each(pickle, options, sink, |element, sink| {
                let quick::Element { at, end, path, time, value } = element;
                let accept = |metric: MetricRef<'_>| sink(Event::Metric(metric));
                let path = Path::Text(path);
                let read = typed::point(path, time, value, options, now, scratch, accept);
                if let Err(reason) = read {
                    let bytes = pickle.get(at..end).unwrap_or_default();
                    let offset = offset.wrapping_add(at as u64);
                    sink(Event::Rejected(Rejected::new(reason, bytes, offset)));
                }
            });
            return Ok(());
        }
        self.read_generally(pickle, offset, now, sink)
    }

    /// As above, with the machine.
    fn read_generally(
        &mut self,
        pickle: &[u8],
        offset: u64,
        now: Timestamp,
        sink: &mut impl FnMut(Event<'_>),
    ) -> Result<(), PickleError> {
        let Self { options, limits, machine, scratch, .. } = self;
        let strict_text = matches!(options.profile, Profile::Carbon);
        let outer = machine.run(pickle, limits, strict_text)?;
        let mut points = Points { pickle, offset, options, limits, now, machine, scratch };
        points.check(outer).map_err(|reason| PickleError::new(reason, pickle.len(), None))?;
        points.give(outer, sink);
        Ok(())
    }
}

/// What a machine left of a pickle, as points.
struct Points<'a> {
    pickle: &'a [u8],
    offset: u64,
    options: &'a Options,
    limits: &'a Limits,
    now: Timestamp,
    machine: &'a Machine,
    scratch: &'a mut Scratch,
}

impl Points<'_> {
    /// Refuses what is no list of elements, and what would multiply.
    fn check(&self, outer: Value) -> Result<(), RejectReason> {
        let Value::Container { index, .. } = outer else { return Err(RejectReason::BadShape) };
        let containers = &self.machine.containers;
        if containers.length(index) > self.limits.max_points {
            return Err(RejectReason::PickleSize);
        }
        if !self.machine.shared {
            return Ok(());
        }
        let bound = self.limits.max_expansion.saturating_mul(self.pickle.len());
        let (mut points, mut bytes) = (0, 0_usize);
        for element in containers.values(index) {
            let Value::Container { index, .. } = element else { continue };
            let count = containers.length(index).saturating_sub(1);
            points += count.min(if self.takes_many() { usize::MAX } else { 1 });
            if points > self.limits.max_points {
                return Err(RejectReason::PickleSize);
            }
            if let Some(Value::String { span, .. }) = containers.values(index).next() {
                bytes = bytes.saturating_add(count.saturating_mul(span.length as usize));
                if bytes > bound {
                    return Err(RejectReason::PickleExpansion);
                }
            }
        }
        Ok(())
    }

    /// Whether an element may have several points.
    fn takes_many(&self) -> bool {
        matches!(self.options.profile, Profile::Default | Profile::GoCarbon)
    }

    fn give(&mut self, outer: Value, sink: &mut impl FnMut(Event<'_>)) {
        let Value::Container { index, .. } = outer else { return };
        let machine = self.machine;
        for element in machine.containers.values(index) {
            self.element(element, sink);
        }
    }

    fn element(&mut self, element: Value, sink: &mut impl FnMut(Event<'_>)) {
        let containers = &self.machine.containers;
        if let Some([path, pair]) = containers.pair(element)
            && let Some([time, value]) = containers.pair(pair)
        {
            return self.point(element, path, time, value, sink);
        }
        if let Value::Container { index, .. } = element
            && self.takes_many()
            && containers.length(index) > 2
            && containers.values(index).skip(1).all(|pair| containers.pair(pair).is_some())
        {
            let mut values = containers.values(index);
            let Some(path) = values.next() else { return };
            for pair in values {
                let Some([time, value]) = containers.pair(pair) else { continue };
                self.point(element, path, time, value, sink);
            }
            return;
        }
        self.reject(element, RejectReason::BadShape, sink);
    }

    fn point(
        &mut self,
        element: Value,
        path: Value,
        time: Value,
        value: Value,
        sink: &mut impl FnMut(Event<'_>),
    ) {
        let read = match path {
            Value::String { kind, .. } if kind != Kind::Digits => {
                let text = self.bytes(path);
                let path = if kind == Kind::Bytes { Path::Bytes(text) } else { Path::Text(text) };
                let (time, value) = (self.scalar(time), self.scalar(value));
                let accept = |metric: MetricRef<'_>| sink(Event::Metric(metric));
                typed::point(path, time, value, self.options, self.now, self.scratch, accept)
            }
            _ => Err(RejectReason::BadPath),
        };
        if let Err(reason) = read {
            self.reject(element, reason, sink);
        }
    }

    fn reject(&self, element: Value, reason: RejectReason, sink: &mut impl FnMut(Event<'_>)) {
        let at = element.at();
        let end = match element {
            Value::Container { index, .. } => self.machine.containers.end(index),
            Value::String { origin: Origin::Frame, span, .. } => span.start + span.length,
            // An opcode and its operand, where that has a fixed length.
            Value::Int { .. } | Value::Float { .. } => at + 9,
            Value::None { .. } | Value::Bool { .. } | Value::String { .. } => at + 1,
        };
        let end = (end.max(at) as usize).min(self.pickle.len());
        let bytes = self.pickle.get(at as usize..end).unwrap_or_default();
        let offset = self.offset.wrapping_add(u64::from(at));
        sink(Event::Rejected(Rejected::new(reason, bytes, offset)));
    }
}

impl<'a> Points<'a> {
    fn bytes(&self, value: Value) -> &'a [u8] {
        let Value::String { origin, span, .. } = value else { return &[] };
        let buffer = match origin {
            Origin::Frame => self.pickle,
            Origin::Own => self.machine.text.as_slice(),
        };
        let start = span.start as usize;
        buffer.get(start..start + span.length as usize).unwrap_or_default()
    }

    fn scalar(&self, value: Value) -> Scalar<'a> {
        match value {
            Value::Int { value, .. } => Scalar::Int(value),
            Value::Float { value, .. } => Scalar::Float(value),
            Value::Bool { value, .. } => Scalar::Bool(value),
            Value::String { kind, .. } => match kind {
                Kind::Unicode | Kind::Str => Scalar::Text(self.bytes(value)),
                Kind::Bytes => Scalar::Bytes(self.bytes(value)),
                Kind::Digits => Scalar::Digits(self.bytes(value)),
            },
            Value::None { .. } | Value::Container { .. } => Scalar::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Kept = Vec<Result<String, (RejectReason, Vec<u8>, u64)>>;

    fn keep(event: Event<'_>) -> Result<String, (RejectReason, Vec<u8>, u64)> {
        match event {
            Event::Metric(metric) => {
                let mut line = Vec::new();
                metric.write_canonical(&mut line);
                Ok(format!("{metric:?} {}", String::from_utf8_lossy(&line)))
            }
            Event::Rejected(rejected) => {
                Err((rejected.reason, rejected.line.to_vec(), rejected.offset))
            }
        }
    }

    fn both(options: &Options, limits: Limits, pickle: &[u8]) -> [Result<Kept, PickleError>; 2] {
        let now = Timestamp::new(1_650_000_000, 250_000_000);
        let mut reader = PickleReader::new(options.clone(), limits);
        let (mut quick, mut general) = (Vec::new(), Vec::new());
        let read = reader.read_at(pickle, 4, now, &mut |event| quick.push(keep(event)));
        let generally =
            reader.read_generally(pickle, 4, now, &mut |event| general.push(keep(event)));
        [read.map(|()| quick), generally.map(|()| general)]
    }

    fn number() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            (-3..i32::MAX).prop_map(|n| [&b"J"[..], &n.to_le_bytes()].concat()),
            any::<i32>().prop_map(|n| [&b"J"[..], &n.to_le_bytes()].concat()),
            any::<u8>().prop_map(|n| vec![b'K', n]),
            any::<u16>().prop_map(|n| [&b"M"[..], &n.to_le_bytes()].concat()),
            any::<f64>().prop_map(|n| [&b"G"[..], &n.to_be_bytes()].concat()),
            (0.0..4e9_f64).prop_map(|n| [&b"G"[..], &n.to_be_bytes()].concat()),
            (-2.0..4e9_f64).prop_map(|n| [&b"G"[..], &n.trunc().to_be_bytes()].concat()),
            Just(b"N".to_vec()),
        ]
    }

    fn put() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            Just(vec![]),
            Just(vec![0x94]),
            any::<u8>().prop_map(|n| vec![b'q', n]),
            (0..70_u32).prop_map(|n| [&b"r"[..], &n.to_le_bytes()].concat()),
        ]
    }

    fn path() -> impl Strategy<Value = Vec<u8>> {
        let text = prop_oneof![
            8 => "[a-z.]{1,40}".prop_map(String::into_bytes),
            1 => "\\PC{0,9}".prop_map(String::into_bytes),
            1 => "cpu;a=b|cpu\\{a=\"b\"\\}|a\nb|a b".prop_map(String::into_bytes),
            1 => proptest::collection::vec(any::<u8>(), 0..6),
        ];
        (text, any::<bool>()).prop_map(|(text, short)| {
            let head = if short {
                vec![0x8c, text.len() as u8]
            } else {
                [&b"X"[..], &(text.len() as u32).to_le_bytes()].concat()
            };
            [head, text].concat()
        })
    }

    fn element() -> impl Strategy<Value = Vec<u8>> {
        (path(), put(), number(), number(), put(), put()).prop_map(|(path, p, t, v, q, r)| {
            [path, p, t, v, b"\x86".to_vec(), q, b"\x86".to_vec(), r].concat()
        })
    }

    /// Pickles of the shape that the quick way knows, and slightly off it.
    fn pickle() -> impl Strategy<Value = Vec<u8>> {
        let group = proptest::collection::vec(element(), 1..5).prop_map(|elements| match elements
            .as_slice()
        {
            [one] => [one, &b"a"[..]].concat(),
            many => [b"(", many.concat().as_slice(), b"e"].concat(),
        });
        let body = (put(), proptest::collection::vec(group, 0..4))
            .prop_map(|(put, groups)| [b"]", &put[..], &groups.concat(), b"."].concat());
        let damage = proptest::option::weighted(0.3, (any::<prop::sample::Index>(), any::<u8>()));
        (2..6_u8, any::<bool>(), body, damage).prop_map(|(protocol, framed, body, damage)| {
            let frame = [&[0x95][..], &(body.len() as u64).to_le_bytes()].concat();
            let frame = if framed { frame } else { Vec::new() };
            let mut pickle = [&[0x80, protocol], &frame[..], &body].concat();
            if let Some((at, byte)) = damage {
                let at = at.index(pickle.len());
                pickle[at] = byte;
            }
            pickle
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            cases: 4_000,
            failure_persistence: None,
            ..ProptestConfig::default()
        })]

        /// The quick way gives what the machine gives.
        #[test]
        fn quick_and_general_agree(
            pickle in pickle(),
            carbon in any::<bool>(),
            fraction in any::<bool>(),
            small in proptest::option::weighted(0.2, 0..64_usize),
        ) {
            let profile = if carbon { Profile::Carbon } else { Profile::Default };
            let mut options = Options::new(profile);
            options.fraction = fraction;
            let mut limits = Limits::default();
            if let Some(small) = small {
                limits = Limits {
                    max_points: small / 2,
                    max_stack: small,
                    max_items: small * 2,
                    max_memo: small,
                    max_memo_index: small as u32,
                    ..limits
                };
            }
            let [quick, general] = both(&options, limits, &pickle);
            prop_assert_eq!(quick, general);
        }
    }

    #[test]
    fn the_quick_way_is_taken() {
        let pickle = b"\x80\x02]q\0(X\x03\0\0\0a.bq\x01K\x05K\x07\x86q\x02\x86q\x03X\x01\0\0\0cq\x04K\x05G\x3f\xf8\0\0\0\0\0\0\x86q\x05\x86q\x06e.";
        let mut points = quick::Points::default();
        assert!(points.read(pickle, &Limits::default()));
        let [quick, general] = both(&Options::default(), Limits::default(), pickle);
        assert_eq!(quick.as_ref().map(Vec::len), Ok(2));
        assert_eq!(quick, general);
    }
}
