//! The Gravwell protocol: the settings of sources and destinations, and how they are read.

mod model;
mod read;

pub use model::{Confirm, GravwellDestination, GravwellSource, Policy};
pub(super) use read::{read_destination, read_source};
