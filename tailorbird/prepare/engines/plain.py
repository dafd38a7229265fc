"""Processes of our own, one for each core: flat memory, the scanner and the rule itself.

The processes are those of worker.py.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from tailorbird.errors import Unavailable
from tailorbird.prepare.counts import Counts, from_dict
from tailorbird.prepare.engines.package import package
from tailorbird.prepare.engines.work import Work
from tailorbird.prepare.mapping import Dataset
from tailorbird.prepare.worker import convert, greeting

WORKER = (
    "import sys; sys.path.insert(0, sys.argv[1]);"
    " from tailorbird.prepare.worker import serve; serve()"
)


def run(work: Work) -> Iterator[tuple[int, Counts]]:
    """Turn every group into its part; the groups as they are done."""
    if work.processes < 2 or len(work.todo) < 2:
        for number in work.todo:
            with work.open(number) as files:
                part = work.part(number)
                yield number, convert(work.dataset, files, part, work.now, work.library)
        return
    with ExitStack() as stack:
        idle: SimpleQueue[subprocess.Popen[str]] = SimpleQueue()
        rule = package(work.scratch)
        for _ in range(min(work.processes, len(work.todo))):
            idle.put(stack.enter_context(_worker(work.dataset, rule)))
        yield from _spread(work, idle)


def _worker(dataset: Dataset, rule: Path) -> Any:
    """A worker that knows its dataset."""
    worker = _Ending([sys.executable, "-c", WORKER, str(rule)])
    _say(worker, greeting(dataset))
    return worker


class _Ending(subprocess.Popen[str]):
    """A process that is ended with its `with`."""

    def __init__(self, command: Sequence[str]) -> None:
        super().__init__(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __exit__(self, *raised: Any) -> None:
        self.kill()
        super().__exit__(*raised)


def _spread(work: Work, idle: SimpleQueue[subprocess.Popen[str]]) -> Iterator[tuple[int, Counts]]:
    """Give each idle worker the next group until there is none."""

    def one(number: int) -> Counts:
        worker = idle.get()
        try:
            with work.open(number) as files:
                listed = [(name, str(path)) for name, path in files]
                task = {
                    "files": listed,
                    "part": str(work.part(number)),
                    "now": work.now,
                    "library": work.library and str(work.library),
                }
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

    yield from as_they_end(idle.qsize(), one, work.todo)


def as_they_end(
    threads: int, one: Callable[[int], Counts], todo: Sequence[int]
) -> Iterator[tuple[int, Counts]]:
    """Every group with its counts, so many at once, in the order in which they end."""
    pool = ThreadPoolExecutor(threads, thread_name_prefix="prepare")
    waiting: dict[Future[Counts], int] = {pool.submit(one, number): number for number in todo}
    try:
        while waiting:
            done, _ = wait(waiting, return_when=FIRST_COMPLETED)
            for future in done:
                yield waiting.pop(future), future.result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _say(worker: subprocess.Popen[str], line: str) -> None:
    assert worker.stdin is not None
    try:
        worker.stdin.write(line + "\n")
        worker.stdin.flush()
    except BrokenPipeError:
        raise Unavailable(f"A process of prepare ended with status {worker.wait()}") from None
