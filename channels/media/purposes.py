"""Upper words of the counters of draws, so that no two purposes share one."""

from __future__ import annotations

NODE, JITTER, LOSS, OUTAGE, BACKGROUND, FADING, NOISE, WINDOW, SHADOWING, REPEAT = (
    purpose << 56 for purpose in range(1, 11)
)
