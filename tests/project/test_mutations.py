"""Every mutant's address is there, and its tests are; ``make mutants`` sees that these notice it."""

from __future__ import annotations

import ast
from functools import cache

import pytest

from tests.mutations import MUTANTS
from tests.mutations.mutant import ROOT, AddressError, Mutant

MOST = 160  # one for every oracle that a source gives, beside those of meaning


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_mutant_changes_one_expression_and_its_tests_exist(mutant: Mutant) -> None:
    text = (ROOT / mutant.file).read_text("utf-8")
    changed = mutant.apply(text)
    assert ast.dump(ast.parse(changed)) != ast.dump(ast.parse(text))
    for test in mutant.tests:
        file, _, name = test.partition("::")
        assert (ROOT / file).is_file(), test
        assert not name or name.partition("[")[0] in functions(file), test


def test_they_are_few_and_told_apart() -> None:
    assert len(MUTANTS) <= MOST
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS)


def test_an_address_is_the_function_and_the_expression_however_it_is_laid_out() -> None:
    text = "def f(a):\n    if a > 1:\n        return (a\n            + 1)  # é\n    return a\n"
    mutant = Mutant("", "m:f", "a+1", "a-1", ())
    assert mutant.apply(text) == text.replace("a\n            + 1", "(a-1)")
    assert Mutant("", "m:f", "if a>1:", "if a < 1:", ()).apply(text) == text.replace("a > 1", "(a < 1)")
    for at, old in (("m:f", "a"), ("m:f", "b"), ("m:g", "a + 1"), ("m:", "a + 1")):
        with pytest.raises(AddressError):
            Mutant("", at, old, "0", ()).apply(text)


@cache
def functions(file: str) -> frozenset[str]:
    tree = ast.parse((ROOT / file).read_text("utf-8"))
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))
