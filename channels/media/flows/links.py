"""Regions and pairs of nodes: which links a flow crosses, at which rates and round trips."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, lru_cache
from pathlib import Path as File
from typing import Annotated

import numpy as np

from channels.media.background import Arrivals, Background
from channels.media.flows.path import Path, Transport
from channels.media.flows.rates import LinkRate, Outages, RateChoice, Stragglers, UpDown
from channels.media.flows.sharing import Resource
from channels.media.flows.tables import LONGEST_RTT_S, Table, located, read_table
from channels.media.purposes import NODE
from netsim.errors import ConfigError, Fault, SimulationError, nearest_name
from netsim.fields import Range
from netsim.interfaces import Node, NodeId
from netsim.rng import uniforms
from netsim.units import NS_PER_S, seconds_to_ns

Rtt = Annotated[float, Range(ge=0, le=LONGEST_RTT_S)]
_WEIGHTS = 2.0**60


@dataclass(frozen=True)
class Regions:
    """Nodes stand in regions between which somebody measured.

    Parameters
    ----------
    path
        A CSV file, from the working folder or else from the folder NETSIM_DATA: ``from, to, rtt_s[, rate_bps]``; or
        iperf and ping between clouds (``from_cloud, from_region, to_cloud, to_region, bitrate_Bps, avgrtt``, where
        bitrate_Bps is the bytes of 10 s); or a square of round trips in ms with ``Source`` in its corner.
    regions
        Of the nodes, in their order; empty: drawn once per medium, no region twice while there are enough.
    server
        Region of the server; None: drawn as well.
    """

    path: str
    regions: tuple[str, ...] = ()
    server: str | None = None
    _table: Table = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        table = read_table(self.path)
        known, faults = table.regions, list[Fault]()
        for i, region in enumerate(self.regions):
            if region not in known:
                faults.append(_no_region(("regions", i), region, known))
        if self.server is not None and self.server not in known:
            faults.append(_no_region(("server",), self.server, known))
        if faults:
            raise ConfigError(faults)
        object.__setattr__(self, "_table", table)

    def files(self) -> list[File]:
        """Return the file of `path`."""
        return [located(self.path)]

    def place(self, nodes: Sequence[NodeId], server: NodeId | None, rng: np.random.Generator) -> dict[NodeId, str]:
        """Return every node's region."""
        known = self._table.regions
        places: dict[NodeId, str] = {}
        if server is not None:
            places[server] = self.server or known[int(rng.integers(len(known)))]
        if self.regions:
            return places | dict(zip(nodes, self.regions, strict=True))
        reach = [r for r in known if server is None or self._joined(r, places[server])]
        if not reach:
            allowed = "a region of the server to which and from which something was measured"
            raise ConfigError([Fault(("table", "server"), allowed, repr(places.get(server or 0)))])
        order = rng.permutation(len(reach)).tolist()
        return places | {node: reach[order[i % len(order)]] for i, node in enumerate(nodes)}

    def _joined(self, a: str, b: str) -> bool:
        return (a, b) in self._table.rtt_s and (b, a) in self._table.rtt_s

    def pair(self, src: str, dst: str) -> tuple[float, float | None]:
        """Return round trip and rate from one region to another, or of the way back where it alone was measured."""
        for pair in ((src, dst), (dst, src)):
            if pair in self._table.rtt_s:
                return self._table.rtt_s[pair], self._table.rate_bps.get(pair)
        raise SimulationError(f"nothing was measured between {src} and {dst} in {self.path}")

    @property
    def has_rates(self) -> bool:
        """Whether the file has rates."""
        return bool(self._table.rate_bps)


class Links:
    """The links of one medium: rates and regions that were drawn, and which links a flow crosses.

    Parameters
    ----------
    nodes, key
        Of the medium.
    rng
        For the regions of nodes.
    transport
        Its `rate_factor` and `weight_bytes`.
    rate_bps, down_bps, server_bps, rtt_s, table, background, stragglers, outages
        See `channels.links.wan`.
    steps
        (from when in seconds, bit/s) of each node by its number as text, or of all under '', in place of `rate_bps`.
    is_fifo
        Whether ports serve first come, first served.
    """

    def __init__(
        self, nodes: Sequence[Node], key: int, rng: np.random.Generator, transport: Transport, *,
        rate_bps: float | tuple[float, ...] | RateChoice | None = None,
        down_bps: float | tuple[float, ...] | None = None, server_bps: float | None = None,
        rtt_s: float | tuple[float, ...] | None = None, table: Regions | None = None,
        steps: Mapping[str, Sequence[tuple[float, float]]] | None = None, background: float | Background = 0.0,
        stragglers: Stragglers | None = None, outages: Outages | None = None, is_fifo: bool = False,
    ) -> None:  # fmt: skip
        self._transport, self._rate_bps, self._down_bps, self._server_bps = transport, rate_bps, down_bps, server_bps
        self._rtt_s, self._table, self._given_steps, self._is_fifo = rtt_s, table, steps or {}, is_fifo
        self._availability = outages.availability if outages else 1.0
        self._server = next((node.id for node in nodes if node.is_server), None)
        self._order = {node.id: i for i, node in enumerate(node for node in nodes if not node.is_server)}
        ids = list(self._order)
        self._others = background if isinstance(background, Background) else None
        self._scale = transport.rate_factor * (1.0 if isinstance(background, Background) else 1.0 - background)
        self._busy = list[Resource]()
        if self._others:
            ways = ("in",) if is_fifo else ("out", "in")
            at = ids if self._others.at == "nodes" else [node.id for node in nodes if node.is_server]
            self._busy = [(way, node) for node in at for way in ways]
        self._places = table.place(ids, self._server, rng) if table is not None else {}
        rate, slow = uniforms(key, NODE, np.arange(2 * len(ids), dtype=np.uint64)).reshape(-1, 2).T
        self._drawn = [rate_bps.draw(u) for u in rate.tolist()] if isinstance(rate_bps, RateChoice) else []
        self._slow = [stragglers.factor if stragglers and u < stragglers.probability else 1.0 for u in slow.tolist()]
        self._up_down = {n: UpDown(outages, key, self._order[n]) for n in ids} if outages else {}
        self.rate, self.path = cache(self._rate), cache(self._path)

    def others(self, key: int) -> dict[Resource, Arrivals]:
        """Return the messages of others, by where they come."""
        if self._others is None:
            return {}
        return {resource: Arrivals(self._others, key, port) for port, resource in enumerate(self._busy)}

    def _rate(self, resource: Resource) -> LinkRate:
        """Return the rate of a link up (``out``), a link down (``in``) or an ordered pair."""
        what, node, *other = resource
        if what == "pair":
            measured = self._measured(node, other[0])[1]
            slowest = max((self._slow[self._order[n]] for n in (node, other[0]) if n in self._order), default=1.0)
            ends = [self._up_down[n] for n in (node, other[0]) if n in self._up_down]
            return LinkRate([(0.0, measured or 0.0)], self._scale / slowest, ends[0] if ends else None)
        if node == self._server:
            return LinkRate([(0.0, self._server_bps or 0.0)], self._scale)
        steps, scale = self._steps(what, node), self._scale / self._slow[self._order[node]]
        if node not in self._up_down:
            return _steady(tuple(steps), scale)
        return LinkRate(steps, scale, self._up_down[node])

    def _measured(self, src: NodeId, dst: NodeId) -> tuple[float, float | None]:
        if self._table is None:
            raise SimulationError(f"nothing was measured between {src} and {dst}: there is no table")
        return self._table.pair(self._places[src], self._places[dst])

    def _steps(self, what: str, node: NodeId) -> Sequence[tuple[float, float]]:
        place, name = self._order[node], str(node)
        given = self._down_bps if what == "in" and self._down_bps is not None else self._rate_bps
        if given is None:
            return self._given_steps[name if name in self._given_steps else ""]
        if isinstance(given, RateChoice):
            return [(0.0, self._drawn[place])]
        return [(0.0, given[place] if isinstance(given, tuple) else given)]

    def _path(self, src: NodeId, dst: NodeId) -> Path:
        """Return the path from one node to another."""
        has_links = self._rate_bps is not None or bool(self._given_steps)
        resources = list[Resource]()
        for what, node in (("out", src), ("in", dst)):
            if (node == self._server and self._server_bps is not None) or (node != self._server and has_links):
                resources.append((what, node))
        if self._table is not None and self._table.has_rates:
            resources.append(("pair", src, dst))
        links = [self.rate(resource) for resource in resources]
        rates_bps, wait_s = [link.mean_bps for link in links], 0.0
        for i, resource in enumerate(resources):
            if self._others and resource in self._busy:
                load_bps, port_bps = self._others.load_bps, rates_bps[i]
                rates_bps[i] = port_bps - load_bps
                if self._is_fifo:
                    # Only others' bits that arrive during the message stand between its bits.
                    wait_s, sender_bps = self._others.mean_wait_s(port_bps), min(rates_bps[:i])
                    rates_bps[i] = port_bps * sender_bps / (sender_bps + load_bps)
        rate_bps = min(rates_bps) * self._availability ** sum(node in self._order for node in (src, dst))
        peak, one_way_ns = min(link.peak for link in links), self._one_way_ns(src, dst)
        weight, weight_bytes = 1, self._transport.weight_bytes
        if weight_bytes is not None and one_way_ns:
            links_s = sum(8 * weight_bytes / (link.mean_bps / self._scale) for link in links)
            weight = round(_WEIGHTS / (one_way_ns / NS_PER_S + links_s))
        return Path(tuple(resources), rate_bps, peak, one_way_ns, weight, wait_s)

    def _one_way_ns(self, src: NodeId, dst: NodeId) -> int:
        if self._table is not None:
            return seconds_to_ns(self._measured(src, dst)[0] / 2)
        if isinstance(self._rtt_s, tuple):
            to_server = [self._rtt_s[self._order[node]] if node in self._order else 0.0 for node in (src, dst)]
            return seconds_to_ns(sum(to_server) / 2)
        return seconds_to_ns((self._rtt_s or 0.0) / 2)


@lru_cache(maxsize=1024)
def _steady(steps: tuple[tuple[float, float], ...], scale: float) -> LinkRate:
    """Return the rate of links that never stand still; equal ones, of many draws as well, are one."""
    return LinkRate(steps, scale)


def _no_region(path: tuple[str | int, ...], name: str, known: Sequence[str]) -> Fault:
    few = ", ".join(known[:6]) + (f" and {len(known) - 6} more" if len(known) > 6 else "")
    return Fault(path, f"no region of the table; there are {few}", repr(name), nearest_name(name, known))
