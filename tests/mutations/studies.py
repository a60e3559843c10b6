"""Sweeps, summaries, the page and the tools."""

from __future__ import annotations

from tests.mutations.mutant import Mutant

MUTANTS = (
    Mutant(
        "the last row at the target counts",
        "netsim.results.summary:outcome",
        "np.argmax(hit)",
        "np.flatnonzero(hit)[-1]",
        ("tests/netsim/results/test_summary.py::test_a_loss_that_rises_again_has_reached",),
    ),
    Mutant(
        "an interval of 90 per cent",
        "netsim.results.summary:interval",
        "(1 + CONFIDENCE) / 2",
        "CONFIDENCE",
        ("tests/netsim/results/test_summary.py::test_interval_of_three",),
    ),
    Mutant(
        "the ratio is upside down",
        "netsim.results.summary:ratio",
        "ours / first",
        "first / ours",
        ("tests/netsim/results/test_summary.py::test_ratio_is_geometric_with_the_interval_of_logarithms",),
    ),
    Mutant(
        "a failed run is no failure",
        "netsim.cli:run",
        "DONE if results.ok else FAILED",
        "DONE",
        ("tests/netsim/test_cli.py::test_run_hands_its_options_on",),
    ),
    Mutant(
        "the slowest progress is the fastest",
        "netsim.results.bounds:bounds_of_run",
        'np.nanmin(run["progress"][1 : max(end, 1) + 1])',
        'np.nanmax(run["progress"][1 : max(end, 1) + 1])',
        ("tests/project/test_scenarios.py::test_bounds_hold_and_order_as_the_table_says",),
    ),
    Mutant(
        "labels are not escaped",
        "netsim.report.html:_environment",
        'Environment(loader=FileSystemLoader(Path(__file__).with_name("templates")), autoescape=True, '
        "undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)",
        'Environment(loader=FileSystemLoader(Path(__file__).with_name("templates")), '
        "trim_blocks=True, lstrip_blocks=True)",
        ("tests/netsim/report/test_report.py::test_no_text_becomes_markup",),
    ),
    Mutant(
        "the header is not in the constant",
        "netsim.tools.fit:cost_of",
        'v["c0"] + c_bit * header_bit',
        'v["c0"]',
        ("tests/netsim/tools/test_fit.py::test_the_cost_is_the_fit_at_the_papers_bits",),
    ),
    Mutant(
        "a new link is never noticed",
        "channels.costs.learned:",
        "CHANGED = 4",
        "CHANGED = 4000",
        ("tests/channels/test_costs_learned.py::test_it_learns_anew_when_the_rate_drops_tenfold",),
    ),
    Mutant(
        "the oldest is forgotten first",
        "channels.costs.learned:LearnedCost._forget",
        "counts[seen[0]] == most",
        "True",
        ("tests/channels/test_costs_learned.py::test_memory_keeps_rare_sizes_and_is_bounded",),
    ),
    Mutant(
        "units of swept values are not read",
        "netsim.scenario.sweep:_readings",
        "unit_of(key)",
        "None",
        ("tests/netsim/scenario/test_sweep.py::test_swept_values_are_columns_with_units_read",),
    ),
    Mutant(
        "a table of a sweep is sorted by its values",
        "netsim.tools.pivot:pivot",
        "pd.Categorical(frame[key], list(dict.fromkeys(frame[key])), ordered=True)",
        "frame[key]",
        ("tests/netsim/tools/test_pivot.py::test_every_cell_is_the_summarys_number",),
    ),
    Mutant(
        "a family stands against its own interval",
        "netsim.tools.cost_families:beats",
        "one.is_exact or _holds_zero(one)",
        "one.is_exact",
        ("tests/netsim/tools/test_fit.py::test_no_family_is_contradicted_by_its_own_interval",),
    ),
    Mutant(
        "two sizes make a fit",
        "netsim.tools.fit:",
        "MIN_SIZES = 3",
        "MIN_SIZES = 2",
        ("tests/netsim/tools/test_fit.py::test_sentences",),
    ),
)
