"""Channels of an application: which are switched on, what they send as, and their providers'
secrets, which are kept sealed and never shown.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from tailorbird.access import Caller
from tailorbird.channels import apns, credentials, fcm
from tailorbird.clock import iso
from tailorbird.engage import apps
from tailorbird.engage import tables as t
from tailorbird.engage.apps import App
from tailorbird.engage.room import Engage
from tailorbird.errors import Invalid, NotFound
from tailorbird.store import insert

EMAIL = "EMAIL"
MASKED = "********"  # stands for a credential where the service model requires one
APNS_SECRETS = ("Certificate", "PrivateKey", "TokenKey", "TokenKeyId", "TeamId", "BundleId")
PUSH_METHODS = {"GCM": ("KEY", "TOKEN"), "APNS": ("KEY", "CERTIFICATE")}
Secret = dict[str, str]


@dataclass(frozen=True)
class Kind:
    """One kind of channel: how its operations are called, and what of it is secret."""

    channel: str  # the ChannelType
    word: str  # in the names of operations: Update<word>Channel
    shape: str  # in the names of payloads: <shape>ChannelRequest
    secrets: tuple[str, ...] = ()
    remedy: str = "Enabled=true"  # what a request to set it up has to say

    @property
    def command(self) -> str:
        return f"update-{self.channel.lower().replace('_', '-')}-channel"

    @property
    def option(self) -> str:
        return f"--{self.channel.lower().replace('_', '-')}-channel-request"


KINDS = {
    kind.channel: kind
    for kind in (
        Kind(
            EMAIL, "Email", "Email",
            remedy="FromAddress=you@example.com,Identity=you@example.com,Enabled=true",
        ),
        Kind("SMS", "Sms", "SMS"),
        Kind("GCM", "Gcm", "GCM", ("ApiKey", "ServiceJson")),
        Kind("APNS", "Apns", "APNS", APNS_SECRETS),
        Kind("APNS_SANDBOX", "ApnsSandbox", "APNSSandbox", APNS_SECRETS),
        Kind("APNS_VOIP", "ApnsVoip", "APNSVoip", APNS_SECRETS),
        Kind("APNS_VOIP_SANDBOX", "ApnsVoipSandbox", "APNSVoipSandbox", APNS_SECRETS),
        Kind("ADM", "Adm", "ADM", ("ClientId", "ClientSecret"), "ClientId=...,ClientSecret=..."),
        Kind("BAIDU", "Baidu", "Baidu", ("ApiKey", "SecretKey"), "ApiKey=...,SecretKey=..."),
        Kind("VOICE", "Voice", "Voice"),
    )
}  # fmt: skip


def update_channel(
    kind: Kind, room: Engage, caller: Caller, request: dict[str, Any]
) -> dict[str, Any]:
    """Set a channel up, or change it: what is not given stays as it is."""
    wanted = {k: v for k, v in request[f"{kind.shape}ChannelRequest"].items() if v is not None}
    enabled = wanted.pop("Enabled", None)
    given = {name: str(wanted.pop(name)) for name in kind.secrets if name in wanted}
    _check_method(kind, wanted.get("DefaultAuthenticationMethod"))
    with room.db.write() as conn:
        app = apps.find(conn, caller, request["ApplicationId"])
        held = read(conn, app, kind.channel)
        body = {**((held or {}).get("body") or {}), **wanted}
        if enabled is None:
            enabled = held["enabled"] if held else True
        if given:
            body["Has"] = _keep_secret(room, conn, app, kind, given, (body.get("Has") or []))
        _set(room, conn, app, kind.channel, body, enabled, caller)
        return {f"{kind.shape}ChannelResponse": _show(kind, app, _find(conn, app, kind.channel))}


def get_channel(
    kind: Kind, room: Engage, caller: Caller, request: dict[str, Any]
) -> dict[str, Any]:
    with room.db.read() as conn:
        app = apps.find(conn, caller, request["ApplicationId"])
        return {f"{kind.shape}ChannelResponse": _show(kind, app, _find(conn, app, kind.channel))}


def delete_channel(
    kind: Kind, room: Engage, caller: Caller, request: dict[str, Any]
) -> dict[str, Any]:
    """Forget a channel and its secrets; the answer is what it was."""
    with room.db.write() as conn:
        app = apps.find(conn, caller, request["ApplicationId"])
        held = _find(conn, app, kind.channel)
        conn.execute(sa.delete(t.channels).where(*_key(app, kind.channel)))
        credentials.delete(conn, app.id, kind.channel)
    return {f"{kind.shape}ChannelResponse": _show(kind, app, held)}


def get_channels(room: Engage, caller: Caller, request: dict[str, Any]) -> dict[str, Any]:
    with room.db.read() as conn:
        app = apps.find(conn, caller, request["ApplicationId"])
        mine = sa.select(t.channels).where(t.channels.c.application_id == app.id)
        rows = conn.execute(mine.order_by(t.channels.c.channel)).mappings().all()
    shown = {row["channel"]: _show_common(KINDS[row["channel"]], app, dict(row)) for row in rows}
    return {"ChannelsResponse": {"Channels": shown}}


update_email_channel = partial(update_channel, KINDS[EMAIL])
get_email_channel = partial(get_channel, KINDS[EMAIL])
delete_email_channel = partial(delete_channel, KINDS[EMAIL])

CHANNEL_OPERATIONS: dict[str, Callable[..., dict[str, Any]]] = {
    f"{verb}{kind.word}Channel": partial(operation, kind)
    for kind in KINDS.values()
    for verb, operation in (
        ("Update", update_channel),
        ("Get", get_channel),
        ("Delete", delete_channel),
    )
} | {"GetChannels": get_channels}


def read(conn: Connection, app: App, channel: str) -> dict[str, Any] | None:
    """A channel's row (`body`, `enabled`), or None when it was never set up."""
    row = conn.execute(sa.select(t.channels).where(*_key(app, channel))).mappings().first()
    return dict(row) if row else None


def blocked(
    app: App, channel: Mapping[str, Any] | None, sender: str | None, channel_type: str = EMAIL
) -> str | None:
    """Why nothing of an application can leave by a channel, with what to run; None when it can."""
    if channel_type == "CUSTOM":
        return None
    kind = KINDS.get(channel_type)
    if kind is None:
        return f"There is no channel {channel_type} to send by"
    remedy = f"aws pinpoint {kind.command} --application-id {app.id} {kind.option} {kind.remedy}"
    if channel is None:
        return f"The {channel_type} channel of the application is not set up; run: {remedy}"
    if not channel["enabled"]:
        return f"The {channel_type} channel of the application is switched off; run: {remedy}"
    if channel_type == EMAIL and not sender:
        return f"Neither message nor channel has a FromAddress; run: {remedy}"
    return None


def _keep_secret(
    room: Engage, conn: Connection, app: App, kind: Kind, given: Secret, had: list[str]
) -> list[str]:
    """Seal what was given beside what was there; the names of all that is there now."""
    held = {}
    if had and set(kind.secrets) - given.keys():
        held = credentials.read(room.channels, app.id, kind.channel)
    secret = {name: text for name, text in {**held, **given}.items() if text}
    _check_secret(kind, secret, room.clock.now())
    credentials.put(room.channels, conn, app.id, kind.channel, secret)
    return sorted(secret)


def _check_secret(kind: Kind, secret: Secret, now: float) -> None:
    """Invalid when nobody could be reached with this."""
    if secret.get("ServiceJson"):
        fcm.Account.parse(secret["ServiceJson"])
    if secret.get("TokenKey"):
        apns.provider_token(secret, now)
    elif kind.secrets == APNS_SECRETS and not secret.get("Certificate"):
        raise Invalid("A TokenKey (with TokenKeyId, TeamId, BundleId) or a Certificate is missing")


def _check_method(kind: Kind, method: str | None) -> None:
    right = PUSH_METHODS.get(kind.channel.partition("_")[0])
    if method and right and method.upper() not in right:
        raise Invalid(f"DefaultAuthenticationMethod is {method!r}; {' or '.join(right)} is right")


def _key(app: App, channel: str) -> tuple[Any, Any]:
    return t.channels.c.application_id == app.id, t.channels.c.channel == channel


def _find(conn: Connection, app: App, channel: str) -> dict[str, Any]:
    row = read(conn, app, channel)
    if row is None:
        raise NotFound(f"The {channel} channel of application {app.id} is not set up")
    return row


def _set(
    room: Engage,
    conn: Connection,
    app: App,
    channel: str,
    body: dict[str, Any],
    enabled: bool,
    caller: Caller,
) -> None:
    now = room.clock.now()
    row = {
        "application_id": app.id, "channel": channel, "body": body, "enabled": enabled,
        "version": 1, "created": now, "modified": now, "modified_by": caller.principal,
    }  # fmt: skip
    changed = ("body", "enabled", "modified", "modified_by")
    statement = insert(room.db, t.channels).values(row)
    conn.execute(
        statement.on_conflict_do_update(
            index_elements=["application_id", "channel"],
            set_={
                **{name: statement.excluded[name] for name in changed},
                "version": t.channels.c.version + 1,
            },
        )
    )


def _show_common(kind: Kind, app: App, row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "ApplicationId": app.id,
        "Id": row["channel"].lower(),
        "Enabled": row["enabled"],
        "HasCredential": not kind.secrets or bool(row["body"].get("Has")),
        "IsArchived": False,
        "Version": row["version"],
        "CreationDate": iso(row["created"]),
        "LastModifiedDate": iso(row["modified"]),
        "LastModifiedBy": row["modified_by"],
    }


def _show(kind: Kind, app: App, row: Mapping[str, Any]) -> dict[str, Any]:
    body = dict(row["body"])
    has = body.pop("Has", None) or []
    shown = {**_show_common(kind, app, row), "Platform": kind.channel, **body}
    if kind.secrets == APNS_SECRETS:
        shown["HasTokenKey"] = "TokenKey" in has
    if kind.channel == "GCM":
        shown["HasFcmServiceCredentials"] = "ServiceJson" in has
    if kind.channel in ("GCM", "BAIDU"):
        shown["Credential"] = MASKED if "ApiKey" in has else ""
    return shown
