"""The few pieces of HTML that every section is made of. Texts come in escaped or as HTML, as each says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from netsim.report import svg
from netsim.report.words import escape


@dataclass(frozen=True)
class Section:
    """A part of the page: its id, its name in the list of sections, its heading and its HTML; '' leaves it out."""

    key: str
    name: str
    title: str
    body: str

    def show(self) -> str:
        """Return the section as HTML."""
        return f'<section id="{self.key}"><h2>{escape(self.title)}</h2>{self.body}</section>' if self.body else ""


def paragraph(html: str, kind: str = "") -> str:
    """Return a paragraph of HTML, with a class where given."""
    return f'<p class="{kind}">{html}</p>' if kind else f"<p>{html}</p>"


def table(caption: str, header: Sequence[str], rows: Sequence[Sequence[str] | str], kind: str = "") -> str:
    """Return a table that scrolls inside its own box; the first cell of each row heads it.

    Parameters
    ----------
    caption
        Plain text.
    header
        Column headings, HTML.
    rows
        Cells, HTML; a cell that begins with ``<td`` is taken as it is, and a text alone heads the rows below it.
    kind
        A class.
    """
    top = "".join(f'<th scope="col">{cell}</th>' for cell in header)
    lines = "".join(_row(row, len(header)) for row in rows)
    return (
        f'<div class="wide" role="region" tabindex="0" aria-label="{escape(caption)}"><table class="{kind}">'
        f"<caption><span>{escape(caption)}</span></caption><thead><tr>{top}</tr></thead><tbody>{lines}</tbody></table></div>"
    )


def figure(drawing: str, below: str = "") -> str:
    """Return a drawing and the HTML under it."""
    return f"<figure>{drawing}{f'<figcaption>{below}</figcaption>' if below else ''}</figure>"


def group(heading: str, legend: str, figures: Sequence[str], note: str = "") -> str:
    """Return drawings side by side under one heading (plain text) with one legend and a note (HTML)."""
    head = f"<h3>{escape(heading)}</h3>" if heading else ""
    after = paragraph(note, "note") if note else ""
    return f'<div class="group">{head}{legend}<div class="figures">{"".join(figures)}</div>{after}</div>'


def legend(entries: Sequence[tuple[str, str]]) -> str:
    """Return swatches (HTML) with their names (plain text)."""
    items = "".join(f'<li data-s="{escape(name)}">{mark}<span>{escape(name)}</span></li>' for mark, name in entries)
    return f'<ul class="legend">{items}</ul>'


def line_legend(labels: Sequence[tuple[int | None, str]], is_marked: bool = True) -> str:
    """Return the legend of curves: style and name of each."""
    return legend([(svg.swatch(style, is_marked), name) for style, name in labels])


def details(summary: str, body: str) -> str:
    """Return a block that opens on demand, and in print; `summary` is plain text."""
    return f"<details><summary>{escape(summary)}</summary>{body}</details>"


def _row(row: Sequence[str] | str, width: int) -> str:
    if isinstance(row, str):
        return f'<tr class="over-rows"><th scope="rowgroup" colspan="{width}"><span>{row}</span></th></tr>'
    cells = (cell if cell.startswith("<td") else f"<td>{cell}</td>" for cell in row[1:])
    return f'<tr><th scope="row">{row[0]}</th>{"".join(cells)}</tr>'
