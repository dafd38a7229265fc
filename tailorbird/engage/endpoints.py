"""Endpoints: one address of one person on one channel. Writing merges; an address has one active
owner.

Rules: Pinpoint API reference, "EndpointRequest"; developer guide, "Auto-inactive endpoints" and
"Quotas".
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from sqlalchemy.engine import Connection

from tailorbird.access import Caller
from tailorbird.engage import apps, attributes, endpoint_locks
from tailorbird.engage.apps import App
from tailorbird.engage.bulk import Bulk, among, has_nul, texts
from tailorbird.engage.definitions import (
    PUSH_CHANNELS,
    Endpoint,
    Limits,
    document,
    key_of,
    merge,
    new,
    response,
)
from tailorbird.engage.endpoint_texts import COLUMNS, TEXTS
from tailorbird.engage.room import Engage
from tailorbird.errors import Invalid, NotFound
from tailorbird.store import Question, ask, fetch

MAX_BATCH = 100
ACCEPTED = "Accepted"
Born = dict[str, tuple[int | None, float | None]]


class Before(NamedTuple):
    """What a write of some endpoints goes by."""

    first: list[list[tuple[Any, ...]]]  # what was asked for besides
    held: dict[str, Endpoint]  # those that are there, by key
    people: dict[str, dict[str, Any]]  # attributes of their people and of those named
    crowded: set[str]  # who may come to have too many endpoints


_UPSERT = Bulk(
    "engage_endpoints",
    {
        "app": "bigint", "key": "text", "id": "text", "user_id": "text", "channel": "text",
        "address": "text", "opt_out": "text", "status": "text", "cohort": "smallint",
        "effective": "float8", "created": "float8", "body": "jsonb",
    },
    "ON CONFLICT (app, key) DO UPDATE SET user_id = excluded.user_id, channel = excluded.channel,"
    " address = excluded.address, opt_out = excluded.opt_out, status = excluded.status,"
    " effective = excluded.effective, body = excluded.body",
)  # fmt: skip
_UPSERT_USERS = Bulk(
    "engage_users",
    {"app": "bigint", "user_id": "text", "attributes": "jsonb"},
    "ON CONFLICT (app, user_id) DO UPDATE SET attributes = excluded.attributes",
)


def update_endpoint(room: Engage, caller: Caller, request: dict[str, Any]) -> dict[str, Any]:
    item = {**request["EndpointRequest"], "Id": request["EndpointId"]}
    with room.writers, room.db.write() as conn:
        _write_of(room, conn, caller, request["ApplicationId"], [item])
    return _accepted(caller)


def update_endpoints_batch(room: Engage, caller: Caller, request: dict[str, Any]) -> dict[str, Any]:
    """All of up to 100 endpoints, or none."""
    items = request["EndpointBatchRequest"]["Item"]
    if len(items) > MAX_BATCH:
        raise Invalid(f"Item has {len(items)} endpoints; at most {MAX_BATCH} go in one batch")
    with room.writers, room.db.write() as conn:
        _write_of(room, conn, caller, request["ApplicationId"], items)
    return _accepted(caller)


def update_endpoints(
    room: Engage, account: str, application_id: str, endpoints: list[dict[str, Any]]
) -> None:
    """Merge endpoints (`EndpointBatchItem` dicts, each with its `Id`) for another room, all or
    none.
    """
    with room.writers, room.db.write() as conn:
        write(room, conn, apps.find_for(conn, account, application_id), endpoints)


def get_endpoint(room: Engage, caller: Caller, request: dict[str, Any]) -> dict[str, Any]:
    with room.db.read() as conn:
        app = apps.find(conn, caller, request["ApplicationId"])
        endpoint = _one(room, conn, app, request["EndpointId"])
        people = read_users(room, conn, app, [endpoint.user_id])
    return {"EndpointResponse": response(endpoint, people.get(endpoint.user_id or ""), app.id)}


def delete_endpoint(room: Engage, caller: Caller, request: dict[str, Any]) -> dict[str, Any]:
    with room.db.write() as conn:
        app = apps.find(conn, caller, request["ApplicationId"])
        endpoint = _one(room, conn, app, request["EndpointId"])
        people = read_users(room, conn, app, [endpoint.user_id])
        conn.exec_driver_sql(
            room.db.sql("DELETE FROM engage_endpoints WHERE app = ? AND key = ?"),
            (app.number, endpoint.key),
        )
        forget_users(room, conn, app, [endpoint.user_id])
    return {"EndpointResponse": response(endpoint, people.get(endpoint.user_id or ""), app.id)}


def write(
    room: Engage, conn: Connection, app: App, items: list[dict[str, Any]], born: Born | None = None
) -> None:
    """Merge endpoints into the caller's transaction. `born`: by key, the cohort and the creation
    of endpoints that are new here and were elsewhere before.
    """
    keys = [key_of(item.get("Id")) for item in items]
    _merge(room, conn, app, keys, items, _before(room, conn, app.number, keys, items), born or {})


def _write_of(
    room: Engage, conn: Connection, caller: Caller, application_id: str, items: list[dict[str, Any]]
) -> None:
    """Merge endpoints of a caller's application. What it is now is asked together with what is
    there, once its number is known, which stays.
    """
    number = room.app_numbers.get(application_id)
    if number is None:
        app = apps.find(conn, caller, application_id)
        room.app_numbers[application_id] = app.number
        write(room, conn, app, items)
        return
    keys = [key_of(item.get("Id")) for item in items]
    whose = apps.question(room.db.dialect, caller, application_id)
    before = _before(room, conn, number, keys, items, [whose])
    app = apps.found(before.first[0], application_id)
    _merge(room, conn, app, keys, items, before, {})


def _merge(
    room: Engage, conn: Connection, app: App, keys: list[str], items: list[dict[str, Any]],
    found: Before, born: Born,
) -> None:  # fmt: skip
    now, limits = room.clock.now(), Limits.of(room.settings)
    held, people, crowded = found.held, found.people, found.crowded
    before = {key: endpoint.user_id for key, endpoint in held.items()}
    known = dict(people)
    for key, item in zip(keys, items, strict=True):
        endpoint = held.get(key)
        if endpoint is None:
            endpoint = held[key] = new(app.id, item["Id"], now)
            cohort, created = born.get(key, (None, None))
            endpoint.cohort = endpoint.cohort if cohort is None else cohort
            endpoint.created = endpoint.created if created is None else created
        merge(endpoint, attributes.captured(app, item), people, now, limits)
    joined = [e for e in held.values() if e.user_id in crowded and e.user_id != before.get(e.key)]
    _keep_user_limit(room, conn, app, joined, held)
    attributes.note(room, conn, app, held.values(), people)
    changed = {uid: values for uid, values in people.items() if values != known.get(uid)}
    _store(room, conn, app, [held[key] for key in keys], held, changed, limits)
    left = [uid for key, uid in before.items() if uid and held[key].user_id != uid]
    forget_users(room, conn, app, left)


def _before(
    room: Engage, conn: Connection, number: int, keys: list[str], items: list[dict[str, Any]],
    first: Sequence[Question] = (),
) -> Before:  # fmt: skip
    """What is there, asked after `first`. From here on nobody else writes any of it."""
    named = Counter(_people(items))
    given, users = texts(keys), texts(named)
    limit = room.settings.engage_max_endpoints_per_user
    room_left = limit - max(named.values(), default=0)
    addresses = {str(item["Address"]) for item in items if item.get("Address")}
    locks = endpoint_locks.questions(room.db, number, keys, named, addresses)
    say = TEXTS[room.db.dialect]
    asked: list[Question] = [
        *first,
        *locks,
        (say.endpoints, (number, given)),
        (say.people, (number, users, number, given)),
    ]
    if limit and named:
        asked.append((say.crowds, (number, users, room_left)))
    answers = ask(conn, asked)
    found = answers[len(first) + len(locks) :]
    endpoints = (of_row(room, row) for row in found[0])
    crowded = {row[0] for rows in found[2:] for row in rows}
    crowded |= {uid for uid, count in named.items() if limit and count > limit}
    people = {row[0]: room.db.load(row[1]) for row in found[1]}
    held = {endpoint.key: endpoint for endpoint in endpoints}
    return Before(answers[: len(first)], held, people, crowded)


def read_users(
    room: Engage, conn: Connection, app: App, user_ids: Iterable[str | None]
) -> dict[str, dict[str, Any]]:
    """User attributes by user id, for those who have any."""
    wanted = sorted({uid for uid in user_ids if uid})
    if not wanted:
        return {}
    mine, values = among(room.db, "user_id", wanted)
    text = f"SELECT user_id, attributes FROM engage_users WHERE app = ? AND {mine}"
    rows = fetch(conn, room.db.sql(text), (app.number, *values))
    return {row[0]: room.db.load(row[1]) for row in rows}


def forget_users(room: Engage, conn: Connection, app: App, user_ids: Iterable[str | None]) -> None:
    """Drop the attributes of people who have no endpoint any more."""
    wanted = sorted({uid for uid in user_ids if uid})
    if wanted:
        mine, values = among(room.db, "user_id", wanted)
        text = (
            f"DELETE FROM engage_users WHERE app = ? AND {mine}"
            " AND NOT EXISTS (SELECT 1 FROM engage_endpoints e"
            " WHERE e.app = engage_users.app AND e.user_id = engage_users.user_id)"
        )
        conn.exec_driver_sql(room.db.sql(text), (app.number, *values))


def find(room: Engage, conn: Connection, app: App, endpoint_id: str) -> Endpoint | None:
    """The endpoint, if there is one."""
    found = fetch(
        conn, TEXTS[room.db.dialect].endpoints, (app.number, texts([key_of(endpoint_id)]))
    )
    return of_row(room, found[0]) if found else None


def number_of(room: Engage, conn: Connection, app: App, endpoint: Endpoint) -> int:
    """The endpoint's number in lists, members and the ledger."""
    text = room.db.sql("SELECT number FROM engage_endpoints WHERE app = ? AND key = ?")
    return int(conn.exec_driver_sql(text, (app.number, endpoint.key)).scalar_one())


def of_user(room: Engage, conn: Connection, app: App, user_id: str) -> list[Endpoint]:
    """Every endpoint of a user, the oldest first."""
    text = f"SELECT {COLUMNS} FROM engage_endpoints WHERE app = ? AND user_id = ? ORDER BY number"
    rows = conn.exec_driver_sql(room.db.sql(text), (app.number, user_id))
    return [of_row(room, row) for row in rows]


def of_row(room: Engage, row: Any) -> Endpoint:
    """An endpoint of a row selected with COLUMNS."""
    endpoint = Endpoint(*row[:10])
    endpoint.body = room.db.load(row[10])
    return endpoint


def last_active(room: Engage, conn: Connection, app: App, endpoint: Endpoint) -> float:
    """When an endpoint was last written, or its person last did something."""
    text = room.db.sql("SELECT active FROM engage_endpoints WHERE app = ? AND key = ?")
    active = conn.exec_driver_sql(text, (app.number, endpoint.key)).scalar()
    return max(endpoint.effective, active or 0.0)


def _one(room: Engage, conn: Connection, app: App, endpoint_id: str) -> Endpoint:
    endpoint = find(room, conn, app, endpoint_id)
    if endpoint is None:
        raise NotFound(f"There is no endpoint {endpoint_id} in application {app.id}")
    return endpoint


def _people(items: list[dict[str, Any]]) -> Iterator[str]:
    for item in items:
        user = item.get("User")
        if isinstance(user, dict) and user.get("UserId"):
            yield str(user["UserId"])


def _store(
    room: Engage, conn: Connection, app: App, written: list[Endpoint], held: dict[str, Endpoint],
    people: dict[str, dict[str, Any]], limits: Limits,
) -> None:  # fmt: skip
    """Write what has become of endpoints and people, and take their addresses from others."""
    owned = _owned_addresses(room, written)
    rows = [
        (app.number, e.key, e.id, e.user_id, e.channel, e.address, e.opt_out, e.status, e.cohort,
         e.effective, e.created, document(e, limits))
        for e in held.values()
    ]  # fmt: skip
    persons = [(app.number, uid, _user_document(room, uid, v)) for uid, v in people.items()]
    asked: list[Question] = []
    if owned:
        keys = texts(e.key for e in written)
        asked.append((TEXTS[room.db.dialect].take_over, (app.number, texts(owned), keys)))
    if room.db.dialect == "postgresql":
        asked.append(_UPSERT.question(room.db, rows))
        asked += [_UPSERT_USERS.question(room.db, persons)] if persons else []
        ask(conn, asked)
        return
    ask(conn, asked)
    _UPSERT.run(room.db, conn, rows)
    _UPSERT_USERS.run(room.db, conn, persons)


def _owned_addresses(room: Engage, written: list[Endpoint]) -> list[str]:
    """Whoever is written last with an address owns it; others with it go INACTIVE."""
    owners = {e.address: e for e in written if e.address and e.status == "ACTIVE"}
    for endpoint in written:
        if endpoint.address in owners and owners[endpoint.address] is not endpoint:
            endpoint.status = "INACTIVE"
    return [str(address) for address in owners] if room.settings.engage_address_takeover else []


def _user_document(room: Engage, user_id: str, values: dict[str, Any]) -> str:
    text = room.db.dump(values)
    if has_nul(text):
        raise Invalid(f"User {user_id}: an attribute holds the character NUL")
    return text


def _keep_user_limit(
    room: Engage, conn: Connection, app: App, joined: list[Endpoint], held: dict[str, Endpoint]
) -> None:
    """At most 15 endpoints per user: a new push endpoint displaces the oldest one, any other is
    refused.
    """
    limit = room.settings.engage_max_endpoints_per_user
    if not joined or not limit:
        return
    owners = sorted({str(endpoint.user_id) for endpoint in joined})
    mine, values = among(room.db, "user_id", owners)
    text = f"SELECT {COLUMNS} FROM engage_endpoints WHERE app = ? AND {mine}"
    stored = [of_row(room, row) for row in fetch(conn, room.db.sql(text), (app.number, *values))]
    owned: dict[str, list[Endpoint]] = {owner: [] for owner in owners}
    for endpoint in [*(e for e in stored if e.key not in held), *held.values()]:
        if endpoint.user_id in owned:
            owned[endpoint.user_id].append(endpoint)
    for owner, endpoints in owned.items():
        if len(endpoints) > limit:
            newest = [e for e in joined if e.user_id == owner][-1]
            while len(endpoints) > limit:
                endpoints.remove(_displaced(endpoints, newest, limit, held))


def _displaced(
    endpoints: list[Endpoint], newest: Endpoint, limit: int, held: dict[str, Endpoint]
) -> Endpoint:
    older = [e for e in endpoints if e.channel in PUSH_CHANNELS and e is not newest]
    if newest.channel not in PUSH_CHANNELS or not older:
        raise Invalid(
            f"Exceeded maximum endpoint per user count {limit} (user {newest.user_id},"
            " setting engage_max_endpoints_per_user)"
        )
    oldest = min(older, key=lambda e: e.effective)
    oldest.status, oldest.user_id = "INACTIVE", None
    held[oldest.key] = oldest
    return oldest


def _accepted(caller: Caller) -> dict[str, Any]:
    return {"MessageBody": {"Message": ACCEPTED, "RequestID": caller.request_id}}
