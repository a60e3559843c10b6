"""Comma-separated files of your own."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from algorithms.reading.files import has_tiny, opened, require
from algorithms.reading.one_file import Table
from algorithms.reading.tables import check_tiny, is_number, to_data
from netsim import cells
from netsim.errors import DataError
from netsim.interfaces import Data
from netsim.registry import Examples, component


@component("dataset")
@dataclass(frozen=True)
class Csv(Table):
    """A CSV file with a line of column names: numbers as they are, texts one-hot, one column as the target.

    Values that are missing are refused with line and column. A target of texts is one of classes, in the order of their
    names; whole numbers may be classes or numbers, as the problem takes them.

    Parameters
    ----------
    path
        The file, beside the scenario, in the working folder or below the folder that NETSIM_DATA names; ``.gz``,
        ``.bz2`` and ``.xz`` are unpacked while reading.
    separator
        Between values.
    """

    note: ClassVar[str] = "a CSV file with a line of column names"
    examples: ClassVar[Examples] = (
        {"path": "own.csv", "target": "species"},
        {"path": "own.csv", "target": "species", "node_column": "site", "test_fraction": 0.25, "normalise": "standard"},
    )

    separator: str = ","

    def read(self, rng: np.random.Generator) -> Data:
        """Read the file; `rng` is not used."""
        import pandas as pd

        path = require("csv", self.wants())
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error", pd.errors.ParserWarning)  # cells that would be dropped
                head = pd.read_csv(path, sep=self.separator, header=None, nrows=1, dtype=str, keep_default_na=False)
                columns = [str(name).strip() for name in head.iloc[0]]
                cells.check_header(str(path), 1, columns, self.separator)
                if all(map(is_number, columns)):
                    raise cells.CellError(f"{path}:1", "a first line with the columns' names", "numbers alone")
                keys: dict[str, Any] = {"sep": self.separator, "index_col": False, "skipinitialspace": True}
                frame = pd.read_csv(path, low_memory=False, **keys)
                with opened(path) as stream:
                    is_suspect = any(map(has_tiny, stream))
                if is_suspect:
                    check_tiny(pd.read_csv(path, dtype=str, keep_default_na=False, **keys), str(path), self._line)
        except DataError:
            raise
        except cells.CellError as error:
            raise DataError(f"{error}.") from None
        except pd.errors.ParserWarning:
            allowed = "as many cells in each line as in the first, and a decimal point in numbers"
            raise DataError(f"{path}:2: {allowed}. Got more.") from None
        except (ValueError, EOFError, OSError) as error:
            text = " ".join(str(error).replace("Error tokenizing data. C error: ", "").split()).rstrip(".")
            raise DataError(f"{path}: lines with as many values as the first are needed. Got: {text}.") from None
        return to_data(frame, str(path), self.target, self.node_column, self.ignore, self._line)

    def _line(self, row: int) -> int:
        """Return the line on which a row of values begins; blank lines hold none, a quoted cell may hold several."""
        begins, is_inside = list[int](), False
        with opened(require("csv", self.wants())) as lines:
            for number, line in enumerate(lines, 1):
                if not is_inside and line.strip(b" \r\n"):
                    begins.append(number)
                is_inside ^= line.count(b'"') % 2 == 1
        return begins[row + 1] if row + 1 < len(begins) else row + 2  # lines that end in a carriage return alone
