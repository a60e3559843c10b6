"""Messages of others on wires, waking for slots: one line made wrong at a time, and the tests that must notice."""

from __future__ import annotations

from tests.mutants import Mutant


def _mutant(name: str, file: str, old: str, new: str, *tests: str) -> Mutant:
    return Mutant(name, f"channels/{file}", old, new, tuple(f"tests/test_channel_{test}" for test in tests))


MUTANTS = (
    _mutant(
        "the port's present moves to where nobody has arrived yet",
        "_port.py",
        "if self._ahead.reach_ns <= self._emitted_ns:",
        "if True:",
        "port.py::test_a_late_message_before_what_was_looked_at_twice",
    ),
    _mutant(
        "asking twice for the port's next end looks further",
        "_port.py",
        "if not self._done and (self._is_new or self._ahead is None):",
        "if not self._done:",
        "port.py::test_a_late_message_before_what_was_looked_at_twice",
    ),
)
