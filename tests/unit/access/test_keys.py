"""Keys: made once, readable by their owner only, known to the database."""

import stat
from pathlib import Path

import botocore.session
import pytest

from tailorbird import access
from tailorbird.access import Access
from tailorbird.clock import TestClock
from tailorbird.errors import Invalid
from tailorbird.settings import Settings
from tailorbird.store import Database


@pytest.fixture
def room(db: Database, settings: Settings) -> Access:
    return Access(db, TestClock(1_800_000_000.0), settings)


def test_the_first_start_writes_a_file_that_the_sdk_reads(room: Access, tmp_path: Path) -> None:
    key = access.first_credentials(room, tmp_path)
    session = botocore.session.Session()
    session.set_config_variable("credentials_file", str(tmp_path / "credentials"))
    session.set_config_variable("config_file", str(tmp_path / "none"))
    read = session.get_credentials()
    assert (read.access_key, read.secret_key) == (key.id, key.secret)
    assert session.get_config_variable("region") == "us-east-1"


def test_the_second_start_keeps_the_key(room: Access, tmp_path: Path) -> None:
    assert access.first_credentials(room, tmp_path) == access.first_credentials(room, tmp_path)


def test_a_new_database_learns_the_key_of_the_file(room: Access, tmp_path: Path) -> None:
    key = access.first_credentials(room, tmp_path)
    access.delete_access_key(room, key.id)
    access.first_credentials(room, tmp_path)
    assert access.secret_for(room, key.id) == key


def test_the_first_key_is_the_root_of_the_account(room: Access, tmp_path: Path) -> None:
    key = access.first_credentials(room, tmp_path)
    assert (key.account, key.principal) == ("123456789012", "arn:aws:iam::123456789012:root")


@pytest.mark.parametrize("name", ["write_key", "api_token"])
def test_a_secret_is_made_once_for_its_owner_only(tmp_path: Path, name: str) -> None:
    made = access.secret(tmp_path / "new", name)
    file = tmp_path / "new" / name
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert access.secret(tmp_path / "new", name) == made
    assert [f.name for f in file.parent.iterdir()] == [name]


def test_the_credentials_are_for_their_owner_only(room: Access, tmp_path: Path) -> None:
    access.first_credentials(room, tmp_path)
    assert stat.S_IMODE((tmp_path / "credentials").stat().st_mode) == 0o600


def test_a_broken_credentials_file_is_named(room: Access, tmp_path: Path) -> None:
    (tmp_path / "credentials").write_text("[other]\nx = 1\n")
    with pytest.raises(Invalid, match="is not a credentials file"):
        access.first_credentials(room, tmp_path)


def test_a_created_key_is_found_by_another_process(room: Access) -> None:
    key = access.create_access_key(room, "999999999999")
    elsewhere = Access(room.db, room.clock, room.settings)
    assert access.secret_for(elsewhere, key.id) == key


def test_an_unknown_key_is_none(room: Access) -> None:
    assert access.secret_for(room, "AKIAUNKNOWN") is None


def test_a_deleted_key_is_forgotten_within_a_minute(room: Access) -> None:
    key = access.create_access_key(room, "999999999999")
    clock = TestClock(room.clock.now())
    elsewhere = Access(room.db, clock, room.settings)
    access.secret_for(elsewhere, key.id)
    access.delete_access_key(room, key.id)
    clock.advance(60)
    assert access.secret_for(elsewhere, key.id) is None
