//! From one generation to the next and back, as the platform's own components do it
//! (`loggregator.md` 4). What that loses is lost here too; keep the original if that matters.

mod tags;
mod to_v1;
mod to_v2;
mod uuid;

pub use to_v1::to_v1;
pub use to_v2::to_v2;
