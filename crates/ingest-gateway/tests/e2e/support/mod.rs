//! What the tests share.

pub(crate) mod carbon;
pub(crate) mod client;
pub(crate) mod full;
pub(crate) mod gate;
pub(crate) mod hydra;
pub(crate) mod indexer;
pub(crate) mod library;
pub(crate) mod process;
pub(crate) mod stored;
pub(crate) mod wait;
