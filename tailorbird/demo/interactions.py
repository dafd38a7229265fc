"""Reads a real interactions file (CSV or Parquet) into what a demo is played with.

A bad file is refused with the line and the field. TIMESTAMP is epoch seconds, as in Personalize.
"""

from __future__ import annotations

import csv
import gzip
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tailorbird.demo.catalogue import FIRST_NAMES, LAST_NAMES
from tailorbird.demo.material import ORDER, Material
from tailorbird.demo.shop import GOLD_EVERY, Call, Person
from tailorbird.errors import Invalid, NotFound

REQUIRED = ("USER_ID", "ITEM_ID", "TIMESTAMP")
DEFAULT_EVENT = "Product Viewed"
CALLS_MAX = 50_000  # of a larger file this many go through the SDK; the whole file is imported
SAMPLE_SEED = 7
CSV_OPTIONS = "auto_detect=false, header=true, delim=',', quote='\"', escape='\"'"
MILLISECONDS_FROM = 100_000_000_000  # as seconds this would be the year 5138


def read_material(file: Path, people: int, folder: Path) -> Material:
    """The file as people and calls; `folder` takes the CSV of a file too large to send whole."""
    import duckdb

    if not file.is_file():
        raise NotFound(f"There is no file {file}")
    with duckdb.connect() as db:
        try:
            load(db, file)
        except duckdb.Error as error:
            raise Invalid(f"{file} cannot be read: {first_of(error)}") from None
        rows, users, items = one(
            db, "SELECT count(*), count(DISTINCT u), count(DISTINCT i) FROM given"
        )
        if not rows:
            raise Invalid(f"{file} holds no interactions; a header and at least one row are needed")
        crowd = sample_people(db, people)
        calls = sample_calls(db, file)
        latest = latest_of(db)
        whole = write_csv(db, folder / "interactions.csv") if rows > len(calls) else None
        events = [
            str(name)
            for (name,) in db.execute("SELECT DISTINCT e FROM given ORDER BY e").fetchall()
        ]

    def live(chosen: list[Person], now: datetime) -> list[Call]:
        return [
            call for person in chosen for call in look_again(person, latest[person.user_id], now)
        ]

    return Material(
        title=f"{file.name}: {rows:,} interactions of {users:,} users with {items:,} items",
        people=crowd,
        calls=calls,
        events=sorted({*events, ORDER}),
        live=live,
        rows=rows,
        whole_file=whole,
    )


def load(db: Any, file: Path) -> None:
    """The file as table given(line, u, i, e, t); Invalid names the first bad line and its field."""
    columns = open_file(db, file)
    missing = [name for name in REQUIRED if name not in columns]
    if missing:
        raise Invalid(
            f"{file} has no column {', '.join(missing)}; it has {', '.join(columns) or 'none'}. "
            "USER_ID, ITEM_ID and TIMESTAMP are required, EVENT_TYPE is optional"
        )
    event = '"EVENT_TYPE"' if "EVENT_TYPE" in columns else "NULL"
    db.execute(
        f"""CREATE TABLE lines AS SELECT row_number() OVER () AS line,
            CAST("USER_ID" AS VARCHAR) AS u, CAST("ITEM_ID" AS VARCHAR) AS i,
            coalesce(CAST({event} AS VARCHAR), '{DEFAULT_EVENT}') AS e,
            CAST("TIMESTAMP" AS VARCHAR) AS raw, TRY_CAST("TIMESTAMP" AS BIGINT) AS t FROM file"""
    )
    bad = db.execute(
        f"""SELECT line, u, i, raw, t FROM lines WHERE coalesce(u, '') = '' OR coalesce(i, '') = ''
            OR t IS NULL OR t < 0 OR t >= {MILLISECONDS_FROM} ORDER BY line LIMIT 1"""
    ).fetchone()
    if bad:
        where = f"row {bad[0]}" if is_parquet(file) else f"line {bad[0] + 1}"
        raise Invalid(f"{file}, {where}: {what_is_wrong(*bad[1:])}")
    db.execute("CREATE TABLE given AS SELECT line, u, i, e, t FROM lines")
    db.execute("DROP TABLE lines")


def open_file(db: Any, file: Path) -> list[str]:
    """The file as view `file`; its column names in capitals."""
    name = str(file).replace("'", "''")
    reader = f"read_parquet('{name}')"
    if not is_parquet(file):
        types = ", ".join(f"'{column}': 'VARCHAR'" for column in read_header(file))
        reader = f"read_csv('{name}', {CSV_OPTIONS}, columns={{{types}}})"
    described = db.execute(f"DESCRIBE SELECT * FROM {reader}").fetchall()
    columns = {str(row[0]): str(row[0]).strip().upper() for row in described}
    selected = ", ".join(f'"{given}" AS "{name}"' for given, name in columns.items())
    db.execute(f"CREATE VIEW file AS SELECT {selected} FROM {reader}")
    return list(columns.values())


def read_header(file: Path) -> list[str]:
    """The column names in the first line of a CSV; Invalid when it is no text or no header."""
    try:
        with gzip.open(file, "rt") if file.suffix == ".gz" else file.open() as lines:
            names = next(csv.reader(lines), [])
    except (UnicodeDecodeError, gzip.BadGzipFile, EOFError, csv.Error) as error:
        raise Invalid(f"{file} cannot be read as CSV in UTF-8: {error}") from None
    if not names:
        raise Invalid(f"{file} is empty; a header USER_ID,ITEM_ID,TIMESTAMP and rows are needed")
    if any(not name.strip() or "'" in name or '"' in name for name in names):
        raise Invalid(f"{file}, line 1: {names} is no header such as USER_ID,ITEM_ID,TIMESTAMP")
    return names


def what_is_wrong(user: str | None, item: str | None, raw: str | None, time: int | None) -> str:
    if not user:
        return "USER_ID is empty"
    if not item:
        return "ITEM_ID is empty"
    if time is not None and time >= MILLISECONDS_FROM:
        return f"TIMESTAMP {raw} looks like milliseconds; whole epoch seconds are right"
    return f"TIMESTAMP is {raw!r}; whole epoch seconds such as 1549847353 are right"


def sample_people(db: Any, count: int) -> list[Person]:
    """Some of the users, with names and addresses made up for them."""
    users = db.execute(
        f"SELECT u FROM given GROUP BY u ORDER BY hash(u || '{SAMPLE_SEED}'), u LIMIT {count}"
    ).fetchall()
    return [make_person(number, str(user)) for number, (user,) in enumerate(users)]


def make_person(number: int, user: str) -> Person:
    first = FIRST_NAMES[number % len(FIRST_NAMES)]
    last = LAST_NAMES[number // len(FIRST_NAMES) % len(LAST_NAMES)]
    email = f"{first}.{last}.{number}@example.com".lower()
    tier = "gold" if number % GOLD_EVERY == 0 else "basic"
    return Person(user, f"a-{user}", f"{first} {last}", email, tier=tier)


def sample_calls(db: Any, file: Path) -> list[Call]:
    """All interactions in order of time; of a file with more than CALLS_MAX those of some users."""
    rows = db.execute(
        f"""SELECT u, i, e, t, line FROM (
              SELECT *, row_number() OVER (ORDER BY hash(u || '{SAMPLE_SEED}'), u, line) AS n
              FROM given) WHERE n <= {CALLS_MAX} ORDER BY t, line"""
    ).fetchall()
    return [
        Call(
            user,
            f"a-{user}",
            event,
            {"sku": item, "product_id": item},
            datetime.fromtimestamp(time, UTC),
        )
        for user, item, event, time, _ in rows
    ]


def latest_of(db: Any) -> dict[str, tuple[str, str]]:
    rows = db.execute("SELECT u, arg_max(i, t), arg_max(e, t) FROM given GROUP BY u").fetchall()
    return {str(user): (str(item), str(event)) for user, item, event in rows}


def look_again(person: Person, last: tuple[str, str], now: datetime) -> list[Call]:
    """The person comes back to the last item, then orders it."""
    item, event = last
    product = {"sku": item, "product_id": item}
    order = product | {
        "order_id": f"demo-{person.user_id}",
        "products": [product | {"quantity": 1}],
    }
    person.last_order, person.orders = now, person.orders + 1
    calls = [Call(person.user_id, person.anonymous_id, ORDER, order, now)]
    if event != ORDER:
        calls.insert(0, Call(person.user_id, person.anonymous_id, event, product, now))
    return calls


def first_of(error: Exception) -> str:
    """What DuckDB found, without its advice on its own options."""
    said = str(error).split("Possible", 1)[0].split("LINE 1", 1)[0]
    return " ".join(line.strip() for line in said.splitlines() if line.strip())[:300]


def write_csv(db: Any, file: Path) -> Path:
    name = str(file).replace("'", "''")
    db.execute(
        f"""COPY (SELECT u AS USER_ID, i AS ITEM_ID, e AS EVENT_TYPE, t AS TIMESTAMP
            FROM given ORDER BY line) TO '{name}' (HEADER, DELIMITER ',')"""
    )
    return file


def one(db: Any, query: str) -> tuple[Any, ...]:
    return tuple(db.execute(query).fetchone())


def is_parquet(file: Path) -> bool:
    return file.name.endswith((".parquet", ".pq"))
