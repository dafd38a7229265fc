"""One door to two databases."""

from __future__ import annotations

import importlib
import pkgutil
import sqlite3
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

import tailorbird
from tailorbird.errors import Invalid
from tailorbird.store import Database, ask, fetch, insert, metadata
from tailorbird.store.migrations import upgrade


def test_a_transaction_is_whole_or_not_at_all(db: Database) -> None:
    with pytest.raises(ValueError), db.write() as conn:
        conn.execute(job_row("a"))
        raise ValueError
    assert count(db) == 0


def test_a_transaction_inside_a_transaction_is_refused(db: Database) -> None:
    with pytest.raises(RuntimeError, match="pass the connection down"), db.write(), db.write():
        pass


def test_what_was_committed_is_read_by_another_connection(db: Database) -> None:
    with db.write() as conn:
        conn.execute(job_row("a"))
        assert count(db) == 0
    assert count(db) == 1


def test_a_look_sees_what_was_committed_and_writes_nothing(db: Database) -> None:
    with db.write() as conn:
        conn.execute(job_row("a"))
        if db.dialect == "sqlite":
            assert db.look("SELECT COUNT(*) FROM store_jobs") == [(0,)]
    assert db.look(db.sql("SELECT COUNT(*) FROM store_jobs WHERE kind = ?"), ("a",)) == [(1,)]
    if db.dialect == "sqlite":
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            db.look("DELETE FROM store_jobs")


def test_a_door_counts_the_changes_made_through_it(db: Database) -> None:
    door = db.door()
    with door.write() as conn:
        conn.execute(job_row("a"))
    with door.write(in_mind=False):
        pass
    assert (door.changes, db.changes, count(db)) == (1, 0, 1)


def test_the_drivers_own_errors_are_said_as_sqlalchemy_says_them(db: Database) -> None:
    breaks = "SELECT * FROM no_such_table"
    if db.dialect == "postgresql":  # as a PostgreSQL that is shut down ends its connections
        breaks = "SELECT pg_terminate_backend(pg_backend_pid())"
    for way in (fetch, lambda conn, text: ask(conn, [(text, ())])):
        with pytest.raises(sa.exc.OperationalError), db.read() as conn:
            way(conn, breaks)
    assert count(db) == 0  # and the pool has found a connection that works


def test_driver_sql_is_written_once_for_both_drivers(db: Database) -> None:
    with db.write() as conn:
        conn.execute(job_row("50% off"))
    with db.read() as conn:
        query = db.sql("SELECT payload FROM store_jobs WHERE kind LIKE '50%' AND kind = ?")
        [(payload,)] = conn.exec_driver_sql(query, ("50% off",)).fetchall()
    assert db.load(payload) == {"x": [1, {"y": None}]}


def test_the_migrations_make_exactly_the_tables_of_the_rooms(db: Database) -> None:
    for module in pkgutil.walk_packages(tailorbird.__path__, "tailorbird."):
        if module.name.rpartition(".")[2].endswith("tables"):
            importlib.import_module(module.name)
    with db.engine.connect() as conn:
        context = MigrationContext.configure(conn, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []


def test_a_database_file_is_its_owners_alone(tmp_path: Path) -> None:
    db = Database(f"sqlite:///{tmp_path / 'new' / 'x.db'}")
    upgrade(db)
    modes = {file.name: file.stat().st_mode & 0o777 for file in (tmp_path / "new").iterdir()}
    assert modes == dict.fromkeys(["x.db", "x.db-wal", "x.db-shm"], 0o600)
    db.close()


def test_upgrading_twice_changes_nothing(db: Database) -> None:
    upgrade(db)
    assert count(db) == 0


def test_an_insert_into_a_conflict_counts_no_rows(db: Database) -> None:
    row = insert(db, metadata.tables["store_jobs"]).values(
        queue="q", kind="k", key="once", payload={}, state=0, due=0, attempt=0,
        max_attempts=1, created=0,
    )  # fmt: skip
    with db.write() as conn:
        counts = [conn.execute(row.on_conflict_do_nothing()).rowcount for _ in range(2)]
    assert counts == [1, 0]


@pytest.mark.parametrize(
    ("url", "says"),
    [("mysql://u@h/d", "SQLite and PostgreSQL"), ("no url", "is not a URL")],
)
def test_a_database_we_do_not_serve_is_named(url: str, says: str) -> None:
    with pytest.raises(Invalid, match=says):
        Database(url)


def job_row(kind: str) -> sa.Insert:
    values = {"queue": "q", "kind": kind, "payload": {"x": [1, {"y": None}]}, "state": 0}
    return (
        metadata.tables["store_jobs"]
        .insert()
        .values(**values, due=0, attempt=0, max_attempts=1, created=0)
    )


def count(db: Database) -> int:
    with db.read() as conn:
        return conn.exec_driver_sql("SELECT COUNT(*) FROM store_jobs").scalar_one()
