"""The contracts between learning, links and the engine, and the frozen values that travel between them.

Algorithms know nothing of time, channels nothing of learning, and neither of simpy: they meet here.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Generic, Literal, NamedTuple, Protocol, Self, TypeAlias, TypeVar, runtime_checkable

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[np.floating[Any]]
Indices: TypeAlias = npt.NDArray[np.int64]
NodeId: TypeAlias = int
TransferId: TypeAlias = int
T = TypeVar("T")

HEADER_BYTES = 8  # version 4, kind 6, flags 6, sender 24, round 24 bits

# --- messages -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Payload:
    """What a codec makes of a vector.

    Parameters
    ----------
    data
        The bytes that travel; their length is the only size there is.
    paper_bit
        The closed formula of the codec's paper, without length fields and padding.
    index_bit, value_bit
        The part of `paper_bit` that names coordinates and the part that carries their values.
    """

    data: bytes
    paper_bit: float
    index_bit: float = 0.0
    value_bit: float = 0.0


class Message(NamedTuple):
    """One message as its receiver sees it: who, which round, what kind, which bytes."""

    src: NodeId
    round: int
    kind: str
    data: bytes


class Inbox(NamedTuple):
    """The answer to `Receive`.

    Parameters
    ----------
    messages
        Those asked for, in (round, src) order.
    late
        Messages of older rounds that were waiting (``take="exact"`` with a round).
    silent
        Nodes that said they stay silent in the round asked for; they count as heard.
    timed_out
        True where the deadline passed first; `messages` then holds what had come.
    """

    messages: tuple[Message, ...]
    late: tuple[Message, ...] = ()
    silent: frozenset[NodeId] = frozenset()
    timed_out: bool = False


class Token(NamedTuple):
    """An instant that an agent can name but not read; the recorder turns it into seconds."""

    id: int


# --- commands: all that an agent can ask of the world ---------------------------------------------


class Command(Generic[T]):
    """Something an agent awaits; whatever drives the agent answers it.

    Commands are not frozen, as they are made several times a message and a frozen one takes three times as long.
    """

    __slots__ = ()

    def __await__(self) -> Generator[Command[Any], T, T]:
        return (yield self)


@dataclass(slots=True, eq=False)
class Gradient(Command[Array]):
    """The node's own gradient at `at`, on `batch` (None: the node's next minibatch). Takes compute time."""

    at: Array
    batch: Indices | None = None


@dataclass(slots=True, eq=False)
class Value(Command[float]):
    """The node's own loss at `at`, on `batch` (None: all its samples). Takes compute time."""

    at: Array
    batch: Indices | None = None


@dataclass(slots=True)
class Send(Command[None]):
    """Hand a payload to the network for one node or several; does not wait for delivery."""

    to: NodeId | tuple[NodeId, ...]
    payload: Payload
    round: int
    kind: str = "update"


@dataclass(slots=True)
class Silent(Command[None]):
    """Say that nothing comes in this round; what that costs is `network.silence` of the scenario."""

    to: NodeId | tuple[NodeId, ...]
    round: int


@dataclass(slots=True)
class Receive(Command[Inbox]):
    """Wait for messages.

    Parameters
    ----------
    count
        How many messages (or notices of silence in `round`) to wait for.
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


# --- agents -----------------------------------------------------------------------------------------


class CostModel(Protocol):
    """What sending costs over one link, in the unit of `quantity`; never decreasing.

    ``basis`` says what the model is a function of: ``"count"`` the kept coordinates T, ``"paper"`` the
    papers' P(T) in bits, ``"message"`` all bits of the real message, header included.
    ``structure`` holds the constants where the cost is C = c0 + c_packet * ceil(.) + c_bit * x; None: only
    calls will do.
    """

    @property
    def basis(self) -> Literal["count", "paper", "message"]: ...
    @property
    def quantity(self) -> str: ...
    @property
    def structure(self) -> CostStructure | None: ...
    def __call__(self, size: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """The cost of messages of these sizes (in the unit of `basis`), elementwise."""

    def observe(self, message_bit: float, value: float) -> None:
        """A transfer of the owner's ended: it had this size and really cost `value`."""


@runtime_checkable
class PacketObserver(Protocol):
    """What a cost model may offer that learns from packets, too."""

    def observe_packets(self, message_bit: float, value: float, packets: int) -> None:
        """Called in place of `CostModel.observe`, with the packets that the owner sent the message in."""


@dataclass(frozen=True, slots=True)
class CostStructure:
    """C(x) = c0 + c_packet * ceil((header_bit + x) / payload_max_bit) + c_bit * x; x = 0 costs as x > 0.

    Parameters
    ----------
    c0, c_packet, c_bit
        Cost of a message, of a packet, of a unit of x, in the model's unit. `c0` may be negative where the
        whole stays positive.
    payload_max_bit
        What one packet holds; None where there are no packets (`c_packet` is then 0).
    header_bit
        Bits inside the ceiling beside x.
    packing
        ``whole``: an entry never straddles two packets; ``stream``: the payload is one bit stream.
    """

    c0: float = 0.0
    c_packet: float = 0.0
    c_bit: float = 0.0
    payload_max_bit: float | None = None
    header_bit: float = 0.0
    packing: Literal["whole", "stream"] = "whole"


class Link(Protocol):
    """What a node may know of its link to one destination."""

    def cost(self, quantity: str) -> CostModel:
        """The link's own cost in ``bit`` (on the wire), ``packet``, ``s`` or ``j``, for messages of some bits."""


class Cost(Protocol):
    """A frozen cost configuration (kind ``cost``)."""

    def open(self, link: Link) -> CostModel:
        """The live model for one node and destination."""


class Facts(Protocol):
    """What every node may know of the problem."""

    @property
    def dim(self) -> int: ...
    @property
    def layout(self) -> Sequence[tuple[int, ...]]: ...
    @property
    def start(self) -> Array:
        """w^0, shape (dim,)."""

    @property
    def smoothness(self) -> float:
        """L of the mean objective F."""

    @property
    def strong_convexity(self) -> float:
        """mu of F; 0 where there is none."""

    def num_samples(self, node: NodeId) -> int: ...
    def node_smoothness(self, node: NodeId) -> float:
        """L_m of one node's objective."""


class Context(Protocol):
    """All an agent knows of the world."""

    @property
    def node(self) -> NodeId: ...
    @property
    def server(self) -> NodeId:
        """The server's id (the largest); -1 where there is none."""

    @property
    def workers(self) -> tuple[NodeId, ...]:
        """The learning nodes, 0 .. M-1."""

    @property
    def facts(self) -> Facts: ...
    def rng(self, purpose: str = "compressor") -> np.random.Generator:
        """The node's own stream of that purpose; the same object at every call."""

    def shared_key(self, round: int, sender: NodeId) -> Key:
        """What `sender` draws with in its message of that round, for codecs whose receivers repeat the draws."""

    @property
    def charges_codec(self) -> bool:
        """Whether encoding and decoding take time and energy: agents then await `Compute` for them."""

    def cost(self, cost: Cost, dst: NodeId) -> CostModel:
        """The live cost model of `cost` for the link to `dst`; the engine shows it every own transfer."""

    def link(self, dst: NodeId, src: NodeId | None = None) -> Link:
        """The link to `dst` from this node, or from `src`."""

    def neighbours(self, round: int) -> Mapping[NodeId, float]:
        """Mixing weights of the neighbours in that round, in increasing id; the own weight is 1 minus their sum."""


class Agent(Protocol):
    """One node's program: a coroutine of commands."""

    def run(self) -> Coroutine[Command[Any], Any, None]: ...


@runtime_checkable
class Algorithm(Protocol):
    """Frozen hyper-parameters (kind ``algorithm``); fields are YAML keys.

    Either ``server`` and ``worker`` (a star) or ``peer`` (any connected graph) make its agents.
    """

    tolerates: ClassVar[frozenset[str]]  # of {"late", "loss"}


@runtime_checkable
class StarAlgorithm(Algorithm, Protocol):
    """An algorithm of a server and workers."""

    def server(self, ctx: Context) -> Agent: ...
    def worker(self, ctx: Context) -> Agent: ...


@runtime_checkable
class PeerAlgorithm(Algorithm, Protocol):
    """An algorithm of equals on a graph."""

    def peer(self, ctx: Context) -> Agent: ...


# --- problems -----------------------------------------------------------------------------------------


class GradientRequest(NamedTuple):
    """A gradient (or value) of one node's objective: where, and on which of its samples (None: all)."""

    node: NodeId
    at: Array
    batch: Indices | None = None


@dataclass(frozen=True, slots=True)
class Optimum:
    """A minimiser and its value; `error` bounds value - F* from above."""

    at: Array
    value: float
    error: float


class Problem(Protocol):
    """A learning problem with its data: F(w) = (1/M) sum_m f_m(w)."""

    @property
    def dim(self) -> int: ...
    @property
    def num_nodes(self) -> int: ...
    @property
    def layout(self) -> Sequence[tuple[int, ...]]:
        """Tensor shapes in order, for codecs that work per tensor."""

    @property
    def metric_names(self) -> frozenset[str]:
        """Names that `metrics` returns, and ``loss_gap`` where there is an optimum."""

    def start(self) -> Array:
        """w^0, shape (dim,)."""

    def draw_batch(self, node: NodeId, rng: np.random.Generator) -> Indices | None:
        """The node's next minibatch; None where it uses all its samples."""

    def gradients(self, requests: Sequence[GradientRequest]) -> Sequence[Array]:
        """One gradient a request; bits do not depend on which requests share a call.

        The sequence may make each one only when it is asked for, so it is asked once.
        """

    def values(self, requests: Sequence[GradientRequest]) -> Sequence[float]: ...
    def loss(self, w: Array) -> float: ...
    def metrics(self, w: Array) -> Mapping[str, float]:
        """At least ``loss`` and ``grad_norm`` (of F at w); ``accuracy`` where labels allow."""

    def smoothness(self, node: NodeId | None = None) -> float:
        """L of F (None) or of one node's f_m."""

    def strong_convexity(self) -> float: ...
    def num_samples(self, node: NodeId) -> int: ...
    def gradient_flop(self, request: GradientRequest) -> float:
        """Floating-point operations of one gradient."""

    def optimum(self) -> Optimum | None:
        """The minimiser to 1e-12 in value; None where there is none."""


class ProblemConfig(Protocol):
    """A frozen problem configuration (kind ``problem``)."""

    @property
    def nodes(self) -> int: ...
    def open(self, seed: int) -> Problem:
        """Load the data and split it; the same for every replication."""


@dataclass(frozen=True, slots=True, eq=False)
class Data:
    """A loaded dataset.

    Parameters
    ----------
    features
        Shape (n, p): a C-contiguous float64 array or a scipy CSR array.
    labels
        Shape (n,): -1.0 and 1.0, or whole numbers of classes.
    name
        For messages and the page.
    """

    features: Any
    labels: npt.NDArray[np.float64]
    name: str
    test_features: Any = None
    test_labels: npt.NDArray[np.float64] | None = None


class Dataset(Protocol):
    """A frozen dataset configuration (kind ``dataset``)."""

    def load(self, rng: np.random.Generator) -> Data: ...


class Partition(Protocol):
    """A frozen rule (kind ``partition``) that deals samples to nodes."""

    def split(self, labels: npt.NDArray[np.float64], nodes: int, rng: np.random.Generator) -> list[Indices]:
        """Sorted row indices of each node: disjoint, none empty, together all."""


# --- compressors -----------------------------------------------------------------------------------------


class Key(NamedTuple):
    """The two 64-bit words that a codec draws with: Philox key and upper half of the counter.

    The lower half is the coordinate index, so that a draw depends on nothing but the key and its place.
    """

    key: int
    counter: int


class Compressor(Protocol):
    """A frozen, stateless codec (kind ``compressor``)."""

    def encode(self, x: Array, rng: np.random.Generator) -> Payload: ...
    def decode(self, data: bytes, dim: int) -> Array: ...
    def add_to(self, data: bytes, acc: Array, scale: float = 1.0) -> None:
        """acc += scale * decode(data, acc.size), in O(T) where the code is sparse."""

    def bind(self, layout: Sequence[tuple[int, ...]]) -> Self: ...
    def max_size_bytes(self, dim: int) -> int | None: ...


# --- channels ----------------------------------------------------------------------------------------------

STATES = ("tx", "rx", "listen", "idle", "sleep")


@dataclass(frozen=True, slots=True)
class Node:
    """A node as a channel sees it."""

    id: NodeId
    is_server: bool = False
    position_m: tuple[float, float] | None = None


class Delivery(NamedTuple):
    """The end of one transfer at one destination.

    Parameters
    ----------
    transfer, dst, at_ns
        Which transfer ended, where, when (the last byte).
    ok
        False where it was given up.
    packets, attempts
        Packets (MAC frames) of the message, and transmissions with all repeats.
    wire_bytes, airtime_ns
        All that it occupied of the medium: headers, padding, gaps, acknowledgements, repeats. Of a broadcast on a
        shared medium these and the packets count once, at its smallest destination; elsewhere they are 0.
    src, size_bytes
        As submitted.
    service_s, energy_j
        What the sender's cost models learn from: seconds from submit to last byte without own queueing, and
        the sender's joules beyond idling.
    """

    transfer: TransferId
    dst: NodeId
    at_ns: int
    ok: bool
    packets: int
    attempts: int
    wire_bytes: int
    airtime_ns: int
    src: NodeId
    size_bytes: int
    service_s: float
    energy_j: float


@dataclass(frozen=True, slots=True, eq=False)
class Usage:
    """What a medium's interfaces did from 0 to the instant asked for.

    Parameters
    ----------
    interfaces
        One (node, name) per row, such as (3, "radio"); a full-duplex port is two interfaces.
    state_ns
        int64, shape (rows, 5): nanoseconds in each of `STATES`; every row sums to the instant.
    energy_j
        float64, shape (rows, 5): joules in each state.
    tx_bytes, tx_frames
        int64, shape (rows,): on the wire so far.
    """

    interfaces: Sequence[tuple[NodeId, str]]
    state_ns: npt.NDArray[np.int64]
    energy_j: npt.NDArray[np.float64]
    tx_bytes: npt.NDArray[np.int64]
    tx_frames: npt.NDArray[np.int64]


class FrameSink(Protocol):
    """Something that wants to see every frame, such as a pcap writer."""

    def add(
        self, start_ns: int, src: NodeId, dst: NodeId, transfer: TransferId, offset: int, length: int, attempt: int,
        kind: str,
    ) -> None: ...  # fmt: skip


class Medium(Protocol):
    """A channel's state while it runs: integer nanoseconds, no clock of its own."""

    def submit(self, now_ns: int, src: NodeId, dst: tuple[NodeId, ...], size_bytes: int) -> TransferId:
        """Take a message (header included); `now_ns` is never before the last `advance`."""

    def next_event_ns(self) -> int | None:
        """A lower bound on the next delivery, never later than it; None: nothing under way. Other calls change it."""

    def advance(self, to_ns: int) -> Sequence[Delivery]:
        """All deliveries up to and at `to_ns`, by (at_ns, dst, src, transfer); the same however time is cut."""

    def set_up(self, now_ns: int, node: NodeId, up: bool) -> None:
        """A node goes down or comes up, at the time of the last `advance`; what needs it ends with ok False."""

    def cost(self, quantity: str, src: NodeId, dst: NodeId) -> CostModel:
        """Expected cost of a lone message of some bits (basis ``message``) in ``bit``, ``packet``, ``s`` or ``j``."""

    def usage(self, at_ns: int) -> Usage:
        """State times up to `at_ns`, which is not before the last `advance`; after it: if nothing is submitted."""


@runtime_checkable
class PowerBound(Protocol):
    """What a medium may offer so that a battery need not be looked at all the time."""

    def max_power_w(self, node: NodeId) -> float:
        """No less than the power of all the node's interfaces together at any time."""


class Channel(Protocol):
    """One link technology; frozen configuration (kind ``channel``)."""

    reliable_delivery: ClassVar[bool]  # False where a transfer can end with ok False

    def open(self, nodes: Sequence[Node], rng: np.random.Generator, *, frames: FrameSink | None = None) -> Medium: ...


class PowerProfile(Protocol):
    """Power of an interface in each state (kind ``energy``)."""

    def power_w(self, state: str) -> float:
        """Watts in one of `STATES`."""
