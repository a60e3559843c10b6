"""The list of mutants fits the code as it stands; ``make mutants`` tries them."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.mutants import ROOT, Mutant
from tests.mutations import MUTANTS


def test_there_are_enough_and_no_two_of_one_name() -> None:
    assert len(MUTANTS) >= 20
    assert len({m.name for m in MUTANTS}) == len(MUTANTS)
    assert len({(m.file, m.old, m.new) for m in MUTANTS}) == len(MUTANTS)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_it_changes_one_place_and_is_still_python(mutant: Mutant) -> None:
    text = (ROOT / mutant.file).read_text()
    assert text.count(mutant.old) == 1
    assert ast.dump(ast.parse(text)) != ast.dump(ast.parse(text.replace(mutant.old, mutant.new)))


def test_the_tests_beside_them_are_there() -> None:
    named = {test.partition("[")[0] for mutant in MUTANTS for test in mutant.tests}
    for test in sorted(named):
        file, _, function = test.partition("::")
        text = (ROOT / Path(file)).read_text()
        assert f"\ndef {function}(" in text, test
