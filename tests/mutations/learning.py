"""Agents, problems, partitions, streams."""

from __future__ import annotations

from tests.mutations.mutant import Mutant

MUTANTS = (
    Mutant(
        "DCGD's step takes w for one worker",
        "algorithms.agents.dcgd:Dcgd.auto_step",
        "2.0 * w / len(ctx.workers)",
        "2.0 * w",
        ("tests/algorithms/test_dcgd.py::test_automatic_step",),
    ),
    Mutant(
        "DCGD's step takes the least L_m",
        "algorithms.roles.compressed:max_smoothness",
        "max(map(ctx.facts.node_smoothness, ctx.workers))",
        "min(map(ctx.facts.node_smoothness, ctx.workers))",
        ("tests/algorithms/test_dcgd.py::test_automatic_step",),
    ),
    Mutant(
        "keys are the same in every round",
        "netsim.rng:shared_key",
        "(replication, sender + 1, _SHARED, round)",
        "(replication, sender + 1, _SHARED)",
        ("tests/algorithms/test_dcgd.py::test_shared_keys_differ_in_every_name",),
    ),
    Mutant(
        "l2 is left out of the gradient",
        "algorithms.problems.logistic_regression:LogisticProblem._slopes",
        "functools.partial(self._rows.combine, block, factors[ends[i] : ends[i + 1]], w, self._l2)",
        "functools.partial(self._rows.combine, block, factors[ends[i] : ends[i + 1]], w, 0.0)",
        ("tests/algorithms/learning/test_logistic_regression.py::test_gradients_are_the_slope_of_values",),
    ),
    Mutant(
        "L is that of the first node",
        "algorithms.problems.logistic_regression:LogisticProblem.smoothness",
        "self._top",
        "self._node_tops[0]",
        ("tests/algorithms/learning/test_logistic_regression.py::test_smoothness_bounds_the_hessian_tightly",),
    ),
    Mutant(
        "F is a mean over samples",
        "algorithms.learning.shares:Shares.sample_weights",
        "np.repeat(1.0 / (self.num_nodes * sizes), sizes)",
        "np.repeat(1.0 / sizes.sum(), sizes.sum())",
        ("tests/algorithms/learning/test_logistic_regression.py::test_the_objective_is_a_mean_over_nodes",),
    ),
    Mutant(
        "minibatches with replacement",
        "algorithms.learning.shares:draw",
        "rng.choice(num_samples, size, replace=False, shuffle=False)",
        "rng.choice(num_samples, size, replace=True, shuffle=False)",
        (
            "tests/algorithms/learning/test_logistic_regression.py::test_a_batch_is_sorted_distinct_and_the_stream_alone",
        ),
    ),
    Mutant(
        "a node stays without samples",
        "algorithms.learning.dealing:fill_empty",
        "part.size == 0",
        "part.size < 0",
        ("tests/algorithms/test_partitions.py::test_dirichlet_of_tiny_alpha_fills_every_node",),
    ),
    Mutant(
        "replications share their streams",
        "netsim.rng:stream",
        "replication",
        "0",
        ("tests/netsim/test_rng.py::test_streams_differ_in_every_argument",),
    ),
    Mutant(
        "edges weigh 1 / max degree",
        "netsim.scenario.mixing:weigh",
        "1 + max(degree[i], degree[j])",
        "max(degree[i], degree[j])",
        ("tests/netsim/scenario/test_topology.py::test_metropolis_weights_by_hand",),
    ),
    Mutant(
        "a message in one packet is a third too short",
        "algorithms.agents.fixed_budget:one_packet_budget",
        "size.message_bit(budgets)",
        "size.message_bit(1.5 * budgets)",
        ("tests/algorithms/test_agents.py::test_one_packet_budget_fills_one_packet",),
    ),
    Mutant(
        "the mean upload is three times as long",
        "algorithms.roles.star:Updates.mean",
        "await self.sum()",
        "3.0 * await self.sum()",
        ("tests/algorithms/test_agents.py::test_all_coordinates_at_1_over_l_is_gradient_descent",),
    ),
    Mutant(
        "SS steps with 1/L",
        "algorithms.roles.budget_code:BudgetServer.step",
        "gamma /= 1.0 + sum(1.0 / omega - 1.0 for omega in omegas if omega) / len(omegas) ** 2",
        "pass",
        ("tests/algorithms/test_agents.py::test_stochastic_step_of_one_worker_is_omega_over_l",),
    ),
    Mutant(
        "the step of SS takes the mean of M workers for one",
        "algorithms.roles.budget_code:BudgetServer.step",
        "len(omegas) ** 2",
        "len(omegas)",
        ("tests/algorithms/test_agents_gaps.py::test_stochastic_step_of_many_workers",),
    ),
    Mutant(
        "the shared budget is a sum",
        "algorithms.roles.tuned:TunedServer.step",
        "sum(preferred) / len(preferred)",
        "sum(preferred)",
        ("tests/algorithms/test_agents.py::test_shared_budget_is_the_mean_of_last_rounds_preferences",),
    ),
    Mutant(
        "the worst budget of the grid is taken",
        "algorithms.agents.grid_search:GridSearchServer.run",
        "max(self.grid, key=lambda t: (self.merits[t], -t))",
        "min(self.grid, key=lambda t: (self.merits[t], -t))",
        ("tests/algorithms/test_agents.py::test_grid_search_picks_the_best_merit_and_pays_for_the_search",),
    ),
    Mutant(
        "trials go on from each other",
        "algorithms.agents.grid_search:GridSearchServer.run",
        "self.notes, self.x = (float(budget),), start",
        "self.notes = (float(budget),)",
        ("tests/algorithms/test_agents.py::test_grid_search_picks_the_best_merit_and_pays_for_the_search",),
    ),
    Mutant(
        "EF-SGD takes the step of round 0",
        "algorithms.agents.ef_sgd:EfSgdWorker.upload",
        "self.gamma(round)",
        "self.gamma(0)",
        (
            "tests/algorithms/coding/test_codec_review.py::test_ef_sgd_with_identity_is_gradient_descent",
            "tests/algorithms/coding/test_codec_review.py::test_virtual_iterate_moves_as_gradient_descent",
        ),
    ),
    Mutant(
        "a worker forgets its memory",
        "algorithms.roles.star:Worker.upload",
        "self.memory = (await self.send(round, self.codec, g, memory=self.memory)).memory",
        "await self.send(round, self.codec, g, memory=self.memory)",
        ("tests/algorithms/coding/test_codec_review.py::test_virtual_iterate_moves_as_gradient_descent",),
    ),
)
