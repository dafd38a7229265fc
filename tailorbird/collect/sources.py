"""Sources and their write keys."""

from __future__ import annotations

import re
import secrets
import string
import threading
import time
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from tailorbird.clock import Clock
from tailorbird.collect import counts, tables
from tailorbird.errors import AlreadyExists, Conflict, Invalid, NotFound
from tailorbird.settings import Settings
from tailorbird.store import Database, fetch, insert

ID_CHARACTERS = 10
WRITE_KEY_CHARACTERS = 32
NAME_MAX_CHARACTERS = 255
WRITE_KEY = re.compile(r"[A-Za-z0-9._~-]{4,100}")
CACHE_SECONDS = 5.0  # another process's changes to sources are known after this long
MISSING_SECONDS = 0.5  # a key that nobody has is not looked for again so soon
MISSING_MAX = 10_000  # such keys remembered
UNKNOWN = "unknown"  # the owner of calls whose write key nobody has
DEFAULT_NAME = "Default"
DEFAULT_CATALOG = "HTTP API"
ALPHABET = string.ascii_letters + string.digits

IS_KEY = "SELECT 1 FROM collect_write_keys WHERE key = ?"

NOT_SLUG = re.compile(r"[^a-z0-9]+")


@dataclass(frozen=True, slots=True)
class Source:
    """A source as the calls need it: `strict` and `client` are its settings."""

    id: str
    enabled: bool
    client: bool
    write_key: str


class Keyring:
    """Write key to source, from memory; a key that is not there may be another process's new one
    and is looked for at once."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self._sources: dict[str, Source] = {}
        self._missing: dict[str, float] = {}
        self._read = float("-inf")
        self._lock = threading.Lock()

    def find(self, key: str) -> Source | None:
        if time.monotonic() - self._read > CACHE_SECONDS:
            self.reload()
        if key not in self._sources and self._is_new(key):
            self.reload()
        return self._sources.get(key)

    def _is_new(self, key: str) -> bool:
        now = time.monotonic()
        if now - self._missing.get(key, float("-inf")) < MISSING_SECONDS or not WRITE_KEY.fullmatch(
            key
        ):
            return False
        with self.db.read() as conn:
            found = fetch(conn, self.db.sql(IS_KEY), (key,))
        if not found:
            if len(self._missing) >= MISSING_MAX:
                self._missing.clear()
            self._missing[key] = now
        return bool(found)

    def forget(self) -> None:
        """A source changed: read again before the next answer."""
        self._read = float("-inf")
        self._missing.clear()

    def reload(self) -> None:
        with self._lock:
            self._read = time.monotonic()
            self._sources = self._load()

    def _load(self) -> dict[str, Source]:
        keys, sources = tables.write_keys, tables.sources
        query = sa.select(
            keys.c.key, sources.c.id, sources.c.enabled, sources.c.settings
        ).join_from(keys, sources, keys.c.source_id == sources.c.id)
        with self.db.read() as conn:
            return {
                key: Source(source_id, enabled, settings.get("client") is True, key)
                for key, source_id, enabled, settings in conn.execute(query)
            }


def create(
    db: Database,
    clock: Clock,
    settings: Settings,
    name: str,
    slug: str | None = None,
    *,
    catalog: str = DEFAULT_CATALOG,
    enabled: bool = True,
    options: dict[str, Any] | None = None,
    write_key: str | None = None,
) -> dict[str, Any]:
    """Make a source with one write key."""
    _check_name(name)
    row = {
        "id": new_id(),
        "slug": _slug(slug or name),
        "name": name,
        "metadata_id": catalog,
        "enabled": enabled,
        "account": settings.account,
        "settings": options or {},
        "created": clock.now(),
    }
    with db.write() as conn:
        taken = insert(db, tables.sources).values(row).on_conflict_do_nothing()
        if conn.execute(taken).rowcount != 1:
            raise AlreadyExists(f"There is a source with the slug {row['slug']!r}; choose another")
        _add_key(conn, row["id"], write_key or new_write_key(), row["created"])
    return get(db, row["id"])


def ensure_default(
    db: Database, clock: Clock, settings: Settings, write_key: str
) -> dict[str, Any]:
    """The source that the data folder's write key belongs to, made when it is not there."""
    with db.read() as conn:
        found = conn.execute(
            sa.select(tables.write_keys.c.source_id).where(tables.write_keys.c.key == write_key)
        ).scalar()
    if found:
        return get(db, found)
    slug = "default" if not _has_slug(db, "default") else f"default-{new_id().lower()}"
    return create(db, clock, settings, DEFAULT_NAME, slug, write_key=write_key)


def get(db: Database, source_id: str) -> dict[str, Any]:
    with db.read() as conn:
        query = sa.select(tables.sources).where(tables.sources.c.id == source_id)
        row = conn.execute(query).mappings().first()
        if row is None:
            raise NotFound(f"There is no source {source_id!r}")
        return _shown(row, _keys(conn).get(source_id, []))


def list_all(db: Database) -> list[dict[str, Any]]:
    """Every source, the oldest first."""
    query = sa.select(tables.sources).order_by(tables.sources.c.created, tables.sources.c.id)
    with db.read() as conn:
        keys = _keys(conn)
        return [_shown(row, keys.get(row["id"], [])) for row in conn.execute(query).mappings()]


def update(db: Database, source_id: str, **changes: Any) -> dict[str, Any]:
    """Change name, slug, enabled or settings of a source."""
    allowed = {"name", "slug", "enabled", "settings"}
    if unknown := changes.keys() - allowed:
        raise Invalid(f"A source has no field {sorted(unknown)[0]!r} to change")
    if "name" in changes:
        _check_name(changes["name"])
    get(db, source_id)
    if changes:
        with db.write() as conn:
            try:
                conn.execute(
                    sa.update(tables.sources)
                    .where(tables.sources.c.id == source_id)
                    .values(**changes)
                )
            except sa.exc.IntegrityError:
                raise AlreadyExists(
                    f"There is a source with the slug {changes.get('slug')!r}"
                ) from None
    return get(db, source_id)


def delete(db: Database, source_id: str) -> None:
    """Take a source away; its destinations have to go first, its archive stays."""
    get(db, source_id)
    c = tables.destinations.c
    with db.write() as conn:
        left = conn.execute(sa.select(c.id).where(c.source_id == source_id)).scalars().all()
        if left:
            raise Conflict(
                f"Source {source_id} has destinations: {', '.join(left)}; delete them first"
            )
        for table in (tables.write_keys, tables.connections):
            conn.execute(sa.delete(table).where(table.c.source_id == source_id))
        conn.execute(sa.delete(tables.sources).where(tables.sources.c.id == source_id))


def add_write_key(db: Database, clock: Clock, source_id: str) -> dict[str, Any]:
    get(db, source_id)
    with db.write() as conn:
        _add_key(conn, source_id, new_write_key(), clock.now())
    return get(db, source_id)


def delete_write_key(db: Database, source_id: str, key: str) -> dict[str, Any]:
    k = tables.write_keys
    with db.write() as conn:
        gone = conn.execute(sa.delete(k).where(k.c.source_id == source_id, k.c.key == key)).rowcount
        if not gone:
            raise NotFound(f"Source {source_id!r} has no such write key")
    return get(db, source_id)


def overview(db: Database, source_id: str) -> dict[str, Any]:
    """What became of a source's calls, by step and reason, with samples of the refused ones.

    `unknown` stands for the calls whose write key nobody has.
    """
    if source_id != UNKNOWN:
        get(db, source_id)
    rows = counts.totals(db, source_id)
    return {
        "steps": counts.by_step(rows),
        "reasons": rows,
        "samples": counts.last_samples(db, source_id),
    }


def new_id() -> str:
    return "".join(secrets.choice(ALPHABET) for _ in range(ID_CHARACTERS))


def new_write_key() -> str:
    return "".join(secrets.choice(ALPHABET) for _ in range(WRITE_KEY_CHARACTERS))


def _add_key(conn: Connection, source_id: str, key: str, now: float) -> None:
    if not WRITE_KEY.fullmatch(key):
        raise Invalid("writeKey is not 4 to 100 letters, digits, '-', '_', '.' or '~'")
    keys = tables.write_keys
    if conn.execute(sa.select(keys.c.source_id).where(keys.c.key == key)).first():
        raise Conflict("Another source has this writeKey")
    conn.execute(tables.write_keys.insert().values(key=key, source_id=source_id, created=now))


def _keys(conn: Connection) -> dict[str, list[str]]:
    query = sa.select(tables.write_keys).order_by(tables.write_keys.c.created)
    keys: dict[str, list[str]] = {}
    for row in conn.execute(query):
        keys.setdefault(row.source_id, []).append(row.key)
    return keys


def _has_slug(db: Database, slug: str) -> bool:
    with db.read() as conn:
        query = sa.select(tables.sources.c.id).where(tables.sources.c.slug == slug)
        return conn.execute(query).first() is not None


def _slug(text: str) -> str:
    slug = NOT_SLUG.sub("-", text.lower()).strip("-")
    if not slug:
        raise Invalid(f"{text!r} makes no slug; letters and digits are needed")
    return slug


def _check_name(name: Any) -> None:
    if not isinstance(name, str) or not 0 < len(name) <= NAME_MAX_CHARACTERS:
        raise Invalid(f"name is {name!r}; a text of 1 to {NAME_MAX_CHARACTERS} characters is right")


def _shown(row: Any, keys: list[str]) -> dict[str, Any]:
    return {**row, "write_keys": keys}
