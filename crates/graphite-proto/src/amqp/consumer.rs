//! A consumer like carbon's, which acknowledges.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;

use futures_core::Stream as _;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicNackOptions, BasicQosOptions, QueueBindOptions,
    QueueDeclareOptions,
};
use lapin::types::FieldTable;

use super::broker::{AmqpError, Broker, Exchange, Open, short};

/// The settings of a [`Consumer`].
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ConsumerOptions {
    /// Where the exchange is.
    pub broker: Broker,
    /// What messages are published to.
    pub exchange: Exchange,
    /// The queue. `None`, as carbon has it: one of this connection alone, named by the broker, which
    /// goes with it, so that what is published meanwhile is lost. Else one that stays, durable.
    pub queue: Option<String>,
    /// `BIND_PATTERNS`: which routing keys go into the queue; `*` is one word, `#` any number.
    /// Default: `#`.
    pub patterns: Vec<String>,
    /// How many messages may be out and not acknowledged. Default: 1000.
    pub prefetch: u16,
    /// Whether messages are acknowledged; else, as with carbon, they are gone when they are sent.
    /// Default: yes.
    pub acknowledge: bool,
}

impl Default for ConsumerOptions {
    fn default() -> Self {
        Self {
            broker: Broker::default(),
            exchange: Exchange::default(),
            queue: None,
            patterns: vec!["#".to_owned()],
            prefetch: 1000,
            acknowledge: true,
        }
    }
}

/// A message.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Delivery {
    /// The number by which it is acknowledged, on this connection.
    pub tag: u64,
    /// Its routing key.
    pub key: String,
    /// Its body: any bytes.
    pub body: Vec<u8>,
    /// It, or something that the broker takes for it, was sent before.
    pub redelivered: bool,
}

/// One connection that consumes. When it fails, the next one declares everything again, and the
/// broker sends again what was not acknowledged.
#[derive(Debug)]
pub struct Consumer {
    open: Open,
    consumer: lapin::Consumer,
}

impl Consumer {
    /// Connects, declares exchange and queue, binds, and begins to consume, in carbon's order.
    ///
    /// # Errors
    /// [`AmqpError`].
    ///
    /// # Cancel safety
    /// Dropping the future closes what was opened.
    pub async fn connect(options: &ConsumerOptions) -> Result<Self, AmqpError> {
        let broker = &options.broker;
        let open = broker.open(&options.exchange).await?;
        let channel = &open.channel;
        let mut declare = QueueDeclareOptions::default();
        match &options.queue {
            None => declare.exclusive = true,
            Some(_) => declare.durable = true,
        }
        let name = short(options.queue.as_deref().unwrap_or_default())?;
        let queue =
            broker.within(channel.queue_declare(name, declare, FieldTable::default())).await?;
        for pattern in &options.patterns {
            let bound = channel.queue_bind(
                queue.name().clone(),
                short(&options.exchange.name)?,
                short(pattern)?,
                QueueBindOptions::default(),
                FieldTable::default(),
            );
            broker.within(bound).await?;
        }
        let consume =
            BasicConsumeOptions { no_ack: !options.acknowledge, ..BasicConsumeOptions::default() };
        if options.acknowledge {
            let limited = channel.basic_qos(options.prefetch, BasicQosOptions::default());
            broker.within(limited).await?;
        }
        let consumer = channel.basic_consume(
            queue.name().clone(),
            "graphite_consumer".into(),
            consume,
            FieldTable::default(),
        );
        let consumer = broker.within(consumer).await?;
        Ok(Self { open, consumer })
    }

    /// The next message.
    ///
    /// # Errors
    /// [`AmqpError`] when the connection is of no more use.
    ///
    /// # Cancel safety
    /// No message is lost.
    pub async fn next(&mut self) -> Result<Delivery, AmqpError> {
        delivered(poll_fn(|cx| Pin::new(&mut self.consumer).poll_next(cx)).await)
    }

    /// The next message, if it has come already.
    ///
    /// # Errors
    /// As [`next`](Self::next).
    ///
    /// # Cancel safety
    /// No message is lost.
    pub async fn ready(&mut self) -> Result<Option<Delivery>, AmqpError> {
        let polled = poll_fn(|cx| Poll::Ready(Pin::new(&mut self.consumer).poll_next(cx))).await;
        match polled {
            Poll::Ready(delivery) => delivered(delivery).map(Some),
            Poll::Pending => Ok(None),
        }
    }

    /// Everything up to this message is done with.
    ///
    /// # Errors
    /// [`AmqpError`] when the connection is of no more use.
    ///
    /// # Cancel safety
    /// A dropped future may have sent it.
    pub async fn acknowledge(&self, tag: u64) -> Result<(), AmqpError> {
        let options = BasicAckOptions { multiple: true };
        Ok(self.open.channel.basic_ack(tag, options).await?)
    }

    /// Everything up to this message that was not acknowledged goes back: into the queue again, or,
    /// without `requeue`, to where the queue's dead letters go.
    ///
    /// # Errors
    /// [`AmqpError`] when the connection is of no more use.
    ///
    /// # Cancel safety
    /// A dropped future may have sent it.
    pub async fn refuse(&self, tag: u64, requeue: bool) -> Result<(), AmqpError> {
        let options = BasicNackOptions { multiple: true, requeue };
        Ok(self.open.channel.basic_nack(tag, options).await?)
    }

    /// Ends the connection in order. What was not acknowledged goes back into the queue.
    ///
    /// # Errors
    /// [`AmqpError`] when it had ended before.
    ///
    /// # Cancel safety
    /// A dropped future drops the connection, and what was not acknowledged goes back all the same.
    pub async fn close(self) -> Result<(), AmqpError> {
        self.open.close().await
    }
}

fn delivered(
    delivery: Option<lapin::Result<lapin::message::Delivery>>,
) -> Result<Delivery, AmqpError> {
    let delivery = delivery.ok_or(AmqpError::Ended)??;
    Ok(Delivery {
        tag: delivery.delivery_tag,
        key: delivery.routing_key.to_string(),
        body: delivery.data,
        redelivered: delivery.redelivered,
    })
}
