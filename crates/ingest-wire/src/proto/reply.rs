//! What a server has to write.

use super::error::ProtocolError;
use super::snappy::Compressor;

#[derive(Debug, Default)]
pub(crate) struct Replies {
    wire: Vec<u8>,
    written: usize,
    plain: Vec<u8>,
    compressor: Option<Box<Compressor>>,
}

impl Replies {
    /// Where replies are added.
    #[inline]
    pub(crate) fn add(&mut self) -> &mut Vec<u8> {
        if self.compressor.is_some() { &mut self.plain } else { &mut self.wire }
    }

    pub(crate) fn word(&mut self, word: u32) {
        self.add().extend_from_slice(&word.to_le_bytes());
    }

    pub(crate) fn value(&mut self, word: u32, value: u64) {
        let out = self.add();
        out.extend_from_slice(&word.to_le_bytes());
        out.extend_from_slice(&value.to_le_bytes());
    }

    /// From now on the stream is compressed.
    pub(crate) fn compress(&mut self) {
        self.compressor = Some(Box::new(Compressor::new()));
    }

    /// Compresses what has been added since the last time.
    pub(crate) fn flush(&mut self) -> Result<(), ProtocolError> {
        if let Some(compressor) = &mut self.compressor
            && !self.plain.is_empty()
        {
            let wire = compressor.compress(&self.plain)?;
            self.plain.clear();
            self.wire.extend_from_slice(&wire);
        }
        Ok(())
    }

    /// The bytes to be written.
    pub(crate) fn bytes(&self) -> &[u8] {
        self.wire.get(self.written..).unwrap_or_default()
    }

    pub(crate) fn written(&mut self, len: usize) {
        self.written = self.wire.len().min(self.written + len);
        if self.written == self.wire.len() {
            self.wire.clear();
            self.written = 0;
        }
    }

    /// Bytes that wait to be written.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.wire.len() - self.written + self.plain.len()
    }

    pub(crate) fn relax(&mut self) {
        if self.len() == 0 {
            self.wire.shrink_to(256);
            self.plain.shrink_to(256);
        }
    }
}
