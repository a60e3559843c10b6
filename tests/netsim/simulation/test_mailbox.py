"""What `Receive` takes out of a mailbox, in which order, and what it leaves."""

from __future__ import annotations

from typing import Any

import pytest

from netsim.interfaces import Message, Receive
from netsim.simulation.mailbox import Mailbox


def box(*messages: tuple[int, int, str]) -> Mailbox:
    out = Mailbox()
    for src, round, kind in messages:
        out.put(Message(src, round, kind, bytes([src, round])))
    return out


def who(inbox: object) -> list[tuple[int, int]]:
    return [(m.round, m.src) for m in inbox.messages]  # type: ignore[attr-defined]


def test_exact_sorts_by_round_and_source_and_leaves_the_rest() -> None:
    b = box((2, 1, "update"), (0, 1, "update"), (1, 2, "update"), (1, 1, "model"))
    assert b.take(Receive(3, "update", 1)) is None
    inbox = b.take(Receive(2, "update", 1))
    assert inbox is not None
    assert who(inbox) == [(1, 0), (1, 2)]
    assert [(m.round, m.src, m.kind) for m in b.messages] == [(2, 1, "update"), (1, 1, "model")]


def test_exact_without_round_takes_the_oldest() -> None:
    b = box((1, 5, "a"), (0, 7, "a"), (2, 3, "a"))
    assert who(b.take(Receive(2))) == [(3, 2), (5, 1)]
    assert who(b.take(Receive(1))) == [(7, 0)]


def test_older_rounds_come_as_late() -> None:
    b = box((0, 1, "update"), (1, 3, "update"), (2, 2, "update"))
    inbox = b.take(Receive(1, "update", 3))
    assert inbox is not None
    assert who(inbox) == [(3, 1)]
    assert [(m.round, m.src) for m in inbox.late] == [(1, 0), (2, 2)]
    assert b.messages == []


def test_silence_counts_as_heard_in_its_round_only() -> None:
    b = box((0, 4, "update"))
    b.put_silence(1, 4, "update")
    b.put_silence(2, 5, "update")
    assert b.take(Receive(3, "update", 4)) is None
    inbox = b.take(Receive(2, "update", 4))
    assert inbox is not None
    assert who(inbox) == [(4, 0)]
    assert inbox.silent == {1}
    assert b.take(Receive(1, "update", 5)).silent == {2}  # type: ignore[union-attr]


def test_silence_in_one_exchange_of_a_round_is_none_in_the_other() -> None:
    b = Mailbox()
    b.put_silence(1, 4, "vote")
    assert b.take(Receive(1, "values", 4)) is None
    b.put_silence(1, 4, "values")
    assert b.take(Receive(1, "vote", 4)).silent == {1}  # type: ignore[union-attr]
    assert b.take(Receive(1, "values", 4)).silent == {1}  # type: ignore[union-attr]
    assert b.take(Receive(1, "vote", 4)) is None


def test_one_message_waits_where_silence_is_the_answer() -> None:
    b = box((0, 0, "update"))
    b.put_silence(1, 0, "update")
    inbox = b.take(Receive(1, "update", 0))
    assert inbox is not None
    assert (inbox.messages, inbox.silent, len(b.messages)) == ((), {1}, 1)


def test_all_silent_is_an_answer_without_messages() -> None:
    b = Mailbox()
    b.put_silence(0, 0, "update")
    b.put_silence(1, 0, "update")
    inbox = b.take(Receive(2, "update", 0))
    assert inbox is not None
    assert inbox.messages == ()
    assert inbox.silent == {0, 1}


def test_latest_keeps_the_newest_of_each_sender() -> None:
    b = box((0, 1, "m"), (0, 3, "m"), (1, 2, "m"))
    assert b.take(Receive(3, "m", take="latest")) is None
    assert who(b.take(Receive(2, "m", take="latest"))) == [(2, 1), (3, 0)]
    assert b.messages == []


def test_latest_one_drops_what_is_older() -> None:
    b = box((9, 1, "model"), (9, 2, "model"))
    assert who(b.take(Receive(1, "model", take="latest"))) == [(2, 9)]
    assert b.messages == []


def test_all_takes_everything_that_fits() -> None:
    b = box((1, 8, "u"), (0, 9, "u"), (2, 8, "v"))
    assert who(b.take(Receive(kind="u", take="all"))) == [(8, 1), (9, 0)]
    assert b.take(Receive(kind="u", take="all")) is None


def test_time_out_answers_with_what_there_is() -> None:
    b = box((1, 0, "u"))
    inbox = b.take(Receive(3, "u", 0), timed_out=True)
    assert inbox is not None
    assert inbox.timed_out
    assert who(inbox) == [(0, 1)]


@pytest.mark.parametrize("timed_out", [False, True])
@pytest.mark.parametrize("take", ["exact", "latest", "all"])
@pytest.mark.parametrize("kind", [None, "u", "v"])
@pytest.mark.parametrize("round", [None, 0, 3, 4])
@pytest.mark.parametrize("count", [0, 1, 2])
def test_a_lone_message_is_taken_as_one_among_others(
    count: int, round: int | None, kind: str | None, take: Any, timed_out: bool
) -> None:
    wanted = Receive(count, kind, round, take)
    quick, slow = box((0, 3, "u")), box((0, 3, "u"))
    slow.put_silence(9, 99, "w")  # which nobody asks for, and the short way is not taken
    assert quick.take(wanted, timed_out) == slow.take(wanted, timed_out)
    assert quick.messages == slow.messages
