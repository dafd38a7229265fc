"""Message templates: versions, of which one is active and is the one that is sent.

Source: service model, and Pinpoint user guide, "Managing versions of message templates".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from tailorbird import ids
from tailorbird.access import Caller
from tailorbird.clock import iso
from tailorbird.engage import paging, tag_rules
from tailorbird.engage import template_tables as t
from tailorbird.engage.recommender_tables import recommenders
from tailorbird.engage.render import DEFAULT_OPTIONS, Compiled, Options, compile_message
from tailorbird.engage.room import Engage
from tailorbird.engage.template_types import (
    TYPES,
    TemplateType,
    check_body,
    check_name,
    defaults,
    message_for,
)
from tailorbird.errors import AlreadyExists, Invalid, LimitExceeded, NotFound
from tailorbird.store import insert

TEMPLATES_MAX = 20_000  # of an account in a region
VERSIONS_MAX = 5_000  # of a template
LATEST = "latest"


class Owner(Protocol):
    """Whose template it is: a caller, or the application of a campaign."""

    @property
    def account(self) -> str: ...
    @property
    def region(self) -> str: ...


@dataclass(frozen=True)
class Template:
    """One version of a template, as a campaign or message uses it."""

    name: str
    kind: TemplateType
    version: int
    body: Mapping[str, Any]

    @property
    def recommender_id(self) -> str | None:
        return self.body.get("RecommenderId")

    def message(self, channel_type: str) -> Mapping[str, Any]:
        """The parts that are sent on that channel, not rendered."""
        return message_for(self.kind, self.body, channel_type)

    def compile(self, channel_type: str, options: Options = DEFAULT_OPTIONS) -> Compiled:
        return compile_message(
            self.message(channel_type), defaults=defaults(self.body), options=options
        )


def find_named(
    conn: Connection, owner: Owner, kind: str, named: Mapping[str, Any], version: str | None = None
) -> Template:
    """What a member of a TemplateConfiguration names; Invalid for a version without a name."""
    if not named.get("Name"):
        raise Invalid(f"TemplateConfiguration: Name of the {kind} template is missing")
    return find(conn, owner, kind, named["Name"], version or named.get("Version"))


def find(
    conn: Connection, owner: Owner, type_name: str, name: str, version: str | None = None
) -> Template:
    """The version asked for, else the active one; NotFound when there is none."""
    kind = _kind(type_name)
    row = _row(conn, owner, kind, name)
    number = _number(row, version)
    return Template(name, kind, number, _version_row(conn, owner, kind, name, number)["body"])


def arn(owner: Owner, kind: TemplateType, name: str) -> str:
    return ids.arn("mobiletargeting", owner.region, owner.account, f"templates/{name}/{kind.name}")


def tags(conn: Connection, owner: Owner, type_name: str, name: str) -> dict[str, str]:
    """The tags of a template."""
    found: dict[str, str] = _row(conn, owner, _kind(type_name), name)["tags"]
    return found


def set_tags(
    conn: Connection, owner: Owner, type_name: str, name: str, tags: Mapping[str, str]
) -> None:
    """Replace the tags of a template."""
    kind = _kind(type_name)
    _row(conn, owner, kind, name)
    conn.execute(
        sa.update(t.templates).where(*_is(t.templates, owner, kind, name)).values(tags=dict(tags))
    )


def create_template(
    kind: TemplateType, room: Engage, caller: Caller, request: dict[str, Any]
) -> dict[str, Any]:
    name, wanted = check_name(request["TemplateName"]), dict(request[kind.request])
    tags = tag_rules.checked(wanted.pop("tags", None))
    check_body(kind, wanted)
    _check_recommender(room, caller, wanted)
    now = room.clock.now()
    row = _identity(caller, kind, name) | {
        "active_version": 1, "latest_version": 1, "tags": tags, "created": now, "modified": now,
    }  # fmt: skip
    with room.db.write() as conn:
        _check_count(conn, caller)
        adding = insert(room.db, t.templates).values(row).on_conflict_do_nothing()
        if conn.execute(adding.returning(t.templates.c.name)).first() is None:
            raise AlreadyExists(
                f"There is a template {name} of type {kind.name} already",
                code="BadRequestException",
            )
        _write_version(conn, caller, kind, name, 1, wanted, now)
    answer = {"Arn": arn(caller, kind, name), "Message": "Created", "RequestID": caller.request_id}
    return {kind.created: answer}


def get_template(
    kind: TemplateType, room: Engage, caller: Caller, request: dict[str, Any]
) -> dict[str, Any]:
    name = request["TemplateName"]
    with room.db.read() as conn:
        row = _row(conn, caller, kind, name)
        number = _number(row, request.get("Version"))
        version = _version_row(conn, caller, kind, name, number)
    answer = _show_version(version) | version["body"] | {"tags": row["tags"]}
    return {kind.response: answer | {"Arn": arn(caller, kind, name)}}


def update_template(
    kind: TemplateType, room: Engage, caller: Caller, request: dict[str, Any]
) -> dict[str, Any]:
    """Overwrite the latest version, or add one. The active version stays the one it is."""
    name, wanted = request["TemplateName"], dict(request[kind.request])
    wanted.pop("tags", None)  # not processed in updates since 2023-05-22 (service model)
    check_body(kind, wanted)
    _check_recommender(room, caller, wanted)
    with room.db.write() as conn:
        row = _row(conn, caller, kind, name)
        latest, given = row["latest_version"], request.get("Version")
        if request.get("CreateNewVersion"):
            if given is not None:
                raise Invalid("Give either version or create-new-version=true, not both")
            latest = _next_version(row)
        elif given is not None and _number(row, given) != latest:
            raise Invalid(f"Version {given} of {name} is not the latest ({latest}) any more")
        _write_version(conn, caller, kind, name, latest, wanted, room.clock.now())
        _change(conn, caller, kind, name, latest_version=latest, modified=room.clock.now())
    return _accepted(caller)


def delete_template(
    kind: TemplateType, room: Engage, caller: Caller, request: dict[str, Any]
) -> dict[str, Any]:
    """Delete a template with all its versions, or the one version asked for."""
    name, given = request["TemplateName"], request.get("Version")
    with room.db.write() as conn:
        row = _row(conn, caller, kind, name)
        if given is None:
            _delete_whole(conn, caller, kind, name)
        else:
            _delete_version(conn, caller, kind, row, _number(row, given))
    return _accepted(caller)


def update_active_version(room: Engage, caller: Caller, request: dict[str, Any]) -> dict[str, Any]:
    kind, name = _kind(request["TemplateType"]), request["TemplateName"]
    wanted = request["TemplateActiveVersionRequest"].get("Version") or LATEST
    with room.db.write() as conn:
        number = _number(_row(conn, caller, kind, name), wanted)
        _version_row(conn, caller, kind, name, number)
        _change(conn, caller, kind, name, active_version=number)
    return _accepted(caller)


def list_templates(room: Engage, caller: Caller, request: dict[str, Any]) -> dict[str, Any]:
    """Templates by name, each as its active version; `Prefix` and `TemplateType` narrow it."""
    size, last = paging.size_of(request), paging.after(_token(request), ["", ""])
    table = t.templates
    where = [table.c.account == caller.account, table.c.region == caller.region]
    where.append(sa.tuple_(table.c.name, table.c.type) > sa.tuple_(*map(sa.literal, last)))
    if request.get("TemplateType"):
        where.append(table.c.type == _kind(request["TemplateType"]).name)
    if request.get("Prefix"):
        where.append(table.c.name.startswith(request["Prefix"], autoescape=True))
    query = sa.select(table, t.template_versions.c.body).join(
        t.template_versions,
        sa.and_(
            *(table.c[key] == t.template_versions.c[key] for key in _KEYS),
            t.template_versions.c.version == table.c.active_version,
        ),
    )
    query = query.where(*where).order_by(table.c.name, table.c.type).limit(size + 1)
    with room.db.read() as conn:
        rows = conn.execute(query).mappings().all()
    shown = paging.page(rows, size, _show_template, lambda row: [row["name"], row["type"]])
    return {"TemplatesResponse": shown}


def list_versions(room: Engage, caller: Caller, request: dict[str, Any]) -> dict[str, Any]:
    """The versions of a template, oldest first."""
    kind, name = _kind(request["TemplateType"]), request["TemplateName"]
    size, last = paging.size_of(request), paging.after(_token(request), [0])
    versions = t.template_versions
    query = sa.select(versions).where(
        *_is(versions, caller, kind, name), versions.c.version > last[0]
    )
    with room.db.read() as conn:
        _row(conn, caller, kind, name)
        rows = conn.execute(query.order_by(versions.c.version).limit(size + 1)).mappings().all()
    shown = paging.page(rows, size, _show_listed_version, lambda row: [row["version"]])
    return {"TemplateVersionsResponse": shown | {"RequestID": caller.request_id}}


TEMPLATE_OPERATIONS = {
    f"{verb}{kind.word}Template": partial(operation, kind)
    for kind in TYPES.values()
    for verb, operation in (
        ("Create", create_template),
        ("Get", get_template),
        ("Update", update_template),
        ("Delete", delete_template),
    )
} | {
    "ListTemplates": list_templates,
    "ListTemplateVersions": list_versions,
    "UpdateTemplateActiveVersion": update_active_version,
}

_KEYS = ("account", "region", "name", "type")


def _check_recommender(room: Engage, caller: Caller, body: Mapping[str, Any]) -> None:
    """Invalid when a template names a recommender that is not there."""
    wanted, r = body.get("RecommenderId"), recommenders.c
    if not wanted:
        return
    mine = (r.id == wanted, r.account == caller.account, r.region == caller.region)
    with room.db.read() as conn:
        if conn.execute(sa.select(r.id).where(*mine)).first() is None:
            raise Invalid(f"RecommenderId: there is no recommender configuration {wanted}")


def _kind(type_name: str) -> TemplateType:
    if type_name.upper() not in TYPES:
        raise Invalid(f"TemplateType is {type_name!r}; it is one of {', '.join(TYPES)}")
    return TYPES[type_name.upper()]


def _identity(owner: Owner, kind: TemplateType, name: str) -> dict[str, Any]:
    return {"account": owner.account, "region": owner.region, "name": name, "type": kind.name}


def _is(
    table: sa.Table, owner: Owner, kind: TemplateType, name: str
) -> list[sa.ColumnElement[bool]]:
    return [table.c[key] == value for key, value in _identity(owner, kind, name).items()]


def _row(conn: Connection, owner: Owner, kind: TemplateType, name: str) -> Any:
    query = sa.select(t.templates).where(*_is(t.templates, owner, kind, name))
    row = conn.execute(query).mappings().first()
    if row is None:
        raise NotFound(f"There is no template {name} of type {kind.name}")
    return row


def _version_row(conn: Connection, owner: Owner, kind: TemplateType, name: str, number: int) -> Any:
    versions = t.template_versions
    query = sa.select(versions).where(
        *_is(versions, owner, kind, name), versions.c.version == number
    )
    row = conn.execute(query).mappings().first()
    if row is None:
        raise NotFound(f"There is no version {number} of the template {name} ({kind.name})")
    return row


def _number(row: Any, version: str | None) -> int:
    """The number of a version as requests name it: a number, `latest`, or none for the active."""
    if version is None:
        return int(row["active_version"])
    if version == LATEST:
        return int(row["latest_version"])
    if not version.isdecimal() or len(version) > len(str(VERSIONS_MAX)):
        raise NotFound(f"There is no version {version!r} of the template {row['name']}")
    return int(version)


def _next_version(row: Any) -> int:
    if row["latest_version"] >= VERSIONS_MAX:
        raise LimitExceeded(f"The template {row['name']} has {VERSIONS_MAX} versions already")
    return int(row["latest_version"]) + 1


def _check_count(conn: Connection, owner: Owner) -> None:
    mine = (t.templates.c.account == owner.account, t.templates.c.region == owner.region)
    count = conn.scalar(sa.select(sa.func.count()).select_from(t.templates).where(*mine))
    if (count or 0) >= TEMPLATES_MAX:
        raise LimitExceeded(f"The account has {TEMPLATES_MAX} templates already")


def _write_version(
    conn: Connection,
    owner: Owner,
    kind: TemplateType,
    name: str,
    number: int,
    body: dict[str, Any],
    now: float,
) -> None:
    versions = t.template_versions
    where = [*_is(versions, owner, kind, name), versions.c.version == number]
    changed = conn.execute(sa.update(versions).where(*where).values(body=body, modified=now))
    if not changed.rowcount:
        row = _identity(owner, kind, name) | {"version": number, "body": body}
        conn.execute(sa.insert(versions).values(**row, created=now, modified=now))


def _change(conn: Connection, owner: Owner, kind: TemplateType, name: str, **values: Any) -> None:
    conn.execute(
        sa.update(t.templates).where(*_is(t.templates, owner, kind, name)).values(**values)
    )


def _delete_whole(conn: Connection, owner: Owner, kind: TemplateType, name: str) -> None:
    for table in (t.template_versions, t.templates):
        conn.execute(sa.delete(table).where(*_is(table, owner, kind, name)))


def _delete_version(
    conn: Connection, owner: Owner, kind: TemplateType, row: Any, number: int
) -> None:
    name, versions = row["name"], t.template_versions
    _version_row(conn, owner, kind, name, number)
    mine = _is(versions, owner, kind, name)
    others = sa.select(sa.func.max(versions.c.version)).where(*mine, versions.c.version != number)
    latest = conn.scalar(others)
    if latest is None:
        _delete_whole(conn, owner, kind, name)
        return
    if number == row["active_version"]:
        raise Invalid(f"Version {number} of {name} is the active one; make another active first")
    conn.execute(sa.delete(versions).where(*mine, versions.c.version == number))
    _change(conn, owner, kind, name, latest_version=max(latest, row["active_version"]))


def _show_version(row: Any) -> dict[str, Any]:
    return {
        "TemplateName": row["name"],
        "TemplateType": row["type"],
        "Version": str(row["version"]),
        "CreationDate": iso(row["created"]),
        "LastModifiedDate": iso(row["modified"]),
    }


def _show_listed_version(row: Any) -> dict[str, Any]:
    return _show_version(row) | _described(row["body"])


def _show_template(row: Any) -> dict[str, Any]:
    return {
        "TemplateName": row["name"],
        "TemplateType": row["type"],
        "Version": str(row["active_version"]),
        "CreationDate": iso(row["created"]),
        "LastModifiedDate": iso(row["modified"]),
        "tags": row["tags"],
    } | _described(row["body"])


def _described(body: Mapping[str, Any]) -> dict[str, Any]:
    text = body.get("TemplateDescription")
    return {} if text is None else {"TemplateDescription": text}


def _token(request: dict[str, Any]) -> dict[str, Any]:
    return {"Token": request.get("NextToken")}


def _accepted(caller: Caller) -> dict[str, Any]:
    return {"MessageBody": {"Message": "Accepted", "RequestID": caller.request_id}}
