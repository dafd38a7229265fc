"""Tags of applications, campaigns, segments and templates, by their ARN."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from tailorbird.access import Caller
from tailorbird.engage import apps, campaigns, segments, tag_rules, templates
from tailorbird.engage import tables as t
from tailorbird.engage.room import Engage
from tailorbird.errors import Invalid, NotBuilt, NotFound

_ARN = re.compile(
    r"arn:aws[a-z-]*:mobiletargeting:(?P<region>[a-z0-9-]*):(?P<account>\d{12}):/?"
    r"(?:apps/(?P<app>[^/]+)(?:/(?P<kind>campaigns|segments|journeys)/(?P<id>[^/]+))?"
    r"|templates/(?P<template>[^/]+)/(?P<type>[A-Z]+)|recommenders/(?P<recommender>[^/]+))"
)


class Resource(NamedTuple):
    """What an ARN names."""

    app: str | None
    kind: str | None
    id: str | None
    template: str | None
    type: str | None


def list_tags(room: Engage, caller: Caller, request: dict[str, Any]) -> dict[str, Any]:
    resource = _parse(caller, request["ResourceArn"])
    with room.db.read() as conn:
        return {"TagsModel": {"tags": _read(conn, caller, resource)}}


def tag(room: Engage, caller: Caller, request: dict[str, Any]) -> dict[str, Any]:
    """Add tags, or give those that are there another value."""
    resource = _parse(caller, request["ResourceArn"])
    with room.db.write() as conn:
        held = _read(conn, caller, resource)
        tags = {**held, **request["TagsModel"]["tags"]}
        _write(conn, caller, resource, tag_rules.checked(tags))
    return {}


def untag(room: Engage, caller: Caller, request: dict[str, Any]) -> dict[str, Any]:
    resource, gone = _parse(caller, request["ResourceArn"]), set(request["TagKeys"])
    with room.db.write() as conn:
        held = _read(conn, caller, resource)
        kept = {name: value for name, value in held.items() if name not in gone}
        _write(conn, caller, resource, kept)
    return {}


def _parse(caller: Caller, arn: str) -> Resource:
    found = _ARN.fullmatch(arn)
    if found is None:
        raise Invalid(f"{arn} is not the ARN of an application, campaign, segment or template")
    if found["account"] != caller.account or found["region"] != caller.region:
        raise NotFound(f"{arn} is not of this account and region")
    if found["kind"] == "journeys" or found["recommender"]:
        raise NotBuilt("Tags of journeys and recommenders")
    return Resource(found["app"], found["kind"], found["id"], found["template"], found["type"])


def _read(conn: Connection, caller: Caller, resource: Resource) -> dict[str, str]:
    if resource.template is not None:
        return dict(templates.tags(conn, caller, str(resource.type), resource.template))
    app = apps.find(conn, caller, str(resource.app))
    if resource.kind == "campaigns":
        return dict(campaigns.find(conn, app, str(resource.id))["tags"])
    if resource.kind == "segments":
        return dict(segments.find(conn, app, str(resource.id))["tags"])
    mine = t.apps.c.number == app.number
    return dict(conn.execute(sa.select(t.apps.c.tags).where(mine)).scalar_one())


def _write(conn: Connection, caller: Caller, resource: Resource, tags: dict[str, str]) -> None:
    if resource.template is not None:
        templates.set_tags(conn, caller, str(resource.type), resource.template, tags)
        return
    table = {"campaigns": t.campaigns, "segments": t.segments, None: t.apps}[resource.kind]
    conn.execute(
        sa.update(table).where(table.c.id == (resource.id or resource.app)).values(tags=tags)
    )
