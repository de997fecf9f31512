//! The log on a disk that fails: power cuts at any operation, torn sectors, lost names, writes in
//! another order, full disks, errors of the device, flipped bits. See [`disk`] for what the disk
//! does, [`model`] for what must be true all the same, and [`run`] for what is done.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]
#![allow(clippy::print_stderr, reason = "a failure says what led to it")]

mod damage;
mod disk;
mod found;
mod inode;
mod machine;
mod model;
mod points;
mod rng;
mod run;
mod user;
