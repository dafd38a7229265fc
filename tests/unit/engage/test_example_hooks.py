"""Our own example hook leaves out people who have just bought."""

from __future__ import annotations

import importlib.util
from datetime import UTC, datetime, timedelta
from types import ModuleType
from typing import Any

import pytest

from tests.conftest import ROOT


@pytest.fixture(scope="module")
def hook() -> ModuleType:
    file = ROOT / "examples" / "hooks" / "skip-recent-buyers" / "app.py"
    spec = importlib.util.spec_from_file_location("skip_recent_buyers", file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def buyer(**ago: float) -> dict[str, Any]:
    bought = (datetime.now(UTC) - timedelta(**ago)).isoformat()
    return {"User": {"UserAttributes": {"last_order_at": [bought]}}}


def test_recent_buyers_are_left_out(hook: ModuleType) -> None:
    endpoints = {"today": buyer(hours=2), "last week": buyer(days=7), "never": {"User": {}}}
    assert list(hook.handler({"Endpoints": endpoints}, None)) == ["last week", "never"]


@pytest.mark.parametrize("value", ["soon", ""])
def test_a_date_that_cannot_be_read_leaves_nobody_out(hook: ModuleType, value: str) -> None:
    endpoint = {"User": {"UserAttributes": {"last_order_at": [value]}}}
    assert hook.handler({"Endpoints": {"ana": endpoint}}, None) == {"ana": endpoint}


def test_a_time_without_an_offset_is_utc(hook: ModuleType) -> None:
    bought = datetime.now(UTC).replace(tzinfo=None).isoformat()
    endpoint = {"User": {"UserAttributes": {"last_order_at": [bought]}}}
    assert hook.handler({"Endpoints": {"ana": endpoint}}, None) == {}
