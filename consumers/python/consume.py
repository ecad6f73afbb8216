"""Example consumer: handles each event of the order workflow once, despite redeliveries.

It prints each event as one line of JSON. See docs/consume.md.
"""

import sqlite3
import sys
from decimal import Decimal

import simplejson
from confluent_kafka import Consumer


def main(servers, group, database, *topics):
    database = sqlite3.connect(database)
    database.execute("CREATE TABLE IF NOT EXISTS handled (id TEXT PRIMARY KEY)")
    consumer = Consumer(
        {
            "bootstrap.servers": servers,
            "group.id": group,
            "auto.offset.reset": "earliest",
            # Offsets are committed below, after all earlier records are handled.
            "enable.auto.commit": False,
        }
    )
    consumer.subscribe(list(topics))
    skipped = 0
    try:
        while True:
            message = consumer.poll(1.0)
            if message is None:
                continue
            if message.error():
                print(f"{message.error()}: the client retries by itself", file=sys.stderr)
                continue
            try:
                handle_once(database, *read(message))
            except (sqlite3.Error, OSError):
                # A database error ends the program; the record is redelivered after a restart.
                raise
            except Exception as error:
                skipped += 1
                place = f"{message.topic()} {message.partition()} {message.offset()}"
                reason = type(error).__name__
                print(f"skipped: {place} {reason}, total={skipped}", file=sys.stderr)
            consumer.commit(message, asynchronous=True)
    finally:
        consumer.close()


def read(message):
    """Decodes a record to id and event. Raises any exception for a malformed one."""
    event_id = dict(message.headers() or [])["ce_id"].decode()
    event = simplejson.loads(message.value(), parse_int=number, parse_float=number)
    if not isinstance(event["eventType"], str) or not isinstance(event["orderId"], str):
        raise TypeError("eventType and orderId must be strings")
    return event_id, event


def number(digits):
    """Parses a number of any length with all its digits, unlike int and float."""
    try:
        return Decimal(digits)
    except ArithmeticError:
        return digits  # An exponent beyond Decimal, such as 1e1000000000000000000.


def handle_once(database, event_id, event):
    """Handles an event unless it was handled before.

    Make your changes to the database in this transaction; effects elsewhere must be idempotent.
    """
    with database:
        new = database.execute("INSERT OR IGNORE INTO handled VALUES (?)", (event_id,)).rowcount
        if new:
            # ASCII only: a string may contain a lone surrogate, which UTF-8 cannot encode.
            print(simplejson.dumps({"id": event_id, "event": event}), flush=True)


if __name__ == "__main__":
    if len(sys.argv) < 5:
        sys.exit("arguments: BOOTSTRAP_SERVERS GROUP DATABASE TOPIC...")
    try:
        main(*sys.argv[1:])
    except KeyboardInterrupt:
        pass
