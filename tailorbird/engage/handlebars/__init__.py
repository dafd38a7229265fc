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
TIME_LIMIT_SECONDS = 0.3
MEMORY_LIMIT_BYTES = 30_000_000


class Interrupted(Exception):
    """A template took more time or memory than it may; the engine was thrown away."""


class Engine:
    """One JavaScript context. Only the thread that made it may use it."""

    def __init__(self) -> None:
        self._context = quickjs.Context()
        for name in SCRIPTS:
            self._context.eval(_script(name))
        self._functions = {
            name: self._context.eval(f"engine.{name}")
            for name in ("check", "compile", "has", "render", "addZone")
        }
        self._context.set_memory_limit(MEMORY_LIMIT_BYTES)
        self._context.set_time_limit(TIME_LIMIT_SECONDS)

    def check(self, source: str, *, escape: bool) -> dict[str, Any]:
        """{} when it compiles, else what is wrong: message, and line and column where known."""
        answer = self._ask("check", source, escape)
        return {} if "ok" in answer else answer

    def render(
        self,
        message: tuple[str, str, str],
        endpoints: str,
        *,
        now: float,
        each_limit: int,
    ) -> list[Any]:
        """A list of parts, or {part, message}, for each endpoint of the JSON list `endpoints`."""
        key, parts, defaults = message
        if not self._call("has", key):
            self._ask("compile", key, parts, defaults)
        seed = secrets.token_hex(16)
        answer: list[Any] = self._ask("render", key, endpoints, now * 1000, seed, each_limit)
        return answer

    def _ask(self, name: str, *arguments: str | float | bool) -> Any:
        """The answer; time zones it needs are brought to it first."""
        while True:
            answer = json.loads(self._call(name, *arguments))
            if not isinstance(answer, dict) or "needs" not in answer:
                return answer
            for zone in answer["needs"]:
                self._call("addZone", zone, json.dumps(zones.changes(zone)))

    def _call(self, name: str, *arguments: str | float | bool) -> Any:
        try:
            return self._functions[name](*arguments)
        except quickjs.JSException as error:
            forget()
            raise Interrupted(str(error).partition("\n")[0]) from None


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
