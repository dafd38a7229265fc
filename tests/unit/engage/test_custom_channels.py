"""Hooks by URL, and campaigns that a customer's own function or server delivers."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tailorbird.engage import Engage, ledger
from tailorbird.errors import Invalid
from tailorbird.settings import Settings
from tailorbird.store import Worker
from tests.unit.channels.conftest import certificate_files
from tests.unit.engage.conftest import add_function, allow, mail, put
from tests.unit.engage.test_campaign_hooks import EVERYTHING, attempts
from tests.unit.engage.test_campaign_run import campaign, ended, states

__all__ = ["certificate_files"]
ACCOUNT = "123456789012"


class Partner(ThreadingHTTPServer):
    """A customer's https server: remembers what it is told and answers as it is set."""

    def __init__(self, files: Path, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(files / "certificate.pem", files / "key.pem")
        self.socket = context.wrap_socket(self.socket, server_side=True)
        self.told: list[dict[str, Any]] = []
        self.ids: list[str] = []
        self.account, self.status = ACCOUNT, 200
        self.answer: Any = None  # None returns the endpoints as they came
        self.url = f"https://127.0.0.1:{self.server_port}/take"
        threading.Thread(target=self.serve_forever, daemon=True).start()


class _Handler(BaseHTTPRequestHandler):
    server: Partner

    def do_HEAD(self) -> None:
        self.send_response(200)
        self.send_header("X-Amz-Pinpoint-AccountId", self.server.account)
        self.end_headers()

    def do_POST(self) -> None:
        event = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.told.append(event)
        self.server.ids.append(self.headers["webhook-id"])
        answer = self.server.answer
        body = json.dumps(event["Endpoints"] if answer is None else answer).encode()
        self.send_response(self.server.status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing."""


@pytest.fixture
def settings(settings: Settings, certificate_files: Path) -> Settings:
    return settings.replace(
        outgoing_allow="127.0.0.0/8", outgoing_ca_file=certificate_files / "certificate.pem"
    )


@pytest.fixture
def partner(certificate_files: Path) -> Iterator[Partner]:
    server = Partner(certificate_files)
    yield server
    server.shutdown()
    server.server_close()


def reasons(room: Engage, made: dict[str, Any]) -> list[str]:
    (number,) = ledger.activities_of(room, made["Id"])
    return [row["reason"] for row in ledger.of_activity(room, number)]


def test_a_hook_by_url_filters_like_a_function(
    engage: Engage, app_id: str, worker: Worker, partner: Partner
) -> None:
    put(engage, app_id, {"Id": "ana"}, {"Id": "ben"})
    partner.answer = {"ana": mail(Id="ana")}
    made = campaign(engage, app_id, Hook={"WebUrl": partner.url, "Mode": "FILTER"})
    over = ended(engage, made)
    assert states(engage, over["Id"]) == {"ana": "sent", "ben": "hook_filtered"}
    assert set(partner.told[0]) == {
        "MessageConfiguration", "ApplicationId", "CampaignId", "TreatmentId", "ActivityId",
        "ScheduledTime", "Endpoints",
    }  # fmt: skip
    assert set(partner.told[0]["Endpoints"]) == {"ana", "ben"}


def test_a_url_that_fails_is_asked_three_times_with_the_same_id(
    engage: Engage, app_id: str, worker: Worker, partner: Partner
) -> None:
    put(engage, app_id, {"Id": "ana"})
    partner.status = 502
    made = campaign(engage, app_id, Hook={"WebUrl": partner.url, "Mode": "FILTER"})
    assert states(engage, ended(engage, made)["Id"]) == {"ana": "hook_failed"}
    assert len(partner.ids) == 3
    assert len(set(partner.ids)) == 1
    assert "answered 502" in reasons(engage, made)[0]


def test_a_url_inside_the_network_is_refused(
    engage: Engage, app_id: str, worker: Worker, partner: Partner
) -> None:
    engage.channels.settings = engage.settings.replace(outgoing_allow="")
    put(engage, app_id, {"Id": "ana"})
    made = campaign(engage, app_id, Hook={"WebUrl": partner.url, "Mode": "FILTER"})
    assert states(engage, ended(engage, made)["Id"]) == {"ana": "hook_failed"}
    assert "127.0.0.1 is a private address" in reasons(engage, made)[0]
    assert partner.told == []
    assert len(attempts(engage)) == 1


KEEPS = """
import json
def handler(event, context):
    print("TOLD", json.dumps(event))
    return "Complete"
"""


def told(room: Engage) -> list[dict[str, Any]]:
    """What a function that prints its events was told."""
    logs = sorted((room.settings.data / "functions" / "logs").rglob("*.log"))
    lines = [line for log in logs for line in log.read_text().splitlines() if "TOLD " in line]
    return [json.loads(line.partition("TOLD ")[2]) for line in lines]


def test_a_function_delivers_a_custom_message(engage: Engage, app_id: str, worker: Worker) -> None:
    put(
        engage, app_id, {"Id": "chat", "ChannelType": "CUSTOM", "Address": "@ana"},
        {"Id": "mail"}, {"Id": "none", "ChannelType": "CUSTOM", "Address": None},
    )  # fmt: skip
    add_function(engage, "chat", KEEPS)
    allow(engage, "chat", EVERYTHING)
    made = campaign(
        engage, app_id, MessageConfiguration={"CustomMessage": {"Data": "hello"}},
        CustomDeliveryConfiguration={"DeliveryUri": "chat", "EndpointTypes": ["CUSTOM"]},
    )  # fmt: skip
    over = ended(engage, made)
    assert states(engage, over["Id"]) == {
        "chat": "sent", "mail": "wrong_channel", "none": "missing_address",
    }  # fmt: skip
    (event,) = told(engage)
    assert event["Endpoints"]["chat"]["Address"] == "@ana"
    del event["Endpoints"]
    assert event == {
        "Message": {}, "Data": "hello", "ApplicationId": app_id, "CampaignId": made["Id"],
        "TreatmentId": "0", "ActivityId": over["Id"], "ScheduledTime": "2026-11-21T12:00:00.000Z",
    }  # fmt: skip


def test_an_own_server_delivers_and_the_other_channels_get_their_mail(
    engage: Engage, app_id: str, worker: Worker, partner: Partner
) -> None:
    put(engage, app_id, {"Id": "chat", "ChannelType": "CUSTOM", "Address": "@ana"}, {"Id": "mail"})
    partner.answer = "Complete"
    made = campaign(
        engage, app_id,
        CustomDeliveryConfiguration={"DeliveryUri": partner.url, "EndpointTypes": ["CUSTOM"]},
    )  # fmt: skip
    assert states(engage, ended(engage, made)["Id"]) == {"chat": "sent", "mail": "sent"}
    assert set(partner.told[0]["Endpoints"]) == {"chat"}
    assert "Data" not in partner.told[0]
    assert len(list((engage.settings.data / "inbox" / app_id / made["Id"]).glob("*.eml"))) == 1


def test_a_delivery_that_fails_has_its_reason(
    engage: Engage, app_id: str, worker: Worker, partner: Partner
) -> None:
    put(engage, app_id, {"Id": "chat", "ChannelType": "CUSTOM", "Address": "@ana"})
    partner.status = 500
    made = campaign(
        engage, app_id, MessageConfiguration={"CustomMessage": {"Data": "x"}},
        CustomDeliveryConfiguration={"DeliveryUri": partner.url},
    )  # fmt: skip
    assert states(engage, ended(engage, made)["Id"]) == {"chat": "channel_failed"}
    assert "attempt 3 of 3" in reasons(engage, made)[0]


def test_a_url_has_to_name_the_account(engage: Engage, app_id: str, partner: Partner) -> None:
    partner.account = "999999999999"
    with pytest.raises(Invalid, match="saw X-Amz-Pinpoint-AccountId: 999999999999"):
        campaign(engage, app_id, CustomDeliveryConfiguration={"DeliveryUri": partner.url})


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"MessageConfiguration": {"CustomMessage": {"Data": "x"}}}, "needs a CustomDelivery"),
        ({"MessageConfiguration": {"CustomMessage": {"Data": "x" * 5121}},
          "CustomDeliveryConfiguration": {"DeliveryUri": "f"}}, "5120 is the limit"),
        ({"CustomDeliveryConfiguration": {"EndpointTypes": ["CUSTOM"]}}, "DeliveryUri is missing"),
        ({"CustomDeliveryConfiguration": {"DeliveryUri": "http://example.com/x"}}, "https://host"),
        ({"CustomDeliveryConfiguration": {"DeliveryUri": "f", "EndpointTypes": ["FAX"]}}, "FAX"),
        ({"Hook": {"WebUrl": "http://example.com/x", "Mode": "FILTER"}}, "https://host"),
        ({"Hook": {"Mode": "FILTER"}}, "LambdaFunctionName is missing"),
        ({"Hook": {"LambdaFunctionName": "f", "Mode": "SEND"}}, "right are FILTER, DELIVERY"),
    ],
)  # fmt: skip
def test_impossible_hooks_and_channels_are_refused(
    engage: Engage, app_id: str, given: dict[str, Any], words: str
) -> None:
    with pytest.raises(Invalid, match=words):
        campaign(engage, app_id, **given)


def test_an_old_delivery_hook_gets_the_message_under_lower_case_keys(
    engage: Engage, app_id: str, worker: Worker
) -> None:
    put(engage, app_id, {"Id": "chat", "ChannelType": "CUSTOM", "Address": "@ana"}, {"Id": "mail"})
    add_function(engage, "old", KEEPS)
    allow(engage, "old", EVERYTHING)
    made = campaign(
        engage, app_id, MessageConfiguration={"SMSMessage": {"Body": "hello"}},
        Hook={"LambdaFunctionName": "old", "Mode": "DELIVERY"},
    )  # fmt: skip
    over = ended(engage, made)
    assert states(engage, over["Id"]) == {"chat": "sent", "mail": "sent"}
    (event,) = told(engage)
    assert event["Message"] == {"smsmessage": {"body": "hello"}}
    assert "MessageConfiguration" not in event
