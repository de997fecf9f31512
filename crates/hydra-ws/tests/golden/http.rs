//! `http-*.jsonl`: requests.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use hydra_ws::Options;
use hydra_ws::http::{Answer, Route, begin, route};
use serde_json::Value;

use crate::compare::Wildcards;
use crate::{socket, stubs};

pub(crate) fn check(row: &Value, options: Options) -> Result<usize, String> {
    let options = Arc::new(options);
    let (registry, _) = stubs::registry(options.dialect);
    let request = &row["request"];
    let text = |key: &str| request[key].as_str().unwrap_or_default();
    let route = route(text("method"), text("path"), false, true, &options, &registry);
    let answer = match route {
        Route::Answer(answer) => answer,
        Route::Ingest(name) => {
            let fields = socket::fields(&request["headers"]);
            let fields = fields.iter().map(|(name, value)| (name.as_str(), value.as_str()));
            let body = Bytes::copy_from_slice(text("body").as_bytes());
            match begin(&options, fields, name.as_deref(), None, body, 7) {
                Err(answer) => answer,
                Ok((ingest, request)) => {
                    let mut now = Instant::now();
                    socket::run(request, &registry, &options, &mut now, |decided| {
                        ingest.answer(&decided)
                    })?
                }
            }
        }
        other => return Err(format!("{other:?}")),
    };
    compare(&answer, &row["expect"])?;
    Ok(1)
}

fn compare(ours: &Answer, theirs: &Value) -> Result<(), String> {
    let same = |what: &str, ours: Value, theirs: &Value| {
        if ours == *theirs { Ok(()) } else { Err(format!("{what}: {ours}, expected {theirs}")) }
    };
    same("status", ours.status.into(), &theirs["status"])?;
    same("reason", (&*ours.reason).into(), &theirs["reason"])?;
    same("content type", ours.content_type.into(), &theirs["content_type"])?;
    same("allow", ours.allow.into(), &theirs["allow"])?;
    let body = str::from_utf8(&ours.body).unwrap();
    Wildcards::default().same(body, theirs["body"].as_str().unwrap())
}
