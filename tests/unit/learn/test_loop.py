"""From rows to recommendations, and from an event to the next answer."""

from __future__ import annotations

from tailorbird import learn
from tailorbird.learn import events, metrics, serving, training

from .conftest import Study, as_csv, chains


def test_imported_rows_become_recommendations_of_the_next_item(study: Study):
    study.interactions()
    job = study.bring(as_csv(chains()))
    assert job["status"] == "ACTIVE", job
    version = study.train()
    assert version["status"] == "ACTIVE", version
    campaign = study.deploy(version["solutionVersionArn"])
    tracker = study.tracker()

    for item, following in ((5, {"i6", "i7", "i8", "i9"}), (20, {"i21", "i22", "i23", "i24"})):
        study(
            events.put_events,
            trackingId=tracker,
            userId="new",
            sessionId="s",
            eventList=[{"eventType": "view", "itemId": f"i{item}", "sentAt": 1_800_000_000.0}],
        )
        answer = study(serving.get_recommendations, campaignArn=campaign, userId="new")
        assert answer["itemList"][0]["itemId"] in following

    assert learn.recommend(study.room, campaign, "new", 1)[0] in following
    found = study(training.get_solution_metrics, solutionVersionArn=version["solutionVersionArn"])[
        "metrics"
    ]
    assert found["mean_reciprocal_rank_at_25"] > 0.5
    beside = metrics.against_popularity(study.room, version["solutionVersionArn"])
    assert beside["version"] > beside["popularity"]
