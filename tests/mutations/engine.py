"""What the engine promises its agents."""

from __future__ import annotations

from tests.mutations.mutant import Mutant

MUTANTS = (
    Mutant(
        "the header is not charged",
        "netsim.simulation.traffic:Traffic.send",
        "HEADER_BYTES + len(data)",
        "max(len(data), 1)",
        ("tests/netsim/simulation/test_engine.py::test_times_are_exact_and_counters_add_up",),
    ),
    Mutant(
        "agents wake in the reverse order",
        "netsim.simulation.engine:Engine._settle",
        "sorted(woken)",
        "sorted(woken, reverse=True)",
        ("tests/algorithms/test_agents_gaps.py::test_agents_of_one_instant_run_in_id_order_with_the_server_last",),
    ),
    Mutant(
        "all is answered before the instant is settled",
        "netsim.simulation.engine:Engine._try",
        'wanted is None or (wanted.take == "all" and not timed_out and (not is_settled))',
        "wanted is None",
        ("tests/netsim/simulation/test_engine.py::test_all_is_answered_once_the_instant_is_settled",),
    ),
    Mutant(
        "messages in order of arrival",
        "netsim.simulation.mailbox:Mailbox.take",
        "fits.sort(key=lambda m: (m.round, m.src))",
        "None",
        ("tests/netsim/simulation/test_mailbox.py::test_exact_sorts_by_round_and_source_and_leaves_the_rest",),
    ),
    Mutant(
        "minibatches from the compressor's stream",
        "netsim.simulation.context:AgentContext.next_batch",
        'self.rng("data")',
        "self.rng()",
        ("tests/algorithms/test_agents_gaps.py::test_minibatches_come_from_the_stream_of_the_data",),
    ),
    Mutant(
        "a lost message is not counted",
        "netsim.simulation.traffic:Traffic.deliver",
        "self._tally.book(way.direction, flight, delivery)",
        "delivery.ok and self._tally.book(way.direction, flight, delivery)",
        ("tests/algorithms/test_agents_gaps.py::test_lost_messages_count",),
    ),
)
