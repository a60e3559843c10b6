"""Compiled loops of codecs; each has a numpy twin beside its caller or in the tests."""
