"""One line made wrong at a time in DCGD, in the work of codecs and in the bounds, and the tests that must notice."""

from __future__ import annotations

from tests.mutants import Mutant

_DCGD, _STAR, _LIMITS = "algorithms/agents/dcgd.py", "algorithms/roles/star.py", "algorithms/compressors/_limits.py"


def _mutant(name: str, file: str, old: str, new: str, *tests: str) -> Mutant:
    return Mutant(name, file, old, new, tuple(f"tests/test_{test}" for test in tests))


MUTANTS = (
    # --- DCGD ---
    _mutant(
        "DCGD adds where it should average",
        _STAR,
        "total, key=key)\n        return total / len(updates)",
        "total, key=key)\n        return total",
        "dcgd.py::test_with_identity_it_is_gradient_descent",
    ),
    _mutant(
        "DCGD remembers the gradient before",
        _DCGD,
        "            upload, self.memory = encode(",
        "            self.last = g = g + 0.5 * getattr(self, 'last', 0.0)\n            upload, self.memory = encode(",
        "dcgd.py::test_with_identity_it_is_gradient_descent",
    ),
    _mutant(
        "all workers of DCGD draw alike",
        _DCGD,
        "self.ctx.shared_key(round, self.ctx.node)",
        "self.ctx.shared_key(round, 0)",
        "dcgd.py::test_expected_step_and_its_variance",
    ),
    _mutant(
        "DCGD forgets the memory of its compressor",
        _DCGD,
        "upload, self.memory = encode(",
        "upload, _ = encode(",
        "codec_review.py::test_dcgd_keeps_the_memory_of_error_feedback",
        "codec_review.py::test_dcgd_warms_low_rank_up",
    ),
    _mutant(
        "EF-SGD forgets what was not sent",
        "algorithms/agents/ef_sgd.py",
        "self.memory = sent.memory",
        "self.memory = None",
        "codec_review.py::test_virtual_iterate_moves_as_gradient_descent",
    ),
    _mutant(
        "EF-SGD takes the step of round 0",
        "algorithms/agents/ef_sgd.py",
        "self.step(round) * g",
        "self.step(0) * g",
        "codec_review.py::test_ef_sgd_with_identity_is_gradient_descent",
    ),
    _mutant(
        "a rotation holds a code whose memory it loses",
        "algorithms/compressors/hadamard.py",
        "require_memoryless(part=self.part)",
        "require_memoryless()",
        "codec_review.py::test_no_code_holds_one_whose_memory_it_would_lose",
    ),
    _mutant(
        "the server repeats the draws of round 0",
        _STAR,
        "self.ctx.shared_key(m.round, m.src)",
        "self.ctx.shared_key(0, m.src)",
        "dcgd.py::test_the_server_repeats_the_draws_of_a_code_with_shared_randomness",
    ),
    _mutant(
        "DCGD's step takes w for one worker",
        _DCGD,
        "2.0 * w / len(workers)",
        "2.0 * w",
        "dcgd.py::test_automatic_step",
    ),
    _mutant(
        "DCGD's step takes the least L_m",
        _DCGD,
        "* max(ctx.facts",
        "* min(ctx.facts",
        "dcgd.py::test_automatic_step",
    ),
    _mutant(
        "keys are the same in every round",
        "netsim/rng.py",
        "sender + 1, _SHARED, round)",
        "sender + 1, _SHARED)",
        "dcgd.py::test_shared_keys_differ_in_every_name",
    ),
    _mutant(
        "codecs draw anew where only links vary",
        "netsim/world.py",
        "self._learning_replication, round, sender",
        "self.replication, round, sender",
        "dcgd.py::test_draws_depend_on_seed_replication_round_and_sender_alone",
    ),
    # --- the work of codecs ---
    _mutant(
        "the server's decoding is not charged",
        _STAR,
        "await codec_work(self.ctx, self.decode_flop, updates)",
        "pass",
        "dcgd.py::test_codec_work_in_clock_and_joules",
    ),
    _mutant(
        "the server decodes one upload for all",
        _STAR,
        "return len(updates) * self.codec.decode_flop",
        "return self.codec.decode_flop",
        "dcgd.py::test_codec_work_in_clock_and_joules",
    ),
    _mutant(
        "encoding is not charged",
        _DCGD,
        "await codec_work(self.ctx, self.codec.encode_flop, dim)",
        "pass",
        "dcgd.py::test_codec_work_in_clock_and_joules",
    ),
    _mutant(
        "codecs are charged unasked",
        _STAR,
        "if ctx.charges_codec else _NOTHING",
        "if flop else _NOTHING",
        "dcgd.py::test_uncharged_codecs_ask_for_nothing",
    ),
    _mutant(
        "a gradient's time is its operations where codecs are charged",
        "netsim/engine.py",
        " and compute.gradient_s == 0.0",
        "",
        "dcgd.py::test_codec_work_in_clock_and_joules",
    ),
    # --- bounds ---
    _mutant(
        "bytes are taken for bits",
        _LIMITS,
        "payload_bit = 8.0 * sum(map(len, data)) / draws",
        "payload_bit = sum(map(len, data)) / draws",
        "codec_bounds.py::test_uniform_quantiser_has_its_known_distance",
        "codec_bounds.py::test_no_codec_beats_the_bounds",
    ),
    _mutant(
        "the average bound is 2^(b/d)",
        _LIMITS,
        "return max(-dim / 2 * math.log2(error), 0.0)",
        "return max(-dim * math.log2(error), 0.0)",
        "codec_bounds.py::test_both_bounds_meet_in_high_dimension",
    ),
    _mutant(
        "the cap is a double one",
        _LIMITS,
        "return math.log2(share) - 1",
        "return math.log2(share)",
        "codec_bounds.py::test_caps_of_circle_and_sphere",
    ),
    _mutant(
        "vectors crowd in the middle of the ball",
        _LIMITS,
        "rng.random(draws) ** (1 / dim)",
        "rng.random(draws)",
        "codec_bounds.py::test_vectors_fill_the_ball",
    ),
    _mutant(
        "an unbiased code promises w",
        _LIMITS,
        "w / (1 + w) if codec.is_unbiased else w",
        "w",
        "codec_bounds.py::test_measuring_is_seeded_and_best_multiple_of_an_unbiased_code",
    ),
)
