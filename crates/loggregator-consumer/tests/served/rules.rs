//! The rules of the server, each seen by a client of bare bytes or by ours.

use std::time::Duration;

use loggregator_consumer::client::{
    ClientError, End, Filter, Gap, GapCause, Item, Messages, Proxy, Reason, Stream,
    TokenSource as _, TrafficController, WhenFull,
};
use loggregator_consumer::{dropsonde, sort_recent};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::{Instant, sleep, timeout};

use crate::fake::messages::{self, Numbered};
use crate::fake::{Fake, Fault, SLOW};
use crate::reader::{Fresh, Got, consumer, controller, firehose, gateway};

/// A connection to the server, and a request on it.
async fn ask(fake: &std::sync::Arc<Fake>, path: &str, token: &str) -> Box<dyn Stream> {
    let mut stream = fake.connector().connect("server.test", 80).await.unwrap();
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: server.test\r\nAuthorization: {token}\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    stream
}

/// What comes within so long.
async fn hear(stream: &mut Box<dyn Stream>, time: Duration) -> Vec<u8> {
    let mut heard = Vec::new();
    let until = Instant::now() + time;
    let mut buffer = [0; 4096];
    while let Ok(read) = tokio::time::timeout_at(until, stream.read(&mut buffer)).await {
        match read.unwrap() {
            0 => break,
            read => heard.extend_from_slice(&buffer[..read]),
        }
    }
    heard
}

/// What follows the head.
fn behind_head(heard: &[u8]) -> &[u8] {
    let end = heard.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
    &heard[end + 4..]
}

/// The first item that tells of an end, and what came before it.
async fn to_end<M: Numbered>(stream: &mut Messages<M>) -> (Got, Reason) {
    let mut got = Got::default();
    loop {
        match stream.next().await.unwrap() {
            Item::Ended(reason) | Item::Retrying { error: reason, .. } => return (got, reason),
            item => got.take(item),
        }
    }
}

/// An open stream of an application with one message, and then a fault.
async fn after(fault: Fault) -> (Got, Reason) {
    let fake = Fake::start();
    let mut stream = controller(&fake).0.stream(messages::APP);
    fake.opened(1).await;
    fake.send(1);
    sleep(Duration::from_secs(1)).await; // tidy: sleep paused time, until the message is there
    fake.fault(fault);
    to_end(&mut stream).await
}

#[tokio::test(start_paused = true)]
async fn a_bad_token_is_refused_with_401_and_its_reason() {
    let fake = Fake::start();
    let refused = consumer(&fake).tail(messages::APP, "bearer wrong").await;
    let text = refused.unwrap_err().to_string();
    assert_eq!(text, "Unauthorized error: You are not authorized. Error: Invalid authorization");
    let (client, _) = controller(&fake);
    drop(client);
    let client = TrafficController::builder("ws://controller.test")
        .connector(fake.connector())
        .proxy(Proxy::None)
        .token("bearer wrong")
        .reconnect(false)
        .build();
    let (_, reason) = to_end(&mut client.firehose("sub", Filter::All)).await;
    let Reason::Error(error @ ClientError::UnauthorizedStream(_)) = &reason else {
        panic!("{reason:?}")
    };
    assert_eq!(error.status(), Some(401));
    assert!(error.to_string().contains("not authorized. invalid authorization"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_token_that_ran_out_is_renewed_once_and_remembered() {
    let fake = Fake::start();
    let (client, fresh) = controller(&fake);
    sleep(Duration::from_secs(3600)).await; // tidy: sleep paused time, until the token is old
    for streams in 1..=3 {
        let mut stream = client.stream(messages::APP);
        assert!(matches!(stream.next().await, Some(Item::Connected)));
        assert_eq!(fresh.asked(), 1, "{streams}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_gateways_404_means_that_the_token_may_have_run_out() {
    let fake = Fake::start();
    let mut refused = ask(&fake, "/v2/read?log", "bearer wrong").await;
    let heard = hear(&mut refused, Duration::from_secs(1)).await;
    assert!(heard.starts_with(b"HTTP/1.1 404 "), "{}", String::from_utf8_lossy(&heard));
    let (mut stream, fresh) = gateway(&fake, None);
    assert!(matches!(stream.next().await, Some(Item::Connected)));
    assert_eq!(fresh.token().await.unwrap(), fake.token());
    sleep(Duration::from_secs(3600)).await; // tidy: sleep paused time, until the token is old
    fake.opened(1).await;
    fake.fault(Fault::Drop);
    let mut connected = 0;
    while let Ok(Some(item)) = timeout(Duration::from_secs(60), stream.next()).await {
        connected += usize::from(matches!(item, Item::Connected));
    }
    assert!(connected >= 1, "it never came back");
}

#[tokio::test(start_paused = true)]
async fn pings_come_every_15_s_and_1008_after_30_s_without_a_pong() {
    let fake = Fake::start();
    let token = fake.token();
    let mut silent = ask(&fake, &format!("/apps/{}/stream", messages::APP), &token).await;
    let begun = Instant::now();
    let heard = hear(&mut silent, Duration::from_secs(100)).await;
    assert_eq!(begun.elapsed().as_secs(), 30);
    let text = b"Client did not respond to ping before keep-alive timeout expired.";
    let close = [&[0x88, text.len() as u8 + 2, 0x03, 0xf0], &text[..]].concat();
    assert_eq!(behind_head(&heard), [b"\x89\0\x89\0", &close[..]].concat());
    // A text is no pong: the first generation's keep-alive does not hold the connection.
    let mut talker = ask(&fake, &format!("/tail/?app={}", messages::APP), &token).await;
    for _ in 0..3 {
        talker.write_all(b"\x81\x8a\0\0\0\0I'm alive!").await.unwrap();
        hear(&mut talker, Duration::from_secs(9)).await;
    }
    assert_eq!(hear(&mut talker, Duration::from_secs(100)).await, close);
}

#[tokio::test(start_paused = true)]
async fn our_pongs_and_keep_alives_hold_the_connection_for_hours() {
    let fake = Fake::start();
    let mut tail = consumer(&fake).tail(messages::APP, &fake.token()).await.unwrap();
    let mut stream = controller(&fake).0.stream(messages::APP);
    sleep(Duration::from_secs(5 * 3600)).await; // tidy: sleep paused time is what is tested
    assert_eq!((fake.open(), fake.connections()), (2, 2));
    fake.send(7);
    assert_eq!(tail.message().await.unwrap().number(), 7);
    assert_eq!(stream.message().await.unwrap().number(), 7);
}

#[tokio::test(start_paused = true)]
async fn close_codes_and_texts_are_told() {
    for (code, text) in [(1000, "bye"), (1001, ""), (1008, "policy"), (1011, "oops"), (4000, "x")] {
        let (got, reason) = after(Fault::Close(code, text)).await;
        assert_eq!(got.count(), 1);
        let end = End::Closed { code: Some(code), text: text.to_owned() };
        assert_eq!(reason, Reason::End(end.clone()));
        assert!(!end.may_be_slow_consumer());
        assert_eq!(end.is_keep_alive(), code == 1008);
    }
    let (_, reason) = after(SLOW).await;
    assert!(matches!(reason, Reason::End(end) if end.may_be_slow_consumer()));
}

#[tokio::test(start_paused = true)]
async fn a_drop_in_mid_message_is_an_end_without_a_word() {
    let (got, reason) = after(Fault::Drop).await;
    assert_eq!((got.count(), reason), (1, Reason::End(End::Eof)));
    let fake = Fake::start();
    let (mut stream, _) = gateway(&fake, None);
    fake.opened(1).await;
    fake.fault(Fault::Drop);
    let gap = loop {
        match stream.next().await.unwrap() {
            Item::Gap(gap) => break gap,
            Item::Message(message) => panic!("half a message: {message:?}"),
            _ => {}
        }
    };
    assert_eq!(gap.cause, GapCause::Ended(End::Eof));
}

#[tokio::test(start_paused = true)]
async fn garbage_is_an_item_and_then_an_end() {
    let (got, reason) = after(Fault::Garbage).await;
    assert_eq!((got.count(), got.undecodable), (1, 1));
    assert!(matches!(reason, Reason::End(End::Protocol(_))), "{reason:?}");
}

#[tokio::test(start_paused = true)]
async fn silence_is_seen_after_the_idle_time() {
    let begun = Instant::now();
    let (_, reason) = after(Fault::Silence).await;
    assert_eq!(reason, Reason::End(End::Idle(60_000)));
    assert_eq!(begun.elapsed().as_secs(), 60);
}

/// A client that takes nothing, and one that drops the oldest.
#[tokio::test(start_paused = true)]
async fn who_is_too_slow_is_closed_with_1000_and_told_so() {
    let slow = |when| {
        let fake = Fake::start();
        let fresh = Fresh::of(&fake);
        let client = TrafficController::builder("ws://controller.test")
            .connector(fake.connector())
            .proxy(Proxy::None)
            .token_source(fresh)
            .buffer(100, when)
            .build();
        let stream = client.stream(messages::APP);
        (fake, stream)
    };
    let send = |fake: std::sync::Arc<Fake>| async move {
        fake.opened(1).await;
        (1..=5000).for_each(|number| fake.send(number));
        sleep(Duration::from_secs(10)).await; // tidy: sleep paused time, longer than the server waits
    };
    let (fake, mut stream) = slow(WhenFull::Block);
    send(fake.clone()).await;
    let (got, reason) = to_end(&mut stream).await;
    assert!(matches!(&reason, Reason::End(end) if end.may_be_slow_consumer()), "{reason:?}");
    assert!((100..5000).contains(&got.count()), "{}", got.count());
    let gap = loop {
        if let Item::Gap(gap) = stream.next().await.unwrap() {
            break gap;
        }
    };
    assert!(matches!(gap.cause, GapCause::SlowConsumer(_)), "{gap:?}");
    assert_eq!(gap.after, Some(got.count() as i64));

    let (fake, mut stream) = slow(WhenFull::DropOldest);
    send(fake.clone()).await;
    let (mut taken, mut dropped) = (0, 0);
    while let Some(item) = stream.ready() {
        match item {
            Item::Message(message) => {
                taken += 1;
                assert_eq!(message.number(), taken + dropped);
            }
            Item::Dropped(count) => dropped += count,
            _ => {}
        }
    }
    // What tells that it is connected has a place too.
    assert_eq!((taken, dropped), (99, 4901));
    assert_eq!(fake.connections(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_the_server_says_it_dropped_is_a_gap() {
    let line: dropsonde::Envelope = dropsonde::Envelope {
        origin: Some("doppler".into()),
        event_type: Some(dropsonde::EventType::LOG_MESSAGE),
        log_message: Some(Box::new(dropsonde::LogMessage {
            message: Some(
                "Log message output is too high. 12 messages dropped (Total 12 messages dropped) \
                 from doppler to sub."
                    .into(),
            ),
            message_type: Some(dropsonde::MessageType::ERR),
            timestamp: Some(5),
            source_type: Some("LGR".into()),
            ..Default::default()
        })),
        ..Default::default()
    };
    let counter: dropsonde::Envelope = dropsonde::Envelope {
        origin: Some("doppler".into()),
        event_type: Some(dropsonde::EventType::COUNTER_EVENT),
        counter_event: Some(Box::new(dropsonde::CounterEvent {
            name: Some("TruncatingBuffer.DroppedMessages".into()),
            delta: Some(12),
            total: Some(12),
            ..Default::default()
        })),
        ..Default::default()
    };
    let other = dropsonde::Envelope {
        counter_event: counter.counter_event.clone().map(|mut event| {
            event.delta = Some(3);
            event
        }),
        ..counter.clone()
    };
    let fake = Fake::start();
    let mut stream = firehose(&fake);
    fake.opened(1).await;
    for envelope in [line, counter, other] {
        fake.say(loggregator_consumer::Message::encode(&envelope));
    }
    let mut told = Vec::new();
    while let Ok(Some(item)) = timeout(Duration::from_secs(1), stream.next()).await {
        match item {
            Item::Gap(Gap { cause, .. }) => told.push(format!("{cause:?}")),
            Item::Message(message) => told.push(message.event_type().0.to_string()),
            _ => {}
        }
    }
    // The line and its counter are one loss.
    assert_eq!(told, ["Dropped(12)", "5", "7", "Dropped(3)", "7"]);
}

#[tokio::test(start_paused = true)]
async fn the_gateway_beats_every_15_s_and_closes_after_14_min_with_a_word() {
    let fake = Fake::start();
    let mut stream = ask(&fake, "/v2/read?log", &fake.token()).await;
    let begun = Instant::now();
    let heard = hear(&mut stream, Duration::from_secs(3600)).await;
    assert_eq!(begun.elapsed().as_secs(), 14 * 60);
    let heard = String::from_utf8(heard).unwrap();
    assert_eq!(heard.matches("event: heartbeat").count(), 55);
    assert!(heard.ends_with("0\r\n\r\n"), "{heard}");
    assert!(heard.contains("event: closing"), "{heard}");
}

#[tokio::test(start_paused = true)]
async fn a_subscription_is_shared_and_an_applications_stream_is_not() {
    let fake = Fake::start();
    let mut streams = vec![firehose(&fake), firehose(&fake)];
    streams.push(controller(&fake).0.firehose("other", Filter::All));
    streams.extend([1, 2].map(|_| controller(&fake).0.stream(messages::APP)));
    fake.opened(5).await;
    (1..=100).for_each(|number| fake.send(number));
    sleep(Duration::from_secs(1)).await; // tidy: sleep paused time, until all is there
    let counts: Vec<_> = streams
        .iter_mut()
        .map(|stream| {
            let mut got = Got::default();
            std::iter::from_fn(|| stream.ready()).for_each(|item| got.take(item));
            got.count()
        })
        .collect();
    assert_eq!(counts, [50, 50, 100, 100, 100]);
}

#[tokio::test(start_paused = true)]
async fn what_is_kept_is_given_by_recent_and_sorted() {
    let fake = Fake::start();
    (1..=130).rev().for_each(|number| fake.send(number));
    let mut recent = consumer(&fake).recent(messages::APP, &fake.token()).await.unwrap();
    assert_eq!((recent.truncated, recent.undecodable), (false, 0));
    sort_recent(&mut recent.messages);
    let numbers: Vec<_> = recent.messages.iter().map(Numbered::number).collect();
    assert_eq!(numbers, (1..=100).collect::<Vec<_>>());
    let refused = consumer(&fake).recent(messages::APP, "").await;
    assert!(matches!(refused, Err(ClientError::Unauthorized(_))), "{refused:?}");
}
