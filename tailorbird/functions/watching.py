"""What code behind private walls tries to reach, beyond the doors that are served.

Each name that it looks up gets an address of its own in 127.1.0.0/16, all of them the gateway, so
that a connection tells the name even where no protocol does. A packet socket sees the first packet
of every TCP connection; one to a port without a door is refused by the kernel, and told here.
Source: RFC 791 and RFC 9293 (headers), packet(7).
"""

from __future__ import annotations

import ipaddress
import socket
import struct
from dataclasses import dataclass, field

from tailorbird.functions import addresses

FIRST = int(ipaddress.IPv4Address("127.1.0.1"))
MOST_NAMES = 60_000  # names of one environment; any further one is at 127.0.0.1 like the rest
HEAD_BYTES = 128
LOCAL = "127.0.0.1"


@dataclass
class Names:
    """The names one environment looked up, by the addresses they were given."""

    by_address: dict[str, str] = field(default_factory=dict)
    by_name: dict[str, str] = field(default_factory=dict)

    def answer(self, query: bytes) -> tuple[bytes | None, str]:
        """The answer to a DNS query, and the name it asks for."""
        name = addresses.dns_name(query)
        packed = ipaddress.IPv4Address(self._address(name)).packed
        return addresses.dns_answer(query, packed), name

    def host(self, address: str) -> str:
        """The name that was given this address, else the address."""
        return self.by_address.get(address, address)

    def _address(self, name: str) -> str:
        name = name.lower()
        if not name or name == "localhost":
            return LOCAL
        known = self.by_name.get(name)
        if known is None:
            if len(self.by_name) >= MOST_NAMES:
                return LOCAL
            known = str(ipaddress.IPv4Address(FIRST + len(self.by_name)))
            self.by_name[name] = known
            self.by_address[known] = name
        return known


def attempt(watch: socket.socket) -> tuple[str, int] | None:
    """Where the next connection begun wants to go, None when it is to the function's own host.

    Raises BlockingIOError when there is none.
    """
    head = watch.recv(HEAD_BYTES)
    if len(head) < 40:
        return None
    length = (head[0] & 0x0F) * 4
    (port,) = struct.unpack_from("!H", head, length + 2)
    address = socket.inet_ntoa(head[16:20])
    return None if address == LOCAL else (address, port)
