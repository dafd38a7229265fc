"""Every setting: a table a room, one reader.

Flag > environment TAILORBIRD_* > tailorbird.toml > default; each value knows its origin.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tailorbird.errors import Invalid
from tailorbird.settings import channels, collect, engage, functions, house, learn
from tailorbird.settings.setting import Setting

ENVIRONMENT_PREFIX = "TAILORBIRD_"
FILE_NAME = "tailorbird.toml"

GROUPS: dict[str, tuple[Setting, ...]] = {
    room.__name__.rpartition(".")[2]: room.SETTINGS
    for room in (house, collect, learn, functions, engage, channels)
}
SETTINGS = tuple(setting for settings in GROUPS.values() for setting in settings)
BY_NAME = {setting.name: setting for setting in SETTINGS}


class Settings:
    """The settings in force: `settings.port` reads one, `settings.origin("port")` says whence."""

    def __init__(self, values: Mapping[str, Any], origins: Mapping[str, str]) -> None:
        self._values = dict(values)
        self._origins = dict(origins)

    def __getattr__(self, name: str) -> Any:
        try:
            return self.__dict__["_values"][name]
        except KeyError:
            raise AttributeError(f"There is no setting {name!r}") from None

    def origin(self, name: str) -> str:
        return self._origins[name]

    def replace(self, **values: Any) -> Settings:
        """The same settings with some given as flags."""
        for name in values:
            _known(name, "flag")
        return Settings(self._values | values, self._origins | dict.fromkeys(values, "flag"))

    def database(self) -> str:
        """The database URL in force."""
        return self.database_url or f"sqlite:///{self.data / 'tailorbird.db'}"


def load(
    flags: Mapping[str, Any] | None = None,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> Settings:
    """Read every setting from its most telling origin; Invalid names the one that is wrong."""
    values = {s.name: s.default for s in SETTINGS}
    origins = dict.fromkeys(values, "default")
    file = (folder or Path.cwd()) / FILE_NAME
    if file.exists():
        _lay(values, origins, _read_file(file), str(file))
    environment = os.environ if environment is None else environment
    named = {
        key.removeprefix(ENVIRONMENT_PREFIX).lower(): text
        for key, text in environment.items()
        if key.startswith(ENVIRONMENT_PREFIX)
    }
    _lay(values, origins, {k: v for k, v in named.items() if k in BY_NAME}, "environment")
    _lay(values, origins, {k: v for k, v in (flags or {}).items() if v is not None}, "flag")
    return Settings(values, origins)


def _lay(
    values: dict[str, Any], origins: dict[str, str], given: Mapping[str, Any], origin: str
) -> None:
    for name, value in given.items():
        values[name] = _convert(_known(name, origin), value, origin)
        origins[name] = origin


def _known(name: str, origin: str) -> Setting:
    if name not in BY_NAME:
        raise Invalid(f"{origin}: there is no setting {name!r}; `tailorbird settings` lists them")
    return BY_NAME[name]


def _read_file(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text())
    except tomllib.TOMLDecodeError as error:
        raise Invalid(f"{file} is not valid TOML: {error}") from None


def _convert(setting: Setting, value: Any, origin: str) -> Any:
    try:
        if setting.type is bool:
            return _boolean(value)
        if setting.type is Path:
            return Path(value).expanduser()
        return setting.type(value)
    except (TypeError, ValueError):
        kind = setting.type.__name__
        raise Invalid(
            f"{origin}: {setting.name} is {value!r}, which is not of type {kind}"
        ) from None


def _boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    text = str(value).strip().lower()
    if text in ("1", "true", "yes", "on"):
        return True
    if text in ("0", "false", "no", "off", ""):
        return False
    raise ValueError(value)
