"""Datasets of openml.org by their number."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from algorithms.reading.one_file import OneFile
from algorithms.reading.tables import to_data
from netsim import files as files_module
from netsim.errors import DataError
from netsim.fields import PositiveInt
from netsim.files import data_folder
from netsim.interfaces import Data
from netsim.interfaces.problems import DataFile
from netsim.registry import Examples, component


@component("dataset")
@dataclass(frozen=True)
class Openml(OneFile):
    """A table of openml.org, fetched once and kept as ``openml/ID.parquet`` below the data folder.

    It is read as a table of ``csv`` is: numbers as they are, texts one-hot. Columns with missing values are refused.

    Parameters
    ----------
    id
        The number in the address of its page, such as 61 for iris.
    target
        The column to predict; nothing: the one that OpenML names, which is kept as the last column.
    ignore
        Columns to leave out.
    """

    examples: ClassVar[Examples] = ({"id": 61},)

    id: PositiveInt
    target: str | None = None
    ignore: tuple[str, ...] = ()

    def read(self, rng: np.random.Generator) -> Data:
        """Read the table, fetched first where it is not here; `rng` is not used."""
        import pandas as pd

        path = self.found()
        frame = self._fetch() if path is None else pd.read_parquet(path)
        return to_data(frame, f"openml {self.id}", self.target, None, self.ignore, line_of=int)

    def wants(self) -> tuple[DataFile, ...]:
        """Return the table as it is kept."""
        return (DataFile(f"openml/{self.id}.parquet", f"data set {self.id} of openml.org, fetched when first used"),)

    def _fetch(self) -> Any:
        from http.client import HTTPException

        from sklearn.datasets import fetch_openml

        try:
            bunch = fetch_openml(data_id=self.id, as_frame=True, parser="auto", cache=False)
        except (OSError, HTTPException, ValueError) as error:
            text = " ".join(str(getattr(error, "reason", None) or error).split()).rstrip(".")
            allowed = f"data set {self.id} of openml.org, or {self.wants()[0].path} in the data folder, is needed"
            raise DataError(f"openml: {allowed}. Got: {text}.") from None
        frame = bunch.frame
        if bunch.target_names:
            own = list(bunch.target_names)
            frame = frame[[column for column in frame.columns if column not in own] + own]
        folder = data_folder(None)
        if folder is not None:
            path = folder / self.wants()[0].path
            path.parent.mkdir(parents=True, exist_ok=True)
            with files_module.aside(path) as aside:
                frame.to_parquet(aside)
        return frame
