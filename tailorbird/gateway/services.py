"""The AWS services behind the one port: which model, which credential scopes, which room, which
operations table.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

MIB = 1024 * 1024

Function = Callable[..., dict[str, Any] | None]


@dataclass(frozen=True)
class Table:
    """Operations built, by name: functions of room, caller and request.

    `inline` are quick enough to run on the event loop; `quick` are when their function of room and
    request says so; `slow` wait for a customer's code and get threads of their own. `answered`
    hears of every answer, on the event loop: room, request, milliseconds since it was here.
    """

    operations: dict[str, Function]
    inline: frozenset[str] = frozenset()
    slow: frozenset[str] = frozenset()
    quick: dict[str, Callable[[Any, dict[str, Any]], bool]] = field(default_factory=dict)
    answered: Callable[[Any, dict[str, Any], float], None] | None = None


@dataclass(frozen=True)
class Service:
    """One AWS service as it is served here.

    `module` holds OPERATIONS and, where wanted, INLINE, SLOW, QUICK and ANSWERED: the
    fields of Table.
    """

    key: str  # also the name of the botocore model
    scopes: tuple[str, ...]  # service names of the SigV4 credential scope
    room: str
    module: str
    max_body: int  # bytes, in memory
    target: str = ""  # X-Amz-Target prefix of a json service
    version: str = ""  # the Version parameter of a query service
    paths: tuple[str, ...] = ()  # how an unsigned rest request is recognised

    def table(self) -> Table:
        """What is built of the service; nothing while its module is not there."""
        name = f"tailorbird.gateway.{self.module}"
        try:
            module = importlib.import_module(name)
        except ModuleNotFoundError as missing:
            if missing.name != name:
                raise
            return Table({})
        return Table(
            dict(module.OPERATIONS),
            frozenset(getattr(module, "INLINE", ())),
            frozenset(getattr(module, "SLOW", ())),
            dict(getattr(module, "QUICK", {})),
            getattr(module, "ANSWERED", None),
        )


# Body sizes: Pinpoint's documented 7 MB per request; Lambda's 70,167,211 bytes (recorded error
# text); S3's objects stream
# (gateway/s3); the others carry small documents, so theirs only guard the memory.
SERVICES: tuple[Service, ...] = (
    Service(
        "pinpoint",
        ("mobiletargeting", "pinpoint"),
        "engage",
        "pinpoint",
        7_000_000,
        paths=("/v1/apps", "/v1/templates", "/v1/recommenders", "/v1/tags", "/v1/phone"),
    ),
    Service(
        "personalize",
        ("personalize",),
        "learn",
        "personalize",
        2 * MIB,
        target="AmazonPersonalize",
    ),
    Service(
        "personalize-runtime",
        ("personalize",),
        "learn",
        "personalize_runtime",
        MIB,
        paths=("/recommendations", "/personalize-ranking", "/action-recommendations"),
    ),
    Service(
        "personalize-events",
        ("personalize",),
        "learn",
        "personalize_events",
        MIB,
        paths=("/events", "/items", "/users", "/actions", "/action-interactions"),
    ),
    Service("lambda", ("lambda",), "functions", "aws_lambda", 70_167_211, paths=("/20",)),
    Service("sts", ("sts",), "access", "sts", MIB, version="2011-06-15"),
    Service("iam", ("iam",), "access", "iam", MIB, version="2010-05-08"),
    Service("logs", ("logs",), "functions", "logs", 2 * MIB, target="Logs_20140328"),
    Service(
        "cloudwatch",
        ("monitoring",),
        "learn",
        "cloudwatch",
        MIB,
        target="GraniteServiceVersion20100801",
    ),
    Service("s3", ("s3",), "objects", "s3", 8 * MIB),
)
