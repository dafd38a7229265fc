"""A campaign measured from outside: import, run, open, click, unsubscribe, KPIs, stream, lift."""

from __future__ import annotations

import email
import email.policy
import gzip
import json
import re
import subprocess
import sys
import urllib.error
import urllib.request
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.aws import ACCOUNT, create_app, finished_activity
from tests.conftest import FreshDatabases, Server, start_server, wait_for

PUBLIC = "https://mail.example.com"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/pinpoint"
HTML = '<html><body><a href="https://shop.example/kettle?a=1&amp;b=2">Kettle</a></body></html>'


@pytest.fixture
def house(fresh_databases: FreshDatabases, tmp_path: Any) -> Any:
    server = start_server(tmp_path / "data", fresh_databases.url("sqlite"), public_url=PUBLIC)
    yield server
    server.stop()


class Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


def fetch(server: Server, url: str, agent: str = "Mozilla/5.0", **more: Any) -> Any:
    request = urllib.request.Request(
        url.replace(PUBLIC, server.url), headers={"User-Agent": agent}, **more
    )
    try:
        return urllib.request.build_opener(Stay).open(request)
    except urllib.error.HTTPError as answer:
        return answer


def command(server: Server, *words: str) -> list[dict[str, Any]]:
    done = subprocess.run(
        [sys.executable, "-m", "tailorbird", *words, "--data", server.data, "--url", server.url],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_from_the_export_to_the_lift(house: Server) -> None:
    client, s3 = house.client("pinpoint"), house.client("s3")
    app = create_app(house)
    lines = [
        json.dumps({"Id": f"p{n}", "ChannelType": "EMAIL", "Address": f"p{n}@example.com",
                    "CohortId": str(n % 100), "ApplicationId": "old", "OptOut": "NONE",
                    "User": {"UserId": f"u{n}"}})
        for n in range(100)
    ]  # fmt: skip
    s3.create_bucket(Bucket="moving")
    body = gzip.compress("\n".join([*lines, '{"Id": "bad"}']).encode())
    s3.put_object(Bucket="moving", Key="export/part-1.gz", Body=body)
    made = client.create_import_job(
        ApplicationId=app,
        ImportJobRequest={"Format": "JSON", "S3Url": "s3://moving/export/", "RoleArn": ROLE,
                          "DefineSegment": True, "RegisterEndpoints": True, "SegmentName": "all"},
    )["ImportJobResponse"]  # fmt: skip
    segment = made["Definition"]["SegmentId"]

    def imported() -> Any:
        job = client.get_import_job(ApplicationId=app, JobId=made["Id"])["ImportJobResponse"]
        return job if job["JobStatus"] == "COMPLETED" else None

    job = wait_for(imported)
    assert (job["TotalProcessed"], job["TotalFailures"]) == (101, 1)
    [refused] = command(house, "import-failures", made["Id"])
    assert refused["row"] == 101 and "needs ChannelType and Address" in refused["reason"]
    shown = client.get_segment(ApplicationId=app, SegmentId=segment)["SegmentResponse"]
    assert (shown["SegmentType"], shown["ImportDefinition"]["Size"]) == ("IMPORT", 100)

    client.put_event_stream(
        ApplicationId=app,
        WriteEventStream={
            "DestinationStreamArn": f"arn:aws:firehose:us-east-1:{ACCOUNT}:deliverystream/out",
            "RoleArn": ROLE,
        },
    )
    campaign = client.create_campaign(
        ApplicationId=app,
        WriteCampaignRequest={
            "Name": "news", "SegmentId": segment, "HoldoutPercent": 30,
            "Schedule": {"StartTime": "IMMEDIATE"},
            "MessageConfiguration": {"EmailMessage": {"Title": "News", "HtmlBody": HTML}},
        },
    )["CampaignResponse"]["Id"]  # fmt: skip
    activity = finished_activity(house, app, campaign)
    assert activity["ExecutionMetrics"] == {
        "ENDPOINT_PRODUCED": "100", "ENDPOINT_SENT": "70", "TREATMENT_HOLDOUT": "30",
    }  # fmt: skip

    files = sorted((house.data / "inbox" / app / campaign).glob("*.eml"))
    assert len(files) == 70
    for file in files[:3]:
        message = email.message_from_bytes(file.read_bytes(), policy=email.policy.default)
        html = message.get_body(("html",)).get_content()  # type: ignore[union-attr]
        [click], [pixel] = re.findall(r'href="([^"]+)"', html), re.findall(r'src="([^"]+)"', html)
        answer = fetch(house, pixel)
        assert (answer.status, answer.headers["content-type"]) == (200, "image/gif")
        fetch(house, pixel)
        fetch(house, pixel, "SomeBot/1.0")
        fetch(house, click, method="HEAD")
        moved = fetch(house, click)
        assert (moved.status, moved.headers["location"]) == (
            302,
            "https://shop.example/kettle?a=1&b=2",
        )
    assert fetch(house, click[:-2]).status == 404
    link = str(message["List-Unsubscribe"]).strip("<>")
    assert fetch(house, link, data=b"List-Unsubscribe=One-Click").status == 200

    def metric(name: str, **more: Any) -> Any:
        rows = client.get_campaign_date_range_kpi(
            ApplicationId=app, CampaignId=campaign, KpiName=name, **more
        )["CampaignDateRangeKpiResponse"]["KpiResult"]["Rows"]
        return [row["Values"][0]["Value"] for row in rows]

    now = datetime.now(UTC)
    assert metric("unique-deliveries", StartTime=now - timedelta(days=2), EndTime=now) == ["70.0"]
    assert metric("successful-delivery-rate-grouped-by-date") == ["1.0"]
    assert metric("email-open-rate") == [str(3 / 70)]
    assert metric("clicks-grouped-by-campaign-activity") == ["3.0"]
    with pytest.raises(client.exceptions.BadRequestException, match="no metric here"):
        metric("happiness")

    bought = {"EventType": "purchase", "Timestamp": datetime.now(UTC).isoformat()}
    client.put_events(
        ApplicationId=app,
        EventsRequest={"BatchItem": {f"p{n}": {"Endpoint": {}, "Events": {"e": bought}}
                                     for n in range(25, 60)}},
    )  # fmt: skip
    rows = command(house, "lift", campaign, "--event", "purchase", "--window", "1d")
    assert [(row["group"], row["endpoints"], row["converted"]) for row in rows] == [
        ("holdout", 30, 5), ("treatment 0", 70, 30),
    ]  # fmt: skip
    assert rows[1]["verdict"] == "more than without the campaign"

    page = urllib.request.Request(
        f"{house.url}/console/campaigns/{campaign}?event=purchase",
        headers={"Authorization": f"Bearer {house.token}"},
    )
    shown_page = urllib.request.urlopen(page).read().decode()
    assert "more than without the campaign" in shown_page and "<b>70</b> sent" in shown_page

    def streamed() -> Any:
        found = [
            json.loads(line)
            for file in (house.data / "objects" / "tailorbird-events" / "out").rglob("*.gz")
            for line in gzip.decompress(file.read_bytes()).splitlines()
        ]
        return found if sum(one["event_type"] == "purchase" for one in found) == 35 else None

    counted: dict[str, int] = {}
    for record in wait_for(streamed):
        counted[record["event_type"]] = counted.get(record["event_type"], 0) + 1
    assert counted == {
        "_test.event_stream": 1, "_campaign.send": 100, "_email.send": 70, "_email.delivered": 70,
        "_email.open": 6, "_email.click": 3, "_email.unsubscribe": 1, "purchase": 35,
    }  # fmt: skip
    [stream] = command(house, "streams", app)
    assert (stream["kind"], stream["waiting"], stream["delivered"]) == ("firehose", 0, 286)


def test_tracking_is_off_where_a_tag_says_so(house: Server) -> None:
    client = house.client("pinpoint")
    made = client.create_app(
        CreateApplicationRequest={"Name": "quiet", "tags": {"tailorbird:tracking": "off"}}
    )["ApplicationResponse"]["Id"]
    client.update_email_channel(
        ApplicationId=made,
        EmailChannelRequest={"Enabled": True, "FromAddress": "shop@example.com", "Identity": "x"},
    )
    parts = {"Subject": {"Data": "Hi"}, "HtmlPart": {"Data": HTML}}
    client.send_messages(
        ApplicationId=made,
        MessageRequest={"Addresses": {"ana@example.com": {"ChannelType": "EMAIL"}},
                        "MessageConfiguration": {"EmailMessage": {"SimpleEmail": parts}}},
    )  # fmt: skip
    [file] = (house.data / "inbox" / made / "direct").glob("*.eml")
    message = email.message_from_bytes(file.read_bytes(), policy=email.policy.default)
    assert str(message.get_body(("html",)).get_content()).strip() == HTML  # type: ignore[union-attr]
    rows = client.get_application_date_range_kpi(ApplicationId=made, KpiName="txn-emails-sent")
    assert rows["ApplicationDateRangeKpiResponse"]["KpiResult"]["Rows"][0]["Values"] == [
        {"Key": "TxnEmailsSent", "Type": "Double", "Value": "1.0"}
    ]
