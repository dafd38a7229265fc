"""Serve the house on one port, or only work for it, until interrupted."""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
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
LEAVE_SECONDS = 15.0  # for a process that serves beside this one, to end in order
PAUSE_SECONDS = 1.0  # before one that died is started anew

log = logging.getLogger("tailorbird")


def serve(settings: Settings) -> None:
    """Serve every API and the console on one port until interrupted."""
    _check_processes(settings)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())  # so that the house stops in order
    with _data_folder(settings) as settings, _listen(settings) as listener:
        house = House.open(settings.replace(port=listener.getsockname()[1]))
        house.start()
        entrance = Entrance(house)
        try:
            with _others(house.settings):
                _announce(house)
                _run_server(entrance, listener)
        finally:
            entrance.house.stop()


def _serve_beside(settings: Settings) -> None:
    """Another process on the same port and data; it goes when the one that started it goes."""
    os.setsid()  # Ctrl-C is the first process's affair
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    threading.Thread(target=_leave_with_parent, name="parent", daemon=True).start()
    with _bound(settings) as listener:
        house = House.open(settings)
        house.start()
        try:
            _run_server(Entrance(house), listener)
        finally:
            house.stop()


def _leave_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)


@contextlib.contextmanager
def _others(settings: Settings) -> Iterator[None]:
    """The processes beside this one, each started anew when it dies."""
    stopping = threading.Event()
    keepers = [
        threading.Thread(target=_keep, args=(settings, stopping), name=f"process-{n}", daemon=True)
        for n in range(2, settings.processes + 1)
    ]
    for keeper in keepers:
        keeper.start()
    try:
        yield
    finally:
        stopping.set()
        for keeper in keepers:
            keeper.join(LEAVE_SECONDS)


def _keep(settings: Settings, stopping: threading.Event) -> None:
    """Keep one process beside this one alive until the house stops."""
    while not stopping.is_set():
        process = multiprocessing.get_context("spawn").Process(
            target=_serve_beside, args=(settings,)
        )
        try:
            process.start()
        except OSError as error:  # no memory, or too many processes, for now
            log.error("no process beside this one could be started: %s", error)
            stopping.wait(PAUSE_SECONDS)
            continue
        while process.is_alive() and not stopping.wait(PAUSE_SECONDS):
            pass
        if not stopping.is_set():
            log.error("a process that served beside this one ended (%s)", process.exitcode)
            stopping.wait(PAUSE_SECONDS)
            continue
        process.terminate()
        process.join(LEAVE_SECONDS)
        process.kill()


def _check_processes(settings: Settings) -> None:
    if settings.processes < 1:
        raise Invalid(f"processes is {settings.processes}; 1 or more is right")
    if settings.processes > 1 and settings.ephemeral:
        raise Invalid("processes is more than 1: temporary data has one process, which resets it")


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

    from tailorbird.one_write import OneWriteProtocol

    config = uvicorn.Config(
        entrance,
        access_log=False,
        backlog=LISTEN_BACKLOG,
        http=OneWriteProtocol,
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
    """The port, ours alone; with several processes, then shared by them."""
    with _bound(settings.replace(processes=1)) as listener:
        if settings.processes == 1:
            yield listener
            return
        port = listener.getsockname()[1]
    with _bound(settings.replace(port=port)) as listener:
        yield listener


@contextlib.contextmanager
def _bound(settings: Settings) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if settings.processes > 1:  # the kernel deals connections out among them
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
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
    count = house.settings.processes
    among = f" in {count} processes" if count > 1 else ""
    print(f"Tailorbird {__version__} listens on {where}{among}", flush=True)
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
