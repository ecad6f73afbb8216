"""The next event of an order, and the headers of its record."""

import json
from datetime import UTC, datetime

from aws_lambda_powertools.utilities.data_classes.kafka_event import KafkaEventRecord

TOPICS = {
    "OrderValidated": "order.validated",
    "OrderValidationFailed": "order.failed",
    "InventoryReserved": "order.inventory-reserved",
    "OrderInventoryFailed": "order.failed",
}

STAGES = {
    "OrderValidated": "validator",
    "OrderValidationFailed": "validator",
    "InventoryReserved": "inventory",
    "OrderInventoryFailed": "inventory",
}


def next_event(event: dict, event_type: str, payload: dict) -> str:
    """Serializes the next event of the same order; all other fields are unchanged."""
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    fields = {**event, "eventType": event_type, "timestamp": now, "payload": payload}
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":"))


def failure_event(event: dict, event_type: str, reason: str, record: KafkaEventRecord) -> str:
    payload = {
        "originalPayload": event["payload"],
        "failureReason": reason,
        "stage": STAGES[event_type],
        "source": {
            "topic": record.topic,
            "partition": record.partition,
            "offset": record.offset,
        },
    }
    return next_event(event, event_type, payload)


def cloud_event_headers(event: dict) -> list[tuple[str, str]]:
    event_type, order_id = event["eventType"], event["orderId"]
    return [
        ("ce_specversion", "1.0"),
        ("ce_id", f"{order_id}/{event_type}"),
        ("ce_type", event_type),
        ("ce_source", f"/order-workflow/{STAGES[event_type]}"),
        ("ce_time", event["timestamp"]),
        ("ce_subject", order_id),
        ("content-type", "application/json"),
    ]
