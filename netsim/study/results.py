"""What a study left, as data frames."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from netsim.errors import ConfigError
from netsim.results import summary as summaries

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Results:
    """A folder that `run` has written; frames are read when first asked for.

    Parameters
    ----------
    folder
        Where it is.
    """

    folder: Path

    @functools.cached_property
    def manifest(self) -> Mapping[str, Any]:
        """What ``manifest.json`` says."""
        manifest: Mapping[str, Any] = json.loads((self.folder / "manifest.json").read_text())
        return manifest

    @property
    def runs(self) -> Sequence[Mapping[str, Any]]:
        """One mapping per run, in order: label, algorithm, replication, point, hash, status, sentence, ..."""
        runs: Sequence[Mapping[str, Any]] = self.manifest["runs"]
        return runs

    @property
    def ok(self) -> bool:
        """True where no run failed or stalled; a target that was not reached is no failure."""
        return not any(run["status"] in ("failed", "stalled") for run in self.runs)

    @functools.cached_property
    def rounds(self) -> pd.DataFrame:
        """``rounds.parquet``."""
        return self._frame("rounds")

    @functools.cached_property
    def messages(self) -> pd.DataFrame:
        """``messages.parquet``.

        Raises
        ------
        ConfigError
            If the scenario did not record messages.
        """
        return self._frame("messages")

    @functools.cached_property
    def summary(self) -> pd.DataFrame:
        """``summary.csv``; see `netsim.results.summary.rows`."""
        import pandas as pd

        return pd.DataFrame(self.summary_rows)

    @functools.cached_property
    def summary_rows(self) -> list[summaries.Row]:
        """``summary.csv`` as one mapping per row."""
        return summaries.from_csv((self.folder / "summary.csv").read_text())

    def summary_text(self) -> str:
        """The page's answer and main table as text for a terminal."""
        from netsim import report

        return report.in_words(self.folder)

    def _frame(self, name: str) -> pd.DataFrame:
        import pandas as pd

        path = self.folder / f"{name}.parquet"
        if not path.is_file():
            raise ConfigError(f"{self.folder}: no {name} were recorded; set record.{name}: true in the scenario")
        return pd.read_parquet(path)
