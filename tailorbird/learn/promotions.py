"""Promotions: some places of an answer for items that a filter of their own lets by.

Source: Personalize developer guide, "Promoting items in real-time recommendations".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tailorbird.errors import Invalid

MAX_PROMOTIONS = 1
DEFAULT_PERCENT = 100


@dataclass(frozen=True)
class Promotion:
    name: str
    percent: int
    filter_arn: str
    values: dict[str, str]


def read(request: dict[str, Any]) -> Promotion | None:
    """The promotion of a request; Invalid says what it lacks."""
    given = request.get("promotions") or []
    if not given:
        return None
    if len(given) > MAX_PROMOTIONS:
        raise Invalid(f"promotions has {len(given)} entries; one is allowed")
    one = given[0]
    percent = one.get("percentPromotedItems", DEFAULT_PERCENT)
    if not 1 <= percent <= 100:
        raise Invalid(f"promotions[0].percentPromotedItems is {percent}; 1 to 100 is right")
    if not one.get("filterArn"):
        raise Invalid("promotions[0].filterArn is missing; it chooses the promoted items")
    if not one.get("name"):
        raise Invalid("promotions[0].name is missing; promoted items carry it")
    return Promotion(one["name"], percent, one["filterArn"], one.get("filterValues") or {})


def places(promoted: int, count: int, random: np.random.Generator) -> set[int]:
    """The places the promoted items take among `count`, at random."""
    return set(random.choice(count, size=min(promoted, count), replace=False).tolist())


def share(percent: int, count: int) -> int:
    """How many of `count` items are promoted; at least one."""
    return max(1, round(count * percent / 100))
