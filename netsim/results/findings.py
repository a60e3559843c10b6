"""What came of the claims of a scenario's source: held, not held, or not comparable."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from netsim.results.summary import SPENT, Group, Numbers, Row, interval, ratio
from netsim.scenario.parts import FINALS, Claim

HELD, NOT_HELD, NOT_COMPARABLE = "held", "not held", "not comparable"


def findings(claims: Sequence[Claim], groups: Sequence[Group]) -> list[Row]:
    """Return the rows of ``findings.csv``: for each claim one per sweep point and target.

    Columns: ``claim`` (the source's words), ``point, target, target_value, label, against, quantity``, ``source`` (its
    number, NaN where it gives none), ``threshold, sense``, ``ours, ours_low, ours_high`` (a ratio is paired by
    replication, see `netsim.results.summary.ratio`), ``verdict`` and ``why``.

    A claim holds where `ours` is on the right side of the threshold. Where the other side lies within the confidence
    interval, `why` says so. It does not hold where an algorithm of it does not reach the target.
    """
    places = {(g.point, g.label): g for g in groups}
    out = []
    for claim in claims:
        for point in dict.fromkeys(g.point for g in groups):
            ours, theirs = places.get((point, claim.label)), places.get((point, claim.against))
            if ours is None or (claim.point and claim.point != point) or (claim.against and theirs is None):
                continue
            for index, (metric, goal) in enumerate(ours.targets.items() or [("", math.nan)]):
                found = _found(claim, ours, theirs, index)
                verdict, why = _verdict(claim, found, [ours] if theirs is None else [ours, theirs], index)
                source = claim.ratio if claim.ratio is not None else claim.value
                row: Row = {"claim": claim.text, "point": point, "target": metric, "target_value": goal}
                row |= {"label": claim.label, "against": claim.against, "quantity": claim.quantity}
                row |= {"source": math.nan if source is None else source, "threshold": claim.goal}
                row |= {"sense": claim.sense, "ours": found[0], "ours_low": found[1], "ours_high": found[2]}
                out.append(row | {"verdict": verdict, "why": why})
    return out


def _found(claim: Claim, ours: Group, theirs: Group | None, index: int) -> tuple[float, float, float]:
    mine = _values(claim.quantity, ours, index)
    if theirs is not None:
        return ratio(_values(claim.quantity, theirs, index), mine)
    return interval(mine[~np.isnan(mine)])


def _values(quantity: str, group: Group, index: int) -> Numbers:
    if quantity in FINALS:
        return np.array([getattr(one, quantity) for one in group.outcomes])
    return np.array([one.spent[index, SPENT.index(quantity)] for one in group.outcomes])


def _verdict(claim: Claim, found: tuple[float, float, float], groups: Sequence[Group], index: int) -> tuple[str, str]:
    mean, low, high = found
    if claim.unlike:
        return NOT_COMPARABLE, claim.unlike
    lost = [g.label for g in groups if claim.quantity not in FINALS and not all(o.reached[index] for o in g.outcomes)]
    if math.isnan(mean) or lost:
        return NOT_HELD, f"{' and '.join(lost)} did not reach the target" if lost else "there is no number"
    goal = float(claim.goal or 0.0)
    is_held = mean >= goal if claim.sense == "at_least" else mean <= goal
    is_sure = math.isnan(low) or not low < goal < high
    return (HELD if is_held else NOT_HELD), "" if is_sure else "the confidence interval holds the threshold"
