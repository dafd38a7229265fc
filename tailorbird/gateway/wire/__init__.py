"""AWS wire protocols compiled from botocore's service models: route, parse and check, render.

`api("pinpoint")` gives the compiled service; each operation is compiled when it is first asked for.
"""

from tailorbird.gateway.wire.api import Api, Operation, api
from tailorbird.gateway.wire.message import Reply, Request
from tailorbird.gateway.wire.refusal import Malformed, Refused

__all__ = ["Api", "Malformed", "Operation", "Refused", "Reply", "Request", "api"]
