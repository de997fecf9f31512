//! The destinations: gateways of their own, honest ones, that take entries by the Gravwell protocol
//! and keep them. They are killed, stalled and started again while the program under test runs.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Instant;

use anyhow::{Context as _, Result};
use rustix::process::Signal;

use super::delivery::Output;
use super::plan::{Act, Deed, Policy, Spread};
use super::program::{Gateway, Place, Program};

/// What happened to destinations.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Harm {
    pub(crate) kills: u32,
    pub(crate) stalls: u32,
    pub(crate) wakings: u32,
    /// Some were stalled at the end, and could confirm nothing.
    pub(crate) stalled_at_the_end: u32,
    /// Some were up, and not stalled, at the end.
    pub(crate) up_at_the_end: u32,
}

/// The destinations of one directory.
#[derive(Debug)]
pub(crate) struct Fleet {
    program: Program,
    pub(crate) spread: Spread,
    nodes: Vec<Node>,
}

#[derive(Debug)]
struct Node {
    place: Place,
    address: Option<SocketAddr>,
    running: Option<Gateway>,
    stalled: bool,
    /// How often it was killed.
    kills: u32,
}

impl Fleet {
    /// Starts them, in new directories below `work` whose names begin with `name`.
    pub(crate) fn start(
        program: &Program,
        work: &Path,
        name: &str,
        spread: Spread,
    ) -> Result<Self> {
        let (binary, source) = (program.binary.clone(), program.source);
        let program = Program { binary, source, plant: None, beacon: None };
        let node = |number: u32| {
            let data = work.join(format!("{name}-destination-{number}"));
            let with = |end: &str| data.with_extension(end);
            let place = Place { ports: with("ports"), output: with("txt"), data: data.clone() };
            Node { place, address: None, running: None, stalled: false, kills: 0 }
        };
        let nodes = (0..spread.places).map(node).collect();
        let mut fleet = Self { program, spread, nodes };
        fleet.wake_all()?;
        Ok(fleet)
    }

    /// Everybody is up and takes entries.
    pub(crate) fn wake_all(&mut self) -> Result<()> {
        self.nodes.iter_mut().try_for_each(|node| node.wake(&self.program))
    }

    /// Does what is planned, each thing at its time, until nobody is there to hear of it.
    pub(crate) fn act(&mut self, acts: &[Act], start: Instant, end: &Receiver<()>) -> Result<Harm> {
        let mut harm = Harm::default();
        for act in acts {
            let left = (start + act.after).saturating_duration_since(Instant::now());
            if end.recv_timeout(left) == Err(RecvTimeoutError::Disconnected) {
                break;
            }
            let Some(node) = self.nodes.get_mut(act.place as usize) else { continue };
            match act.deed {
                Deed::Kill => harm.kills += u32::from(node.kill()?),
                Deed::Stall => harm.stalls += u32::from(node.stall()?),
                Deed::Wake => {
                    harm.wakings += u32::from(node.running.is_none() || node.stalled);
                    node.wake(&self.program)?;
                }
            }
        }
        // Whatever is left of the round.
        let _ = end.recv();
        for node in &self.nodes {
            harm.stalled_at_the_end += u32::from(node.stalled);
            harm.up_at_the_end += u32::from(node.running.is_some() && !node.stalled);
        }
        Ok(harm)
    }

    /// The section of a configuration that sends to them.
    pub(crate) fn config(&self) -> String {
        let target = |node: &Node| node.address.map(|at| format!("\"tcp://{at}\""));
        let targets: Vec<_> = self.nodes.iter().filter_map(target).collect();
        let section = |name: &str, targets: &str, policy: &str| {
            format!(
                "\n[destinations.{name}]\ntype = \"gravwell\"\ntargets = [{targets}]\n\
                 policy = \"{policy}\"\nsecret = \"env:INGEST_SECRET\"\n"
            )
        };
        let name = |at| name_of(self.spread.policy, at);
        match self.spread.policy {
            Policy::Share => section(&name(0), &targets.join(", "), "share"),
            Policy::FailOver => section(&name(0), &targets.join(", "), "fail-over"),
            Policy::Replicate => {
                let each = targets.iter().enumerate();
                each.map(|(at, target)| section(&name(at), target, "share")).collect()
            }
        }
    }

    /// What has arrived: each output, with the name that it has in the configuration.
    pub(crate) fn outputs(&self) -> Result<Vec<(String, Output)>> {
        let mut outputs: Vec<(String, Output)> = Vec::new();
        for (at, node) in self.nodes.iter().enumerate() {
            let lines = self.program.search(&node.place.data)?.lines;
            match outputs.first_mut() {
                Some((_, all)) if self.spread.policy != Policy::Replicate => {
                    all.places.push(lines);
                    all.kills += node.kills;
                }
                _ => {
                    let output = Output { places: vec![lines], kills: node.kills, unkept: 0 };
                    outputs.push((name_of(self.spread.policy, at), output));
                }
            }
        }
        Ok(outputs)
    }

    /// Ends all of them, and removes what they stored.
    pub(crate) fn remove(self) -> Result<()> {
        for node in self.nodes {
            let Node { place, running, .. } = node;
            drop(running);
            std::fs::remove_dir_all(&place.data).context("cannot remove a destination's data")?;
            for file in [&place.ports, &place.output] {
                std::fs::remove_file(file).context("cannot remove a destination's file")?;
            }
        }
        Ok(())
    }
}

/// The name of an output.
fn name_of(policy: Policy, at: usize) -> String {
    match policy {
        Policy::Share | Policy::FailOver => "all".to_owned(),
        Policy::Replicate => format!("copy{at}"),
    }
}

impl Node {
    fn wake(&mut self, program: &Program) -> Result<()> {
        if let Some(gateway) = &self.running {
            if self.stalled {
                gateway.signal(Signal::CONT)?;
                self.stalled = false;
            }
            return Ok(());
        }
        let mut gateway = program.start_destination(&self.place, self.address)?;
        let (address, _) = gateway.ready().context("a destination")?;
        self.address = Some(address);
        self.running = Some(gateway);
        Ok(())
    }

    /// Whether there was somebody to be killed.
    fn kill(&mut self) -> Result<bool> {
        self.stalled = false;
        let Some(gateway) = self.running.take() else { return Ok(false) };
        gateway.kill()?;
        self.kills += 1;
        Ok(true)
    }

    fn stall(&mut self) -> Result<bool> {
        match &self.running {
            Some(gateway) if !self.stalled => {
                gateway.signal(Signal::STOP)?;
                self.stalled = true;
                Ok(true)
            }
            _ => Ok(false),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fleet(policy: Policy) -> Fleet {
        let source = crate::crash::Source::Graphite;
        let program = Program { binary: "none".into(), source, plant: None, beacon: None };
        let node = |port: u16| Node {
            place: Place { data: "d".into(), ports: "p".into(), output: "o".into() },
            address: Some(([127, 0, 0, 1], port).into()),
            running: None,
            stalled: false,
            kills: 0,
        };
        let spread = Spread { places: 2, policy };
        Fleet { program, spread, nodes: vec![node(1), node(2)] }
    }

    #[test]
    fn several_outputs_are_replication() {
        let shared = fleet(Policy::FailOver).config();
        assert!(shared.contains("[\"tcp://127.0.0.1:1\", \"tcp://127.0.0.1:2\"]"), "{shared}");
        assert!(shared.contains("policy = \"fail-over\""), "{shared}");
        let copies = fleet(Policy::Replicate).config();
        assert_eq!(copies.matches("[destinations.copy").count(), 2, "{copies}");
    }
}
