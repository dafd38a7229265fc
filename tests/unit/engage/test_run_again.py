"""A run that was cut off goes on, and nothing is written twice."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
import sqlalchemy as sa

from tailorbird.channels import Channels
from tailorbird.engage import (
    Engage,
    activities,
    apps,
    audience,
    batches,
    campaign_run,
    campaigns,
    endpoints,
    ledger,
    members,
    pace,
    stretch,
    tables,
)
from tailorbird.errors import Invalid, NotFound
from tailorbird.store import Worker
from tailorbird.store.jobs import Later
from tests.conftest import free_port
from tests.unit.engage.conftest import CALLER, NOON, put, wait_for
from tests.unit.engage.test_campaign_run import activity, campaign, ended, states


class CutOff(Exception):
    """The process died here."""


class Dying:
    """A job whose worker dies at its first sign of progress."""

    def progress(self, done: int, total: int | None, unit: str) -> None:
        raise CutOff


def claimed(room: Engage) -> Any:
    (job,) = room.jobs.claim(["engage"], "test")
    return job


def test_an_audience_is_frozen_on_from_where_it_was_cut_off(
    engage: Engage, app_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audience, "CHUNK_ENDPOINTS", 10)
    put(
        engage,
        app_id,
        *({"Id": f"e{n}", "OptOut": "ALL" if n % 5 == 0 else "NONE"} for n in range(35)),
    )
    made = campaign(engage, app_id)
    job = claimed(engage)
    job.progress = Dying().progress
    for _ in range(3):
        with pytest.raises(CutOff):
            campaign_run.start(engage, job)
    job.progress = lambda *_: None
    campaign_run.start(engage, job)
    frozen = activity(engage, made)
    assert (frozen["State"], frozen["TotalEndpointCount"]) == ("RUNNING", 35)
    with engage.db.read() as conn:
        rows = conn.execute(sa.select(tables.members).order_by(tables.members.c.n)).all()
    assert [row.n for row in rows] == list(range(28))
    assert len({row.endpoint for row in rows}) == 28
    assert Counter(states(engage, frozen["Id"]).values()) == {"opted_out": 7}


def test_two_workers_with_the_same_batch_write_it_once(engage: Engage, app_id: str) -> None:
    put(engage, app_id, *({"Id": f"e{n}"} for n in range(50)))
    made = campaign(engage, app_id)
    campaign_run.start(engage, claimed(engage))
    with engage.db.read() as conn:
        row = activities.read(conn, 1)
        assert row is not None
        run = stretch.run_of(engage, conn, row, 0)
        found = members.of_activity(engage, conn, 1, 0, 50)
    for _ in range(2):
        outcome = batches.settle(engage, run, 0, found)
        stretch._commit(engage, run, [outcome])
    over = activity(engage, made)
    assert (over["State"], over["SuccessfulEndpointCount"]) == ("COMPLETED", 50)
    assert Counter(states(engage, over["Id"]).values()) == {"sent": 50}
    mails = list((engage.settings.data / "inbox" / app_id / made["Id"]).glob("*.eml"))
    assert len(mails) == 50, "a repeated message has the same id"


def test_whoever_opts_out_or_goes_away_while_a_campaign_runs_is_not_sent_to(
    engage: Engage, app_id: str
) -> None:
    put(engage, app_id, {"Id": "ana"}, {"Id": "ben"}, {"Id": "cem"})
    made = campaign(engage, app_id)
    campaign_run.start(engage, claimed(engage))
    put(engage, app_id, {"Id": "ben", "OptOut": "ALL"})
    endpoints.delete_endpoint(engage, CALLER, {"ApplicationId": app_id, "EndpointId": "cem"})
    stretch.work(engage, claimed(engage))
    over = activity(engage, made)
    assert Counter(states(engage, over["Id"]).values()) == {
        "sent": 1, "opted_out": 1, "deleted": 1,
    }  # fmt: skip


def test_a_campaign_deleted_after_its_freeze_is_cancelled_to_the_last_endpoint(
    engage: Engage, app_id: str
) -> None:
    put(engage, app_id, *({"Id": f"e{n}"} for n in range(60)))
    made = campaign(engage, app_id)
    campaign_run.start(engage, claimed(engage))
    request = {"ApplicationId": app_id, "CampaignId": made["Id"]}
    campaigns.delete_campaign(engage, CALLER, request)
    stretch.work(engage, claimed(engage))
    over = activity(engage, made)
    assert over["State"] == "CANCELLED"
    assert Counter(states(engage, over["Id"]).values()) == {"cancelled": 60}
    assert over["ExecutionMetrics"] == {"ENDPOINT_PRODUCED": "60", "CANCELLED": "60"}


def test_a_stretch_that_fails_for_good_gives_its_endpoints_the_reason(
    engage: Engage, app_id: str
) -> None:
    put(engage, app_id, {"Id": "ana"})
    made = campaign(engage, app_id)
    campaign_run.start(engage, claimed(engage))
    job = claimed(engage)
    with engage.db.write() as conn:
        stretch.failed(engage, conn, job, "the disk is full")
    over = activity(engage, made)
    assert (over["State"], over["Result"]) == ("COMPLETED", "FAIL")
    (row,) = ledger.of_activity(engage, over["Id"])
    assert (row["state"], row["reason"]) == ("run_failed", "the disk is full")


def test_what_takes_longer_than_the_maximum_duration_expires(
    engage: Engage, app_id: str, clock: Any
) -> None:
    put(engage, app_id, {"Id": "ana"})
    made = campaign(engage, app_id, Limits={"MaximumDuration": 60})
    campaign_run.start(engage, claimed(engage))
    clock.advance(61)
    stretch.work(engage, claimed(engage))
    assert states(engage, activity(engage, made)["Id"]) == {"ana": "expired"}


def test_places_in_the_stream_are_booked_one_after_the_other(engage: Engage, app_id: str) -> None:
    campaign(engage, app_id, Limits={"MessagesPerSecond": 50})
    waits = [pace.book(engage, 1, 50, 50, NOON) for _ in range(5)]
    assert waits == [0.0, 1.0, 2.0, 3.0, 3.0], "a long wait books nothing"


def test_a_paced_campaign_is_finished_by_the_job_table(
    engage: Engage, app_id: str, worker: Worker, clock: Any
) -> None:
    put(engage, app_id, *({"Id": f"e{n}"} for n in range(150)))
    made = campaign(engage, app_id, Limits={"MessagesPerSecond": 10})
    for sent in (50, 100):
        wait_for(lambda sent=sent: activity(engage, made)["SuccessfulEndpointCount"] == sent)
        wait_for(lambda: not engage.jobs.list("engage.stretch", "running"))  # it waits for its time
        clock.advance(5.1)
        engage.jobs.nudge()
    assert ended(engage, made)["SuccessfulEndpointCount"] == 150


def test_a_process_that_stops_begins_no_more_batches(engage: Engage, app_id: str) -> None:
    put(engage, app_id, {"Id": "ana"})
    made = campaign(engage, app_id)
    campaign_run.start(engage, claimed(engage))
    engage.stop()
    job = claimed(engage)
    with pytest.raises(Later):
        stretch.work(engage, job)
    engage.stopping.clear()
    stretch.work(engage, job)
    assert states(engage, activity(engage, made)["Id"]) == {"ana": "sent"}


def test_an_application_deleted_in_the_middle_of_a_run_leaves_nothing(
    engage: Engage, app_id: str
) -> None:
    put(engage, app_id, {"Id": "ana"})
    campaign(engage, app_id)
    campaign_run.start(engage, claimed(engage))
    with engage.db.read() as conn:
        row = activities.read(conn, 1)
        assert row is not None
        run = stretch.run_of(engage, conn, row, 0)
        found = members.of_activity(engage, conn, 1, 0, 50)
    apps.delete_app(engage, CALLER, {"ApplicationId": app_id})
    stretch.work(engage, claimed(engage))
    with pytest.raises(NotFound, match="was deleted while its campaign ran"):
        stretch._commit(engage, run, [batches.settle(engage, run, 0, found)])
    with engage.db.read() as conn:
        for table in (tables.ledger, tables.batches, tables.members, tables.endpoints):
            assert conn.execute(sa.select(table)).first() is None


def test_a_mail_server_that_is_away_is_waited_for_and_then_named(
    engage: Engage, app_id: str, clock: Any
) -> None:
    away = engage.settings.replace(smtp_url=f"smtp://127.0.0.1:{free_port()}")
    engage.channels = Channels(engage.db, clock, away)
    put(engage, app_id, {"Id": "ana"})
    made = campaign(engage, app_id)
    campaign_run.start(engage, claimed(engage))
    job = claimed(engage)
    for _ in range(2):
        with pytest.raises(Later):
            stretch.work(engage, job)
    assert states(engage, activity(engage, made)["Id"]) == {}
    clock.advance(901)
    with pytest.raises(Invalid, match="away for more than 900 s") as caught:
        stretch.work(engage, job)
    with engage.db.write() as conn:
        stretch.failed(engage, conn, job, caught.value.message)
    (row,) = ledger.of_activity(engage, activity(engage, made)["Id"])
    assert row["state"] == "run_failed"
    assert "127.0.0.1" in row["reason"]
    engage.channels.stop()
