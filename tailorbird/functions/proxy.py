"""The way out for functions without a private network: an HTTP proxy of their own on loopback.

Each environment has one, with a password in its address. Node.js ignores proxies; its sockets are
led to a Unix socket instead, which takes a connection as a private network's port 443 or 80 would.
Source: RFC 9110 sections 7.6 and 9.3.6 (CONNECT), 11.7 (Proxy-Authorization); RFC 9112 section 3.2.
"""

from __future__ import annotations

import base64
import hmac
import secrets
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

USER = "function"
PORTS = {"http": 80, "https": 443}
OWN_HEADERS = (b"proxy-", b"connection:", b"keep-alive:")  # between the client and its proxy only
ESTABLISHED = b"HTTP/1.1 200 Connection established\r\n\r\n"


@dataclass(frozen=True)
class Doors:
    """One environment's proxy and its Unix socket, and what a caller must know to pass."""

    proxy: socket.socket
    unix: socket.socket
    path: Path
    password: str = field(default_factory=lambda: secrets.token_urlsafe(24))

    @property
    def url(self) -> str:
        return f"http://{USER}:{self.password}@127.0.0.1:{self.proxy.getsockname()[1]}"

    def close(self) -> None:
        """Let nobody in any more; the sockets may be closed already."""
        self.proxy.close()
        self.unix.close()
        self.path.unlink(missing_ok=True)


@dataclass(frozen=True)
class Asked:
    """Where a client wants to go. `head` is what its server gets; CONNECT has none."""

    host: str
    port: int
    tunnel: bool
    tls: bool = False  # an https address asked for without CONNECT: the proxy speaks TLS
    head: bytes = b""


class Refused(Exception):
    """A request the proxy does not carry out: a status line and a sentence."""

    def __init__(self, status: str, text: str) -> None:
        super().__init__(text)
        self.status, self.text = status, text

    def response(self) -> bytes:
        body = self.text.encode()
        challenge = 'Proxy-Authenticate: Basic realm="function"\r\n' if "407" in self.status else ""
        head = f"HTTP/1.1 {self.status}\r\n{challenge}Content-Type: text/plain\r\n"
        return f"{head}Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body


def open_doors(folder: Path, number: int) -> Doors:
    """A proxy on a free port of loopback, and a Unix socket that only this user may open."""
    proxy = socket.socket()
    proxy.bind(("127.0.0.1", 0))
    proxy.listen()
    path = folder / f"{number}-{secrets.token_hex(4)}"
    unix = socket.socket(socket.AF_UNIX)
    unix.bind(str(path))
    path.chmod(0o600)
    unix.listen()
    return Doors(proxy, unix, path)


def variables(doors: Doors, house: str) -> Mapping[str, str]:
    """What leads clients through the doors; the house itself is asked directly."""
    named = ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy")
    direct = ",".join(dict.fromkeys(("127.0.0.1", "localhost", house.strip("[]"))))
    return {
        **dict.fromkeys(named, doors.url),
        **dict.fromkeys(("NO_PROXY", "no_proxy"), direct),
        "TAILORBIRD_DOOR": str(doors.path),
    }


def read(head: bytes, password: str) -> Asked:
    """What a request's head asks of the proxy; Refused without the password or an address."""
    first, *lines = head.partition(b"\r\n\r\n")[0].split(b"\r\n")
    if not _is_known(lines, password):
        raise Refused("407 Proxy Authentication Required", "This proxy is another function's.\n")
    method, _, rest = first.partition(b" ")
    target, _, version = rest.rpartition(b" ")
    try:
        if method == b"CONNECT":
            parts = urlsplit(f"//{target.decode()}")
            return Asked(parts.hostname or "?", parts.port or PORTS["https"], tunnel=True)
        parts = urlsplit(target.decode())
        default = PORTS[parts.scheme]
        port = parts.port or default
    except (KeyError, ValueError):
        raise Refused("400 Bad Request", "A proxy needs a whole address.\n") from None
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    kept = [line for line in lines if not line.lower().startswith(OWN_HEADERS)]
    sent = [b" ".join((method, path.encode(), version)), *kept, b"Connection: close", b"", b""]
    tls = parts.scheme == "https"
    return Asked(parts.hostname or "?", port, tunnel=False, tls=tls, head=b"\r\n".join(sent))


def _is_known(lines: list[bytes], password: str) -> bool:
    wanted = b"Basic " + base64.b64encode(f"{USER}:{password}".encode())
    for line in lines:
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"proxy-authorization":
            return hmac.compare_digest(value.strip(), wanted)
    return False
