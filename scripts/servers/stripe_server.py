#!/usr/bin/env python3
"""Serves localstripe on 127.0.0.1, with more of Stripe's behaviour: stripe_server.py PORT [keys]

- Lists of payments have filters by customer and time, and begin with the newest.
- With `keys`, a repeated POST with the same Idempotency-Key gets the first response. Otherwise keys
  are ignored, as localstripe does, and as Stripe does after a day.
- A payment is refunded only once.
- Nothing is written to disk.
"""

import sys

from aiohttp import web
from localstripe.errors import UserError
from localstripe.resources import PaymentIntent, Refund, StripeObject, store
from localstripe.server import app

responses = {}


def error(status, code, message):
    """An error in Stripe's format."""
    body = {"type": "idempotency_error", "code": code, "message": message}
    return web.json_response({"error": body}, status=status)


@web.middleware
async def replay(request, handler):
    """Repeats the response to the first POST with the same key."""
    key = request.headers.get("Idempotency-Key")
    if request.method != "POST" or key is None:
        return await handler(request)
    content = request.path, await request.read()
    if key not in responses:
        responses[key] = content, None
        response = await handler(request)
        # A rejected request does not use up its key.
        if response.status in (400, 401, 404):
            del responses[key]
        else:
            responses[key] = content, (response.status, response.body)
        return response
    first, response = responses[key]
    if first != content:
        return error(400, None, "the key was used for another request")
    if response is None:
        return error(409, "idempotency_key_in_use", "the first request is in progress")
    status, body = response
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
    """Refunds a payment, unless it was refunded before."""
    refunds = (it for key, it in store.items() if key.startswith("refund:"))
    if any(it.payment_intent == payment_intent for it in refunds):
        message = "the charge has already been refunded"
        raise UserError(400, message, {"code": "charge_already_refunded"})
    return create_refund(cls, payment_intent=payment_intent, **fields)


if __name__ == "__main__":
    store.dump_to_disk = lambda: None
    PaymentIntent._api_list_all = classmethod(list_payments)
    Refund._api_create = classmethod(refund_once)
    if sys.argv[2:] == ["keys"]:
        app.middlewares.insert(0, replay)
    web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), access_log=None)
