//! What holds for any input.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::{Instant, UNIX_EPOCH};

use bytes::Bytes;
use hydra_ws::{
    Command, Dialect, Flight, Ingestor, Join, Options, Outcome, Registry, Request, Session, Step,
};
use proptest::prelude::*;

struct Takes;

impl Ingestor for Takes {
    fn join(&self, _: &Request) -> Join {
        Join::Join
    }

    fn ingest(&self, _: Request) -> Outcome {
        Outcome::completed()
    }
}

fn message() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        Just("-c set ".to_owned()),
        Just("-c SET".to_owned()),
        Just("-i ".to_owned()),
        Just("-c help".to_owned()),
        Just("hydra-ack".to_owned()),
        Just(" = ".to_owned()),
        "[a-zA-Z0-9_]{0,4}",
        "[ \t=\"\\\\-]{0,3}",
        any::<char>().prop_map(String::from),
        Just("\n".to_owned()),
    ];
    prop::collection::vec(word, 0..8).prop_map(|words| words.concat())
}

fn any_options() -> impl Strategy<Value = Options> {
    let dialect = prop_oneof![Just(Dialect::Doc), Just(Dialect::Seed), Just(Dialect::Head)];
    (dialect, any::<bool>(), any::<bool>()).prop_map(|(dialect, recorded, multiline)| {
        let mut options = if recorded { Options::recorded(dialect) } else { Options::new(dialect) };
        options.multiline = multiline;
        options
    })
}

/// The grammar once more, as a person reads it.
fn naive(text: &str) -> &'static str {
    let bad = |c: char| ['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}'].contains(&c);
    if text.contains(bad) {
        return "none";
    }
    if !text.starts_with("-c") {
        return "ingest";
    }
    let lower = text.to_ascii_lowercase();
    if lower == "-c help" {
        return "help";
    }
    match lower.strip_prefix("-c set") {
        Some(rest) if rest.trim_start_matches([' ', '\t']).is_empty() => "list",
        Some(rest) if rest.contains('=') => "set",
        _ => "none",
    }
}

proptest! {
    #[test]
    fn a_message_is_what_the_grammar_says(text in message()) {
        let kind = match Command::parse(&text, false) {
            Ok(Command::Ingest { id, payload }) => {
                prop_assert!(text.ends_with(payload));
                prop_assert!(id.unwrap_or("").chars().all(|c| c.is_ascii_alphanumeric() || c == '_'));
                prop_assert_eq!(id.is_some(), text.starts_with("-i "));
                "ingest"
            }
            Ok(Command::Set { key, value }) => {
                prop_assert!(!value.contains('='));
                let end = format!("{key}={value}");
                prop_assert!(text.ends_with(&end));
                "set"
            }
            Ok(Command::List) => "list",
            Ok(Command::Help) => "help",
            Err(_) => "none",
        };
        prop_assert_eq!(kind, naive(&text));
    }

    #[test]
    fn every_message_gets_one_reply_that_is_json(
        options in any_options(),
        messages in prop::collection::vec(message(), 0..12),
    ) {
        let options = Arc::new(options);
        let registry = Registry::new();
        registry.register("takes", Arc::new(Takes), UNIX_EPOCH).unwrap();
        let mut session = Session::new(Arc::clone(&options), [], None, 3).unwrap();
        let now = Instant::now();
        for text in messages {
            let mut out = Vec::new();
            let message = Bytes::from(text.clone());
            match session.text(&message, 1, now, &mut out) {
                Step::Replied => {}
                Step::Dropped => prop_assert!(false, "dropped {text:?}"),
                Step::Request(request) => {
                    prop_assert!(text.as_bytes().ends_with(request.payload()));
                    let list = registry.list();
                    let mut flight = Flight::start(vec![request], &list, Arc::clone(&options), now);
                    let mut wake = Context::from_waker(Waker::noop());
                    flight.poll(&mut wake, now, |decided| decided.write(&mut out));
                    prop_assert!(flight.is_done());
                }
            }
            let reply: serde_json::Value = serde_json::from_slice(&out).unwrap();
            prop_assert!(reply.is_object());
        }
        prop_assert!(session.metadata().len() <= options.limits.names);
        let bytes = session.metadata().iter().map(|(k, v)| k.len() + v.len()).sum::<usize>();
        prop_assert!(bytes <= options.limits.metadata);
    }
}
