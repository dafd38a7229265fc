"""The scanner in C and the rule in Python make the same bytes and the same counts of any lines."""

from __future__ import annotations

import gzip
import io
import json
import random
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis
from hypothesis import strategies as st

from tailorbird import prepare
from tailorbird.clock import SystemClock
from tailorbird.prepare import Options, Prepare, from_dict, inputs, native
from tailorbird.prepare.counts import SAMPLES, Counts
from tailorbird.prepare.lines import converter
from tailorbird.prepare.mapping import Dataset
from tailorbird.settings import Settings
from tailorbird.store import Database, Jobs, Objects
from tests.unit.prepare import mappings, messy, reference

NOW = 1_780_000_000.5
MUTATED = 6_000  # lines, for each mapping
SEED = 5
OWN: dict[str, Any] = {"TIMESTAMP_ISO": {}, "ANONYMOUS_ID": {}}
SCANNED: dict[str, dict[str, Any]] = {
    "default": {},
    "flat": mappings.GIVEN["flat"],
    "entries alone": {"item": ["properties.products[].sku", "properties.products[].id"]},
    "precedence": {"item": ["properties.lines[].code", "properties.id", "properties.sku"]},
    "renamed": {"events": {"Order Completed": 'buy, "now"', "Product Added": "ü", "no": "n\\o"}},
    "seed": {"mode": "seed"},
    "seed's own items": {"mode": "seed", "item_keys": ["sku", "id"], "products": True},
    "anybody": {"user": ["userId", "anonymousId"], "columns": OWN, "duplicates": "drop"},
    "one field twice": {"user": "timestamp", "columns": OWN},
    "values": {
        "events": {"Order Completed": "purchase", "Product Added": "add"},
        "item": ["properties.products[].sku", "properties.id", "properties.sku"],
        "value": ["properties.products[].price", "properties.price", "properties.total"],
        "columns": {
            "TEXT": {"path": ["properties.text", "context.page.title"]},
            "NUMBER_AS_TEXT": {"path": "properties.price"},
            "N": {"path": "properties.n", "type": "int"},
            "WHOLE": {"path": ["properties.products[].price", "properties.total"], "type": "long"},
            "B": {"path": ["properties.b", "context.ok"], "type": "boolean"},
            "ENTRY": {"path": ["properties.products[].n", "context.no"]},
            "DOTTED": {"path": 'properties."a.sku"'},
            "DEEP": {"path": "context.page.path.rest"},
            "NAME": "userId",
            **OWN,
        },
    },
    "users": mappings.GIVEN["users"],
    "items": mappings.GIVEN["items"],
    "people of events": {
        "users": {"types": ["track", "x"], "columns": {"A": "event", "B": "type"}}
    },
    "elsewhere": {"user": "anonymousId", "time": "sentAt", "item_keys": ["product_id", "id"]},
}
NOT_SCANNED: dict[str, dict[str, Any]] = {
    "rich": mappings.GIVEN["rich"],  # an item beside the array comes first
    "too deep": {"columns": {"X": "a.b.c.d.e"}},
    "deep": {"user": "context.user"},
    "flat first": {"item": ["properties.sku", "properties.products[].sku"]},
    "too many users": {"user": [f"u{n}" for n in range(native.USERS_MAX + 1)]},
    "too many fields": {"item_keys": [f"k{n}" for n in range(native.KEYS_MAX + 1)]},
}
USUAL: dict[str, Any] = {
    "type": "track",
    "messageId": "ajs-1",
    "userId": "person-1",
    "anonymousId": "a-1",
    "event": "Order Completed",
    "properties": {
        "order_id": "o",
        "total": -1.5e3,
        "sku": "s-1",
        "products": [{"sku": "p1", "price": 5}, {"id": "ü", "sku": "p2", "tags": ["a", {"b": []}]}],
        "lines": [{"code": 7}],
        "id": 12,
    },
    "timestamp": "2026-10-05T10:59:07.123Z",
    "sentAt": "2024-02-29T23:59:59Z",
    "context": {"ip": None, "ok": True, "no": False, "page": {"title": "Café, ✓ 𐍈", "x": 'a"\n'}},
}


@pytest.fixture(scope="module")
def library() -> Path:
    found = native.library()
    if found is None:
        pytest.skip("the scanner is not built here: there was no C compiler")
    return found


@pytest.fixture
def room(tmp_path: Path, settings: Settings) -> Prepare:
    db = Database(f"sqlite:///{tmp_path / 'none.db'}")
    return Prepare(db, Jobs(db, SystemClock()), Objects(tmp_path / "o"), SystemClock(), settings)


def dataset_of(mapping: dict[str, Any]) -> Dataset:
    name = next((name for name in ("users", "items") if name in mapping), "interactions")
    return prepare.dataset_of(from_dict(mapping), name)


def read(data: bytes, mapping: dict[str, Any], library: Path | None) -> tuple[bytes, Counts]:
    """Rows and counts of a file."""
    dataset = dataset_of(mapping)
    assert library is None or native.covers(dataset)
    out = io.BytesIO()
    counts = converter(dataset, NOW, library)("f", io.BytesIO(data), out)
    return out.getvalue(), counts


def same(library: Path, lines: Iterable[bytes], mapping: dict[str, Any]) -> Counts:
    """Both ways give the same; the counts."""
    data = b"\n".join(lines)
    rows, counts = read(data, mapping, library)
    expected = read(data, mapping, None)
    assert counts == expected[1]
    assert rows == expected[0]
    return counts


def encoded(call: Any, **how: Any) -> bytes:
    return json.dumps(call, **how).encode()


def usual(**changed: Any) -> bytes:
    return encoded({**USUAL, **changed}, ensure_ascii=False, separators=(",", ":"))


@pytest.mark.parametrize("name", sorted(SCANNED))
def test_messy_lines_become_the_same(library: Path, name: str) -> None:
    counts = same(library, messy.lines(), SCANNED[name])
    expected = reference.convert(messy.lines(), dataset_of(SCANNED[name]))
    assert counts.rejected == expected.rejected
    dataset = dataset_of(SCANNED[name])
    assert dataset.drop_duplicates or dataset.latest or counts.rows == expected.rows.total()


@pytest.mark.parametrize("name", sorted(SCANNED))
def test_damaged_lines_become_the_same(library: Path, name: str) -> None:
    """Bytes changed, lost, doubled and inserted, anywhere in a line as nearly all are."""
    chance = random.Random(SEED)
    whole = [usual(), usual(event="Page Seen"), encoded(USUAL), encoded(messy.GOOD)]
    whole += map(encoded, messy.people()[:20:7])
    counts = same(library, [mutated(chance, whole) for _ in range(MUTATED)], SCANNED[name])
    assert counts.kept > MUTATED / 20
    assert counts.rejected["not_a_call"] > MUTATED / 20


def mutated(chance: random.Random, whole: list[bytes]) -> bytes:
    line = bytearray(chance.choice(whole))
    for _ in range(chance.choice((0, 1, 1, 1, 2, 5)) if line else 0):
        at, length = chance.randrange(len(line)), chance.choice((1, 1, 2, 9))
        piece = line[at : at + length]
        match chance.randrange(5):
            case 0:
                line[at] ^= 1 << chance.randrange(8)
            case 1:
                line[at : at + length] = b""
            case 2:
                line[at:at] = piece
            case 3:
                line[at:at] = chance.choice(ODD)
            case 4:
                other = chance.randrange(len(line))
                line[other : other + length] = piece
        if not line:
            break
    return bytes(line).replace(b"\n", b" ")


ODD = [
    *(bytes([n]) for n in b'{}[]",:\\-+.0e \t\r\0'),
    *[
        b"\\u00e9",
        b"\\ud83d",
        b"\\u0022",
        b"\xc3\xbc",
        b"\xed\xa0\x80",
        b"\xc0\x80",
        b"\xf5",
        b"\x7f",
    ],
    *[b"null", b"true", b"nul", b"01", b"1e9", b'"event":', b'"userId":null,', b'"products":[],'],
    *[b'"sku":"x",', b'"sku":7,', b'"id":"",', b'"properties":{},', b'"timestamp":"",', b"[[[["],
]

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.just("sku"), inner),
    max_leaves=12,
)
IDS = JSON | st.sampled_from(messy.IDS) | st.text(min_size=250, max_size=260)
NUMBERS = JSON | st.decimals(-(10**6), 10**6, places=3).map(float) | st.floats(-1e-3, 1e-3)
ENTRY = {"sku": IDS, "id": IDS, "price": NUMBERS, "n": JSON}
ENTRIES = st.lists(st.fixed_dictionaries({}, optional=ENTRY) | JSON)
CALLS = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(["track", "identify", "x"]) | JSON,
        "traits": st.fixed_dictionaries({}, optional={"age": NUMBERS, "plan": IDS}) | JSON,
        "event": st.sampled_from(["Order Completed", "Product Added", "no", ""]) | JSON,
        "userId": IDS,
        "anonymousId": IDS,
        "timestamp": st.sampled_from(messy.TIMESTAMPS) | st.datetimes().map(str) | JSON,
        "sentAt": st.datetimes().map(lambda at: at.isoformat() + "Z"),
        "properties": st.fixed_dictionaries(
            {},
            optional={
                "sku": IDS,
                "id": IDS,
                "product_id": IDS,
                "price": NUMBERS,
                "n": NUMBERS,
                "text": IDS,
                "products": ENTRIES | JSON,
                "lines": st.lists(st.fixed_dictionaries({}, optional={"code": IDS})),
            },
        )
        | JSON,
        "more": JSON,
    },
)


@hypothesis(max_examples=30, deadline=None)
@given(st.lists(CALLS, min_size=1), st.sampled_from(sorted(SCANNED)), st.booleans(), st.booleans())
def test_calls_of_any_shape_become_the_same(
    library: Path, calls: list[Any], name: str, tight: bool, ascii_only: bool
) -> None:
    tighter = (",", ":") if tight else None
    lines = [json.dumps(call, ensure_ascii=ascii_only, separators=tighter) for call in calls]
    same(library, [line.encode(errors="surrogatepass") for line in lines], SCANNED[name])


def test_numbers_and_texts_of_columns_become_the_same(library: Path) -> None:
    chance = random.Random(SEED)
    digits = [str(chance.randrange(10 ** chance.randrange(1, 19))) for _ in range(3_000)]
    numbers = [
        *["0", "-0", "0.0", "-0.0", "0.00", "1.50", "1.0", "0.0001", "0.00012", "0.00001", "-7"],
        *["1e3", "1E-7", "1e999", "12345678901234.5", "123456789012345.6", "0.1234567890123456"],
        *[f"{left}.{right[::-1]}" for left, right in pairwise(digits)],
    ]
    texts = ["x" * 1_000, "x" * 1_001, "ü" * 500, "ü" * 501, "a,b", "", " a ", ",", "é,", "a\tb"]
    lines = []
    for value in (*numbers, *map(json.dumps, texts), "true", "null", "[1,2]", '{"a":1}'):
        given = f'{{"sku":"s","price":{value},"n":{value},"text":{value},"b":{value}}}'
        lines.append(
            usual(properties=0).replace(b'"properties":0', b'"properties":' + given.encode())
        )
    assert same(library, lines, SCANNED["values"]).kept == len(lines)


def test_every_day_has_its_seconds(library: Path) -> None:
    days = [f"{year}-{month:02}-{day:02}T" for year in YEARS for month in MONTHS for day in DAYS]
    clocks = ["00:00:00.000Z", "23:59:59.999Z", "10:60:00.000Z", "24:00:00Z", "9:00:00.000Z"]
    lines = [usual(timestamp=day + clock) for day in days for clock in clocks]
    counts = same(library, lines, SCANNED["flat"])
    assert counts.kept + counts.rejected["bad_timestamp"] == len(lines)
    assert counts.oldest == 0


YEARS = [1969, 1970, 1972, 1999, 2000, 2024, 2026, 2100, 2400, 5138, 5139, 9999]
MONTHS = range(14)
DAYS = [0, 1, 28, 29, 30, 31, 32]


@pytest.mark.parametrize(
    "line",
    [
        usual(userId="x" * 256),
        usual(userId="x" * 257),
        usual(userId="ü" * 256),
        usual(userId="a,b"),
        usual(userId='a"b'),
        usual(userId="a\tb"),
        usual(userId=7),
        usual(userId=-7),
        usual(properties={"products": [{"sku": f"p{n}"} for n in range(256)]}),
        usual(properties={"products": [{"sku": f"p{n}"} for n in range(2_000)]}),
        usual(properties={"products": [{"sku": "x" * 200} for _ in range(3_000)]}),
        usual(properties={"products": [{"sku": "p"}, {"name": "no sku"}]}),
        usual(properties={"products": [{"sku": "", "product_id": None, "id": "p"}]}),
        usual(properties={"sku": None, "product_id": "p"}),
        usual(context=json.loads("[" * 63 + "]" * 63)),
        usual(context=json.loads("[" * 64 + "]" * 64)),
        usual(context=json.loads("[" * 65 + "]" * 65)),
        usual(context=json.loads("[" * 500 + "]" * 500)),
        usual().replace(b"{", b'{"n":' + b"1" * 5_000 + b",", 1),
        usual().replace(b'"userId"', b'"user\\u0049d"', 1),
        usual().replace(b'"userId"', b'"userId":"before","userId"', 1),
        usual().replace(b'"sku"', b'"sku":"before","sku"', 1),
        usual().replace(b",", b" ,\t", 3) + b" \r",
        b"\xef\xbb\xbf" + usual(),
        usual() + b"\0",
        usual() + usual(),
        b"",
        b" ",
        b"\x0c",
    ],
)
def test_lines_at_the_edge_become_the_same(library: Path, line: bytes) -> None:
    for lines in ([line], [line, usual(), line, line], [usual(), b"", line, b""]):
        same(library, lines, {})


@pytest.mark.parametrize("length", [*range(16), 100, 4_000, 200_000])
def test_a_line_that_ends_anywhere_in_a_block_becomes_the_same(library: Path, length: int) -> None:
    same(library, [usual(context="x" * length)] * 3, {})


def test_more_rows_and_more_odd_lines_than_there_is_room_for_become_the_same(
    library: Path,
) -> None:
    many = usual(properties={"products": [{"sku": "x" * 250} for _ in range(250)]})
    assert same(library, [many, usual()] * 20, {}).rows == 20 * (250 + 2)
    odd = native.HANDED_MAX + 50
    assert same(library, [b"x"] * odd + [usual()], {}).rejected == {"not_a_call": odd}


def test_a_gzip_cut_anywhere_gives_the_same(library: Path) -> None:
    packed = gzip.compress(b"\n".join(messy.lines()), mtime=0)
    for at in range(0, len(packed), 4_999):
        assert read(packed[:at], {}, library) == read(packed[:at], {}, None)


def test_samples_are_the_first_lines_of_their_reason(library: Path) -> None:
    escaped = usual(event="Page").replace(b"Page", b"\\u0050age")
    lines = [usual(), usual(event="a"), escaped, usual(event="b"), usual(event="c"), usual()]
    counts = same(library, lines, {})
    assert counts.rejected == {"event_not_wanted": 4}
    assert [one["line"] for one in counts.samples["event_not_wanted"]] == [2, 3, 4]
    assert SAMPLES == 3


@pytest.mark.parametrize("name", sorted(NOT_SCANNED))
def test_other_mappings_are_left_to_the_rule(name: str) -> None:
    assert not native.covers(dataset_of(NOT_SCANNED[name]))


@pytest.mark.parametrize("processes", [1, 2])
def test_a_run_says_that_the_scanner_read(
    library: Path,
    room: Prepare,
    tmp_path: Path,
    processes: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(inputs, "GROUP_FILES", 1)
    report = run(room, tmp_path, Options(processes=processes))
    assert report["reader"] == "native"
    assert (
        report["rows"] == reference.convert(messy.lines(), from_dict({}).interactions).rows.total()
    )


@pytest.mark.parametrize("why", ["missing", "of another source", "no library", "switched off"])
def test_without_the_scanner_the_rule_reads_and_the_run_says_so(
    room: Prepare, tmp_path: Path, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other"
    other.write_text("int changed;")
    if why == "switched off":
        room.settings = room.settings.replace(prepare_native=False)
    elif why == "of another source":
        monkeypatch.setattr(native, "SOURCES", [*native.SOURCES, other])
    else:
        monkeypatch.setattr(native, "LIBRARY", other if why == "no library" else tmp_path / "none")
    report = run(room, tmp_path, Options())
    assert report["reader"] == "python"
    assert (
        report["rows"] == reference.convert(messy.lines(), from_dict({}).interactions).rows.total()
    )


def run(room: Prepare, place: Path, options: Options) -> dict[str, Any]:
    lines = messy.lines()
    (place / "in").mkdir()
    for n in range(3):
        (place / "in" / f"{n}.gz").write_bytes(gzip.compress(b"\n".join(lines[n::3])))
    return prepare.run(room, str(place / "in"), str(place / "out.csv"), options=options)
