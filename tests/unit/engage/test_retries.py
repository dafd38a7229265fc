"""Mails that a server puts off are tried again later, they alone, and end once in the ledger."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from tailorbird.channels import Channels
from tailorbird.clock import SystemClock
from tailorbird.engage import Engage, campaigns, endpoints, ledger, retries
from tailorbird.errors import Invalid
from tailorbird.store import Worker
from tests.conftest import free_port
from tests.unit.channels.conftest import Sink
from tests.unit.engage.conftest import CALLER, get, put, wait_for
from tests.unit.engage.test_campaign_run import activity, campaign, ended, states


@pytest.fixture
def clock() -> SystemClock:
    return SystemClock()


@pytest.fixture
def sink() -> Iterator[Sink]:
    sink = Sink(free_port())
    sink.start()
    yield sink
    sink.stop()


@pytest.fixture
def to_sink(engage: Engage, sink: Sink, monkeypatch: pytest.MonkeyPatch) -> Engage:
    """The room with that mail server, and retries soon."""
    monkeypatch.setattr(retries, "GRAIN_SECONDS", 0.5)
    given = {
        "smtp_url": sink.url, "smtp_connections": 1, "channel_retry_seconds": "0.5,0.5",
        "smtp_timeout_seconds": 1.0,
    }  # fmt: skip
    engage.settings = engage.settings.replace(**given)
    engage.channels = Channels(engage.db, engage.clock, engage.settings)
    return engage


def reason(room: Engage, made: dict[str, Any], endpoint: str) -> str:
    rows = ledger.of_activity(room, activity(room, made)["Id"])
    return str(next(row["reason"] for row in rows if row["endpoint_id"] == endpoint))


def waiting(room: Engage) -> list[Any]:
    with room.db.read() as conn:
        return list(conn.exec_driver_sql("SELECT endpoint_id, attempt FROM engage_retries"))


def test_only_what_was_put_off_is_sent_again(
    to_sink: Engage, app_id: str, worker: Worker, sink: Sink
) -> None:
    sink.answers["slow@example.com"] = "451 greylisted"
    put(to_sink, app_id, {"Id": "slow"}, *({"Id": f"e{n}"} for n in range(60)))
    made = campaign(to_sink, app_id)
    wait_for(lambda: waiting(to_sink) and len(sink.taken) == 60)
    assert activity(to_sink, made)["State"] == "RUNNING"
    del sink.answers["slow@example.com"]
    over = ended(to_sink, made)
    assert Counter(states(to_sink, over["Id"]).values()) == {"sent": 61}
    assert over["SuccessfulEndpointCount"] == 61
    assert max(Counter(sink.recipients()).values()) == 1
    assert waiting(to_sink) == []


def test_after_the_last_attempt_the_reason_is_the_server_s(
    to_sink: Engage, app_id: str, worker: Worker, sink: Sink
) -> None:
    sink.answers["slow@example.com"] = "451 greylisted"
    put(to_sink, app_id, {"Id": "slow"}, {"Id": "ana"})
    made = campaign(to_sink, app_id)
    over = ended(to_sink, made)
    assert states(to_sink, over["Id"]) == {"slow": "channel_failed", "ana": "sent"}
    words = "TEMPORARY_FAILURE: 451 greylisted (attempt 3, the last)"
    assert reason(to_sink, made, "slow") == words


def test_what_is_refused_for_good_is_not_tried_again(
    to_sink: Engage, app_id: str, worker: Worker, sink: Sink
) -> None:
    sink.answers["gone@example.com"] = "550 no such user"
    put(to_sink, app_id, {"Id": "gone"})
    over = ended(to_sink, campaign(to_sink, app_id))
    assert states(to_sink, over["Id"]) == {"gone": "channel_failed"}


def test_who_opts_out_meanwhile_gets_nothing(
    to_sink: Engage, app_id: str, worker: Worker, sink: Sink
) -> None:
    sink.answers |= {"out@example.com": "451 later", "del@example.com": "451 later"}
    put(to_sink, app_id, {"Id": "out"}, {"Id": "del"})
    made = campaign(to_sink, app_id)
    wait_for(lambda: len(waiting(to_sink)) == 2)
    put(to_sink, app_id, {"Id": "out", "OptOut": "ALL"})
    assert get(to_sink, app_id, "out")["OptOut"] == "ALL"
    endpoints.delete_endpoint(to_sink, CALLER, {"ApplicationId": app_id, "EndpointId": "del"})
    sink.answers.clear()
    over = ended(to_sink, made)
    found = set(states(to_sink, over["Id"]).values())
    assert found == {"opted_out", "deleted"}
    assert sink.taken == []


def test_a_deleted_campaign_tries_nothing_again(
    to_sink: Engage, app_id: str, worker: Worker, sink: Sink
) -> None:
    sink.answers["slow@example.com"] = "451 later"
    to_sink.settings = to_sink.settings.replace(channel_retry_seconds="2")
    put(to_sink, app_id, {"Id": "slow"})
    made = campaign(to_sink, app_id)
    wait_for(lambda: waiting(to_sink))
    which = {"ApplicationId": app_id, "CampaignId": made["Id"]}
    campaigns.delete_campaign(to_sink, CALLER, which)
    sink.answers.clear()
    wait_for(lambda: not waiting(to_sink))
    assert sink.taken == []
    rows = activity(to_sink, made)
    assert rows["State"] == "CANCELLED"


def test_no_waits_mean_no_second_attempt(
    to_sink: Engage, app_id: str, worker: Worker, sink: Sink
) -> None:
    to_sink.settings = to_sink.settings.replace(channel_retry_seconds="")
    sink.answers["slow@example.com"] = "451 later"
    put(to_sink, app_id, {"Id": "slow"})
    over = ended(to_sink, campaign(to_sink, app_id))
    assert states(to_sink, over["Id"]) == {"slow": "channel_failed"}


@pytest.mark.parametrize("status", ["SUCCESSFUL", "PERMANENT_FAILURE", "UNSUPPORTED"])
def test_some_ends_are_final(engage: Engage, status: str) -> None:
    assert not retries.wanted(engage, "EMAIL", status, made=1)


def test_what_may_have_arrived_is_repeated_as_the_channel_promises(engage: Engage) -> None:
    assert retries.wanted(engage, "EMAIL", "UNKNOWN_FAILURE", made=1)
    engage.channels.settings = engage.settings.replace(channel_at_most_once="EMAIL")
    assert not retries.wanted(engage, "EMAIL", "UNKNOWN_FAILURE", made=1)
    assert retries.wanted(engage, "EMAIL", "THROTTLED", made=1)
    assert not retries.wanted(engage, "EMAIL", "THROTTLED", made=4)


@pytest.mark.parametrize("text", ["soon", "60,-1"])
def test_wrong_waits_are_refused(engage: Engage, text: str) -> None:
    with pytest.raises(Invalid, match="channel_retry_seconds"):
        retries.delays(engage.settings.replace(channel_retry_seconds=text))
