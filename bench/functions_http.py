"""Functions over HTTP, signed, as an SDK asks: beside MiniStack in the same run when it is there.

TAILORBIRD_BENCH_MINISTACK names the Python of an environment with `ministack` and `hypercorn`
installed; it is started on 127.0.0.1 only. Both servers get the same requests from the same client.
"""

from __future__ import annotations

import http.client
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials

from bench.functions import CLIENTS, COLD, FUNCTIONS, event, zipped
from tailorbird.remote import Remote
from tests.conftest import free_port

WARM = 500
EACH = 100
START_SECONDS = 60.0
REGION = "us-east-1"
ROLE = "arn:aws:iam::123456789012:role/bench"
MINISTACK = "TAILORBIRD_BENCH_MINISTACK"


def main() -> None:
    print(f"{len(event())} bytes of 50 endpoints, {CLIENTS} clients, Python {sys.version[:6]}")
    with tempfile.TemporaryDirectory() as folder:
        with _tailorbird(Path(folder)) as (url, keys):
            _measure("tailorbird, bwrap", url, keys)
        if python := os.environ.get(MINISTACK):
            with _ministack(python, Path(folder)) as url:
                _measure("ministack, no walls", url, Credentials("test", "test"))
        else:
            print(f"ministack: not measured, {MINISTACK} is not set")


def _measure(server: str, url: str, keys: Credentials) -> None:
    client = boto3.client(
        "lambda",
        endpoint_url=url,
        region_name=REGION,
        aws_access_key_id=keys.access_key,
        aws_secret_access_key=keys.secret_key,
        config=Config(retries={"total_max_attempts": 1}, read_timeout=60),
    )
    for label, (runtime, file, source) in FUNCTIONS.items():
        name = label.replace(", ", "-")
        client.create_function(
            FunctionName=name,
            Runtime=runtime,
            Role=ROLE,
            Handler="app.handler",
            Code={"ZipFile": zipped(file, source)},
            Timeout=15,
            MemorySize=256,
        )
        client.get_waiter("function_active_v2").wait(FunctionName=name)
        ask = _asker(url, keys, name)
        cold = []
        for number in range(COLD):
            client.update_function_configuration(FunctionName=name, Description=str(number))
            client.get_waiter("function_updated_v2").wait(FunctionName=name)
            cold.append(_timed(ask()))
        once = ask()
        warm = sorted(_timed(once) for _ in range(WARM))
        print(
            f"{server}, {label}: first after a change {statistics.median(cold):.0f} ms, warm p50"
            f" {warm[WARM // 2]:.2f} ms p99 {warm[WARM * 99 // 100]:.2f} ms,"
            f" {CLIENTS} clients {_together(ask):.0f} invocations/s",
            flush=True,
        )


def _asker(url: str, keys: Credentials, name: str) -> Callable[[], Callable[[], None]]:
    """Makes clients: each has a connection of its own, and one signature for the whole bench."""
    path, body = f"/2015-03-31/functions/{name}/invocations", event()
    request = AWSRequest(
        "POST", url + path, data=body, headers={"Content-Type": "application/json"}
    )
    SigV4Auth(keys, "lambda", REGION).add_auth(request)
    headers = dict(request.headers.items())

    def connect() -> Callable[[], None]:
        connection = http.client.HTTPConnection(urlsplit(url).netloc)

        def once() -> None:
            connection.request("POST", path, body, headers)
            answer = connection.getresponse()
            said = answer.read()
            wrong = answer.status != 200 or answer.headers.get("X-Amz-Function-Error")
            assert not wrong, said[:300]

        return once

    return connect


def _timed(once: Callable[[], None]) -> float:
    begun = time.perf_counter()
    once()
    return (time.perf_counter() - begun) * 1000


def _together(ask: Callable[[], Callable[[], None]]) -> float:
    """Invocations a second from several clients, after a round that warms an environment each."""

    def work(once: Callable[[], None]) -> None:
        for _ in range(EACH):
            once()

    clients = [ask() for _ in range(CLIENTS)]
    for _ in range(2):
        threads = [threading.Thread(target=work, args=(once,)) for once in clients]
        begun = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    return CLIENTS * EACH / (time.perf_counter() - begun)


@contextmanager
def _tailorbird(folder: Path) -> Iterator[tuple[str, Credentials]]:
    url, data = f"http://127.0.0.1:{free_port()}", folder / "data"
    command = [sys.executable, "-m", "tailorbird", "up", "--data", str(data)]
    with _running([*command, "--port", url.rsplit(":", 1)[1]], url + "/_/health", {}):
        keys = Remote(url, data)._keys()
        yield url, Credentials(keys["aws_access_key_id"], keys["aws_secret_access_key"])


@contextmanager
def _ministack(python: str, folder: Path) -> Iterator[str]:
    port = str(free_port())
    url = f"http://127.0.0.1:{port}"
    command = [python, "-m", "hypercorn", "ministack.app:app", "--bind", f"127.0.0.1:{port}"]
    settings = {"GATEWAY_PORT": port, "LAMBDA_EXECUTOR": "local", "LOG_LEVEL": "WARNING"}
    with _running(command, url + "/_ministack/health", settings | {"HOME": str(folder)}):
        yield url


@contextmanager
def _running(command: list[str], health: str, settings: dict[str, Any]) -> Iterator[None]:
    process = subprocess.Popen(
        command,
        env=os.environ | settings,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait(health)
        yield
    finally:
        process.terminate()
        process.wait()


def _wait(health: str) -> None:
    where = urlsplit(health)
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        try:
            connection = http.client.HTTPConnection(where.netloc, timeout=2)
            connection.request("GET", where.path)
            if connection.getresponse().status == 200:
                return
        except OSError:
            time.sleep(0.1)
    raise TimeoutError(f"nobody answers at {health}")


if __name__ == "__main__":
    main()
