//! The default mode: Hydra's document first, and the code's accidents mended. One case for each
//! choice that hydra.md marks:
//!
//! | section | choice | case |
//! | --- | --- | --- |
//! | 0 | `doc` is the default dialect, `head` an option | `the_default_is_the_document` |
//! | 0 | the key is `hydra-validation`, another is inert | `hydra_validation_strategy_does_nothing` |
//! | 0 | an ack that `head` does not know is refused there | `head_refuses_words_that_it_does_not_know` |
//! | 0 | HELP lists the four forms | `help_lists_all_forms_in_one_line` |
//! | 0 | nobody joins | `nobody_there_and_nobody_joins` |
//! | 0, 6.1 | all words of `hydra-ack` | `all_words_of_hydra_ack_are_honoured` |
//! | 0 | `kafka_ingestor` without a broker | the gateway's `the_document_s_sample_and_what_is_missing_for_it` |
//! | 0 | origins and hosts | `strangers_are_refused_on_sockets_and_http_alike` |
//! | 1 | no upgrade: 400 | `a_plain_request_for_a_socket_is_told_so_in_every_dialect` |
//! | 1 | `head` takes fields with `hydra-` | `head_takes_fields_with_the_prefix_and_the_dash` |
//! | 2 | `multiline` | `line_terminators_are_an_option` |
//! | 2.2 | an id for each message | `every_message_without_an_id_gets_its_own` |
//! | 3.1 | listings in order | `a_listing_is_in_the_order_of_setting` |
//! | 3.2 | `echo` | `the_document_s_sample`, `echo_is_an_option` |
//! | 4 | binary: 400, the session stays | `a_bad_message_costs_itself_and_not_the_session` |
//! | 4 | fragments are joined | `fragments` |
//! | 4 | frames, time and size are limited | `too_many_frames_cost_the_message_and_not_the_session`, `a_slow_message_is_refused_and_its_rest_dropped`, `violations` |
//! | 4 | the first message is not lost | `a_message_right_behind_the_handshake` |
//! | 4 | close frames are answered | `closing_handshakes` |
//! | 4 | pings, and 1001 for silence | `silence_is_pinged_and_then_closed` |
//! | 4 | never drop | `a_client_that_does_not_read_is_held_back_and_loses_nothing` |
//! | 5.1 | errors are 500 | `errors_are_500_and_the_highest_code_counts` |
//! | 5.2 | the highest code | `errors_are_500_and_the_highest_code_counts` |
//! | 0, 5.2 | a name in the path pins | `without_a_name_everybody_is_asked_and_with_one_only_that_ingestor` |
//! | 6 | an unknown validation is strict | `an_unknown_validation_is_strict` |
//! | 6.1 | `persisted`: on disk | the gateway's `what_was_reported_survives_a_kill` |
//! | 6.1 | `explicit`: delivered | the gateway's `explicit_waits_for_the_destinations` |
//! | 7 | a name in an HTTP path pins | `a_name_in_an_http_path_pins` |
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::task::{Context, Waker};
use std::time::{Duration, Instant, UNIX_EPOCH};

use bytes::Bytes;
use hydra_ws::http::{Answer, Route, begin, route};
use hydra_ws::{
    Ack, Dialect, Failure, FailureKind, Flight, Ingestor, Join, Options, Outcome, Registry,
    Request, Session, SessionError, Step, Validation,
};

/// Joins if the payload does not say otherwise, fails if it says so, and keeps what it gets.
#[derive(Default)]
struct Stub(Mutex<Vec<Request>>);

impl Ingestor for Stub {
    fn join(&self, request: &Request) -> Join {
        if request.payload().trim_ascii_start().starts_with(b"ignore") {
            Join::Ignore
        } else {
            Join::Join
        }
    }

    fn ingest(&self, request: Request) -> Outcome {
        let payload = String::from_utf8(request.payload().to_vec()).unwrap();
        self.0.lock().unwrap().push(request);
        match payload.trim() {
            "explode" => Outcome::failed(Failure::error("boom").caused_by("inner")),
            "hie" => Outcome::failed(Failure::new(FailureKind::Ingestion, "boom2")),
            "bad" => Outcome::failed(Failure::invalid("no")),
            "hang" => Outcome::later(std::future::pending()),
            _ => Outcome::completed(),
        }
    }
}

struct Server {
    options: Arc<Options>,
    registry: Registry,
    stubs: Vec<Arc<Stub>>,
}

impl Server {
    fn new(options: Options, names: &[&str]) -> Self {
        let registry = Registry::new();
        let stubs = names.iter().map(|name| {
            let stub = Arc::new(Stub::default());
            registry.register(name, Arc::clone(&stub) as _, UNIX_EPOCH).unwrap();
            stub
        });
        Self { options: Arc::new(options), stubs: stubs.collect(), registry }
    }

    fn connect(&self, path: &str, fields: &[(&str, &str)]) -> Client<'_> {
        let Route::WebSocket(name) = route("GET", path, true, true, &self.options, &self.registry)
        else {
            panic!("{path} is no web socket");
        };
        let options = Arc::clone(&self.options);
        let session = Session::new(options, fields.iter().copied(), name.as_deref(), 99).unwrap();
        Client { server: self, session, now: Instant::now() }
    }

    fn got(&self, stub: usize) -> Vec<String> {
        let got = self.stubs[stub].0.lock().unwrap();
        got.iter().map(|r| String::from_utf8(r.payload().to_vec()).unwrap()).collect()
    }

    fn last(&self) -> Request {
        self.stubs[0].0.lock().unwrap().last().unwrap().clone()
    }

    fn post(&self, path: &str, fields: &[(&str, &str)], body: &'static str) -> Answer {
        let name = match route("POST", path, false, true, &self.options, &self.registry) {
            Route::Ingest(name) => name,
            Route::Answer(answer) => return answer,
            other => panic!("{other:?}"),
        };
        let body = Bytes::from_static(body.as_bytes());
        let query = path.split_once('?').map(|(_, query)| query);
        let (ingest, request) =
            match begin(&self.options, fields.iter().copied(), name.as_deref(), query, body, 1) {
                Ok(begun) => begun,
                Err(answer) => return answer,
            };
        let mut answer = None;
        let options = Arc::clone(&self.options);
        let now = Instant::now();
        let mut flight = Flight::start(vec![request], &self.registry.list(), options, now);
        flight.poll(&mut Context::from_waker(Waker::noop()), now, |decided| {
            answer = Some(ingest.answer(&decided));
        });
        answer.unwrap()
    }
}

struct Client<'a> {
    server: &'a Server,
    session: Session,
    now: Instant,
}

impl Client<'_> {
    fn say(&mut self, text: &str) -> String {
        self.say_in(text, 1)
    }

    fn say_in(&mut self, text: &str, frames: u32) -> String {
        let mut out = Vec::new();
        let message = Bytes::copy_from_slice(text.as_bytes());
        if let Step::Request(request) = self.session.text(&message, frames, self.now, &mut out) {
            let list = self.server.registry.list();
            let options = Arc::clone(&self.server.options);
            let mut flight = Flight::start(vec![request], &list, options, self.now);
            let mut wake = Context::from_waker(Waker::noop());
            flight.poll(&mut wake, self.now, |decided| decided.write(&mut out));
            while let Some(deadline) = flight.deadline() {
                self.now = deadline;
                flight.poll(&mut wake, deadline, |decided| decided.write(&mut out));
            }
        }
        String::from_utf8(out).unwrap()
    }
}

fn doc() -> Server {
    Server::new(Options::default(), &["kafka_ingestor"])
}

fn id_of(report: &str) -> String {
    let value: serde_json::Value = serde_json::from_str(report).unwrap();
    value["requestId"].as_str().unwrap().to_owned()
}

/// The sample interaction of Hydra's document, byte for byte but for the id.
#[test]
fn the_document_s_sample() {
    let server = doc();
    let mut client = server.connect("/ws-ingest/kafka_ingestor", &[]);
    assert_eq!(
        client.say("-c set hydra-kafka-topic = test-topic"),
        r#"{"status":200,"message":"OK[HYDRA-KAFKA_TOPIC=test-topic]"}"#
    );
    assert_eq!(
        client.say("-c set hydra-ack = explicit"),
        r#"{"status":200,"message":"OK[HYDRA-ACK=explicit]"}"#
    );
    let report = client.say(r#"{"name":"test","value":"test"}"#);
    assert_eq!(
        report.replacen(&id_of(&report), "GrnuqJBX", 1),
        r#"{"requestId":"GrnuqJBX","status":{"code":200,"message":"OK"},"ingestors":{"kafka_ingestor":{"code":200,"message":"OK"}}}"#
    );
    let report = client.say(r#"-i 122 {"name":"test","value":"test"}"#);
    assert_eq!(id_of(&report), "122");
    // The echo alone is spelt differently (3.2).
    assert_eq!(
        client.say("-c SET "),
        r#"{"status":200,"message":"HYDRA-KAFKA-TOPIC -> test-topic;HYDRA-ACK -> explicit"}"#
    );
    assert_eq!(server.last().metadata().get("hydra-kafka-topic"), Some("test-topic"));
    assert_eq!(server.last().ack(), Ack::Replicated);
}

#[test]
fn the_default_is_the_document() {
    let options = Options::default();
    assert_eq!(options.dialect, Dialect::Doc);
    assert_eq!(options.compat, hydra_ws::Compat::Document);
    assert_eq!(options.echo, hydra_ws::Echo::Document);
    let head = Server::new(Options::new(Dialect::Head), &["a"]);
    let report = head.connect("/ws-ingest", &[]).say("-i 1 p");
    assert_eq!(report, r#"{"correlationId":"1","ingestors":{"a":{"code":200,"message":"OK"}}}"#);
}

#[test]
fn hydra_validation_strategy_does_nothing() {
    let server = doc();
    let mut client = server.connect("/ws-ingest", &[("hydra-validation-strategy", "relaxed")]);
    client.say("p");
    assert_eq!(server.last().validation(), Validation::Strict);
    assert!(client.say("-c set").contains("HYDRA-VALIDATION-STRATEGY -> relaxed"));
}

#[test]
fn head_refuses_words_that_it_does_not_know() {
    let server = Server::new(Options::new(Dialect::Head), &["a"]);
    let mut client = server.connect("/ws-ingest", &[]);
    client.say("-c set hydra-ack = persisted");
    let reply = client.say("-c set hydra-ack = explicit");
    assert_eq!(
        reply,
        r#"{"message":"BAD REQUEST[hydra-ack=explicit] is not a valid ack strategy.","status":400}"#
    );
    client.say("p");
    assert_eq!(server.last().ack(), Ack::Persisted, "what was set stays");
}

/// The table above names cases that there are, here or beside it.
#[test]
fn every_choice_has_its_case() {
    let here = include_str!("document.rs");
    let others = [
        include_str!("server/conformance.rs"),
        include_str!("server/http.rs"),
        include_str!("server/limits.rs"),
    ];
    let rows = here.lines().filter_map(|line| line.strip_prefix("//! | ")).skip(2);
    let mut count = 0;
    for row in rows {
        let cases = row.rsplit(" | ").next().unwrap();
        for name in cases.split(", ").filter(|name| !name.starts_with("the gateway's ")) {
            let case = format!("fn {}(", name.trim_end_matches(" |").trim_matches('`'));
            let found = here.contains(&case) || others.iter().any(|file| file.contains(&case));
            assert!(found, "{case} of {row}");
            count += 1;
        }
    }
    assert!(count >= 25, "{count} cases were looked for");
}

#[test]
fn echo_is_an_option() {
    let mut options = Options::default();
    options.echo = hydra_ws::Echo::Code;
    let server = Server::new(options, &[]);
    let reply = server.connect("/ws-ingest", &[]).say("-c set hydra-kafka-topic = t");
    assert!(reply.contains("OK[HYDRA-KAFKA-TOPIC=t]"), "{reply}");
    for dialect in [Dialect::Seed, Dialect::Head] {
        let server = Server::new(Options::new(dialect), &[]);
        let reply = server.connect("/ws-ingest", &[]).say("-c set hydra-kafka-topic = t");
        assert!(reply.contains("OK[HYDRA-KAFKA-TOPIC=t]"), "{reply}");
    }
}

#[test]
fn without_a_name_everybody_is_asked_and_with_one_only_that_ingestor() {
    for dialect in [Dialect::Doc, Dialect::Seed, Dialect::Head] {
        let server = Server::new(Options::new(dialect), &["a_ingestor", "b_ingestor"]);
        server.connect("/ws-ingest", &[]).say("to all");
        let mut pinned = server.connect("/ws-ingest/b_ingestor", &[]);
        pinned.say("to b");
        // It shows in the listing only if it was set, and a SET changes it.
        assert!(pinned.say("-c set").contains(r#""message":"""#));
        pinned.say("-c set hydra-ingestor = a_ingestor");
        pinned.say("to a");
        assert!(pinned.say("-c set").contains("HYDRA-INGESTOR -> a_ingestor"));
        assert_eq!(server.got(0), ["to all", "to a"], "{dialect:?}");
        assert_eq!(server.got(1), ["to all", "to b"], "{dialect:?}");
        let reply = server.connect("/ws-ingest/nobody", &[]).say("-i 1 x");
        match dialect {
            Dialect::Head => assert_eq!(reply, r#"{"correlationId":"1","ingestors":{}}"#),
            _ => assert!(reply.contains("No ingestor named nobody was found in the registry.")),
        }
    }
}

#[test]
fn a_plain_request_for_a_socket_is_told_so_in_every_dialect() {
    for dialect in [Dialect::Doc, Dialect::Seed, Dialect::Head] {
        let options = Options::new(dialect);
        let registry = Registry::new();
        for path in ["/ws-ingest", "/ws-ingest/x"] {
            let Route::Answer(answer) = route("GET", path, false, true, &options, &registry) else {
                panic!("{path}");
            };
            assert_eq!(answer.status, 400);
            assert_eq!(answer.body, b"Expected WebSocket Upgrade request");
            // Off is checked before the upgrade.
            let Route::Answer(off) = route("GET", path, false, false, &options, &registry) else {
                panic!("{path}");
            };
            assert_eq!((off.status, off.content_type), (409, "application/json"));
            let body: &[u8] = match dialect {
                Dialect::Head => br#"{"message":"Web Socket not available.","status":409}"#,
                _ => br#"{"status":409,"message":"Websocket not available."}"#,
            };
            assert_eq!(off.body, body);
        }
    }
}

#[test]
fn help_lists_all_forms_in_one_line() {
    let server = doc();
    let help = server.connect("/ws-ingest", &[]).say("-c HELP");
    for form in ["-c SET name = value", "-c SET;", "-c HELP", "-i id payload"] {
        assert!(help.contains(form), "{help}");
    }
    assert!(help.starts_with(r#"{"status":200,"message":""#) && !help.contains("\\n"), "{help}");
}

#[test]
fn every_message_without_an_id_gets_its_own() {
    let server = doc();
    let mut client = server.connect("/ws-ingest", &[]);
    let ids: HashSet<_> = (0..100).map(|_| id_of(&client.say("p"))).collect();
    assert_eq!(ids.len(), 100);
    assert!(ids.iter().all(|id| id.len() == 8 && id.bytes().all(|b| b.is_ascii_alphanumeric())));
    let server = Server::new(Options::new(Dialect::Head), &["a"]);
    let report = server.connect("/ws-ingest", &[]).say("p");
    assert!(report.starts_with(r#"{"correlationId":"0""#), "{report}");
}

#[test]
fn a_listing_is_in_the_order_of_setting() {
    let server = doc();
    let mut client = server.connect("/ws-ingest", &[("hydra-z", "0")]);
    for name in ["f", "e", "d", "c", "b", "a"] {
        client.say(&format!("-c set {name} = 1"));
    }
    client.say("-c set e = 2");
    let list = client.say("-c set");
    assert!(list.contains("\"HYDRA-Z -> 0;F -> 1;E -> 2;D -> 1;C -> 1;B -> 1;A -> 1\""), "{list}");
}

#[test]
fn head_takes_fields_with_the_prefix_and_the_dash() {
    let server = Server::new(Options::new(Dialect::Head), &[]);
    let fields = [("Hydra-A", "x"), ("hydrant", "y"), ("other", "z"), ("hydra-ack", "persisted")];
    let list = server.connect("/ws-ingest", &fields).say("-c set");
    assert_eq!(list, r#"{"message":"HYDRA-A -> x;hydra-ack -> Persisted","status":200}"#);
    let bad = [("hydra-ack", "explicit")];
    let refused = Session::new(Arc::new(Options::new(Dialect::Head)), bad, None, 1);
    assert_eq!(refused.unwrap_err(), SessionError::Ack("explicit".into()));
}

#[test]
fn all_words_of_hydra_ack_are_honoured() {
    let server = doc();
    let mut client = server.connect("/ws-ingest", &[]);
    for (word, ack) in [
        ("none", Ack::None),
        ("persisted", Ack::Persisted),
        ("explicit", Ack::Replicated),
        ("replicated", Ack::Replicated),
        ("whatever", Ack::None),
    ] {
        client.say(&format!("-c set hydra-ack = {word}"));
        client.say("p");
        assert_eq!(server.last().ack(), ack, "{word}");
        server.post("/ingest", &[("Hydra-Ack", word)], "p");
        assert_eq!(server.last().ack(), ack, "{word} over HTTP");
    }
}

#[test]
fn an_unknown_validation_is_strict() {
    let server = doc();
    let mut client = server.connect("/ws-ingest", &[("hydra-validation", "relaxed")]);
    client.say("p");
    assert_eq!(server.last().validation(), Validation::Relaxed);
    client.say("-c set hydra-validation = bogus");
    client.say("p");
    assert_eq!(server.last().validation(), Validation::Strict);
    let answer = server.post("/ingest", &[("hydra-validation", "bogus")], "p");
    assert_eq!(answer.status, 200);
    assert_eq!(server.last().validation(), Validation::Strict);
}

#[test]
fn a_bad_message_costs_itself_and_not_the_session() {
    for dialect in [Dialect::Doc, Dialect::Seed, Dialect::Head] {
        let server = Server::new(Options::new(dialect), &["a"]);
        let mut client = server.connect("/ws-ingest", &[]);
        client.say("-c set a = b");
        let now = client.now;
        let mut out = Vec::new();
        assert!(matches!(client.session.binary(now, &mut out), Step::Replied));
        assert!(String::from_utf8(out).unwrap().contains("Binary messages are not supported."));
        let mut out = Vec::new();
        assert!(matches!(client.session.slow(now, &mut out), Step::Replied));
        assert!(String::from_utf8(out).unwrap().contains("Timeout on frame buffer reached."));
        let reply = client.say_in("x", 51);
        assert!(reply.contains("Frame limit reached after frame number 50."), "{reply}");
        assert!(reply.contains("\"status\":400"), "{reply}");
        assert_eq!(client.session.paused_until(), None);
        assert!(!client.session.is_given_up());
        assert!(client.say("-c set").contains("A -> b"));
        // What comes in pieces is one message.
        client.say_in("in pieces", 50);
        assert_eq!(server.got(0), ["in pieces"]);
    }
}

#[test]
fn errors_are_500_and_the_highest_code_counts() {
    let server = Server::new(Options::default(), &["a", "b"]);
    let mut client = server.connect("/ws-ingest/a", &[]);
    let report = client.say("-i 1 explode");
    assert_eq!(
        report,
        r#"{"requestId":"1","status":{"code":500,"message":"Internal Server Error"},"ingestors":{"a":{"code":500,"message":"boom"}}}"#
    );
    assert!(client.say("hie").contains(r#""a":{"code":500,"message":"boom2"}"#));
    assert!(client.say("bad").contains(r#""status":{"code":400,"message":"Bad Request"}"#));

    struct Unwell;
    impl Ingestor for Unwell {
        fn join(&self, _: &Request) -> Join {
            Join::Join
        }
        fn ingest(&self, _: Request) -> Outcome {
            Outcome::failed(Failure::unavailable("later"))
        }
    }
    server.registry.register("c", Arc::new(Unwell), UNIX_EPOCH).unwrap();
    let mut client = server.connect("/ws-ingest", &[]);
    let report: serde_json::Value = serde_json::from_str(&client.say("explode")).unwrap();
    assert_eq!(report["status"]["code"], 503);
    assert_eq!(report["ingestors"]["a"]["code"], 500);
    assert_eq!(report["ingestors"]["c"]["message"], "later");
}

#[test]
fn time_is_up_for_those_who_have_not_answered() {
    struct Quick;
    impl Ingestor for Quick {
        fn join(&self, _: &Request) -> Join {
            Join::Join
        }
        fn ingest(&self, _: Request) -> Outcome {
            Outcome::completed()
        }
    }
    let server = Server::new(Options::default(), &["slow"]);
    server.registry.register("quick", Arc::new(Quick), UNIX_EPOCH).unwrap();
    let mut client = server.connect("/ws-ingest", &[]);
    let before = client.now;
    let report = client.say("-i 1 hang");
    assert_eq!(client.now - before, Duration::from_secs(3));
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    assert_eq!(report["status"]["code"], 408);
    assert_eq!(report["status"]["message"], "No ingestors completed the request in 3 seconds.");
    assert_eq!(report["ingestors"]["slow"]["code"], 408);
    assert_eq!(report["ingestors"]["quick"]["code"], 200);
}

#[test]
fn nobody_there_and_nobody_joins() {
    let empty = Server::new(Options::default(), &[]);
    let report = empty.connect("/ws-ingest", &[]).say("-i 1 x");
    assert_eq!(report, r#"{"requestId":"1","status":{"code":400,"message":"Bad Request"}}"#);
    let server = doc();
    let report = server.connect("/ws-ingest", &[]).say("-i 1 ignore");
    assert_eq!(report, r#"{"requestId":"1","status":{"code":200,"message":"OK"}}"#);
    let head = Server::new(Options::new(Dialect::Head), &["a"]);
    let answer = head.post("/ingest?correlationId=7", &[], "ignore");
    assert_eq!((answer.status, &*answer.reason), (404, "No ingestors joined this request."));
    assert_eq!(answer.body, br#"{"correlationId":"7","ingestors":{}}"#);
}

#[test]
fn a_name_in_an_http_path_pins() {
    let server = Server::new(Options::default(), &["a", "b"]);
    assert_eq!(server.post("/ingest/b", &[], "one").status, 200);
    assert_eq!(server.post("/ingest/", &[], "two").status, 200);
    assert_eq!(
        (server.got(0), server.got(1)),
        (vec!["two".into()], vec!["one".into(), "two".into()])
    );
    let missing = server.post("/ingest/nope", &[], "x");
    assert_eq!(missing.body, br#"{"status":404,"message":"Ingestor nope not found."}"#);
    let secret = [("Authorization", "Bearer x"), ("Cookie", "y"), ("X-Other", "z")];
    server.post("/ingest/a", &secret, "three");
    let names: Vec<_> = server.last().metadata().iter().map(|(n, _)| n.to_owned()).collect();
    assert_eq!(names, ["x-other"]);
}

#[test]
fn ingestors_come_and_go() {
    let server = doc();
    let mut client = server.connect("/ws-ingest/late_ingestor", &[]);
    assert!(client.say("one").contains("\"code\":404"));
    let late = Arc::new(Stub::default());
    server.registry.register("late_ingestor", Arc::clone(&late) as _, UNIX_EPOCH).unwrap();
    assert!(server.registry.register("late_ingestor", late, UNIX_EPOCH).is_err());
    assert!(client.say("two").contains("\"late_ingestor\":{\"code\":200"));
    assert!(server.registry.unregister("late_ingestor"));
    assert!(!server.registry.unregister("late_ingestor"));
    assert!(client.say("three").contains("\"code\":404"));
    for name in ["", "a/b", "a\nb"] {
        assert!(server.registry.register(name, Arc::new(Stub::default()), UNIX_EPOCH).is_err());
    }
}

#[test]
fn line_terminators_are_an_option() {
    let mut options = Options::default();
    options.multiline = true;
    let server = Server::new(options, &["a"]);
    let mut client = server.connect("/ws-ingest", &[]);
    assert!(client.say("{\n  \"a\": 1\n}\n").contains("\"code\":200"));
    assert!(client.say("-c set a = b\nc").contains("\"status\":400"));
    assert_eq!(server.got(0), ["{\n  \"a\": 1\n}\n"]);
}
