"""docs/settings.md says what the table of settings says."""

from __future__ import annotations

from scripts.settings_page import page
from tests.conftest import ROOT


def test_the_page_of_settings_is_the_table_of_settings() -> None:
    assert (ROOT / "docs" / "settings.md").read_text() == page(), "run `make docs`"
