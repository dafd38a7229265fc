"""What a started server says of itself, and to whom."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.aws import create_app
from tests.conftest import FreshDatabases, Server, free_port, start_server, wait_for


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


def test_an_ephemeral_server_can_be_emptied_and_leaves_nothing(tmp_path: Path) -> None:
    port = free_port()
    command = [sys.executable, "-m", "tailorbird", "up", "--port", str(port), "--ephemeral"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=tmp_path) as process:
        assert process.stdout is not None
        said = "".join(process.stdout.readline() for _ in range(6))
        data = Path(said.partition("FILE=")[2].partition("/credentials")[0])
        server = Server(f"http://127.0.0.1:{port}", data, process)
        wait_for(lambda: is_up(server))
        create_app(server)
        reset = urllib.request.Request(f"{server.url}/_/reset", method="POST")
        with urllib.request.urlopen(reset) as answer:
            assert answer.status == 200
        left = server.client("pinpoint").get_apps()["ApplicationsResponse"]["Item"]
        process.terminate()
        process.wait(30)
    assert (left, data.exists()) == ([], False)


@pytest.mark.parametrize(
    ("start", "says"),
    [
        ("POST /v1/track HTTP/1.1", b"nothing more of the body came for 0.5 seconds"),
        ("POST /_/explain HTTP/1.1", b"nothing more of the body came for 0.5 seconds"),
        ("PUT /bucket/key HTTP/1.1", b"<Error>"),
    ],
)
def test_a_body_that_stays_away_is_waited_for_only_so_long(
    tmp_path: Path, fresh_databases: FreshDatabases, start: str, says: bytes
) -> None:
    server = start_server(tmp_path / "data", fresh_databases.url("sqlite"), body_seconds=0.5)
    host, port = server.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=20) as client:
        lines = [start, "Host: x", "Content-Length: 10", f"Authorization: Bearer {server.token}"]
        client.sendall("\r\n".join([*lines, "", "{"]).encode())
        heard = b""
        while piece := client.recv(4096):  # until the server closes the connection
            heard += piece
    server.stop()
    assert heard.startswith(b"HTTP/1.1 4")
    assert says in heard


def is_up(server: Server) -> bool:
    try:
        with urllib.request.urlopen(f"{server.url}/_/health") as answer:
            return bool(answer.status == 200)
    except urllib.error.URLError:
        return False


def test_there_is_no_reset_without_ephemeral(server: Server) -> None:
    request = urllib.request.Request(f"{server.url}/_/reset", method="POST")
    try:
        status = urllib.request.urlopen(request).status
    except urllib.error.HTTPError as refusal:
        status = refusal.code
    assert status == 404
