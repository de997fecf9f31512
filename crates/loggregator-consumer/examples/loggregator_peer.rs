//! Either side of Loggregator, to try the other one with: the server of the tests, or the clients.
//!
//! ```sh
//! cargo run -p loggregator-consumer --example loggregator_peer -- serve 1000
//! cargo run -p loggregator-consumer --example loggregator_peer -- gateway http://127.0.0.1:PORT 'bearer 0' 1000
//! ```
//!
//! `serve COUNT` prints a line of JSON with its address, sends so many messages to whoever reads
//! (`/tail/`, `/apps/…/stream`, `/firehose/…`, `/v2/read`), and prints what they add up to in each
//! generation. It ends with its standard input. The token is `bearer 0` for an hour, then
//! `bearer 1`. `tail`, `stream`, `firehose` and `gateway` read so many messages from a server and
//! print what they add up to.

#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::indexing_slicing, reason = "a program")]
#![allow(dead_code, reason = "the server of the tests does more")]

#[path = "../tests/fake/mod.rs"]
mod fake;

use std::io::Read as _;
use std::time::Duration;

use fake::Fake;
use fake::messages::{self, Sum};
use loggregator_consumer::Message;
use loggregator_consumer::client::{
    Consumer, Filter, Gateway, Item, Messages, Proxy, Query, TrafficController,
};

/// The encoding of a message of some generation.
type Encoding = fn(u64) -> Vec<u8>;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    match args.as_slice() {
        ["serve", count] => runtime.block_on(serve(count.parse()?)),
        [what, url, token, count] => runtime.block_on(read(what, url, token, count.parse()?)),
        _ => Err("serve COUNT, or tail, stream, firehose or gateway with URL TOKEN COUNT".into()),
    }
}

fn say(name: &str, sum: Sum) -> serde_json::Value {
    serde_json::json!({ "what": name, "count": sum.count, "sum": sum.sum.to_string() })
}

async fn serve(count: u64) -> Result<(), Box<dyn std::error::Error>> {
    let fake = Fake::start();
    let address = fake.listen().await?;
    println!("{}", serde_json::json!({ "listening": address.to_string(), "token": fake.token() }));
    let sending = async {
        while !fake.is_read() {
            tokio::time::sleep(Duration::from_millis(10)).await; // tidy: sleep until somebody reads
        }
        (1..=count).for_each(|number| fake.send(number));
    };
    let ended = tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new()));
    let (_, ended) = tokio::join!(sending, ended);
    ended??;
    let kinds: [(&str, Encoding); 3] = [
        ("tail", messages::line),
        ("stream", messages::dropsonde),
        ("gateway", |number| messages::v2(number).encode()),
    ];
    for (name, message) in kinds {
        let mut sum = Sum::default();
        (1..=count).for_each(|number| sum.add(&message(number)));
        println!("{}", say(name, sum));
    }
    Ok(())
}

async fn read(
    what: &str,
    url: &str,
    token: &str,
    count: u64,
) -> Result<(), Box<dyn std::error::Error>> {
    let client = TrafficController::builder(url).proxy(Proxy::None).token(token).build();
    let sum = match what {
        "tail" => {
            let consumer = Consumer::builder(url).proxy(Proxy::None).build();
            take(consumer.tail(messages::APP, token).await?, count, Message::encode).await?
        }
        "stream" => take(client.stream(messages::APP), count, Message::encode).await?,
        "firehose" => take(client.firehose("peer", Filter::All), count, Message::encode).await?,
        "gateway" => {
            let gateway = Gateway::builder(url).proxy(Proxy::None).token(token).build();
            take(gateway.stream(Query::everything()), count, Message::encode).await?
        }
        _ => return Err(format!("found {what}").into()),
    };
    println!("{}", say(what, sum));
    Ok(())
}

/// What so many messages add up to. Everything else that a stream can say is an error here.
async fn take<M>(
    mut stream: Messages<M>,
    count: u64,
    encode: impl Fn(&M) -> Vec<u8>,
) -> Result<Sum, Box<dyn std::error::Error>> {
    let mut sum = Sum::default();
    while sum.count < count {
        match stream.next().await {
            Some(Item::Message(message)) => sum.add(&encode(&message)),
            Some(Item::Connected) => {}
            other => {
                let what = match other {
                    Some(Item::Undecodable { error, .. }) => error,
                    Some(Item::Ended(reason) | Item::Retrying { error: reason, .. }) => {
                        reason.to_string()
                    }
                    Some(Item::Gap(gap)) => format!("{gap:?}"),
                    _ => "the stream is over".to_owned(),
                };
                return Err(format!("{what}, after {} of {count} messages", sum.count).into());
            }
        }
    }
    Ok(sum)
}
