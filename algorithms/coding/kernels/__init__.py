"""Compiled loops of codecs; each has a twin in numpy, beside its caller or in the tests, that gives the same bytes."""
