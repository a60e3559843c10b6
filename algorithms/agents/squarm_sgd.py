"""SQuARM-SGD: SPARQ-SGD with Nesterov's momentum in the local steps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from algorithms.agents.sparq_sgd import SparqSgd
from algorithms.roles.gossip import Beta
from netsim.interfaces import Context
from netsim.registry import Examples, component


@component("algorithm")
@dataclass(frozen=True)
class SquarmSgd(SparqSgd):
    """v_i <- beta v_i + g_i; x+ = x_i - eta (beta v_i + g_i); the trigger, the messages and the mix as SPARQ-SGD's.

    v is never sent, averaged or reset. With beta = 0 it is `sparq_sgd`. The effective step is eta / (1 - beta).

    Parameters
    ----------
    step_size
        ``auto`` is (1 - beta) / max_m L_m; a number; or a step rule. The paper has a constant one.

    References
    ----------
    Singh, Data, George, Diggavi, "SQuARM-SGD: communication-efficient momentum SGD for decentralized optimization",
    arXiv 2005.07041, algorithm 1.
    """

    momentum: Beta = 0.9

    examples: ClassVar[Examples] = (
        {"compressor": {"name": "sign_top_k", "k": 3}, "gamma": 0.3, "threshold": 3.0, "local_steps": 5},
        {
            "compressor": {"name": "top_k", "fraction": 0.3},
            "gamma": 0.3,
            "step_size": 0.02,
            "threshold": {"name": "staircase", "start": 2.5, "rise": 1.5, "every": 20, "last": 350},
        },
    )

    def auto_step(self, ctx: Context) -> float:
        """Return (1 - beta) / max_m L_m."""
        return (1.0 - self.momentum) * super().auto_step(ctx)
