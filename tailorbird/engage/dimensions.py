"""Who belongs to a segment: dimensions compiled to tests on one endpoint. Pure.

Rules: Pinpoint API reference, "SegmentDimensions" and "SegmentGroup". Where it is silent: an
endpoint without the
attribute matches EXCLUSIVE, a date that cannot be read never matches, BETWEEN takes in both ends.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import orjson

from tailorbird.clock import parse_iso
from tailorbird.engage import device_types
from tailorbird.engage.definitions import PUSH_CHANNELS
from tailorbird.errors import Invalid

DAY_SECONDS = 86_400.0
DURATIONS = {"HR_24": 1, "DAY_7": 7, "DAY_14": 14, "DAY_30": 30}  # days
EARTH_RADIUS_KM = 6371.0
DATE_TYPES = ("BEFORE", "AFTER", "ON", "BETWEEN")
PARTS = ("Attributes", "Behavior", "Demographic", "Location", "Metrics", "UserAttributes")
DEMOGRAPHIC = ("AppVersion", "Make", "Model", "Platform")
COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "GREATER_THAN": lambda a, b: a > b,
    "LESS_THAN": lambda a, b: a < b,
    "GREATER_THAN_OR_EQUAL": lambda a, b: a >= b,
    "LESS_THAN_OR_EQUAL": lambda a, b: a <= b,
    "EQUAL": lambda a, b: a == b,
}
NOTHING: dict[str, Any] = {}


class Candidate(NamedTuple):
    """What a test may look at. `body` and `person` are empty where no test needs them."""

    number: int
    channel: str | None
    effective: float
    body: dict[str, Any]
    person: dict[str, Any]


Test = Callable[[Candidate], bool]


class Condition(NamedTuple):
    """One dimension: its words for people, and its test."""

    label: str
    test: Test


def conditions(dimensions: dict[str, Any], now: float) -> list[Condition]:
    """The conditions of one SegmentDimensions, all of which have to hold."""
    unknown = [part for part in dimensions if part not in PARTS]
    if unknown:
        raise Invalid(f"Dimensions has no part {unknown[0]!r}; right are {', '.join(PARTS)}")
    found: list[Condition] = []
    for part in ("Attributes", "UserAttributes"):
        for name, wanted in (dimensions.get(part) or {}).items():
            found.append(Condition(f"{part}.{name}", _attribute(part, name, wanted)))
    for name, wanted in (dimensions.get("Metrics") or {}).items():
        found.append(Condition(f"Metrics.{name}", _metric(name, wanted)))
    found += _demographic(dimensions.get("Demographic") or {})
    found += _location(dimensions.get("Location") or {})
    recency = (dimensions.get("Behavior") or {}).get("Recency")
    if recency:
        found.append(Condition("Behavior.Recency", _recency(recency, now)))
    return found


def screens(dimensions: dict[str, Any], part: str) -> list[tuple[str, ...]]:
    """Texts of which one of each tuple is in the JSON of every `body` or `person` that matches.

    What lacks one need not be read. INCLUSIVE dimensions have such texts: their values.
    """
    named = (dimensions.get("Location") or {}).get("Country")
    wanted = {
        "person": [*(dimensions.get("UserAttributes") or {}).values()],
        "body": [
            *(dimensions.get("Attributes") or {}).values(),
            *(d for n, d in (dimensions.get("Demographic") or {}).items() if n in DEMOGRAPHIC),
            *([named] if named else []),
        ],
    }[part]
    kinds = ((d.get("AttributeType") or d.get("DimensionType") or "INCLUSIVE", d) for d in wanted)
    found = [d.get("Values") or [] for kind, d in kinds if kind == "INCLUSIVE"]
    return [tuple(orjson.dumps(value).decode() for value in values) for values in found]


def all_of(tests: Iterable[Test]) -> Test:
    chain = tuple(tests)
    if len(chain) == 1:
        return chain[0]
    if len(chain) == 2:  # the most frequent ones, without a generator
        first, second = chain
        return lambda candidate: first(candidate) and second(candidate)
    return lambda candidate: all(test(candidate) for test in chain)


def any_of(tests: Iterable[Test]) -> Test:
    chain = tuple(tests)
    return lambda candidate: any(test(candidate) for test in chain)


def none_of(tests: Iterable[Test]) -> Test:
    chain = tuple(tests)
    return lambda candidate: not any(test(candidate) for test in chain)


def everybody(_candidate: Candidate) -> bool:
    return True


def combine(kind: str | None, tests: list[Test], where: str) -> Test:
    """ALL, ANY or NONE of some tests; everybody when there are none."""
    makers = {"ALL": all_of, "ANY": any_of, "NONE": none_of}
    if (kind or "ALL") not in makers:
        raise Invalid(f"{where} is {kind!r}; right are ALL, ANY, NONE")
    return makers[kind or "ALL"](tests) if tests else everybody


def _attribute(part: str, name: str, wanted: dict[str, Any]) -> Test:
    kind = wanted.get("AttributeType") or "INCLUSIVE"
    values = wanted.get("Values") or []
    where = f"{part}.{name}"
    if not values:
        raise Invalid(f"{where}: Values is empty; a dimension needs at least one value")
    matches = _matcher(kind, values, where)
    if part == "UserAttributes":
        return lambda candidate: matches(candidate.person.get(name))
    return lambda candidate: matches((candidate.body.get("Attributes") or NOTHING).get(name))


def _matcher(kind: str, values: list[str], where: str) -> Callable[[list[str] | None], bool]:
    if kind == "INCLUSIVE":
        wanted = set(values)
        return lambda held: bool(held) and not wanted.isdisjoint(held or ())
    if kind == "EXCLUSIVE":
        unwanted = set(values)
        return lambda held: not held or unwanted.isdisjoint(held)
    if kind == "CONTAINS":
        parts = tuple(values)
        return lambda held: any(part in value for value in held or () for part in parts)
    if kind in DATE_TYPES:
        return _dates(kind, values, where)
    raise Invalid(
        f"{where}: AttributeType {kind!r}; right are INCLUSIVE, EXCLUSIVE, CONTAINS,"
        f" {', '.join(DATE_TYPES)}"
    )


def _dates(kind: str, values: list[str], where: str) -> Callable[[list[str] | None], bool]:
    needed = 2 if kind == "BETWEEN" else 1
    if len(values) < needed:
        raise Invalid(f"{where}: {kind} needs {needed} dates in Values")
    try:
        first, last = parse_iso(values[0]), parse_iso(values[needed - 1])
    except ValueError:
        raise Invalid(f"{where}: {values!r} are not ISO 8601 dates") from None
    compare: dict[str, Callable[[float], bool]] = {
        "BEFORE": lambda moment: moment < first,
        "AFTER": lambda moment: moment > first,
        "ON": lambda moment: moment // DAY_SECONDS == first // DAY_SECONDS,
        "BETWEEN": lambda moment: first <= moment <= last,
    }
    holds = compare[kind]

    def matches(held: list[str] | None) -> bool:
        return any(moment is not None and holds(moment) for moment in map(_moment, held or ()))

    return matches


def _moment(text: str) -> float | None:
    try:
        return parse_iso(text)
    except ValueError:
        return None


def _metric(name: str, wanted: dict[str, Any]) -> Test:
    operator, bound = wanted.get("ComparisonOperator"), wanted.get("Value")
    if operator not in COMPARISONS:
        right = ", ".join(COMPARISONS)
        raise Invalid(f"Metrics.{name}: ComparisonOperator {operator!r}; right are {right}")
    if isinstance(bound, bool) or not isinstance(bound, int | float):
        raise Invalid(f"Metrics.{name}: Value is {bound!r}, not a number")
    compare, limit = COMPARISONS[operator], float(bound)

    def test(candidate: Candidate) -> bool:
        value = (candidate.body.get("Metrics") or NOTHING).get(name)
        return value is not None and compare(value, limit)

    return test


def _demographic(wanted: dict[str, Any]) -> list[Condition]:
    found = []
    for name, dimension in wanted.items():
        where = f"Demographic.{name}"
        if name == "Channel":
            found.append(Condition(where, _channel(_set(dimension, where))))
        elif name in DEMOGRAPHIC:
            found.append(Condition(where, _member("Demographic", name, _set(dimension, where))))
        elif name == "DeviceType":
            types = {**dimension, "Values": device_types.named(dimension.get("Values") or [])}
            found.append(Condition(where, _device_type(_set(types, where))))
        else:
            raise Invalid(f"Demographic has no dimension {name!r}")
    return found


def _set(dimension: dict[str, Any], where: str) -> Callable[[Any], bool]:
    """A SetDimension as a test of one value."""
    values, kind = set(dimension.get("Values") or []), dimension.get("DimensionType") or "INCLUSIVE"
    if not values:
        raise Invalid(f"{where}: Values is empty; a dimension needs at least one value")
    if kind not in ("INCLUSIVE", "EXCLUSIVE"):
        raise Invalid(f"{where}: DimensionType {kind!r}; right are INCLUSIVE, EXCLUSIVE")
    if where == "Demographic.Channel" and "PUSH" in values:
        values |= PUSH_CHANNELS
    return values.__contains__ if kind == "INCLUSIVE" else lambda value: value not in values


def _channel(holds: Callable[[Any], bool]) -> Test:
    return lambda candidate: holds(candidate.channel)


def _device_type(holds: Callable[[Any], bool]) -> Test:
    return lambda candidate: holds(device_types.of(candidate.body.get("Demographic") or NOTHING))


def _member(part: str, name: str, holds: Callable[[Any], bool]) -> Test:
    return lambda candidate: holds((candidate.body.get(part) or NOTHING).get(name))


def _location(wanted: dict[str, Any]) -> list[Condition]:
    found = []
    if wanted.get("Country"):
        holds = _set(wanted["Country"], "Location.Country")
        found.append(Condition("Location.Country", _member("Location", "Country", holds)))
    if wanted.get("GPSPoint"):
        found.append(Condition("Location.GPSPoint", _near(wanted["GPSPoint"])))
    return found


def _near(wanted: dict[str, Any]) -> Test:
    center, reach = wanted.get("Coordinates") or {}, wanted.get("RangeInKilometers")
    if not isinstance(reach, int | float) or reach < 0:
        raise Invalid("Location.GPSPoint: RangeInKilometers has to say how far, in kilometers")
    latitude, longitude = float(center["Latitude"]), float(center["Longitude"])

    def test(candidate: Candidate) -> bool:
        place = candidate.body.get("Location") or NOTHING
        if place.get("Latitude") is None or place.get("Longitude") is None:
            return False
        here = (place["Latitude"], place["Longitude"])
        return kilometers((latitude, longitude), here) <= reach

    return test


def kilometers(a: tuple[float, float], b: tuple[float, float]) -> float:
    """Distance of two (latitude, longitude) on the globe."""
    lat_a, lat_b = math.radians(a[0]), math.radians(b[0])
    north, east = lat_b - lat_a, math.radians(b[1] - a[1])
    h = math.sin(north / 2) ** 2 + math.cos(lat_a) * math.cos(lat_b) * math.sin(east / 2) ** 2
    return 2 * EARTH_RADIUS_KM * math.asin(min(1.0, math.sqrt(h)))


def _recency(wanted: dict[str, Any], now: float) -> Test:
    duration, kind = wanted.get("Duration"), wanted.get("RecencyType")
    if duration not in DURATIONS:
        raise Invalid(f"Recency: Duration {duration!r}; right are {', '.join(DURATIONS)}")
    if kind not in ("ACTIVE", "INACTIVE"):
        raise Invalid(f"Recency: RecencyType {kind!r}; right are ACTIVE, INACTIVE")
    since = now - DURATIONS[duration] * DAY_SECONDS
    active = kind == "ACTIVE"
    return lambda candidate: (candidate.effective >= since) is active
