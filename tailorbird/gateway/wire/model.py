"""Service models as the installed botocore carries them, read without importing botocore."""

from __future__ import annotations

import functools
import gzip
import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

Shape = dict[str, Any]
Ref = dict[str, Any]

# Shapes whose pattern is not enforced: imports also read files of this machine (file:// or a path)
# where a setting allows it; the room refuses everything else.
PATTERN_WAIVED = {("personalize", "S3Location")}


@dataclass(frozen=True, eq=False)
class Model:
    name: str
    metadata: dict[str, Any]
    operations: dict[str, dict[str, Any]]
    shapes: dict[str, Shape]

    @property
    def protocol(self) -> str:
        """json, rest-json, query or rest-xml: the ones Tailorbird speaks."""
        offered = self.metadata.get("protocols") or [self.metadata["protocol"]]
        return next(p for p in ("json", "rest-json", "rest-xml", "query") if p in offered)

    def shape(self, ref: Ref) -> Shape:
        """A referenced shape with the reference's own traits laid over it, and its `name`."""
        return {**self.shapes[ref["shape"]], **ref, "name": ref["shape"]}


@functools.cache
def load(name: str) -> Model:
    """The newest model of a service in the installed botocore."""
    raw = orjson.loads(_read(name))
    shapes = raw["shapes"]
    for shape_name, shape in shapes.items():
        shape.pop("documentation", None)
        if (name, shape_name) in PATTERN_WAIVED:
            shape.pop("pattern", None)
        for ref in (shape.get("members") or {}).values():
            ref.pop("documentation", None)
    return Model(name, raw["metadata"], raw["operations"], shapes)


def _read(name: str) -> bytes:
    spec = importlib.util.find_spec("botocore")
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError("botocore is not installed; `make setup` installs it")
    versions = Path(spec.submodule_search_locations[0]) / "data" / name
    newest = max(folder for folder in versions.iterdir() if folder.is_dir())
    packed = newest / "service-2.json.gz"
    if packed.exists():
        return gzip.decompress(packed.read_bytes())
    return (newest / "service-2.json").read_bytes()
