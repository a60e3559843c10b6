"""The three compressions that CAT tunes, as one codec with a budget per message."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Literal, NamedTuple, TypeAlias

import numpy as np

from algorithms.coding.bits import BitReader
from algorithms.coding.indices import read_count
from algorithms.coding.sizes import CodeSize
from algorithms.compressors.identity import Identity
from algorithms.compressors.sign_top_k import SignTopK
from algorithms.compressors.stochastic_sparsification import StochasticSparsification
from algorithms.compressors.top_k import TopK
from algorithms.roles.star import AveragingServer, FloatBit, StepSize, step_rule
from algorithms.tuners.tune import progress
from netsim.interfaces import Array, Context, Indices, Payload

Variant: TypeAlias = Literal["sparsify", "sign", "stochastic"]
Code: TypeAlias = TopK | SignTopK | StochasticSparsification

GAIN_BIT = 32


class Encoded(NamedTuple):
    """A payload, the T that it carries (for SS in expectation), and its progress: alpha, beta or omega.

    Progress that nobody has computed yet is a function that does, and keeps the vector for it.
    """

    payload: Payload
    budget: float
    gain: float | Callable[[], float]


@dataclass(frozen=True)
class BudgetCode:
    """Q_T for a T that changes from message to message.

    Parameters
    ----------
    variant
        ``sparsify`` (S), ``sign`` (S+Q, projection-scaled) or ``stochastic`` (SS).
    float_bit
        Bits of a value on the wire.
    with_gain
        SS only: omega(T) follows as one float, which the server's step needs.
    """

    variant: Variant
    float_bit: FloatBit = 32
    with_gain: bool = False

    def at(self, budget: float) -> Code:
        """The compressor of this budget."""
        if self.variant == "stochastic":
            return StochasticSparsification(budget=float(budget), float_bit=self.float_bit)
        return _keeping(self.variant, max(int(budget), 1), self.float_bit)

    def size(self, dim: int) -> CodeSize:
        """Bits of a message as a function of T."""
        size = self.at(1).size(dim)
        extra = GAIN_BIT if self.with_gain else 0
        return CodeSize(size.paper0_bit + extra, size.entry_bit, size.count_bit)

    def encode_flop(self, dim: int, budget: float) -> float:
        """Operations of encoding one vector; those of tuning the budget are not the codec's."""
        return self.at(max(budget, 1e-9)).encode_flop(dim)

    def decode_flop(self, dim: int) -> float:
        """Operations of decoding a payload of all coordinates."""
        return self.at(dim).decode_flop(dim)

    def entries(self, data: bytes, dim: int) -> int:
        """How many coordinates a payload carries, which is how many operations decoding it takes."""
        return read_count(BitReader(data), dim)

    def encode(
        self,
        g: Array,
        budget: float,
        rng: np.random.Generator,
        gain: float | None = None,
        kept: Indices | None = None,
    ) -> Encoded:
        """Q_T(g).

        Parameters
        ----------
        g
            Shape (d,).
        budget
            T; more than there are nonzeros means all of them.
        rng
            The sender's stream.
        gain, kept
            The progress, and for S the T coordinates, where the caller knows them.
        """
        if self.variant == "stochastic":
            if gain is None:
                budget = min(budget, float(np.count_nonzero(g)))
                gain = float(progress(g, self.variant, np.array([budget]))[0]) if budget else 0.0
            payload = self.at(max(budget, 1e-9)).encode(g, rng)
        else:
            payload, kept = _keeping(self.variant, max(int(budget), 1), self.float_bit).encode_kept(g, rng, kept)
            return Encoded(payload, float(kept.size), partial(self._progress, g, kept) if gain is None else gain)
        if not self.with_gain:
            return Encoded(payload, budget, gain)
        data, value_bit = payload.data + np.float32(gain).tobytes(), payload.value_bit + GAIN_BIT
        return Encoded(Payload(data, payload.paper_bit + GAIN_BIT, payload.index_bit, value_bit), budget, gain)

    def _progress(self, g: Array, indices: Indices) -> float:
        """alpha or beta of what is kept, in O(T) beside ||g||."""
        if not indices.size:
            return 0.0
        kept = np.abs(g[indices])
        part = float(kept.sum()) ** 2 / kept.size if self.variant == "sign" else float(np.dot(kept, kept))
        return part / float(np.dot(g, g))

    def add_to(self, data: bytes, acc: Array, scale: float = 1.0) -> None:
        """acc += scale * decoded."""
        self.at(1).add_to(data[: -GAIN_BIT // 8] if self.with_gain else data, acc, scale)

    def gain(self, data: bytes) -> float:
        """omega(T) of a payload that carries it."""
        return float(np.frombuffer(data[-GAIN_BIT // 8 :], np.float32)[0])


@lru_cache(maxsize=256)
def _keeping(variant: Literal["sparsify", "sign"], k: int, float_bit: FloatBit) -> TopK | SignTopK:
    return TopK(k=k, float_bit=float_bit) if variant == "sparsify" else SignTopK(k=k, float_bit=float_bit)


class VariantServer(AveragingServer):
    """The averaging server with CAT's step: 1/L for S and S+Q, omega/L for SS.

    For SS the step minimises the bound of the descent lemma with M workers of like gradients,
    gamma = 1 / (L (1 + (1/M^2) sum_m (1/omega_m - 1))), which for one worker is omega/L.
    """

    def __init__(self, ctx: Context, code: BudgetCode, step_size: StepSize, model: Identity) -> None:
        super().__init__(ctx, code, step_rule(step_size, ctx.facts.smoothness), model)
        self.code = code

    def decode_flop(self, updates: Sequence[bytes]) -> float:
        return sum(self.code.entries(update, self.ctx.facts.dim) for update in updates)

    def step_size(self, round: int, updates: Sequence[bytes]) -> float:
        if not self.code.with_gain:
            return self.step(round)
        excess = sum(1.0 / self.code.gain(data) - 1.0 for data in updates) / len(updates) ** 2
        return self.step(round) / (1.0 + excess)


def budget_code(variant: Variant, float_bit: FloatBit, step_size: StepSize) -> BudgetCode:
    """The code of an algorithm: SS with the automatic step carries omega."""
    return BudgetCode(variant, float_bit, with_gain=variant == "stochastic" and step_size == "auto")
