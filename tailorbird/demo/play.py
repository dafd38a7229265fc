"""Plays the whole loop from outside, through a started server, with the clients customers have."""

from __future__ import annotations

import contextlib
import shutil
import signal
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tailorbird.demo import connecting, engaging, learning, preparing
from tailorbird.demo.figures import Figures, Live, Mailing
from tailorbird.demo.material import Material, generated
from tailorbird.demo.sender import Sender
from tailorbird.demo.server import start
from tailorbird.demo.shop import Person
from tailorbird.errors import Invalid, Unavailable
from tailorbird.remote import Remote, refusals

LEAST = {"people": 10, "products": 20, "calls": 1_000}
LIVE_PEOPLE = 40
LIVE_SECONDS = 60.0
SHOWN = 3  # recommendations of one person, in the report
ENDPOINTS_SECONDS = 120.0
SAMPLE_EVERY = 100  # endpoints looked at while waiting for all of them
TRAIT = "recommended_products"
BUCKET = "tailorbird-demo"

Step = Callable[[str], AbstractContextManager[Callable[[int, int], None]]]


@dataclass(frozen=True)
class Choices:
    """What `tailorbird demo` was asked for."""

    exit: bool
    interactions: Path | None
    data: Path | None
    port: int
    people: int
    products: int
    calls: int
    seed: int


def play(choices: Choices) -> None:
    """Start a server, play the loop, print the report; serve on unless `exit`."""
    for name, least in LEAST.items():
        if getattr(choices, name) < least:
            raise Invalid(f"--{name} {getattr(choices, name)} is too few; {least} is the least")
    from rich.console import Console

    from tailorbird.demo.report import print_addresses, print_report, serve_on, steps

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends the server as Ctrl-C does
    console, began = Console(), time.perf_counter()
    with data_folder(choices.data) as data:
        material = read(choices, data)
        console.print(f"Playing {material.title}")
        server = start(data, choices.port)
        try:
            with steps(console) as step, refusals(server.remote.url):
                figures = Loop(server.remote, material, step).run()
            figures.start_seconds = server.started_seconds
            figures.seconds = time.perf_counter() - began
            print_report(console, figures)
            print_addresses(console, server.remote, figures)
            if choices.exit:
                console.print("\nThe server ends with this report; without --exit it serves on.")
            else:
                serve_on(console, server)
        finally:
            server.stop()


def read(choices: Choices, data: Path) -> Material:
    if choices.interactions is None:
        return generated(choices.seed, choices.people, choices.products, choices.calls)
    from tailorbird.demo.interactions import read_material

    return read_material(choices.interactions, choices.people, data)


@contextlib.contextmanager
def data_folder(given: Path | None) -> Iterator[Path]:
    """The folder that was given, or a fresh one that goes away at the end."""
    if given is not None:
        given.mkdir(parents=True, exist_ok=True, mode=0o700)  # secrets and the log are in it
        yield given.absolute()
        return
    folder = Path(tempfile.mkdtemp(prefix="tailorbird-demo-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class Loop:
    """One run of the loop. Each step leaves what it measured in `figures`."""

    def __init__(self, server: Remote, material: Material, step: Step) -> None:
        self.server = server
        self.material = material
        self.step = step
        self.figures = Figures(material.title)
        self.name = f"demo-{int(time.time())}"
        self.account = ""
        self.source: dict[str, Any] = {}
        self.application_id = ""
        self.pinpoint = server.client("pinpoint")
        self.recommended: dict[str, list[str]] = {}
        count = min(LIVE_PEOPLE, 1 + len(material.people) // 3)
        some = material.people[:: len(material.people) // count][:count]
        self.live_people = {person.user_id: person for person in some}

    def run(self) -> Figures:
        self.account = self.server.client("sts").get_caller_identity()["Account"]
        self.source = connecting.create_source(self.server, self.name)
        sender = Sender(self.server.url, self.source["writeKeys"][0])
        self.open_application()
        self.send_history(sender)
        location = self.prepare()
        learned = self.learn(location)
        self.recommend_everyone(sender, learned.campaign)
        self.connect_function(learned)
        self.live(sender)
        self.mail()
        self.figures.mails = engaging.count_mails(self.server, self.application_id)
        sender.close()
        return self.figures

    def open_application(self) -> None:
        """A Pinpoint application; identify calls of the source reach its endpoints."""
        self.application_id = engaging.create_application(self.server, self.name, self.account)
        settings = {"applicationId": self.application_id}
        connecting.connect(self.server, self.source["id"], "Amazon Pinpoint", settings)
        self.figures.application_id = self.application_id

    def send_history(self, sender: Sender) -> None:
        with self.step("collect: calls through the Segment SDK") as told:
            self.figures.identified = sender.identify(traits_of(self.material.people))
            self.figures.sent = sender.track(self.material.calls, told)
        errors = self.figures.identified.errors + self.figures.sent.errors
        if errors:
            raise Unavailable(f"{len(errors)} batches were not taken; the first: {errors[0]}")
        with self.step("identify calls reach Pinpoint endpoints") as told:
            began = time.perf_counter()
            people = [person.user_id for person in self.material.people]
            self.wait_for_endpoints(people, self.endpoint, told)
            self.figures.endpoints_seconds = time.perf_counter() - began

    def wait_for_endpoints(
        self, people: list[str], look: Callable[[str], Any], told: Callable[[int, int], None]
    ) -> None:
        """Until a look at every hundredth endpoint, and the last, finds what it looks for."""
        until = time.monotonic() + ENDPOINTS_SECONDS
        for at in sorted({*range(0, len(people), SAMPLE_EVERY), len(people) - 1}):
            while not look(people[at]):
                if time.monotonic() > until:
                    waited = f"{ENDPOINTS_SECONDS:.0f} s"
                    raise Unavailable(f"Traits of {people[at]} reached no endpoint in {waited}")
                time.sleep(0.1)
            told(at + 1, len(people))

    def prepare(self) -> str:
        location = f"s3://{BUCKET}/{self.name}/interactions.csv"
        with self.step("prepare: archive to interactions"):
            preparing.create_bucket(self.server, BUCKET)
            began = time.perf_counter()
            self.figures.prepared = preparing.prepare_interactions(
                self.server, self.source["id"], location, self.material.events
            )
            self.figures.prepare_seconds = time.perf_counter() - began
        if self.material.whole_file is None:
            return location
        with self.step("the whole file goes to the object store"):
            self.figures.whole_file_rows = self.material.rows
            return preparing.upload(self.server, BUCKET, self.name, self.material.whole_file)

    def learn(self, location: str) -> learning.Learned:
        with self.step("learn: import, train, compare, deploy"):
            learned = learning.learn(self.server, self.name, self.account, [location])
        self.figures.learned = learned
        return learned

    def recommend_everyone(self, sender: Sender, campaign: str) -> None:
        """What a shop does once a night; who is watched live gets theirs from the function."""
        people = [person.user_id for person in self.material.people]
        with self.step("recommendations for everyone") as told:
            answers, seconds = learning.recommend(self.server, campaign, people, told)
        self.figures.recommended = len(answers)
        self.figures.recommend_ms = 1000 * statistics.median(seconds)
        self.recommended = answers
        with self.step("identified with them, onto their endpoints") as told:
            nightly = {p: {TRAIT: items} for p, items in answers.items()}
            for person in self.live_people:
                del nightly[person]
            sender.identify(nightly)
            self.wait_for_endpoints(list(nightly), self.trait, told)

    def connect_function(self, learned: learning.Learned) -> None:
        """The second seed: a function as destination of the source's track calls."""
        with self.step("functions: the destination and two hooks"):
            function = connecting.create_function(
                self.server,
                self.account,
                f"{self.name}-recommend",
                connecting.DESTINATION,
                connecting.create_execution_role(self.server, f"{self.name}-recommend"),
                **connecting.destination_variables(self.source, learned),
            )
            source = self.source["id"]
            role = connecting.create_role(self.server, f"{self.name}-segment", function, source)
            settings = {
                "trackFunction": function,
                "roleAddress": role,
                "region": self.server.region,
                "externalId": source,
                "logType": "Tail",
                "events": self.material.events,
            }
            connecting.connect(self.server, source, "Amazon Personalize", settings)

    def live(self, sender: Sender) -> None:
        """Some people do something now; their endpoints get new recommendations by the function."""
        chosen = list(self.live_people.values())
        calls = self.material.live(chosen, datetime.now(UTC))
        with self.step("live: call, function, event, recommendation, trait") as told:
            began = time.perf_counter()
            sender.identify(traits_of(chosen))
            sender.track(calls)
            arrived = self.wait_for_traits(began, told)
        now = {person: self.trait(person)[:SHOWN] for person in arrived}
        changed = [person for person in now if now[person] != self.recommended[person][:SHOWN]]
        example = next(iter([*changed, *now]), chosen[0].user_id)
        self.figures.live = Live(
            people=len(chosen),
            calls=len(calls),
            arrived=len(arrived),
            changed=len(changed),
            median_seconds=statistics.median(arrived.values()) if arrived else 0.0,
            example=next(p.name for p in chosen if p.user_id == example),
            before=self.recommended[example][:SHOWN],
            after=now.get(example, []),
        )

    def wait_for_traits(
        self,
        began: float,
        told: Callable[[int, int], None],
    ) -> dict[str, float]:
        """For each person the seconds until their endpoint had the recommendations."""
        arrived: dict[str, float] = {}
        until = time.monotonic() + LIVE_SECONDS
        while len(arrived) < len(self.live_people) and time.monotonic() < until:
            for person in self.live_people.keys() - arrived.keys():
                if self.trait(person):
                    arrived[person] = time.perf_counter() - began
            told(len(arrived), len(self.live_people))
            time.sleep(0.1)
        return arrived

    def endpoint(self, person: str) -> dict[str, Any] | None:
        return engaging.endpoint_of(self.pinpoint, self.application_id, person)

    def trait(self, person: str) -> list[str]:
        """The recommendations on a person's endpoint."""
        endpoint = self.endpoint(person) or {}
        return list(endpoint.get("User", {}).get("UserAttributes", {}).get(TRAIT, []))

    def mail(self) -> None:
        """Two campaigns, as each has one hook: ours for everyone, the seed's for the gold tier."""
        everyone = {"Demographic": {"Channel": among("EMAIL")}}
        gold = everyone | {"UserAttributes": {"tier": among("gold", kind="AttributeType")}}
        for title, example, dimensions in (
            ("skip-recent-buyers", connecting.OUR_HOOK, everyone),
            ("credit-score", connecting.SEEDS_HOOK, gold),
        ):
            with self.step(f"engage: campaign with the hook {title}") as told:
                self.figures.mailings.append(self.run_one(title, example, dimensions, told))

    def run_one(
        self,
        title: str,
        example: connecting.Example,
        dimensions: dict[str, Any],
        told: Callable[[int, int], None],
    ) -> Mailing:
        name = f"{self.name}-{title}"
        hook = connecting.create_function(self.server, self.account, name, example)
        connecting.allow_pinpoint(self.server, self.account, hook, self.application_id)
        segment = engaging.create_segment(self.server, self.application_id, title, dimensions)
        began = time.perf_counter()
        activity = engaging.run_campaign(
            self.server, self.application_id, title, segment, hook, told
        )
        return Mailing(title, example.runtime, activity, time.perf_counter() - began)


def traits_of(people: list[Person]) -> dict[str, dict[str, Any]]:
    return {person.user_id: person.traits() for person in people}


def among(*values: str, kind: str = "DimensionType") -> dict[str, Any]:
    return {kind: "INCLUSIVE", "Values": list(values)}
