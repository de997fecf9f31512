//! Tables made by a program.

pub(crate) mod tag_ranges;
