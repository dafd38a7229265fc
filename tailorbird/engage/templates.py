"""Message templates: versions, of which one is active and is the one that is sent.

Source: service model, and Pinpoint user guide, "Managing versions of message templates".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from tailorbird import ids
from tailorbird.access import Caller
from tailorbird.clock import iso
from tailorbird.engage import paging, tag_rules, template_rows
from tailorbird.engage import template_tables as t
from tailorbird.engage.recommender_tables import recommenders
from tailorbird.engage.render import DEFAULT_OPTIONS, Compiled, Options, compile_message
from tailorbird.engage.room import Engage
from tailorbird.engage.template_rows import Owner
from tailorbird.engage.template_types import (
    TYPES,
    TemplateType,
    check_body,
    check_name,
    defaults,
    message_for,
)
from tailorbird.errors import AlreadyExists, Invalid
from tailorbird.store import insert


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
    kind = template_rows.kind_of(type_name)
    row = template_rows.row_of(conn, owner, kind, name)
    number = template_rows.number_of(row, version)
    return Template(
        name, kind, number, template_rows.version_row(conn, owner, kind, name, number)["body"]
    )


def arn(owner: Owner, kind: TemplateType, name: str) -> str:
    return ids.arn("mobiletargeting", owner.region, owner.account, f"templates/{name}/{kind.name}")


def tags(conn: Connection, owner: Owner, type_name: str, name: str) -> dict[str, str]:
    """The tags of a template."""
    found: dict[str, str] = template_rows.row_of(
        conn, owner, template_rows.kind_of(type_name), name
    )["tags"]
    return found


def set_tags(
    conn: Connection, owner: Owner, type_name: str, name: str, tags: Mapping[str, str]
) -> None:
    """Replace the tags of a template."""
    kind = template_rows.kind_of(type_name)
    template_rows.row_of(conn, owner, kind, name)
    conn.execute(
        sa.update(t.templates)
        .where(*template_rows.same(t.templates, owner, kind, name))
        .values(tags=dict(tags))
    )


def create_template(
    kind: TemplateType, room: Engage, caller: Caller, request: dict[str, Any]
) -> dict[str, Any]:
    name, wanted = check_name(request["TemplateName"]), dict(request[kind.request])
    tags = tag_rules.checked(wanted.pop("tags", None))
    check_body(kind, wanted)
    _check_recommender(room, caller, wanted)
    now = room.clock.now()
    row = template_rows.identity(caller, kind, name) | {
        "active_version": 1, "latest_version": 1, "tags": tags, "created": now, "modified": now,
    }  # fmt: skip
    with room.db.write() as conn:
        template_rows.check_count(conn, caller)
        adding = insert(room.db, t.templates).values(row).on_conflict_do_nothing()
        if conn.execute(adding.returning(t.templates.c.name)).first() is None:
            raise AlreadyExists(
                f"There is a template {name} of type {kind.name} already",
                code="BadRequestException",
            )
        template_rows.write_version(conn, caller, kind, name, 1, wanted, now)
    answer = {"Arn": arn(caller, kind, name), "Message": "Created", "RequestID": caller.request_id}
    return {kind.created: answer}


def get_template(
    kind: TemplateType, room: Engage, caller: Caller, request: dict[str, Any]
) -> dict[str, Any]:
    name = request["TemplateName"]
    with room.db.read() as conn:
        row = template_rows.row_of(conn, caller, kind, name)
        number = template_rows.number_of(row, request.get("Version"))
        version = template_rows.version_row(conn, caller, kind, name, number)
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
        row = template_rows.row_of(conn, caller, kind, name)
        latest, given = row["latest_version"], request.get("Version")
        if request.get("CreateNewVersion"):
            if given is not None:
                raise Invalid("Give either version or create-new-version=true, not both")
            latest = template_rows.next_version(row)
        elif given is not None and template_rows.number_of(row, given) != latest:
            raise Invalid(f"Version {given} of {name} is not the latest ({latest}) any more")
        template_rows.write_version(conn, caller, kind, name, latest, wanted, room.clock.now())
        template_rows.change(
            conn, caller, kind, name, latest_version=latest, modified=room.clock.now()
        )
    return _accepted(caller)


def delete_template(
    kind: TemplateType, room: Engage, caller: Caller, request: dict[str, Any]
) -> dict[str, Any]:
    """Delete a template with all its versions, or the one version asked for."""
    name, given = request["TemplateName"], request.get("Version")
    with room.db.write() as conn:
        row = template_rows.row_of(conn, caller, kind, name)
        if given is None:
            template_rows.delete_whole(conn, caller, kind, name)
        else:
            template_rows.delete_version(
                conn, caller, kind, row, template_rows.number_of(row, given)
            )
    return _accepted(caller)


def update_active_version(room: Engage, caller: Caller, request: dict[str, Any]) -> dict[str, Any]:
    kind, name = template_rows.kind_of(request["TemplateType"]), request["TemplateName"]
    wanted = request["TemplateActiveVersionRequest"].get("Version") or template_rows.LATEST
    with room.db.write() as conn:
        number = template_rows.number_of(template_rows.row_of(conn, caller, kind, name), wanted)
        template_rows.version_row(conn, caller, kind, name, number)
        template_rows.change(conn, caller, kind, name, active_version=number)
    return _accepted(caller)


def list_templates(room: Engage, caller: Caller, request: dict[str, Any]) -> dict[str, Any]:
    """Templates by name, each as its active version; `Prefix` and `TemplateType` narrow it."""
    size, last = paging.size_of(request), paging.after(_token(request), ["", ""])
    table = t.templates
    where = [table.c.account == caller.account, table.c.region == caller.region]
    where.append(sa.tuple_(table.c.name, table.c.type) > sa.tuple_(*map(sa.literal, last)))
    if request.get("TemplateType"):
        where.append(table.c.type == template_rows.kind_of(request["TemplateType"]).name)
    if request.get("Prefix"):
        where.append(table.c.name.startswith(request["Prefix"], autoescape=True))
    query = sa.select(table, t.template_versions.c.body).join(
        t.template_versions,
        sa.and_(
            *(table.c[key] == t.template_versions.c[key] for key in template_rows.KEYS),
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
    kind, name = template_rows.kind_of(request["TemplateType"]), request["TemplateName"]
    size, last = paging.size_of(request), paging.after(_token(request), [0])
    versions = t.template_versions
    query = sa.select(versions).where(
        *template_rows.same(versions, caller, kind, name), versions.c.version > last[0]
    )
    with room.db.read() as conn:
        template_rows.row_of(conn, caller, kind, name)
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


def _check_recommender(room: Engage, caller: Caller, body: Mapping[str, Any]) -> None:
    """Invalid when a template names a recommender that is not there."""
    wanted, r = body.get("RecommenderId"), recommenders.c
    if not wanted:
        return
    mine = (r.id == wanted, r.account == caller.account, r.region == caller.region)
    with room.db.read() as conn:
        if conn.execute(sa.select(r.id).where(*mine)).first() is None:
            raise Invalid(f"RecommenderId: there is no recommender configuration {wanted}")


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
