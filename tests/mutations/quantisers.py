"""Quantisers made wrong, one line at a time; see `tests.mutations`."""

from __future__ import annotations

from tests.mutants import Mutant

_COMPRESSORS = "algorithms/compressors"
_TESTS = "tests/test_quantizers.py"


def _mutant(name: str, file: str, old: str, new: str, *tests: str) -> Mutant:
    return Mutant(name, f"{_COMPRESSORS}/{file}", old, new, tuple(f"{_TESTS}::{test}" for test in tests))


MUTANTS = (
    _mutant(
        "levels go up with the complementary probability, compiled",
        "_levels_nb.py",
        "np.uint32(levels[i]) + np.uint32(words[i] >> np.uint32(4))",
        "np.uint32(np.uint32(levels[i]) ^ np.uint32(0x0FFFFFFF)) + np.uint32(words[i] >> np.uint32(4))",
        "test_rounding_probability_is_exact",
    ),
    _mutant(
        "levels go up with the complementary probability, plain",
        "_levels.py",
        "level = (np.minimum(y, self.top).astype(np.int64) + drawn) >> self.fraction",
        "level = ((np.minimum(y, self.top).astype(np.int64) ^ ((1 << self.fraction) - 1)) + drawn) >> self.fraction",
        "test_rounding_probability_is_exact",
    ),
    _mutant(
        "levels are rounded to the nearest",
        "_levels.py",
        "drawn = (words >> np.uint32(32 - self.fraction)).astype(np.int64)",
        "drawn = np.full(words.size, 1 << self.fraction - 1)",
        "test_rounding_probability_is_exact",
    ),
    _mutant(
        "the norm is rounded to the nearest float",
        "_levels.py",
        "floats = np.where(short, np.nextafter",
        "floats = np.where(short & down, np.nextafter",
        "test_scales_are_rounded_up",
    ),
    _mutant(
        "a level takes lg s bits",
        "_levels.py",
        "return 1 + lg(levels + 1)",
        "return 1 + lg(levels)",
        "test_exact_lengths_of_fixed_codes",
    ),
    _mutant(
        "coordinates share draws",
        "_draws.py",
        "return _DENSE + (first >> 2)",
        "return _DENSE",
        "test_dense_words_by_definition",
    ),
    _mutant(
        "halves of products are exchanged, compiled",
        "_draws_nb.py",
        "places = [2 * lane + upper for lane in _ORDER]",
        "places = [2 * lane + 1 - upper for lane in _ORDER]",
        "test_dense_words_by_definition",
    ),
    _mutant(
        "words of eight counters stand in the order of the lanes, compiled",
        "_draws_nb.py",
        "places = [2 * lane + upper for lane in _ORDER]",
        "places = [2 * lane + upper for lane in range(_AT_ONCE)]",
        "test_dense_words_by_definition",
    ),
    _mutant(
        "blocks of a packed vector share draws",
        "_levels_nb.py",
        "counter_low + np.uint64(first >> 2)",
        "counter_low",
        "test_paths_agree_on_every_code",
    ),
    _mutant(
        "the last block has draws for whole thousands alone",
        "_levels_nb.py",
        "words[: (size + 1023) & ~1023]",
        "words[: size & ~1023]",
        "test_paths_agree_on_every_code",
    ),
    _mutant(
        "what is subtracted before rounding is forgotten",
        "_levels_nb.py",
        "y = abs((np.float64(x[i]) - offset) * factor) + 0.5",
        "y = abs(np.float64(x[i]) * factor) + 0.5",
        "test_paths_agree_for_what_is_subtracted",
    ),
    _mutant(
        "a scale of squares is forgotten",
        "_norms_nb.py",
        "if kind == SQUARE and offset == 0 and factor == 1:",
        "if kind == SQUARE and offset == 0:",
        "test_norms_of_both_paths",
    ),
    _mutant(
        "squares that overflow are not formed again",
        "_norms.py",
        "if doubtful.size:",
        "if not x.size:",
        "test_norms_of_both_paths[float64]",
    ),
    _mutant(
        "QSGD's norms are not counted",
        "qsgd.py",
        "return PaperBits(value_bit=norm_bit + x.size * code_bit(self.levels))",
        "return PaperBits(value_bit=x.size * code_bit(self.levels))",
        "test_exact_lengths_of_fixed_codes",
    ),
    _mutant(
        "QSGD's best code is the longer one",
        "qsgd.py",
        'return "dense" if dense < sparse else "sparse"',
        'return "dense" if dense > sparse else "sparse"',
        "test_exact_lengths_of_variable_codes",
    ),
    _mutant(
        "QTop_k is not scaled",
        "qtop_k.py",
        "values / (1 + self._beta(count)) if self.scaled else values",
        "values",
        "test_error_of_qtop_k",
        "test_qtop_k_of_all_entries_is_qsgd",
    ),
    _mutant(
        "QTop_k has the norm of all entries",
        "qtop_k.py",
        "finite_norms(self, kept, kept.size, 2.0)",
        "finite_norms(self, x, x.size, 2.0)",
        "test_qtop_k_of_all_entries_is_qsgd",
    ),
    _mutant(
        "TernGrad always clips",
        "terngrad.py",
        "if self.clip is not None:\n            scale",
        "if True:\n            scale",
        "test_moments_of_terngrad",
    ),
    _mutant(
        "clipping by the variance",
        "terngrad.py",
        "self.clip * deviation(x)",
        "self.clip * deviation(x) ** 2",
        "test_clipping_of_terngrad",
    ),
    _mutant(
        "p-norm dithering has the 2-norm",
        "dithering.py",
        "finite_norms(self, x, x.size, self._order)",
        "finite_norms(self, x, x.size, 2.0)",
        "test_moments_of_dithering",
    ),
    _mutant(
        "natural compression rounds down",
        "natural.py",
        "+ (words >> np.uint32(9))) >> np.uint32(23)",
        "+ (words >> np.uint32(32 - 1))) >> np.uint32(23)",
        "test_natural_is_exactly_unbiased_from_end_to_end",
    ),
    _mutant(
        "natural compression flushes denormals of float32 to zero",
        "natural.py",
        "return np.where(small, (shares + draws) >> np.uint64(52), codes - np.uint64(_SHIFT))",
        "return np.where(small, np.uint64(0), codes - np.uint64(_SHIFT))",
        "test_natural_is_exactly_unbiased_from_end_to_end",
    ),
    _mutant(
        "natural dithering gives y, not its level",
        "natural_dithering.py",
        "part = powers.take(levels) * scale",
        "part = np.minimum(powers.take(levels) * 1.01, 1.0) * scale",
        "test_moments_of_natural_dithering",
    ),
    _mutant(
        "natural dithering has equidistant levels",
        "natural_dithering.py",
        "powers = np.concatenate([[0.0], np.ldexp(1.0, np.arange(1 - self.levels, 1))])",
        "powers = np.arange(self.levels + 1) / self.levels",
        "test_moments_of_natural_dithering",
    ),
    _mutant(
        "k levels are k + 1",
        "k_level.py",
        "write_drawn(out, x, reach, x.size, self.levels - 1, key, low, signed=False)",
        "write_drawn(out, x, reach, x.size, self.levels, key, low, signed=False)",
        "test_exact_lengths_of_fixed_codes",
    ),
    _mutant(
        "the largest entry is rounded down",
        "k_level.py",
        'highest = rounded_up(self, extremes[1:], self.float_bit, what="maximum")',
        'highest = rounded_up(self, extremes[1:], self.float_bit, what="maximum", down=True)',
        "test_moments_of_k_level",
    ),
)
