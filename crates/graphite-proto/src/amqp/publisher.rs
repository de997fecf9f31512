//! A publisher like carbon's, which waits for confirmations.

use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::{BasicProperties, Confirmation, PublisherConfirm};

use super::broker::{AmqpError, Broker, Exchange, Open, short};

/// Bytes of the longest routing key, and so of the longest path that can be one.
pub const MAX_KEY: usize = 255;

/// One connection that publishes, with the broker's confirmations.
#[derive(Debug)]
pub struct Publisher {
    open: Open,
    exchange: String,
    persistent: bool,
    /// Messages that were published and not confirmed yet.
    waiting: Vec<PublisherConfirm>,
}

impl Publisher {
    /// Connects, and declares the exchange. With `persistent`, as carbon's publisher has it, messages
    /// in durable queues outlive the broker's process.
    ///
    /// # Errors
    /// [`AmqpError`].
    ///
    /// # Cancel safety
    /// Dropping the future closes what was opened.
    pub async fn connect(
        broker: &Broker,
        exchange: &Exchange,
        persistent: bool,
    ) -> Result<Self, AmqpError> {
        let open = broker.open(exchange).await?;
        broker.within(open.channel.confirm_select(ConfirmSelectOptions::default())).await?;
        Ok(Self { open, exchange: exchange.name.clone(), persistent, waiting: Vec::new() })
    }

    /// Publishes a message; [`confirmed`](Self::confirmed) says what became of it.
    ///
    /// # Errors
    /// [`AmqpError`]: what was not confirmed may have arrived or not.
    ///
    /// # Cancel safety
    /// Of a dropped future the message may be on its way, and nothing will say what became of it:
    /// drop the publisher too.
    pub async fn publish(&mut self, key: &str, body: &[u8]) -> Result<(), AmqpError> {
        let mode = if self.persistent { 2 } else { 1 };
        let confirm = self
            .open
            .channel
            .basic_publish(
                short(&self.exchange)?,
                short(key)?,
                BasicPublishOptions::default(),
                body,
                BasicProperties::default().with_delivery_mode(mode),
            )
            .await?;
        self.waiting.push(confirm);
        Ok(())
    }

    /// Messages that were published and not waited for.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Waits until the broker has confirmed everything that was published: it has it, in every queue
    /// that it belongs in.
    ///
    /// # Errors
    /// [`AmqpError`]: of what was published since the last confirmation some may have arrived.
    ///
    /// # Cancel safety
    /// Can be called again: what has no answer yet is waited for then.
    pub async fn confirmed(&mut self) -> Result<(), AmqpError> {
        // Whoever gives the wait up has not heard of the rest: it stays.
        while let Some(confirm) = self.waiting.last_mut() {
            let confirmed = confirm.await;
            self.waiting.pop();
            match confirmed? {
                Confirmation::Ack(_) => {}
                Confirmation::Nack(_) | Confirmation::NotRequested => {
                    return Err(AmqpError::Refused);
                }
            }
        }
        Ok(())
    }

    /// Ends the connection in order.
    ///
    /// # Errors
    /// [`AmqpError`] when it had ended before.
    ///
    /// # Cancel safety
    /// A dropped future drops the connection.
    pub async fn close(self) -> Result<(), AmqpError> {
        self.open.close().await
    }
}
