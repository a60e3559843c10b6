"""Peers on a graph: a step, an exchange with the neighbours, a mix. An algorithm overrides what its paper adds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import count
from typing import Annotated, Any, ClassVar, Literal, TypeAlias

import numpy as np

from algorithms.coding.codec import Codec
from algorithms.coding.several import Several
from algorithms.compressors.identity import Identity
from algorithms.roles.parts import FloatBit, Momentum, StepSize, max_smoothness, step_rule
from netsim.errors import SimulationError
from netsim.fields import Fraction, Range, Ref
from netsim.interfaces import Array, Code, Context, Decode, Encode, NodeId, Receive, Report, Send, Silent, Sum

Gamma: TypeAlias = Fraction | Literal["choco", "sparq"]
Beta: TypeAlias = Annotated[float, Range(ge=0, lt=1)]


@dataclass(frozen=True, kw_only=True)
class Gossip:
    """Keys of every algorithm between peers.

    Parameters
    ----------
    step_size
        ``auto``, which is 1 / max_m L_m unless the algorithm says otherwise; a number; or a step rule. Rules count a
        node's own gradients.
    """

    step_size: StepSize = "auto"

    tolerates: ClassVar[frozenset[str]] = frozenset()
    graphs: ClassVar[frozenset[str]] = frozenset()

    def auto_step(self, ctx: Context) -> float:
        """Return the step size that ``auto`` stands for."""
        return 1.0 / max_smoothness(ctx)


@dataclass(frozen=True, kw_only=True)
class DenseGossip(Gossip):
    """Keys of an algorithm that sends whole models.

    Parameters
    ----------
    float_bit
        Bits of a float in a message.
    """

    float_bit: FloatBit = 32

    graphs: ClassVar[frozenset[str]] = frozenset({"changing", "directed"})

    def several(self, *dims: int | None) -> Several:
        """Return the codec of a message of several vectors; None: a model."""
        return Several((Identity(self.float_bit),) * len(dims), dims)


@dataclass(frozen=True, kw_only=True)
class CompressedGossip(Gossip):
    """Keys of an algorithm whose nodes keep public copies of their models, which compressed differences move.

    Parameters
    ----------
    compressor
        C, of the differences; one that works per tensor gets the problem's layout.
    gamma
        The consensus step, 0 < gamma <= 1; ``choco`` and ``sparq`` are the values of the two papers' theorems, which
        are far too small in practice.
    momentum
        beta of Nesterov's momentum in the local steps, v <- beta v + g and x <- x - eta (beta v + g); v is never sent.
    hat_init
        What the public copies are at first: ``zero``, so that the first messages carry models; ``x0``, the start that
        all nodes know.
    """

    compressor: Annotated[Codec, Ref("compressor")]
    gamma: Gamma
    momentum: Beta = 0.0
    hat_init: Literal["zero", "x0"] = "zero"


class Peer:
    """One peer: reports its model, and takes one step a round.

    Attributes
    ----------
    x : the node's model, shape (dim,).
    """

    def __init__(self, ctx: Context) -> None:
        self.ctx = ctx
        self.x = ctx.facts.start
        self.memory: Any = None

    async def run(self) -> None:
        """Run the rounds."""
        await Report(0, self.estimate())
        for round in count():
            metrics = await self.step(round)
            await Report(round + 1, self.estimate(), metrics or {})

    def estimate(self) -> Array:
        """Return the model to measure."""
        return self.x

    async def step(self, round: int) -> Mapping[str, float] | None:
        """Change the model; return further columns of the round's row."""
        raise NotImplementedError

    async def send(self, codec: Code, x: Any, round: int, kind: str = "update") -> Any:
        """Send `x` to all who hear this node and return what it decodes to."""
        sent = await Encode(codec, x, round, self.memory)
        self.memory = sent.memory
        await Send(self.ctx.hearers(round), sent.payload, round, kind)
        return sent.value

    async def hear(self, codec: Code, round: int) -> dict[NodeId, Any]:
        """Wait for all that this node hears; return what their messages decode to, in increasing id."""
        inbox = await Receive(len(self.ctx.neighbours(round)), "update", round)
        return {message.src: await Decode(codec, message) for message in inbox.messages}

    def mix(self, own: Array, heard: Mapping[NodeId, Array], round: int) -> Array:
        """Return sum_j w_ij x_j."""
        weights = self.ctx.neighbours(round)
        mixed = (1.0 - sum(weights.values())) * own
        for node, x in heard.items():
            mixed = mixed + weights[node] * x
        return mixed


class SteppingPeer(Peer):
    """A peer with a step size.

    Attributes
    ----------
    eta : the step size by the number of gradients so far.
    """

    def __init__(self, ctx: Context, algorithm: Gossip) -> None:
        super().__init__(ctx)
        self.eta: Callable[[int], float] = step_rule(algorithm.step_size, ctx, lambda: algorithm.auto_step(ctx))


class DensePeer(SteppingPeer):
    """A peer that sends whole models.

    Attributes
    ----------
    codec : of a message.
    """

    def __init__(self, ctx: Context, algorithm: DenseGossip) -> None:
        super().__init__(ctx, algorithm)
        self.codec = Identity(algorithm.float_bit)


class PublicCopyPeer(SteppingPeer):
    """A peer with a public copy xh of its model; s = sum_j w_ij xh_j stands for the copies of its neighbours.

    Attributes
    ----------
    hat, s : xh_i and s_i, shape (dim,).
    """

    def __init__(self, ctx: Context, algorithm: CompressedGossip) -> None:
        super().__init__(ctx, algorithm)
        self.codec = algorithm.compressor.bind(ctx.facts.layout)
        self.gamma = consensus_step(algorithm.gamma, self.codec, ctx)
        self.momentum = Momentum(algorithm.momentum, nesterov=True)
        self.weights = ctx.neighbours(0)
        self.own_weight = 1.0 - sum(self.weights.values())
        self.hat = self.x.copy() if algorithm.hat_init == "x0" else np.zeros_like(self.x)
        self.s = self.hat.copy()

    async def publish(self, x: Array, round: int) -> None:
        """Send C(x - xh) and move the own copy by it."""
        q = await self.send(self.codec, x - self.hat, round)
        self.hat += q
        self.s += self.own_weight * q

    async def keep_silent(self, round: int) -> None:
        """Say that the own copy stays."""
        await Silent(self.ctx.hearers(round), round)

    async def listen(self, round: int) -> None:
        """Wait for all neighbours and move their copies."""
        inbox = await Receive(len(self.weights), "update", round)
        self.s += await Sum(self.codec, inbox.messages, [self.weights[message.src] for message in inbox.messages])

    def pull(self) -> Array:
        """Return gamma sum_j w_ij (xh_j - xh_i)."""
        return self.gamma * (self.s - self.hat)


def consensus_step(gamma: Gamma, codec: Codec, ctx: Context) -> float:
    """Return the consensus step; of theory where it is named, from delta and b of W and C's omega.

    References
    ----------
    Koloskova, Lin, Stich, Jaggi, "Decentralized deep learning with arbitrary communication compression", ICLR 2020,
    theorem 4.1 (``choco``). Singh, Data, George, Diggavi, "SPARQ-SGD", arXiv 1910.14280, theorem 1 (``sparq``).
    """
    if not isinstance(gamma, str):
        return gamma
    omega, (delta, b) = codec.contraction(ctx.facts.dim), ctx.spectrum
    if omega is None:
        text = f"gamma: {gamma} needs a compressor that is a contraction, which {codec.name} is not"
        raise SimulationError(f"{text}; give a number, or to_contraction of it")
    if gamma == "choco":
        return delta**2 * omega / (16 * delta + delta**2 + 4 * b**2 + 2 * delta * b**2 - 8 * delta * omega)
    return 2 * delta * omega / (64 * delta + delta**2 + 16 * b**2 + 8 * delta * b**2 - 16 * delta * omega)
