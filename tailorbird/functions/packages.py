"""Deployment packages: zips kept by their sha256 and unpacked once, whole or not at all.

Limits: Lambda developer guide, "Lambda quotas".
"""

from __future__ import annotations

import base64
import hashlib
import io
import os
import shutil
import stat
import tempfile
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from tailorbird.errors import Invalid, NotFound, TooLarge
from tailorbird.store import Objects

MAX_ZIPPED_BYTES = 52_428_800
MAX_UNZIPPED_BYTES = 262_144_000
MAX_ENTRIES = 100_000
COPY_BYTES = 1_048_576
BUCKET = "tailorbird-functions"
UNPACKING = "unpack-"
FOLDER_MODE = 0o755
FILE_MODE = 0o644


@dataclass(frozen=True)
class Package:
    """A stored zip: its name is the sha256 of its bytes in hex."""

    sha256: str
    size: int

    @property
    def code_sha256(self) -> str:
        """The digest as Lambda shows it."""
        return base64.b64encode(bytes.fromhex(self.sha256)).decode()

    @property
    def uri(self) -> str:
        return uri(self.sha256)


def uri(sha256: str) -> str:
    return f"s3://{BUCKET}/{sha256}.zip"


def store(objects: Objects, root: Path, data: bytes, *, direct: bool = True) -> Package:
    """Check, unpack and keep a zip; Invalid or TooLarge says what is wrong with it."""
    if direct and len(data) > MAX_ZIPPED_BYTES:
        raise TooLarge(
            f"Zipped size must be smaller than {MAX_ZIPPED_BYTES} bytes",
            code="RequestEntityTooLargeException",
        )
    package = Package(hashlib.sha256(data).hexdigest(), len(data))
    _unpack_once(root, package.sha256, data)
    objects.put(package.uri, data)
    return package


def fetch(objects: Objects, bucket: str, key: str) -> bytes:
    """A zip somebody put into a bucket, with Lambda's words when it is not there."""
    try:
        return objects.get(f"s3://{bucket}/{key}")
    except NotFound:
        raise Invalid(
            "Error occurred while GetObject. S3 Error Code: NoSuchKey. S3 Error Message:"
            " The specified key does not exist.",
            code="InvalidParameterValueException",
        ) from None


def unpacked(objects: Objects, root: Path, sha256: str) -> Path:
    """The folder with the package's files, unpacked now when this machine has not seen it."""
    folder = _folder(root, sha256)
    if not folder.is_dir():
        _unpack_once(root, sha256, objects.get(uri(sha256)))
    return folder


def _folder(root: Path, sha256: str) -> Path:
    return root / "code" / sha256


def _unpack_once(root: Path, sha256: str, data: bytes) -> None:
    folder = _folder(root, sha256)
    if folder.is_dir():
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=f"{UNPACKING}{os.getpid()}-", dir=folder.parent))
    try:
        extract(data, staging)
        staging.chmod(FOLDER_MODE)
        staging.rename(folder)
    except OSError:
        if not folder.is_dir():  # another thread or process was first
            raise
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def sweep(root: Path) -> None:
    """Remove what processes that died while unpacking left behind."""
    for staging in (root / "code").glob(f"{UNPACKING}*"):
        if not Path(f"/proc/{staging.name.split('-')[1]}").exists():
            shutil.rmtree(staging, ignore_errors=True)


def extract(data: bytes, into: Path) -> None:
    """Unpack a zip below a folder: no path leaves it, links included, and the size is bounded."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = archive.infolist()
            if len(entries) > MAX_ENTRIES:
                raise Invalid(
                    f"The zip has {len(entries)} entries; at most {MAX_ENTRIES} are allowed"
                )
            if sum(entry.file_size for entry in entries) >= MAX_UNZIPPED_BYTES:
                raise _too_large()
            left = MAX_UNZIPPED_BYTES
            for entry in entries:
                left = _extract_one(archive, entry, into, left)
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, EOFError, RuntimeError):
        raise Invalid(
            "Could not unzip uploaded file. Please check your file, then try to upload again.",
            code="InvalidParameterValueException",
        ) from None


def _extract_one(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, into: Path, left: int) -> int:
    target = into.joinpath(*_safe_parts(entry.filename))
    _stay_inside(target.parent, into)
    mode = entry.external_attr >> 16
    if entry.is_dir():
        target.mkdir(parents=True, exist_ok=True, mode=FOLDER_MODE)
        return left
    target.parent.mkdir(parents=True, exist_ok=True, mode=FOLDER_MODE)
    if stat.S_ISLNK(mode):
        _link(archive.read(entry).decode(), target, into)
        return left
    if mode and not stat.S_ISREG(mode) and stat.S_IFMT(mode):
        raise Invalid(f"{entry.filename} in the zip is neither a file nor a folder")
    with archive.open(entry) as source, _create(target) as file:
        while piece := source.read(COPY_BYTES):
            left -= len(piece)
            if left <= 0:
                raise _too_large()
            file.write(piece)
    target.chmod(FILE_MODE | (0o111 if mode & 0o111 else 0))
    return left


def _create(target: Path) -> io.BufferedWriter:
    """A new file, never through a link an earlier entry left; a repeated name replaces it."""
    target.unlink(missing_ok=True)
    fd = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, FILE_MODE)
    return os.fdopen(fd, "wb")


def _link(text: str, target: Path, into: Path) -> None:
    """A symbolic link that stays inside the package, whichever way it is read."""
    resolved = os.path.normpath(target.parent / text)
    if text.startswith("/") or not Path(resolved).is_relative_to(into):
        raise Invalid(f"{target.name} in the zip links to {text!r}, outside the package")
    target.unlink(missing_ok=True)
    target.symlink_to(text)


def _stay_inside(folder: Path, into: Path) -> None:
    """Refuse a path that earlier links would carry out of the package."""
    if not Path(os.path.realpath(folder)).is_relative_to(os.path.realpath(into)):
        raise Invalid(f"The zip leads out of its folder by way of links: {folder.name}")


def _safe_parts(name: str) -> tuple[str, ...]:
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or "\0" in name or not path.parts:
        raise Invalid(f"The zip holds the path {name!r}, which leads out of it")
    return path.parts


def _too_large() -> Invalid:
    return Invalid(
        f"Unzipped size must be smaller than {MAX_UNZIPPED_BYTES} bytes",
        code="InvalidParameterValueException",
    )
