"""The way out of a function's network: of a private one the only one, else an HTTP proxy.

Inside, every name leads to 127.0.0.1. Port 9002 is the house. On 443 and 80 the host that is asked
for decides: Segment's and Amazon's addresses are answered by the house (TLS with its own
authority), the allow list goes to the real host untouched, the rest is refused and logged.
The proxy of an environment without a private network does the same with the host it is told.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

from tailorbird.functions import addresses, proxy, watching
from tailorbird.functions.authority import Authority
from tailorbird.functions.proxy import Asked, Doors
from tailorbird.functions.watching import Names

PIECE_BYTES = 262_144
FIRST_BYTES = 16_384
FIRST_SECONDS = 30.0
LISTENER_POLL_SECONDS = 0.01
RESET = struct.pack("ii", 1, 0)  # SO_LINGER: closed at once, and the other side is told
LOOKED_UP_SECONDS = 1.0  # a name looked up is told by its connection, when one comes this soon
TRIED_MAX = 1_000  # hosts remembered of one environment

Report = Callable[[str], None]
Carrier = Callable[["Exit", socket.socket], Coroutine[Any, Any, None]]
Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]

log = logging.getLogger("tailorbird.functions")


@dataclass(frozen=True)
class Inner:
    """Sockets inside a private network: the house's port, TLS and HTTP ports, DNS, the watch."""

    house: socket.socket
    doors: Sequence[socket.socket]
    names: socket.socket
    watch: socket.socket


@dataclass(eq=False)
class Exit:
    """The sockets of one environment's way out, and what its connections are doing."""

    function: str
    report: Report
    sockets: list[socket.socket]
    doors: Doors | None = None  # without a private network
    tasks: set[asyncio.Task[None]] = field(default_factory=set)
    names: Names = field(default_factory=Names)
    tried: set[str] = field(default_factory=set)  # hosts whose connections were seen or told

    def saw(self, host: str) -> None:
        """Remember a host; a function that makes up names costs no more memory than TRIED_MAX."""
        if len(self.tried) >= TRIED_MAX:
            self.tried.clear()
        self.tried.add(host.lower())


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

    def attach(self, inner: Inner, function: str, report: Report) -> Exit:
        """Serve the sockets of an environment with a private network."""
        sockets = [inner.house, *inner.doors, inner.names, inner.watch]
        way_out = Exit(function, report, sockets)
        for sock in way_out.sockets:
            sock.setblocking(False)
        self._loop.call_soon_threadsafe(self._serve, way_out, inner)
        return way_out

    def attach_doors(self, doors: Doors, function: str, report: Report) -> Exit:
        """Serve the proxy and the Unix socket of an environment without a private network."""
        way_out = Exit(function, report, [doors.proxy, doors.unix], doors)
        for sock in way_out.sockets:
            sock.setblocking(False)
        self._loop.call_soon_threadsafe(self._serve_doors, way_out, doors)
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

    def _serve(self, way_out: Exit, inner: Inner) -> None:
        self._start(way_out, self._listen(way_out, inner.house, self._to_house))
        for door in inner.doors:
            self._start(way_out, self._listen(way_out, door, self._by_host))
        self._loop.add_reader(inner.names, self._answer_name, way_out, inner.names)
        self._loop.add_reader(inner.watch, self._see, way_out, inner.watch)

    def _answer_name(self, way_out: Exit, names: socket.socket) -> None:
        with contextlib.suppress(OSError):
            query, sender = names.recvfrom(4096)
            answer, name = way_out.names.answer(query)
            if answer is not None:
                names.sendto(answer, sender)
            if name and not self._leads(name):
                self._loop.call_later(LOOKED_UP_SECONDS, self._tell_lookup, way_out, name)

    def _tell_lookup(self, way_out: Exit, name: str) -> None:
        """Tell of a name that was looked up, where no connection followed that tells of it."""
        if name.lower() not in way_out.tried:
            way_out.saw(name)
            way_out.report(f"Tailorbird knows no address of {name}: {_remedy(name)}")

    def _see(self, way_out: Exit, watch: socket.socket) -> None:
        """Tell of a connection to a port that is nobody's; the kernel has refused it."""
        with contextlib.suppress(OSError):
            begun = watching.attempt(watch)
            if begun is None:
                return
            host = way_out.names.host(begun[0])
            way_out.saw(host)
            if begun[1] not in proxy.PORTS.values():
                way_out.report(_refusal(f"{host}:{begun[1]}", "ports 443 and 80 of the "))

    def _leads(self, host: str) -> bool:
        """True for a host that the gateway leads somewhere."""
        return addresses.is_house(host) or addresses.matches(host, self._allowed)

    def _serve_doors(self, way_out: Exit, doors: Doors) -> None:
        self._start(way_out, self._listen(way_out, doors.proxy, self._by_request))
        self._start(way_out, self._listen(way_out, doors.unix, self._by_host))

    def _close(self, way_out: Exit) -> None:
        for task in list(way_out.tasks):
            task.cancel()
        for sock in way_out.sockets:
            self._loop.remove_reader(sock)
            sock.close()
        if way_out.doors is not None:
            way_out.doors.close()

    def _start(self, way_out: Exit, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        way_out.tasks.add(task)
        task.add_done_callback(way_out.tasks.discard)

    async def _listen(self, way_out: Exit, listener: socket.socket, carry: Carrier) -> None:
        while True:
            sock, _ = await self._loop.sock_accept(listener)
            if sock.family == socket.AF_INET:
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
        if address := _bare_address(sock):  # written into the code: nobody's name leads there
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            way_out.report(_refusal(address))
            return
        first = await asyncio.wait_for(self._peek(sock), FIRST_SECONDS)
        tls = first[:1] == bytes([addresses.TLS_HANDSHAKE])
        host = addresses.server_name(first) if tls else addresses.http_host(first)
        host = host or _wanted(way_out, sock)
        way_out.saw(host)
        if addresses.is_house(host):
            inner = await self._terminate(sock, host) if tls else None
            inner = inner or await asyncio.open_connection(sock=sock)
            await self._join_house(way_out, inner)
        elif addresses.matches(host, self._allowed):
            outer = await asyncio.open_connection(host, 443 if tls else 80)
            await _join(await asyncio.open_connection(sock=sock), outer)
        else:
            way_out.report(_refusal(host))

    async def _by_request(self, way_out: Exit, sock: socket.socket) -> None:
        """Carry a proxy's connection to where its first request asks."""
        assert way_out.doors is not None
        head = await asyncio.wait_for(self._peek(sock), FIRST_SECONDS)
        head = head[: head.find(b"\r\n\r\n") + 4]
        unread = len(head)
        while unread:
            unread -= len(await self._loop.sock_recv(sock, unread))
        try:
            asked = proxy.read(head, way_out.doors.password)
            await self._lead(way_out, sock, asked)
        except proxy.Refused as refused:
            await self._loop.sock_sendall(sock, refused.response())

    async def _lead(self, way_out: Exit, sock: socket.socket, asked: Asked) -> None:
        if asked.port not in proxy.PORTS.values():
            self._refuse(way_out, f"{asked.host}:{asked.port}", "ports 443 and 80 of the ")
        elif addresses.is_house(asked.host):
            await self._lead_home(way_out, sock, asked)
        elif addresses.matches(asked.host, self._allowed):
            await self._lead_out(sock, asked)
        else:
            self._refuse(way_out, asked.host)

    def _refuse(self, way_out: Exit, host: str, which: str = "the ") -> NoReturn:
        text = _refusal(host, which)
        way_out.report(text)
        raise proxy.Refused("403 Forbidden", text)

    async def _lead_home(self, way_out: Exit, sock: socket.socket, asked: Asked) -> None:
        if asked.tunnel:
            await self._loop.sock_sendall(sock, proxy.ESTABLISHED)
            first = await asyncio.wait_for(self._peek(sock), FIRST_SECONDS)
            if first[:1] == bytes([addresses.TLS_HANDSHAKE]):
                await self._join_house(way_out, await self._terminate(sock, asked.host))
                return
        await self._join_house(way_out, await asyncio.open_connection(sock=sock), asked.head)

    async def _lead_out(self, sock: socket.socket, asked: Asked) -> None:
        context = ssl.create_default_context() if asked.tls else None
        try:
            outer = await asyncio.open_connection(asked.host, asked.port, ssl=context)
        except OSError as error:
            text = f"{asked.host}:{asked.port} cannot be reached: {error}\n"
            raise proxy.Refused("502 Bad Gateway", text) from None
        if asked.tunnel:
            await self._loop.sock_sendall(sock, proxy.ESTABLISHED)
        outer[1].write(asked.head)
        await _join(await asyncio.open_connection(sock=sock), outer)

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

    async def _join_house(self, way_out: Exit, inner: Stream, head: bytes = b"") -> None:
        """Carry a connection to the house, which can ask meanwhile whose it is."""
        outer = await asyncio.open_connection(*self._house)
        port = outer[1].get_extra_info("sockname")[1]
        self.callers[port] = way_out.function
        outer[1].write(head)
        try:
            await _join(inner, outer)
        finally:
            del self.callers[port]


def _wanted(way_out: Exit, sock: socket.socket) -> str:
    """The host of a connection that does not say it: by the address it was made to."""
    address = sock.getsockname()
    return way_out.names.host(address[0]) if isinstance(address, tuple) else "?"


def _bare_address(sock: socket.socket) -> str:
    """The address that was asked for, "" when it is one of the gateway's own."""
    address = sock.getsockname()
    return address[0] if isinstance(address, tuple) and address[0][:4] != "127." else ""


def _refusal(host: str, which: str = "the ") -> str:
    return f"Tailorbird refused a connection to {host}: {_remedy(host, which)}"


def _remedy(host: str, which: str = "the ") -> str:
    return (
        f"functions reach this house and {which}hosts of the setting functions_egress"
        f" (add {host.partition(':')[0]} to allow it)\n"
    )


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
