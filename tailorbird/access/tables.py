"""What the room keeps: access keys, roles and policies, and what S3 clients say of objects."""

import sqlalchemy as sa

from tailorbird.store import Document, metadata

access_keys = sa.Table(
    "access_keys",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("secret", sa.Text, nullable=False),
    sa.Column("account", sa.Text, nullable=False),
    sa.Column("principal", sa.Text, nullable=False),
    sa.Column("session_token", sa.Text),
    sa.Column("created", sa.Double, nullable=False),
    sa.Column("expires", sa.Double, index=True),
)

access_roles = sa.Table(
    "access_roles",
    metadata,
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

# Names once used: a session of a deleted role is told apart from one of a role never made here.
access_deleted_roles = sa.Table(
    "access_deleted_roles",
    metadata,
    sa.Column("account", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, primary_key=True),
)

access_role_policies = sa.Table(
    "access_role_policies",
    metadata,
    sa.Column("account", sa.Text, primary_key=True),
    sa.Column("role", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("document", sa.Text, nullable=False),
)

access_policies = sa.Table(
    "access_policies",
    metadata,
    sa.Column("arn", sa.Text, primary_key=True),
    sa.Column("account", sa.Text, nullable=False, index=True),
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

access_policy_versions = sa.Table(
    "access_policy_versions",
    metadata,
    sa.Column("arn", sa.Text, primary_key=True),
    sa.Column("version", sa.Integer, primary_key=True),
    sa.Column("document", sa.Text, nullable=False),
    sa.Column("created", sa.Double, nullable=False),
)

access_attachments = sa.Table(
    "access_attachments",
    metadata,
    sa.Column("account", sa.Text, primary_key=True),
    sa.Column("role", sa.Text, primary_key=True),
    sa.Column("policy_arn", sa.Text, primary_key=True, index=True),
)

access_buckets = sa.Table(
    "access_buckets",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("region", sa.Text, nullable=False),
    sa.Column("created", sa.Double, nullable=False),
    sa.Column("policy", sa.Text),
)

# What a client said of an object beside its bytes. `size` and `modified` tell whether the row
# still speaks of the object there: other rooms write objects without asking this one.
access_object_notes = sa.Table(
    "access_object_notes",
    metadata,
    sa.Column("bucket", sa.Text, primary_key=True),
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("modified", sa.Double, nullable=False),
    sa.Column("etag", sa.Text, nullable=False),
    sa.Column("headers", Document, nullable=False),
    sa.Column("checksum", Document, nullable=False),
)

access_uploads = sa.Table(
    "access_uploads",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("bucket", sa.Text, nullable=False),
    sa.Column("key", sa.Text, nullable=False),
    sa.Column("headers", Document, nullable=False),
    sa.Column("checksum", Document, nullable=False),
    sa.Column("principal", sa.Text, nullable=False),
    sa.Column("created", sa.Double, nullable=False),
)

access_upload_parts = sa.Table(
    "access_upload_parts",
    metadata,
    sa.Column("upload", sa.Text, primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("etag", sa.Text, nullable=False),
    sa.Column("checksum", Document, nullable=False),
    sa.Column("file", sa.Text, nullable=False),
    sa.Column("modified", sa.Double, nullable=False),
)
