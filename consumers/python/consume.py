"""Reads the order workflow's events and handles each once, however often it comes.

Handling is printing, here: one line of JSON for each event. docs/consume.md explains it.
"""

import sqlite3
import sys

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
    try:
        while True:
            message = consumer.poll(1.0)
            if message is None:
                continue
            if message.error():
                print(f"{message.error()}: the client goes on by itself", file=sys.stderr)
                continue
            event_id, event = read(message)
            if event_id is None:
                place = message.topic(), message.partition(), message.offset()
                print("malformed:", *place, file=sys.stderr)
            else:
                handle_once(database, event_id, event)
            consumer.commit(message, asynchronous=True)
    finally:
        consumer.close()


def read(message):
    """The id and the event of a record; twice None for a malformed record."""
    try:
        event_id = dict(message.headers() or [])["ce_id"].decode()
        # Numbers keep their digits: Decimal in the place of float.
        return event_id, simplejson.loads(message.value(), use_decimal=True)
    except (KeyError, AttributeError, TypeError, ValueError):
        return None, None


def handle_once(database, event_id, event):
    """Handles an event that was not handled before.

    What handling changes in the database belongs into this transaction; what it changes elsewhere
    must bear being done twice.
    """
    with database:
        new = database.execute("INSERT OR IGNORE INTO handled VALUES (?)", (event_id,)).rowcount
        if new:
            line = {"id": event_id, "event": event}
            print(simplejson.dumps(line, use_decimal=True, ensure_ascii=False), flush=True)


if __name__ == "__main__":
    if len(sys.argv) < 5:
        sys.exit("arguments: BOOTSTRAP_SERVERS GROUP DATABASE TOPIC...")
    try:
        main(*sys.argv[1:])
    except KeyboardInterrupt:
        pass
