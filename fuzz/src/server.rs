//! The target `server`: [`ServerMachine`] against any client, in any pieces.

use std::time::{Duration, Instant};

use ingest_entry::{Entry, Limits};
use ingest_wire::{
    Identity, IngesterState, ProtocolError, Receipt, ServerConfig, ServerEvent, ServerMachine,
    TagId, TagName, UnknownTags, WireLimits,
};

use super::script::{self, Choices};
use super::{entry, wire};

/// What a server heard, entry by entry, however they were handed out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// An answer to the challenge.
    Response(Option<Vec<u8>>),
    /// The tags at the start.
    Tags(Vec<TagName>),
    /// The end of the handshake.
    Hot,
    /// Who the client is.
    Identified(Identity),
    /// An entry.
    Entry(Entry),
    /// A tag in the stream.
    Tag(TagName),
    /// A state message.
    State(Vec<u8>),
}

/// How the machine's user behaves.
#[derive(Debug, Clone, Copy)]
struct Manners {
    confirms: Confirms,
    /// The client reads only when nothing else goes on.
    deaf: bool,
    refuses: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Confirms {
    AtOnce,
    Half,
    Late,
    Never,
}

/// What came of a run.
struct Run {
    heard: Vec<Heard>,
    error: Option<ProtocolError>,
    out: Vec<u8>,
    /// Where the output of the handshake ends.
    hot_at: Option<usize>,
}

/// Lets a server machine hear the bytes, once in one piece and once in many.
///
/// The first two bytes choose the configuration and how its user behaves, the next two how the
/// rest is cut. However it is cut, the same is heard and the same is answered; no limit is passed;
/// each acknowledgement is that of a confirmed entry; a served machine reads on.
pub fn server(input: &[u8]) -> Vec<Heard> {
    let Some(([flags, policy], choices, rest)) = script::split(input) else { return Vec::new() };
    let config = config(flags, policy);
    let mut stream = Vec::new();
    if policy & 0xC0 != 0 {
        wire::greeting(&mut stream);
    }
    if policy & 0x80 != 0 {
        wire::set_up(&mut stream);
        wire::compress(rest, choices, &mut stream);
    } else {
        stream.extend_from_slice(rest);
    }
    let manners = Manners {
        confirms: [Confirms::AtOnce, Confirms::Half, Confirms::Late, Confirms::Never]
            [usize::from(policy & 3)],
        deaf: policy & 4 != 0,
        refuses: policy & 0x18 == 0x18,
    };
    let due = if config.compression {
        (2 << 20) + 512 * stream.len()
    } else {
        (16 << 10) + 128 * stream.len()
    };
    let (whole, pieces) = super::within(due, || {
        (run(&config, manners, &stream, None), run(&config, manners, &stream, Some(choices)))
    });
    assert_eq!(whole.error, pieces.error);
    assert_eq!(whole.heard, pieces.heard);
    assert_eq!(whole.hot_at, pieces.hot_at);
    let at = whole.hot_at.unwrap_or(whole.out.len());
    assert_eq!(whole.out[..at], pieces.out[..at]);
    let (whole_replies, replies) =
        (wire::replies(&whole.out[at..]), wire::replies(&pieces.out[at..]));
    assert_eq!(whole_replies, replies);
    whole.heard
}

fn config(flags: u8, policy: u8) -> ServerConfig {
    let limits = WireLimits {
        entry: Limits { max_data: 256, max_values: 256 },
        tag_request: 256,
        tags: 3,
        identity: 16,
        state_message: 64,
        stream_configuration: 64,
        ditto_entries: 6,
        ditto_bytes: 500,
        unconfirmed: 5,
        replies: 64,
        buffer: 8 << 10,
        ..WireLimits::default()
    };
    ServerConfig {
        version: 9u16.saturating_sub(u16::from(flags & 0x0F)),
        accepting: policy & 0x20 == 0,
        compression: flags & 0x10 == 0,
        unknown_tags: [UnknownTags::Refuse, UnknownTags::AsDefault, UnknownTags::Accept]
            [usize::from(flags >> 6) % 3],
        limits: if flags & 0x20 == 0 { WireLimits::default() } else { limits },
        ..ServerConfig::default()
    }
}

fn run(config: &ServerConfig, manners: Manners, stream: &[u8], mut cut: Option<Choices>) -> Run {
    let now = Instant::now();
    let machine = ServerMachine::new(config.clone(), [1; 32], 1, now);
    let (limits, compression) = (config.limits, config.compression);
    let run = Run { heard: Vec::new(), error: None, out: Vec::new(), hot_at: None };
    let mut drive =
        Drive { machine, now, limits, compression, manners, run, entries: 0, confirmed: 0 };
    let mut rest = stream;
    while !rest.is_empty() && !drive.is_over() {
        let len = cut.as_mut().map_or(rest.len(), |choices| choices.piece(rest.len()));
        let taken = drive.machine.feed(&rest[..len]);
        rest = &rest[taken..];
        let progress = drive.turn();
        if taken == 0 && !progress && !drive.unblock() {
            break;
        }
    }
    drive.finish(rest.is_empty())
}

struct Drive {
    machine: ServerMachine,
    now: Instant,
    limits: WireLimits,
    compression: bool,
    manners: Manners,
    run: Run,
    entries: u64,
    confirmed: u64,
}

impl Drive {
    fn is_over(&self) -> bool {
        self.run.error.is_some() || self.machine.is_over()
    }

    /// Takes all events; whether there were any.
    fn turn(&mut self) -> bool {
        let mut any = false;
        while self.run.error.is_none() {
            match self.machine.poll(self.now) {
                Ok(Some(event)) => self.event(event),
                Ok(None) => break,
                Err(error) => {
                    assert!(self.machine.is_over());
                    assert_eq!(self.machine.poll(self.now), Ok(None));
                    assert!(!error.to_string().is_empty());
                    self.run.error = Some(error);
                }
            }
            any = true;
            self.check();
            if !self.manners.deaf {
                self.write();
            }
        }
        if !self.manners.deaf {
            self.write();
        }
        any
    }

    fn event(&mut self, event: ServerEvent) {
        let machine = &mut self.machine;
        let heard = match event {
            ServerEvent::Response(response) => {
                if self.manners.refuses {
                    machine.refuse("no").unwrap();
                } else {
                    machine.authenticated().unwrap();
                }
                Heard::Response(response.tenant)
            }
            ServerEvent::Tags(names) => {
                assert!(names.len() <= self.limits.tags as usize);
                let numbers: Vec<_> = (1..=names.len() as u16).map(TagId).collect();
                assert!(machine.assign_tag(TagId(1)).is_err());
                machine.assign_tags(&numbers).unwrap();
                Heard::Tags(names)
            }
            ServerEvent::Hot => Heard::Hot,
            ServerEvent::Identified(identity) => Heard::Identified(identity),
            ServerEvent::Tag(name) => {
                if name.as_str().len() % 2 == 0 {
                    machine.refuse_tag().unwrap();
                } else {
                    machine.assign_tag(TagId(500 + name.as_str().len() as u16)).unwrap();
                }
                Heard::Tag(name)
            }
            ServerEvent::State(json) => {
                assert!(json.len() <= self.limits.state_message as usize);
                if let Ok(state) = IngesterState::from_json(&json) {
                    let again = IngesterState::from_json(state.to_json().unwrap().as_bytes());
                    assert_eq!(again, Ok(state));
                }
                Heard::State(json.to_vec())
            }
            ServerEvent::Entries => return self.entries(),
            event => panic!("an event that this target does not know: {event:?}"),
        };
        if heard == Heard::Hot {
            assert!(self.machine.is_hot());
            self.write();
            self.run.hot_at = Some(self.run.out.len());
        }
        self.run.heard.push(heard);
    }

    fn entries(&mut self) {
        let batch = self.machine.batch().expect("a batch behind its event");
        assert!(!batch.is_empty());
        let mut count = 0;
        for found in &batch {
            assert!(found.data.len() <= self.limits.entry.max_data as usize);
            assert!(found.values.as_bytes().len() <= self.limits.entry.max_values as usize);
            entry::check(&found);
            self.run.heard.push(Heard::Entry(found.to_entry()));
            count += 1;
        }
        assert_eq!(count, batch.len());
        self.entries += count as u64;
        let receipt = batch.receipt();
        assert_eq!(receipt.count(), self.machine.counts().entries);
        match self.manners.confirms {
            Confirms::AtOnce => self.confirm(receipt.count()),
            Confirms::Half => self.confirm(receipt.count() / 2),
            Confirms::Late | Confirms::Never => {}
        }
    }

    fn confirm(&mut self, count: u64) {
        self.confirmed = self.confirmed.max(count);
        self.machine.confirm(Receipt::from_count(count), self.now);
    }

    /// The limits, and the account.
    fn check(&mut self) {
        let counts = self.machine.counts();
        assert_eq!(counts.entries, self.entries);
        assert_eq!(counts.confirmed, self.confirmed);
        let unconfirmed = self.machine.unconfirmed();
        assert!(unconfirmed <= u64::from(self.limits.unconfirmed));
        if self.run.error.is_none() {
            assert_eq!(unconfirmed, counts.entries - counts.confirmed);
        }
        // Over the limit by what one command, or confirming all that may be unconfirmed, adds.
        let slack = 64 + 24 * self.limits.unconfirmed as usize;
        if self.run.hot_at.is_some() && !self.compression {
            let waiting = self.machine.output().unwrap().len();
            assert!(waiting <= self.limits.replies + slack, "{waiting} bytes of replies wait");
        }
    }

    /// Writes all that waits.
    fn write(&mut self) {
        let out = self.machine.output().unwrap();
        self.run.out.extend_from_slice(out);
        let len = out.len();
        self.machine.written(len);
        assert!(self.machine.output().unwrap().is_empty());
    }

    /// Does what the machine may wait for; whether there was anything.
    fn unblock(&mut self) -> bool {
        if !self.machine.output().unwrap().is_empty() {
            self.write();
            return true;
        }
        if self.machine.unconfirmed() > 0 && self.manners.confirms != Confirms::Never {
            let all = self.machine.counts().entries;
            self.confirm(all);
            return true;
        }
        assert!(self.manners.confirms == Confirms::Never, "a server that is served reads on");
        assert_eq!(self.machine.unconfirmed(), u64::from(self.limits.unconfirmed));
        false
    }

    /// Confirms, waits, ends.
    fn finish(mut self, all_read: bool) -> Run {
        while all_read && !self.is_over() {
            self.write();
            if self.machine.unconfirmed() > 0 && self.manners.confirms != Confirms::Never {
                let all = self.machine.counts().entries;
                self.confirm(all);
            }
            self.turn();
            if self.machine.unconfirmed() == 0 || self.manners.confirms == Confirms::Never {
                break;
            }
        }
        self.write();
        let before = self.run.out.len();
        self.time();
        let output = self.machine.output().unwrap().len();
        assert!(output <= 64, "time alone makes a server say a PONG, no more");
        let was_over = self.is_over();
        let end = self.machine.end();
        assert!(self.machine.is_over());
        if let Err(error) = end
            && !was_over
        {
            self.run.error = Some(error);
        }
        if let Some(at) = self.run.hot_at {
            let (acks, _) = wire::replies(&self.run.out[at..before]);
            assert!(acks.len() as u64 <= 2 * self.confirmed + 1 + dittos(&acks));
        }
        self.machine.relax();
        self.run
    }

    /// Deadlines are met, and do not come again at the same time.
    fn time(&mut self) {
        for _ in 0..3 {
            let Some(at) = self.machine.deadline() else {
                assert!(self.is_over());
                return;
            };
            assert!(at > self.now, "a deadline that has passed");
            assert!(at <= self.now + Duration::from_secs(601));
            self.now = at;
            if self.machine.on_deadline(at).is_err() {
                assert!(self.machine.is_over());
                return;
            }
        }
    }
}

fn dittos(acks: &[(u32, u64)]) -> u64 {
    acks.iter().filter(|(word, _)| *word == 0x5566_7788).count() as u64
}
