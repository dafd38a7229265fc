"""A body on its way to disk: unpacked, hashed and checked piece by piece, never whole in memory."""

import hashlib
import secrets
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from tailorbird.access import Signed
from tailorbird.access.chunked import ChunkedBody
from tailorbird.access.sigv4 import BODY_MISMATCH
from tailorbird.errors import Denied, Invalid
from tailorbird.gateway.s3 import checksums
from tailorbird.gateway.s3.shelf import Body

ABANDONED_SECONDS = 86_400.0  # a file of a process that was killed
STREAMING = "STREAMING-"
UNSIGNED_STREAM = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
UNSIGNED = "UNSIGNED-PAYLOAD"
CHECKSUM_PREFIX = "x-amz-checksum-"
NOT_CHECKSUMS = frozenset(
    {"x-amz-checksum-type", "x-amz-checksum-mode", "x-amz-checksum-algorithm"}
)


class Spool:
    """Write what arrives, `finish` for the checked body; `discard` in any case."""

    def __init__(self, folder: Path, signed: Signed, headers: Mapping[str, str]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._file = folder / secrets.token_hex(16)
        self._out = self._file.open("xb")
        self._headers = headers
        self._payload = signed.payload
        self._chunked = _chunked(signed)
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._sha256 = hashlib.sha256() if _is_digest(signed.payload) else None
        self._algorithm = _algorithm(headers)
        self._checksum = checksums.make(self._algorithm) if self._algorithm else None
        self._size = 0

    def write(self, data: bytes) -> None:
        """The next bytes of the wire."""
        pieces = self._chunked.feed(data) if self._chunked else (data,)
        for piece in pieces:
            self._out.write(piece)
            self._size += len(piece)
            self._md5.update(piece)
            if self._sha256:
                self._sha256.update(piece)
            if self._checksum:
                self._checksum.update(piece)

    def finish(self) -> Body:
        """The whole body; Invalid or Denied when it is not what the request says."""
        self._out.close()
        if self._chunked:
            self._chunked.finish()
        if self._sha256 and self._sha256.hexdigest() != self._payload:
            raise Denied(
                "The provided 'x-amz-content-sha256' header does not match what was computed.",
                code=BODY_MISMATCH,
            )
        self._check_length()
        self._check_md5()
        return Body(self._file, self._size, self._md5.hexdigest(), self._checked())

    def discard(self) -> None:
        """Remove the file unless it has moved on."""
        self._out.close()
        self._file.unlink(missing_ok=True)

    def _check_length(self) -> None:
        declared = self._headers.get("x-amz-decoded-content-length")
        if declared is not None and declared != str(self._size):
            raise Invalid(
                f"x-amz-decoded-content-length says {declared} bytes, {self._size} came",
                code="IncompleteBody",
            )

    def _check_md5(self) -> None:
        given = self._headers.get("content-md5")
        if given is not None and checksums.raw(given) != self._md5.digest():
            raise Invalid(
                "The Content-MD5 you specified did not match what we received.", code="BadDigest"
            )

    def _checked(self) -> dict[str, str]:
        if self._checksum is None or self._algorithm is None:
            return {}
        digest = self._checksum.digest()
        trailers = self._chunked.trailers if self._chunked else {}
        name = CHECKSUM_PREFIX + self._algorithm.lower()
        given = trailers.get(name, self._headers.get(name))
        if given is None and name in self._headers.get("x-amz-trailer", ""):
            raise Invalid(f"The trailer {name} did not come", code="IncompleteBody")
        if given is not None and checksums.raw(given) != digest:
            raise Invalid(
                f"The {self._algorithm} you specified did not match the calculated checksum.",
                code="BadDigest",
            )
        return {f"Checksum{self._algorithm}": checksums.text(digest)}


def sweep(folder: Path, now: float) -> None:
    """Remove what killed processes left behind."""
    for file in folder.glob("*"):
        with suppress(FileNotFoundError):
            if now - file.stat().st_mtime > ABANDONED_SECONDS:
                file.unlink()


def _chunked(signed: Signed) -> ChunkedBody | None:
    if not signed.payload.startswith(STREAMING):
        return None
    return ChunkedBody(None if signed.payload == UNSIGNED_STREAM else signed.seed)


def _is_digest(payload: str) -> bool:
    return payload != UNSIGNED and not payload.startswith(STREAMING)


def _algorithm(headers: Mapping[str, str]) -> str | None:
    """The checksum the client sends along, in a header or a trailer, or asks to be made."""
    named = [n for n in headers if n.startswith(CHECKSUM_PREFIX) and n not in NOT_CHECKSUMS]
    named += [t.strip().lower() for t in headers.get("x-amz-trailer", "").split(",")]
    for name in named:
        if name.startswith(CHECKSUM_PREFIX):
            return name.removeprefix(CHECKSUM_PREFIX).upper()
    return headers.get("x-amz-sdk-checksum-algorithm")
