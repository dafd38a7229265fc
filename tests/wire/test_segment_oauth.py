"""OAuth of the tracking API: the real SDK gets a token with its key and sends calls with it."""

from __future__ import annotations

import time
import urllib.parse
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jwt
import pytest
import requests
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from segment.analytics import Client

from tailorbird.collect import assertions
from tailorbird.gateway.segment_oauth import FORM, Oauth
from tailorbird.settings import load
from tailorbird.store import Database
from tests.conftest import Server, start_server
from tests.wire.segment_client import kept, new_source

ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


@dataclass
class House:
    """A server that knows the key of the client `shop`."""

    server: Server
    key: str

    def public(self) -> bytes:
        """The key's public side."""
        key = serialization.load_pem_private_key(self.key.encode(), None)
        return key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )

    def assertion(self, **changes: Any) -> str:
        now = int(time.time())
        claims = {"iss": "shop", "sub": "shop", "aud": self.server.url, "iat": now - 5,
                  "exp": now + 55, "jti": str(uuid.uuid4())} | changes  # fmt: skip
        claims = {name: value for name, value in claims.items() if value is not None}
        return jwt.encode(claims, self.key, "RS256", headers={"kid": "k1"})

    def ask(self, assertion: str, **changes: str) -> requests.Response:
        form = {"grant_type": "client_credentials", "client_assertion_type": ASSERTION,
                "client_assertion": assertion, "scope": "tracking_api:write"} | changes  # fmt: skip
        return requests.post(f"{self.server.url}/token", data=form, timeout=10)

    def track(self, token: str, source: dict[str, Any]) -> int:
        call = {"userId": "ann", "event": "e", "writeKey": source["writeKeys"][0]}
        return requests.post(
            f"{self.server.url}/v1/track",
            json=call,
            headers={"Authorization": f"Bearer {token}"},
            timeout=10,
        ).status_code


def private_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


def pem(key: rsa.RSAPrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder, key = tmp_path_factory.mktemp("oauth"), private_key()
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    (folder / "shop.pem").write_bytes(public)
    clients = f"shop={folder / 'shop.pem'}"
    started = start_server(
        folder / "data", segment_oauth_clients=clients, segment_oauth_names="https://shop.example"
    )
    yield House(started, pem(key))
    started.stop()


def test_the_python_sdk_sends_with_a_token_it_got_with_its_key(house: House) -> None:
    source = new_source(house.server, "oauth")
    failures: list[Any] = []
    client = Client(
        source["writeKeys"][0],
        host=house.server.url,
        oauth_client_id="shop",
        oauth_client_key=house.key,
        oauth_key_id="k1",
        oauth_auth_server=house.server.url,
        on_error=lambda error, batch: failures.append(error),
    )
    client.track("ann", "Bought")
    client.shutdown()
    assert failures == []
    assert [call["event"] for call in kept(house.server, source)] == ["Bought"]


def test_a_token_lasts_a_day_and_says_so(house: House) -> None:
    answer = house.ask(house.assertion())
    assert answer.status_code == 200
    given = answer.json()
    assert (given["token_type"], given["expires_in"]) == ("Bearer", 86_400)
    assert given["scope"] == "tracking_api:write"
    source = new_source(house.server, "day")
    assert house.track(given["access_token"], source) == 200
    assert house.track(given["access_token"] + "x", source) == 401
    assert house.track("", source) == 401


def test_a_token_ends_when_its_client_is_no_longer_known(house: House, tmp_path: Path) -> None:
    (tmp_path / "shop.pem").write_bytes(house.public())

    def oauth(client: str, **more: Any) -> Oauth:
        clients = f"{client}={tmp_path / 'shop.pem'}"
        given = {"data": tmp_path, "segment_oauth_clients": clients, **more}
        return Oauth(load(given, environment={}, folder=tmp_path), lambda client, id, until: True)

    form = {"grant_type": "client_credentials", "client_assertion_type": ASSERTION,
            "client_assertion": house.assertion(aud="https://oauth2.segment.io")}  # fmt: skip
    body = urllib.parse.urlencode(form).encode()
    token = oauth("shop").grant(body, FORM, None)["access_token"]
    assert oauth("shop").accepts(token)
    short = oauth("shop", segment_oauth_seconds=-1).grant(body, FORM, None)
    assert (short["expires_in"], oauth("shop").accepts(short["access_token"])) == (-1, False)
    assert not oauth("other").accepts(token)


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": "https://oauth2.segment.io"},
        {"aud": "https://oauth2.eu1.segmentapis.com", "iss": "https://oauth2.eu1.segmentapis.com"},
        {"iss": None, "aud": "https://shop.example"},  # as the house's settings call it
    ],
)
def test_an_assertion_in_the_words_of_segments_documentation_counts(
    house: House, changes: dict[str, Any]
) -> None:
    assert house.ask(house.assertion(**changes)).status_code == 200


def test_a_host_header_makes_nobody_the_audience(house: House) -> None:
    form = {"grant_type": "client_credentials", "client_assertion_type": ASSERTION,
            "client_assertion": house.assertion(aud="https://elsewhere.example")}  # fmt: skip
    heads = {"Host": "elsewhere.example"}
    answer = requests.post(f"{house.server.url}/token", data=form, headers=heads, timeout=10)
    assert answer.status_code in (401, 404)


PAST = int(time.time()) - 3600
ASSERTIONS: dict[str, tuple[dict[str, Any], int, str, str]] = {
    "an expired one": ({"iat": PAST, "exp": PAST + 60}, 400, "invalid_request", "is expired"),
    "one of tomorrow": ({"iat": int(time.time()) + 9000}, 400, "invalid_request", "before issued"),
    "for somebody else": ({"aud": "https://example.com"}, 401, "invalid_client", "udience"),
    "of nobody known": ({"sub": "thief"}, 401, "invalid_client", "segment_oauth_clients"),
    "of two": ({"iss": "other"}, 401, "invalid_client", "iss is neither"),
    "for an hour": ({"exp": int(time.time()) + 3600}, 400, "invalid_request", "60 seconds"),
}


@pytest.mark.parametrize("case", ASSERTIONS)
def test_an_assertion_that_does_not_hold_is_refused(house: House, case: str) -> None:
    changes, status, error, says = ASSERTIONS[case]
    answer = house.ask(house.assertion(**changes))
    assert (answer.status_code, answer.json()["error"]) == (status, error)
    assert says in answer.json()["error_description"]


FORMS: dict[str, tuple[dict[str, str], int, str]] = {
    "another grant": ({"grant_type": "password"}, 400, "unsupported_grant_type"),
    "another assertion": ({"client_assertion_type": "saml"}, 400, "invalid_request"),
    "another scope": ({"scope": "everything"}, 400, "invalid_scope"),
    "no assertion": ({"client_assertion": ""}, 400, "invalid_request"),
    "no token at all": ({"client_assertion": "a.b.c"}, 400, "invalid_request"),
}


@pytest.mark.parametrize("case", FORMS)
def test_a_form_that_asks_for_something_else_is_refused(house: House, case: str) -> None:
    changes, status, error = FORMS[case]
    answer = house.ask(house.assertion(), **changes)
    assert (answer.status_code, answer.json()["error"]) == (status, error)


def test_an_assertion_counts_once(house: House) -> None:
    assertion = house.assertion()
    assert house.ask(assertion).status_code == 200
    assert "was used before" in house.ask(assertion).json()["error_description"]


def test_an_assertion_counts_once_in_all_processes(db: Database) -> None:
    used = [assertions.use_once(db, client, "j1", 100.0, now=50.0) for client in ("a", "a", "b")]
    assert used == [True, False, True]
    assert assertions.use_once(db, "a", "j1", 200.0, now=101.0)  # the first has expired


def test_an_assertion_of_another_key_or_of_none_is_refused(house: House) -> None:
    stranger = House(house.server, pem(private_key()))
    assert house.ask(stranger.assertion()).status_code == 401
    claims = jwt.decode(house.assertion(), options={"verify_signature": False})
    assert house.ask(jwt.encode(claims, None, "none")).status_code == 401


def test_a_token_is_asked_for_with_a_form(house: House) -> None:
    answer = requests.post(f"{house.server.url}/token", json={}, timeout=10)
    assert (answer.status_code, answer.json()["error"]) == (415, "invalid_request")
    assert "x-www-form-urlencoded" in urllib.parse.unquote(answer.text)


def test_a_house_without_clients_gives_no_tokens_and_asks_for_none(server: Server) -> None:
    """Whoever has a token of Segment's own goes on as before: the write key decides."""
    here = House(server, pem(private_key()))
    assert here.ask(here.assertion()).json()["error"] == "invalid_client"
    assert here.track("of Segment's", new_source(server, "no-oauth")) == 200
