"""Expressions made wrong one at a time, and the tests that must notice; ``python -m tests.mutations`` tries them."""

from tests.mutations import codecs, energy, engine, learning, peers, radio, servers, studies, tuners, wires

GROUPS = {
    "codecs": codecs.MUTANTS,
    "tuners": tuners.MUTANTS,
    "learning": learning.MUTANTS,
    "peers": peers.MUTANTS,
    "servers": servers.MUTANTS,
    "wires": wires.MUTANTS,
    "radio": radio.MUTANTS,
    "energy": energy.MUTANTS,
    "engine": engine.MUTANTS,
    "studies": studies.MUTANTS,
}
MUTANTS = tuple(mutant for group in GROUPS.values() for mutant in group)
