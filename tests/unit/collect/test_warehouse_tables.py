"""Tables of a warehouse: Segment's names and columns, types that widen, nothing lost or twice."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tailorbird.collect.warehouse import naming
from tailorbird.collect.warehouse.columns import Type, as_json, type_of, wider
from tailorbird.collect.warehouse.load import COLUMNS_MAX, load
from tailorbird.collect.warehouse.rows import Rows, take
from tailorbird.errors import Unavailable
from tests.unit.collect.warehouse_fixtures import KINDS, Place, place

NOW = "2026-11-21T13:00:00.000Z"
AT = "2026-11-21T12:00:00.123Z"

# The vectors of segmentio/go-snakecase.
VECTORS = {
    "sample text": "sample_text",
    "sample-text": "sample_text",
    "sample_text": "sample_text",
    "sample___text": "sample_text",
    "sampleText": "sample_text",
    "inviteYourCustomersAddInvites": "invite_your_customers_add_invites",
    "sample 2 Text": "sample_2_text",
    "   sample   2    Text   ": "sample_2_text",
    "   $#$sample   2    Text   ": "sample_2_text",
    "SAMPLE 2 TEXT": "sample_2_text",
    "___$$Base64Encode": "base64_encode",
    "FOO:BAR$BAZ": "foo_bar_baz",
    "FOO#BAR#BAZ": "foo_bar_baz",
    "something.com": "something_com",
    "$something%": "something",
    "•¶§ƒ˚foo˙∆˚¬": "foo",
    "Order Completed": "order_completed",
    "productID": "product_id",
    "日本": "",
}


@pytest.fixture(params=KINDS)
def at(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    return place(request.param, request, tmp_path)


@pytest.mark.parametrize("text", VECTORS)
def test_names_are_those_of_go_snakecase(text: str) -> None:
    assert naming.snake_case(text) == VECTORS[text]


NAMES = {
    "Tracks": "_tracks",  # not the table of every track call
    "2 Steps": "_2_steps",
    "User": "_user",  # a word that Redshift reserves
    "x" * 80: "x" * 54 + "_" + "4e5e9fde",
    'drop"; --': "drop",
}


@pytest.mark.parametrize("event", NAMES)
def test_the_table_of_an_event(event: str) -> None:
    name = naming.table_name(event)
    assert name[:55] == NAMES[event][:55]
    assert len(name) <= naming.NAME_MAX_CHARACTERS


def test_long_names_stay_apart() -> None:
    assert naming.table_name("x" * 80) != naming.table_name("x" * 81)


TYPES = [
    (1, Type.INTEGER),
    (2**63, Type.TEXT),
    (1.0, Type.FLOAT),
    (True, Type.BOOLEAN),
    ("x", Type.TEXT),
    ("2026-11-21T12:00:00Z", Type.TIMESTAMP),
    ("2026-11-21T12:00:00.5+01:00", Type.TIMESTAMP),
    ("2026-11-21", Type.TEXT),
    ("2026-13-21T12:00:00Z", Type.TEXT),
    ([1], Type.TEXT),
]


@pytest.mark.parametrize(("value", "expected"), TYPES)
def test_the_type_of_a_value(value: Any, expected: Type) -> None:
    assert type_of(value) is expected


def test_only_integers_widen_to_floats_everything_else_to_text() -> None:
    assert wider(Type.INTEGER, Type.FLOAT) is Type.FLOAT
    assert wider(Type.FLOAT, Type.INTEGER) is Type.FLOAT
    assert {wider(one, Type.BOOLEAN) for one in Type if one is not Type.BOOLEAN} == {Type.TEXT}


def call(number: int, event: str = "Order Completed", **fields: Any) -> dict[str, Any]:
    made = {"type": "track", "messageId": f"m{number}", "userId": "ann", "anonymousId": "a-1"}
    made |= {"receivedAt": AT, "sentAt": AT, "timestamp": AT, "originalTimestamp": AT}
    return {**made, "event": event, "context": {"ip": "1.2.3.4", "app": {"v": 1}}, **fields}


def put(at: Place, *calls: dict[str, Any], sku: bool = False, text_max: int = 512) -> Rows:
    rows = Rows()
    for one in calls:
        take(rows, one, NOW, lambda table, column: True, sku)
    conn = at.open()
    try:
        known = conn.tables()
        load(conn, known, rows, text_max)
        assert conn.tables() == known
    finally:
        conn.close()
    return rows


def moment(text: str, at: Place) -> Any:
    if at.kind == "sqlite":
        return text
    found = datetime.fromisoformat(text)
    return found if at.kind == "postgres" else found.astimezone(UTC).replace(tzinfo=None)


def test_a_track_call_is_in_tracks_and_in_its_events_table(at: Place) -> None:
    put(at, call(1, properties={"productId": {"SKU": "G-32"}, "tags": ["a", 1], "none": None}))
    common = "id, user_id, anonymous_id, event, event_text, context_ip, context_app_v, timestamp"
    same = ("m1", "ann", "a-1", "order_completed", "Order Completed", "1.2.3.4", 1)
    same = (*same, moment(AT, at))
    assert at.ask(f"SELECT {common} FROM prod.tracks") == [same]
    query = f"SELECT {common}, product_id_sku, tags FROM prod.order_completed"
    assert at.ask(query) == [(*same, "G-32", '["a",1]')]
    conn = at.open()
    columns = conn.tables()
    conn.close()
    assert "none" not in columns["order_completed"]
    assert columns["tracks"].keys() & {"tags", "product_id_sku"} == set()
    wanted = {"received_at", "sent_at", "timestamp", "original_timestamp", "uuid_ts"}
    assert {n for n, kind in columns["tracks"].items() if kind is Type.TIMESTAMP} == wanted


def test_every_type_of_call_has_its_table(at: Place) -> None:
    put(
        at,
        call(1, type="identify", traits={"plan": "pro"}),
        call(2, type="page", name="Home", category="Shop", properties={"url": "/"}),
        call(3, type="screen", name="Main"),
        call(4, type="group", groupId="acme", traits={"seats": 3}),
        call(5, type="alias", previousId="a-1"),
    )
    assert at.ask("SELECT id, user_id, plan FROM prod.identifies") == [("m1", "ann", "pro")]
    assert at.ask("SELECT name, category, url FROM prod.pages") == [("Home", "Shop", "/")]
    assert at.ask("SELECT name FROM prod.screens") == [("Main",)]
    assert at.ask("SELECT group_id, seats FROM prod.groups") == [("acme", 3)]
    assert at.ask("SELECT previous_id, user_id FROM prod.aliases") == [("a-1", "ann")]


def test_users_holds_the_latest_of_every_trait(at: Place) -> None:
    def identify(number: int, hour: int, **traits: Any) -> dict[str, Any]:
        time = f"2026-11-21T{hour}:00:00.000Z"
        return call(number, type="identify", receivedAt=time, traits=traits)

    put(at, identify(1, 10, plan="free", city="Rome"), identify(2, 11, plan="pro"))
    put(at, identify(3, 12, city="Oslo"))
    put(at, identify(1, 10, plan="free", city="Rome"))  # loaded again, it is old
    assert at.ask("SELECT id, plan, city FROM prod.users") == [("ann", "pro", "Oslo")]
    assert at.ask("SELECT COUNT(*) FROM prod.identifies") == [(3,)]


def test_a_call_that_is_loaded_again_is_there_once(at: Place) -> None:
    put(at, call(1), call(2), call(1))
    put(at, call(2), call(3))
    assert at.ask("SELECT COUNT(*), COUNT(DISTINCT id) FROM prod.order_completed") == [(3, 3)]
    assert at.ask("SELECT COUNT(*) FROM prod.tracks") == [(3,)]


def test_columns_widen_and_keep_what_they_hold(at: Place) -> None:
    first = {"n": 1, "flag": True, "when": AT, "big": 7}
    second = {"n": 1.5, "flag": 3, "when": "soon", "big": 2**70}
    put(at, call(1, properties=first))
    put(at, call(2, properties=second))
    put(at, call(3, properties=first))
    found = at.ask("SELECT n, flag, _when, big FROM prod.order_completed ORDER BY id")
    one = (1.0, "true", AT, "7")
    assert found == [one, (1.5, "3", "soon", str(2**70)), one]


def test_texts_are_cut_where_segment_cuts_them_and_arrays_are_not(at: Place) -> None:
    properties = {"note": "x" * 600, "tags": ["y" * 600]}
    put(at, call(1, properties=properties))
    put(at, call(2, properties=properties), text_max=0)
    query = "SELECT length(note), length(tags) FROM prod.order_completed ORDER BY id"
    assert at.ask(query) == [(512, 604), (600, 604)]


def test_names_that_collide_lose_nothing(at: Place) -> None:
    properties = {
        "fooBar": 1,
        "foo_bar": 2,
        "日本": 3,
        "order": 4,
        "a.b": {"c": 5},
        "context_ip": 6,
    }
    put(at, call(1, properties=properties), call(2, event="order_completed"))
    found = at.ask(
        "SELECT foo_bar, _order, a_b_c, context_ip, other_properties, event_text"
        " FROM prod.order_completed ORDER BY id"
    )
    other = {"foo_bar": 2, "日本": 3, "context_ip": 6}
    assert found[0][:4] == (1, 4, 5, "1.2.3.4")
    assert json.loads(found[0][4]) == other
    assert found[1][5] == "order_completed"


def test_a_property_named_as_a_standard_column_is_left_out_with_a_notice(at: Place) -> None:
    rows = put(at, call(1, properties={"user_id": "eve", "event": "x", "sku": "s"}))
    assert at.ask("SELECT user_id, event, sku FROM prod.order_completed") == [
        ("ann", "order_completed", "s")
    ]
    assert len(rows.notices) == 2


def test_an_event_without_a_name_of_its_own_is_in_tracks_only(at: Place) -> None:
    rows = put(at, call(1, event="日本"))
    assert at.ask("SELECT event, event_text FROM prod.tracks") == [("", "日本")]
    assert "tracks only" in "".join(rows.notices)


HOSTILE = [
    'x"; DROP TABLE prod.tracks; --',
    "x'); DELETE FROM prod.tracks; --",
    "a\0b",
    "\ufffd\ud83d\ude00".encode("utf-16", "surrogatepass").decode("utf-16"),
    "__proto__",
    "select",
    "?",
    "%s",
    "$1",
    "{x}",
    "n" * 300,
]


def test_hostile_names_and_values_are_only_names_and_values(at: Place) -> None:
    properties = {name: name for name in HOSTILE}
    put(at, call(1), call(2, properties=properties), call(3, event=HOSTILE[0]))
    assert at.ask("SELECT COUNT(*) FROM prod.tracks") == [(3,)]
    conn = at.open()
    columns = conn.tables()["order_completed"]
    conn.close()
    assert all(name.replace("_", "").isalnum() and name.isascii() for name in columns)
    row = at.ask("SELECT a_b, x_drop_table_prod_tracks, _select FROM prod.order_completed")
    assert row[1] == ("ab", HOSTILE[0], "select")


def test_ten_thousand_properties_fill_the_columns_and_the_rest_is_kept(at: Place) -> None:
    calls = [
        call(n, properties={f"p{n * 500 + k}": n * 500 + k for k in range(500)}) for n in range(20)
    ]
    rows = put(at, *calls)
    conn = at.open()
    columns = conn.tables()["order_completed"]
    conn.close()
    assert len(columns) <= COLUMNS_MAX
    assert any("other_properties" in notice for notice in rows.notices)
    kept = at.ask("SELECT other_properties FROM prod.order_completed")
    own = [name for name in columns if name.startswith("p") and name[1:].isdigit()]
    assert sum(len(json.loads(text)) for (text,) in kept) + len(own) == 10_000


def test_the_deepest_nesting_is_text(at: Place) -> None:
    deep: Any = {"end": 1}
    for _ in range(200):
        deep = {"d": deep}
    nested: Any = 1
    for _ in range(200):
        nested = [nested]
    put(at, call(1, properties={"deep": deep, "nested": nested}))
    assert at.ask("SELECT COUNT(*) FROM prod.order_completed") == [(1,)]


# The inner query of the second seed, for Redshift and for Snowflake, as it is written there.
SEED = """
  select
    user_id as USER_ID,
    products_sku as ITEM_ID,
    event as EVENT_TYPE,
    date_part(epoch,"timestamp") as TIMESTAMP
  from prod.order_completed
  UNION
  select
    user_id as USER_ID,
    products_sku as ITEM_ID,
    event as EVENT_TYPE,
    date_part(epoch,"timestamp") as TIMESTAMP
  from prod.product_added
  UNION
  select
    user_id as USER_ID,
    products_sku as ITEM_ID,
    event as EVENT_TYPE,
    date_part(epoch,"timestamp") as TIMESTAMP
  from prod.product_viewed
"""


def test_the_seeds_sql_runs_as_written(at: Place) -> None:
    products = [{"sku": "tea"}, {"product_id": 7}, {"name": "nothing"}, {"sku": "cup"}]
    put(
        at,
        call(1, properties={"total": 30.5, "products": products}),
        call(2, "Product Added", properties={"sku": "pot"}),
        call(3, "Product Viewed", properties={"url": "/"}),
        sku=True,
    )
    asked = SEED
    if at.kind == "sqlite":  # it has no date_part
        asked = SEED.replace('date_part(epoch,"timestamp")', 'unixepoch("timestamp")')
    seconds = int(datetime.fromisoformat(AT).timestamp())
    found = {(user, item, event, int(time)) for user, item, event, time in at.ask(asked)}
    assert found == {
        ("ann", "tea", "order_completed", seconds),
        ("ann", "7", "order_completed", seconds),
        ("ann", "cup", "order_completed", seconds),
        ("ann", "pot", "product_added", seconds),
        ("ann", None, "product_viewed", seconds),
    }
    sums = at.ask("SELECT SUM(total), COUNT(total), COUNT(*) FROM prod.order_completed")
    assert sums == [(30.5, 1, 3)]


def test_a_batch_that_fails_leaves_nothing_of_itself(at: Place) -> None:
    put(at, call(1))
    rows = Rows()
    take(rows, call(2, properties={"new": 1}), NOW, lambda table, column: True, False)
    rows.tables["a_table"] = [{"id": None}]
    conn = at.open()
    with pytest.raises((Unavailable, TypeError)):
        load(conn, conn.tables(), _broken(rows), 512)
    assert "new" not in conn.tables()["order_completed"]
    conn.close()
    assert at.ask("SELECT COUNT(*) FROM prod.tracks") == [(1,)]


def _broken(rows: Rows) -> Rows:
    """The last table has a value that its column cannot take."""
    rows.tables["a_table"] = [{"id": "x", "received_at": AT, "n": object()}]
    return rows


def test_json_loses_the_nul_character_and_keeps_texts_that_look_like_it() -> None:
    assert json.loads(as_json(["a\0b", "\\u0000", "\\\0", "\\\\u0000"])) == [
        "ab", "\\u0000", "\\", "\\\\u0000",
    ]  # fmt: skip
