"""Logistic regression: gradients, batching, constants, optimum, minibatches and errors."""

import os
import subprocess
import sys
from dataclasses import dataclass

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from algorithms.learning import csr_kernel, eigen, newton
from algorithms.learning import losses as losses_module
from algorithms.partitions.contiguous import Contiguous
from algorithms.partitions.dirichlet import Dirichlet
from algorithms.partitions.iid import Iid
from algorithms.problems import logistic_regression
from algorithms.problems.logistic_regression import LogisticRegression
from netsim.errors import ConfigError, DataError, SimulationError
from netsim.interfaces import Data, GradientRequest
from netsim.registry import build, get
from netsim.rng import stream


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """An empty cache of the test's own."""
    monkeypatch.setenv("NETSIM_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@dataclass(frozen=True, eq=False)
class Given:
    """A dataset that a test made up."""

    features: object
    labels: np.ndarray

    def load(self, rng):
        return Data(self.features, self.labels, "given")


def toy(rows=23, dim=7, seed=0, density=0.5):
    """Dense features with zeros in them, and labels of both classes."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((rows, dim)) * (rng.random((rows, dim)) < density)
    y = np.where(x @ rng.standard_normal(dim) + 0.5 * rng.standard_normal(rows) > 0, 1.0, -1.0)
    y[:2] = [-1, 1]
    return x, y


def opened(x, y, layout="dense", seed=5, **config):
    """The problem with these samples; `layout` may be dense, csr (numpy path) or compiled."""
    features = x if layout == "dense" else sp.csr_array(x)
    problem = LogisticRegression(Given(features, y), **{"nodes": 3, "l2": 0.01, **config}).open(seed)
    if layout == "compiled":
        problem._rows._entries_left = -1
    return problem


def node_rows(y, nodes, partition=None, seed=5):
    """The rows of each node, in the problem's order."""
    return (partition or Iid()).split(y, nodes, stream(seed, 0, -1, "partition"))


def plain_value(x, y, w, loss, l2):
    t = y * (x @ w)
    losses = np.logaddexp(0, -t) if loss == "logistic" else 0.5 * (1 - np.tanh(t / 2))
    return losses.mean() + l2 / 2 * w @ w


def plain_gradient(x, y, w, loss, l2):
    p = 0.5 * (1 - np.tanh(y * (x @ w) / 2))
    slope = -p if loss == "logistic" else -p * (1 - p)
    return x.T @ (y * slope) / len(y) + l2 * w


LAYOUTS = ["dense", "csr", "compiled"]
LOSSES = ["logistic", "sigmoid"]


# --- values and gradients -----------------------------------------------------------------------------


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("l2", [0.0, 0.3])
def test_gradients_and_values_are_the_plain_formula(layout, loss, l2):
    x, y = toy()
    problem = opened(x, y, layout, loss=loss, l2=l2)
    rows = node_rows(y, 3)
    w = np.random.default_rng(1).standard_normal(7)
    for batch in (None, np.array([0, 2, 5])):
        requests = [GradientRequest(node, w * (node + 1), batch) for node in range(3)]
        gradients, values = problem.gradients(requests), problem.values(requests)
        for node, (gradient, value) in enumerate(zip(gradients, values, strict=True)):
            mine = rows[node] if batch is None else rows[node][batch]
            expected = plain_gradient(x[mine], y[mine], w * (node + 1), loss, l2)
            assert np.abs(gradient - expected).max() < 1e-14
            assert abs(value - plain_value(x[mine], y[mine], w * (node + 1), loss, l2)) < 1e-14


@pytest.mark.parametrize("loss", LOSSES)
def test_gradients_are_the_slope_of_values(loss):
    """Central differences with step h = 1e-5 err by h^2/6 sup|f'''| + eps/h, about 1e-10 here."""
    x, y = toy()
    problem = opened(x, y, "csr", loss=loss)
    w = np.random.default_rng(1).standard_normal(7)
    (gradient,) = problem.gradients([GradientRequest(1, w)])
    for j, unit in enumerate(np.eye(7)):
        ahead, behind = problem.values([GradientRequest(1, w + s * 1e-5 * unit) for s in (1, -1)])
        assert abs((ahead - behind) / 2e-5 - gradient[j]) < 1e-9


def test_sparse_equals_dense():
    data = build("dataset", {"name": "synthetic_sparse", "num_rows": 300, "num_features": 400}).load(
        stream(1, 0, -1, "a")
    )
    dense, sparse = (
        LogisticRegression(Given(features, data.labels), nodes=4).open(1)
        for features in (data.features.toarray(), data.features)
    )
    w = np.random.default_rng(1).standard_normal(400)
    requests = [GradientRequest(node, w) for node in range(4)]
    for a, b in zip(dense.gradients(requests), sparse.gradients(requests), strict=True):
        assert np.abs(a - b).max() < 1e-12
    for name, value in dense.metrics(w).items():
        assert value == pytest.approx(sparse.metrics(w)[name], rel=1e-12)
    assert dense.smoothness() == pytest.approx(sparse.smoothness(), rel=1e-9)
    assert dense.optimum().value == pytest.approx(sparse.optimum().value, rel=1e-12)


@pytest.mark.parametrize("layout", ["dense", "csr"])
def test_the_objective_is_a_mean_over_nodes(layout):
    """Nodes of 1 to 20 samples: F, its gradient and metrics weigh nodes, not samples."""
    x, y = toy(60)
    problem = opened(x, y, layout, partition=Dirichlet(0.2), nodes=4)
    sizes = [problem.num_samples(node) for node in range(4)]
    assert sum(sizes) == 60
    assert len(set(sizes)) > 1
    w = np.random.default_rng(1).standard_normal(7)
    requests = [GradientRequest(node, w) for node in range(4)]
    assert problem.loss(w) == pytest.approx(np.mean(problem.values(requests)), rel=1e-14)
    metrics = problem.metrics(w)
    assert metrics["loss"] == problem.loss(w)
    assert metrics["grad_norm"] == pytest.approx(
        np.linalg.norm(np.mean(problem.gradients(requests), axis=0)), rel=1e-13
    )
    assert metrics["train_accuracy"] == np.mean(y * (x @ w) > 0)
    assert problem.metric_names == {"loss", "grad_norm", "train_accuracy", "loss_gap"}


def test_a_run_that_diverges_says_so_without_warnings():
    x, y = toy()
    problem = opened(x, y)
    metrics = problem.metrics(np.full(7, 1e200))
    assert metrics["loss"] == metrics["grad_norm"] == np.inf
    (gradient,) = problem.gradients([GradientRequest(0, np.full(7, np.nan))])
    assert np.isnan(gradient).all()
    assert np.isnan(problem.metrics(np.full(7, np.inf))["loss"])


def test_accuracy_of_a_tie_counts_as_class_1():
    x, y = toy()
    assert opened(x, y).metrics(np.zeros(7))["train_accuracy"] == np.mean(y == 1)


@pytest.mark.parametrize("loss", LOSSES)
def test_huge_margins(loss):
    """log(1 + exp(-t)) is -t for t far below 0 and exp(-t), next to nothing, far above; no warnings on the way."""
    x, y = np.array([[1.0], [-1.0], [1.0]]), np.array([1.0, -1.0, -1.0])
    problem = opened(x, y, loss=loss, l2=0.0, nodes=1)
    for scale in (800.0, 1e5, 1e300):
        w = np.array([scale])
        assert problem.loss(w) == pytest.approx(scale / 3 if loss == "logistic" else 1 / 3, rel=1e-14)
        (gradient,) = problem.gradients([GradientRequest(0, w)])
        assert gradient == pytest.approx([1 / 3 if loss == "logistic" else 0], abs=1e-300)
    assert problem.loss(-w) == pytest.approx(2e300 / 3 if loss == "logistic" else 2 / 3, rel=1e-14)


def test_small_slopes_are_relatively_exact():
    """1/(1 + exp(t)) = exp(-t) (1 - exp(-t) + ...): at t = 40 it is exp(-40) to 4e-18."""
    assert losses_module.tail(np.array([40.0]))[0] == pytest.approx(np.exp(-40), rel=1e-15)
    assert losses_module.LOGISTIC.value(np.array([40.0]))[0] == pytest.approx(np.exp(-40), rel=1e-15)
    assert losses_module.bend(np.array([40.0]))[0] == pytest.approx(np.exp(-40), rel=1e-15)
    assert losses_module.tail(np.array([-1e300, 1e300])) == pytest.approx([1, 0], abs=1e-300)


# --- batching -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("loss", LOSSES)
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_bits_do_not_depend_on_which_requests_share_a_call(layout, loss, data):
    rng = np.random.default_rng(data.draw(st.integers(0, 1000)))
    x, y = toy(57, 11, seed=3)
    problem = opened(x, y, layout, nodes=5, loss=loss)
    requests = [
        GradientRequest(
            node := int(rng.integers(5)),
            rng.standard_normal(11),
            None if rng.random() < 0.3 else np.sort(rng.choice(problem.num_samples(node), rng.integers(1, 8), False)),
        )
        for _ in range(data.draw(st.integers(2, 12)))
    ]
    together = [g.tobytes() for g in problem.gradients(requests)], problem.values(requests)
    cut = data.draw(st.integers(1, len(requests) - 1))
    for parts in ([requests[:cut], requests[cut:]], [[request] for request in requests]):
        assert [g.tobytes() for part in parts for g in problem.gradients(part)] == together[0]
        assert [v for part in parts for v in problem.values(part)] == together[1]
    order = rng.permutation(len(requests))
    shuffled = problem.gradients([requests[i] for i in order])
    assert [g.tobytes() for g in shuffled] == [together[0][i] for i in order]


def test_bits_do_not_depend_on_the_copies_at_a_time(monkeypatch):
    x, y = toy(57, 11)
    problem = opened(x, y, nodes=5)
    w = np.random.default_rng(1).standard_normal(11)
    requests = [GradientRequest(node, w, np.array([0, 3, 4])) for node in range(5)]
    expected = [g.tobytes() for g in problem.gradients(requests)]
    monkeypatch.setattr(logistic_regression, "_COPIED_MAX", 70)
    assert [len(points) for points, _ in problem._groups(requests)] == [3, 2]
    assert [g.tobytes() for g in problem.gradients(requests)] == expected


@pytest.mark.compiled
@pytest.mark.parametrize("l2", [0.0, 0.1])
def test_compiled_and_numpy_paths_make_the_same_bits(l2):
    data = build("dataset", {"name": "synthetic_sparse", "num_rows": 200, "num_features": 300}).load(
        stream(1, 0, -1, "a")
    )
    plain, compiled = (opened(data.features.toarray(), data.labels, layout, l2=l2) for layout in ("csr", "compiled"))
    w = np.random.default_rng(1).standard_normal(300)
    requests = [
        GradientRequest(0, w),
        GradientRequest(1, w, np.array([3, 4, 30])),
        GradientRequest(2, -w, np.array([0])),
    ]
    for a, b in zip(plain.gradients(requests), compiled.gradients(requests), strict=True):
        assert a.tobytes() == b.tobytes()
    assert plain.values(requests) == compiled.values(requests)
    assert plain.metrics(w) == compiled.metrics(w)
    assert plain._rows._kernels is None
    assert compiled._rows._kernels is csr_kernel


@pytest.mark.compiled
def test_kernels_are_used_when_numpy_has_cost_as_much_as_importing_them():
    """10 million entries at 1000 + 23 * 80 // 23 an operation, two operations a gradient: 4630 gradients."""
    x, y = toy()
    problem = opened(x, y, "csr", nodes=1)
    w = np.ones(7)
    per_call = 1000 + problem._rows.values.size
    before = 10_000_000 // (2 * per_call)
    for _ in range(before - 1):
        list(problem.gradients([GradientRequest(0, w)]))
    assert problem._rows._kernels is None
    for _ in range(2):
        list(problem.gradients([GradientRequest(0, w)]))
    assert problem._rows._kernels is csr_kernel


@pytest.mark.parametrize("layout", LAYOUTS)
def test_models_of_other_kinds(layout):
    """float32, read-only and strided models are taken as the float64 numbers they hold."""
    x, y = toy()
    problem = opened(x, y, layout)
    w = np.random.default_rng(1).standard_normal(7).astype(np.float32)
    frozen = w.astype(np.float64)
    frozen.flags.writeable = False
    strided = np.repeat(w.astype(np.float64), 2)[::2]
    results = [problem.gradients([GradientRequest(0, at, [1, 2])])[0] for at in (w, frozen, strided)]
    assert results[0].dtype == np.float64
    assert results[0].tobytes() == results[1].tobytes() == results[2].tobytes()


# --- constants ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", ["dense", "csr"])
@pytest.mark.parametrize("shape", [(60, 7), (9, 20)])
@pytest.mark.parametrize(("loss", "curvature"), [("logistic", 0.25), ("sigmoid", 0.0962250448649376)])
def test_smoothness_bounds_the_hessian_tightly(layout, shape, loss, curvature):
    """Against eigenvalues of the explicit matrices; an upper bound within 6e-10, as documented."""
    x, y = toy(*shape)
    partition = Dirichlet(0.3)
    problem = opened(x, y, layout, loss=loss, partition=partition)
    blocks = [x[rows] for rows in node_rows(y, 3, partition)]
    hessians = [curvature * block.T @ block / len(block) for block in blocks]
    exact = [np.linalg.eigvalsh(h)[-1] + 0.01 for h in (np.mean(hessians, axis=0), *hessians)]
    got = [problem.smoothness(node) for node in (None, 0, 1, 2)]
    for mine, true in zip(got, exact, strict=True):
        assert true * (1 - 1e-14) <= mine <= true * (1 + 6e-10)
    assert got[0] <= np.mean(got[1:])
    assert problem.strong_convexity() == (0.01 if loss == "logistic" else 0.0)


@pytest.mark.parametrize("layout", ["dense", "csr"])
@pytest.mark.parametrize("shape", [(300, 40), (40, 300)])
def test_lanczos_equals_the_gram_matrix(layout, shape, monkeypatch):
    x, y = toy(*shape)
    by_gram = opened(x, y, layout, nodes=1, l2=0.0).smoothness()
    monkeypatch.setattr(eigen, "_GRAM_FLOP_MAX", 0)
    assert opened(x, y, layout, nodes=1, l2=0.0).smoothness() == by_gram


def test_logistic_smoothness_is_attained_at_zero():
    """At w = 0 every l'' is 1/4, so along the top eigenvector v the gradient grows by L |v|."""
    problem = build("problem", {"name": "logistic_regression", "dataset": "breast_cancer"}).open(1)

    def gradient(w):
        return np.mean(problem.gradients([GradientRequest(node, w) for node in range(4)]), axis=0)

    v = np.ones(31)
    for _ in range(200):
        v = gradient(1e-4 * v / np.linalg.norm(v)) - gradient(np.zeros(31))
    assert np.linalg.norm(v) / 1e-4 == pytest.approx(problem.smoothness(), rel=1e-6)


def test_sigmoid_curvature_is_attained():
    """One sample x = 1: l'' = p(1-p)(1-2p) is +-1/(6 sqrt 3) at p = (3 -+ sqrt 3)/6, so F is not convex."""
    problem = opened(np.array([[1.0], [1.0]]), np.array([1.0, -1.0]), nodes=2, loss="sigmoid", l2=0.0)
    at = np.log(1 / ((3 - 3**0.5) / 6) - 1)
    for sign in (1, -1):
        ahead, behind = problem.gradients([GradientRequest(0, np.array([sign * at + h])) for h in (1e-5, -1e-5)])
        bend = (ahead - behind)[0] / 2e-5
        assert bend * sign * problem._rows.matrix[0, 0] == pytest.approx(problem.smoothness(0), rel=1e-8)


@pytest.mark.parametrize("loss", LOSSES)
def test_gradients_are_lipschitz_on_random_segments(loss):
    """|grad f(a) - grad f(b)| <= L |a - b| at all scales; some segments of the logistic loss reach a third of L."""
    problem = build("problem", {"name": "logistic_regression", "dataset": "breast_cancer", "loss": loss}).open(1)
    rng = np.random.default_rng(2)
    ratios = []
    for scale in (1e-3, 0.1, 1.0, 10.0):
        for _ in range(100):
            a, b = scale * rng.standard_normal((2, 31)) * rng.standard_normal((2, 1))
            ga, gb = problem.gradients([GradientRequest(0, a), GradientRequest(0, b)])
            ratios.append(np.linalg.norm(ga - gb) / np.linalg.norm(a - b) / problem.smoothness(0))
    assert max(ratios) <= 1
    assert loss == "sigmoid" or max(ratios) > 1 / 3


@pytest.mark.parametrize(("layout", "entries"), [("dense", 8 * 7), ("csr", 23)])
def test_gradient_flop(layout, entries):
    """4 per stored feature, 4 per sample, 2 per coordinate; a batch of 4 of 8 samples has half the features."""
    x, y = toy()
    partition = Contiguous()
    problem = opened(x, y, layout, partition=partition)
    if layout == "csr":
        entries = np.count_nonzero(x[:8])
    assert problem.gradient_flop(GradientRequest(0, np.zeros(7))) == 4 * entries + 4 * 8 + 2 * 7
    assert problem.gradient_flop(GradientRequest(0, np.zeros(7), np.arange(4))) == 2 * entries + 4 * 4 + 2 * 7


# --- minibatches ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("batch", "sizes"), [("full", None), (5, 5), (8, None), (100, None), (0.25, 2), (0.01, 1), (0.99, None)]
)
def test_batch_sizes(batch, sizes):
    x, y = toy(24)
    problem = opened(x, y, batch=batch)
    drawn = problem.draw_batch(1, np.random.default_rng(0))
    assert (drawn if drawn is None else drawn.size) == sizes


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 2**32), size=st.integers(1, 39))
def test_a_batch_is_sorted_distinct_and_the_stream_alone(seed, size):
    x, y = toy(40)
    first = opened(x, y, batch=size, nodes=1)
    other = opened(-x, y, "csr", batch=size, nodes=1, loss="sigmoid", l2=0.0, seed=9)
    a = first.draw_batch(0, np.random.default_rng(seed))
    first.gradients([GradientRequest(0, np.ones(7), a)])
    b = other.draw_batch(0, np.random.default_rng(seed))
    assert np.array_equal(a, b)
    assert a.dtype == np.int64
    assert (np.diff(a) > 0).all()
    assert 0 <= a[0] <= a[-1] < 40


def test_every_pair_of_samples_is_equally_likely():
    """Pairs of 6 samples: chi^2 with 14 degrees of freedom over 3000 draws, below 42.6 but with probability 1e-4."""
    x, y = toy(6)
    problem, rng = opened(x, y, batch=2, nodes=1), np.random.default_rng(0)
    counts = np.zeros((6, 6))
    for _ in range(3000):
        counts[tuple(problem.draw_batch(0, rng))] += 1
    seen = counts[np.triu_indices(6, 1)]
    assert seen.sum() == 3000
    assert ((seen - 200) ** 2 / 200).sum() < 42.6


# --- the optimum ------------------------------------------------------------------------------------------------


def test_optimum_of_breast_cancer():
    """The gradient there is next to nothing, and scipy's minimiser finds no lower value."""
    from scipy.optimize import minimize

    data = build("dataset", "breast_cancer").load(stream(0, 0, -1, "x"))
    problem = build(
        "problem", {"name": "logistic_regression", "dataset": "breast_cancer", "nodes": 1, "l2": 1e-3}
    ).open(1)
    best = problem.optimum()
    gradient = plain_gradient(data.features, data.labels, best.at, "logistic", 1e-3)
    assert gradient @ gradient / (2 * 1e-3) <= 1e-12
    assert best.error == pytest.approx(gradient @ gradient / 2e-3, abs=1e-20)
    assert best.value == pytest.approx(plain_value(data.features, data.labels, best.at, "logistic", 1e-3), rel=1e-14)
    theirs = minimize(
        lambda w: (
            plain_value(data.features, data.labels, w, "logistic", 1e-3),
            plain_gradient(data.features, data.labels, w, "logistic", 1e-3),
        ),
        np.zeros(31),
        jac=True,
        method="L-BFGS-B",
        options={"ftol": 1e-16, "gtol": 1e-10, "maxiter": 5000},
    )
    assert best.value <= theirs.fun + 1e-15
    assert best.value == pytest.approx(theirs.fun, abs=1e-11)


@pytest.mark.parametrize("layout", ["dense", "csr"])
@pytest.mark.parametrize("shape", [(80, 12), (12, 80)])
@pytest.mark.parametrize("l2", [1.0, 1e-3, 1e-9])
def test_optimum_is_certified_however_it_is_found(layout, shape, l2, monkeypatch):
    """Strong convexity at random points: F(w) >= F* + (l2/2)|w - w*|^2; Cholesky and conjugate gradients agree."""
    x, y = toy(*shape)
    found = []
    for limit in (np.inf, 0):
        monkeypatch.setattr(newton, "_CHOLESKY_FLOP_MAX", limit)
        problem = opened(x, y, layout, l2=l2, seed=6)
        at, error = newton.minimise(newton.Objective(problem._rows, problem._weights, l2))
        assert error <= 1e-12
        found.append((problem.loss(at), at))
        rng = np.random.default_rng(3)
        for scale in (1e-6, 1e-3, 1.0):
            w = at + scale * rng.standard_normal(at.size)
            assert problem.loss(w) >= found[-1][0] + l2 / 2 * np.sum((w - at) ** 2) - 1e-12
    assert found[0][0] == pytest.approx(found[1][0], abs=2e-12)


def test_no_optimum():
    x, y = toy()
    for config in ({"l2": 0.0}, {"loss": "sigmoid"}):
        problem = opened(x, y, **config)
        assert problem.optimum() is None
        assert problem.metric_names == {"loss", "grad_norm", "train_accuracy"}


def test_optimum_that_cannot_be_certified():
    """Separable data: at l2 = 1e-300 the minimiser is far beyond what float64 can resolve."""
    problem = opened(np.array([[1.0], [-1.0]]), np.array([1.0, -1.0]), nodes=1, l2=1e-300)
    with pytest.raises(SimulationError, match=r"logistic_regression: no optimum to 1e-12; a larger l2 is needed. Got "):
        problem.optimum()


# --- the cache ---------------------------------------------------------------------------------------------------


def test_optimum_is_kept_bit_for_bit(cache, monkeypatch):
    x, y = toy()
    first = opened(x, y).optimum()
    (file,) = cache.iterdir()
    content = file.read_bytes()
    monkeypatch.setattr(logistic_regression, "minimise", lambda objective: pytest.fail("computed again"))
    again = opened(x, y).optimum()
    assert (again.value, again.error) == (first.value, first.error)
    assert again.at.tobytes() == first.at.tobytes()
    monkeypatch.undo()
    monkeypatch.setenv("NETSIM_CACHE", str(cache / "other"))
    assert opened(x, y).optimum().at.tobytes() == first.at.tobytes()
    assert [f.read_bytes() for f in (cache / "other").iterdir()] == [content]


@pytest.mark.parametrize(
    "damage", [lambda c: c[:-1], lambda c: b"", lambda c: c + b"1", lambda c: c[:50] + b"?" + c[51:]]
)
def test_a_damaged_file_is_computed_again(cache, damage):
    x, y = toy()
    expected = opened(x, y).optimum()
    (file,) = cache.iterdir()
    content = file.read_bytes()
    file.write_bytes(damage(content))
    assert opened(x, y).optimum().at.tobytes() == expected.at.tobytes()
    assert [f.read_bytes() for f in cache.iterdir()] == [content]


def test_the_file_is_named_after_all_that_counts(cache):
    x, y = toy()
    problems = [
        opened(x, y),
        opened(x, y, l2=0.02),
        opened(x * 1.0000001, y),
        opened(x, -y),
        opened(x, y, partition=Dirichlet(0.5)),
        opened(x, y, "csr"),
        opened(x, y, partition=Contiguous()),
        opened(x, y, partition=Contiguous(), nodes=2),  # the same rows in the same order, but other weights
    ]
    for number, problem in enumerate(problems, 1):
        problem.optimum()
        assert len(list(cache.iterdir())) == number


def test_a_folder_that_cannot_be_written(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("NETSIM_CACHE", str(tmp_path / "file" / "cache"))
    x, y = toy()
    assert opened(x, y).optimum().error <= 1e-12


# --- opening -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("config", get("problem", "logistic_regression").examples)
def test_opening_twice_gives_the_same_bytes(config):
    one, two, other = (build("problem", {"name": "logistic_regression", **config}).open(seed) for seed in (3, 3, 4))
    for buffers in zip(one._rows.buffers(), two._rows.buffers(), strict=True):
        assert buffers[0].tobytes() == buffers[1].tobytes()
    assert [b.tobytes() for b in one._rows.buffers()] != [b.tobytes() for b in other._rows.buffers()]


def test_opening_a_small_problem_imports_nothing_heavy():
    code = """
import sys
import numpy as np
from netsim.interfaces import GradientRequest
from netsim.registry import build
config = {"name": "logistic_regression", "dataset": "breast_cancer", "nodes": 2, "batch": 9}
problem = build("problem", config).open(1)
batch = problem.draw_batch(0, np.random.Generator(np.random.PCG64(1)))
list(problem.gradients([GradientRequest(0, problem.start(), batch)]))
problem.metrics(problem.start()), problem.smoothness()
print({m.partition(".")[0] for m in sys.modules} & {"numba", "scipy", "sklearn", "pandas"})
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ)
    assert done.stdout == "set()\n"


def test_sparse_problems_start_without_numba():
    code = (
        "import sys; from netsim.registry import build; from netsim.interfaces import GradientRequest as R\n"
        "p = build('problem', {'name': 'logistic_regression', 'dataset': {'name': 'synthetic_sparse'}}).open(1)\n"
        "list(p.gradients([R(m, p.start()) for m in range(4)])); p.metrics(p.start()); print('numba' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ)
    assert done.stdout == "False\n"


# --- errors ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("layout", ["dense", "csr"])
def test_features_that_are_not_finite(layout, bad):
    x, y = toy()
    x[4, 2] = bad
    with pytest.raises(DataError) as caught:
        opened(x, y, layout)
    assert str(caught.value) == f"given: row 4, column 2 (from 0): a finite number is needed. Got {bad}."


def test_features_whose_squares_overflow_are_refused():
    x, y = np.full((4, 2), 1e308), np.array([1.0, -1, 1, -1])
    with pytest.raises(DataError, match="squares can be summed"):
        opened(x, y, nodes=2)
    assert opened(np.full((4, 2), 1e145), y, nodes=2).dim == 2


@pytest.mark.parametrize(
    ("labels", "got"),
    [
        ([0, 1, 2, 0], "3 classes: 0, 1, 2"),
        ([1, 1, 1, 1], "1 class: 1"),
        ([0, 1, 1, 0], "2 classes: 0, 1"),
    ],
)
def test_labels_that_are_not_two_classes(labels, got):
    with pytest.raises(DataError) as caught:
        opened(np.ones((4, 2)), np.array(labels, float), nodes=2)
    assert str(caught.value) == f"given: logistic_regression needs samples of two classes, -1 and 1. Got {got}."


def test_more_nodes_than_samples():
    with pytest.raises(ConfigError, match=r"nodes: at most 569, as each node needs one of the 569 samples. Got 570."):
        build("problem", {"name": "logistic_regression", "dataset": "breast_cancer", "nodes": 570}).open(0)


@pytest.mark.parametrize("shape", [(3, 2), (4,), (4, 0)])
def test_features_of_a_wrong_shape(shape):
    with pytest.raises(DataError, match=r"given: features of shape \(samples, columns\).* Got shape .* and 4 labels."):
        opened(np.ones(shape), np.array([1.0, -1, 1, -1]), nodes=1)


@pytest.mark.parametrize(
    "parts", [[[0, 1], [1, 2, 3]], [[0, 1], [2]], [[0, 1, 2, 3], []], [[0, 1, 2, 3]], [[0, 1], [2, 4]], []]
)
def test_a_partition_that_breaks_its_contract(parts):
    class Broken:
        def split(self, labels, nodes, rng):
            return [np.array(part, np.int64) for part in parts]

    with pytest.raises(
        DataError, match=r"given: a partition deals each of 4 samples to one of 2 nodes, and some to each."
    ):
        opened(np.ones((4, 2)), np.array([1.0, -1, 1, -1]), nodes=2, partition=Broken())


@pytest.mark.parametrize("layout", LAYOUTS)
def test_requests_that_cannot_be_answered(layout):
    x, y = toy()
    problem = opened(x, y, layout)
    with pytest.raises(SimulationError, match=r"a model of shape \(7,\) is needed. Got \(8,\)."):
        problem.gradients([GradientRequest(0, np.zeros(8))])
    with pytest.raises(SimulationError, match=r"a model of shape \(7,\) is needed. Got \(7, 1\)."):
        problem.metrics(np.zeros((7, 1)))
    fine = GradientRequest(0, np.zeros(7), np.array([1]))
    for batch, got in [([0, 8], "positions 0 to 8"), ([-1, 2], "positions -1 to 2"), ([], "an empty one")]:
        with pytest.raises(SimulationError, match=f"a batch names some of the node's 8 samples, from 0. Got {got}."):
            problem.gradients([fine, GradientRequest(1, np.zeros(7), np.array(batch, np.int64))])


@pytest.mark.parametrize(
    ("key", "value", "sentence"),
    [
        ("l2", -1, "l2: a number >= 0. Got -1."),
        ("loss", "logistics", "loss: one of logistic, sigmoid. Got 'logistics'. Nearest: logistic."),
        ("nodes", 0, "nodes: a whole number >= 1. Got 0."),
        ("batch", 0, "batch: one of full, or a whole number >= 1, or a number > 0 and < 1. Got 0."),
        ("batch", 1.5, "batch: one of full, or a whole number >= 1, or a number > 0 and < 1. Got 1.5."),
        ("partition", "iid_", "partition.name: no partition of that name"),
    ],
)
def test_configurations_that_are_refused(key, value, sentence):
    with pytest.raises(ConfigError) as caught:
        build("problem", {"name": "logistic_regression", "dataset": "breast_cancer", key: value})
    assert sentence in str(caught.value)


def test_test_samples_of_logistic_regression():
    """Test samples belong to no node; their loss is the mean without the ridge."""
    x, y = toy(rows=30, density=1)

    @dataclass(frozen=True, eq=False)
    class Cut:
        def load(self, rng):
            return Data(x[:20], y[:20], "cut", x[20:], y[20:])

    problem = LogisticRegression(Cut(), nodes=2, l2=0.3).open(0)
    w = np.random.default_rng(0).standard_normal(7)
    found = problem.metrics(w)
    assert found["test_loss"] == pytest.approx(plain_value(x[20:], y[20:], w, "logistic", 0.0), rel=1e-12)
    assert found["test_accuracy"] == np.mean(y[20:] * (x[20:] @ w) > 0)
    assert problem.metric_names == {"loss", "grad_norm", "train_accuracy", "loss_gap", "test_loss", "test_accuracy"}
    y[25] = 3
    with pytest.raises(DataError, match=r"cut: test samples of the classes -1 and 1 are needed. Got 3."):
        LogisticRegression(Cut(), nodes=2).open(0)
