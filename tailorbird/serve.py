"""Serve the house on one port, or only work for it, until interrupted."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

from tailorbird import __version__, access
from tailorbird.app import House
from tailorbird.entrance import Entrance
from tailorbird.errors import Invalid
from tailorbird.settings import Settings

LISTEN_BACKLOG = 2048
STOP_SECONDS = 5


def serve(settings: Settings) -> None:
    """Serve every API and the console on one port until interrupted."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())  # so that the house stops in order
    with _data_folder(settings) as settings, _listen(settings) as listener:
        port = listener.getsockname()[1]
        house = House.open(settings.replace(port=port))
        house.start()
        entrance = Entrance(house)
        try:
            _announce(house)
            _run_server(entrance, listener)
        finally:
            entrance.house.stop()


def work(settings: Settings) -> None:
    """Do background work only, until interrupted."""
    house = House.open(settings)
    house.start(serving=False)
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    print(
        f"Working on {house.db.dialect} with {settings.worker_threads} threads a queue", flush=True
    )
    stopped.wait()
    house.stop()


def _run_server(entrance: Entrance, listener: socket.socket) -> None:
    import uvicorn

    config = uvicorn.Config(
        entrance,
        access_log=False,
        backlog=LISTEN_BACKLOG,
        http="httptools",
        lifespan="off",
        log_level="warning",
        server_header=False,
        timeout_graceful_shutdown=STOP_SECONDS,
        ws="none",
    )
    uvicorn.Server(config).run(sockets=[listener])


@contextlib.contextmanager
def _data_folder(settings: Settings) -> Iterator[Settings]:
    """The data folder as given, or one that goes away afterwards."""
    if not settings.ephemeral:
        yield settings.replace(data=settings.data.absolute())
        return
    folder = Path(tempfile.mkdtemp(prefix="tailorbird-"))
    try:
        yield settings.replace(data=folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _listen(settings: Settings) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, settings.port))
    except OSError as error:
        listener.close()
        where = f"{settings.host}:{settings.port}"
        raise Invalid(f"Cannot listen on {where}: {os.strerror(error.errno or 0)}") from None
    with listener:
        yield listener


def _announce(house: House) -> None:
    where = f"http://{house.settings.host}:{house.settings.port}"
    print(f"Tailorbird {__version__} listens on {where}", flush=True)
    print(f"  console      {where}/{_pass(house)}")
    print(f"  AWS APIs     AWS_ENDPOINT_URL={where}")
    print(f"  credentials  AWS_SHARED_CREDENTIALS_FILE={house.settings.data / 'credentials'}")
    print(f"  Segment      host={where}, write key in {house.settings.data / 'write_key'}")
    print(f"  functions    sandbox {house.functions.level}", flush=True)


def _pass(house: House) -> str:
    """The token for a person at a terminal; a log gets only the place where it is."""
    if sys.stdout.isatty():
        return f"?token={access.secret(house.settings.data, 'api_token')}"
    return f" with the token in {house.settings.data / 'api_token'}"
