"""What a function's connection asks for, read off its first bytes; and who gets to answer.

Source: RFC 8446 (ClientHello), RFC 6066 section 3 (server name), RFC 1035 section 4 (DNS messages).
"""

from __future__ import annotations

import fnmatch
import struct
from collections.abc import Sequence

# The services this house answers for, however code spells their address.
HOUSE_HOSTS = ("api.segment.io", "cdn.segment.com", "*.segmentapis.com", "*.amazonaws.com")
TLS_HANDSHAKE = 0x16
CLIENT_HELLO = 1
SERVER_NAME = 0
A_RECORD = 1
LOOPBACK = b"\x7f\x00\x00\x01"
DNS_TTL_SECONDS = 60


def is_house(host: str) -> bool:
    """True when this house answers for the host."""
    return matches(host, HOUSE_HOSTS)


def matches(host: str, patterns: Sequence[str]) -> bool:
    """True when one of the patterns (`*.example.com`) fits the host, in any letter case."""
    return any(fnmatch.fnmatchcase(host.lower(), pattern.lower()) for pattern in patterns)


def server_name(hello: bytes) -> str | None:
    """The host of a TLS ClientHello; None when it names none, "" when more bytes are needed."""
    try:
        return _server_name(hello)
    except (struct.error, IndexError, UnicodeDecodeError):
        return None


def _server_name(hello: bytes) -> str | None:
    if hello[0] != TLS_HANDSHAKE:
        return None
    (size,) = struct.unpack_from("!H", hello, 3)
    if len(hello) < 5 + size:
        return ""
    if hello[5] != CLIENT_HELLO:
        return None
    at = 5 + 4 + 2 + 32  # record, handshake header, version, random
    at += 1 + hello[at]  # session id
    at += 2 + struct.unpack_from("!H", hello, at)[0]  # cipher suites
    at += 1 + hello[at]  # compression methods
    end = at + 2 + struct.unpack_from("!H", hello, at)[0]
    at += 2
    while at < end:
        kind, length = struct.unpack_from("!HH", hello, at)
        if kind == SERVER_NAME:
            (name_length,) = struct.unpack_from("!H", hello, at + 7)
            return hello[at + 9 : at + 9 + name_length].decode("ascii")
        at += 4 + length
    return None


def http_host(head: bytes) -> str | None:
    """The Host of an HTTP/1 request head, without its port."""
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"host":
            return value.strip().decode("latin-1").rpartition(":")[0] or value.strip().decode()
    return None


def dns_name(query: bytes) -> str:
    """The name a DNS query asks for, "" when it holds none."""
    labels, at = [], 12
    while at < len(query) and query[at]:
        labels.append(query[at + 1 : at + 1 + query[at]].decode("latin-1"))
        at += 1 + query[at]
    return ".".join(labels)


def dns_answer(query: bytes, address: bytes = LOOPBACK) -> bytes | None:
    """Every name is at an address of the gateway, which decides; other kinds have no records."""
    if len(query) < 17:
        return None
    at = 12
    while at < len(query) and query[at]:
        at += 1 + query[at]
    question = query[12 : at + 5]
    if len(question) < 5:
        return None
    (kind,) = struct.unpack_from("!H", question, len(question) - 4)
    records = 1 if kind == A_RECORD else 0
    header = query[:2] + struct.pack("!HHHHH", 0x8180, 1, records, 0, 0)
    record = b"\xc0\x0c" + struct.pack("!HHIH", A_RECORD, 1, DNS_TTL_SECONDS, 4) + address
    return header + question + (record if records else b"")
