//! The admin pages: health, metrics and status over HTTP. They can be read, and change nothing.
//!
//! [`serve`] answers on a listener from a [`View`] of the gateway. What it shows is a [`Report`],
//! made anew for each request; `/status` is its JSON, `/metrics` the same numbers for Prometheus.
//!
//! | path | answers |
//! |---|---|
//! | `/` | in a browser the gateway live, from `/status` once a second; else a list of these |
//! | `/health` | 200 while the process works |
//! | `/ready` | 200 while the listeners are up and the log takes entries, else 503 with the reason |
//! | `/metrics` | metrics, as OpenMetrics or in the older text format, as the client asks |
//! | `/status` | JSON: everything that is counted, and whether it adds up |

mod exposition;
mod host;
mod metrics;
mod pages;
mod server;
mod status;
#[cfg(test)]
mod testing;
mod view;

pub use server::{Limits, serve, serve_with};
pub use status::{
    Connections, Entries, Lag, LinkReport, LogReport, OutputReport, Received, Report, RuleReport,
    SourceReport, TemplateReport,
};
pub use view::View;
