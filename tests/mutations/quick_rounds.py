"""What makes a round quick, made wrong."""

from __future__ import annotations

from tests.mutants import Mutant


def _mutant(name: str, file: str, old: str, new: str, *tests: str) -> Mutant:
    return Mutant(name, file, old, new, tuple(f"tests/test_{test}" for test in tests))


MUTANTS = (
    _mutant(
        "batches drawn ahead are used from the last to the first",
        "netsim/world.py",
        "for _ in range(count)][::-1]",
        "for _ in range(count)]",
        "gaps.py::test_minibatches_come_from_the_stream_of_the_data",
    ),
    _mutant(
        "a medium that got something new is not asked",
        "netsim/engine.py",
        "        self._changed.add(index)\n        self._transfers",
        "        self._transfers",
        "engine.py::test_times_are_exact_and_counters_add_up",
    ),
    _mutant(
        "a medium hears of a death before it has come to it",
        "netsim/engine.py",
        "        for medium in self.world.media:\n            medium.advance(self.now_ns)\n        for node in nodes:",
        "        for node in nodes:",
        "battery.py::test_a_battery_that_ends_in_the_middle_of_a_frame_ends_it_there",
    ),
    _mutant(
        "every metric is computed",
        "netsim/record.py",
        "        if self.has_row(report.round):\n            if since_ns",
        "        if True:\n            if since_ns",
        "engine.py::test_metrics_that_are_functions_are_asked_where_a_row_is_recorded",
    ),
    _mutant(
        "one message goes before the silence that was waited for",
        "netsim/mailbox.py",
        "== wanted.count and not self.silent and",
        "== wanted.count and",
        "mailbox.py::test_one_message_waits_where_silence_is_the_answer",
    ),
    _mutant(
        "a lone message's packets leave a stride late",
        "channels/media/wires/port.py",
        "spread_ns = (full - 1) * (self._stride_ns - self._service_ns)",
        "spread_ns = full * (self._stride_ns - self._service_ns)",
        "channel_port.py::test_messages_one_by_one_equal_the_recursion",
    ),
    _mutant(
        "a lone message does not wait for the port",
        "channels/media/wires/port.py",
        "max(free_ns, arrival_ns + max(0, spread_ns))",
        "(arrival_ns + max(0, spread_ns))",
        "channel_port.py::test_messages_one_by_one_equal_the_recursion",
    ),
    _mutant(
        "whole bytes are read wherever they begin",
        "algorithms/coding/bits.py",
        "if width in _WHOLE and not start & 7:",
        "if width in _WHOLE:",
        "bits.py::test_stream_is_one_integer",
    ),
    _mutant(
        "floats beyond reach are taken for small ones",
        "algorithms/coding/bits.py",
        "<= square",
        "<= _LARGEST",
        "compressors.py::test_numbers_beyond_the_wire_are_refused",
    ),
    _mutant(
        "a threshold that too few reach is good enough",
        "algorithms/coding/kernels/select.py",
        "if count < 0 or (count < chosen.size and threshold > 1):",
        "if count < 0:",
        "select.py::test_equals_a_full_sort",
    ),
    _mutant(
        "a sum of squares is compared in its own precision",
        "algorithms/coding/bits.py",
        "float(np.vdot(values, values))",
        "np.vdot(values, values)",
        "compressor_oracles.py::test_float32_vectors_are_coded_as_they_are",
    ),
)
