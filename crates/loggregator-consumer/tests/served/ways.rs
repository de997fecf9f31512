//! What happens to bytes on the way changes nothing.

use std::sync::Arc;
use std::time::Duration;

use crate::fake::{Fake, messages};
use crate::reader::{Drive, controller, firehose, gateway, read};

#[tokio::test(start_paused = true)]
async fn event_streams_are_read_wherever_their_chunks_end() {
    for chunk in (1..20).chain([63, 64, 65, 1000]) {
        let mut fake = Fake::new();
        fake.chunk = chunk;
        let fake = Arc::new(fake);
        let drive = Drive {
            time: Duration::from_secs(40),
            every: Duration::from_millis(500),
            faults: Vec::new(),
        };
        let got = read(&fake, gateway(&fake, None).0, drive).await;
        assert_eq!((got.count(), got.gaps.len(), got.undecodable), (80, 0, 0), "{chunk}");
    }
}

#[tokio::test(start_paused = true)]
async fn lagging_connections_cost_nothing() {
    for lags in [[0, 1900], [1900, 0], [700, 800]] {
        let lags = lags.map(Duration::from_millis);
        let fake = || Arc::new(Fake::new().with_lags(lags.to_vec()));
        let drive = || Drive::hours(1, &[]);
        for shard in [None, Some("s")] {
            let fake = fake();
            let got = read(&fake, gateway(&fake, shard).0, drive()).await;
            assert_eq!((got.check(&fake.sent(), Duration::ZERO), got.gaps), (0, vec![]));
            assert!(fake.connections() >= 4);
        }
        let server = fake();
        let got = read(&server, firehose(&server), drive()).await;
        assert_eq!((got.check(&server.sent(), Duration::ZERO), got.out_of_order), (0, 0));
        let server = fake();
        let got = read(&server, controller(&server).0.stream(messages::APP), drive()).await;
        assert_eq!((got.check(&server.sent(), Duration::ZERO), got.out_of_order), (0, 0));
    }
}
