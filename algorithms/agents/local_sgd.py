"""Local SGD: H gradient steps at every worker between two averages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from algorithms.roles.local import FixedSteps
from algorithms.roles.star import Dense
from algorithms.roles.tolerant import Tolerant
from netsim.registry import Examples, component


@component("algorithm")
@dataclass(frozen=True)
class LocalSgd(FixedSteps, Dense, Tolerant):
    """x_m <- x_m - gamma_t v_m(x_m) for H steps from x^k at each worker, then x^{k+1} = (1/M) sum_m x_m.

    With H = 1 it is `gd`. A larger H saves messages; where nodes differ, steps that do not shrink end at a point off
    the minimiser by O(gamma H).

    Workers send x^k - x_m, which takes as many bytes as x_m; what its rounding loses shrinks with it.

    References
    ----------
    Stich, "Local SGD converges fast and communicates little", ICLR 2019, algorithm 1. Nesterov momentum as in Basu,
    Data, Karakus, Diggavi, "Qsparse-local-SGD", NeurIPS 2019, section 5.
    """

    examples: ClassVar[Examples] = (
        {"local_steps": 4},
        {"local_steps": 2, "step_size": 0.05, "momentum": 0.9, "nesterov": True, "weight_decay": 1e-4},
        {"local_steps": 3, "quorum": 2, "deadline_s": 5.0},
    )
