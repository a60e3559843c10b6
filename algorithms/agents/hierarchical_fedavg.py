"""Federated averaging in two tiers: aggregators average their clients often, the server all of them now and then."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from algorithms.coding.wrappers import require_memoryless
from algorithms.roles.federated import Trained
from algorithms.roles.local import LocalWorker
from algorithms.roles.star import Server, Updates, Worker
from algorithms.roles.tolerant import Tolerant
from netsim.fields import PositiveInt
from netsim.interfaces import Agent, Array, Context
from netsim.registry import Examples, component


@component("algorithm")
@dataclass(frozen=True)
class HierarchicalFedavg(Trained, Tolerant):
    """kappa_1 local steps, then the aggregator's mean of its clients; after kappa_2 of these the server's mean of all.

    Means are weighted by samples: every upload carries the number of samples that stand behind it (32 bits). Rounds are
    those of the server. With `topology: {name: star, aggregators: ...}` messages between clients and aggregators travel
    on the uplink and downlink (or link), those between aggregators and the server on the `backbone`. Without
    aggregators, or with `edge_rounds` 1, it is `fedavg` with all clients.

    Parameters
    ----------
    edge_rounds
        kappa_2.
    compressor
        Of how far the clients, and how far the aggregators have come; one that keeps a memory is refused.
    step_size
        ``auto`` is 1 / max_m L_m over the clients of one aggregator; a number; or a step rule, which counts a client's
        own steps.
    quorum, deadline_s
        An aggregator goes on after so many uploads, or so many seconds after its broadcast; the server after so many
        aggregators', or `edge_rounds` + 1 times as long. A missing upload is silence, a late one is dropped.

    References
    ----------
    Liu, Zhang, Song, Letaief, "Client-edge-cloud hierarchical federated learning", ICC 2020, algorithm 1 (HierFAVG).
    Deviation: what travels up is how far the models have come, as in `fedavg`.
    """

    edge_rounds: PositiveInt

    examples: ClassVar[Examples] = (
        {"local_steps": 2, "edge_rounds": 2, "step_size": 0.1},
        {"epochs": 1, "edge_rounds": 3, "step_size": 0.1, "compressor": {"name": "qsgd", "levels": 4}},
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        require_memoryless(compressor=self.compressor)

    def upload_notes(self) -> int:
        """Return the number of samples with an upload."""
        return 1

    def server(self, ctx: Context) -> Agent:
        """Return the server of the upper tier."""
        longer_s = None if self.deadline_s is None else (self.edge_rounds + 1) * self.deadline_s
        return CountingServer(ctx, replace(self, step_size=1.0, deadline_s=longer_s))

    def aggregator(self, ctx: Context) -> Agent:
        """Return a node that is server to its clients and client of the server."""
        return Aggregator(ctx, self)

    def worker(self, ctx: Context) -> Agent:
        """Return a client."""
        return CountedClient(ctx, self)


class CountingServer(Server):
    """Averages, weighted by the numbers of samples that came along; `samples` is the last sum of any."""

    samples = 0.0

    async def step(self, round: int, updates: Updates) -> None:
        """Average; where nobody has samples the model stays."""
        counts = [float(notes[0]) for notes in (await updates.notes()).values()]
        if any(counts):
            self.samples = sum(counts)
            self.x = self.x - await updates.sum([count / self.samples for count in counts])


class Aggregator(CountingServer):
    """Takes the server's model through `edge_rounds` averages of its clients; `above` is what it is to the server."""

    def __init__(self, ctx: Context, algorithm: HierarchicalFedavg) -> None:
        super().__init__(ctx, algorithm.at_server())
        self.above, self.edge_rounds = Worker(ctx, algorithm), algorithm.edge_rounds

    async def run(self) -> None:
        """Run the rounds."""
        while True:
            round, start = await self.above.next_model()
            self.x, self.samples = start, 0.0
            for edge in range(round * self.edge_rounds, (round + 1) * self.edge_rounds):
                await self.broadcast(edge)
                await self.step(edge, await self.collect(edge))
                self.x = self.rounded(self.x)
            await self.above.send(round, self.above.codec, start - self.x, (self.samples,))


class CountedClient(LocalWorker):
    """Trains, and sends its number of samples along."""

    async def upload(self, round: int, g: Array) -> None:
        """Send how far the local steps led."""
        await self.send(round, self.codec, g, (float(self.ctx.facts.num_samples(self.ctx.node)),))
