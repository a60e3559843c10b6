"""The parts of a scenario that are no components: network, stop, record, labelled algorithms, claims."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from netsim.errors import ConfigError, Fault, nearest_name
from netsim.fields import NonNegativeInt, PositiveFloat, PositiveInt, Ref
from netsim.interfaces import Channel
from netsim.scenario.availability import Availability
from netsim.scenario.topology import Topology
from netsim.units import to_number

DEFAULT_ROUNDS = 1000
VARIED = ("data", "partition", "start", "batch", "codec", "channel")
METRICS = ("loss", "loss_gap", "grad_norm", "accuracy", "train_accuracy", "test_accuracy", "test_loss")
# Measures of all peers' models, beside the mean model's metrics.
MEASURES = ("consensus_distance", "worst_loss", "worst_accuracy", "local_loss")
DIRECTIONS = ("uplink", "downlink", "peer")
COUNTERS = (
    "paper_bit", "payload_bytes", "message_bytes", "wire_bytes", "packets", "transmissions", "messages"
)  # fmt: skip
WAYS = (*DIRECTIONS, "total")
ENERGIES = ("worker_energy_j", "server_energy_j", "energy_j")
_SPENT = ("rounds", "time_s", *ENERGIES, "j_per_bit", "lifetime_days")
FINALS = ("final_loss", "final_accuracy", "final_test_accuracy", "final_violation")
QUANTITIES = (*_SPENT, *(f"{way}_{counter}" for way in WAYS for counter in COUNTERS))
CLAIMED = (*QUANTITIES, *FINALS)


@dataclass(frozen=True)
class Entry:
    """One algorithm of a scenario and the name it has in tables and figures.

    In YAML it is one mapping: ``{name: cat, label: CAT S+Q, variant: sign}``; `label` defaults to the name.
    """

    label: str
    algorithm: Any


@dataclass(frozen=True)
class Battery:
    """What nodes may spend before they die.

    A node whose battery is empty goes down for good: its interfaces stop, its transfers are lost, its agent ends.

    Parameters
    ----------
    capacity_j
        Energy: one for all, or a list with one for each of `nodes`.
    capacity
        In its place the charge that is printed on the battery, with its unit, such as ``2400 mAh``; or a list.
    voltage_v
        With `capacity`: the mean voltage while it is discharged, so that the energy is their product.
    nodes
        ``workers``: the learning nodes, the server having other power; ``all``; or a list of node ids, the server's
        being the number of workers.
    """

    capacity_j: PositiveFloat | tuple[PositiveFloat, ...] | None = None
    nodes: Literal["workers", "all"] | tuple[NonNegativeInt, ...] = "workers"
    capacity: str | float | tuple[str | float, ...] | None = None
    voltage_v: PositiveFloat | None = None

    def __post_init__(self) -> None:
        faults = []
        if (self.capacity_j is None) == (self.capacity is None):
            got = "neither" if self.capacity is None else "both"
            faults.append(Fault(("capacity_j",), "either capacity_j or capacity is needed", got))
        if (self.capacity is None) != (self.voltage_v is None):
            got = "no voltage" if self.voltage_v is None else "a voltage alone"
            faults.append(Fault(("voltage_v",), "capacity is a charge, and needs voltage_v beside it", got))
        charges = self.capacity if isinstance(self.capacity, tuple) else (self.capacity,)
        for i, text in enumerate(charges if self.capacity is not None else ()):
            if not (_charge_as(text) or 0.0) > 0.0:
                path = ("capacity", i) if isinstance(self.capacity, tuple) else ("capacity",)
                faults.append(Fault(path, "a charge > 0 with its unit, such as 2400 mAh", repr(text)))
        if faults:
            raise ConfigError(faults)

    @property
    def energy_j(self) -> float | tuple[float, ...]:
        """Joules: one for all, or one for each of `nodes`."""
        if self.capacity_j is not None:
            return self.capacity_j
        if isinstance(self.capacity, tuple):
            return tuple(map(self._joules, self.capacity))
        return self._joules(self.capacity or "")

    def _joules(self, charge: str | float) -> float:
        return float(f"{(_charge_as(charge) or 0.0) * (self.voltage_v or 0.0):.15g}")

    def nodes_of(self, workers: Sequence[int], server: int) -> tuple[int, ...]:
        """Return the nodes that have a battery; `server` is -1 where there is none."""
        if isinstance(self.nodes, tuple):
            return self.nodes
        return (*workers, server) if self.nodes == "all" and server >= 0 else tuple(workers)

    def capacities(self, workers: Sequence[int], server: int) -> dict[int, float]:
        """Return the capacities in joules by node."""
        nodes = self.nodes_of(workers, server)
        energy_j = self.energy_j
        each = energy_j if isinstance(energy_j, tuple) else (energy_j,) * len(nodes)
        return dict(zip(nodes, each, strict=True))


@dataclass(frozen=True)
class Network:
    """Who is joined to whom, and by what.

    Parameters
    ----------
    topology
        ``star`` or a graph between peers.
    link
        One channel for all directions; always so between peers.
    uplink, downlink
        In place of `link`, channels from and to the server. A missing one is ideal and free: see `free_ways`.
    backbone
        With aggregators in the topology: the channel between them and the server; a missing one is ideal. The others
        are then between the workers and their aggregator, a medium of its own for each aggregator.
    silence
        What it costs to say that nothing comes: ``free`` a notice without cost or delay, ``flag`` a message of a
        header alone, ``deadline`` nothing is said and the receiver's deadline passes.
    battery
        What nodes may spend; nothing: all have power without end.
    availability
        When workers are off; nothing: they are always on.
    server_power
        ``mains``: the joules that algorithms are ranked by are the workers'; ``battery``: the server's count, too.
    """

    topology: Topology = field(default_factory=Topology)
    uplink: Annotated[Channel, Ref("channel")] | None = None
    downlink: Annotated[Channel, Ref("channel")] | None = None
    link: Annotated[Channel, Ref("channel")] | None = None
    backbone: Annotated[Channel, Ref("channel")] | None = None
    silence: Literal["free", "flag", "deadline"] = "flag"
    battery: Battery | None = None
    availability: Availability | None = None
    server_power: Literal["mains", "battery"] = "mains"

    def __post_init__(self) -> None:
        two = [key for key in ("uplink", "downlink") if getattr(self, key) is not None]
        if self.link is not None and two:
            allowed = "either link for all directions, or uplink and downlink"
            raise ConfigError([Fault(("link",), allowed, f"link and {' and '.join(two)}")])
        if self.backbone is not None and not self.topology.aggregators:
            allowed = "topology: {name: star, aggregators: ...}, as a backbone joins aggregators and the server"
            raise ConfigError([Fault(("backbone",), allowed, "no aggregators")])
        if not self.topology.is_star and two:
            allowed = f"topology {self.topology.name} joins peers by link"
            raise ConfigError([Fault((key,), allowed, repr(key)) for key in two])
        if not self.topology.is_star and self.link is None:
            raise ConfigError(
                [Fault(("link",), f"topology {self.topology.name} needs a link between peers", "nothing")]
            )

    @property
    def channels(self) -> Mapping[str, Channel]:
        """The channels that the scenario names, by their key."""
        named = {"uplink": self.uplink, "downlink": self.downlink, "link": self.link, "backbone": self.backbone}
        return {key: channel for key, channel in named.items() if channel is not None}

    @property
    def free_ways(self) -> tuple[str, ...]:
        """Directions that cost nothing and count in no figure: the ideal one, where the other is not ideal."""
        if self.link is not None or not self.topology.is_star:
            return ()
        ideal = [way for way in ("uplink", "downlink") if _is_ideal(getattr(self, way))]
        return tuple(ideal) if len(ideal) == 1 else ()

    @property
    def notes(self) -> list[str]:
        """Sentences that every answer over this network needs beside it."""
        found = [_FREE[way] for way in self.free_ways]
        up, down = self.uplink, self.downlink
        if up is not None and down is not None and type(up) is type(down) and getattr(up, "is_radio", False):
            found.append(
                f"uplink and downlink are two {getattr(up, 'name', 'radio')} networks that do not disturb each other: "
                "every node has a radio for each. One radio for both is network: {link: ...}."
            )
        if all(map(_is_ideal, (self.link, up, down, self.backbone))):
            found.append(
                "All links are ideal: messages take no time and no energy; seconds and joules are computing's."
            )
        return found


_FREE = {
    "downlink": "The broadcast is free, as the papers count: models go down an ideal link, and what they take is in no "
    "figure. The same link both ways is network: {link: ...}.",
    "uplink": "The uploads are free: they go up an ideal link, and what they take is in no figure.",
}


def _is_ideal(channel: Channel | None) -> bool:
    return channel is None or getattr(channel, "name", "") == "ideal"


@dataclass(frozen=True)
class Stop:
    """When a run ends: at the first of those given.

    Parameters
    ----------
    rounds
        After so many rounds (commits, where the server is asynchronous); 1000 where only `target` is given.
    sim_time_s
        At this simulated time.
    uploads, gradients, messages
        At the first report by which so many have been made: messages of workers or peers, gradients, messages in all
        directions.
    target
        Where every metric has reached its value: those of accuracy from below, the others from above.
    every
        Targets are looked for in one of so many rounds, for problems whose metrics take longer than a round: rounds,
        bytes and seconds to a target are then those of the first such round that meets it.
    """

    rounds: PositiveInt | None = None
    sim_time_s: PositiveFloat | None = None
    target: Mapping[str, float] = field(default_factory=dict)
    every: PositiveInt = 1
    uploads: PositiveInt | None = None
    gradients: PositiveInt | None = None
    messages: PositiveInt | None = None

    def __post_init__(self) -> None:
        faults = []
        for metric, value in self.target.items():
            if metric in ("loss_gap", "grad_norm", "consensus_distance") and not value > 0:
                faults.append(Fault(("target", metric), "a number > 0", f"{value:g}"))
            if rises(metric) and not 0 < value <= 1:
                faults.append(Fault(("target", metric), "a number > 0 and <= 1", f"{value:g}"))
        if self.every > 1 and not self.target:
            faults.append(Fault(("every",), "targets to look for, in stop.target", "none"))
        if faults:
            raise ConfigError(faults)
        if self.target and not self.limits:
            object.__setattr__(self, "rounds", DEFAULT_ROUNDS)

    @property
    def limits(self) -> Mapping[str, float]:
        """The limits that are given, by key."""
        keys = ("rounds", "sim_time_s", "uploads", "gradients", "messages")
        return {key: getattr(self, key) for key in keys if getattr(self, key) is not None}


@dataclass(frozen=True)
class Record:
    """What a run writes down.

    Parameters
    ----------
    every
        A row each so many rounds; the first and the last are always there.
    measures
        Measures of all peers' models that cost a pass over the data each: ``worst_loss``, the largest F(x_i),
        ``worst_accuracy``, the smallest accuracy of an x_i, and ``local_loss``, the mean of f_i(x_i). One that is a
        target is always measured.
    messages
        A row for every message.
    efficiency
        The algorithms' own tables, such as CAT's efficiency over T, at a few rounds.
    bounds
        The algorithms' complexity bounds beside what was measured.
    pcap
        A capture file of each run's frames, in the folder ``pcap``.
    """

    every: PositiveInt = 1
    messages: bool = False
    efficiency: bool = True
    bounds: bool = False
    pcap: bool = False
    measures: tuple[Literal["worst_loss", "worst_accuracy", "local_loss"], ...] = ()


@dataclass(frozen=True)
class Claim:
    """What the source of a scenario says, and the threshold at which the run agrees with it.

    Parameters
    ----------
    text
        The source's words.
    label, against
        Two of the scenario's algorithms; without `against` the claim is about `quantity` of `label` itself.
    quantity
        A quantity of summary.csv, in which the source counts, such as ``total_paper_bit``.
    ratio
        `quantity` of `against` over that of `label`, as the source says.
    value
        `quantity` of `label`, as the source says, where there is no `against`.
    threshold
        What ours must come to for the claim to hold, written down before the run; the source's number by default.
    sense
        ``at_least`` or ``at_most`` the threshold.
    point
        The sweep point that the claim is about; by default all.
    unlike
        Why the run is not comparable with the source, where it is not.
    """

    text: str
    label: str
    quantity: str
    against: str = ""
    ratio: PositiveFloat | None = None
    value: float | None = None
    threshold: float | None = None
    sense: Literal["at_least", "at_most"] = "at_least"
    point: str = ""
    unlike: str = ""

    def __post_init__(self) -> None:
        faults = []
        if self.quantity not in CLAIMED:
            nearest = nearest_name(self.quantity, CLAIMED)
            allowed = f"no such quantity; there are {', '.join(CLAIMED)}"
            faults.append(Fault(("quantity",), allowed, repr(self.quantity), nearest))
        if self.ratio is not None and (not self.against or self.value is not None):
            allowed = "with another algorithm in against, and no value beside it"
            faults.append(Fault(("ratio",), allowed, f"{self.ratio:g}"))
        if self.value is not None and self.against:
            faults.append(Fault(("value",), "a ratio, as there is another algorithm in against", f"{self.value:g}"))
        if self.goal is None:
            faults.append(Fault(("threshold",), "ratio, value or threshold is needed", "none of them"))
        if faults:
            raise ConfigError(faults)

    @property
    def goal(self) -> float | None:
        """The number that decides: the threshold, else the source's."""
        return next((x for x in (self.threshold, self.ratio, self.value) if x is not None), None)


def _charge_as(text: str | float | None) -> float | None:
    """Return a charge in ampere seconds; None where the value is no charge with a unit."""
    try:
        return to_number(text, "A*s") if isinstance(text, str) and text.strip()[-1:].isalpha() else None
    except ValueError:
        return None


def rises(metric: str) -> bool:
    """Return whether a metric is better the larger it is; all others are better the smaller they are."""
    return metric.endswith("accuracy")


def meets(metric: str, value: Any, goal: float) -> Any:
    """Return whether a value, or each of an array, has reached a target."""
    return value >= goal if rises(metric) else value <= goal
