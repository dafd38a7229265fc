"""Large batch jobs on Spark: model and code travel to the executors, lines come back answered.

Filters and what came since the training are settled here, where the store is; executors score. The
rows are those of a job that runs here, line for line.
"""

from __future__ import annotations

import re
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import tailorbird
from tailorbird import ids
from tailorbird.errors import Invalid, NotFound, Unavailable
from tailorbird.learn import batch, batch_executor
from tailorbird.learn.batch_lines import Given, Told, Wanted
from tailorbird.learn.batch_today import Today
from tailorbird.learn.models.native import Native
from tailorbird.learn.room import Learn
from tailorbird.spark_context import ERROR_CHARACTERS
from tailorbird.spark_context import opened as spark_opened

TASK_LINES = 500
TASK_USERS = 2_000
ROOM = ("artifacts", "batch_executor", "batch_lines", "batch_today", "segment_quality")
SENT = ("errors", *(f"learn/{one}" for one in ROOM))
PACKAGES = ("", "learn/", "learn/models/")
REASON = re.compile(r"^(?:\w+\.)*\w*(?:Error|Exception): .*$", re.MULTILINE)


def wanted(room: Learn, count: int) -> bool:
    """Whether so many lines, or users to score, go to Spark."""
    settings = room.settings
    return bool(settings.learn_spark_master) and count >= settings.learn_spark_lines


def native(room: Learn) -> Native | None:
    """The library in C, for jobs here: it adds up in another order, and executors do not have it.

    Where there is a Spark, jobs do without it everywhere, so that their lines are the same.
    """
    return None if room.settings.learn_spark_master else room.native


@contextmanager
def opened(room: Learn, artifact: str) -> Iterator[Spark]:
    """A Spark whose executors have the model; Invalid without PySpark."""
    master = room.settings.learn_spark_master
    with tempfile.TemporaryDirectory(prefix="tailorbird-spark-") as folder:
        model = f"model-{ids.uuid4()}.zip"
        _pack_model(room, artifact, Path(folder) / model)
        code = _pack_code(Path(folder))
        with spark_opened(master, "tailorbird batch job") as (context, _):
            context.addPyFile(str(code))
            context.addArchive(str(Path(folder) / model))
            yield Spark(context, model, master)


@dataclass(frozen=True)
class Spark:
    """Executors with a model."""

    context: Any
    model: str
    master: str

    @property
    def slots(self) -> int:
        return max(1, int(self.context.defaultParallelism))

    def plan(
        self, asked: Wanted, tell: Callable[[Given], Told], today: Today | None = None
    ) -> batch.Plan:
        """Pieces of some lines for every slot."""

        def answer(given: list[Given]) -> list[dict[str, Any]]:
            lines = [_line(tell, one) for one in given]
            task = partial(batch_executor.answered, self.model, asked, today)
            return [one for found in self._map(task, _cut(lines, TASK_LINES)) for one in found]

        return batch.Plan(answer, TASK_LINES * self.slots, self.master)

    def belonging(self, users: int, queries: Sequence[np.ndarray]) -> np.ndarray:
        """[query, user]: the share of a user's score that lies on the query's items."""
        task = partial(batch_executor.belonging, self.model, list(queries))
        return np.concatenate(self._map(task, _cut(range(users), TASK_USERS)), axis=1)

    def _map(self, task: Callable[[Any], Any], parts: list[Any]) -> list[Any]:
        from py4j.protocol import Py4JError

        if not parts:
            return []
        try:
            return list(self.context.parallelize(parts, len(parts)).map(task).collect())
        except Py4JError as error:
            text = str(error)
            found = REASON.findall(text.split("Driver stacktrace")[0])
            raise Unavailable(f"Spark: {(found or [text])[-1][:ERROR_CHARACTERS]}") from None


def _line(tell: Callable[[Given], Told], given: Given) -> batch_executor.Line:
    try:
        return batch_executor.line(given, tell(given))
    except (Invalid, NotFound) as error:
        return batch_executor.Line(given, error=error.message)


def _cut(many: Sequence[Any], size: int) -> list[Any]:
    return [many[at : at + size] for at in range(0, len(many), size)]


def _pack_model(room: Learn, artifact: str, target: Path) -> None:
    """The model's files as they lie in the store; arrays are read where they are unpacked."""
    with zipfile.ZipFile(target, "w") as files:
        for info in room.objects.list(f"{artifact}/"):
            with room.objects.fetch(info.uri) as path:
                files.write(path, info.uri.rpartition("/")[2])


def _pack_code(folder: Path) -> Path:
    """Models and answers alone: no store, no services."""
    root, target = Path(tailorbird.__file__).parent, folder / "tailorbird_model.zip"
    models = (f"learn/models/{path.stem}" for path in sorted((root / "learn/models").glob("*.py")))
    with zipfile.ZipFile(target, "w") as files:
        for name in PACKAGES:
            files.writestr(f"tailorbird/{name}__init__.py", "")
        for name in (*SENT, *models):
            if not name.endswith("__init__"):
                files.write(root / f"{name}.py", f"tailorbird/{name}.py")
    return target
