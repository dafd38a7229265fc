"""The mapping file: written once, refused with the field, the line and what would be right."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tailorbird.errors import Invalid, NotFound
from tailorbird.prepare import SEED, from_dict, load, to_dict
from tests.unit.prepare import mappings


@pytest.mark.parametrize("name", sorted(mappings.GIVEN))
def test_a_mapping_survives_its_json_form(name: str) -> None:
    mapping = from_dict(mappings.GIVEN[name])
    assert from_dict(to_dict(mapping)) == mapping


def test_the_seeds_mode_has_the_seeds_names() -> None:
    assert SEED.interactions.header == (
        "ANONYMOUS_ID",
        "USER_ID",
        "ITEM_ID",
        "EVENT_TYPE",
        "TIMESTAMP_ISO",
        "TIMESTAMP",
    )
    assert SEED.interactions.events == ("Product Added", "Order Completed", "Product Clicked")
    assert SEED.warehouse.item == ("products_sku",)


def test_toml_and_json_say_the_same(tmp_path: Path) -> None:
    toml, json_file = tmp_path / "m.toml", tmp_path / "m.json"
    toml.write_text('[interactions]\nevents = ["a"]\n[users.columns]\nAGE = "traits.age"\n')
    json_file.write_text(
        '{"interactions": {"events": ["a"]}, "users": {"columns": {"AGE": "traits.age"}}}'
    )
    assert load(toml) == load(json_file)


WRONG: list[tuple[str, str]] = [
    ('mode = "glue"', 'line 1: mode is .glue.; "default" or "seed"'),
    ('event = ["a"]', "line 1: interactions has no field 'event'; it has anonymous, columns"),
    ('[interaction]\nevents = ["a"]', "no field 'interaction'|no field 'events'"),
    ('[interactions]\nevents = "Product Added"', "line 2: interactions.events is 'Product Added'"),
    ("[interactions]\nevents = []", "line 2: interactions.events may not be empty"),
    ('[interactions]\nproducts = "yes"', "line 2: interactions.products is 'yes'; true or false"),
    ("[interactions]\nitem = []", "line 2: interactions.item is empty; the path"),
    ('[interactions]\nitem = ["a..b"]', "interactions.item.0.: 'a..b' is no path at '.b'"),
    ('[interactions]\nitem = ["a[].b[].c"]', "goes through two arrays"),
    ('[interactions]\nitem = ["a[].b", "c[].d"]', "goes through two arrays"),
    ('[interactions]\nitem = ["a[]"]', r"ends in \[\]; a field of the array's objects"),
    ('[interactions]\nuser = ["a[].b"]', "interactions.user is in an array"),
    ('[interactions]\ntime = "a[].b"', "interactions.time: .* is in an array"),
    ("[interactions]\ntime = 5", "line 2: interactions.time is 5; the path of a field"),
    ('[interactions]\nduplicates = "some"', "line 2: .* one of keep, drop"),
    ('[interactions.columns]\nUSER_ID = "a"', "line 2: .* has a column USER_ID already"),
    ('[interactions.columns]\n"A B" = "a"', "letters, digits and _ only"),
    ('[interactions.columns]\nA = { type = "int" }', r"line 2: interactions.columns.A.path is m"),
    ('[interactions.columns]\nA = { path = "a", type = "number" }', "one of string, int, long"),
    ('[interactions.columns]\nA = "x[].y"', r"x\[\].y is in an array that interactions.item"),
    ("[users]\n", "users.columns is missing"),
    ("[items]\n", "items.columns is missing"),
    ("[warehouse]\ntables = 5", "line 2: warehouse.tables is 5; a table from event"),
    ("[interactions]\nevents = {}", "from event to EVENT_TYPE"),
    ("events = [", r"m.toml is not TOML: Invalid value"),
]


@pytest.mark.parametrize(("text", "what"), WRONG)
def test_what_is_wrong_is_named_with_its_line(tmp_path: Path, text: str, what: str) -> None:
    file = tmp_path / "m.toml"
    file.write_text(text)
    with pytest.raises(Invalid, match=what):
        load(file)


def test_a_file_that_is_not_there_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no mapping file"):
        load(tmp_path / "m.toml")


@pytest.mark.parametrize("given", [5, [], {"interactions": []}])
def test_what_is_no_mapping_is_refused(given: Any) -> None:
    with pytest.raises(Invalid):
        from_dict(given)
