"""What every deed of Segment's Public API is given."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tailorbird.collect import Collect
from tailorbird.prepare import Prepare


@dataclass(frozen=True)
class Rooms:
    collect: Collect
    prepare: Prepare


@dataclass(frozen=True)
class Asked:
    """A request: the parts of its path that vary, its query and its body."""

    parts: tuple[str, ...]
    query: dict[str, str]
    body: dict[str, Any]


Deed = Callable[[Rooms, Asked], dict[str, Any]]
