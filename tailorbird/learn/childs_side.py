"""The child's side of `child`: one deed, said in JSON lines; gone when the parent is."""

from __future__ import annotations

import gc
import json
import os
import sys
import threading
from collections.abc import Callable
from typing import Any

from tailorbird.errors import Invalid
from tailorbird.learn import comparison, importing, training_run
from tailorbird.learn.child import Said

NICE = 3
DEEDS: dict[str, Callable[[dict[str, Any], Said], dict[str, Any]]] = {
    "compare": comparison.run,
    "import": importing.run,
    "train": training_run.run,
}


def main() -> None:
    os.nice(NICE)
    gc.disable()  # millions of rows as small objects, none in cycles: halves an import's time
    spec = json.loads(sys.stdin.readline())
    threading.Thread(target=_leave_with_parent, daemon=True).start()
    channel = sys.stdout
    sys.stdout = sys.stderr  # nothing else may speak on the channel

    def say(message: dict[str, Any]) -> None:
        channel.write(json.dumps(message) + "\n")
        channel.flush()

    try:
        result = DEEDS[sys.argv[1]](spec, lambda progress: say({"progress": progress}))
    except Invalid as error:
        say({"invalid": error.message})
    else:
        say({"result": result})
    os._exit(0)  # the thread that watches the parent holds stdin


def _leave_with_parent() -> None:
    while os.read(0, 1):
        pass
    os._exit(1)


if __name__ == "__main__":
    main()
