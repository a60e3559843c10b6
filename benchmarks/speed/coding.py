"""Positions of kept entries as Golomb-Rice gaps: their bits against the entropy, their time against the selection."""

from __future__ import annotations

from collections.abc import Iterator

from algorithms.coding.bits import BitReader, BitWriter
from algorithms.coding.indices import read_indices, write_indices
from algorithms.coding.select import top_k
from benchmarks.speed.case import Call, Case, Rival
from benchmarks.speed.vectors import KINDS, short, vector
from netsim.interfaces import Indices

WORK = "index coding"
MOST_BIT = 8.2
NOTES = (
    "1 % of the entries kept: at most 8.2 bits an index, where the entropy of such a set is 8.079; a tenth of the",
    "selection's speed or more",
)


def cases(small: bool = False) -> Iterator[Case]:
    """Four sizes, three kinds of data; targets from a million entries on."""
    for size in (20_000,) if small else (10**4, 10**5, 10**6, 10**7):
        for kind in KINDS:
            x = vector(kind, size)
            yield _case(f"{short(size)} {kind}", top_k(x, size // 100), size, lambda x=x: top_k(x, x.size // 100))


def _case(setting: str, indices: Indices, dim: int, select: Call) -> Case:
    target = 0.1 if dim >= 10**6 else None

    def write() -> bytes:
        out = BitWriter()
        write_indices(out, indices, dim, "rice")
        return out.getvalue()

    def read(data: bytes) -> Indices:
        return read_indices(BitReader(data), indices.size, dim, "rice")

    def agrees(data: bytes, _: object) -> bool:
        """They come back, and are short; small sets are shorter or longer by chance."""
        within = 8 * len(data) <= (MOST_BIT if dim >= 10**6 else 1.1 * MOST_BIT) * indices.size
        return within and bool((read(data) == indices).all())

    data = write()
    bit = 8 * len(data) / indices.size
    rivals = (
        Rival("the selection", select, target, agrees),
        Rival("decoding", lambda: read(data), None, None),
    )
    return Case(f"{setting}, {bit:.2f} bit", write, rivals)
