"""What CAT weighs."""

from __future__ import annotations

from tests.mutations.mutant import Mutant

MUTANTS = (
    Mutant(
        "alpha from magnitudes instead of squares",
        "algorithms.tuners.ranked:Ranked.fraction",
        "self.energy[budget.astype(np.int64)]",
        "self.mass[budget.astype(np.int64)]",
        ("tests/algorithms/tuners/test_tuners.py::test_small_vectors_equal_brute_force",),
    ),
    Mutant(
        "beta without 1/T",
        "algorithms.tuners.ranked:Ranked.fraction",
        "mass * mass, budget",
        "mass * mass, np.ones_like(budget)",
        ("tests/algorithms/tuners/test_tuners.py::test_small_vectors_equal_brute_force",),
    ),
    Mutant(
        "omega without its certain entries",
        "algorithms.tuners.ranked:Ranked.fraction",
        "self.energy[certain] + rest * rest / (budget - certain)",
        "rest * rest / (budget - certain)",
        ("tests/algorithms/tuners/test_tuners.py::test_stochastic_equals_a_search_over_real_budgets",),
    ),
    Mutant(
        "the search stops at the first drop",
        "algorithms.tuners.universal:best",
        "above / (below * price)",
        "np.append(np.diff(above / (below * price)) < 0, True)",
        ("tests/algorithms/tuners/test_facts.py::test_sign_has_two_peaks_on_a_line",),
    ),
    Mutant(
        "the threshold forgets what every message costs",
        "algorithms.tuners.affine:_tau",
        "line.c0 + line.c1 * count",
        "line.c1 * count",
        ("tests/algorithms/tuners/test_facts.py::test_sparsification_and_stochastic_share_a_threshold",),
    ),
    Mutant(
        "a packet that is not full is not counted",
        "algorithms.tuners.budget_cost:BudgetCost.packets",
        "np.ceil((t - first) / later)",
        "np.floor((t - first) / later)",
        ("tests/algorithms/tuners/test_facts.py::test_entries_of_a_packet",),
    ),
    Mutant(
        "the first packet has no header and no scale",
        "algorithms.tuners.budget_cost:BudgetCost._whole",
        "self.packet_bit * (before + 1) - lead",
        "self.packet_bit * (before + 1)",
        (
            "tests/algorithms/tuners/test_facts.py::test_header_bits_are_inside_the_packets",
            "tests/algorithms/tuners/test_facts.py::test_entries_of_a_packet",
        ),
    ),
    Mutant(
        "a tuner's message has no header",
        "algorithms.coding.sizes:CodeSize.message_bit",
        "HEADER_BYTES + np.ceil((self.paper_bit(entries) + self.count_bit) / 8)",
        "np.ceil((self.paper_bit(entries) + self.count_bit) / 8)",
        ("tests/algorithms/test_agents.py::test_one_packet_budget_fills_one_packet",),
    ),
    Mutant(
        "the scale is not in the tuner's size",
        "algorithms.coding.sparse:SignCode.size",
        "self.float_bit",
        "0",
        ("tests/algorithms/compressors/test_contract.py::test_exact_lengths",),
    ),
    Mutant(
        "the law of the drawn count has its series' signs wrong",
        "algorithms.tuners.drawn:DrawnCount.distribution",
        "(-1) ** (k + 1) / k",
        "1 / k",
        ("tests/algorithms/tuners/test_drawn.py::test_the_law_of_the_count_equals_the_convolution",),
    ),
    Mutant(
        "what is drawn costs what is expected",
        "algorithms.tuners.tune:_is_drawn",
        'variant == "stochastic" and not cost.is_line',
        "False",
        ("tests/algorithms/tuners/test_drawn.py::test_two_fair_coins",),
    ),
    Mutant(
        "a drawn message leaves out its count",
        "algorithms.tuners.budget_cost:BudgetCost.of_entries",
        "self.code.paper0_bit + self.code.entry_bit * n + self.code.count_bit",
        "self.code.paper0_bit + self.code.entry_bit * n",
        ("tests/algorithms/tuners/test_drawn.py::test_a_cost_without_structure_is_averaged_too",),
    ),
    Mutant(
        "the search for the best drawn T ends at once",
        "algorithms.tuners.drawn:solve",
        "(1.0 + TOLERANCE) * ratio(best)",
        "9.0 * ratio(best)",
        ("tests/algorithms/tuners/test_drawn.py::test_of_two_hills_the_higher_one_is_found",),
    ),
)
