"""Campaigns whose mail server, PostgreSQL or hook stops in the middle and is started again."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import aws
from tests.conftest import FreshDatabases, Server, free_port, start_server, wait_for
from tests.crash.test_campaigns import SLOW_HOOK
from tests.unit.channels.conftest import Sink, certificate_files

__all__ = ["certificate_files"]
PEOPLE = [f"person-{n:04d}" for n in range(400)]
SLOW = {"LambdaFunctionName": "slow"}
AWAY_SECONDS = 3.0  # many tries long: everything that waits does it in shorter steps here
QUICK: dict[str, Any] = {
    "engage_channel_away_seconds": 0.5, "channel_retry_seconds": "1,1,1", "job_lease_seconds": 2,
    "engage_hook_concurrency": 2,
}  # fmt: skip


@pytest.fixture
def sink() -> Iterator[Sink]:
    started = Sink(free_port())
    started.start()
    yield started
    started.stop()


class HookServer:
    """A customer's https hook in a process of its own, which keeps what it was asked."""

    def __init__(self, folder: Path, certificates: Path) -> None:
        self.port, self.log = free_port(), folder / "asked.txt"
        self.log.touch()
        self._arguments = [str(self.port), str(self.log), str(certificates)]
        self.start()

    def start(self) -> None:
        words = [sys.executable, "-c", HOOK_SERVER, *self._arguments]
        self.process = subprocess.Popen(words)

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()


HOOK_SERVER = """
import http.server, json, ssl, sys, time
port, log, folder = sys.argv[1:]
class Hook(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["Endpoints"]
        with open(log, "a") as file:
            file.write(" ".join(asked) + "\\n")
        time.sleep(0.2)
        body = json.dumps(asked).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_): pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", int(port)), Hook)
context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
context.load_cert_chain(folder + "/certificate.pem", folder + "/key.pem")
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
"""


def go_on(
    server: Server, sink: Sink, hook: dict[str, str], stop: Callable[[], None],
    start: Callable[[], None],
) -> None:  # fmt: skip
    """A campaign to everybody, something it needs stopped in the middle and started again."""
    app = aws.create_app(server)
    aws.put_people(server, app, PEOPLE)
    if "LambdaFunctionName" in hook:
        aws.python_function(server, "slow", SLOW_HOOK)
        aws.allow_pinpoint(server, "slow", app)
    segment = aws.create_segment(server, app)
    campaign = aws.create_campaign(server, app, segment, Hook={**hook, "Mode": "FILTER"})
    wait_for(lambda: len(sink.taken) > 30)
    stop()
    time.sleep(AWAY_SECONDS)
    assert len(sink.taken) < len(PEOPLE), "over too soon to prove anything"
    start()
    activity = aws.finished_activity(server, app, campaign)
    server.stop()
    assert activity["ExecutionMetrics"]["ENDPOINT_SENT"] == str(len(PEOPLE))
    assert {to.partition("@")[0] for to in sink.recipients()} == set(PEOPLE)


def test_a_campaign_goes_on_when_its_mail_server_is_started_again(
    fresh_databases: FreshDatabases, tmp_path: Path, sink: Sink
) -> None:
    url = fresh_databases.url("sqlite")
    server = start_server(tmp_path / "data", url, smtp_url=sink.url, **QUICK)
    go_on(server, sink, SLOW, sink.stop, sink.start)


def test_a_campaign_goes_on_when_postgresql_is_started_again(
    postgres_of_its_own: Any, tmp_path: Path, sink: Sink
) -> None:
    url = postgres_of_its_own.get_uri()
    server = start_server(tmp_path / "data", url, smtp_url=sink.url, **QUICK)
    go_on(server, sink, SLOW, postgres_of_its_own.stop, postgres_of_its_own.start)


@pytest.mark.parametrize("dialect", ["sqlite", "postgresql"])
def test_a_campaign_goes_on_when_its_hook_is_started_again(
    fresh_databases: FreshDatabases, tmp_path: Path, sink: Sink, certificate_files: Path,
    dialect: str,
) -> None:  # fmt: skip
    hook = HookServer(tmp_path, certificate_files)
    server = start_server(
        tmp_path / "data", fresh_databases.url(dialect), smtp_url=sink.url,
        outgoing_allow="127.0.0.0/8", outgoing_ca_file=certificate_files / "certificate.pem",
        **QUICK,
    )  # fmt: skip
    go_on(server, sink, {"WebUrl": f"https://127.0.0.1:{hook.port}/"}, hook.stop, hook.start)
    hook.stop()
    assert len(sink.recipients()) == len(PEOPLE), "nobody twice"
    assert set(hook.log.read_text().split()) == set(PEOPLE)
