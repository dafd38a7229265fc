"""Recommender configurations: which Personalize campaign fills a template's recommendations.

Source: service model, "CreateRecommenderConfiguration"; Pinpoint developer guide, "Customizing
recommendations with AWS Lambda". ARNs of domain recommenders are taken as well.
"""

from __future__ import annotations

import re
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from tailorbird import ids
from tailorbird.access import Caller
from tailorbird.clock import iso
from tailorbird.engage import paging, service_role
from tailorbird.engage.recommender_tables import recommenders as table
from tailorbird.engage.room import Engage
from tailorbird.engage.template_rows import Owner
from tailorbird.errors import Invalid, LimitExceeded, NotFound

MAX_PER_ACCOUNT = 100
MAX_ITEMS = 5  # of one message
MAX_ATTRIBUTES = 10
BY_ENDPOINT, BY_USER = "PINPOINT_ENDPOINT_ID", "PINPOINT_USER_ID"
PREFIX = "Recommendations."  # of attribute names, may be left out

_PROVIDER = re.compile(
    r"arn:aws[a-z-]*:personalize:[a-z0-9-]+:(?P<account>\d{12}):(?:campaign|recommender)/[\w.-]+"
)
_ATTRIBUTE = re.compile(r"[A-Za-z0-9][\w-]{0,49}", re.ASCII)
_DISPLAY_NAME = re.compile(r"[\w -]{1,25}", re.ASCII)
_NAME = re.compile(r"[A-Za-z0-9][\w -]{0,127}", re.ASCII)
MAX_DESCRIPTION_CHARS = 128

Configuration = dict[str, Any]  # the request, with Id


def create(room: Engage, caller: Caller, request: dict[str, Any]) -> dict[str, Any]:
    body = _checked(room, caller, request["CreateRecommenderConfiguration"])
    now = room.clock.now()
    row = {
        "id": ids.hex32(), "account": caller.account, "region": caller.region, "body": body,
        "created": now, "modified": now,
    }  # fmt: skip
    with room.db.write() as conn:
        held = sa.select(sa.func.count()).select_from(table).where(*_mine(caller))
        if (conn.scalar(held) or 0) >= MAX_PER_ACCOUNT:
            raise LimitExceeded(f"An account has at most {MAX_PER_ACCOUNT} recommender models")
        conn.execute(sa.insert(table).values(row))
    return {"RecommenderConfigurationResponse": _show(row)}


def get(room: Engage, caller: Caller, request: dict[str, Any]) -> dict[str, Any]:
    with room.db.read() as conn:
        row = _row(conn, caller, request["RecommenderId"])
    return {"RecommenderConfigurationResponse": _show(row)}


def list_all(room: Engage, caller: Caller, request: dict[str, Any]) -> dict[str, Any]:
    """The configurations of an account, the oldest first."""
    size, last = paging.size_of(request), paging.after(request, [0.0, ""])
    query = sa.select(table).where(
        *_mine(caller), sa.tuple_(table.c.created, table.c.id) > sa.tuple_(*last)
    )
    with room.db.read() as conn:
        ordered = query.order_by(table.c.created, table.c.id).limit(size + 1)
        rows = conn.execute(ordered).mappings().all()
    shown = paging.page(rows, size, _show, lambda row: [row["created"], row["id"]])
    return {"ListRecommenderConfigurationsResponse": shown}


def update(room: Engage, caller: Caller, request: dict[str, Any]) -> dict[str, Any]:
    """Replace a configuration."""
    body = _checked(room, caller, request["UpdateRecommenderConfiguration"])
    with room.db.write() as conn:
        row = dict(_row(conn, caller, request["RecommenderId"]))
        values = {"body": body, "modified": room.clock.now()}
        conn.execute(sa.update(table).where(table.c.id == row["id"]).values(values))
    return {"RecommenderConfigurationResponse": _show({**row, **values})}


def delete(room: Engage, caller: Caller, request: dict[str, Any]) -> dict[str, Any]:
    """Delete a configuration; campaigns whose templates name it fail with that reason."""
    with room.db.write() as conn:
        row = _row(conn, caller, request["RecommenderId"])
        conn.execute(sa.delete(table).where(table.c.id == row["id"]))
    return {"RecommenderConfigurationResponse": _show(row)}


def find(conn: Connection, owner: Owner, recommender_id: str) -> Configuration:
    """A configuration; NotFound when it is not there."""
    row = _row(conn, owner, recommender_id)
    return {**row["body"], "Id": row["id"]}


RECOMMENDER_OPERATIONS = {
    "CreateRecommenderConfiguration": create,
    "GetRecommenderConfiguration": get,
    "GetRecommenderConfigurations": list_all,
    "UpdateRecommenderConfiguration": update,
    "DeleteRecommenderConfiguration": delete,
}


def _mine(owner: Owner) -> tuple[sa.ColumnElement[bool], ...]:
    return (table.c.account == owner.account, table.c.region == owner.region)


def _row(conn: Connection, owner: Owner, recommender_id: str) -> Any:
    query = sa.select(table).where(*_mine(owner), table.c.id == recommender_id)
    row = conn.execute(query).mappings().first()
    if row is None:
        raise NotFound(f"There is no recommender configuration {recommender_id}")
    return row


def _show(row: Any) -> dict[str, Any]:
    return {
        **row["body"],
        "Id": row["id"],
        "CreationDate": iso(row["created"]),
        "LastModifiedDate": iso(row["modified"]),
    }


def _checked(room: Engage, caller: Caller, wanted: dict[str, Any]) -> dict[str, Any]:
    """The configuration with its defaults; Invalid when it cannot be."""
    body = {name: value for name, value in wanted.items() if value not in (None, "", {})}
    _check_words(body)
    provider = str(body.get("RecommendationProviderUri") or "")
    found = _PROVIDER.fullmatch(provider)
    if found is None or found["account"] != caller.account:
        raise Invalid(
            f"RecommendationProviderUri {provider!r} is not the ARN of a Personalize campaign or"
            " recommender of this account (arn:aws:personalize:<region>:<account>:campaign/<name>)"
        )
    kind = body.setdefault("RecommendationProviderIdType", BY_ENDPOINT)
    if kind not in (BY_ENDPOINT, BY_USER):
        raise Invalid(
            f"RecommendationProviderIdType is {kind!r}; right are {BY_ENDPOINT}, {BY_USER}"
        )
    count = body.setdefault("RecommendationsPerMessage", MAX_ITEMS)
    if not 1 <= count <= MAX_ITEMS:
        raise Invalid(f"RecommendationsPerMessage is {count}; 1 to {MAX_ITEMS} are right")
    _check_attributes(body)
    asked = [("personalize:GetRecommendations", provider)]
    role = str(body.get("RecommendationProviderRoleArn") or "")
    service_role.check(room, caller.account, role, asked)
    return body


def _check_words(body: dict[str, Any]) -> None:
    name, words = body.get("Name"), body.get("Description") or ""
    if name is not None and not _NAME.fullmatch(name):
        raise Invalid(
            f"Name {name[:140]!r}: letters, digits, spaces, _ and -, at most 128, are right"
        )
    if len(words) > MAX_DESCRIPTION_CHARS:
        raise Invalid(f"Description has {len(words)} characters; {MAX_DESCRIPTION_CHARS} at most")


def _check_attributes(body: dict[str, Any]) -> None:
    attributes, display = body.get("Attributes") or {}, body.get("RecommendationsDisplayName")
    if body.get("RecommendationTransformerUri"):
        if not attributes:
            raise Invalid("Attributes is missing: a RecommendationTransformerUri fills them")
    elif not display:
        raise Invalid(
            "RecommendationsDisplayName is missing; it is required without a"
            " RecommendationTransformerUri"
        )
    if len(attributes) > MAX_ATTRIBUTES:
        raise Invalid(f"Attributes has {len(attributes)} names; {MAX_ATTRIBUTES} at most")
    for name, shown in attributes.items():
        if not _ATTRIBUTE.fullmatch(name.removeprefix(PREFIX)):
            raise Invalid(f"Attributes has {name[:60]!r}; letters, digits, _ and -, at most 50")
        if not _DISPLAY_NAME.fullmatch(shown):
            raise Invalid(f"Attributes {name!r}: the display name {shown[:40]!r} has 1 to 25 ...")
    if display is not None and not _DISPLAY_NAME.fullmatch(display):
        raise Invalid(
            f"RecommendationsDisplayName {display[:40]!r}: 1 to 25 letters, digits, spaces, _ and -"
        )
