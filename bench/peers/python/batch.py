"""Processes the records of a batch concurrently, and reports the failed ones."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.batch import (
    AsyncBatchProcessor,
    EventType,
    async_process_partial_response,
)
from aws_lambda_powertools.utilities.data_classes.kafka_event import KafkaEventRecord
from aws_lambda_powertools.utilities.typing import LambdaContext

import publisher

# The size of boto3's connection pool.
MAX_CONCURRENT_RECORDS = 10

logger = Logger()
pool = ThreadPoolExecutor(MAX_CONCURRENT_RECORDS)
processor = AsyncBatchProcessor(
    EventType.Kafka, raise_on_entire_batch_failure=False, logger=logger
)


def process(
    event: dict,
    context: LambdaContext,
    decide: Callable[[dict, KafkaEventRecord], str],
    consumes: str,
) -> dict:
    """Calls decide for each event of the type consumes, and publishes its result."""

    def handle(record: KafkaEventRecord) -> None:
        order_event = record.json_value
        if order_event["eventType"] != consumes:
            raise ValueError(f"unexpected event {order_event['eventType']}")
        publisher.publish(decide(order_event, record), record)

    async def record_handler(record: KafkaEventRecord) -> None:
        await asyncio.get_running_loop().run_in_executor(pool, handle, record)

    response = async_process_partial_response(event, record_handler, processor, context)
    failures = list(response["batchItemFailures"])
    for record in publisher.flush():
        logger.error("event not delivered", topic=record.topic, offset=record.offset)
        position = {"partition": f"{record.topic}-{record.partition}", "offset": record.offset}
        failures.append({"itemIdentifier": position})
    return {"batchItemFailures": failures}
