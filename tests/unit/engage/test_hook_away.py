"""A hook that is away is waited for; one that answers wrongly has its three attempts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tailorbird.clock import TestClock
from tailorbird.engage import Engage, dry_run, hook_away, ledger
from tailorbird.functions import concurrency
from tailorbird.settings import Settings
from tailorbird.store import Worker
from tests.conftest import free_port, wait_for
from tests.unit.channels.conftest import certificate_files
from tests.unit.engage.conftest import CALLER, add_function, allow, put, quiet
from tests.unit.engage.test_campaign_hooks import EVERYTHING, attempts, hook
from tests.unit.engage.test_campaign_run import campaign, ended, states
from tests.unit.engage.test_custom_channels import Partner

__all__ = ["certificate_files"]
KEEP = "def handler(event, context):\n    return event['Endpoints']\n"
PEOPLE = 170  # four batches


@pytest.fixture
def settings(settings: Settings, certificate_files: Path) -> Settings:
    return settings.replace(
        outgoing_allow="127.0.0.0/8", outgoing_ca_file=certificate_files / "certificate.pem",
        engage_hook_concurrency=2,
    )  # fmt: skip


@pytest.fixture
def arrive(certificate_files: Path) -> Iterator[Callable[[int], Partner]]:
    """Starts the hook's server on a port where nobody was."""
    started: list[Partner] = []

    def start(port: int) -> Partner:
        started.append(Partner(certificate_files, port))
        return started[-1]

    yield start
    for server in started:
        server.shutdown()
        server.server_close()


def begun(engage: Engage, app_id: str, port: int, **more: Any) -> dict[str, Any]:
    """A campaign to all whose hook is at this port."""
    put(engage, app_id, *({"Id": f"e{n}"} for n in range(PEOPLE)))
    url = f"https://127.0.0.1:{port}/take"
    return campaign(engage, app_id, Hook={"WebUrl": url, "Mode": "FILTER"}, **more)


def asked(engage: Engage, made: dict[str, Any]) -> int:
    with engage.db.read() as conn:
        away = hook_away.of_campaign(conn, made["Id"])
    return away["asked"] if away else 0


def pass_time(engage: Engage, clock: TestClock, until: Callable[[], object]) -> None:
    """Let time go by until something is so."""

    def look() -> object:
        quiet(engage, clock).advance(5.0)
        return until()

    wait_for(look)


def over(engage: Engage, made: dict[str, Any]) -> bool:
    activity = ledger.activities_of(engage, made["Id"])[0]
    return sum(one["count"] for one in ledger.reasons(engage, activity)) == PEOPLE


def test_a_hook_that_comes_back_gets_every_batch(
    engage: Engage, app_id: str, worker: Worker, clock: TestClock,
    arrive: Callable[[int], Partner],
) -> None:  # fmt: skip
    port = free_port()
    made = begun(engage, app_id, port)
    pass_time(engage, clock, lambda: asked(engage, made) >= 5)
    shown = dry_run.dry_run(engage, app_id, made["Id"], 1)
    assert shown["hook_away"]["since"] == "2026-11-21T12:00:00.000Z"
    assert "127.0.0.1" in shown["hook_away"]["reason"]
    quiet(engage, clock)
    away = attempts(engage)
    assert {line["outcome"] for line in away} == {"away"}
    assert [line["attempt"] for line in away] == [1, 2, 3] * (len(away) // 3)
    first, later = away[:6], away[6:]
    assert {line["batch"] for line in first} == {0, 1}, "two lanes found out"
    assert {line["batch"] for line in later} == {0}, "one batch asks, the others wait"
    partner = arrive(port)
    pass_time(engage, clock, lambda: over(engage, made))
    activity = ended(engage, made)
    assert Counter(states(engage, activity["Id"]).values()) == {"sent": PEOPLE}
    told = Counter(key for event in partner.told for key in event["Endpoints"])
    assert set(told.values()) == {1}
    assert dry_run.dry_run(engage, app_id, made["Id"], 1)["hook_away"] is None


def test_patience_ends_and_the_reason_says_since_when(
    engage: Engage, app_id: str, worker: Worker, clock: TestClock
) -> None:
    engage.settings = engage.settings.replace(engage_hook_away_seconds=60.0)
    made = begun(engage, app_id, free_port())
    pass_time(engage, clock, lambda: over(engage, made))
    activity = ended(engage, made)
    assert activity["Result"] == "FAIL"
    [reason] = ledger.reasons(engage, activity["Id"])
    assert (reason["state"], reason["count"]) == ("hook_failed", PEOPLE)
    assert reason["reason"].endswith("it is away since 2026-11-21T12:00:00.000Z")


def test_without_patience_three_attempts_are_all(
    engage: Engage, app_id: str, worker: Worker
) -> None:
    engage.settings = engage.settings.replace(engage_hook_away_seconds=0.0)
    made = begun(engage, app_id, free_port())
    assert set(states(engage, ended(engage, made)["Id"]).values()) == {"hook_failed"}
    assert Counter(line["batch"] for line in attempts(engage)) == dict.fromkeys(range(4), 3)


def test_a_run_that_waits_is_over_with_its_maximum_duration(
    engage: Engage, app_id: str, worker: Worker, clock: TestClock
) -> None:
    made = begun(engage, app_id, free_port(), Limits={"MaximumDuration": 60})
    pass_time(engage, clock, lambda: over(engage, made))
    assert set(states(engage, ended(engage, made)["Id"]).values()) == {"expired"}


def test_a_custom_channel_that_comes_back_gets_every_batch(
    engage: Engage, app_id: str, worker: Worker, clock: TestClock,
    arrive: Callable[[int], Partner],
) -> None:  # fmt: skip
    put(engage, app_id, *({"Id": f"e{n}"} for n in range(PEOPLE)))
    partner = arrive(free_port())  # has to prove its account when the campaign is made
    made = campaign(
        engage, app_id, CustomDeliveryConfiguration={"DeliveryUri": partner.url},
        Schedule={"StartTime": "2026-11-21T13:00:00Z"},
    )  # fmt: skip
    partner.shutdown()
    partner.server_close()
    quiet(engage, clock).advance(3600.0)
    pass_time(engage, clock, lambda: asked(engage, made) >= 2)
    partner = arrive(partner.server_port)
    pass_time(engage, clock, lambda: over(engage, made))
    assert set(states(engage, ended(engage, made)["Id"]).values()) == {"sent"}
    told = Counter(key for event in partner.told for key in event["Endpoints"])
    assert (len(told), set(told.values())) == (PEOPLE, {1})


def test_an_answer_that_stands_for_an_absent_server_counts_as_away_by_a_setting(
    engage: Engage, app_id: str, worker: Worker, clock: TestClock,
    arrive: Callable[[int], Partner],
) -> None:  # fmt: skip
    engage.settings = engage.settings.replace(engage_hook_away_busy=True)
    partner = arrive(free_port())
    partner.status = 503
    made = begun(engage, app_id, partner.server_port)
    pass_time(engage, clock, lambda: asked(engage, made) >= 2)
    partner.status = 200
    pass_time(engage, clock, lambda: over(engage, made))
    assert set(states(engage, ended(engage, made)["Id"]).values()) == {"sent"}


@pytest.mark.parametrize("status", [500, 503])
def test_an_answer_is_an_answer(
    engage: Engage, app_id: str, worker: Worker, arrive: Callable[[int], Partner], status: int
) -> None:
    partner = arrive(free_port())
    partner.status = status
    made = begun(engage, app_id, partner.server_port)
    assert set(states(engage, ended(engage, made)["Id"]).values()) == {"hook_failed"}
    assert len(partner.told) == 12


def test_a_server_without_a_certificate_to_trust_is_not_waited_for(
    engage: Engage, app_id: str, worker: Worker, arrive: Callable[[int], Partner]
) -> None:
    engage.channels.settings = engage.settings.replace(outgoing_ca_file=Path())
    made = begun(engage, app_id, arrive(free_port()).server_port)
    assert set(states(engage, ended(engage, made)["Id"]).values()) == {"hook_failed"}
    assert {line["outcome"] for line in attempts(engage)} == {"error"}


def test_a_throttled_function_fails_after_three_attempts_and_is_waited_for_by_a_setting(
    engage: Engage, app_id: str, worker: Worker, clock: TestClock
) -> None:
    put(engage, app_id, {"Id": "ana"})
    add_function(engage, "keep", KEEP)
    allow(engage, "keep", EVERYTHING)
    none = {"FunctionName": "keep", "ReservedConcurrentExecutions": 0}
    concurrency.put_function_concurrency(engage.functions, CALLER, none)
    failed = ended(engage, campaign(engage, app_id, Hook=hook("keep")))
    assert states(engage, failed["Id"]) == {"ana": "hook_failed"}
    assert [line["outcome"] for line in attempts(engage)] == ["error"] * 3
    engage.settings = engage.settings.replace(engage_hook_away_busy=True)
    made = campaign(engage, app_id, Hook=hook("keep"))
    pass_time(engage, clock, lambda: asked(engage, made) >= 2)
    concurrency.delete_function_concurrency(engage.functions, CALLER, {"FunctionName": "keep"})
    pass_time(engage, clock, lambda: not asked(engage, made))
    assert states(engage, ended(engage, made)["Id"]) == {"ana": "sent"}
