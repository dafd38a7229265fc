"""The checksums S3 clients send and ask for, made piece by piece.

CRC-32C and CRC-64/NVME have no implementation in Python's library: here every piece is cut into
lanes that numpy walks side by side, and the lanes are joined by the CRC's linearity.
Source: S3 user guide, "Checking object integrity"; Castagnoli 1993; NVM Express base spec 2.0.
"""

import base64
import binascii
import hashlib
import zlib
from collections.abc import Callable
from functools import cache
from typing import Protocol

import numpy as np

from tailorbird.errors import Invalid, NotBuilt

LANES = 1_024
LANES_FROM_BYTES = 64 * 1_024  # below this one byte after the other is quicker


class Checksum(Protocol):
    def update(self, data: bytes) -> None: ...

    def digest(self) -> bytes: ...


class Crc32:
    """CRC-32 as zlib has it."""

    def __init__(self) -> None:
        self._value = 0

    def update(self, data: bytes) -> None:
        self._value = zlib.crc32(data, self._value)

    def digest(self) -> bytes:
        return self._value.to_bytes(4, "big")


class ReflectedCrc:
    """A reflected CRC of any width up to 64 bits, all ones before and after."""

    def __init__(self, polynomial: int, bits: int) -> None:
        self._polynomial = polynomial
        self._bits = bits
        self._ones = (1 << bits) - 1
        self._value = self._ones

    def update(self, data: bytes) -> None:
        if len(data) < LANES_FROM_BYTES:
            self._walk(data)
            return
        length = len(data) // LANES
        body = np.frombuffer(data, np.uint8, length * LANES).reshape(LANES, length)
        table = _array(self._polynomial)
        lanes = np.zeros(LANES, np.uint64)
        lanes[0] = self._value
        low, eight = np.uint64(0xFF), np.uint64(8)
        for column in np.ascontiguousarray(body.T):
            lanes = table[(lanes & low) ^ column] ^ (lanes >> eight)
        shift = _shift(self._polynomial, self._bits, length)
        value = 0
        for lane in lanes.tolist():
            value = _apply(shift, value) ^ lane
        self._value = value
        self._walk(data[length * LANES :])

    def digest(self) -> bytes:
        return (self._value ^ self._ones).to_bytes(self._bits // 8, "big")

    def _walk(self, data: bytes) -> None:
        table, value = _table(self._polynomial), self._value
        for byte in data:
            value = table[(value ^ byte) & 0xFF] ^ (value >> 8)
        self._value = value


ALGORITHMS: dict[str, Callable[[], Checksum]] = {
    "CRC32": Crc32,
    "CRC32C": lambda: ReflectedCrc(0x82F63B78, 32),
    "CRC64NVME": lambda: ReflectedCrc(0x9A6C9329AC4BC9B5, 64),
    "MD5": lambda: hashlib.md5(usedforsecurity=False),
    "SHA1": lambda: hashlib.sha1(usedforsecurity=False),
    "SHA256": hashlib.sha256,
    "SHA512": hashlib.sha512,
}
WHOLE_ONLY = frozenset({"CRC64NVME"})  # never a checksum of the parts' checksums
WHOLE_POSSIBLE = frozenset({"CRC32", "CRC32C", "CRC64NVME"})


def make(algorithm: str) -> Checksum:
    """A fresh checksum; NotBuilt names an algorithm that is not here."""
    found = ALGORITHMS.get(algorithm.upper())
    if found is None:
        raise NotBuilt(f"Checksum {algorithm} is not built; {', '.join(ALGORITHMS)} are")
    return found()


def text(digest: bytes) -> str:
    """A digest as it stands in headers."""
    return base64.b64encode(digest).decode()


def raw(given: str) -> bytes:
    """The digest a header or trailer gives; Invalid when it is not base64."""
    try:
        return base64.b64decode(given, validate=True)
    except (ValueError, binascii.Error):
        raise Invalid(f"{given!r} is not a base64 checksum", code="InvalidDigest") from None


@cache
def _table(polynomial: int) -> list[int]:
    """What one byte does to a CRC register."""
    table = []
    for value in range(256):
        for _ in range(8):
            value = (value >> 1) ^ (polynomial if value & 1 else 0)
        table.append(value)
    return table


@cache
def _array(polynomial: int) -> np.ndarray:
    return np.array(_table(polynomial), np.uint64)


@cache
def _shift(polynomial: int, bits: int, count: int) -> list[list[int]]:
    """What `count` zero bytes do to a register: a table for each of its bytes.

    Going over zero bytes is linear, so it is enough to know where each single bit ends up; doubling
    the distance is following the map twice.
    """
    table = _table(polynomial)
    step = [table[(1 << bit) & 0xFF] ^ ((1 << bit) >> 8) for bit in range(bits)]
    total = [1 << bit for bit in range(bits)]
    while count:
        if count & 1:
            total = [_times(step, column) for column in total]
        step = [_times(step, column) for column in step]
        count >>= 1
    return [
        [_times(total, value << (8 * byte)) for value in range(256)] for byte in range(bits // 8)
    ]


def _times(matrix: list[int], vector: int) -> int:
    result, bit = 0, 0
    while vector:
        if vector & 1:
            result ^= matrix[bit]
        vector >>= 1
        bit += 1
    return result


def _apply(shift: list[list[int]], value: int) -> int:
    result = 0
    for table in shift:
        result ^= table[value & 0xFF]
        value >>= 8
    return result
