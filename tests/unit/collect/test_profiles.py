"""Profiles: one person, however many ids."""

from typing import Any

import pytest

from tailorbird.collect import Collect, profiles
from tailorbird.errors import NotFound


def tell(room: Collect, *calls: dict[str, Any]) -> None:
    for n, call in enumerate(calls):
        with room.db.write() as conn:
            profiles.learn(room.db, conn, {"messageId": f"m{n}", **call}, float(n))


def identify(user: str | None, anonymous: str | None = None, **traits: Any) -> dict[str, Any]:
    return {"type": "identify", "userId": user, "anonymousId": anonymous, "traits": traits}


def test_traits_add_up_and_later_ones_win(room: Collect) -> None:
    tell(room, identify("u", a=1, b=1), identify("u", b=2, products=["x"]))
    assert profiles.find(room, "u")["traits"] == {"a": 1, "b": 2, "products": ["x"]}


def test_an_anonymous_person_becomes_known(room: Collect) -> None:
    tell(room, identify(None, "anon", seen="shoes"), identify("u", "anon", name="Ann"))
    found = profiles.find(room, "u")
    assert found["traits"] == {"seen": "shoes", "name": "Ann"}
    assert found == profiles.find(room, anonymous_id="anon")


def test_what_a_known_person_said_wins_over_the_anonymous_past(room: Collect) -> None:
    tell(room, identify("u", size=42), identify(None, "anon", size=40, hue="red"))
    tell(room, identify("u", "anon"))
    assert profiles.find(room, "u")["traits"] == {"size": 42, "hue": "red"}


def test_a_device_shared_by_two_people_does_not_make_them_one(room: Collect) -> None:
    tell(room, identify("ann", "tablet", a=1), identify("ben", "tablet", b=1))
    assert profiles.find(room, "ann")["traits"] == {"a": 1}
    assert profiles.find(room, "ben")["traits"] == {"b": 1}


def test_an_alias_joins_the_previous_id(room: Collect) -> None:
    tell(room, identify("old", a=1), identify("new", b=1))
    tell(room, {"type": "alias", "userId": "new", "previousId": "old"})
    assert profiles.find(room, "new")["traits"] == {"a": 1, "b": 1}
    assert profiles.find(room, "old") == profiles.find(room, "new")


def test_groups_keep_their_own_traits(room: Collect) -> None:
    tell(room, {"type": "group", "userId": "u", "groupId": "g", "traits": {"plan": "pro"}})
    assert profiles.find(room, "u")["groups"] == {"g": {"plan": "pro"}}


def test_an_unknown_person_is_not_found(room: Collect) -> None:
    with pytest.raises(NotFound, match="nobody"):
        profiles.find(room, "nobody")


def test_a_nul_character_in_a_trait_does_not_stop_the_reader(room: Collect) -> None:
    tell(room, identify("u\0", name="A\0nn"))
    assert profiles.find(room, "u")["traits"] == {"name": "Ann"}
