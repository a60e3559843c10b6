"""Many runs: plan, do, keep, and put together."""

from netsim.study.names import check_name
from netsim.study.results import Results
from netsim.study.study import Interrupted, prune, run

__all__ = ["Interrupted", "Results", "check_name", "prune", "run"]
