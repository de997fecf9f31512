//! The server's shell: [`Acceptor`] and [`Session`].

mod acceptor;
mod error;
mod gate;
mod session;

pub use acceptor::{Acceptor, NumberTags};
pub use error::ServerError;
pub use gate::{AcceptCounts, AcceptLimits};
pub use session::{Confirmer, Session, SessionEvent};
