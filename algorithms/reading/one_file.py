"""Datasets that are one file."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from algorithms.reading.files import find
from algorithms.reading.selection import Selection
from netsim.interfaces.problems import DataFile


class OneFile(Selection):
    """A dataset that is read from one file."""

    @abstractmethod
    def wants(self) -> tuple[DataFile, ...]:
        """Return the file."""

    def found(self) -> Path | None:
        """Return the file where it is there."""
        return find(self.wants())

    def files(self) -> Sequence[Path]:
        """Return that file."""
        return [path for path in (self.found(),) if path is not None]


@dataclass(frozen=True)
class OwnFile(OneFile):
    """A dataset that is read from a file of the user's.

    Parameters
    ----------
    path
        The file, beside the scenario, in the working folder or below the folder that NETSIM_DATA names.
    """

    note: ClassVar[str]  # what the file is

    path: str

    def wants(self) -> tuple[DataFile, ...]:
        """Return the file of `path`."""
        return (DataFile(self.path, self.note),)


@dataclass(frozen=True)
class Table(OwnFile):
    """A table of which one column is the target.

    Parameters
    ----------
    target
        The column to predict; nothing: the last one.
    node_column
        The column that names the node of a sample, for ``partition: natural``; it is no feature.
    ignore
        Columns to leave out, such as identifiers.
    """

    target: str | None = None
    node_column: str | None = None
    ignore: tuple[str, ...] = ()
