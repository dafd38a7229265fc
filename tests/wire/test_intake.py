"""The doors for what comes back: bounces, incoming texts, and the page of a mail's link."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any

import pytest

from tailorbird import settings
from tailorbird.channels import Channels, intake, origins
from tailorbird.channels.origins import Origin
from tailorbird.clock import SystemClock
from tests import aws
from tests.conftest import Server
from tests.unit.channels.test_reports import dsn


@pytest.fixture
def app_id(server: Server) -> str:
    app = aws.create_app(server)
    aws.put_people(server, app, ["ana"])
    return app


@pytest.fixture(scope="module")
def room(server: Server) -> Channels:
    """The server's own key, to write what its mails carry."""
    return Channels(None, SystemClock(), settings.load({"data": server.data}, {}))


def call(
    server: Server, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
) -> tuple[int, str]:
    request = urllib.request.Request(server.url + path, body, headers or {})
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def bearer(server: Server) -> dict[str, str]:
    return {"Authorization": f"Bearer {server.token}", "Content-Type": "application/json"}


def endpoint(server: Server, app_id: str) -> dict[str, Any]:
    found = server.client("pinpoint").get_endpoint(ApplicationId=app_id, EndpointId="ana")
    return dict(found["EndpointResponse"])


def origin(app_id: str) -> Origin:
    return Origin("m1" + app_id, "EMAIL", "ana@example.com", app_id, endpoint_id="ana")


def test_a_bounce_makes_the_endpoint_inactive(server: Server, room: Channels, app_id: str) -> None:
    carried = f"X-Tailorbird-Origin: {origins.sign(room, origin(app_id))}"
    raw = dsn(original=f"Content-Type: text/rfc822-headers\n\n{carried}\n")
    path = f"/_/intake/mail?key={intake.key(room)}"
    assert call(server, path, raw) == (200, '{"taken":1,"known":0,"unverified":0}')
    assert endpoint(server, app_id)["EndpointStatus"] == "INACTIVE"
    status, text = call(server, f"/_/feedback?application={app_id}", headers=bearer(server))
    (one,) = json.loads(text)["feedback"]
    assert (status, one["kind"], one["endpoint_id"]) == (200, "hardbounce", "ana")


def test_a_link_out_asks_first_and_takes_one_click(
    server: Server, room: Channels, app_id: str
) -> None:
    path = f"/_/unsubscribe/{origins.sign(room, origin(app_id))}"
    status, page = call(server, path)
    assert status == 200 and "ana@example.com" in page and "<form method='post'>" in page
    assert endpoint(server, app_id)["OptOut"] == "NONE"
    for _ in range(2):
        status, page = call(server, path, b"List-Unsubscribe=One-Click")
        assert status == 200 and "You are unsubscribed" in page
    assert endpoint(server, app_id)["OptOut"] == "ALL"
    assert call(server, path[:-4])[0] == 404


def test_stop_by_sms_opts_out(server: Server, app_id: str) -> None:
    sms = {"ChannelType": "SMS", "Address": "+31687654321"}
    server.client("pinpoint").update_endpoint(
        ApplicationId=app_id, EndpointId="ana", EndpointRequest=sms
    )
    body = json.dumps({"from": "+31687654321", "text": "Stop"}).encode()
    path = f"/_/intake/sms/inbound?application={app_id}"
    assert call(server, path, body, bearer(server)) == (200, '{"taken":1,"kind":"stop"}')
    assert endpoint(server, app_id)["OptOut"] == "ALL"


REFUSED = [
    ("/_/intake/mail", b"x", 401),
    ("/_/intake/mail?key=guess", b"x", 401),
    ("/_/intake/sms/inbound", b"{}", 401),
    ("/_/intake/sms/receipts", b"{}", 401),
    ("/_/intake/sms/receipts/a.b", b'{"status": "delivered"}', 401),
    ("/_/intake", None, 401),
    ("/_/feedback?application=x", None, 401),
    ("/_/webhook-secret?application=x", None, 401),
    ("/_/unsubscribe/x.y", None, 404),
]


@pytest.mark.parametrize(("path", "body", "status"), REFUSED)
def test_strangers_stay_outside(server: Server, path: str, body: bytes | None, status: int) -> None:
    assert call(server, path, body)[0] == status


def test_what_is_no_report_is_a_bad_request(server: Server) -> None:
    status, text = call(server, "/_/intake/mail", b"Subject: hi\r\n\r\nhi", bearer(server))
    assert status == 400 and "neither a delivery status" in text


def test_the_addresses_for_providers_and_the_secret_are_told(server: Server) -> None:
    _, text = call(server, "/_/intake", headers=bearer(server))
    assert set(json.loads(text)) == {"mail", "sms_receipts", "sms_inbound"}
    _, text = call(server, "/_/webhook-secret?application=a", headers=bearer(server))
    assert json.loads(text)["secret"].startswith("whsec_")
