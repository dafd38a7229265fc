"""Members of a run: what a hook is shown as it is stored says what a template is shown."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import orjson
import pytest

from tailorbird.engage import Engage, apps, campaign_run, endpoints, members
from tailorbird.errors import NotFound
from tests.unit.engage.conftest import CALLER, put
from tests.unit.engage.test_campaign_run import campaign

SHAPES: dict[str, dict[str, Any]] = {
    "bare": {},
    "all": {
        "Attributes": {"Tea": ["green", "black"], 'quo"te': ["{}", "\\", "ü\u2028"]},
        "Metrics": {"score": 1.5, "n": 3.0},
        "Demographic": {"Platform": "ios", "Timezone": "Europe/Amsterdam"},
        "Location": {"City": "Delft", "Latitude": 52.04},
        "User": {"UserId": "ü\n", "UserAttributes": {"name": ["Ana"]}},
        "RequestId": "r",
    },
    "person": {"User": {"UserId": "u", "UserAttributes": {"name": ["Ana"]}}},
    "bare person": {"User": {"UserId": "v"}},
    "nobody": {"User": {"UserAttributes": {"name": ["Ana"]}}},
    "taken away": {"Attributes": {"Tea": []}, "Metrics": {"score": 1}},
    "empty text": {"Attributes": {"UserAttributes": ['"UserAttributes"'], "e": ["{}"]}},
}


def test_a_hook_is_shown_the_same_as_a_template(engage: Engage, app_id: str) -> None:
    put(engage, app_id, *({"Id": name, **shape} for name, shape in SHAPES.items()))
    campaign(engage, app_id)
    (job,) = engage.jobs.claim(["engage"], "test")
    campaign_run.start(engage, job)
    with engage.db.read() as conn:
        found = members.of_activity(engage, conn, 1, 0, 50)
        numbers = [member.number for member in found]
        again = members.by_number(engage, conn, [*numbers, 10**9])
    assert {member.id for member in found} == set(SHAPES)
    for member in found:
        assert orjson.loads(orjson.dumps(member.written)) == member.definition, member.id
    assert [one.definition for one in again[:-1]] == [one.definition for one in found]
    assert (again[-1].id, again[-1].definition, again[-1].written) == ("#1000000000", None, None)


def test_an_application_that_was_written_to_is_looked_at_each_time(
    engage: Engage, app_id: str
) -> None:
    put(engage, app_id, {"Id": "ana"})
    request = {"ApplicationId": app_id, "EndpointBatchRequest": {"Item": [{"Id": "ana"}]}}
    for stranger in (
        replace(CALLER, account="210987654321"), replace(CALLER, region="eu-west-1"),
    ):  # fmt: skip
        with pytest.raises(NotFound):
            endpoints.update_endpoints_batch(engage, stranger, request)
    apps.delete_app(engage, CALLER, {"ApplicationId": app_id})
    with pytest.raises(NotFound):
        endpoints.update_endpoints_batch(engage, CALLER, request)
