"""A running server seen from outside: its address, its secrets, and clients that use them."""

from __future__ import annotations

import configparser
import contextlib
import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tailorbird.errors import Invalid, NotFound, Unavailable

READ_SECONDS = 300.0


@dataclass(frozen=True)
class Remote:
    url: str
    data: Path
    region: str = "us-east-1"

    @property
    def write_key(self) -> str:
        return self._secret("write_key")

    @property
    def token(self) -> str:
        return self._secret("api_token")

    @property
    def credentials(self) -> Path:
        """The AWS shared credentials file that the server made."""
        return self.data / "credentials"

    def client(self, service: str) -> Any:
        """A boto3 client of this server: only the endpoint and the credentials are changed."""
        import boto3
        from botocore.config import Config

        keys = self._keys()
        return boto3.client(
            service,
            endpoint_url=self.url,
            region_name=self.region,
            aws_access_key_id=keys["aws_access_key_id"],
            aws_secret_access_key=keys["aws_secret_access_key"],
            config=Config(
                retries={"total_max_attempts": 3},
                s3={"addressing_style": "path"},
                read_timeout=READ_SECONDS,
                max_pool_connections=32,
            ),
        )

    def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """One call of the HTTP API with the bearer token; a refusal carries the server's words."""
        request = urllib.request.Request(
            self.url + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"},
        )
        with refusals(self.url):
            try:
                with urllib.request.urlopen(request, timeout=READ_SECONDS) as answer:
                    return dict(json.loads(answer.read() or b"{}"))
            except urllib.error.HTTPError as error:
                raise Invalid(f"{method} {path}: {error.code} {said(error.read())}") from None

    def is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/_/health", timeout=2) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return False

    def _secret(self, name: str) -> str:
        try:
            return (self.data / name).read_text().strip()
        except FileNotFoundError:
            raise NotFound(
                f"{self.data} holds no {name}; --data names the folder of the running server"
            ) from None

    def _keys(self) -> dict[str, str]:
        parser = configparser.ConfigParser()
        if not parser.read(self.credentials):
            raise NotFound(
                f"{self.data} holds no credentials; --data names the folder of the running server"
            )
        return dict(parser["default"])


@contextlib.contextmanager
def refusals(url: str) -> Iterator[None]:
    """Turn what clients raise into one line: the service's refusal, or that nobody answers."""
    from botocore.exceptions import BotoCoreError, ClientError
    from botocore.exceptions import ConnectionError as NoConnection

    try:
        yield
    except ClientError as error:
        wrong = error.response.get("Error", {})
        raise Invalid(
            f"{error.operation_name}: {wrong.get('Code')}: {wrong.get('Message')}"
        ) from None
    except (NoConnection, urllib.error.URLError, ConnectionError, TimeoutError) as error:
        raise Unavailable(
            f"No server answers at {url} ({error}); `tailorbird up` starts one"
        ) from None
    except BotoCoreError as error:
        raise Invalid(" ".join(str(error).split())) from None


def said(body: bytes) -> str:
    """The message in a JSON refusal, or the body as it is."""
    try:
        found = json.loads(body)
    except ValueError:
        return body.decode(errors="replace")[:300]
    if isinstance(found, dict):
        errors = found.get("errors") or [found]
        return "; ".join(
            str(e.get("message", e)) if isinstance(e, dict) else str(e) for e in errors
        )
    return str(found)
