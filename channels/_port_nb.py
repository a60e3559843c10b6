"""The loop of `channels._port_steps` compiled."""

from __future__ import annotations

from collections.abc import Callable

import numba

from channels import _port_steps

process: Callable[..., int] = numba.njit(cache=True)(_port_steps.process)
