"""A request body as Segment's clients send it: one call or a batch, taken apart and checked.

One bad call never costs its neighbours. Sizes and counts: Segment's HTTP API page.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from tailorbird.collect.calls import CALL_MAX_BYTES, TYPES, Kept, Receipt, Refusal, accept
from tailorbird.collect.nesting import DEPTH_MAX, without_deep
from tailorbird.errors import Invalid, TooLarge

BATCH_MAX_BYTES = 500 * 1024
BATCH_MAX_CALLS = 2_500
SAMPLE_MAX_CHARACTERS = 2_000
TOO_DEEP = f"the call is nested deeper than {DEPTH_MAX} levels"
BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Refused:
    """A call that was not taken, where it stood and why."""

    where: str
    type: str
    reason: str
    message: str
    sample: str
    count: int = 1  # more than one when a whole batch is refused
    malformed: bool = False  # answered as malformed JSON is, though its neighbours are taken


@dataclass(slots=True)
class Body:
    """A parsed body: the calls (as bytes, or decoded already) and what stands around them."""

    calls: Sequence[Any]
    is_batch: bool
    write_key: str | None = None
    sent_at: Any = None
    context: dict[str, Any] | None = None
    integrations: dict[str, Any] | None = None
    to_mend: bool = False  # decoded by the lenient reader


@dataclass(slots=True)
class Taken:
    """What became of the calls of one body."""

    kept: list[Kept] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)


class _Unreadable:
    """What stands in a batch where JSON has nothing: it costs the call it is in."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __str__(self) -> str:
        return self.name


class _Batch(msgspec.Struct):
    batch: list[msgspec.Raw]
    writeKey: Any = None
    sentAt: Any = None
    context: Any = None
    integrations: Any = None


_DECODE_BATCH = msgspec.json.Decoder(_Batch).decode
_DECODE = msgspec.json.Decoder().decode


def parse(body: bytes, *, is_batch: bool) -> Body:
    """Take a body apart; Invalid says where the JSON is wrong, TooLarge which limit it broke."""
    limit = BATCH_MAX_BYTES if is_batch else CALL_MAX_BYTES
    if len(body) > limit:
        what = "batch" if is_batch else "call"
        raise TooLarge(
            f"the {what} has {len(body)} bytes; at most {limit}", code="request_too_large"
        )
    body = body.removeprefix(BOM)
    try:
        return _batch(body) if is_batch else _single(_DECODE(body))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return _read_slowly(body, is_batch)


def take(body: Body, receipt: Receipt, call_type: str | None = None) -> Taken:
    """Check every call of a body: what is kept and what is refused, with reasons."""
    taken = Taken()
    for index, raw in enumerate(body.calls):
        call = None
        try:
            call = _decoded(raw, body.to_mend)
            taken.kept.append(accept(call, receipt, call_type))
        except Refusal as refusal:
            where = f"batch[{index}]" if body.is_batch else "call"
            kind = call_type or (call.get("type") if isinstance(call, dict) else None)
            known = kind if isinstance(kind, str) and kind in TYPES else ""
            taken.refused.append(_refused(where, raw, known, refusal))
    return taken


def _batch(body: bytes) -> Body:
    batch = _DECODE_BATCH(body)
    return _enveloped(batch.batch, msgspec.structs.asdict(batch))


def _enveloped(calls: Sequence[Any], around: dict[str, Any]) -> Body:
    for name in ("context", "integrations"):
        if around.get(name) is not None and not isinstance(around[name], dict):
            raise Invalid(f"{name} of the batch is not an object", code="invalid_request")
    write_key = around.get("writeKey")
    return Body(
        calls,
        True,
        write_key if isinstance(write_key, str) else None,
        around.get("sentAt"),
        around.get("context"),
        around.get("integrations"),
    )


def _single(call: Any) -> Body:
    if not isinstance(call, dict):
        raise Invalid("the body is not a JSON object", code="invalid_request")
    write_key = call.get("writeKey")
    return Body([call], False, write_key if isinstance(write_key, str) else None)


def _read_slowly(body: bytes, is_batch: bool) -> Body:
    """For a body the fast reader did not like: say where it is wrong, or save what can be."""
    constant = _Unreadable if is_batch else _no_constant
    try:
        text = body.decode()
        try:
            value = json.loads(text, parse_constant=constant)
        except RecursionError:
            if not is_batch:
                raise
            value = json.loads(without_deep(text, "NaN"), parse_constant=constant)
    except UnicodeDecodeError as error:
        raise Invalid(
            f"malformed JSON: byte {error.start} is not UTF-8", code="invalid_request"
        ) from None
    except json.JSONDecodeError as error:
        where = f"line {error.lineno} column {error.colno}"
        raise Invalid(f"malformed JSON: {where}: {error.msg}", code="invalid_request") from None
    except RecursionError:
        said = f"the body is nested deeper than {DEPTH_MAX} levels"
        raise Invalid(f"malformed JSON: {said}", code="invalid_request") from None
    except ValueError as error:
        raise Invalid(f"malformed JSON: {error}", code="invalid_request") from None
    if is_batch and not (isinstance(value, dict) and isinstance(value.get("batch"), list)):
        raise Invalid(
            'the body of a batch is an object with an array "batch"', code="invalid_request"
        )
    parsed = _enveloped(value["batch"], _around(value)) if is_batch else _single(value)
    parsed.to_mend = True
    return parsed


def _decoded(raw: Any, to_mend: bool) -> Any:
    """A call as plain data; Refusal when it is too big or holds what JSON cannot."""
    if to_mend:
        try:
            return _checked(_mend(raw))
        except RecursionError:
            raise Refusal("bad_request", TOO_DEEP) from None
    if not isinstance(raw, msgspec.Raw):
        return raw
    size = len(memoryview(raw))
    if size > CALL_MAX_BYTES:
        raise Refusal("message_too_large", f"the call has {size} bytes; at most {CALL_MAX_BYTES}")
    try:
        return _DECODE(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Refusal("bad_request", f"the call is not readable JSON: {error}") from None


def _checked(call: Any) -> Any:
    size = len(msgspec.json.encode(call))
    if size > CALL_MAX_BYTES:
        raise Refusal("message_too_large", f"the call has {size} bytes; at most {CALL_MAX_BYTES}")
    return call


def _around(value: dict[str, Any]) -> dict[str, Any]:
    try:
        return {key: _mend(item) for key, item in value.items() if key != "batch"}
    except Refusal as refusal:
        said = refusal.message.removeprefix("malformed JSON: ")
        raise Invalid(f"malformed JSON: {said}", code="invalid_request") from None


def _mend(value: Any) -> Any:
    """Lone surrogates become U+FFFD; a number beyond the doubles is refused."""
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, float) and math.isinf(value):
        raise Refusal("bad_request", "a number is out of range")
    if isinstance(value, _Unreadable):
        said = f"malformed JSON: NaN, Infinity, or more than {DEPTH_MAX} levels of nesting"
        raise Refusal("bad_request", said, malformed=True)
    if isinstance(value, list):
        return [_mend(item) for item in value]
    if isinstance(value, dict):
        return {_mend(key): _mend(item) for key, item in value.items()}
    return value


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _refused(where: str, raw: Any, call_type: str, refusal: Refusal) -> Refused:
    try:
        text = bytes(raw) if isinstance(raw, msgspec.Raw) else json.dumps(raw, default=str).encode()
    except RecursionError:
        text = b""
    sample = text[: SAMPLE_MAX_CHARACTERS * 4].decode(errors="replace")[:SAMPLE_MAX_CHARACTERS]
    return Refused(
        where, call_type, refusal.reason, refusal.message, sample, malformed=refusal.malformed
    )
