"""The answers of the saved queries against the books of a demo (`demo --report`)."""

from decimal import Decimal


def failures(report):
    """The failures of the books by subject, stage and code."""
    stages = {"OrderValidationFailed": "validator", "OrderInventoryFailed": "inventory",
              "OrderPaymentFailed": "payment", "OrderNotificationFailed": "notification"}
    for subject, counts in (("order", report["ends"]), ("record", report["malformedRecords"])):
        for name, count in counts.items():
            event, _, code = name.partition(" ")
            if event in stages:
                yield (subject, stages[event], code), count


def conversion(report):
    """Received, accepted and rejected orders by stage."""
    orders, rows = report["accepted"], {"order-api": (report["accepted"], report["accepted"], 0)}
    rejected = {}
    for (subject, stage, _), count in failures(report):
        if subject == "order":
            rejected[stage] = rejected.get(stage, 0) + count
    for stage in ("validator", "inventory", "payment", "notification"):
        rows[stage] = (orders, orders - rejected.get(stage, 0), rejected.get(stage, 0))
        orders = rows[stage][1]
    return rows


def errors(answer, report):
    """One text for each difference; `answer` has the rows of a query as dictionaries."""
    compared = 0

    def differs(what, found, expected):
        nonlocal compared
        compared += 1
        return [] if found == expected else [f"{what}: the query says {found}, the books say {expected}"]

    rows = answer("conversion")
    found = {row["stage"]: (row["received"], row["accepted"], row["rejected"]) for row in rows}
    yield from differs("conversion", found, conversion(report))
    yield from differs("waiting", [row["waiting"] for row in rows], [0] * len(rows))

    found = {(row["subject"], row["stage"], row["code"]): row["failures"] for row in answer("failures")}
    yield from differs("failures", found, dict(failures(report)))
    cancelled = sum(count for (_, _, code), count in found.items() if code == "ORDER_CANCELLED")
    if cancelled > report["cancelled"]:
        yield f"{cancelled} orders ended as cancelled, of {report['cancelled']} cancellations"

    stock = {row["sku"]: row for row in answer("stock")}
    for sku, books in report["stock"].items():
        row = stock.pop(sku, {"sold": 0, "held": 0, "reserved": 0, "released": 0})
        yield from differs(f"{sku}, sold", row["sold"], int(books["sold"]))
        yield from differs(f"{sku}, reserved", row["reserved"] - row["released"], int(books["reserved"]))
        yield from differs(f"{sku}, held", row["held"], 0)
    yield from differs("reserved of unknown SKUs", sum(row["reserved"] for row in stock.values()), 0)

    revenue = answer("revenue")
    yield from differs("revenue", sum(row["revenue"] for row in revenue), Decimal(report["paid"]))
    pieces = {}
    for row in revenue:
        pieces[row["sku"]] = pieces.get(row["sku"], 0) + row["pieces"]
    sold = {sku: int(books["sold"]) for sku, books in report["stock"].items() if books["sold"] != "0"}
    yield from differs("pieces", pieces, sold)

    latency = {row["stage"]: row for row in answer("latency")}
    decided = {stage: accepted + rejected for stage, (_, accepted, rejected) in conversion(report).items()}
    ended = {**decided, "whole order": report["accepted"]}
    ended.pop("order-api")
    yield from differs("latency", {stage: row["orders"] for stage, row in latency.items()}, ended)
    for stage, row in latency.items():
        if not row["p50_ms"] <= row["p99_ms"] <= row["max_ms"]:
            yield f"latency of {stage}: {row}"

    records = answer("SELECT count(*) AS records FROM records")[0]["records"]
    events = answer("SELECT count(*) AS events FROM events")[0]["events"]
    if not events < records <= report["records"]:
        yield f"{events} events, {records} records in the archive, {report['records']} records on the topics"
    print(f"books: {compared} figures compared, of {report['accepted']} orders and {records} records, "
          f"{records - events} of them repeats or malformed")
