"""Reading a real interactions file: what is taken, and how a bad one is refused."""

from __future__ import annotations

import gzip
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tailorbird.demo import interactions
from tailorbird.demo.interactions import read_material
from tailorbird.errors import Invalid, NotFound

GOOD = "USER_ID,ITEM_ID,TIMESTAMP,EVENT_TYPE\nu1,a,200,Watch\nu2,b,100,Click\nu1,b,300,Watch\n"


def read(folder: Path, text: str | bytes, name: str = "file.csv") -> interactions.Material:
    file = folder / name
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    return read_material(file, 10, folder)


def test_rows_become_calls_in_order_of_time(tmp_path: Path) -> None:
    material = read(tmp_path, GOOD)
    assert [(c.user_id, c.event, c.properties["sku"]) for c in material.calls] == [
        ("u2", "Click", "b"),
        ("u1", "Watch", "a"),
        ("u1", "Watch", "b"),
    ]
    assert material.calls[0].time == datetime.fromtimestamp(100, UTC)
    assert material.rows == 3
    assert material.whole_file is None


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("plain.csv", GOOD.encode()),
        ("packed.csv.gz", gzip.compress(GOOD.encode(), mtime=0)),
        ("lower.csv", GOOD.replace("USER_ID", "user_id").encode()),
        ("more.csv", b"X,USER_ID,ITEM_ID,TIMESTAMP\n,u1,a,200\n,u2,b,100\n,u1,b,300\n"),
        ("quoted.csv", b'USER_ID,ITEM_ID,TIMESTAMP\nu1,"a, the first",2\nu2,b,1\nu1,b,3\n'),
    ],
)
def test_csv_is_read_in_the_forms_it_comes_in(tmp_path: Path, name: str, content: bytes) -> None:
    assert len(read(tmp_path, content, name).calls) == 3


def test_parquet_is_read(tmp_path: Path) -> None:
    import duckdb

    file = tmp_path / "file.parquet"
    duckdb.sql("SELECT 7 AS USER_ID, 9 AS ITEM_ID, 1549847353 AS TIMESTAMP").write_parquet(
        str(file)
    )
    assert read_material(file, 10, tmp_path).calls[0].properties["sku"] == "9"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"),
        ("USER_ID,ITEM_ID,TIMESTAMP\n", "holds no interactions"),
        ("USER,ITEM_ID,TIMESTAMP\nu,a,1\n", "no column USER_ID; it has USER, ITEM_ID, TIMESTAMP"),
        ("USER_ID,ITEM_ID\nu,a\n", "no column TIMESTAMP"),
        ("USER_ID,ITEM_ID,TIMESTAMP\nu,a,1\nu,a,soon\n", "line 3: TIMESTAMP is 'soon'"),
        ("USER_ID,ITEM_ID,TIMESTAMP\nu,a,1\nu,a,-1\n", "line 3: TIMESTAMP is '-1'"),
        ("USER_ID,ITEM_ID,TIMESTAMP\nu,a,1549847353000\n", "line 2: TIMESTAMP 1549847353000 looks"),
        ("USER_ID,ITEM_ID,TIMESTAMP\n,a,1\n", "line 2: USER_ID is empty"),
        ("USER_ID,ITEM_ID,TIMESTAMP\nu,,1\n", "line 2: ITEM_ID is empty"),
        ("USER_ID,ITEM_ID,TIMESTAMP\nu,a,1\nu,a\n", "Line: 3"),
        (b"\xff\xfe\x00\x80", "UTF-8"),
    ],
)
def test_a_bad_file_is_refused_with_the_line_and_the_field(
    tmp_path: Path, text: str | bytes, said: str
) -> None:
    with pytest.raises(Invalid, match=said.replace("(", r"\(")):
        read(tmp_path, text)


@pytest.mark.parametrize("name", ["broken.parquet", "broken.csv.gz"])
def test_a_file_that_is_not_what_its_name_says_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(Invalid, match="cannot be read"):
        read(tmp_path, "this is neither", name)


def test_a_file_that_is_not_there_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no file"):
        read_material(tmp_path / "absent.csv", 10, tmp_path)


def test_of_a_large_file_some_users_are_sent_and_all_rows_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(interactions, "CALLS_MAX", 2)
    material = read(tmp_path, GOOD)
    assert len(material.calls) == 2
    assert material.whole_file is not None
    assert material.whole_file.read_text().splitlines()[1:] == [
        "u1,a,Watch,200",
        "u2,b,Click,100",
        "u1,b,Watch,300",
    ]


def test_people_are_users_of_the_file_with_made_up_addresses(tmp_path: Path) -> None:
    material = read(tmp_path, GOOD)
    assert {person.user_id for person in material.people} == {"u1", "u2"}
    assert all(person.email.endswith("@example.com") for person in material.people)


def test_live_people_come_back_to_their_last_item_and_order_it(tmp_path: Path) -> None:
    material = read(tmp_path, GOOD)
    person = next(person for person in material.people if person.user_id == "u1")
    now = datetime(2026, 11, 21, tzinfo=UTC)
    calls = material.live([person], now)
    assert [(c.event, c.properties["sku"]) for c in calls] == [
        ("Watch", "b"),
        ("Order Completed", "b"),
    ]
    assert person.last_order == now
