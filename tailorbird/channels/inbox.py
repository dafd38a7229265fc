"""The inbox: every message as a file, where its channel has no provider (mail: or beside it).

`<data>/inbox/<app>/<campaign or "direct">/<message id>.eml`, written whole or not at all; what is
no mail is `.json`.
"""

from __future__ import annotations

import contextlib
import heapq
import os
import threading
from collections.abc import Iterator, Sequence
from email import policy
from email.message import EmailMessage
from email.parser import BytesHeaderParser, BytesParser
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import orjson

from tailorbird.channels.messages import (
    PERMANENT_FAILURE,
    SUCCESSFUL,
    Message,
    Receipt,
    receipt,
)
from tailorbird.clock import iso
from tailorbird.errors import Invalid, NotFound, Unavailable
from tailorbird.settings import Settings

FOLDER = "inbox"
DIRECT = "direct"  # mails of no campaign
NAME_MAX = 200  # bytes of a file name without its ending
HEADERS_READ = 16_384  # bytes of a mail read for the list
MAIL, OTHER = ".eml", ".json"
ENDINGS = (MAIL, OTHER)
PRETTY = orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS
SUBJECT_CHARACTERS = 80  # of a text that has no title, in lists


def path_of(root: Path, message: Message) -> Path:
    """Where this message's file is; ids with unusual characters are percent-encoded."""
    folder = root / _name(message.application_id) / _name(message.campaign_id or DIRECT)
    ending = MAIL if message.channel_type == "EMAIL" else OTHER
    return folder / f"{_name(message.id)}{ending}"


class Inbox:
    """The writing side: one per room. It remembers which folders are there."""

    def __init__(self, data: Path, *, fsync: bool = False) -> None:
        self.root = data / FOLDER
        self._fsync = fsync
        self._folders: set[Path] = set()

    def put(self, message: Message, content: bytes) -> Path:
        """Write one mail, whole or not at all; the same message id again replaces it."""
        path = path_of(self.root, message)
        temporary = path.with_name(f".{path.name}.{threading.get_ident()}.tmp")
        try:
            if path.parent not in self._folders:
                self._make(path.parent)
            try:
                self._write(temporary, content)
            except FileNotFoundError:  # somebody emptied the inbox while we run
                self._make(path.parent)
                self._write(temporary, content)
            temporary.replace(path)
        except OSError as error:
            raise Unavailable(f"The inbox cannot be written: {error}") from None
        return path

    def keep(self, messages: Sequence[Message], now: float) -> Sequence[Receipt]:
        """Put messages that are no mails here, in place of a provider."""
        return [self._keep(message, now) for message in messages]

    def _keep(self, message: Message, now: float) -> Receipt:
        try:
            path = self.put(message, orjson.dumps(_document(message, now), option=PRETTY))
        except Invalid as refusal:
            return receipt(message, PERMANENT_FAILURE, refusal.message)
        where = path.relative_to(self.root).as_posix()
        return receipt(message, SUCCESSFUL, f"In the inbox: {where}")

    def _make(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folders.add(folder)

    def _write(self, path: Path, content: bytes) -> None:
        with path.open("wb") as file:
            file.write(content)
            if self._fsync:
                file.flush()
                os.fsync(file.fileno())


def list(
    settings: Settings, app: str | None = None, campaign: str | None = None, limit: int = 50
) -> Sequence[dict[str, Any]]:
    """The newest messages first, each with its headers and its path below the inbox."""
    root = settings.data / FOLDER
    newest = heapq.nlargest(limit, _entries(root, app, campaign))
    found = (_summary(root, Path(path), modified) for modified, path in newest)
    return [entry for entry in found if entry is not None]


def count(settings: Settings, app: str | None = None, campaign: str | None = None) -> int:
    """How many messages the inbox holds."""
    return sum(1 for _ in _files(settings.data / FOLDER, app, campaign))


def read(settings: Settings, path: str) -> dict[str, Any]:
    """One message by its path below the inbox: headers, text, html and the raw source."""
    root = (settings.data / FOLDER).resolve()
    file = (root / path.replace("\0", "?")).resolve()
    if not file.is_relative_to(root) or file.suffix not in (MAIL, OTHER):
        raise Invalid(f"{path!r} is not a path of the inbox: app/campaign/message.eml")
    try:
        raw = file.read_bytes()
    except OSError:
        raise NotFound(f"There is no message {path!r} in the inbox") from None
    if file.suffix == OTHER:
        return _read_other(path, raw)
    mail: EmailMessage = BytesParser(EmailMessage, policy=policy.default).parsebytes(raw)
    return {
        "path": path,
        "channel": "EMAIL",
        "headers": [(name, str(value)) for name, value in mail.items()],
        "subject": str(mail["Subject"] or ""),
        "from": str(mail["From"] or ""),
        "to": str(mail["To"] or ""),
        "date": str(mail["Date"] or ""),
        "text": _content(mail, "plain"),
        "html": _content(mail, "html"),
        "raw": raw.decode("utf-8", "replace"),
    }


def _summary(root: Path, path: Path, modified: float) -> dict[str, Any] | None:
    """None when the mail was deleted in the meantime."""
    try:
        with path.open("rb") as file:
            start = file.read(HEADERS_READ)
    except FileNotFoundError:
        return None
    app, campaign, name = path.relative_to(root).parts
    entry = {
        "path": f"{app}/{campaign}/{name}",
        "application_id": unquote(app),
        "campaign_id": None if campaign == DIRECT else unquote(campaign),
        "message_id": unquote(name.rpartition(".")[0]),
        "written": modified,
    }
    if path.suffix == OTHER:
        return entry | _heading(_loaded(path.read_bytes()))
    headers = BytesHeaderParser(policy=policy.default).parsebytes(start)
    shown = {name.lower(): str(headers[name] or "") for name in ("Subject", "From", "To", "Date")}
    return entry | {"channel": "EMAIL"} | shown


def _document(message: Message, now: float) -> dict[str, Any]:
    """A message that is no mail, as its file shows it; under `data` what its channel adds."""
    return {
        "id": message.id,
        "channel": message.channel_type,
        "application_id": message.application_id,
        "campaign_id": message.campaign_id,
        "activity_id": message.activity_id,
        "endpoint_id": message.endpoint_id,
        "from": message.from_address,
        "to": message.address,
        "date": iso(now),
        "title": message.subject,
        "body": message.text,
        "data": message.data,
    }


def _loaded(raw: bytes) -> dict[str, Any]:
    try:
        found = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) else {}


def _heading(document: dict[str, Any]) -> dict[str, str]:
    text = document.get("title") or str(document.get("body") or "")[:SUBJECT_CHARACTERS]
    named = {name: str(document.get(name) or "") for name in ("channel", "from", "to", "date")}
    return named | {"subject": str(text)}


def _read_other(path: str, raw: bytes) -> dict[str, Any]:
    document = _loaded(raw)
    heading = _heading(document)
    return heading | {
        "path": path,
        "headers": [(name.capitalize(), text) for name, text in heading.items() if text],
        "text": str(document.get("body") or ""),
        "html": "",
        "raw": raw.decode("utf-8", "replace"),
    }


def _entries(root: Path, app: str | None, campaign: str | None) -> Iterator[tuple[float, str]]:
    for entry in _files(root, app, campaign):
        with contextlib.suppress(FileNotFoundError):
            yield entry.stat().st_mtime, entry.path


def _files(root: Path, app: str | None, campaign: str | None) -> Iterator[os.DirEntry[str]]:
    for app_folder in _folders(root, app):
        for campaign_folder in _folders(app_folder, campaign):
            with contextlib.suppress(FileNotFoundError), os.scandir(campaign_folder) as entries:
                yield from (e for e in entries if e.name.endswith(ENDINGS) and e.name[0] != ".")


def _folders(root: Path, name: str | None) -> Iterator[Path]:
    if name is not None:
        folder = root / _name(name)
        if folder.is_dir():
            yield folder
    elif root.is_dir():
        yield from (folder for folder in root.iterdir() if folder.is_dir())


def _content(mail: EmailMessage, kind: str) -> str:
    part = mail.get_body(preferencelist=(kind,))
    return part.get_content().replace("\r\n", "\n") if part is not None else ""


def _name(text: str) -> str:
    """An id as a file name: no separator, no dot in front, not too long."""
    name = quote(text, safe="")
    if name.startswith("."):
        name = "%2E" + name[1:]
    if not name or len(name) > NAME_MAX:
        raise Invalid(f"{text[:60]!r} cannot name a file of the inbox: 1 to {NAME_MAX} bytes")
    return name
