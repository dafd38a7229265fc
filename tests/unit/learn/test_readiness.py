"""What is wrong with data in words and counts; versions compared."""

from __future__ import annotations

import orjson
import pytest

from tailorbird.errors import Invalid, NotFound
from tailorbird.learn import metrics, readiness

from .conftest import Study, as_csv, chains

SAME = [(f"u{n % 30}", f"i{n % 7}", "view", 1_700_000_000 + (n > 900)) for n in range(1_000)]
DATA = {
    "good": (chains(), True, "interactions"),
    "few": (chains(users=6), False, "users with two interactions or more; a training needs 25"),
    "one moment": (SAME, True, "one and the same TIMESTAMP"),
    "future": ([*chains(), ("u1", "i1", "view", 9_000_000_000)], True, "lie in the future"),
    "duplicates": (chains() + chains(), True, "exact duplicates"),
    "robot": (chains() + [("bot", f"i{n % 40}", "view", n) for n in range(900)], True, "'bot'"),
}


@pytest.mark.parametrize("rows, ready, said", DATA.values(), ids=DATA)
def test_what_is_wrong_with_the_data_is_said(study: Study, rows: list, ready: bool, said: str):
    study.interactions()
    assert study.bring(as_csv(rows))["status"] == "ACTIVE"
    found = readiness.findings(study.room, study.group)
    assert found["ready"] is ready, found
    assert any(said in one["what"] for one in found["findings"]), found
    assert orjson.loads(orjson.dumps(found)) == found  # as the command gets it


def test_a_group_without_data_is_not_ready_and_an_unknown_one_not_found(study: Study):
    study.interactions()
    found = readiness.findings(study.room, "shop-1")
    assert not found["ready"] and found["interactions"] == 0
    with pytest.raises(NotFound, match="no dataset group"):
        readiness.findings(study.room, "nowhere")


def test_versions_are_compared_and_a_different_split_is_said(study: Study):
    study.interactions()
    study.bring(as_csv(chains()))
    first = study.train("aws-sims")["solutionVersionArn"]
    second = study.train("aws-popularity-count")["solutionVersionArn"]
    shown = metrics.compare(study.room, [first, second])
    assert shown["same_split"]
    assert {"precision_at_5", "recall_at_25", "ndcg_at_10"} <= set(shown["versions"][0])
    study.bring(as_csv(chains(users=70)))
    third = study.train("aws-popularity-count")["solutionVersionArn"]
    assert not metrics.compare(study.room, [first, third], again=False)["same_split"]
    anew = metrics.compare(study.room, [first, third])
    assert anew["same_split"] and anew["trained_anew"]
    beside = {one["version"]: one for one in anew["versions"]}
    assert set(beside) == {first, third, "popularity"}
    assert beside[third]["ndcg_at_10_beside_first"] < 0 == beside[first]["ndcg_at_10_beside_first"]
    assert beside[first]["users"] == beside[third]["users"]
    with pytest.raises(Invalid, match="version= is missing"):
        metrics.compare(study.room, [])
