"""What agents are made of: step rules in rounds and epochs, momentum, local steps, triggers, averages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pytest

from algorithms.roles.parts import Average, Momentum, Trigger, local_steps, step_rule
from netsim.errors import ConfigError
from netsim.interfaces import Agent, Array, Context, Payload, Report, Send
from netsim.registry import build
from netsim.scenario import Entry
from netsim.simulation.engine import simulate
from tests.support.toys import ToyProblem, scenario


class Facts:
    rounds_per_epoch = 8.0


class Ctx:
    facts = Facts()


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ({"name": "constant", "value": 0.3}, [0.3, 0.3, 0.3, 0.3]),
        ({"name": "inverse_round", "a": 4.0, "offset": 2.0}, [2.0, 0.4, 0.222222, 0.058824]),
        ({"name": "inverse_round", "a": 4.0, "offset": 2.0, "per": "epoch"}, [2.0, 1.333333, 1.0, 0.390244]),
        ({"name": "piecewise", "start": 1.0, "boundaries": [8, 64], "factor": 0.5}, [1.0, 0.5, 0.5, 0.25]),
        ({"name": "piecewise", "start": 1.0, "boundaries": [1, 2], "per": "epoch"}, [1.0, 0.1, 0.01, 0.01]),
        ({"name": "cosine", "start": 1.0, "length": 16}, [1.0, 0.5, 0.0, 0.0]),
        ({"name": "cosine", "start": 1.0, "length": 2, "per": "epoch", "end": 0.2}, [1.0, 0.6, 0.2, 0.2]),
        ({"name": "warmup", "length": 16, "start": 0.2, "then": {"name": "constant", "value": 1.0}}, [0.2, 0.6, 1, 1]),
        (
            {
                "name": "warmup",
                "length": 2,
                "then": {"name": "piecewise", "start": 1, "boundaries": [2], "per": "epoch"},
            },
            [0.0, 0.05, 0.1, 0.1],
        ),
    ],
    ids=lambda value: str(value)[:60],
)
def test_step_rules_at_rounds_0_8_16_and_66(rule: dict[str, Any], expected: list[float]) -> None:
    """Eight rounds are an epoch."""
    step = step_rule(build("step", rule), Ctx(), lambda: 0.0)  # type: ignore[arg-type]
    assert [step(k) for k in (0, 8, 16, 66)] == pytest.approx(expected, abs=1e-6)


def test_rounds_of_an_epoch_follow_from_the_minibatch() -> None:
    base = scenario({"name": "gd"}, problem={"name": "logistic_regression", "dataset": "breast_cancer", "batch": 10})
    from netsim.simulation.context import ProblemFacts

    problem = base.problem.open(0)
    nodes = range(problem.num_nodes)
    expected = np.mean([problem.num_samples(node) / 10 for node in nodes])
    assert ProblemFacts(problem).rounds_per_epoch == pytest.approx(expected)


@pytest.mark.parametrize(
    ("rule", "sentence"),
    [
        ({"name": "piecewise", "start": 1, "boundaries": [2, 2]}, "numbers that rise"),
        ({"name": "warmup", "length": 1, "then": {"name": "warmup", "length": 1, "then": "x"}}, "no step of that name"),
        ({"name": "cosine", "start": 1, "length": 0}, "a number > 0"),
    ],
)
def test_rules_that_are_none(rule: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        build("step", rule)


def test_momentum_by_hand() -> None:
    """beta 0.5, gradients 1, 2, 4: v = 1, 2.5, 5.25; Nesterov's direction is 0.5 v + g = 1.5, 3.25, 6.625."""
    heavy, nesterov = Momentum(0.5), Momentum(0.5, nesterov=True)
    gradients = [np.array([g]) for g in (1.0, 2.0, 4.0)]
    assert [float(heavy.direction(g)[0]) for g in gradients] == [1.0, 2.5, 5.25]
    assert [float(nesterov.direction(g)[0]) for g in gradients] == [1.5, 3.25, 6.625]
    assert Momentum().direction(gradients[0]) is gradients[0]


def test_trigger_and_average_by_hand() -> None:
    trigger = Trigger(times=3)
    assert [trigger.fires(hit) for hit in (True, False, True, True, True, True, True)] == [False] * 3 + [
        True, False, False, True,
    ]  # fmt: skip
    average = Average()
    for x, weight in ((1.0, 1.0), (4.0, 2.0), (0.0, 1.0)):
        mean = average.add(np.array([x]), weight)
    assert mean.tolist() == [2.25]


@dataclass(frozen=True)
class Local:
    """Every worker walks five local steps in each of two rounds and reports where it is to the test."""

    seen: list[Array]
    tolerates: ClassVar[frozenset[str]] = frozenset()
    name: ClassVar[str] = "local"

    def server(self, ctx: Context) -> Agent:
        return _Run(self.wait(ctx))

    def worker(self, ctx: Context) -> Agent:
        return _Run(self.walk(ctx))

    async def wait(self, ctx: Context) -> None:
        from netsim.interfaces import Receive

        await Report(0, ctx.facts.start)
        await Receive(len(ctx.workers))
        await Report(1, ctx.facts.start)

    async def walk(self, ctx: Context) -> None:
        momentum, x = Momentum(0.9, nesterov=True), ctx.facts.start
        for first in (0, 5):
            x = await local_steps(x, 5, lambda t: 0.1 / (t + 1), first, momentum, weight_decay=0.01)
        self.seen.append(x)
        await Send(ctx.server, Payload(b"", 0.0), 0)


class _Run:
    def __init__(self, coroutine: Any) -> None:
        self.coroutine = coroutine

    def run(self) -> Any:
        return self.coroutine


def test_local_steps_are_nesterov_sgd_with_weight_decay() -> None:
    """Against the recursion written out: g = A (x - c) + 0.01 x, v = 0.9 v + g, x -= 0.1 / (t + 1) (0.9 v + g)."""
    problem, seen = ToyProblem(1), list[Array]()
    base = scenario({"name": "gd"}, nodes=1, stop={"rounds": 1})
    simulate(base, Entry("local", Local(seen)), 0, problem)
    x, v = np.zeros(12), np.zeros(12)
    for t in range(10):
        g = problem.curvature[0] * (x - problem.centres[0]) + 0.01 * x
        v = 0.9 * v + g
        x = x - 0.1 / (t + 1) * (0.9 * v + g)
    np.testing.assert_allclose(seen[0], x, rtol=1e-12)
