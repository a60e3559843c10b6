"""Parquet files of your own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from algorithms.reading.files import find, require
from algorithms.reading.selection import Selection
from algorithms.reading.tables import to_data
from netsim.errors import DataError
from netsim.interfaces import Data
from netsim.interfaces.problems import DataFile
from netsim.registry import Examples, component


@component("dataset")
@dataclass(frozen=True)
class Parquet(Selection):
    """A Parquet table: numbers as they are, texts one-hot, one column as the target.

    It is read as a table of ``csv`` is, with row numbers (from 0) in place of lines.

    Parameters
    ----------
    path
        The file, beside the scenario, in the working folder or below the folder that NETSIM_DATA names.
    target
        The column to predict; nothing: the last one.
    node_column
        The column that names the node of a sample, for ``partition: natural``; it is no feature.
    ignore
        Columns to leave out, such as identifiers.
    classes, positive_class, test_fraction, subsample, normalise, bias
        Shared by all datasets: see below.
    """

    kind: ClassVar[str]
    name: ClassVar[str]
    examples: ClassVar[Examples] = ({"path": "own.parquet", "target": "species", "bias": True},)

    path: str
    target: str | None = None
    node_column: str | None = None
    ignore: tuple[str, ...] = ()

    def read(self, rng: np.random.Generator) -> Data:
        """Read the file; `rng` is not used."""
        import pandas as pd

        path = require("parquet", self.wants())
        try:
            frame = pd.read_parquet(path)
        except (ValueError, OSError) as error:
            text = " ".join(str(error).split()).rstrip(".")
            raise DataError(f"{path}: a whole Parquet file is needed. Got: {text}.") from None
        return to_data(frame, str(path), self.target, self.node_column, self.ignore, first_line=0)

    def wants(self) -> tuple[DataFile, ...]:
        """Return the file of `path`."""
        return (DataFile(self.path, "a Parquet file"),)

    def found(self) -> Path | None:
        """Return the file that `read` reads."""
        return find(self.wants())

    def files(self) -> Sequence[Path]:
        """Return that file."""
        return [path for path in (self.found(),) if path is not None]
