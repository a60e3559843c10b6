"""Verdicts on a source's claims, and the glossary that all tables share."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from netsim.errors import ConfigError
from netsim.results import glossary
from netsim.results.findings import HELD, NOT_COMPARABLE, NOT_HELD, findings
from netsim.results.summary import SPENT, Group, Outcome
from netsim.scenario.parts import QUANTITIES, Claim

PLACE = SPENT.index("total_wire_bytes")


def group(label: str, *spent: float, point: str = "", losses: float = 0.5) -> Group:
    """Replications that spent these bytes to the target; NaN where it was not reached."""
    outcomes = []
    for value in spent:
        row = np.full((1, len(SPENT)), math.nan)
        row[0, PLACE] = value
        outcomes.append(Outcome("reached", np.array([not math.isnan(value)]), row, losses))
    return Group(point, label, "gd", {"loss": 0.4}, outcomes)


def verdict(claim: dict[str, Any], *groups: Group) -> tuple[str, str, float]:
    (row,) = findings([Claim(**({"text": "t", "label": "A", "quantity": "total_wire_bytes"} | claim))], groups)
    return row["verdict"], row["why"], row["ours"]


GD, A = group("GD", 800.0, 1000.0, 1250.0), group("A", 100.0, 100.0, 100.0)
# GD over A: the geometric mean of 8, 10 and 12.5 is 10, its interval 10 exp(-+ 4.3027 * 0.22314 / sqrt(3)).


@pytest.mark.parametrize(
    ("claim", "expected", "why"),
    [
        ({"against": "GD", "ratio": 5}, HELD, ""),
        ({"against": "GD", "ratio": 9}, HELD, "the confidence interval holds the threshold"),
        ({"against": "GD", "ratio": 30}, NOT_HELD, ""),
        ({"against": "GD", "ratio": 30, "threshold": 2}, HELD, ""),
        ({"against": "GD", "ratio": 30, "threshold": 2, "sense": "at_most"}, NOT_HELD, ""),
        ({"against": "GD", "ratio": 30, "unlike": "other data"}, NOT_COMPARABLE, "other data"),
    ],
)
def test_a_ratio_is_held_to_its_threshold(claim: dict[str, Any], expected: str, why: str) -> None:
    found, said, ours = verdict(claim, GD, A)
    assert (found, said) == (expected, why)
    assert ours == pytest.approx(10.0, rel=1e-12)


def test_a_claim_about_one_algorithm_has_its_mean() -> None:
    assert verdict({"value": 120, "sense": "at_most"}, A) == (HELD, "", 100.0)
    assert verdict({"quantity": "final_loss", "threshold": 0.6, "sense": "at_most"}, A) == (HELD, "", 0.5)


def test_who_does_not_reach_the_target_holds_nothing() -> None:
    lost = group("GD", 800.0, math.nan, 900.0)
    assert verdict({"against": "GD", "ratio": 2}, lost, A)[:2] == (NOT_HELD, "GD did not reach the target")


def test_a_claim_may_be_about_one_point() -> None:
    groups = [group(label, 10.0, point=point) for point in ("p", "q") for label in ("GD", "A")]
    claim = Claim("t", "A", "total_wire_bytes", "GD", ratio=1.0)
    assert [row["point"] for row in findings([claim], groups)] == ["p", "q"]
    one = Claim("t", "A", "total_wire_bytes", "GD", ratio=1.0, point="q")
    assert [row["point"] for row in findings([one], groups)] == ["q"]


@pytest.mark.parametrize(
    ("keys", "sentence"),
    [
        ({}, "threshold: ratio, value or threshold is needed. Got none of them."),
        ({"ratio": 2.0}, "ratio: with another algorithm in against, and no value beside it. Got 2."),
        ({"value": 2.0, "against": "B"}, "value: a ratio, as there is another algorithm in against. Got 2."),
    ],
)
def test_a_claim_needs_a_number_that_fits(keys: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Claim("t", "A", "time_s", **keys)
    assert str(caught.value) == sentence


def test_every_word_of_the_glossary_is_one_quantity() -> None:
    nouns, stems = ([getattr(q, name) for q in glossary.GLOSSARY] for name in ("noun", "stem"))
    assert len(set(nouns)) == len(nouns)
    assert len(set(stems)) == len(stems)
    assert set(stems) <= set(QUANTITIES)
    assert [q.noun for q in glossary.headline()] == ["wire bits", "packets", "seconds", "workers' joules"]
    assert [q.noun for q in glossary.headline(True, "battery")][3:] == ["joules", "battery life"]


def test_wire_bits_are_those_of_all_directions() -> None:
    columns = {
        f"{way}_wire_bytes": np.array([0.0, n]) for way, n in (("uplink", 3.0), ("downlink", 5.0), ("peer", 7.0))
    }
    assert glossary.WIRE.along(columns.__getitem__).tolist() == [0.0, 120.0]
    assert glossary.WIRE_DOWN.along(columns.__getitem__).tolist() == [0.0, 40.0]
