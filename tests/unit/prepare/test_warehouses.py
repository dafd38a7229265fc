"""Warehouses: the seed's statements word for word, and the archive's rows out of real tables."""

from __future__ import annotations

import csv
import json
from collections import Counter
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pytest

from tailorbird import prepare
from tailorbird.clock import SystemClock
from tailorbird.collect.warehouse import rows as house_rows
from tailorbird.errors import Invalid, Unavailable
from tailorbird.prepare import SEED, Prepare, from_dict
from tailorbird.prepare.warehouses import UNLOADS, duckdb_file, postgres, redshift, snowflake
from tailorbird.prepare.warehouses.select import inner
from tailorbird.prepare.warehouses.unloading import Keys
from tailorbird.settings import Settings
from tailorbird.store import Database, Jobs, Objects
from tests.conftest import FreshDatabases

SEED_REDSHIFT = """\
unload ('
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
')
to
's3://mybucket/my_folder'
credentials 'aws_access_key_id=AWS_ACCESS_KEY_ID;aws_secret_access_key=AWS_SECRET_ACCESS_KEY;\
token=AWS_SESSION_TOKEN'
HEADER
REGION AS '<your-region>'
DELIMITER AS ','
PARALLEL OFF;"""

SEED_SNOWFLAKE = """\
    copy into
    s3://mybucket/my_folder/my_file.csv
    from
    (
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
    )
    file_format=(type=csv)
    single = true -- Personlize requires a single CSV file
    credentials = (aws_key_id='xxxx' aws_secret_key='xxxxx' aws_token='xxxxxx');"""

EVENTS = ("Product Viewed", "Product Added", "Order Completed")
MAPPINGS: dict[str, dict[str, Any]] = {
    "default": {"events": EVENTS},
    "distinct": {"events": EVENTS, "duplicates": "drop"},
    "rich": {
        "events": {"Order Completed": "it's a purchase", "Product Added": "add"},
        "user": ["userId", "anonymousId"],
        "columns": {
            "TITLE": "properties.title",
            "DEVICE": "context.device.type",
            "ANONYMOUS_ID": {},
        },
    },
    "products": {
        "events": EVENTS,
        "columns": {
            "PRICE": ["properties.products[].price", "properties.price"],
            "COLOR": "properties.products[].made.color",
        },
    },
}
IDS = [
    "u",
    "007",
    "7",
    "ü€𐍈",
    'a"b,c',
    "two\nlines",
    "a\\b",
    "it's",
    " ",
    None,
    "=1+1",
    "x" * 256,
    "x" * 257,
]


def calls() -> list[dict[str, Any]]:
    """Calls as collect archives and loads them: checked, with canonical times."""
    found: list[dict[str, Any]] = []

    def add(event: str, user: str | None, properties: dict[str, Any], **more: Any) -> None:
        moment = f"2026-11-{len(found) % 28 + 1:02}T10:00:00.{len(found):03}Z"
        times = dict.fromkeys(("timestamp", "receivedAt", "sentAt", "originalTimestamp"), moment)
        call = {"type": "track", "event": event, "properties": properties, "userId": user}
        call |= {"messageId": f"m{len(found)}", "anonymousId": "a1", **times, **more}
        found.append(call)

    for value in IDS:
        add("Product Viewed", value, {"sku": "s1", "title": value})
        add("Product Added", "u", {"sku": value, "title": "t"}, context={"device": {"type": "ios"}})
    add("Product Added", "u", {"product_id": 7})
    add("Product Added", None, {"sku": "s"}, anonymousId=None)
    add("Product Added", "u", {})
    products = [{"sku": "p1", "price": "5"}, {"product_id": "p2"}, {}]
    products.append({"id": 3, "price": "7", "made": {"color": "red, green"}})
    add("Order Completed", "u", {"products": products})
    add("Order Completed", "u", {"products": [], "sku": "flat"})
    add("Order Completed", "u", {"products": [{"price": 5}]})
    add("Signed Up", "u", {})
    found.append({**found[0], "messageId": "again"})
    return found


def tables() -> dict[str, list[dict[str, Any]]]:
    rows = house_rows.Rows()
    for call in calls():
        house_rows.take(rows, call, call["receivedAt"], lambda table, column: True, True)
    identify = {"type": "identify", "traits": {"age": 31, "plan": 'gold "1"'}, "userId": "ann"}
    call = {**calls()[0], **identify}
    house_rows.take(rows, call, call["receivedAt"], lambda table, column: True, True)
    return rows.tables


def fill(execute: Any, mark: str) -> None:
    """The tables as a warehouse has them: texts and timestamps."""
    execute("CREATE SCHEMA prod")
    for table, rows in tables().items():
        columns = list(dict.fromkeys(name for row in rows for name in row))
        typed = ", ".join(f'"{name}" {kind(name)}' for name in columns)
        execute(f'CREATE TABLE prod."{table}" ({typed})')
        for row in rows:
            values = [text(row.get(name)) for name in columns]
            marks = ", ".join([mark] * len(columns))
            execute(f'INSERT INTO prod."{table}" VALUES ({marks})', values)


def kind(column: str) -> str:
    return "timestamptz" if column.endswith(("_at", "timestamp", "_ts")) else "text"


def text(value: Any) -> Any:
    return value if isinstance(value, str) or value is None else json.dumps(value)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("house") / "house.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        fill(connection.execute, "?")
    return str(path)


@pytest.fixture
def server(fresh_databases: FreshDatabases) -> str:
    url = fresh_databases.url("postgresql").replace("+psycopg", "")
    with psycopg.connect(url) as connection:
        fill(connection.execute, "%s")
    return url


def rows_of(path: Path) -> tuple[list[str], Counter[tuple[str, ...]]]:
    with path.open(newline="") as lines:
        header, *rows = csv.reader(lines, escapechar="\\", strict=True)
    return header, Counter(map(tuple, rows))


def archived(
    tmp_path: Path, settings: Settings, mapping: prepare.Mapping, dataset: str = "interactions"
) -> Any:
    """What the same mapping makes of the same calls in an archive."""
    source, target = tmp_path / "calls.jsonl", tmp_path / "archive.csv"
    source.write_text("\n".join(map(json.dumps, calls())))
    db = Database(f"sqlite:///{tmp_path / 'none.db'}")
    room = Prepare(db, Jobs(db, SystemClock()), Objects(tmp_path), SystemClock(), settings)
    prepare.run(room, str(source), str(target), mapping, dataset=dataset)
    return rows_of(target)


def test_the_seeds_statements_are_made_word_for_word() -> None:
    dataset, house = SEED.interactions, SEED.warehouse
    assert redshift.sql(dataset, house, "s3://mybucket/my_folder", Keys()) == SEED_REDSHIFT
    keys = Keys("xxxx", "xxxxx", "xxxxxx")
    target = "s3://mybucket/my_folder/my_file.csv"
    assert snowflake.sql(dataset, house, target, keys) == SEED_SNOWFLAKE


@pytest.mark.parametrize("name", sorted(MAPPINGS))
def test_tables_of_a_duckdb_file_give_the_archives_rows(
    file: str, tmp_path: Path, settings: Settings, name: str
) -> None:
    mapping = from_dict(MAPPINGS[name])
    report = duckdb_file.unload(
        mapping.interactions, mapping.warehouse, file, str(tmp_path / "o.csv")
    )
    assert rows_of(tmp_path / "o.csv") == archived(tmp_path, settings, mapping)
    assert report["read"] == report["kept"] + report["rejected_total"]
    assert report["rows"] == rows_of(tmp_path / "o.csv")[1].total()


def test_tables_of_postgresql_give_the_archives_rows(
    server: str, tmp_path: Path, settings: Settings
) -> None:
    for given in MAPPINGS.values():
        mapping = from_dict(given)
        report = postgres.unload(
            mapping.interactions, mapping.warehouse, server, str(tmp_path / "o.csv")
        )
        assert rows_of(tmp_path / "o.csv") == archived(tmp_path, settings, mapping)
        assert report["rows"] == rows_of(tmp_path / "o.csv")[1].total()
        assert set(report["rejected"]) <= {"no_user_id", "no_item_id"}


def test_the_seeds_own_query_runs_on_both(file: str, server: str, tmp_path: Path) -> None:
    """`epoch` is a column that collect's loader makes, so that the seed's words run here."""
    query = inner(SEED.interactions, SEED.warehouse, "redshift")
    with duckdb.connect(file, read_only=True) as connection:
        here = connection.execute(query).fetchall()
    with psycopg.connect(server) as connection:
        there = connection.execute(query).fetchall()
    assert Counter((*row[:3], float(row[3])) for row in here) == Counter(
        (*row[:3], float(row[3])) for row in there
    )
    items = {row[1] for row in here if row[2] == "order_completed"}
    assert items == {"p1", "p2", "3", "flat", None}  # the seed leaves nothing out


def test_users_come_from_the_table_of_users(file: str, tmp_path: Path) -> None:
    mapping = from_dict(
        {
            "users": {
                "columns": {"AGE": {"path": "traits.age", "type": "int"}, "PLAN": "traits.plan"}
            }
        }
    )
    assert mapping.users
    duckdb_file.unload(mapping.users, mapping.warehouse, file, str(tmp_path / "o.csv"))
    header, rows = rows_of(tmp_path / "o.csv")
    assert header == ["USER_ID", "AGE", "PLAN"]
    assert rows == {("ann", "31", 'gold "1"'): 1}


ITEMS = {
    "items": {
        "events": ["Product Viewed", "Product Added", "Order Completed"],
        "columns": {
            "TITLE": "properties.title",
            "DEVICE": "context.device.type",
            "PRICE": "properties.products[].price",
        },
    }
}


@pytest.mark.parametrize("kind", ["duckdb", "postgres"])
def test_items_of_a_warehouse_are_those_of_the_archive(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path, settings: Settings
) -> None:
    """Of each column the newest value counts, of two of the same moment the one sorting last."""
    mapping = from_dict(ITEMS)
    assert mapping.items
    url = request.getfixturevalue({"duckdb": "file", "postgres": "server"}[kind])
    report = UNLOADS[kind](mapping.items, mapping.warehouse, url, str(tmp_path / "o.csv"), Keys())
    assert rows_of(tmp_path / "o.csv") == archived(tmp_path, settings, mapping, "items")
    assert report["rows"] == rows_of(tmp_path / "o.csv")[1].total()
    assert set(report["rejected"]) == {"no_item_id"}


def test_a_report_and_an_error_keep_the_secrets_to_themselves() -> None:
    keys = Keys("AKIA", "se/cret", "to+ken")
    mapping = from_dict({"events": EVENTS})
    made = redshift.sql(mapping.interactions, mapping.warehouse, "s3://b/k", keys.hidden())
    assert "aws_access_key_id=AKIA;aws_secret_access_key=***;token=***" in made
    error = ValueError("near 'aws_secret_access_key=se/cret;\n token=to+ken'")
    assert keys.told(error) == "near 'aws_secret_access_key=***; token=***'"


def test_beyond_the_seed_values_are_quoted_and_names_stay_names() -> None:
    mapping = from_dict(MAPPINGS["rich"])
    made = redshift.sql(mapping.interactions, mapping.warehouse, "s3://b/k", Keys(role="arn:x"))
    assert "''it''''s a purchase'' as EVENT_TYPE" in made
    assert "FORMAT AS CSV\nHEADER" in made
    assert "iam_role 'arn:x'" in made
    made = snowflake.sql(
        mapping.interactions, mapping.warehouse, "s3://b/k.csv", Keys("k", "s", "")
    )
    assert "field_optionally_enclosed_by='\"'" in made
    assert "aws_token" not in made


def test_an_unload_goes_to_the_server_whose_words_come_back(server: str) -> None:
    """PostgreSQL has no UNLOAD: that it says so shows that the statement arrived."""
    mapping = from_dict({"events": EVENTS})
    url = server.replace("postgresql://", "redshift://", 1)
    with pytest.raises(Invalid, match=r'Redshift: syntax error at or near "unload"'):
        redshift.unload(mapping.interactions, mapping.warehouse, url, "s3://b/k", Keys())


WRONG: list[tuple[str, str, str, type[Exception], str]] = [
    ("redshift", "mysql://x/y", "s3://b/k", Invalid, "is not redshift://"),
    ("redshift", "redshift://u@127.0.0.1:1/d", "s3://b/k", Unavailable, "does not answer"),
    ("redshift", "redshift://u@h/d", "s3://b/k'; drop", Invalid, "without quotes and spaces"),
    ("snowflake", "http://x/y", "s3://b/k.csv", Invalid, "is not snowflake://"),
    ("snowflake", "snowflake://u:p@a/d", "s3://b/k", Invalid, r"ends in \.csv"),
    ("postgres", "postgresql://u@127.0.0.1:1/d", "o.csv", Unavailable, "does not answer"),
    ("duckdb", "nothing.duckdb", "o.csv", Exception, "There is no DuckDB file"),
]


@pytest.mark.parametrize(("kind", "url", "output", "error", "what"), WRONG)
def test_what_cannot_be_unloaded_is_refused_with_what_would_be_right(
    kind: str, url: str, output: str, error: type[Exception], what: str
) -> None:
    mapping = from_dict({"events": EVENTS})
    with pytest.raises(error, match=what):
        UNLOADS[kind](mapping.interactions, mapping.warehouse, url, output, Keys())


def test_snowflake_without_its_connector_names_what_is_missing() -> None:
    try:
        from snowflake import connector  # noqa: F401
    except ImportError:
        mapping, url = from_dict({"events": EVENTS}), "snowflake://u:p@a/d"
        with pytest.raises(Invalid, match=r"pip install 'tailorbird\[snowflake\]'"):
            snowflake.unload(mapping.interactions, mapping.warehouse, url, "s3://b/k.csv", Keys())
    else:
        pytest.skip("Snowflake's connector is installed")


def test_a_missing_table_is_told_in_the_databases_words(file: str, tmp_path: Path) -> None:
    mapping = from_dict({"events": ["Never Sent"]})
    with pytest.raises(Invalid, match="never_sent"):
        duckdb_file.unload(mapping.interactions, mapping.warehouse, file, str(tmp_path / "o.csv"))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["prod; drop", 'a"b', "a.b", ""])
def test_names_that_are_none_never_get_into_sql(name: str) -> None:
    with pytest.raises(Invalid):
        inner(
            (mapping := from_dict({"warehouse": {"schema": name}})).interactions,
            mapping.warehouse,
            "postgres",
        )
