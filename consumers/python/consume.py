"""Reads the order workflow's events and handles each once, however often it comes.

Handling is printing, here: one line of JSON for each event. docs/consume.md explains it.
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
            # An offset is committed below, once what came before it is handled.
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
                print(f"{message.error()}: the client goes on by itself", file=sys.stderr)
                continue
            try:
                handle_once(database, *read(message))
            except (sqlite3.Error, OSError):
                # Not the record's fault: end here, and it comes again after a restart.
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
    """The id and the event of a record. Raises whatever a malformed one leads to."""
    event_id = dict(message.headers() or [])["ce_id"].decode()
    event = simplejson.loads(message.value(), parse_int=number, parse_float=number)
    if not isinstance(event["eventType"], str) or not isinstance(event["orderId"], str):
        raise TypeError("eventType and orderId are texts")
    return event_id, event


def number(digits):
    """A number with all its digits: no float, and no limit on an int's."""
    try:
        return Decimal(digits)
    except ArithmeticError:
        return digits  # An exponent that no Decimal holds, such as 1e1000000000000000000.


def handle_once(database, event_id, event):
    """Handles an event that was not handled before.

    What handling changes in the database belongs into this transaction; what it changes elsewhere
    must bear being done twice.
    """
    with database:
        new = database.execute("INSERT OR IGNORE INTO handled VALUES (?)", (event_id,)).rowcount
        if new:
            # ASCII only: a text may hold a lone surrogate, which UTF-8 cannot spell.
            print(simplejson.dumps({"id": event_id, "event": event}), flush=True)


if __name__ == "__main__":
    if len(sys.argv) < 5:
        sys.exit("arguments: BOOTSTRAP_SERVERS GROUP DATABASE TOPIC...")
    try:
        main(*sys.argv[1:])
    except KeyboardInterrupt:
        pass
