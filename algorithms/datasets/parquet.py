"""Parquet files of your own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from algorithms.reading.files import require
from algorithms.reading.one_file import Table
from algorithms.reading.tables import to_data
from netsim.errors import DataError
from netsim.interfaces import Data
from netsim.registry import Examples, component


@component("dataset")
@dataclass(frozen=True)
class Parquet(Table):
    """A Parquet table: numbers as they are, texts one-hot, one column as the target.

    It is read as a table of ``csv`` is, with row numbers (from 0) in place of lines.
    """

    note: ClassVar[str] = "a Parquet file"
    examples: ClassVar[Examples] = ({"path": "own.parquet", "target": "species", "bias": True},)

    def read(self, rng: np.random.Generator) -> Data:
        """Read the file; `rng` is not used."""
        import pandas as pd

        path = require("parquet", self.wants())
        try:
            frame = pd.read_parquet(path)
        except (ValueError, OSError) as error:
            text = " ".join(str(error).split()).rstrip(".")
            raise DataError(f"{path}: a whole Parquet file is needed. Got: {text}.") from None
        return to_data(frame, str(path), self.target, self.node_column, self.ignore, line_of=int)
