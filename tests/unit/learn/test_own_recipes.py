"""A recipe in one file: the example of docs/own-models.md, trained, tuned and served; schedules."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tailorbird import learn
from tailorbird.clock import TestClock
from tailorbird.errors import Invalid
from tailorbird.learn import metrics, schedules, serving, solutions, training, updates
from tailorbird.learn.models.engine import LOADERS
from tailorbird.learn.recipes import RECIPES, own
from tests.conftest import ROOT

from .conftest import Study, as_csv, chains

EXAMPLE = re.search(r"```python\n(.*?)```", (ROOT / "docs/own-models.md").read_text(), re.S)[1]  # type: ignore[index]
ARN = "arn:aws:personalize:::recipe/own-newest-first"


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    made = tmp_path / "recipes"
    made.mkdir()
    before, loaders = dict(RECIPES), dict(LOADERS)
    yield made
    for table, kept in ((RECIPES, before), (LOADERS, loaders)):
        table.clear()  # type: ignore[attr-defined]
        table.update(kept)  # type: ignore[attr-defined]


def test_the_example_of_the_docs_is_a_recipe_like_any_other(study: Study, folder: Path):
    (folder / "newest.py").write_text(EXAMPLE)
    settings = study.room.settings.replace(learn_recipe_folder=str(folder))
    learn.Learn(study.room.db, study.room.jobs, study.room.objects, study.room.clock, settings)
    study.room.settings = settings
    study.interactions()
    late = [(f"u{n}", "newest", "view", 1_800_000_000) for n in range(60)]
    study.bring(as_csv(chains() + late))
    version = study.train("own-newest-first")
    assert version["status"] == "ACTIVE", version
    campaign = study.deploy(version["solutionVersionArn"])
    answer = study(serving.get_recommendations, campaignArn=campaign, userId="u1")
    assert answer["itemList"][0]["itemId"] == "newest"


BROKEN = {
    "no recipe": ("x = 1", "has no RECIPE"),
    "does not parse": ("def", "cannot be read: SyntaxError"),
    "raises": ("raise ValueError('no')", "cannot be read: ValueError: no"),
    "taken": (EXAMPLE.replace("own-newest-first", "aws-sims"), "another recipe called aws-sims"),
    "scorer taken": (EXAMPLE.replace('"newest"', '"rules"'), "another scorer called 'rules'"),
}


@pytest.mark.parametrize("text, reason", BROKEN.values(), ids=BROKEN)
def test_a_file_that_is_no_recipe_is_named(folder: Path, text: str, reason: str):
    (folder / "mine.py").write_text(text)
    with pytest.raises(Invalid, match=reason) as refused:
        own.register(str(folder))
    assert "mine.py" in refused.value.message


def test_hpo_tries_what_has_effect_and_echoes_the_best(study: Study):
    study.interactions()
    study.bring(as_csv(chains()))
    config: dict[str, Any] = {
        "hpoConfig": {
            "hpoResourceConfig": {"maxNumberOfTrainingJobs": "4", "maxParallelTrainingJobs": "2"},
            "algorithmHyperParameterRanges": {
                "continuousHyperParameterRanges": [
                    {"name": "popularity_discount_factor", "minValue": 0.2, "maxValue": 0.8}
                ]
            },
        }
    }
    version = study.train("aws-sims", performHPO=True, solutionConfig=config)
    assert version["status"] == "ACTIVE", version
    tuned = version["tunedHPOParams"]["algorithmHyperParameters"]
    assert set(tuned) == {"popularity_discount_factor", "min_cointeraction_count"}
    report = metrics.report(study.room, version["solutionVersionArn"])
    assert len(report["trials"]) == 4
    assert max(one["ndcg_at_10"] for one in report["trials"]) == next(
        one["ndcg_at_10"] for one in report["trials"] if one["hyperparameters"] == tuned
    )


def test_a_schedule_trains_again_when_there_is_something_new(study: Study):
    study.worker.stop()
    study.interactions()
    study.room.clock = clock = TestClock(study.room.clock.now())
    study.room.jobs.clock = clock
    arn = study(
        solutions.create_solution,
        name="s",
        datasetGroupArn=study.group,
        recipeArn="arn:aws:personalize:::recipe/aws-sims",
        performAutoTraining=True,
        solutionConfig={"autoTrainingConfig": {"schedulingExpression": "rate(2 days)"}},
    )["solutionArn"]

    def turn(seconds: float) -> list[str]:
        """Let time pass and do what is due; the training types of all versions."""
        clock.advance(seconds)
        for job in study.room.jobs.claim([schedules.QUEUE], "w", 10):
            if job.kind == schedules.KIND:
                learn.job_kinds(study.room)[job.kind].run(job)
        shown = study(training.list_solution_versions, solutionArn=arn)["solutionVersions"]
        return [one["trainingType"] for one in shown]

    assert turn(3_601) == []  # nothing to train on
    _event(study)
    assert turn(2 * 86_400) == ["AUTOMATIC"]
    assert turn(2 * 86_400) == ["AUTOMATIC"]  # nothing new
    study(updates.update_solution, solutionArn=arn, performAutoTraining=False)
    _event(study)
    assert turn(2 * 86_400) == ["AUTOMATIC"]
    shown = study(solutions.describe_solution, solutionArn=arn)["solution"]
    assert shown["performAutoTraining"] is False


def _event(study: Study) -> None:
    from tailorbird.learn import events

    tracker = study.made.get("tracker-id") or study.tracker()
    study.made["tracker-id"] = tracker  # type: ignore[assignment]
    event = {"eventType": "view", "sentAt": study.room.clock.now(), "itemId": "i"}
    study(events.put_events, trackingId=tracker, sessionId="s", userId="u", eventList=[event])
