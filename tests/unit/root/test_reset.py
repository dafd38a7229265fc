"""`POST /_/reset`: an empty house with the same keys."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tailorbird import access
from tailorbird import settings as settings_module
from tailorbird.access import roles
from tailorbird.app import House

ACCOUNT = "123456789012"
ROOT = f"arn:aws:iam::{ACCOUNT}:root"
TRUST = {"Effect": "Allow", "Principal": {"AWS": ROOT}, "Action": "sts:AssumeRole"}


@pytest.fixture
def house(tmp_path: Path) -> House:
    settings = settings_module.load({"data": tmp_path / "data"}, environment={}, folder=tmp_path)
    return House.open(settings)


def test_the_accounts_key_stays_and_sessions_end_with_their_roles(house: House) -> None:
    key = access.create_access_key(house.access, ACCOUNT)
    trust = json.dumps({"Version": "2012-10-17", "Statement": [TRUST]})
    roles.create_role(house.access, ACCOUNT, "worker", trust)
    arn = f"arn:aws:iam::{ACCOUNT}:role/worker"
    session = access.assume_role(house.access, arn, principal=ROOT, session_name="night")
    empty = house.reset()
    try:
        assert access.secret_for(empty.access, key.id) == key
        assert access.secret_for(empty.access, session.key.id) is None
        assert roles.list_roles(empty.access, ACCOUNT) == []
    finally:
        empty.stop()
