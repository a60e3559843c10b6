"""CAT's tuners against all T weighed one by one, and the facts that their solvers rest on."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from algorithms.coding.select import top_k
from algorithms.coding.sizes import CodeSize
from algorithms.tuners import affine, magnitudes, packets, stochastic, universal
from algorithms.tuners.budget_cost import BudgetCost, Line
from algorithms.tuners.magnitudes import measure
from algorithms.tuners.tune import Choice, efficiency, progress, tune
from channels.costing.models import FunctionCost, StructuredCost
from netsim.interfaces import CostStructure
from tests.support.tuner_twins import Case, gain, omega, paper, price, random_case, random_vector

RCV1 = {"sparsify": CodeSize(0, 48, 16), "sign": CodeSize(32, 17, 16)}  # d = 47236: lg d = 16
URL = {"sparsify": CodeSize(0, 54, 22), "sign": CodeSize(32, 23, 22)}  # d = 3231961: lg d = 22


def solutions(case: Case) -> dict[str, Choice]:
    """What `tune` says, and every whole-T solver that may be used."""
    x, cost = measure(case.x), BudgetCost(case.size, case.cost)
    found = {
        "tune": tune(case.x, case.variant, case.size, case.cost),
        "universal": universal.solve(x, case.variant, cost),
    }
    if case.variant == "sparsify" and cost.is_line:
        found["affine"] = affine.solve(x, cost)
    if case.variant == "sparsify" and cost.is_over_line and x.is_large:
        found["packets"] = packets.solve(x, cost)
    return found


def check_against_all_budgets(case: Case) -> None:
    """The best ratio to 1e-12, and the smallest such T where all sums are exact."""
    gains = gain(case.x, case.variant)
    ratio = gains / price(case, np.arange(1, gains.size + 1))
    total = gain(case.x, "sparsify")[-1]
    near = np.flatnonzero(ratio >= ratio.max() * (1 - 1e-12))
    for solver, choice in solutions(case).items():
        t = int(choice.budget)
        assert t == choice.budget, solver
        assert 1 <= t <= gains.size, solver
        assert ratio[t - 1] == pytest.approx(ratio.max(), rel=1e-12), solver
        assert choice.efficiency * total == pytest.approx(ratio.max(), rel=1e-12), solver
        assert choice.progress * total == pytest.approx(gains[t - 1], rel=1e-12), solver
        if np.array_equal(case.x, np.round(case.x)):
            assert t == near[0] + 1, f"{solver} breaks a tie to {t}"
        if choice.kept is not None:
            np.testing.assert_array_equal(choice.kept, top_k(case.x, t), solver)


@pytest.mark.parametrize("variant", ["sparsify", "sign"])
def test_small_vectors_equal_brute_force(variant: str) -> None:
    rng = np.random.default_rng(11)
    for _ in range(2000):
        check_against_all_budgets(random_case(rng, variant))


@pytest.mark.parametrize("variant", ["sparsify", pytest.param("sign", marks=pytest.mark.slow)])
def test_solvers_for_large_vectors_equal_brute_force_whatever_the_sample_says(
    variant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The compiled path on small vectors: samples are far too small or repeat one entry, windows begin narrow."""
    rng = np.random.default_rng(12)
    monkeypatch.setattr(magnitudes, "COMPILED_FROM", 1)
    monkeypatch.setattr(packets, "REACH", 1)
    monkeypatch.setattr(universal, "FIRST_ENTRIES", 4)
    for _ in range(1500):
        monkeypatch.setattr(magnitudes, "SAMPLE", int(rng.choice([17, 20, 64, 256])))
        check_against_all_budgets(random_case(rng, variant))


@pytest.mark.parametrize("is_compiled", [False, True])
def test_stochastic_equals_a_search_over_real_budgets(is_compiled: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """No T of a grid, no whole T, no end of a packet and no T close by is better."""
    rng = np.random.default_rng(13)
    if is_compiled:
        monkeypatch.setattr(magnitudes, "COMPILED_FROM", 1)
        monkeypatch.setattr(universal, "FIRST_ENTRIES", 4)
        monkeypatch.setattr(magnitudes, "SAMPLE", 20)
    for _ in range(250):
        case = random_case(rng, "stochastic", most=40)
        x, cost, most = measure(case.x), BudgetCost(case.size, case.cost, expected=True), np.count_nonzero(case.x)
        choice = tune(case.x, "stochastic", case.size, case.cost, drawn=False)
        assert 1.0 <= choice.budget <= most * (1 + 1e-12)
        assert choice.progress == pytest.approx(omega(case.x, choice.budget)[0], rel=1e-11)
        # Just below T: at the brim of a packet the two ways of rounding need not agree.
        assert choice.progress / choice.efficiency == pytest.approx(
            price(case, choice.budget * (1 - 1e-12))[0], rel=1e-11
        )
        assert stochastic.solve(x, cost).efficiency == pytest.approx(choice.efficiency, rel=1e-12)
        ends: Any = (
            cost.last_in(np.arange(float(cost.packets(1.0)), float(cost.packets(most)) + 1)) if cost.c_packet else []
        )
        near = choice.budget * (1 + np.array([-1e-2, -1e-4, -1e-6, 1e-6, 1e-4, 1e-2]))
        others = np.concatenate([np.linspace(1, most, 60), np.arange(1, most + 1), ends, near])
        others = others[(others >= 1) & (others <= most)]
        best = (omega(case.x, others) / price(case, others * (1 - 1e-15))).max()
        assert best <= choice.efficiency * (1 + 1e-11)


@pytest.mark.parametrize("variant", ["sparsify", "sign", "stochastic"])
def test_a_cost_without_structure_is_weighed_at_every_whole_budget(variant: Any) -> None:
    rng = np.random.default_rng(14)
    for _ in range(400):
        x = random_vector(rng, 60)
        size = CodeSize(32, 9, 8)
        floor, step = float(rng.integers(80, 900)), float(rng.integers(1, 300))

        def stairs(bit: Any, floor: float = floor, step: float = step) -> Any:
            return 7 + np.maximum(bit, floor) // step

        budgets = np.arange(1.0, np.count_nonzero(x) + 1)
        bits = 64 + 8 * np.ceil((40 + 9 * budgets) / 8)
        gains = gain(x, variant) / gain(x, "sparsify")[-1] if variant != "stochastic" else omega(x, budgets)
        ratio = gains / stairs(bits)
        choice = tune(x, variant, size, FunctionCost(stairs, "unit"), drawn=False)
        assert choice.budget == int(choice.budget)
        assert ratio[int(choice.budget) - 1] == pytest.approx(ratio.max(), rel=1e-12)
        assert choice.efficiency == pytest.approx(ratio.max(), rel=1e-12)


def hard_vectors(d: int) -> dict[str, Any]:
    """Large vectors on which sampling goes wrong if anything does."""
    rng = np.random.default_rng(15)
    places = np.zeros(d, bool)
    found = measure(np.arange(d, dtype=float))
    places[found._sample.astype(int)] = True
    return {
        "normal": rng.standard_normal(d),
        "heavy tail": rng.standard_t(1.5, d),
        "95 % zero": np.where(rng.random(d) < 0.05, rng.lognormal(0, 2, d), 0),
        "few nonzeros": np.where(np.arange(d) % 1999 == 5, rng.standard_normal(d), 0),
        "all equal": np.full(d, -0.5),
        "small integers": rng.integers(-3, 4, d).astype(float),
        "sample sees large": np.where(places, 1 + rng.random(d), 1e-3 * rng.random(d)),
        "sample sees small": np.where(places, 1e-3 * rng.random(d), 1 + rng.random(d)),
        "sample sees zeros": np.where(places, 0.0, rng.standard_normal(d)),
    }


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_large_vectors_equal_a_full_sort(dtype: type) -> None:
    d = 30_011
    size = CodeSize(0, 47, 15)
    p = np.arange(1.0, d + 1) * 47
    message = 64 + 8 * np.ceil((15 + p) / 8)
    costs: list[tuple[StructuredCost, Any]] = []
    for rho in (0.0, 9.0, 3e3, 1e5):
        costs.append((StructuredCost(CostStructure(c0=47 * rho, c_bit=1), "paper"), 47 * rho + p))
        for packing, n in (("whole", np.ceil(np.arange(1, d + 1) / (4096 // 47))), ("stream", np.ceil(p / 4096))):
            steps = CostStructure(47 * rho, 4608, 0, 4096, 0, packing)  # type: ignore[arg-type]
            both = CostStructure(47 * rho, 432, 1, 4096, 0, packing)  # type: ignore[arg-type]
            costs.append((StructuredCost(steps, "paper"), 47 * rho + 4608 * n))
            costs.append((StructuredCost(both, "paper"), 47 * rho + 432 * n + p))
        frames = CostStructure(47 * rho, 300, 1, 800, 16)
        costs.append((StructuredCost(frames, "message"), 47 * rho + 300 * np.ceil((16 + message) / 800) + message))
    for name, x in hard_vectors(d).items():
        x = x.astype(dtype)
        gains = {v: gain(x, v) for v in ("sparsify", "sign")}
        for cost, prices in costs:
            for variant, gained in gains.items():
                ratio = gained / prices[: gained.size]
                t = int(tune(x, variant, size, cost).budget)  # type: ignore[arg-type]
                assert ratio[t - 1] == pytest.approx(ratio.max(), rel=1e-12), (name, variant, cost)


def test_large_stochastic_equals_small(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same vectors with and without pools, samples and compiled passes."""
    size = CodeSize(32, 47, 15)
    structures = (
        CostStructure(c0=5e4, c_bit=1),
        CostStructure(512, 4608, 0, 4096),
        CostStructure(512, 4608, 0, 4096, packing="stream"),
        CostStructure(1e5, 432, 1, 4096),
    )
    for x in hard_vectors(20_011).values():
        for cost in (StructuredCost(s, "paper") for s in structures):
            large = tune(x, "stochastic", size, cost, drawn=False)
            with monkeypatch.context() as patch:
                patch.setattr(magnitudes, "COMPILED_FROM", 1 << 60)
                small = tune(x, "stochastic", size, cost, drawn=False)
            assert large.efficiency == pytest.approx(small.efficiency, rel=1e-12)
            assert large.progress == pytest.approx(small.progress, rel=1e-6)


def test_compiled_passes_equal_their_numpy_twins() -> None:
    from algorithms.tuners import magnitudes_kernel

    rng = np.random.default_rng(16)
    for d in (1, 63, 64, 65, 127, 128, 200, 5000):
        for dtype in (np.float32, np.float64):
            x = (rng.standard_t(2, d) * (rng.random(d) < 0.7)).astype(dtype)
            for bound in (dtype(0.3), dtype(1.5), np.abs(x).max()):
                m = np.abs(x).astype(np.float64)
                assert magnitudes_kernel.energy_from(x, bound) == pytest.approx((m[m >= bound] ** 2).sum(), rel=1e-14)
                assert magnitudes_kernel.mass_below(x, bound) == pytest.approx(m[m < bound].sum(), rel=1e-14)
            for line in (Line(1.0, 1.0), Line(300.0, 1.0), Line(1e9, 1.0)):
                places, kept, energy = affine.fixed_point(np.arange(d), np.abs(x), line)
                same_places, same, other = affine.fixed_point(np.arange(d), np.abs(x), line, compiled=True)
                assert np.array_equal(kept, same)
                assert np.array_equal(places, same_places)
                assert np.array_equal(np.abs(x)[places], kept)
                assert energy == pytest.approx(other, rel=1e-14)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_best_bit_stream_may_end_far_below_the_lines_best(dtype: type, monkeypatch: pytest.MonkeyPatch) -> None:
    """Entries of 33 bits in packets of 40: 1560 fill 1287 packets to the bit, R = 1560 / 1288 > 1599 / 1321."""
    monkeypatch.setattr(magnitudes, "COMPILED_FROM", 1)
    monkeypatch.setattr(magnitudes, "SAMPLE", 1024)
    monkeypatch.setattr(packets, "REACH", 1)
    rng = np.random.default_rng(24)
    x: Any = (1 + 2.0**-23 * rng.permutation(1599)).astype(dtype)
    case = Case(x, "sparsify", CodeSize(0, 33, 8), paper(c0=1, c_packet=1, room=40, packing="stream"))
    assert affine.keep(measure(x), BudgetCost(case.size, case.cost).line).entries == 1599
    assert tune(x, "sparsify", case.size, case.cost).budget == 1560
    check_against_all_budgets(case)


def test_negative_constants_are_tuned() -> None:
    """802.15.4-like: the sum is positive from the first packet on, and the best T follows all T weighed."""
    rng = np.random.default_rng(17)
    for _ in range(100):
        x = rng.standard_t(2, 300)
        structure = CostStructure(-1184e-6, 3072e-6, 32e-6, 8 * 100.0, packing="stream")
        for variant in ("sparsify", "sign"):
            check_against_all_budgets(Case(x, variant, CodeSize(32, 41, 9), StructuredCost(structure, "message", "s")))


def test_the_curve_has_its_top_at_the_choice() -> None:
    rng = np.random.default_rng(18)
    for variant in ("sparsify", "sign", "stochastic"):
        for _ in range(100):
            case = random_case(rng, variant)
            choice = tune(case.x, case.variant, case.size, case.cost, drawn=False)
            budgets = np.append(np.arange(0.0, np.count_nonzero(case.x) + 1), choice.budget)
            curve = efficiency(case.x, case.variant, case.size, case.cost, budgets, drawn=False)
            assert curve[0] == 0
            assert curve[-1] == pytest.approx(choice.efficiency, rel=1e-12)
            assert curve.max() <= choice.efficiency * (1 + 1e-12)
            assert progress(case.x, case.variant, choice.budget) == pytest.approx(choice.progress, rel=1e-12)


def test_small_vectors_import_no_numba() -> None:
    code = """
import sys, numpy as np
from algorithms.coding.sizes import CodeSize
from algorithms.tuners.tune import tune
from channels.costing.models import StructuredCost
from netsim.interfaces import CostStructure
x = np.random.default_rng(1).standard_normal(5000)
for variant in ("sparsify", "sign", "stochastic"):
    for structure in (CostStructure(1, 0, 1), CostStructure(1, 1, 0, 4096)):
        tune(x, variant, CodeSize(32, 45, 13), StructuredCost(structure, "paper"))
sys.exit("numba" in sys.modules or "scipy" in sys.modules)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
