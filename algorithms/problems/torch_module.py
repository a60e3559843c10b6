"""Any PyTorch module on any dataset, over nodes."""

from __future__ import annotations

import contextlib
import copy
import functools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt

from algorithms.learning.digest import digest_of
from algorithms.learning.imported import imported, sources
from algorithms.learning.labels import classes_of
from algorithms.learning.sampled import Forward, SampledProblem
from algorithms.learning.shares import FIRST, Dealt, Shares
from algorithms.learning.torch_vector import TorchVector, require_torch
from netsim.errors import ConfigError, DataError, Fault, SimulationError
from netsim.fields import NonNegativeFloat, PositiveInt
from netsim.interfaces import Array, Draws, Floats, GradientRequest, Indices, NodeId
from netsim.registry import Examples, component
from netsim.rng import stream

_READY = "algorithms.learning.modules"
_LOSSES = ("cross_entropy", "mse")


@component("problem")
@dataclass(frozen=True, kw_only=True)
class TorchModule(Dealt):
    """Mean loss of a PyTorch module over node m's samples and (l2/2) ||w||^2, F = (1/M) sum_m f_m.

    The model is one vector of all weights that learn, tensor after tensor in the module's order, and `layout` has their
    shapes. F is a mean over nodes, whatever their numbers of samples. Its smoothness is not known.

    Parameters
    ----------
    module
        Makes the module: ``FILE.py:NAME`` with the file beside the scenario, an import name ``package.module:NAME``, or
        one that comes with netsim: ``lena_cnn``, ``resnet18``, ``resnet20``, ``vgg13``.
    arguments
        Of that function.
    dataset
        Samples that are images keep their shape; others are vectors.
    loss
        ``cross_entropy`` of one output a class, ``mse`` (half the squared distance of one output), or a function
        ``FILE.py:NAME`` of outputs and targets that returns a loss for each sample.
    augment
        ``flip_crop``: images are mirrored with probability 1/2 and shifted by up to 4 pixels (zeros come in), anew in
        each gradient.
    buffers
        Of the statistics of batch norm, which every node updates by its own minibatches: the ``mean`` over nodes serves
        to measure, or at each ``node`` its own (test figures are then the mean over nodes).
    measured
        Training samples of each node that loss, gradient norm and training accuracy are measured on: ``full``, or so
        many, evenly spaced among the node's, as data often come sorted by class.
    piece
        Samples that go through the module together: a larger batch is done in pieces, with batch norm over each.
    device
        ``cpu``, or ``cuda``, where equal seeds do not give equal bytes.
    dtype
        Of the module's weights and slopes.
    threads
        Of PyTorch on the processor. Sums have other last digits with other numbers of threads.

    Notes
    -----
    The start is what the module draws for itself, seeded from the stream ``(seed, draws.start, -1, "start")``. Dropout
    and `augment` draw from `GradientRequest.key`, so that equal seeds give equal bytes on one machine, whatever runs
    beside; without a key, as in the measured loss, nothing is drawn.

    A gradient's work is three times the products of the convolutions and fully connected layers forward, and 2 per
    weight.

    Examples
    --------
    A scenario that learns to read digits::

        problem: {name: torch_module, module: lena_cnn, dataset: mnist, nodes: 10, batch: 32}
    """

    examples: ClassVar[Examples] = (
        {"module": "torch.nn:Linear", "arguments": {"in_features": 65, "out_features": 10}, "dtype": "float64",
         "dataset": {"name": "digits", "positive_class": None}, "nodes": 2, "batch": 8, "l2": 0.01},
    )  # fmt: skip

    module: str
    arguments: Mapping[str, Any] = field(default_factory=dict, hash=False)
    loss: str = "cross_entropy"
    l2: NonNegativeFloat = 0.0
    augment: Literal["none", "flip_crop"] = "none"
    buffers: Literal["mean", "node"] = "mean"
    measured: Literal["full"] | PositiveInt = "full"
    piece: PositiveInt = 500
    device: Literal["cpu", "cuda"] = "cpu"
    dtype: Literal["float32", "float64"] = "float32"
    threads: PositiveInt = 1

    draws_start: ClassVar[bool] = True

    def files(self) -> Sequence[Path]:
        """Return the files of the module and of the loss, and modules of the user's that they import."""
        return [*sources(self.module), *sources(self.loss)]

    def open(self, seed: int, draws: Draws = FIRST) -> TorchProblem:
        """Load and split the data, make the module and draw the start.

        Raises
        ------
        DataError
            If PyTorch or data are missing, or the data are damaged or have no classes.
        ConfigError
            If the module cannot be made, does not fit the data, or has no weights; with more nodes than samples.
        """
        require_torch()
        shares = self.deal(seed, draws, np.dtype(self.dtype))
        if hasattr(shares.features, "tocsr"):
            allowed = "a dataset of dense features, as torch_module takes no sparse ones"
            raise ConfigError([Fault(("dataset",), allowed, shares.name)])
        return TorchProblem(self, shares, int(stream(seed, draws.start, -1, "start").integers(1 << 62)))


class TorchProblem(SampledProblem):
    """The live problem; see `netsim.interfaces.Problem`."""

    def __init__(self, config: TorchModule, shares: Shares, seed: int) -> None:
        self._torch = torch = require_torch()
        torch.set_num_threads(config.threads)
        self._config = config
        self._vector = TorchVector(_make(config, torch, seed), config.device, config.dtype)
        self._start = self._vector.weights.cpu().numpy().copy()
        targets, test_targets = shares.labels, shares.test_labels
        is_class = config.loss != "mse" and bool(np.array_equal(shares.labels, np.round(shares.labels)))
        if config.loss == "cross_entropy" or is_class:
            classes = classes_of(shares, "torch_module")
            targets, test_targets = classes.targets, classes.test_targets  # type: ignore[assignment]
        if not self._vector.layout:
            raise ConfigError([Fault(("module",), "a module with weights that learn", config.module)])
        super().__init__(config, shares, self._vector.layout, targets, test_targets)
        columns = shares.features.shape[1]
        self._shape = shares.shape if math.prod(shares.shape) == columns else (columns,)
        self._features = torch.from_numpy(shares.features)
        if shares.test_features is not None:
            self._test_features = torch.from_numpy(shares.test_features)
        self._loss = self._loss_function()
        self._block_rows = config.piece
        self._is_kept = False
        self._draws_anew = False
        self._drawn = self._vector.buffers()
        self._buffers: dict[NodeId, Floats] = {}
        self.wants_keys = self._vector.draws or config.augment != "none"
        self._flop_a_sample = self._try()

    def fresh(self) -> TorchProblem:
        """Return the problem with the buffers that the module was made with."""
        other = copy.copy(self)
        other._buffers = {}
        return other

    def content(self) -> str:
        """Return a digest of all samples, which node has which, and PyTorch's version, which decides last digits."""
        return digest_of((super().content(), self._torch.__version__), ())

    def start(self) -> Array:
        """Return the parameters that the module drew for itself."""
        start: Array = self._start.copy()
        return start

    def point(self, w: Array) -> Any:
        """Return a model as it is, of any floats."""
        if np.shape(w) != (self.dim,):
            raise SimulationError(f"torch_module: a model of shape ({self.dim},) is needed. Got {np.shape(w)}.")
        return np.ascontiguousarray(w)  # of the type that it has

    def values(self, requests: Sequence[GradientRequest]) -> list[float]:
        """Return f_m(w) of each request, on its batch, with nothing dropped."""
        out = list[float]()
        for request in requests:
            with self._vector.training(None), self._kept_buffers(request.node):
                out += super().values([request])
        return out

    def forward(self, w: Array, features: Any, targets: npt.NDArray[Any]) -> Forward:
        """Apply the module; `pull` goes back through it."""
        self._vector.put(w)
        inputs = self._inputs(features)
        with self._torch.set_grad_enabled(True):
            outputs = self._vector.module(inputs)
            losses = self._loss(outputs, self._torch.from_numpy(targets).to(self._config.device))
        if losses.shape != (len(targets),):
            allowed = f"a loss for each of {len(targets)} samples"
            raise SimulationError(f"torch_module: {self._config.loss}: {allowed}. Got shape {tuple(losses.shape)}.")

        def pull(weights: Floats | float) -> Floats:
            if isinstance(weights, np.ndarray):
                weights = self._torch.from_numpy(weights).to(losses)
            (losses * weights).sum().backward()
            return self._vector.take_slopes()

        guesses = outputs.detach().argmax(1).cpu().numpy() if self._has_classes else None
        return Forward(losses.detach().cpu().numpy().astype(np.float64), pull, guesses)

    def metrics(self, w: Array) -> Mapping[str, float]:
        """Return loss, gradient norm and accuracies, by the statistics of `buffers`; see `SampledProblem.metrics`."""
        self._vector.put_buffers(self._mean_buffers())
        with self._vector.judging():
            return super().metrics(w)

    def sample_flop(self, entries: float, size: int) -> float:
        """Return three times the products forward."""
        return 3.0 * self._flop_a_sample * size

    def _gradient(self, request: GradientRequest) -> Array:
        self._draws_anew = request.key is not None
        with self._vector.training(request.key), self._kept_buffers(request.node, is_step=True):
            found = super()._gradient(request)
        self._draws_anew = False
        return found

    def _pass(self, node: NodeId, w: Array) -> tuple[Floats, Array, int, int]:
        if self._config.buffers == "node":
            self._vector.put_buffers(self._buffers.get(node, self._drawn))
        return super()._pass(node, w)

    def _measured_batch(self, node: NodeId) -> Indices | None:
        count, size = self._config.measured, self.num_samples(node)
        return None if isinstance(count, str) or count >= size else np.arange(count) * size // count

    def _tested(self, w: Array) -> dict[str, float]:
        if self._config.buffers == "mean" or self._test_targets is None or not self._buffers:
            self._vector.put_buffers(self._mean_buffers())
            return super()._tested(w)
        found = list[dict[str, float]]()
        for node in sorted(self._buffers):
            self._vector.put_buffers(self._buffers[node])
            found.append(super()._tested(w))
        return {name: sum(one[name] for one in found) / len(found) for name in found[0]}

    def _mean_buffers(self) -> Floats:
        if not self._buffers:
            return self._drawn
        mean: Floats = functools.reduce(np.add, [self._buffers[m] for m in sorted(self._buffers)]) / len(self._buffers)
        return mean

    @contextlib.contextmanager
    def _kept_buffers(self, node: NodeId, is_step: bool = False) -> Iterator[None]:
        """Begin with the node's buffers, and keep what a gradient makes of them."""
        if not self._vector.buffer_names:
            yield
            return
        self._vector.put_buffers(self._buffers.get(node, self._drawn))
        yield
        if is_step:
            self._buffers[node] = self._vector.buffers()

    def _inputs(self, features: Any) -> Any:
        inputs = features.to(self._config.device).reshape(-1, *self._shape)
        return self._augmented(inputs) if self._draws_anew and self._config.augment == "flip_crop" else inputs

    def _augmented(self, images: Any) -> Any:
        """Return images mirrored and shifted, each by a draw of its own."""
        torch = self._torch
        number, _, height, width = images.shape
        flips = torch.rand(number) < 0.5
        padded = torch.nn.functional.pad(torch.where(flips[:, None, None, None], images.flip(3), images), (4, 4, 4, 4))
        down, right = torch.randint(0, 9, (2, number))
        rows = (down[:, None] + torch.arange(height))[:, None, :, None]
        columns = (right[:, None] + torch.arange(width))[:, None, None, :]
        return padded[torch.arange(number)[:, None, None, None], torch.arange(images.shape[1])[None, :, None, None],
                      rows, columns]  # fmt: skip

    def _loss_function(self) -> Any:
        torch = self._torch
        if self._config.loss == "cross_entropy":
            return functools.partial(torch.nn.functional.cross_entropy, reduction="none")
        if self._config.loss == "mse":
            return lambda outputs, targets: (outputs.reshape(len(targets), -1) - targets[:, None]).square().sum(1) / 2
        return imported(self._config.loss, "loss")

    def _try(self) -> float:
        """Return operations of a sample forward, and whether module and data fit together at all."""
        try:
            sample = self._inputs(self._features[:1])
            if self._config.augment == "flip_crop" and sample.ndim != 4:
                raise ValueError(f"augment needs images, and samples have the shape {tuple(sample.shape[1:])}")
            flop = self._vector.forward_flop(sample)
            with self._vector.judging():
                self.forward(self._start, self._features[:1], self._targets[:1])
        except (RuntimeError, ValueError, TypeError, IndexError) as error:
            text = " ".join(f"{type(error).__name__}: {error}".split())
            allowed = f"a module and a loss that take samples of {self._shares.name}, shape {self._shape}"
            raise ConfigError([Fault(("module",), allowed, text[:200])]) from None
        self._vector.put_buffers(self._drawn)
        return flop


def _make(config: TorchModule, torch: Any, seed: int) -> Any:
    named = config.module if ":" in config.module else f"{_READY}.{config.module}:make"
    function = imported(named, "module")
    if config.device == "cuda" and not torch.cuda.is_available():
        raise DataError("torch_module: device cuda is needed for this scenario. Got a PyTorch or machine without it.")
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            module = function(**config.arguments)
    except Exception as error:  # whatever the user's function does
        text = " ".join(f"{type(error).__name__}: {error}".split())
        raise ConfigError([Fault(("module",), f"{named} makes a module of its arguments", text)]) from error
    if not isinstance(module, torch.nn.Module):
        raise ConfigError([Fault(("module",), f"{named} returns a torch.nn.Module", type(module).__name__)])
    return module
