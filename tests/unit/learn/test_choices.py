"""What a solution may ask beside a recipe, on plain rows: no database, no process."""

from __future__ import annotations

import numpy as np
import pytest

from tailorbird.errors import Invalid
from tailorbird.learn import (
    automl,
    evaluation,
    event_rewards,
    material,
    objectives,
    parts,
    percentiles,
    trend_quality,
)
from tailorbird.learn.models import interactions as inter
from tailorbird.learn.models.best import top
from tailorbird.learn.models.blend import Blend
from tailorbird.learn.models.interactions import Interactions
from tailorbird.learn.models.popular import Popular
from tailorbird.learn.recipes import RECIPES
from tailorbird.learn.recipes.recipe import Options

from .conftest import chains

QUIET = Options({}, 1000, 0, lambda _text: None)


def data(rows: list[tuple] | None = None) -> Interactions:
    found = chains() if rows is None else rows
    return inter.interactions(*[[row[n] for row in found] for n in (0, 1, 3, 2)])


def lengths(found: Interactions) -> list[int]:
    return sorted(set(np.bincount(found.user).tolist()) - {0})


def test_histories_outside_the_percentiles_are_left_out_of_the_fit():
    rows = [(f"u{n}", f"i{k}", "view", k) for n in range(10) for k in range(n + 1)]
    found = data(rows)
    kept = percentiles.keep(found, {"max_user_history_length_percentile": "0.5"})
    assert lengths(found.keep(kept)) == [1, 2, 3, 4, 5]
    kept = percentiles.keep(found, {"min_user_history_length_percentile": "0.9"})
    assert lengths(found.keep(kept)) == [9, 10]
    assert percentiles.keep(found, {}).all()
    given = {"max_item_interaction_count_percentile": "0.5"}
    items = found.keep(percentiles.keep(found, given)).item
    assert {found.items[n] for n in np.unique(items)} == {"i5", "i6", "i7", "i8", "i9"}


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"min_user_history_length_percentile": "x"}, "a number from 0 to 1"),
        ({"min_user_history_length_percentile": "-0.1"}, "0 to 1 is right"),
        (
            {
                "min_user_history_length_percentile": "0.9",
                "max_user_history_length_percentile": "0.1",
            },
            "above max_user_history_length_percentile",
        ),
    ],
)
def test_percentiles_that_cannot_be_are_refused(given: dict[str, str], says: str):
    with pytest.raises(Invalid, match=says):
        percentiles.check(given)


def test_an_objective_moves_what_is_worth_more_up_by_its_sensitivity():
    found = data()
    blend = Blend({"popular": Popular.fit(found)}, {"popular": 1.0})
    prices = np.array([float(name[1:]) for name in found.items])
    worth = []
    for sensitivity in ("OFF", "LOW", "MEDIUM", "HIGH"):
        towards = objectives.joined(blend, prices, sensitivity)
        best = top(towards.score(found.history(0)), 10)
        worth.append(prices[best].mean())
    assert worth == sorted(worth)
    assert worth[-1] > worth[0]
    with_one = objectives.joined(blend, prices, "HIGH")
    assert objectives.without(with_one).weights == blend.weights
    _, cases = evaluation.split(found, 0)
    rewards = [
        objectives.reward(one, cases, prices)["average_rewards_at_k"] for one in (blend, with_one)
    ]
    assert 0 <= rewards[0] <= 1
    assert rewards[1] >= rewards[0]


def test_rewards_of_a_column_below_zero_count_from_its_least_value():
    found = data()
    blend = Blend({"popular": Popular.fit(found)}, {"popular": 1.0})
    costs = -np.arange(float(len(found.items)))
    _, cases = evaluation.split(found, 0)
    below = objectives.reward(blend, cases, costs)
    assert below == objectives.reward(blend, cases, costs - costs.min())
    assert below["average_rewards_at_k"] > 0


def test_an_objectives_column_is_found_by_item():
    codes = np.array([0, 1])
    part = parts.Part({"ITEM_ID": (codes, ["i3", "nobody"])}, {"PRICE": np.array([7.0, 9.0])})
    found = objectives.values(part, "PRICE", data().items)
    assert found[data().items.find("i3")] == 7.0
    assert np.isnan(found).sum() == len(found) - 1
    with pytest.raises(Invalid, match="no column of numbers COLOR"):
        objectives.values(part, "COLOR", data().items)


def test_hits_count_by_the_weight_of_their_event():
    rows = [("u", f"i{n}", "view", n) for n in range(18)]
    rows += [("u", "bought", "buy", 18), ("u", "seen", "view", 19)]
    found = data(rows)
    kind = found.kinds.index("buy")
    weight = np.where(found.kind == kind, 1.0, 0.1).astype(np.float32)
    found = inter.replace(found, weight=weight)
    case = evaluation.case(found, 0)
    assert len(case.targets) == 2

    def quality(first: str, second: str) -> float:
        scores = np.zeros(found.item_count, dtype=np.float32)
        scores[found.items.find(first)], scores[found.items.find(second)] = 2.0, 1.0
        blend = Blend({"popular": Popular(scores)}, {"popular": 1.0})
        return event_rewards.measure(blend, found, [case])[event_rewards.NAME.format(depth=5)]

    assert quality("bought", "seen") == 1.0
    assert quality("seen", "bought") < 0.8


def test_automl_takes_the_recipe_whose_lists_are_best():
    recipe, tried = automl.choose(list(automl.DEFAULT), data(), QUIET)
    assert recipe.name == "aws-user-personalization"  # chains are learned, not popular
    assert [one["recipeArn"] for one in tried] == list(automl.DEFAULT)
    popular = [automl.DEFAULT[1]]
    assert automl.choose(popular, data(), QUIET)[0].name == "aws-popularity-count"


def test_trend_accuracy_is_the_share_of_the_newest_growth():
    rows = [(f"u{n}", "steady", "view", n * 60) for n in range(600)]
    growing = [(f"v{n}", "growing", "view", int((n / 300) ** 0.5 * 600 * 60)) for n in range(300)]
    options = Options({"trend_discovery_frequency": "1 hour"}, 10, 0, lambda _text: None)
    found = trend_quality.measure(data(rows + growing), options)
    assert found["trend_prediction_accuracy"] == 1.0


def test_a_wider_catalogue_keeps_the_rows():
    found = data()
    wide = material.widened(found, ["a-new-one", "zz"])
    assert wide.item_count == found.item_count + 2
    assert [wide.items[n] for n in wide.item[:50]] == [found.items[n] for n in found.item[:50]]


def test_every_recipe_says_what_it_is():
    for recipe in RECIPES.values():
        assert recipe.description
        assert recipe.arn.endswith(recipe.name)
