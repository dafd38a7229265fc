"""Handlebars.js in a sandbox: one engine for each thread, bounded in time and memory.

The JavaScript beside this file is handlebars.js as published (MIT, see LICENSE) and ours. Nothing
of Python is reachable from a template: endpoints go in and messages come out as JSON text.
"""

from __future__ import annotations

import json
import secrets
import threading
from functools import cache
from pathlib import Path
from typing import Any

import quickjs

from tailorbird.engage.handlebars import zones

SCRIPTS = ("handlebars.min.js", "digests.js", "dates.js", "helpers.js", "engine.js")
TIME_LIMIT_SECONDS = 0.3  # of processor time, to render a batch
COMPILE_LIMIT_SECONDS = 2.0  # 2,000 variables take a quarter of it
MEMORY_LIMIT_BYTES = 30_000_000


class Interrupted(Exception):
    """A template took more time or memory than it may; this thread's engine was thrown away."""


class Engine:
    """One JavaScript context. Only the thread that made it may use it."""

    def __init__(self) -> None:
        self._context = quickjs.Context()
        for name in SCRIPTS:
            self._context.eval(_script(name))
        self._functions = {
            name: self._context.eval(f"engine.{name}")
            for name in ("translate", "load", "has", "render", "addZone")
        }
        self._context.set_memory_limit(MEMORY_LIMIT_BYTES)

    def translate(self, source: str, *, escape: bool) -> dict[str, Any]:
        """{script}, or what is wrong: {message}, and line and column where known."""
        answer: dict[str, Any] = self._ask("translate", source, escape)
        return answer

    def render(
        self,
        key: str,
        scripts: str,
        defaults: str,
        endpoints: str,
        *,
        now: float,
        each_limit: int,
    ) -> list[Any]:
        """A list of parts, or {part, message}, for each endpoint of the JSON list `endpoints`.

        `scripts` (JSON [[part, script], ...]) and `defaults` are read when `key` is new here.
        """
        if not self._call("has", key):
            self._call("load", key, scripts, defaults)
        seed = secrets.token_hex(16)
        results: list[Any] = self._ask("render", key, endpoints, now * 1000, seed, each_limit)
        return results

    def _ask(self, name: str, *arguments: str | float | bool) -> Any:
        """The answer; time zones it needs are brought to it first."""
        while True:
            answer = json.loads(self._call(name, *arguments))
            if not isinstance(answer, dict) or "needs" not in answer:
                return answer
            for zone in answer["needs"]:
                self._call("addZone", zone, json.dumps(zones.changes(zone)))

    def _call(self, name: str, *arguments: str | float | bool) -> Any:
        slow = name in ("translate", "load")
        self._context.set_time_limit(COMPILE_LIMIT_SECONDS if slow else TIME_LIMIT_SECONDS)
        try:
            return self._functions[name](*arguments)
        except (quickjs.JSException, quickjs.StackOverflow) as error:
            forget()
            # Out of memory for the words of its own error, the engine throws null.
            reason = str(error).partition("\n")[0]
            raise Interrupted("out of memory" if reason == "null" else reason) from None


_engines = threading.local()


def engine() -> Engine:
    """This thread's engine."""
    if not hasattr(_engines, "mine"):
        _engines.mine = Engine()
    mine: Engine = _engines.mine
    return mine


def forget() -> None:
    """Throw this thread's engine away; the next use makes a fresh one."""
    if hasattr(_engines, "mine"):
        del _engines.mine


@cache
def _script(name: str) -> str:
    source = (Path(__file__).parent / name).read_text(encoding="utf-8")
    # The published file looks for a module system or a window to put itself on.
    return f"var window = globalThis;\n{source}" if name == SCRIPTS[0] else source
