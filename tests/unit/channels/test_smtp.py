"""A mail server that refuses, hangs, drops, is away and comes back."""

from __future__ import annotations

import ssl
import threading

import pytest

from tailorbird.channels import (
    PERMANENT_FAILURE,
    SUCCESSFUL,
    TEMPORARY_FAILURE,
    UNKNOWN_FAILURE,
    Receipt,
    send_batch,
)
from tailorbird.channels.smtp import Server
from tailorbird.errors import Invalid, Unavailable
from tests.conftest import free_port
from tests.unit.channels.conftest import OpenRoom, Sink, mail, only_this_password


def test_a_refused_recipient_fails_for_good_with_the_servers_words(
    open_room: OpenRoom, sink: Sink
) -> None:
    sink.answers["gone@example.com"] = "550 5.1.1 no such user here"
    people = ["a@example.com", "gone@example.com", "b@example.com"]
    receipts = send_batch(open_room(smtp_url=sink.url), "EMAIL", [mail(p) for p in people])
    assert [receipt.status for receipt in receipts] == [SUCCESSFUL, PERMANENT_FAILURE, SUCCESSFUL]
    assert receipts[1].message == "550 5.1.1 no such user here"
    assert sorted(sink.recipients()) == ["a@example.com", "b@example.com"]


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        ("451 4.3.0 try later", TEMPORARY_FAILURE),
        ("452 too many recipients", TEMPORARY_FAILURE),
        ("552 mailbox full", PERMANENT_FAILURE),
        ("554 5.7.1 looks like spam", PERMANENT_FAILURE),
    ],
)
def test_4xx_is_for_now_and_5xx_for_good(
    open_room: OpenRoom, sink: Sink, answer: str, status: str
) -> None:
    sink.data_answers["x@example.com"] = answer
    bad, good = send_batch(
        open_room(smtp_url=sink.url), "EMAIL", [mail("x@example.com"), mail("y@example.com")]
    )
    assert (bad.status, bad.message) == (status, answer)
    assert good.status == SUCCESSFUL


def test_a_server_that_is_away_raises_so_that_the_batch_is_sent_again(open_room: OpenRoom) -> None:
    room = open_room(smtp_url=f"smtp://127.0.0.1:{free_port()}")
    with pytest.raises(Unavailable, match=r"The mail server smtp://127.0.0.1:\d+ is away"):
        send_batch(room, "EMAIL", [mail("a@example.com"), mail("b@example.com")])


def test_a_server_that_comes_back_gets_the_next_batch(open_room: OpenRoom, sink: Sink) -> None:
    room = open_room(smtp_url=sink.url)
    assert send_batch(room, "EMAIL", [mail("a@example.com")])[0].status == SUCCESSFUL
    sink.stop()
    with pytest.raises(Unavailable):
        send_batch(room, "EMAIL", [mail("b@example.com")])
    sink.start()
    assert send_batch(room, "EMAIL", [mail("b@example.com")])[0].status == SUCCESSFUL
    assert sink.recipients() == ["a@example.com", "b@example.com"]


def test_a_bad_address_gets_its_receipt_only_when_the_rest_was_tried(open_room: OpenRoom) -> None:
    room = open_room(smtp_url=f"smtp://127.0.0.1:{free_port()}")
    (receipt,) = send_batch(room, "EMAIL", [mail("nobody")])
    assert receipt.status == PERMANENT_FAILURE


def test_connections_that_the_server_closed_are_opened_again(
    open_room: OpenRoom, sink: Sink
) -> None:
    sink.hang_up_after = 5
    room = open_room(smtp_url=sink.url, smtp_connections=1)
    people = [f"p{n}@example.com" for n in range(30)]
    receipts = send_batch(room, "EMAIL", [mail(person) for person in people])
    assert {receipt.status for receipt in receipts} == {SUCCESSFUL}
    assert sink.recipients() == people


def test_a_mail_that_may_have_arrived_is_not_sent_twice_by_itself(
    open_room: OpenRoom, sink: Sink
) -> None:
    sink.data_answers["b@example.com"] = "drop"
    room = open_room(smtp_url=sink.url, smtp_connections=1)
    people = ["a@example.com", "b@example.com", "c@example.com"]
    receipts = send_batch(room, "EMAIL", [mail(person) for person in people])
    assert [receipt.status for receipt in receipts] == [SUCCESSFUL, UNKNOWN_FAILURE, SUCCESSFUL]
    assert "did not confirm it" in receipts[1].message
    assert sink.recipients() == ["a@example.com", "c@example.com"]


def test_a_server_that_hangs_costs_one_timeout(open_room: OpenRoom, sink: Sink) -> None:
    sink.data_answers["slow@example.com"] = "hang"
    room = open_room(smtp_url=sink.url, smtp_connections=1, smtp_timeout_seconds=0.5)
    slow, good = send_batch(room, "EMAIL", [mail("slow@example.com"), mail("good@example.com")])
    assert (slow.status, good.status) == (UNKNOWN_FAILURE, SUCCESSFUL)


def test_a_server_with_room_for_one_conversation_gets_all_mails_over_it(
    open_room: OpenRoom, sink: Sink
) -> None:
    sink.most_connections = 1
    room = open_room(smtp_url=sink.url, smtp_connections=4)
    people = [f"p{n}@example.com" for n in range(20)]
    receipts = send_batch(room, "EMAIL", [mail(person) for person in people])
    assert {receipt.status for receipt in receipts} == {SUCCESSFUL}


def test_a_recipient_at_whom_the_server_hangs_costs_the_others_nothing(
    open_room: OpenRoom, sink: Sink
) -> None:
    sink.answers["slow@example.com"] = "hang"
    room = open_room(smtp_url=sink.url, smtp_connections=1, smtp_timeout_seconds=0.5)
    people = ["a@example.com", "slow@example.com", "b@example.com"]
    receipts = send_batch(room, "EMAIL", [mail(person) for person in people])
    assert [receipt.status for receipt in receipts] == [SUCCESSFUL, TEMPORARY_FAILURE, SUCCESSFUL]


def test_the_password_is_never_said(open_room: OpenRoom) -> None:
    room = open_room(smtp_url=f"smtp://shop:s3cret@127.0.0.1:{free_port()}")
    with pytest.raises(Unavailable) as away:
        send_batch(room, "EMAIL", [mail()])
    assert "s3cret" not in away.value.message
    assert "s3cret" not in repr(Server.parse("smtp://shop:s3cret@mail"))


def test_421_closes_the_conversation_and_the_rest_goes_over_a_new_one(
    open_room: OpenRoom, sink: Sink
) -> None:
    sink.answers["b@example.com"] = "421 closing for maintenance"
    room = open_room(smtp_url=sink.url, smtp_connections=1)
    people = ["a@example.com", "b@example.com", "c@example.com"]
    receipts = send_batch(room, "EMAIL", [mail(person) for person in people])
    assert [receipt.status for receipt in receipts] == [SUCCESSFUL, TEMPORARY_FAILURE, SUCCESSFUL]


def test_a_server_that_stops_in_the_middle_leaves_receipts_for_what_it_took(
    open_room: OpenRoom, sink: Sink
) -> None:
    room = open_room(smtp_url=sink.url, smtp_connections=2)
    people = [f"p{n}@example.com" for n in range(2000)]
    receipts: list[Receipt] = []
    sending = threading.Thread(
        target=lambda: receipts.extend(send_batch(room, "EMAIL", [mail(p) for p in people]))
    )
    sending.start()
    while len(sink.taken) < 50:
        pass
    sink.stop()
    sending.join(30)
    states = {receipt.status for receipt in receipts}
    assert states - {UNKNOWN_FAILURE} == {SUCCESSFUL, TEMPORARY_FAILURE}
    told = {r.message_id.removeprefix("id-") for r in receipts if r.status == SUCCESSFUL}
    assert told <= set(sink.recipients())


def test_conversations_are_bounded_and_kept_open(open_room: OpenRoom, sink: Sink) -> None:
    room = open_room(smtp_url=sink.url, smtp_connections=3)
    batches = [[mail(f"p{n}-{m}@example.com") for m in range(40)] for n in range(8)]
    threads = [
        threading.Thread(target=send_batch, args=(room, "EMAIL", batch)) for batch in batches
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(sink.recipients())) == len(sink.taken) == 320
    assert sink.connections <= 3


@pytest.mark.filterwarnings("ignore:Requiring AUTH")
def test_a_login_is_made_when_the_url_has_one(open_room: OpenRoom) -> None:
    sink = Sink(free_port(), options={
        "authenticator": only_this_password, "auth_require_tls": False, "auth_required": True,
    })  # fmt: skip
    sink.start()
    try:
        url = f"127.0.0.1:{sink.port}"
        good = open_room(smtp_url=f"smtp://shop:s%3Acret%2F@{url}")
        assert send_batch(good, "EMAIL", [mail()])[0].status == SUCCESSFUL
        with pytest.raises(Unavailable, match="535"):
            send_batch(open_room(smtp_url=f"smtp://shop:wrong@{url}"), "EMAIL", [mail()])
    finally:
        sink.stop()


@pytest.mark.parametrize("query", ["starttls=always", "starttls=auto"])
def test_a_conversation_is_encrypted_where_the_server_offers_it(
    open_room: OpenRoom, certificate: ssl.SSLContext, query: str
) -> None:
    sink = Sink(free_port(), options={"tls_context": certificate, "require_starttls": True})
    sink.start()
    try:
        room = open_room(smtp_url=f"{sink.url}?{query}&verify=no")
        assert send_batch(room, "EMAIL", [mail()])[0].status == SUCCESSFUL
        (plain,) = send_batch(open_room(smtp_url=f"{sink.url}?starttls=never"), "EMAIL", [mail()])
        assert plain.message.startswith("530")
        with pytest.raises(Unavailable, match="certificate verify failed"):
            send_batch(open_room(smtp_url=f"{sink.url}?{query}"), "EMAIL", [mail()])
    finally:
        sink.stop()


def test_starttls_that_must_be_and_is_not_offered_sends_nothing(
    open_room: OpenRoom, sink: Sink
) -> None:
    room = open_room(smtp_url=f"{sink.url}?starttls=always")
    with pytest.raises(Unavailable, match="STARTTLS"):
        send_batch(room, "EMAIL", [mail()])
    assert not sink.taken


def test_smtps_is_encrypted_from_the_first_byte(
    open_room: OpenRoom, certificate: ssl.SSLContext
) -> None:
    sink = Sink(free_port(), options={"ssl_context": certificate})
    sink.start()
    try:
        room = open_room(smtp_url=f"smtps://127.0.0.1:{sink.port}?verify=no")
        assert send_batch(room, "EMAIL", [mail()])[0].status == SUCCESSFUL
    finally:
        sink.stop()


@pytest.mark.parametrize(
    ("url", "server"),
    [
        ("smtp://mail", Server("mail", 25, False, None, True, None, None)),
        ("smtps://mail", Server("mail", 465, True, False, True, None, None)),
        ("smtp://u%40x:p%3A@mail:587?starttls=always",
         Server("mail", 587, False, True, True, "u@x", "p:")),
        ("smtp://mail?starttls=never&verify=no",
         Server("mail", 25, False, False, False, None, None)),
    ],
)  # fmt: skip
def test_the_url_of_a_server(url: str, server: Server) -> None:
    assert Server.parse(url) == server


@pytest.mark.parametrize(
    "url", ["mail", "http://mail", "smtp://", "smtp://mail:99999", "smtp://mail?starttls=maybe"]
)
def test_a_wrong_url_is_said_at_start(open_room: OpenRoom, url: str) -> None:
    with pytest.raises(Invalid, match="smtp_url"):
        open_room(smtp_url=url).start()
