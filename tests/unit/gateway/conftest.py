"""A real gateway on a real port, over operations that say what they were asked."""

from __future__ import annotations

import functools
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import pytest
import uvicorn
from botocore.config import Config

from tailorbird.access import Access, AccessKey, Caller, create_access_key
from tailorbird.clock import SystemClock
from tailorbird.gateway import SERVICES, Gateway
from tailorbird.gateway.services import Table
from tailorbird.settings import load
from tailorbird.store import Database


@dataclass
class Echo:
    """A room that remembers what it was asked and answers what it was told to."""

    asked: list[tuple[Caller, dict[str, Any]]] = field(default_factory=list)
    answer: Any = None
    wait: Callable[[dict[str, Any]], object] | None = None


def echo(room: Echo, caller: Caller, request: dict[str, Any]) -> Any:
    room.asked.append((caller, request))
    if room.wait is not None:
        room.wait(request)
    if isinstance(room.answer, Exception):
        raise room.answer
    return room.answer


BUILT = {
    "pinpoint": "CreateApp GetApp UpdateEndpointsBatch UntagResource TagResource "
    "ListTagsForResource GetApplicationDateRangeKpi PutEvents GetCampaign",
    "personalize": "CreateSchema CreateSolution DescribeCampaign DeleteSchema ListRecipes",
    "personalize-runtime": "GetRecommendations",
    "personalize-events": "PutEvents PutItems",
    "lambda": "Invoke CreateFunction GetFunction ListFunctions AddPermission RemovePermission",
    "sts": "GetCallerIdentity AssumeRole",
    "iam": "CreateRole GetRole TagRole",
    "logs": "FilterLogEvents",
    "cloudwatch": "ListMetrics",
    "s3": "ListBuckets PutObject GetObject HeadObject ListObjectsV2 DeleteObjects CreateBucket "
    "UploadPart CompleteMultipartUpload CreateMultipartUpload GetBucketLocation HeadBucket",
}


@dataclass(eq=False)
class Running:
    url: str
    room: Echo
    key: AccessKey

    def client(self, service: str, **options: Any) -> Any:
        """The real boto3, told nothing but the endpoint and the keys."""
        if not options:
            return self._usual(service)
        return boto3.client(
            service,
            endpoint_url=options.pop("url", self.url),
            region_name=options.pop("region", "us-east-1"),
            aws_access_key_id=options.pop("key_id", self.key.id),
            aws_secret_access_key=options.pop("secret", self.key.secret),
            config=Config(
                retries={"total_max_attempts": 1},
                s3={"addressing_style": options.pop("addressing_style", "path")},
                **options,
            ),
        )

    @functools.cache  # noqa: B019 lives as long as the session
    def _usual(self, service: str) -> Any:
        return self.client(service, max_pool_connections=16)

    def asked(self) -> dict[str, Any]:
        """The request of the last call, as the operation got it."""
        return self.room.asked[-1][1]

    def caller(self) -> Caller:
        return self.room.asked[-1][0]


@pytest.fixture(scope="session")
def gateway_server(
    sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("gateway")
    shutil.copy(sqlite_template, folder / "access.db")
    db = Database(f"sqlite:///{folder / 'access.db'}")
    settings = load({"data": folder}, environment={}, folder=folder)
    access = Access(db, SystemClock(), settings)
    key = create_access_key(access, "123456789012")
    room = Echo()
    slow = frozenset({"Invoke"})
    tables = {s.key: Table(dict.fromkeys(BUILT[s.key].split(), echo), slow=slow) for s in SERVICES}
    rooms = dict.fromkeys((s.room for s in SERVICES), room)
    gateway = Gateway(access, rooms, settings, access.clock, tables)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        config = uvicorn.Config(
            gateway, log_level="error", lifespan="off", http="httptools", ws="none"
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.005)
        yield Running(f"http://127.0.0.1:{listener.getsockname()[1]}", room, key)
        server.should_exit = True
        thread.join(10)
    gateway.close()
    db.close()


@pytest.fixture
def running(gateway_server: Running) -> Running:
    """The server with a room that remembers nothing."""
    gateway_server.room.asked.clear()
    gateway_server.room.answer = gateway_server.room.wait = None
    return gateway_server
