"""A PyTorch module whose weights are one flat vector, and its buffers another."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from netsim.errors import DataError
from netsim.interfaces import Floats, Key


def require_torch() -> Any:
    """Import PyTorch; raise an error that says how to install it where it is missing."""
    try:
        import torch
    except ImportError:
        raise DataError("torch_module: PyTorch is needed; pip install 'netsim-learn[torch]'. Got none.") from None
    return torch


class TorchVector:
    """A module and the flat vectors that its tensors are views of.

    Parameters
    ----------
    module
        Any ``torch.nn.Module``; it is changed in place.
    device
        Where it computes.
    dtype
        Of its weights.

    Attributes
    ----------
    layout : shapes of the weights, in the module's order.
    buffer_names : names of buffers of floats, such as the statistics of batch norm.
    """

    def __init__(self, module: Any, device: str, dtype: str) -> None:
        torch = require_torch()
        self.torch = torch
        self.module = module.to(device=device, dtype=getattr(torch, dtype))
        weights = [weight for weight in module.parameters() if weight.requires_grad]
        self.layout = tuple(tuple(int(side) for side in weight.shape) or (1,) for weight in weights)
        size = sum(math.prod(shape) for shape in self.layout)
        self.weights = torch.empty(size, device=device, dtype=getattr(torch, dtype))
        self.slopes = torch.zeros_like(self.weights)
        at = 0
        for weight in weights:
            part = slice(at, at + weight.numel())
            self.weights[part] = weight.detach().reshape(-1)
            weight.data = self.weights[part].view(weight.shape)
            weight.grad = self.slopes[part].view(weight.shape)
            at = part.stop
        named = [(name, buffer) for name, buffer in module.named_buffers() if buffer.is_floating_point()]
        self.buffer_names = tuple(name for name, _ in named)
        self._buffers = [buffer for _, buffer in named]
        self._dropouts = [part for part in module.modules() if isinstance(part, torch.nn.modules.dropout._DropoutNd)]
        self._norms = [part for part in module.modules() if isinstance(part, torch.nn.modules.batchnorm._BatchNorm)]
        self.draws = any(part.p > 0 for part in self._dropouts)

    def put(self, w: npt.NDArray[np.floating[Any]]) -> None:
        """Set the weights."""
        # A copy where it is read-only or of other order: torch takes none of these.
        whole = w if w.flags.writeable and w.flags.c_contiguous else np.array(w)
        self.weights.copy_(self.torch.from_numpy(whole))

    def take_slopes(self) -> npt.NDArray[Any]:
        """Return the gradient that has been added up since the last call, in an array of its own."""
        found: npt.NDArray[Any] = self.slopes.cpu().numpy().copy()
        self.slopes.zero_()
        return found

    def buffers(self) -> Floats:
        """Return all buffers of floats, one after the other."""
        parts = [buffer.detach().cpu().numpy().reshape(-1).astype(np.float64) for buffer in self._buffers]
        return np.concatenate(parts) if parts else np.empty(0)

    def put_buffers(self, values: Floats) -> None:
        """Set all buffers of floats."""
        at = 0
        for buffer in self._buffers:
            part = self.torch.from_numpy(values[at : at + buffer.numel()]).reshape(buffer.shape)
            buffer.copy_(part)
            at += buffer.numel()

    @contextlib.contextmanager
    def training(self, key: Key | None) -> Iterator[None]:
        """Normalise by the samples at hand; drop entries as the key says, nothing without one."""
        self.module.train()
        if key is None:
            for part in self._dropouts:
                part.eval()
            yield
            return
        with self.torch.random.fork_rng(devices=[]):
            self.torch.manual_seed(key.key ^ (key.counter >> 1))
            yield

    @contextlib.contextmanager
    def judging(self) -> Iterator[None]:
        """Normalise by the buffers, drop nothing."""
        self.module.eval()
        yield

    def forward_flop(self, sample: Any) -> float:
        """Return operations of one sample forward: two for each product in convolutions and fully connected layers."""
        counts = list[float]()

        def count(part: Any, inputs: Any, output: Any) -> None:
            products = part.weight.shape[1:].numel()
            counts.append(2.0 * products * output[0].numel())

        kinds = (self.torch.nn.Linear, self.torch.nn.modules.conv._ConvNd)
        hooks = [part.register_forward_hook(count) for part in self.module.modules() if isinstance(part, kinds)]
        try:
            with self.judging(), self.torch.no_grad():
                self.module(sample)
        finally:
            for hook in hooks:
                hook.remove()
        return math.fsum(counts)
