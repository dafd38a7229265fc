"""A source's archive becomes a dataset to import, with a report of every call that did not."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tailorbird.errors import Invalid
from tailorbird.prepare import counts, engines, finishing, inputs, native, outputs
from tailorbird.prepare.counts import Counts
from tailorbird.prepare.engines.work import Work
from tailorbird.prepare.files import SEED, dataset_to_dict, from_dict
from tailorbird.prepare.inputs import Input
from tailorbird.prepare.mapping import DATASETS, INTERACTIONS, Dataset, Mapping
from tailorbird.prepare.room import Prepare
from tailorbird.prepare.staging import Staging, key_of, staging

SMALL_BYTES = 4 * 1024 * 1024
USUAL = from_dict({})
READERS = {"spark": "python"}  # of engines that leave the lines to something else


@dataclass(frozen=True)
class Progress:
    """How far a run is: bytes of files, rows so far, and the pace."""

    files: int
    files_total: int
    bytes: int
    bytes_total: int
    rows: int
    seconds: float

    @property
    def seconds_left(self) -> float | None:
        return self.seconds * (self.bytes_total - self.bytes) / self.bytes if self.bytes else None


Told = Callable[[Progress], None]


@dataclass(frozen=True)
class Options:
    """How a run is done; the result is the same."""

    engine: str = engines.DEFAULT
    strict: bool = False  # a damaged file ends the run
    master: str | None = None  # of Spark
    processes: int = 0  # 0: as many as there are cores


def run(
    room: Prepare,
    input_uri: str,
    output_uri: str,
    mapping: Mapping | None = None,
    *,
    dataset: str = INTERACTIONS,
    options: Options | None = None,
    told: Told = lambda progress: None,
) -> dict[str, Any]:
    """Write a dataset of an archive (an `s3://` prefix or a local folder) as CSV.

    The report: lines read = kept + rejected by reason, rows written, samples, files and bytes
    read, seconds, and as `reader` who read the lines: "native" (the scanner in C, and the rule
    what is not usual), "python" (the rule) or "duckdb". The output appears whole or not at all. A
    run that was cut off goes on with the parts it had.
    """
    wanted, options = dataset_of(mapping or USUAL, dataset), options or Options()
    outputs.check(output_uri)
    if options.engine not in engines.ENGINES:
        known = ", ".join(engines.ENGINES)
        raise Invalid(f"There is no engine {options.engine!r}; one of {known}")
    outputs.recover(output_uri)
    began = time.perf_counter()
    grouped = inputs.groups(inputs.find(room, input_uri))
    library = _library(room, wanted, options)
    place, key = _staged(room, input_uri, output_uri, wanted, options, grouped)
    with staging(place, key) as stage:
        found = _parts(room, wanted, options, grouped, stage, library, told)
        if options.strict and found.damaged:
            first = found.damaged[0]
            raise Invalid(f"{first['file']}: {first['what']}")
        _deliver(room, wanted, stage, len(grouped), output_uri, found)
    return {
        **found.to_dict(),
        "rejected_total": found.rejected.total(),
        "files": sum(map(len, grouped)),
        "bytes": sum(file.size for group in grouped for file in group),
        "dataset": dataset,
        "columns": list(wanted.header),
        "input": input_uri,
        "output": output_uri,
        "engine": options.engine,
        "reader": "native" if library else READERS.get(options.engine, options.engine),
        "seconds": round(time.perf_counter() - began, 3),
    }


def dataset_of(mapping: Mapping, name: str) -> Dataset:
    """The dataset of a mapping; Invalid when the mapping has none of this name."""
    if name not in DATASETS:
        raise Invalid(f"There is no dataset {name!r}; one of {', '.join(DATASETS)}")
    found = mapping.dataset(name)
    if found is None:
        raise Invalid(f"The mapping says nothing of {name}; a table [{name}] in it is right")
    return found


def _staged(
    room: Prepare,
    input_uri: str,
    output_uri: str,
    dataset: Dataset,
    options: Options,
    grouped: Sequence[Sequence[Input]],
) -> tuple[Path, str]:
    """The folder of the run's parts, and its name: what goes in and comes out."""
    listed = [[(file.uri, file.size) for file in group] for group in grouped]
    described = {
        "input": input_uri,
        "output": output_uri,
        "engine": options.engine,
        "mapping": dataset_to_dict(dataset),
        "files": listed,
    }
    if output_uri.startswith("s3://"):
        return room.settings.data / "prepare", key_of(described)
    target = Path(output_uri)
    return target.parent / f".{target.name}.parts", key_of(described)


def _parts(
    room: Prepare,
    dataset: Dataset,
    options: Options,
    grouped: Sequence[Sequence[Input]],
    stage: Staging,
    library: Path | None,
    told: Told,
) -> Counts:
    """Make every part that is not there yet; the counts of all."""
    known = {n: found for n in range(len(grouped)) if (found := stage.known(n)) is not None}
    todo = [n for n in range(len(grouped)) if n not in known]
    sizes = [sum(file.size for file in group) for group in grouped]
    began = time.perf_counter()
    before = sum(sizes[n] for n in known)

    def tell() -> None:
        seconds = time.perf_counter() - began
        done, rows = sum(sizes[n] for n in known), sum(one.rows for one in known.values())
        if before and done > before:  # parts of an earlier run took no time of this one
            seconds *= done / (done - before)
        files = sum(len(grouped[n]) for n in known)
        total = sum(map(len, grouped))
        told(Progress(files, total, done, sum(sizes), rows, seconds))

    with tempfile.TemporaryDirectory(prefix="scratch-", dir=stage.folder) as scratch:
        work = Work(
            dataset=dataset,
            todo=todo,
            open=lambda number: inputs.local(room, grouped[number]),
            part=stage.unfinished,
            scratch=Path(scratch),
            processes=options.processes or _processes(sum(sizes)),
            now=room.clock.now(),
            master=options.master,
            library=library,
        )
        tell()
        for number, found in engines.ENGINES[options.engine](work):
            stage.keep(number, found)
            known[number] = found
            tell()
    return counts.total(known[number] for number in sorted(known))


def _library(room: Prepare, dataset: Dataset, options: Options) -> Path | None:
    """The scanner in C, where it was built, knows the dataset and is not switched off."""
    wanted = options.engine == "python" and room.settings.prepare_native
    return native.library() if wanted and native.covers(dataset) else None


def _processes(size: int) -> int:
    """As many as there are cores; one for what is not worth starting more."""
    return 1 if size < SMALL_BYTES else len(os.sched_getaffinity(0))


def _deliver(
    room: Prepare, dataset: Dataset, stage: Staging, parts: int, output_uri: str, found: Counts
) -> None:
    made = [stage.part(number) for number in range(parts)]
    csv = stage.folder / "whole.csv"
    many = outputs.is_folder(output_uri) and not dataset.literal
    if dataset.latest:
        rows = finishing.newest(dataset, made, csv, stage.folder)
        found.left_out["older"], found.rows = found.rows - rows, rows
    elif dataset.drop_duplicates:
        rows = finishing.distinct(dataset, made, csv, stage.folder)
        found.left_out["duplicate"], found.rows = found.rows - rows, rows
    elif many:
        named = []
        for number, part in enumerate(made):
            headed = stage.folder / f"headed-{number:05}.csv"
            finishing.whole(dataset, [part], headed)
            named.append((f"part-{number:05}.csv", headed))
        outputs.folder(room, named, output_uri)
        return
    else:
        finishing.whole(dataset, made, csv)
    if not outputs.is_folder(output_uri):
        outputs.file(room, csv, output_uri)
        return
    moment = int(room.clock.now() * 1000)
    name = f"run-{moment}-part-r-00000" if dataset.literal else "part-00000.csv"
    outputs.folder(room, [(name, csv)], output_uri)


__all__ = ["SEED", "Options", "Progress", "dataset_of", "run"]
