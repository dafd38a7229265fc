"""The process that runs a function, below the ones that built its walls, seen from outside."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

PEAK_SECONDS = 0.5


class Process:
    """Found when first asked for: while the walls are being built it is not there yet."""

    def __init__(self, outermost: int) -> None:
        self._outermost = outermost
        self._pid: int | None = None
        self._handle: int | None = None
        self._peak = 0
        self._peak_read = 0.0

    def peak_memory_mb(self) -> int:
        """The most memory it has held, 0 when that cannot be seen any more."""
        now = time.monotonic()
        if self._peak and now - self._peak_read < PEAK_SECONDS:
            return self._peak
        self._peak_read = now
        try:
            with Path(f"/proc/{self._found()}/status").open() as status:
                peak = next((line for line in status if line.startswith("VmHWM:")), "0 0")
        except OSError:
            return self._peak
        self._peak = max(self._peak, int(peak.split()[1]) // 1024)
        return self._peak

    def signal(self, number: signal.Signals) -> bool:
        """Send it a signal; False when it has just ended."""
        try:
            if self._handle is None:
                self._handle = os.pidfd_open(self._found())
            signal.pidfd_send_signal(self._handle, number)
        except OSError:
            return False
        return True

    def close(self) -> None:
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

    def _found(self) -> int:
        if self._pid is None:
            self._pid = _innermost(self._outermost)
        return self._pid


def _innermost(pid: int) -> int:
    """The process that runs the function, below the ones that built its walls."""
    while True:
        try:
            children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        except OSError:
            return pid
        if len(children) != 1:
            return pid
        pid = int(children[0])
