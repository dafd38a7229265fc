"""A result that is taken in pieces, when what makes it fails."""

from __future__ import annotations

import queue

import pytest

from tailorbird.functions import execution


def test_whoever_takes_the_pieces_hears_of_a_failure_instead_of_waiting() -> None:
    came: queue.SimpleQueue[bytes | execution.Invocation | BaseException] = queue.SimpleQueue()
    for piece in (b"first", OSError(28, "No space left on device")):
        came.put(piece)
    pieces = execution._until_the_end(came)
    assert next(pieces) == b"first"
    with pytest.raises(OSError, match="No space left"):
        next(pieces)
