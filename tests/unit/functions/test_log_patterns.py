"""Filter patterns: which events fit, and what cannot be read."""

from __future__ import annotations

import json
import time

import pytest

from tailorbird.errors import Invalid, NotBuilt
from tailorbird.functions.log_patterns import compiled

LINE = 'START RequestId: r-1 [ERROR] said "no" at 10:00'
EVENT = {
    "level": "ERROR",
    "message": "out of stock: sku-7",
    "ms": 12.5,
    "ok": False,
    "cause": None,
    "user": {"id": "ana", "tags": ["new", "vip"]},
}

TERMS = [
    ("", True),
    ("ERROR", True),
    ("error", False),
    ("ERROR START", True),
    ("ERROR END", False),
    ("-ERROR", False),
    ("ERROR -END", True),
    ("ERROR -START", False),
    ('"[ERROR] said"', True),
    ('"said \\"no\\""', True),
    ('-"RequestId: r-2"', True),
    ("?END ?ERROR", True),
    ("?END ?REPORT", False),
    ("?END START", True),  # `?` counts only where every term has it
    ('?END ?"[ERROR]"', True),
]


@pytest.mark.parametrize(("pattern", "fits"), TERMS)
def test_terms(pattern: str, fits: bool):
    assert compiled(pattern)(LINE) is fits


CONDITIONS = [
    ('{ $.level = "ERROR" }', True),
    ("{ $.level = ERROR }", True),
    ('{$.level="WARN"}', False),
    ('{ $.level != "WARN" }', True),
    ('{ $.level != "ERROR" }', False),
    ('{ $.nothing != "x" }', False),
    ('{ $.message = "out of*" }', True),
    ('{ $.message = "*sku-7" }', True),
    ('{ $.message = "*stock*" }', True),
    ('{ $.message = "*sku-7*7" }', False),
    ('{ $.message = "out of" }', False),
    ("{ $.ms = 12.5 }", True),
    ("{ $.ms > 12 }", True),
    ("{ $.ms >= 12.5 && $.ms <= 12.5 }", True),
    ("{ $.ms < 12.5 }", False),
    ("{ $.level > 1 }", False),
    ('{ $.user.id = "ana" }', True),
    ('{ $.user.tags[1] = "vip" }', True),
    ('{ $.user.tags[2] = "vip" }', False),
    ("{ $['level'] = ERROR }", True),
    ("{ $.ok IS FALSE }", True),
    ("{ $.ok IS TRUE }", False),
    ("{ $.cause IS NULL }", True),
    ("{ $.level IS NULL }", False),
    ("{ $.nothing NOT EXISTS }", True),
    ("{ $.level NOT EXISTS }", False),
    ('{ $.level = "WARN" || $.level = "ERROR" }', True),
    ('{ $.ms < 1 && $.level = "WARN" || $.level = "ERROR" }', True),
    ('{ $.ms < 1 && ($.level = "WARN" || $.level = "ERROR") }', False),
]


@pytest.mark.parametrize(("pattern", "fits"), CONDITIONS)
def test_conditions_on_json(pattern: str, fits: bool):
    assert compiled(pattern)(json.dumps(EVENT)) is fits


@pytest.mark.parametrize("line", ["plain", "{broken", '["list"]', '{"other": 1}'])
def test_a_condition_does_not_hold_for_what_has_no_such_property(line: str):
    assert not compiled('{ $.level = "ERROR" }')(line)


WRONG = {
    '{ $.level = "ERROR"': "ends with }",
    "{ }": "it ends where a property",
    "{ level = 1 }": "a property such as",
    "{ $.level }": "ends where an operator",
    "{ $.level = }": "ends where a value",
    "{ $.level IS GREEN }": "IS NULL, IS TRUE",
    "{ $.ms > many }": "compares with a number",
    "{ ($.ms > 1 }": "not closed",
    "{ $.ms > 1 $.ms }": "one too many",
    "{ $.ms ~ 1 }": "IS NULL",
    "{ " + "(" * 21 + "$.a = 1" + ")" * 21 + " }": "more than 20 parentheses",
    "x" * 1025: "at most 1024",
}


@pytest.mark.parametrize("pattern", WRONG)
def test_what_cannot_be_read_is_said(pattern: str):
    with pytest.raises(Invalid, match=WRONG[pattern]) as refused:
        compiled(pattern)
    assert refused.value.code == "InvalidParameterException"


@pytest.mark.parametrize("pattern", ["[ip, user]", "%ERR.R%", "{ $.level = %ERR.*% }"])
def test_columns_and_expressions_are_refused_by_name(pattern: str):
    with pytest.raises(NotBuilt, match="columns and %expressions%"):
        compiled(pattern)


def test_a_hostile_pattern_costs_no_time():
    fits = compiled('{ $.a = "' + "*a" * 100 + '*b" }')
    begun = time.monotonic()
    assert not fits(json.dumps({"a": "a" * 100_000}))
    assert time.monotonic() - begun < 2
