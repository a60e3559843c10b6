"""What a run between peers says of its graph: edges with their traffic, peers with their places and models."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from netsim.arrow import table
from netsim.interfaces import Array, NodeId
from netsim.simulation.recorder import Recorder

if TYPE_CHECKING:
    from netsim.simulation.world import World


def tables(world: World, recorder: Recorder) -> dict[str, pa.Table]:
    """Make the tables ``edges`` and ``peers`` of a run that has ended.

    ``edges`` has a row for each direction of each edge: src, dst, the mixing weight (NaN where the graph changes),
    messages and payload bytes that were delivered. ``peers`` has for each node its place (NaN without one) and the
    distance of its model from the mean of all in the last recorded row.
    """
    weights = None if world.scenario.network.topology.changes else world.peers.mixing(0).weights
    ways = sorted({(a, b) for a, b in _ways(world)} | recorder.tally.traffic.keys())
    sent = [recorder.tally.traffic.get(way, (0, 0)) for way in ways]
    edges = {
        "src": np.array([a for a, _ in ways], np.int64),
        "dst": np.array([b for _, b in ways], np.int64),
        "weight": np.array([np.nan if weights is None else weights[b].get(a, 0.0) for a, b in ways]),
        "messages": np.array([messages for messages, _ in sent], np.int64),
        "payload_bytes": np.array([size for _, size in sent], np.int64),
    }
    nodes = world.workers
    places = world.scenario.network.topology.positions(len(nodes), world.stream(-1, "topology"))
    xy = np.array(places, np.float64) if places else np.full((len(nodes), 2), np.nan)
    peers = {"node": np.array(nodes, np.int64), "x_m": xy[:, 0], "y_m": xy[:, 1]}
    peers["distance"] = _distances(recorder.last_models, len(nodes))
    return {"edges": table(edges), "peers": table(peers)}


def facts(world: World) -> dict[str, float]:
    """Return edges, spectral gap and ||I - W|| of a run's graph, for the manifest."""
    spectrum = world.peers.spectrum
    edges = world.peers.graph.number_of_edges()
    return {"edges": edges, "spectral_gap": spectrum.gap, "mixing_norm": spectrum.norm}


def _ways(world: World) -> list[tuple[NodeId, NodeId]]:
    joined = world.peers.graph
    there = list(joined.edges)
    return there if joined.is_directed() else [*there, *((b, a) for a, b in there)]


def _distances(models: Mapping[NodeId, Array], nodes: int) -> Array:
    found = np.full(nodes, np.nan)
    if models:
        mean = np.mean(list(models.values()), axis=0)
        for node, x in models.items():
            found[node] = np.linalg.norm(x - mean)
    return found
