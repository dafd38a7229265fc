"""PySpark: on this machine (`local[N]`) or on a cluster by its master's URL.

Files go to the executors with their content and come back as rows, so no folder need be shared;
the rule goes with them, so nothing need be installed there but Python.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from tailorbird.errors import Unavailable
from tailorbird.prepare.counts import Counts, from_dict
from tailorbird.prepare.engines.package import package
from tailorbird.prepare.engines.plain import as_they_end
from tailorbird.prepare.engines.work import Work
from tailorbird.prepare.lines import packed
from tailorbird.spark_context import ERROR_CHARACTERS, opened


def run(work: Work) -> Iterator[tuple[int, Counts]]:
    """Turn every group into its part, as many at once as the cluster has slots."""
    if not work.todo:
        return
    with opened(work.master, "tailorbird prepare") as (context, ours):
        try:
            _send_rule(context)
            slots = max(1, int(context.defaultParallelism))
            yield from as_they_end(slots, lambda number: _group(context, work, number), work.todo)
        finally:
            folder = _sent.pop(context.applicationId, None) if ours else None
            if folder is not None:
                folder.cleanup()


def _send_rule(context: Any) -> None:
    """Send the rule to the executors, once; it stays for those that join later."""
    if context.applicationId not in _sent:
        folder = tempfile.TemporaryDirectory(prefix="tailorbird-spark-")
        _sent[context.applicationId] = folder
        context.addPyFile(str(package(Path(folder.name))))


_sent: dict[str, tempfile.TemporaryDirectory[str]] = {}  # gone with the process


def _group(context: Any, work: Work, number: int) -> Counts:
    """One group by one Spark task."""
    from py4j.protocol import Py4JError

    with work.open(number) as files:
        content = [(name, path.read_bytes()) for name, path in files]
    convert = partial(packed, dataset=work.dataset, now=work.now)
    try:
        ((text, counts),) = context.parallelize([content], 1).map(convert).collect()
    except Py4JError as error:
        raise Unavailable(f"Spark: {str(error)[:ERROR_CHARACTERS]}") from None
    work.part(number).write_bytes(text)
    return from_dict(counts)
