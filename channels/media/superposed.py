"""The air on which amplitudes add up: the medium of `channels.links.over_the_air`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from channels.costing.models import Int64s, byte_cost
from channels.media.aloha import Air
from channels.media.purposes import FADING, NOISE
from channels.media.radio_books import RadioPolicy
from channels.media.roster import Members
from netsim.interfaces import CostModel, NodeId
from netsim.rng import uniforms
from netsim.units import NS_PER_S, serialisation_ns

LONGEST_BYTES = 1 << 26


class Uses(Sequence[int]):
    """Nanoseconds of a message by its bytes: one channel use for each sample, also for one that is cut.

    Parameters
    ----------
    sample_bytes
        Of a message in one channel use.
    bandwidth_hz
        Channel uses a second.
    """

    def __init__(self, sample_bytes: int, bandwidth_hz: float) -> None:
        self._sample_bytes, self._bandwidth_hz = sample_bytes, bandwidth_hz

    def __len__(self) -> int:
        return LONGEST_BYTES + 1

    def __getitem__(self, size_bytes: int) -> int:  # type: ignore[override]
        size = size_bytes + len(self) if size_bytes < 0 else size_bytes
        # A use as a byte of an eighth of the rate: the same rounding as on wires.
        return serialisation_ns(-(-size // self._sample_bytes), 8.0 * self._bandwidth_hz)


class Superposed(Air):
    """Messages that overlap without loss, and what the receiver gets of their amplitudes.

    Parameters
    ----------
    members, policy, key
        See `channels.media.aloha.Air`.
    uses
        How long messages last.
    noise_w, fades, power_limit_w
        The link's `noise_w`, whether its `fading` is ``rayleigh``, and its `power_limit_w`.
    """

    def __init__(
        self, members: Members, uses: Uses, policy: RadioPolicy, key: int, noise_w: float, fades: bool,
        power_limit_w: float | None,
    ) -> None:  # fmt: skip
        super().__init__(members, LONGEST_BYTES, uses, uses, False, policy, key)
        self._uses, self._noise_w, self._fades = uses, noise_w, fades
        self.power_limit_w = power_limit_w

    def gains(self, round: int, senders: Sequence[NodeId]) -> npt.NDArray[np.float64]:
        """See `netsim.interfaces.Superposes`."""
        if not self._fades:
            return np.ones(len(senders))
        draws = uniforms(self._key, FADING + round, np.array(senders, np.uint64))
        return np.sqrt(-np.log1p(-draws))

    def noise(self, round: int, dst: NodeId, size: int, part: int = 0) -> npt.NDArray[np.float64]:
        """See `netsim.interfaces.Superposes`."""
        if not self._noise_w:
            return np.zeros(size)
        words = np.random.SeedSequence(self._key, spawn_key=(NOISE >> 56, round, dst + 1, part))
        out: npt.NDArray[np.float64] = np.random.Generator(np.random.Philox(words)).standard_normal(size)
        out *= np.sqrt(self._noise_w)
        return out

    def _cost(self, quantity: str, src: NodeId, dst: NodeId) -> CostModel:
        """Return the cost, exact."""
        if quantity in ("bit", "packet"):
            return super()._cost(quantity, src, dst)
        scale = 1.0 if quantity == "s" else self._extra_w

        def lone(size: Int64s) -> npt.ArrayLike:
            more = (size - 1) // LONGEST_BYTES
            last = size - more * LONGEST_BYTES
            lasts_ns = np.array([self._uses[int(n)] for n in last.ravel()], np.float64).reshape(last.shape)
            return np.asarray((more * self._uses[-1] + lasts_ns) * scale / NS_PER_S)

        return byte_cost(quantity, lone)
