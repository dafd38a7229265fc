"""Mangled requests: understood or refused, never anything else."""

from __future__ import annotations

import random
from typing import Any

import orjson
import pytest

from tailorbird.errors import Invalid
from tailorbird.gateway.wire import Request, api

from .test_round_trip import UNSPOKEN, model, request_for, seed_of, sent

SERVICES = ("pinpoint", "personalize", "personalize-runtime", "personalize-events", "lambda")
JUNK: tuple[Any, ...] = (
    None,
    True,
    0,
    -1,
    2**63,
    1e300,
    "",
    "x" * 5000,
    "\0",
    "ü☃",
    "2026-99-99T99:99:99Z",
    [],
    [None],
    [[]],
    {},
    {"": None},
    {"x": {"y": [1, "2"]}},
)
ROUNDS = 12


def operations() -> list[Any]:
    return [
        pytest.param(service, name, id=f"{service}.{name}")
        for service in SERVICES
        for name in model(service).operation_names
        if name not in UNSPOKEN
    ]


@pytest.mark.parametrize(("service", "name"), operations())
def test_a_mangled_request_is_understood_or_refused(service: str, name: str) -> None:
    rng = random.Random(seed_of(name, 0))
    request = sent(model(service).operation_model(name), request_for_any(service, name))
    operation = api(service).operation(name)
    for _ in range(ROUNDS):
        api(service).find(request)
        mangle(rng, request)
        try:
            operation.parse(request)
        except Invalid as refused:
            assert str(refused)


def request_for_any(service: str, name: str) -> dict[str, Any]:
    return request_for(model(service).operation_model(name), seed_of(name, 3))


def mangle(rng: random.Random, request: Request) -> None:
    """Put junk in one place of the body, the query or the headers."""
    value = rng.choice(JUNK)
    where = rng.choice(("body", "body", "body", "bytes", "query", "header"))
    if where == "bytes":
        at = rng.randrange(len(request.body) + 1)
        request.body = request.body[:at] + rng.randbytes(2) + request.body[at + 1 :]
    elif where == "query" and request.query:
        request.query[rng.choice(list(request.query))] = [str(value), "again"]
    elif where == "header" and request.headers:
        request.headers[rng.choice(list(request.headers))] = str(value)
    else:
        try:
            request.body = orjson.dumps(with_junk(rng, orjson.loads(request.body or b"{}"), value))
        except orjson.JSONDecodeError:
            return


def with_junk(rng: random.Random, value: Any, junk: Any) -> Any:
    """The value with one part of it, however deep, replaced."""
    if isinstance(value, dict) and value and rng.random() < 0.85:
        name = rng.choice(list(value))
        return value | {name: with_junk(rng, value[name], junk)}
    if isinstance(value, list) and value and rng.random() < 0.85:
        at = rng.randrange(len(value))
        return [*value[:at], with_junk(rng, value[at], junk), *value[at + 1 :]]
    return junk
