"""Segment's browser library in a real browser: another origin's page, the npm package as it is."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from tests.conftest import Server, wait_for
from tests.wire.segment_client import kept, new_source

UMD = Path(__file__).parent / "node/node_modules/@segment/analytics-next/dist/umd"
BROWSER = shutil.which("chromium") or shutil.which("chromium-browser")
QUIET = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-extensions",
    "--disable-sync",
    "--no-proxy-server",
)
PAGE = """<!doctype html><title>Tea</title><script src="umd/index.js"></script><script>
const options = {"integrations": {"Segment.io": %s}};
(async () => {
  const [analytics] = await AnalyticsNext.AnalyticsBrowser.load(%s, options);
  await analytics.page("Tea");
  await analytics.track("Product Viewed", {sku: "tea-1"});
  await analytics.identify("ann", {plan: "pro"});
  await analytics.track("Order Completed", {products: [{sku: "tea-1"}]});
  document.title = "sent";
})();
</script>"""
SNIPPET = """<!doctype html><title>Tea</title><script>
window.analytics = [];
analytics.push(["page", "Tea"], ["identify", "ann", {plan: "pro"}]);
analytics.push(["track", "Product Viewed", {sku: "tea-1"}]);
const script = document.createElement("script");
script.async = true;
script.src = "%s";
document.head.append(script);
</script>"""
STRATEGIES: dict[str, dict[str, Any]] = {
    "one by one": {},
    "in batches": {"deliveryStrategy": {"strategy": "batching", "config": {"size": 2}}},
}


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *words: Any) -> None:
        pass


@pytest.fixture
def library() -> None:
    if not (UMD / "index.js").is_file():
        pytest.skip("@segment/analytics-next is not here (make setup installs it)")


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[str]:
    """A shop's own web server, with the npm package in `umd/`."""
    if BROWSER is None:
        pytest.skip("no browser is here: Debian's package is chromium")
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "umd").symlink_to(UMD)
    serve = partial(Quiet, directory=str(tmp_path / "site"))
    server = ThreadingHTTPServer(("127.0.0.1", 0), serve)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://localhost:{server.server_port}/"
    server.shutdown()


def visit(page: str, shop: str, tmp_path: Path, is_done: Callable[[], bool]) -> None:
    """Open the shop's only page and stay until it is done."""
    (tmp_path / "site" / "index.html").write_text(page)
    profile = f"--user-data-dir={tmp_path / 'profile'}"
    assert BROWSER is not None
    browser = subprocess.Popen(
        [BROWSER, *QUIET, profile, "--remote-debugging-port=0", shop],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for(is_done, 60, 0.5)
    finally:
        browser.terminate()
        browser.wait(10)


def test_a_page_with_the_html_snippet_needs_another_address_only(
    server: Server, shop: str, tmp_path: Path
) -> None:
    """What the snippet does: queue calls, then load the library from the CDN's host."""
    source = new_source(server, "chromium-snippet")
    page = SNIPPET % f"{server.url}/analytics.js/v1/{source['writeKeys'][0]}/analytics.min.js"
    visit(page, shop, tmp_path, lambda: len(kept(server, source)) == 3)
    calls = sorted(kept(server, source), key=lambda call: call["originalTimestamp"])
    assert [call["type"] for call in calls] == ["page", "identify", "track"]
    assert calls[2]["userId"] == "ann"
    assert calls[2]["properties"] == {"sku": "tea-1"}
    assert calls[0]["context"]["page"]["url"] == shop


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_page_in_a_browser(
    server: Server, library: None, shop: str, tmp_path: Path, strategy: str
) -> None:
    source = new_source(server, f"chromium {strategy}".replace(" ", "-"))
    host = server.url.removeprefix("http://")
    segment = {"apiHost": f"{host}/v1", "protocol": "http", **STRATEGIES[strategy]}
    load = {"writeKey": source["writeKeys"][0], "cdnURL": server.url}
    page = PAGE % (json.dumps(segment), json.dumps(load))
    visit(page, shop, tmp_path, lambda: len(kept(server, source)) == 4)
    calls = sorted(kept(server, source), key=lambda call: call["originalTimestamp"])
    assert [call["type"] for call in calls] == ["page", "track", "identify", "track"]
    assert all(call["channel"] == "client" for call in calls)
    assert all(call["context"]["userAgent"].startswith("Mozilla/") for call in calls)
    assert all(call["context"]["ip"] == "127.0.0.1" for call in calls)
    assert len({call["anonymousId"] for call in calls}) == 1
    assert calls[0]["context"]["page"]["url"] == shop
    assert calls[3]["userId"] == "ann"
