"""One bit an entry in both directions, with what that loses kept for the next message."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from algorithms.coding.bits import FloatBit
from algorithms.coding.codec import Codec
from algorithms.compressors.error_feedback import ErrorFeedback
from algorithms.compressors.one_bit import OneBit
from algorithms.roles.replicas import Replicated
from algorithms.roles.tolerant import Mindful
from netsim.interfaces import Context
from netsim.registry import Examples, component


@component("algorithm")
@dataclass(frozen=True)
class OneBitSgd(Replicated, Mindful):
    """`double_squeeze` with `one_bit` both ways: the means of each column's positive and negative entries, and signs.

    Workers quantise g_m + e_m, the server the mean of what came plus its own error; x^{k+1} = x^k - gamma_k V with V
    what the server's message decodes to. All nodes keep x themselves.

    Parameters
    ----------
    float_bit
        Bits of a mean.

    References
    ----------
    Seide, Fu, Droppo, Li, Yu, "1-bit stochastic gradient descent and its application to data-parallel distributed
    training of speech DNNs", Interspeech 2014, section 3. Deviation: every node holds the whole model, and a server,
    not a node for each stripe of it, adds up.
    """

    float_bit: FloatBit = 32

    examples: ClassVar[Examples] = ({"step_size": 0.05}, {"float_bit": 64, "step_size": 0.1})

    def codec(self, ctx: Context) -> Codec:
        """Return the one-bit code with its error memory."""
        return ErrorFeedback(OneBit(float_bit=self.float_bit).bind(ctx.facts.layout))
