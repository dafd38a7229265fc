"""How long the answers of a campaign or recommender took, in this process since it started.

From the moment the whole request is here to the moment the reply is written out: signature, wait
and answer are in it, the network is not. Refusals are not counted.
"""

from __future__ import annotations

from typing import Any

from tailorbird.durations import Durations
from tailorbird.errors import NotFound
from tailorbird.learn.room import Learn

MAX_ARNS = 1_000


def answered(room: Learn, request: dict[str, Any], took_ms: float) -> None:
    """One answer; called by one thread only."""
    arn = request.get("campaignArn") or request.get("recommenderArn") or ""
    found = room.latencies.get(arn)
    if found is None:
        if len(room.latencies) >= MAX_ARNS:
            del room.latencies[next(iter(room.latencies))]
        found = room.latencies[arn] = Durations()
    found.took(took_ms)


def of(room: Learn, arn: str) -> dict[str, Any]:
    """Answers, quantiles and buckets of one; NotFound when it has answered nothing."""
    found = room.latencies.get(arn)
    if found is None:
        raise NotFound(f"{arn} has answered nothing since this process started")
    return _summary(arn, found) | {"buckets": found.buckets()}


def every(room: Learn) -> list[dict[str, Any]]:
    """Answers and quantiles of all that have answered, those with the most answers first."""
    found = sorted(room.latencies.copy().items(), key=lambda pair: -pair[1].total)
    return [_summary(arn, one) for arn, one in found]


def _summary(arn: str, found: Durations) -> dict[str, Any]:
    return {"arn": arn, "answers": found.total, **found.spread()}
