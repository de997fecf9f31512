//! What the service manager is told, over the socket that it named in `NOTIFY_SOCKET`
//! (sd_notify(3)). Without one, nothing.

use sd_notify::NotifyState;

/// Everything listens, and the log takes entries.
pub(super) fn ready(status: &str) {
    tell(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// The configuration is read again; [`ready`] ends that.
pub(super) fn reloading() {
    let mut states = vec![NotifyState::Reloading];
    states.extend(NotifyState::monotonic_usec_now());
    tell(&states);
}

/// A stop has begun.
pub(super) fn stopping() {
    tell(&[NotifyState::Stopping, NotifyState::Status("Stopping: delivering what is left.")]);
}

/// Shows a sign of life twice as often as is asked for (`WATCHDOG_USEC`), for as long as the
/// runtime goes on.
pub(super) async fn watchdog() {
    let Some(every) = sd_notify::watchdog_enabled() else {
        return std::future::pending().await;
    };
    let mut beats = tokio::time::interval(every / 2);
    loop {
        beats.tick().await;
        tell(&[NotifyState::Watchdog]);
    }
}

fn tell(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::warn!("The service manager cannot be told: {error}");
    }
}
