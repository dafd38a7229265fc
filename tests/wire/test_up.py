"""What a started server says of itself, and to whom."""

from __future__ import annotations

import json
import urllib.error
import urllib.request

from tests.conftest import Server


def test_its_health_can_be_read_by_anybody(server: Server) -> None:
    with urllib.request.urlopen(f"{server.url}/_/health") as answer:
        said = json.loads(answer.read())
    assert (said["status"], said["database"]) == ("ok", "sqlite")


def test_no_secret_gets_into_its_log(server: Server) -> None:
    log = (server.data / "server.log").read_text()
    assert "listens on" in log
    secrets = (server.token, server.secret_key, server.write_key)
    assert [secret for secret in secrets if secret in log] == []


def test_its_secrets_are_its_owners_alone(server: Server) -> None:
    names = ("credentials", "write_key", "api_token", "tailorbird.db")
    modes = {name: (server.data / name).stat().st_mode & 0o777 for name in names}
    assert modes == dict.fromkeys(names, 0o600)


def test_there_is_no_reset_without_ephemeral(server: Server) -> None:
    request = urllib.request.Request(f"{server.url}/_/reset", method="POST")
    try:
        status = urllib.request.urlopen(request).status
    except urllib.error.HTTPError as refusal:
        status = refusal.code
    assert status == 404
