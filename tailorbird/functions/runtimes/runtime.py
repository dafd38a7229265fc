"""What a runtime says about itself: how to start it and what it must be shown."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

BOOT = Path(__file__).with_name("boot")


@dataclass(frozen=True)
class Places:
    """Where things are, seen from inside the environment."""

    task: str = "/var/task"
    runtime: str = "/var/runtime"
    layers: str = "/opt"
    boot: str = "/var/tailorbird"
    tmp: str = "/tmp"
    etc: str = "/etc"

    @property
    def are_real(self) -> bool:
        """True where code sees the machine's own folders, and its network."""
        return self.etc != "/etc"


@dataclass(frozen=True)
class Runtime:
    """One installed runtime under the name a customer gave."""

    name: str
    version: str  # what really runs, e.g. "python3.11.7"
    command: Callable[[str, Places, int], list[str]]  # (interpreter, places, memory in MB)
    env: Callable[[Places], Mapping[str, str]]
    binary: Path | None = None  # the interpreter; none when the function brings its own
    libraries: Path | None = None  # shown as /var/runtime
    modules: Path | None = None  # found from below /var, where no layer has the like
    shown: tuple[str, ...] = ()  # what of them is shown, by name; nothing: all of them
    channel: bool = False  # speaks the Runtime API over an inherited socket

    @property
    def brings_its_own(self) -> bool:
        """True for `provided.*`: the function's bootstrap is the runtime."""
        return self.binary is None
