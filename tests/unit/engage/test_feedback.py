"""What comes back about messages changes the endpoints it is about, and no others."""

from __future__ import annotations

from typing import Any

import pytest

from tailorbird.channels import Feedback
from tailorbird.channels.feedback import KINDS
from tailorbird.channels.origins import Origin
from tailorbird.engage import Engage, take_feedback
from tests.unit.engage.conftest import NOON, get, put

CHANGED = {
    "hardbounce": ("INACTIVE", "NONE"),
    "gone": ("INACTIVE", "NONE"),
    "complaint": ("ACTIVE", "ALL"),
    "unsubscribe": ("ACTIVE", "ALL"),
    "stop": ("ACTIVE", "ALL"),
}


def tell(engage: Engage, kind: str, channel: str, address: str, app: str, **more: Any) -> int:
    origin = Origin("m1", channel, address, app, **more)
    with engage.db.write() as conn:
        return take_feedback(engage, conn, Feedback(kind, origin, "words", NOON))


def state(engage: Engage, app_id: str, endpoint_id: str) -> tuple[str, str]:
    found = get(engage, app_id, endpoint_id)
    return found["EndpointStatus"], found["OptOut"]


@pytest.mark.parametrize("kind", KINDS)
def test_what_each_kind_changes(engage: Engage, app_id: str, kind: str) -> None:
    put(engage, app_id, {"Id": "ana"}, {"Id": "ben"})
    tell(engage, kind, "EMAIL", "ana@example.com", app_id, endpoint_id="ana")
    assert state(engage, app_id, "ana") == CHANGED.get(kind, ("ACTIVE", "NONE"))
    assert state(engage, app_id, "ben") == ("ACTIVE", "NONE")


def test_a_number_is_found_however_it_is_written(engage: Engage, app_id: str) -> None:
    put(engage, app_id, {"Id": "a", "ChannelType": "SMS", "Address": "31612345678"})
    assert tell(engage, "stop", "SMS", "+31612345678", "") == 1
    assert state(engage, app_id, "a") == ("ACTIVE", "ALL")
    assert tell(engage, "start", "SMS", "+31612345678", "") == 1
    assert state(engage, app_id, "a") == ("ACTIVE", "NONE")


def test_who_unsubscribes_stays_out_with_a_new_address(engage: Engage, app_id: str) -> None:
    put(engage, app_id, {"Id": "Ana", "Address": "new@example.com"})
    tell(engage, "unsubscribe", "EMAIL", "old@example.com", app_id, endpoint_id="Ana")
    assert state(engage, app_id, "ana") == ("ACTIVE", "ALL")


def test_other_applications_and_channels_are_left(engage: Engage, app_id: str) -> None:
    put(engage, app_id, {"Id": "ana"})
    assert tell(engage, "hardbounce", "EMAIL", "ana@example.com", "another") == 0
    assert tell(engage, "hardbounce", "GCM", "ana@example.com", app_id) == 0
    assert state(engage, app_id, "ana") == ("ACTIVE", "NONE")


def test_a_setting_leaves_endpoints_alone(engage: Engage, app_id: str) -> None:
    put(engage, app_id, {"Id": "ana"})
    engage.settings = engage.settings.replace(engage_feedback=False)
    assert tell(engage, "complaint", "EMAIL", "ana@example.com", app_id) == 0
