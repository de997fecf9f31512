//! The target `client`: [`ClientMachine`] against any server, in any pieces.

use std::time::{Duration, Instant};

use ingest_entry::{Entry, Source, Timestamp};
use ingest_wire::{
    ClientConfig, ClientEvent, ClientMachine, ProtocolError, Secret, SendError, TagId, TagName,
};

use super::script::{self, Choices};
use super::wire;

/// Entries sent as soon as the client is ready.
const FIRST: usize = 5;

/// Lets a client machine hear the bytes: in one piece, in many, and in many with a user that sends,
/// asks and waits in between.
///
/// The first two bytes choose the configuration, the next two how the rest is cut and what the
/// user does. However it is cut, the same is heard; at any time what was sent is acknowledged,
/// outstanding, or was part of a refused block; and what is taken back is what was outstanding.
pub fn client(input: &[u8]) -> Vec<ClientEvent> {
    let Some(([flags, kind], choices, rest)) = script::split(input) else { return Vec::new() };
    let config = ClientConfig {
        tags: vec![TagName::new("alpha").unwrap()],
        tenant: (flags & 4 != 0).then(|| b"tenant".to_vec()),
        compression: flags & 1 != 0,
        plain: flags & 2 != 0,
        window: if flags & 8 == 0 { 4095 } else { 4 },
        buffer: if flags & 16 == 0 { 1 << 20 } else { 100 },
        ..ClientConfig::default()
    };
    let version = 9u16.saturating_sub(u16::from(kind & 0x0F));
    let mut stream = Vec::new();
    if kind & 0xC0 != 0 {
        wire::welcome(version, &mut stream);
    }
    if kind & 0x80 != 0 && !config.plain {
        wire::settle(version, config.compression, &mut stream);
    }
    if kind & 0x80 != 0 && config.compression && !config.plain && version >= 5 {
        wire::compress(rest, choices, &mut stream);
    } else {
        stream.extend_from_slice(rest);
    }
    let due = if config.compression { 2 << 20 } else { 64 << 10 };
    super::within(due + 512 * stream.len(), || {
        let whole = run(&config, &stream, None, false);
        let pieces = run(&config, &stream, Some(choices), false);
        // A pause that is asked for ends with the next bytes, so there pieces matter.
        if !whole.events.iter().any(|event| matches!(event, ClientEvent::Throttle(_))) {
            assert_eq!(whole.error, pieces.error);
            let plain = |event: &&ClientEvent| **event != ClientEvent::Acknowledged;
            assert!(whole.events.iter().filter(plain).eq(pieces.events.iter().filter(plain)));
            assert_eq!(whole.state, pieces.state);
            if !config.compression {
                assert_eq!(whole.out, pieces.out);
            }
        }
        run(&config, &stream, Some(choices), true);
        whole.events
    })
}

/// What came of a run.
struct Run {
    events: Vec<ClientEvent>,
    error: Option<ProtocolError>,
    out: Vec<u8>,
    /// Outstanding, first outstanding, next, sent, acknowledged, unknown.
    state: [u64; 6],
}

fn run(config: &ClientConfig, stream: &[u8], mut cut: Option<Choices>, acts: bool) -> Run {
    let now = Instant::now();
    let mut drive = Drive {
        machine: ClientMachine::new(config.clone(), now),
        now,
        window: usize::from(config.window),
        sent: Vec::new(),
        dittos: Vec::new(),
        in_blocks: 0,
        refused: 0,
        run: Run { events: Vec::new(), error: None, out: Vec::new(), state: [0; 6] },
    };
    let mut rest = stream;
    while !rest.is_empty() && drive.run.error.is_none() {
        let len = cut.as_mut().map_or(rest.len(), |choices| choices.piece(rest.len()));
        let taken = drive.machine.feed(&rest[..len]);
        rest = &rest[taken..];
        let any = drive.turn();
        assert!(taken > 0 || any || drive.run.error.is_some(), "a client that is polled reads on");
        if acts && let Some(choices) = &mut cut {
            drive.act(choices);
            drive.turn();
        }
    }
    drive.finish()
}

struct Drive {
    machine: ClientMachine,
    now: Instant,
    window: usize,
    /// What was sent, by id from 1 on.
    sent: Vec<Entry>,
    /// Sizes of the ditto blocks that are not answered.
    dittos: Vec<u64>,
    /// Entries of all ditto blocks: the window is not for them.
    in_blocks: u64,
    /// Entries of ditto blocks that were not stored.
    refused: u64,
    run: Run,
}

impl Drive {
    /// Takes all events and all output; whether there were any events.
    fn turn(&mut self) -> bool {
        let mut any = false;
        while self.run.error.is_none() {
            match self.machine.poll(self.now) {
                Ok(Some(event)) => self.event(event),
                Ok(None) => break,
                Err(error) => {
                    assert!(!error.to_string().is_empty());
                    assert!(!self.machine.is_ready());
                    self.run.error = Some(error);
                }
            }
            any = true;
            self.check();
        }
        self.transmit();
        any
    }

    fn transmit(&mut self) {
        while let Some(bytes) = self.machine.transmit(self.now).unwrap() {
            assert!(!bytes.is_empty());
            self.run.out.extend_from_slice(&bytes);
        }
        assert_eq!(self.machine.waiting(), 0);
    }

    fn event(&mut self, event: ClientEvent) {
        match &event {
            ClientEvent::Challenge(challenge) => {
                // Hashing is not what is looked at here.
                let quick = ingest_wire::Challenge { iterate: 0, ..*challenge };
                let answered = self.machine.respond(Secret::new("x").respond(&quick));
                self.run.error = answered.err();
            }
            ClientEvent::Ready => {
                assert!(self.machine.is_ready());
                self.transmit();
                for _ in 0..FIRST {
                    self.send();
                }
                if self.machine.server_version().is_some_and(|version| version >= 9) {
                    self.ditto(2);
                }
                let _ = self.machine.ask_tag(TagName::new("late").unwrap(), self.now);
                self.machine.send_state("{}", self.now).unwrap();
            }
            ClientEvent::Tag { name, id: Some(id) } => {
                assert_eq!(self.machine.tag(name), Some(*id))
            }
            ClientEvent::Ditto { stored } => {
                let block = self.dittos.remove(0);
                if !stored {
                    self.refused += block;
                }
            }
            ClientEvent::Throttle(pause) => assert!(*pause <= Duration::from_secs(5)),
            _ => {}
        }
        self.run.events.push(event);
    }

    fn entry(&self, id: usize) -> Entry {
        let ts = Timestamp::from_unix(id as i64, 7).unwrap();
        let mut entry = Entry::new(ts, Source::NONE, TagId(1), id.to_le_bytes().repeat(1 + id % 3));
        let values = self.machine.server_version().is_some_and(|version| version >= 8);
        if values && id.is_multiple_of(2) {
            entry.values.add("n", id as u64).unwrap();
        }
        entry
    }

    fn send(&mut self) {
        let entry = self.entry(self.sent.len() + 1);
        match self.machine.send(entry.as_ref()) {
            Ok(id) => {
                self.sent.push(entry);
                assert_eq!(id, self.sent.len() as u64);
            }
            Err(SendError::WindowFull) => assert!(self.machine.outstanding() > 0),
            Err(SendError::BufferFull | SendError::Throttled | SendError::NotReady) => {}
            Err(error) => panic!("{error}"),
        }
    }

    fn ditto(&mut self, count: usize) {
        let entries: Vec<_> = (1..=count).map(|n| self.entry(self.sent.len() + n)).collect();
        let borrowed: Vec<_> = entries.iter().map(Entry::as_ref).collect();
        match self.machine.send_ditto(&borrowed, self.now) {
            Ok(()) => {
                self.dittos.push(count as u64);
                self.in_blocks += count as u64;
                self.sent.extend(entries);
            }
            Err(error) => assert!(!matches!(error, SendError::Entry(_)), "{error}"),
        }
    }

    /// Something that a user does.
    fn act(&mut self, choices: &mut Choices) {
        match choices.next(10) {
            0..=2 => self.send(),
            3 => self.ditto(1 + choices.next(4)),
            4 => drop(self.machine.force_ack()),
            5 => {
                let name = TagName::new(&format!("tag{}", choices.next(3))).unwrap();
                let _ = self.machine.ask_tag(name, self.now);
            }
            6 => drop(self.machine.send_state("{\"Name\":\"x\"}", self.now)),
            7 => self.machine.relax(),
            8 if self.run.error.is_none() => {
                self.now += Duration::from_millis(1 + choices.next(7_000) as u64);
                if self.machine.deadline().is_some_and(|at| at <= self.now) {
                    self.run.error = self.machine.on_deadline(self.now).err();
                }
            }
            _ => {}
        }
        self.check();
    }

    /// The account: what was sent is somewhere.
    fn check(&self) {
        let (counts, machine) = (self.machine.counts(), &self.machine);
        assert_eq!(counts.sent, self.sent.len() as u64);
        let outstanding = machine.outstanding() as u64;
        assert_eq!(counts.sent, counts.acknowledged + outstanding + self.refused);
        assert_eq!(machine.next_id(), counts.sent + 1);
        assert!(machine.first_outstanding() >= 1);
        assert!(machine.next_id() - machine.first_outstanding() >= outstanding);
        assert_eq!(outstanding == 0, machine.first_outstanding() == machine.next_id());
        assert!(outstanding <= self.window as u64 + self.in_blocks);
    }

    fn finish(mut self) -> Run {
        let counts = self.machine.counts();
        self.run.state = [
            self.machine.outstanding() as u64,
            self.machine.first_outstanding(),
            self.machine.next_id(),
            counts.sent,
            counts.acknowledged,
            counts.unknown_acks,
        ];
        if self.run.error.is_none() {
            self.run.error = self.machine.end().err();
        }
        assert!(!self.machine.is_ready());
        assert_eq!(self.machine.force_ack(), Err(SendError::NotReady));
        let first = self.machine.first_outstanding();
        let outstanding = self.machine.outstanding();
        let back = self.machine.take_unacknowledged();
        assert_eq!((back.len(), self.machine.outstanding()), (outstanding, 0));
        let mut last = first - 1;
        for entry in back {
            let (head, _) = entry.data.split_first_chunk::<8>().unwrap();
            let id = u64::from_le_bytes(*head);
            assert!(id > last, "entries come back in the order in which they were sent");
            assert_eq!(entry, self.sent[id as usize - 1]);
            last = id;
        }
        self.run
    }
}
