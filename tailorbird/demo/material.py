"""What a demo is played with: people, the calls of their past, and what some of them do now."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from tailorbird.demo.shop import Call, Person, open_shop

ORDER = "Order Completed"


@dataclass
class Material:
    title: str
    people: list[Person]
    calls: list[Call]
    events: list[str]  # the event names that become interactions
    live: Callable[[list[Person], datetime], list[Call]]  # what these people do now
    rows: int  # interactions in the whole material
    whole_file: Path | None = (
        None  # imported beside the calls, when the calls are only a sample of it
    )


def generated(seed: int, people: int, products: int, calls: int) -> Material:
    """A generated shop whose history ends now."""
    shop = open_shop(seed, datetime.now(UTC), people=people, products=products, calls=calls)
    numbers = {person.user_id: number for number, person in enumerate(shop.people)}

    def live(chosen: list[Person], now: datetime) -> list[Call]:
        calls: list[Call] = []
        for person in chosen:
            visit = shop.visit(numbers[person.user_id], now)
            calls.extend(visit[-2:])
        return calls

    return Material(
        title=f"a generated shop (seed {seed}): {people:,} people, {products:,} products",
        people=shop.people,
        calls=shop.calls,
        events=["Product Viewed", "Product Added", ORDER],
        live=live,
        rows=len(shop.calls),
    )
