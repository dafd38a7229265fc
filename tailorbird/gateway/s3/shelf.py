"""What the S3 door stands on: the object store, the keys, and notes of what clients said."""

import re
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import IO

from tailorbird.access import Access
from tailorbird.errors import Conflict, Invalid, NotFound, TooLarge
from tailorbird.functions.packages import BUCKET as FUNCTIONS_BUCKET
from tailorbird.gateway.s3 import markers
from tailorbird.store import ObjectInfo, Objects
from tailorbird.store.objects import BUCKET_NAME

KEY_MAX_BYTES = 1_024
PART_OF_KEY_MAX_BYTES = 250  # a file name, with room for the store's temporary suffix
LOCKS = 64
OPEN_ATTEMPTS = 3
CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True)
class Body:
    """A request's body, whole and checked, in a file of its own."""

    file: Path
    size: int
    md5: str  # hex digits
    checksum: dict[str, str]  # {"ChecksumCRC32": base64}, empty when the client asked for none


@dataclass
class Opened:
    """An object held open: what is read belongs to what was said about it."""

    info: ObjectInfo
    file: IO[bytes]
    held: ExitStack = field(repr=False)


@dataclass
class Shelf:
    """Buckets and objects as S3 clients see them."""

    access: Access
    objects: Objects
    _locks: list[threading.Lock] = field(
        default_factory=lambda: [threading.Lock() for _ in range(LOCKS)], repr=False
    )

    @property
    def spool(self) -> Path:
        """Where bodies are kept while they arrive."""
        return Path(self.access.settings.data) / "spool"

    @property
    def house(self) -> frozenset[str]:
        """Buckets where the rooms keep their own things: clients read what they were pointed to."""
        return frozenset({FUNCTIONS_BUCKET, self.access.settings.learn_bucket})

    @property
    def parts(self) -> Path:
        """Where the parts of unfinished uploads are kept."""
        return Path(self.access.settings.data) / "uploads"

    @contextmanager
    def alone(self, bucket: str, key: str) -> Iterator[None]:
        """One writer of a key at a time, so that its notes belong to its bytes."""
        with self._locks[hash((bucket, key)) % LOCKS]:
            yield

    def check_bucket(self, bucket: str) -> None:
        """NotFound (NoSuchBucket) when there is none."""
        if not BUCKET_NAME.fullmatch(bucket) or not self.objects.bucket_exists(bucket):
            raise NotFound(
                f"The specified bucket does not exist: {bucket} (`aws s3 mb` makes one)",
                code="NoSuchBucket",
            )

    def head(self, bucket: str, key: str) -> ObjectInfo:
        """The object's size and time; NotFound (NoSuchKey) when there is none."""
        self.check_bucket(bucket)
        uri = address(bucket, key)
        if not markers.is_marker(key):
            return self.objects.head(uri)
        marker = markers.find(self.access, bucket, key)
        if marker is None:
            raise NotFound("The specified key does not exist.", code="NoSuchKey")
        return marker

    def find(self, bucket: str, key: str) -> ObjectInfo | None:
        try:
            return self.head(bucket, key)
        except NotFound as missing:
            if missing.code == "NoSuchBucket":
                raise
            return None

    def open(self, bucket: str, key: str) -> Opened:
        """The object held open, with the description of exactly those bytes."""
        if markers.is_marker(key):
            return Opened(self.head(bucket, key), BytesIO(), ExitStack())
        for _ in range(OPEN_ATTEMPTS):
            info = self.head(bucket, key)
            with ExitStack() as held:
                path = held.enter_context(self.objects.fetch(info.uri))
                file = held.enter_context(path.open("rb"))
                if self.find(bucket, key) == info:
                    return Opened(info, file, held.pop_all())
        raise Conflict(f"{address(bucket, key)} keeps changing while it is read")


def address(bucket: str, key: str) -> str:
    """`s3://bucket/key`; Invalid for a key that the object store cannot hold."""
    if len(key.encode()) > KEY_MAX_BYTES:
        raise TooLarge(f"Your key is too long: over {KEY_MAX_BYTES} bytes", code="KeyTooLongError")
    for part in key.removesuffix("/").split("/"):
        if not part or part in (".", "..") or CONTROL.search(part):
            raise Invalid(
                f"Key {key!r} cannot be kept: it has an empty part, '.', '..' or control characters"
            )
        if len(part.encode()) > PART_OF_KEY_MAX_BYTES:
            raise TooLarge(
                f"A part of a key between slashes has at most {PART_OF_KEY_MAX_BYTES} bytes here",
                code="KeyTooLongError",
            )
    return f"s3://{bucket}/{key}"
