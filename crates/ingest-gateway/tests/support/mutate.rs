//! Texts of configurations, changed at random.

/// A small deterministic generator (xorshift).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound.max(1) as u64) as usize
    }
}

/// Changes a few places of a text: bytes, lines, and pieces that mean something to TOML.
pub(crate) fn mutate(text: &[u8], random: &mut Random) -> Vec<u8> {
    const PIECES: &[&str] = &[
        "[",
        "]",
        "[[",
        "]]",
        "{",
        "}",
        "=",
        ".",
        ",",
        "\"",
        "\"\"\"",
        "'",
        "#",
        "\n",
        "\r",
        "\\",
        "\\u0000",
        "\0",
        "\u{feff}",
        "é",
        "-",
        "_",
        "0",
        "1e999",
        "nan",
        "true",
        "2024-01-01",
        "type = \"graphite\"\n",
        "[sources.x]\n",
        "[log.keep]\n",
        "99999999999999999999",
        " MiB",
    ];
    let mut text = text.to_vec();
    for _ in 0..=random.below(3) {
        let at = random.below(text.len() + 1);
        let to = (at + random.below(20)).min(text.len());
        match random.below(6) {
            0 if at < text.len() => {
                let any = if random.below(8) == 0 { 256 } else { 128 };
                text[at] = random.below(any) as u8;
            }
            1 => drop(text.drain(at..to)),
            2 => {
                let piece = PIECES[random.below(PIECES.len())];
                drop(text.splice(at..at, piece.bytes()));
            }
            3 => {
                let copy = text[at..to].to_vec();
                let at = random.below(text.len() + 1);
                drop(text.splice(at..at, copy));
            }
            4 => {
                let mut lines: Vec<&[u8]> = text.split(|b| *b == b'\n').collect();
                let (a, b) = (random.below(lines.len()), random.below(lines.len()));
                lines.swap(a, b);
                text = lines.join(&b'\n');
            }
            _ => text.truncate(at.max(text.len() / 2)),
        }
    }
    text
}
