"""A representation that is learned: an encoder and a code book at each sensor, a decoder at the centre."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from algorithms.learning.quantizers import Labels
from algorithms.learning.sensing import CodeBook
from netsim.interfaces import Floats

UNITS, DIM, MAX_BITS = 32, 4, 12
_BATCH, _STEP, _COMMIT, _KEEP = 64, 3e-3, 0.25, (0.9, 0.999)


@dataclass(frozen=True, eq=False)
class Decoder:
    """Scores of the classes from all sensors' code vectors, side by side: one layer of tanh units.

    Parameters
    ----------
    inner, inner_bias, outer, outer_bias
        tanh(v inner + inner_bias) outer + outer_bias.
    """

    inner: Floats
    inner_bias: Floats
    outer: Floats
    outer_bias: Floats

    def forward(self, v: Floats) -> tuple[Floats, Floats]:
        """Return hidden units and scores."""
        hidden = np.tanh(v @ self.inner + self.inner_bias)
        return hidden, hidden @ self.outer + self.outer_bias

    def decide(self, books: Sequence[CodeBook], numbers: Labels) -> Labels:
        """Return the class of largest score for each row of the sensors' numbers."""
        found: Labels = self.forward(_codes(books, numbers))[1].argmax(axis=1)
        return found


def learn(
    x: Floats, labels: Labels, owners: Sequence[int], bits: Sequence[int], epochs: int, rng: np.random.Generator
) -> tuple[list[CodeBook], Decoder]:
    """Train all parts together for the classifier's decisions.

    The loss of a sample is the cross-entropy of its class, and for each sensor ||sg(z) - e||^2 + 0.25 ||z - sg(e)||^2
    with z what its encoder makes of the sample, e the nearest code vector and sg a factor that has no gradient; the
    decoder's gradient at e goes to z as it is (straight through). Adam with minibatches of 64. Code vectors start as
    the means of k-means on the first z; one that no sample of an epoch used becomes the z of a random sample.

    Parameters
    ----------
    x, labels
        Training points, shape (N, p), and the classifier's decisions 0 .. C-1.
    owners, bits
        The node of each feature, and each node's bits a sample, at most 12.
    epochs
        Passes over the points.
    rng
        For weights, minibatches and code vectors.

    References
    ----------
    Hanna, Ezzeldin, Sadjadpour, Fragouli, Diggavi, "On distributed quantization for classification", IEEE JSAIT 2020
    (the idea; sizes are ours). van den Oord, Vinyals, Kavukcuoglu, "Neural discrete representation learning", NIPS 2017
    (loss and straight-through gradient).
    """
    columns = [[j for j, owner in enumerate(owners) if owner == node] for node in range(len(bits))]
    books = [_new_book(x[:, mine], n, rng) for mine, n in zip(columns, bits, strict=True)]
    classes = int(labels.max(initial=0)) + 1
    decoder = Decoder(
        _weights(rng, DIM * len(bits), UNITS), np.zeros(UNITS), _weights(rng, UNITS, classes), np.zeros(classes)
    )
    learning = [*(part for book in books for part in book.parts[2:]),
                decoder.inner, decoder.inner_bias, decoder.outer, decoder.outer_bias]  # fmt: skip
    first, second, t = [np.zeros_like(a) for a in learning], [np.zeros_like(a) for a in learning], 0
    for _ in range(epochs):
        used = [np.zeros(len(book.codes), bool) for book in books]
        for rows in np.array_split(rng.permutation(len(x)), max(1, len(x) // _BATCH)):
            t += 1
            slopes = _slopes(x[rows], labels[rows], columns, books, decoder, used)
            for array, g, m, v in zip(learning, slopes, first, second, strict=True):
                m += (1 - _KEEP[0]) * (g - m)
                v += (1 - _KEEP[1]) * (g**2 - v)
                array -= _STEP * (m / (1 - _KEEP[0] ** t)) / (np.sqrt(v / (1 - _KEEP[1] ** t)) + 1e-8)
        for book, mine, was_used in zip(books, columns, used, strict=True):
            idle = np.flatnonzero(~was_used)
            book.codes[idle] = book.encode(x[rng.integers(len(x), size=idle.size)][:, mine])[1]
    return books, decoder


def _slopes(
    x: Floats, labels: Labels, columns: Sequence[Sequence[int]], books: Sequence[CodeBook], decoder: Decoder,
    used: Sequence[npt.NDArray[np.bool_]],
) -> list[Floats]:  # fmt: skip
    """Return the gradient of the mean loss for every array that learns, in their order."""
    n, out = len(x), list[Floats]()
    inputs = [(x[:, mine] - book.mean) / book.scale for mine, book in zip(columns, books, strict=True)]
    made = [book.encode(x[:, mine]) for mine, book in zip(columns, books, strict=True)]
    numbers = [book.nearest(z) for book, (_, z) in zip(books, made, strict=True)]
    v = np.concatenate([book.codes[i] for book, i in zip(books, numbers, strict=True)], axis=1)
    hidden, scores = decoder.forward(v)
    share = np.exp(scores - scores.max(axis=1, keepdims=True))
    share /= share.sum(axis=1, keepdims=True)
    share[np.arange(n), labels] -= 1.0
    share /= n
    back = (share @ decoder.outer.T) * (1 - hidden**2)
    at_codes = np.split(back @ decoder.inner.T, len(books), axis=1)
    for k, (book, (inner, z), i) in enumerate(zip(books, made, numbers, strict=True)):
        used[k][i] = True
        apart = (z - book.codes[i]) / n
        codes = np.zeros_like(book.codes)
        np.add.at(codes, i, -2 * apart)
        at_z = at_codes[k] + 2 * _COMMIT * apart
        at_inner = (at_z @ book.outer.T) * (1 - inner**2)
        out += [inputs[k].T @ at_inner, at_inner.sum(axis=0), inner.T @ at_z, at_z.sum(axis=0), codes]
    return [*out, v.T @ back, back.sum(axis=0), hidden.T @ share, share.sum(axis=0)]


def _codes(books: Sequence[CodeBook], numbers: Labels) -> Floats:
    return np.concatenate([book.codes[own] for book, own in zip(books, numbers.T, strict=True)], axis=1)


def _weights(rng: np.random.Generator, inputs: int, outputs: int) -> Floats:
    drawn: Floats = rng.standard_normal((inputs, outputs)) / np.sqrt(inputs)
    return drawn


def _new_book(x: Floats, bits: int, rng: np.random.Generator) -> CodeBook:
    """Return an encoder as drawn, and the means of k-means on what it makes of the points."""
    scale = x.std(axis=0)
    book = CodeBook(
        x.mean(axis=0), np.where(scale > 0, scale, 1.0), _weights(rng, x.shape[1], UNITS), np.zeros(UNITS),
        _weights(rng, UNITS, DIM), np.zeros(DIM), np.zeros((1 << bits, DIM)),
    )  # fmt: skip
    z = book.encode(x)[1]
    book.codes[:] = z[rng.choice(len(z), 1 << bits, replace=len(z) < 1 << bits)]
    for _ in range(10):
        own = book.nearest(z)
        sizes = np.bincount(own, minlength=len(book.codes))
        sums = np.zeros_like(book.codes)
        np.add.at(sums, own, z)
        book.codes[sizes > 0] = sums[sizes > 0] / sizes[sizes > 0, None]
    return book
