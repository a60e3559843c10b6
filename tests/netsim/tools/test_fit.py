"""Fitting cost models: known parameters and families come back, what does not fit is said, and the YAML is the fit."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from benchmarks import fit_cost
from netsim.cli import main
from netsim.errors import ConfigError
from netsim.interfaces import Node
from netsim.registry import build
from netsim.scenario.yaml_lines import read as read_yaml
from netsim.tools import cost_families
from netsim.tools import fit as fitting
from netsim.tools.cost_families import FAMILIES, Fit, compare, fit

SIZES = np.repeat(8.0 * np.arange(32, 1500, 48), 5)
TRUTHS: dict[str, dict[str, float]] = {
    "constant": {"c0": 5000.0},
    "affine": {"c0": 432.0, "c_bit": 1.0},
    "packets": {"c0": 500.0, "c_packet": 4000.0, "c_bit": 0.5},
    "piecewise": {"c0": 500.0, "c_bit": 0.5, "c_bend": 2.0, "bend": 6000.0},
}


def trial(family: str, seed: int) -> tuple[npt.NDArray[np.float64], dict[str, float]]:
    """Noisy costs at `SIZES`, five of each, noise 3 % of the mean cost; packets of 60 to 500 bytes."""
    rng = np.random.default_rng([seed, FAMILIES.index(family)])
    truth = TRUTHS[family] | ({"payload_max": 8.0 * rng.integers(60, 500)} if family == "packets" else {})
    cost = Fit(family, truth, {}, 0.0, 0.0)(SIZES)
    return cost + rng.normal(0.0, 0.03 * cost.mean(), SIZES.size), truth


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_the_family_and_its_parameters_come_back(family: str) -> None:
    """The true family in at least 95 of 100 trials, each parameter in its 95 % interval in at least 88 of 100.

    With coverage 0.95 fewer than 88 have probability 0.0003.
    """
    chosen, covered = 0, Counter[str]()
    for seed in range(100):
        y, truth = trial(family, seed)
        fits = compare(SIZES, y, unit=8.0)
        chosen += fits[0].family == family
        own = next(f for f in fits if f.family == family)
        for name, value in truth.items():
            low, high = own.intervals[name]
            covered[name] += low <= value <= high
    print(family, chosen, dict(covered))
    assert chosen >= 95
    assert min(covered.values()) >= 88


@pytest.mark.parametrize("family", FAMILIES)
def test_the_family_comes_back_at_once(family: str) -> None:
    assert [compare(SIZES, trial(family, seed)[0], unit=8.0)[0].family for seed in (1, 2)] == [family] * 2


def test_without_noise_the_numbers_are_exact() -> None:
    size = 8.0 * np.arange(1, 200, 3)
    cost = -7.0 + 40.0 * np.ceil(size / 512) + 0.25 * size
    (best, *_) = compare(size, cost, unit=8.0)
    assert best.family == "packets"
    low, high = best.intervals["payload_max"]
    assert low <= 512 <= high
    assert best.values["c0"] == pytest.approx(-7, abs=1e-6)
    assert best.values["c_packet"] == pytest.approx(40)
    assert best.values["c_bit"] == pytest.approx(0.25)
    assert np.allclose(best(size), cost)
    (line, *_) = compare(size, 3 + 2 * size, unit=8.0)
    assert line.family == "affine"
    assert line.values == pytest.approx({"c0": 3, "c_bit": 2})


def test_reductions_are_those_of_least_squares() -> None:
    """The search's fast formula against a fit of every candidate by itself."""
    rng = np.random.default_rng(3)
    x = np.sort(rng.integers(8, 4000, 25)).astype(float)
    y = rng.normal(0, 1, 25) + 0.01 * x
    data = cost_families._Data.of(x, y, rng.uniform(0.5, 2, 25))
    shapes = np.array([np.ceil(x / p) for p in (100.0, 333.0, 1000.0, 3999.0)])
    gains = data.reductions(shapes, [x])
    for shape, gain in zip(shapes, gains, strict=True):
        design = np.column_stack([np.ones(25), x, shape]) * data.root[:, None]
        rest = y * data.root - design @ np.linalg.lstsq(design, y * data.root, rcond=None)[0]
        assert data.rss([x]) - gain == pytest.approx(float(rest @ rest), rel=1e-9)


def test_staircases_are_least_squares_under_their_signs() -> None:
    """The search's closed form against a fit of each set of columns by itself; infinite where c_packet would be 0."""

    def fitted(*columns: npt.NDArray[np.float64]) -> tuple[float, npt.NDArray[np.float64]]:
        design = np.column_stack([np.ones(25), *columns]) * data.root[:, None]
        found = np.linalg.lstsq(design, data.y * data.root, rcond=None)[0]
        rest = data.y * data.root - design @ found
        return float(rest @ rest), found[1:]

    rng = np.random.default_rng(7)
    x = np.sort(rng.integers(8, 4000, 25)).astype(float)
    counts = np.array([np.ceil(x / p) for p in (100.0, 333.0, 1000.0, 2500.0, 3600.0)])
    seen = set()
    for _ in range(40):
        y = rng.normal(0, 1, 25) + rng.choice([-1, 0, 1]) * 3e-4 * x + rng.choice([0, 1]) * counts[2] / 2
        data = cost_families._Data.of(x, y, rng.uniform(0.5, 2, 25))
        for row, rss in zip(counts, data.staircases(counts), strict=True):
            both, (c_packet, c_bit) = fitted(row, x)
            alone, (c_alone,) = fitted(row)
            feasible = [both] if c_packet > 0 and c_bit >= 0 else [alone] if c_bit < 0 and c_alone > 0 else []
            seen.add((c_packet > 0, c_bit > 0))
            assert rss == (pytest.approx(feasible[0], rel=1e-6) if feasible else np.inf)
    assert len(seen) == 4
    assert data.staircases(np.ones((1, 25))) == np.inf


def test_a_falling_cost_is_no_line() -> None:
    fits = compare(SIZES, 1e5 - SIZES, unit=8.0)
    assert fits[0].family == "constant"


@pytest.mark.parametrize("count", [3, 4, 5, 6, 10])
def test_exact_data_are_of_their_family_however_few(count: int) -> None:
    """Where rounding is all that is left, the fewest numbers that say it."""
    x = 8.0 * np.rint(np.linspace(100, 1500, count))
    for scale in (1e-9, 1.0, 1e9):
        assert compare(x, scale * (432 + x), unit=8.0)[0].family == "affine"
        assert compare(x, scale * np.full(count, 7.3), unit=8.0)[0].family == "constant"
        payload = 8 * (260 if count < 6 else 230)  # packets 1, 4, 6 or 1, 2, 3, 5, 6, 7 and the like: no line
        (best, *_) = compare(x, scale * (5 + 40 * np.ceil(x / payload)), unit=8.0)
        assert best.family == "packets"
        assert best.values["c_packet"] == pytest.approx(40 * scale)
        low, high = best.intervals["payload_max"]
        assert low <= payload <= high


def test_no_family_is_contradicted_by_its_own_interval() -> None:
    """Whatever the data: what the chosen family adds is not 0, and constant is not chosen beside a line that rises."""
    rng = np.random.default_rng(41)
    for _ in range(60):
        sizes = int(rng.integers(3, 13))
        x = np.repeat(8.0 * np.sort(rng.choice(np.arange(20, 1500), sizes, replace=False)), int(rng.integers(1, 4)))
        family = FAMILIES[rng.integers(4)]
        truth = TRUTHS[family] | ({"payload_max": 8.0 * rng.integers(60, 900)} if family == "packets" else {})
        y = Fit(family, truth, {}, 0.0, 0.0)(x)
        fits = compare(x, y + rng.normal(0, rng.choice([1e-3, 0.05, 0.5]) * y.mean(), x.size), unit=8.0)
        best = fits[0]
        if best.family == "constant":
            line = next((f for f in fits if f.family == "affine"), None)
            assert line is None or line.intervals["c_bit"][0] <= 0
        else:
            low, high = best.intervals[cost_families.OWN[best.family]]
            assert low > 0 or (best.family == "piecewise" and high < 0)


def test_the_table_of_the_docs_is_what_comes_out() -> None:
    """A column of it, 200 trials of a line and of a constant each (three sizes, noise of 5 %)."""
    text = fit_cost.DOCS.read_text().partition(fit_cost.MARKS[0])[2].partition(fit_cost.MARKS[1])[0]
    rows = [[cell.strip() for cell in line.strip("| \n").split("|")] for line in text.strip().splitlines()]
    place = rows[0].index("3 sizes")
    told = {(row[0], row[1], row[2]): float(row[place]) for row in rows[2:]}
    assert len(told) == 2 * len(fit_cost.NOISES) * len(fit_cost.TRUTHS)
    for truth in ("line", "constant"):
        chosen = fit_cost.found(truth, 3, 0.05)
        assert told["1", "5.0%", truth] == 100 * chosen[fit_cost.TRUTHS[truth].family] / fit_cost.TRIALS
        assert told["1", "exact", truth] == told["5", "exact", truth] == 100


def test_too_few_points_determine_nothing() -> None:
    assert fit([1, 2], [1, 2], "affine") is None
    assert fit([1, 1, 1], [1, 2, 3], "affine") is None
    assert fit([1, 2, 3, 4], [1, 2.1, 3, 4.5], "packets") is None
    assert [f.family for f in compare([8, 16, 24], [1, 2, 3.1])] != []


def test_weights_count() -> None:
    x, y = np.array([8.0, 16, 24, 32]), np.array([8.0, 16, 24, 99])
    weighed = fit(x, y, "affine", [1, 1, 1, 1e-12])
    assert weighed is not None
    assert weighed.values["c_bit"] == pytest.approx(1, abs=1e-6)


# --- the YAML ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", FAMILIES)
def test_the_cost_is_the_fit_at_the_papers_bits(family: str) -> None:
    """CAT asks for P, the message has 64 bits more."""
    values = TRUTHS[family] | ({"payload_max": 1600.0} if family == "packets" else {})
    one = Fit(family, values, {}, 0.0, 0.0)
    config = fitting.cost_of(one, 64.0)
    model = build("cost", config).open(None)
    papers = np.array([8.0, 1000, 1536, 1544, 5936, 20000])
    assert np.allclose(model(papers), one(papers + 64), rtol=1e-5)


def test_sizes_in_entries() -> None:
    one = Fit("affine", {"c0": 3.0, "c_bit": 2.0}, {}, 0.0, 0.0)
    assert build("cost", fitting.cost_of(one, 0.0, 40.0)).open(None)(400.0) == pytest.approx(3 + 2 * 10)


@pytest.mark.parametrize(
    ("values", "family"),
    [({"c0": 0.002, "c_bit": 1e-6}, "affine"),
     ({"c0": 0.002, "c_bit": 1e-6, "c_packet": 2.4e-4, "payload_max": 8000.0}, "packets")],
)  # fmt: skip
def test_the_link_behaves_as_fitted(values: dict[str, float], family: str) -> None:
    one = Fit(family, values, {}, 0.0, 0.0)
    size = np.array([800.0, 8000, 8008, 24000])
    ones = np.ones(4)
    points = fitting.Points(size, one(size), ones, ones, ones, ones, False, "s", ("bytes", "seconds"))
    config = fitting.link_of(one, points)
    medium = build("channel", config).open([Node(0), Node(1, True)], np.random.default_rng(0))
    assert np.allclose(medium.cost("s", 0, 1)(size), one(size), rtol=1e-5)


# --- the command ---------------------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def said(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> str:
    assert main(["fit-cost", *words]) == code
    captured = capsys.readouterr()
    if code:
        assert captured.out == ""
        assert captured.err.count("\n") == 1
    return captured.err.strip() if code else captured.out


def write(path: str, header: str, rows: list[tuple[Any, ...]]) -> str:
    Path(path).write_text("\n".join([header, *(",".join(map(str, row)) for row in rows)]) + "\n")
    return path


def test_from_a_probe_to_a_cost_of_cat(capsys: pytest.CaptureFixture[str]) -> None:
    """802.15.4: c_packet 3168 us for 100 B with the spacing, c_bit 4 us, and 1184 us less at the end."""
    words = ["--message-bytes", "20:600:20", "--nodes", "1,4", "--replications", "20"]
    assert main(["probe", "ieee802154", *words, "-o", "p.csv"]) == 0
    capsys.readouterr()
    text = said(capsys, "p.csv", "-o", "cost.yaml", "--plot", "fit.svg")
    assert "affine does not hold: it misses by up to" in text
    assert "with 4 senders a message takes" in text
    cost = read_yaml(Path("cost.yaml").read_text(), "cost.yaml").data["cost"]
    assert cost["name"] == "packets"
    assert cost["payload_max_bit"] == 800
    assert cost["c_packet"] == pytest.approx(3168e-6, rel=0.1)
    assert cost["c_bit"] == pytest.approx(4e-6, rel=0.1)
    model, exact = build("cost", cost).open(None), np.array([100.0, 400, 1000])
    medium = build("channel", "ieee802154").open([Node(0), Node(1, True)], np.random.default_rng(0))
    assert np.allclose(model(8 * exact - 64), medium.cost("s", 0, 1)(8 * exact), rtol=0.05)
    assert len(ET.fromstring(Path("fit.svg").read_text()).findall(".//{*}svg[@class='f']")) == 3
    # Joules of the sender do not depend on the others here: only the line is blamed.
    assert "senders a message needs" not in said(capsys, "p.csv", "--y", "joules")


def test_an_affine_link_is_found_with_its_rate(capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(5)
    rows = [(s, 0.004 + 8 * s / 2e6 + rng.normal(0, 1e-4)) for s in range(100, 5000, 100) for _ in range(3)]
    text = said(capsys, write("own.csv", "bytes,seconds", rows))
    assert "affine, with 95 % confidence intervals" in text
    assert "warning" not in text
    cost = read_yaml(text.splitlines()[-1], "x").data["cost"]
    assert cost["c_bit"] == pytest.approx(1 / 2e6, rel=0.01)
    assert cost["c0"] == pytest.approx(0.004 + 64 / 2e6, rel=0.02)
    assert "# a link that behaves so: {name: ethernet_udp" in text


def test_columns_by_name_and_rows_by_value(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [(p, s, f * (1 + s / 1000)) for p, f in (("tcp", 5), ("udp", 2)) for s in (100, 200, 400, 800, 1600)]
    path = write("m.csv", "protocol,size_bytes,p95_ms", rows)
    error = said(capsys, path, "--y", "p95_ms", code=2)
    assert error == "m.csv: one protocol at a time; choose with --where protocol=tcp. Got tcp, udp."
    text = said(capsys, path, "--y", "p95_ms", "--where", "protocol=udp", "--header-bit", "0")
    assert read_yaml(text.splitlines()[-1], "x").data["cost"] == pytest.approx(
        {"name": "affine", "c0": 0.002, "c_bit": 2e-3 / 8000}
    )


def test_losses_of_a_measurement_are_said(capsys: pytest.CaptureFixture[str]) -> None:
    """loss 0.2 at 800 B: sent until it arrives, 1 / 0.8 = 1.25 times the cost. Below 1 % nothing is said."""
    rows = [(s, 1e-3 + 1e-6 * s, 0.2 if s == 800 else 0.0) for s in (100, 200, 400, 800, 1600)]
    text = said(capsys, write("m.csv", "bytes,seconds,loss", rows))
    assert (
        "warning: up to 20% of the messages got lost (at 800 B); the cost is of those that arrived: sent until it "
        "arrives, one costs up to 1.25 times as much." in text
    )
    assert fitting.read("m.csv").delivery.tolist() == pytest.approx([1, 1, 1, 0.8, 1])
    assert "lost" not in said(capsys, write("n.csv", "bytes,seconds,loss", [(s, c, 0.005) for s, c, _ in rows]))


def test_few_sizes_are_warned_of(capsys: pytest.CaptureFixture[str]) -> None:
    text = said(capsys, write("l.csv", "bytes,seconds", [(s, 2e-3 + 8e-6 * s) for s in (100, 500, 900)]))
    assert "affine, with 95 % confidence intervals" in text
    assert "nan" not in text
    assert "warning: with 3 sizes a step of packets or a bend cannot be told from a line; measure 5 or more." in text
    assert read_yaml(text.splitlines()[-1], "x").data["cost"]["c_bit"] == pytest.approx(1e-6)


def test_budgets(capsys: pytest.CaptureFixture[str]) -> None:
    path = write("t.csv", "T,joules", [(t, 1e-3 + 2e-5 * t) for t in (1, 5, 20, 100, 300)])
    assert said(capsys, path, "--x", "T", "--y", "joules", code=2) == (
        "--entry-bit: the bits of a kept coordinate are needed where sizes are T, such as 32 for a float and "
        "ceil(log2 d) for its place."
    )
    text = said(capsys, path, "--x", "T", "--y", "joules", "--entry-bit", "40")
    assert read_yaml(text.splitlines()[-1], "x").data["cost"] == pytest.approx(
        {"name": "affine", "c0": 1e-3, "c_bit": 5e-7}
    )


def test_contention_is_said_with_its_size(capsys: pytest.CaptureFixture[str]) -> None:
    """Costs of 20 senders that grow with the square of the size are no line, however they are fitted."""
    sizes = range(100, 1100, 100)
    lone = [(1, s, 1e-3 * s, 1e-5 * s, 1.0) for s in sizes]
    many = [(20, s, 1e-3 * s * (5 + s / 100), 1e-4 * s, 0.5) for s in sizes]
    text = said(capsys, write("n.csv", "nodes,message_bytes,service_s,service_s_se,delivery", lone + many))
    assert "with 20 senders a message takes 6 to 15 times what the affine model of 1 says" in text
    assert "a line of its own misses by up to" in text
    assert "only 50% to 50% of the messages arrive" in text
    only = said(capsys, "n.csv", "--where", "nodes=20")
    assert "all rows are of 20 senders: the cost contains the others' load" in only
    assert "affine does not hold: it misses by up to" in only


def test_csma_ca_of_twenty_nodes_is_no_line_and_by_how_much(capsys: pytest.CaptureFixture[str]) -> None:
    """A real probe: said of all rows together and of those of 20 nodes alone, with the same figure, checked by hand."""
    words = ["--nodes", "1,20", "--message-bytes", "20:340:40", "--replications", "12"]
    assert main(["probe", "{name: ieee802154, mac: csma_ca}", *words, "-o", "p.csv"]) == 0
    capsys.readouterr()
    both, alone = said(capsys, "p.csv"), said(capsys, "p.csv", "--where", "nodes=20")
    pattern = (
        r"warning: affine does not hold under contention: with 20 senders a message takes (\d+) to (\d+) times what "
        r"the packets model of 1 says, and a line of its own misses by up to (\d+)% \(at (\d+) B\)\. The cost depends "
        r"on the others' load, which no model of the size knows\."
    )
    (found,) = re.findall(pattern, both)
    least, most, percent, size = map(int, found)
    assert 10 < least < most
    assert f"warning: affine does not hold: it misses by up to {percent}% (at {size} B), chi2 = " in alone
    points = fitting.read("p.csv").of(20)
    spread = points.spread()
    assert spread is not None
    line = np.polyval(np.polyfit(points.size, points.cost, 1, w=1 / spread[0]), points.size)
    off = np.abs(points.cost - line) / points.cost
    assert percent == round(100 * off.max())
    assert percent > 20
    assert size == points.size[np.argmax(off)] / 8


@pytest.mark.parametrize(
    ("header", "rows", "words", "sentence"),
    [
        ("bytes,seconds", [(1, 1), (2, 2)], [],
         "fit-cost: a fit needs at least 3 sizes. Got 2 rows of 2 sizes."),
        ("bytes,seconds", [(5, 1), (5, 2), (5, 3)], [],
         "fit-cost: a fit needs at least 3 sizes. Got 3 rows of 1 size."),
        ("bytes,secs", [(1, 1)], [],
         "f.csv: a column for seconds (service_s, latency_mean_s, seconds, p50_s, latency_s, time_s), or its name with "
         "--y. Got the columns bytes, secs."),
        ("size,seconds", [(1, 1)], [],
         "f.csv: a column for bytes (message_bytes, size_bytes, bytes, payload_bytes, size_bit), or its name with --x. "
         "Got the columns size, seconds."),
        ("size,seconds", [(1, 1)], ["--x", "size"],
         "--x: bytes, T, or a column whose name ends in _bytes or _bit. Got 'size'."),
        ("bytes,secs", [(1, 1)], ["--y", "secs"],
         "--y: seconds, joules, or a column whose name ends in one of _s, _ms, _us, _ns, _j, _mj, _uj. Got 'secs'."),
        ("bytes,p50_s", [(1, 1)], ["--y", "p5_s"],
         "--y: one of seconds, joules, or a column of f.csv: bytes, p50_s. Got 'p5_s'. Nearest: p50_s."),
        ("bytes,seconds", [(1, 1), (2, -1)], [], "f.csv:3: seconds: a number > 0. Got '-1'."),
        ("bytes,seconds", [(1, 1), ("x", 1)], [], "f.csv:3: bytes: a number > 0. Got 'x'."),
        ("bytes,seconds", [], [], "f.csv: no rows."),
        ("bytes,seconds", [(1, ""), (2, "")], [], "f.csv: no row has a number in seconds."),
        ("bytes,seconds", [(1, 1)], ["--where", "byte=1"],
         "--where: column=value, with a column of f.csv: bytes, seconds. Got 'byte=1'. Nearest: bytes."),
        ("bytes,seconds", [(1, 1)], ["--where", "bytes=7"], "f.csv: no rows where bytes=7."),
        ("bytes,seconds", [(10**6, 1e-9), (1, 1), (2, 2)], [],
         "f.csv: the units cannot be right: 1e+06 B for 1e-09 s would be 8e+15 bit/s; bytes and seconds are not in the "
         "units that their names say."),
        ("bytes,joules", [(1, 1e6), (1, 1), (2, 2)], ["--y", "joules"],
         "f.csv: the units cannot be right: 1 B for 1e+06 J would be 1.25e+05 J/bit; bytes and joules are not in "
         "the units that their names say."),
        ("bytes,seconds", [(1, 1)], ["--plot", "x.pdf"], "--plot: a file that ends in .svg. Got 'x.pdf'."),
    ],
)  # fmt: skip
def test_sentences(
    header: str, rows: list[tuple[Any, ...]], words: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert said(capsys, write("f.csv", header, rows), *words, code=2) == sentence


def test_no_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert said(capsys, "no.csv", code=2) == "no.csv: a CSV file that can be read. Got No such file or directory."


def test_piecewise_refuses_what_is_no_cost() -> None:
    for keys, word in (
        ({"size_bit": [1], "cost": [1]}, "at least two sizes"),
        ({"size_bit": [2, 1], "cost": [1, 2]}, "increasing"),
        ({"size_bit": [1, 2], "cost": [2, 1]}, "never falling"),
        ({"size_bit": [1, 2], "cost": [1]}, "a cost for each of 2 sizes"),
        ({"size_bit": [1, 2], "cost": [1, 5]}, "> 0 at size 0"),
    ):
        with pytest.raises(ConfigError, match=word):
            build("cost", {"name": "piecewise", **keys})


def test_many_rows_of_a_size_are_as_one_at_their_mean() -> None:
    """Searches for steps and kinks look at sizes, not at rows, and find the same."""
    rng = np.random.default_rng(5)
    x = np.repeat(np.arange(100.0, 2100.0, 40.0), 20)
    y = 1e-3 + 2e-3 * np.ceil(x / 500) + 1e-6 * x + rng.normal(0, 1e-5, x.size)
    weights = rng.uniform(0.5, 2.0, x.size)
    data = cost_families._Data.of(x, y, weights)
    few, apart = data.grouped
    assert few.n == 50
    counts = np.ceil(data.x[None, :] / np.array([[500.0], [700.0]]))
    fewer = np.ceil(few.x[None, :] / np.array([[500.0], [700.0]]))
    np.testing.assert_allclose(apart + few.staircases(fewer), data.staircases(counts), rtol=1e-9)
    bend = np.maximum(data.x - 900.0, 0.0)[None, :]
    np.testing.assert_allclose(
        few.reductions(np.maximum(few.x - 900.0, 0.0)[None, :], [few.x]), data.reductions(bend, [data.x]), rtol=1e-9
    )
