#!/usr/bin/env python3
"""Serves localstripe on 127.0.0.1, closer to what Stripe documents: stripe_server.py PORT [keys]

- Lists of payments can be narrowed down by customer and time, and begin with the newest.
- With `keys`, a POST that comes again with its Idempotency-Key gets the first answer
  again; otherwise keys are ignored, as localstripe does and Stripe does after a day.
- A payment is refunded once only.
- Nothing is written to disk.
"""

import sys

from aiohttp import web
from localstripe.errors import UserError
from localstripe.resources import PaymentIntent, Refund, StripeObject, store
from localstripe.server import app

answers = {}


def error(status, code, message):
    """An error as Stripe words it."""
    said = {"type": "idempotency_error", "code": code, "message": message}
    return web.json_response({"error": said}, status=status)


@web.middleware
async def remember(request, handler):
    """Answers a repeated POST as the first one was answered."""
    key = request.headers.get("Idempotency-Key")
    if request.method != "POST" or key is None:
        return await handler(request)
    asked = request.path, await request.read()
    if key not in answers:
        answers[key] = asked, None
        answer = await handler(request)
        # A request that was not carried out is not remembered.
        if answer.status in (400, 401, 404):
            del answers[key]
        else:
            answers[key] = asked, (answer.status, answer.body)
        return answer
    first, answer = answers[key]
    if first != asked:
        return error(400, None, "the key was used for another request")
    if answer is None:
        return error(409, "idempotency_key_in_use", "the first request is under way")
    status, body = answer
    replayed = {"Idempotent-Replayed": "true"}
    return web.Response(status=status, body=body, headers=replayed, content_type="application/json")


def list_payments(cls, url, customer=None, created=None, **page):
    """Lists payments, the newest first."""
    since = int((created or {}).get("gte", 0))
    listed = StripeObject._api_list_all.__func__(cls, url, **page)
    listed._list = [
        it
        for it in reversed(listed._list)
        if it.created >= since and customer in (None, it.customer)
    ]
    return listed


create_refund = Refund._api_create.__func__


def refund_once(cls, payment_intent=None, **fields):
    """Refunds a payment, unless it is refunded already."""
    refunds = (it for key, it in store.items() if key.startswith("refund:"))
    if any(it.payment_intent == payment_intent for it in refunds):
        said = "the charge has already been refunded"
        raise UserError(400, said, {"code": "charge_already_refunded"})
    return create_refund(cls, payment_intent=payment_intent, **fields)


if __name__ == "__main__":
    store.dump_to_disk = lambda: None
    PaymentIntent._api_list_all = classmethod(list_payments)
    Refund._api_create = classmethod(refund_once)
    if sys.argv[2:] == ["keys"]:
        app.middlewares.insert(0, remember)
    web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), access_log=None)
