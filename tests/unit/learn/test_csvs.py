"""CSV as people really write it: read where it can be, else counted with line, field and reason."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from tailorbird.errors import Invalid
from tailorbird.learn import csvs, parts
from tailorbird.learn.schemas import Schema, parse

from .conftest import schema_text

HEADER = "USER_ID,ITEM_ID,EVENT_TYPE,TIMESTAMP\n"
ITEMS = parse(
    schema_text(
        [
            {"name": "ITEM_ID", "type": "string"},
            {"name": "TITLE", "type": ["null", "string"]},
            {"name": "PRICE", "type": ["null", "float"]},
        ],
        "Items",
    )
)


def read(tmp_path: Path, data: bytes | str, schema: Schema | None = None):
    file = tmp_path / "object"
    file.write_bytes(data.encode() if isinstance(data, str) else data)
    schema = schema or parse(schema_text())
    columns, report = csvs.read([("object", file)], schema, lambda *_: None)
    parts.write(tmp_path / "part.npz", columns)
    return parts.read(tmp_path / "part.npz"), report


def strings(part: parts.Part, name: str) -> list[str]:
    codes, values = part.strings[name]
    return [values[code] for code in codes]


READ = {
    "as documented": HEADER + "u,i,view,5\n",
    "any order": "TIMESTAMP,EVENT_TYPE,ITEM_ID,USER_ID\n5,view,i,u\n",
    "any case": "user_id,Item_Id,event_TYPE,timestamp\nu,i,view,5\n",
    "extra columns": "A,USER_ID,ITEM_ID,B,EVENT_TYPE,TIMESTAMP,C\n,u,i,x,view,5,\n",
    "quoted header": '"USER_ID","ITEM_ID","EVENT_TYPE","TIMESTAMP"\nu,i,view,5\n',
    "byte order mark": "\ufeff" + HEADER + "u,i,view,5\n",
    "quoted cells": HEADER + '"u","i","view","5"\n',
    "carriage returns": (HEADER + "u,i,view,5\n").replace("\n", "\r\n"),
    "blank lines before the header": "\n\n" + HEADER + "u,i,view,5\n",
    "blank lines": HEADER + "\nu,i,view,5\n\n",
    "no last newline": HEADER + "u,i,view,5",
    "seconds with a point": HEADER + "u,i,view,5.0\n",
}


@pytest.mark.parametrize("text", READ.values(), ids=READ)
def test_a_row_is_read_however_the_file_is_written(tmp_path: Path, text: str):
    part, report = read(tmp_path, text)
    row = [strings(part, name)[0] for name in ("USER_ID", "ITEM_ID", "EVENT_TYPE")]
    assert (row, part.numbers["TIMESTAMP"].tolist()) == (["u", "i", "view"], [5.0])
    assert (report.rows, report.rejected) == (1, 0)


def test_blanks_are_an_id_as_prepare_writes_them(tmp_path: Path):
    part, report = read(tmp_path, HEADER + " ,i,view,5\n")
    assert (strings(part, "USER_ID"), report.rejected) == ([" "], 0)


def test_gzip_is_known_by_its_bytes_not_its_name(tmp_path: Path):
    _, report = read(tmp_path, gzip.compress((HEADER + "u,i,view,5\n").encode()))
    assert report.rows == 1


def test_half_a_gzip_file_is_refused(tmp_path: Path):
    rows = "".join(f"u{n},i{n * 7919},view,{n}\n" for n in range(2000))
    with pytest.raises(Invalid, match="not whole gzip"):
        read(tmp_path, gzip.compress((HEADER + rows).encode())[:-500])


REJECTED = {
    "empty user": (",i,view,5", "USER_ID", "empty"),
    "milliseconds": ("u,i,view,1700000000000", "TIMESTAMP", "milliseconds"),
    "a date": ("u,i,view,2019-01-01T00:00:00Z", "TIMESTAMP", "whole epoch seconds"),
    "no time": ("u,i,view,", "TIMESTAMP", "empty"),
    "half a second": ("u,i,view,5.5", "TIMESTAMP", "whole number"),
    "before 1970": ("u,i,view,-5", "TIMESTAMP", "before 1970"),
    "short row": ("u,i", "EVENT_TYPE", "ends before"),
    "long id": (f"{'u' * 257},i,view,5", "USER_ID", "more than 256 characters"),
    "open quote": ('u,"i,view,5', "", "never closed"),
    "no id": (",i,view,5", "USER_ID", "empty"),
    "NUL in an id": ("u\0,i,view,5", "USER_ID", "NUL"),
    "Python's own number": ("u,i,view,1_000", "TIMESTAMP", "not a number"),
    "digits of another script": ("u,i,view,\u0661", "TIMESTAMP", "not a number"),
}


@pytest.mark.parametrize("row, name, reason", REJECTED.values(), ids=REJECTED)
def test_a_bad_row_is_counted_and_the_others_are_read(
    tmp_path: Path, row: str, name: str, reason: str
):
    part, report = read(tmp_path, HEADER + "a,i,view,1\n" + row + "\nb,i,view,2\n")
    assert strings(part, "USER_ID") == ["a", "b"]
    (example,) = report.examples
    assert (report.rejected, example["line"], example["field"]) == (1, 3, name)
    assert reason in example["reason"]


def test_bytes_that_are_not_utf8_cost_their_own_row(tmp_path: Path):
    _, report = read(tmp_path, HEADER.encode() + b"a,i,view,1\nb\xff,i,view,2\nc,i,view,3\n")
    assert (report.rows, report.examples[0]["line"]) == (2, 3)
    assert "UTF-8" in report.examples[0]["reason"]


@pytest.mark.parametrize(
    "cell, value",
    [
        ('"a ""quoted"" word"', 'a "quoted" word'),
        (r'"a \"quoted\" word"', 'a "quoted" word'),
        ('"one, two"', "one, two"),
        ('"one\ntwo"', "one\ntwo"),
    ],
)
def test_quotes_are_escaped_either_way(tmp_path: Path, cell: str, value: str):
    part, _ = read(tmp_path, f"ITEM_ID,TITLE,PRICE\ni,{cell},1.5\n", ITEMS)
    assert strings(part, "TITLE") == [value]


def test_a_nullable_cell_may_be_empty_and_its_column_absent(tmp_path: Path):
    part, report = read(tmp_path, "ITEM_ID,PRICE\ni,\n", ITEMS)
    assert report.rejected == 0
    assert str(part.numbers["PRICE"][0]) == "nan"


def test_missing_columns_are_named(tmp_path: Path):
    with pytest.raises(Invalid, match=r"missing the following columns:\[EVENT_TYPE, TIMESTAMP\]"):
        read(tmp_path, "USER_ID,ITEM_ID\nu,i\n")


REFUSED = {
    "old line ends": (HEADER + "u,i,view,5\n").replace("\n", "\r"),
    "a column twice": "TIMESTAMP," + HEADER + "5,u,i,view,5\n",
    "semicolons": (HEADER + "u,i,view,5\n").replace(",", ";"),
    "a zip file": b"PK\x03\x04abc",
    "a Parquet file": b"PAR1abc",
    "not whole gzip": gzip.compress((HEADER + "u,i,view,5\n").encode())[:12] + b"\xff" * 30,
}
REASONS = {
    "old line ends": "carriage return",
    "a column twice": "TIMESTAMP more than once",
    "semicolons": "separated by commas",
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_file_that_is_no_csv_is_refused_in_words(tmp_path: Path, what: str):
    with pytest.raises(Invalid, match=REASONS.get(what, what)):
        read(tmp_path, REFUSED[what])


@pytest.mark.parametrize(
    "kind, most", [("int", 2**31 - 1), ("long", 2**53)], ids=["32 bits", "64 bits"]
)
def test_a_whole_number_that_does_not_fit_its_type_is_a_bad_cell(
    tmp_path: Path, kind: str, most: int
):
    fields = [{"name": "ITEM_ID", "type": "string"}, {"name": "STOCK", "type": kind}]
    schema = parse(schema_text(fields, "Items"))
    part, report = read(tmp_path, f"ITEM_ID,STOCK\na,{most}\nb,{-most}\nc,{2**64}\n", schema)
    assert part.numbers["STOCK"].tolist() == [most, -most]
    assert report.examples[0]["reason"] == f"'{2**64}' does not fit {kind}"


def test_a_long_text_is_cut_and_costs_nothing(tmp_path: Path):
    fields = [
        {"name": "ITEM_ID", "type": "string"},
        {"name": "TEXT", "type": "string", "textual": True},
    ]
    schema = parse(schema_text(fields, "Items"))
    part, report = read(tmp_path, "ITEM_ID,TEXT\na," + "x" * 200_000 + "\n", schema)
    assert (report.rejected, len(strings(part, "TEXT")[0])) == (0, 20_000)


def test_an_empty_file_says_so(tmp_path: Path):
    with pytest.raises(Invalid, match="is empty"):
        read(tmp_path, "")


def test_only_the_first_rejected_rows_are_kept(tmp_path: Path):
    _, report = read(tmp_path, HEADER + "u,i,view,x\n" * 100)
    assert (report.rejected, len(report.examples)) == (100, csvs.REJECTED_KEPT)
    assert report.reasons == {"TIMESTAMP: 'x' is not whole epoch seconds": 100}


def test_a_headers_extra_columns_are_reported(tmp_path: Path):
    _, report = read(tmp_path, READ["extra columns"])
    assert report.ignored_columns == ["A", "B", "C"]


def test_line_numbers_go_on_past_a_chunk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(csvs, "CHUNK_LINES", 10)
    rows = ["u,i,view,1"] * 25 + ["u,i,view,x"]
    _, report = read(tmp_path, HEADER + "\n".join(rows))
    assert (report.rows, report.examples[0]["line"]) == (25, 27)
