"""What stands in a network namespace that was just made: loopback, listeners, a watch.

Only the standard library: the launcher and the templates of Python make networks with it.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import socket
import struct

SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 1
NLM_F_REQUEST, NLM_F_ACK, NLM_F_CREATE, RTM_NEWROUTE = 1, 4, 0x400, 24
RT_TABLE_LOCAL, RTPROT_BOOT, RT_SCOPE_HOST, RTN_LOCAL, RTA_OIF, RTA_TABLE = 255, 3, 254, 2, 4, 15
SO_ATTACH_FILTER, ETH_P_IP = 26, 0x0800
# linux/filter.h: an IPv4 packet, TCP, with SYN and without ACK
FIRST_PACKETS = (
    (0x30, 0, 0, 9),  # protocol
    (0x15, 0, 5, 6),  # TCP?
    (0xB1, 0, 0, 0),  # skip the IP header
    (0x50, 0, 0, 13),  # flags
    (0x54, 0, 0, 0x12),  # SYN and ACK
    (0x15, 0, 1, 0x02),
    (0x06, 0, 0, 128),
    (0x06, 0, 0, 0),
)
EVERYWHERE = (443, 80)  # ports answered at every address
BACKLOG = 128


def furnish(ports: list[int], datagrams: list[int], watched: bool) -> list[socket.socket]:
    """Listeners of these TCP ports, receivers of these UDP ports, and the watch where wanted."""
    _bring_loopback_up()
    made = [_listen(port) for port in ports]
    made += [_receive(port) for port in datagrams]
    if watched:
        _answer_for_everywhere()
        made.append(_watch())
    return made


def _bring_loopback_up() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        request = struct.pack("16sh14x", b"lo", 0)
        _, flags = struct.unpack("16sh14x", fcntl.ioctl(probe, SIOCGIFFLAGS, request))
        fcntl.ioctl(probe, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", flags | IFF_UP))


def _listen(port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("0.0.0.0" if port in EVERYWHERE else "127.0.0.1", port))
    listener.listen(BACKLOG)
    return listener


def _receive(port: int) -> socket.socket:
    receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    receiver.bind(("127.0.0.1", port))
    return receiver


def _answer_for_everywhere() -> None:
    """A route that makes every address this host's own, so that no connection leaves unseen."""
    attributes = struct.pack("=HHI", 8, RTA_TABLE, RT_TABLE_LOCAL) + struct.pack(
        "=HHi", 8, RTA_OIF, socket.if_nametoindex("lo")
    )
    route = struct.pack(
        "=BBBBBBBBI",
        socket.AF_INET,
        0,
        0,
        0,
        RT_TABLE_LOCAL,
        RTPROT_BOOT,
        RT_SCOPE_HOST,
        RTN_LOCAL,
        0,
    )
    size = 16 + len(route) + len(attributes)
    flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE
    head = struct.pack("=IHHII", size, RTM_NEWROUTE, flags, 1, 0)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as netlink:
        netlink.send(head + route + attributes)
        (code,) = struct.unpack_from("=i", netlink.recv(4096), 16)
    if code:
        raise OSError(-code, os.strerror(-code), "route")


def _watch() -> socket.socket:
    """Sees the first packet of each TCP connection; the kernel drops the rest."""
    watch = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0)
    steps = b"".join(struct.pack("=HBBI", *step) for step in FIRST_PACKETS)
    kept = ctypes.create_string_buffer(steps, len(steps))
    program = struct.pack("HP", len(FIRST_PACKETS), ctypes.addressof(kept))
    watch.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, program)
    watch.bind(("lo", ETH_P_IP))
    return watch
