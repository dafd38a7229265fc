"""CRCs walked in lanes are the CRCs walked byte by byte."""

import random
import zlib

import pytest

from tailorbird.errors import Invalid, NotBuilt
from tailorbird.gateway.s3 import checksums

NINE = b"123456789"  # the check value of every CRC catalogue


@pytest.mark.parametrize(
    ("algorithm", "digest"),
    [
        ("CRC32", "cbf43926"),
        ("CRC32C", "e3069283"),
        ("CRC64NVME", "ae8b14860a799888"),
        ("MD5", "25f9e794323b453885f5181f1b624d0b"),
        ("SHA1", "f7c3bc1d808e04732adf679965ccc34ca7ae3441"),
    ],
)
def test_known_digests(algorithm: str, digest: str) -> None:
    made = checksums.make(algorithm)
    made.update(NINE)
    assert made.digest().hex() == digest


@pytest.mark.parametrize("size", [0, 1, 65_535, 65_536, 65_537, 300_001])
def test_lanes_give_the_same_as_zlib(size: int) -> None:
    data = random.Random(size).randbytes(size)
    lanes = checksums.ReflectedCrc(0xEDB88320, 32)
    lanes.update(data)
    assert lanes.digest() == zlib.crc32(data).to_bytes(4, "big")


def test_pieces_give_the_same_as_the_whole() -> None:
    data = random.Random(1).randbytes(400_000)
    whole, pieces = checksums.make("CRC64NVME"), checksums.make("CRC64NVME")
    whole.update(data)
    for start, end in ((0, 10), (10, 100_000), (100_000, 100_001), (100_001, 400_000)):
        pieces.update(data[start:end])
    assert pieces.digest() == whole.digest()


def test_a_checksum_we_cannot_make_is_named() -> None:
    with pytest.raises(NotBuilt, match="XXHASH64"):
        checksums.make("XXHASH64")


def test_a_digest_that_is_no_base64_is_refused() -> None:
    with pytest.raises(Invalid, match="not a base64"):
        checksums.raw("???")
