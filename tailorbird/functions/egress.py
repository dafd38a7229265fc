"""The way out of a function's private network, and the only one.

Inside, every name leads to 127.0.0.1. Port 9002 is the house. On 443 and 80 the host that is asked
for decides: Segment's and Amazon's addresses are answered by the house (TLS with its own
authority), the allow list goes to the real host untouched, the rest is refused and logged.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
import threading
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any

from tailorbird.functions import addresses
from tailorbird.functions.authority import Authority

PIECE_BYTES = 262_144
FIRST_BYTES = 16_384
FIRST_SECONDS = 30.0
LISTENER_POLL_SECONDS = 0.01

Report = Callable[[str], None]
Carrier = Callable[["Exit", socket.socket], Coroutine[Any, Any, None]]
Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]

log = logging.getLogger("tailorbird.functions")


@dataclass(eq=False)
class Exit:
    """The sockets of one environment's private network, and what its connections are doing."""

    function: str
    report: Report
    sockets: list[socket.socket]
    tasks: set[asyncio.Task[None]] = field(default_factory=set)


class Egress:
    """One thread that carries bytes between functions, the house and what is allowed outside."""

    def __init__(
        self, house: tuple[str, int], authority: Authority, allowed: Sequence[str] = ()
    ) -> None:
        self._house = (house[0].strip("[]"), house[1])
        self._authority = authority
        self._allowed = allowed
        self.callers: dict[int, str] = {}  # our own ports towards the house, and whose they are
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="functions-egress", daemon=True)
        self._thread.start()

    def attach(
        self,
        house: socket.socket,
        doors: Sequence[socket.socket],
        names: socket.socket,
        function: str,
        report: Report,
    ) -> Exit:
        """Serve an environment's sockets: the house's port, the TLS and HTTP ports, its DNS."""
        way_out = Exit(function, report, [house, *doors, names])
        for sock in way_out.sockets:
            sock.setblocking(False)
        self._loop.call_soon_threadsafe(self._serve, way_out, house, doors, names)
        return way_out

    def detach(self, way_out: Exit) -> None:
        """Close the environment's sockets and what runs over them."""
        with contextlib.suppress(RuntimeError):  # the loop has ended, and everything with it
            self._loop.call_soon_threadsafe(self._close, way_out)

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()
        tasks = asyncio.all_tasks(self._loop)
        for task in tasks:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        self._loop.close()

    def _serve(
        self,
        way_out: Exit,
        house: socket.socket,
        doors: Sequence[socket.socket],
        names: socket.socket,
    ) -> None:
        self._start(way_out, self._listen(way_out, house, self._to_house))
        for door in doors:
            self._start(way_out, self._listen(way_out, door, self._by_host))
        self._loop.add_reader(names, _answer_names, names)

    def _close(self, way_out: Exit) -> None:
        for task in list(way_out.tasks):
            task.cancel()
        for sock in way_out.sockets:
            self._loop.remove_reader(sock)
            sock.close()

    def _start(self, way_out: Exit, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        way_out.tasks.add(task)
        task.add_done_callback(way_out.tasks.discard)

    async def _listen(self, way_out: Exit, listener: socket.socket, carry: Carrier) -> None:
        while True:
            sock, _ = await self._loop.sock_accept(listener)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._start(way_out, self._carry(way_out, sock, carry))

    async def _carry(self, way_out: Exit, sock: socket.socket, carry: Carrier) -> None:
        """Carry one connection to its end, whatever ends it."""
        try:
            await carry(way_out, sock)
        except (OSError, ssl.SSLError, asyncio.IncompleteReadError) as error:
            log.debug("a function's connection ended: %s", error)
        finally:
            sock.close()

    async def _to_house(self, way_out: Exit, sock: socket.socket) -> None:
        await self._join_house(way_out, await asyncio.open_connection(sock=sock))

    async def _by_host(self, way_out: Exit, sock: socket.socket) -> None:
        first = await asyncio.wait_for(self._peek(sock), FIRST_SECONDS)
        tls = first[:1] == bytes([addresses.TLS_HANDSHAKE])
        host = (addresses.server_name(first) if tls else addresses.http_host(first)) or "?"
        if addresses.is_house(host):
            inner = await self._terminate(sock, host) if tls else None
            inner = inner or await asyncio.open_connection(sock=sock)
            await self._join_house(way_out, inner)
        elif addresses.matches(host, self._allowed):
            outer = await asyncio.open_connection(host, 443 if tls else 80)
            await _join(await asyncio.open_connection(sock=sock), outer)
        else:
            way_out.report(
                f"Tailorbird refused a connection to {host}: functions reach this house and the"
                f" hosts of the setting functions_egress (add {host} to allow it)\n"
            )

    async def _peek(self, sock: socket.socket) -> bytes:
        """The first bytes of a connection, left unread; enough to tell the host."""
        seen = b""
        while True:
            await self._readable(sock)
            before, seen = seen, sock.recv(FIRST_BYTES, socket.MSG_PEEK)
            whole = (
                addresses.server_name(seen) != "" if seen[:1] == b"\x16" else b"\r\n\r\n" in seen
            )
            if not seen or whole or len(seen) >= FIRST_BYTES:
                return seen
            if seen == before:
                await asyncio.sleep(LISTENER_POLL_SECONDS)

    async def _readable(self, sock: socket.socket) -> None:
        ready = asyncio.Event()
        self._loop.add_reader(sock, ready.set)
        try:
            await ready.wait()
        finally:
            self._loop.remove_reader(sock)

    async def _terminate(self, sock: socket.socket, host: str) -> Stream:
        reader = asyncio.StreamReader()
        protocol = asyncio.StreamReaderProtocol(reader)
        context = self._authority.context(host)
        transport, _ = await self._loop.connect_accepted_socket(lambda: protocol, sock, ssl=context)
        return reader, asyncio.StreamWriter(transport, protocol, reader, self._loop)

    async def _join_house(self, way_out: Exit, inner: Stream) -> None:
        """Carry a connection to the house, which can ask meanwhile whose it is."""
        outer = await asyncio.open_connection(*self._house)
        port = outer[1].get_extra_info("sockname")[1]
        self.callers[port] = way_out.function
        try:
            await _join(inner, outer)
        finally:
            del self.callers[port]


async def _join(one: Stream, other: Stream) -> None:
    """Copy both ways until both have ended."""
    try:
        await asyncio.gather(_pump(one[0], other[1]), _pump(other[0], one[1]))
    finally:
        one[1].close()
        other[1].close()


async def _pump(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    """Copy until the source ends, then end the target's direction."""
    while data := await source.read(PIECE_BYTES):
        target.write(data)
        await target.drain()
    if target.can_write_eof():
        target.write_eof()
    else:
        target.close()


def _answer_names(names: socket.socket) -> None:
    with contextlib.suppress(OSError):
        query, sender = names.recvfrom(4096)
        answer = addresses.dns_answer(query)
        if answer is not None:
            names.sendto(answer, sender)
