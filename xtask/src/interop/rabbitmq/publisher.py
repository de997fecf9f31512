"""Publishes points as carbon's own publisher does, and waits for the broker's confirmation of each.

A connection that breaks is made again, and what was not confirmed is published again: so a name may
be published twice, and none is left out.
"""

import sys
import time

import pika

port, exchange, first, last = int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
channel = None
again = 0
for number in range(first, last):
    while True:
        try:
            if channel is None:
                parameters = pika.ConnectionParameters("127.0.0.1", port)
                channel = pika.BlockingConnection(parameters).channel()
                channel.exchange_declare(exchange, exchange_type="topic", durable=True)
                channel.confirm_delivery()
            channel.basic_publish(
                exchange,
                "amqp.host%d.n%d" % (number % 50, number),
                b"%f %d" % (number, 1700000000 + number),
                pika.BasicProperties(delivery_mode=2),
            )
            break
        except pika.exceptions.AMQPError:
            channel = None
            again += 1
            time.sleep(0.2)
        except OSError:
            channel = None
            time.sleep(0.2)
print("published", last - first, "again", again)
