"""Expressions made wrong one at a time, and the tests that must notice; ``python -m tests.mutations`` tries them."""

from tests.mutations import codecs, energy, engine, learning, radio, studies, tuners, wires

MUTANTS = (
    *codecs.MUTANTS,
    *tuners.MUTANTS,
    *learning.MUTANTS,
    *wires.MUTANTS,
    *radio.MUTANTS,
    *energy.MUTANTS,
    *engine.MUTANTS,
    *studies.MUTANTS,
)
