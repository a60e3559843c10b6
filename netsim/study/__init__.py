"""Many runs: plan, do, keep, and put together."""

from netsim.study.check import check as check, in_words as in_words
from netsim.study.find_step import find_steps as find_steps, write_steps as write_steps
from netsim.study.names import check_name as check_name
from netsim.study.results import Results as Results
from netsim.study.study import Interrupted as Interrupted, check_folder as check_folder, prune as prune, run as run
