"""Many runs: plan, do, keep, and put together."""

from netsim.study.check import check, in_words
from netsim.study.find_step import find_steps, write_steps
from netsim.study.names import check_name
from netsim.study.results import Results
from netsim.study.study import Interrupted, check_folder, prune, run

__all__ = [
    "Interrupted", "Results", "check", "check_folder", "check_name", "find_steps", "in_words", "prune", "run",
    "write_steps",
]  # fmt: skip
