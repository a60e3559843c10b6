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
)
