"""What the summary says of rows whose answer is known by hand."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pytest

from netsim.results import summary
from netsim.results.summary import SPENT, Group, Outcome, Row, interval, outcome, ratio
from netsim.scenario.parts import QUANTITIES

ROWS = 5


def a_run(status: str = "done", targets: Mapping[str, float] | None = None, **columns: Sequence[float]) -> Outcome:
    """The outcome of five rows: rounds 0..4, 2 s and 3 J each, uplink 10 x, downlink 100 x, peer 1000 x the round."""
    rounds = np.arange(float(ROWS))
    known = {"round": rounds, "sim_time_s": 2 * rounds, "energy_j": 3 * rounds, "loss": 1 - rounds / 10}
    known |= {"accuracy": np.full(ROWS, math.nan), "loss_gap": 2.0**-rounds}
    for factor, way in ((10, "uplink"), (100, "downlink"), (1000, "peer")):
        known |= {f"{way}_{counter}": (factor * np.arange(ROWS)) for counter in summary.COUNTERS}
    known |= {name: np.array(values) for name, values in columns.items()}
    return outcome(known.__getitem__, status, targets or {})


def spent(of: Outcome, name: str, target: int = 0) -> float:
    return float(of.spent[target, SPENT.index(name)])


# --- one run -----------------------------------------------------------------------------------------


def test_first_row_at_the_target_counts() -> None:
    # The gap is 1, 1/2, 1/4, 1/8, 1/16: at 0.25 exactly in round 2, so 4 s and 6 J.
    run = a_run(targets={"loss_gap": 0.25})
    assert run.reached.tolist() == [True]
    assert [spent(run, n) for n in ("rounds", "time_s", "energy_j")] == [2, 4, 6]
    assert [spent(run, f"{w}_packets") for w in ("uplink", "downlink", "peer", "total")] == [20, 200, 2000, 2220]


def test_a_loss_that_rises_again_has_reached() -> None:
    run = a_run(targets={"loss": 0.5}, loss=[1.0, 0.4, 0.9, 0.3, 0.8])
    assert (spent(run, "rounds"), run.final_loss) == (1, 0.8)


def test_accuracy_is_reached_from_below_and_the_start_counts() -> None:
    targets = {"accuracy": 0.7, "loss": 1.0}
    run = a_run(targets=targets, accuracy=[0.5, 0.69, 0.7, 0.9, 0.8])
    assert [spent(run, "rounds", target) for target in (0, 1)] == [2, 0]
    assert run.final_accuracy == 0.8


def test_a_target_that_is_missed_is_nan_even_where_the_loss_is() -> None:
    run = a_run(targets={"loss": 0.1, "loss_gap": 1.0}, loss=[math.nan] * ROWS)
    assert run.reached.tolist() == [False, True]
    assert np.isnan(run.spent[0]).all()


def test_without_target_the_end_counts_of_runs_that_came_to_it() -> None:
    assert spent(a_run("done"), "total_wire_bytes") == 4440
    stalled = a_run("stalled")
    assert not stalled.reached.any()
    assert np.isnan(stalled.spent).all()
    assert stalled.final_loss == 0.6


def test_rows_every_ten_rounds_overstate_by_less_than_ten() -> None:
    # The gap falls below 0.3 in round 12; the first row that shows it is that of round 20.
    run = a_run(targets={"loss_gap": 0.3}, round=[0, 10, 20, 30, 40], loss_gap=[1, 0.4, 0.2, 0.1, 0.05])
    assert spent(run, "rounds") == 20


# --- intervals ---------------------------------------------------------------------------------------


def test_interval_of_three() -> None:
    # s^2 = ((1-2)^2 + 0 + (3-2)^2) / 2 = 1 and t_{0.975,2} = 4.302652730 (Student's table): 4.302652730 / sqrt(3).
    assert interval(np.array([1.0, 2.0, 3.0])) == pytest.approx((2, 2 - 2.484138, 2 + 2.484138), abs=1e-6)


def test_interval_of_two() -> None:
    # s^2 = 2, so s / sqrt(2) = 1, and t_{0.975,1} = tan(0.475 pi), the Cauchy quantile.
    t = math.tan(0.475 * math.pi)
    assert interval(np.array([5.0, 7.0])) == pytest.approx((6, 6 - t, 6 + t), rel=1e-9)


def test_interval_of_one_none_and_equals() -> None:
    assert interval(np.array([4.0]))[0] == 4
    assert all(math.isnan(end) for end in interval(np.array([4.0]))[1:])
    assert all(math.isnan(end) for end in interval(np.array([])))
    # 0.1 + 0.1 + 0.1 is not 0.3: a computed mean and spread would not be exact.
    assert interval(np.full(3, 0.1)) == (0.1, 0.1, 0.1)


def test_interval_covers() -> None:
    """95 % of 4000 intervals of 5 normal draws hold the mean; error probability 6e-5 (4 sd of a binomial)."""
    rng = np.random.default_rng(20)
    hits = sum(low <= 3.0 <= high for _, low, high in (interval(rng.normal(3.0, 2.0, 5)) for _ in range(4000)))
    assert abs(hits - 3800) < 4 * math.sqrt(4000 * 0.95 * 0.05)


def test_ratio_is_geometric_with_the_interval_of_logarithms() -> None:
    # 2 and 8: mean of the logarithms ln 4, s / sqrt(2) = ln(8/2) / 2 = ln 2, t = tan(0.475 pi).
    t = math.tan(0.475 * math.pi)
    got = ratio(np.array([2.0, 24.0]), np.array([1.0, 3.0]))
    assert got == pytest.approx((4, 4 * 2**-t, 4 * 2**t), rel=1e-9)


def test_ratio_is_paired_by_replication() -> None:
    """A spread that both share cancels; without pairing the interval would span orders of magnitude."""
    first = np.array([1.0, 10.0, 100.0, 1000.0])
    # Logarithms of the quotients: mean 0.6925, s 0.0408, t_{0.975,3} 3.1824, so exp(0.6925 -+ 0.0650).
    assert ratio(first * [2.0, 2.1, 2.0, 1.9], first)[1:] == pytest.approx((1.873, 2.133), abs=1e-3)
    # Only replications where both reached: the first pair and the last.
    gone = math.nan
    assert ratio(np.array([2.0, gone, 5.0, 4.0]), np.array([1.0, 3.0, gone, 2.0])) == (2, 2, 2)


@pytest.mark.parametrize(("ours", "first"), [(1.0, 0.0), (0.0, 1.0), (0.0, 0.0), (math.nan, 1.0)])
def test_ratio_of_nothing_is_nan(ours: float, first: float) -> None:
    assert all(math.isnan(end) for end in ratio(np.array([ours]), np.array([first])))


def test_ratio_interval_covers() -> None:
    """95 % of 4000 intervals of paired log-normal costs hold the true ratio 3; error probability 6e-5."""
    rng = np.random.default_rng(21)
    hits = 0
    for _ in range(4000):
        shared = rng.lognormal(0, 2, 5)
        _, low, high = ratio(3 * shared * rng.lognormal(0, 0.3, 5), shared * rng.lognormal(0, 0.3, 5))
        hits += low <= 3 <= high
    assert abs(hits - 3800) < 4 * math.sqrt(4000 * 0.95 * 0.05)


# --- rows --------------------------------------------------------------------------------------------


def study() -> list[Row]:
    """Two points; A first, B at half and a third of its time, its third replication without the target."""
    goal = {"loss_gap": 0.25}
    a = [a_run(targets=goal) for _ in range(3)]
    b = [a_run(targets=goal, sim_time_s=2 * np.arange(ROWS) * f, loss_gap=[1.0, 0.5, end, end, end])
         for f, end in ((1 / 2, 0.1), (1 / 3, 0.1), (1.0, 0.3))]  # fmt: skip
    return summary.rows(
        [Group("p=1", "A", "gd", goal, a), Group("p=1", "B", "cat", goal, b), Group("p=2", "B", "cat", goal, b[:1])]
    )


def test_rows_of_a_study() -> None:
    first, second, third = study()
    assert [(r["label"], r["point"], r["reached"], r["replications"]) for r in (first, second, third)] == [
        ("A", "p=1", 3, 3),
        ("B", "p=1", 2, 3),
        ("B", "p=2", 1, 1),
    ]
    assert [r["status"] for r in (first, second, third)] == ["reached", "done", "reached"]
    assert (first["time_s_mean"], first["time_s_low"], first["time_s_high"]) == (4, 4, 4)
    assert first["ratio_time_s_mean"] == 1
    # Round 2 at 4 s, halved and in thirds; the ratio's geometric mean is 6^(-1/2).
    assert second["time_s_mean"] == pytest.approx((2 + 4 / 3) / 2)
    assert second["ratio_time_s_mean"] == pytest.approx(6**-0.5)
    # B is the only one at its point, and so its own reference.
    assert third["ratio_time_s_mean"] == 1
    assert math.isnan(third["time_s_low"])


def test_every_quantity_of_a_claim_is_a_column() -> None:
    row = study()[0]
    assert set(SPENT) == set(QUANTITIES)
    for name in QUANTITIES:
        assert {f"{prefix}{name}_{end}" for prefix in ("", "ratio_") for end in ("mean", "low", "high")} <= set(row)


def test_a_row_per_target() -> None:
    goals = {"loss_gap": 0.25, "loss": 0.95}
    rows = summary.rows([Group("", "A", "gd", goals, [a_run(targets=goals)])])
    assert [(r["target"], r["target_value"], r["rounds_mean"]) for r in rows] == [
        ("loss_gap", 0.25, 2),
        ("loss", 0.95, 1),
    ]


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [
        (["reached", "failed", "stalled"], "failed"),
        (["reached", "stalled", "done"], "stalled"),
        (["reached", "done"], "done"),
        (["reached", "reached"], "reached"),
    ],
)
def test_the_worst_status_of_the_replications(statuses: list[str], expected: str) -> None:
    goal = {"loss_gap": 0.25}
    met, missed = [1.0, 0.5, 0.25, 0.2, 0.2], [1.0] * ROWS
    runs = [
        summary.nothing(s, goal) if s == "failed" else a_run(s, goal, loss_gap=met if s == "reached" else missed)
        for s in statuses
    ]
    (row,) = summary.rows([Group("", "A", "gd", goal, runs)])
    assert (row["status"], row["reached"], row["replications"]) == (expected, statuses.count("reached"), len(statuses))
    assert row["final_loss"] == pytest.approx(0.6)


def test_csv_comes_back_in_every_bit() -> None:
    rows = study()
    text = summary.to_csv(rows)
    assert summary.to_csv(summary.from_csv(text)) == text
    back = summary.from_csv(text)
    for row, again in zip(rows, back, strict=True):
        np.testing.assert_equal(again, row)
    assert "nan" not in text
