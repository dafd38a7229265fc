"""Heavy work in a process of its own, so that serving stays responsive and a crash stays there.

The parent hands over a JSON line and reads JSON lines of progress; when the parent dies, the child
sees its input end and leaves. Run as `python -m tailorbird.learn.childs_side import|train`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

from tailorbird.errors import Invalid

THREADS_ENVIRONMENT = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
ERROR_CHARACTERS = 2_000
WATCH_SECONDS = 0.5

Said = Callable[[dict[str, Any]], None]


class Ended(Exception):
    """The child was ended because `unwanted` said so."""


def run(
    deed: str,
    spec: dict[str, Any],
    said: Said,
    threads: int,
    unwanted: Callable[[], bool] | None = None,
) -> dict[str, Any]:
    """The child's result; Invalid when it says the input is wrong, RuntimeError when it died.

    `said` hears every progress line; when it raises, the child is ended. `unwanted` is asked twice
    a second; when it says True the child is ended and Ended raised.
    """
    environment = os.environ | dict.fromkeys(THREADS_ENVIRONMENT, str(threads))
    process = subprocess.Popen(
        [sys.executable, "-m", "tailorbird.learn.childs_side", deed],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
        text=True,
    )
    assert process.stdin and process.stdout and process.stderr
    noise: list[str] = []
    listener = threading.Thread(target=_listen, args=(process.stderr, noise), daemon=True)
    listener.start()
    over, ended = threading.Event(), threading.Event()
    if unwanted is not None:
        watch = (process, unwanted, over, ended)
        threading.Thread(target=_watch, args=watch, daemon=True).start()
    try:
        process.stdin.write(json.dumps(spec) + "\n")
        process.stdin.flush()
        answer = _answer(process.stdout, said)
        process.wait()
    finally:
        over.set()
        process.kill()
        process.wait()
        listener.join(1.0)
        for stream in (process.stdin, process.stdout, process.stderr):
            stream.close()
    if answer is None and ended.is_set():
        raise Ended(deed)
    if answer is None:
        text = "".join(noise)[-ERROR_CHARACTERS:].strip()
        raise RuntimeError(f"the {deed} process ended with {process.returncode}: {text}")
    if "invalid" in answer:
        raise Invalid(answer["invalid"])
    return answer["result"]


def _answer(lines: Any, said: Said) -> dict[str, Any] | None:
    for line in lines:
        message = json.loads(line)
        if "progress" not in message:
            return message
        said(message["progress"])
    return None


def _watch(
    process: subprocess.Popen[str],
    unwanted: Callable[[], bool],
    over: threading.Event,
    ended: threading.Event,
) -> None:
    while not over.wait(WATCH_SECONDS):
        if unwanted():
            ended.set()
            process.kill()
            return


def _listen(stream: Any, noise: list[str]) -> None:
    try:
        for line in stream:
            noise.append(line)
            del noise[:-50]
    except ValueError:  # closed while reading
        return
