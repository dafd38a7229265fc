"""The way out of a function's private network: its port 9002 is this house's own port."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import threading

PIECE_BYTES = 262_144

log = logging.getLogger("tailorbird.functions")


class Egress:
    """One thread that carries bytes between functions and the house."""

    def __init__(self, house: tuple[str, int]) -> None:
        self._house = house
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="functions-egress", daemon=True)
        self._thread.start()

    def attach(self, listener: socket.socket) -> asyncio.AbstractServer:
        """Carry what connects to this listener to the house, until detached."""
        serving = asyncio.start_server(self._carry, sock=listener)
        return asyncio.run_coroutine_threadsafe(serving, self._loop).result()

    def detach(self, server: asyncio.AbstractServer) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended, and the server with it
            self._loop.call_soon_threadsafe(server.close)

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(asyncio.sleep(0))
        self._loop.close()

    async def _carry(self, inner: asyncio.StreamReader, answer: asyncio.StreamWriter) -> None:
        host, port = self._house
        try:
            outer, request = await asyncio.open_connection(host.strip("[]"), port)
        except OSError as error:
            log.warning("a function could not reach %s:%s: %s", host, port, error)
            answer.close()
            return
        await asyncio.gather(_pump(inner, request), _pump(outer, answer))


async def _pump(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    """Copy until the source ends, then close the target's direction."""
    try:
        while data := await source.read(PIECE_BYTES):
            target.write(data)
            await target.drain()
    except ConnectionError:
        pass
    finally:
        with contextlib.suppress(ConnectionError, OSError):
            if target.can_write_eof():
                target.write_eof()
            else:
                target.close()
