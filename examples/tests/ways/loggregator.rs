//! The sample consumer against a server of the first generation.

use std::sync::Arc;

use tokio::runtime::Runtime;

use crate::fake::{Fake, SLOW, Who, messages};
use crate::support::{Beside, ended, example};

#[test]
fn the_sample_consumer() {
    let runtime = Runtime::new().unwrap();
    let fake = Arc::new(Fake::new().with_tokens(&[("bearer good", Who::User)]));
    let url = format!("ws://{}", runtime.block_on(fake.listen()).unwrap());
    let sample = |token: &str| {
        let mut command = example("loggregator_sample");
        command.arg(&url).env("CF_ACCESS_TOKEN", token).env("APP_GUID", messages::APP);
        command
    };
    let (fine, _, why) = ended(&mut sample("bearer bad"), "");
    assert!(!fine && why.contains("You are not authorized"), "{why}");

    // What was said before is sorted by time; the server does not.
    for number in [3, 1, 2] {
        fake.send(number);
    }
    let mut program = Beside::start(&mut sample("bearer good"));
    assert_eq!(program.line(), "recent: 3");
    for number in 1..=3 {
        assert_eq!(program.line(), format!("{number} [App] line {number} \u{e9}"));
    }
    assert_eq!(program.line(), "tail:");
    runtime.block_on(fake.opened(1));
    for number in 4..=9 {
        fake.send(number);
        assert_eq!(program.line(), format!("{number} [App] line {number} \u{e9}"));
    }
    fake.fault(SLOW);
    assert_eq!(program.end(), "");
}
