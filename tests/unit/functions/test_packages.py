"""Zips are unpacked whole or not at all, and never outside their folder."""

from __future__ import annotations

import io
import stat
import zipfile
from pathlib import Path

import pytest

from tailorbird.errors import Invalid, TooLarge
from tailorbird.functions import packages
from tailorbird.store import Objects
from tests.unit.functions.conftest import zipped


def linked(links: dict[str, str], files: dict[str, str] | None = None) -> bytes:
    """A zip with symbolic links, then files."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, target in links.items():
            entry = zipfile.ZipInfo(name)
            entry.external_attr = (stat.S_IFLNK | 0o777) << 16
            archive.writestr(entry, target)
        for name, text in (files or {}).items():
            archive.writestr(name, text)
    return buffer.getvalue()


def test_the_same_zip_is_kept_once_and_its_digest_is_lambdas(tmp_path: Path, objects: Objects):
    data = zipped({"app.py": "x = 1"})
    first, second = (packages.store(objects, tmp_path, data) for _ in range(2))
    assert first == second
    assert first.size == len(data)
    assert len(first.code_sha256) == 44  # base64 of a sha256
    assert len(list((tmp_path / "code").iterdir())) == 1


def test_a_machine_that_never_saw_the_zip_unpacks_it_from_the_object_store(
    tmp_path: Path, objects: Objects
):
    package = packages.store(objects, tmp_path / "one", zipped({"a/b.py": "x = 1"}))
    folder = packages.unpacked(objects, tmp_path / "two", package.sha256)
    assert (folder / "a" / "b.py").read_text() == "x = 1"


def test_the_executable_bit_survives(tmp_path: Path):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        entry = zipfile.ZipInfo("bootstrap")
        entry.external_attr = (stat.S_IFREG | 0o755) << 16
        archive.writestr(entry, "#!/bin/sh")
    packages.extract(buffer.getvalue(), tmp_path)
    assert (tmp_path / "bootstrap").stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize("name", ["../evil.py", "a/../../evil.py", "/etc/evil", "..\\evil.py"])
def test_a_path_that_leads_out_of_the_zip_is_refused(tmp_path: Path, name: str):
    inside = tmp_path / "inside"
    inside.mkdir()
    with pytest.raises(Invalid, match="leads out of it"):
        packages.extract(zipped({name: "boo"}), inside)
    assert [path.name for path in tmp_path.iterdir()] == ["inside"]


@pytest.mark.parametrize("target", ["/etc/passwd", "../../secrets", ".."])
def test_a_link_out_of_the_zip_is_refused(tmp_path: Path, target: str):
    with pytest.raises(Invalid, match="outside the package"):
        packages.extract(linked({"link": target}), tmp_path)


def test_a_file_is_not_written_through_a_chain_of_links(tmp_path: Path):
    inside = tmp_path / "inside"
    (inside / "d1" / "d2").mkdir(parents=True)
    links = {"d1/d2/up": "../..", "out": "d1/d2/up/.."}
    with pytest.raises(Invalid, match="by way of links"):
        packages.extract(linked(links, {"out/evil.py": "boo"}), inside)
    assert not (tmp_path / "evil.py").exists()


def test_a_link_inside_the_zip_is_kept(tmp_path: Path):
    packages.extract(linked({"lib/latest": "real.py"}, {"lib/real.py": "x = 1"}), tmp_path)
    assert (tmp_path / "lib" / "latest").read_text() == "x = 1"


def test_a_bomb_is_stopped_at_the_documented_size(tmp_path: Path):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros", b"\0" * 262_144_000)
    with pytest.raises(Invalid, match="Unzipped size must be smaller than 262144000 bytes"):
        packages.extract(buffer.getvalue(), tmp_path)


def test_a_bomb_that_lies_about_its_size_is_stopped_too(tmp_path: Path):
    data = bytearray(zipped({"zeros": b"\0" * 5000}))
    at = data.rindex(b"PK\x01\x02")
    data[at + 24 : at + 28] = (10).to_bytes(4, "little")  # the uncompressed size it admits
    with pytest.raises(Invalid):
        packages.extract(bytes(data), tmp_path)


@pytest.mark.parametrize("data", [b"", b"not a zip", b"PK\x03\x04" + b"\0" * 40])
def test_what_is_no_zip_is_refused_in_lambdas_words(tmp_path: Path, data: bytes):
    with pytest.raises(Invalid, match="Could not unzip uploaded file"):
        packages.extract(data, tmp_path)


def test_a_zip_over_50_mib_is_refused_before_it_is_read(tmp_path: Path, objects: Objects):
    with pytest.raises(TooLarge, match="Zipped size must be smaller than 52428800 bytes"):
        packages.store(objects, tmp_path, b"\0" * 52_428_801)


def test_nothing_is_left_of_a_zip_that_was_refused(tmp_path: Path, objects: Objects):
    with pytest.raises(Invalid):
        packages.store(objects, tmp_path, zipped({"fine.py": "x", "../evil.py": "boo"}))
    assert list((tmp_path / "code").iterdir()) == []


def test_of_entries_that_exclude_each_other_the_later_wins(tmp_path: Path):
    packages.extract(zipped({"a": "file", "a/b": "folder", "c/d": "folder", "c": "file"}), tmp_path)
    assert (tmp_path / "a" / "b").read_text() == "folder"
    assert (tmp_path / "c").read_text() == "file"


def test_packages_lie_over_each_other_in_order_and_once(tmp_path: Path, objects: Objects):
    first = packages.store(objects, tmp_path, zipped({"x": "1", "only": "1"})).sha256
    second = packages.store(objects, tmp_path, zipped({"x": "2"})).sha256
    folder = packages.merged(objects, tmp_path / "other", [first, second])
    assert ((folder / "x").read_text(), (folder / "only").read_text()) == ("2", "1")
    assert packages.merged(objects, tmp_path / "other", [first, second]) == folder
    assert packages.merged(objects, tmp_path / "other", [second, first]) != folder


def test_a_link_of_one_package_does_not_carry_another_out(tmp_path: Path, objects: Objects):
    inside = packages.store(objects, tmp_path, linked({"lib": "real"}, {"real/a": "1"})).sha256
    over = packages.store(objects, tmp_path, zipped({"lib/b": "2"})).sha256
    folder = packages.merged(objects, tmp_path / "other", [inside, over])
    assert (folder / "real" / "b").read_text() == "2"
