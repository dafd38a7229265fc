"""The generated shop: repeatable, of the asked size, with habits that can be learned."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from tailorbird.demo.shop import RESTOCK_DAYS, Shop, open_shop

END = datetime(2026, 11, 21, 18, tzinfo=UTC)


@pytest.fixture(scope="module")
def shop() -> Shop:
    return open_shop(7, END, people=300, products=120, calls=8_000)


def test_the_same_seed_and_end_give_the_same_calls() -> None:
    first, second = (open_shop(3, END, people=40, products=30, calls=500) for _ in range(2))
    assert first.calls == second.calls
    assert first.people == second.people


def test_another_seed_gives_another_shop() -> None:
    first, second = (open_shop(s, END, people=40, products=30, calls=500) for s in (1, 2))
    assert first.calls != second.calls


def test_sizes_are_what_was_asked_for(shop: Shop) -> None:
    assert (len(shop.people), len(shop.products)) == (300, 120)
    assert len(shop.calls) == pytest.approx(8_000, rel=0.15)


def test_everyone_has_an_address_and_a_name_of_their_own(shop: Shop) -> None:
    assert len({person.email for person in shop.people}) == len(shop.people)
    assert len({product.sku for product in shop.products}) == len(shop.products)


def test_calls_are_in_order_of_time_and_within_the_weeks(shop: Shop) -> None:
    times = [call.time for call in shop.calls]
    assert times == sorted(times)
    assert END - timedelta(weeks=6) <= times[0]
    assert times[-1] < END


def test_an_order_carries_the_products_that_were_added(shop: Shop) -> None:
    added: dict[str, set[str]] = defaultdict(set)
    for call in shop.calls:
        if call.event == "Product Added":
            added[call.user_id].add(call.properties["sku"])
        if call.event == "Order Completed":
            skus = {product["sku"] for product in call.properties["products"]}
            assert skus
            assert skus <= added[call.user_id]


def test_people_keep_to_a_few_categories(shop: Shop) -> None:
    viewed: dict[str, Counter[str]] = defaultdict(Counter)
    for call in shop.calls:
        if call.event == "Product Viewed":
            viewed[call.user_id][call.properties["category"]] += 1
    shares = [max(c.values()) / c.total() for c in viewed.values() if c.total() >= 20]
    assert sum(shares) / len(shares) > 2.5 / 14  # of fourteen categories


def test_products_lead_to_others(shop: Shop) -> None:
    """The four likeliest followers of a product take far more than four of 120 by chance."""
    followers: dict[str, Counter[str]] = defaultdict(Counter)
    last: dict[str, str] = {}
    for call in shop.calls:
        if call.event == "Product Viewed":
            if call.user_id in last:
                followers[last[call.user_id]][call.properties["sku"]] += 1
            last[call.user_id] = call.properties["sku"]
    top = sum(n for c in followers.values() for _, n in c.most_common(4))
    assert top / sum(c.total() for c in followers.values()) > 0.3


def test_some_people_buy_the_same_again_and_again(shop: Shop) -> None:
    bought: dict[tuple[str, str], set[int]] = defaultdict(set)
    for call in shop.calls:
        if call.event == "Product Added":
            day = int(call.time.timestamp() // 86_400)
            bought[call.user_id, call.properties["sku"]].add(day)
    again = [
        days for days in map(sorted, bought.values())
        if any(b - a >= RESTOCK_DAYS - 1 for a, b in pairwise(days))
    ]  # fmt: skip
    assert len(again) > 20


def test_traits_tell_of_the_last_order(shop: Shop) -> None:
    person = next(person for person in shop.people if person.last_order)
    last = max(
        c.time for c in shop.calls if c.user_id == person.user_id and c.event == "Order Completed"
    )
    assert person.traits()["last_order_at"].startswith(last.strftime("%Y-%m-%dT%H:%M:%S"))
    assert set(person.traits()) >= {"name", "email", "tier", "orders"}


def test_a_visit_now_goes_on_with_the_same_people(shop: Shop) -> None:
    visit = shop.visit(0, END)
    assert visit
    assert {call.user_id for call in visit} == {shop.people[0].user_id}
    assert all(call.time >= END for call in visit)
