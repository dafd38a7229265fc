"""The database: SQLite (WAL) or PostgreSQL behind one small door.

Rooms define their own tables on `metadata`.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from pathlib import Path
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.pool import QueuePool

from tailorbird.errors import Invalid

BUSY_TIMEOUT_MS = 30_000
POOL_SIZE = 32
KNOCK_AFTER_SECONDS = 1.0  # a connection that rested longer is asked whether it still is one
LOOKING_CACHE_KIB = 8_192  # pages that a connection which only looks keeps
AUTOCOMMIT: dict[str, dict[str, Any]] = {
    "sqlite": {"tailorbird_autocommit": True},
    "postgresql": {"isolation_level": "AUTOCOMMIT"},
}

metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# A customer's own object, kept with the service's own field names.
Document = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")

# A growing integer key: SQLite only counts INTEGER PRIMARY KEY up by itself.
Serial = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


class Database:
    """One database. `read()` is autocommit; `write()` is one transaction, alone in its thread.

    `changes` grows with every `write()` of this door, so that what was read can be kept in mind.
    """

    def __init__(self, url: str) -> None:
        self.engine = _engine(url)
        self.dialect = self.engine.dialect.name
        self._reading = self.engine.execution_options(**AUTOCOMMIT[self.dialect])
        self._durable = self.engine.execution_options(tailorbird_durable=True)
        self.changes = 0
        self._writing = threading.local()
        self._looking = _Looking(self.engine.url.database) if self.dialect == "sqlite" else None
        # SQLite has one writer: queueing here is fair and cheaper than its busy handler.
        self._turn = threading.Lock() if self.dialect == "sqlite" else None

    @contextmanager
    def read(self) -> Iterator[Connection]:
        with self._reading.connect() as conn:
            yield conn

    def door(self) -> Database:
        """The same database with `changes` of its own, for a room that keeps rows in mind."""
        return copy(self)

    def look(self, statement: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """What one query of `sql` finds, in autocommit. On SQLite by a connection the thread keeps:
        a pool and its bookkeeping would cost several times the query."""
        if self._looking is not None:
            return self._looking.connection().execute(statement, values).fetchall()
        with self.read() as conn:
            return fetch(conn, statement, values)

    @contextmanager
    def write(self, durable: bool = False, *, in_mind: bool = True) -> Iterator[Connection]:
        """One transaction. What is committed survives a killed process; `durable`: a power cut too
        (PostgreSQL always does that, SQLite then waits for the disk). `in_mind` False: it changes
        only rows that nobody keeps in mind."""
        engine = self._durable if durable else self.engine
        if getattr(self._writing, "busy", False):
            raise RuntimeError("write() inside write(): pass the connection down instead")
        self._writing.busy = True
        try:
            if self._turn is None:
                with engine.begin() as conn:
                    yield conn
            else:
                with self._turn, engine.begin() as conn:
                    yield conn
        finally:
            self._writing.busy = False
            if in_mind:
                self.changes += 1

    def sql(self, text: str) -> str:
        """Driver SQL for `exec_driver_sql`, written with `?` for both drivers."""
        return _written(self.dialect, text)

    @staticmethod
    def written(conn: Connection, text: str) -> str:
        """The same for who has a connection only."""
        return _written(conn.dialect.name, text)

    @staticmethod
    def dump(value: Any) -> str:
        """A document as driver SQL stores it."""
        return orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS).decode()

    @staticmethod
    def load(value: Any) -> Any:
        """A document as driver SQL returns it: SQLite gives text, PostgreSQL the object."""
        return orjson.loads(value) if isinstance(value, str | bytes) else value

    def close(self) -> None:
        if self._looking is not None:
            self._looking.close()
        self.engine.dispose()


class _Looking:
    """SQLite connections that only read, one a thread."""

    def __init__(self, file: str | None) -> None:
        self._file = file or ":memory:"
        self._own = threading.local()
        self._made: list[sqlite3.Connection] = []

    def connection(self) -> sqlite3.Connection:
        found: sqlite3.Connection | None = getattr(self._own, "connection", None)
        if found is None:
            timeout = BUSY_TIMEOUT_MS / 1000
            found = sqlite3.connect(
                self._file, timeout=timeout, isolation_level=None, check_same_thread=False
            )
            found.execute(f"PRAGMA cache_size=-{LOOKING_CACHE_KIB}")
            found.execute("PRAGMA query_only=ON")
            self._own.connection = found
            self._made.append(found)
        return found

    def close(self) -> None:
        self._own = threading.local()
        while self._made:
            self._made.pop().close()


def _written(dialect: str, text: str) -> str:
    return text if dialect == "sqlite" else text.replace("%", "%%").replace("?", "%s")


def fetch(conn: Connection, statement: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    """What a query of `Database.sql` finds, straight from the driver: where a request asks several
    times, SQLAlchemy's bookkeeping (70 us a query) would be most of what it costs."""
    return _found(_executed(conn, statement, values))


def each(conn: Connection, statement: str, values: Sequence[Any] = ()) -> Iterator[tuple[Any, ...]]:
    """The same one row after the other: for rows so large that a reader stops early."""
    cursor = _executed(conn, statement, values)
    try:
        yield from cursor
    finally:
        cursor.close()


Question = tuple[str, Sequence[Any]]  # a statement of `Database.sql` and its parameters


def ask(conn: Connection, questions: Sequence[Question]) -> list[list[tuple[Any, ...]]]:
    """What several statements find, straight from the driver: one trip to PostgreSQL for all."""
    if conn.dialect.name == "sqlite":
        return [_found(_executed(conn, *one)) for one in questions]
    driver: Any = conn.connection.driver_connection
    try:
        with driver.pipeline():
            cursors = [driver.cursor().execute(*one) for one in questions]
        return [_found(cursor) for cursor in cursors]
    except conn.dialect.loaded_dbapi.OperationalError as error:
        raise _away(questions[0][0], error) from error


def _executed(conn: Connection, statement: str, values: Sequence[Any]) -> Any:
    cursor = conn.connection.cursor()
    try:
        cursor.execute(statement, values)
    except conn.dialect.loaded_dbapi.OperationalError as error:
        raise _away(statement, error) from error
    return cursor


def _away(statement: str, error: Exception) -> sa.exc.OperationalError:
    """The driver's error in SQLAlchemy's words: whoever waits for the database knows those."""
    return sa.exc.OperationalError(statement, None, error)


def _found(cursor: Any) -> list[tuple[Any, ...]]:
    try:
        return list(cursor.fetchall()) if _has_rows(cursor) else []
    finally:
        cursor.close()


def _has_rows(cursor: Any) -> bool:
    """Whether it was a query; psycopg describes every column to whoever asks for those."""
    result = getattr(cursor, "pgresult", None)
    return bool(cursor.description if result is None else result.nfields)


def insert(db: Database, table: sa.Table) -> Any:
    """INSERT that knows `on_conflict_do_update` and `on_conflict_do_nothing` in this dialect."""
    statement: Any = (sqlite if db.dialect == "sqlite" else postgresql).insert(table)
    return statement.execution_options(preserve_rowcount=True)  # 0 tells a conflict on both


def _engine(url: str) -> Engine:
    try:
        parsed = sa.make_url(url)
    except sa.exc.ArgumentError:
        raise Invalid(
            f"database_url {url!r} is not a URL; sqlite:///file or postgresql://..."
        ) from None
    if parsed.drivername in ("postgresql", "postgres"):
        parsed = parsed.set(drivername="postgresql+psycopg")
    if parsed.get_backend_name() not in ("sqlite", "postgresql"):
        raise Invalid(
            f"database_url is for {parsed.get_backend_name()}; SQLite and PostgreSQL are served"
        )
    if parsed.get_backend_name() == "sqlite":
        return _sqlite(parsed)
    return _postgresql(parsed)


def _postgresql(url: sa.URL) -> Engine:
    try:
        engine = sa.create_engine(
            url,
            pool_size=POOL_SIZE,
            max_overflow=POOL_SIZE,
            json_serializer=Database.dump,
            json_deserializer=orjson.loads,
        )
    except ModuleNotFoundError:
        raise Invalid("PostgreSQL needs the extra: pip install 'tailorbird[postgres]'") from None

    def knock(driver: Any, record: Any, _fairy: Any) -> None:
        if time.monotonic() - record.info.get("back", 0.0) > KNOCK_AFTER_SECONDS:
            try:
                engine.dialect.do_ping(driver)
            except engine.dialect.loaded_dbapi.Error:
                raise sa.exc.InvalidatePoolError from None

    sa.event.listen(engine, "checkout", knock)
    sa.event.listen(engine, "checkin", _note_return)
    return engine


def _note_return(_driver: Any, record: Any) -> None:
    record.info["back"] = time.monotonic()


def _sqlite(url: sa.URL) -> Engine:
    if url.database:
        file = Path(url.database)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch(mode=0o600)  # keys are in it; SQLite gives its other files the same mode
    engine = sa.create_engine(
        url,
        poolclass=QueuePool,
        pool_size=POOL_SIZE,
        max_overflow=POOL_SIZE,
        connect_args={"check_same_thread": False, "timeout": BUSY_TIMEOUT_MS / 1000},
        json_serializer=Database.dump,
        json_deserializer=orjson.loads,
    )
    sa.event.listen(engine, "connect", _prepare_sqlite)
    sa.event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # we say BEGIN ourselves
    for pragma in (
        "journal_mode=WAL",
        "synchronous=NORMAL",
        "foreign_keys=ON",
        "cache_size=-65536",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(conn: Connection) -> None:
    options = conn.get_execution_options()
    if options.get("tailorbird_autocommit"):
        return
    durable = options.get("tailorbird_durable", False)
    if durable != conn.info.get("durable", False):
        conn.exec_driver_sql(f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")
        conn.info["durable"] = durable
    conn.exec_driver_sql("BEGIN IMMEDIATE")
