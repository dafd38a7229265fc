"""Where records of event streams go: one function each, which returns when a portion has arrived.

Unavailable says that it has not, or not all of it; then the whole portion comes again.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import orjson

from tailorbird.channels import webhook
from tailorbird.clock import iso
from tailorbird.engage import message_events
from tailorbird.engage.event_stream import (
    COLLECT,
    FILES,
    FIREHOSE,
    KINESIS,
    WEBHOOK,
    name_of,
    region_of,
)
from tailorbird.engage.outbox import Place
from tailorbird.engage.room import Engage
from tailorbird.errors import Unavailable

CALL_RECORDS = 500  # PutRecords and PutRecordBatch
CALL_BYTES = 3_500_000  # of 4 MiB (PutRecordBatch) and 5 MiB (PutRecords)
RETRIES = 3  # of records that a stream had no room for
KEY_CHARS = 256
TIMEOUT_SECONDS = 20
MESSAGE_EVENTS = ("_email.", "_SMS.", "_campaign.")  # collect has the others from its own sources


class Portion(NamedTuple):
    """Records in order, as lines of JSON, and where the first and the last of them stood."""

    stream: dict[str, Any]
    lines: list[str]
    place: Place
    last: Place


Target = Callable[[Engage, Portion], None]


def to_files(room: Engage, portion: Portion) -> None:
    """A gzipped NDJSON object; sent again it takes the place of the first."""
    stream = portion.stream
    if stream["kind"] == FILES:
        prefix = stream["target"].rstrip("/") + "/"
    else:
        prefix = f"s3://{room.settings.stream_bucket}/{name_of(stream['target'])}/"
    moment = orjson.loads(portion.lines[0])["arrival_timestamp"] / 1000
    day = datetime.fromtimestamp(moment, UTC).strftime("%Y/%m/%d/%H")
    name = f"{stream['id'][:8]}-{portion.place.xid:012}-{portion.place.number:012}.json.gz"
    body = "\n".join(portion.lines) + "\n"
    room.objects.put(f"{prefix}{day}/{name}", gzip.compress(body.encode(), 3))


def to_webhook(room: Engage, portion: Portion) -> None:
    """A signed POST of {"records": [...]} (Standard Webhooks); any 2xx takes it.

    The id names all that is in it: a portion that has grown before it comes again is another one.
    """
    body = b'{"records":[' + ",".join(portion.lines).encode() + b"]}"
    stream, place, last = portion.stream, portion.place, portion.last
    answer = webhook.post(
        room.channels, stream["application_id"], stream["target"], body,
        message_id=f"{stream['id']}-{place.xid}-{place.number}-{last.xid}-{last.number}",
    )  # fmt: skip
    if not answer.good:
        raise Unavailable(
            f"{stream['target']} answered {answer.status or 'nothing'} {answer.words}"
        )


def to_kinesis(room: Engage, portion: Portion) -> None:
    """PutRecords, keyed by client id; without an endpoint, files."""
    if not room.settings.stream_kinesis_url:
        return to_files(room, portion)
    client = _client(room, KINESIS, room.settings.stream_kinesis_url, portion)
    name = name_of(portion.stream["target"])
    for lines in _calls(portion.lines):
        rest: Sequence[dict[str, Any]] = [
            {"Data": line.encode(), "PartitionKey": _key(line)} for line in lines
        ]
        _put(lambda some: client.put_records(StreamName=name, Records=some), rest, "Records")
    return None


def to_firehose(room: Engage, portion: Portion) -> None:
    """PutRecordBatch, a line each; without an endpoint, files."""
    if not room.settings.stream_firehose_url:
        return to_files(room, portion)
    client = _client(room, FIREHOSE, room.settings.stream_firehose_url, portion)
    name = name_of(portion.stream["target"])
    for lines in _calls(portion.lines):
        rest = [{"Data": line.encode() + b"\n"} for line in lines]
        _put(
            lambda some: client.put_record_batch(DeliveryStreamName=name, Records=some),
            rest, "RequestResponses",
        )  # fmt: skip
    return None


def to_collect(room: Engage, portion: Portion) -> None:
    """Message events as track calls of a source; a call that comes again is known there."""
    if room.calls is None:
        raise Unavailable("There is no collect beside this house")
    place, app = portion.place, portion.stream["app"]
    told = [(n, orjson.loads(line)) for n, line in enumerate(portion.lines)]
    told = [(n, one) for n, one in told if one["event_type"].startswith(MESSAGE_EVENTS)]
    people = _people(room, app, {str(one["client"]["client_id"]) for _, one in told})
    found = [
        _call(one, f"{portion.stream['id']}-{place.xid}-{place.number}-{n}", people)
        for n, one in told
    ]
    if found:
        room.calls(portion.stream["target"].partition(":")[2], found)


TARGETS: dict[str, Target] = {
    FILES: to_files,
    WEBHOOK: to_webhook,
    KINESIS: to_kinesis,
    FIREHOSE: to_firehose,
    COLLECT: to_collect,
}


def _client(room: Engage, service: str, url: str, portion: Portion) -> Any:
    """A client of the endpoint, made once: SigV4, no retries of its own."""
    from botocore.config import Config
    from botocore.session import get_session

    region = region_of(portion.stream["target"])

    def make() -> Any:
        config = Config(
            connect_timeout=TIMEOUT_SECONDS, read_timeout=TIMEOUT_SECONDS,
            retries={"total_max_attempts": 1},
        )  # fmt: skip
        settings = room.settings
        return get_session().create_client(
            service, region_name=region, endpoint_url=url, config=config,
            aws_access_key_id=settings.stream_access_key_id or None,
            aws_secret_access_key=settings.stream_secret_access_key or None,
        )  # fmt: skip

    return room.channels.shared(f"stream {service} {region} {url}", make)


def _put(
    call: Callable[[Any], dict[str, Any]], records: Sequence[dict[str, Any]], answers: str
) -> None:
    """Send records; those the stream had no room for again, before any later ones."""
    from botocore.exceptions import BotoCoreError, ClientError

    rest = records
    for _ in range(RETRIES):
        try:
            said = call(rest)[answers]
        except (BotoCoreError, ClientError) as error:
            raise Unavailable(f"The stream took nothing: {error}") from None
        wrong = [one for one in said if one.get("ErrorCode")]
        rest = [r for r, one in zip(rest, said, strict=True) if one.get("ErrorCode")]
        if not rest:
            return
    raise Unavailable(
        f"The stream left out {len(rest)} records: {wrong[0]['ErrorCode']} "
        f"{wrong[0].get('ErrorMessage', '')}"
    )


def _calls(lines: Sequence[str]) -> Iterator[Sequence[str]]:
    """Lines in calls that keep to both limits of a call."""
    some: list[str] = []
    size = 0
    for line in lines:
        if some and (len(some) == CALL_RECORDS or size + len(line) > CALL_BYTES):
            yield some
            some, size = [], 0
        some.append(line)
        size += len(line.encode())
    yield some


def _key(line: str) -> str:
    return str(orjson.loads(line)["client"]["client_id"])[:KEY_CHARS] or "-"


def _people(room: Engage, app: int, endpoint_ids: set[str]) -> dict[str, str]:
    """User ids by endpoint id, of endpoints that have one."""
    keys = {one.casefold(): one for one in endpoint_ids}
    with room.db.read() as conn:
        known = message_events.snapshots(room, conn, app, "key", sorted(keys))
    return {
        keys[key]: endpoint["User"]["UserId"]
        for key, endpoint in known.items()
        if endpoint["User"].get("UserId")
    }


def _call(record: dict[str, Any], message_id: str, people: dict[str, str]) -> dict[str, Any]:
    user = people.get(record["client"]["client_id"])
    who = {"userId": user} if user else {"anonymousId": record["client"]["client_id"]}
    properties = {**record["attributes"], **(record.get("metrics") or {})}
    return {
        "type": "track",
        "event": record["event_type"],
        "messageId": message_id,
        "timestamp": iso(record["event_timestamp"] / 1000),
        "properties": properties,
        "context": {"pinpoint": {
            "application_id": record["application"]["app_id"],
            "endpoint_id": record["client"]["client_id"],
        }},
        **who,
    }  # fmt: skip
