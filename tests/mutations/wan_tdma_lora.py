"""WAN, TDMA and LoRa: one line made wrong at a time, and the tests that must notice."""

from __future__ import annotations

from tests.mutants import Mutant


def _mutant(name: str, file: str, old: str, new: str, *tests: str) -> Mutant:
    return Mutant(name, f"channels/{file}", old, new, tuple(f"tests/test_channel_{test}" for test in tests))


MUTANTS = (
    # --- TCP ---
    _mutant(
        "a round trip forgets the segment's own time",
        "_tcp.py",
        "rtt_s = one_way_s + back_s + full_s",
        "rtt_s = one_way_s + back_s",
        "tcp.py::test_engine_closed_form_and_rounds_are_one",
    ),
    _mutant(
        "windows are not rounded down",
        "_tcp.py",
        "count = math.floor(window)",
        "count = math.ceil(window)",
        "tcp.py::test_engine_closed_form_and_rounds_are_one",
    ),
    _mutant(
        "Mathis with one segment per acknowledgement",
        "_tcp.py",
        "_ACKED = 2",
        "_ACKED = 1",
        "tcp.py::test_mathis_by_hand",
    ),
    _mutant(
        "gamma is not slowed by LV08's factor",
        "_tcp.py",
        "rate = min(rate, BANDWIDTH_FACTOR[model] * GAMMA_BIT",
        "rate = min(rate, GAMMA_BIT",
        "tcp.py::test_flow_models_have_a_largest_window",
    ),
    _mutant(
        "the engine's next burst does not wait for the round trip",
        "_flows.py",
        "message.waits_fs = at_fs + message.trip_fs",
        "message.waits_fs = at_fs",
        "tcp.py::test_engine_closed_form_and_rounds_are_one",
    ),
    _mutant(
        "loss caps no rate",
        "_flows.py",
        "return message.segments, message.cap",
        "return message.segments, None",
        "tcp.py::test_engine_equals_closed_form_under_loss_and_with_unequal_ways",
    ),
    _mutant(
        "SYN-ACK goes at the rate up",
        "_flows.py",
        "-header // self._rate_now(back, at_fs)",
        "-header // rate",
        "tcp.py::test_the_handshake_takes_both_ways",
    ),
    # --- sharing ---
    _mutant(
        "a tight link does not keep what its flows leave",
        "_sharing.py",
        "rest[0] -= rate * many[flow]",
        "rest[0] -= rate",
        "wan.py::test_many_alike_are_one_entry",
    ),
    _mutant(
        "one link: who wants least is not counted out",
        "_sharing.py",
        "            total -= many[flow]",
        "            total -= 1",
        "wan.py::test_one_link_is_filled_as_many_are",
    ),
    _mutant(
        "weights are left out at a tight link",
        "_sharing.py",
        "settle(flow, room * weight[flow] // wanted)",
        "settle(flow, room // wanted)",
        "wan.py::test_shares_are_feasible_and_everybody_has_a_bottleneck",
    ),
    _mutant(
        "a kind's work is not brought up to date before its rate changes",
        "_sharing.py",
        "                kind.settle(self._changed_fs)\n                kind.rate = rate",
        "                kind.rate = rate",
        "wan.py::test_flows_in_time_against_exact_fractions",
    ),
    _mutant(
        "a flow that gets company keeps its link for itself",
        "_sharing.py",
        "self._changed.update(users)  # what was its alone is shared now",
        "pass",
        "wan.py::test_flows_in_time_against_exact_fractions",
    ),
    _mutant(
        "a time between two femtoseconds is rounded down",
        "_sharing.py",
        "return self.since_fs - (self.done - done) // self.rate if self.rate else None",
        "return self.since_fs + (done - self.done) // self.rate if self.rate else None",
        "wan.py::test_a_rest_of_work_takes_a_femtosecond_more",
    ),
    # --- the medium ---
    _mutant(
        "the bound that was told is forgotten at once",
        "_flows.py",
        "if self._bound_ns is not None and self._bound_ns <= now_ns:",
        "if self._bound_ns is not None:",
        "contract.py::test_contract[wan-0-check_next_event]",
    ),
    _mutant(
        "propagation is a whole round trip",
        "wan.py",
        "return seconds_to_ns((wan.rtt_s or 0.0) / 2)",
        "return seconds_to_ns(wan.rtt_s or 0.0)",
        "wan.py::test_two_uploads_share_the_port_and_the_rest_goes_faster",
    ),
    _mutant(
        "a message is lost with one segment's probability",
        "_flows.py",
        "(1.0 - loss) ** message.segments",
        "(1.0 - loss)",
        "wan.py::test_plain_messages_are_lost_as_their_segments_are",
    ),
    _mutant(
        "jitter is the same for all",
        "_flows.py",
        "self._uniform(JITTER + counter, message.dst)",
        "self._uniform(JITTER, message.dst)",
        "wan.py::test_jitter_is_uniform_and_depends_on_the_transfer_alone",
    ),
    _mutant(
        "a full queue loses the last one only",
        "_queue.py",
        "self._damaged.update(self._inputs)",
        "self._damaged.add(max(self._inputs))",
        "wan.py::test_fifo_that_was_full_while_two_sent_loses_both",
    ),
    _mutant(
        "what waits at a port leaves at once",
        "_queue.py",
        "return at_fs - -self._waits // self._rate, is_whole",
        "return at_fs, is_whole",
        "wan.py::test_fifo_by_hand",
    ),
    _mutant(
        "the bytes of ten seconds are a rate",
        "_traces.py",
        '8.0 * _number(path, line, "bitrate_Bps", moved) / IPERF_S',
        '8.0 * _number(path, line, "bitrate_Bps", moved)',
        "wan.py::test_measurements_between_clouds_hold_bytes_of_ten_seconds",
    ),
    _mutant(
        "outages make no difference",
        "_rates.py",
        "return units if works else 0, until",
        "return units, until",
        "wan.py::test_outages_hold_up_what_is_under_way",
    ),
    _mutant(
        "slow nodes are as fast as others down",
        "wan.py",
        "return LinkRate(steps, self._scale / self._slow[self._order[node]]",
        'return LinkRate(steps, self._scale / (self._slow[self._order[node]] if what == "out" else 1.0)',
        "wan.py::test_stragglers_are_slow_in_both_directions",
    ),
    _mutant(
        "rates are the same in every replication",
        "wan.py",
        "rate, slow = uniforms(key, NODE,",
        "rate, slow = uniforms(0, NODE,",
        "wan.py::test_rates_are_drawn_per_medium",
    ),
    _mutant(
        "waiting behind one's own messages counts as service",
        "_flows.py",
        "(at_ns - to_ns(message.start_fs)) / NS_PER_S)",
        "(at_ns - message.submit_ns) / NS_PER_S)",
        "wan.py::test_one_connection_carries_one_message_after_the_other",
    ),
    # --- TDMA ---
    _mutant(
        "an unused turn of a fixed schedule costs nothing",
        "tdma.py",
        "poll_ns = slot_ns if self.poll_s is None else",
        "poll_ns = 0 if self.poll_s is None else",
        "tdma.py::test_the_schedule_waits_for_its_node",
    ),
    _mutant(
        "whole rounds are taken although a message ends in them",
        "_rounds.py",
        "cycles = min(cycles, (head.size_bytes - head.sent_bytes - 1) // self._slot_bytes)",
        "cycles = min(cycles, (head.size_bytes - head.sent_bytes) // self._slot_bytes)",
        "tdma.py::test_large_messages_cost_few_steps",
    ),
    _mutant(
        "turns that began before are not passed over",
        "_rounds.py",
        "return (turn + passed) % len(self._order),",
        "return turn,",
        "tdma.py::test_the_schedule_waits_for_its_node",
    ),
    _mutant(
        "a slot without its guard",
        "_rounds.py",
        "self._turn_at_ns += self._turn_ns if self._is_fixed else width_ns + self._guard_ns",
        "self._turn_at_ns += self._turn_ns if self._is_fixed else width_ns",
        "tdma.py::test_random_traffic_against_every_turn",
    ),
    # --- LoRa ---
    _mutant(
        "the low data rate optimisation is never on",
        "lora.py",
        "low_rate = symbol_s >= Fraction(16, 1000)",
        "low_rate = False",
        "lora.py::test_airtimes",
    ),
    _mutant(
        "no silence between frames",
        "lora.py",
        "max(airtime, int(airtime / self.duty_cycle + 0.5))",
        "max(airtime, int(airtime + 0.5))",
        "lora.py::test_the_duty_cycle_spaces_the_frames",
    ),
    _mutant(
        "frames end to end collide",
        "_air.py",
        "any(a < end_ns and b > start_ns for",
        "any(a <= end_ns and b >= start_ns for",
        "lora.py::test_collisions_by_hand",
    ),
    # --- messages of others ---
    _mutant(
        "exponential sizes wait as fixed ones do",
        "_background.py",
        'if what.sizes == "fixed":',
        "if True:",
        "wan.py::test_a_message_waits_behind_those_of_others",
    ),
    _mutant(
        "both ports draw the same arrivals",
        "_background.py",
        "BACKGROUND + port",
        "BACKGROUND",
        "wan.py::test_arrivals_are_poisson",
    ),
    _mutant(
        "a batch is drawn over and over",
        "_background.py",
        "self._drawn += _BATCH",
        "self._drawn += 0",
        "wan.py::test_arrivals_are_poisson",
    ),
    _mutant(
        "others fill a queue beyond its room",
        "_queue.py",
        "self._waits = min(self._waits, self._room)",
        "pass",
        "wan.py::test_what_finds_no_room_does_not_delay_even_who_comes_at_once",
    ),
    _mutant(
        "a medium waits for what others send",
        "_flows.py",
        "self._bound_ns is None and self._messages and",
        "self._bound_ns is None and",
        "wan.py::test_a_medium_with_others_alone_has_nothing_to_deliver",
    ),
    _mutant(
        "a lone message's bound holds where bits are lost",
        "_flows.py",
        "path.peak if self._room is None else",
        "path.peak if True else",
        "wan.py::test_a_message_whose_bits_are_lost_is_not_late",
    ),
    _mutant(
        "a long message's cost forgets what comes between its bits",
        "wan.py",
        "port_bps * sender_bps / (sender_bps + load_bps)",
        "port_bps",
        "wan.py::test_bits_of_others_come_between_those_of_a_long_message",
    ),
)
