"""The recorded messages of one run, written to disk as they end."""

from __future__ import annotations

from typing import IO, Any

import numpy as np
import pyarrow as pa

from netsim.arrow import BATCH_ROWS, table, writer
from netsim.files import Temporary

COLUMNS: dict[str, type] = {
    "round": np.int64, "src": np.int64, "dst": np.int64, "kind": str, "paper_bit": np.float64,
    "index_bit": np.float64, "value_bit": np.float64, "payload_bytes": np.int64, "wire_bytes": np.int64,
    "packets": np.int64, "attempts": np.int64, "sent_s": np.float64, "delivered_s": np.float64,
    "airtime_s": np.float64, "ok": np.bool_,
}  # fmt: skip


class MessageRows:
    """A row for each end of a message, in an arrow file without a name that vanishes with the process.

    At most `BATCH_ROWS` rows are in memory.

    Attributes
    ----------
    waiting : rows that are not in the file yet.
    """

    def __init__(self) -> None:
        self.waiting: list[tuple[Any, ...]] = []
        self._file = Temporary()
        self._writer: pa.RecordBatchFileWriter | None = None

    def add(self, row: tuple[Any, ...]) -> None:
        """Add a row, in the order of `COLUMNS`."""
        self.waiting.append(row)
        if len(self.waiting) == BATCH_ROWS:
            self._write()

    def file(self) -> IO[bytes]:
        """Return the file with all rows, after which none may be added."""
        if self.waiting or self._writer is None:
            self._write()
        if self._writer is not None:
            self._writer.close()
        return self._file

    def _write(self) -> None:
        fields = zip(*self.waiting, strict=True) if self.waiting else ((),) * len(COLUMNS)
        named = zip(COLUMNS.items(), fields, strict=True)
        rows = table({name: of if kind is str else np.array(of, kind) for (name, kind), of in named})
        if self._writer is None:
            self._writer = writer(self._file, rows.schema)
        self._writer.write_table(rows)
        self.waiting.clear()
