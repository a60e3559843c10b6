"""YAML to a checked, frozen scenario, and back."""

from netsim.scenario.compute import ComputeModel
from netsim.scenario.distributions import Distribution
from netsim.scenario.parts import Claim, Entry, Network, Record, Stop
from netsim.scenario.scenario import Point, Scenario, bundled, channels, check_data, dump_yaml, load, parse_text, points
from netsim.scenario.topology import Topology

__all__ = [
    "Claim",
    "ComputeModel",
    "Distribution",
    "Entry",
    "Network",
    "Point",
    "Record",
    "Scenario",
    "Stop",
    "Topology",
    "bundled",
    "channels",
    "check_data",
    "dump_yaml",
    "load",
    "parse_text",
    "points",
]
