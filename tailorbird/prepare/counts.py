"""What became of the lines of an archive: read = kept + rejected, whatever the engine."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

SAMPLES = 3  # of each reason
SAMPLE_CHARACTERS = 300


@dataclass
class Counts:
    """Lines read and kept, rows written, why the rest was not, and when the rows are of."""

    read: int = 0
    kept: int = 0
    rows: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    left_out: Counter[str] = field(default_factory=Counter)
    samples: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    damaged: list[dict[str, Any]] = field(default_factory=list)
    oldest: int | None = None  # epoch seconds
    newest: int | None = None
    future: int = 0  # rows later than when the work began

    def add(self, other: Counts) -> None:
        self.read += other.read
        self.kept += other.kept
        self.rows += other.rows
        self.rejected += other.rejected
        self.left_out += other.left_out
        self.future += other.future
        self.damaged += other.damaged
        for reason, samples in other.samples.items():
            mine = self.samples.setdefault(reason, [])
            mine += samples[: SAMPLES - len(mine)]
        self.seen([moment for moment in (other.oldest, other.newest) if moment is not None])

    def seen(self, moments: Sequence[int], now: float | None = None) -> None:
        """Rows of these epoch seconds were written."""
        if not moments:
            return
        low, high = min(moments), max(moments)
        self.oldest = low if self.oldest is None else min(low, self.oldest)
        self.newest = high if self.newest is None else max(high, self.newest)
        if now is not None and high > now:
            self.future += sum(moment > now for moment in moments)

    def reject(self, reason: str, file: str, line: int, text: bytes) -> None:
        self.rejected[reason] += 1
        samples = self.samples.setdefault(reason, [])
        if len(samples) < SAMPLES:
            shown = text[:SAMPLE_CHARACTERS].decode(errors="replace")
            samples.append({"file": file, "line": line, "text": shown})

    def to_dict(self) -> dict[str, Any]:
        return {name: _plain(getattr(self, name)) for name in self.__dataclass_fields__}


def from_dict(given: dict[str, Any]) -> Counts:
    counted = {name: Counter(given[name]) for name in ("rejected", "left_out")}
    return Counts(**{**given, **counted})


def total(many: Iterable[Counts]) -> Counts:
    found = Counts()
    for counts in many:
        found.add(counts)
    return found


def _plain(value: Any) -> Any:
    return dict(value) if isinstance(value, Counter) else value
