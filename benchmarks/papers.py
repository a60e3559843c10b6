"""What came of the bundled papers and studies, one section each: ``python -m benchmarks.papers`` writes docs/papers.md.

Questions, sources and findings are those of the scenarios' own files; a claim's verdict is on a study's page.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from pathlib import Path

from netsim import files
from netsim.scenario import bundled, load

DOCS = Path(__file__).parents[1] / "docs" / "papers.md"


def sections() -> Iterator[str]:
    """Yield the page, paragraph by paragraph."""
    yield "# What was asked, and what was found"
    yield (
        "Written by `python -m benchmarks.papers` from the scenarios' own files. `netsim run NAME` repeats one; its "
        "page sets each claim of the source beside ours, with a verdict."
    )
    for name in bundled():
        scenario = load(name)
        if scenario.finding:
            yield f"## {name}"
            yield scenario.question
            if scenario.source:
                yield f"Source: {scenario.source.rstrip('.')}."
            claims = len(scenario.claims)
            counted = f" ({claims} claim{'' if claims == 1 else 's'} on its page)" if claims else ""
            yield f"Found{counted}: {scenario.finding}"


def page() -> str:
    """Return the page."""
    wrapped = (textwrap.fill(text, 120, break_long_words=False, break_on_hyphens=False) for text in sections())
    return "\n\n".join(wrapped) + "\n"


if __name__ == "__main__":
    files.write(DOCS, page())
