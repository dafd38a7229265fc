"""The rows of templates and their versions: who has which, which is active, which the latest."""

from __future__ import annotations

from typing import Any, Protocol

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from tailorbird.engage import template_tables as t
from tailorbird.engage.template_types import TYPES, TemplateType
from tailorbird.errors import Invalid, LimitExceeded, NotFound

TEMPLATES_MAX = 20_000  # of an account in a region
VERSIONS_MAX = 5_000  # of a template
LATEST = "latest"
KEYS = ("account", "region", "name", "type")


class Owner(Protocol):
    """Whose template it is: a caller, or the application of a campaign."""

    @property
    def account(self) -> str: ...
    @property
    def region(self) -> str: ...


def kind_of(type_name: str) -> TemplateType:
    if type_name.upper() not in TYPES:
        raise Invalid(f"TemplateType is {type_name!r}; it is one of {', '.join(TYPES)}")
    return TYPES[type_name.upper()]


def identity(owner: Owner, kind: TemplateType, name: str) -> dict[str, Any]:
    return {"account": owner.account, "region": owner.region, "name": name, "type": kind.name}


def same(
    table: sa.Table, owner: Owner, kind: TemplateType, name: str
) -> list[sa.ColumnElement[bool]]:
    return [table.c[key] == value for key, value in identity(owner, kind, name).items()]


def row_of(conn: Connection, owner: Owner, kind: TemplateType, name: str) -> Any:
    query = sa.select(t.templates).where(*same(t.templates, owner, kind, name))
    row = conn.execute(query).mappings().first()
    if row is None:
        raise NotFound(f"There is no template {name} of type {kind.name}")
    return row


def version_row(conn: Connection, owner: Owner, kind: TemplateType, name: str, number: int) -> Any:
    versions = t.template_versions
    query = sa.select(versions).where(
        *same(versions, owner, kind, name), versions.c.version == number
    )
    row = conn.execute(query).mappings().first()
    if row is None:
        raise NotFound(f"There is no version {number} of the template {name} ({kind.name})")
    return row


def number_of(row: Any, version: str | None) -> int:
    """The number of a version as requests name it: a number, `latest`, or none for the active."""
    if version is None:
        return int(row["active_version"])
    if version == LATEST:
        return int(row["latest_version"])
    if not version.isdecimal() or len(version) > len(str(VERSIONS_MAX)):
        raise NotFound(f"There is no version {version!r} of the template {row['name']}")
    return int(version)


def next_version(row: Any) -> int:
    if row["latest_version"] >= VERSIONS_MAX:
        raise LimitExceeded(f"The template {row['name']} has {VERSIONS_MAX} versions already")
    return int(row["latest_version"]) + 1


def check_count(conn: Connection, owner: Owner) -> None:
    mine = (t.templates.c.account == owner.account, t.templates.c.region == owner.region)
    count = conn.scalar(sa.select(sa.func.count()).select_from(t.templates).where(*mine))
    if (count or 0) >= TEMPLATES_MAX:
        raise LimitExceeded(f"The account has {TEMPLATES_MAX} templates already")


def write_version(
    conn: Connection,
    owner: Owner,
    kind: TemplateType,
    name: str,
    number: int,
    body: dict[str, Any],
    now: float,
) -> None:
    versions = t.template_versions
    where = [*same(versions, owner, kind, name), versions.c.version == number]
    changed = conn.execute(sa.update(versions).where(*where).values(body=body, modified=now))
    if not changed.rowcount:
        row = identity(owner, kind, name) | {"version": number, "body": body}
        conn.execute(sa.insert(versions).values(**row, created=now, modified=now))


def change(conn: Connection, owner: Owner, kind: TemplateType, name: str, **values: Any) -> None:
    conn.execute(
        sa.update(t.templates).where(*same(t.templates, owner, kind, name)).values(**values)
    )


def delete_whole(conn: Connection, owner: Owner, kind: TemplateType, name: str) -> None:
    for table in (t.template_versions, t.templates):
        conn.execute(sa.delete(table).where(*same(table, owner, kind, name)))


def delete_version(
    conn: Connection, owner: Owner, kind: TemplateType, row: Any, number: int
) -> None:
    name, versions = row["name"], t.template_versions
    version_row(conn, owner, kind, name, number)
    mine = same(versions, owner, kind, name)
    others = sa.select(sa.func.max(versions.c.version)).where(*mine, versions.c.version != number)
    latest = conn.scalar(others)
    if latest is None:
        delete_whole(conn, owner, kind, name)
        return
    if number == row["active_version"]:
        raise Invalid(f"Version {number} of {name} is the active one; make another active first")
    conn.execute(sa.delete(versions).where(*mine, versions.c.version == number))
    change(conn, owner, kind, name, latest_version=max(latest, row["active_version"]))
