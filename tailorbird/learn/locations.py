"""Where an import's data lies: an object, a folder of objects, or local files a setting allows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

from tailorbird.errors import Invalid, NotBuilt, NotFound
from tailorbird.learn.room import Learn
from tailorbird.store import location

Source = tuple[str, Path]  # what to call it, and a local file with its content


def check(room: Learn, where: str) -> None:
    """Invalid or NotBuilt when data could never be read from there."""
    if where.startswith("s3://"):
        location(where)
    elif where.startswith(("http://", "https://")):
        raise NotBuilt(f"dataLocation {where}: http and https are not built; s3:// is")
    else:
        _allowed(room, where)


@contextmanager
def sources(room: Learn, where: str) -> Iterator[list[Source]]:
    """The files there, local for as long as the context lasts; Invalid when there is nothing."""
    with ExitStack() as stack:
        if where.startswith("s3://"):
            found = [
                (uri, stack.enter_context(room.objects.fetch(uri))) for uri in _uris(room, where)
            ]
        else:
            found = [(str(path), path) for path in _files(_allowed(room, where))]
        if not found:
            raise Invalid(f"Invalid Data location. There is nothing at {where}")
        yield found


def _uris(room: Learn, where: str) -> list[str]:
    _, key = location(where)
    if key and not key.endswith("/") and room.objects.exists(where):
        return [where]
    folder = where if where.endswith("/") else where + "/"
    try:
        return [
            info.uri for info in room.objects.list(folder) if _holds_rows(info.uri) and info.size
        ]
    except NotFound:
        return []


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        return sorted(one for one in path.rglob("*") if one.is_file() and _holds_rows(str(one)))
    return [path] if path.is_file() else []


def _holds_rows(name: str) -> bool:
    """Not a marker such as Spark's _SUCCESS."""
    return not name.rpartition("/")[2].startswith(("_", "."))


def _allowed(room: Learn, where: str) -> Path:
    path = unquote(urlsplit(where).path) if where.startswith("file://") else where
    real = Path(path).resolve()
    roots = [Path(root).resolve() for root in room.settings.learn_import_roots.split(":") if root]
    if any(real.is_relative_to(root) for root in roots):
        return real
    raise Invalid(
        f"dataLocation {where!r} is neither s3://bucket/key nor below a folder that the setting "
        f"learn_import_roots allows ({room.settings.learn_import_roots or 'none is allowed'})"
    )
