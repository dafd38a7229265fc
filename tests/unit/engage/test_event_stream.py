"""Event streams: what became of messages and events arrives, as Pinpoint writes it, in order."""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import boto3
import orjson
import pytest
import sqlalchemy as sa

from tailorbird.channels import Feedback, feedback
from tailorbird.channels.origins import Origin
from tailorbird.engage import (
    Engage,
    apps,
    event_stream,
    job_kinds,
    ledger,
    messages,
    outbox,
    stream_delivery,
    take_feedback,
)
from tailorbird.engage import measure_tables as mt
from tailorbird.errors import Invalid, NotFound
from tailorbird.store import Worker
from tests.unit.engage.conftest import CALLER, NOON, mail, put, wait_for
from tests.unit.engage.test_campaign_run import campaign
from tests.unit.engage.test_events import happened

ROLE = "arn:aws:iam::123456789012:role/pinpoint"
KINESIS = "arn:aws:kinesis:us-east-1:123456789012:stream/events"
FIREHOSE = "arn:aws:firehose:us-east-1:123456789012:deliverystream/events"


def attach(room: Engage, app_id: str, arn: str = KINESIS) -> dict[str, Any]:
    wanted = {"DestinationStreamArn": arn, "RoleArn": ROLE}
    request = {"ApplicationId": app_id, "WriteEventStream": wanted}
    return dict(event_stream.put_event_stream(room, CALLER, request)["EventStream"])


def work(room: Engage, turns: int = 3) -> None:
    """Do every job that is due, a second passing between turns."""
    worker = Worker(room.jobs, job_kinds(room), 0)
    for _ in range(turns):
        room.clock.advance(1.0)  # type: ignore[attr-defined]
        while found := room.jobs.claim(["default", "engage"], "test"):
            for job in found:
                worker._run(job)


def in_files(room: Engage) -> list[dict[str, Any]]:
    found = sorted(room.objects.list("s3://tailorbird-events/events/"), key=lambda i: i.uri)
    lines = [x for i in found for x in gzip.decompress(room.objects.get(i.uri)).splitlines()]
    return [orjson.loads(line) for line in lines]


def types(records: list[dict[str, Any]]) -> list[str]:
    return [record["event_type"] for record in records]


def test_a_stream_is_attached_shown_and_taken_off(engage: Engage, app_id: str) -> None:
    request = {"ApplicationId": app_id}
    with pytest.raises(NotFound, match="has no event stream"):
        event_stream.get_event_stream(engage, CALLER, request)
    made = attach(engage, app_id)
    assert made == {
        "ApplicationId": app_id, "DestinationStreamArn": KINESIS, "RoleArn": ROLE,
        "ExternalId": CALLER.account, "LastModifiedDate": "2026-11-21T12:00:00.000Z",
        "LastUpdatedBy": CALLER.principal,
    }  # fmt: skip
    again = attach(engage, app_id, FIREHOSE)
    assert event_stream.get_event_stream(engage, CALLER, request)["EventStream"] == again
    assert event_stream.delete_event_stream(engage, CALLER, request)["EventStream"] == again
    with pytest.raises(NotFound):
        event_stream.delete_event_stream(engage, CALLER, request)
    with pytest.raises(Invalid, match="neither arn:aws:kinesis"):
        attach(engage, app_id, "arn:aws:sns:us-east-1:123456789012:topic")


def test_a_run_is_told_as_pinpoint_tells_it(engage: Engage, app_id: str) -> None:
    attach(engage, app_id)
    put(
        engage, app_id,
        {"Id": "ana", "User": {"UserId": "u1"}, "Attributes": {"Likes": ["tea"]}},
        {"Id": "gone", "OptOut": "ALL"}, {"Id": "bad", "Address": "nobody"},
    )  # fmt: skip
    made = campaign(engage, app_id)
    work(engage)
    [activity] = ledger.activities_of(engage, made["Id"])
    *found, failed, rejected = in_files(engage)
    assert failed["attributes"]["campaign_send_status"] == "FAILURE"
    assert rejected["event_type"] == "_email.rejected"
    reason = rejected["facets"]["email_channel"]["mail_event"]["reject"]["reason"]
    assert "is not an email address" in reason
    assert types(found) == [
        "_test.event_stream",
        "_campaign.send",
        "_email.send",
        "_email.delivered",
    ]
    ms = found[1]["event_timestamp"]
    assert ms == found[1]["arrival_timestamp"] and abs(ms / 1000 - NOON) < 5
    run = {"treatment_id": "0", "campaign_activity_id": activity, "campaign_id": made["Id"]}
    text = found[1]["client_context"]["custom"]["endpoint"]
    assert found[1] == {
        "event_type": "_campaign.send", "event_timestamp": ms, "arrival_timestamp": ms,
        "event_version": "3.1", "application": {"app_id": app_id, "sdk": {}},
        "client": {"client_id": "ana"}, "device": {"platform": {}}, "session": {},
        "attributes": {**run, "delivery_type": "EMAIL", "campaign_send_status": "SUCCESS"},
        "client_context": {"custom": {"endpoint": text}},
        "awsAccountId": CALLER.account,
    }  # fmt: skip
    assert json.loads(text) == {
        "ChannelType": "EMAIL", "EndpointStatus": "ACTIVE", "OptOut": "NONE",
        "Attributes": {"Likes": ["tea"]}, "EffectiveDate": "2026-11-21T12:00:00.000Z",
        "CreationDate": "2026-11-21T12:00:00.000Z", "User": {"UserId": "u1"},
    }  # fmt: skip
    sent = found[2]
    assert sent["attributes"] == {"feedback": "received", **run}
    told = sent["facets"]["email_channel"]["mail_event"]
    assert told["send"] == {} and told["mail"] == {
        "message_id": told["mail"]["message_id"], "message_send_timestamp": ms,
        "from_address": "shop@example.com", "destination": ["ana@example.com"],
        "headers_truncated": False,
        "headers": [{"name": "From", "value": "shop@example.com"},
                    {"name": "To", "value": "ana@example.com"},
                    {"name": "Subject", "value": told["mail"]["common_headers"]["subject"]},
                    {"name": "MIME-Version", "value": "1.0"}],
        "common_headers": {"from": "shop@example.com", "to": ["ana@example.com"],
                           "subject": told["mail"]["common_headers"]["subject"]},
    }  # fmt: skip
    delivered = found[3]["facets"]["email_channel"]["mail_event"]["delivery"]
    assert delivered["recipients"] == ["ana@example.com"]


def test_app_events_are_told_with_what_the_client_said(engage: Engage, app_id: str) -> None:
    put(engage, app_id, {"Id": "ana", "Demographic": {"Platform": "ios", "Locale": "en_US"}})
    attach(engage, app_id)
    happened(
        engage, app_id, "ana",
        {"EventType": "cart", "Attributes": {"sku": "k"}, "Metrics": {"price": 2.5},
         "AppPackageName": "shop", "SdkName": "js",
         "Session": {"Id": "s1", "StartTimestamp": "2026-11-21T11:00:00Z"}},
    )  # fmt: skip
    work(engage)
    found = in_files(engage)[-1]
    assert found["application"] == {"app_id": app_id, "sdk": {"name": "js"}, "package_name": "shop"}
    assert found["device"] == {
        "platform": {"name": "ios"},
        "locale": {"code": "en_US", "country": "US", "language": "en"},
    }
    assert found["session"] == {"session_id": "s1", "start_timestamp": 1_795_258_800_000}
    assert (found["event_type"], found["attributes"], found["metrics"]) == (
        "cart", {"sku": "k"}, {"price": 2.5},
    )  # fmt: skip


def test_what_comes_back_is_told(engage: Engage, app_id: str) -> None:
    put(engage, app_id, {"Id": "ana"}, mail(Id="s", ChannelType="SMS", Address="+31612345678"))
    attach(engage, app_id)
    about = Origin("m" * 32, "EMAIL", "ana@example.com", app_id, "c1", "a1", "ana", "1")
    words = {
        feedback.HARD_BOUNCE: "5.1.1 no such user", feedback.SOFT_BOUNCE: "4.2.2 full",
        feedback.COMPLAINT: "abuse, a provider", feedback.UNSUBSCRIBED: "The link of a mail",
        feedback.DELIVERED: "2.0.0 ok",
    }  # fmt: skip
    found = [Feedback(kind, about, said, NOON) for kind, said in words.items()]
    stop = Origin("", "SMS", "+31612345678", "")
    receipt = Origin("n" * 32, "SMS", "+31612345678", app_id, None, None, None, None)
    found += [Feedback(feedback.STOPPED, stop, "STOP", NOON),
              Feedback(feedback.DELIVERED, receipt, "delivered", NOON),
              Feedback(feedback.FAILED, receipt, "undelivered", NOON)]  # fmt: skip
    with engage.db.write() as conn:
        for one in found:
            take_feedback(engage, conn, one)
    work(engage)
    records = in_files(engage)[1:]
    assert types(records) == [  # delivered: it was told when the mail was taken
        "_email.hardbounce", "_email.softbounce", "_email.complaint", "_email.unsubscribe",
        "_SMS.OPTOUT", "_SMS.SUCCESS", "_SMS.FAILURE",
    ]  # fmt: skip
    bounced = records[0]["facets"]["email_channel"]["mail_event"]["bounce"]
    assert bounced["bounce_type"] == "Permanent"
    assert bounced["bounced_recipients"][0]["status"] == "5.1.1"
    assert records[0]["attributes"]["treatment_id"] == "1"
    assert records[5]["client"] == {"client_id": CALLER.account}
    assert records[5]["attributes"] == {
        "sender_request_id": "n" * 32, "destination_phone_number": "+31612345678",
        "record_status": "DELIVERED", "iso_country_code": "NL", "number_of_message_parts": "1",
        "message_id": "n" * 32, "message_type": "Transactional",
    }  # fmt: skip
    assert records[5]["metrics"] == {"price_in_millicents_usd": 0.0}


def test_direct_messages_are_told(engage: Engage, app_id: str) -> None:
    attach(engage, app_id)
    wanted = {
        "Addresses": {"ana@example.com": {"ChannelType": "EMAIL", "Context": {"order": "7"}},
                      "not an address": {"ChannelType": "EMAIL"}},
        "MessageConfiguration": {"EmailMessage": {"SimpleEmail": {
            "Subject": {"Data": "Hi"}, "TextPart": {"Data": "Hi"}}}},
    }  # fmt: skip
    request = {"ApplicationId": app_id, "MessageRequest": wanted}
    messages.send_messages(engage, CALLER, request)
    work(engage)
    records = in_files(engage)[1:]
    assert types(records) == ["_email.send", "_email.delivered", "_email.rejected"]
    assert records[0]["attributes"] == {"feedback": "received", "order": "7"}
    assert len(records[0]["client"]["client_id"]) == 36


class Sink(BaseHTTPRequestHandler):
    """Takes what is posted once it is there at all."""

    away = True
    taken: list[dict[str, Any]] = []

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        if not Sink.away:
            Sink.taken.append({"headers": dict(self.headers), "body": json.loads(body)})
        self.send_response(503 if Sink.away else 204)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def sink() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Sink)
    Sink.away, Sink.taken = True, []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/in"
    server.shutdown()


def test_a_stream_that_is_away_for_hours_gets_everything_in_order(
    engage: Engage, app_id: str, sink: str
) -> None:
    engage.settings.__dict__["outgoing_allow"] = "127.0.0.0/8"
    stream = event_stream.attach(engage, app_id, sink)
    for n in range(4):
        happened(engage, app_id, "ana", {"EventType": f"e{n}"})
        work(engage, 1)
        engage.clock.advance(3600)  # type: ignore[attr-defined]
    [shown] = event_stream.streams_of(engage, app_id)
    assert (shown["delivered"], shown["waiting"], shown["failures"] > 0) == (0, 4, True)
    assert "503" in shown["error"]
    Sink.away = False
    work(engage, 2)
    records = [record for taken in Sink.taken for record in taken["body"]["records"]]
    assert types(records) == ["e0", "e1", "e2", "e3"]
    assert Sink.taken[0]["headers"]["webhook-signature"].startswith("v1,")
    [shown] = event_stream.streams_of(engage, app_id)
    assert (shown["delivered"], shown["waiting"], shown["error"]) == (4, 0, None)
    with engage.db.read() as conn:
        assert conn.scalar(sa.select(sa.func.count()).select_from(mt.outbox)) == 0
    assert event_stream.detach(engage, stream["id"])["id"] == stream["id"]


def test_a_stream_that_is_away_too_long_loses_the_oldest_and_says_so(
    engage: Engage, app_id: str, sink: str
) -> None:
    engage.settings.__dict__["outgoing_allow"] = "127.0.0.0/8"
    engage.settings.__dict__["stream_max_waiting"] = 3
    event_stream.attach(engage, app_id, sink)
    for n in range(5):
        happened(engage, app_id, "ana", {"EventType": f"e{n}"})
        work(engage, 1)
        engage.clock.advance(3600)  # type: ignore[attr-defined]
    [shown] = event_stream.streams_of(engage, app_id)
    assert (shown["delivered"], shown["waiting"], shown["dropped"]) == (0, 3, 2)
    Sink.away = False
    work(engage, 2)
    records = [record for taken in Sink.taken for record in taken["body"]["records"]]
    assert types(records) == ["e2", "e3", "e4"]
    [shown] = event_stream.streams_of(engage, app_id)
    assert (shown["delivered"], shown["waiting"], shown["dropped"]) == (3, 0, 2)


def test_nobody_else_sends_what_a_slow_target_is_being_sent(
    engage: Engage, app_id: str, sink: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream_delivery, "RENEW_SECONDS", 0.05)
    event_stream.attach(engage, app_id, sink)
    with engage.db.read() as conn:
        number = conn.scalar(sa.select(mt.streams.c.number))
    stream = stream_delivery._hold(engage, number, "one")
    assert stream is not None
    with stream_delivery._held(engage, "one", stream):
        for _ in range(2):  # twice as long as a hold lasts
            engage.clock.advance(59)  # type: ignore[attr-defined]
            wait_for(lambda: held_until(engage) > engage.clock.now() + 59)
            assert stream_delivery._hold(engage, number, "two") is None
    engage.clock.advance(61)  # type: ignore[attr-defined]
    assert stream_delivery._hold(engage, number, "two") is not None


def held_until(room: Engage) -> float:
    with room.db.read() as conn:
        return float(conn.execute(sa.select(mt.streams.c.held_until)).scalar_one())


def test_a_stream_goes_on_when_the_database_was_moved_to_another_server(
    engage: Engage, app_id: str
) -> None:
    """As a dump leaves it: places and records of transactions that the server has not had yet."""
    if engage.db.dialect == "sqlite":
        pytest.skip("SQLite does not count transactions")
    attach(engage, app_id)
    work(engage)
    happened(engage, app_id, "ana", {"EventType": "waiting"})
    with engage.db.write() as conn:
        for table in (mt.streams, mt.outbox):
            conn.execute(sa.update(table).values(xid=table.c.xid + 1_000_000_000))
    happened(engage, app_id, "ana", {"EventType": "after"})
    work(engage, 2)
    assert sorted(types(in_files(engage))) == ["_test.event_stream", "after", "waiting"]


def test_a_portion_that_has_grown_before_it_comes_again_has_another_webhook_id(
    engage: Engage, app_id: str, sink: str
) -> None:
    """Who knows the first one by its id must not take the second for it."""
    engage.settings.__dict__["outgoing_allow"] = "127.0.0.0/8"
    event_stream.attach(engage, app_id, sink)
    Sink.away = False
    with engage.db.read() as conn:  # a process that dies after the answer moves no place
        before = dict(conn.execute(sa.select(mt.streams)).mappings().one())
    happened(engage, app_id, "ana", {"EventType": "first"})
    with engage.db.read() as conn:
        kept = [dict(row) for row in conn.execute(sa.select(mt.outbox)).mappings()]
    work(engage, 1)
    with engage.db.write() as conn:
        conn.execute(sa.insert(mt.outbox), kept)
        conn.execute(sa.update(mt.streams).values(xid=before["xid"], at=before["at"]))
    happened(engage, app_id, "ana", {"EventType": "second"})
    work(engage, 1)
    told = [types(taken["body"]["records"]) for taken in Sink.taken]
    assert told == [["first"], ["first", "second"]]
    assert len({taken["headers"]["webhook-id"] for taken in Sink.taken}) == 2


def test_a_text_that_looks_like_an_escaped_nul_arrives_as_it_is(
    engage: Engage, app_id: str
) -> None:
    attach(engage, app_id)
    texts = ["\\u0000", "a\\\\u0000", "b\0c", "\\\0"]
    with engage.db.write() as conn:
        app = apps.by_id(conn, app_id)
        to = outbox.streams(engage, conn, app.number)
        record = {"arrival_timestamp": 0, "texts": texts, "client": {"client_id": "ana"}}
        outbox.add(engage, conn, app.number, to, [record])
    with engage.db.read() as conn:
        lines = conn.execute(sa.select(mt.outbox.c.lines).order_by(mt.outbox.c.number)).scalars()
        assert orjson.loads(lines.all()[-1])["texts"] == ["\\u0000", "a\\\\u0000", "bc", "\\"]


@pytest.mark.parametrize(
    ("slow_is_first", "seen"), [(True, []), (False, ["quick"])], ids=["not passed by", "not forgot"]
)
def test_a_transaction_that_commits_later_is_not_lost(
    engage: Engage, app_id: str, slow_is_first: bool, seen: list[str]
) -> None:
    """Neither by one that began after it, nor when it counts on a job that ran meanwhile."""
    if engage.db.dialect == "sqlite":
        pytest.skip("SQLite has one writer")
    attach(engage, app_id)
    work(engage)
    if not slow_is_first:
        happened(engage, app_id, "ana", {"EventType": "quick"})  # its job is the one of this second
    slow = engage.db.engine.connect()
    begun = slow.begin()
    app = apps.by_id(slow, app_id)
    to = [] if slow_is_first else outbox.streams(engage, slow, app.number)
    record = {"event_type": "slow", "arrival_timestamp": 1_795_262_401_000}
    outbox.add(engage, slow, app.number, to, [record])
    if slow_is_first:
        happened(engage, app_id, "ana", {"EventType": "quick"})
    work(engage, 2)
    assert types(in_files(engage)) == ["_test.event_stream", *seen]
    begun.commit()
    slow.close()
    work(engage, 3)
    assert types(in_files(engage))[: 1 + len(seen)] == ["_test.event_stream", *seen]
    assert sorted(types(in_files(engage))[1:]) == ["quick", "slow"]


def test_records_become_track_calls_of_a_source(engage: Engage, app_id: str) -> None:
    calls: list[Any] = []
    engage.calls = lambda source, found: calls.extend((source, one) for one in found)
    put(engage, app_id, {"Id": "ana", "User": {"UserId": "u1"}})
    event_stream.attach(engage, app_id, "source:shop")
    happened(engage, app_id, "ana", {"EventType": "cart"})
    made = campaign(engage, app_id)
    work(engage)
    assert [call["event"] for _, call in calls] == [
        "_campaign.send", "_email.send", "_email.delivered",
    ]  # fmt: skip
    source, call = calls[0]
    assert (source, call["type"]) == ("shop", "track")
    assert {call["userId"] for _, call in calls} == {"u1"}
    assert call["properties"]["campaign_id"] == made["Id"]
    assert len({call["messageId"] for _, call in calls}) == 3


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    server = pytest.importorskip("moto.server").ThreadedMotoServer(port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.mark.parametrize("arn", [KINESIS, FIREHOSE])
def test_kinesis_and_firehose_get_the_records(
    engage: Engage, app_id: str, moto: str, arn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = event_stream.kind_of(arn)
    keys = {"aws_access_key_id": "k", "aws_secret_access_key": "s", "region_name": "us-east-1"}
    client = boto3.client(kind, endpoint_url=moto, **keys)
    s3 = boto3.client("s3", endpoint_url=moto, **keys)
    name = f"events-{engage.db.dialect}"
    if kind == "kinesis":
        client.create_stream(StreamName=name, ShardCount=1)
    else:
        s3.create_bucket(Bucket=name)
        client.create_delivery_stream(
            DeliveryStreamName=name,
            S3DestinationConfiguration={"RoleARN": ROLE, "BucketARN": f"arn:aws:s3:::{name}"},
        )
    values = engage.settings.__dict__
    values |= {f"stream_{kind}_url": moto, "stream_access_key_id": "k",
               "stream_secret_access_key": "s"}  # fmt: skip
    attach(engage, app_id, arn.replace("/events", f"/{name}"))
    happened(engage, app_id, "ana", {"EventType": "cart"})
    work(engage)
    if kind == "kinesis":
        shard = client.get_shard_iterator(
            StreamName=name, ShardId="shardId-000000000000", ShardIteratorType="TRIM_HORIZON"
        )["ShardIterator"]
        lines = [one["Data"] for one in client.get_records(ShardIterator=shard)["Records"]]
    else:
        listed = s3.list_objects_v2(Bucket=name)["Contents"]
        lines = [x for o in listed for x in
                 s3.get_object(Bucket=name, Key=o["Key"])["Body"].read().splitlines()]  # fmt: skip
    assert types([json.loads(line) for line in lines]) == ["_test.event_stream", "cart"]
