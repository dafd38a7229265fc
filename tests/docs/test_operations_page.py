"""docs/operations.md says what the operations tables say, and the tables name real operations."""

from __future__ import annotations

from tailorbird.gateway.catalogue import page, strangers
from tests.conftest import ROOT


def test_the_page_of_operations_is_the_tables_of_operations() -> None:
    assert (ROOT / "docs" / "operations.md").read_text() == page(), "run `make docs`"


def test_every_operation_built_is_one_of_its_service() -> None:
    assert strangers() == []
