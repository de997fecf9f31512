//! Either side of Loggregator, to try the other one with: the server of the tests, or the clients.
//!
//! ```sh
//! cargo run -p loggregator-consumer --example loggregator_peer -- serve 1000
//! cargo run -p loggregator-consumer --example loggregator_peer -- gateway http://127.0.0.1:PORT 'bearer 0' 1000
//! ```
//!
//! `serve COUNT` prints a line of JSON with its address and its token, and sends so many messages,
//! numbered from 1, when somebody reads (`/tail/`, `/apps/…/stream`, `/firehose/…`, `/v2/read`);
//! what was sent is kept for `/recent` and Log Cache. It ends with its standard input. The token is
//! good for an hour; the next is `bearer 1`.
//!
//! `tail`, `recent`, `stream`, `firehose`, `gateway` and `cache` read so many messages from a server,
//! compare each with the message of its number, field by field, and print how many there were.

#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::indexing_slicing, reason = "a program")]
#![allow(dead_code, reason = "the server of the tests does more")]

#[path = "../tests/fake/mod.rs"]
mod fake;

use std::io::Read as _;

use fake::Fake;
use fake::messages::{self, Numbered};
use loggregator_consumer::client::{
    Consumer, Filter, Gateway, Item, LogCache, Messages, Proxy, Query, Read, TrafficController,
};

type Outcome = Result<(), Box<dyn std::error::Error>>;

fn main() -> Outcome {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    match args.as_slice() {
        ["serve", count] => runtime.block_on(serve(count.parse()?)),
        [what, url, token, count] => runtime.block_on(read(what, url, token, count.parse()?)),
        _ => {
            Err("serve COUNT, or tail, recent, stream, firehose, gateway or cache with URL TOKEN \
                  COUNT"
                .into())
        }
    }
}

async fn serve(count: u64) -> Outcome {
    let fake = Fake::start();
    let address = fake.listen().await?;
    println!("{}", serde_json::json!({ "listening": address.to_string(), "token": fake.token() }));
    let sending = async {
        fake.opened(1).await;
        (1..=count).for_each(|number| fake.send(number));
    };
    let ended = tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new()));
    tokio::select! {
        ended = ended => {
            ended??;
        }
        // What is sent stays, for those who ask what was.
        () = async { sending.await; std::future::pending().await } => {}
    }
    Ok(())
}

async fn read(what: &str, url: &str, token: &str, count: u64) -> Outcome {
    let client = TrafficController::builder(url).proxy(Proxy::None).token(token).build();
    let consumer = Consumer::builder(url).proxy(Proxy::None).build();
    match what {
        "tail" => take(consumer.tail(messages::APP, token).await?, count).await?,
        "recent" => {
            let recent = consumer.recent(messages::APP, token).await?;
            if recent.truncated || recent.undecodable > 0 {
                return Err("the answer is not whole".into());
            }
            all(&recent.messages, count)?;
        }
        "stream" => take(client.stream(messages::APP), count).await?,
        "firehose" => take(client.firehose("peer", Filter::All), count).await?,
        "gateway" => {
            let gateway = Gateway::builder(url).proxy(Proxy::None).token(token).build();
            take(gateway.stream(Query::everything()), count).await?;
        }
        "cache" => {
            let cache = LogCache::builder(url).proxy(Proxy::None).token(token).build();
            let wanted = Read { limit: Some(1000), ..Read::default() };
            let batch = cache.read(messages::APP, &wanted).await?;
            if let Some(fault) = batch.fault {
                return Err(fault.into());
            }
            all(&batch.envelopes, count)?;
        }
        _ => return Err(format!("found {what}").into()),
    }
    println!("{}", serde_json::json!({ "what": what, "count": count }));
    Ok(())
}

/// The message of a number, compared with it.
fn compare(message: &impl Numbered, number: u64) -> Outcome {
    let sent = Numbered::sent(number);
    if *message == sent {
        return Ok(());
    }
    Err(format!("in place of {sent:?} there is {message:?}").into())
}

/// The last so many messages, in order.
fn all(messages: &[impl Numbered], count: u64) -> Outcome {
    let first = messages.first().map_or(1, Numbered::number);
    if messages.len() as u64 != count {
        return Err(format!("there are {} messages in place of {count}", messages.len()).into());
    }
    (first..).zip(messages).try_for_each(|(number, message)| compare(message, number))
}

/// So many messages, in order. Everything else that a stream can say is an error here.
async fn take<M: Numbered>(mut stream: Messages<M>, count: u64) -> Outcome {
    let mut taken = 0;
    while taken < count {
        match stream.next().await {
            Some(Item::Message(message)) => {
                taken += 1;
                compare(&message, taken)?;
            }
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
                return Err(format!("{what}, after {taken} of {count} messages").into());
            }
        }
    }
    Ok(())
}
