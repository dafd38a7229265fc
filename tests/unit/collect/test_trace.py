"""The path of any one call can be shown."""

import pytest

from tailorbird.collect import Collect, archive, destinations, trace
from tailorbird.errors import NotFound
from tests.conftest import wait_for
from tests.unit.collect.conftest import entry, source_id


def test_a_call_is_found_in_log_archive_and_deliveries(room: Collect) -> None:
    to = destinations.create(room, source_id(room), "Amazon Pinpoint", {"applicationId": "a"})
    room.log.append_and_wait(entry(room, 1, call_type="page"))
    room.log.append_and_wait(entry(room, 2, 3, call_type="identify"))
    [uri] = archive.flush(room)
    delivered = wait_for(lambda: [d for d in trace.find(room, "m3")["deliveries"] if d["finished"]])
    found = trace.find(room, "m3")
    assert (found["source_id"], found["archive"]) == (source_id(room), uri)
    assert found["call"]["userId"] == "u3"
    assert [(d["destination_id"], d["state"], d["attempts"]) for d in delivered] == [
        (to["id"], "delivered", 1)
    ]
    assert trace.find(room, "m1")["deliveries"] == []


def test_a_call_that_never_came_is_not_found(room: Collect) -> None:
    with pytest.raises(NotFound, match="'m9'"):
        trace.find(room, "m9")
