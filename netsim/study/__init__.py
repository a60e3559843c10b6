"""Many runs: plan, do, keep, and put together."""

from netsim.study.results import Results
from netsim.study.study import Interrupted, run

__all__ = ["Interrupted", "Results", "run"]
