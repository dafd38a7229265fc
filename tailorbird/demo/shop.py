"""A generated shop: people, products, and weeks of Segment calls with structure worth learning.

Three habits can be learned: tastes (a person keeps to a few categories and a price level),
sequences (some products lead to others) and repeat purchases (coffee runs out).
The same seed and end give the same calls.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tailorbird.demo.catalogue import CATEGORIES, FIRST_NAMES, LAST_NAMES, MAKERS, Category

PEOPLE = 1_500
PRODUCTS = 400
CALLS = 50_000
WEEKS = 6

SUCCESSORS = 4
SUCCESSOR_WEIGHTS = (0.5, 0.25, 0.15, 0.1)
FOLLOW_RATE = 0.5  # the next view is one of the last product's successors
RETURN_RATE = 0.12  # the next view is something this person looked at before
ADD_RATE = 0.2
ORDER_RATE = 0.55  # of the sessions with something in the cart
RESTOCK_RATE = 0.5  # a session of someone with a habit begins with a reorder, when it is due
RESTOCK_DAYS = 9.0
MEAN_VIEWS = 5.0
CALLS_PER_SESSION = 6.5  # measured; turns a number of calls into a number of sessions
TASTE_CONCENTRATION = 0.12  # of the Dirichlet: small means few categories a person
CURRENCY = "EUR"
SECONDS_PER_DAY = 86_400
GOLD_EVERY = 10


@dataclass(frozen=True)
class Product:
    sku: str
    name: str
    category: str
    brand: str
    price: float

    def properties(self) -> dict[str, Any]:
        """The product in the words of Segment's e-commerce spec."""
        return {
            "product_id": f"p-{self.sku}",
            "sku": self.sku,
            "name": self.name,
            "category": self.category,
            "brand": self.brand,
            "price": self.price,
            "currency": CURRENCY,
        }


@dataclass
class Person:
    user_id: str
    anonymous_id: str
    name: str
    email: str
    city: str = ""
    tier: str = "basic"
    last_order: datetime | None = None
    orders: int = 0

    def traits(self) -> dict[str, Any]:
        """What the shop tells Segment about this person with `identify`."""
        traits: dict[str, Any] = {
            "name": self.name,
            "email": self.email,
            "city": self.city,
            "tier": self.tier,
            "orders": self.orders,
        }
        if self.last_order is not None:
            traits["last_order_at"] = iso(self.last_order)
        return traits


@dataclass(frozen=True)
class Call:
    """One Segment track call, as the shop's own code would hand it to the SDK."""

    user_id: str
    anonymous_id: str
    event: str
    properties: dict[str, Any]
    time: datetime


@dataclass
class Shop:
    people: list[Person]
    products: list[Product]
    calls: list[Call]
    _walk: Walk = field(repr=False)

    def visit(self, person: int, start: datetime) -> list[Call]:
        """A further visit of one person, by the same habits as the history."""
        return list(self._walk.visit(person, start))


@dataclass
class Walk:
    """The habits of everyone, and what each has seen, liked and bought so far."""

    rng: np.random.Generator
    people: list[Person]
    products: list[Product]
    reach: list[NDArray[np.float64]]  # per person: running sum of the chance of each product
    successors: NDArray[np.int64]
    restocks: dict[int, int]  # person -> the product they keep buying
    seen: list[list[int]]
    bought: dict[int, datetime] = field(default_factory=dict)
    order: int = 0

    def visit(self, person: int, start: datetime) -> Iterator[Call]:
        who, time, cart = self.people[person], start, []
        last: int | None = None
        if self._restock_is_due(person, start):
            last = self.restocks[person]
            self.bought[person] = start
            cart.append(last)
            yield self._call(who, "Product Added", self._added(last), time)
            time += self._pause()
        for _ in range(1 + int(self.rng.poisson(MEAN_VIEWS - 1))):
            last = self._next(person, last)
            self.seen[person].append(last)
            yield self._call(who, "Product Viewed", self.products[last].properties(), time)
            time += self._pause()
            if self.rng.random() < ADD_RATE:
                cart.append(last)
                yield self._call(who, "Product Added", self._added(last), time)
                time += self._pause()
        if cart and self.rng.random() < ORDER_RATE:
            who.last_order, who.orders = time, who.orders + 1
            yield self._call(who, "Order Completed", self._order(cart), time)

    def _next(self, person: int, last: int | None) -> int:
        dice = self.rng.random()
        if last is not None and dice < FOLLOW_RATE:
            return int(self.successors[last, self._pick(SUCCESSOR_CUMULATIVE)])
        if self.seen[person] and dice < FOLLOW_RATE + RETURN_RATE:
            return self.seen[person][int(self.rng.integers(len(self.seen[person])))]
        return self._pick(self.reach[person])

    def _pick(self, cumulative: NDArray[np.float64]) -> int:
        return int(np.searchsorted(cumulative, self.rng.random() * cumulative[-1], side="right"))

    def _restock_is_due(self, person: int, now: datetime) -> bool:
        if person not in self.restocks:
            return False
        before = self.bought.get(person)
        waited = (
            RESTOCK_DAYS if before is None else (now - before).total_seconds() / SECONDS_PER_DAY
        )
        return waited >= RESTOCK_DAYS and self.rng.random() < RESTOCK_RATE

    def _pause(self) -> timedelta:
        return timedelta(milliseconds=int(5_000 + self.rng.exponential(60_000)))

    def _added(self, product: int) -> dict[str, Any]:
        return self.products[product].properties() | {"quantity": 1}

    def _order(self, cart: list[int]) -> dict[str, Any]:
        self.order += 1
        products = [self._added(product) for product in dict.fromkeys(cart)]
        total = round(sum(float(product["price"]) for product in products), 2)
        return {
            "order_id": f"o-{self.order:06d}",
            "total": total,
            "revenue": total,
            "currency": CURRENCY,
            "products": products,
        }

    def _call(self, who: Person, event: str, properties: dict[str, Any], time: datetime) -> Call:
        return Call(who.user_id, who.anonymous_id, event, properties, time)


SUCCESSOR_CUMULATIVE = np.cumsum(SUCCESSOR_WEIGHTS)


def open_shop(
    seed: int,
    end: datetime,
    *,
    people: int = PEOPLE,
    products: int = PRODUCTS,
    calls: int = CALLS,
    weeks: int = WEEKS,
) -> Shop:
    """A shop whose history of about `calls` calls, in order of time, ends at `end`."""
    rng = np.random.default_rng(seed)
    goods, category_of = make_products(rng, products)
    crowd = make_people(rng, people)
    walk = Walk(
        rng=rng,
        people=crowd,
        products=goods,
        reach=make_tastes(rng, people, goods, category_of),
        successors=make_successors(rng, category_of),
        restocks=make_restocks(rng, people, category_of),
        seen=[[] for _ in crowd],
    )
    history: list[Call] = []
    for person, start in visits(rng, people, calls, end - timedelta(weeks=weeks), end):
        history.extend(call for call in walk.visit(person, start) if call.time < end)
    history.sort(key=lambda call: call.time)
    return Shop(crowd, goods, history, walk)


def make_products(rng: np.random.Generator, count: int) -> tuple[list[Product], NDArray[np.int64]]:
    """Products with names and prices, and the category number of each."""
    categories = rng.permutation(np.arange(count) % len(CATEGORIES))
    goods = [make_product(rng, number, CATEGORIES[c]) for number, c in enumerate(categories)]
    return goods, categories


def make_product(rng: np.random.Generator, number: int, category: Category) -> Product:
    maker = MAKERS[int(rng.integers(len(MAKERS)))]
    thing = category.things[int(rng.integers(len(category.things)))]
    price = round(float(rng.lognormal(np.log(category.price), 0.5)), 2)
    name = f"{maker} {thing}"
    sku = f"{slug(name)}-{number:03d}"
    return Product(sku, name, category.name, maker, price)


def make_people(rng: np.random.Generator, count: int) -> list[Person]:
    people = []
    for number in range(count):
        first = FIRST_NAMES[int(rng.integers(len(FIRST_NAMES)))]
        last = LAST_NAMES[int(rng.integers(len(LAST_NAMES)))]
        people.append(
            Person(
                user_id=f"u-{number:05d}",
                anonymous_id=rng.bytes(8).hex(),
                name=f"{first} {last}",
                email=f"{first}.{last}.{number}@example.com".lower(),
                city=CITIES[int(rng.integers(len(CITIES)))],
                tier="gold" if number % GOLD_EVERY == 0 else "basic",
            )
        )
    return people


def make_tastes(
    rng: np.random.Generator, people: int, goods: list[Product], category_of: NDArray[np.int64]
) -> list[NDArray[np.float64]]:
    """For each person the running sum of every product's chance: taste, popularity and price."""
    likes = rng.dirichlet(np.full(len(CATEGORIES), TASTE_CONCENTRATION), people)
    popularity = 1.0 / (1.0 + rng.permutation(len(goods))) ** 0.6
    prices = np.log([product.price for product in goods])
    typical = np.log([CATEGORIES[c].price for c in category_of])
    level = rng.normal(0.0, 0.4, people)
    chance = []
    for person in range(people):
        fit = np.exp(-(((prices - typical) - level[person]) ** 2) / 0.18)
        chance.append(np.cumsum((likes[person][category_of] + 0.002) * popularity * (fit + 0.02)))
    return chance


def make_successors(rng: np.random.Generator, category_of: NDArray[np.int64]) -> NDArray[np.int64]:
    """What each product leads to: two of its category, two of the one that goes with it."""
    goes_with = rng.permutation(len(CATEGORIES))
    members = [np.flatnonzero(category_of == c) for c in range(len(CATEGORIES))]
    rows = []
    for product, category in enumerate(category_of):
        own, other = members[category], members[goes_with[category]]
        if len(own) < 3 or len(other) < 3:
            own = other = np.arange(len(category_of))
        near = rng.choice(own[own != product], 2, replace=False)
        far = rng.choice(other[other != product], 2, replace=False)
        rows.append([near[0], far[0], near[1], far[1]])
    return np.asarray(rows, dtype=np.int64)


def make_restocks(
    rng: np.random.Generator, people: int, category_of: NDArray[np.int64]
) -> dict[int, int]:
    """A third of the people keep buying one product of the categories that run out."""
    runs_out = np.flatnonzero([CATEGORIES[c].runs_out for c in category_of])
    if not len(runs_out):
        return {}
    habit = np.flatnonzero(rng.random(people) < 1 / 3)
    return {int(person): int(rng.choice(runs_out)) for person in habit}


def visits(
    rng: np.random.Generator, people: int, calls: int, start: datetime, end: datetime
) -> list[tuple[int, datetime]]:
    """Who comes when, in order of time: some come often, most in the evening, everyone once."""
    sessions = max(people, round(calls / CALLS_PER_SESSION))
    activity = rng.pareto(2.0, people) + 0.3
    extra = rng.choice(people, sessions - people, p=activity / activity.sum())
    who = np.concatenate([np.arange(people), extra])
    days = rng.uniform(0, (end - start).total_seconds() / SECONDS_PER_DAY, len(who))
    evening = np.clip(rng.normal(0.79, 0.12, len(who)), 0, 0.999)
    seconds = (np.floor(days) + evening) * SECONDS_PER_DAY
    order = np.argsort(seconds, kind="stable")
    return [(int(who[i]), start + timedelta(milliseconds=int(seconds[i] * 1000))) for i in order]


def slug(name: str) -> str:
    """A name as people read it in an address: birch-co-trail-shoes."""
    return "-".join("".join(c if c.isalnum() else " " for c in name.lower()).split())


def iso(time: datetime) -> str:
    return time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


CITIES = (
    "Lisbon",
    "Utrecht",
    "Graz",
    "Turku",
    "Leeds",
    "Gdansk",
    "Cork",
    "Nantes",
    "Bergen",
    "Malmo",
)
