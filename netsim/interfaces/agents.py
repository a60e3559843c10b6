"""Agents: the commands they await, what they know of the world, and who makes them."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Generic, Literal, NamedTuple, Protocol, TypeVar, runtime_checkable

import numpy as np

from netsim.interfaces.costs import Cost, CostModel, Link
from netsim.interfaces.links import Superposes
from netsim.interfaces.messages import Array, Batch, Code, Encoded, Inbox, Message, NodeId, Payload, Token
from netsim.interfaces.problems import Pairwise

T = TypeVar("T")


class Command(Generic[T]):
    """Something an agent awaits; whatever drives the agent answers it.

    Commands are not frozen, as they are made several times a message and a frozen one takes three times as long.
    """

    __slots__ = ()

    def __await__(self) -> Generator[Command[Any], T, T]:
        return (yield self)


@dataclass(slots=True, eq=False)
class Gradient(Command[Array]):
    """Compute the node's own gradient at `at`, on `batch` (None: its next minibatch). Takes compute time.

    A machine that has all samples names in `of` the node whose gradient it computes, with that node's minibatch, in
    the time that it takes there.
    """

    at: Array
    batch: Batch | None = None
    of: NodeId | None = None


@dataclass(slots=True, eq=False)
class Value(Command[float]):
    """Compute the node's own loss at `at`, on `batch` (None: its next minibatch). Takes compute time."""

    at: Array
    batch: Batch | None = None


@dataclass(slots=True, eq=False)
class Encode(Command[Encoded]):
    """Encode a vector for a message of this round; takes time where the scenario charges the work of codecs.

    Parameters
    ----------
    codec
        Such as `algorithms.coding.codec.Codec`.
    x
        The vector, or the vectors of a codec for several (`algorithms.coding.several.Several`).
    round
        Of the message; draws depend on seed, replication, round, sender and `part` alone.
    memory
        The memory that the codec returned with the sender's last vector; None before the first one.
    part
        Tells apart what one node encodes in one round with draws of its own.
    """

    codec: Code
    x: Any
    round: int
    memory: Any = None
    part: int = 0


@dataclass(slots=True, eq=False)
class Decode(Command[Any]):
    """Decode a message; the vector is read-only, as all receivers of one broadcast share it.

    Parameters
    ----------
    codec, message
        The sender's codec, and the message as it came.
    dim
        Length of the vector; None: the problem's dimension.
    part
        As in the sender's `Encode`.
    """

    codec: Code
    message: Message
    dim: int | None = None
    part: int = 0


@dataclass(slots=True, eq=False)
class Sum(Command[Array]):
    """Add up what messages decode to, in the order given and in O(T) each where the code is sparse.

    The sum is read-only, as nodes that add up the same messages share it.

    Parameters
    ----------
    codec, messages
        One codec for all messages.
    weights
        A factor for each message; None: 1.
    """

    codec: Code
    messages: Sequence[Message]
    weights: Sequence[float] | None = None


@dataclass(slots=True)
class Send(Command[None]):
    """Hand a payload to the network for one node or several; does not wait for delivery."""

    to: NodeId | tuple[NodeId, ...]
    payload: Payload
    round: int
    kind: str = "update"


@dataclass(slots=True)
class Delivered(Command[frozenset[NodeId]]):
    """Wait until the node's last message has ended everywhere; the answer is the nodes that acknowledged it.

    For algorithms with ``known_loss`` in `tolerates`, whose channels deliver every message or tell the sender.
    """


@dataclass(slots=True)
class Silent(Command[None]):
    """Say that no message of this kind comes in this round; `network.silence` of the scenario says what that costs."""

    to: NodeId | tuple[NodeId, ...]
    round: int
    kind: str = "update"


@dataclass(slots=True)
class Receive(Command[Inbox]):
    """Wait for messages.

    Parameters
    ----------
    count
        How many messages (or notices of silence of that round and kind) to wait for.
    kind, round
        Only messages of this kind and round; None: any.
    take
        ``exact``: the first `count` that fit, in (round, src) order; older rounds come as `late`.
        ``latest``: the newest `count` that fit, one per sender, older ones dropped. ``all``: whatever has
        arrived, at least one, once the instant is settled.
    deadline_s
        Give up after this long; the inbox then says `timed_out`.
    """

    count: int = 1
    kind: str | None = None
    round: int | None = None
    take: Literal["exact", "latest", "all"] = "exact"
    deadline_s: float | None = None


@dataclass(slots=True)
class Wait(Command[None]):
    """Let `duration_s` seconds pass."""

    duration_s: float


@dataclass(slots=True)
class Compute(Command[None]):
    """Work of `flop` operations, which takes time and energy where the scenario gives a rate."""

    flop: float


@dataclass(slots=True)
class Mark(Command[Token]):
    """A token that names this instant, for `Report.since`."""


@dataclass(slots=True, eq=False)
class Report(Command[None]):
    """Tell the recorder; costs nothing and takes no time.

    Parameters
    ----------
    round
        0 is the start, r the state after r rounds.
    estimate
        The model to measure, shape (dim,); None adds `metrics` to the row of that round, where several
        nodes' values of one name are averaged.
    metrics
        Further columns, such as ``budget``; a function is asked for its value before the command returns, and only
        where the row is recorded.
    since
        A token of `Mark`; the row gets the seconds from then to now as ``elapsed_s``.
    """

    round: int
    estimate: Array | None = None
    metrics: Mapping[str, float | Callable[[], float]] = field(default_factory=dict)
    since: Token | None = None


class Facts(Protocol):
    """What every node may know of the problem."""

    @property
    def dim(self) -> int: ...
    @property
    def layout(self) -> Sequence[tuple[int, ...]]: ...
    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of the agents' vectors, float64 or float32; `start`, gradients and decoded vectors have it."""

    @property
    def start(self) -> Array:
        """w^0, shape (dim,)."""

    @property
    def smoothness(self) -> float:
        """L of the mean objective F; a `SimulationError` where the problem does not know it."""

    @property
    def strong_convexity(self) -> float:
        """mu of F; 0 where there is none."""

    @property
    def rounds_per_epoch(self) -> float:
        """Minibatches in which a node sees as many samples as it has, on the mean over nodes."""

    def num_samples(self, node: NodeId) -> int:
        """Return the number of a node's samples."""

    def batch_size(self, node: NodeId) -> int:
        """Return the size of a node's minibatch; all its samples where the problem knows no minibatches."""

    def node_smoothness(self, node: NodeId) -> float:
        """Return L_m of one node's objective."""


class Spectrum(NamedTuple):
    """Of mixing weights W: the gap delta = 1 - |lambda_2(W)|, and the norm ||I - W||_2."""

    gap: float
    norm: float


class Context(Protocol):
    """All an agent knows of the world."""

    @property
    def node(self) -> NodeId: ...
    @property
    def server(self) -> NodeId:
        """The node above: the server's id, the largest, or the worker's aggregator; -1 where there is none."""

    @property
    def workers(self) -> tuple[NodeId, ...]:
        """The nodes below this one or beside it: 0 .. M-1 but where there are two tiers."""

    @property
    def facts(self) -> Facts: ...
    @property
    def is_reliable(self) -> bool:
        """Whether the network delivers every message."""

    def rng(self, purpose: str = "compressor") -> np.random.Generator:
        """Return the node's own stream of that purpose, the same object at every call."""

    def shared_rng(self, purpose: str) -> np.random.Generator:
        """Return a stream whose draws are the same at every node, the same object at every call."""

    def next_batch(self) -> Batch:
        """Draw the node's next minibatch, for several evaluations on the same samples."""

    def cost(self, cost: Cost, dst: NodeId) -> CostModel:
        """Return the live cost model of `cost` for the link to `dst`; the engine shows it every own transfer."""

    def link(self, dst: NodeId, src: NodeId | None = None) -> Link:
        """Return the link to `dst` from this node, or from `src`."""

    def air(self, dst: NodeId, src: NodeId | None = None) -> Superposes | None:
        """Return the air to `dst` from this node, or from `src`; None where amplitudes do not add up."""

    def samples(self) -> Any:
        """Return the node's own samples, read-only, as the problem keeps them; `SimulationError` if it shows none."""

    @property
    def pairwise(self) -> Pairwise:
        """The constraints between neighbours' models; a `SimulationError` where the problem has none."""

    def neighbours(self, round: int) -> Mapping[NodeId, float]:
        """Return mixing weights of the peers heard in that round, in increasing id; its own is 1 minus their sum."""

    def hearers(self, round: int) -> tuple[NodeId, ...]:
        """Return the peers that hear this one in that round: the neighbours, unless the graph is directed."""

    @property
    def spectrum(self) -> Spectrum:
        """How fast the mixing weights average."""


class Agent(Protocol):
    """One node's program: a coroutine of commands."""

    def run(self) -> Coroutine[Command[Any], Any, None]:
        """Run the node's program: a coroutine that yields commands and returns when it is done."""


@runtime_checkable
class Algorithm(Protocol):
    """Frozen hyper-parameters (kind ``algorithm``); fields are YAML keys.

    Either ``server`` and ``worker`` (a star, with ``aggregator`` of two tiers) or ``peer`` (any connected graph) make
    its agents; one that has all of them says in `between_peers`, a bool, which it is. One between peers may say in
    `graphs`, a frozenset, what it takes beside a fixed graph whose edges go both ways: ``changing``; ``directed``,
    where every peer hears as many as hear it; ``unbalanced``, where not.
    """

    tolerates: ClassVar[frozenset[str]]  # of {"late", "loss", "known_loss"}; the last: if the sender learns of it


def is_between_peers(algorithm: Any) -> bool:
    """Return whether an algorithm, as it is configured, is one between peers and not one of a server and workers."""
    return bool(getattr(algorithm, "between_peers", not hasattr(algorithm, "server")))


@runtime_checkable
class TimingFree(Protocol):
    """What an algorithm may say that tolerates late messages: whether, on a network, none makes a difference."""

    def timing_free(self, network: Any) -> bool:
        """Return whether what is computed depends on no delay, so that runs that differ in delays train alike."""


@runtime_checkable
class StarAlgorithm(Algorithm, Protocol):
    """An algorithm of a server and workers.

    One that says ``is_alone = True``, a class attribute, computes at its server and sends nothing.
    """

    def server(self, ctx: Context) -> Agent:
        """Make the server's agent."""

    def worker(self, ctx: Context) -> Agent:
        """Make a worker's agent."""


@runtime_checkable
class PeerAlgorithm(Algorithm, Protocol):
    """An algorithm of equals on a graph."""

    def peer(self, ctx: Context) -> Agent:
        """Make a peer's agent."""


@runtime_checkable
class AfterRun(Protocol):
    """An algorithm that makes tables of its own from the models kept during a run."""

    def tables(
        self, ctx: Context, gradient: Callable[[Array], Array], models: Sequence[tuple[int, Array]]
    ) -> Mapping[str, Mapping[str, Any]]:
        """Make tables for the run's folder.

        Parameters
        ----------
        ctx
            Of node 0.
        gradient
            The full gradient of node 0 at a model.
        models
            Round and model at the first, a middle and the last recorded round.

        Returns
        -------
        Columns by table: arrays, or sequences of texts.
        """
