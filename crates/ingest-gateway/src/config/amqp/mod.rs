//! AMQP: the settings of sources and destinations, and how they are read.

mod model;
mod read;

pub use model::{AmqpAck, AmqpBroker, AmqpDestination, AmqpName, AmqpSource};
pub(super) use read::{read_destination, read_source};
