"""Silence and memories, local steps, majority voting: a mutant for every oracle that the algorithms' sources give."""

from __future__ import annotations

from tests.mutations.mutant import Mutant

_LENA, _EQUAL = "tests/algorithms/agents/test_lena.py", "tests/algorithms/agents/test_equivalences.py"
_QSPARSE, _VOTING = "tests/algorithms/test_qsparse.py", "tests/algorithms/test_voting.py"
_LOSSES = "tests/algorithms/test_known_loss.py"

MUTANTS = (
    Mutant(
        "LENA's memory is what the drift leaves, not what was applied",
        "algorithms.agents.lena:LenaWorker.upload",
        "p - self.v",
        "p - self.q",
        (f"{_LENA}::test_it_is_its_recursion", f"{_LENA}::test_virtual_iterate"),
    ),
    Mutant(
        "DIANA steps along the changes alone",
        "algorithms.roles.shared_state:StateServer.step",
        "self.h + change",
        "change",
        (f"{_EQUAL}::test_gradient_descent",),
    ),
    Mutant(
        "Qsparse sends a step early",
        "algorithms.agents.qsparse_local_sgd:QsparseLocalSgd.batches",
        "(None,) * self.local_steps",
        "(None,) * max(self.local_steps - 1, 1)",
        (f"{_QSPARSE}::test_with_identity_it_is_sgd_or_local_sgd",),
    ),
    Mutant(
        "of the uploads of one instant the first counts",
        "algorithms.roles.asynchronous:AsynchronousServer.run",
        "self.take_in(updates)",
        "self.take_in(updates[:1])",
        (f"{_QSPARSE}::test_asynchronous_with_equal_gaps_is_synchronous",),
    ),
    Mutant(
        "Qsparse's server goes on from the rounded model",
        "algorithms.agents.qsparse_local_sgd:QsparseServer.step",
        "self.exact - (await updates.sum()) / len(self.ctx.workers)",
        "self.x - (await updates.sum()) / len(self.ctx.workers)",
        (f"{_QSPARSE}::test_nothing_is_lost_at_any_instant",),
    ),
    Mutant(
        "messages are added up as they came",
        "netsim.simulation.mailbox:Mailbox.take",
        "fits.sort(key=lambda m: (m.round, m.src))",
        "fits.sort(key=lambda m: m.round)",
        ("tests/netsim/simulation/test_engine.py::test_synchronous_agents_do_not_feel_speeds_and_delays",),
    ),
    Mutant(
        "sets of votes never lose a coordinate",
        "algorithms.roles.ballot:Ballot.cast",
        "np.setdiff1d(own, vote.drops, assume_unique=True)",
        "own",
        (f"{_VOTING}::test_sets_of_add_drop",),
    ),
    Mutant(
        "a place in its block is the block's number",
        "algorithms.coding.indices:write_indices",
        "indices % block",
        "indices // block % block",
        (f"{_VOTING}::test_sets_and_changes_round_trip",),
    ),
    Mutant(
        "a level stands for the sum of its entries",
        "algorithms.compressors.fractional:Fractional.write",
        "totals[0] / np.maximum(totals[1], 1.0) * unit",
        "totals[0] * unit",
        ("tests/algorithms/compressors/test_dithering.py::test_fractional_identities",),
    ),
    Mutant(
        "a place in a block takes a bit more",
        "algorithms.coding.indices:write_indices",
        "out.uints(indices % block, lg(block))",
        "out.uints(indices % block, lg(block) + 1)",
        (f"{_VOTING}::test_table_1_to_the_second_decimal",),
    ),
    Mutant(
        "an empty block takes two bits",
        "algorithms.coding.indices:write_indices",
        "write_unary(out, out_of + 1)",
        "write_unary(out, out_of + 2)",
        (f"{_VOTING}::test_messages_are_as_long_as_their_formulas",),
    ),
    Mutant(
        "a message's header takes no time",
        "netsim.simulation.traffic:Traffic.send",
        "HEADER_BYTES + len(data)",
        "len(data)",
        (
            f"{_QSPARSE}::test_rounds_take_what_the_closed_form_says",
            f"{_VOTING}::test_rounds_take_what_the_closed_form_says",
        ),
    ),
    Mutant(
        "values of votes that come late are dropped",
        "algorithms.roles.late_values:LateValues.take",
        "self.left + await Sum(self.code(self.missing[message.src]), [message])",
        "self.left",
        (f"{_LOSSES}::test_majority_voting",),
    ),
    Mutant(
        "changes of a set that come late are dropped",
        "algorithms.agents.ssgd_mv:SsgdMvServer.count",
        "cast + await Sum(self.ballot.vote(late.round), [late])",
        "cast",
        (f"{_LOSSES}::test_majority_voting",),
    ),
    Mutant(
        "a vote that is lost has changed the set",
        "algorithms.agents.ssgd_mv:SsgdMvWorker.vote",
        'if (await self.send(round, self.ballot.vote(round), vote, kind="vote")).arrived:',
        'if await self.send(round, self.ballot.vote(round), vote, kind="vote"):',
        (f"{_LOSSES}::test_majority_voting",),
    ),
    Mutant(
        "MARINA takes a lost model for known",
        "algorithms.agents.marina:MarinaWorker.upload",
        "self.now if sent.arrived else self.last",
        "self.now",
        (f"{_LOSSES}::test_what_marina_knows_is_the_gradient_at_the_last_model_whose_upload_arrived",),
    ),
)
