"""Mistakes that any codec can make, each made in those not named elsewhere, and the tests that must notice."""

from __future__ import annotations

from tests.mutants import Mutant

_COMPRESSORS = "algorithms/compressors"


def _mutant(name: str, file: str, old: str, new: str, *tests: str) -> Mutant:
    return Mutant(name, f"{_COMPRESSORS}/{file}.py", old, new, tuple(f"tests/test_{test}" for test in tests))


MUTANTS = (
    # --- reversed rounding probability ---
    _mutant(
        "Bernoulli sends an entry with probability 1 - p",
        "bernoulli",
        "places[uniforms(key, places) < self.p]",
        "places[uniforms(key, places) >= self.p]",
        "sparse_codecs.py::test_bernoulli_over_all_outcomes",
    ),
    _mutant(
        "natural compression goes up with the complementary probability",
        "natural",
        "codes: Words = (bits + draws) >> np.uint64(52)",
        "codes: Words = ((bits ^ np.uint64(2**52 - 1)) + draws) >> np.uint64(52)",
        "quantizers.py::test_moments_of_natural[64]",
    ),
    _mutant(
        "natural compression of float32 goes up with the complementary probability",
        "natural",
        "((x.view(np.uint32) & np.uint32(0x7FFFFFFF)) + (words",
        "((x.view(np.uint32) & np.uint32(0x7FFFFFFF) ^ np.uint32(2**23 - 1)) + (words",
        "quantizers.py::test_natural_is_exactly_unbiased_from_end_to_end",
    ),
    _mutant(
        "natural dithering goes up with the complementary probability",
        "natural_dithering",
        "(y.view(np.uint64) + draws) >> np.uint64(52)",
        "((y.view(np.uint64) ^ np.uint64(2**52 - 1)) + draws) >> np.uint64(52)",
        "quantizers.py::test_moments_of_natural_dithering",
    ),
    _mutant(
        "ATOMO keeps a singular vector with probability 1 - p",
        "atomo",
        "hit = uniforms(key, tensor.first + places) < p",
        "hit = uniforms(key, tensor.first + places) >= p",
        "wrappers.py::test_atomo_over_all_outcomes",
    ),
    # --- a norm or scale that is not counted ---
    _mutant(
        "the norm of dithering is not counted",
        "dithering",
        "PaperBits(value_bit=self.float_bit + x.size * code_bit(self.levels))",
        "PaperBits(value_bit=x.size * code_bit(self.levels))",
        "quantizers.py::test_exact_lengths_of_fixed_codes",
    ),
    _mutant(
        "the norm of natural dithering is not counted",
        "natural_dithering",
        "PaperBits(value_bit=self.float_bit + x.size * code_bit(self.levels))",
        "PaperBits(value_bit=x.size * code_bit(self.levels))",
        "quantizers.py::test_exact_lengths_of_fixed_codes",
    ),
    _mutant(
        "the norm of QTop_k is not counted",
        "qtop_k",
        "PaperBits(index_bit, self.float_bit + support.size * code_bit(self.levels))",
        "PaperBits(index_bit, support.size * code_bit(self.levels))",
        "quantizers.py::test_exact_lengths_of_qtop_k",
    ),
    _mutant(
        "the scale of TernGrad is not counted",
        "terngrad",
        "PaperBits(value_bit=self.float_bit + x.size * math.log2(3))",
        "PaperBits(value_bit=x.size * math.log2(3))",
        "quantizers.py::test_exact_lengths_of_fixed_codes",
    ),
    _mutant(
        "one extreme of k levels is not counted",
        "k_level",
        "PaperBits(value_bit=2 * self.float_bit",
        "PaperBits(value_bit=self.float_bit",
        "quantizers.py::test_exact_lengths_of_fixed_codes",
    ),
    _mutant(
        "LAQ's range is not counted",
        "laq",
        "PaperBits(value_bit=self.float_bit + self.bits * x.size)",
        "PaperBits(value_bit=self.bits * x.size)",
        "dithering.py::test_laq_is_its_definition",
    ),
    _mutant(
        "the scale of sparse dithering is not counted",
        "sparse_dithering",
        "PaperBits(value_bit=self.float_bit + trits.bit_length",
        "PaperBits(value_bit=trits.bit_length",
        "dithering.py::test_nearest_levels",
    ),
    _mutant(
        "the scales of blocks on the sphere are not counted",
        "spherical",
        "PaperBits(value_bit=self.float_bit * blocks + int(",
        "PaperBits(value_bit=int(",
        "dithering.py::test_zero_blocks_send_no_place",
    ),
    _mutant(
        "the mean of sparse ternary compression is not counted",
        "sparse_ternary",
        "self.float_bit + count)",
        "count)",
        "sparse_codecs.py::test_sparse_ternary_is_sign_top_k_in_fewer_bits",
    ),
    _mutant(
        "the level of the hybrid wire is not counted",
        "stochastic_sparsification",
        "PaperBits(index_bit, self.float_bit * (1 + n1) + n0)",
        "PaperBits(index_bit, self.float_bit * n1 + n0)",
        "compressors.py::test_exact_lengths_of_drawn_codes",
    ),
    # --- error feedback ---
    _mutant(
        "the error is taken from p itself, not from what was decoded",
        "error_feedback",
        "Memory(total - inner.decoded, inner.memory)",
        "Memory(total - total, inner.memory)",
        "wrappers.py::test_error_feedback_keeps_what_is_lost",
    ),
    _mutant(
        "what is sent counts as sent without rounding",
        "error_feedback",
        "Memory(total - inner.decoded, inner.memory)",
        "Memory(np.where(inner.decoded != 0, 0.0, total), inner.memory)",
        "wrappers.py::test_error_feedback_keeps_what_is_lost",
    ),
    # --- refusals ---
    _mutant(
        "an entry is named by its place in the block",
        "_base",
        "self.require_finite(x[start : start + BLOCK], first=start)",
        "self.require_finite(x[start : start + BLOCK])",
        "codec_table.py::test_places_count_from_the_vectors_start",
    ),
    _mutant(
        "NaN passes",
        "_base",
        "finite = np.isfinite(values)",
        "finite = ~np.isinf(values)",
        "codec_table.py::test_numbers_that_are_not_finite_are_refused",
    ),
    # --- lengths ---
    _mutant(
        "a payload has one byte more than its bits fill",
        "_sparse",
        "out.signs(kept < 0)",
        "out.signs(kept < 0); out.uint(0, 8)",
        "codec_table.py::test_table",
    ),
)
