//! The Hydra protocol: the settings of sources, and how they are read.

mod model;
mod read;

pub use model::{HydraCompat, HydraDialect, HydraEcho, HydraSource, HydraValues};
pub(super) use read::read_source;
