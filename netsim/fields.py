"""From plain data (YAML, Python mappings) to frozen dataclasses and back, by their type hints.

One mechanism serves components and the scenario itself: it collects every fault with its path, converts
quantities with units, builds components inside components, and writes the JSON Schema from the same hints.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated


@dataclass(frozen=True, slots=True)
class Range:
    """Bounds of a number, for ``Annotated[float, Range(gt=0)]``."""

    gt: float | None = None
    ge: float | None = None
    lt: float | None = None
    le: float | None = None

    def __contains__(self, number: float) -> bool:
        return not (
            (self.gt is not None and not number > self.gt)
            or (self.ge is not None and not number >= self.ge)
            or (self.lt is not None and not number < self.lt)
            or (self.le is not None and not number <= self.le)
        )

    def __str__(self) -> str:
        signs = {"gt": ">", "ge": ">=", "lt": "<", "le": "<="}
        return " and ".join(f"{s} {getattr(self, k):g}" for k, s in signs.items() if getattr(self, k) is not None)


@dataclass(frozen=True, slots=True)
class Ref:
    """A component of this kind stands here, for ``Annotated[Dataset, Ref("dataset")]``."""

    kind: str


PositiveFloat = Annotated[float, Range(gt=0)]
NonNegativeFloat = Annotated[float, Range(ge=0)]
Fraction = Annotated[float, Range(gt=0, le=1)]
PositiveInt = Annotated[int, Range(ge=1)]
NonNegativeInt = Annotated[int, Range(ge=0)]
