"""Inventory stage: consumes OrderValidated, publishes InventoryReserved or OrderInventoryFailed.

The order's row and its stock commit in one transaction, conditional on the absence of the row. That
makes it idempotent: a separate idempotency record could not commit with it.
"""

import os
import random
import time
from itertools import count

import boto3
from aws_lambda_powertools.utilities.data_classes.kafka_event import KafkaEventRecord
from aws_lambda_powertools.utilities.typing import LambdaContext

import batch
from envelope import failure_event, next_event
from order import item_errors, quantity_by_sku

ORDERS_TABLE = os.environ["ORDERS_TABLE"]
STOCK_TABLE = os.environ["STOCK_TABLE"]
ROW_TTL_SECONDS = int(os.environ.get("ROW_TTL_DAYS", "30")) * 86_400
MAX_ATTEMPTS = 6

dynamodb = boto3.client("dynamodb")


def reserve(event: dict, record: KafkaEventRecord) -> str:
    """Returns the stored event of the order."""
    payload = event["payload"]
    if errors := item_errors(payload):
        return reject(event, f"VALIDATION_FAILED: {'; '.join(errors)}", record)
    reservation_id = f"res-{event['orderId']}"
    value = next_event(event, "InventoryReserved", {**payload, "reservationId": reservation_id})
    quantities = quantity_by_sku(payload)
    actions = [
        {"Put": insert(event["orderId"], value)},
        *({"Update": reservation(sku, quantity)} for sku, quantity in quantities.items()),
    ]
    for attempt in count(1):
        try:
            dynamodb.transact_write_items(TransactItems=actions)
            return value
        except dynamodb.exceptions.TransactionCanceledException as error:
            row, *stock = error.response["CancellationReasons"]
            if row["Code"] == "ConditionalCheckFailed":
                return row["Item"]["event"]["S"]
            codes = {reason["Code"] for reason in (row, *stock)}
            if codes <= {"None", "ConditionalCheckFailed"}:
                return reject(event, shortage_reason(quantities, stock), record)
            if "TransactionConflict" not in codes or attempt == MAX_ATTEMPTS:
                raise
            # The SDK does not retry a transaction that conflicts with another.
            time.sleep(random.uniform(0, 0.01 * 2**attempt))


def reject(event: dict, reason: str, record: KafkaEventRecord) -> str:
    value = failure_event(event, "OrderInventoryFailed", reason, record)
    try:
        dynamodb.put_item(**insert(event["orderId"], value))
        return value
    except dynamodb.exceptions.ConditionalCheckFailedException as error:
        return error.response["Item"]["event"]["S"]


def insert(order_id: str, value: str) -> dict:
    return {
        "TableName": ORDERS_TABLE,
        "Item": {
            "orderId": {"S": order_id},
            "stage": {"S": "inventory"},
            "event": {"S": value},
            "expiresAt": {"N": str(int(time.time()) + ROW_TTL_SECONDS)},
        },
        "ConditionExpression": "attribute_not_exists(orderId)",
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    }


def reservation(sku: str, quantity: int) -> dict:
    return {
        "TableName": STOCK_TABLE,
        "Key": {"sku": {"S": sku}},
        "UpdateExpression": (
            "SET available = available - :quantity, reserved = reserved + :quantity"
        ),
        "ConditionExpression": "available >= :quantity",
        "ExpressionAttributeValues": {":quantity": {"N": str(quantity)}},
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    }


def shortage_reason(quantities: dict[str, int], reasons: list[dict]) -> str:
    shortages = []
    for (sku, quantity), reason in zip(quantities.items(), reasons, strict=True):
        if reason["Code"] != "ConditionalCheckFailed":
            continue
        if item := reason.get("Item"):
            available = item["available"]["N"]
            shortages.append(("OUT_OF_STOCK", f"{sku} wanted {quantity}, available {available}"))
        else:
            shortages.append(("UNKNOWN_SKU", f"{sku} is not sold here"))
    code = shortages[0][0]
    return f"{code}: {'; '.join(text for _, text in shortages)}"


def handler(event: dict, context: LambdaContext) -> dict:
    return batch.process(event, context, reserve, consumes="OrderValidated")
