"""Answers to JSON values: known members only, under their wire names, without nulls."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

from tailorbird.gateway.wire import moments
from tailorbird.gateway.wire.model import Model, Ref, Shape

Render = Callable[[Any], Any]
# A member on its way out: our name, the wire name, the type that needs no rendering, the renderer.
Entry = tuple[str, str, type | None, Render]

PLAIN = {
    "string": str,
    "boolean": bool,
    "integer": int,
    "long": int,
    "float": float,
    "double": float,
}


class JsonWriter:
    """Renderers of one model's shapes, each made once.

    A value of the wrong type is our own mistake: TypeError names where it is.
    """

    def __init__(self, model: Model) -> None:
        self._model = model
        self._made: dict[tuple[str, str | None], Render] = {}

    def renderer(self, ref: Ref) -> Render:
        shape = self._model.shape(ref)
        key = (shape["name"], shape.get("timestampFormat"))
        made = self._made.get(key)
        if made is None:
            self._made[key] = lambda value: self._made[key](value)
            made = self._made[key] = self._make(shape)
        return made

    def structure(self, members: dict[str, Ref]) -> Render:
        table: dict[str, Entry] = {}
        for name, ref in members.items():
            plain = PLAIN.get(self._model.shape(ref)["type"])
            table[name] = (name, ref.get("locationName", name), plain, self.renderer(ref))
        find = table.get
        as_it_is = {name: plain for name, wire, plain, _ in table.values() if name == wire}.get

        def render(value: Any) -> dict[str, Any]:
            if not isinstance(value, dict):
                raise TypeError(f"an object is wanted, not {value!r:.80}")
            for key, item in value.items():
                if type(item) is not as_it_is(key):
                    break
            else:
                return value
            out: dict[str, Any] = {}
            for key, item in value.items():
                entry = find(key)
                if entry is None or item is None:
                    continue
                name, wire_name, plain, render_item = entry
                if type(item) is plain:
                    out[wire_name] = item
                else:
                    try:
                        out[wire_name] = render_item(item)
                    except TypeError as error:
                        raise TypeError(f"{name}: {error}") from None
            return out

        return render

    def _make(self, shape: Shape) -> Render:
        kind = shape["type"]
        if kind == "structure":
            return self.structure(shape["members"])
        if kind == "list":
            return self._list(shape)
        if kind == "map":
            return self._map(shape)
        if kind == "timestamp":
            return _timestamp(shape.get("timestampFormat", "unixTimestamp"))
        return SCALARS[kind]

    def _list(self, shape: Shape) -> Render:
        plain = PLAIN.get(self._model.shape(shape["member"])["type"])
        render_item = self.renderer(shape["member"])

        def render(value: Any) -> list[Any]:
            if isinstance(value, str | bytes | dict):
                raise TypeError(f"a list is wanted, not {value!r:.80}")
            return [item if type(item) is plain else render_item(item) for item in value]

        return render

    def _map(self, shape: Shape) -> Render:
        plain = PLAIN.get(self._model.shape(shape["value"])["type"])
        render_item = self.renderer(shape["value"])

        def render(value: Any) -> dict[str, Any]:
            if not isinstance(value, dict):
                raise TypeError(f"a map is wanted, not {value!r:.80}")
            return {
                str(key): item if type(item) is plain else render_item(item)
                for key, item in value.items()
                if item is not None
            }

        return render


def _timestamp(form: str) -> Render:
    def render(value: Any) -> Any:
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise TypeError(f"a timestamp is wanted, not {value!r:.80}")
        return moments.write(value, form)

    return render


def _string(value: Any) -> str:
    if isinstance(value, str):
        return str(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise TypeError(f"a string is wanted, not {value!r:.80}")


def _boolean(value: Any) -> bool:
    if isinstance(value, int) and value in (0, 1):
        return bool(value)
    raise TypeError(f"a boolean is wanted, not {value!r:.80}")


def _whole(value: Any) -> int:
    if isinstance(value, bool) or int(value) != value:
        raise TypeError(f"a whole number is wanted, not {value!r:.80}")
    return int(value)


def _real(value: Any) -> float:
    if isinstance(value, bool | str):
        raise TypeError(f"a number is wanted, not {value!r:.80}")
    return float(value)


def _blob(value: Any) -> str:
    if not isinstance(value, bytes | bytearray | memoryview):
        raise TypeError(f"bytes are wanted, not {value!r:.80}")
    return base64.b64encode(value).decode()


SCALARS: dict[str, Render] = {
    "string": _string,
    "boolean": _boolean,
    "integer": _whole,
    "long": _whole,
    "float": _real,
    "double": _real,
    "blob": _blob,
}
