//! The modules that Cloud Foundry's own Go clients decode with, on the same bytes: `go-loggregator`'s
//! messages by Google's protobuf, dropsonde's of `sonde-go`, and the gateway's JSON. The first
//! generation's module is not served any more.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use super::samples;
use crate::bench::case::{Case, Context, Sample};
use crate::bench::usage::Spent;
use crate::interop::loggregator_go;

/// The cases, once the program is built.
pub(crate) fn peers() -> Result<Vec<Case>> {
    let go = loggregator_go()?;
    let case = |name, what: &'static str, beside, sample: fn() -> Vec<u8>| {
        let go: PathBuf = go.clone();
        Case {
            name,
            unit: "messages/s",
            us: "program",
            peer: None,
            beside,
            bars: Vec::new(),
            run: Box::new(move |context| decoded(&go, what, &sample(), context)),
        }
    };
    Ok(vec![
        case(
            "loggregator/decode/dropsonde/go",
            "dropsonde",
            &["loggregator/decode/dropsonde"],
            samples::dropsonde,
        ),
        case("loggregator/decode/v2/go", "v2", &["loggregator/decode/v2"], samples::v2),
        case("loggregator/decode/json/go", "json", &["loggregator/decode/json"], samples::json),
    ])
}

fn decoded(go: &Path, what: &str, bytes: &[u8], context: &Context) -> Result<Sample> {
    let dir = tempfile::tempdir()?;
    let file = dir.path().join("message");
    std::fs::write(&file, bytes)?;
    let mut command = Command::new(go);
    command.args(["decode", what]).arg(file).arg(context.time.as_secs().to_string());
    Ok(Spent::of_program(&mut command)?.of_cpu())
}
