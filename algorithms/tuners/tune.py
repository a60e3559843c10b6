"""CAT's choice of the budget: the T with the most progress per cost, and the curve it is the top of.

References
----------
S. Khirirat, S. Magnusson, A. Aytekin, M. Johansson, "A Flexible Framework for Communication-Efficient Machine
Learning", AAAI 2021.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from algorithms.coding.sizes import CodeSize
from algorithms.tuners import affine, packets, stochastic, universal
from algorithms.tuners import drawn as drawn_count
from algorithms.tuners.budget_cost import BudgetCost
from algorithms.tuners.choice import NOTHING, Choice
from algorithms.tuners.magnitudes import Magnitudes, measure
from algorithms.tuners.ranked import Ranked, Variant
from netsim.interfaces import CostModel, Floats

__all__ = ["Choice", "Variant", "efficiency", "progress", "tune"]


def tune(x: npt.ArrayLike, variant: Variant, size: CodeSize, cost: CostModel, *, drawn: bool = True) -> Choice:
    """Return the budget T that maximises progress(T) / C(T), exactly.

    A(T) and S(T) are the sums of the T largest x_i^2 and |x_i|. Progress is alpha(T) = A(T) / ||x||^2 for
    ``sparsify``, beta(T) = S(T)^2 / (T ||x||^2) for ``sign``, and omega(T) = ||x||^2 / E||Q||^2 for ``stochastic``,
    where Q sends x_i / p_i with the probabilities p_i of least variance whose sum is T.

    Parameters
    ----------
    x
        Shape (d,), finite. float32 and float64 are taken as they are.
    variant
        Whole T from 1 to the nonzeros of x; for ``stochastic`` real T between the same.
    size
        Bits of the code: P(T) and the message of T entries.
    cost
        C is its value at T (basis ``count``), P(T) (``paper``) or the message's bits (``message``), and has to be
        positive and never fall. Packets of whole entries are counted so that no entry straddles two.
    drawn
        What a ``stochastic`` message of T expected entries costs. True: E[C(N)], N the random number of entries,
        whose law is the Poisson-binomial one of the p_i. False: C(E N) = C(T), as the paper writes it; under packets
        about half of the messages that should just fill one then need another.

    Returns
    -------
    Choice
        The smallest such T. Efficiencies are compared as float64 numbers, so that rounding decides between
        two T whose efficiencies agree to about 1e-15; sums of small whole numbers are exact. All zeros give T = 0.

    Raises
    ------
    EncodeError
        If x holds NaN or infinity.
    ConfigError
        If a message costs nothing or less.

    Notes
    -----
    ========== ========================== ===========================================================
    variant    cost                       solver
    ========== ========================== ===========================================================
    sparsify   c0 + c1 T                  `affine.solve`: one threshold, no sort
    sparsify   packets, whole bytes       `packets.solve` for large x, else as the last row
    stochastic c0 + c1 T                  `affine.solve_stochastic`: the same threshold, E[C(N)] = C(E N)
    stochastic any, E[C(N)]               `drawn.solve`: within 0.5 % of the best T, and at the top of its hill
    stochastic packets, C(E N)            `stochastic.solve`: each number of packets by itself
    any        any                        `universal.solve`: sorts as many entries as can matter
    ========== ========================== ===========================================================

    C(E N), and E[C(N)] on a line, are those of the expected number of bits, without rounding to bytes. Where a
    model has no structure, C(E N) is looked at for whole T only, at the bits of a message of just T entries.

    Examples
    --------
    >>> from netsim.interfaces import CostStructure
    >>> class Affine:
    ...     basis, quantity, structure = "paper", "bit", CostStructure(c0=432.0, c_bit=1.0)
    ...     def __call__(self, size): return 432.0 + np.asarray(size, float)
    ...     def observe(self, message_bit, value): pass
    >>> tune([3.0, 0.0, 0.0, -4.0], "sparsify", CodeSize(0, 34, 3), Affine())
    Choice(budget=2.0, efficiency=0.002, progress=1.0)
    """
    magnitudes = measure(x)
    budget_cost = BudgetCost(size, cost, expected=variant == "stochastic")
    budget_cost.check()
    if magnitudes.l2_squared == 0.0:
        return NOTHING
    if drawn and _is_drawn(variant, budget_cost):
        return drawn_count.solve(magnitudes, BudgetCost(size, cost))
    return _solve(magnitudes, variant, budget_cost)


def progress(x: npt.ArrayLike, variant: Variant, budgets: npt.ArrayLike) -> Floats:
    """Return alpha, beta or omega at any budgets, elementwise.

    Parameters
    ----------
    x
        Shape (d,), finite; it is sorted as a whole.
    budgets
        T >= 0, any shape; more than the nonzeros of x counts as all of them, and (but for ``stochastic``) a
        fraction is cut off.

    Raises
    ------
    EncodeError
        If x holds NaN or infinity.

    Examples
    --------
    >>> progress([3.0, 0.0, 4.0], "sparsify", [0, 1, 2, 3])
    array([0.  , 0.64, 1.  , 1.  ])
    """
    magnitudes = measure(x)
    used = np.asarray(budgets, np.float64)
    used = used if variant == "stochastic" else np.floor(used)
    out = np.zeros(used.shape)
    if magnitudes.l2_squared > 0.0:
        ranked = Ranked.of(magnitudes, magnitudes.above(0.0), True)
        some = used > 0.0
        out[some] = ranked.progress(variant, np.minimum(used[some], ranked.size))
    return out


def efficiency(
    x: npt.ArrayLike,
    variant: Variant,
    size: CodeSize,
    cost: CostModel,
    budgets: npt.ArrayLike,
    *,
    drawn: bool = True,
) -> Floats:
    """Return progress(T) / C(T) at any budgets, elementwise, 0 at T = 0; the curve whose highest point `tune` finds.

    Parameters are those of `tune` and `progress`; C is taken at the budgets as they are given.

    Raises
    ------
    EncodeError, ConfigError
        As `tune`.
    """
    wanted = np.asarray(budgets, np.float64)
    out = progress(x, variant, wanted)
    cost_of = BudgetCost(size, cost, expected=variant == "stochastic")
    cost_of.check()
    some = out > 0.0
    if drawn and _is_drawn(variant, cost_of):
        mean_cost = drawn_count.Drawn(measure(x), BudgetCost(size, cost))
        out[some] /= [mean_cost.price(budget) for budget in wanted[some].tolist()]
    else:
        out[some] /= cost_of(wanted[some])
    return out


def _is_drawn(variant: Variant, cost: BudgetCost) -> bool:
    """Return whether E[C(N)] may differ from C(E N), but for whole bytes."""
    return variant == "stochastic" and not cost.is_line


def _solve(x: Magnitudes, variant: Variant, cost: BudgetCost) -> Choice:
    if variant == "sparsify" and cost.is_line:
        return affine.solve(x, cost)
    if variant == "sparsify" and cost.is_over_line and x.is_large:
        return packets.solve(x, cost)
    if variant == "stochastic" and cost.is_line:
        return affine.solve_stochastic(x, cost)
    if variant == "stochastic" and cost.is_exact:
        return stochastic.solve(x, cost)
    return universal.solve(x, variant, cost)
