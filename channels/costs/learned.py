"""What messages have cost so far on a link that nobody described."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt

from channels.costing.models import Float64s, StructuredCost
from netsim.fields import NonNegativeFloat, Range
from netsim.interfaces import CostModel, CostStructure, Link
from netsim.registry import component

# Sizes of the first messages, relative to the first, and of one in `EVERY` later on, relative to the best.
FIRST = (1.0, 0.6)
LATER = (1.5, 0.67, 1.33, 0.75)
LATER_PACKETS = (0.75, 0.85)  # a larger size would often need another packet
EARLY = 4  # the first of the later ones
EVERY = 16
# Messages 4, 8, 16, ... test how much a packet holds until it is known to 12 %: each test can cost a packet.
NARROW = 1.12
AGES = 8
REACH = 1.5  # the model is not trusted beyond this multiple of the sizes observed
SURPRISE = 2.0
# A model that has been more accurate is surprised by less.
SETTLED, LEAST, SPREADS = 12, 1.25, 6.0
CHANGED = 4
WILD = 4.0
GOOD = 5e-3
OFF = 0.25  # a relative surprise that is worth a fit at once
ROUNDS = 2
PRIOR = 1e-4  # weight of the prior, which decides only where messages say nothing


@component("cost")
@dataclass(frozen=True)
class Learned:
    """C(T) fitted to the node's own completed transfers: of message, packets and bits; all bits of a message.

    A node knows of its transfers the size, how many packets it sent them in, and what they cost. `window` of them are
    fitted by least squares with constants that are not negative (nor is what the first packet adds), without those four
    times off a median line and with Huber's weights, so that single slow messages count little. Of too many the
    oldest of the commonest size goes, so that rare sizes stay known, and nothing stays for longer than 8 `window`
    transfers. How much a packet holds is between the most that took no packet more and the least that did; the model
    takes what is known to fit. Before two sizes are known, a message costs in proportion to its bits and `prior_bit`
    more. When four transfers in a row are more than twice as dear, or as cheap, as the model says, the link has
    changed: everything older is forgotten and the first of the four, too, which may have begun before. Of twelve
    transfers on less than twice is enough: 25 % or, where that is more, six times the median deviation (as a standard
    deviation) from the model.

    To know a slope, sizes must differ: the model asks the agent for other sizes than the best one (`explore`), 0.6
    times the first in message 1 after the start or a change (counted from 0), then, in message 4 and one in sixteen,
    1.5, 0.67, 1.33 or 0.75 times the best, with packets 0.75 or 0.85 times. Where the best fills its packets, messages
    4, 8, 16, 32 and so on tell how much one holds, until that is known to 12 %: nodes that wait for each other ask in
    the same round. Never is more asked for than 1.5 times what was seen, as behind that may be a packet more.

    Parameters
    ----------
    quantity
        ``s`` from submit to last byte without own queueing, ``j`` of the sender beyond idling, ``bit`` on the wire or
        ``packet``.
    window
        Transfers that count, 8 to 4096.
    prior_bit
        Of a message's cost before two sizes are known.

    Examples
    --------
    >>> model = Learned("s").open(None)
    >>> for message_bit in (800, 1600, 3200, 800): model.observe(message_bit, 0.001 + 1e-6 * message_bit)
    >>> model([8000]).round(6)
    array([0.009])
    """

    examples: ClassVar[tuple[Mapping[str, Any], ...]] = ({}, {"quantity": "j", "window": 32, "prior_bit": 0})

    quantity: Literal["bit", "packet", "s", "j"] = "s"
    window: Annotated[int, Range(ge=8, le=4096)] = 64
    prior_bit: NonNegativeFloat = 512.0

    def open(self, link: Link | None) -> CostModel:
        """Return a model without observations; `link` is not used."""
        return LearnedCost(self)


class LearnedCost:
    """The live model of one link; see `Learned`.

    Attributes
    ----------
    structure : the constants as of now.
    changes : how often the link was found to have changed.
    """

    basis: Literal["message"] = "message"

    def __init__(self, config: Learned) -> None:
        self.quantity = config.quantity
        self.structure = CostStructure(c0=config.prior_bit, c_bit=1.0)
        self.changes = 0
        self._prior_bit = config.prior_bit
        self._window = config.window
        self._seen: list[tuple[float, float, int, int]] = []  # size, cost, packets, number of the transfer
        self._odd: list[tuple[float, float, int]] = []
        # Transfers observed, messages asked for, and those of other sizes after the first, since the start or a change.
        self._since = self._asked = self._turn = 0
        self._first_bit = 0.0
        self._most_bit = 0.0  # the largest payload that a packet may hold
        self._surprise = SURPRISE

    def __call__(self, size: npt.ArrayLike) -> Float64s:
        """Return the cost at these sizes, elementwise."""
        return StructuredCost(self.structure, "message", self.quantity)(size)

    def observe(self, message_bit: float, value: float) -> None:
        """Learn from one transfer in one packet."""
        self.observe_packets(message_bit, value, 1)

    def observe_packets(self, message_bit: float, value: float, packets: int) -> None:
        """Learn from one transfer; what costs nothing or no finite number teaches nothing."""
        if not (0.0 < value < math.inf and message_bit > 0.0):
            return
        self._watch(message_bit, value, packets)
        is_off = abs(value - self._expected(message_bit, packets)) > OFF * value
        self._since += 1
        self._seen.append((message_bit, value, packets, self._since))
        self._forget()
        if is_off or self._since <= 8 or self._since % (4 if self._since <= 32 else 8) == 0:
            self._learn()

    def explore(self, message_bit: float) -> float:
        """Return the size to send instead of `message_bit`, so that sizes differ; the best one by what is known."""
        k = self._asked
        self._asked += 1
        most = REACH * max((seen[0] for seen in self._seen), default=math.inf)
        if k < len(FIRST):
            # All messages had one size: the best size between is only a guess.
            self._first_bit = self._first_bit or message_bit
            return min(FIRST[k] * self._first_bit, most)
        packet_bit = self.structure.payload_max_bit
        if packet_bit is not None and k >= 4 and k.bit_count() == 1 and self._most_bit > NARROW * packet_bit:
            packets = max(round(message_bit / packet_bit), 1)
            if message_bit > 0.9 * packets * packet_bit:
                return packets * (packet_bit + self._most_bit) / 2
        if k != EARLY and k % EVERY:
            return min(message_bit, most)
        factors = LATER if packet_bit is None else LATER_PACKETS
        self._turn += 1
        return min(factors[(self._turn - 1) % len(factors)] * message_bit, most)

    def _expected(self, message_bit: float, packets: int) -> float:
        s = self.structure
        return s.c0 + s.c_packet * packets + s.c_bit * message_bit

    def _forget(self) -> None:
        if self._seen[0][3] < self._since - AGES * self._window:
            del self._seen[0]
        if len(self._seen) > self._window:
            counts = Counter(seen[0] for seen in self._seen)
            most = max(counts.values())
            del self._seen[next(i for i, seen in enumerate(self._seen) if counts[seen[0]] == most)]

    def _watch(self, message_bit: float, value: float, packets: int) -> None:
        """Notice that the link has changed."""
        ratio = value / self._expected(message_bit, packets) if self._since >= 2 else 1.0
        is_up = ratio > self._surprise
        if not (is_up or ratio < 1.0 / self._surprise):
            self._odd.clear()
            return
        if self._odd and (self._odd[-1][1] > self._expected(*self._odd[-1][::2])) != is_up:
            self._odd.clear()
        self._odd.append((message_bit, value, packets))
        if len(self._odd) >= CHANGED:
            # The last of them is remembered next, the first may have begun on the old link. The old model's shape
            # serves until sizes differ.
            times = float(np.median([v / self._expected(x, n) for x, v, n in self._odd]))
            self.structure = _scaled(self.structure, times)
            self._seen = [(*odd, i) for i, odd in enumerate(self._odd[1:-1], 1)]
            self._since, self._asked, self._turn, self._first_bit = len(self._seen), 1, 0, 0.0
            self._odd.clear()
            self._surprise = SURPRISE
            self.changes += 1

    def _learn(self) -> None:
        x, y, n = (np.array(column, np.float64) for column in list(zip(*self._seen, strict=True))[:3])
        s = self.structure
        if x.max() < 1.1 * x.min():
            known = s.c0 + s.c_packet * n + s.c_bit * x
            self.structure = _scaled(s, float(np.median(y / known)))
            return
        first, c_packet, c_bit = _robust(x, y, n, self._prior_bit)
        if n.max() > 1 and c_packet > 0.0:
            low, self._most_bit = _payload(x, n)
            self.structure = CostStructure(first - c_packet, c_packet, c_bit, low, packing="stream")
        else:
            self.structure = CostStructure(first, c_bit=c_bit)
        if self._since >= SETTLED:
            known = first + c_packet * (n - 1.0) + c_bit * x
            spread = 1.4826 * float(np.median(np.abs(y / known - 1.0)))
            self._surprise = min(max(LEAST, 1.0 + SPREADS * spread), SURPRISE)


def _scaled(structure: CostStructure, times: float) -> CostStructure:
    s = structure
    return CostStructure(s.c0 * times, s.c_packet * times, s.c_bit * times, s.payload_max_bit, s.header_bit, s.packing)


def _payload(x: Float64s, n: Float64s) -> tuple[float, float]:
    """Return the largest payload that packets have carried and the largest they may carry, in whole bytes."""
    several = n > 1.0
    low, below = float((x / n).max()), float((x[several] / (n[several] - 1.0)).min())
    if low >= below:
        # Payloads of packets differ: take the sizes that needed the fewest packets.
        few = n == n.min()
        low = below = float((x[few] / n[few]).max())
    low_bit = 8.0 * math.ceil(low / 8.0 - 1e-9)
    return low_bit, max(low_bit, 8.0 * (math.ceil(below / 8.0 - 1e-9) - 1))


def _robust(x: Float64s, y: Float64s, n: Float64s, prior_bit: float) -> tuple[float, float, float]:
    """Return the costs of the first packet, of each further one and of a bit, by least squares with Huber's weights."""
    from scipy.optimize import nnls

    slope, start = _median_line(x, y)
    level = float(np.median(y))
    guess = np.maximum(start + slope * x, 1e-3 * level)
    weights = ((y < WILD * guess) & (y > guess / WILD)).astype(np.float64)
    if not weights.any():
        weights[:] = 1.0
    some = weights > 0.0
    columns = np.stack([np.ones(x.size), n - 1.0, x / x.mean()], axis=1)
    prior = np.array([prior_bit, prior_bit, x.mean()])
    prior *= PRIOR / float(np.median(columns @ prior))
    found = np.zeros(3)
    for _ in range(ROUNDS):
        root = np.sqrt(weights)
        found, _ = nnls(
            np.vstack([columns * root[:, None], PRIOR * np.eye(3)]), np.concatenate([y / level * root, prior])
        )
        off = np.abs(y / level - columns @ found)
        scale = max(1.4826 * float(np.median(off[some])), GOOD)
        weights = np.where(some, np.minimum(1.0, 1.5 * scale / np.maximum(off, 1e-300)), 0.0)
    first, c_packet, share = (level * found).tolist()
    # Where packets carry the whole cost, the first one costs no less than the others.
    return first if first or share else c_packet, c_packet, share / float(x.mean())


def _median_line(x: Float64s, y: Float64s) -> tuple[float, float]:
    """Return the line of Theil and Sen: the median of all pairs' slopes, and the median start."""
    i, j = np.triu_indices(x.size, 1)
    differ = x[i] != x[j]
    slope = float(np.median((y[i] - y[j])[differ] / (x[i] - x[j])[differ]))
    return slope, float(np.median(y - slope * x))
