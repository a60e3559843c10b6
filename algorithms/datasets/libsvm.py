"""Files in LIBSVM's text format: a9a, rcv1, url and many more."""

from __future__ import annotations

import lzma
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from algorithms.reading.files import opened, require
from algorithms.reading.libsvm_text import Block, parse_block
from algorithms.reading.one_file import OwnFile
from netsim import memory
from netsim.errors import DataError
from netsim.fields import PositiveInt
from netsim.interfaces import Data
from netsim.registry import Examples, component

_BLOCK_BYTES = 8 << 20


@component("dataset")
@dataclass(frozen=True)
class Libsvm(OwnFile):
    """A LIBSVM file: a line per sample, ``label index:value index:value ...``, as CSR without a bias column.

    Indices count from 1 and rise within a line; what follows a ``#`` is a comment. Two classes, such as 0 and 1 or
    1 and 2, become -1 (the smaller) and 1; three or more stay as they are, and `positive_class` sets
    one of them against the rest.

    Parameters
    ----------
    path
        The file, from the working folder or below the folder that NETSIM_DATA names; ``.xz``, ``.gz`` and ``.bz2``
        are unpacked while reading.
    num_features
        d; by default the largest index of the file.

    References
    ----------
    Chang, Lin, "LIBSVM: a library for support vector machines", ACM TIST 2011; https://www.csie.ntu.edu.tw/~cjlin/libsvmtools/datasets/
    """

    note: ClassVar[str] = "a file in LIBSVM's text format"
    examples: ClassVar[Examples] = (
        {"path": "a9a/a9a.xz", "num_features": 123},
        {"path": "a9a/a9a.xz", "test_fraction": 0.25, "subsample": 20},
    )

    num_features: PositiveInt | None = None

    def read(self, rng: np.random.Generator) -> Data:
        """Read the file; `rng` is not used.

        Raises
        ------
        DataError
            If the file is missing or damaged, or a line is not as above, with the line's number.
        """
        import scipy.sparse as sp

        path = require("libsvm", self.wants())
        blocks = list(self._blocks(path))
        if not any(block.labels.size for block in blocks):
            raise DataError(f"{path}: at least one line 'label index:value ...' is needed. Got none.")
        labels, lengths, indices, values = map(np.concatenate, zip(*blocks, strict=True))
        width = self.num_features or int(indices.max(initial=-1)) + 1
        if width == 0:
            raise DataError(f"{path}: at least one 'index:value' is needed. Got none in {labels.size} lines.")
        memory.require(16.0 * width, f"{path}: a model and a gradient of d = {width} numbers")
        starts = np.concatenate([[0], np.cumsum(lengths)])
        starts = starts.astype(np.int32 if starts[-1] < 2**31 else np.int64)
        features = sp.csr_array((values, indices, starts), shape=(labels.size, width))
        return Data(features, labels, path.name)

    def _blocks(self, path: Path) -> Iterator[Block]:
        line, rest = 1, b""
        try:
            with opened(path) as stream:
                while text := stream.read(_BLOCK_BYTES):
                    whole, newline, rest = (rest + text).rpartition(b"\n")
                    if newline:
                        yield parse_block(whole, path, line, self.num_features)
                        line += whole.count(b"\n") + 1
            if rest:
                yield parse_block(rest, path, line, self.num_features)
        except (lzma.LZMAError, zlib.error, EOFError, OSError) as error:
            raise DataError(f"{path}: a readable {path.suffix or 'text'} file is needed. Got {error}.") from None
