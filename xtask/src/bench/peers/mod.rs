//! The foreign programs that run beside ours: which versions they are.

mod versions;

pub(super) use self::versions::versions;
