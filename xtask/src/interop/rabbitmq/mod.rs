//! RabbitMQ: a publisher, the broker killed and started again in mid-stream, and sums that have to
//! come out.

mod broker;

use std::collections::BTreeSet;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};

use self::broker::Broker;
use super::process::{Gateway, Process, until};
use super::programs::python;
use crate::crash::{Profile, build_with};

const PUBLISHER: &str = include_str!("publisher.py");
const QUEUE: &str = "ingestry";
/// Messages before and after the gateway's own restart.
const FIRST: u64 = 15_000;
const SECOND: u64 = 5_000;
/// Messages that the gateway may hold unacknowledged.
const PREFETCH: u64 = 500;
/// A body that is not UTF-8, which stops carbon's consumer for good; one without an end; nothing.
const ODD: &str = "import pika, sys
channel = pika.BlockingConnection(pika.ConnectionParameters('127.0.0.1', int(sys.argv[1]))).channel()
for key, body in (('odd.bytes', b'\\xff\\xfe 1'), ('odd.long', b'1' * 100000), ('odd.empty', b''),
                  ('', b'1 2'), ('odd.many', b'1 1700000001\\nnothing\\n2 1700000002')):
    channel.basic_publish('graphite', key, body, pika.BasicProperties(delivery_mode=2))
channel.connection.close()
";

pub(crate) fn run() -> Result<()> {
    let python = python(&[("pika", "pika")])?;
    let binary = build_with(Profile::Dev, &["amqp"])?;
    let dir = tempfile::tempdir()?;
    let mut broker = Broker::start(&dir.path().join("broker"))?;
    let config = format!(
        "[admin]\nlisten = \"127.0.0.1:0\"\n[sources.amqp]\ntype = \"amqp\"\ntag = \"graphite\"\n\
         AMQP_HOST = \"127.0.0.1\"\nAMQP_PORT = {}\nqueue = \"{QUEUE}\"\nprefetch = {PREFETCH}\n",
        broker.port
    );
    let gateway = Gateway::configured(&binary, dir.path(), &config)?;
    until("the gateway consumes", || Ok(open(&gateway)? == 1))?;

    let script = dir.path().join("publisher.py");
    std::fs::write(&script, PUBLISHER)?;
    let port = broker.port;
    let publish = |from: u64, to: u64| {
        let mut command = Command::new(&python);
        command.arg(&script).arg(port.to_string()).arg("graphite");
        command.arg(from.to_string()).arg(to.to_string()).stdout(Stdio::inherit());
        Process::start(&mut command)
    };
    // Bodies that are none, first: what follows has to arrive all the same.
    let mut odd = Command::new(&python);
    ensure!(odd.args(["-c", ODD, &broker.port.to_string()]).status()?.success(), "odd bodies");
    let publisher = publish(0, FIRST)?;
    until("some have come", || Ok(accepted(&gateway)? > FIRST / 4))?;
    // The gateway stands still meanwhile, so that what the broker has, and what is here, can be
    // counted together. What is here was on disk when it was acknowledged.
    gateway.pause()?;
    broker.kill()?;
    broker.begin()?;
    publisher.finish("the publisher")?;
    let names = |gateway: &Gateway| -> Result<BTreeSet<String>> {
        let lines = gateway.search()?;
        let of = |line: &String| Some(line.split(' ').next()?.to_owned());
        Ok(lines.iter().filter(|line| line.starts_with("amqp.")).filter_map(of).collect())
    };
    let (ready, unacknowledged) = broker.messages(QUEUE)?;
    let ours = names(&gateway)?.len() as u64;
    let sum = ready + unacknowledged + ours;
    // What is here and was not acknowledged yet is there too, and so is a message whose
    // confirmation the kill has swallowed, which its publisher has sent twice.
    ensure!(
        (FIRST..=FIRST + PREFETCH + 1).contains(&sum) && ready > 0,
        "published {FIRST}; {ready} ready, {unacknowledged} out, {ours} here"
    );
    println!(
        "rabbitmq: killed in mid-stream: {ready} ready + {unacknowledged} unacknowledged + {ours} of \
         ours = {sum}, of which {} are in both, for {FIRST} published",
        sum - FIRST
    );
    gateway.go_on()?;
    until("the queue is empty", || Ok(broker.messages(QUEUE)? == (0, 0)))?;
    let found = names(&gateway)?;
    ensure!(found.len() as u64 == FIRST, "{} of {FIRST} points are there", found.len());
    let (came, connections) = (accepted(&gateway)?, total(&gateway)?);
    ensure!(connections >= 2, "the gateway has not connected again: {connections}");
    println!(
        "rabbitmq: {FIRST} of {FIRST} points, {came} items accepted, {connections} connections"
    );
    let odd: Vec<String> =
        gateway.search()?.into_iter().filter(|line| line.starts_with("odd.")).collect();
    ensure!(odd == ["odd.many 1 1700000001", "odd.many 2 1700000002"], "{odd:?}");

    // While the gateway is away the broker keeps; the sum is exact.
    gateway.stop()?;
    publish(FIRST, FIRST + SECOND)?.finish("the publisher")?;
    let (ready, unacknowledged) = broker.messages(QUEUE)?;
    ensure!((ready, unacknowledged) == (SECOND, 0), "{ready} ready, {unacknowledged} out");
    let gateway = Gateway::configured(&binary, dir.path(), &config)?;
    let mut sums = 0_u64;
    until("the queue is empty", || {
        let (ready, unacknowledged) = broker.messages(QUEUE)?;
        let ours = accepted(&gateway)?;
        // What is out may be ours already, and not acknowledged yet; asked later, ours is more.
        ensure!(ready + unacknowledged + ours >= SECOND, "{ready} + {unacknowledged} + {ours}");
        sums += 1;
        Ok((ready, unacknowledged) == (0, 0))
    })?;
    ensure!(accepted(&gateway)? == SECOND, "{} of {SECOND} came", accepted(&gateway)?);
    ensure!(names(&gateway)?.len() as u64 == FIRST + SECOND, "points are missing");
    println!(
        "rabbitmq: published {SECOND} while away: ready {ready}, then 0 + 0 + {SECOND} of ours \
         ({sums} sums on the way)"
    );
    gateway.stop()
}

fn source(gateway: &Gateway) -> Result<serde_json::Value> {
    let status = gateway.status()?;
    ensure!(status.get("balanced") == Some(&true.into()), "the account does not balance: {status}");
    status.pointer("/sources/0").cloned().context("no source in the status")
}

fn number(gateway: &Gateway, pointer: &str) -> Result<u64> {
    let source = source(gateway)?;
    source.pointer(pointer).and_then(serde_json::Value::as_u64).context("no such number")
}

fn accepted(gateway: &Gateway) -> Result<u64> {
    number(gateway, "/accepted/items")
}

fn open(gateway: &Gateway) -> Result<u64> {
    number(gateway, "/connections/open")
}

fn total(gateway: &Gateway) -> Result<u64> {
    number(gateway, "/connections/total")
}
