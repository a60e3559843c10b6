"""Every check notices what it is there for: components that break one promise, and what is said of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from algorithms.coding.codec import PaperBits
from netsim import registry, testing
from netsim.interfaces import STATES, Data, GradientRequest, Optimum, Payload
from netsim.interfaces.problems import DataFile
from netsim.testing import ContractError
from netsim.testing import compressors as compressor_checks
from netsim.testing.contract import on_smallest, require
from tests.plugins import pigeon, power_of_two

LOGISTIC = {"name": "logistic_regression", "dataset": "breast_cancer", "nodes": 3, "batch": 8}
PROBLEMS = {config["name"]: registry.build("problem", config).open(1) for config in (LOGISTIC, {"name": "quadratic"})}


class Spoiled:
    """Something as it is, but for some attributes; functions among these are called with the original first."""

    def __init__(self, original: Any, changes: Mapping[str, Any]) -> None:
        self.original = original
        for name, change in changes.items():
            setattr(self, name, _bound(change, original) if callable(change) else change)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.original, name)


def _bound(change: Callable[..., Any], original: Any) -> Callable[..., Any]:
    return lambda *args, **keys: change(original, *args, **keys)


@dataclasses.dataclass(frozen=True)
class Opens:
    """A configuration that opens what it is given."""

    make: Callable[[], Any]
    nodes: int = 0

    def open(self, *_: Any, **__: Any) -> Any:
        return self.make()

    def load(self, rng: np.random.Generator) -> Data:
        data: Data = self.make()
        return data

    def wants(self) -> tuple[DataFile, ...]:
        return ()

    def found(self) -> None:
        return None


def breaks(kind: str, check: str, component: Any) -> ContractError:
    """The error of one check; those before it in the contract are not run."""
    (one,) = [c for c in testing.checks(kind) if testing.title(c) == check]
    with pytest.raises(ContractError) as caught:
        one(component)
    return caught.value


# --- problems --------------------------------------------------------------------------------------------------


def _scaled(live: Any, requests: Any) -> list[Any]:
    return [1.0001 * np.array(g) for g in live.gradients(requests)]


def _in_one_product(live: Any, requests: Any) -> list[Any]:
    return [np.array(g) * (1.0 if len(requests) == 1 else 1 + 2.0**-52) for g in live.gradients(requests)]


def _kept(live: Any, requests: Any) -> list[Any]:
    kept = live.__dict__.setdefault("kept", {})
    for r in requests:
        key = r.node, r.at.tobytes(), None if r.batch is None else r.batch.tobytes()
        if key not in kept:
            kept[key] = np.array(live.gradients([r])[0])
    return [kept[r.node, r.at.tobytes(), None if r.batch is None else r.batch.tobytes()] for r in requests]


def _double_of_batches(ask: Any, requests: Any) -> list[Any]:
    return [answer * (1 if r.batch is None else 2) for answer, r in zip(ask(requests), requests, strict=True)]


def _moved_loss(live: Any, w: Any) -> dict[str, float]:
    return {**live.metrics(w), "loss": live.metrics(w)["loss"] + 1e-6}


def _tenth(which: str) -> Any:
    return lambda live, m=None: live.smoothness(m) * (0.1 if (m is None) == (which == "whole") else 1)


NOISE = np.random.default_rng(0)


@pytest.mark.parametrize(
    ("check", "name", "changes", "sentence"),
    [
        ("interface", "quadratic", {"metrics": 5}, "Spoiled has no method metrics"),
        (
            "interface", "quadratic", {"values": 5},
            "all of draw_batch, gradients, values, gradient_flop are offered, or none. Got draw_batch, gradients,",
        ),
        ("batches", "logistic_regression", {"batch_size": lambda live, m: 9}, "batch_size(0) says 9; a batch has 8"),
        ("interface", "quadratic", {"num_nodes": 7}, "num_nodes is the configuration's nodes, 4"),
        ("interface", "quadratic", {"layout": ((4, 4),)}, "the tensors of layout have dim = 20 entries in all. Got 16"),
        ("interface", "quadratic", {"start": lambda live: np.full(20, np.nan)}, "start is a finite vector of floats"),
        ("interface", "quadratic", {"start": lambda live: np.zeros((20, 1))}, "Got float64 of shape (20, 1)"),
        ("interface", "quadratic", {"num_samples": lambda live, m: 0}, "num_samples(0) is at least 1. Got 0"),
        ("gradients", "quadratic", {"gradient_flop": lambda live, r: -1.0}, "gradient_flop is a number >= 0. Got -1.0"),
        (
            "batches", "logistic_regression", {"draw_batch": lambda live, m, rng: rng.integers(0, 1000, 8)},
            "a batch names samples 0 to",
        ),
        (
            "batches", "logistic_regression", {"draw_batch": lambda live, m, rng: rng.random(8)},
            "draw_batch gives an int64 vector of one entry or more, or None. Got array(",
        ),
        (
            "batches", "logistic_regression", {"draw_batch": lambda live, m, rng: NOISE.integers(0, 9, 8)},
            "equal streams draw different batches",
        ),
        ("gradients", "logistic_regression", {"gradients": _scaled}, "along a random direction the gradient says"),
        ("gradients", "quadratic", {"gradients": _scaled}, "along a random direction the gradient says"),
        (
            "gradients", "quadratic", {"gradients": lambda live, rs: [g[:3] for g in live.gradients(rs)]},
            "a gradient is a vector of floats, shape (20,). Got float64 of shape (3,)",
        ),
        (
            "gradients", "quadratic", {"gradients": lambda live, rs: [g * np.inf for g in live.gradients(rs)]},
            "the gradient has an entry that is not finite",
        ),
        (
            "calls", "quadratic", {"gradients": _in_one_product},
            "a gradient has other bits where its request is the first of two in a call, beside one of node",
        ),
        ("calls", "quadratic", {"gradients": _kept}, "writing into a gradient that was handed out changes the next"),
        (
            "calls", "quadratic", {"gradients": lambda live, rs: live.gradients(rs)[:1]},
            "requests have 1 answers",
        ),
        ("values", "quadratic", {"metrics": _moved_loss}, "; the mean of the nodes' values is "),
        (
            "values", "logistic_regression",
            {"values": lambda live, rs: _double_of_batches(live.values, rs)},
            "node 0 has the value 0.693147",
        ),
        (
            "values", "logistic_regression",
            {"gradients": lambda live, rs: _double_of_batches(live.gradients, rs)},
            "node 0 has another gradient on the batch that names all samples than on all samples",
        ),
        (
            "metrics", "quadratic", {"metrics": lambda live, w: {**live.metrics(w), "accuracy": 1.0}},
            "metrics are ['accuracy', 'grad_norm', 'loss']; metric_names promise ['grad_norm', 'loss']",
        ),
        (
            "metrics", "quadratic", {"metric_names": frozenset({"loss"})},
            "metric_names hold grad_norm and loss. Got ['loss']",
        ),
        (
            "metrics", "quadratic",
            {"joint_metrics": lambda live, models: {"spread": 0.0}, "joint_metric_names": frozenset({"violation"})},
            "joint_metrics are ['spread']; joint_metric_names promise ['violation']",
        ),
        (
            "metrics", "quadratic", {"metrics": lambda live, w: {**live.metrics(w), "grad_norm": 0.5}},
            "the metric grad_norm is 0.5; the nodes' mean gradient has the norm ",
        ),
        (
            "metrics", "logistic_regression", {"metrics": lambda live, w: {**live.metrics(w), "train_accuracy": 1.5}},
            "train_accuracy is a share of 1. Got 1.5",
        ),
        (
            "constants", "quadratic", {"smoothness": _tenth("parts")},
            "smoothness(0) says 0.1; gradients differ by ",
        ),
        (
            "constants", "quadratic", {"smoothness": _tenth("whole")},
            "smoothness() says 0.1; gradients differ by ",
        ),
        (
            "constants", "quadratic", {"strong_convexity": lambda live: 0.9},
            "strong_convexity() says 0.9; between two models F bends by ",
        ),
        (
            "optimum", "quadratic", {"optimum": lambda live: Optimum(live.start(), live.loss(live.start()), 0.0)},
            "is below the optimum's",
        ),
        ("optimum", "quadratic", {"optimum": lambda live: None}, "metric_names hold loss_gap where there is an opt"),
        (
            "optimum", "quadratic", {"optimum": lambda live: dataclasses.replace(live.optimum(), value=-9.0)},
            "the optimum's value is -9.0, and the loss there ",
        ),
        (
            "seed", "quadratic", {"metrics": lambda live, w: {"loss": NOISE.random()}},
            "opened twice with seed 1 it gives other numbers at the start",
        ),
    ],
)  # fmt: skip
def test_a_problem_that_breaks_a_promise(check: str, name: str, changes: Any, sentence: str) -> None:
    live = PROBLEMS[name]
    whole, broken = Opens(lambda: live, live.num_nodes), Opens(lambda: Spoiled(live, changes), live.num_nodes)
    (one,) = [c for c in testing.checks("problem") if testing.title(c) == check]
    one(whole)
    assert sentence in breaks("problem", check, broken).sentence


def test_a_problem_may_offer_less() -> None:
    """One that is only measured, without gradients, constants and optimum."""
    live = PROBLEMS["quadratic"]
    least = SimpleNamespace(
        dim=20, num_nodes=4, layout=live.layout, start=live.start, num_samples=live.num_samples,
        metric_names=frozenset({"loss"}), metrics=lambda w: {"loss": live.metrics(w)["loss"]},
    )  # fmt: skip
    for check in testing.checks("problem"):
        if testing.title(check) != "configuration":
            check(Opens(lambda: least, 4))


def test_start_must_be_fresh() -> None:
    live, start = PROBLEMS["quadratic"], np.zeros(20)
    error = breaks("problem", "seed", Opens(lambda: Spoiled(live, {"start": lambda _: start}), 4))
    assert error.sentence == "writing into what start gives changes what it gives next"


def test_where_a_gradient_is_wrong_is_said() -> None:
    def wrong_far_away(live: Any, requests: list[GradientRequest]) -> list[Any]:
        answers = zip(live.gradients(requests), requests, strict=True)
        return [g * (2 if r.node == 2 and np.linalg.norm(r.at) > 0.5 else 1) for g, r in answers]

    broken = Spoiled(PROBLEMS["quadratic"], {"gradients": wrong_far_away})
    error = breaks("problem", "gradients", Opens(lambda: broken, 4))
    assert error.case == "node 2 at the start + 1 in a random direction"


# --- datasets --------------------------------------------------------------------------------------------------

GOOD = Data(np.ones((4, 2)), np.array([1.0, -1.0, 1.0, -1.0]), "good")


@pytest.mark.parametrize(
    ("check", "changes", "sentence"),
    [
        (
            "shapes",
            {"features": np.ones((4, 2), np.float16)},
            "features are float64, or float32. Got ndarray of float16",
        ),
        ("shapes", {"features": np.ones((2, 4)).T}, "features are a C-contiguous array or a CSR array. Got ndarray of"),
        ("shapes", {"features": np.ones(4)}, "features have shape (n, p). Got (4,)"),
        ("shapes", {"features": np.full((4, 2), np.nan)}, "features have an entry that is not finite"),
        ("shapes", {"features": [[1.0]]}, "features are a C-contiguous array or a CSR array. Got list of no dtype"),
        ("shapes", {"labels": np.ones(3)}, "labels have shape (4,), one for each row of the features. Got float64 of"),
        ("shapes", {"labels": np.ones(4, int)}, "labels are a float64 array. Got int64 of shape (4,)"),
        ("shapes", {"name": ""}, "name is a text. Got ''"),
        ("shapes", {"test_features": np.ones((1, 2))}, "test_features and test_labels come together or not at all"),
        (
            "shapes",
            {"test_features": np.ones((1, 3)), "test_labels": np.ones(1)},
            "test_features have 3 columns and features 2",
        ),
        ("classes", {"labels": np.ones(4)}, "labels of two classes or more are needed. Got 1"),
        ("classes", {"labels": np.array([-2.0, 1, 2, 3])}, "labels are -1 and 1, or 0, 1, 2, ... Got -2, 1, 2, 3"),
        ("classes", {"labels": np.array([-1.0, 0, 1, 1])}, "labels are -1 and 1, or 0, 1, 2, ... Got -1, 0, 1"),
        (
            "classes",
            {"test_features": np.ones((1, 2)), "test_labels": np.full(1, 3.0)},
            "test_labels have classes that labels lack: [3.0]",
        ),
    ],
)
def test_a_dataset_that_breaks_a_promise(check: str, changes: Any, sentence: str) -> None:
    (one,) = [c for c in testing.checks("dataset") if testing.title(c) == check]
    one(Opens(lambda: GOOD))
    assert breaks("dataset", check, Opens(lambda: dataclasses.replace(GOOD, **changes))).sentence.startswith(sentence)


def test_a_dataset_is_its_seed_and_hands_out_fresh_arrays() -> None:
    def random() -> Data:
        return dataclasses.replace(GOOD, features=NOISE.random((4, 2)))

    shared = dataclasses.replace(GOOD, features=np.ones((4, 2)))
    for make in (random, lambda: shared):
        assert breaks("dataset", "seed", Opens(make)).sentence == "two streams of one seed give other data"


# --- compressors -------------------------------------------------------------------------------------------------


def codec(**methods: Any) -> Any:
    """Powers of two with some methods of their own."""
    cls = type("Spoilt", (power_of_two.PowerOfTwo,), {**methods, "name": "power_of_two"})
    return dataclasses.dataclass(frozen=True)(cls)()


def _payload(change: Callable[[Payload], Payload]) -> Any:
    def encode_keyed(self: Any, x: Any, key: Any) -> Payload:
        return change(power_of_two.PowerOfTwo.encode_keyed(self, x, key))

    return encode_keyed


def _decode(change: Callable[[Any], Any]) -> Any:
    def decode(self: Any, data: bytes, dim: int, key: Any = None) -> Any:
        return change(power_of_two.PowerOfTwo.decode(self, data, dim, key))

    return decode


def _strided(self: Any, x: Any, rng: Any) -> Payload:
    payload = power_of_two.PowerOfTwo.encode(self, x, rng)
    return payload if np.asarray(x).flags.c_contiguous else dataclasses.replace(payload, paper_bit=1.0)


def _greedy(self: Any, x: Any, rng: Any) -> Payload:
    rng.random()
    return power_of_two.PowerOfTwo.encode(self, x, rng)


def _accepts(self: Any, x: Any) -> None:
    return None


def _keyed(self: Any, x: Any, key: Any) -> Payload:
    return power_of_two.PowerOfTwo.encode_keyed(self, x * (2 if key == compressor_checks.key_of(2) else 1), key)


def _lenient(self: Any, data: bytes, dim: int, key: Any = None) -> Any:
    return power_of_two.PowerOfTwo.decode(self, data[: self.max_size_bytes(dim)], dim, key)


def _crashes(self: Any, data: bytes, dim: int, key: Any = None) -> Any:
    if not data:
        raise ZeroDivisionError("by nothing")
    return power_of_two.PowerOfTwo.decode(self, data, dim, key)


def _adds(self: Any, data: bytes, acc: Any, scale: float = 1.0, key: Any = None) -> None:
    acc += scale * self.decode(data, acc.size, key) * (1 + 2.0**-50)


def _adds_first(self: Any, data: bytes, acc: Any, scale: float = 1.0, key: Any = None) -> None:
    acc += 1.0
    acc += scale * self.decode(data, acc.size, key) - 1.0


@pytest.mark.parametrize(
    ("check", "methods", "sentence", "case"),
    [
        ("interface", {"bind": None}, "Spoilt has no method bind", ""),
        ("interface", {"is_unbiased": 1}, "is_unbiased must be True or False", ""),
        ("representation", {"__repr__": lambda self: "1"}, "its repr makes another one: 1", ""),
        ("round trip", {"decode": _decode(lambda y: y[:-1])}, "decode gives float64 of shape (0,); float", "d = 1"),
        (
            "round trip", {"decode": _decode(lambda y: np.where(y == -4, np.nan, y))},
            "decode gives an entry that is not finite", "0.25, -4.0]",
        ),
        ("round trip", {"decode": _decode(lambda y: y + 1)}, "zeros decode to something else", "x = [0.0] ("),
        ("round trip", {"add_to": _adds}, "add_to and decode disagree: add_to makes ", "x = [1.0] (float64, d = 1)"),
        (
            "round trip", {"encode_keyed": _payload(lambda p: dataclasses.replace(p, paper_bit=-1.0))},
            "paper_bit is a number >= 0. Got -1.0", "x = [1.0]",
        ),
        (
            "round trip", {"encode_keyed": _payload(lambda p: dataclasses.replace(p, data=bytearray(p.data)))},
            "a payload's data is bytes. Got bytearray", "x = [1.0]",
        ),
        ("contiguity", {"encode": _strided}, "a strided view gives another payload", "d = 2"),
        ("seed", {"encode": _greedy}, "encode takes two 64-bit words of the stream, no less", "x = [1.0] (float64, d"),
        (
            "seed", {"encode_keyed": _payload(lambda p: dataclasses.replace(p, paper_bit=NOISE.random()))},
            "equal streams give two payloads", "x = [1.0] (float64, d = 1)",
        ),
        ("refusals", {"check": _accepts}, "an entry that is not finite must be refused with Enc", "nan at 0"),
        ("key", {"shares_randomness": True}, "shares_randomness says that decoding without a key is", "x = [1.0]"),
        ("key", {"draws": False, "encode_keyed": _keyed}, "another key gives another pay", "x = [1.0]"),
        ("work", {"decode_flop_of": lambda self, data, d: -1.0}, "decode_flop_of is a number >= 0. Got -1.0", ""),
        ("work", {"encode_flop": lambda self, d: -d}, "encode_flop must grow with d. Got -10 at 10 and -1000 at", ""),
        ("contraction", {"contraction": lambda self, d: 1.5}, "contraction(1) lies in (0, 1]. Got 1.5", "x = [1.0]"),
        ("contraction", {"contraction": lambda self, d: 0.9}, "whose ||Q - x||^2 is 0.111111 ||x||^2; p", "x = [-1.5]"),
        ("unbiased", {"is_unbiased": True}, "is_unbiased does not hold: 500 draws of entry 0", "d = 1"),
        ("hostile", {"decode": _lenient}, "bytes after the end of a payload must be refused with", "d = 1, payload"),
        ("hostile", {"decode": _crashes}, "ZeroDivisionError: by nothing (test_contracts.py:", "payload of no bytes"),
        ("hostile", {"add_to": _adds_first}, "add_to changes the sum before it refuses a payload", "d = 1, payload"),
    ],
)  # fmt: skip
def test_a_compressor_that_breaks_a_promise(check: str, methods: Any, sentence: str, case: str) -> None:
    error = breaks("compressor", check, codec(**methods))
    assert sentence in error.sentence
    assert case in error.case


def test_a_variance_above_its_bound_is_noticed() -> None:
    def write(self: Any, x: Any, key: Any, out: Any, memory: Any = None) -> PaperBits:
        """Stochastic signs times the largest entry, whose variance is above what is stated."""
        from netsim.rng import uniforms

        top = float(np.abs(x).max()) or 1.0
        up = uniforms(key.key, key.counter, np.arange(x.size, dtype=np.uint64)) < (1 + x / top) / 2
        out.floats(np.append(top, np.where(up, top, -top)), 64)
        return PaperBits(value_bit=64 * (x.size + 1))

    def read(self: Any, src: Any, dim: int, key: Any = None) -> Any:
        return src.floats(dim + 1, 64)[1:]

    facts = {"is_unbiased": True, "contraction": lambda self, d: None, "max_size_bytes": lambda self, d: 8 * d + 8}
    honest = codec(write=write, read=read, variance_bound=lambda self, d: None, **facts)
    compressor_checks.check_unbiased(honest)
    error = breaks("compressor", "unbiased", codec(write=write, read=read, variance_bound=lambda self, d: 0.1, **facts))
    assert "over 500 draws is " in error.sentence
    assert error.sentence.endswith("; variance_bound says 0.1")


# --- channels ----------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Aviary(pigeon.Pigeon):
    """Pigeons whose coop does some things in its own way."""

    changes: Any = None
    flight_s: float = 0.5

    def open(self, nodes: Any, rng: Any, *, frames: Any = None) -> Any:
        return Spoiled(super().open(nodes, rng, frames=frames), self.changes)


def _shown(shift_ns: int | None) -> Any:
    """Submits as ever, and shows frames so much later; None: none at all."""

    def submit(coop: Any, *message: Any) -> Any:
        sink = coop.frames
        shifted = SimpleNamespace(add=lambda frame: sink.add(frame._replace(start_ns=frame.start_ns + shift_ns)))
        coop.frames = None if shift_ns is None else shifted
        try:
            return coop.submit(*message)
        finally:
            coop.frames = sink

    return submit


_late_frames, _early_frames, _no_frames = _shown(10**10), _shown(-1), _shown(None)


def _cut(coop: Any, to_ns: int) -> Any:
    coop.cuts = getattr(coop, "cuts", 0) + 1
    return [bird._replace(airtime_ns=coop.cuts) for bird in coop.advance(to_ns)]


def _changed(coop: Any, at_ns: int, change: Callable[[Any], None]) -> Any:
    usage = coop.usage(at_ns)
    change(usage)
    return usage


def _asleep(usage: Any) -> None:
    sleep, idle = STATES.index("sleep"), STATES.index("idle")
    usage.state_ns[:, idle] += usage.state_ns[:, sleep]
    usage.state_ns[:, sleep] = 0


def _joules(usage: Any) -> None:
    usage.energy_j[:, STATES.index("tx")] = 1.0


def _unseen(coop: Any, at_ns: int) -> Any:
    coop.looked = getattr(coop, "looked", 0) + 1
    return _changed(coop, at_ns, lambda usage: usage.tx_frames.__iadd__(coop.looked))


@pytest.mark.parametrize(
    ("check", "changes", "sentence", "case"),
    [
        ("interface", {"set_up": 5}, "Spoiled has no method set_up", ""),
        (
            "states", {"usage": lambda c, t: _changed(c, t, _joules)},
            "energy_j is not 0 where state_ns is", " sends ",
        ),
        ("next event", {"next_event_ns": lambda c: (c.next_event_ns() or -1) + 1 or None}, "and deliveries", " s"),
        ("ends", {"advance": lambda c, t: c.advance(t)[1:]}, "transfers never end, as (transfer, dst): [", " sends "),
        (
            "ends", {"advance": lambda c, t: [b for b in c.advance(t) for _ in "12"]},
            "transfers end that should not, as (transfer, dst): [", " sends ",
        ),
        (
            "ends", {"advance": lambda c, t: [b._replace(ok=False) for b in c.advance(t)]},
            "reliable_delivery is True, and a transfer is lost: ", " sends ",
        ),
        (
            "ends", {"advance": lambda c, t: [b._replace(service_s=9.0) for b in c.advance(t)]},
            "service_s is 9.0 s, and the transfer took 500000000 ns", " sends ",
        ),
        (
            "ends", {"advance": lambda c, t: [b._replace(size_bytes=1) for b in c.advance(t)]},
            "a delivery is of 1 B of node ", " sends ",
        ),
        (
            "bytes", {"advance": lambda c, t: [b._replace(wire_bytes=0) for b in c.advance(t)]},
            "0 wire bytes are less than the message: ", " sends ",
        ),
        (
            "bytes", {"advance": lambda c, t: [b._replace(wire_bytes=b.size_bytes + 1) for b in c.advance(t)]},
            "wire bytes, and the interfaces sent", " sends ",
        ),
        ("frames", {"submit": _late_frames}, "after its transfer has ended at ", " sends "),
        ("frames", {"submit": _early_frames}, "before its message: ", " sends "),
        (
            "frames", {"submit": _no_frames}, "no frame is shown of: ", " sends ",
        ),
        ("seed", {"advance": lambda c, t: [b._replace(energy_j=NOISE.random()) for b in c.advance(t)]}, "two med", " "),
        ("cuts", {"advance": _cut}, "deliveries depend on how time is cut: ", " sends "),
        ("cuts", {"usage": _unseen}, "depends on ", " sends "),
        ("looking ahead", {"usage": lambda c, t: (c.advance(t), c.usage(t))[1]}, "asking for the usage at", " s"),
        ("lone messages", {"cost": lambda c, *way: lambda size: np.asarray(3.0)}, "says 3", "0 sends 1 B"),
        ("costs", {"cost": lambda c, q, *way: c.cost("s", *way)}, "cost('bit', 0, 4) has quantity and basis", ""),
        (
            "costs", {"cost": lambda c, *way: Falling(c.cost(*way))},
            "cost('bit', 0, 4) decreases at 56 bits", "",
        ),
        ("outages", {"set_up": lambda c, *what: None}, "arrives, and node 1 is down", "node 1 goes down"),
        (
            "outages", {"usage": lambda c, t: _changed(c, t, _asleep)},
            "node 1 was down for ", "node 1 goes down while it sends and receives",
        ),
    ],
)  # fmt: skip
def test_a_channel_that_breaks_a_promise(check: str, changes: Any, sentence: str, case: str) -> None:
    error = breaks("channel", check, Aviary(changes=changes))
    assert sentence in error.sentence
    assert case in error.case


class Falling:
    """A cost that falls with the size."""

    def __init__(self, model: Any) -> None:
        self.quantity, self.basis = model.quantity, model.basis

    def __call__(self, size: Any) -> Any:
        return 1e9 - np.asarray(size)


def test_a_medium_that_never_ends_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("netsim.testing.scripts.MAX_STEPS", 50)
    endless = {"next_event_ns": lambda c: c.next_event_ns() or 10**12, "advance": lambda c, t: c.advance(t)}
    error = breaks("channel", "ends", Aviary(changes=endless))
    assert error.sentence.startswith("next_event_ns does not get on: after 50 advances to it something is under way")


# --- configurations, and the smallest input --------------------------------------------------------------------


def test_a_component_that_is_not_what_its_keys_say() -> None:
    good = registry.build("compressor", {"name": "top_k", "k": 3})
    object.__setattr__(good, "k", 4.5)
    assert "k: a whole number >= 1" in str(breaks_with(good))


def breaks_with(component: Any) -> Exception:
    with pytest.raises(Exception, match=r"whole number") as caught:
        testing.checks("compressor")[1](component)
    return caught.value


def test_the_shortest_beginning_that_breaks_a_promise_is_named() -> None:
    def promise(numbers: Any) -> None:
        require(9 not in numbers, "nines are not allowed")

    on_smallest(promise, range(9), str)
    with pytest.raises(ContractError) as caught:
        on_smallest(promise, range(100), lambda numbers: f"0 to {numbers[-1]}")
    assert (caught.value.sentence, caught.value.case) == ("nines are not allowed", "0 to 12")
    with pytest.raises(ContractError, match=r"^ZeroDivisionError: .*\(test_contracts.py:\d+\); breaks on 1 entries"):
        on_smallest(lambda numbers: 1 // 0, [1, 2, 3], lambda numbers: f"{len(numbers)} entries")
