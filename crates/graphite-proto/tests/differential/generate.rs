//! Pickles of all kinds, from a seed: what senders write, with every opcode that can say it, and
//! the same damaged.

/// A generator of random numbers (xorshift64*), so that a seed gives the same pickles everywhere.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        // Zero would stay zero.
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        (self.next() >> 33) as usize % bound
    }

    fn one_in(&mut self, chance: usize) -> bool {
        self.below(chance) == 0
    }

    fn pick<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> &'a T {
        from[self.below(from.len())]
    }
}

/// Opcodes that have to be refused wherever they stand, with operands that make them whole.
pub(crate) const REFUSED: [&[u8]; 26] = [
    b"cos\nsystem\n",
    b"\x93",
    b"R",
    b"ios\nsystem\n",
    b"o",
    b"\x81",
    b"\x92",
    b"b",
    b"\x82\x01",
    b"\x83\x01\0",
    b"\x84\x01\0\0\0",
    b"Pid\n",
    b"Q",
    b"\x8f",
    b"\x90",
    b"\x91",
    b"\x96\x01\0\0\0\0\0\0\0x",
    b"\x97",
    b"\x98",
    b"}",
    b"d",
    b"s",
    b"u",
    b"\xff",
    b"\0",
    b"Z",
];

/// Writes one pickle.
pub(crate) struct Writer<'r> {
    random: &'r mut Random,
    pub(crate) out: Vec<u8>,
    /// Memo entries that hold strings, and those that hold finished tuples.
    strings: Vec<u32>,
    tuples: Vec<u32>,
    memo: u32,
}

impl<'r> Writer<'r> {
    pub(crate) fn new(random: &'r mut Random) -> Self {
        Self { random, out: Vec::new(), strings: Vec::new(), tuples: Vec::new(), memo: 0 }
    }

    fn op(&mut self, opcode: u8, operand: &[u8]) {
        self.out.push(opcode);
        self.out.extend_from_slice(operand);
    }

    fn line(&mut self, opcode: u8, text: &str) {
        self.op(opcode, text.as_bytes());
        self.out.push(b'\n');
    }

    /// Stores what is on top, or not.
    fn put(&mut self) -> Option<u32> {
        let index = self.memo;
        match self.random.below(6) {
            0 => self.op(b'q', &[index as u8]),
            1 => self.op(b'r', &index.to_le_bytes()),
            2 => self.line(b'p', &index.to_string()),
            3 => self.op(0x94, &[]),
            _ => return None,
        }
        self.memo += 1;
        Some(index)
    }

    fn get(&mut self, index: u32) {
        match self.random.below(3) {
            0 => self.op(b'h', &[index as u8]),
            1 => self.op(b'j', &index.to_le_bytes()),
            _ => self.line(b'g', &index.to_string()),
        }
    }

    /// A number, with any opcode that holds it.
    fn number(&mut self) {
        let small = self.random.next();
        match self.random.below(16) {
            0 => self.op(b'K', &[small as u8]),
            1 => self.op(b'M', &(small as u16).to_le_bytes()),
            2..=4 => self.op(b'J', &(small as i32).to_le_bytes()),
            5 => self.line(b'I', &(small as i64).to_string()),
            6 => self.line(b'L', &format!("{}L", small as i64)),
            7 => {
                let digits = format!("-{}{}", small | 1, self.random.next());
                self.line(b'L', &digits);
            }
            8 | 9 => {
                let length = self.random.below(12);
                let bytes: Vec<u8> = (0..length).map(|_| self.random.next() as u8).collect();
                if self.random.one_in(2) {
                    self.op(0x8a, &[length as u8]);
                } else {
                    self.op(0x8b, &(length as u32).to_le_bytes());
                }
                self.out.extend_from_slice(&bytes);
            }
            10 => self.line(b'F', &(f64::from(small as i32) / 8.0).to_string()),
            11 => {
                let text = self.random.pick(&["nan", "inf", "-inf", "1e400", "5e-324", "-0.0"]);
                self.line(b'F', text);
            }
            12 => self.op(b'G', &f64::from_bits(small).to_be_bytes()),
            13 => self.op(0x88 + (small & 1) as u8, &[]),
            14 => self.line(b'I', if small & 1 == 0 { "00" } else { "01" }),
            _ => self.op(b'G', &(f64::from(small as u32) / 4.0).to_be_bytes()),
        }
    }

    /// A time that is usually one.
    fn time(&mut self) {
        if self.random.one_in(4) {
            return self.number();
        }
        let seconds = 1_600_000_000 + self.random.below(500_000_000) as i32;
        match self.random.below(4) {
            0 => self.op(b'G', &(f64::from(seconds) + 0.25).to_be_bytes()),
            1 => self.line(b'I', &seconds.to_string()),
            _ => self.op(b'J', &seconds.to_le_bytes()),
        }
    }

    fn string(&mut self) {
        if !self.strings.is_empty() && self.random.one_in(5) {
            let index = self.strings[self.random.below(self.strings.len())];
            return self.get(index);
        }
        let text = match self.random.below(12) {
            0 => "größe.日本".to_owned(),
            1 => String::new(),
            2 => "12.5".to_owned(),
            3 => "x".repeat(self.random.below(300)),
            4 => "cpu;host=b;dc=a".to_owned(),
            _ => format!("servers.web{:02}.cpu", self.random.below(100)),
        };
        let bytes = text.as_bytes();
        let length = bytes.len() as u32;
        let short = u8::try_from(length).ok();
        match (self.random.below(12), short) {
            (0, _) => self.op(0x8d, &u64::from(length).to_le_bytes()),
            (1..=3, Some(length)) => self.op(0x8c, &[length]),
            (4, Some(length)) => self.op(b'U', &[length]),
            (5, _) => self.op(b'T', &length.to_le_bytes()),
            (6, Some(length)) => self.op(b'C', &[length]),
            (7, _) => self.op(b'B', &length.to_le_bytes()),
            (8, _) => self.op(0x8e, &u64::from(length).to_le_bytes()),
            (9, _) => {
                self.op(b'V', &[]);
                for c in text.chars() {
                    match u32::from(c) {
                        code @ 0..0x80 => self.out.push(code as u8),
                        code => self.out.extend_from_slice(format!("\\u{code:04x}").as_bytes()),
                    }
                }
                self.out.push(b'\n');
                return self.memoised_string();
            }
            (10, _) => {
                let quote = if self.random.one_in(2) { '"' } else { '\'' };
                let escaped: String = bytes
                    .iter()
                    .map(|byte| match byte {
                        b'.' if self.random.one_in(9) => "\\x2e".to_owned(),
                        byte if byte.is_ascii() => char::from(*byte).to_string(),
                        byte => format!("\\x{byte:02x}"),
                    })
                    .collect();
                self.line(b'S', &format!("{quote}{escaped}{quote}"));
                return self.memoised_string();
            }
            _ => self.op(b'X', &length.to_le_bytes()),
        }
        self.out.extend_from_slice(bytes);
        self.memoised_string();
    }

    fn memoised_string(&mut self) {
        if let Some(index) = self.put() {
            self.strings.push(index);
        }
    }

    /// A sequence of what is written by `items`, as a tuple or list in one of their many forms.
    fn sequence(&mut self, items: &mut [&mut dyn FnMut(&mut Self)]) {
        match (self.random.below(8), items.len()) {
            (0, _) => {
                self.op(b'(', &[]);
                items.iter_mut().for_each(|item| item(self));
                self.op(b'l', &[]);
            }
            (1, _) => {
                self.op(b']', &[]);
                self.put();
                for item in items {
                    item(self);
                    self.op(b'a', &[]);
                }
            }
            (2, _) => {
                self.op(b']', &[]);
                self.put();
                self.op(b'(', &[]);
                items.iter_mut().for_each(|item| item(self));
                self.op(b'e', &[]);
            }
            (3, _) | (_, 4..) => {
                self.op(b'(', &[]);
                items.iter_mut().for_each(|item| item(self));
                self.op(b't', &[]);
                self.put();
            }
            (_, 0) => self.op(b')', &[]),
            (_, length) => {
                items.iter_mut().for_each(|item| item(self));
                self.op(0x84 + length as u8, &[]);
                if let Some(index) = self.put() {
                    self.tuples.push(index);
                }
            }
        }
    }

    /// Opcodes that change nothing.
    fn noise(&mut self) {
        match self.random.below(6) {
            0 => {
                self.number();
                self.op(b'0', &[]);
            }
            1 => {
                self.op(b'(', &[]);
                self.number();
                self.op(b'N', &[]);
                self.op(b'1', &[]);
            }
            2 => {
                self.string();
                self.op(b'2', &[]);
                self.op(b'0', &[]);
                self.op(b'0', &[]);
            }
            3 => {
                self.op(b'(', &[]);
                self.op(b'0', &[]);
            }
            _ => {}
        }
    }

    fn scalar(&mut self) {
        match self.random.below(20) {
            0 => self.op(b'N', &[]),
            1 => self.string(),
            2 => {
                self.number();
                self.op(b'2', &[]);
                self.op(b'0', &[]);
            }
            _ => self.number(),
        }
    }

    fn pair(&mut self) {
        if !self.tuples.is_empty() && self.random.one_in(12) {
            let index = self.tuples[self.random.below(self.tuples.len())];
            return self.get(index);
        }
        self.sequence(&mut [&mut Self::time, &mut Self::scalar]);
    }

    fn element(&mut self) {
        if self.random.one_in(4) {
            self.noise();
        }
        match self.random.below(24) {
            0 => self.scalar(),
            1 => self.sequence(&mut []),
            2 => self.sequence(&mut [&mut Self::string]),
            3 => self.sequence(&mut [&mut Self::string, &mut Self::pair, &mut Self::pair]),
            4 => self.sequence(&mut [&mut Self::scalar, &mut Self::pair]),
            5 => self.sequence(&mut [
                &mut Self::string,
                &mut Self::pair,
                &mut Self::scalar,
                &mut Self::pair,
            ]),
            6 => self.sequence(&mut [&mut Self::string, &mut Self::scalar]),
            _ => self.sequence(&mut [&mut Self::string, &mut Self::pair]),
        }
    }

    /// A whole pickle, undamaged.
    pub(crate) fn pickle(&mut self) {
        let protocol = self.random.below(7) as u8;
        if protocol < 6 {
            self.op(0x80, &[protocol]);
        }
        let framed = self.random.one_in(3).then(|| {
            self.op(0x95, &[0; 8]);
            self.out.len()
        });
        let count = self.random.below(5);
        let mut element = Self::element;
        match count {
            0 => self.sequence(&mut []),
            1 => self.sequence(&mut [&mut element]),
            2 => self.sequence(&mut [&mut Self::element, &mut Self::element]),
            _ => {
                self.op(b']', &[]);
                self.put();
                self.op(b'(', &[]);
                (0..count).for_each(|_| self.element());
                self.op(b'e', &[]);
            }
        }
        self.op(b'.', &[]);
        if let Some(start) = framed {
            let length = (self.out.len() - start) as u64;
            self.out[start - 8..start].copy_from_slice(&length.to_le_bytes());
        }
    }
}

/// Damages a pickle.
pub(crate) fn damage(pickle: &mut Vec<u8>, random: &mut Random) {
    for _ in 0..=random.below(3) {
        let at = random.below(pickle.len().max(1));
        match random.below(6) {
            0 => pickle.truncate(at),
            1 => {
                let refused = REFUSED[random.below(REFUSED.len())];
                pickle.splice(at..at, refused.iter().copied());
            }
            2 if !pickle.is_empty() => pickle[at] = random.next() as u8,
            3 if !pickle.is_empty() => {
                pickle.remove(at);
            }
            4 => {
                let opcodes = b"(.012BCFGIJKLMNSTUVX]aeghjlpqrt)\x80\x85\x86\x87\x88\x89\x8a\x8b\x8c\x8d\x8e\x94\x95";
                pickle.insert(at, opcodes[random.below(opcodes.len())]);
            }
            _ => {
                let to = (at + random.below(24)).min(pickle.len());
                let again = pickle.get(at..to).unwrap_or_default().to_vec();
                let place = random.below(pickle.len() + 1);
                pickle.splice(place..place, again);
            }
        }
    }
}

/// The opcodes of a pickle with their operands, as far as it can be followed.
pub(crate) fn opcodes(pickle: &[u8]) -> Vec<(u8, &[u8])> {
    let mut found = Vec::new();
    let mut rest = pickle;
    while let Some((&opcode, operand)) = rest.split_first() {
        let fixed = |length: usize| Some(length);
        let counted = |bytes: usize| {
            let mut wide = [0; 8];
            wide[..bytes].copy_from_slice(operand.get(..bytes)?);
            bytes.checked_add(usize::try_from(u64::from_le_bytes(wide)).ok()?)
        };
        let length = match opcode {
            b'K' | b'h' | b'q' | 0x80 => fixed(1),
            b'M' => fixed(2),
            b'J' | b'j' | b'r' => fixed(4),
            b'G' | 0x95 => fixed(8),
            b'C' | b'U' | 0x8a | 0x8c => counted(1),
            b'B' | b'T' | b'X' | 0x8b => counted(4),
            0x8d | 0x8e => counted(8),
            b'F' | b'I' | b'L' | b'S' | b'V' | b'g' | b'p' => {
                operand.iter().position(|byte| *byte == b'\n').map(|at| at + 1)
            }
            _ => fixed(0),
        };
        let Some((operand, behind)) = length.and_then(|length| operand.split_at_checked(length))
        else {
            return found;
        };
        found.push((opcode, operand));
        rest = behind;
        if opcode == b'.' {
            return found;
        }
    }
    found
}

/// Whether a pickle stores twice under one number of its memo: in serde-pickle, what was stored
/// first is then lost even where it is in use.
pub(crate) fn stores_twice(pickle: &[u8]) -> bool {
    let mut seen = std::collections::BTreeSet::new();
    opcodes(pickle).into_iter().any(|(opcode, operand)| {
        let index = match (opcode, operand) {
            (0x94, _) => Some(seen.len() as u64),
            (b'q', [index]) => Some(u64::from(*index)),
            (b'r', [a, b, c, d]) => Some(u64::from(u32::from_le_bytes([*a, *b, *c, *d]))),
            (b'p', line) => str::from_utf8(line).ok().and_then(|line| line.trim().parse().ok()),
            _ => None,
        };
        index.is_some_and(|index| !seen.insert(index))
    })
}
