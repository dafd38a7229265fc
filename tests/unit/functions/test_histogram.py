"""Latencies of a function: exact counts, quantiles good to a bucket, memory that does not grow."""

from __future__ import annotations

import pytest

from tailorbird.functions import histogram
from tailorbird.functions.histogram import Histogram, Histograms
from tests.unit.functions.conftest import ACCOUNT, REGION, Workshop


def test_quantiles_are_upper_bounds_at_most_a_bucket_wide():
    found = Histogram()
    for n in range(1, 1001):
        found.add(n / 10, cold=False, failed=False)
    for part, exact in ((0.5, 50.0), (0.95, 95.0), (0.99, 99.0)):
        assert exact <= found.quantile(part) <= exact * 1.26
    assert found.quantile(1.0) == found.longest_ms == 100.0


def test_errors_and_cold_starts_are_counted():
    found = Histogram()
    found.add(100.0, cold=True, failed=False)
    found.add(2.0, cold=False, failed=True)
    summary = found.summary()
    assert [summary[k] for k in ("invocations", "errors", "cold_starts")] == [2, 1, 1]
    assert (summary["mean_ms"], summary["longest_ms"]) == (51.0, 100.0)
    assert sum(bucket["count"] for bucket in found.buckets()) == 2


def test_a_function_that_was_never_invoked_has_none():
    assert Histogram().summary()["p99_ms"] == 0.0


def test_what_lasts_longer_than_every_bound_is_counted():
    found = Histogram()
    found.add(5_000_000.0, cold=False, failed=False)
    assert found.quantile(0.5) == 5_000_000.0
    assert found.buckets() == [{"up_to_ms": None, "count": 1}]


def test_only_so_many_functions_are_kept(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(histogram, "MAX_FUNCTIONS", 2)
    kept = Histograms()
    for arn in ("a", "b", "a", "c"):
        kept.add(arn, 1.0, cold=False, failed=False)
    assert [kept.of(arn).invocations for arn in ("a", "b", "c")] == [2, 0, 1]


def test_invocations_are_measured(workshop: Workshop):
    name = workshop.create("def handler(event, context): return 1 / event['n']")
    for n in (1, 1, 0):
        workshop.invoke(name, {"n": n})
    arn = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{name}"
    summary = workshop.room.supervisor.histograms.of(arn).summary()
    assert [summary[k] for k in ("invocations", "errors", "cold_starts")] == [3, 1, 1]
