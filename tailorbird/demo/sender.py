"""Sends calls through the official Segment SDK, several clients at once, at full speed."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tailorbird.demo.shop import Call

CLIENTS = 2
UPLOAD_SIZE = 400  # calls in one batch; the SDK cuts at 475 kB by itself
POLL_SECONDS = 0.1

Told = Callable[[int, int], None]


@dataclass
class Sent:
    """What went out, how long until every call was answered, and what the SDK gave up on."""

    calls: int = 0
    seconds: float = 0.0
    errors: list[str] = field(default_factory=list)

    @property
    def per_second(self) -> float:
        return self.calls / self.seconds if self.seconds else 0.0


class Sender:
    """SDK clients of one source. A person's calls take the same client, so they stay in order."""

    def __init__(self, url: str, write_key: str, *, clients: int = CLIENTS) -> None:
        from segment.analytics.client import Client

        logging.getLogger("segment").setLevel(logging.CRITICAL)  # errors are reported by on_error
        self.errors: list[str] = []
        self._clients = [
            Client(
                write_key,
                host=url,
                on_error=self._failed,
                max_queue_size=0,
                upload_size=UPLOAD_SIZE,
                upload_interval=0.05,
                max_retries=3,
            )
            for _ in range(clients)
        ]

    def identify(self, traits: Mapping[str, dict[str, Any]], told: Told | None = None) -> Sent:
        """Tell the traits of people, by user id."""
        return self._send(
            [(user, "identify", (user, known), {}) for user, known in traits.items()], told
        )

    def track(self, calls: Iterable[Call], told: Told | None = None) -> Sent:
        return self._send(
            [
                (
                    call.user_id,
                    "track",
                    (call.user_id, call.event, call.properties),
                    {"timestamp": call.time, "anonymous_id": call.anonymous_id},
                )
                for call in calls
            ],
            told,
        )

    def close(self) -> None:
        for client in self._clients:
            client.join()

    def _send(
        self, calls: list[tuple[str, str, tuple[Any, ...], dict[str, Any]]], told: Told | None
    ) -> Sent:
        before, start = len(self.errors), time.perf_counter()
        for user_id, method, arguments, named in calls:
            client = self._clients[hash(user_id) % len(self._clients)]
            getattr(client, method)(*arguments, **named)
        while waiting := sum(client.queue.unfinished_tasks for client in self._clients):
            if told:
                told(len(calls) - waiting, len(calls))
            time.sleep(POLL_SECONDS)
        if told:
            told(len(calls), len(calls))
        return Sent(len(calls), time.perf_counter() - start, self.errors[before:])

    def _failed(self, error: Exception, batch: list[dict[str, Any]]) -> None:
        self.errors.append(f"{len(batch)} calls were not taken: {error}")
