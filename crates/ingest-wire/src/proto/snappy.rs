//! The Snappy framing format, in pieces as they come.

use std::io::{self, Read, Write};

use super::error::{Piece, ProtocolError};

/// The longest chunk that can hold 64 KiB of data: the codec's bound and the checksum.
const MAX_CHUNK: usize = 76_490;
const HEADER: usize = 4;
/// The first byte of the chunk that a stream begins with.
#[cfg(feature = "tokio")]
pub(crate) const IDENTIFIER: u8 = 0xff;

/// Decompresses whole chunks.
#[derive(Debug)]
pub(crate) struct Decompressor {
    frames: snap::read::FrameDecoder<Chunk>,
    plain: Vec<u8>,
    /// Bytes of a chunk that is passed over.
    skip: usize,
    /// The stream identifier has been seen.
    begun: bool,
}

/// The chunk that is being decompressed.
#[derive(Debug, Default)]
struct Chunk {
    bytes: Vec<u8>,
    read: usize,
}

impl Read for Chunk {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let rest = self.bytes.get(self.read..).unwrap_or_default();
        let len = rest.len().min(out.len());
        out.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
        self.read += len;
        Ok(len)
    }
}

impl Decompressor {
    pub(crate) fn new() -> Self {
        let frames = snap::read::FrameDecoder::new(Chunk::default());
        Self { frames, plain: vec![0; 64 << 10], skip: 0, begun: false }
    }

    /// Takes the chunk at the start of `input` and gives its data to `out`: how many bytes were
    /// used, or, as the error of the inner result, how many are needed.
    pub(crate) fn chunk(
        &mut self,
        input: &[u8],
        mut out: impl FnMut(&[u8]),
    ) -> Result<Result<usize, usize>, ProtocolError> {
        if self.skip > 0 {
            let used = self.skip.min(input.len());
            self.skip -= used;
            return Ok(if used == 0 { Err(1) } else { Ok(used) });
        }
        let Some([kind, l0, l1, l2]) = input.first_chunk::<HEADER>() else {
            return Ok(Err(HEADER));
        };
        let len = u32::from_le_bytes([*l0, *l1, *l2, 0]) as usize;
        if self.begun && (0x80..0xff).contains(kind) {
            self.skip = len;
            return Ok(Ok(HEADER));
        }
        if len > MAX_CHUNK {
            let (len, max) = (len as u64, MAX_CHUNK as u64);
            return Err(ProtocolError::TooLong { piece: Piece::Chunk, len, max });
        }
        let used = HEADER + len;
        let Some(chunk) = input.get(..used) else { return Ok(Err(used)) };
        self.begun = true;
        let source = self.frames.get_mut();
        source.bytes.clear();
        source.bytes.extend_from_slice(chunk);
        source.read = 0;
        loop {
            let read = self.frames.read(&mut self.plain).map_err(damaged)?;
            if read == 0 {
                return Ok(Ok(used));
            }
            out(self.plain.get(..read).unwrap_or_default());
        }
    }
}

fn damaged(error: io::Error) -> ProtocolError {
    ProtocolError::Snappy { reason: error.to_string() }
}

/// Compresses; each call ends a chunk.
pub(crate) struct Compressor(snap::write::FrameEncoder<Vec<u8>>);

impl core::fmt::Debug for Compressor {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Compressor(..)")
    }
}

impl Compressor {
    pub(crate) fn new() -> Self {
        Self(snap::write::FrameEncoder::new(Vec::new()))
    }

    /// The chunks for these bytes; before the first ones the stream identifier.
    pub(crate) fn compress(&mut self, plain: &[u8]) -> Result<Vec<u8>, ProtocolError> {
        self.0.write_all(plain).and_then(|()| self.0.flush()).map_err(damaged)?;
        Ok(std::mem::take(self.0.get_mut()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_come_back_in_any_pieces() {
        let plain: Vec<u8> = (0..200_000u32).flat_map(|n| (n / 7).to_le_bytes()).collect();
        let mut compressor = Compressor::new();
        let mut wire = compressor.compress(&plain).unwrap();
        wire.splice(10..10, [0xfe, 3, 0, 0, 1, 2, 3]);
        let (mut back, mut at) = (Vec::new(), 0);
        let mut decompressor = Decompressor::new();
        let mut end = 0;
        while at < wire.len() {
            match decompressor.chunk(&wire[at..end], |bytes| back.extend_from_slice(bytes)).unwrap()
            {
                Ok(used) => at += used,
                Err(_) => end = wire.len().min(end + 1000),
            }
        }
        assert!(back == plain);
    }

    #[test]
    fn a_stream_begins_with_its_identifier() {
        let mut decompressor = Decompressor::new();
        assert!(decompressor.chunk(&[1, 5, 0, 0, 0, 0, 0, 0, 0], |_| ()).is_err());
        assert!(Decompressor::new().chunk(&[0xff, 0xff, 0xff, 0xff], |_| ()).is_err());
    }
}
