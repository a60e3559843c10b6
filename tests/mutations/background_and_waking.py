"""Messages of others on wires, waking for slots: one line made wrong at a time, and the tests that must notice."""

from __future__ import annotations

from tests.mutants import Mutant


def _mutant(name: str, file: str, old: str, new: str, *tests: str) -> Mutant:
    return Mutant(name, f"channels/{file}", old, new, tuple(f"tests/test_channel_{test}" for test in tests))


MUTANTS = (
    _mutant(
        "the port's present moves to where nobody has arrived yet",
        "_port.py",
        "if self._ahead is not None and self._ahead.reach_ns <= now_ns:",
        "if self._ahead is not None:",
        "port.py::test_a_late_message_before_what_was_looked_at_twice",
    ),
    _mutant(
        "asking twice for the port's next end looks further",
        "_port.py",
        "if not self._done and (self._is_new or self._ahead is None):",
        "if not self._done:",
        "port.py::test_a_late_message_before_what_was_looked_at_twice",
    ),
    # --- messages of others on wires ---
    _mutant(
        "the port goes on beyond the next of others",
        "_crossed.py",
        "return arrivals.at_ns - 1",
        "return arrivals.at_ns + 1_000_000",
        "crossed.py::test_a_crossed_port_equals_the_recursion_over_all_packets",
    ),
    _mutant(
        "others' time at the port is the server's",
        "_crossed.py",
        "return super().busy_ns(at_ns) - self._others_ns + self._left_ns(at_ns)",
        "return super().busy_ns(at_ns)",
        "crossed.py::test_a_crossed_port_equals_the_recursion_over_all_packets",
    ),
    _mutant(
        "others who are to leave yet count as gone",
        "_crossed.py",
        "return super().busy_ns(at_ns) - self._others_ns + self._left_ns(at_ns)",
        "return super().busy_ns(at_ns) - self._others_ns",
        "crossed.py::test_a_crossed_port_equals_the_recursion_over_all_packets",
    ),
    _mutant(
        "copies of a crossed queue take others from each other",
        "_crossed.py",
        "new._arrivals = deepcopy(self._arrivals)",
        "pass",
        "crossed.py::test_a_crossed_port_equals_the_recursion_over_all_packets",
    ),
    _mutant(
        "others in both directions are the same",
        "_crossed.py",
        "_OUT, _IN = 0, 1",
        "_OUT, _IN = 0, 0",
        "crossed.py::test_a_crossed_port_equals_the_recursion_over_all_packets",
    ),
    _mutant(
        "waiting behind one's own messages on a crossed wire counts as service",
        "_crossed.py",
        "free_ns - max(now_ns, self._own_free_ns.get((src, dst), 0))",
        "free_ns - now_ns",
        "crossed.py::test_crossed_wires_equal_the_recursion_and_know_their_own_queueing",
    ),
    _mutant(
        "waiting behind others at the server's port out is no service",
        "_crossed.py",
        "super()._from_server(now_ns, dst, transfer, serial, train, behind_ns)",
        "super()._from_server(now_ns, dst, transfer, serial, train)",
        "crossed.py::test_waits_at_a_crossed_port_count_as_service_unless_one_waits_for_oneself",
    ),
    _mutant(
        "a server that goes down leaves others' messages at its port",
        "_crossed.py",
        "self._port_free_ns = self._line(node, node).free_ns(self._port_free_ns, now_ns)",
        "pass",
        "crossed.py::test_a_server_that_goes_down_empties_its_port_and_others_come_all_the_same",
    ),
    _mutant(
        "others who are to come are forgotten when the server goes down",
        "_crossed.py",
        "        for coming in self._coming:\n            self._let_in(*coming)",
        "        self._coming.clear()",
        "crossed.py::test_a_server_that_goes_down_empties_its_port_and_others_come_all_the_same",
    ),
    _mutant(
        "a crossed port that was idle is behind the present",
        "_crossed.py",
        "self._port.catch_up(now_ns)",
        "pass",
        "crossed.py::test_a_long_idle_time_is_behind_when_a_message_comes",
    ),
    _mutant(
        "the cost of a long message towards a crossed port forgets what comes meanwhile",
        "_crossed.py",
        "at_port_ns += round(full_ns * background.load_bps / port_bps)",
        "pass",
        "crossed.py::test_others_come_between_the_packets_of_a_long_message",
    ),
    # --- waking for slots ---
    _mutant(
        "a message has a slot for which nobody can be awake",
        "_rounds.py",
        "message = _Message(self._transfers, self._serials, src, dst, size_bytes, now_ns, now_ns + self._lead_ns)",
        "message = _Message(self._transfers, self._serials, src, dst, size_bytes, now_ns, now_ns)",
        "tdma.py::test_waking_by_hand",
    ),
    _mutant(
        "who has a slot close behind sleeps and wakes all the same",
        "_rounds.py",
        "(self._lead_ns, 0) if gap_ns >= self._lead_ns else (0, gap_ns)",
        "(min(self._lead_ns, gap_ns), 0)",
        "tdma.py::test_a_gap_shorter_than_waking_is_spent_awake",
    ),
    _mutant(
        "a gap as long as waking is spent awake",
        "_rounds.py",
        "if gap_ns >= self._lead_ns else (0, gap_ns)",
        "if gap_ns > self._lead_ns else (0, gap_ns)",
        "tdma.py::test_whole_rounds_wake_as_their_slots_do",
    ),
    _mutant(
        "receivers need not wake",
        "_rounds.py",
        "for node in (message.src, *message.dst):\n            place",
        "for node in (message.src,):\n            place",
        "tdma.py::test_waking_by_hand",
    ),
    _mutant(
        "all rounds that are taken together wake as the first",
        "_rounds.py",
        "for times in (1, cycles - 1) if cycles > 1 else (1,):",
        "for times in (cycles,):",
        "tdma.py::test_whole_rounds_wake_as_their_slots_do",
    ),
    _mutant(
        "after rounds that are taken together the last slot seems long ago",
        "_rounds.py",
        "self._used_ns[place] += (cycles - 2) * cycle_ns",
        "self._used_ns[place] += 0",
        "tdma.py::test_whole_rounds_wake_as_their_slots_do",
    ),
    _mutant(
        "waking for a slot to come is seen only when it has begun",
        "_rounds.py",
        "ahead._run(at_ns + self._lead_ns)",
        "ahead._run(at_ns)",
        "tdma.py::test_waking_against_every_turn",
    ),
    _mutant(
        "waking in vain is taken back",
        "_rounds.py",
        "            if place not in kept:",
        "            if False:",
        "tdma.py::test_a_wake_up_for_a_message_that_is_lost_is_spent",
    ),
    _mutant(
        "a slot that comes sooner finds its nodes awake",
        "_rounds.py",
        "if any(rise.begin_ns < now_ns and place not in kept for place, rise in after.items()):",
        "if False:",
        "tdma.py::test_a_wake_up_for_a_message_that_is_lost_is_spent",
    ),
    _mutant(
        "the next delivery is told as if everybody were awake",
        "_rounds.py",
        "while self._lead_ns and any(head and head.ready_ns > reach_ns for head in heads):",
        "while False:",
        "tdma.py::test_the_next_delivery_is_exact_while_some_wake",
    ),
    _mutant(
        "a packet's cost has the first wake-up each time",
        "_rounds.py",
        "other_j = first_j if gap_ns >= lead_ns else gap_ns / NS_PER_S * self._staying_w",
        "other_j = first_j",
        "tdma.py::test_a_gap_shorter_than_waking_is_spent_awake",
    ),
)
