"""Frames of one message as they follow each other on the air, without an object for each."""

from __future__ import annotations

from typing import NamedTuple

from netsim.interfaces import TransferId


class FrameTrain(NamedTuple):
    """`frames` frames of `width_ns`, the first at `start_ns` and each `stride_ns` after the one before.

    The stride is at least the width. Trains of more than one frame have the same stride.

    Examples
    --------
    >>> one, other = FrameTrain(0, 100, 10, 5, 0), FrameTrain(391, 100, 10, 5, 1)
    >>> one.end_ns, one.meets(other), one.meets(other._replace(start_ns=410)), one.meets(other._replace(start_ns=500))
    (410, True, False, False)
    >>> one.cut(205)
    [FrameTrain(start_ns=0, stride_ns=100, width_ns=10, frames=2, transfer=0), FrameTrain(start_ns=200, stride_ns=100, \
width_ns=5, frames=1, transfer=0)]
    """

    start_ns: int
    stride_ns: int
    width_ns: int
    frames: int
    transfer: TransferId

    @property
    def end_ns(self) -> int:
        """When the last frame ends."""
        return self.start_ns + (self.frames - 1) * self.stride_ns + self.width_ns

    def meets(self, other: FrameTrain) -> bool:
        """Return whether a frame of this one overlaps with one of another sender's."""
        # Frame i of this one begins (i - j) strides and `ahead_ns` after frame j of the other one: they overlap where
        # that is above -width and below the other's width. The smallest such i - j decides.
        ahead_ns, stride_ns = self.start_ns - other.start_ns, self.stride_ns
        fewest = max((-ahead_ns - self.width_ns) // stride_ns + 1, 1 - other.frames)
        return fewest < self.frames and ahead_ns + fewest * stride_ns < other.width_ns

    def cut(self, now_ns: int) -> list[FrameTrain]:
        """Return what there is of the train if its sender stops at an instant."""
        begun = min(max(-((self.start_ns - now_ns) // self.stride_ns), 0), self.frames)
        if begun == self.frames and self.end_ns <= now_ns:
            return [self]
        last_ns = self.start_ns + (begun - 1) * self.stride_ns
        last = self._replace(start_ns=last_ns, width_ns=min(self.width_ns, now_ns - last_ns), frames=1)
        return [self._replace(frames=begun - 1), last][begun < 2 :] if begun else []
