"""PyTorch modules as problems: gradients, drawing by keys, buffers, ready modules, files of one's own, errors."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from netsim.errors import ConfigError, DataError
from netsim.interfaces import Data, GradientRequest, HasSmoothness, Key
from netsim.registry import build
from netsim.scenario import check_data, load, parse_text
from netsim.study import run
from tests.support import ROOT

torch = pytest.importorskip("torch")

READY = {"lena_cnn": (21840, (1, 28, 28)), "resnet20": (272474, (3, 32, 32)), "resnet18": (11173962, (3, 32, 32)),
         "vgg13": (9416010, (3, 32, 32))}  # fmt: skip
OWN = """
import torch
from torch import nn
def net(norm=False, drop=0.0):
    layers = [nn.Conv2d(1, 4, 3), *([nn.BatchNorm2d(4)] if norm else []), nn.ReLU(), nn.Flatten()]
    return nn.Sequential(*layers, nn.Dropout(drop), nn.Linear(4 * 36, 10))
def far(outputs, targets):
    return (outputs - nn.functional.one_hot(targets, 10)).abs().sum(1)
def fails():
    raise RuntimeError("no net today")
def nothing():
    return 3
def short(outputs, targets):
    return outputs.mean()
"""


@pytest.fixture(autouse=True)
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file of modules in the working folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NETSIM_CACHE", str(tmp_path / "cache"))
    (tmp_path / "own.py").write_text(OWN)
    return tmp_path


@dataclass(frozen=True)
class Images:
    """40 images of 8 x 8 random pixels in ten classes, 10 of them for tests."""

    def load(self, rng: np.random.Generator) -> Data:
        x, y = np.random.default_rng(0).random((40, 64)), np.arange(40.0) % 10
        return Data(x[:30], y[:30], "images", x[30:], y[30:], shape=(1, 8, 8))


def opened(seed: int = 0, **keys: Any) -> Any:
    from algorithms.problems.torch_module import TorchModule

    base: dict[str, Any] = {"module": "own.py:net", "nodes": 2, "dtype": "float64", "batch": 5}
    return TorchModule(dataset=Images(), **(base | keys)).open(seed)


def test_gradients_are_autograds() -> None:
    """Of F_m by hand: the module with the weights put in one by one, on the node's own samples."""
    problem = opened(l2=0.1)
    w = problem.start() + 0.1 * np.random.default_rng(1).standard_normal(problem.dim)
    batch = np.array([0, 3, 7])
    (gradient,) = problem.gradients([GradientRequest(1, w, batch)])
    import own  # type: ignore[import-not-found]

    module = own.net().double()
    torch.nn.utils.vector_to_parameters(torch.tensor(w), module.parameters())
    first = problem.num_samples(0)
    x, y = problem._features[first:][batch], torch.tensor(problem._targets[first:][batch])
    loss = torch.nn.functional.cross_entropy(module(x.reshape(-1, 1, 8, 8)), y)
    loss.backward()
    expected = torch.cat([weight.grad.reshape(-1) for weight in module.parameters()]).numpy() + 0.1 * w
    assert np.abs(gradient - expected).max() <= 1e-12
    assert problem.values([GradientRequest(1, w, batch)])[0] == pytest.approx(loss.item() + 0.05 * w @ w, rel=1e-12)
    assert not isinstance(problem, HasSmoothness)
    assert problem.layout == ((4, 1, 3, 3), (4,), (10, 144), (10,))


@pytest.mark.parametrize("norm", [False, True])
def test_bits_do_not_depend_on_who_shares_the_call(norm: bool) -> None:
    problem = opened(arguments={"norm": norm, "drop": 0.5}, dtype="float32")
    w = problem.start()
    batches = [np.array([0, 1, 2]), np.array([4, 5]), None]
    requests = [GradientRequest(m, w, b, Key(7, i)) for i, b in enumerate(batches) for m in (0, 1)]
    alone = [np.array(problem.gradients([request])[0]) for request in requests]
    together = problem.gradients(requests[::-1])
    assert all(np.array_equal(g, together[len(alone) - 1 - i]) for i, g in enumerate(alone))
    assert alone[0].dtype == np.float32


def test_keys_draw() -> None:
    """Equal keys drop the same, others something else, and none nothing; the global stream is left alone."""
    problem = opened(arguments={"drop": 0.5})
    w, batch = problem.start(), np.arange(4)
    before = torch.get_rng_state()

    def gradient(key: Key | None) -> Any:
        return np.array(problem.gradients([GradientRequest(0, w, batch, key)])[0])

    assert np.array_equal(gradient(Key(1, 2)), gradient(Key(1, 2)))
    assert not np.array_equal(gradient(Key(1, 2)), gradient(Key(2, 2)))
    plain = opened()
    assert np.array_equal(gradient(None), plain.gradients([GradientRequest(0, w, batch)])[0])
    assert problem.wants_keys
    assert not plain.wants_keys
    assert torch.equal(before, torch.get_rng_state())


def test_dropout_leaves_the_mean() -> None:
    """Over 400 keys the mean gradient of the last bias is that of the mean; entries within 5 standard errors.

    Softmax bends little here, so its own bias counts as half a standard error: chance below 10 * 1e-5.
    """
    problem = opened(arguments={"drop": 0.2})
    w, batch = problem.start() * 0.1, np.arange(8)
    draws = [problem.gradients([GradientRequest(0, w, batch, Key(k, 0))])[0][-10:] for k in range(400)]
    (plain,) = problem.gradients([GradientRequest(0, w, batch)])
    error = np.std(draws, axis=0) / 20
    assert (np.abs(np.mean(draws, axis=0) - plain[-10:]) <= 5.5 * error + 1e-6).all()


def test_augmented_images_are_mirrored_and_shifted() -> None:
    """Every augmented image is one of 2 x 81 views of its original."""
    problem = opened(augment="flip_crop")
    torch.manual_seed(0)
    images = torch.rand(6, 1, 8, 8, dtype=torch.float64)
    changed = problem._augmented(images)
    for image, view in zip(images, changed, strict=True):
        padded = [torch.nn.functional.pad(one, (4, 4, 4, 4)) for one in (image, image.flip(2))]
        views = [one[:, i : i + 8, j : j + 8] for one in padded for i in range(9) for j in range(9)]
        assert any(torch.equal(view, one) for one in views)
    assert problem.wants_keys


@pytest.mark.parametrize("buffers", ["mean", "node"])
def test_buffers_of_batch_norm(buffers: str) -> None:
    """A node's running mean is 0.9 times the old and 0.1 times the minibatch's; a fresh run begins again."""
    problem = opened(arguments={"norm": True}, buffers=buffers)
    w = problem.start()
    assert problem._vector.buffer_names == ("1.running_mean", "1.running_var")
    before = problem.metrics(w)
    problem.gradients([GradientRequest(0, w, np.arange(5))])[0]
    convolution = problem._vector.module[0]
    with torch.no_grad():
        seen = convolution(problem._features[:5].reshape(-1, 1, 8, 8))
    assert problem._buffers[0][:4] == pytest.approx(0.1 * seen.mean((0, 2, 3)).numpy(), rel=1e-12)
    assert set(problem._buffers) == {0}
    assert problem.metrics(w)["test_loss"] != before["test_loss"]
    again = problem.fresh()
    assert again.metrics(w) == before
    assert problem.values([GradientRequest(0, w, np.arange(5))]) == again.values([GradientRequest(0, w, np.arange(5))])


def test_measured_samples_and_pieces() -> None:
    """4 of the 15 samples of each node, evenly spaced, and pieces of 2: F's figures are theirs."""
    problem, whole = opened(measured=4, piece=2), opened()
    w = problem.start()
    found = problem.metrics(w)
    batch = np.array([0, 3, 7, 11])
    values = whole.values([GradientRequest(m, w, batch) for m in (0, 1)])
    gradients = whole.gradients([GradientRequest(m, w, batch) for m in (0, 1)])
    assert found["loss"] == pytest.approx(np.mean(values), rel=1e-12)
    assert found["grad_norm"] == pytest.approx(np.linalg.norm(gradients[0] + gradients[1]) / 2, rel=1e-12)
    assert found["test_loss"] == pytest.approx(whole.metrics(w)["test_loss"], rel=1e-12)
    assert found["train_accuracy"] * 8 == round(found["train_accuracy"] * 8)


def test_own_losses_and_numbers() -> None:
    problem = opened(loss="own.py:far")
    w = problem.start()
    assert problem.metrics(w)["loss"] > 0
    numbers = {"name": "sklearn", "loader": "diabetes"}
    keys = {"module": "torch.nn:Linear", "arguments": {"in_features": 10, "out_features": 1}, "dtype": "float64"}
    mse = build("problem", {"name": "torch_module", "dataset": numbers, "loss": "mse", "nodes": 1, **keys}).open(0)
    w = np.random.default_rng(0).standard_normal(11)
    data = build("dataset", numbers).load(np.random.default_rng(0))
    assert mse.metrics(w)["loss"] == pytest.approx(np.mean((data.features @ w[:10] + w[10] - data.labels) ** 2) / 2)


@pytest.mark.parametrize("name", READY)
def test_ready_modules(name: str) -> None:
    weights, shape = READY[name]
    from algorithms.learning.imported import imported

    module = imported(f"algorithms.learning.modules.{name}:make", "module")()
    assert sum(weight.numel() for weight in module.parameters()) == weights
    assert module.eval()(torch.zeros(2, *shape)).shape == (2, 10)


def test_flop_of_a_gradient() -> None:
    """Convolution: 36 places, 4 filters of 9 products; then 144 x 10 products; 2 operations each, three times over."""
    problem = opened()
    forward = 2 * (36 * 4 * 9 + 1440)
    request = GradientRequest(0, problem.start(), np.arange(5))
    assert problem.gradient_flop(request) == 3 * forward * 5 + 2 * problem.dim


SCENARIO = """
name: own
dtype: float32
problem: {name: torch_module, module: own.py:net, arguments: {norm: true, drop: 0.3}, nodes: 2, batch: 8,
          dataset: {name: npz, path: own.npz, test_fraction: 0.2}, augment: flip_crop}
algorithms: [{name: gd, step_size: 0.1}, {name: dcgd, compressor: {name: qsgd, levels: 4}, step_size: 0.1}]
replications: 2
stop: {rounds: 4}
"""


def test_same_seed_same_bytes_in_one_process_or_two(own: Path) -> None:
    rng = np.random.default_rng(0)
    np.savez(own / "own.npz", features=rng.random((40, 1, 8, 8)), labels=np.arange(40) % 10)
    one, two = (run(parse_text(SCENARIO), own / f"out{jobs}", jobs) for jobs in (1, 2))
    assert one.ok
    assert one.rounds.equals(two.rounds)
    assert one.rounds.groupby(["label", "replication"])["loss"].last().nunique() == 4


def test_a_changed_module_is_another_run(own: Path) -> None:
    np.savez(own / "own.npz", features=np.random.default_rng(0).random((40, 1, 8, 8)), labels=np.arange(40) % 10)
    scenario = parse_text(SCENARIO)
    first = run(scenario, own / "out").runs
    (own / "own.py").write_text(OWN.replace("Conv2d(1, 4, 3)", "Conv2d(1, 4, 3, bias=False)"))
    second = run(scenario, own / "out").runs
    assert not {r["hash"] for r in first} & {r["hash"] for r in second}


@pytest.mark.parametrize(
    ("keys", "sentence"),
    [
        ({"module": "resnet21"}, "module: algorithms.learning.modules.resnet21:make cannot be imported. Got ModuleNot"),
        ({"module": "none.py:net"}, "or an import name package.module:NAME. Got no file none.py."),
        ({"module": "own.py:nix"}, "module: own.py:nix cannot be imported. Got AttributeError"),
        ({"module": "own.py:fails"}, "own.py:fails makes a module of its arguments. Got RuntimeError: no net today."),
        ({"module": "own.py:nothing"}, "module: own.py:nothing returns a torch.nn.Module. Got int."),
        ({"module": "lena_cnn"}, "module: a module and a loss that take samples of images, shape (1, 8, 8). Got Runt"),
        ({"module": "torch.nn:Flatten"}, "module: a module with weights that learn. Got torch.nn:Flatten."),
        ({"arguments": {"size": 3}}, "own.py:net makes a module of its arguments. Got TypeError"),
    ],
)
def test_what_is_no_module(keys: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        opened(**keys)
    assert sentence in str(caught.value)


def test_step_size_auto_is_refused(own: Path) -> None:
    np.savez(own / "own.npz", features=np.random.default_rng(0).random((40, 1, 8, 8)), labels=np.arange(40) % 10)
    with pytest.raises(ConfigError, match=r"algorithms\[0\].step_size: a number or a step rule, as the smoothness"):
        check_data(parse_text(SCENARIO.replace("{name: gd, step_size: 0.1}", "gd")))


def test_sparse_features_are_refused() -> None:
    data = {"name": "synthetic_sparse", "num_rows": 20, "num_features": 10, "nonzeros_per_row": 2}
    problem = build("problem", {"name": "torch_module", "module": "torch.nn:Identity", "dataset": data})
    with pytest.raises(ConfigError, match=r"dataset: a dataset of dense features, as torch_module takes no sparse"):
        problem.open(0)


def test_without_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "torch", None)
    with pytest.raises(DataError, match=r"torch_module: PyTorch is needed; pip install 'netsim-learn\[torch\]'"):
        opened()


def test_the_example_runs_from_another_folder(own: Path) -> None:
    scenario = load(ROOT / "examples" / "own_module.yaml", ["stop.rounds=2"])
    assert run(scenario, own / "out").ok
