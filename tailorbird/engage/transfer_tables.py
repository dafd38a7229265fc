"""Tables of import and export jobs, and of the lists that imported segments are."""

from __future__ import annotations

import sqlalchemy as sa

from tailorbird.store import Document, Serial, metadata

transfers = sa.Table(
    "engage_transfers",
    metadata,
    sa.Column("number", Serial, primary_key=True, autoincrement=True),
    sa.Column("id", sa.Text, nullable=False, unique=True),
    sa.Column("application_id", sa.Text, nullable=False),
    sa.Column("type", sa.Text, nullable=False),  # IMPORT or EXPORT
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("definition", Document, nullable=False),
    sa.Column("segment_id", sa.Text),
    sa.Column("segment_version", sa.Integer),
    sa.Column("pieces", Document, nullable=False),  # addresses of the files, once they are known
    sa.Column("piece", sa.Integer, nullable=False),  # the one being worked on
    sa.Column("at", sa.BigInteger, nullable=False),  # rows of it that are done; last endpoint seen
    sa.Column("failed_pieces", sa.Integer, nullable=False),
    sa.Column("processed", sa.BigInteger, nullable=False),
    sa.Column("failures", sa.BigInteger, nullable=False),
    sa.Column("reason", sa.Text),
    sa.Column("created", sa.Double, nullable=False),
    sa.Column("ended", sa.Double),
    sa.Index(None, "application_id", "type", "number"),
    sqlite_autoincrement=True,
)

transfer_failures = sa.Table(
    "engage_transfer_failures",
    metadata,
    sa.Column("transfer", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("piece", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("row", sa.BigInteger, primary_key=True, autoincrement=False),  # from 1; 0: the file
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("text", sa.Text, nullable=False),  # the row as it stood there
    sqlite_with_rowid=False,
)

lists = sa.Table(
    "engage_lists",
    metadata,
    sa.Column("number", Serial, primary_key=True, autoincrement=True),
    sa.Column("segment_id", sa.Text, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),  # of the segment, from which on it holds
    sa.Column("is_whole", sa.Boolean, nullable=False),  # its import is over
    sa.UniqueConstraint("segment_id", "version"),
    sqlite_autoincrement=True,
)

list_endpoints = sa.Table(
    "engage_list_endpoints",
    metadata,
    sa.Column("list", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("endpoint", sa.BigInteger, primary_key=True, autoincrement=False),
    sqlite_with_rowid=False,
)

list_users = sa.Table(
    "engage_list_users",
    metadata,
    sa.Column("list", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("user_id", sa.Text, primary_key=True),
    sqlite_with_rowid=False,
)
