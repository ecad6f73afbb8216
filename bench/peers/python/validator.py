"""Validator stage: consumes OrderCreated, publishes OrderValidated or OrderValidationFailed.

The event is stored as the result in Powertools' idempotency record of the order, so that a
redelivery publishes the same bytes.
"""

import os

import boto3
from aws_lambda_powertools.utilities.data_classes.kafka_event import KafkaEventRecord
from aws_lambda_powertools.utilities.idempotency import (
    DynamoDBPersistenceLayer,
    IdempotencyConfig,
    idempotent_function,
)
from aws_lambda_powertools.utilities.typing import LambdaContext

import batch
from envelope import failure_event, next_event
from order import customer_id_errors, item_errors, quantity_by_sku, total_amount_errors

# A DynamoDB transaction takes 100 actions, and the inventory's row is one of them.
MAX_SKUS = 98
CURRENCY_DECIMALS = int(os.environ.get("CURRENCY_DECIMALS", "2"))

persistence = DynamoDBPersistenceLayer(
    table_name=os.environ["ORDERS_TABLE"],
    key_attr="orderId",
    sort_key_attr="stage",
    static_pk_value="idempotency#validator",
    expiry_attr="expiresAt",
    boto3_client=boto3.client("dynamodb"),
)
config = IdempotencyConfig(
    expires_after_seconds=int(os.environ.get("ROW_TTL_DAYS", "30")) * 86_400,
)


@idempotent_function(
    data_keyword_argument="order_id",
    persistence_store=persistence,
    config=config,
    key_prefix="validator",
)
def validate(*, order_id: str, event: dict, record: KafkaEventRecord) -> str:
    payload = event["payload"]
    errors = customer_id_errors(payload)
    items = item_errors(payload)
    if not items and len(quantity_by_sku(payload)) > MAX_SKUS:
        items = [f"items must name at most {MAX_SKUS} different SKUs"]
    errors += items + total_amount_errors(payload, CURRENCY_DECIMALS)
    if errors:
        reason = f"VALIDATION_FAILED: {'; '.join(errors)}"
        return failure_event(event, "OrderValidationFailed", reason, record)
    return next_event(event, "OrderValidated", payload)


def decide(event: dict, record: KafkaEventRecord) -> str:
    return validate(order_id=event["orderId"], event=event, record=record)


def handler(event: dict, context: LambdaContext) -> dict:
    config.register_lambda_context(context)
    return batch.process(event, context, decide, consumes="OrderCreated")
