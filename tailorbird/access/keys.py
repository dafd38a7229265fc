"""Access keys and the secrets made on first start, each in a file only its owner can read."""

import configparser
import os
import secrets
import string
import tempfile
from collections.abc import Callable
from pathlib import Path

import sqlalchemy as sa

from tailorbird.access.patterns import same_account_root
from tailorbird.access.room import Access, AccessKey
from tailorbird.access.tables import access_keys
from tailorbird.errors import Invalid
from tailorbird.store import insert

CREDENTIALS_FILE = "credentials"
PROFILE = "default"
OWNER_ONLY = 0o600
SECRET_LENGTH = 32
REREAD_SECONDS = 60.0  # another process may have removed a key
FORGET_SECONDS = 86_400.0  # how long an expired key still answers "expired" instead of "unknown"

_ID_LETTERS = string.ascii_uppercase + "234567"
_SECRET_LETTERS = string.ascii_letters + string.digits


def first_credentials(room: Access, data: Path) -> AccessKey:
    """The key of `<data>/credentials`: made on first start, known to the database afterwards."""
    file = data / CREDENTIALS_FILE
    read_or_make(file, lambda: _credentials_text(room.settings.region))
    key = _read_credentials(file, room.settings.account)
    _store(room, key)
    return key


def secret(data: Path, name: str) -> str:
    """The secret kept as `<data>/<name>`: `write_key` (first source) or `api_token` (bearer)."""
    return read_or_make(data / name, lambda: _letters(_SECRET_LETTERS, SECRET_LENGTH))


def create_access_key(room: Access, account: str, principal: str | None = None) -> AccessKey:
    """A new permanent key; without a principal it is the account's root."""
    key = AccessKey(
        id="AKIA" + _letters(_ID_LETTERS, 16),
        secret=_letters(_SECRET_LETTERS, 40),
        account=account,
        principal=principal or same_account_root(account),
    )
    _store(room, key)
    return key


def create_session_key(room: Access, account: str, principal: str, seconds: float) -> AccessKey:
    """A temporary key that ends after so many seconds."""
    now = room.clock.now()
    key = AccessKey(
        id="ASIA" + _letters(_ID_LETTERS, 16),
        secret=_letters(_SECRET_LETTERS, 40),
        account=account,
        principal=principal,
        session_token=secrets.token_urlsafe(96),
        expires=now + seconds,
    )
    _store(room, key)
    return key


def delete_access_key(room: Access, access_key_id: str) -> None:
    """The key no longer signs here at once, elsewhere within a minute."""
    with room.db.write() as conn:
        conn.execute(sa.delete(access_keys).where(access_keys.c.id == access_key_id))
    room.known.pop(access_key_id, None)


def secret_for(room: Access, access_key_id: str) -> AccessKey | None:
    """The key with that id, from memory when it was read in the last minute."""
    now = room.clock.now()
    held = room.known.get(access_key_id)
    if held is not None and now - held[1] < REREAD_SECONDS:
        return held[0]
    with room.db.read() as conn:
        row = conn.execute(sa.select(access_keys).where(access_keys.c.id == access_key_id)).first()
    if row is None:
        room.known.pop(access_key_id, None)
        return None
    columns = (row.id, row.secret, row.account, row.principal, row.session_token, row.expires)
    key = AccessKey(*columns)
    room.known[access_key_id] = (key, now)
    return key


def read_or_make(file: Path, make: Callable[[], str]) -> str:
    """The text of a secret file; made whole with mode 0600 when it is not there yet."""
    if not file.exists():
        _write_once(file, make())
    return file.read_text().strip()


def _write_once(file: Path, text: str) -> None:
    """Write aside, then link: of two first starts one wins and both read the same secret."""
    file.parent.mkdir(parents=True, exist_ok=True)
    number, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}-")
    aside = Path(name)
    try:
        with os.fdopen(number, "w") as out:
            os.fchmod(out.fileno(), OWNER_ONLY)
            out.write(text.rstrip("\n") + "\n")
            out.flush()
            os.fsync(out.fileno())
        try:
            os.link(aside, file)
        except FileExistsError:
            return
        except PermissionError:  # a file system without links
            aside.replace(file)
    finally:
        aside.unlink(missing_ok=True)


def _credentials_text(region: str) -> str:
    return (
        f"[{PROFILE}]\n"
        f"aws_access_key_id = AKIA{_letters(_ID_LETTERS, 16)}\n"
        f"aws_secret_access_key = {_letters(_SECRET_LETTERS, 40)}\n"
        f"region = {region}\n"
    )


def _read_credentials(file: Path, account: str) -> AccessKey:
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(file.read_text(), source=str(file))
        section = parser[PROFILE]
        key_id, secret = section["aws_access_key_id"], section["aws_secret_access_key"]
    except (configparser.Error, KeyError) as error:
        raise Invalid(
            f"{file} is not a credentials file with a profile [{PROFILE}] ({error}); "
            "move it away and a new one is made on the next start"
        ) from None
    return AccessKey(key_id, secret, account, same_account_root(account))


def _store(room: Access, key: AccessKey) -> None:
    now = room.clock.now()
    row = {
        "id": key.id,
        "secret": key.secret,
        "account": key.account,
        "principal": key.principal,
        "session_token": key.session_token,
        "expires": key.expires,
    }
    statement = insert(room.db, access_keys).values(created=now, **row)
    with room.db.write() as conn:
        conn.execute(statement.on_conflict_do_update(index_elements=["id"], set_=row))
        if key.expires is not None:
            old = access_keys.c.expires < now - FORGET_SECONDS
            conn.execute(sa.delete(access_keys).where(old))
    room.known[key.id] = (key, now)


def _letters(alphabet: str, count: int) -> str:
    return "".join(secrets.choice(alphabet) for _ in range(count))
