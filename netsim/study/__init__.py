"""Many runs: plan, do, keep, and put together."""

from netsim.study.find_step import find_steps, write_steps
from netsim.study.names import check_name
from netsim.study.results import Results
from netsim.study.study import Interrupted, prune, run

__all__ = ["Interrupted", "Results", "check_name", "find_steps", "prune", "run", "write_steps"]
