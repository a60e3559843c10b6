"""The memory that a run may take: what the machine has, or what the user allows."""

from __future__ import annotations

import os

from netsim.errors import ConfigError, DataError
from netsim.units import QuantityError, to_number

VARIABLE = "NETSIM_MEMORY"  # bytes; inherited by the processes of a study


def limit_bytes() -> float:
    """Return what NETSIM_MEMORY says in bytes, else the machine's memory.

    Raises
    ------
    ConfigError
        If the variable is no size.
    """
    given = os.environ.get(VARIABLE)
    if not given:
        return float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    try:
        return to_number(given, "byte")
    except QuantityError as error:
        raise ConfigError(f"the environment variable {VARIABLE}: a size, such as 8 GB. Got {given!r}") from error


def taken_bytes() -> int:
    """Return the memory that this process has now; 0 where the system does not say."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def require(need_bytes: float, what: str) -> None:
    """Refuse to take at least so much memory where that is more than the limit.

    `what` needs it, as the beginning of a sentence.

    Raises
    ------
    DataError
        Naming both sizes and the option.
    """
    limit = limit_bytes()
    if need_bytes > limit:
        sizes = f"{need_bytes / 2**30:.3g} GiB of memory are needed, and the limit is {limit / 2**30:.3g} GiB"
        raise DataError(f"{what}: {sizes}; --memory sets another one")
