#!/usr/bin/env python3
"""A function that logs many lines, a long line and a control character, and then waits for an event."""

import http.client
import os
from urllib.parse import urlsplit

for number in range(300):
    print('{"level":"INFO","message":"line %03d"}' % number)
print("x" * 100_000)
print("<b>\x1b[2J", flush=True)

api = urlsplit(os.environ["AWS_LAMBDA_RUNTIME_API"])
connection = http.client.HTTPConnection(api.netloc)
connection.request("GET", f"{api.path}/2018-06-01/runtime/invocation/next")
connection.getresponse()
