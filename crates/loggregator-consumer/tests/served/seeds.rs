//! Faults at random, for every kind of stream, on connections that lag differently.
//!
//! `INGESTRY_SEED` runs one seed; `INGESTRY_SEEDS` that many, in place of 4.

use std::time::Duration;

use crate::fake::{Fake, Fault, SLOW, messages};
use crate::reader::{Drive, Fresh, Got, consumer, controller, firehose, gateway, read};

/// The longest that anything is on its way.
const LAG: Duration = Duration::from_secs(2);
const HOURS: u64 = 2;

/// A sequence of choices: the same for the same seed.
struct Choices(u64);

impl Choices {
    fn next(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

fn choices(seed: u64) -> Choices {
    Choices(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
}

/// A server whose connections lag, and what goes wrong with it.
fn server(seed: u64) -> (std::sync::Arc<Fake>, Drive) {
    let mut choices = choices(seed);
    let lags = (0..4).map(|_| Duration::from_millis(choices.next(2000))).collect();
    let faults = (0..choices.next(9)).map(|_| {
        let anywhere = 1 + choices.next(HOURS * 3600 - 700);
        // Half of them about the time at which the gateway closes its streams.
        let renewal = (1 + choices.next(8)) * 810 + choices.next(70);
        let at = if choices.next(2) == 0 { anywhere } else { renewal };
        let fault = match choices.next(7) {
            0 => Fault::Drop,
            1 => Fault::Down(Duration::from_secs(1 + choices.next(300))),
            2 => Fault::Unavailable(Duration::from_secs(1 + choices.next(300))),
            3 => Fault::Silence,
            4 => Fault::Garbage,
            5 => SLOW,
            _ => Fault::Close(1001, "going away"),
        };
        (at, fault)
    });
    let faults = faults.collect();
    let every = Duration::from_millis(1000 + choices.next(4000));
    let fake = std::sync::Arc::new(Fake::new().with_lags(lags));
    (fake, Drive { time: Duration::from_secs(HOURS * 3600), every, faults })
}

/// What holds for every stream and seed. Gives how many were missing.
fn check(name: &str, seed: u64, fake: &Fake, got: &Got, faults: usize) -> usize {
    let missing = got.check(&fake.sent(), LAG);
    // A gap is no excuse for everything: each fault costs one or two, of a time that it can take
    // to see it and to connect again.
    assert!(got.gaps.len() <= 2 * faults, "{name} {seed}: {:?}", got.gaps);
    let most = u32::try_from(2 * faults).unwrap() * Duration::from_secs(300 + 130);
    assert!(got.time() <= most, "{name} {seed}: {:?}", got.time());
    assert!(got.count() + missing == fake.sent().len());
    missing
}

async fn all(seed: u64) -> usize {
    let mut missing = 0;
    for kind in ["gateway, shared", "gateway", "firehose", "stream", "tail"] {
        let (fake, drive) = server(seed);
        let faults = drive.faults.len();
        println!("seed {seed}, {kind}: {:?}", drive.faults);
        let got = match kind {
            "gateway, shared" => read(&fake, gateway(&fake, Some("s")).0, drive).await,
            "gateway" => read(&fake, gateway(&fake, None).0, drive).await,
            "firehose" => read(&fake, firehose(&fake), drive).await,
            "stream" => read(&fake, controller(&fake).0.stream(messages::APP), drive).await,
            _ => read(&fake, consumer(&fake).follow(messages::APP, Fresh::of(&fake)), drive).await,
        };
        missing += check(kind, seed, &fake, &got, faults);
        if kind != "gateway, shared" && kind != "gateway" {
            assert_eq!(got.out_of_order, 0, "{kind} {seed}");
        }
    }
    missing
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap())
}

#[test]
fn every_message_comes_once_or_a_gap_covers_it() {
    let seeds: Vec<u64> = match number("INGESTRY_SEED") {
        Some(seed) => vec![seed],
        None => (1..=number("INGESTRY_SEEDS").unwrap_or(4)).collect(),
    };
    let mut missing = 0;
    for seed in &seeds {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_all().start_paused(true).build().unwrap();
        missing += runtime.block_on(all(*seed));
    }
    println!("{} seeds: {missing} messages were missing, and all of them covered", seeds.len());
    assert!(seeds.len() < 3 || missing > 0, "the faults cost nothing, and so prove nothing");
}
