"""Quantizers for a trained classifier against naive search, brute force and known cases; and the messages of a run."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from algorithms.learning import quantizers
from netsim.errors import ConfigError, SimulationError
from netsim.scenario import parse_text
from netsim.simulation.engine import Engine

Floats = npt.NDArray[np.float64]


def box_errors(index: Any, labels: Any) -> tuple[int, float]:
    """Errors of the majority decoder, and N times the Gini impurity."""
    found: dict[tuple[int, ...], list[int]] = {}
    for row, label in zip(index.tolist(), labels.tolist(), strict=True):
        found.setdefault(tuple(row), []).append(label)
    errors, spread = 0, 0.0
    for cell in found.values():
        counts = np.bincount(cell)
        errors += len(cell) - int(counts.max())
        spread += len(cell) - float((counts.astype(float) ** 2).sum()) / len(cell)
    return errors, spread


def index_of(x: Floats, boundaries: list[Floats]) -> Any:
    return np.stack([quantizers.cells(column, b) for column, b in zip(x.T, boundaries, strict=True)], axis=1)


def naive(x: Floats, labels: Any, owners: list[int], bits: list[int]) -> list[tuple[int, float]]:
    """Greedy insertion that tries everything: the insertions in order."""
    found = [np.zeros(0) for _ in range(x.shape[1])]
    steps = []
    while True:
        best = None
        for j, column in enumerate(x.T):
            counts = [len(found[k]) + (k == j) for k in range(len(found)) if owners[k] == owners[j]]
            if quantizers.bits_of(counts) > bits[owners[j]]:
                continue
            values = np.unique(column)
            for a, b in itertools.pairwise(values):
                t = (a + b) / 2
                if t in found[j]:
                    continue
                tried = [np.sort(np.append(f, t)) if k == j else f for k, f in enumerate(found)]
                errors, spread = box_errors(index_of(x, tried), labels)
                slab = quantizers.cells(column, found[j]) == quantizers.cells(np.array([t]), found[j])[0]
                odd = abs(int((column[slab] < t).sum()) - int((column[slab] > t).sum()))
                key = (errors, round(spread / len(x), 9), odd, j, t)
                best = key if best is None or key < best else best
        if best is None:
            return steps
        j, t = best[3:]
        found[j] = np.sort(np.append(found[j], t))
        steps.append((j, t))


def test_greedy_insertion_is_the_naive_search() -> None:
    """40 cases with ties: small grids of values, uneven splits, two and three classes."""
    rng = np.random.default_rng(0)
    for case in range(40):
        n, p = int(rng.integers(6, 25)), int(rng.integers(1, 4))
        x = rng.integers(0, 5, (n, p)).astype(float)
        labels = rng.integers(0, 2 + case % 2, n)
        owners = sorted(rng.integers(0, 2, p).tolist())
        owners = [o - owners[0] for o in owners]
        bits = rng.integers(1, 3, max(owners) + 1).tolist()
        steps = naive(x, labels, owners, bits)
        found = quantizers.greedy(x, labels, owners, bits)
        for j in range(p):
            assert found[j].tolist() == sorted(t for k, t in steps if k == j), case


def test_errors_never_grow_along_greedy_insertion() -> None:
    rng = np.random.default_rng(1)
    x = rng.normal(size=(60, 2))
    labels = (x[:, 0] * x[:, 1] > 0.1).astype(int)
    before = 60
    for bits in range(5):
        errors, _ = box_errors(index_of(x, quantizers.greedy(x, labels, [0, 1], [bits, bits])), labels)
        assert errors <= before
        before = errors


def test_xor_needs_two_boundaries_of_which_the_first_helps_nobody() -> None:
    """A 4 x 4 grid, one bit each: errors 8, 8, 0, boundaries 0.0 and 0.0."""
    grid = np.array([-1.5, -0.5, 0.5, 1.5])
    x = np.array(list(itertools.product(grid, grid)))
    labels = ((x[:, 0] > 0) ^ (x[:, 1] > 0)).astype(int)
    found = quantizers.greedy(x, labels, [0, 1], [1, 1])
    assert [b.tolist() for b in found] == [[0.0], [0.0]]
    assert box_errors(index_of(x, quantizers.greedy(x, labels, [0, 1], [1, 0])), labels)[0] == 8
    assert box_errors(index_of(x, found), labels)[0] == 0


def test_one_threshold_is_found_at_once() -> None:
    x = np.random.default_rng(2).normal(size=(40, 1))
    labels = (x[:, 0] > 0.3).astype(int)
    found = quantizers.greedy(x, labels, [0], [1])
    assert box_errors(index_of(x, found), labels)[0] == 0


def test_on_the_line_is_brute_force() -> None:
    rng = np.random.default_rng(3)
    for _ in range(30):
        n, intervals = int(rng.integers(4, 9)), int(rng.integers(2, 4))
        u, v = rng.integers(0, 7, n).astype(float), rng.integers(0, 7, n).astype(float) + 0.5 * rng.integers(0, 2, n)
        labels = (u > v).astype(np.int64)

        def errors(cuts: Any, u: Floats = u, v: Floats = v, labels: Any = labels) -> int:
            a, b = quantizers.cells(u, cuts), quantizers.cells(v, cuts)
            same = [labels[(a == c) & (b == c)] for c in range(len(cuts) + 1)]
            return sum(min(int((s == 0).sum()), int((s == 1).sum())) for s in same)

        values = np.unique(np.concatenate([u, v]))
        middles = (values[:-1] + values[1:]) / 2
        best = min(errors(np.array(c)) for k in range(intervals) for c in itertools.combinations(middles, k))
        found = quantizers.on_the_line(u, v, labels, intervals)
        assert len(found) < intervals
        assert errors(found) == best


def test_where_the_structure_is_elsewhere_a_bit_each_beats_lloyd_max_with_three() -> None:
    """Thresholds 0.2 and 1.0 where x1 has clusters at -6, 0 and 6: the savings case; a Gaussian is the other one."""
    rng = np.random.default_rng(4)
    x = np.stack([rng.choice([-6.0, 0.0, 6.0], 2000) + rng.normal(size=2000) * 0.5, rng.normal(size=2000)], axis=1)
    labels = ((x[:, 0] > 0.2) & (x[:, 1] > 1.0)).astype(int)
    share = {}
    for name, found in (
        ("greedy", quantizers.greedy(x[:1000], labels[:1000], [0, 1], [1, 1])),
        ("lloyd", quantizers.lloyd_max(x[:1000], [8, 8])),
    ):
        train, test = index_of(x[:1000], found), index_of(x[1000:], found)
        votes: dict[tuple[int, ...], list[int]] = {}
        for row, label in zip(train.tolist(), labels[:1000].tolist(), strict=True):
            votes.setdefault(tuple(row), []).append(label)
        guess = [int(np.bincount(votes.get(tuple(row), [0])).argmax()) for row in test.tolist()]
        share[name] = float(np.mean(np.array(guess) == labels[1000:]))
    assert share["greedy"] > 0.99
    assert share["greedy"] > share["lloyd"]


def test_lloyd_max_and_uniform_cells() -> None:
    x = np.array([[0.0], [1.0], [9.0], [10.0]])
    assert [b.tolist() for b in quantizers.uniform(x, [4])] == [[2.5, 5.0, 7.5]]
    assert [b.tolist() for b in quantizers.lloyd_max(x, [2])] == [[5.0]]
    assert quantizers.even_counts([0, 0, 1], [3, 2], np.array([1.0, 1.0, 0.5])) == [4, 2, 4]
    assert quantizers.even_counts([0, 0, 1, 0], [2, 1], np.array([1.0, 3.0, 0.5, 2.0])) == [1, 2, 2, 2]
    assert quantizers.bits_of([1, 2]) == 3  # 2 x 3 cells


TEXT = """
name: sensors
problem: {name: pretrained, dataset: breast_cancer, nodes: 3, features: [2, 5, 3]}
network: {link: {name: ethernet_udp, rate_bps: 1.0e+6}, silence: free}
algorithms: [{name: feature_quantization, bits: BITS, design: DESIGN, batch: 20}]
stop: {rounds: 9}
"""


def play(bits: Any, design: str = "greedy") -> dict[str, list[Any]]:
    base = parse_text(TEXT.replace("BITS", str(bits)).replace("DESIGN", design))
    live: Any = base.problem.open(0)
    return Engine(base, base.algorithms[0], 0, live).run().tables["rounds"].to_pydict()


@pytest.mark.parametrize("bits", [2, [1, 3, 0]])
def test_bits_of_a_run_and_decisions(bits: Any) -> None:
    """b R bits a sensor and round, a header more, each filled to a byte; the design once, 32 bits a number."""
    rows = play(bits)
    each = [bits] * 3 if isinstance(bits, int) else bits
    assert rows["uplink_paper_bit"][-1] == 9 * 20 * sum(each)
    assert rows["uplink_payload_bytes"][-1] == 9 * sum(-(-20 * n // 8) for n in each)
    assert rows["downlink_paper_bit"][1] == rows["downlink_paper_bit"][-1]
    assert rows["downlink_paper_bit"][1] % 32 == 0
    assert rows["agreement"][-1] > 0.85
    assert rows["agreement"][-1] == pytest.approx(1 - rows["loss"][-1])
    assert min(rows["elapsed_s"][1:]) > 0


def test_what_does_not_fit_is_said() -> None:
    with pytest.raises((SimulationError, ConfigError), match=r"bits\[1\]: at most 24, for 2\^24 cells. Got 30"):
        play([1, 30, 1])
    with pytest.raises((SimulationError, ConfigError), match="bits for each of 3 nodes"):
        play([1, 1])
    from netsim.registry import build

    with pytest.raises(ConfigError, match="a class with fit and predict"):
        build("problem", {"name": "pretrained", "dataset": "breast_cancer", "classifier": "sklearn.nothing.Here"}).open(
            0
        )
    with pytest.raises(ConfigError, match="at most 30 in all"):
        build("problem", {"name": "pretrained", "dataset": "breast_cancer", "nodes": 2, "features": [30, 1]}).open(0)


# --- designs of a run ------------------------------------------------------------------------------------------------

LINE = """
name: line
problem: {name: pretrained, dataset: DATA, nodes: 2, features: [1, 1], arguments: {C: 10.0}}
network: {link: ideal, silence: free}
algorithms: [{name: feature_quantization, bits: 3, design: on_the_line, decoder: DECODER, batch: 50}]
stop: {rounds: 4}
"""


def test_on_the_line_is_a_design_with_the_errors_of_its_table() -> None:
    """The box decoder errs on the training points exactly where the table of the dynamic programme says."""
    base = parse_text(LINE.replace("DATA", "breast_cancer").replace("DECODER", "box"))
    live: Any = base.problem.open(0)
    engine = Engine(base, base.algorithms[0], 0, live)
    rows = engine.run().tables["rounds"].to_pydict()
    centre: Any = engine.actors[2].agent
    x, labels = live.train, np.asarray(live.h.predict(live.train))
    (w,), b = live.h.coef_, float(live.h.intercept_[0])
    u, v = w[0] * x[:, 0], -b - w[1] * x[:, 1]
    cuts = quantizers.on_the_line(u, v, labels, 8)
    cells = quantizers.cells(u, cuts), quantizers.cells(v, cuts)
    least = sum(
        min(int((labels[(cells[0] == c) & (cells[1] == c)] == y).sum()) for y in (0, 1)) for c in range(len(cuts) + 1)
    )
    found = [q.boundaries[0] for q in centre.quantizers]
    errors, _ = box_errors(index_of(x, found), labels)
    assert len(cuts) == 7
    assert abs(errors - least) <= 1  # boundaries travel as 32 bits
    assert rows["agreement"][-1] > 0.95


def test_on_the_line_is_for_two_features_and_a_line() -> None:
    text = LINE.replace("DATA", "breast_cancer").replace("DECODER", "recon")
    for old, new in (
        ("features: [1, 1]", "features: [1, 2]"),
        ("nodes: 2, features: [1, 1], arguments: {C: 10.0}",
         "nodes: 2, features: [1, 1], classifier: sklearn.tree.DecisionTreeClassifier"),
    ):  # fmt: skip
        base = parse_text(text.replace(old, new))
        with pytest.raises((SimulationError, ConfigError), match="two nodes of one feature each and a linear"):
            Engine(base, base.algorithms[0], 0, base.problem.open(0)).run()


def test_a_learned_representation_beats_lloyd_max_at_a_bit_each() -> None:
    """Breast cancer on three sensors of 2, 5 and 3 features: one bit a sensor, the same for both."""
    learned, lloyd = (play(1, f"{design}")["agreement"][-1] for design in ("learned", "lloyd_max"))
    assert learned > 0.9
    assert learned > lloyd


def test_slopes_of_the_learned_representation_are_those_of_its_loss() -> None:
    """Central differences of what is differentiable: the decoder's arrays, and the code vectors' own distance."""
    from algorithms.learning import code_books

    rng = np.random.default_rng(0)
    x, labels, columns = rng.normal(size=(20, 3)), rng.integers(0, 3, 20), [[0, 1], [2]]
    books = [code_books._new_book(x[:, mine], 2, rng) for mine in columns]
    n = code_books.UNITS
    decoder = code_books.Decoder(rng.normal(size=(8, n)), rng.normal(size=n), rng.normal(size=(n, 3)), np.zeros(3))
    used = [np.zeros(4, bool) for _ in books]
    books[1].codes[:] += 0.1 * rng.normal(size=books[1].codes.shape)

    def entropy() -> float:
        numbers = np.stack([b.numbers(x[:, mine]) for b, mine in zip(books, columns, strict=True)], axis=1)
        scores = decoder.forward(code_books._codes(books, numbers))[1]
        logs = scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))
        return float(-logs[np.arange(20), labels].mean())

    slopes = code_books._slopes(x, labels, columns, books, decoder, used)
    arrays = [decoder.inner, decoder.inner_bias, decoder.outer, decoder.outer_bias]
    for array, slope in zip(arrays, slopes[-4:], strict=True):
        at = tuple(rng.integers(0, size) for size in array.shape)
        ends = []
        for sign in (1, -1):
            array[at] += sign * 1e-5
            ends.append(entropy())
            array[at] -= sign * 1e-5
        assert slope[at] == pytest.approx((ends[0] - ends[1]) / 2e-5, abs=1e-7)
    z, book = books[1].encode(x[:, [2]])[1], books[1]
    own = book.nearest(z)
    for c in range(4):
        expected = 2 * (book.codes[c] * (own == c).sum() - z[own == c].sum(axis=0)) / 20
        np.testing.assert_allclose(slopes[9][c], expected, rtol=1e-9, atol=1e-12)


def test_a_quantizer_is_what_its_message_says() -> None:
    from algorithms.learning import code_books
    from algorithms.learning.sensing import CodeBook, Thresholds

    rng = np.random.default_rng(1)
    x = rng.normal(size=(30, 2))
    book = code_books._new_book(x, 3, rng)
    np.testing.assert_array_equal(CodeBook.unpack(book.pack(), 2).numbers(x), book.numbers(x))
    cut = Thresholds([np.array([0.0, 1.0]), np.zeros(0)])
    other = Thresholds.unpack(cut.pack())
    np.testing.assert_array_equal(other.numbers(x), cut.numbers(x))
    np.testing.assert_array_equal(other.split(cut.numbers(x))[:, 0], quantizers.cells(x[:, 0], np.array([0.0, 1.0])))


def test_a_module_of_pytorch_decides() -> None:
    pytest.importorskip("torch")
    linear = "arguments: {module: 'torch.nn:Linear', arguments: {in_features: 10, out_features: 2}, step_size: 0.05}"
    named = f"features: [2, 5, 3], classifier: algorithms.learning.torch_classifier.TorchClassifier, {linear}"
    text = TEXT.replace("BITS", "2").replace("DESIGN", "greedy").replace("features: [2, 5, 3]", named)
    found = []
    for _ in range(2):
        base = parse_text(text)
        found.append(Engine(base, base.algorithms[0], 0, base.problem.open(0)).run().tables["rounds"].to_pydict())
    assert found[0]["agreement"] == found[1]["agreement"]
    assert found[0]["agreement"][-1] > 0.8
    assert found[0]["accuracy"][-1] > 0.7


def test_a_classifier_that_is_trained_already_and_one_that_is_none(tmp_path: Any) -> None:
    file = tmp_path / "mine.py"
    file.write_text("class First:\n    def predict(self, x):\n        return (x[:, 0] > x[:, 0].mean()).astype(int)\n"
                    "class Wrong:\n    def predict(self, x):\n        return x[:, 0] + 7\n")  # fmt: skip
    text = TEXT.replace("BITS", "1").replace("DESIGN", "greedy")
    named = text.replace("features: [2, 5, 3]", f"features: [2, 5, 3], classifier: '{file}:First'")
    base = parse_text(named)
    assert base.problem.open(0).classes == 2
    with pytest.raises(ConfigError, match=r"predict gives one of 0 \.\. 1 for each sample"):
        parse_text(named.replace("First", "Wrong")).problem.open(0)
