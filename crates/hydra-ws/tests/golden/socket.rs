//! `ws-*.jsonl`: sessions.

use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;
use hydra_ws::http::{Route, route};
use hydra_ws::{Flight, Options, Registry, Request, Session, Step};
use serde_json::Value;

use crate::compare::Wildcards;
use crate::stubs;

/// The fields that a row gives as pairs.
pub(crate) fn fields(list: &Value) -> Vec<(String, String)> {
    let pairs = list.as_array().unwrap().iter();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    pairs.map(|pair| (text(&pair[0]), text(&pair[1]))).collect()
}

/// Lets a request run to its report. It comes at once, or when its time is up and not before;
/// then the time is moved on.
pub(crate) fn run<T>(
    request: Request,
    registry: &Registry,
    options: &Arc<Options>,
    now: &mut Instant,
    mut report: impl FnMut(hydra_ws::Decided<'_>) -> T,
) -> Result<T, String> {
    let mut flight = Flight::start(vec![request], &registry.list(), Arc::clone(options), *now);
    let mut wake = Context::from_waker(Waker::noop());
    let mut result = None;
    flight.poll(&mut wake, *now, |decided| result = Some(report(decided)));
    if let Some(deadline) = flight.deadline() {
        let early = deadline - Duration::from_millis(1);
        flight.poll(&mut wake, early, |_| unreachable!("before its time"));
        *now = deadline;
        flight.poll(&mut wake, deadline, |decided| result = Some(report(decided)));
    }
    if !flight.is_done() {
        return Err("no report".into());
    }
    result.ok_or_else(|| "no report, and done".into())
}

pub(crate) fn check(row: &Value, options: Options) -> Result<usize, String> {
    let options = Arc::new(options);
    let (registry, got) = stubs::registry(options.dialect);
    let connect = &row["connect"];
    let path = connect["path"].as_str().unwrap();
    let Route::WebSocket(name) = route("GET", path, true, true, &options, &registry) else {
        return Err(format!("{path} is no web socket"));
    };
    let fields = fields(&connect["headers"]);
    let fields = fields.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let mut session = Session::new(Arc::clone(&options), fields, name.as_deref(), 7)
        .map_err(|error| error.to_string())?;
    let mut cards = Wildcards::default();
    let mut now = Instant::now();
    let steps = row["steps"].as_array().unwrap();
    for (place, step) in steps.iter().enumerate() {
        if let Some(until) = session.paused_until().filter(|until| *until > now) {
            now = until;
        }
        let mut out = Vec::new();
        let done = send(&mut session, step, now, &mut out)?;
        match done {
            Step::Request(request) => {
                run(request, &registry, &options, &mut now, |decided| decided.write(&mut out))?;
            }
            Step::Replied => {}
            Step::Dropped => out.clear(),
        }
        let at = |why: String| format!("step {place}: {why}");
        match step["expect"].as_str() {
            Some(expected) => {
                cards.same(str::from_utf8(&out).unwrap(), expected).map_err(at)?;
            }
            None if out.is_empty() => {}
            None => return Err(at(format!("{:?} instead of nothing", String::from_utf8(out)))),
        }
        let got = std::mem::take(&mut *got.lock().unwrap());
        ingested(&got, &step["ingested"], &mut cards).map_err(at)?;
    }
    Ok(steps.len())
}

fn send(
    session: &mut Session,
    step: &Value,
    now: Instant,
    out: &mut Vec<u8>,
) -> Result<Step, String> {
    if let Some(text) = step["send"].as_str() {
        return Ok(session.text(&Bytes::copy_from_slice(text.as_bytes()), 1, now, out));
    }
    if let Some(pieces) = step["send_fragments"].as_array() {
        let text: String = pieces.iter().map(|piece| piece.as_str().unwrap()).collect();
        let frames = u32::try_from(pieces.len()).unwrap();
        return Ok(session.text(&Bytes::from(text), frames, now, out));
    }
    if step["send_binary_hex"].is_string() {
        return Ok(session.binary(now, out));
    }
    Err(format!("a step that is not known: {step}"))
}

fn ingested(got: &[Value], expected: &Value, cards: &mut Wildcards) -> Result<(), String> {
    let none = Vec::new();
    let expected = expected.as_array().unwrap_or(&none);
    if got.len() != expected.len() {
        return Err(format!("{} ingested, expected {}", got.len(), expected.len()));
    }
    for (got, expected) in got.iter().zip(expected) {
        for (key, value) in expected.as_object().unwrap() {
            let ours = got.get(key).ok_or_else(|| format!("nothing known of {key}"))?;
            cards
                .same(ours.as_str().unwrap(), value.as_str().unwrap())
                .map_err(|why| format!("{key}: {why}"))?;
        }
    }
    Ok(())
}
