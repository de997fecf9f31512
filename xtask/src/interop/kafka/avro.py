"""Reads Avro records with Confluent's client and prints each as JSON."""

import datetime
import json
import sys
import time

from confluent_kafka import Consumer
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.serialization import MessageField, SerializationContext


def plain(value):
    if isinstance(value, datetime.datetime):
        epoch = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
        return (value - epoch) // datetime.timedelta(milliseconds=1)
    raise TypeError(type(value))


broker, registry, topic, count = sys.argv[1:]
decode = AvroDeserializer(SchemaRegistryClient({"url": registry}))
context = SerializationContext(topic, MessageField.VALUE)
consumer = Consumer(
    {"bootstrap.servers": broker, "group.id": "avro-reader", "auto.offset.reset": "earliest"}
)
consumer.subscribe([topic])
left, deadline = int(count), time.monotonic() + 60
while left and time.monotonic() < deadline:
    message = consumer.poll(1.0)
    if message is None or message.error():
        continue
    value = decode(message.value(), context)
    print(json.dumps({"key": message.key().decode(), "value": value}, default=plain))
    left -= 1
consumer.close()
sys.exit(f"{left} records did not come" if left else 0)
