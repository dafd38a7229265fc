"""Tracked mails: every link and the pixel carry a signature, and lead nowhere else."""

from __future__ import annotations

import re

import pytest
from msgspec.structs import replace

from tailorbird.channels import Message, links
from tailorbird.errors import Denied
from tests.unit.channels.conftest import NOON, OpenRoom

HTML = (
    '<html><body><a class="x" href="https://shop.example/a?b=1&amp;c=2" id="y">A</a>'
    '<A HREF=\'http://shop.example/b\'>B</A><a href="mailto:a@b.c">C</a><a href="#top">D</a>'
    '<a ses:no-track href="https://shop.example/n">E</a>'
    '<a href="https://mail.example/_/unsubscribe/t">F</a></body></html>'
)
MESSAGE = Message(
    id="m1", application_id="a1", channel_type="EMAIL", address="ana@example.com",
    campaign_id="c1", endpoint_id="ana", from_address="shop@example.com", subject="Tea",
    html=HTML, activity_id="r1", treatment_id="2",
)  # fmt: skip


def tracked(open_room: OpenRoom, message: Message = MESSAGE, **values: object) -> str:
    room = open_room(**{"public_url": "https://mail.example/", **values})
    return links.tracked(room, message, NOON).html


def test_links_to_the_web_and_the_pixel_say_whose_mail_it_was(open_room: OpenRoom) -> None:
    room = open_room(public_url="https://mail.example/")
    html = links.tracked(room, MESSAGE, NOON).html
    tokens = re.findall(r"https://mail\.example/_/(open|click)/([^\"]+)", html)
    assert [kind for kind, _ in tokens] == ["click", "click", "open"]
    hits = [links.read(room, token) for _, token in tokens]
    assert [hit.url for hit in hits] == [
        "https://shop.example/a?b=1&c=2", "http://shop.example/b", "",
    ]  # fmt: skip
    assert {hit.origin for hit in hits} == {hits[0].origin}
    assert hits[0].origin.endpoint_id == "ana" and hits[0].origin.treatment_id == "2"
    assert (hits[0].sent, hits[0].sender, hits[0].subject) == (NOON, "shop@example.com", "Tea")
    assert html.endswith('width="1" height="1" alt=""></body></html>')


def test_other_links_stay_as_they_are(open_room: OpenRoom) -> None:
    html = tracked(open_room)
    for kept in ('href="mailto:a@b.c"', 'href="#top"', '<a href="https://shop.example/n">',
                 'href="https://mail.example/_/unsubscribe/t"'):  # fmt: skip
        assert kept in html


@pytest.mark.parametrize(
    ("message", "values"),
    [
        (MESSAGE, {"public_url": ""}),
        (MESSAGE, {"email_tracking": False}),
        (replace(MESSAGE, data={"Tracking": "off"}), {}),
    ],
)
def test_a_mail_that_is_not_to_be_tracked_is_left_alone(
    open_room: OpenRoom, message: Message, values: dict[str, object]
) -> None:
    assert tracked(open_room, message, **values) == HTML


def test_a_link_that_was_changed_is_refused(open_room: OpenRoom) -> None:
    room = open_room(public_url="https://mail.example")
    found = re.search(r"/click/([^\"]+)", links.tracked(room, MESSAGE, NOON).html)
    assert found is not None
    plain, _, mac = found[1].partition(".")
    for wrong in (f"{plain}x.{mac}", f"{plain}.{mac[:-1]}", plain, "", "é.é", f"{mac}.{plain}"):
        with pytest.raises(Denied):
            links.read(room, wrong)


@pytest.mark.parametrize("piece", ["<a ", '<a href="', "</body>", "<a href='x' ", "<a href  "])
def test_a_broken_mail_of_any_length_is_read_once(piece: str) -> None:
    """One of 100 kB took minutes, and everybody else waited."""
    html = piece * 12_000
    assert links.LINK.sub("", html) == html
    assert len(links.END.findall(html)) in (0, 12_000)
