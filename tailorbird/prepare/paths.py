"""Addresses of fields in a call: `properties.sku`, `properties.products[].sku`, `traits."a.b"`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from tailorbird.errors import Invalid

STEP = re.compile(r'(?:"((?:[^"\\]|\\.)+)"|([^."\[\]]+))(\[\])?(\.|$)')
RIGHT = 'for example properties.sku, properties.products[].sku or traits."odd.name"'


@dataclass(frozen=True)
class Path:
    """Names from the call inwards; with `inner`, `outer` leads to an array and `inner` on in it."""

    outer: tuple[str, ...]
    inner: tuple[str, ...] | None = None

    def __str__(self) -> str:
        outer = ".".join(map(_shown, self.outer))
        return outer if self.inner is None else f"{outer}[].{'.'.join(map(_shown, self.inner))}"


def parse(text: Any, where: str) -> Path:
    """The path a mapping names at `where`; Invalid says what is wrong with it."""
    if not isinstance(text, str) or not text:
        raise Invalid(f"{where} is {text!r}; the path of a field is right, {RIGHT}")
    steps: list[str] = []
    array: int | None = None
    at = 0
    while at < len(text) or (at and text[at - 1] == "."):
        found = STEP.match(text, at)
        if found is None:
            raise Invalid(f"{where}: {text!r} is no path at {text[at:]!r}; {RIGHT}")
        quoted, plain, brackets, _ = found.groups()
        steps.append(re.sub(r"\\(.)", r"\1", quoted) if quoted else plain)
        if brackets:
            if array is not None:
                raise Invalid(f"{where}: {text!r} goes through two arrays; one [] is right")
            array = len(steps)
        at = found.end()
    if array is None:
        return Path(tuple(steps))
    if array == len(steps):
        raise Invalid(f"{where}: {text!r} ends in []; a field of the array's objects is right")
    return Path(tuple(steps[:array]), tuple(steps[array:]))


def _shown(step: str) -> str:
    if re.fullmatch(r'[^."\[\]]+', step):
        return step
    return '"' + step.replace("\\", "\\\\").replace('"', '\\"') + '"'
