//! A server machine with its tags and its clock.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use ingest_entry::{Entry, TagId, TagName};
use ingest_wire::{ProtocolError, Receipt, Secret, ServerConfig, ServerEvent, ServerMachine};

pub(crate) struct Server {
    pub(crate) machine: ServerMachine,
    pub(crate) secret: Secret,
    pub(crate) now: Instant,
    pub(crate) tags: BTreeMap<String, u16>,
    /// Names without a number get the next one, but for this one, which is refused.
    pub(crate) refused: Option<String>,
    pub(crate) received: Vec<Entry>,
    pub(crate) states: usize,
    pub(crate) identities: usize,
    pub(crate) info: String,
    /// Whether entries are confirmed as they come.
    pub(crate) confirms: bool,
    pub(crate) error: Option<ProtocolError>,
    pub(crate) out: Vec<u8>,
}

impl Server {
    pub(crate) fn new(config: ServerConfig, secret: Secret, rand: [u8; 32], iterate: u16) -> Self {
        let now = Instant::now();
        Self {
            machine: ServerMachine::new(config, rand, iterate, now),
            secret,
            now,
            tags: BTreeMap::new(),
            refused: None,
            received: Vec::new(),
            states: 0,
            identities: 0,
            info: String::new(),
            confirms: true,
            error: None,
            out: Vec::new(),
        }
    }

    fn number(&mut self, name: &TagName) -> Option<TagId> {
        if self.refused.as_deref() == Some(name.as_str()) {
            return None;
        }
        let next = self.tags.values().filter(|&&n| n != u16::MAX).max().map_or(1, |n| n + 1);
        let known = self.tags.get(name.as_str()).copied();
        if known.is_none() && self.refused.is_none() {
            return None;
        }
        Some(TagId(*self.tags.entry(name.as_str().to_owned()).or_insert(next)))
    }

    pub(crate) fn hear(&mut self, bytes: &[u8], piece: usize) {
        for piece in bytes.chunks(piece) {
            let mut piece = piece;
            while !piece.is_empty() && !self.is_closed() {
                let taken = self.machine.feed(piece);
                piece = &piece[taken..];
                self.turn();
            }
        }
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.error.is_some() || self.machine.is_over()
    }

    pub(crate) fn turn(&mut self) {
        while self.error.is_none() {
            match self.machine.poll(self.now) {
                Ok(Some(event)) => self.event(event).unwrap(),
                Ok(None) => break,
                Err(error) => self.error = Some(error),
            }
        }
        self.gather();
    }

    fn event(&mut self, event: ServerEvent) -> Result<(), ProtocolError> {
        match event {
            ServerEvent::Response(response) => {
                if response.hash == crate::wire::respond(&self.secret, self.machine.challenge()) {
                    self.machine.authenticated()
                } else {
                    self.machine.refuse(&self.info)
                }
            }
            ServerEvent::Tags(names) => {
                let numbers: Option<Vec<_>> = names.iter().map(|name| self.number(name)).collect();
                match numbers {
                    Some(numbers) => self.machine.assign_tags(&numbers),
                    None => self.machine.refuse_tags(),
                }
            }
            ServerEvent::Tag(name) => match self.number(&name) {
                Some(number) => self.machine.assign_tag(number),
                None => self.machine.refuse_tag(),
            },
            ServerEvent::Entries => {
                let batch = self.machine.batch().expect("a batch behind its event");
                assert_eq!(batch.iter().count(), batch.len());
                self.received.extend(batch.iter().map(|entry| entry.to_entry()));
                let receipt = batch.receipt();
                if self.confirms {
                    self.machine.confirm(receipt, self.now);
                }
                Ok(())
            }
            ServerEvent::State(_) => {
                self.states += 1;
                Ok(())
            }
            ServerEvent::Identified(_) => {
                self.identities += 1;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    pub(crate) fn confirm(&mut self, count: u64) {
        self.machine.confirm(Receipt::from_count(count), self.now);
        self.gather();
    }

    /// Lets time pass, and does what is due then.
    pub(crate) fn until(&mut self, now: Instant) {
        self.now = now;
        while self.error.is_none() && self.machine.deadline().is_some_and(|at| at <= now) {
            self.error = self.machine.on_deadline(now).err();
        }
        self.gather();
    }

    pub(crate) fn wait(&mut self, time: Duration) {
        self.until(self.now + time);
    }

    fn gather(&mut self) {
        let bytes = self.machine.output().unwrap().to_vec();
        self.machine.written(bytes.len());
        self.out.extend_from_slice(&bytes);
    }
}
