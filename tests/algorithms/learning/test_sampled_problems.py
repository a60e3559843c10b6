"""Softmax, one-versus-rest, linear regression and networks: formulas, optimum, test sets, minibatches, errors."""

import itertools
from dataclasses import dataclass

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import log_softmax

from algorithms.learning.digest import digest_of
from algorithms.learning.shares import draw, draw_many
from algorithms.partitions.contiguous import Contiguous
from algorithms.problems.linear_regression import LinearRegression
from algorithms.problems.mlp import Mlp
from algorithms.problems.one_versus_rest import OneVersusRest
from algorithms.problems.softmax_regression import SoftmaxRegression
from netsim.errors import ConfigError, DataError, SimulationError
from netsim.interfaces import Data, GradientRequest, HasSmoothness
from netsim.registry import build

ROWS, COLUMNS, CLASSES, NODES = 40, 6, 4, 3
KINDS = [SoftmaxRegression, OneVersusRest, LinearRegression, Mlp]


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """An empty cache of the test's own."""
    monkeypatch.setenv("NETSIM_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@dataclass(frozen=True, eq=False)
class Given:
    """A dataset that a test made up; the last `test` rows are its test set."""

    features: object
    labels: np.ndarray
    test: int = 0

    def load(self, rng):
        cut = self.labels.size - self.test
        rest = (self.features[cut:], self.labels[cut:]) if self.test else (None, None)
        return Data(self.features[:cut], self.labels[:cut], "given", *rest)


def toy(rows=ROWS, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((rows, COLUMNS)) * (rng.random((rows, COLUMNS)) < 0.6)
    y = rng.integers(0, CLASSES, rows).astype(float)
    y[:CLASSES] = np.arange(CLASSES)
    return x, y


def opened(kind, x, y, test=0, layout="dense", **config):
    features = x if layout == "dense" else sp.csr_array(x)
    return kind(Given(features, y, test), nodes=NODES, partition=Contiguous(), **config).open(5)


def shares(x, y):
    return list(zip(np.array_split(x, NODES), np.array_split(y, NODES), strict=True))


def softmax_loss(w, x, y):
    return -log_softmax(x @ w.reshape(CLASSES, COLUMNS).T, axis=1)[np.arange(y.size), y.astype(int)]


def one_versus_rest_loss(w, x, y):
    signs = np.where(y[:, None] == np.arange(CLASSES), 1, -1)
    return np.logaddexp(0, -signs * (x @ w.reshape(CLASSES, COLUMNS).T)).sum(1)


def linear_loss(w, x, y):
    return (x @ w - y) ** 2 / 2


def mlp_loss(w, x, y, hidden=5):
    parts = np.split(w, np.cumsum([hidden * COLUMNS, hidden, CLASSES * hidden]))
    inner = np.maximum(x @ parts[0].reshape(hidden, COLUMNS).T + parts[1], 0)
    scores = inner @ parts[2].reshape(CLASSES, hidden).T + parts[3]
    return -log_softmax(scores, axis=1)[np.arange(y.size), y.astype(int)]


PLAIN = dict(zip(KINDS, [softmax_loss, one_versus_rest_loss, linear_loss, mlp_loss], strict=True))
OWN = {Mlp: {"hidden": (5,)}}


@pytest.mark.parametrize("layout", ["dense", "csr"])
@pytest.mark.parametrize("kind", KINDS)
def test_values_and_metrics_are_the_formulas(kind, layout):
    """F is the mean over nodes of the means over their samples (14, 13, 13 of 40), plus the ridge."""
    x, y = toy()
    problem = opened(kind, x, y, layout=layout, l2=0.1, **OWN.get(kind, {}))
    w = np.random.default_rng(1).standard_normal(problem.dim)
    means = [PLAIN[kind](w, *part).mean() + 0.05 * w @ w for part in shares(x, y)]
    assert problem.values([GradientRequest(m, w) for m in range(NODES)]) == pytest.approx(means, rel=1e-12)
    assert problem.metrics(w)["loss"] == pytest.approx(np.mean(means), rel=1e-12)
    assert problem.loss(w) == pytest.approx(np.mean(means), rel=1e-12)
    batch = np.array([1, 4, 7])
    part_x, part_y = shares(x, y)[1]
    (value,) = problem.values([GradientRequest(1, w, batch)])
    assert value == pytest.approx(PLAIN[kind](w, part_x[batch], part_y[batch]).mean() + 0.05 * w @ w, rel=1e-12)


@pytest.mark.parametrize("layout", ["dense", "csr"])
@pytest.mark.parametrize("kind", KINDS)
def test_gradients_are_slopes_of_the_formulas(kind, layout):
    """Every coordinate by central differences of the plain formula; the error of h = 1e-5 is far below 1e-8."""
    x, y = toy()
    problem = opened(kind, x, y, layout=layout, l2=0.1, **OWN.get(kind, {}))
    w = np.random.default_rng(2).standard_normal(problem.dim)
    for node, batch in itertools.product(range(NODES), (None, np.array([0]), np.array([2, 3, 5]))):
        part_x, part_y = (rows if batch is None else rows[batch] for rows in shares(x, y)[node])
        steps = 1e-5 * np.eye(problem.dim)
        slopes = [(PLAIN[kind](w + h, part_x, part_y) - PLAIN[kind](w - h, part_x, part_y)).mean() for h in steps]
        (gradient,) = problem.gradients([GradientRequest(node, w, batch)])
        assert gradient == pytest.approx(np.array(slopes) / 2e-5 + 0.1 * w, abs=1e-8)


@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_bits_do_not_depend_on_who_shares_the_call(data):
    """Minibatches of one size are multiplied in one stacked product; sizes, models and order are drawn."""
    kind = data.draw(st.sampled_from(KINDS))
    x, y = toy()
    problem = opened(kind, x, y, **OWN.get(kind, {}))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    models = [rng.standard_normal(problem.dim) for _ in range(2)]
    requests = []
    for _ in range(data.draw(st.integers(1, 8))):
        node, size = rng.integers(NODES), rng.integers(0, 5)
        batch = np.sort(rng.choice(13, size, replace=False)) if size else None
        requests.append(GradientRequest(int(node), models[rng.integers(2)], batch))
    together = problem.gradients(requests)
    for i, request in enumerate(requests):
        assert np.array_equal(together[i], problem.gradients([request])[0])


@pytest.mark.parametrize("kind", KINDS)
def test_accuracies_and_the_test_set(kind):
    """Test samples belong to no node; their loss is the mean without the ridge."""
    x, y = toy(60)
    y = np.sort(y) if kind is LinearRegression else y
    problem = opened(kind, x, y, test=20, l2=0.1, **OWN.get(kind, {}))
    w = np.random.default_rng(3).standard_normal(problem.dim)
    found = problem.metrics(w)
    assert set(found) == set(problem.metric_names) - {"loss_gap"}
    assert found["test_loss"] == pytest.approx(PLAIN[kind](w, x[40:], y[40:]).mean(), rel=1e-12)
    assert problem.num_samples(0) + problem.num_samples(1) + problem.num_samples(2) == 40
    if kind in (SoftmaxRegression, OneVersusRest):
        guesses = (x @ w.reshape(CLASSES, COLUMNS).T).argmax(1)
        assert found["train_accuracy"] == np.mean(guesses[:40] == y[:40])
        assert found["test_accuracy"] == np.mean(guesses[40:] == y[40:])
    assert ("test_accuracy" in found) == (kind is not LinearRegression)
    without = opened(kind, x, y, **OWN.get(kind, {}))
    assert not {"test_loss", "test_accuracy"} & without.metric_names


def test_one_class_of_one_versus_rest_is_logistic_regression():
    """Row c of all classes together is the binary problem of class c, with its optimum."""
    x, y = toy()
    whole, part = opened(OneVersusRest, x, y, l2=0.05), opened(OneVersusRest, x, y, l2=0.05, positive_class=2)
    w = np.random.default_rng(4).standard_normal(whole.dim)
    (gradient,), (own,) = (
        problem.gradients([GradientRequest(1, at)])
        for problem, at in ((whole, w), (part, w.reshape(CLASSES, COLUMNS)[2].copy()))
    )
    assert gradient.reshape(CLASSES, COLUMNS)[2] == pytest.approx(own, rel=1e-12)
    assert whole.optimum().at.reshape(CLASSES, COLUMNS)[2] == pytest.approx(part.optimum().at, abs=1e-6)
    sign = {"name": "digits", "positive_class": 3}
    binary = build("problem", {"name": "logistic_regression", "dataset": sign, "nodes": 2}).open(1)
    ten = {"name": "digits", "positive_class": None}
    one = build("problem", {"name": "one_versus_rest", "dataset": ten, "nodes": 2, "positive_class": 3}).open(1)
    w = np.random.default_rng(5).standard_normal(65)
    assert one.metrics(w)["loss"] == pytest.approx(binary.metrics(w)["loss"], rel=1e-12)
    assert one.smoothness() == pytest.approx(binary.smoothness(), rel=1e-9)


def test_a_positive_class_that_nobody_has():
    with pytest.raises(ConfigError, match=r"positive_class: a label of the data; there are 0, 1, 2, 3. Got 7."):
        opened(OneVersusRest, *toy(), positive_class=7)


# --- optima against scikit-learn ----------------------------------------------------------------------


@pytest.mark.parametrize("l2", [1e-1, 1e-3])
def test_softmax_optimum_is_that_of_scikit_learn(l2):
    """digits on one node: F of both minimisers differs by less than 1e-8, and so do the minimisers' scores.

    scikit-learn minimises C sum_i loss_i + ||W||^2 / 2, so C = 1/(n l2).
    """
    from sklearn.linear_model import LogisticRegression as Theirs

    data = build("dataset", {"name": "digits", "positive_class": None}).load(np.random.default_rng(0))
    config = {"name": "softmax_regression", "dataset": {"name": "digits", "positive_class": None}}
    problem = build("problem", {**config, "nodes": 1, "l2": l2}).open(0)
    theirs = Theirs(C=1 / (1797 * l2), fit_intercept=False, tol=1e-12, max_iter=10_000, solver="newton-cg")
    theirs.fit(data.features, data.labels)
    best = problem.optimum()
    assert best.error <= 1e-12
    assert abs(problem.loss(theirs.coef_.reshape(-1)) - best.value) <= 1e-8
    assert np.abs(best.at - theirs.coef_.reshape(-1)).max() <= 1e-5


@pytest.mark.parametrize("layout", ["dense", "csr"])
@pytest.mark.parametrize("columns", [6, 60])
def test_linear_optimum_is_that_of_scikit_learn(layout, columns):
    """Ridge minimises ||Xw - y||^2 + a ||w||^2, so a = n l2; with 60 columns there are fewer samples than columns."""
    from sklearn.linear_model import Ridge

    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((39, columns)), rng.standard_normal(39)
    problem = opened(LinearRegression, x, y, layout=layout, l2=0.01)
    theirs = Ridge(alpha=39 * 0.01, fit_intercept=False, tol=1e-14).fit(x, y)
    best = problem.optimum()
    assert best.error <= 1e-12
    assert np.abs(best.at - theirs.coef_).max() <= 1e-8
    assert abs(problem.loss(theirs.coef_) - best.value) <= 1e-8


def test_linear_optimum_by_conjugate_gradients(monkeypatch):
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((39, 8)), rng.standard_normal(39)
    expected = opened(LinearRegression, x, y).optimum()
    monkeypatch.setattr("algorithms.problems.linear_regression._SIDE_MAX", 3)
    assert opened(LinearRegression, x, y).optimum().at == pytest.approx(expected.at, abs=1e-10)


def test_linear_constants_are_eigenvalues():
    x, y = np.random.default_rng(0).standard_normal((39, 4)), np.zeros(39)
    problem = opened(LinearRegression, x, y, l2=0.25)
    spectrum = np.linalg.eigvalsh(sum(part.T @ part / len(part) for part in np.array_split(x, NODES)) / NODES)
    assert problem.smoothness() == pytest.approx(spectrum[-1] + 0.25, rel=1e-9)
    assert problem.strong_convexity() == pytest.approx(spectrum[0] + 0.25, rel=1e-9)
    assert problem.strong_convexity() <= spectrum[0] + 0.25


@pytest.mark.parametrize("kind", [SoftmaxRegression, OneVersusRest, LinearRegression])
def test_without_a_ridge_there_is_no_optimum(kind):
    problem = opened(kind, *toy(), l2=0.0)
    assert problem.optimum() is None
    assert "loss_gap" not in problem.metric_names


def test_softmax_smoothness_is_reached():
    """One sample x with two classes equally likely: the second derivative is (1/4) [[1, -1], [-1, 1]] times xx'.

    Its largest eigenvalue is ||x||^2 / 2, and L is that.
    """
    x, y = np.array([[3.0, 4.0]] * 2), np.array([0.0, 1.0])
    problem = SoftmaxRegression(Given(x, y), nodes=1, l2=0.0).open(0)
    assert problem.smoothness() == pytest.approx(12.5, rel=1e-9)
    step = 1e-4 * np.array([3.0, 4.0, -3.0, -4.0]) / np.sqrt(50)
    bend = np.diff([problem.gradients([GradientRequest(0, at)])[0] @ step for at in (np.zeros(4), step)]) / 1e-8
    assert bend == pytest.approx(12.5, rel=1e-6)


# --- the network ---------------------------------------------------------------------------------------


def test_mlp_starts_as_he():
    """64 x 400 weights of variance 2/400: the mean square has a standard error of sqrt(2/25600), 1 %; chance 6e-7."""
    x, y = np.random.default_rng(0).standard_normal((12, 400)), np.arange(12) % 4.0
    problem = Mlp(Given(x, y), nodes=2).open(3)
    start = problem.start()
    assert np.mean(start[: 64 * 400] ** 2) == pytest.approx(2 / 400, rel=0.05)
    assert not start[64 * 400 : 64 * 400 + 64].any()
    assert not isinstance(problem, HasSmoothness)
    assert not np.array_equal(Mlp(Given(x, y), nodes=2).open(4).start(), start)


def test_mlp_gradient_is_that_of_autograd():
    torch = pytest.importorskip("torch")
    x, y = toy()
    problem = opened(Mlp, x, y, hidden=(7, 5))
    w = np.random.default_rng(6).standard_normal(problem.dim)
    (gradient,) = problem.gradients([GradientRequest(0, w)])
    tensor = torch.tensor(w, requires_grad=True)
    pieces = torch.split(tensor, [int(np.prod(shape)) for shape in problem.layout])
    out = torch.tensor(shares(x, y)[0][0])
    for i in range(0, 6, 2):
        out = out @ pieces[i].reshape(problem.layout[i]).T + pieces[i + 1]
        out = torch.relu(out) if i < 4 else out
    torch.nn.functional.cross_entropy(out, torch.tensor(shares(x, y)[0][1]).long()).backward()
    assert np.abs(gradient - tensor.grad.numpy()).max() <= 1e-10


# --- errors --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [SoftmaxRegression, OneVersusRest, Mlp])
@pytest.mark.parametrize(
    ("labels", "got"), [(np.zeros(ROWS), "1 value: 0."), (np.linspace(0, 1, ROWS), "40 values: 0, 0.025641, ")]
)
def test_what_are_no_classes(kind, labels, got):
    with pytest.raises(DataError) as caught:
        opened(kind, toy()[0], labels)
    name = {"SoftmaxRegression": "softmax_regression", "OneVersusRest": "one_versus_rest", "Mlp": "mlp"}[kind.__name__]
    assert str(caught.value).startswith(f"given: {name} needs labels of two classes or more, as whole numbers. Got ")
    assert got in str(caught.value)


def test_test_samples_of_other_classes_or_columns():
    x, y = toy()
    y[-1] = 9
    with pytest.raises(DataError, match=r"needs test samples of the 4 classes that training samples have. Got 1 value"):
        opened(SoftmaxRegression, x, y, test=10)

    @dataclass(frozen=True)
    class Odd:
        def load(self, rng):
            return Data(x, toy()[1], "odd", x[:, 1:], toy()[1])

    with pytest.raises(DataError, match=r"odd: test samples of 6 columns are needed, .* Got 5."):
        SoftmaxRegression(Odd()).open(0)


@pytest.mark.parametrize("kind", KINDS)
def test_wrong_requests(kind):
    problem = opened(kind, *toy(), **OWN.get(kind, {}))
    w = problem.start()
    for batch in (np.array([13]), np.array([-1, 2]), np.array([], np.int64)):
        with pytest.raises(SimulationError, match=r"a batch names some of the node's 13 samples, from 0. Got "):
            problem.gradients([GradientRequest(1, w, batch)])
    with pytest.raises(SimulationError, match=rf"a model of shape \({problem.dim},\) is needed"):
        problem.gradients([GradientRequest(1, w[1:])])


def test_a_digest_tells_shapes_apart():
    flat = digest_of(("a",), [np.zeros(4)])
    assert flat != digest_of(("a",), [np.zeros((2, 2))])
    assert flat != digest_of(("b",), [np.zeros(4)])


@given(st.integers(2, 12_000), st.floats(0, 1), st.integers(1, 12), st.integers(0, 9))
def test_batches_drawn_together_are_those_drawn_one_by_one(samples: int, share: float, count: int, seed: int) -> None:
    """The same batches, and the stream ends at the same place: numpy's choice is Floyd's algorithm."""
    size = max(1, min(samples - 1, round(share**4 * samples)))
    alone, together = np.random.default_rng(seed), np.random.default_rng(seed)
    one_by_one = [draw(size, samples, alone) for _ in range(count)]
    many = draw_many(size, samples, together, count)
    assert [batch.tolist() for batch in many] == [batch.tolist() for batch in one_by_one]
    assert alone.bit_generator.state == together.bit_generator.state
    assert all(batch.dtype == np.int64 for batch in many)
