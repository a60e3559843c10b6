"""Labels of several classes as numbers from 0."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from algorithms.learning.shares import Shares
from netsim.errors import DataError
from netsim.interfaces import Floats

Targets = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Classes:
    """The classes of a dataset in increasing order of their labels.

    Parameters
    ----------
    labels
        The label of each class.
    targets, test_targets
        The class of each sample, from 0; `test_targets` is None without a test set.
    """

    labels: tuple[float, ...]
    targets: Targets
    test_targets: Targets | None

    @property
    def number(self) -> int:
        return len(self.labels)


def classes_of(shares: Shares, problem: str) -> Classes:
    """Return assign numbers to the classes of the samples.

    Parameters
    ----------
    shares
        The samples.
    problem
        Its name, for the error.

    Raises
    ------
    DataError
        If labels are no whole numbers, if there are less than two classes, or if test samples have others.
    """
    known = np.unique(shares.labels)
    if known.size < 2 or not np.array_equal(known, np.round(known)):
        allowed = f"{problem} needs labels of two classes or more, as whole numbers"
        raise DataError(f"{shares.name}: {allowed}. Got {_show(known)}.")
    test_targets = None
    if shares.test_labels is not None:
        new = np.setdiff1d(shares.test_labels, known)
        if new.size:
            allowed = f"{problem} needs test samples of the {known.size} classes that training samples have"
            raise DataError(f"{shares.name}: {allowed}. Got {_show(new)}.")
        test_targets = np.searchsorted(known, shares.test_labels)
    return Classes(tuple(known.tolist()), np.searchsorted(known, shares.labels), test_targets)


def _show(labels: Floats) -> str:
    shown = ", ".join(f"{label:g}" for label in labels[:5]) + (", ..." if labels.size > 5 else "")
    return f"{labels.size} value{'s' if labels.size != 1 else ''}: {shown}"
