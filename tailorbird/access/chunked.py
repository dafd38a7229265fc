"""Bodies sent in `aws-chunked` pieces: unpacked as they arrive, each piece's signature checked.

Source: S3 API reference, "Transferring Payload in Multiple Chunks" and "... trailing headers".
"""

import hashlib
import hmac
from collections.abc import Iterator

from tailorbird.access.sigv4 import MISMATCH, Seed
from tailorbird.errors import Denied, Invalid

LINE_MAX_BYTES = 8_192
TRAILER_SIGNATURE = b"x-amz-trailer-signature"

_EMPTY_DIGEST = hashlib.sha256(b"").hexdigest().encode()


class ChunkedBody:
    """Feed the bytes of the wire, get the bytes of the content; `trailers` are there at the end.

    With a seed (the request's signature) every chunk must carry its own; what was fed is to be
    trusted only once `finish` has passed.
    """

    def __init__(self, seed: Seed | None = None) -> None:
        self.trailers: dict[str, str] = {}
        self._seed = seed
        self._previous = seed.signature if seed else b""
        self._held = b""
        self._left = -1  # bytes of the current chunk still to come, -1 before its size is known
        self._in_trailers = False
        self._ended = False
        self._claimed = b""
        self._digest = hashlib.sha256()
        self._signed_trailers: list[bytes] = []

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The content in these bytes, in pieces."""
        self._held += data
        while not self._ended:
            if self._left > 0:
                piece, self._held = self._held[: self._left], self._held[self._left :]
                if not piece:
                    return
                self._left -= len(piece)
                if self._seed:
                    self._digest.update(piece)
                yield piece
                continue
            line = self._line()
            if line is None:
                return
            self._take(line)

    def finish(self) -> None:
        """Invalid when the body broke off."""
        if not self._ended:
            raise Invalid("The aws-chunked body ended before its last chunk", code="IncompleteBody")

    def _take(self, line: bytes) -> None:
        """One line that is not content: the end of a chunk, the size of the next, a trailer."""
        if self._left == 0 and not self._in_trailers:
            if line:
                raise Invalid("A chunk is longer than its size says", code="IncompleteBody")
            self._close_chunk()
            self._left = -1
        elif self._in_trailers:
            self._take_trailer(line)
        else:
            self._open_chunk(line)

    def _open_chunk(self, line: bytes) -> None:
        size, _, extension = line.partition(b";")
        try:
            self._left = int(size, 16)
        except ValueError:
            self._left = -1
        if self._left < 0:
            raise Invalid(f"{size[:40]!r} is not the size of a chunk", code="IncompleteBody")
        self._claimed = extension.partition(b"chunk-signature=")[2].strip()
        self._digest = hashlib.sha256()
        if self._left == 0:
            self._close_chunk()
            self._in_trailers = True

    def _close_chunk(self) -> None:
        if self._seed is None:
            return
        parts = (_EMPTY_DIGEST, self._digest.hexdigest().encode())
        self._compare(b"AWS4-HMAC-SHA256-PAYLOAD", parts, self._claimed, "chunk")

    def _take_trailer(self, line: bytes) -> None:
        line = line.rstrip(b"\r\n")
        if not line:
            self._end()
            return
        name, _, value = line.partition(b":")
        name, value = name.strip().lower(), value.strip()
        if name == TRAILER_SIGNATURE:
            digest = hashlib.sha256(b"".join(self._signed_trailers)).hexdigest().encode()
            self._compare(b"AWS4-HMAC-SHA256-TRAILER", (digest,), value, "trailer")
            self._signed_trailers.clear()
            return
        self._signed_trailers.append(name + b":" + value + b"\n")
        self.trailers[name.decode("latin-1")] = value.decode("latin-1")

    def _end(self) -> None:
        if self._seed and self._signed_trailers:
            raise Denied("The trailers came without a signature after them", code=MISMATCH)
        self._ended = True

    def _compare(self, kind: bytes, parts: tuple[bytes, ...], claimed: bytes, what: str) -> None:
        seed = self._seed
        if seed is None:
            return
        text = b"\n".join((kind, seed.amz_date, seed.scope, self._previous, *parts))
        expected = hmac.digest(seed.key, text, "sha256").hex().encode()
        if not hmac.compare_digest(expected, claimed):
            raise Denied(f"The signature of a {what} does not match its content", code=MISMATCH)
        self._previous = expected

    def _line(self) -> bytes | None:
        """The next line without its end; None when it is not whole yet."""
        end = self._held.find(b"\n")
        if end < 0:
            if len(self._held) > LINE_MAX_BYTES:
                raise Invalid("A chunk's first line is too long", code="IncompleteBody")
            return None
        line, self._held = self._held[:end], self._held[end + 1 :]
        return line.removesuffix(b"\r")
