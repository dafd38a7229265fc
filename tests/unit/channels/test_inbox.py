"""The inbox: files of mails, listed, read and counted; nothing outside it can be reached."""

from __future__ import annotations

import os

import pytest

from tailorbird.channels import PERMANENT_FAILURE, SUCCESSFUL, inbox, send_batch
from tailorbird.errors import Invalid, NotFound
from tests.unit.channels.conftest import OpenRoom, Sink, mail


def test_a_mail_is_where_the_contract_says(open_room: OpenRoom) -> None:
    room = open_room()
    send_batch(room, "EMAIL", [mail(id="m1"), mail(id="m2", campaign_id=None)])
    root = room.settings.data / "inbox"
    assert sorted(p.relative_to(root).as_posix() for p in root.rglob("*") if p.is_file()) == [
        "app1/camp1/m1.eml",
        "app1/direct/m2.eml",
    ]


def test_the_same_message_again_is_one_mail(open_room: OpenRoom) -> None:
    room = open_room(inbox_fsync=True)
    for subject in ("first", "second"):
        send_batch(room, "EMAIL", [mail(id="m1", subject=subject)])
    assert [entry["subject"] for entry in inbox.list(room.settings)] == ["second"]


def test_the_list_has_the_newest_first_and_can_be_narrowed(open_room: OpenRoom) -> None:
    room = open_room()
    for n, (app, campaign) in enumerate([("a", "x"), ("a", "y"), ("b", None)]):
        send_batch(room, "EMAIL", [mail(id=f"m{n}", application_id=app, campaign_id=campaign)])
        file = room.settings.data / "inbox" / app / (campaign or "direct") / f"m{n}.eml"
        os.utime(file, (1000 + n, 1000 + n))
    listed = inbox.list(room.settings)
    assert [entry["message_id"] for entry in listed] == ["m2", "m1", "m0"]
    assert listed[0] == {
        "path": "b/direct/m2.eml", "application_id": "b", "campaign_id": None, "message_id": "m2",
        "subject": "Hello", "from": "shop@example.org", "to": "ana@example.com",
        "date": "Sat, 19 Sep 2020 11:00:00 +0000", "written": 1002.0, "channel": "EMAIL",
    }  # fmt: skip
    assert [e["message_id"] for e in inbox.list(room.settings, app="a", limit=1)] == ["m1"]
    assert [e["message_id"] for e in inbox.list(room.settings, app="a", campaign="x")] == ["m0"]
    assert inbox.count(room.settings) == 3
    assert inbox.count(room.settings, app="a") == 2
    assert inbox.count(room.settings, app="nobody") == 0


def test_a_mail_is_read_by_its_path(open_room: OpenRoom) -> None:
    room = open_room()
    send_batch(room, "EMAIL", [mail(id="m1", subject="Grüße", text="ü", html="<b>ü</b>")])
    read = inbox.read(room.settings, "app1/camp1/m1.eml")
    assert (read["subject"], read["text"], read["html"]) == ("Grüße", "ü", "<b>ü</b>")
    assert ("To", "ana@example.com") in read["headers"]
    assert read["raw"].startswith("From: ")


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("../credentials", Invalid),
        ("app1/../../x.eml", Invalid),
        ("/etc/passwd", Invalid),
        ("app1/camp1/other.eml", NotFound),
        ("app1/camp1", Invalid),
        ("\x00.eml", NotFound),
    ],
)
def test_only_mails_of_the_inbox_can_be_read(
    open_room: OpenRoom, path: str, kind: type[Exception]
) -> None:
    with pytest.raises(kind):
        inbox.read(open_room().settings, path)


@pytest.mark.parametrize("odd", ["a/b", "..", ".hidden", "eqmj8/b3:vc h04", "ü"])
def test_odd_ids_stay_inside_the_inbox(open_room: OpenRoom, odd: str) -> None:
    room = open_room()
    (receipt,) = send_batch(room, "EMAIL", [mail(id=odd, application_id=odd, campaign_id=odd)])
    assert receipt.status == SUCCESSFUL
    root = (room.settings.data / "inbox").resolve()
    (file,) = [path for path in root.rglob("*") if path.is_file()]
    assert len(file.relative_to(root).parts) == 3
    assert inbox.count(room.settings, app=odd, campaign=odd) == 1


def test_an_id_that_cannot_name_a_file_fails_alone(open_room: OpenRoom) -> None:
    bad, good = send_batch(open_room(), "EMAIL", [mail(id="x" * 300), mail()])
    assert (bad.status, good.status) == (PERMANENT_FAILURE, SUCCESSFUL)


def test_an_empty_inbox_is_empty(open_room: OpenRoom) -> None:
    settings = open_room().settings
    assert (list(inbox.list(settings)), inbox.count(settings)) == ([], 0)


def test_the_folder_may_be_emptied_while_the_room_is_open(open_room: OpenRoom) -> None:
    room = open_room()
    send_batch(room, "EMAIL", [mail(id="m1")])
    folder = room.settings.data / "inbox" / "app1" / "camp1"
    (folder / "m1.eml").unlink()
    folder.rmdir()
    assert send_batch(room, "EMAIL", [mail(id="m2")])[0].status == SUCCESSFUL


def test_what_a_server_took_is_kept_as_well_when_asked(open_room: OpenRoom, sink: Sink) -> None:
    sink.answers["no@example.com"] = "550 no such user"
    room = open_room(smtp_url=sink.url, inbox_copy=True)
    send_batch(room, "EMAIL", [mail("yes@example.com"), mail("no@example.com")])
    assert [entry["to"] for entry in inbox.list(room.settings)] == ["yes@example.com"]


def test_mails_that_a_server_took_are_otherwise_not_kept(open_room: OpenRoom, sink: Sink) -> None:
    room = open_room(smtp_url=sink.url)
    send_batch(room, "EMAIL", [mail()])
    assert inbox.count(room.settings) == 0


def test_what_is_no_mail_is_a_json_file_beside_them(open_room: OpenRoom) -> None:
    room = open_room()
    message = mail(
        "+31612345678", id="m1", channel_type="SMS", subject="", text="Your code is 42", html="",
        data={"MessageType": "TRANSACTIONAL"},
    )  # fmt: skip
    (receipt,) = send_batch(room, "SMS", [message])
    assert (receipt.status, receipt.message) == (SUCCESSFUL, "In the inbox: app1/camp1/m1.json")
    (entry,) = inbox.list(room.settings)
    assert (entry["channel"], entry["to"], entry["subject"]) == (
        "SMS", "+31612345678", "Your code is 42",
    )  # fmt: skip
    read = inbox.read(room.settings, entry["path"])
    assert read["text"] == "Your code is 42"
    assert '"MessageType": "TRANSACTIONAL"' in read["raw"]


def test_every_channel_can_be_kept_in_the_inbox(open_room: OpenRoom, sink: Sink) -> None:
    room = open_room(smtp_url=sink.url, sms_url="http://127.0.0.1:1", channels_inbox_only=True)
    for channel in ("EMAIL", "SMS", "GCM", "APNS", "ADM", "BAIDU", "VOICE"):
        address = {"EMAIL": "ana@example.com", "SMS": "+31612345678"}.get(channel, "abc123")
        (receipt,) = send_batch(room, channel, [mail(address, id=channel, channel_type=channel)])
        assert receipt.status == SUCCESSFUL, receipt
    assert inbox.count(room.settings) == 7
    assert sink.taken == []
