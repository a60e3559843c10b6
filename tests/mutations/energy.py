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
)
