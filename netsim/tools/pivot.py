"""``netsim table``: the summary of a sweep as a table of swept keys, for a terminal, CSV, Markdown or LaTeX."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from netsim import files, text
from netsim.errors import ConfigError, DataError, nearest_hint
from netsim.report.words import listing
from netsim.results import summary
from netsim.scenario import sweep
from netsim.scenario.parts import rises
from netsim.units import unit_of

if TYPE_CHECKING:
    import pandas as pd

KEYS = ("label", "algorithm", "point", "target")
FORMS = ("terminal", "csv", "markdown", "latex")
ENDINGS = {".csv": "csv", ".md": "markdown", ".tex": "latex"}
SIGNS = {"byte": "B"}
OWN_UNITS = {"j_per_bit": "J/bit"}
LATEX = str.maketrans(
    {c: f"\\{c}" for c in "&%$#_{}"} | {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\^{}"}
)


@dataclass(frozen=True)
class Pivot:
    """A table whose cells are numbers.

    Parameters
    ----------
    heads
        A text for each column of cells, and the same with plain numbers.
    rows
        The row keys' values in each row.
    cells
        A number, NaN where there is none, for each row and column of cells.
    show
        The text of a cell, by column.
    """

    title: str
    keys: list[str]
    heads: list[tuple[str, str]]
    rows: list[list[Any]]
    cells: list[list[float]]
    show: list[Callable[[float], str]]

    @property
    def header(self) -> list[str]:
        """Texts above all columns."""
        return [*self.keys, *(told for told, _ in self.heads)]

    @property
    def texts(self) -> list[list[str]]:
        """Rows with their cells as people read them."""
        told = [[show(cell) for show, cell in zip(self.show, line, strict=True)] for line in self.cells]
        rows = [[_shown(key, cell) for key, cell in zip(self.keys, row, strict=True)] for row in self.rows]
        return [[*row, *cells] for row, cells in zip(rows, told, strict=True)]


def command(
    folder: str, rows: str, columns: str | None, values: str, where: Sequence[str], form: str | None, out: str | None
) -> str:
    """Pivot a folder's summary; write the table to `out`, or return it.

    Raises
    ------
    ConfigError
        If a key, value or format is unknown, or several rows of the summary would share a cell.
    DataError
        If there is no summary.
    """
    made = form or ENDINGS.get(Path(out or "").suffix, "terminal")
    if made not in FORMS:
        raise ConfigError(f"--format: one of {', '.join(FORMS)}. Got {made!r}{nearest_hint(made, FORMS)}")
    files.check_out("--out", out)
    frame, swept = read(Path(folder))
    frame = chosen(frame, where, swept)
    lines = [_key(name, swept) for name in _split(rows)]
    across = [_key(name, swept) for name in _split(columns or "")] or [key for key in swept if key not in lines]
    table = pivot(frame, lines, across, [_value(name, frame) for name in _split(values)], swept)
    told = {"terminal": to_terminal, "csv": to_csv, "markdown": to_markdown, "latex": to_latex}[made](table)
    if out is None or files.is_stdout(out):
        return told
    files.write(Path(out), told)
    return out


def read(folder: Path) -> tuple[pd.DataFrame, list[str]]:
    """Read the summary of a folder, and its swept keys."""
    import pandas as pd

    path = folder / "summary.csv"
    if not path.is_file():
        raise DataError(f"{folder}: a folder that netsim run wrote is needed. There is no summary.csv")
    rows = summary.from_csv(path.read_text("utf-8"))
    return pd.DataFrame(rows), summary.swept_keys(rows)


def chosen(frame: pd.DataFrame, where: Sequence[str], swept: Sequence[str]) -> pd.DataFrame:
    """Return the rows in which every KEY=VALUE holds."""
    for condition in where:
        name, sign, value = condition.partition("=")
        if not sign:
            raise ConfigError(f"--where: KEY=VALUE is needed. Got {condition!r}")
        key = _key(name, swept)
        told = frame[key].map(lambda cell, key=key: {str(cell), _shown(key, cell), f"{cell:g}" if _is(cell) else ""})
        kept = frame.loc[[value in texts for texts in told]]
        if kept.empty:
            known = list(dict.fromkeys(_shown(key, cell) for cell in frame[key]))
            raise ConfigError(f"--where {key}: one of {', '.join(known)}. Got {value!r}{nearest_hint(value, known)}")
        frame = kept
    return frame


def pivot(
    frame: pd.DataFrame, rows: Sequence[str], columns: Sequence[str], values: Sequence[str], swept: Sequence[str]
) -> Pivot:
    """Spread a summary over rows and columns, both in the order in which their values come."""
    import pandas as pd

    keys = [*rows, *columns]
    both = [key for key in columns if key in rows]
    if both:
        raise ConfigError(f"--columns: keys that are no rows. Got {both[0]!r} in both")
    twice = frame[frame.duplicated(keys, keep=False)]
    if not twice.empty:
        first = twice[(twice[keys] == twice[keys].iloc[0]).all(axis=1)]
        free = [key for key in ("label", "target", *swept) if key not in keys]
        differ = [key for key in free if first[key].nunique() > 1]
        hint = (
            f"name {' and '.join(differ)} in --rows or --columns, or choose with --where" if differ else "rows repeat"
        )
        raise ConfigError(f"table: {len(first)} rows of the summary share a cell; {hint}")
    ordered = frame.assign(
        **{key: pd.Categorical(frame[key], list(dict.fromkeys(frame[key])), ordered=True) for key in keys}
    )
    if columns:
        wide = ordered.pivot(index=list(rows), columns=list(columns), values=list(values))
    else:
        wide = ordered.set_index(list(rows))[list(values)].sort_index()
    names = dict(zip(swept, sweep.short_names([sweep.split(key) or (key,) for key in swept]), strict=True))
    heads = []
    found: Sequence[Any] = wide.columns.tolist()
    spread = [column if isinstance(column, tuple) else (column,) for column in found]
    for value, *cells in spread:
        lead = [value] if len(values) > 1 or not cells else []
        shown = [_shown(key, cell) for key, cell in zip(columns, cells, strict=True)]
        heads.append((", ".join([*lead, *shown]), ", ".join([*lead, *map(str, cells)])))
    what = f"{listing(values)} by {listing([names.get(key, key) for key in keys])}"
    goals = zip(frame["target"], frame["target_value"], strict=True)
    targets = {f"{metric} {'>=' if rises(metric) else '<='} {goal:g}" for metric, goal in goals if metric}
    to = f", to {targets.pop()}" if len(targets) == 1 else ""
    return Pivot(
        f"{what}{to}",
        [names.get(key, key) for key in rows],
        heads,
        [list(item) if isinstance(item, tuple) else [item] for item in wide.index],
        wide.astype(float).to_numpy().tolist(),
        [_writer(column[0]) for column in spread],
    )


def to_terminal(table: Pivot) -> str:
    """Return aligned columns under a title."""
    return f"{table.title}\n{text.table(table.header, table.texts)}\n"


def to_csv(table: Pivot) -> str:
    """Return one line of names, then numbers at full precision; an empty cell where there is none."""
    rows = zip(table.rows, table.cells, strict=True)
    lines = ([*row, *("" if math.isnan(cell) else cell for cell in cells)] for row, cells in rows)
    return text.to_csv([[*table.keys, *(plain for _, plain in table.heads)], *lines])


def to_markdown(table: Pivot) -> str:
    """Return a pipe table under its title."""
    ways = ["---"] * len(table.keys) + ["---:"] * len(table.heads)
    lines = [[cell.replace("|", "\\|") for cell in line] for line in (table.header, ways, *table.texts)]
    return f"{table.title}\n\n" + "".join(f"| {' | '.join(line)} |\n" for line in lines)


def to_latex(table: Pivot) -> str:
    """Return a tabular that needs no package."""
    ways = "l" * len(table.keys) + "r" * len(table.heads)
    head, *lines = (
        f"{' & '.join(cell.translate(LATEX) for cell in line)} \\\\" for line in (table.header, *table.texts)
    )
    body = "\n".join([f"\\begin{{tabular}}{{{ways}}}", "\\hline", head, "\\hline", *lines, "\\hline"])
    return f"% {table.title}\n{body}\n\\end{{tabular}}\n"


def _key(name: str, swept: Sequence[str]) -> str:
    """Return the column that a key names, by its whole path or by an end that is unique."""
    if name in (*KEYS, *swept):
        return name
    ends = [key for key in swept if key.endswith(f".{name}")]
    if len(ends) == 1:
        return ends[0]
    known = (*KEYS, *swept)
    raise ConfigError(f"table: a key is one of {', '.join(known)}. Got {name!r}{nearest_hint(name, known)}")


def _value(name: str, frame: pd.DataFrame) -> str:
    numbers = [str(column) for column in frame.columns if frame[column].dtype.kind in "if"]
    for column in (name, f"{name}_mean"):
        if column in numbers:
            return column
    stems = [column.removesuffix("_mean") for column in numbers if not column.endswith(("_low", "_high"))]
    kept = [stem for stem in stems if not stem.startswith("ratio_")]
    hint = nearest_hint(name, stems) or f". Nearest: {', '.join(kept[:6])}, ..."
    raise ConfigError(f"--values: numeric columns of summary.csv. Got {name!r}{hint}")


def _shown(key: str, cell: Any) -> str:
    if not _is(cell):
        return str(cell)
    unit = unit_of(key.rpartition(".")[2])
    return text.quantity(float(cell), SIGNS.get(unit, unit)) if unit else f"{cell:g}"


def _is(cell: Any) -> bool:
    return isinstance(cell, int | float) and not isinstance(cell, bool)


def _writer(column: str) -> Callable[[float], str]:
    stem = next((column.removesuffix(f"_{end}") for end in summary.ENDS if column.endswith(f"_{end}")), column)
    unit = OWN_UNITS.get(stem) or (None if stem.startswith("ratio_") else unit_of(stem))
    if unit == "s":
        return text.seconds
    if unit is None:
        return lambda cell: text.short(cell) if abs(cell) < 1.0 else text.quantity(cell, "")
    return lambda cell: text.quantity(cell, SIGNS.get(unit, unit))


def _split(names: str) -> list[str]:
    return [name.strip() for name in names.split(",") if name.strip()]
