"""What an HTTP provider's answer means for a message."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from tailorbird.channels.messages import (
    PERMANENT_FAILURE,
    SUCCESSFUL,
    TEMPORARY_FAILURE,
    THROTTLED,
    UNKNOWN_FAILURE,
    Message,
    Receipt,
    receipt,
)
from tailorbird.channels.outgoing import Answer
from tailorbird.errors import Unavailable

TOO_MANY = 429
TRY_AGAIN = (408, 425)  # Request Timeout, Too Early
WORDS_MAX = 300  # characters of an answer kept in a receipt


def status(answer: Answer) -> str:
    """The delivery status that an answer's HTTP status stands for."""
    if answer.good:
        return SUCCESSFUL
    if answer.refused:
        return PERMANENT_FAILURE
    if answer.status == 0:
        return UNKNOWN_FAILURE if answer.reached else TEMPORARY_FAILURE
    if answer.status == TOO_MANY:
        return THROTTLED
    if answer.status >= 500 or answer.status in TRY_AGAIN:
        return TEMPORARY_FAILURE
    return PERMANENT_FAILURE


def words(answer: Answer) -> str:
    """The answer for people: status and the beginning of the body."""
    if answer.good or not answer.status:
        return answer.words
    text = " ".join(answer.body.decode("utf-8", "replace").split())
    return f"{answer.words}: {text[:WORDS_MAX]}" if text else answer.words


def judged(who: str, pairs: Sequence[tuple[Message, Answer]]) -> list[Receipt]:
    """Receipts by HTTP status alone; Unavailable when none of the requests reached anybody."""
    refuse_silence(who, [answer for _, answer in pairs])
    return [receipt(message, status(answer), words(answer)) for message, answer in pairs]


def refuse_silence(who: str, answers: Sequence[Answer]) -> None:
    """Unavailable when none of the requests reached anybody: nothing was handed over then."""
    if answers and not any(answer.reached or answer.refused for answer in answers):
        raise Unavailable(f"{who} is away: {answers[0].words}")


def parsed(body: bytes) -> Any:
    """The JSON of an answer, None when it is none."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return None


def at(document: Any, path: str) -> Any:
    """What lies at a.0.b of a document; None when there is nothing."""
    for step in path.split(".") if path else ():
        if isinstance(document, dict):
            document = document.get(step)
        elif isinstance(document, list) and step.isdecimal() and int(step) < len(document):
            document = document[int(step)]
        else:
            return None
    return document
