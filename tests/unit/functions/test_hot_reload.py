"""Hot reload: a developer's folder as code, only where the setting allows it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tailorbird import settings as settings_module
from tailorbird.errors import Denied, Invalid
from tailorbird.functions import Functions, catalog, resolve, versions
from tailorbird.store import Database
from tailorbird.store.migrations import upgrade
from tests.unit.functions.conftest import OWNER, Workshop, open_workshop
from tests.unit.functions.test_catalog import create, get


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "work" / "hook"
    made.mkdir(parents=True)
    write(made, 1)
    return made


def write(folder: Path, value: int) -> None:
    (folder / "app.py").write_text(f"def handler(event, context): return {value}")


@pytest.fixture
def developer(tmp_path: Path) -> Iterator[Functions]:
    """A workshop where folders below `work` may be code."""
    given = {"data": tmp_path / "data", "functions_hot_reload_roots": str(tmp_path / "work")}
    settings = settings_module.load(given, environment={}, folder=tmp_path)
    db = Database(settings.database())
    upgrade(db)
    room = open_workshop(db, settings)
    yield room
    room.stop()
    db.close()


def hot(path: Path | str) -> dict[str, Any]:
    return {"Code": {"S3Bucket": "hot-reload", "S3Key": str(path)}}


def test_it_is_off_by_default(room: Functions, folder: Path):
    with pytest.raises(Denied, match="functions_hot_reload_roots"):
        create(room, **hot(folder))


@pytest.mark.parametrize(
    "path", ["/etc", "work/hook", "{root}/../data", "{root}/link", "{root}/no"]
)
def test_only_folders_below_the_roots_may_be_code(developer: Functions, folder: Path, path: str):
    (folder.parent / "link").symlink_to("/etc")
    with pytest.raises((Denied, Invalid)):
        create(developer, **hot(path.format(root=folder.parent)))
    assert catalog.list_functions(developer, OWNER, {})["Functions"] == []


def test_the_function_says_where_its_code_is(developer: Functions, folder: Path):
    create(developer, **hot(folder))
    read = catalog.get_function(developer, OWNER, {"FunctionName": "hook"})
    assert read["Code"]["Location"] == f"file://{folder}"
    assert read["Configuration"]["CodeSha256"] == f"hot-reload:{folder}"


def test_a_folder_is_not_published(developer: Functions, folder: Path):
    create(developer, **hot(folder))
    with pytest.raises(Invalid, match="hot reload"):
        versions.publish_version(developer, OWNER, {"FunctionName": "hook"})
    with pytest.raises(Invalid, match="hot reload"):
        create(developer, FunctionName="other", Publish=True, **hot(folder))


def test_a_changed_file_is_what_runs_next(developer: Functions, folder: Path):
    workshop = Workshop(developer)
    name = workshop.create("", **hot(folder))
    assert workshop.invoke(name).payload == b"1"
    assert workshop.invoke(name).payload == b"1"
    write(folder, 22)
    time.sleep(resolve.KNOWN_SECONDS + 0.1)
    assert workshop.invoke(name).payload == b"22"
    assert developer.counts()["environments"] == 1


def test_a_root_that_is_taken_away_stops_the_function(developer: Functions, folder: Path):
    workshop = Workshop(developer)
    name = workshop.create("", **hot(folder))
    folder.rename(folder.with_name("moved"))
    with pytest.raises(Invalid, match="is not a folder"):
        workshop.invoke(name)


def test_a_zip_takes_the_folders_place(developer: Functions, folder: Path):
    from tests.unit.functions.test_versions import NEW

    create(developer, **hot(folder))
    catalog.update_function_code(developer, OWNER, {"FunctionName": "hook", "ZipFile": NEW})
    assert get(developer)["CodeSize"] == len(NEW)
    assert versions.publish_version(developer, OWNER, {"FunctionName": "hook"})["Version"] == "1"
