"""The contracts of components as checks: netsim's own tests run them, and so can whoever writes a component.

`checks` lists the checks of a kind, each a function of one component that raises `ContractError` with a sentence and
the smallest input that breaks the promise; `examples` builds a component as its ``examples`` say. ``netsim check FILE``
does both and prints a table.

Examples
--------
>>> for codec in examples("compressor", "top_k"):
...     for check in checks("compressor"):
...         check(codec)
"""

from netsim.testing.contract import (
    Check as Check,
    ContractError as ContractError,
    NotCheckedError as NotCheckedError,
    checks as checks,
    examples as examples,
    title as title,
)
