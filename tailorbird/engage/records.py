"""Records of the event stream, as Amazon Pinpoint writes them. Pure.

Names and nesting are the service's: published consumers read them with a fixed schema.
Source: Pinpoint developer guide, "Streaming Amazon Pinpoint events to Kinesis" (campaign, e-mail,
SMS and app events). The statuses of `_campaign.send` beside SUCCESS and EXPIRED, and `feedback` of
bounces and complaints, are not published in full: those here are ours.
"""

from __future__ import annotations

from typing import Any

import orjson

from tailorbird.channels import Message, sms_text
from tailorbird.channels.origins import Origin
from tailorbird.clock import parse_iso

VERSION = "3.1"
HEADERS_SHOWN = ("From", "To", "Subject", "MIME-Version")
FEEDBACK = {"send": "received", "open": "opened"}  # others say their own name
BOUNCES = {"hardbounce": "Permanent", "softbounce": "Transient"}
SMS_STATUS = {"SUCCESS": "DELIVERED", "BUFFERED": "SUCCESSFUL", "FAILURE": "UNREACHABLE",
              "OPTOUT": "OPTED_OUT"}  # fmt: skip
MESSAGE_TYPES = {"PROMOTIONAL": "Promotional", "TRANSACTIONAL": "Transactional"}

Record = dict[str, Any]


def campaign_send(
    app_id: str, account: str, activity: dict[str, Any], endpoint_id: str, status: str,
    delivery_type: str, endpoint: dict[str, Any] | None, moment: float,
) -> Record:  # fmt: skip
    """One endpoint of a run, sent to or not."""
    record = _head("_campaign.send", app_id, moment, moment, endpoint_id)
    record["attributes"] = {
        "treatment_id": activity["treatment_id"],
        "campaign_activity_id": activity["id"],
        "delivery_type": delivery_type,
        "campaign_id": activity["campaign_id"],
        "campaign_send_status": status,
    }
    if endpoint is not None:
        record["client_context"] = {"custom": {"endpoint": endpoint_text(endpoint)}}
    record["awsAccountId"] = account
    return record


def email(
    app_id: str, account: str, kind: str, origin: Origin, event: dict[str, Any], arrived: float,
    *, sender: str = "", subject: str = "", sent: float | None = None,
    context: dict[str, str] | None = None,
) -> Record:  # fmt: skip
    """What happened to one mail: `kind` is the event type after `_email.`."""
    moment = arrived if sent is None else sent
    record = _head(f"_email.{kind}", app_id, moment, arrived, client_of(origin))
    feedback = FEEDBACK.get(kind, kind)
    record["attributes"] = {"feedback": event["link"] if kind == "click" else feedback}
    record["attributes"] |= {**_campaign(origin), **(context or {})}
    record["client_context"] = {"custom": {"legacy_identifier": app_id}}
    record["awsAccountId"] = account
    values = (sender, origin.address, subject, "1.0")
    named = zip(HEADERS_SHOWN, values, strict=True)
    mail = {
        "message_id": origin.message_id,
        "message_send_timestamp": _ms(moment),
        "from_address": sender,
        "destination": [origin.address],
        "headers_truncated": False,
        "headers": [{"name": name, "value": value} for name, value in named if value],
        "common_headers": {"from": sender, "to": [origin.address], "subject": subject},
    }
    part = {"hardbounce": "bounce", "softbounce": "bounce", "delivered": "delivery",
            "rejected": "reject"}.get(kind, kind)  # fmt: skip
    record["facets"] = {"email_channel": {"mail_event": {"mail": mail, part: event}}}
    return record


def delivery(origin: Origin, words: str, by: str) -> dict[str, Any]:
    return {
        "smtp_response": words, "reporting_mta": by, "recipients": [origin.address],
        "processing_time_millis": 0,
    }  # fmt: skip


def bounce(origin: Origin, kind: str, words: str) -> dict[str, Any]:
    code, _, said = words.partition(" ")
    hurt = {
        "email_address": origin.address, "action": "failed", "status": code,
        "diagnostic_code": said,
    }  # fmt: skip
    return {
        "bounce_type": BOUNCES[kind], "bounce_sub_type": "General", "bounced_recipients": [hurt],
    }  # fmt: skip


def complaint(origin: Origin, words: str) -> dict[str, Any]:
    return {
        "complained_recipients": [{"email_address": origin.address}],
        "complaint_feedback_type": words.partition(",")[0],
    }


def sms(
    app_id: str, account: str, kind: str, origin: Origin, moment: float, price: float,
    *, text: str = "", sender: str = "", message_type: str = "",
    context: dict[str, str] | None = None, status: str = "",
) -> Record:  # fmt: skip
    """What happened to one SMS: `kind` is BUFFERED, SUCCESS, FAILURE or OPTOUT."""
    record = _head(f"_SMS.{kind}", app_id, moment, moment, account)
    parts = sms_text.parts(text)
    attributes = {
        "sender_request_id": origin.message_id,
        "destination_phone_number": origin.address,
        "record_status": status or SMS_STATUS[kind],
        "iso_country_code": sms_text.country(origin.address),
        "number_of_message_parts": str(parts),
        "message_id": origin.message_id,
        "message_type": MESSAGE_TYPES.get(message_type, "Transactional"),
        **_campaign(origin),
    }
    if sender:
        attributes["origination_phone_number"] = sender
    if context:
        attributes["customer_context"] = orjson.dumps(context).decode()
    record["attributes"] = attributes
    record["metrics"] = {"price_in_millicents_usd": price * parts}
    record["awsAccountId"] = account
    return record


def app_event(
    app_id: str, account: str, endpoint_id: str, event: Any, endpoint: dict[str, Any] | None,
    arrived: float,
) -> Record:  # fmt: skip
    """One event of PutEvents."""
    rest = event.rest
    record = _head(event.type, app_id, event.moment, arrived, endpoint_id)
    application = {
        "package_name": rest.get("AppPackageName"), "title": rest.get("AppTitle"),
        "version_code": rest.get("AppVersionCode"),
    }  # fmt: skip
    sdk = {"name": rest.get("SdkName"), "version": rest.get("ClientSdkVersion")}
    record["application"] |= _given(application)
    record["application"]["sdk"] = _given(sdk)
    record["device"] = _device((endpoint or {}).get("Demographic") or {})
    record["session"] = _session(rest.get("Session") or {})
    record["attributes"] = event.attributes
    record["metrics"] = event.metrics
    if endpoint is not None:
        record["client_context"] = {"custom": {"endpoint": endpoint_text(endpoint)}}
    record["awsAccountId"] = account
    return record


def test_record(app_id: str, account: str, moment: float) -> Record:
    """What a stream gets when it is attached."""
    record = _head("_test.event_stream", app_id, moment, moment, account)
    return {**record, "awsAccountId": account}


def endpoint_text(endpoint: dict[str, Any]) -> str:
    """An endpoint inside a record: JSON as text, without its address."""
    return orjson.dumps({n: v for n, v in endpoint.items() if n != "Address"}).decode()


def client_of(origin: Origin) -> str:
    """Whom a mail's events are about: the endpoint, or the message itself when it is direct."""
    if origin.endpoint_id:
        return origin.endpoint_id
    h = origin.message_id.ljust(32, "0")[:32]
    return f"{h[:8]}-{h[8:12]}-{h[12:16]}-{h[16:20]}-{h[20:]}"


def origin_of(message: Message) -> Origin:
    return Origin(
        message.id, message.channel_type, message.address, message.application_id,
        message.campaign_id, message.activity_id, message.endpoint_id, message.treatment_id,
    )  # fmt: skip


def _head(kind: str, app_id: str, moment: float, arrived: float, client_id: str) -> Record:
    return {
        "event_type": kind,
        "event_timestamp": _ms(moment),
        "arrival_timestamp": _ms(arrived),
        "event_version": VERSION,
        "application": {"app_id": app_id, "sdk": {}},
        "client": {"client_id": client_id},
        "device": {"platform": {}},
        "session": {},
        "attributes": {},
    }


def _campaign(origin: Origin) -> dict[str, str]:
    if not origin.campaign_id:
        return {}
    return {
        "treatment_id": origin.treatment_id or "0",
        "campaign_activity_id": origin.activity_id or "",
        "campaign_id": origin.campaign_id,
    }


def _device(demographic: dict[str, Any]) -> dict[str, Any]:
    platform = {"name": demographic.get("Platform"), "version": demographic.get("PlatformVersion")}
    device = {"make": demographic.get("Make"), "model": demographic.get("Model")}
    found: dict[str, Any] = {**_given(device), "platform": _given(platform)}
    locale = demographic.get("Locale")
    if isinstance(locale, str) and locale:
        language, _, country = locale.replace("-", "_").partition("_")
        found["locale"] = {"code": locale, "country": country, "language": language}
    return found


def _session(session: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if session.get("Id"):
        found["session_id"] = session["Id"]
    for theirs, ours in (
        ("StartTimestamp", "start_timestamp"),
        ("StopTimestamp", "stop_timestamp"),
    ):
        if session.get(theirs):
            try:
                found[ours] = _ms(parse_iso(session[theirs]))
            except ValueError:
                continue  # what the client wrote there is no time
    if session.get("Duration") is not None:
        found["duration"] = session["Duration"]
    return found


def _given(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value}


def _ms(moment: float) -> int:
    return round(moment * 1000)
