"""Batteries: how much each node has spent, and the nanosecond at which it has spent all."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from netsim.interfaces import Medium, NodeId, PowerBound, Usage
from netsim.units import NS_PER_S

_FOREVER_NS = 1 << 62


class Batteries:
    """The batteries of some nodes, drained by their interfaces and processors.

    A battery is empty at the first nanosecond at which the integral of the node's power is at least its capacity; from
    then on the node spends nothing. Between two events of the engine the media know what they will have used, so that
    instant is found by bisection; a battery that cannot be empty yet at its node's highest power is not looked at.
    `processor_j` is what a node's processor has spent up to an instant, `processor_w` its highest power.

    Attributes
    ----------
    died_ns : when batteries were empty, by node.
    """

    def __init__(
        self,
        capacity_j: Mapping[NodeId, float],
        media: Sequence[Medium],
        processor_j: Callable[[NodeId, int], float],
        processor_w: Callable[[NodeId], float],
    ) -> None:
        self.capacity_j = dict(capacity_j)
        self.died_ns: dict[NodeId, int] = {}
        self._media, self._processor_j = media, processor_j
        self._rows = [_rows_by_node(medium.usage(0)) for medium in media]
        self._max_w = {
            node: processor_w(node)
            + math.fsum(m.max_power_w(node) if isinstance(m, PowerBound) else math.inf for m in media)
            for node in self.capacity_j
        }
        # No battery can be empty before this instant.
        self._safe_ns = dict.fromkeys(self.capacity_j, 0)
        self._last_j: dict[NodeId, list[npt.NDArray[np.float64]]] = {}

    def first_death(self, now_ns: int, until_ns: int) -> tuple[int, list[NodeId]] | None:
        """Return the first instant after `now_ns` and by `until_ns` at which batteries are empty, and whose.

        Nothing may be submitted before `until_ns`; all batteries but those of `died_ns` last beyond `now_ns`.
        """
        due = [n for n in self.capacity_j if n not in self.died_ns and self._safe_ns[n] <= until_ns]
        if not due or until_ns <= now_ns:
            return None
        spent_j = self._spent_j(due, until_ns)
        if not any(spent_j[n] >= self.capacity_j[n] for n in due):
            for node in due:
                left_j, max_w = self.capacity_j[node] - spent_j[node], self._max_w[node]
                left_ns = left_j / max_w * NS_PER_S if max_w else math.inf
                self._safe_ns[node] = until_ns + max(int(left_ns) - 1, 0) if left_ns < _FOREVER_NS else _FOREVER_NS
            return None
        low_ns, high_ns = now_ns, until_ns
        while high_ns - low_ns > 1:
            middle_ns = (low_ns + high_ns) // 2
            spent_j = self._spent_j(due, middle_ns)
            if any(spent_j[n] >= self.capacity_j[n] for n in due):
                high_ns = middle_ns
            else:
                low_ns = middle_ns
        spent_j = self._spent_j(due, high_ns)
        return high_ns, [n for n in due if spent_j[n] >= self.capacity_j[n]]

    def mark_dead(self, node: NodeId, now_ns: int) -> None:
        """Record a node's death: from `now_ns` on it spends nothing."""
        self.died_ns[node] = now_ns
        usages = [medium.usage(now_ns) for medium in self._media]
        self._last_j[node] = [usage.energy_j[rows[node]] for usage, rows in zip(usages, self._rows, strict=True)]

    def without_dead(self, usages: Sequence[Usage]) -> list[Usage]:
        """Return the usages, those of dead nodes as they were at their death."""
        out = []
        for i, (usage, rows) in enumerate(zip(usages, self._rows, strict=True)):
            energy_j = usage.energy_j.copy()
            for node, last_j in self._last_j.items():
                energy_j[rows[node]] = last_j[i]
            out.append(dataclasses.replace(usage, energy_j=energy_j))
        return out

    def lifetimes_s(self, usages: Sequence[Usage], now_ns: int) -> dict[NodeId, float]:
        """Return each node's capacity over its mean power while it lived; nodes that spent nothing are left out.

        The usages are those of `without_dead`, at `now_ns`.
        """
        spent_j = self._sum(self.capacity_j, usages, now_ns)
        return {
            node: capacity_j * self.died_ns.get(node, now_ns) / NS_PER_S / spent_j[node]
            for node, capacity_j in self.capacity_j.items()
            if spent_j[node]
        }

    def _spent_j(self, nodes: Sequence[NodeId], at_ns: int) -> dict[NodeId, float]:
        return self._sum(nodes, [medium.usage(at_ns) for medium in self._media], at_ns)

    def _sum(self, nodes: Iterable[NodeId], usages: Sequence[Usage], at_ns: int) -> dict[NodeId, float]:
        pairs = list(zip(usages, self._rows, strict=True))
        return {
            node: math.fsum(float(usage.energy_j[rows[node]].sum()) for usage, rows in pairs)
            + self._processor_j(node, at_ns)
            for node in nodes
        }


def _rows_by_node(usage: Usage) -> dict[NodeId, list[int]]:
    rows: dict[NodeId, list[int]] = {}
    for i, (node, _) in enumerate(usage.interfaces):
        rows.setdefault(node, []).append(i)
    return rows
