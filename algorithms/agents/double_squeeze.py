"""Error-compensated compression in both directions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from algorithms.coding.codec import Codec
from algorithms.compressors.error_feedback import ErrorFeedback
from algorithms.roles.compressed import Compressed, refuse_memory
from algorithms.roles.replicas import Replicated
from algorithms.roles.tolerant import Mindful
from netsim.fields import Ref
from netsim.interfaces import Context
from netsim.registry import Examples, component


@component("algorithm")
@dataclass(frozen=True)
class DoubleSqueeze(Compressed, Replicated, Mindful):
    """v_m = C(g_m + e_m), e_m <- g_m + e_m - v_m; V = D(mean v_m + E), E <- mean v_m + E - V; x <- x - gamma_k V.

    E is the server's error memory. All nodes keep x themselves and the server sends V alone. At a constant step the
    virtual iterate x^k - gamma (mean e_m + E) moves by -gamma mean g_m, as SGD does. With the identity both ways it is
    SGD.

    Parameters
    ----------
    server_compressor
        D, of the server's message; nothing: C.
    step_size
        ``auto`` is 1/L of F; what theory admits shrinks with the contraction of C and D. A number, or a step rule.

    References
    ----------
    Tang, Yu, Lian, Zhang, Liu, "DoubleSqueeze: parallel stochastic gradient descent with double-pass error-compensated
    compression", ICML 2019, algorithm 1.
    """

    server_compressor: Annotated[Codec, Ref("compressor")] | None = None

    examples: ClassVar[Examples] = (
        {"compressor": {"name": "top_k", "k": 3}, "step_size": 0.1},
        {"compressor": "scaled_sign", "server_compressor": {"name": "qsgd", "levels": 8}, "step_size": 0.05},
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.server_compressor is not None:
            refuse_memory(self.server_compressor, "server_compressor")

    def codec(self, ctx: Context) -> Codec:
        """Return C with its error memory."""
        return ErrorFeedback(super().codec(ctx))

    def down(self, ctx: Context) -> Codec:
        """Return D with its error memory."""
        return ErrorFeedback((self.server_compressor or self.compressor).bind(ctx.facts.layout))
