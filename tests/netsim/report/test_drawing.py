"""The report page's drawings: curves, axes, bars, colours."""

from __future__ import annotations

import itertools
import math
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from netsim import report
from netsim.report import axes, curves, spent, svg, words
from tests.support.page import folder
from tests.support.page.reader import visible


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 4), st.integers(2, 80), st.integers(3, 40), st.integers(0, 2**32 - 1))
def test_a_band_holds_every_report_and_its_line_is_the_median(
    replications: int, rounds: int, most: int, seed: int
) -> None:
    """Against a plain reading of the definition, on random tracks of unequal length."""
    rng = np.random.default_rng(seed)
    tracks = []
    for _ in range(replications):
        size = int(rng.integers(2, rounds + 1))
        tracks.append((np.concatenate([[0.0], np.cumsum(rng.integers(0, 9, size - 1))]), rng.normal(size=size)))
    table = {
        "replication": np.concatenate([np.full(len(x), i, float) for i, (x, _) in enumerate(tracks)]),
        "x": np.concatenate([x for x, _ in tracks]),
        "y": np.concatenate([y for _, y in tracks]),
    }
    band = curves.band(table, "x", "y", most)
    if band is None:
        assert not any((x > 0).any() for x, _ in tracks)
        return
    assert band.replications == replications
    assert band.x.size <= most + 1
    ends = np.append(band.x[1:], np.inf)
    for i, (at, end) in enumerate(zip(band.x, ends, strict=True)):
        values = [y[x <= at][-1] for x, y in tracks]
        assert band.median[i] == pytest.approx(np.median(values), abs=1e-12)
        since = band.x[i - 1] if i else -1.0
        seen = np.concatenate([[v, *y[(x > since) & (x <= at)]] for v, (x, y) in zip(values, tracks, strict=True)])
        assert (band.low[i], band.high[i]) == (seen.min(), seen.max())
        assert end > at


def test_thinning_keeps_the_extremes() -> None:
    rng = np.random.default_rng(4)
    x, y = np.arange(1.0, 5001.0), rng.normal(size=5000)
    thin_x, thin_y = curves.thin(x, y, 100)
    assert thin_x.size <= 102
    assert (thin_y.min(), thin_y.max(), thin_x[0], thin_x[-1]) == (y.min(), y.max(), 1.0, 5000.0)
    assert (np.diff(thin_x) > 0).all()


def test_steps_are_drawn_as_steps() -> None:
    x, y = np.array([0.0, 10.0, 20.0, 30.0]), np.array([5.0, 5.0, 2.0, 2.5])
    assert svg._path(x, y, is_step=True) == "M0 5h20v-3h10v0.5"
    assert svg._back(x, y) == "V2.5V2H20V5H0"
    assert svg._path(x, y, is_step=False) == "M0 5H10L20 2L30 2.5"


positive = st.floats(1e-14, 1e14)


@settings(max_examples=300, deadline=None)
@given(positive, st.floats(1.01, 1e9), st.booleans(), st.sampled_from(["", "bit", "s", "J"]), st.booleans())
def test_ticks_lie_on_the_axis_and_do_not_touch(
    low: float, span: float, is_log: bool, unit: str, is_count: bool
) -> None:
    axis = axes.Axis(low, low * span, is_log, unit, is_count)
    for is_vertical, length in ((False, 320.0), (True, 220.0)):
        ticks = axis.ticks(length, vertical=is_vertical)
        assert ticks
        assert all(axis.low * (1 - 1e-6) <= value <= axis.high * (1 + 1e-6) for value, _ in ticks)
        if is_vertical:
            continue
        at = [float(axis.at(value, length)) for value, _ in ticks]
        half = [axes.text_px(label) / 2 for _, label in ticks]
        gaps = [b - a - g - h for (a, g), (b, h) in itertools.pairwise(zip(at, half, strict=True))]
        assert all(gap > 0 for gap in gaps)


def test_an_axis_is_logarithmic_only_where_that_helps() -> None:
    assert axes.axis([np.array([1.0, 1000.0])]) == axes.log_axis([np.array([1.0, 1000.0])])
    assert axes.axis([np.array([1.0, 3.0])]) == axes.linear_axis([np.array([1.0, 3.0])])
    assert axes.axis([np.array([-1.0, 1000.0])]) == axes.linear_axis([np.array([-1.0, 1000.0])])
    assert axes.axis([np.array([math.nan])]) is None


@settings(max_examples=300, deadline=None)
@given(st.floats(1e-13, 1e17), st.sampled_from(["bit", "B", "J", "s", ""]))
@example(1e4, "s")
@example(359_999.0, "s")
def test_a_number_with_its_prefix_is_the_number(value: float, unit: str) -> None:
    """Three digits: within 0.5 % + rounding; half a unit where counts are written in full."""
    text = words.si(value, unit)
    number, _, suffix = text.partition(words.NBSP)
    powers = {prefix: power for power, prefix in words._PREFIXES.items()}
    factor = 3600.0 if suffix == "h" else 10.0 ** powers[suffix.removesuffix(unit) if unit else suffix]
    assert float(number) * factor == pytest.approx(value, rel=5.1e-3, abs=0.51 if not unit and value >= 100 else 0)


def test_efficiency_is_drawn_at_three_rounds_with_the_chosen_budget(tmp_path: Path) -> None:
    made = folder.make(tmp_path / "run", points=["p"], kinds=folder.KINDS[:3], rounds=50, replications=1)
    page = report.write(made).read_text("utf-8")
    table = pq.read_table(made / "efficiency.parquet").to_pydict()
    section = page[page.index('<section id="efficiency">') : page.index('<section id="budget">')]
    assert section.count('<circle class="p"') == 6  # CAT S and CAT S+Q, three rounds each
    for label in ("CAT S", "CAT S+Q"):
        own = section[section.index(f"<h4>{label}</h4>") :]
        rows = zip(table["label"], table["round"], table["budget"], table["chosen"], strict=True)
        chosen = {round: budget for name, round, budget, is_chosen in rows if name == label and is_chosen}
        assert sorted(chosen) == [1, 40, 96]
        for round, budget in chosen.items():
            assert f"<span>round {round}: T = {budget}</span>" in own


def test_different_budgets_are_counted(tmp_path: Path) -> None:
    made = folder.make(tmp_path / "run", points=["p"], kinds=folder.KINDS[:2], rounds=50, replications=1)
    table = pq.read_table(made / "rounds.parquet").to_pandas()
    several = table[table.label == "CAT S"].budget.dropna().nunique()
    assert several > 5
    assert f"Different T in one replication: CAT S: {several}." in visible(report.write(made).read_text("utf-8"))


def test_bars_are_shares_of_the_last_rows(tmp_path: Path) -> None:
    made = folder.make(tmp_path / "run", points=["p"], kinds=folder.KINDS[:1], rounds=50, replications=2)
    page = report.write(made).read_text("utf-8")
    ends = pq.read_table(made / "rounds.parquet").to_pandas().groupby("replication").last().mean(numeric_only=True)
    for parts, unit in ((("compute", "uplink", "downlink", "waiting"), "s"), (("tx", "rx", "listen", "idle"), "j")):
        names = [f"{'time' if unit == 's' else 'energy'}_{part}_{unit}" for part in parts]
        whole = sum(ends[name] for name in names) + (ends.energy_compute_j if unit == "j" else 0)
        told = ", ".join(f"{part} {ends[name] / whole:.0%}" for part, name in zip(parts, names, strict=True))
        assert f"GD {words.si(whole, unit.upper() if unit == 'j' else unit)}: {told}" in page


def test_bounds_are_means_over_replications_of_fixed_budgets(tmp_path: Path) -> None:
    kinds = [("CAT", *folder.KINDS[1][1:]), *((f"S, T={t}", *folder.KINDS[7][1:]) for t in (1, 10, 100, 1000, 5000))]
    made = folder.make(tmp_path / "run", points=[""], kinds=kinds, rounds=5, replications=1)
    folder.bounds(made)
    text = (made / "bounds.csv").read_text()
    (line,) = [line for line in text.splitlines() if ",convex,0.01,10," in line]
    again = line.replace(",,0,convex", ",,1,convex").split(",")
    again[-2] = str(3 * float(again[-2]))  # the second replication measures three times as many bits
    (made / "bounds.csv").write_text("\n".join([text, ",".join(again), line.replace('"S, T=10"', "CAT")]))
    page = report.write(made).read_text("utf-8")
    once = 10 * 45 * 4e4 / (10 / 5000) ** 0.35 / 20
    row = "<td>10</td><td>0.114</td><td>56.8</td><td>9.00\xa0Gbit</td><td>158\xa0Mbit</td><td>{}</td>"
    assert f'<th scope="row">S, T=10</th>{row.format(words.si(2 * once, "bit"))}' in page
    assert f'<th scope="row">CAT</th>{row.format(words.si(once, "bit"))}' in page
    assert 'data-s="CAT"' not in page[page.index('<section id="bounds">') : page.index('<section id="curves">')]


# --- colours ---------------------------------------------------------------------------------------------------

# Machado, Oliveira, Fernandes, "A physiologically-based model for simulation of color vision deficiency", IEEE TVCG 15,
# 2009, severity 1.0: protanopia, deuteranopia, tritanopia.
DEFICIENCIES = np.array([
    [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
    np.eye(3),
])  # fmt: skip


@pytest.mark.parametrize("which", ["lines", "time", "energy"])
def test_colours_stay_apart_for_colour_blind_eyes(which: str) -> None:
    """At least 25 in CIE 1976 L*a*b*, ten times what is just noticeable (2.3, Mahy 1994)."""
    parts = {"time": spent.TIME, "energy": spent.ENERGY}.get(which, ())
    colours = [c for _, c in parts] or [c for c, *_ in svg.STYLES]
    srgb = np.array([[int(c[i : i + 2], 16) / 255 for i in (1, 3, 5)] for c in colours])
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    for matrix in DEFICIENCIES:
        xyz = np.clip(linear @ matrix.T, 0, 1) @ to_xyz.T / [0.9505, 1, 1.089]
        f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
        lab = np.stack([116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], axis=1)
        assert min(np.linalg.norm(a - b) for a, b in itertools.combinations(lab, 2)) > 25


def test_lines_differ_without_colour() -> None:
    assert len({(dash, marker) for _, dash, marker in svg.STYLES}) == len(svg.STYLES)
    assert len({marker for *_, marker in svg.STYLES}) == len(svg.STYLES)
