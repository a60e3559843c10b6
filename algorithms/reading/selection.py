"""Keys that all datasets share: which classes and samples, which of them for tests, and how columns are scaled."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt

from algorithms.reading.scaling import scaled, with_ones
from algorithms.reading.sizes import check_sizes
from netsim.errors import ConfigError, DataError, Fault, nearest_name
from netsim.fields import PositiveInt, Range
from netsim.interfaces import Data, Indices

Labels = npt.NDArray[np.float64]

_ZERO_TO_ONE = Range(gt=0, lt=1)


@dataclass(frozen=True, kw_only=True)
class Selection(ABC):
    """A dataset of which samples are chosen after reading; a dataset says how it is read (`read`).

    Parameters
    ----------
    classes
        Labels, or names of classes, to keep; an empty list keeps all. Where two are left, the first in order becomes
        -1 and the other 1.
    positive_class
        The label or name of one class that becomes 1 while all others become -1; nothing: classes stay as they are.
    test_fraction
        Share of the samples that are cut off as the test set, of every class alike, drawn from the seed. It takes the
        place of the dataset's own test set; at 0 that stays, where there is one.
    subsample
        Training samples to keep: a number or a share, of every class alike, drawn from the seed; nothing: all.
    normalise
        Columns by the training samples' figures: ``standard`` to mean 0 and variance 1 (constant columns become 0),
        ``range`` to 0 .. 1; ``unit`` rows to length 1; ``none`` leaves what the dataset gives. Sparse columns are
        never shifted: they are divided by their largest size with ``range``, and ``standard`` is refused.
    bias
        Whether a last column of ones comes on top.
    """

    classes: tuple[int | str, ...] = ()
    positive_class: int | str | None = None
    test_fraction: Annotated[float, Range(ge=0, lt=1)] = 0.0
    subsample: PositiveInt | Annotated[float, _ZERO_TO_ONE] | None = None
    normalise: Literal["none", "standard", "range", "unit"] = "none"
    bias: bool = False

    is_drawn: ClassVar[bool] = False  # whether `read` depends on the stream

    @property
    def draws(self) -> bool:
        """Whether the samples depend on the seed."""
        return self.is_drawn or self.test_fraction > 0 or self.subsample is not None

    @abstractmethod
    def read(self, rng: np.random.Generator) -> Data:
        """Read or draw all samples; see `load` for the errors."""

    def load(self, rng: np.random.Generator) -> Data:
        """Read the samples, choose among them and scale them; the same `rng` state gives the same bytes.

        Raises
        ------
        DataError
            If a file is missing or damaged, or nothing is left to learn from.
        ConfigError
            If a class does not exist.
        """
        data = self.read(rng)
        if self.classes:
            data = _keep(data, [_label(data, item, ("classes", i)) for i, item in enumerate(self.classes)])
        if self.positive_class is not None:
            data = _one_against_the_rest(data, _label(data, self.positive_class, ("positive_class",)))
        data = _signed(data)
        if self.test_fraction:
            data = _cut(data, self.test_fraction, rng)
        if self.subsample is not None:
            data = _thin(data, self.subsample, rng)
        if self.normalise in ("standard", "unit"):  # which square
            check_sizes(data.name, data.features.data if hasattr(data.features, "tocsr") else data.features)
        data = scaled(data, self.normalise)
        return with_ones(data) if self.bias else data


def stratified(labels: Labels, count: int, rng: np.random.Generator) -> Indices:
    """Return sorted rows, `count` in all: of every class its share, at random.

    Shares are rounded down, and what is missing goes to the classes that lost most (the first of these). Labels that
    are no whole numbers count as one class.

    Examples
    --------
    >>> rows = stratified(np.repeat([0.0, 1.0], [6, 3]), 3, np.random.default_rng(0))
    >>> np.repeat([0.0, 1.0], [6, 3])[rows].tolist()
    [0.0, 0.0, 1.0]
    """
    is_whole = bool(np.array_equal(labels, np.round(labels)))
    _, class_of = np.unique(labels if is_whole else np.zeros(labels.size), return_inverse=True)
    sizes = np.bincount(class_of)
    exact = sizes * (count / labels.size)
    shares = np.floor(exact).astype(np.int64)
    lost = np.argsort(shares - exact, kind="stable")
    shares[lost[: count - int(shares.sum())]] += 1
    parts = [
        rng.permutation(np.flatnonzero(class_of == label))[:share] for label, share in enumerate(shares) if share > 0
    ]
    return np.sort(np.concatenate(parts)) if parts else np.empty(0, np.int64)


def _label(data: Data, item: int | str, path: tuple[str | int, ...]) -> float:
    """Return the label of a class that a user names."""
    if str(item) in data.class_names:
        return float(data.class_names.index(str(item)))
    known = np.unique(data.labels)
    if isinstance(item, int) and item in known and not data.class_names:
        return float(item)
    names: Sequence[str] = data.class_names or [f"{label:g}" for label in known]
    shown = ", ".join(names[:20]) + (", ..." if len(names) > 20 else "")
    raise ConfigError([Fault(("dataset", *path), f"a class of {data.name}; there are {shown}", repr(item),
                             nearest_name(str(item), names))])  # fmt: skip


def _keep(data: Data, labels: Sequence[float]) -> Data:
    """Keep only samples with these labels."""
    rows = np.flatnonzero(np.isin(data.labels, labels))
    kept = replace(data, features=data.features[rows], labels=data.labels[rows], groups=_rows(data.groups, rows))
    if data.test_labels is None:
        return kept
    tests = np.flatnonzero(np.isin(data.test_labels, labels))
    return replace(kept, test_features=data.test_features[tests], test_labels=data.test_labels[tests])


def _signed(data: Data) -> Data:
    """Return two classes as -1 and 1; other labels of test samples stay, and a later check refuses them."""
    known = np.unique(data.labels)
    if known.size != 2 or not np.array_equal(known, np.round(known)):
        return data
    tests = data.test_labels
    if tests is not None:
        tests = np.select([tests == known[0], tests == known[1]], [-1.0, 1.0], tests)
    return replace(data, labels=np.where(data.labels == known[0], -1.0, 1.0), test_labels=tests)


def _one_against_the_rest(data: Data, label: float) -> Data:
    tests = None if data.test_labels is None else np.where(data.test_labels == label, 1.0, -1.0)
    return replace(data, labels=np.where(data.labels == label, 1.0, -1.0), test_labels=tests)


def _cut(data: Data, share: float, rng: np.random.Generator) -> Data:
    """Move some samples to the test set."""
    size = data.labels.size
    count = max(1, round(share * size))
    if count >= size:
        raise DataError(f"{data.name}: test_fraction leaves no sample to learn from. Got {share:g} of {size} samples.")
    is_test = np.zeros(size, bool)
    is_test[stratified(data.labels, count, rng)] = True
    tests, rest = np.flatnonzero(is_test), np.flatnonzero(~is_test)
    return replace(data, features=data.features[rest], labels=data.labels[rest], groups=_rows(data.groups, rest),
                   test_features=data.features[tests], test_labels=data.labels[tests])  # fmt: skip


def _thin(data: Data, wanted: float, rng: np.random.Generator) -> Data:
    """Keep only some training samples."""
    size = data.labels.size
    count = wanted if isinstance(wanted, int) else max(1, round(wanted * size))
    if count > size:
        raise ConfigError(
            [Fault(("dataset", "subsample"), f"at most {size} samples, as many as there are", str(count))]
        )
    rows = stratified(data.labels, count, rng)
    return replace(data, features=data.features[rows], labels=data.labels[rows], groups=_rows(data.groups, rows))


def _rows(values: Any, rows: Any) -> Any:
    return None if values is None else values[rows]
