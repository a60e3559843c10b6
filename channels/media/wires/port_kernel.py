"""The loop of `channels.media.wires.port_loop`, compiled."""

from __future__ import annotations

from collections.abc import Callable

from channels.media.wires import port_loop
from netsim.compiling import kernel

process: Callable[..., int] = kernel(port_loop.process)
