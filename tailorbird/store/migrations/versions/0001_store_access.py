"""Jobs; access keys, roles and policies."""

import sqlalchemy as sa
from alembic import op

from tailorbird.store.database import Document, Serial

revision = "0001_store_access"
down_revision = None


def upgrade() -> None:
    _jobs()
    _keys_and_roles()
    _managed_policies()
    _buckets()
    _uploads()


def _jobs() -> None:
    op.create_table(
        "store_jobs",
        sa.Column("id", Serial, primary_key=True, autoincrement=True),
        sa.Column("queue", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("key", sa.Text, unique=True),
        sa.Column("payload", Document, nullable=False),
        sa.Column("state", sa.SmallInteger, nullable=False),
        sa.Column("due", sa.Double, nullable=False),
        sa.Column("worker", sa.Text),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("max_attempts", sa.Integer, nullable=False),
        sa.Column("done", sa.BigInteger),
        sa.Column("total", sa.BigInteger),
        sa.Column("unit", sa.Text),
        sa.Column("result", Document),
        sa.Column("error", sa.Text),
        sa.Column("created", sa.Double, nullable=False),
        sa.Column("started", sa.Double),
        sa.Column("finished", sa.Double),
    )
    op.create_index(
        "ix_store_jobs_open",
        "store_jobs",
        ["queue", "due", "id"],
        sqlite_where=sa.text("state < 2"),
        postgresql_where=sa.text("state < 2"),
    )


def _keys_and_roles() -> None:
    op.create_table(
        "access_keys",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("secret", sa.Text, nullable=False),
        sa.Column("account", sa.Text, nullable=False),
        sa.Column("principal", sa.Text, nullable=False),
        sa.Column("session_token", sa.Text),
        sa.Column("created", sa.Double, nullable=False),
        sa.Column("expires", sa.Double),
    )
    op.create_index("ix_access_keys_expires", "access_keys", ["expires"])
    op.create_table(
        "access_roles",
        sa.Column("account", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("path", sa.Text, nullable=False),
        sa.Column("role_id", sa.Text, nullable=False),
        sa.Column("trust", sa.Text, nullable=False),
        sa.Column("description", sa.Text),
        sa.Column("max_session_seconds", sa.Integer, nullable=False),
        sa.Column("tags", Document, nullable=False),
        sa.Column("created", sa.Double, nullable=False),
    )
    op.create_table(
        "access_deleted_roles",
        sa.Column("account", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, primary_key=True),
    )
    op.create_table(
        "access_role_policies",
        sa.Column("account", sa.Text, primary_key=True),
        sa.Column("role", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("document", sa.Text, nullable=False),
    )


def _managed_policies() -> None:
    op.create_table(
        "access_policies",
        sa.Column("arn", sa.Text, primary_key=True),
        sa.Column("account", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("path", sa.Text, nullable=False),
        sa.Column("policy_id", sa.Text, nullable=False),
        sa.Column("description", sa.Text),
        sa.Column("default_version", sa.Integer, nullable=False),
        sa.Column("last_version", sa.Integer, nullable=False),
        sa.Column("tags", Document, nullable=False),
        sa.Column("created", sa.Double, nullable=False),
        sa.Column("updated", sa.Double, nullable=False),
    )
    op.create_index("ix_access_policies_account", "access_policies", ["account"])
    op.create_table(
        "access_policy_versions",
        sa.Column("arn", sa.Text, primary_key=True),
        sa.Column("version", sa.Integer, primary_key=True),
        sa.Column("document", sa.Text, nullable=False),
        sa.Column("created", sa.Double, nullable=False),
    )
    op.create_table(
        "access_attachments",
        sa.Column("account", sa.Text, primary_key=True),
        sa.Column("role", sa.Text, primary_key=True),
        sa.Column("policy_arn", sa.Text, primary_key=True),
    )
    op.create_index("ix_access_attachments_policy_arn", "access_attachments", ["policy_arn"])


def _buckets() -> None:
    op.create_table(
        "access_buckets",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("region", sa.Text, nullable=False),
        sa.Column("created", sa.Double, nullable=False),
        sa.Column("policy", sa.Text),
    )
    op.create_table(
        "access_object_notes",
        sa.Column("bucket", sa.Text, primary_key=True),
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("modified", sa.Double, nullable=False),
        sa.Column("etag", sa.Text, nullable=False),
        sa.Column("headers", Document, nullable=False),
        sa.Column("checksum", Document, nullable=False),
    )


def _uploads() -> None:
    op.create_table(
        "access_uploads",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("bucket", sa.Text, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("headers", Document, nullable=False),
        sa.Column("checksum", Document, nullable=False),
        sa.Column("principal", sa.Text, nullable=False),
        sa.Column("created", sa.Double, nullable=False),
    )
    op.create_table(
        "access_upload_parts",
        sa.Column("upload", sa.Text, primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("etag", sa.Text, nullable=False),
        sa.Column("checksum", Document, nullable=False),
        sa.Column("file", sa.Text, nullable=False),
        sa.Column("modified", sa.Double, nullable=False),
    )
