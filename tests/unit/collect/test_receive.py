"""Bodies as clients send them: limits, broken JSON, and neighbours that are not lost."""

import json
from datetime import datetime
from typing import Any

import msgspec
import pytest

from tailorbird.collect.calls import CALL_MAX_BYTES, Receipt
from tailorbird.collect.receive import BATCH_MAX_BYTES, Taken, parse, take
from tailorbird.errors import Invalid, TooLarge

RECEIPT = Receipt("source", "key", datetime(2026, 11, 21))
GOOD = '{"type":"track","userId":"u","event":"e","messageId":"good"}'


def taken(body: str | bytes, call_type: str | None = None) -> Taken:
    raw = body if isinstance(body, bytes) else body.encode()
    return take(parse(raw, is_batch=call_type is None), RECEIPT, call_type)


def batch(*items: str) -> str:
    return '{"batch":[' + ",".join(items) + "]}"


def padded(size: int, **call: Any) -> str:
    """A track call of exactly this many bytes."""
    empty = json.dumps({"type": "track", "userId": "u", "event": "e", "properties": {"p": ""}})
    return empty.replace('"p": ""', '"p": "' + "x" * (size - len(empty)) + '"')


def nested(opening: str, closing: str, levels: int) -> str:
    """A call with so many levels in its properties."""
    inside = opening * levels + "1" + closing * levels
    return f'{{"type":"track","userId":"u","event":"e","properties":{{"p":{inside}}}}}'


NEIGHBOURS = [
    ('{"type":"track","userId":"u"}', "event_not_defined"),
    ("[1]", "bad_request"),
    ("null", "bad_request"),
    ('{"type":"track","userId":"u","event":"e","properties":{"n":1e999}}', "bad_request"),
    (padded(CALL_MAX_BYTES + 100), "message_too_large"),
    ('{"userId":"u","event":"e"}', "bad_request"),
    ('{"type":"track","userId":"u","event":"e","properties":{"n":NaN}}', "bad_request"),
    (nested("[", "]", 199), "bad_request"),
    (nested("[", "]", 900), "bad_request"),
    (nested("[", "]", 9_000), "bad_request"),
    (nested('{"a":', "}", 3_000), "bad_request"),
]


@pytest.mark.parametrize(("bad", "reason"), NEIGHBOURS)
def test_a_bad_call_costs_none_of_its_neighbours(bad: str, reason: str) -> None:
    found = taken(batch(GOOD, bad, GOOD.replace("good", "better")))
    assert [call.message_id for call in found.kept] == ["good", "better"]
    assert [(refused.where, refused.reason) for refused in found.refused] == [("batch[1]", reason)]


def test_several_bad_calls_of_different_kinds_cost_none_of_their_neighbours() -> None:
    found = taken(batch(GOOD, *(bad for bad, _ in NEIGHBOURS), GOOD.replace("good", "better")))
    assert [call.message_id for call in found.kept] == ["good", "better"]
    assert len(found.refused) == len(NEIGHBOURS)


def test_a_call_may_be_nested_two_hundred_levels_deep() -> None:
    assert len(taken(batch(GOOD, nested("[", "]", 198))).kept) == 2


def test_brackets_in_texts_nest_nothing() -> None:
    text = '"' + '[{\\"' * 900 + '"'
    assert len(taken(batch(GOOD[:-1] + f',"properties":{{"p":{text}}}}}')).kept) == 1


def test_a_call_of_its_own_that_is_far_too_deep_is_refused_by_that_name() -> None:
    with pytest.raises(Invalid, match="deeper than 200 levels"):
        taken(nested("[", "]", 9_000), "track")


def test_bytes_that_are_not_utf_8_cost_only_their_own_call() -> None:
    found = taken(batch(GOOD, '{"a":"?"}').encode().replace(b"?", b"\xff"))
    assert len(found.kept) == len(found.refused) == 1


def test_a_lone_surrogate_becomes_the_replacement_character() -> None:
    found = taken(batch(GOOD.replace('"e"', '"caf\\ud800"'), GOOD))
    assert msgspec.json.decode(found.kept[0].line)["event"] == "caf�"
    assert len(found.kept) == 2


@pytest.mark.parametrize("kind", ['"order"', '"a\\u0000b"', "7", '"' + "x" * 500 + '"'])
def test_a_type_there_is_not_is_counted_under_no_type(kind: str) -> None:
    found = taken(batch(f'{{"type":{kind},"userId":"u"}}'))
    assert [refused.type for refused in found.refused] == [""]


def test_numbers_beyond_64_bits_are_kept_digit_by_digit() -> None:
    big = "123456789012345678901234567890"
    found = taken(GOOD[:-1] + f',"properties":{{"n":{big}}}}}', "track")
    assert big.encode() in found.kept[0].line


def test_a_call_may_have_32_kib_and_not_one_byte_more() -> None:
    assert len(taken(padded(CALL_MAX_BYTES), "track").kept) == 1
    with pytest.raises(TooLarge, match="32769 bytes; at most 32768"):
        taken(padded(CALL_MAX_BYTES + 1), "track")


def test_a_batch_may_have_500_kib_and_not_one_byte_more() -> None:
    empty = batch(GOOD)
    full = empty + " " * (BATCH_MAX_BYTES - len(empty))
    assert len(taken(full).kept) == 1
    with pytest.raises(TooLarge, match="512001 bytes; at most 512000"):
        taken(full + " ")


BROKEN = [
    (b'{"batch":[{"a":1},]}', "line 1 column 19"),
    (b'{"batch":\n[{"a":tru}]}', "line 2 column 7"),
    (b"", "line 1 column 1"),
    (b'{"batch":[],"sentAt":"\xff"}', "byte 22 is not UTF-8"),
    (b"[]", "array .batch."),
    (b'{"batch":{}}', "array .batch."),
    (b'{"batch":[],"context":3}', "context of the batch is not an object"),
    (b"[" * 5000, "malformed JSON"),
]


@pytest.mark.parametrize(("body", "where"), BROKEN)
def test_a_broken_batch_is_refused_with_the_place(body: bytes, where: str) -> None:
    with pytest.raises(Invalid, match=where):
        taken(body)


def test_a_single_call_that_is_no_object_is_refused() -> None:
    with pytest.raises(Invalid, match="not a JSON object"):
        taken("[1]", "track")


def test_a_byte_order_mark_is_overlooked() -> None:
    assert len(taken(b"\xef\xbb\xbf" + batch(GOOD).encode()).kept) == 1


def test_the_path_decides_the_type_of_a_single_call() -> None:
    found = taken('{"userId":"u","type":"track","traits":{}}', "identify")
    assert found.kept[0].type == "identify"
