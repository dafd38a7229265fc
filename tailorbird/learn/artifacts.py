"""A trained version as files: manifest.json and one .npy for each array, read memory mapped.

Nothing is pickled. The manifest is written last; a row points at the folder when all is there.
"""

from __future__ import annotations

import json
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from tailorbird.errors import NotFound, Unavailable
from tailorbird.learn.models.blend import Blend
from tailorbird.learn.models.context import Context
from tailorbird.learn.models.engine import LOADERS
from tailorbird.learn.models.ids import Arrays, Ids
from tailorbird.learn.models.interactions import History, Interactions
from tailorbird.learn.models.native import Native
from tailorbird.learn.models.people import People
from tailorbird.learn.models.propensity import Propensity

if TYPE_CHECKING:  # a Spark executor opens a model and has no store
    from tailorbird.store import Objects

MANIFEST = "manifest.json"
FORMAT = 1
EXTRA = ("actions.", "texts.")
PEOPLE = "people."  # arrays of what is known of users without a history
CONTEXT = "context."  # arrays of a context column: context.DEVICE.rows
NO_HISTORY = History(
    np.zeros(0, dtype=np.int32), np.zeros(0, dtype=np.float64), np.zeros(0, dtype=np.int16), 0.0
)


class Files(Protocol):
    """Where a model is read from: the object store, or a folder."""

    def get(self, uri: str) -> bytes: ...

    def fetch(self, uri: str) -> AbstractContextManager[Path]: ...


@dataclass
class Trained:
    """A model and what an answer needs: ids, the histories it was trained on, their last event."""

    blend: Blend
    items: Ids
    users: Ids
    kinds: list[str]
    offsets: np.ndarray
    item: np.ndarray
    time: np.ndarray
    kind: np.ndarray
    recipe: str
    last_event: int  # learn_events up to this id are part of the histories
    manifest: dict[str, Any] = field(default_factory=dict)
    contexts: dict[str, Context] = field(default_factory=dict)
    extra: Arrays = field(default_factory=dict)  # what one recipe needs beside its scorers
    actions: Propensity | None = None
    people: People | None = None  # for users without a history
    content: Any = None  # the opened content_arrays.Content

    @cached_property
    def newest(self) -> float:
        """The moment of the newest interaction."""
        return float(self.time.max()) if len(self.time) else 0.0

    @cached_property
    def first(self) -> np.ndarray:
        """The moment of each item's first interaction (of those kept); NaN for none."""
        found = np.full(len(self.items), np.inf)
        np.minimum.at(found, self.item, self.time)
        return np.where(np.isinf(found), np.nan, found)

    @cached_property
    def uses(self) -> np.ndarray:
        """How many interactions each item has (of those kept)."""
        return np.bincount(self.item, minlength=len(self.items))

    def history(self, user_id: str) -> History:
        """The user's rows at the time of training; empty for an unknown user."""
        user = self.users.find(user_id)
        if user < 0:
            return NO_HISTORY
        rows = slice(int(self.offsets[user]), int(self.offsets[user + 1]))
        times = self.time[rows]
        return History(
            self.item[rows], times, self.kind[rows], float(times[-1]) if len(times) else 0.0
        )


def save(
    folder: Path,
    data: Interactions,
    blend: Blend,
    about: dict[str, Any],
    keep_rows: int,
    more: Arrays | None = None,
) -> None:
    """Write a model and the newest `keep_rows` rows of every user into an empty folder."""
    from_end = data.offsets[data.user + 1] - np.arange(len(data))
    data = data.keep(from_end <= keep_rows)
    arrays: Arrays = {
        "offsets": data.offsets,
        "item": data.item,
        "time": data.time,
        "kind": data.kind,
        **(more or {}),
    }
    for name, table in (("item_ids", data.items), ("user_ids", data.users)):
        arrays |= {f"{name}.{part}": array for part, array in table.arrays().items()}
    for name, scorer in blend.scorers.items():
        arrays |= {f"{name}.{part}": array for part, array in scorer.arrays().items()}
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array, allow_pickle=False)
    manifest = about | {
        "format": FORMAT,
        "kinds": data.kinds,
        "scorers": list(blend.scorers),
        "weights": blend.weights,
        "seen_penalty": blend.seen_penalty,
        "fallback": blend.fallback,
        "alone": blend.alone,
        "files": sorted(f"{name}.npy" for name in arrays),
    }
    (folder / MANIFEST).write_text(json.dumps(manifest))


def store(objects: Objects, folder: Path, uri: str) -> None:
    """Put the folder's files below `uri`, the manifest last."""
    for path in sorted(folder.iterdir(), key=lambda one: one.name == MANIFEST):
        objects.put(f"{uri}/{path.name}", path)


def drop(objects: Objects, uri: str) -> None:
    """Gone afterwards, whether or not it was there."""
    try:
        files = list(objects.list(f"{uri}/"))
    except NotFound:
        return
    for info in files:
        objects.delete(info.uri)


def load(objects: Files, uri: str, native: Native | None = None) -> Trained:
    """Open a model; its arrays stay on disk until they are read. `native` adds up its blend."""
    manifest = json.loads(objects.get(f"{uri}/{MANIFEST}"))
    if manifest["format"] != FORMAT:
        raise Unavailable(f"{uri} has format {manifest['format']}; this server reads {FORMAT}")
    with ExitStack() as stack:
        arrays = {
            name.removesuffix(".npy"): np.load(
                stack.enter_context(objects.fetch(f"{uri}/{name}")),
                mmap_mode="r",
                allow_pickle=False,
            )
            for name in manifest["files"]
        }
    arrays = {name: np.asarray(array) for name, array in arrays.items()}
    scorers = {
        name: LOADERS[name.partition("-")[0]](_under(arrays, name)) for name in manifest["scorers"]
    }
    blend = Blend(
        scorers,
        manifest["weights"],
        manifest["seen_penalty"],
        manifest["fallback"],
        manifest["alone"],
    )
    items = Ids(**_under(arrays, "item_ids"))
    if native is not None:
        blend.kernel = native.kernel(blend, len(items))
    return Trained(
        blend=blend,
        items=items,
        users=Ids(**_under(arrays, "user_ids")),
        kinds=manifest["kinds"],
        offsets=arrays["offsets"],
        item=arrays["item"],
        time=arrays["time"],
        kind=arrays["kind"],
        recipe=manifest["recipe"],
        last_event=manifest["last_event"],
        manifest=manifest,
        contexts=_contexts(arrays),
        people=People.load(known) if (known := _under(arrays, PEOPLE[:-1])) else None,
        extra={name: array for name, array in arrays.items() if name.startswith(EXTRA)},
    )


def _contexts(arrays: Arrays) -> dict[str, Context]:
    """The context columns of a stored model."""
    grouped: dict[str, Arrays] = {}
    for key, array in arrays.items():
        if key.startswith(CONTEXT):
            name, _, part = key.removeprefix(CONTEXT).rpartition(".")
            grouped.setdefault(name, {})[part] = array
    return {name: Context.load(one) for name, one in grouped.items()}


def _under(arrays: Arrays, name: str) -> Arrays:
    prefix = f"{name}."
    return {
        key.removeprefix(prefix): array for key, array in arrays.items() if key.startswith(prefix)
    }
