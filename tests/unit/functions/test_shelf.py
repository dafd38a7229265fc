"""Zips that no version needs go away; what is needed, or about to be, stays."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from tailorbird import settings as settings_module
from tailorbird.errors import Unavailable
from tailorbird.functions import (
    Functions,
    catalog,
    layers,
    log_reads,
    logs,
    packages,
    shelf,
    versions,
)
from tailorbird.store import Database
from tests.unit.functions.conftest import ACCOUNT, OWNER, REGION, open_workshop, zipped
from tests.unit.functions.test_catalog import create
from tests.unit.functions.test_events import deliver

HOOK = {"FunctionName": "hook"}


def kept(room: Functions) -> set[str]:
    """The zips in the object store, by digest."""
    bucket = room.objects.root / packages.BUCKET
    return {file.stem for file in bucket.glob("*.zip")}


def code(text: str) -> dict[str, bytes]:
    return {"ZipFile": zipped({"app.py": text})}


def layer(room: Functions, text: str) -> dict[str, Any]:
    request = {"LayerName": "tools", "Content": code(text)}
    return layers.publish_layer_version(room, OWNER, request)


def much_later(room: Functions, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shelf, "FRESH_SECONDS", -1.0)


def test_a_deleted_function_takes_its_zip_along(room: Functions):
    create(room, Code=code("1"))
    assert len(kept(room)) == 1
    catalog.delete_function(room, OWNER, HOOK)
    assert kept(room) == set()


def test_a_zip_that_another_function_has_stays(room: Functions):
    create(room, Code=code("1"))
    create(room, Code=code("1"), FunctionName="other")
    catalog.delete_function(room, OWNER, HOOK)
    assert len(kept(room)) == 1
    catalog.delete_function(room, OWNER, {"FunctionName": "other"})
    assert kept(room) == set()


def test_a_version_keeps_its_zip_until_it_is_deleted(
    room: Functions, monkeypatch: pytest.MonkeyPatch
):
    create(room, Code=code("1"))
    versions.publish_version(room, OWNER, HOOK)
    catalog.update_function_code(room, OWNER, {**HOOK, **code("2")})
    much_later(room, monkeypatch)
    assert (shelf.sweep_all(room), len(kept(room))) == (0, 2)
    catalog.delete_function(room, OWNER, {**HOOK, "Qualifier": "1"})
    assert len(kept(room)) == 1


def test_a_layer_version_that_is_deleted_stays_with_the_functions_that_have_it(room: Functions):
    made = layer(room, "1")
    create(room, Layers=[made["LayerVersionArn"]])
    layers.delete_layer_version(room, OWNER, {"LayerName": "tools", "VersionNumber": 1})
    assert len(kept(room)) == 2
    catalog.delete_function(room, OWNER, HOOK)
    assert kept(room) == set()


def test_a_layer_version_nobody_has_takes_its_zip_along(room: Functions):
    layer(room, "1")
    layers.delete_layer_version(room, OWNER, {"LayerName": "tools", "VersionNumber": 1})
    assert kept(room) == set()


def test_the_sweep_takes_what_an_update_left_when_it_is_an_hour_old(
    room: Functions, monkeypatch: pytest.MonkeyPatch
):
    create(room, Code=code("1"))
    catalog.update_function_code(room, OWNER, {**HOOK, **code("2")})
    assert (shelf.sweep_all(room), len(kept(room))) == (0, 2)
    much_later(room, monkeypatch)
    assert (shelf.sweep_all(room), len(kept(room))) == (1, 1)


def test_a_dry_run_and_a_refused_function_leave_nothing_for_long(
    room: Functions, monkeypatch: pytest.MonkeyPatch
):
    create(room, Code=code("1"))
    catalog.update_function_code(room, OWNER, {**HOOK, **code("2"), "DryRun": True})
    much_later(room, monkeypatch)
    shelf.sweep_all(room)
    assert len(kept(room)) == 1


def test_a_zip_that_went_while_a_function_was_made_is_said_and_can_be_sent_again(
    room: Functions, monkeypatch: pytest.MonkeyPatch
):
    def swept_at_once(room: Functions, given: Any) -> packages.Package:
        package = put(room, given)
        shelf.sweep(room, [package.sha256])
        return package

    put = shelf.put
    monkeypatch.setattr(shelf, "put", swept_at_once)
    with pytest.raises(Unavailable, match="send it again"):
        create(room, Code=code("1"))
    monkeypatch.setattr(shelf, "put", put)
    create(room, Code=code("1"))
    assert len(kept(room)) == 1


def test_functions_made_and_deleted_at_once_never_lose_their_zip(room: Functions):
    """Both have the same zip: whoever comes second finds it, or is told to come again."""
    done, lost = threading.Event(), []

    def come_and_go() -> None:
        while not done.is_set():
            try:
                create(room, Code=code("1"), FunctionName="other")
            except Unavailable:
                continue
            catalog.delete_function(room, OWNER, {"FunctionName": "other"})

    busy = threading.Thread(target=come_and_go)
    busy.start()
    for _ in range(15):
        try:
            create(room, Code=code("1"))
        except Unavailable:
            continue
        lost += [1] if len(kept(room)) != 1 else []
        catalog.delete_function(room, OWNER, HOOK)
    done.set()
    busy.join()
    assert lost == []


def test_folders_go_when_no_environment_can_be_in_them(
    room: Functions, monkeypatch: pytest.MonkeyPatch
):
    create(room, Code=code("1"))
    create(room, Code=code("2"), FunctionName="other")
    catalog.delete_function(room, OWNER, HOOK)
    folders = list((room.root / "code").iterdir())
    assert len(folders) == 2
    for folder in folders:
        os.utime(folder, (0, time.time() - shelf.FOLDER_SECONDS - 1))
    shelf.sweep_all(room)
    assert [folder.exists() for folder in folders].count(True) == 1


def test_the_sweep_is_a_job_that_comes_again(room: Functions, monkeypatch: pytest.MonkeyPatch):
    create(room, Code=code("1"))
    catalog.update_function_code(room, OWNER, {**HOOK, **code("2")})
    much_later(room, monkeypatch)
    shelf.schedule(room)
    shelf.schedule(room)  # every process does, at its start
    [waiting] = room.jobs.list(state="ready")
    with room.db.write() as conn:
        conn.exec_driver_sql("UPDATE store_jobs SET due = 0")
    [done] = deliver(room)
    assert room.jobs.get(done.id)["result"] == {"removed": 1}
    assert waiting["due"] > room.clock.now()


def test_logs_of_days_long_past_go_where_the_setting_says_so(db: Database, tmp_path: Path):
    given = {"data": tmp_path / "data", "functions_log_days": 7}
    room = open_workshop(db, settings_module.load(given, environment={}, folder=tmp_path))
    written = {}
    for name, days in (("old", 8), ("new", 6)):
        folder = logs.folder(room.root, ACCOUNT, REGION, f"/aws/lambda/{name}")
        stream = logs.new_stream(folder, name, "$LATEST", "2026/11/21")
        logs.Writer(stream).write(1, "said")
        os.utime(stream.path, (0, time.time() - days * 86_400))
        written[name] = stream.path
    shelf.schedule(room)
    with room.db.write() as conn:
        conn.exec_driver_sql("UPDATE store_jobs SET due = 0")
    deliver(room)
    assert (written["old"].exists(), written["new"].exists()) == (False, True)
    groups = log_reads.describe_log_groups(room, OWNER, {})["logGroups"]
    assert [(group["logGroupName"], group["retentionInDays"]) for group in groups] == [
        ("/aws/lambda/new", 7)
    ]
