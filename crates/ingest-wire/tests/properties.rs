//! Properties: pieces of any size make no difference, and no bytes panic or make us remember more
//! than they are.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use ingest_entry::{Entry, Source, Timestamp};
use ingest_wire::{
    AuthResponse, ClientConfig, ClientEvent, ClientMachine, ProtocolError, STATE_AUTHENTICATED,
    STATE_HOT, Secret, ServerConfig, ServerEvent, ServerMachine, StateResponse, TagId, TagName,
    TagRequest, TagResponse, Target, UnknownTags, WireLimits,
};
use proptest::collection::vec;
use proptest::prelude::*;

/// Drives a server over bytes in pieces; what it handed out, its output, how it ended.
fn serve(
    config: ServerConfig,
    bytes: &[u8],
    pieces: &[usize],
) -> (Vec<Entry>, Vec<u8>, Option<ProtocolError>) {
    let now = Instant::now();
    let mut machine = ServerMachine::new(config, [1; 32], 1, now);
    let (mut entries, mut error) = (Vec::new(), None);
    let mut pieces = pieces.iter().copied().chain([usize::MAX]).cycle();
    let mut rest = bytes;
    while !rest.is_empty() && error.is_none() && !machine.is_over() {
        let len = pieces.next().unwrap().clamp(1, rest.len());
        let taken = machine.feed(&rest[..len]);
        assert!(taken > 0, "a server that is served reads on");
        rest = &rest[taken..];
        loop {
            match machine.poll(now) {
                Ok(Some(event)) => answer(&mut machine, event, now, &mut entries),
                Ok(None) => break,
                Err(e) => {
                    error = Some(e);
                    break;
                }
            }
        }
    }
    let _ = machine.on_deadline(now + Duration::from_secs(2));
    let _ = machine.end();
    let out = machine.output().unwrap().to_vec();
    (entries, out, error)
}

fn answer(machine: &mut ServerMachine, event: ServerEvent, now: Instant, entries: &mut Vec<Entry>) {
    match event {
        ServerEvent::Response(_) => machine.authenticated().unwrap(),
        ServerEvent::Tags(names) => {
            let numbers: Vec<_> = (1..=names.len() as u16).map(TagId).collect();
            machine.assign_tags(&numbers).unwrap();
        }
        ServerEvent::Tag(name) if name.as_str().len() % 2 == 0 => machine.refuse_tag().unwrap(),
        ServerEvent::Tag(_) => machine.assign_tag(TagId(77)).unwrap(),
        ServerEvent::Entries => {
            let batch = machine.batch().unwrap();
            assert_eq!(batch.iter().count(), batch.len());
            let receipt = batch.receipt();
            entries.extend(batch.iter().map(|entry| entry.to_entry()));
            machine.confirm(receipt, now);
        }
        _ => {}
    }
}

/// What a client says in a whole session that it makes of these steps.
fn session(steps: &[(u8, Vec<u8>)], compression: bool) -> (Vec<u8>, Vec<Entry>) {
    let now = Instant::now();
    let tags = vec![TagName::new("alpha").unwrap()];
    let config = ClientConfig { tags, compression, ..ClientConfig::default() };
    let mut client = ClientMachine::new(config, now);
    let mut server = ServerMachine::new(ServerConfig::default(), [1; 32], 1, now);
    let (mut said, mut sent, mut steps) = (Vec::new(), Vec::new(), steps.iter());
    let mut ignored = Vec::new();
    loop {
        let mut quiet = true;
        let bytes = server.output().unwrap().to_vec();
        server.written(bytes.len());
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            quiet = false;
            let taken = client.feed(rest);
            rest = &rest[taken..];
            while let Some(event) = client.poll(now).unwrap() {
                if let ClientEvent::Challenge(challenge) = event {
                    client.respond(Secret::new("x").respond(&challenge)).unwrap();
                }
            }
        }
        if client.is_ready()
            && let Some((kind, data)) = steps.next()
        {
            quiet = false;
            let ts = Timestamp::from_unix(i64::from(*kind), 7).unwrap();
            let mut entry = Entry::new(ts, Source::NONE, TagId(1), data.clone());
            entry.values.add("n", data.len() as u64).unwrap();
            match kind % 6 {
                0 => client.force_ack().unwrap(),
                1 => client.ask_tag(TagName::new("late").unwrap(), now).unwrap(),
                2 => client.send_state("{}", now).unwrap(),
                3 => {
                    let twice = [entry.as_ref(), entry.as_ref()];
                    client.send_ditto(&twice, now).unwrap();
                    sent.extend([entry.clone(), entry]);
                }
                _ => {
                    client.send(entry.as_ref()).unwrap();
                    sent.push(entry);
                }
            }
        }
        while let Some(bytes) = client.transmit(now).unwrap() {
            quiet = false;
            said.extend_from_slice(&bytes);
            let mut rest = &bytes[..];
            while !rest.is_empty() {
                let taken = server.feed(rest);
                rest = &rest[taken..];
                while let Some(event) = server.poll(now).unwrap() {
                    answer(&mut server, event, now, &mut ignored);
                }
            }
        }
        if quiet {
            assert_eq!(client.outstanding(), 0);
            return (said, sent);
        }
    }
}

/// The bytes of a client up to the stream.
fn greeting() -> Vec<u8> {
    let mut bytes = Vec::new();
    let challenge = ServerMachine::new(ServerConfig::default(), [1; 32], 1, Instant::now());
    let hash = Secret::new("x").respond(challenge.challenge());
    AuthResponse { hash, tenant: None }.encode(9, &mut bytes).unwrap();
    let tags = Some(vec!["alpha".to_owned()]);
    TagRequest { count: 1, tags }.encode(4096, &mut bytes).unwrap();
    StateResponse { id: STATE_HOT, info: String::new() }.encode(4096, &mut bytes).unwrap();
    bytes
}

/// Arbitrary bytes with words of the protocol among them.
fn commands() -> impl Strategy<Value = Vec<u8>> {
    let word = proptest::sample::select(vec![
        0xC7C9_5ACB_u32,
        0x1ADF_7350,
        0x8877_0001,
        0x1867_5300,
        0x2279_3400,
        0x2233_4400,
        0x3344_5500,
        0x4455_6600,
        0xDDCC_BBAA,
        0xF6E0_307E,
        0xBDEA_CC1E,
        0x8877_0008,
        0x1867_5301,
        0x2279_3401,
        0x2233_4401,
        0x3344_5501,
        0x4455_6601,
        0x5566_7788,
        0,
        1,
        5,
    ]);
    let part = prop_oneof![
        4 => word.prop_map(|word| word.to_le_bytes().to_vec()),
        2 => vec(any::<u8>(), 0..60),
        1 => (0usize..80).prop_map(|len| vec![0; len]),
    ];
    vec(part, 0..30).prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    #[test]
    fn pieces_make_no_difference(
        steps in vec((any::<u8>(), vec(any::<u8>(), 0..300)), 0..40),
        pieces in vec(1usize..700, 0..20),
        compression in any::<bool>(),
    ) {
        let (said, sent) = session(&steps, compression);
        let (whole, _, error) = serve(ServerConfig::default(), &said, &[]);
        prop_assert_eq!(error, None);
        prop_assert_eq!(&whole, &sent);
        let (split, _, error) = serve(ServerConfig::default(), &said, &pieces);
        prop_assert_eq!(error, None);
        prop_assert_eq!(&split, &sent);
        let (bytewise, _, _) = serve(ServerConfig::default(), &said, &[1, 1, 1, 1, 1, 1, 1, 1]);
        prop_assert_eq!(&bytewise, &sent);
    }

    #[test]
    fn no_bytes_panic_a_server(
        bytes in commands(),
        pieces in vec(1usize..50, 0..10),
        greeted in any::<bool>(),
        set_up in any::<bool>(),
        policy in 0..3,
    ) {
        let mut all = Vec::new();
        if greeted {
            all.extend(greeting());
            if set_up {
                all.extend([0x00, 0x44, 0x33, 0x22, 9, 0, 0x00, 0x55, 0x44, 0x33, 1, 0, 0, 0, 0x10]);
            }
        }
        all.extend(&bytes);
        let unknown_tags =
            [UnknownTags::Refuse, UnknownTags::AsDefault, UnknownTags::Accept][policy as usize];
        let config = ServerConfig { unknown_tags, ..ServerConfig::default() };
        let (entries, out, error) = serve(config.clone(), &all, &[]);
        let (again, out_again, error_again) = serve(config, &all, &pieces);
        prop_assert_eq!(entries, again);
        prop_assert_eq!(error, error_again);
        // A compressed stream has other chunks.
        if !set_up {
            prop_assert_eq!(out, out_again);
        }
    }

    #[test]
    fn no_bytes_panic_a_client(
        bytes in commands(),
        pieces in vec(1usize..50, 1..10),
        version in 0u16..11,
        greeted in any::<bool>(),
        compression in any::<bool>(),
    ) {
        let now = Instant::now();
        let tags = vec![TagName::new("alpha").unwrap()];
        let config = ClientConfig { tags, compression, ..ClientConfig::default() };
        let mut client = ClientMachine::new(config, now);
        let mut all = Vec::new();
        if greeted {
            all = vec![0; 34];
            all.extend(version.to_le_bytes());
            let state = StateResponse { id: STATE_AUTHENTICATED, info: String::new() };
            state.encode(4096, &mut all).unwrap();
            let numbers = Some(BTreeMap::from([("alpha".to_owned(), 1)]));
            TagResponse { count: 1, tags: numbers }.encode(4096, &mut all).unwrap();
        }
        all.extend(&bytes);
        let (mut rest, mut pieces) = (&all[..], pieces.iter().copied().cycle());
        'feeding: while !rest.is_empty() {
            let taken = client.feed(&rest[..pieces.next().unwrap().min(rest.len())]);
            prop_assert!(taken > 0);
            rest = &rest[taken..];
            loop {
                match client.poll(now) {
                    Ok(Some(ClientEvent::Challenge(challenge))) => {
                        client.respond(Secret::new("x").respond(&challenge)).unwrap();
                    }
                    Ok(Some(ClientEvent::Ready)) => {
                        let entry = Entry::new(Timestamp::UNIX_EPOCH, Source::NONE, TagId(1), "x");
                        client.send(entry.as_ref()).unwrap();
                    }
                    Ok(Some(_)) => {}
                    Ok(None) => break,
                    Err(_) => break 'feeding,
                }
            }
            while client.transmit(now).unwrap().is_some() {}
        }
        let _ = client.on_deadline(now + Duration::from_secs(60));
        let _ = client.end();
        prop_assert!(client.take_unacknowledged().len() <= 1);
    }

    #[test]
    fn no_text_panics_a_target(text in "(tcp|tls|pipe|x)?(://)?[\\[\\]:a-z0-9./ ]{0,20}") {
        if let Ok(target) = text.parse::<Target>() {
            prop_assert_eq!(target.to_string().parse::<Target>(), Ok(target));
        }
    }
}

#[test]
fn declared_lengths_are_refused_or_waited_for_without_memory() {
    let limits = WireLimits { entry: ingest_entry::Limits::FORMAT, ..WireLimits::default() };
    let config = ServerConfig { limits, ..ServerConfig::default() };
    let now = Instant::now();
    let mut machine = ServerMachine::new(config, [1; 32], 1, now);
    let mut bytes = greeting();
    bytes.extend(0xC7C9_5ACB_u32.to_le_bytes());
    bytes.extend(0x3FFF_FFFF_u32.to_le_bytes());
    bytes.extend([0; 200]);
    let mut entries = Vec::new();
    machine.feed(&bytes);
    while let Some(event) = machine.poll(now).unwrap() {
        answer(&mut machine, event, now, &mut entries);
    }
    assert!(machine.space().len() <= 8192);
    assert!(machine.end().is_err());
}

#[test]
fn a_server_stops_reading_when_nothing_is_confirmed() {
    let limits = WireLimits { unconfirmed: 3, buffer: 8 << 10, ..WireLimits::default() };
    let config = ServerConfig { limits, ..ServerConfig::default() };
    let now = Instant::now();
    let mut machine = ServerMachine::new(config, [1; 32], 1, now);
    let mut bytes = greeting();
    let mut frame = 0xC7C9_5ACB_u32.to_le_bytes().to_vec();
    frame.extend([0; 34]);
    for id in 1..=1000u64 {
        bytes.extend(&frame);
        bytes.extend(id.to_le_bytes());
    }
    let (mut at, mut taken) = (0, 0);
    loop {
        let now_taken = machine.feed(&bytes[at..]);
        at += now_taken;
        let mut events = 0;
        while let Some(event) = machine.poll(now).unwrap() {
            events += 1;
            if event == ServerEvent::Entries {
                taken += machine.batch().unwrap().len();
            } else {
                answer(&mut machine, event, now, &mut Vec::new());
            }
        }
        if events == 0 && now_taken == 0 {
            break;
        }
    }
    assert_eq!((taken, machine.unconfirmed()), (3, 3));
    assert!(at < bytes.len(), "not all was read");
    assert!(machine.space().is_empty());
}

/// A client that asks and asks, and reads nothing: each row is a command with a reply, and whether
/// the set-up is over.
#[test]
fn a_server_stops_answering_a_client_that_does_not_read() {
    let commands: [(&str, bool, &[u8]); 8] = [
        ("a tag with a bad name", true, &[0x00, 0x53, 0x67, 0x18, 1, 0, 0, 0, b'.']),
        ("a state message", true, &[0x00, 0x66, 0x55, 0x44, 0, 0, 0, 0]),
        ("an empty ditto block", true, &[0xAA, 0xBB, 0xCC, 0xDD, 0, 0, 0, 0, 0, 0, 0, 0]),
        ("a ping", true, &[0x01, 0x00, 0x77, 0x88]),
        ("an early ping", false, &[0x01, 0x00, 0x77, 0x88]),
        ("a version", false, &[0x00, 0x44, 0x33, 0x22, 3, 0]),
        ("a name", false, &[0x00, 0x34, 0x79, 0x22, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
        ("a question", false, &[0x00, 0x55, 0x44, 0x33]),
    ];
    for (what, set_up, command) in commands {
        let limits = WireLimits { replies: 600, buffer: 8 << 10, ..WireLimits::default() };
        let config = ServerConfig { limits, accepting: false, ..ServerConfig::default() };
        let now = Instant::now();
        let mut machine = ServerMachine::new(config, [1; 32], 1, now);
        let mut bytes = greeting();
        if set_up {
            bytes.extend([0x50, 0x73, 0xDF, 0x1A]);
        } else if what == "a question" {
            bytes.extend([0x00, 0x44, 0x33, 0x22, 9, 0]);
        }
        for _ in 0..5_000 {
            bytes.extend(command);
        }
        let (mut at, mut read) = (0, 0);
        // Deaf: it stops at the limit. Once the client reads, all of it is answered.
        for deaf in [true, false] {
            loop {
                let taken = machine.feed(&bytes[at..]);
                at += taken;
                let mut events = 0;
                while let Some(event) = machine.poll(now).unwrap() {
                    events += 1;
                    answer(&mut machine, event, now, &mut Vec::new());
                }
                let waiting = machine.output().unwrap().len();
                assert!(waiting < 600 + 12, "{what}: {waiting} bytes wait");
                if !deaf {
                    read += waiting;
                    machine.written(waiting);
                }
                if events == 0 && taken == 0 && (deaf || waiting == 0) {
                    break;
                }
            }
            assert_eq!(at < bytes.len(), deaf, "{what}: {at} of {} bytes were heard", bytes.len());
        }
        assert!(read >= 5_000 * 4, "{what}: {read} bytes of replies");
    }
}
