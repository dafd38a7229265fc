"""Every setting knows where it came from, and a wrong one is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from tailorbird.errors import Invalid
from tailorbird.settings import SETTINGS, load


def test_flag_beats_environment_beats_file_beats_default(tmp_path: Path) -> None:
    (tmp_path / "tailorbird.toml").write_text('port = 1\nhost = "file"\naccount = "000000000001"')
    environment = {"TAILORBIRD_PORT": "2", "TAILORBIRD_HOST": "environment"}
    settings = load({"port": 3}, environment, tmp_path)
    assert (settings.port, settings.host, settings.account) == (3, "environment", "000000000001")
    origins = [settings.origin(name) for name in ("port", "host", "account", "region")]
    assert origins == ["flag", "environment", str(tmp_path / "tailorbird.toml"), "default"]


@pytest.mark.parametrize(
    ("environment", "names"),
    [({"TAILORBIRD_PORT": "eighty"}, "port"), ({"TAILORBIRD_EPHEMERAL": "maybe"}, "ephemeral")],
)
def test_a_value_of_the_wrong_type_is_named(
    environment: dict[str, str], names: str, tmp_path: Path
) -> None:
    with pytest.raises(Invalid, match=names):
        load({}, environment, tmp_path)


@pytest.mark.parametrize("text", ["prot = 1", "port ="])
def test_a_file_that_is_wrong_is_named(text: str, tmp_path: Path) -> None:
    (tmp_path / "tailorbird.toml").write_text(text)
    with pytest.raises(Invalid, match=r"tailorbird\.toml"):
        load({}, {}, tmp_path)


def test_every_default_is_of_its_type(tmp_path: Path) -> None:
    settings = load({}, {}, tmp_path)
    assert all(isinstance(getattr(settings, s.name), s.type) for s in SETTINGS)
