"""Write docs/compressors.md and its picture: ``python -m benchmarks.codecs.page [--out FOLDER] [NAME ...]``.

Everything in it comes from the registry: docstrings, class facts, and what is measured here.
"""

from __future__ import annotations

import argparse
import inspect
import math
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from algorithms.coding.codec import Codec
from algorithms.coding.sparse import SparseCompressor
from benchmarks.codecs import picture as drawing
from benchmarks.codecs.picture import Line
from benchmarks.speed.case import medians_s
from benchmarks.speed.vectors import vector
from netsim import registry
from netsim.interfaces import Key
from netsim.scenario import yaml_lines
from netsim.tools import codec_limits

DIM, VECTORS, LAYOUT = 256, 200, ((16, 16),)
LONG, LONG_LAYOUT = 10**6, ((1000, 1000),)
# Whole numbers of entries are kept at the same share of the vector when it is long.
ENTRIES = ("k", "r", "budget")
SLOW_S = 3.0  # a codec slower than this is timed once
KEY = Key(1, 2)


@dataclass(frozen=True)
class Setting:
    """One setting of a compressor and what was measured; `problem` says why not."""

    keys: Mapping[str, Any]
    group: str
    measured: codec_limits.Measured | None
    problem: str = ""


@dataclass(frozen=True)
class Speed:
    """Seconds of encoding and decoding one long vector and of copying it; NaN where it cannot be done."""

    encode_s: float
    decode_s: float
    copy_s: float
    problem: str = ""


@dataclass(frozen=True)
class Entry:
    """All about one compressor."""

    name: str
    codec: Any
    settings: tuple[Setting, ...]
    speed: Speed


def main(argv: Sequence[str] | None = None) -> int:
    """0; a codec that cannot be measured is named in the table with the reason."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.codecs.page", description=__doc__)
    parser.add_argument("names", nargs="*", help="compressors; all without it")
    parser.add_argument("--out", type=Path, default=Path("docs"), help="folder of the page and its picture [docs]")
    arguments = parser.parse_args(argv)
    entries = []
    with threadpool_limits(limits=1):
        for name in arguments.names or registry.names("compressor"):
            start_s = time.perf_counter()
            entries.append(entry(name))
            print(f"{name} ({time.perf_counter() - start_s:.1f} s)", flush=True)
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "compressors.svg").write_text(picture(entries))
    (arguments.out / "compressors.md").write_text(page(entries))
    print(arguments.out / "compressors.md")
    return 0


# --- measuring -------------------------------------------------------------------------------------------


def entry(name: str) -> Entry:
    """Everything that is measured of one compressor."""
    found = list(codec_limits.settings(name))
    settings = tuple(measured(keys, codec) for keys, codec in found)
    keys, codec = found[0] if found else ({}, registry.build("compressor", name))
    return Entry(name, codec.bind(LAYOUT), settings, speed(name, keys))


def measured(keys: Mapping[str, Any], codec: Any) -> Setting:
    """Bits and error of one setting."""
    try:
        return Setting(keys, group(codec), codec_limits.measure(codec.bind(LAYOUT), DIM, VECTORS))
    except Exception as error:  # whatever a codec does, the others get their page
        return Setting(keys, group(codec), None, f"{type(error).__name__}: {error}")


def group(codec: Any) -> str:
    """Which panel of the picture a setting belongs to."""
    what = "some entries" if isinstance(codec, SparseCompressor) else "all entries"
    return f"{'Unbiased' if codec.is_unbiased else 'Biased'}, {what}"


def speed(name: str, keys: Mapping[str, Any]) -> Speed:
    """Processor seconds at d = 1e6, float32, normal entries."""
    x = vector("Gaussian", LONG)
    target = np.empty_like(x)
    try:
        codec = registry.build("compressor", {"name": name, **longer(keys)}).bind(LONG_LAYOUT)
        data = codec.encode_keyed(x, KEY).data
        codec.decode(data, LONG, KEY)  # compiles what there is to compile
        calls: list[Callable[[], Any]] = [
            lambda: codec.encode_keyed(x, KEY),
            lambda: codec.decode(data, LONG, KEY),
            lambda: np.copyto(target, x),
        ]
        once_s = []
        for call in calls:
            start_s = time.process_time()
            call()
            once_s.append(time.process_time() - start_s)
        encode_s, decode_s, copy_s = medians_s(calls) if sum(once_s) < SLOW_S else (*once_s[:2], *medians_s(calls[2:]))
        return Speed(encode_s, decode_s, copy_s)
    except Exception as error:
        return Speed(math.nan, math.nan, math.nan, f"{type(error).__name__}: {error}")


def longer(keys: Mapping[str, Any]) -> dict[str, Any]:
    """The same setting for a vector of 1e6 entries: numbers of entries are kept at their share of 256."""
    out: dict[str, Any] = {}
    for key, value in keys.items():
        if isinstance(value, Mapping):
            out[key] = longer(value)
        elif key in ENTRIES and isinstance(value, int | float) and not isinstance(value, bool):
            out[key] = type(value)(value * LONG / DIM)
        else:
            out[key] = value
    return out


# --- facts from docstrings ---------------------------------------------------------------------------------


def promise(codec: Any) -> str:
    """Class and constant: the first sentence of the method that states it, and its value."""
    said = ["unbiased"] if codec.is_unbiased else []
    for method in ("variance_bound", "contraction"):
        own, value = getattr(type(codec), method), getattr(codec, method)(DIM)
        if own is not getattr(Codec, method) and value is not None:
            said.append(f"{first_sentence(inspect.getdoc(own) or '')} ({digits(value)})")
    return "; ".join(said) or "no constant"


def payload(cls: Any) -> str:
    """The docstring's paragraphs with ``Payload: ...``, each with the list that follows it, in one line."""
    doc = inspect.getdoc(cls) or ""
    paragraphs = re.findall(r"(?:\A|(?<=\n\n))(?!- ).*?(?=\n\n(?!- )|\Z)", doc, re.DOTALL)
    found = [" ".join(p.split()) for p in paragraphs if re.search(r"\bPayload[:,]", p)]
    return plain(" ".join(re.sub(r"^Payload[:,] ", "", p) for p in found)) or "see there"


def paper(cls: Any) -> str:
    """The first reference, up to its year."""
    doc = inspect.getdoc(cls) or ""
    found = re.search(r"^References\n-+\n(.*?)(?=\n\n\w[^\n]*\n-+\n|\Z)", doc, re.MULTILINE | re.DOTALL)
    if not found:
        return "-"
    text = " ".join(found[1].split())
    first = re.match(r".*?\b(?:19|20)\d\d\b", text)
    return first[0] if first else first_sentence(text)


def plain(text: str) -> str:
    """Literals as Markdown writes them."""
    return text.replace("``", "`")


def first_sentence(text: str) -> str:
    """Up to the first full stop that ends a sentence, without it."""
    line = " ".join(text.partition("\n\n")[0].split())
    return plain(re.split(r"\.(?:\s|$)", line)[0])


# --- the page -------------------------------------------------------------------------------------------------

HEAD = """\
# Compressors

Made by `make codecs`; do not edit. `netsim describe NAME` says more of each, and `docs/design.md` what a payload is.

- **Class and constant**: unbiased codes have E||Q - x||² ≤ w ||x||², contractions ||Q - x||² ≤ (1 - δ) ||x||²;
  in brackets at d = {dim}, for the first setting of the table below.
- **Payload**: the exact formula of the docstring, in bits; lg n = ⌈log2 n⌉, FPP the bits of a float. Payloads end at a
  whole byte.
- **Bits, D, above**: at d = {dim}, over {vectors} vectors uniform in the unit ball, for the same setting. Bits are
  the payload's per entry, D = E||cQ - x||² / E||x||² with the best constant c. No code has D · 4^bits < 1; *above* says
  by how many bits per entry this one misses that. It is no judgement for gradients of which few entries carry the
  norm: codes that choose their entries are made for those.
- **Encode, decode**: speed at d = 1e6 as a fraction of `memcpy` of the same float32 vector, one thread; numbers of
  entries are kept at their share of the vector.
"""


def page(entries: Sequence[Entry]) -> str:
    """The whole of docs/compressors.md."""
    out = [HEAD.format(dim=DIM, vectors=VECTORS)]
    head = ("compressor", "class and constant", "payload", "paper", "bits", "D", "above", "encode", "decode")
    out.append(table(head, [summary(e) for e in entries]))
    out.append(
        "\n## Bits against error\n\n![Bits an entry against error, and the bound](compressors.svg)\n\n"
        "Both axes are logarithmic in bits: an error stands at the bits that the bound asks for it, so that the bound\n"
        "is straight, and how far to the right of it a code is, is the factor of bits that it spends beyond. Lines\n"
        "join the settings of a compressor that no other of its settings beats; one with biased and unbiased settings\n"
        "stands in two panels.\n"
    )
    out.append("## All settings\n\n" + SETTINGS)
    head = ("setting", "bits", "D of Q", "D of cQ", "D 4^bits", "above", "entropy", "promise", "most", "least")
    out.append(table(head, [row for e in entries for row in details(e)]))
    problems = [f"- `{e.name}`: {e.speed.problem}" for e in entries if e.speed.problem]
    if problems:
        out.append("\nNot timed:\n\n" + "\n".join(problems))
    return "\n".join(out).rstrip() + "\n"


SETTINGS = """\
Bits per entry, as above. *entropy*: order-0 entropy of the payloads' bytes, what an ideal coder would need that takes
the bytes one by one: less than *bits* shows slack in the format, as much says nothing about better models.
*promise*: the worst-case error that the code states, 1 - δ or w/(1 + w). *most*: the longest payload. *least*: no code
that keeps the promise is shorter (caps that cover the sphere, for contractions; the average bound, for unbiased codes).
"""


def summary(e: Entry) -> list[str]:
    """One row of the first table."""
    cls: Any = registry.get("compressor", e.name)
    first = e.settings[0].measured if e.settings else None
    numbers = ("-",) * 3
    if first is not None:
        numbers = (bits(first.payload_bit, first), digits(first.best_error), bits(first.above_bit, first))
    fractions = [share(e.speed.copy_s, s) for s in (e.speed.encode_s, e.speed.decode_s)]
    return [f"`{e.name}`", promise(e.codec), payload(cls), paper(cls), *numbers, *fractions]


def details(e: Entry) -> Iterator[list[str]]:
    """The rows of the second table."""
    for one in e.settings:
        name = f"`{yaml_lines.write_line({'name': e.name, **one.keys})}`"
        found = one.measured
        if found is None:
            yield [name, one.problem, *("-",) * 8]
            continue
        errors = [digits(v) for v in (found.error, found.best_error, found.excess)]
        promised = "-" if found.promise is None else digits(found.promise)
        counts = [bits(b, found) for b in (found.above_bit, found.entropy_bit, found.most_bit, found.least_bit)]
        yield [name, bits(found.payload_bit, found), *errors, *counts[:2], promised, *counts[2:]]


def bits(value: float | None, found: codec_limits.Measured) -> str:
    """Bits per entry."""
    return "-" if value is None else f"{value / found.dim:.3f}"


def digits(value: float) -> str:
    """Three significant digits."""
    return f"{float(f'{value:.3g}'):g}"


def share(copy_s: float, seconds: float) -> str:
    """A speed as a fraction of that of a copy."""
    return "-" if math.isnan(seconds) else f"{float(f'{copy_s / seconds:.2g}'):g}"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown; bars within cells are escaped."""
    lines = [
        head,
        ["---"] * 1 + [("---:" if is_number(column) else "---") for column in list(zip(*rows, strict=True))[1:]],
    ]
    text = [" | ".join(cell.replace("|", "\\|") for cell in row) for row in (*lines, *rows)]
    return "\n".join(f"| {line} |" for line in text) + "\n"


def is_number(column: Sequence[str]) -> bool:
    """Whether a column is numbers, but for what is missing."""
    return all(cell == "-" or cell[:1].isdigit() or cell[:1] == "-" for cell in column)


def picture(entries: Sequence[Entry]) -> str:
    """Bits against error of every setting, as SVG."""
    lines = []
    for e in entries:
        for name in sorted({s.group for s in e.settings}):
            mine = [s.measured for s in e.settings if s.group == name and s.measured is not None]
            lines.append(Line(e.name, name, tuple(sorted((m.payload_bit / m.dim, m.best_error) for m in mine))))
    return drawing.draw(lines, DIM)
