"""The templates of the page: files beside this one, in which every text is escaped."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from netsim.report.words import listing, plain
from netsim.text import count

if TYPE_CHECKING:
    from jinja2 import Environment

# Control characters, lone surrogates, and the marks that turn the direction of what follows.
_UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")


@dataclass(frozen=True)
class Cell:
    """A cell of a table: a text, smaller lines below it, and its kind: ``bold``, ``best``, or '' for neither."""

    text: str
    small: Sequence[str] = ()
    kind: str = ""


@dataclass(frozen=True)
class Heading:
    """A row that heads the rows below it: bold words, and others behind them."""

    bold: str
    rest: str = ""


@dataclass(frozen=True)
class Group:
    """Drawings side by side: their heading, the legend's swatches and names, and a note."""

    heading: str
    figures: Sequence[Markup]
    legend: Sequence[tuple[Markup, str]]
    note: str = ""


def render(template: str, **values: Any) -> Markup:
    """Return a file of ``templates`` filled in; characters that no page can show become U+FFFD.

    Texts among the values are escaped, what a template returned is not.
    """
    return Markup(_UNPRINTABLE.sub("\ufffd", _environment().get_template(template).render(values)))


@cache
def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).with_name("templates")), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters |= {
        "listing": listing, "plain": plain, "count": count, "line": lambda text: " ".join(str(text or "").split()),
        "capital": lambda text: text[:1].upper() + text[1:], "n": lambda number: f"{round(number, 1):g}",
    }  # fmt: skip
    environment.globals["OPEN"] = 4  # as many points stand open, the others on demand
    return environment
