"""What a runtime says about itself: how to start it and what it must be shown."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

BOOT = Path(__file__).with_name("boot")


@dataclass(frozen=True)
class Runtime:
    """One installed runtime under the name a customer gave."""

    name: str
    binary: Path
    version: str  # of the interpreter, e.g. "python3.11.7"
    libraries: Path  # shown as /var/runtime
    command: Callable[[str, str, int], list[str]]  # (interpreter, boot folder, memory in MB)
    env: Callable[
        [str, str], Mapping[str, str]
    ]  # (runtime folder inside, layers inside) -> variables
    channel: bool = False
    notes: tuple[str, ...] = field(default=())
