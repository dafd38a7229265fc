"""Channels of an application: which are switched on, and what they send as."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from tailorbird.access import Caller
from tailorbird.clock import iso
from tailorbird.engage import apps
from tailorbird.engage import tables as t
from tailorbird.engage.apps import App
from tailorbird.engage.room import Engage
from tailorbird.errors import NotFound
from tailorbird.store import insert

EMAIL = "EMAIL"


def update_email_channel(room: Engage, caller: Caller, request: dict[str, Any]) -> dict[str, Any]:
    wanted = dict(request["EmailChannelRequest"])
    enabled = wanted.pop("Enabled", None)
    with room.db.write() as conn:
        app = apps.find(conn, caller, request["ApplicationId"])
        _set(room, conn, app, EMAIL, wanted, enabled is not False, caller)
        return {"EmailChannelResponse": _show_email(app, _find(conn, app, EMAIL))}


def get_email_channel(room: Engage, caller: Caller, request: dict[str, Any]) -> dict[str, Any]:
    with room.db.read() as conn:
        app = apps.find(conn, caller, request["ApplicationId"])
        return {"EmailChannelResponse": _show_email(app, _find(conn, app, EMAIL))}


def delete_email_channel(room: Engage, caller: Caller, request: dict[str, Any]) -> dict[str, Any]:
    with room.db.write() as conn:
        app = apps.find(conn, caller, request["ApplicationId"])
        held = _find(conn, app, EMAIL)
        conn.execute(sa.delete(t.channels).where(*_key(app, EMAIL)))
    return {"EmailChannelResponse": _show_email(app, held)}


def get_channels(room: Engage, caller: Caller, request: dict[str, Any]) -> dict[str, Any]:
    with room.db.read() as conn:
        app = apps.find(conn, caller, request["ApplicationId"])
        mine = sa.select(t.channels).where(t.channels.c.application_id == app.id)
        rows = conn.execute(mine.order_by(t.channels.c.channel)).mappings().all()
    return {"ChannelsResponse": {"Channels": {row["channel"]: _show(app, row) for row in rows}}}


def read(conn: Connection, app: App, channel: str) -> dict[str, Any] | None:
    """A channel's row (`body`, `enabled`), or None when it was never set up."""
    row = conn.execute(sa.select(t.channels).where(*_key(app, channel))).mappings().first()
    return dict(row) if row else None


def blocked(app: App, channel: dict[str, Any] | None, sender: str | None) -> str | None:
    """Why no mail of an application can leave, with what to run; None when mail can."""
    remedy = (
        f"aws pinpoint update-email-channel --application-id {app.id} --email-channel-request"
        " FromAddress=you@example.com,Identity=you@example.com,Enabled=true"
    )
    if channel is None:
        return f"The EMAIL channel of the application is not set up; run: {remedy}"
    if not channel["enabled"]:
        return f"The EMAIL channel of the application is switched off; run: {remedy}"
    return None if sender else f"Neither message nor channel has a FromAddress; run: {remedy}"


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


def _show(app: App, row: Any) -> dict[str, Any]:
    return {
        "ApplicationId": app.id,
        "Id": row["channel"].lower(),
        "Enabled": row["enabled"],
        "HasCredential": True,
        "IsArchived": False,
        "Version": row["version"],
        "CreationDate": iso(row["created"]),
        "LastModifiedDate": iso(row["modified"]),
        "LastModifiedBy": row["modified_by"],
    }


def _show_email(app: App, row: Any) -> dict[str, Any]:
    return {**_show(app, row), "Platform": EMAIL, **row["body"]}
