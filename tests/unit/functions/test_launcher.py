"""The launcher ends what it is asked to end, and nothing else."""

from __future__ import annotations

import time

from tailorbird.functions.environment import Environment
from tailorbird.functions.spawn import Launcher, Plan


def test_an_end_that_comes_too_late_ends_nobody():
    launcher = Launcher()
    try:
        first = launcher.spawn(Plan(["/bin/true"], {}))
        dead = Environment(first, launcher.kill)
        dead.wait_ready(time.monotonic() + 10)
        assert dead.exit_code == 0
        second = launcher.spawn(Plan(["/bin/sleep", "60"], {}))
        alive = Environment(second, launcher.kill)
        for key in (first.key, first.pid, second.pid, 0):
            if key != second.key:
                launcher.kill(key)
        assert not alive.wait_ready(time.monotonic() + 0.2)
        assert alive.exit_code is None
        launcher.kill(second.key)
        alive.wait_ready(time.monotonic() + 10)
        assert alive.exit_code == -9
        dead.close()
        alive.close()
    finally:
        launcher.stop()
