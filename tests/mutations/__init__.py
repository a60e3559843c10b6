"""One line made wrong at a time, and the tests that must notice, a file a subject; `tests.mutants` tries them."""

import importlib
import pkgutil

from tests.mutants import Mutant

MUTANTS: tuple[Mutant, ...] = tuple(
    mutant
    for module in pkgutil.iter_modules(__path__)
    for mutant in importlib.import_module(f"{__name__}.{module.name}").MUTANTS
)
