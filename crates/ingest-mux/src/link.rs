//! Keeping a link alive: run it, and when it breaks, run it again after a while.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::destination::{LinkError, SharedDestination, Trouble};
use crate::lease::Leases;
use crate::sync::lock;

/// First wait after an attempt that did not get through.
const FIRST: Duration = Duration::from_millis(100);
/// A lease that is held longer ends the link.
const LEASE_TIME: Duration = Duration::from_secs(60);

/// Runs a link until the output is closed.
pub(crate) async fn supervise(destination: SharedDestination, leases: Leases, longest: Duration) {
    let mut wait = Duration::ZERO;
    loop {
        if !pause(&leases, wait).await {
            return;
        }
        let before = with_link(&leases, |link| {
            link.set_connecting();
            link.confirmed
        });
        let outcome = tokio::select! {
            outcome = destination.run(&leases) => outcome,
            () = overdue(&leases) => Err(LinkError::passing("a lease was not confirmed within 60 s")
                .of(Trouble::Stalled)),
        };
        lock(&leases.held).clear();
        let Err(error) = outcome else { return };
        let after = with_link(&leases, |link| {
            link.set_down(&error);
            link.confirmed
        });
        leases.shared.ready.notify_waiters();
        tracing::warn!(
            output = %leases.shared.name, link = leases.link, %error, "A link to a destination broke."
        );
        // Only what got through is a reason to try again at once.
        wait = if after > before {
            Duration::ZERO
        } else if error.lasting {
            longest
        } else {
            (wait * 2).clamp(FIRST, longest)
        };
    }
}

fn with_link<T: Default>(
    leases: &Leases,
    change: impl FnOnce(&mut crate::status::LinkState) -> T,
) -> T {
    lock(&leases.shared.state).links.get_mut(leases.link).map(change).unwrap_or_default()
}

/// Waits between a half and the whole of `wait`; false when the output was closed meanwhile.
async fn pause(leases: &Leases, wait: Duration) -> bool {
    let half = wait / 2;
    let spread = u32::try_from(RandomState::new().hash_one(0) % 1000).unwrap_or(0);
    let until = Instant::now() + half + half * spread / 1000;
    loop {
        if lock(&leases.shared.state).closed {
            return false;
        }
        let now = Instant::now();
        if now >= until {
            return true;
        }
        sleep((until - now).min(FIRST)).await;
    }
}

/// Ends when the link has held a lease for too long.
async fn overdue(leases: &Leases) {
    loop {
        sleep(Duration::from_secs(1)).await;
        if leases.oldest_held().is_some_and(|since| since.elapsed() > LEASE_TIME) {
            return;
        }
    }
}
