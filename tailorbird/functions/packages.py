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
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from tailorbird.errors import Invalid, NotBuilt, NotFound, TooLarge
from tailorbird.store import Objects

MAX_ZIPPED_BYTES = 52_428_800
MAX_UNZIPPED_BYTES = 262_144_000
MAX_ENTRIES = 100_000
COPY_BYTES = 1_048_576
BUCKET = "tailorbird-functions"
UNPACKING = "unpack-"
UNVERSIONED = "null"  # how S3 names the one version of an object in a bucket that keeps none
FOLDER_MODE = 0o755
FILE_MODE = 0o644


@dataclass(frozen=True)
class Package:
    """A stored zip: its name is the sha256 of its bytes in hex."""

    sha256: str
    size: int
    unzipped: int

    @property
    def code_sha256(self) -> str:
        """The digest as Lambda shows it."""
        return code_sha256(self.sha256)

    @property
    def uri(self) -> str:
        return uri(self.sha256)


def _nobody(sha256: str) -> None:
    """Nobody has to hear of it."""


def uri(sha256: str) -> str:
    return f"s3://{BUCKET}/{sha256}.zip"


def code_sha256(sha256: str) -> str:
    """A digest in hex as Lambda shows it: in base64."""
    return base64.b64encode(bytes.fromhex(sha256)).decode()


def store(
    objects: Objects,
    root: Path,
    data: bytes,
    *,
    direct: bool = True,
    announce: Callable[[str], None] = _nobody,
) -> Package:
    """Check, unpack and keep a zip; Invalid or TooLarge says what is wrong with it.

    `announce` hears the digest of a zip that is good, before it is kept.
    """
    if direct and len(data) > MAX_ZIPPED_BYTES:
        raise TooLarge(
            f"Zipped size must be smaller than {MAX_ZIPPED_BYTES} bytes",
            code="RequestEntityTooLargeException",
        )
    if not data:
        raise _empty()
    sha256 = hashlib.sha256(data).hexdigest()
    _make_once(_folder(root, sha256), [data])
    announce(sha256)
    objects.put(uri(sha256), data)
    return Package(sha256, len(data), _unzipped_bytes(data))


def given(
    objects: Objects, root: Path, code: Mapping[str, Any], announce: Callable[[str], None] = _nobody
) -> Package:
    """The zip of a request, kept: in it, or in a bucket."""
    if code.get("ImageUri"):
        raise NotBuilt("Code with ImageUri")
    if code.get("S3ObjectVersion") not in (None, "", UNVERSIONED):
        raise NotBuilt("Code with S3ObjectVersion: buckets here keep one version of an object")
    if code.get("S3ObjectStorageMode") == "REFERENCE":
        raise NotBuilt("Code with S3ObjectStorageMode REFERENCE: code is copied")
    if code.get("SourceKMSKeyArn"):
        raise NotBuilt("Code with SourceKMSKeyArn")
    if code.get("ZipFile") is not None:
        return store(objects, root, code["ZipFile"], announce=announce)
    if code.get("S3Bucket") and code.get("S3Key"):
        data = fetch(objects, code["S3Bucket"], code["S3Key"])
        return store(objects, root, data, direct=False, announce=announce)
    raise Invalid(
        "Please provide a source for function code.", code="InvalidParameterValueException"
    )


def fetch(objects: Objects, bucket: str, key: str) -> bytes:
    """A zip somebody put into a bucket, with Lambda's words when it is not there."""
    try:
        return objects.get(f"s3://{bucket}/{key}")
    except NotFound:
        code, text = "NoSuchKey", "The specified key does not exist."
        if not objects.bucket_exists(bucket):
            code, text = "NoSuchBucket", "The specified bucket does not exist"
        raise Invalid(
            f"Error occurred while GetObject. S3 Error Code: {code}. S3 Error Message: {text}",
            code="InvalidParameterValueException",
        ) from None


def unpacked(objects: Objects, root: Path, sha256: str) -> Path:
    """The folder with the package's files, unpacked now when this machine has not seen it."""
    return merged(objects, root, [sha256])


def merged(objects: Objects, root: Path, sha256s: Sequence[str]) -> Path:
    """One folder with the files of several packages, a later one's over an earlier one's."""
    folder = _folder(root, merged_name(sha256s))
    if not folder.is_dir():
        _make_once(folder, [objects.get(uri(sha256)) for sha256 in sha256s])
    return folder


def merged_name(sha256s: Sequence[str]) -> str:
    """What the folder of several packages is called; that of one by its digest."""
    if len(sha256s) == 1:
        return sha256s[0]
    return hashlib.sha256(" ".join(sha256s).encode()).hexdigest()


def _folder(root: Path, sha256: str) -> Path:
    return root / "code" / sha256


def _make_once(folder: Path, zips: Sequence[bytes]) -> None:
    if folder.is_dir():
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=f"{UNPACKING}{os.getpid()}-", dir=folder.parent))
    try:
        for data in zips:
            extract(data, staging)
        staging.chmod(FOLDER_MODE)
        staging.rename(folder)
    except OSError:
        if not folder.is_dir():  # another thread or process was first
            raise
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _unzipped_bytes(data: bytes) -> int:
    """What an (already checked) zip's files hold together."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return sum(entry.file_size for entry in archive.infolist())


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
            if not entries:
                raise _empty()
            if len(entries) > MAX_ENTRIES:
                raise Invalid(
                    f"The zip has {len(entries)} entries; at most {MAX_ENTRIES} are allowed"
                )
            if sum(entry.file_size for entry in entries) >= MAX_UNZIPPED_BYTES:
                raise _too_large()
            left = MAX_UNZIPPED_BYTES
            for entry in entries:
                left = _extract_one(archive, entry, into, left)
    except (
        zipfile.BadZipFile,
        zlib.error,
        NotImplementedError,
        EOFError,
        RuntimeError,
        ValueError,
    ):
        raise Invalid(
            "Could not unzip uploaded file. Please check your file, then try to upload again.",
            code="InvalidParameterValueException",
        ) from None


def _extract_one(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, into: Path, left: int) -> int:
    parts = _safe_parts(entry.filename)
    target = into.joinpath(*parts)
    _stay_inside(target.parent, into)
    _make_way(into, parts, folder=entry.is_dir())
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


def _make_way(into: Path, parts: Sequence[str], *, folder: bool) -> None:
    """A later entry wins: what stands where it needs a folder, or a file, goes."""
    for depth in range(1, len(parts) + folder):
        above = into.joinpath(*parts[:depth])
        if above.is_symlink() and above.is_dir():
            continue  # a link to a folder inside serves as that folder
        if (above.is_symlink() or above.exists()) and not above.is_dir():
            above.unlink()
    target = into.joinpath(*parts)
    if not folder and target.is_dir() and not target.is_symlink():
        shutil.rmtree(target)


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


def _empty() -> Invalid:
    return Invalid("Uploaded file must be a non-empty zip", code="InvalidParameterValueException")


def _too_large() -> Invalid:
    return Invalid(
        f"Unzipped size must be smaller than {MAX_UNZIPPED_BYTES} bytes",
        code="InvalidParameterValueException",
    )
