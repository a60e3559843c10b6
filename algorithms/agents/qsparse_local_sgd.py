"""Qsparse-local-SGD: local steps, compressed differences and error memory, synchronous or not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

import numpy as np

from algorithms.coding.codec import Codec
from algorithms.compressors.error_feedback import ErrorFeedback, Memory
from algorithms.roles.asynchronous import AsynchronousServer
from algorithms.roles.local import FixedSteps, LocalWorker
from algorithms.roles.star import Server, Updates
from algorithms.roles.tolerant import Mindful
from netsim.errors import ConfigError, Fault
from netsim.fields import Ref
from netsim.interfaces import Agent, Array, Context
from netsim.registry import Examples, component

Mode = Literal["synchronous", "asynchronous"]


@component("algorithm")
@dataclass(frozen=True)
class QsparseLocalSgd(FixedSteps, Mindful):
    """Local steps, then c_m = C(e_m + x_m - xh_m), e_m <- e_m + x_m - xh_m - c_m; at the server x <- x - sum c_m / M.

    x_m is the model that worker m got last, xh_m where its local steps led. With the identity and H = 1 it is `gd`,
    with the identity `local_sgd`, with H = 1 and one worker error-feedback SGD.

    ``synchronous``: the server waits for all workers and answers all. ``asynchronous``: a worker sends when its own gap
    is over and waits for the answer; the server takes what has come at an instant, in increasing id, divides by M all
    the same, and answers the senders alone. Rounds are commits; `staleness` is the number of commits between the model
    that a worker started from and its own commit.

    Whatever the delays and compressors, x - mean e_m - (1/M) sum (x_m - xh_m) over workers that do not wait - (1/M) sum
    of the c_m under way = x^0 - mean sum_t gamma_t g_{m,t}. The server keeps x unrounded for this; workers measure from
    what they received.

    Parameters
    ----------
    compressor
        C; one that works per tensor gets the problem's layout.
    local_steps
        H, the longest gap between two messages of a worker.
    mode
        ``synchronous`` (algorithm 1) or ``asynchronous`` (algorithm 2).
    gap
        ``fixed``: always H steps. ``uniform``: each gap drawn from 1 .. H by each worker; asynchronous only.
    wipe_memory
        Set e_m to 0 at the message before a local step whose gamma is at most half of that before, where a piecewise
        rule drops.

    References
    ----------
    Basu, Data, Karakus, Diggavi, "Qsparse-local-SGD: distributed SGD with quantization, sparsification, and local
    computations", NeurIPS 2019, algorithms 1 and 2. Deviations: workers get x^0 from the server; a worker computes
    nothing while it waits for its answer, as the paper's exchange is atomic; what came at one instant is one commit.
    """

    compressor: Annotated[Codec, Ref("compressor")]
    mode: Mode = "synchronous"
    gap: Literal["fixed", "uniform"] = "fixed"
    wipe_memory: bool = False

    examples: ClassVar[Examples] = (
        {"local_steps": 4, "compressor": {"name": "sign_top_k", "k": 3}, "step_size": 0.1},
        {"local_steps": 3, "compressor": {"name": "top_k", "k": 3}, "mode": "asynchronous", "step_size": 0.1},
        {
            "local_steps": 4,
            "compressor": {"name": "qtop_k", "k": 4, "levels": 7},
            "mode": "asynchronous",
            "gap": "uniform",
            "step_size": {"name": "inverse_round", "a": 1.0, "offset": 10.0},
        },
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        faults = []
        if self.compressor.is_outermost:
            allowed = "the code inside, as the algorithm is the feedback"
            faults.append(Fault(("compressor",), allowed, self.compressor.name))
        if self.gap == "uniform" and self.mode == "synchronous":
            faults.append(Fault(("gap",), "fixed, as synchronous workers share their gaps", "uniform"))
        if self.mode == "asynchronous" and (self.quorum is not None or self.deadline_s is not None):
            key = "deadline_s" if self.quorum is None else "quorum"
            faults.append(Fault((key,), "none, as an asynchronous server waits for nobody", f"{getattr(self, key)}"))
        if faults:
            raise ConfigError(faults)

    @property
    def tolerates(self) -> frozenset[str]:  # type: ignore[override]  # depends on a key
        """Late and lost messages as workers with memories do; asynchronous workers would wait for a lost model."""
        return frozenset({"late"}) if self.mode == "asynchronous" else super().tolerates

    def timing_free(self, network: Any) -> bool:
        """Return whether results depend on no delay."""
        return self.mode == "synchronous" and super().timing_free(network)

    def codec(self, ctx: Context) -> Codec:
        """Return C with its error memory, for the problem's tensors."""
        return ErrorFeedback(self.compressor.bind(ctx.facts.layout))

    def batches(self, ctx: Context) -> tuple[None, ...]:
        """Return a minibatch for every step to the next message."""
        if self.gap == "fixed":
            return (None,) * self.local_steps
        return (None,) * int(ctx.rng("gap").integers(1, self.local_steps, endpoint=True))

    def server(self, ctx: Context) -> Agent:
        """Return a server of that mode."""
        made = QsparseServer if self.mode == "synchronous" else AsynchronousQsparseServer
        return made(ctx, self.at_server())

    def worker(self, ctx: Context) -> Agent:
        """Return a worker with an error memory."""
        return QsparseWorker(ctx, self)


class QsparseServer(Server):
    """Keeps x unrounded as `exact`, and divides by all workers."""

    def __init__(self, ctx: Context, algorithm: Any) -> None:
        super().__init__(ctx, algorithm)
        self.exact = ctx.facts.start

    async def step(self, round: int, updates: Updates) -> None:
        """Subtract the sum of the uploads over M."""
        self.x = self.exact = self.exact - (await updates.sum()) / len(self.ctx.workers)


class AsynchronousQsparseServer(QsparseServer, AsynchronousServer):
    """Commits what has come."""


class QsparseWorker(LocalWorker):
    """Uploads C(e + x - xh) and keeps e in `memory`."""

    local: QsparseLocalSgd

    async def walk(self, batches: Any) -> Array:
        """Take the local steps from x; forget e before a drop of the step size."""
        steps = range(max(self.steps, 1), self.steps + len(batches))
        is_drop = self.local.wipe_memory and any(self.gamma(t) <= self.gamma(t - 1) / 2 for t in steps)
        if is_drop and isinstance(self.memory, Memory):
            self.memory = self.memory._replace(error=np.zeros_like(self.x))
        return await super().walk(batches)
