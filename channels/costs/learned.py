"""What messages have cost so far on a link that nobody described."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt

from channels.costs._families import Fit, Floats, beats, fit
from channels.costs._model import StructuredCost
from netsim.fields import NonNegativeFloat, Range
from netsim.interfaces import CostModel, CostStructure, Link
from netsim.registry import component

# Sizes of the first messages, and of one in `EVERY` later on, relative to the chosen one.
FIRST = (1.0, 0.5, 1.5)
LATER = (1.5, 0.67, 1.33, 0.75)
LATER_PACKETS = (0.5, 0.75)  # more would often be a packet more
EARLY = 6  # the first of the later ones
EVERY = 16
# What a packet holds is worth asking sooner, for a while, until it is known to 6 %.
SOON = 4
YOUNG = 40
NARROW = 1.06
AGES = 8
REACH = 4.0  # beyond so many times what was seen nothing is believed
SURPRISE = 2.0
# Where the model is known to be nearer, less is a surprise, too.
SETTLED, LEAST, SPREADS = 12, 1.25, 6.0
CHANGED = 4
WILD = 4.0
GOOD = 5e-3
OFF = 0.25  # a relative surprise that is worth a fit at once
ROUNDS = 2


@component("cost")
@dataclass(frozen=True)
class Learned:
    """C(T) fitted to the node's own completed transfers: affine, or packets where it sees steps; all bits of a message.

    `window` transfers are fitted by least squares, without those four times off a median line and with Huber's
    weights, so that single slow messages count little. Of too many the oldest of the commonest size goes, so that
    rare sizes stay known, and nothing stays for longer than 8 `window` transfers. Where packets explain clearly
    more than a line (`channels.costs._families`), the model has packets. Before two sizes are known, a message
    costs in proportion to its bits and `prior_bit` more. When four transfers in a row are more than twice as dear,
    or as cheap, as the model says, the link has changed: everything older is forgotten, and after those four the
    model is that of the new link. Of twelve transfers on less than twice is enough: 25 % or, where that is more, six
    times the median deviation (as a standard deviation) from the model.

    To know a slope, sizes must differ: the model asks the agent for other sizes than the best one (`explore`), for
    three messages after the start or a change 1, 0.5 and 1.5 times the first, then, of message 6 and one in sixteen,
    1.5, 0.67, 1.33 or 0.75 times the best, with packets 0.5 or 0.75 times or as large as tells how much one holds
    (one message in four of the first forty, until that is known to 6 %); never more than four times what was seen.
    Of the payloads that the messages leave possible the smallest is taken: a packet more is dearer than some room.

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

    kind: ClassVar[str]
    name: ClassVar[str]
    examples: ClassVar[tuple[Mapping[str, Any], ...]] = ({}, {"quantity": "j", "window": 32, "prior_bit": 0})

    quantity: Literal["bit", "packet", "s", "j"] = "s"
    window: Annotated[int, Range(ge=8, le=4096)] = 64
    prior_bit: NonNegativeFloat = 512.0

    def open(self, link: Link | None) -> CostModel:
        """A model that knows nothing yet; the link is not asked."""
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
        self._seen: list[tuple[float, float, int]] = []  # size, cost, number of the transfer
        self._odd: list[tuple[float, float]] = []
        # Transfers observed, messages asked for, and those of other sizes after the first, since the start or a change.
        self._since = self._asked = self._turn = 0
        self._first_bit = 0.0
        self._between: tuple[float, float] | None = None
        self._surprise = SURPRISE

    def __call__(self, size: npt.ArrayLike) -> Floats:
        """The cost at these sizes, elementwise."""
        return StructuredCost(self.structure, "message", self.quantity)(size)

    def observe(self, message_bit: float, value: float) -> None:
        """Learn from one transfer; what costs nothing or no finite number teaches nothing."""
        if not (0.0 < value < math.inf and message_bit > 0.0):
            return
        self._watch(message_bit, value)
        is_off = abs(value - float(self(message_bit))) > OFF * value
        self._since += 1
        self._seen.append((message_bit, value, self._since))
        self._forget()
        if is_off or self._since <= 8 or self._since % (4 if self._since <= 32 else 8) == 0:
            self._learn()

    def explore(self, message_bit: float) -> float:
        """The size to send in place of this one, the best as far as is known, so that sizes differ."""
        k = self._asked
        self._asked += 1
        most = REACH * max((seen[0] for seen in self._seen), default=math.inf)
        if k < len(FIRST):
            # All from one size: what is best in between is only guessed.
            self._first_bit = self._first_bit or message_bit
            return min(FIRST[k] * self._first_bit, most)
        if not (k == EARLY or k % EVERY == 0 or (self._is_vague() and k < YOUNG and k % SOON == 0)):
            return min(message_bit, most)
        turn = self._turn
        self._turn += 1
        packet_bit = self.structure.payload_max_bit
        if packet_bit is None:
            return min(LATER[turn % len(LATER)] * message_bit, most)
        if self._between is not None and turn % 4:
            packets = max(round(message_bit / packet_bit), 1)
            return packets * sum(self._between) / 2
        return LATER_PACKETS[turn // 4 % len(LATER_PACKETS)] * message_bit

    def _is_vague(self) -> bool:
        """Whether it is not known yet how much a packet holds."""
        return self._between is not None and self._between[1] > NARROW * self._between[0]

    def _forget(self) -> None:
        if self._seen[0][2] < self._since - AGES * self._window:
            del self._seen[0]
        if len(self._seen) > self._window:
            counts = Counter(seen[0] for seen in self._seen)
            most = max(counts.values())
            del self._seen[next(i for i, seen in enumerate(self._seen) if counts[seen[0]] == most)]

    def _watch(self, message_bit: float, value: float) -> None:
        """Notice that the link has changed."""
        ratio = value / float(self(message_bit)) if self._since >= 2 else 1.0
        is_up = ratio > self._surprise
        if not (is_up or ratio < 1.0 / self._surprise):
            self._odd.clear()
            return
        if self._odd and (self._odd[-1][1] > float(self(self._odd[-1][0]))) != is_up:
            self._odd.clear()
        self._odd.append((message_bit, value))
        if len(self._odd) >= CHANGED:
            # The last of them is remembered next; the old model's shape serves until sizes differ.
            times = float(np.median([v / float(self(x)) for x, v in self._odd]))
            self.structure = _scaled(self.structure, times)
            self._seen = [(x, v, i) for i, (x, v) in enumerate(self._odd[:-1], 1)]
            self._since, self._asked, self._turn, self._first_bit = len(self._seen), 1, 0, 0.0
            self._odd.clear()
            self._surprise = SURPRISE
            self.changes += 1

    def _learn(self) -> None:
        x, y = (np.array(column) for column in list(zip(*self._seen, strict=True))[:2])
        sizes = np.unique(x)
        if sizes.size < 2 or sizes[-1] < 1.1 * sizes[0]:
            known = self(x)
            self.structure = _scaled(self.structure, float(np.median(y / known)))
            return
        best = _robust(x, y)
        self.structure = _structure(best, x, y)
        if self._since >= SETTLED:
            spread = 1.4826 * float(np.median(np.abs(y / self(x) - 1.0)))
            self._surprise = min(max(LEAST, 1.0 + SPREADS * spread), SURPRISE)
        self._between = None
        if self.structure.payload_max_bit is not None:
            # From the largest that is known to fit up to the least that is known not to.
            low, high = best.intervals["payload_max"]
            self.structure = replace(self.structure, payload_max_bit=low)
            self._between = (low, high) if high - low >= 16.0 else None


def _scaled(structure: CostStructure, times: float) -> CostStructure:
    s = structure
    return CostStructure(s.c0 * times, s.c_packet * times, s.c_bit * times, s.payload_max_bit, s.header_bit, s.packing)


def _robust(x: Floats, y: Floats) -> Fit:
    """A line, or packets where a line is not good enough; wild points left out, Huber's weights for the others."""
    slope, start = _median_line(x, y)
    guess = np.maximum(start + slope * x, 1e-3 * float(np.median(y)))
    weights = ((y < WILD * guess) & (y > guess / WILD)).astype(np.float64)
    best = Fit("affine", {"c0": start, "c_bit": slope}, {}, 0.0, 0.0)
    for _ in range(ROUNDS):
        some = weights > 0.0
        line = fit(x[some], y[some], "affine", weights[some])
        if line is None:
            return best
        best, level = line, float(y[some].mean())
        if line.rms > GOOD * level:
            packets = fit(x[some], y[some], "packets", weights[some], unit=8.0)
            best = packets if packets is not None and beats(packets, line) else line
        off = np.abs(y - best(x))
        scale = max(1.4826 * float(np.median(off[some])), GOOD * level)
        weights = np.where(some, np.minimum(1.0, 1.5 * scale / np.maximum(off, 1e-300)), 0.0)
    return best


def _median_line(x: Floats, y: Floats) -> tuple[float, float]:
    """Theil and Sen's: the median of all pairs' slopes, and the median start."""
    i, j = np.triu_indices(x.size, 1)
    differ = x[i] != x[j]
    slope = float(np.median((y[i] - y[j])[differ] / (x[i] - x[j])[differ]))
    return slope, float(np.median(y - slope * x))


def _structure(best: Fit, x: Floats, y: Floats) -> CostStructure:
    """Constants that never fall with the size and are positive."""
    v = best.values
    if best.family == "packets" and v["c_bit"] >= 0.0 and v["c_packet"] > 0.0 and v["c0"] + v["c_packet"] > 0.0:
        return CostStructure(v["c0"], v["c_packet"], v["c_bit"], v["payload_max"], packing="stream")
    if v["c_bit"] < 0.0:
        return CostStructure(c0=float(np.median(y)))
    if v["c0"] < 0.0:
        return CostStructure(c_bit=float(np.median(y / x)))
    return CostStructure(c0=v["c0"], c_bit=v["c_bit"])
