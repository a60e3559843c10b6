"""Radios that sleep, batteries, joules."""

from __future__ import annotations

from tests.mutations.mutant import Mutant

MUTANTS = (
    Mutant(
        "a window is open at its last nanosecond plus one",
        "channels.policies.duty_cycle:DutyCycle.next_start_ns",
        "into_ns < self.wake_ns + self.on_ns",
        "into_ns <= self.wake_ns + self.on_ns",
        ("tests/channels/test_energy_policy.py::test_windows_against_a_clock_of_microseconds",),
    ),
    Mutant(
        "a battery ends a nanosecond early",
        "netsim.simulation.batteries:Batteries.first_death",
        "high_ns, [n for n in due if spent_j[n] >= self.capacity_j[n]]",
        "low_ns, [n for n in due if spent_j[n] >= self.capacity_j[n]]",
        ("tests/netsim/simulation/test_battery.py::test_listening_until_the_battery_is_empty",),
    ),
    Mutant(
        "the mean power of a dead node is that of the whole run",
        "netsim.simulation.batteries:Batteries.lifetimes_s",
        "self.died_ns.get(node, now_ns)",
        "now_ns",
        ("tests/netsim/simulation/test_battery.py::test_each_battery_has_its_own_end",),
    ),
    Mutant(
        "computing drains no battery",
        "netsim.simulation.batteries:Batteries._sum",
        "self._processor_j(node, at_ns)",
        "0.0",
        ("tests/netsim/simulation/test_battery.py::test_computing_drains_while_it_lasts",),
    ),
    Mutant(
        "joules per byte",
        "netsim.results.summary:outcome",
        '8.0 * _optional(column, "delivered_bytes", rows)',
        '_optional(column, "delivered_bytes", rows)',
        ("tests/netsim/simulation/test_battery.py::test_summary_page_and_manifest",),
    ),
    Mutant(
        "a charge is an energy, whatever the voltage",
        "netsim.scenario.parts:Battery._joules",
        "(_charge_as(charge) or 0.0) * (self.voltage_v or 0.0)",
        "_charge_as(charge) or 0.0",
        ("tests/netsim/simulation/test_battery.py::test_a_charge_at_its_voltage_is_an_energy",),
    ),
    Mutant(
        "a node that is off waits, and spends",
        "netsim.simulation.processors:Processors.waiting_ns",
        "self._switches.off_ns(node, end_ns)",
        "0",
        ("tests/netsim/simulation/test_availability.py::test_a_battery_is_not_drained_while_its_node_is_off",),
    ),
    Mutant(
        "agents run while their nodes are off",
        "netsim.simulation.engine:Engine._settle",
        "node in self._switches.off",
        "False",
        ("tests/netsim/simulation/test_availability.py::test_deadlines_and_waits_go_on_while_a_node_is_off",),
    ),
    Mutant(
        "what arrives as its node goes off is lost",
        "netsim.simulation.engine:Engine._switch",
        "self._deliver()",
        "None",
        ("tests/netsim/simulation/test_availability.py::test_an_upload_under_way_is_lost",),
    ),
    Mutant(
        "a node that was off computes from the start again",
        "netsim.simulation.engine:Engine._switch",
        "job.duration_ns - done_ns",
        "job.duration_ns",
        ("tests/netsim/simulation/test_availability.py::test_a_node_that_goes_off_while_it_computes_is_late",),
    ),
    Mutant(
        "all nodes draw one speed",
        "netsim.scenario.devices:devices",
        "one.sample(stream(n))",
        "one.sample(stream(0))",
        ("tests/netsim/simulation/test_devices.py::test_speeds_are_drawn_once_for_each_node_and_replication",),
    ),
)
