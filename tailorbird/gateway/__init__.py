"""Other people's protocols: one wire compiler, one operations table per AWS service, and Segment's
HTTP API. `Gateway` is the ASGI application of the AWS half.
"""

from tailorbird.gateway.dispatch import Gateway
from tailorbird.gateway.services import SERVICES, Service

__all__ = ["SERVICES", "Gateway", "Service"]
