"""YAML to a checked, frozen scenario, and back."""

from netsim.scenario.compute import ComputeModel as ComputeModel
from netsim.scenario.distributions import Distribution as Distribution
from netsim.scenario.parts import Claim as Claim, Entry as Entry, Network as Network, Record as Record, Stop as Stop
from netsim.scenario.scenario import (
    Point as Point,
    Scenario as Scenario,
    bundled as bundled,
    channels as channels,
    check_data as check_data,
    load as load,
    parse_text as parse_text,
    points as points,
)
from netsim.scenario.topology import Topology as Topology
