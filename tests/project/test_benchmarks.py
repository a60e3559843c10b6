"""The benchmarks' candidates on small sizes: whoever is timed against us computes the same. No time is asserted."""

from __future__ import annotations

from types import ModuleType

import pytest

from benchmarks.speed.table import SECTIONS


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.__name__)
def test_all_candidates_agree(section: ModuleType) -> None:
    for case in section.cases(small=True):
        ours = case.ours()
        for rival in case.rivals:
            theirs = rival.run()
            assert rival.agrees is None or rival.agrees(ours, theirs), (case.setting, rival.name)
