//! What comes between the handshake and the stream, from the server's side.

use super::{ServerEvent, ServerMachine, State, Step};
use crate::proto::client::Identity;
use crate::proto::client::check_configuration;
use crate::proto::error::{Piece, ProtocolError};
use crate::proto::magic;

/// The first version of clients that ask whether they may ingest.
const ASKS: u16 = 4;
/// The first version with stream configuration.
const CONFIGURES: u16 = 5;

const NONE: u8 = 0x00;
const SNAPPY: u8 = 0x10;

impl ServerMachine {
    /// The word at the start of the input.
    pub(super) fn word(&self) -> Option<u32> {
        self.input.bytes().first_chunk().map(|word| u32::from_le_bytes(*word))
    }

    /// FORCE_ACK, ID and API_VER, until another word comes, which is left where it is.
    pub(super) fn setup(&mut self) -> Result<Step, ProtocolError> {
        let Some(word) = self.word() else { return Ok(Step::More(4)) };
        match word {
            magic::FORCE_ACK => self.input.consume(4),
            magic::PING => {
                self.input.consume(4);
                self.replies.word(magic::PONG);
            }
            magic::API_VER => {
                let Some([_, _, _, _, v0, v1]) = self.input.bytes().first_chunk() else {
                    return Ok(Step::More(6));
                };
                self.client_version = u16::from_le_bytes([*v0, *v1]);
                self.input.consume(6);
                self.replies.word(magic::CONFIRM_API_VER);
            }
            magic::ID => return self.identity(),
            _ if self.client_version >= ASKS => self.state = State::IngestOk,
            _ => self.state = State::Stream,
        }
        Ok(Step::On)
    }

    fn identity(&mut self) -> Result<Step, ProtocolError> {
        let max = self.config.limits.identity;
        let input = self.input.bytes();
        let mut rest = input.get(4..).unwrap_or_default();
        let mut texts = [const { String::new() }; 3];
        for text in &mut texts {
            let used = input.len() - rest.len();
            let Some((len, behind)) = rest.split_first_chunk::<4>() else {
                return Ok(Step::More(used + 4));
            };
            let len = u32::from_le_bytes(*len);
            if len > max {
                let (len, max) = (u64::from(len), u64::from(max));
                return Err(ProtocolError::TooLong { piece: Piece::Identity, len, max });
            }
            let Some((bytes, behind)) = behind.split_at_checked(len as usize) else {
                return Ok(Step::More(used + 4 + len as usize));
            };
            *text = String::from_utf8_lossy(bytes).into_owned();
            rest = behind;
        }
        let used = input.len() - rest.len();
        self.input.consume(used);
        self.replies.word(magic::CONFIRM_ID);
        let [name, version, uuid] = texts;
        Ok(Step::Event(ServerEvent::Identified(Identity { name, version, uuid })))
    }

    pub(super) fn ingest_ok(&mut self) -> Result<Step, ProtocolError> {
        let Some(word) = self.word() else { return Ok(Step::More(4)) };
        match word {
            magic::FORCE_ACK => {}
            magic::PING => self.replies.word(magic::PONG),
            magic::INGEST_OK => {
                self.replies.value(magic::CONFIRM_INGEST_OK, u64::from(self.accepting));
                if self.accepting {
                    let configures =
                        self.client_version >= CONFIGURES && self.config.version >= CONFIGURES;
                    self.state = if configures { State::Configuration } else { State::Stream };
                }
            }
            magic => return Err(ProtocolError::OutOfPlace { magic }),
        }
        self.input.consume(4);
        Ok(Step::On)
    }

    pub(super) fn configuration(&mut self) -> Result<Step, ProtocolError> {
        let Some(len) = self.word() else { return Ok(Step::More(4)) };
        check_configuration(len, self.config.limits.stream_configuration)?;
        let Some(&code) = self.input.bytes().get(4) else { return Ok(Step::More(5)) };
        if code != NONE && !(code == SNAPPY && self.config.compression) {
            return Err(ProtocolError::Compression { code });
        }
        self.input.consume(5);
        self.state = State::ConfigurationRest(len - 1, code);
        Ok(Step::On)
    }

    /// Throws the rest of the block away as it comes, then answers with what is in force.
    pub(super) fn configuration_rest(&mut self, left: u32, code: u8) -> Step {
        if left > 0 {
            let used = self.input.bytes().len().min(left as usize);
            self.input.consume(used);
            self.state = State::ConfigurationRest(left - used as u32, code);
            return if used == 0 { Step::More(1) } else { Step::On };
        }
        let out = self.replies.add();
        out.extend_from_slice(&1u32.to_le_bytes());
        out.push(code);
        if code == SNAPPY {
            self.replies.compress();
            self.input.decompress();
        }
        self.state = State::Stream;
        Step::On
    }
}
