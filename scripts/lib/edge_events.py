"""A small archive of events that are easy to count wrongly, and the right answers."""

import gzip
import json
from decimal import Decimal

DEEP = 20_000  # Levels; a stage passes on fewer, but anybody can write to a topic.


def event(event_type, order_id, payload, second=0, before=""):
    """The text of an event. The payload is text, so that its numbers stay as they are spelled."""
    return (f'{{{before}"eventType":"{event_type}","orderId":"{order_id}","correlationId":"corr",'
            f'"timestamp":"2026-02-06T12:00:{second:02}.000Z","payload":{payload}}}')


def order(amount, *lines, before=""):
    """A payload; each line is a SKU and a quantity as it is spelled."""
    items = ",".join(f'{{"sku":"{sku}","quantity":{quantity}}}' for sku, quantity in lines)
    return f'{{{before}"customerId":"cust","items":[{items}],"totalAmount":{amount}}}'


def report(second, **source):
    """The report of a malformed record."""
    source = {"topic": "order.created", "partition": 0, "offset": 7, **source}
    payload = {"failureReason": "MALFORMED_EVENT: no", "stage": "validator", "source": source, "malformed": True}
    return event("OrderValidationFailed", "ord-a", json.dumps(payload), second)


# Text that looks like fields and numbers, and fields of the same names deeper down.
TRAP = r'"note":{"totalAmount":9,"eventType":"x"},"text":"\"totalAmount\":5, -7 \\ [1,2] {\"a\":3} é \\",'

PAID = {
    "ord-a": order("0.1", ("X", "1")),
    "ord-b": order("0.2", ("X", "2.0")),
    "ord-c": order("1234567890.123456789", ("Y", "1")),
    "ord-d": order("1e3", ("Y", "2e0")),
    "ord-e": order("10.00", ("P", "1"), ("Q", "1"), ("R", "1")),
    "ord-f": order("0.000000001", ("P", "1"), ("Q", "1"), ("P", "1")),
    "ord-g": order("5.5", ("Z", "3"), before=TRAP),
    "ord-h": order("999999999999999.999999999", ("W", "1000000000")),
}

REVENUE = {"X": "0.3", "Y": "1234568890.123456789", "P": "3.33", "Q": "3.330000001", "R": "3.34", "Z": "5.5",
           "W": "999999999999999.999999999"}
PIECES = {"X": 3, "Y": 3, "P": 3, "Q": 2, "R": 1, "Z": 3, "W": 1_000_000_000}


def records():
    """Each record with its topic and day."""
    for number, (order_id, payload) in enumerate(PAID.items()):
        before = '"extra": [1.50, "7"], ' if number % 2 else ""
        for topic, event_type in (("order.created", "OrderCreated"), ("order.validated", "OrderValidated"),
                                  ("order.inventory-reserved", "InventoryReserved"),
                                  ("order.payment-completed", "PaymentCompleted")):
            yield topic, "2026-02-06", event(event_type, order_id, payload, number, before)
            # A redelivery, on a later day.
            yield topic, "2026-02-09", event(event_type, order_id, payload, number, before)
    yield "order.completed", "2026-02-06", event("OrderCompleted", "ord-a", PAID["ord-a"], 59)
    # Two malformed records, of which the second has the position of the first on a topic made anew.
    for second in (1, 1, 2):
        yield "order.failed", "2026-02-06", report(second)
    yield "order.failed", "2026-02-06", report(1, offset=8)
    failure = f'{{"originalPayload":{order("7", ("X", "4"))},"failureReason":"PAYMENT_DECLINED: a: b","malformed":false}}'
    yield "order.inventory-reserved", "2026-02-06", event("InventoryReserved", "ord-i", order("7", ("X", "4")))
    yield "order.failed", "2026-02-06", event("OrderPaymentFailed", "ord-i", failure)
    # No event of its topic.
    nines = "9" * 2_000
    for line in ("not JSON", "", "[1]", "7", "null", '"a\x01b"', "{", "\\N", '{"eventType":7}', "\u0000", "{\"a\":NaN}",
                 "[" * DEEP + "]" * DEEP, event("OrderCompleted", "ord-z", "{}"), event("Other", "ord-z", "{}"),
                 event("OrderCreated", "ord-z", "{}").replace("2026-", "")):
        yield "order.created", "2026-02-06", line
    # Events, however odd: the validator rejects these.
    for order_id, amount in (("odd-1", "1e1000000000"), ("odd-2", nines), ("odd-3", '"12"'), ("odd-4", "[1]")):
        yield "order.created", "2026-02-06", event("OrderCreated", order_id, order(amount, ("X", "true")))
    yield "order.created", "2026-02-06", event("OrderCreated", "odd-5", "7")
    yield "order.created", "2026-02-06", event("OrderCreated", "odd-6", f'{{"items":{{"a":{"[" * 90}{"]" * 90}}}}}')


def write(folder):
    """Writes the archive, a file for each topic and day."""
    contents = {}
    for topic, day, line in records():
        contents.setdefault((topic, day), []).append(line.encode())
    contents["order.created", "2026-02-06"].append(b'{"eventType":"\xff\xfe"}')
    for (topic, day), lines in contents.items():
        path = folder / topic / f"date={day}" / f"{topic}-1.gz"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(b"".join(line + b"\n" for line in lines)))
    # A file that is not complete yet.
    (folder / "order.created/date=2026-02-06/.order.created-2.gz.part").write_bytes(b"\x1f\x8b")


def errors(answer):
    """One text for each wrong answer; `answer` has the rows of a query as dictionaries."""
    paid = len(PAID)
    expected = {
        "conversion": [("order-api", paid + 6, paid + 6, 0), ("validator", paid + 6, paid, 0),
                       ("inventory", paid, paid + 1, 0), ("payment", paid + 1, paid, 1), ("notification", paid, 1, 0)],
        "failures": [("order", "payment", "PAYMENT_DECLINED", 1), ("record", "validator", "MALFORMED_EVENT", 3)],
        "latency": [("validator", paid, 0, 0, 0), ("inventory", paid, 0, 0, 0), ("payment", paid + 1, 0, 0, 0),
                    ("notification", 1, 59_000, 59_000, 59_000), ("whole order", 1, 59_000, 59_000, 59_000)],
        "revenue": [(sku, PIECES[sku], Decimal(REVENUE[sku])) for sku in sorted(PIECES)],
        "stock": [(sku, PIECES[sku] + (4 if sku == "X" else 0), 4 if sku == "X" else 0, PIECES[sku], 0, 0)
                  for sku in sorted(PIECES)],
    }
    columns = {
        "conversion": ("stage", "received", "accepted", "rejected"),
        "failures": ("subject", "stage", "code", "failures"),
        "latency": ("stage", "orders", "p50_ms", "p99_ms", "max_ms"),
        "revenue": ("sku", "pieces", "revenue"),
        "stock": ("sku", "reserved", "released", "sold", "held", "refused"),
    }
    for query, right in expected.items():
        rows = [tuple(row[name] for name in columns[query]) for row in answer(query)]
        if rows != right:
            yield f"{query}: {rows} instead of {right}"
