"""Who belongs to a segment, dimension by dimension."""

from __future__ import annotations

from typing import Any

import pytest

from tailorbird.engage import device_types, membership
from tailorbird.engage.dimensions import DAY_SECONDS, Candidate, kilometers
from tailorbird.errors import Invalid
from tests.unit.engage.conftest import NOON


def candidate(channel: str = "EMAIL", days_ago: float = 0.0, **body: Any) -> Candidate:
    person = body.pop("UserAttributes", {})
    return Candidate(1, channel, NOON - days_ago * DAY_SECONDS, body, person)


def belongs(who: Candidate, **segment: Any) -> bool:
    return membership.compiled(segment, NOON, no_sources).test(who)


def no_sources(segment_id: str, version: int | None) -> dict[str, Any]:
    raise AssertionError("no source segment was named")


def attribute(kind: str, *values: str) -> dict[str, Any]:
    return {"Attributes": {"a": {"AttributeType": kind, "Values": list(values)}}}


ATTRIBUTES = [
    ("INCLUSIVE", ["x", "y"], ["y", "z"], True),
    ("INCLUSIVE", ["x"], ["y", "z"], False),
    ("INCLUSIVE", ["x"], None, False),
    ("EXCLUSIVE", ["x"], ["y", "z"], True),
    ("EXCLUSIVE", ["y"], ["y", "z"], False),
    ("EXCLUSIVE", ["y"], None, True),
    ("CONTAINS", ["ea"], ["tea"], True),
    ("CONTAINS", ["EA"], ["tea"], False),
    ("CONTAINS", ["ea"], None, False),
    ("BEFORE", ["2026-11-21"], ["2026-11-20T23:59:59Z"], True),
    ("BEFORE", ["2026-11-21"], ["2026-11-21T00:00:00Z"], False),
    ("BEFORE", ["2026-11-21"], ["yesterday"], False),
    ("BEFORE", ["2026-11-21"], None, False),
    ("AFTER", ["2026-11-21T12:00:00Z"], ["2026-11-21T13:30:00+01:00"], True),
    ("AFTER", ["2026-11-21T12:00:00Z"], ["2026-11-21T12:30:00+01:00"], False),
    ("ON", ["2026-11-21"], ["2026-11-21T23:59:59Z"], True),
    ("ON", ["2026-11-21T08:00:00Z"], ["2026-11-22T08:00:00Z"], False),
    ("BETWEEN", ["2026-11-01", "2026-11-30"], ["2026-11-30T00:00:00Z"], True),
    ("BETWEEN", ["2026-11-01", "2026-11-30"], ["2026-12-01"], False),
]


@pytest.mark.parametrize("kind, wanted, held, expected", ATTRIBUTES)
def test_attributes(kind: str, wanted: list[str], held: list[str] | None, expected: bool) -> None:
    body = {} if held is None else {"Attributes": {"a": held}}
    assert belongs(candidate(**body), Dimensions=attribute(kind, *wanted)) is expected
    of_user = {"UserAttributes": attribute(kind, *wanted)["Attributes"]}
    person = {} if held is None else {"a": held}
    assert belongs(candidate(UserAttributes=person), Dimensions=of_user) is expected


METRICS = [
    ("GREATER_THAN", 3.0, [(3.0, False), (3.1, True)]),
    ("LESS_THAN", 3.0, [(3.0, False), (2.9, True)]),
    ("GREATER_THAN_OR_EQUAL", 3.0, [(3.0, True), (2.9, False)]),
    ("LESS_THAN_OR_EQUAL", 3.0, [(3.0, True), (3.1, False)]),
    ("EQUAL", 3.0, [(3.0, True), (3.1, False)]),
]


@pytest.mark.parametrize("operator, bound, cases", METRICS)
def test_metrics(operator: str, bound: float, cases: list[tuple[float, bool]]) -> None:
    wanted = {"Metrics": {"m": {"ComparisonOperator": operator, "Value": bound}}}
    for value, expected in cases:
        assert belongs(candidate(Metrics={"m": value}), Dimensions=wanted) is expected
    assert not belongs(candidate(), Dimensions=wanted)


@pytest.mark.parametrize("name", ["AppVersion", "Make", "Model", "Platform"])
def test_demographics(name: str) -> None:
    ios, bare = candidate(Demographic={name: "x"}), candidate()
    inclusive = {"Demographic": {name: {"DimensionType": "INCLUSIVE", "Values": ["x", "y"]}}}
    exclusive = {"Demographic": {name: {"DimensionType": "EXCLUSIVE", "Values": ["x", "y"]}}}
    assert (belongs(ios, Dimensions=inclusive), belongs(bare, Dimensions=inclusive)) == (
        True,
        False,
    )
    assert (belongs(ios, Dimensions=exclusive), belongs(bare, Dimensions=exclusive)) == (
        False,
        True,
    )


def test_the_channel_push_is_every_push_channel() -> None:
    wanted = {"Demographic": {"Channel": {"Values": ["PUSH"]}}}
    assert belongs(candidate("APNS_SANDBOX"), Dimensions=wanted)
    assert belongs(candidate("GCM"), Dimensions=wanted)
    assert not belongs(candidate("EMAIL"), Dimensions=wanted)


def test_a_country() -> None:
    wanted = {"Location": {"Country": {"Values": ["NL"]}}}
    assert belongs(candidate(Location={"Country": "NL"}), Dimensions=wanted)
    assert not belongs(candidate(Location={"Country": "BE"}), Dimensions=wanted)
    assert not belongs(candidate(), Dimensions=wanted)


def test_a_circle_on_the_globe() -> None:
    amsterdam, delft = (52.4, 4.9), (52.0, 4.4)
    assert 55 < kilometers(amsterdam, delft) < 57
    center = {"Latitude": amsterdam[0], "Longitude": amsterdam[1]}
    who = candidate(Location={"Latitude": delft[0], "Longitude": delft[1]})
    for reach, expected in ((60.0, True), (50.0, False)):
        point = {"GPSPoint": {"Coordinates": center, "RangeInKilometers": reach}}
        assert belongs(who, Dimensions={"Location": point}) is expected
        assert not belongs(candidate(), Dimensions={"Location": point})


RECENCY = [("HR_24", 1), ("DAY_7", 7), ("DAY_14", 14), ("DAY_30", 30)]


@pytest.mark.parametrize("duration, days", RECENCY)
def test_recency(duration: str, days: int) -> None:
    for kind, expected in (("ACTIVE", True), ("INACTIVE", False)):
        wanted = {"Behavior": {"Recency": {"Duration": duration, "RecencyType": kind}}}
        assert belongs(candidate(days_ago=days - 0.1), Dimensions=wanted) is expected
        assert belongs(candidate(days_ago=days + 0.1), Dimensions=wanted) is not expected


def test_all_dimensions_have_to_hold() -> None:
    wanted = {**attribute("INCLUSIVE", "x"), "Demographic": {"Platform": {"Values": ["ios"]}}}
    both = candidate(Attributes={"a": ["x"]}, Demographic={"Platform": "ios"})
    assert belongs(both, Dimensions=wanted)
    assert not belongs(candidate(Attributes={"a": ["x"]}), Dimensions=wanted)


def test_no_dimensions_are_everybody() -> None:
    assert belongs(candidate(), Dimensions={})
    assert belongs(candidate())


def group(kind: str, *values: str, **more: Any) -> dict[str, Any]:
    return {"Type": kind, "Dimensions": [attribute("INCLUSIVE", v) for v in values], **more}


GROUPS = [
    ("ALL", [group("ALL", "x", "y")], ["x", "y"], True),
    ("ALL", [group("ALL", "x", "y")], ["x"], False),
    ("ALL", [group("ANY", "x", "y")], ["x"], True),
    ("ALL", [group("NONE", "x", "y")], ["x"], False),
    ("ALL", [group("NONE", "x", "y")], ["z"], True),
    ("ALL", [group("ANY", "x"), group("NONE", "y")], ["x", "y"], False),
    ("ANY", [group("ANY", "x"), group("ANY", "y")], ["y"], True),
    ("NONE", [group("ANY", "x"), group("ANY", "y")], ["y"], False),
    ("NONE", [group("ANY", "x"), group("ANY", "y")], ["z"], True),
    ("ALL", [], ["z"], True),
]


@pytest.mark.parametrize("include, groups, held, expected", GROUPS)
def test_groups(include: str, groups: list[Any], held: list[str], expected: bool) -> None:
    wanted = {"Include": include, "Groups": groups}
    assert belongs(candidate(Attributes={"a": held}), SegmentGroups=wanted) is expected


SOURCES = {
    "tea": {"Dimensions": attribute("INCLUSIVE", "tea")},
    "rum": {"Dimensions": attribute("INCLUSIVE", "rum")},
}


@pytest.mark.parametrize(
    "kind, held, expected",
    [
        ("ALL", ["tea", "rum"], True),
        ("ALL", ["tea"], False),
        ("ANY", ["tea"], True),
        ("NONE", ["tea"], False),
        ("NONE", ["gin"], True),
    ],
)
def test_source_segments_are_the_base_of_a_group(
    kind: str, held: list[str], expected: bool
) -> None:
    sources = [{"Id": "tea"}, {"Id": "rum", "Version": 1}]
    segment = {"SegmentGroups": {"Groups": [{"SourceType": kind, "SourceSegments": sources}]}}
    found = membership.compiled(segment, NOON, lambda id_, version: {"body": SOURCES[id_]})
    assert found.test(candidate(Attributes={"a": held})) is expected


def test_a_circle_of_sources_is_refused() -> None:
    a = {"SegmentGroups": {"Groups": [{"SourceSegments": [{"Id": "b"}]}]}}
    b = {"SegmentGroups": {"Groups": [{"SourceSegments": [{"Id": "a"}]}]}}
    with pytest.raises(Invalid, match="circle: a -> b -> a"):
        membership.compiled(a, NOON, lambda id_, version: {"body": {"a": a, "b": b}[id_]}, ("a",))


REFUSED = {
    "no values": (attribute("INCLUSIVE"), "Values is empty"),
    "an unknown kind": (attribute("LIKE", "x"), "AttributeType 'LIKE'"),
    "a bad date": (attribute("BEFORE", "soon"), "are not ISO 8601 dates"),
    "one end": (attribute("BETWEEN", "2026-11-21"), "BETWEEN needs 2 dates"),
    "a bad operator": (
        {"Metrics": {"m": {"ComparisonOperator": "ABOUT", "Value": 1.0}}},
        "ComparisonOperator 'ABOUT'",
    ),
    "a bad duration": (
        {"Behavior": {"Recency": {"Duration": "DAY_1", "RecencyType": "ACTIVE"}}},
        "Duration 'DAY_1'",
    ),
    "no range": (
        {"Location": {"GPSPoint": {"Coordinates": {"Latitude": 1.0, "Longitude": 1.0}}}},
        "RangeInKilometers",
    ),
    "an unknown part": ({"Weather": {}}, "no part 'Weather'"),
    "too many": (
        {"Attributes": {f"a{n}": {"Values": ["x"]} for n in range(101)}},
        "101 dimensions; a segment has at most 100",
    ),
}


@pytest.mark.parametrize("dimensions, words", REFUSED.values(), ids=list(REFUSED))
def test_impossible_dimensions_are_refused(dimensions: dict[str, Any], words: str) -> None:
    with pytest.raises(Invalid, match=words):
        membership.compiled({"Dimensions": dimensions}, NOON, no_sources)


def test_all_groups_together_have_at_most_a_hundred_dimensions() -> None:
    groups = {"Groups": [group("ANY", *map(str, range(51))), group("ANY", *map(str, range(50)))]}
    with pytest.raises(Invalid, match="101 dimensions; a segment has at most 100"):
        membership.compiled({"SegmentGroups": groups}, NOON, no_sources)


DEVICES = [
    ({"Platform": "iOS", "Make": "Apple", "Model": "iPhone 12"}, "phone"),
    ({"Platform": "iOS", "Make": "Apple", "Model": "iPad8,11"}, "tablet"),
    ({"Platform": "ANDROID", "Make": "Google", "Model": "Pixel 7"}, "phone"),
    ({"Platform": "Android", "Make": "samsung", "Model": "SM-T870"}, "tablet"),
    ({"Platform": "android", "Make": "Amazon", "Model": "KFMAWI"}, "tablet"),
    ({"Platform": "android", "Make": "Sony", "Model": "BRAVIA 4K VH2 TV"}, "tv"),
    ({"Platform": "tvOS", "Make": "Apple"}, "tv"),
    ({"Platform": "watchOS", "Model": "Watch6,1"}, "watch"),
    ({"Make": "android"}, "phone"),  # as the seed's example has it
    ({"Platform": "MacIntel", "Make": "Google Inc.", "Model": "Chrome"}, "desktop"),  # Amplify's
    ({"Platform": "Win32", "Model": "Firefox"}, "desktop"),
    ({"Platform": "Linux x86_64"}, "desktop"),
    ({"Platform": "Linux armv8l", "Model": "Chrome"}, "phone"),
    ({"Platform": "iPhone", "Model": "Safari"}, "phone"),
    ({"Make": "apple"}, None),
    ({"Locale": "en_US"}, None),
    ({}, None),
]


@pytest.mark.parametrize("demographic, kind", DEVICES)
def test_make_model_and_platform_say_the_device_type(
    demographic: dict[str, str], kind: str | None
) -> None:
    assert device_types.of(demographic) == kind


@pytest.mark.parametrize(
    "dimension, who",
    [
        ({"Values": ["MOBILE"]}, {"phone"}),
        ({"Values": ["Smartphone", "tablet"]}, {"phone", "pad"}),
        ({"DimensionType": "EXCLUSIVE", "Values": ["phone"]}, {"pad", "mail"}),
    ],
)
def test_a_device_type_is_matched_by_the_words_people_use(
    dimension: dict[str, Any], who: set[str]
) -> None:
    bodies = {
        "phone": {"Demographic": {"Platform": "ios", "Model": "iPhone"}},
        "pad": {"Demographic": {"Platform": "ios", "Model": "iPad"}}, "mail": {},
    }  # fmt: skip
    wanted = {"Dimensions": {"Demographic": {"DeviceType": dimension}}}
    test = membership.compiled(wanted, NOON, no_sources).test
    candidates = {name: Candidate(1, "GCM", NOON, body, {}) for name, body in bodies.items()}
    assert {name for name, one in candidates.items() if test(one)} == who


def test_a_word_that_names_no_device_is_refused() -> None:
    wanted = {"Demographic": {"DeviceType": {"Values": ["phone", "toaster"]}}}
    with pytest.raises(Invalid, match="'toaster' names no device; right are phone, mobile"):
        membership.compiled({"Dimensions": wanted}, NOON, no_sources)
