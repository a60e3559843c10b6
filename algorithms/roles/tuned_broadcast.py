"""A broadcast with a tuned budget: the server sends so many changes of its model as pay, and remembers the others."""

from __future__ import annotations

import numpy as np

from algorithms.coding import select
from algorithms.coding.sizes import CodeSize, lg
from algorithms.roles.parts import FloatBit
from algorithms.tuners.tune import tune
from netsim.interfaces import Array, CostModel


class TunedBroadcast:
    """The T entries of s = e + step with the most progress per cost move the model, and e keeps the others.

    The model that all ends have moves by the part that is sent alone, so that its changes travel exactly, in the
    shortest code for positions; T is tuned for positions of lg d bits each. At a constant step the virtual iterate
    x + e moves as the model of a server that sends all of it.

    Parameters
    ----------
    cost
        Of the server's message.
    dim, float_bit, notes
        Of the model, and floats beside it.

    Attributes
    ----------
    e : what is not sent yet, shape (dim,).
    """

    def __init__(self, cost: CostModel, dim: int, float_bit: FloatBit, notes: int) -> None:
        self.cost, self.e = cost, np.zeros(dim)
        self.size = CodeSize(32 * notes, float_bit + lg(dim), lg(dim + 1) + 3)

    def part(self, step: Array) -> Array:
        """Return the part of e + step that is sent now."""
        s = self.e + step
        choice = tune(s, "sparsify", self.size, self.cost)
        kept = select.top_k(s, int(choice.budget)) if choice.kept is None else choice.kept
        sent = np.zeros_like(s)
        sent[kept] = s[kept]
        return sent
