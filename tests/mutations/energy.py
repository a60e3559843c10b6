"""Radio policies, batteries and what is said of them made wrong, one line at a time; see `tests.mutations`."""

from __future__ import annotations

from tests.mutants import Mutant

_POLICY, _SINGLE, _BATTERY = "channels/media/radio_books.py", "channels/media/lrwpan/single.py", "netsim/_battery.py"
_DUTY, _ENGINE, _RECORD = "channels/policies/duty_cycle.py", "netsim/engine.py", "netsim/record.py"


def _mutant(name: str, file: str, old: str, new: str, *tests: str) -> Mutant:
    return Mutant(name, file, old, new, tuple(f"tests/test_{test}" for test in tests))


MUTANTS = (
    # --- policies ---
    _mutant(
        "a window is open at its last nanosecond plus one",
        _DUTY,
        "if into_ns < self.wake_ns + self.on_ns:",
        "if into_ns <= self.wake_ns + self.on_ns:",
        "energy_policy.py::test_windows_against_a_clock_of_microseconds",
    ),
    _mutant(
        "a message begins while the radio wakes",
        _DUTY,
        "return at_ns - into_ns + self.wake_ns",
        "return at_ns",
        "energy_policy.py::test_windows_against_a_clock_of_microseconds",
    ),
    _mutant(
        "waking counts once, not once a period",
        _DUTY,
        "periods * self.wake_ns + min(",
        "min(",
        "energy_policy.py::test_windows_against_a_clock_of_microseconds",
    ),
    _mutant(
        "the mean wait forgets that in the window there is none",
        _DUTY,
        "(self.period_ns - self.on_ns) ** 2",
        "(self.period_ns - self.on_ns) * self.period_ns",
        "energy_policy.py::test_mean_wait_for_a_window",
    ),
    _mutant(
        "a radio in use listens by its schedule as well",
        _POLICY,
        "+ (listening_ns - no_listening_ns)",
        "+ listening_ns",
        "energy_policy.py::test_books_of_one_radio_against_a_clock_of_single_steps",
    ),
    _mutant(
        "a radio that is down wakes by its schedule",
        _POLICY,
        "counts[5] += after[1] - before[1]",
        "counts[5] += 0",
        "energy_policy.py::test_books_of_one_radio_against_a_clock_of_single_steps",
    ),
    _mutant(
        "waking takes the power of idling whatever wake_j says",
        _POLICY,
        "if policy.wake_j is None or not policy.wake_ns:",
        "if True:",
        "energy_policy.py::test_a_wake_up_comes_before_every_message",
    ),
    _mutant(
        "who is waking listens",
        _SINGLE,
        "wake_ns = min(elapsed_ns, message.lead_ns)",
        "wake_ns = 0",
        "energy_policy.py::test_a_wake_up_comes_before_every_message",
    ),
    _mutant(
        "a message's joules leave its wake-up out",
        _SINGLE,
        "(spent + self._wake_w * wake_ns - base_w * elapsed_ns)",
        "(spent - base_w * elapsed_ns)",
        "energy_policy.py::test_a_wake_up_comes_before_every_message",
    ),
    _mutant(
        "a queued message does not wait for its window",
        _SINGLE,
        "start_ns = self._policy.next_start_ns(max(self._queue[0][0], self._free_ns))",
        "start_ns = max(self._queue[0][0], self._free_ns)",
        "energy_policy.py::test_a_message_waits_for_the_window_and_goes_on_after_it",
    ),
    _mutant(
        "usage ahead of time does not wait for the window",
        _SINGLE,
        "start_ns = self._policy.next_start_ns(max(submit_ns, free_ns))",
        "start_ns = max(submit_ns, free_ns)",
        "channel_contract.py::test_contract",
    ),
    _mutant(
        "the cost in seconds leaves the wake-up out",
        _SINGLE,
        "wait_s = lead_s + policy.mean_wait_s",
        "wait_s = policy.mean_wait_s",
        "energy_policy.py::test_a_wake_up_comes_before_every_message",
    ),
    # --- batteries ---
    _mutant(
        "a battery ends a nanosecond early",
        _BATTERY,
        "return high_ns, [n for n in due",
        "return low_ns, [n for n in due",
        "battery.py::test_listening_until_the_battery_is_empty",
    ),
    _mutant(
        "a battery is looked at when it is long empty",
        _BATTERY,
        "left_ns = left_j / max_w * NS_PER_S if max_w else math.inf",
        "left_ns = 2 * left_j / max_w * NS_PER_S if max_w else math.inf",
        "battery.py::test_looking_rarely_finds_the_same_instant_as_looking_always",
    ),
    _mutant(
        "a dead radio draws the power of sleep",
        _BATTERY,
        "energy_j[rows[node]] = last_j[i]",
        "pass",
        "battery.py::test_listening_until_the_battery_is_empty",
    ),
    _mutant(
        "the mean power of a dead node is that of the whole run",
        _BATTERY,
        "self.died_ns.get(node, now_ns) / NS_PER_S / spent_j[node]",
        "now_ns / NS_PER_S / spent_j[node]",
        "battery.py::test_each_battery_has_its_own_end",
    ),
    _mutant(
        "computing drains no battery",
        _BATTERY,
        "+ self._computing_ns(node, at_ns) / NS_PER_S * self._computing_w",
        "+ 0.0",
        "battery.py::test_computing_drains_while_it_lasts",
    ),
    _mutant(
        "a gradient under way has cost nothing",
        _ENGINE,
        "return self._compute_ns[node] + min(at_ns - start_ns, duration_ns)",
        "return self._compute_ns[node]",
        "battery.py::test_computing_drains_while_it_lasts",
    ),
    _mutant(
        "the interfaces of a dead node stay up",
        _ENGINE,
        "medium.set_up(self.now_ns, node, False)",
        "pass",
        "battery.py::test_a_battery_that_ends_in_the_middle_of_a_frame_ends_it_there",
    ),
    _mutant(
        "what arrives at the instant of a death is lost",
        _ENGINE,
        "        self._deliver()\n        for medium in self.world.media:",
        "        for medium in self.world.media:",
        "battery.py::test_a_frame_that_ends_at_the_very_instant_has_arrived",
    ),
    _mutant(
        "a dead agent acts",
        _ENGINE,
        "if not self.actors[node].finished:\n                    self._run",
        "if True:\n                    self._run",
        "battery.py::test_a_dead_agent_does_not_act",
    ),
    _mutant(
        "a dead server's run is done",
        _ENGINE,
        "elif not self._running and not set(self._last()) <= deaths.keys():",
        "elif not self._running:",
        "battery.py::test_a_server_without_power_ends_the_run",
    ),
    _mutant(
        "a row waits for the dead",
        _RECORD,
        "< self.reporters - len(self._gone):",
        "< self.reporters:",
        "battery.py::test_peers_go_on_without_the_dead",
    ),
    _mutant(
        "what is lost counts as delivered",
        _RECORD,
        "        if delivery.ok:\n",
        "        if True:\n",
        "battery.py::test_lost_bits_are_not_delivered",
    ),
    _mutant(
        "joules per byte",
        "netsim/summary.py",
        'delivered_bit = 8.0 * _optional(column, "delivered_bytes", rows)',
        'delivered_bit = _optional(column, "delivered_bytes", rows)',
        "battery.py::test_summary_page_and_manifest",
    ),
    *(
        Mutant(name, f"channels/{file}", old, new, (f"tests/test_policy_media.py::{test}",))
        for name, file, old, new, test in (
            (
                "a waiting message begins one window late",
                "_paced.py",
                "self._policy.next_start_ns(now_ns) + self._policy.lead_ns",
                "self._policy.next_start_ns(now_ns + 1) + self._policy.lead_ns",
                "test_windows_let_messages_in_and_change_nothing_else",
            ),
            (
                "a radio listens in windows while it takes part",
                "_paced.py",
                "rest_ns * (scheduled_ns > 0)",
                "(end_ns - start_ns) * (scheduled_ns > 0)",
                "test_windows_let_messages_in_and_change_nothing_else",
            ),
            (
                "who is awake wakes again",
                "_paced.py",
                "self._wake_ns[row] += rest_ns[row]",
                "self._wake_ns[row] += end_ns - start_ns",
                "test_who_is_awake_does_not_wake_again",
            ),
            (
                "a message's joules forget waking",
                "_paced.py",
                "energy_j=delivery.energy_j + lead_j",
                "energy_j=delivery.energy_j",
                "test_a_message_contends_once_its_radios_are_awake",
            ),
            (
                "a node that is down keeps its windows",
                "_paced.py",
                "scheduled_ns * self._is_up if is_quiet",
                "scheduled_ns if is_quiet",
                "test_a_node_that_is_down_keeps_no_windows",
            ),
            (
                "a sender in slots does not wake",
                "_tsch.py",
                "yield Span(parcel.src, _IDLE, start_ns - self._lead_ns, start_ns)",
                "yield Span(parcel.src, _IDLE, start_ns, start_ns)",
                "test_a_radio_wakes_once_in_each_slot_in_which_it_acts",
            ),
            (
                "a LoRa server wakes although it listens",
                "_air.py",
                "if self._rest[row // 3] == _SLEEP:",
                "if row >= 0:",
                "test_a_lora_node_wakes_before_each_frame",
            ),
            (
                "a LoRa frame close behind another is woken for in full",
                "_air.py",
                "min(policy.lead_ns, pause_ns[-1] - airtime_ns[-1])",
                "min(policy.lead_ns, pause_ns[-1])",
                "test_frames_close_behind_each_other_leave_less_to_wake",
            ),
            (
                "TDMA's interfaces never sleep",
                "_rounds.py",
                "self._rest = _SLEEP if sleeps else _IDLE",
                "self._rest = _IDLE",
                "test_tdma_sleeps_between_its_bytes",
            ),
        )
    ),
)
