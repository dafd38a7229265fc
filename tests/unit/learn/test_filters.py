"""Filter expressions: what parses, what is refused and why, and which items pass."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tailorbird.errors import AlreadyExists, Invalid, LimitExceeded, NotFound
from tailorbird.learn import datasets, groups, metadata, parts, schemas
from tailorbird.learn.csvs import Numbers, Strings
from tailorbird.learn.filters import grammar, mask, resources, rules, values
from tailorbird.learn.filters.grammar import Literal, OfCurrentItem, Parameter

from .conftest import Study, schema_text

# From the developer guide, AWS's samples and workshops, and other public projects.
REAL = """
INCLUDE ItemID WHERE Items.YEAR >= 1970 AND Items.YEAR < 1980
EXCLUDE ItemID WHERE INTERACTIONS.event_type IN ("Purchase") | INCLUDE ItemID WHERE ITEMS.CATEGORY_L1 IN CurrentItem.CATEGORY_L1
exclude UserId where users.country in ("England", "Japan")
INCLUDE ItemID WHERE Interactions.EVENT_TYPE in ('click', 'stream')
EXCLUDE itemId WHERE INTERACTIONS.event_type in ("*")
EXCLUDE itemId WHERE INTERACTIONS.event_type = "click"
EXCLUDE itemId WHERE INTERACTIONS.event_type IN ("OrderCompleted")
EXCLUDE ItemID WHERE Interactions.EVENT_TYPE IN ($EVENT_TYPE)
EXCLUDE ItemID WHERE Interactions.EVENT_TYPE IN ("click", "stream")
INCLUDE ItemID WHERE Interactions.EVENT_TYPE IN ("click")
INCLUDE ItemID WHERE Interactions.event_type IN ('watched','favorited')
EXCLUDE ItemID WHERE Items.out_of_stock IN ('yes')
EXCLUDE ItemID WHERE Items.CATEGORY IN ($CATEGORY)
EXCLUDE ItemID WHERE Items.CATEGORY_L1 IN ("shoe") AND Items.CATEGORY_L2 NOT IN ("boot")
EXCLUDE ItemID WHERE Items.CATEGORY_L1 IN ($CATEGORY) AND Items.DESCRIPTION = "Classic"
INCLUDE ItemID WHERE Items.PRICE <= $PRICE
INCLUDE ItemID WHERE Items.PRICE < CurrentItem.PRICE AND Items.GENRE IN CurrentItem.GENRE
INCLUDE ItemID WHERE Items.PRICE < CurrentItem.PRICE AND Items.CREATION_TIMESTAMP > $DATE
INCLUDE ItemID WHERE Items.CREATION_TIMESTAMP < $DATE
INCLUDE ItemID WHERE Items.GENRE IN ($GENRE)
INCLUDE ItemID WHERE Items.OWNER IN ("in-house")
INCLUDE ItemID WHERE Items.GENRE IN ("Comedy") IF CURRENTUSER.AGE > 20
INCLUDE ItemID WHERE Items.GENRE IN ("Comedy") IF CURRENTUSER.GENDER = "F"
EXCLUDE ItemID WHERE Items.GENRE IN ($GENRE) IF CurrentUser.AGE = $AGE
EXCLUDE ItemID WHERE Items.PRICE > 5000 IF CurrentUser.AGE <= 25 AND CurrentUser.GENDER IN ("F")
INCLUDE ItemID WHERE Items.CATEGORY IN ($CATEGORY) | INCLUDE ItemID WHERE Interactions.EVENT_TYPE IN ("favorite")
INCLUDE ItemID WHERE Items.GENRE IN ($GENRE) | EXCLUDE ItemID WHERE Interactions.EVENT_TYPE IN ("click")
INCLUDE ItemID WHERE Items.DELETED IN ("false") AND Items.CULTURE IN ($CULTURE)
INCLUDE itemId WHERE Items.CATEGORY IN ("electronics", "gadgets")
INCLUDE ItemID WHERE ITEMS.genre IN ("action","thriller")
INCLUDE ItemID WHERE Items.CATEGORY IN ("COMEDY") OR Items.CATEGORY IN ("CHILDREN'S")
INCLUDE UserID WHERE Users.MEMBERSHIP_STATUS IN ("Gold") AND Users.AGE >= 18
INCLUDE UserID WHERE Interactions.EVENT_TYPE IN ("rated")
EXCLUDE ActionID WHERE Action_Interactions.EVENT_TYPE IN ("TAKEN")
INCLUDE ActionID WHERE Actions.VALUE >= 10 IF CurrentUser.TIER != "basic"
EXCLUDE ItemID WHERE Interactions.EVENT_TYPE IN ("click, rating")
""".strip().splitlines()  # noqa: E501

UNREADABLE = {
    "": (1, "expected INCLUDE or EXCLUDE, found the end"),
    "SELECT ItemID": (1, "expected INCLUDE or EXCLUDE, found 'SELECT'"),
    "INCLUDE Items WHERE Items.A = 1": (9, "expected ITEMID or USERID or ACTIONID"),
    "INCLUDE ItemID": (15, "expected WHERE, found the end"),
    "INCLUDE ItemID WHERE Books.A = 1": (22, "expected INTERACTIONS or ITEMS"),
    "INCLUDE ItemID WHERE Items A = 1": (28, r"expected \., found 'A'"),
    "INCLUDE ItemID WHERE Items.A": (29, "expected = or !="),
    "INCLUDE ItemID WHERE Items.A IN 'x'": (33, r"expected \(, found"),
    "INCLUDE ItemID WHERE Items.A IN ('x' 'y')": (38, r"expected \), found"),
    "INCLUDE ItemID WHERE Items.A IN ()": (34, "expected a value"),
    "INCLUDE ItemID WHERE Items.A IN ('x)": (34, "a closing quote is missing"),
    "INCLUDE ItemID WHERE Items.A = x": (32, "expected a value"),
    "INCLUDE ItemID WHERE Items.A == 1": (31, "expected a value"),
    "INCLUDE ItemID WHERE Items.A ~ 1": (30, "cannot read '~ 1'"),
    "INCLUDE ItemID WHERE (Items.A = 1)": (22, "parentheses around conditions are not known"),
    "INCLUDE ItemID WHERE Items.A = 1 Items.B = 2": (34, r"expected AND, OR, IF, \| or the end"),
    "INCLUDE ItemID WHERE Items.A = 1 |": (35, "expected INCLUDE or EXCLUDE, found the end"),
    "INCLUDE ItemID WHERE CurrentUser.A = 1": (22, "CurrentUser stands only after IF"),
    "INCLUDE ItemID WHERE Items.A = 1 IF Items.B = 1": (37, "expected CURRENTUSER"),
    "INCLUDE ItemID WHERE Items.A = 1 IF CurrentUser.B = 1 OR CurrentUser.B = 2": (
        55,
        "IF knows no OR",
    ),
}
ITEM_FIELDS = [
    {"name": "ITEM_ID", "type": "string"},
    {"name": "GENRE", "type": ["null", "string"], "categorical": True},
    {"name": "YEAR", "type": ["null", "int"]},
    {"name": "ABOUT", "type": ["null", "string"], "textual": True},
    {"name": "SOLD", "type": ["null", "boolean"]},
]
USER_FIELDS = [{"name": "USER_ID", "type": "string"}, {"name": "AGE", "type": "int"}]
KNOWN = {
    "ITEMS": schemas.parse(schema_text(ITEM_FIELDS, "Items")),
    "USERS": schemas.parse(schema_text(USER_FIELDS, "Users")),
    "INTERACTIONS": schemas.parse(schema_text()),
}
WRONG = {
    "INCLUDE ItemID WHERE Items.PRICE = 1": "ITEMS has no field PRICE; it has ITEM_ID, GENRE",
    "INCLUDE ItemID WHERE Items.SOLD = 'true'": "Invalid Expression.*boolean",
    "INCLUDE ItemID WHERE Items.ABOUT = 'x'": "textual",
    "INCLUDE ItemID WHERE Items.GENRE < 5": "GENRE is a string; < is for numbers",
    "INCLUDE ItemID WHERE Items.YEAR = 'old'": "YEAR is a number, 'old' is not",
    "INCLUDE ItemID WHERE Items.GENRE IN ('*')": "every EVENT_TYPE only",
    "INCLUDE ItemID WHERE Users.AGE = 5": "asks about ITEMS or INTERACTIONS, not USERS",
    "INCLUDE ItemID WHERE Interactions.ITEM_ID = 'x'": "EVENT_TYPE only, not ITEM_ID",
    "INCLUDE ItemID WHERE Interactions.EVENT_TYPE > 'x'": "EVENT_TYPE knows =",
    "INCLUDE ItemID WHERE Items.YEAR = 1 AND Interactions.EVENT_TYPE = 'v'": "use one dataset",
    "INCLUDE ItemID WHERE Items.YEAR = 1 IF CurrentUser.NAME = 'x'": "USERS has no field NAME",
    "INCLUDE ItemID WHERE Items.YEAR IN CurrentItem.PRICE": "ITEMS has no field PRICE",
    "INCLUDE ActionID WHERE Actions.VALUE > 1": "has no ACTIONS dataset",
}


@pytest.mark.parametrize("text", REAL)
def test_real_expressions_parse(text: str):
    assert grammar.parse(text)


def test_a_filter_becomes_a_tree_with_and_before_or():
    (first, second) = grammar.parse(
        "include itemid where items.a in ('x', $P) and Items.B >= 2 or Items.C != CurrentItem.D"
        " if CurrentUser.AGE < 3 | EXCLUDE ItemID WHERE Interactions.EVENT_TYPE NOT IN ('q\\'s')"
    )
    shape = [[(c.field, c.sign) for c in every] for every in first.alternatives]
    assert shape == [[("A", "IN"), ("B", ">=")], [("C", "!=")]]
    assert first.conditions[0].values == (Literal("x", None), Parameter("P"))
    assert first.conditions[2].values == (OfCurrentItem("D"),)
    assert (first.kind, first.target, first.parameters) == ("INCLUDE", "ITEMS", {"P"})
    assert [c.field for c in first.when] == ["AGE"]
    assert second.conditions[0].values == (Literal("q's", None),)


@pytest.mark.parametrize("text", UNREADABLE)
def test_an_expression_that_does_not_parse_says_where_and_what_was_expected(text: str):
    at, expected = UNREADABLE[text]
    with pytest.raises(Invalid, match=rf"position {at}: .*{expected}"):
        grammar.parse(text)


def test_the_services_own_texts_of_refusal():
    with pytest.raises(Invalid) as refused:
        grammar.parse("INCLUDE ItemID WHERE Items.GENRE NOT IN ($genre)")
    assert refused.value.message == (
        "Could not create filter. Invalid input symbol: $genre. "
        "Placeholders are not allowed with NOT_IN operator."
    )
    with pytest.raises(Invalid, match="about the same"):
        grammar.parse("INCLUDE ItemID WHERE Items.A = 1 | EXCLUDE UserID WHERE Users.A = 1")


@pytest.mark.parametrize("text", WRONG)
def test_what_a_filter_may_not_ask_is_refused_by_name(text: str):
    with pytest.raises(Invalid, match=WRONG[text]):
        rules.check(grammar.parse(text), KNOWN, strict=True)


def test_a_setting_lifts_the_services_own_limits_of_what_can_be_asked():
    for text in (
        "INCLUDE ItemID WHERE Items.SOLD = 'true'",
        "INCLUDE ItemID WHERE Items.YEAR = 1 AND Interactions.EVENT_TYPE = 'view'",
    ):
        with pytest.raises(Invalid):
            rules.check(grammar.parse(text), KNOWN, strict=True)
        rules.check(grammar.parse(text), KNOWN, strict=False)  # raises nothing


def test_values_of_parameters_are_quoted_lists():
    one = grammar.parse("INCLUDE ItemID WHERE Items.A IN ($A) AND Items.B < $b")
    read = values.read(one, {"A": '"x","y, z",\'w\'', "b": "20"})
    assert [value.text for value in read["A"]] == ["x", "y, z", "w"]
    assert read["b"][0].number == values.members("b", '"20"')[0].number == 20
    for given, reason in {
        "A": "parameter b is missing",
        "a": "no parameter 'a'; it has A, b",
        "x": "no parameter 'x'",
    }.items():
        with pytest.raises(Invalid, match=reason):
            values.read(one, {given: '"x"'})
    for text in ("x", '"x" "y"', '"x', "", '"x",'):
        with pytest.raises(Invalid, match="the value of A cannot be read at position"):
            values.members("A", text)


def test_what_is_compared_by_size_has_to_be_a_number():
    one = grammar.parse("INCLUDE ItemID WHERE Items.PRICE > $A OR Items.GENRE = $A")
    assert values.read(one, {"A": "'2.5'"})["A"][0].number == 2.5
    for text, reason in (('"abc"', "A is '\"abc\"'; a number is right"), ("2.5.1", "position 1")):
        with pytest.raises(Invalid, match=reason):
            values.read(one, {"A": text})


def test_a_parameter_of_an_exclude_may_be_left_out():
    one = grammar.parse("EXCLUDE ItemID WHERE Items.GENRE IN ($A)")
    assert passing(one, values.read(one, {})) == ["a", "b", "c", "d", "new"]
    assert passing(one, values.read(one, {"A": '"Drama"'})) == ["b", "d", "new"]


@pytest.mark.parametrize(
    "text, items",
    {
        "INCLUDE ItemID WHERE Items.GENRE IN ('Drama')": "ac",
        "INCLUDE ItemID WHERE Items.GENRE = 'Horror'": "b",
        "INCLUDE ItemID WHERE Items.GENRE = 'drama'": "",
        "INCLUDE ItemID WHERE Items.GENRE NOT IN ('Drama')": ["b", "d", "new"],
        "INCLUDE ItemID WHERE Items.GENRE != 'War'": ["a", "b", "d", "new"],
        "INCLUDE ItemID WHERE Items.YEAR >= 1970 AND Items.YEAR < 1980": "ab",
        "INCLUDE ItemID WHERE Items.YEAR = '1981'": "c",
        "INCLUDE ItemID WHERE Items.YEAR IN (1975, 1981)": "ac",
        "INCLUDE ItemID WHERE Items.YEAR NOT IN (1975)": ["b", "c", "d", "new"],
        "INCLUDE ItemID WHERE Items.YEAR > 3000": ["new"],
        "INCLUDE ItemID WHERE Items.YEAR = 1975 OR Items.GENRE = 'War'": "ac",
        "INCLUDE ItemID WHERE Items.YEAR = 1975 OR Items.GENRE = 'War' AND Items.YEAR < 9": "a",
        "EXCLUDE ItemID WHERE Items.GENRE IN ('Drama')": ["b", "d", "new"],
        "EXCLUDE ItemID WHERE Items.YEAR = 1975 | INCLUDE ItemID WHERE Items.GENRE = 'Drama'": "c",
        "INCLUDE ItemID WHERE Items.YEAR = 1975 | INCLUDE ItemID WHERE Items.GENRE = 'War'": "ac",
        "INCLUDE ItemID WHERE Items.YEAR = 1975 IF CurrentUser.AGE > 20": "a",
        "INCLUDE ItemID WHERE Items.YEAR = 1975 IF CurrentUser.AGE < 20": [
            "a",
            "b",
            "c",
            "d",
            "new",
        ],
        "INCLUDE ItemID WHERE Items.GENRE IN CurrentItem.GENRE": "ac",
        "INCLUDE ItemID WHERE Items.YEAR < CurrentItem.YEAR": "ab",
    }.items(),
)
def test_what_passes(text: str, items: str | list[str]):
    """a: Drama 1975, b: Horror 1978, c: Drama|War 1981, d: nothing known, new: Space 3001."""
    assert passing(grammar.parse(text), {}) == list(items)


def passing(expressions: grammar.Filter, given: values.Values) -> list[str]:
    table = shop_items()
    asked = mask.Asked(given, lambda: {"AGE": 30.0}, lambda: table.record("c"))
    found = mask.mask(
        expressions, asked, lambda one, wanted: mask.of_table(table, one, wanted), table.height
    )
    names = [*table.ids, "", *table.added]
    return [names[n] for n in np.flatnonzero(found).tolist() if names[n]]


def shop_items() -> metadata.Table:
    text = metadata.Text(["Drama", "Horror", "Drama|War"], np.array([0, 1, 0, -1]))
    year = metadata.Number(np.array([1975.0, 1978.0, 1900.0, np.nan]))
    table = metadata.Table(KNOWN["ITEMS"], metadata.Ids.of("abcd"), {"GENRE": text, "YEAR": year})
    table.put("c", {"GENRE": "Drama|War", "YEAR": 1981.0})
    table.put("new", {"GENRE": "Space", "YEAR": 3001.0})
    return table


def test_imported_items_become_columns_where_the_newest_row_wins(tmp_path: Path):
    found = []
    for n, rows in enumerate(([("a", "x", 1), ("b", "", 2)], [("b", "y|z", np.nan)])):
        columns: dict[str, Strings | Numbers] = {"ITEM_ID": Strings(), "GENRE": Strings()}
        columns["ITEM_ID"].add([row[0] for row in rows])  # type: ignore[arg-type]
        columns["GENRE"].add([row[1] for row in rows])  # type: ignore[arg-type]
        columns["YEAR"] = Numbers()
        columns["YEAR"].add(np.array([row[2] for row in rows], dtype=np.float64))
        parts.write(tmp_path / f"{n}", columns)
        found.append(parts.read(tmp_path / f"{n}"))
    ids, columns, made = metadata._imported(found, [1.0, 2.0], KNOWN["ITEMS"], "ITEM_ID")
    table = metadata.Table(KNOWN["ITEMS"], ids, columns)
    assert table.record("a") == {"GENRE": "x", "YEAR": 1.0}
    assert table.record("b") == {"GENRE": "y|z"}
    assert made.tolist() == [1.0, 2.0]
    table.put("b", {"YEAR": 7.0})
    table.put("c", {"GENRE": "w"})
    folded = metadata._folded(table, "ITEM_ID")
    assert [folded.record(one) for one in "abc"] == [
        {"GENRE": "x", "YEAR": 1.0},
        {"YEAR": 7.0},
        {"GENRE": "w"},
    ]
    assert (len(folded), folded.added) == (3, [])


def test_filters_from_first_to_last(study: Study):
    study.interactions()
    schema = study(schemas.create_schema, name="i", schema=schema_text(ITEM_FIELDS, "Items"))
    study(
        datasets.create_dataset,
        name="i",
        schemaArn=schema["schemaArn"],
        datasetGroupArn=study.group,
        datasetType="Items",
    )
    text = "INCLUDE ItemID WHERE Items.YEAR >= 1970"

    def make(name: str, expression: str = text, group: str = study.group) -> str:
        given = {"name": name, "datasetGroupArn": group, "filterExpression": expression}
        return study(resources.create_filter, **given)["filterArn"]

    arn = make("old")
    assert arn.endswith(":filter/old")
    shown = study(resources.describe_filter, filterArn=arn)["filter"]
    assert (shown["filterExpression"], shown["status"]) == (text, "ACTIVE")
    assert shown["datasetGroupArn"] == study.group
    (listed,) = study(resources.list_filters, datasetGroupArn=study.group)["Filters"]
    assert listed["filterArn"] == arn
    assert "filterExpression" not in listed

    with pytest.raises(AlreadyExists):
        make("old")
    with pytest.raises(NotFound):
        make("other", group=study.group + "x")
    with pytest.raises(Invalid, match="no field PRICE"):
        make("other", "INCLUDE ItemID WHERE Items.PRICE = 1")
    settings = study.room.settings
    for name, most, expression in (
        ("learn_max_filters", 1, text),
        ("learn_max_filter_fields", 1, text + " AND Items.GENRE = 'x'"),
        ("learn_max_group_filter_fields", 1, "INCLUDE ItemID WHERE Items.GENRE = 'x'"),
    ):
        study.room.settings = settings.replace(**{name: most})
        with pytest.raises(LimitExceeded, match=name):
            make("more", expression)
    study.room.settings = settings

    study(resources.delete_filter, filterArn=arn)
    with pytest.raises(NotFound):
        study(resources.describe_filter, filterArn=arn)
    make("old")
    study(datasets.delete_dataset, datasetArn=study.dataset)
    for one in study(datasets.list_datasets, datasetGroupArn=study.group)["datasets"]:
        study(datasets.delete_dataset, datasetArn=one["datasetArn"])
    study(groups.delete_dataset_group, datasetGroupArn=study.group)
    assert study(resources.list_filters)["Filters"] == []
