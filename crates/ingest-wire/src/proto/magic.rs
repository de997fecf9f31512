//! The words that commands begin with.

pub(crate) const NEW_ENTRY: u32 = 0xC7C9_5ACB;
pub(crate) const FORCE_ACK: u32 = 0x1ADF_7350;
pub(crate) const PING: u32 = 0x8877_0001;
pub(crate) const TAG: u32 = 0x1867_5300;
pub(crate) const ID: u32 = 0x2279_3400;
pub(crate) const API_VER: u32 = 0x2233_4400;
pub(crate) const INGEST_OK: u32 = 0x3344_5500;
pub(crate) const INGESTER_STATE: u32 = 0x4455_6600;
pub(crate) const DITTO_BLOCK: u32 = 0xDDCC_BBAA;

pub(crate) const CONFIRM_ENTRY: u32 = 0xF6E0_307E;
pub(crate) const THROTTLE: u32 = 0xBDEA_CC1E;
pub(crate) const PONG: u32 = 0x8877_0008;
pub(crate) const CONFIRM_TAG: u32 = 0x1867_5301;
pub(crate) const ERROR_TAG: u32 = 0x1867_5302;
pub(crate) const CONFIRM_ID: u32 = 0x2279_3401;
pub(crate) const CONFIRM_API_VER: u32 = 0x2233_4401;
pub(crate) const CONFIRM_INGEST_OK: u32 = 0x3344_5501;
pub(crate) const CONFIRM_INGESTER_STATE: u32 = 0x4455_6601;
pub(crate) const CONFIRM_DITTO_BLOCK: u32 = 0x5566_7788;

/// Whether a word is a command that only servers send: a server skips it.
pub(crate) const fn is_servers(magic: u32) -> bool {
    matches!(
        magic,
        CONFIRM_ENTRY
            | THROTTLE
            | PONG
            | CONFIRM_TAG
            | ERROR_TAG
            | CONFIRM_ID
            | CONFIRM_API_VER
            | CONFIRM_INGEST_OK
            | CONFIRM_INGESTER_STATE
            | CONFIRM_DITTO_BLOCK
    )
}
