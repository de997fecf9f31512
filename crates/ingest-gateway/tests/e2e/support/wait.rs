//! Waiting for a condition, with an end.

use std::time::{Duration, Instant};

/// After this long a condition that still does not hold is a failure.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(3);

/// Looks until there is something to see.
pub(crate) fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + DEADLINE;
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        std::thread::sleep(PAUSE); // tidy: sleep between two looks
    }
}

/// Looks until the value has stood still for `quiet`, and gives it out.
pub(crate) fn until_still<T: PartialEq>(
    what: &str,
    quiet: Duration,
    mut look: impl FnMut() -> T,
) -> T {
    let mut last = (look(), Instant::now());
    until(what, || {
        let now = look();
        if now != last.0 {
            last = (now, Instant::now());
        }
        (last.1.elapsed() >= quiet).then_some(())
    });
    last.0
}
