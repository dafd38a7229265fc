"""Plain Python in as many processes as there are cores: flat memory, and the rule itself.

A worker process reads a line of JSON for each group and answers with one; it ends when whoever
started it is gone.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from tailorbird.errors import Unavailable
from tailorbird.prepare.counts import Counts, from_dict
from tailorbird.prepare.engines.work import Named, Work
from tailorbird.prepare.lines import converter
from tailorbird.prepare.mapping import Dataset

WORKER = "import sys; from tailorbird.prepare.engines.plain import serve; serve()"


def run(work: Work) -> Iterator[tuple[int, Counts]]:
    """Turn every group into its part; the groups as they are done."""
    if work.processes < 2 or len(work.todo) < 2:
        for number in work.todo:
            with work.open(number) as files:
                yield number, convert(work.dataset, files, work.part(number), work.now)
        return
    with ExitStack() as stack:
        idle: SimpleQueue[subprocess.Popen[str]] = SimpleQueue()
        for _ in range(min(work.processes, len(work.todo))):
            idle.put(stack.enter_context(_worker()))
        yield from _spread(work, idle)


def convert(dataset: Dataset, files: Sequence[Named], part: Path, now: float) -> Counts:
    """The rows of some files in one part."""
    counts = Counts()
    one_file = converter(dataset, now)
    with part.open("w", newline="", encoding="utf-8") as out:
        for name, path in files:
            with path.open("rb") as file:
                counts.add(one_file(name, file, out))
    return counts


def serve() -> None:
    """The worker process: groups from standard input, counts to standard output."""
    dataset: Dataset | None = None
    for line in sys.stdin:
        task = json.loads(line)
        if "dataset" in task:
            dataset = _dataset(task)
            continue
        assert dataset is not None  # the first line
        files = [(name, Path(path)) for name, path in task["files"]]
        try:
            counts = convert(dataset, files, Path(task["part"]), task["now"])
            answer: dict[str, Any] = {"counts": counts.to_dict()}
        except OSError as error:
            answer = {"error": str(error)}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


def _dataset(task: dict[str, Any]) -> Dataset:
    from tailorbird.prepare import files

    found = files.from_dict(task["mapping"]).dataset(task["dataset"])
    assert found is not None
    return found


def _worker() -> Any:
    return _Ending([sys.executable, "-c", WORKER])


class _Ending(subprocess.Popen[str]):
    """A process that is ended with its `with`."""

    def __init__(self, command: Sequence[str]) -> None:
        super().__init__(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __exit__(self, *raised: Any) -> None:
        self.kill()
        super().__exit__(*raised)


def _spread(work: Work, idle: SimpleQueue[subprocess.Popen[str]]) -> Iterator[tuple[int, Counts]]:
    """Give each idle worker the next group until there is none."""
    from tailorbird.prepare.files import dataset_to_dict

    hello = json.dumps({"mapping": dataset_to_dict(work.dataset), "dataset": work.dataset.name})
    greeted: set[int] = set()

    def one(number: int) -> Counts:
        worker = idle.get()
        try:
            with work.open(number) as files:
                if worker.pid not in greeted:
                    greeted.add(worker.pid)
                    _say(worker, hello)
                listed = [(name, str(path)) for name, path in files]
                task = {"files": listed, "part": str(work.part(number)), "now": work.now}
                _say(worker, json.dumps(task))
                assert worker.stdout is not None
                line = worker.stdout.readline()
        finally:
            idle.put(worker)
        if not line:
            raise Unavailable(f"A process of prepare ended with status {worker.wait()}")
        answer = json.loads(line)
        if "error" in answer:
            raise Unavailable(f"Preparing stopped: {answer['error']}")
        return from_dict(answer["counts"])

    pool = ThreadPoolExecutor(idle.qsize(), thread_name_prefix="prepare")
    try:
        yield from _as_they_end(pool, one, work.todo)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _as_they_end(pool: ThreadPoolExecutor, one: Any, todo: Sequence[int]) -> Iterator[Any]:
    waiting: dict[Future[Counts], int] = {pool.submit(one, number): number for number in todo}
    while waiting:
        done, _ = wait(waiting, return_when=FIRST_COMPLETED)
        for future in done:
            yield waiting.pop(future), future.result()


def _say(worker: subprocess.Popen[str], line: str) -> None:
    assert worker.stdin is not None
    try:
        worker.stdin.write(line + "\n")
        worker.stdin.flush()
    except BrokenPipeError:
        raise Unavailable(f"A process of prepare ended with status {worker.wait()}") from None
