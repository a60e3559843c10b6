"""What every problem promises, at random models near its start and at random distances from it."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from netsim.interfaces import Array, Draws, GradientRequest, Indices, NodeId, Redraws
from netsim.testing.contract import ContractError, on, require, require_methods
from netsim.testing.datasets import require_files

SEED = 1
NODES = 8  # how many nodes are checked where there are more
METHODS = ("start", "metrics", "num_samples")
# Groups of optional methods; a problem offers all of a group or none: see `HasGradients` and its neighbours.
GRADIENTS = ("draw_batch", "gradients", "values", "gradient_flop")
CONSTANTS = ("smoothness", "strong_convexity")
SLOPE = 1e-6  # share of the gradient's length that a difference of values may be off
WIDTHS = (1e-3, 1e-4, 1e-5, 1e-6)
ROUNDING = 1e-9  # share of a sum over all samples that its order may change


def opened(problem: Any, seed: int = SEED) -> Any:
    """Return the live problem of a seed, which may offer more than `netsim.interfaces.Problem`.

    Raises
    ------
    NotCheckedError
        If a file of its dataset is missing.
    """
    if hasattr(problem, "dataset"):
        require_files(problem.dataset)
    return problem.open(seed)


def has(live: Any, group: Sequence[str]) -> bool:
    """Return whether a live problem offers all methods of a group."""
    return all(callable(getattr(live, name, None)) for name in group)


def nodes_of(live: Any) -> range:
    """Return the nodes that are looked at."""
    return range(min(live.num_nodes, NODES))


def models(live: Any) -> Iterator[tuple[str, Array]]:
    """Yield models with their names: the start, and random ones near and far."""
    rng = np.random.default_rng(41)
    yield "the start", live.start()
    for distance in (1e-3, 0.1, 1.0):
        step = rng.standard_normal(live.dim)
        yield f"the start + {distance:g} in a random direction", live.start() + distance * step / np.linalg.norm(step)
    yield "the start + a standard normal vector", live.start() + rng.standard_normal(live.dim)


def check_interface(problem: Any) -> None:
    """Check that it opens, that the problem has all required methods, others in whole groups, and that sizes fit."""
    require_methods(problem, "open")
    live = opened(problem)
    require_methods(live, *METHODS)
    for group in (GRADIENTS, CONSTANTS):
        given = [name for name in group if callable(getattr(live, name, None))]
        require(
            not given or has(live, group), f"all of {', '.join(group)} are offered, or none. Got {', '.join(given)}"
        )
    require(live.num_nodes == problem.nodes, f"num_nodes is the configuration's nodes, {problem.nodes}")
    require(isinstance(live.dim, int) and live.dim >= 1, f"dim is a whole number >= 1. Got {live.dim!r}")
    entries = sum(math.prod(shape) for shape in live.layout)
    require(entries == live.dim, f"the tensors of layout have dim = {live.dim} entries in all. Got {entries}")
    start = live.start()
    got = f"{getattr(start, 'dtype', type(start).__name__)} of shape {getattr(start, 'shape', '()')}"
    good = isinstance(start, np.ndarray) and start.shape == (live.dim,) and start.dtype.kind == "f"
    require(good and np.isfinite(start).all(), f"start is a finite vector of floats, shape ({live.dim},). Got {got}")
    for node in nodes_of(live):
        samples = live.num_samples(node)
        require(isinstance(samples, int) and samples >= 1, f"num_samples({node}) is at least 1. Got {samples!r}")


def check_batches(problem: Any) -> None:
    """Check that a minibatch is None or valid indices of the node's samples; equal streams draw equal ones."""
    live = opened(problem)
    for node in nodes_of(live) if has(live, GRADIENTS) else ():
        with on(f"node {node}"):
            _check_batches(live, node)


def _check_batches(live: Any, node: NodeId) -> None:
    samples, first, second = live.num_samples(node), np.random.default_rng(3), np.random.default_rng(3)
    for _ in range(20):
        batch, same = live.draw_batch(node, first), live.draw_batch(node, second)
        if hasattr(live, "batch_size"):
            size, drawn = live.batch_size(node), samples if batch is None else batch.size
            require(size == drawn, f"batch_size({node}) says {size}; a batch has {drawn} samples")
        if batch is None or same is None:
            require(batch is None and same is None, "one stream draws a batch and an equal one none")
            continue
        require(np.array_equal(batch, same), "equal streams draw different batches")
        whole = isinstance(batch, np.ndarray) and batch.ndim == 1 and batch.dtype == np.int64 and batch.size >= 1
        require(whole, f"draw_batch gives an int64 vector of one entry or more, or None. Got {batch!r}")
        inside = int(batch.min()) >= 0 and int(batch.max()) < samples
        require(inside, f"a batch names samples 0 to {samples - 1}. Got {int(batch.min())} to {int(batch.max())}")
    if hasattr(live, "draw_batches"):
        many, alone = live.draw_batches(node, first, 50), [live.draw_batch(node, second) for _ in range(50)]
        same = len(many) == 50 and all(np.array_equal(a, b) for a, b in zip(many, alone, strict=True))
        sentence = "draw_batches draws what draw_batch draws one by one, and leaves the stream where that leaves it"
        require(same and first.bit_generator.state == second.bit_generator.state, sentence)


def check_gradients(problem: Any) -> None:
    """Check that gradients are the slopes of `values` (differences of fourth order), on all samples and minibatches."""
    live, rng = opened(problem), np.random.default_rng(42)
    for name, w in models(live) if has(live, GRADIENTS) else ():
        for node in nodes_of(live):
            for batch in (None, live.draw_batch(node, rng)):
                along = rng.standard_normal(live.dim)
                case = f"node {node} at {name}{'' if batch is None else f', batch {batch[:8].tolist()}'}"
                with on(case):
                    _check_slope(live, node, w, batch, along / np.linalg.norm(along))


def _check_slope(live: Any, node: NodeId, w: Array, batch: Indices | None, along: Array) -> None:
    gradient = _gradient(live, node, w, batch)
    flop = live.gradient_flop(GradientRequest(node, w, batch))
    require(0 <= flop < math.inf, f"gradient_flop is a number >= 0. Got {flop}")
    got = f"{gradient.dtype} of shape {gradient.shape}" if isinstance(gradient, np.ndarray) else repr(gradient)
    good = isinstance(gradient, np.ndarray) and gradient.shape == (live.dim,) and gradient.dtype.kind == "f"
    require(good, f"a gradient is a vector of floats, shape ({live.dim},). Got {got}")
    require(np.isfinite(gradient).all(), "the gradient has an entry that is not finite")
    stated, length = float(gradient @ along), float(np.linalg.norm(gradient))
    slopes = []
    for width in max(1.0, float(np.linalg.norm(w))) * np.array(WIDTHS):
        at = {k: _value(live, node, w + k * width * along, batch) for k in (-2, -1, 1, 2)}
        slopes.append((8 * (at[1] - at[-1]) - (at[2] - at[-2])) / (12 * width))
        rounding = 20 * np.finfo(np.float64).eps * max(map(abs, at.values())) / width
        # Of steep functions a wide difference is no slope, of large values a narrow one is rounding alone.
        if abs(stated - slopes[-1]) <= SLOPE * length + rounding + 1e-12:
            return
    seen = min(slopes, key=lambda slope: abs(slope - stated))
    text = f"the gradient says {stated:.9g}, differences of values say {seen:.9g}"
    raise ContractError(f"along a random direction {text}")


def check_calls(problem: Any) -> None:
    """Check that a gradient's bits do not depend on the other requests of a call; inputs and answers are left alone."""
    live, rng = opened(problem), np.random.default_rng(43)
    if not has(live, GRADIENTS):
        return
    requests = []
    for (_, w), node in itertools.product(models(live), nodes_of(live)):
        w.setflags(write=False)
        requests += [GradientRequest(node, w), GradientRequest(node, w, live.draw_batch(node, rng))]
    alone = [np.array(live.gradients([request])[0]) for request in requests]
    for request, before in zip(requests, alone, strict=True):
        with on(f"node {request.node}"):
            answer = np.asarray(live.gradients([request])[0])
            require(answer.tobytes() == before.tobytes(), "asked twice for one gradient it gives two")
            if answer.flags.writeable:
                answer[...] = math.nan  # the caller owns the answer
            again = np.asarray(live.gradients([request])[0])
            sentence = "writing into a gradient that was handed out changes the next answer; hand out a copy"
            require(again.tobytes() == before.tobytes(), sentence)
    for _ in range(6):
        order = rng.permutation(len(requests))
        cuts = np.sort(rng.integers(0, len(requests) + 1, int(rng.integers(0, 5))))
        for part in np.split(order, cuts):
            _check_call(live, requests, alone, part.tolist())


def _check_call(live: Any, requests: Sequence[GradientRequest], alone: Sequence[Array], part: Sequence[int]) -> None:
    answers = [np.asarray(gradient) for gradient in live.gradients([requests[i] for i in part])]
    require(len(answers) == len(part), f"{len(part)} requests have {len(answers)} answers")
    for i, answer in zip(part, answers, strict=True):
        if answer.tobytes() != alone[i].tobytes():
            raise ContractError(_shared(live, requests, alone, i, part), f"node {requests[i].node}")


def _shared(live: Any, requests: Sequence[GradientRequest], alone: Sequence[Array], i: int, part: Sequence[int]) -> str:
    """Return a sentence on which other request changes the answer to one; one pair alone where that is enough."""
    for other in part:
        for pair in ((i, other), (other, i)):
            answers = live.gradients([requests[k] for k in pair])
            if other != i and np.asarray(answers[pair.index(i)]).tobytes() != alone[i].tobytes():
                place = "first" if pair[0] == i else "second"
                return (
                    f"a gradient has other bits where its request is the {place} of two in a call, "
                    f"beside one of node {requests[other].node}"
                )
    return f"a gradient has other bits where its request shares a call with {len(part) - 1} others"


def check_values(problem: Any) -> None:
    """Check that the loss is the mean of the nodes' values, and that all samples as a batch are all samples."""
    live = opened(problem)
    for name, w in models(live) if has(live, GRADIENTS) else ():
        with on(f"at {name}"):
            _check_values(live, w)


def _check_values(live: Any, w: Array) -> None:
    values = [float(value) for value in live.values([GradientRequest(m, w) for m in range(live.num_nodes)])]
    require(len(values) == live.num_nodes, f"{live.num_nodes} requests have {len(values)} values")
    loss, mean = _loss(live, w), math.fsum(values) / live.num_nodes
    scale = max(map(abs, values))
    require(_near(loss, mean, scale), f"the metric loss is {loss!r}; the mean of the nodes' values is {mean!r}")
    for node in nodes_of(live):
        everything = np.arange(live.num_samples(node))
        by_batch = _value(live, node, w, everything)
        text = f"node {node} has the value {values[node]!r} on all samples and {by_batch!r} on the batch that names all"
        require(_near(by_batch, values[node], scale), text)
        gradient, batched = _gradient(live, node, w, None), _gradient(live, node, w, everything)
        length = max(float(np.linalg.norm(gradient)), 1e-12)
        close = float(np.linalg.norm(gradient - batched)) <= 1e3 * ROUNDING * length
        require(close, f"node {node} has another gradient on the batch that names all samples than on all samples")


def check_metrics(problem: Any) -> None:
    """Check that metrics have the names promised; ``grad_norm`` is that of F, accuracies are shares."""
    live = opened(problem)
    for name, w in models(live):
        with on(f"at {name}"):
            _check_metrics(live, w)


def _check_metrics(live: Any, w: Array) -> None:
    metrics, promised = live.metrics(w), set(live.metric_names) - {"loss_gap"}
    needed = {"loss", "grad_norm"} if has(live, GRADIENTS) else {"loss"}
    text = f"metric_names hold {' and '.join(sorted(needed))}. Got {sorted(live.metric_names)}"
    require(needed <= promised, text)
    require(set(metrics) == promised, f"metrics are {sorted(metrics)}; metric_names promise {sorted(promised)}")
    if has(live, GRADIENTS):
        norm = float(np.linalg.norm(_mean_gradient(live, w)))
        largest = max(float(np.linalg.norm(_gradient(live, m, w, None))) for m in range(live.num_nodes))
        text = f"the metric grad_norm is {metrics['grad_norm']!r}; the nodes' mean gradient has the norm {norm!r}"
        require(_near(metrics["grad_norm"], norm, 1e3 * largest), text)
    for metric in sorted(metrics):
        share = metrics[metric] if metric.endswith("accuracy") else 0.0
        require(0 <= share <= 1, f"{metric} is a share of 1. Got {share!r}")
    if hasattr(live, "joint_metrics"):
        joint, names = live.joint_metrics(dict.fromkeys(range(live.num_nodes), w)), live.joint_metric_names
        text = f"joint_metrics are {sorted(joint)}; joint_metric_names promise {sorted(names)}"
        require(set(joint) == set(names), text)


def check_constants(problem: Any) -> None:
    """Check that gradients of F and each f_m differ by at most L times the distance, and of F by mu times at least."""
    live = opened(problem)
    known = list(models(live)) if has(live, (*CONSTANTS, *GRADIENTS)) else []
    for (name, v), (other, w) in itertools.combinations(known, 2):
        with on(f"between {name} and {other}"):
            _check_constants(live, v, w)


def _check_constants(live: Any, v: Array, w: Array) -> None:
    distance = float(np.linalg.norm(v - w))
    whole = _mean_gradient(live, v) - _mean_gradient(live, w)
    parts = {m: _gradient(live, m, v, None) - _gradient(live, m, w, None) for m in nodes_of(live)}
    rounding = 1e-12 * max(float(np.linalg.norm(_mean_gradient(live, w))), 1.0)
    for what, smoothness, change in (
        ("smoothness()", live.smoothness(), whole),
        *((f"smoothness({m})", live.smoothness(m), part) for m, part in parts.items()),
    ):
        seen = float(np.linalg.norm(change)) / distance
        require(0 <= smoothness < math.inf, f"{what} is a number >= 0. Got {smoothness}")
        enough = seen <= smoothness * (1 + ROUNDING) + rounding / distance
        require(enough, f"{what} says {smoothness:.9g}; gradients differ by {seen:.9g} times the distance")
    convexity = live.strong_convexity()
    require(convexity >= 0, f"strong_convexity() is a number >= 0. Got {convexity}")
    seen = float(whole @ (v - w)) / distance**2
    enough = convexity == 0 or seen >= convexity * (1 - ROUNDING) - rounding / distance
    require(enough, f"strong_convexity() says {convexity:.9g}; between two models F bends by {seen:.9g} only")


def check_optimum(problem: Any) -> None:
    """Check that no model is below the optimum, its value is the loss there, and ``loss_gap`` is a metric."""
    live = opened(problem)
    best = live.optimum() if hasattr(live, "optimum") else None
    has_gap = "loss_gap" in live.metric_names
    require(has_gap == (best is not None), "metric_names hold loss_gap where there is an optimum, and only there")
    if best is None:
        return
    loss = _loss(live, best.at)
    text = f"the optimum's value is {best.value!r}, and the loss there {loss!r}"
    require(_near(best.value, loss, abs(loss) + best.error), text)
    require(0 <= best.error < math.inf, f"the optimum's error is a number >= 0. Got {best.error}")
    lowest = best.value - best.error
    for name, w in models(live):
        loss = _loss(live, w)
        require(
            loss >= lowest - ROUNDING * abs(lowest), f"the loss at {name}, {loss!r}, is below the optimum's {lowest!r}"
        )
    near = best.at + 1e-3 * np.random.default_rng(44).standard_normal(live.dim)
    require(
        _loss(live, near) >= lowest - ROUNDING * abs(lowest), f"the loss beside the optimum is below its {lowest!r}"
    )


def check_seed(problem: Any) -> None:
    """Check that equal seeds open the same problem, and that `start` returns a fresh vector."""
    one, two = opened(problem), opened(problem)
    start = one.start().copy()
    one.start()[...] = math.nan
    require(np.array_equal(one.start(), start), "writing into what start gives changes what it gives next")
    for (name, w), (_, other) in zip(models(one), models(two), strict=True):
        same = w.tobytes() == other.tobytes() and one.metrics(w) == two.metrics(w)
        for node in nodes_of(one) if has(one, GRADIENTS) else ():
            same &= _gradient(one, node, w, None).tobytes() == _gradient(two, node, w, None).tobytes()
        require(same, f"opened twice with seed {SEED} it gives other numbers at {name}")


def check_redraws(problem: Any) -> None:
    """Check that exactly the parts in ``redraws`` differ between replications; replication 0 is the default."""
    if not isinstance(problem, Redraws):
        return
    require_files(problem.dataset) if hasattr(problem, "dataset") else None
    names = {field.name for field in dataclasses.fields(Draws)}
    require(problem.redraws <= names, f"redraws are of {', '.join(sorted(names))}. Got {sorted(problem.redraws)}")
    first = _bits(problem.open(SEED))
    require(
        _bits(problem.open(SEED, Draws())) == first, "opened without draws and with those of replication 0 it differs"
    )
    for name in sorted(names):
        differs = _bits(problem.open(SEED, Draws(**{name: 1}))) != first
        is_named = name in problem.redraws
        text = "it is the same problem" if is_named else "it is another problem"
        require(differs == is_named, f"redraws are {sorted(problem.redraws)}, and with {name} drawn anew {text}")


def _bits(live: Any) -> list[Any]:
    """Return the bits that identify a problem: its models' metrics and its nodes' gradients."""
    found = list[Any]()
    for _, w in models(live):
        found += [w.tobytes(), live.metrics(w)]
        found += [_gradient(live, node, w, None).tobytes() for node in nodes_of(live) if has(live, GRADIENTS)]
    return found


def _loss(live: Any, w: Array) -> float:
    return float(live.metrics(w)["loss"])


def _gradient(live: Any, node: NodeId, w: Array, batch: Indices | None) -> Array:
    gradient: Array
    (gradient,) = live.gradients([GradientRequest(node, w, batch)])
    return gradient


def _value(live: Any, node: NodeId, w: Array, batch: Indices | None) -> float:
    (value,) = live.values([GradientRequest(node, w, batch)])
    return float(value)


def _mean_gradient(live: Any, w: Array) -> Array:
    gradients = live.gradients([GradientRequest(m, w) for m in range(live.num_nodes)])
    mean: Array = functools.reduce(np.add, gradients) / live.num_nodes
    return mean


def _near(a: float, b: float, scale: float) -> bool:
    return abs(a - b) <= ROUNDING * max(scale, 1e-12)
