"""Publishes events, and reports the records whose events were not delivered.

The producer's queue is empty when flush returns, because Lambda then freezes the process.
"""

import json
import os

from aws_lambda_powertools.utilities.data_classes.kafka_event import KafkaEventRecord
from confluent_kafka import KafkaError, Message, Producer

from envelope import TOPICS, cloud_event_headers

DELIVERY_TIMEOUT_SECONDS = 15

producer = Producer(
    {
        "bootstrap.servers": os.environ["KAFKA_BOOTSTRAP_SERVERS"],
        "acks": "all",
        "enable.idempotence": True,
        # The Java client's partitioner, so that topics can be joined by key.
        "partitioner": "murmur2_random",
        "message.timeout.ms": DELIVERY_TIMEOUT_SECONDS * 1000,
        "linger.ms": 1,
    }
)

# The records of this invocation whose events are pending or failed.
_undelivered: dict[tuple[str, int, int], KafkaEventRecord] = {}


def publish(value: str, record: KafkaEventRecord) -> None:
    """Enqueues an event; record is its input record."""
    event = json.loads(value)
    position = (record.topic, record.partition, record.offset)
    headers = cloud_event_headers(event)
    for header in record.get("headers") or ():
        if "traceparent" in header:
            headers.append(("traceparent", bytes(header["traceparent"])))

    def on_delivery(error: KafkaError | None, _message: Message) -> None:
        if error is None:
            del _undelivered[position]

    producer.produce(
        TOPICS[event["eventType"]],
        key=event["orderId"],
        value=value,
        headers=headers,
        on_delivery=on_delivery,
    )
    # Callbacks run only in flush.
    _undelivered[position] = record


def flush() -> list[KafkaEventRecord]:
    """Waits for every delivery. Returns the records whose events were not delivered."""
    # Longer than the delivery timeout, so that every event is delivered or has failed by then.
    producer.flush(DELIVERY_TIMEOUT_SECONDS + 5)
    failed = list(_undelivered.values())
    _undelivered.clear()
    return failed
