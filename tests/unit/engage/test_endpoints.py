"""Endpoints: what a write leaves, what others lose by it, and what is refused."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tailorbird.engage import Engage, apps, attributes, endpoints, update_endpoints, users
from tailorbird.errors import Invalid, NotFound, TooLarge
from tests.unit.engage.conftest import CALLER, NOON, get, mail, put


def write(room: Engage, app_id: str, endpoint_id: str, **given: Any) -> None:
    request = {"ApplicationId": app_id, "EndpointId": endpoint_id, "EndpointRequest": given}
    answer = endpoints.update_endpoint(room, CALLER, request)
    assert answer == {"MessageBody": {"Message": "Accepted", "RequestID": "r-1"}}


def person(room: Engage, app_id: str, user_id: str) -> list[dict[str, Any]]:
    request = {"ApplicationId": app_id, "UserId": user_id}
    found = users.get_user_endpoints(room, CALLER, request)["EndpointsResponse"]["Item"]
    return list(found)


def test_a_new_endpoint_reads_back_as_written(engage: Engage, app_id: str) -> None:
    write(
        engage, app_id, "Ana", ChannelType="EMAIL", Address="ana@example.com",
        Attributes={"Interests": ["tea", "rum"]}, Metrics={"score": 7},
        Demographic={"Platform": "ios"}, Location={"Country": "NL", "Latitude": 52.3702},
        User={"UserId": "u1", "UserAttributes": {"Name": ["Ana"]}},
    )  # fmt: skip
    read = get(engage, app_id, "Ana")
    assert 0 <= int(read.pop("CohortId")) < 100
    assert read == {
        "ApplicationId": app_id, "Id": "Ana", "ChannelType": "EMAIL", "Address": "ana@example.com",
        "EndpointStatus": "ACTIVE", "OptOut": "NONE",
        "Location": {"Country": "NL", "Latitude": 52.4}, "Demographic": {"Platform": "ios"},
        "Attributes": {"Interests": ["tea", "rum"]}, "Metrics": {"score": 7.0},
        "EffectiveDate": "2026-11-21T12:00:00.000Z", "CreationDate": "2026-11-21T12:00:00.000Z",
        "User": {"UserId": "u1", "UserAttributes": {"Name": ["Ana"]}},
    }  # fmt: skip


def test_ids_are_the_same_in_any_case(engage: Engage, app_id: str) -> None:
    write(engage, app_id, "Ana", Address="a@example.com")
    write(engage, app_id, "aNA", OptOut="ALL")
    assert get(engage, app_id, "ANA")["OptOut"] == "ALL"
    assert get(engage, app_id, "ana")["Id"] == "Ana"


def test_maps_merge_by_key_and_an_empty_list_takes_an_attribute_away(
    engage: Engage, app_id: str
) -> None:
    write(engage, app_id, "e", Attributes={"a": ["1"], "b": ["2", "3"]}, Metrics={"m": 1.0})
    write(engage, app_id, "e", Attributes={"b": ["4"], "c": ["5"]}, Metrics={"n": 2.0})
    write(engage, app_id, "e", Attributes={"a": []})
    read = get(engage, app_id, "e")
    assert read["Attributes"] == {"b": ["4"], "c": ["5"]}
    assert read["Metrics"] == {"m": 1.0, "n": 2.0}


def test_an_empty_write_wipes_nothing(engage: Engage, app_id: str) -> None:
    put(engage, app_id, {"Id": "e", "Attributes": {"a": ["1"]}, "User": {"UserId": "u"}})
    before = get(engage, app_id, "e")
    write(engage, app_id, "e")
    assert get(engage, app_id, "e") == before


def test_what_was_read_can_be_written_back(engage: Engage, app_id: str) -> None:
    put(engage, app_id, {"Id": "e", "Attributes": {"a": ["1"]}, "User": {"UserId": "u"}})
    read = get(engage, app_id, "e")
    kept = {k: v for k, v in read.items() if k not in GENERATED}
    write(engage, app_id, "e", **kept)
    assert get(engage, app_id, "e") == read


GENERATED = ("ApplicationId", "CohortId", "CreationDate", "Id")


def test_user_attributes_belong_to_the_person(engage: Engage, app_id: str) -> None:
    write(engage, app_id, "phone", User={"UserId": "u", "UserAttributes": {"Tier": ["gold"]}})
    write(engage, app_id, "mail", User={"UserId": "u"})
    write(engage, app_id, "mail", User={"UserAttributes": {"City": ["Delft"]}})
    for endpoint in person(engage, app_id, "u"):
        assert endpoint["User"]["UserAttributes"] == {"Tier": ["gold"], "City": ["Delft"]}


def test_attributes_of_a_nameless_user_follow_when_the_user_gets_a_name(
    engage: Engage, app_id: str
) -> None:
    write(engage, app_id, "e", User={"UserAttributes": {"Tier": ["gold"]}})
    write(engage, app_id, "e", User={"UserId": "u"})
    assert get(engage, app_id, "e")["User"] == {
        "UserId": "u",
        "UserAttributes": {"Tier": ["gold"]},
    }


def test_the_last_endpoint_written_owns_its_address(engage: Engage, app_id: str) -> None:
    for endpoint_id in ("old", "new"):
        write(engage, app_id, endpoint_id, ChannelType="EMAIL", Address="same@example.com")
    assert get(engage, app_id, "old")["EndpointStatus"] == "INACTIVE"
    assert get(engage, app_id, "new")["EndpointStatus"] == "ACTIVE"
    write(engage, app_id, "old", OptOut="NONE")
    assert get(engage, app_id, "old")["EndpointStatus"] == "ACTIVE"
    assert get(engage, app_id, "new")["EndpointStatus"] == "INACTIVE"


def test_one_address_twice_in_a_batch_leaves_the_last_active(engage: Engage, app_id: str) -> None:
    put(engage, app_id, *({"Id": i, "Address": "same@example.com"} for i in ("a", "b")))
    assert get(engage, app_id, "a")["EndpointStatus"] == "INACTIVE"
    assert get(engage, app_id, "b")["EndpointStatus"] == "ACTIVE"


def test_the_sixteenth_endpoint_of_a_user_is_refused(engage: Engage, app_id: str) -> None:
    put(engage, app_id, *({"Id": f"e{n}", "User": {"UserId": "u"}} for n in range(15)))
    with pytest.raises(Invalid, match="Exceeded maximum endpoint per user count 15"):
        put(engage, app_id, {"Id": "e15", "User": {"UserId": "u"}})
    assert len(person(engage, app_id, "u")) == 15


def test_a_new_push_endpoint_displaces_the_oldest_push_endpoint(
    engage: Engage, app_id: str, clock: Any
) -> None:
    put(engage, app_id, {"Id": "push0", "ChannelType": "GCM", "User": {"UserId": "u"}})
    clock.advance(60)
    put(engage, app_id, {"Id": "push1", "ChannelType": "APNS", "User": {"UserId": "u"}})
    put(engage, app_id, *({"Id": f"e{n}", "User": {"UserId": "u"}} for n in range(13)))
    put(engage, app_id, {"Id": "push2", "ChannelType": "GCM", "User": {"UserId": "u"}})
    assert "push0" not in [endpoint["Id"] for endpoint in person(engage, app_id, "u")]
    displaced = get(engage, app_id, "push0")
    assert displaced["EndpointStatus"] == "INACTIVE"
    assert displaced["User"] == {}


def test_a_person_is_deleted_with_all_endpoints(engage: Engage, app_id: str) -> None:
    put(engage, app_id, *({"Id": i, "User": {"UserId": "u"}} for i in ("a", "b")))
    request = {"ApplicationId": app_id, "UserId": "u"}
    gone = users.delete_user_endpoints(engage, CALLER, request)["EndpointsResponse"]["Item"]
    assert [endpoint["Id"] for endpoint in gone] == ["a", "b"]
    with pytest.raises(NotFound, match="no user u"):
        users.get_user_endpoints(engage, CALLER, request)


def test_attributes_of_a_person_go_with_the_last_endpoint(engage: Engage, app_id: str) -> None:
    write(engage, app_id, "a", User={"UserId": "u", "UserAttributes": {"Tier": ["gold"]}})
    endpoints.delete_endpoint(engage, CALLER, {"ApplicationId": app_id, "EndpointId": "A"})
    write(engage, app_id, "b", User={"UserId": "u"})
    assert get(engage, app_id, "b")["User"] == {"UserId": "u"}


def test_an_endpoint_that_changes_hands_leaves_the_old_attributes(
    engage: Engage, app_id: str
) -> None:
    write(engage, app_id, "tablet", User={"UserId": "u", "UserAttributes": {"Tier": ["gold"]}})
    write(engage, app_id, "tablet", User={"UserId": "v"})
    assert get(engage, app_id, "tablet")["User"] == {"UserId": "v"}


def test_effective_dates_may_be_given_without_an_offset(engage: Engage, app_id: str) -> None:
    write(engage, app_id, "e", EffectiveDate="2026-11-20T10:00:00.123456")
    assert get(engage, app_id, "e")["EffectiveDate"] == "2026-11-20T10:00:00.123Z"


REFUSED = {
    "a bad id": ({"Id": "a${b}"}, "without"),
    "no id": ({}, "Endpoint id None"),
    "a bad channel": ({"Id": "e", "ChannelType": "FAX"}, "ChannelType is 'FAX'"),
    "a bad status": ({"Id": "e", "EndpointStatus": "OK"}, "EndpointStatus is 'OK'"),
    "a bad opt-out": ({"Id": "e", "OptOut": "YES"}, "right are ALL, NONE"),
    "a bad date": ({"Id": "e", "EffectiveDate": "soon"}, "EffectiveDate 'soon' is not ISO 8601"),
    "a long value": ({"Id": "e", "Attributes": {"a": ["x" * 101]}}, "101 characters; 100"),
    "many values": ({"Id": "e", "Attributes": {"a": ["x"] * 51}}, "51 values; 50"),
    "a long name": ({"Id": "e", "Attributes": {"n" * 51: ["x"]}}, "51 characters"),
    "a metric in words": ({"Id": "e", "Metrics": {"m": "many"}}, "not a number"),
    "NUL": ({"Id": "e", "Attributes": {"a": ["x\x00"]}}, "NUL"),
    "half a surrogate": ({"Id": "e", "Attributes": {"a": ["\ud800"]}}, "Endpoint e"),
    "an unknown field": ({"Id": "e", "Adress": "x"}, "no field 'Adress'"),
    "a user in words": ({"Id": "e", "User": "ana"}, "UserId and UserAttributes"),
}


@pytest.mark.parametrize("item, words", REFUSED.values(), ids=list(REFUSED))
def test_a_bad_endpoint_is_refused_and_nothing_of_its_batch_is_kept(
    engage: Engage, app_id: str, item: dict[str, Any], words: str
) -> None:
    with pytest.raises(Invalid, match=words):
        update_endpoints(engage, CALLER.account, app_id, [{"Id": "good"}, item])
    with pytest.raises(NotFound):
        get(engage, app_id, "good")


def test_a_backslash_and_u0000_in_a_text_are_no_nul(engage: Engage, app_id: str) -> None:
    text = "a\\u0000"
    person = {"UserId": "u", "UserAttributes": {"path": [text]}}
    put(engage, app_id, {"Id": "ana", "Attributes": {"path": [text]}, "User": person})
    shown = get(engage, app_id, "ana")
    assert (shown["Attributes"], shown["User"]) == ({"path": [text]}, person)


def test_writers_wait_only_for_writers_of_the_same_endpoint_person_or_address(
    engage: Engage, app_id: str
) -> None:
    if engage.db.dialect == "sqlite":
        pytest.skip("SQLite has one writer")

    def item(name: str, person: str, address: str) -> dict[str, Any]:
        return {**mail(Id=name, User={"UserId": person}), "Address": address}

    put(engage, app_id, item("ana", "anas", "a@example.com"))
    others = {
        "other": item("ben", "bens", "b@example.com"),
        "endpoint": {"Id": "ANA", "Attributes": {"likes": ["tea"]}},
        "person": item("ana-2", "anas", "a2@example.com"),
        "address": item("cy", "cys", "new@example.com"),
    }
    with ThreadPoolExecutor(4) as pool, engage.db.write() as conn:
        app = apps.find(conn, CALLER, app_id)
        mine = {**item("ana", "anas", "new@example.com"), "Attributes": {"tier": ["gold"]}}
        endpoints.write(engage, conn, app, [mine])
        writes = {
            kind: pool.submit(update_endpoints, engage, CALLER.account, app_id, [one])
            for kind, one in others.items()
        }
        writes["other"].result(timeout=30)
        assert {kind for kind, one in writes.items() if not one.done()} == {
            "endpoint", "person", "address",
        }  # fmt: skip
        conn.commit()
        for one in writes.values():
            one.result(timeout=30)
    ana = get(engage, app_id, "ana")
    assert ana["Attributes"] == {"tier": ["gold"], "likes": ["tea"]}
    assert [get(engage, app_id, who)["EndpointStatus"] for who in ("ana", "cy")] in (
        ["ACTIVE", "INACTIVE"], ["INACTIVE", "ACTIVE"],
    )  # fmt: skip


def test_more_than_a_hundred_in_a_batch_are_refused(engage: Engage, app_id: str) -> None:
    items = [{"Id": str(n)} for n in range(101)]
    request = {"ApplicationId": app_id, "EndpointBatchRequest": {"Item": items}}
    with pytest.raises(Invalid, match="101 endpoints; at most 100"):
        endpoints.update_endpoints_batch(engage, CALLER, request)


def test_an_endpoint_over_15_kb_is_refused(engage: Engage, app_id: str) -> None:
    many = {f"a{n}": ["x" * 100] * 50 for n in range(4)}
    with pytest.raises(TooLarge, match="is the limit"):
        write(engage, app_id, "e", Attributes=many)


def test_an_application_has_at_most_250_attribute_names(engage: Engage, app_id: str) -> None:
    write(engage, app_id, "a", Attributes={f"n{n}": ["1"] for n in range(248)})
    write(engage, app_id, "b", Metrics={"m": 1.0}, User={"UserAttributes": {"u": ["1"]}})
    write(engage, app_id, "c", Attributes={"n0": ["2"]})
    with pytest.raises(Invalid, match="250 is the limit"):
        write(engage, app_id, "d", Attributes={"one more": ["1"]})


def test_limits_can_be_lifted(engage: Engage, app_id: str) -> None:
    engage.settings = engage.settings.replace(
        engage_max_endpoints_per_user=0, engage_max_attribute_values=0,
        engage_max_attribute_value_chars=0, engage_max_endpoint_kb=0, engage_max_attribute_names=0,
    )  # fmt: skip
    many = {f"n{n}": ["x" * 200] * 60 for n in range(251)}
    put(engage, app_id, *({"Id": f"e{n}", "User": {"UserId": "u"}} for n in range(20)))
    write(engage, app_id, "big", Attributes=many)
    assert len(person(engage, app_id, "u")) == 20


def test_another_room_may_give_plain_values(engage: Engage, app_id: str) -> None:
    traits = {"age": 41, "vip": True, "plan": "pro", "tags": ["a", 1], "gone": None}
    item = {"Id": "e", "User": {"UserId": "u", "UserAttributes": traits}}
    update_endpoints(engage, CALLER.account, app_id, [item])
    assert get(engage, app_id, "e")["User"]["UserAttributes"] == {
        "age": ["41"], "vip": ["true"], "plan": ["pro"], "tags": ["a", "1"],
    }  # fmt: skip


def remove(room: Engage, app_id: str, kind: str, *names: str) -> list[str]:
    wanted = {"Blacklist": list(names)}
    request = {"ApplicationId": app_id, "AttributeType": kind, "UpdateAttributesRequest": wanted}
    answer = attributes.remove_attributes(room, CALLER, request)["AttributesResource"]
    assert (answer["ApplicationId"], answer["AttributeType"]) == (app_id, kind)
    return list(answer["Attributes"])


def test_removed_attributes_keep_their_values_and_take_no_new_ones(
    engage: Engage, app_id: str
) -> None:
    write(engage, app_id, "e", Attributes={"plan": ["old"], "tmp_a": ["1"]}, Metrics={"m": 1.0})
    assert remove(engage, app_id, "endpoint-custom-attributes", "plan") == ["plan"]
    assert remove(engage, app_id, "endpoint-custom-attributes", "tmp_*") == ["plan", "tmp_*"]
    remove(engage, app_id, "endpoint-metric-attributes", "m")
    remove(engage, app_id, "endpoint-user-attributes", "secret")
    write(
        engage, app_id, "e", Metrics={"m": 2.0, "n": 2.0},
        Attributes={"plan": ["new"], "tmp_a": ["2"], "tmp_b": ["2"], "other": ["2"]},
        User={"UserId": "u", "UserAttributes": {"secret": ["2"], "open": ["2"]}},
    )  # fmt: skip
    read = get(engage, app_id, "e")
    assert read["Attributes"] == {"plan": ["old"], "tmp_a": ["1"], "other": ["2"]}
    assert read["Metrics"] == {"m": 1.0, "n": 2.0}
    assert read["User"]["UserAttributes"] == {"open": ["2"]}


def test_attributes_of_an_unknown_kind_are_not_removed(engage: Engage, app_id: str) -> None:
    with pytest.raises(Invalid, match="endpoint-user-attributes"):
        remove(engage, app_id, "all", "x")


def test_unknown_things_are_not_found(engage: Engage, app_id: str) -> None:
    with pytest.raises(NotFound, match="no endpoint"):
        get(engage, app_id, "nobody")
    with pytest.raises(NotFound, match="no application"):
        get(engage, "0" * 32, "nobody")
    with pytest.raises(NotFound, match="no application"):
        update_endpoints(engage, "999999999999", app_id, [{"Id": "e"}])


def test_the_clock_of_the_house_dates_endpoints(engage: Engage, app_id: str, clock: Any) -> None:
    write(engage, app_id, "e")
    clock.set(NOON + 60)
    write(engage, app_id, "e", OptOut="NONE")
    read = get(engage, app_id, "e")
    assert read["CreationDate"] == "2026-11-21T12:00:00.000Z"
    assert read["EffectiveDate"] == "2026-11-21T12:01:00.000Z"
