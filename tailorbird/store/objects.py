"""Objects by `s3://bucket/key`: a folder by default, an S3-compatible server when configured."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from obstore.exceptions import BaseError as ObstoreError
from obstore.exceptions import NotFoundError as ObjectMissing
from obstore.store import LocalStore, S3Store

from tailorbird.errors import AlreadyExists, Conflict, Invalid, NotFound, Unavailable
from tailorbird.settings import Settings

BUCKET_NAME = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
KEY_MAX_BYTES = 1024
PIECE_BYTES = 8 * 1024 * 1024
NOT_A_FOLDER = "(os error 20)"


@dataclass(frozen=True)
class ObjectInfo:
    uri: str
    size: int
    modified: float
    etag: str | None


def location(uri: str) -> tuple[str, str]:
    """Bucket and key of `s3://bucket/key`; Invalid names what is wrong with it."""
    if not uri.startswith("s3://"):
        raise Invalid(f"{uri!r} is not an object address; s3://bucket/key is right")
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    if not BUCKET_NAME.fullmatch(bucket):
        raise Invalid(f"{uri!r}: {bucket!r} is not a bucket name (3-63 of a-z, 0-9, dot, hyphen)")
    if len(key.encode()) > KEY_MAX_BYTES:
        raise Invalid(f"{uri!r}: a key has at most {KEY_MAX_BYTES} bytes")
    if any(part in (".", "..") for part in key.split("/")) or "\0" in key:
        raise Invalid(f"{uri!r}: a key may not hold '.' or '..' as a part")
    return bucket, key


class Objects:
    """Buckets of objects. Every put is whole or not at all."""

    def __init__(self, root: Path, settings: Settings | None = None) -> None:
        self.root = root
        self._settings = settings
        self._remote = bool(settings is not None and settings.s3_endpoint_url)
        self._stores: dict[str, Any] = {}

    def put(self, uri: str, data: bytes | Iterable[bytes] | Path) -> None:
        bucket, key = _object(uri)
        store = self._store(bucket, create=True)
        with _speaking(uri):
            store.put(key, data)

    def get(self, uri: str) -> bytes:
        bucket, key = _object(uri)
        with _speaking(uri):
            return bytes(self._store(bucket).get(key).bytes())

    def stream(self, uri: str, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """The bytes from `start` up to, not with, `end`, in pieces."""
        bucket, key = _object(uri)
        store = self._store(bucket)
        size = self.head(uri).size
        end = size if end is None else min(end, size)
        with _speaking(uri):
            for at in range(start, end, PIECE_BYTES):
                yield bytes(store.get_range(key, start=at, end=min(end, at + PIECE_BYTES)))

    @contextmanager
    def fetch(self, uri: str) -> Iterator[Path]:
        """A local file with the content: the object's own, or a copy that goes away afterwards."""
        bucket, key = _object(uri)
        self.head(uri)
        own = self.root / bucket / key
        if not self._remote and own.is_file():
            yield own
            return
        with tempfile.TemporaryDirectory(prefix="tailorbird-") as folder:
            copy = Path(folder) / (Path(key).name or "object")
            with copy.open("wb") as file:
                for piece in self.stream(uri):
                    file.write(piece)
            yield copy

    def head(self, uri: str) -> ObjectInfo:
        bucket, key = _object(uri)
        with _speaking(uri):
            return _info(bucket, self._store(bucket).head(key))

    def list(self, uri_prefix: str) -> Iterator[ObjectInfo]:
        """Objects whose address starts with the prefix, in order of their keys."""
        bucket, prefix = location(uri_prefix)
        folder = prefix.rpartition("/")[0]  # the store lists by whole folders
        found: list[ObjectInfo] = []
        with _speaking(uri_prefix):
            for page in self._store(bucket).list(prefix=folder or None):
                found += [_info(bucket, meta) for meta in page if meta["path"].startswith(prefix)]
        yield from sorted(found, key=lambda info: info.uri)

    def exists(self, uri: str) -> bool:
        try:
            self.head(uri)
        except NotFound:
            return False
        return True

    def delete(self, uri: str) -> None:
        """Gone afterwards, whether or not it was there."""
        bucket, key = _object(uri)
        try:
            with _speaking(uri):
                self._store(bucket).delete(key)
        except NotFound:
            return

    def create_bucket(self, name: str) -> None:
        location(f"s3://{name}/")
        if self._remote:
            raise Conflict(f"Buckets of {self._settings.s3_endpoint_url} are made there, not here")  # type: ignore[union-attr]
        folder = self.root / name
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            raise AlreadyExists(f"Bucket {name} exists", code="BucketAlreadyOwnedByYou") from None

    def delete_bucket(self, name: str) -> None:
        if next(self.list(f"s3://{name}/"), None) is not None:
            raise Conflict(f"Bucket {name} is not empty", code="BucketNotEmpty")
        if not self._remote:
            shutil.rmtree(self.root / name)

    def buckets(self) -> Sequence[str]:
        if self._remote or not self.root.is_dir():
            return []
        return sorted(entry.name for entry in self.root.iterdir() if entry.is_dir())

    def bucket_exists(self, name: str) -> bool:
        return self._remote or (self.root / name).is_dir()

    def _store(self, bucket: str, *, create: bool = False) -> Any:
        store = self._stores.get(bucket)
        if store is None or not (self._remote or (self.root / bucket).is_dir()):
            store = self._stores[bucket] = self._open(bucket, create)
        return store

    def _open(self, bucket: str, create: bool) -> Any:
        if self._remote:
            return _remote_store(bucket, self._settings)
        folder = self.root / bucket
        if create:
            folder.mkdir(parents=True, exist_ok=True)
        if not folder.is_dir():
            raise NotFound(f"There is no bucket {bucket}", code="NoSuchBucket")
        return LocalStore(prefix=folder)


def _remote_store(bucket: str, settings: Any) -> S3Store:
    return S3Store(
        bucket,
        endpoint=settings.s3_endpoint_url,
        region=settings.region,
        access_key_id=settings.s3_access_key_id or os.environ.get("AWS_ACCESS_KEY_ID", ""),
        secret_access_key=settings.s3_secret_access_key
        or os.environ.get("AWS_SECRET_ACCESS_KEY", ""),
        virtual_hosted_style_request=False,
        client_options={"allow_http": settings.s3_endpoint_url.startswith("http://")},
    )


def _object(uri: str) -> tuple[str, str]:
    bucket, key = location(uri)
    if not key or key.endswith("/"):
        raise Invalid(f"{uri!r} names no object; s3://bucket/key is right")
    return bucket, key


def _info(bucket: str, meta: Any) -> ObjectInfo:
    uri = f"s3://{bucket}/{meta['path']}"
    return ObjectInfo(uri, meta["size"], meta["last_modified"].timestamp(), meta["e_tag"])


@contextmanager
def _speaking(uri: str) -> Iterator[None]:
    """Translate the object store's errors into ours."""
    try:
        yield
    except (ObjectMissing, FileNotFoundError):
        raise NotFound(f"There is no object {quote(uri, safe=':/')}", code="NoSuchKey") from None
    except (IsADirectoryError, NotADirectoryError):
        raise Invalid(f"{uri!r}: a folder stands where the object should be") from None
    except ObstoreError as error:
        if NOT_A_FOLDER in str(error):  # an object stands where a folder of this key should be
            raise NotFound(
                f"There can be no object {uri!r} under another", code="NoSuchKey"
            ) from None
        raise Unavailable(f"The object store did not answer for {uri}: {error}") from error
