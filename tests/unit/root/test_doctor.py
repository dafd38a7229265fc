"""The doctor names what is there, and a remedy for what is not."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from tailorbird import doctor
from tailorbird.settings import Settings


def test_everything_that_is_missing_has_a_remedy(settings: Settings) -> None:
    found = doctor.findings(settings)
    assert [f.what for f in found if not f.good and not f.remedy] == []
    assert all(f.good for f in found if f.needed)


def test_a_taken_port_is_said(settings: Settings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        found = doctor.port(settings.replace(port=taken.getsockname()[1]))
    assert not found.good
    assert "--port" in found.remedy


def test_a_database_that_cannot_be_reached_is_said_without_its_password(
    settings: Settings,
) -> None:
    url = "postgresql://me:secret@127.0.0.1:1/tailorbird"
    found = doctor.database(settings.replace(database_url=url))
    assert (found.good, found.needed) == (False, True)
    assert "cannot be opened" in found.remedy
    assert "secret" not in found.found + found.remedy


@pytest.mark.parametrize("look", [doctor.bubblewrap, doctor.node])
def test_a_missing_program_is_degraded_and_not_fatal(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, look: object
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    found = look()  # type: ignore[operator]
    assert not found.needed
    assert found.good or found.remedy
