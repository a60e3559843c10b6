"""Samples dealt as a file says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from algorithms.reading.files import find, require
from netsim.errors import DataError
from netsim.interfaces import Floats, Indices
from netsim.interfaces.problems import DataFile
from netsim.registry import Examples, component


@component("partition")
@dataclass(frozen=True)
class File:
    """Line i of a text file says which node has training sample i, a number from 0; empty lines do not count.

    Parameters
    ----------
    path
        The file, beside the scenario, in the working folder or below the folder that NETSIM_DATA names.
    """

    examples: ClassVar[Examples] = ({"path": "nodes.txt"},)
    draws: ClassVar[bool] = False

    path: str

    def split(self, labels: Floats, nodes: int, rng: np.random.Generator) -> list[Indices]:
        """Return sorted rows of each node; `rng` is not used.

        Raises
        ------
        DataError
            If the file is missing, says something else, or leaves a node without samples.
        """
        path = require("file", (self._file,))
        node_of = list[int]()
        try:
            lines = path.read_text("utf-8-sig").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(f"{path}: a text file is needed. Got {error}.") from None
        for number, line in enumerate(lines, 1):
            if word := line.strip():
                if not (word.isascii() and word.isdigit() and len(word) < 10 and int(word) < nodes):
                    raise DataError(f"{path}:{number}: a node from 0 to {nodes - 1} is needed. Got {word[:40]!r}.")
                node_of.append(int(word))
        if len(node_of) != labels.size:
            raise DataError(f"{path}: a line for each of {labels.size} samples is needed. Got {len(node_of)}.")
        found = np.array(node_of)
        parts = [np.flatnonzero(found == node) for node in range(nodes)]
        empty = [node for node, part in enumerate(parts) if part.size == 0]
        if empty:
            raise DataError(f"{path}: a sample for each of {nodes} nodes is needed. Got none for node {empty[0]}.")
        return parts

    def files(self) -> Sequence[Path]:
        """Return the file."""
        path = find((self._file,))
        return [] if path is None else [path]

    @property
    def _file(self) -> DataFile:
        return DataFile(self.path, "a text file with the number of a node in each line")
