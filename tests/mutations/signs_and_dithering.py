"""One line of the sign, dithering and spherical codecs made wrong at a time, and the tests that must notice."""

from __future__ import annotations

from tests.mutants import Mutant

_COMPRESSORS = "algorithms/compressors"


def _mutant(name: str, file: str, old: str, new: str, *tests: str) -> Mutant:
    return Mutant(name, f"{_COMPRESSORS}/{file}", old, new, tuple(f"tests/test_{test}" for test in tests))


MUTANTS = (
    _mutant(
        "minus zero is negative",
        "_signs.py",
        "np.uint32(0x80000001)",
        "np.uint32(0x80000000)",
        "signs.py::test_signs_at_every_place_of_the_stream",
    ),
    _mutant(
        "signs of the last word are lost",
        "_signs_nb.py",
        "if whole < words.size:",
        "if whole > words.size:",
        "signs.py::test_signs_at_every_place_of_the_stream",
    ),
    _mutant(
        "streamed signs lose the bits of the next word",
        "_signs_nb.py",
        "((words[i + 1] << high) << np.uint64(1))",
        "(words[i + 1] << high)",
        "signs.py::test_signs_into_vectors_beyond_the_caches",
    ),
    _mutant(
        "the sign code sends a scale",
        "sign.py",
        "write_signs(out, x)",
        "out.uint(0, 32); write_signs(out, x)",
        "signs.py::test_exact_lengths",
    ),
    _mutant(
        "the scale of all signs is the largest magnitude",
        "scaled_sign.py",
        "scale = magnitude_means(x, x.size)",
        "scale = abs(x).max(keepdims=True)",
        "signs.py::test_scaled_sign_identities",
    ),
    _mutant(
        "a short last block has the mean of a whole one",
        "_signs.py",
        "sizes[-1] = x.size - block * (sums.size - 1)",
        "sizes[-1] = block",
        "signs.py::test_block_sign_is_scaled_sign_of_each_block",
    ),
    _mutant(
        "the scales of blocks are not counted",
        "block_sign.py",
        "PaperBits(value_bit=self.float_bit * scales.size + x.size)",
        "PaperBits(value_bit=self.float_bit + x.size)",
        "signs.py::test_exact_lengths",
    ),
    _mutant(
        "rows for columns",
        "one_bit.py",
        "1 if len(shape) < 2 else size // shape[0]",
        "1 if len(shape) < 2 else shape[0]",
        "signs.py::test_one_bit_is_its_definition",
    ),
    _mutant(
        "zeros count among the negative",
        "one_bit.py",
        "plus / np.maximum(rows - negative, 1.0)",
        "plus / np.maximum((x > 0).sum(), 1.0)",
        "signs.py::test_one_bit_is_its_definition",
    ),
    _mutant(
        "levels are cut off, not rounded",
        "sparse_dithering.py",
        "k = np.floor(y + 0.5)",
        "k = np.floor(y)",
        "dithering.py::test_nearest_levels",
    ),
    _mutant(
        "the scale is the grid's, not the best",
        "sparse_dithering.py",
        "c = _times_power(_total(lanes[0]) / _total(lanes[1]), exponent)",
        "c = _times_power(step, exponent)",
        "dithering.py::test_nearest_levels",
    ),
    _mutant(
        "dithering rounds up with the complementary probability",
        "sparse_dithering.py",
        "k = low + (draws < y - low)",
        "k = low + (draws >= y - low)",
        "dithering.py::test_drawn_moments",
    ),
    _mutant(
        "the kernel never rounds up",
        "_dithering_nb.py",
        "level = low + np.float64(draws[i] < y - low)",
        "level = low + np.float64(draws[i] <= low - y)",
        "dithering.py::test_float32_and_float64_take_the_same_bytes_on_both_paths",
    ),
    _mutant(
        "the second near point",
        "spherical.py",
        "found[left[hit]] = first + np.argmax(hits[hit], axis=1)",
        "found[left[hit]] = first + hits.shape[1] - 1 - np.argmax(hits[hit][:, ::-1], axis=1)",
        "dithering.py::test_biased_spherical",
        "dithering.py::test_unbiased_spherical",
    ),
    _mutant(
        "the unbiased code is scaled to the norm",
        "spherical.py",
        "scales = norms / self._cap.mean",
        "scales = norms * 1.0",
        "dithering.py::test_unbiased_spherical_mean",
    ),
    _mutant(
        "the stream of an unbiased code is public",
        "spherical.py",
        "windows = _windows(key.key if self.unbiased else None, self.block)",
        "windows = _windows(None, self.block)",
        "dithering.py::test_unbiased_spherical",
    ),
    _mutant(
        "points are not uniform: equal pairs",
        "_sphere.py",
        "scales = np.sqrt((ends[:, 1:] - ends[:, :-1]) / lengths)",
        "scales = np.sqrt(1 / pairs / lengths)",
        "dithering.py::test_points_are_uniform_on_the_sphere",
    ),
    _mutant(
        "the cap of half the height",
        "_sphere.py",
        "share = power * math.sqrt(1 - error) / (p * beta) * total / 2",
        "share = power * math.sqrt(1 - error) / (p * beta) * total / 4",
        "dithering.py::test_cap_numbers",
    ),
    _mutant(
        "LAQ cuts off",
        "laq.py",
        "* (top / 2) + 0.5)",
        "* (top / 2))",
        "dithering.py::test_laq_is_its_definition",
    ),
    _mutant(
        "LAQ adds the reference",
        "laq.py",
        "x = x - np.asarray(memory)",
        "x = x + np.asarray(memory)",
        "dithering.py::test_laq_of_a_reference",
    ),
    _mutant(
        "a range rounded down",
        "_signs.py",
        "_levels.rounded_up(codec, np.array([value]), float_bit, what)",
        "_levels.rounded_up(codec, np.array([value]), float_bit, what, down=True)",
        "signs.py::test_rounding_up_never_falls_below",
        "dithering.py::test_laq_is_its_definition",
    ),
    _mutant(
        "ends in equal steps",
        "fractional.py",
        "np.clip(np.sqrt(ends[:-1]) * np.sqrt(ends[1:]), ends[1:], ends[:-1])",
        "(ends[:-1] + ends[1:]) / 2",
        "dithering.py::test_fractional_by_hand",
    ),
    _mutant(
        "zeros are left out of their level's mean",
        "fractional.py",
        "found = np.stack([sums, np.bincount(levels, minlength=self._levels)])",
        "found = np.stack([sums, np.bincount(levels[magnitudes > 0], minlength=self._levels)])",
        "dithering.py::test_fractional_identities",
    ),
    _mutant(
        "the means are not counted",
        "fractional.py",
        "PaperBits(value_bit=self.bits * x.size + self.float_bit * self._levels)",
        "PaperBits(value_bit=self.bits * x.size)",
        "dithering.py::test_fractional_by_hand",
    ),
)
