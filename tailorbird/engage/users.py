"""People: all endpoints that carry one UserId. Their attributes are shared by those endpoints."""

from __future__ import annotations

from typing import Any

from sqlalchemy.engine import Connection

from tailorbird.access import Caller
from tailorbird.engage import apps, endpoints
from tailorbird.engage.apps import App
from tailorbird.engage.definitions import response
from tailorbird.engage.room import Engage
from tailorbird.errors import NotFound


def get_user_endpoints(room: Engage, caller: Caller, request: dict[str, Any]) -> dict[str, Any]:
    """Every endpoint of a user, inactive ones too."""
    with room.db.read() as conn:
        app = apps.find(conn, caller, request["ApplicationId"])
        return _endpoints(room, conn, app, request["UserId"])


def delete_user_endpoints(room: Engage, caller: Caller, request: dict[str, Any]) -> dict[str, Any]:
    user_id = request["UserId"]
    with room.db.write() as conn:
        app = apps.find(conn, caller, request["ApplicationId"])
        gone = _endpoints(room, conn, app, user_id)
        for table in ("engage_endpoints", "engage_users"):
            text = f"DELETE FROM {table} WHERE app = ? AND user_id = ?"
            conn.exec_driver_sql(room.db.sql(text), (app.number, user_id))
    return gone


def _endpoints(room: Engage, conn: Connection, app: App, user_id: str) -> dict[str, Any]:
    found = endpoints.of_user(room, conn, app, user_id)
    if not found:
        raise NotFound(f"There is no user {user_id} in application {app.id}")
    attributes = endpoints.read_users(room, conn, app, [user_id]).get(user_id)
    return {"EndpointsResponse": {"Item": [response(e, attributes, app.id) for e in found]}}
