"""Plain variables are filled in without the engine, and print what the engine would."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest

from tailorbird.engage.handlebars import variables
from tailorbird.engage.render import compile_message

VALUES: list[Any] = [
    None, [], ["a"], ["a", "b"], [712], [None, "x"], "text", "", "<b>&\"'`=", ["<i>"], True, False,
    0, 7, -3, 0.0, 52.0, 19.5, 0.1, 1e-7, 1e21, 123456789012345680.0, -0.0, {"a": 1}, "100% %s",
    ["ü", "\u2028"], [["deep"]], [True],
]  # fmt: skip
TEMPLATES = [
    "{{Address}}", "{{{Address}}}", "{{ Address }}%s{{Id}}%", "{{Attributes.x}}",
    "{{Attributes.x.[0]}}", "{{Attributes.x.[1]}} {{{Attributes.x.[7]}}}", "{{Metrics.x}}",
    "{{User.UserAttributes.[Last Name]}}", "{{User.UserAttributes.[Last Name].[0]}}",
    "{{User.UserAttributes.x}} and {{User.UserId}}", "{{Recommendations.x.[0]}}",
    "{{RecommendationItems}}{{RecommendationItems.[0]}}", "{ {{Id}} } {{{Id}}}",
    "{{Location.Country}}{{Demographic.a-b}}{{Attributes.z.y}}",
]  # fmt: skip
DEFAULTS: list[dict[str, Any]] = [
    {},
    {"Attributes.x": "there", "User.UserAttributes.Last Name": "you", "Address": "<none>"},
    {"Attributes.x": ["a", "b"], "Metrics.x": 3, "User.UserAttributes.[Last Name]": 1.5},
    {"Recommendations.x": "r", "RecommendationItems": ["one", "two"], "Location.Country": ""},
]


@pytest.mark.parametrize("template", TEMPLATES)
@pytest.mark.parametrize("part", ["Body", "HtmlBody"])
def test_a_plain_variable_prints_what_the_engine_prints(template: str, part: str) -> None:
    chance = random.Random(template + part)
    for defaults in DEFAULTS:
        compiled = compile_message({part: template, "Title": "T {{Id}}"}, defaults=defaults)
        assert compiled.fill is not None
        people = [endpoint(chance) for _ in range(80)]
        by_engine = replace(compiled, fill=None).render(people, now=0)
        assert compiled.render(people, now=0) == by_engine


def test_two_numbers_side_by_side_are_not_added_up() -> None:
    compiled = compile_message({"Body": "{{Metrics.a}}{{Metrics.b}}"})
    people = [{"Metrics": {"a": 5, "b": 2.0}}]
    for one in (compiled, replace(compiled, fill=None)):
        assert [r.text for r in one.render(people) if hasattr(r, "text")] == ["52"]


def test_a_value_that_substitutes_another_wins_over_the_plain_way() -> None:
    compiled = compile_message({"Body": "{{Attributes.x}}"})
    given: list[dict[str, Any]] = [{}, {"Attributes.x": ["given"]}]
    people = [{"Attributes": {"x": ["own"]}}] * 2
    rendered = compiled.render(people, substitutions=given)
    assert [one.text for one in rendered if hasattr(one, "text")] == ["own", "given"]


@pytest.mark.parametrize(
    "source",
    [
        "{{upper Id}}", "{{#if Id}}x{{/if}}", "{{Id}} {{#each Attributes.x}}{{this}}{{/each}}",
        "\\{{Id}}", "{{~Id}}", "{{Other}}", "{{now}}", "{{this}}", "{{Attributes.constructor}}",
        "{{Attributes.x.length}}", "{{@root.Id}}", "{{!-- {{Id}} --}}", "{{Attributes.x.[01]}}",
        "{{> Id}}", "{{&Id}}", "{{Attributes.[0].x}}",
    ],
)  # fmt: skip
def test_what_is_more_than_a_plain_variable_is_left_to_the_engine(source: str) -> None:
    assert variables.filler([(source, True)], {}) is None


def endpoint(chance: random.Random) -> dict[str, Any]:
    def value() -> Any:
        return chance.choice(VALUES)

    whole: dict[str, Any] = {
        "Id": "e1", "Address": value(), "Attributes": {"x": value(), "z": value()},
        "Metrics": {"x": value()},
        "User": {"UserId": value(), "UserAttributes": {"x": value(), "Last Name": value()}},
        "Recommendations": {"x": value()}, "RecommendationItems": value(),
        "Location": {"Country": value()}, "Demographic": {"a-b": value()},
    }  # fmt: skip
    for name in list(whole):
        if chance.random() < 0.1:
            del whole[name]
        elif chance.random() < 0.05:
            whole[name] = value()
    return whole
