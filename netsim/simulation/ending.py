"""How a run ended, and what it says of that."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import IO, Literal

import pyarrow as pa

from netsim.arrow import table
from netsim.interfaces import Array, GradientRequest, NodeId
from netsim.simulation.actors import Actor
from netsim.simulation.recorder import Divergence, Recorder
from netsim.simulation.world import World
from netsim.units import NS_PER_S


@dataclass(frozen=True, slots=True, eq=False)
class RunResult:
    """How one run ended and what it left.

    Parameters
    ----------
    status
        ``reached`` its target, ``done`` at a limit or because the agents returned, ``stalled``, ``diverged``, or
        ``failed`` with an error.
    sentence
        The same in words, with who waits for whom where it stalled.
    tables
        ``rounds``, ``energy``, between peers ``edges`` and ``peers``, and the algorithm's own; pyarrow, without the
        run's name.
    sim_time_s, rounds
        Where it ended.
    deaths_s
        When batteries were empty, by node.
    files
        With ``record.messages`` the table ``messages.arrow``; with ``record.pcap`` a capture file by its name, see
        `netsim.simulation.capture.files`.
    graph
        Between peers: ``edges``, ``spectral_gap`` and ``mixing_norm``.
    met_at_start
        The targets that were met before anything was sent.
    divergence
        Where a run that diverged did so.
    error
        What a failed run ended in; the tables hold the rows up to there.
    """

    status: Literal["reached", "done", "stalled", "diverged", "failed"]
    sentence: str
    tables: Mapping[str, pa.Table]
    sim_time_s: float
    rounds: int
    deaths_s: Mapping[NodeId, float] = field(default_factory=dict)
    files: Mapping[str, IO[bytes]] = field(default_factory=dict)
    graph: Mapping[str, float] = field(default_factory=dict)
    met_at_start: tuple[str, ...] = ()
    divergence: Divergence | None = None
    error: BaseException | None = None

    def messages(self) -> pa.Table:
        """Return the table of messages, all of it in memory.

        Raises
        ------
        KeyError
            If the scenario did not ask for it.
        """
        with pa.ipc.open_file(pa.PythonFile(self.files["messages.arrow"], mode="r")) as reader:
            return reader.read_all()


def divergence_in_words(found: Divergence, now_ns: int, server: NodeId) -> str:
    """Return where a run diverged."""
    who = "the server" if found.node == server else f"node {found.node}"
    at = f"at {now_ns / NS_PER_S:.6g} s in round {found.round}"
    return f"diverged {at}: {found.what} of {who} has the norm {found.norm:.3g}"


def waiting_in_words(actors: Iterable[Actor], off: Collection[NodeId], server: NodeId) -> str:
    """Return who waits for what where nothing is to come, and which nodes are off."""
    waiting = [actor.says(server) for actor in actors if actor.waiting is not None]
    more = f", and {len(waiting) - 4} more wait" if len(waiting) > 4 else ""
    who = "; ".join(waiting[-4:]) or "nobody is left"
    are_off = f"; {', '.join(map(str, sorted(off)))} {'is' if len(off) == 1 else 'are'} off" if off else ""
    return f"{who}{more}{are_off}"


def deaths_in_words(deaths_ns: Mapping[NodeId, int], server: NodeId) -> str:
    """Return the deaths and their times, as the end of a sentence."""
    said = [
        f"; {'the server' if node == server else f'node {node}'} had an empty battery at {at_ns / NS_PER_S:.6g} s"
        for node, at_ns in deaths_ns.items()
    ]
    return "".join(said[:4]) + (f"; and {len(said) - 4} more" if len(said) > 4 else "")


def own_tables(world: World, recorder: Recorder) -> dict[str, pa.Table]:
    """Return the tables that the algorithm makes of the first, a middle and the last model, where those are kept."""
    if recorder.last_estimate is None:
        return {}
    kept, last = recorder.snapshots, recorder.last_estimate
    middle = min(kept, key=lambda s: abs(s[0] - last[0] / 2))
    models = sorted(dict((kept[0], middle, last)).items())
    node = world.workers[0]

    def gradient(at: Array) -> Array:
        return world.learning.gradients([GradientRequest(node, at)])[0]

    made = world.entry.algorithm.tables(world.contexts[node], gradient, models)
    return {name: table(columns) for name, columns in made.items()}
