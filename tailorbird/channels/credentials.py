"""Providers' secrets of an application's channels, encrypted at rest, never shown again."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Mapping

import orjson
import sqlalchemy as sa
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy.engine import Connection

from tailorbird.channels import tables as t
from tailorbird.channels.room import Channels
from tailorbird.errors import Unavailable
from tailorbird.store import insert

NONCE_BYTES = 12
PURPOSE = "credentials"


def put(
    room: Channels,
    conn: Connection,
    application_id: str,
    channel_type: str,
    secret: Mapping[str, str],
) -> None:
    """Keep these in place of what was there."""
    assert room.db is not None
    row = {
        "application_id": application_id,
        "channel": channel_type,
        "sealed": _seal(room, application_id, channel_type, orjson.dumps(dict(secret))),
        "modified": room.clock.now(),
    }
    adding = insert(room.db, t.credentials).values(row)
    conn.execute(
        adding.on_conflict_do_update(
            index_elements=["application_id", "channel"],
            set_={name: adding.excluded[name] for name in ("sealed", "modified")},
        )
    )


def delete(conn: Connection, application_id: str, channel_type: str | None = None) -> None:
    """Forget those of a channel, or of the whole application."""
    where = [t.credentials.c.application_id == application_id]
    if channel_type is not None:
        where.append(t.credentials.c.channel == channel_type)
    conn.execute(sa.delete(t.credentials).where(*where))


def read(room: Channels, application_id: str, channel_type: str) -> dict[str, str]:
    """What was put there; empty when nothing was. Unavailable when the key is another one now."""
    if room.db is None:
        return {}
    c = t.credentials.c
    query = sa.select(c.sealed).where(c.application_id == application_id, c.channel == channel_type)
    with room.db.read() as conn:
        sealed = conn.scalar(query)
    return _open(room, application_id, channel_type, sealed) if sealed else {}


def _seal(room: Channels, application_id: str, channel_type: str, plain: bytes) -> str:
    nonce = secrets.token_bytes(NONCE_BYTES)
    place = f"{application_id}/{channel_type}".encode()
    return base64.b64encode(nonce + AESGCM(room.key(PURPOSE)).encrypt(nonce, plain, place)).decode()


def _open(room: Channels, application_id: str, channel_type: str, sealed: str) -> dict[str, str]:
    raw, place = base64.b64decode(sealed), f"{application_id}/{channel_type}".encode()
    try:
        plain = AESGCM(room.key(PURPOSE)).decrypt(raw[:NONCE_BYTES], raw[NONCE_BYTES:], place)
    except InvalidTag:
        raise Unavailable(
            f"The {channel_type} credentials of application {application_id} were sealed with"
            " another key; give every worker the same channels_key, or set the channel up again"
        ) from None
    found: dict[str, str] = orjson.loads(plain)
    return found
