//! The foreign programs that run beside ours: how they are started, and which versions they are.

mod carbon;
mod receiver;
mod rsyslog;
mod telegraf;
mod versions;

pub(super) use self::receiver::{Kind, Receiver, Running};
pub(super) use self::versions::versions;
