"""Algorithms without a server, collective operations, the air, feature quantizers."""

from __future__ import annotations

from tests.mutations.mutant import Mutant

_GOSSIP, _SADDLE = "tests/algorithms/test_gossip.py", "tests/algorithms/test_saddle_point.py"
_FEATURES, _AIR = "tests/algorithms/test_feature_quantization.py", "tests/algorithms/test_over_the_air.py"
_SUMS = "tests/algorithms/test_collectives.py"

MUTANTS = (
    Mutant(
        "a node's own public copy counts whole",
        "algorithms.roles.gossip:PublicCopyPeer.publish",
        "self.own_weight * q",
        "q",
        (f"{_GOSSIP}::test_the_mean_trajectory_of_equal_hessians_depends_on_nothing",),
    ),
    Mutant(
        "nodes are pulled to the neighbours' mean itself",
        "algorithms.roles.gossip:PublicCopyPeer.pull",
        "self.s - self.hat",
        "self.s",
        (f"{_GOSSIP}::test_identity_and_gamma_one_are_the_uncompressed_methods",),
    ),
    Mutant(
        "a node's own public copy stays",
        "algorithms.roles.gossip:PublicCopyPeer.publish",
        "self.hat += q",
        "self.hat = q",
        (f"{_GOSSIP}::test_public_copies_are_the_papers",),
    ),
    Mutant(
        "a peer takes messages of any round",
        "algorithms.roles.gossip:PublicCopyPeer.listen",
        'Receive(len(self.weights), "update", round)',
        'Receive(len(self.weights), "update")',
        (f"{_GOSSIP}::test_speeds_and_delays_change_the_clock_alone_and_nobody_is_more_than_a_round_ahead",),
    ),
    Mutant(
        "the spectral gap of W squared",
        "netsim.scenario.mixing:_spectrum",
        "float(max(abs(values[0]), abs(values[-2])))",
        "float(max(abs(values[0]), abs(values[-2]))) ** 2",
        ("tests/netsim/scenario/test_topology.py::test_spectral_gaps_are_those_of_the_literature",),
    ),
    Mutant(
        "SPARQ's threshold is in units of the step",
        "algorithms.agents.sparq_sgd:SparqSgdPeer.step",
        "self.threshold(last) * self.eta(last) ** 2",
        "self.threshold(last) * self.eta(last)",
        (f"{_GOSSIP}::test_public_copies_are_the_papers",),
    ),
    Mutant(
        "SPARQ sends its step, not its distance from the public copy",
        "algorithms.agents.sparq_sgd:SparqSgdPeer.step",
        "self.publish(x, round)",
        "self.publish(x - self.x, round)",
        (f"{_GOSSIP}::test_sparq_without_a_trigger_is_choco_and_squarm_without_momentum_is_sparq",),
    ),
    Mutant(
        "the multiplier's decay leaves eta out",
        "algorithms.agents.saddle_point:SaddlePointPeer.step",
        "g - self.delta * self.eta_x * self.lam[node]",
        "g - self.delta * self.lam[node]",
        (f"{_SADDLE}::test_fixed_point",),
    ),
    Mutant(
        "a constraint is looked at from the own model",
        "algorithms.agents.saddle_point:SaddlePointPeer.constraint",
        "a, b = self.hats[min(me, other)], self.hats[max(me, other)]",
        "a, b = (self.x, self.hats[other]) if me < other else (self.hats[other], self.x)",
        (f"{_SADDLE}::test_multipliers_are_equal_at_both_ends_after_every_round",),
    ),
    Mutant(
        "two values are z apart",
        "algorithms.agents.saddle_point:SaddlePointPeer.slope",
        "self.x.size / (2 * self.z) * (plus - minus)",
        "self.x.size / self.z * (plus - minus)",
        (f"{_SADDLE}::test_bandit_estimate_is_exact_on_quadratics",),
    ),
    Mutant(
        "greedy insertion leaves impurity out",
        "algorithms.learning.quantizers:_best_split",
        "np.lexsort((inside, odd, gini, err))",
        "np.lexsort((inside, odd, err))",
        (f"{_FEATURES}::test_greedy_insertion_is_the_naive_search",),
    ),
    Mutant(
        "a diagonal cell costs its larger class",
        "algorithms.learning.quantizers:on_the_line",
        "inside.min(axis=0)",
        "inside.max(axis=0)",
        (f"{_FEATURES}::test_on_the_line_is_brute_force",),
    ),
    Mutant(
        "code vectors go half the way",
        "algorithms.learning.code_books:_slopes",
        "-2 * apart",
        "-apart",
        (f"{_FEATURES}::test_slopes_of_the_learned_representation_are_those_of_its_loss",),
    ),
    Mutant(
        "noise by its variance",
        "channels.media.superposed:Superposed.noise",
        "np.sqrt(self._noise_w)",
        "self._noise_w",
        (f"{_AIR}::test_noise_has_the_variance_of_its_closed_form",),
    ),
    Mutant(
        "gains are powers",
        "channels.media.superposed:Superposed.gains",
        "np.sqrt(-np.log1p(-draws))",
        "-np.log1p(-draws)",
        (f"{_AIR}::test_gains_are_rayleighs_and_drawn_by_node_and_round",),
    ),
    Mutant(
        "amplitudes are scaled down as powers are",
        "algorithms.roles.analog:Antenna.amplitudes",
        "np.sqrt(limit / power)",
        "(limit / power)",
        (f"{_AIR}::test_a_power_limit_scales_amplitudes_down",),
    ),
    Mutant(
        "peers break ties each by itself",
        "algorithms.roles.summed_votes:AddingUp.vote",
        'self.ctx.shared_rng("mask")',
        'self.ctx.rng("mask")',
        (f"{_SUMS}::test_peers_agree_on_ties_and_samples",),
    ),
    Mutant(
        "the owner of a part keeps it unrounded",
        "algorithms.roles.collectives:Group._ring",
        "parts[out] = value",
        "pass",
        (f"{_SUMS}::test_peers_agree_on_ties_and_samples",),
    ),
)
