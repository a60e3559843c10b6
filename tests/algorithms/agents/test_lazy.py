"""LAG, LAQ and LASG: who uploads follows from the iterates, and both ends hold the same gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from netsim.errors import ConfigError
from netsim.interfaces import Array, GradientRequest
from netsim.registry import build
from tests.support.toys import ToyProblem
from tests.support.watch import LoggedProblem, iterates, trace, uploaders, watch

EXACT = {"float_bit": 64, "model_bit": 64}
ROUNDS = 40


def moves(xs: Array, round: int, window: int) -> float:
    """sum_{j=1}^{D} ||x^{t+1-j} - x^{t-j}||^2, where terms before x^0 are 0."""
    return float(sum(np.sum((xs[i + 1] - xs[i]) ** 2) for i in range(max(round - window, 0), round)))


def gradients_of(problem: ToyProblem, xs: Array) -> Array:
    """Full gradients, shape (rounds, M, dim)."""
    return np.array([problem.gradients([GradientRequest(m, x) for m in range(problem.num_nodes)]) for x in xs])


@pytest.mark.parametrize(("xi", "window"), [(0.1, 10), (1.0, 3), (5.0, 1)])
def test_lag_uploads_where_the_gradient_changed_more_than_the_model(xi: float, window: int) -> None:
    """||g - h||^2 > (xi / eta^2) sum of the last D squared moves, with h what was sent last."""
    problem, eta = ToyProblem(4), 0.2
    seen = trace({"name": "lag", "xi": xi, "window": window, "step_size": eta, **EXACT}, problem, ROUNDS)
    xs = np.array([x for _, _, x in seen.reports])
    g, h, expected = gradients_of(problem, xs), np.zeros((4, 12)), []
    for t in range(ROUNDS):
        limit = xi / eta**2 * moves(xs, t, window)
        expected.append({m for m in range(4) if t == 0 or np.sum((g[t, m] - h[m]) ** 2) > limit})
        for m in expected[-1]:
            h[m] = g[t, m]
        np.testing.assert_allclose(xs[t + 1], xs[t] - eta * h.mean(axis=0), rtol=0, atol=1e-12)
    assert uploaders(seen, ROUNDS) == expected
    assert 4 < sum(map(len, expected)) < 4 * ROUNDS


@pytest.mark.parametrize("rule", ["worker", "server"])
def test_automatic_xi(rule: str) -> None:
    """1/D for the worker's rule and 10/D for the server's."""
    keys = {"name": "lag", "rule": rule, "window": 5, "step_size": 0.2, **EXACT}
    np.testing.assert_array_equal(
        iterates(keys, ToyProblem(4), ROUNDS),
        iterates({**keys, "xi": {"worker": 0.2, "server": 2.0}[rule]}, ToyProblem(4), ROUNDS),
    )


def test_the_servers_rule_asks_whenever_the_workers_would_upload() -> None:
    """||g(x) - g(x_m)||^2 <= L_m^2 ||x - x_m||^2: who is not asked had no change above the limit to send."""
    problem, xi, eta = ToyProblem(4, seed=2), 1.0, 0.2
    seen = trace({"name": "lag", "rule": "server", "xi": xi, "step_size": eta, **EXACT}, problem, ROUNDS)
    xs, asked = np.array([x for _, _, x in seen.reports]), uploaders(seen, ROUNDS)
    g, last = gradients_of(problem, xs), np.zeros(4, int)
    for t in range(ROUNDS):
        limit, bounds = xi / eta**2 * moves(xs, t, 10), {}
        for m in range(4):
            moved = problem.smoothness(m) ** 2 * float(np.sum((xs[t] - xs[last[m]]) ** 2))
            bounds[m] = moved
            if m not in asked[t]:
                assert np.sum((g[t, m] - g[last[m], m]) ** 2) <= limit
        assert asked[t] == {m for m in range(4) if t == 0 or bounds[m] > limit}
        last[list(asked[t])] = t
    assert 4 < sum(map(len, asked)) < 4 * ROUNDS
    # Who is not asked gets no model either.
    models = [{m.dst for m in seen.messages if m.kind == "model" and m.round == t} for t in range(ROUNDS)]
    assert models == asked


@pytest.mark.parametrize(
    "algorithm",
    [
        {"name": "lag", "xi": 1.0},
        {"name": "lag", "rule": "server"},
        {"name": "laq", "xi": 0.5},
        {"name": "lasg", "xi": 1.0, "max_age": 7},
        {"name": "lasg", "rule": "wk1", "xi": 1.0, "max_age": 7},
        {"name": "lasg", "rule": "ps", "xi": 1.0},
        {"name": "diana", "compressor": {"name": "qsgd", "levels": 2}},
        {"name": "vr_diana", "compressor": {"name": "qsgd", "levels": 2}},
        {"name": "adiana", "compressor": {"name": "qsgd", "levels": 2}},
        {"name": "ef21", "compressor": {"name": "top_k", "k": 2}},
        {"name": "ef21", "compressor": {"name": "top_k", "k": 2}, "participation": 0.6},
    ],
    ids=str,
)
def test_the_server_holds_the_mean_of_what_the_workers_hold(algorithm: dict[str, Any]) -> None:
    """O12: the sum of what all sent, in another order of additions; 1e-13 of the largest entry."""

    def look(round: int, server: Any, workers: list[Any]) -> None:
        held = np.array([worker.h for worker in workers])
        np.testing.assert_allclose(server.h, held.mean(axis=0), rtol=0, atol=1e-13 * (1 + np.abs(held).max()))
        seen.append(round)

    seen: list[int] = []
    watch({"step_size": 0.1, **algorithm}, ToyProblem(5, batch=8), ROUNDS, look)
    assert seen == list(range(ROUNDS + 1))


def test_laq_by_hand() -> None:
    """Rule, error and clock against the formulas, with 2 bits: tau = 1/3, levels R (2 q / 3 - 1)."""
    problem, xi, eta, max_age = ToyProblem(3, seed=4), 0.3, 0.2, 6
    keys = {"name": "laq", "bits": 2, "xi": xi, "step_size": eta, "max_age": max_age, **EXACT}
    seen = trace(keys, problem, ROUNDS)
    xs, sent = np.array([x for _, _, x in seen.reports]), uploaders(seen, ROUNDS)
    g, h, old, last = gradients_of(problem, xs), np.zeros((3, 12)), np.zeros(3), np.full(3, -99)
    because_of_age = 0
    for t in range(ROUNDS):
        for m in range(3):
            v = g[t, m] - h[m]
            radius = np.abs(v).max()
            q = radius * (2 * np.floor((v + radius) * 3 / (2 * radius) + 0.5) / 3 - 1)
            assert np.abs(v - q).max() <= radius / 3 * (1 + 1e-12)
            error = np.sum((v - q) ** 2)
            is_large = np.sum(q**2) >= xi / eta**2 * moves(xs, t, 10) + 3 * (error + old[m])
            assert (m in sent[t]) == (is_large or t - last[m] >= max_age), (t, m)
            because_of_age += not is_large
            if m in sent[t]:
                h[m], old[m], last[m] = h[m] + q, error, t
        np.testing.assert_allclose(xs[t + 1], xs[t] - eta * h.mean(axis=0), rtol=0, atol=1e-9)
    assert because_of_age
    assert 3 < sum(map(len, sent)) < 3 * ROUNDS
    bits = {m.payload.paper_bit for m in seen.messages if m.kind == "update"}
    assert bits == {64 + 2 * 12}


def test_laqs_condition_is_not_strict() -> None:
    """At the minimiser of all nothing moves and every innovation is 0, which is not below a limit of 0."""

    class Solved(ToyProblem):
        def start(self) -> Array:
            return self.centres[0].copy()

    assert uploaders(trace({"name": "laq", **EXACT}, Solved(2, isotropic=True), 4), 4) == [{0, 1}] * 4
    assert uploaders(trace({"name": "lag", **EXACT}, Solved(2, isotropic=True), 4), 4) == [{0, 1}] + [set()] * 3


class Noisy(LoggedProblem):
    """Minibatches also tilt the curvature, so that differences of gradients have noise."""

    def _gradient(self, request: GradientRequest) -> Array:
        plain = super()._gradient(request)
        if request.batch is None:
            return plain
        return plain + 0.1 * self.shifts[request.batch].mean(axis=0) * (request.at - self.centres[request.node])


@pytest.mark.parametrize("rule", ["wk1", "wk2"])
def test_lasg_compares_gradients_on_one_minibatch(rule: str) -> None:
    """Of each pair of gradients the first is at x^t; the second, on the same samples, at the anchor."""
    problem, xi, eta, max_age = Noisy(3, batch=8), 2.0, 0.2, 9
    keys = {"name": "lasg", "rule": rule, "xi": xi, "step_size": eta, "max_age": max_age, **EXACT}
    seen = trace(keys, problem, ROUNDS)
    xs, sent = np.array([x for _, _, x in seen.reports]), uploaders(seen, ROUNDS)
    anchors: dict[int, Any] = {}
    told, last = np.zeros((3, 12)), np.full(3, -99)
    h = np.zeros((3, 12))
    for t in range(ROUNDS):
        for m in range(3):
            g, other = problem.log[m][2 * t], problem.log[m][2 * t + 1]
            is_due = t == 0 or (t % max_age == 0 if rule == "wk1" else t - last[m] >= max_age)
            if rule == "wk1" and is_due:
                anchors[m] = xs[t]
            if m in anchors:
                moved = xs[t] - anchors[m]  # the noise of the curvature is at most 0.1 of a mean of 8 shifts
                assert (np.abs(g - other - problem.curvature[m] * moved) <= 0.01 * np.abs(moved) + 1e-12).all()
            change = g - other - (told[m] if rule == "wk1" else 0.0)
            assert (m in sent[t]) == (is_due or np.sum(change**2) > xi / eta**2 * moves(xs, t, 10))
            if m in sent[t]:
                told[m], last[m], h[m] = g - other, t, g
                if rule == "wk2":
                    anchors[m] = xs[t]
        np.testing.assert_allclose(xs[t + 1], xs[t] - eta * h.mean(axis=0), rtol=0, atol=1e-12)
    assert [call[0][1] for call in problem.calls[0::2]] == [call[0][1] for call in problem.calls[1::2]]
    assert 3 < sum(map(len, sent)) < 3 * ROUNDS


def test_lag_hears_noise_where_lasg_does_not() -> None:
    """On minibatches LAG uploads almost always; that LASG does not is why it exists."""
    keys = {"xi": 0.1, "step_size": 0.1}
    counts = {
        name: sum(map(len, uploaders(trace({"name": name, **keys}, ToyProblem(3, batch=4), 100), 100)))
        for name in ("lag", "lasg")
    }
    assert counts["lag"] > 2 * counts["lasg"]


@pytest.mark.parametrize(
    ("keys", "sentence"),
    [
        ({"name": "lag", "rule": "workers"}, "rule: .*Got 'workers'.*Nearest: worker"),
        ({"name": "lag", "xi": -0.1}, "xi: .*>= 0"),
        ({"name": "laq", "bits": 25}, "bits: a whole number >= 1 and <= 24. Got 25"),
        ({"name": "lasg", "max_age": 0}, "max_age: .*>= 1"),
    ],
)
def test_bad_keys(keys: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        build("algorithm", keys)
