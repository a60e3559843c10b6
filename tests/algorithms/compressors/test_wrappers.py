"""Codes made of others, and codes of matrices: exact identities, lengths that add up, what each paper says."""

from __future__ import annotations

import itertools
import math
import tracemalloc
from typing import Any

import numpy as np
import pytest

from algorithms.coding import bits, factors, rotate
from algorithms.coding import codec as base_module
from algorithms.coding import memory as memory_module
from algorithms.coding.bits import BitReader, BitWriter
from algorithms.coding.draws import uniforms
from algorithms.coding.subset import derived
from algorithms.compressors import compose, error_feedback, hadamard, low_rank
from algorithms.compressors.stochastic_sparsification import optimal_level, probabilities
from netsim.errors import ConfigError, DecodeError, EncodeError
from netsim.interfaces import Key
from netsim.registry import build
from netsim.scenario.parsing import dump
from netsim.testing import checks
from netsim.testing import compressors as contract
from tests.support import resnet50

KEY = Key(2**63 + 5, 7)
LAYOUT = ((4, 3, 2), (5,), (6, 2), (1,), (3, 3))  # 24 + 5 + 12 + 1 + 9 = 51 entries


def lg(n: int) -> int:
    return math.ceil(math.log2(n))


def octets(bit: float) -> int:
    return math.ceil(bit / 8)


def make(name: str, **keys: Any) -> Any:
    return build("compressor", {"name": name, **keys})


def keyed(codec: Any, x: Any, key: Key = KEY) -> Any:
    return codec.decode(codec.encode_keyed(x, key).data, x.size, key)


def squared(x: Any) -> float:
    return float(np.square(x).sum())


# --- piecewise ---


def tensors(x: Any, layout: Any = LAYOUT) -> list[Any]:
    return np.split(x, np.cumsum([math.prod(shape) for shape in layout])[:-1])


@pytest.mark.parametrize(
    "part",
    [
        {"name": "top_k", "k": 4, "float_bit": 64},
        {"name": "sign_top_k", "k": 3},
        {"name": "identity"},
        {"name": "rand_k", "fraction": 0.4, "shared_seed": True},
        {"name": "hadamard", "part": {"name": "top_k", "k": 2}},
    ],
)
def test_piecewise_is_each_tensor_by_itself(part: dict[str, Any]) -> None:
    """Vectors and bits of the parts, each with its own key, one after the other without padding."""
    x = np.random.default_rng(80).standard_normal(51)
    codec = make("piecewise", part=part).bind(LAYOUT)
    payload = codec.encode_keyed(x, KEY)
    one, out, paper, decoded = make(**part), BitWriter(), 0.0, []
    for piece, key in zip(tensors(x), derived(KEY, 5), strict=True):
        paper += one.write(piece, key, out).paper_bit
        decoded.append(one.decode(one.encode_keyed(piece, key).data, piece.size, key))
    assert payload.data == out.getvalue()
    assert payload.paper_bit == paper
    np.testing.assert_array_equal(codec.decode(payload.data, 51, KEY), np.concatenate(decoded))
    acc = np.arange(51.0)
    codec.add_to(payload.data, acc, 0.5, KEY)
    np.testing.assert_array_equal(acc, np.arange(51.0) + 0.5 * np.concatenate(decoded))
    assert len(payload.data) <= codec.max_size_bytes(51)
    assert codec.encode_flop(51) == sum(one.encode_flop(piece.size) for piece in tensors(x))
    assert codec.decode_flop(51) == sum(one.decode_flop(piece.size) for piece in tensors(x))


def test_piecewise_facts_are_the_worst_tensors() -> None:
    codec = make("piecewise", part={"name": "rand_k", "k": 3}).bind(LAYOUT)
    assert codec.is_unbiased
    assert codec.variance_bound(51) == 24 / 3 - 1
    assert codec.contraction(51) is None
    codec = make("piecewise", part={"name": "top_k", "k": 3}).bind(LAYOUT)
    assert not codec.is_unbiased
    assert codec.contraction(51) == 3 / 24
    assert codec.variance_bound(51) is None
    codec = make("piecewise", part={"name": "top_k", "k": 3}, vectors={"name": "identity"}).bind(LAYOUT)
    assert (codec.is_unbiased, codec.contraction(51), codec.variance_bound(51)) == (False, 3 / 24, None)
    assert (
        make("piecewise", part={"name": "sign_top_k", "fraction": 1.0}, layout=[[2, 8], [5]]).contraction(21) == 1 / 16
    )


def test_vectors_have_their_own_code() -> None:
    x = np.random.default_rng(81).standard_normal(51).astype(np.float32).astype(np.float64)
    codec = make("piecewise", part={"name": "top_k", "k": 1}, vectors={"name": "identity"}).bind(LAYOUT)
    y = tensors(keyed(codec, x))
    assert [np.count_nonzero(piece) for piece in y] == [1, 5, 1, 1, 1]
    np.testing.assert_array_equal(y[1], tensors(x)[1])
    assert codec.encode_keyed(x, KEY).paper_bit == (5 + 32) + 160 + (4 + 32) + 32 + (4 + 32)


def test_draws_of_tensors_are_independent() -> None:
    """Equal tensors are drawn differently: with one key for all of them the sets would be equal."""
    codec = make("piecewise", part={"name": "rand_k", "k": 3}).bind([(40,), (40,), (40,)])
    sets = {tuple(np.flatnonzero(piece)) for piece in np.split(keyed(codec, np.ones(120)), 3)}
    assert len(sets) == 3


def test_a_layout_of_another_length_is_refused() -> None:
    for codec in (
        make("piecewise", part={"name": "identity"}, layout=[[2, 3]]),
        make("low_rank", layout=[[2, 3]]),
        make("atomo", layout=[[2, 3]]),
    ):
        with pytest.raises(EncodeError, match=f"{codec.name}: a vector of the 6 entries of its 1 tensors"):
            codec.encode_keyed(np.ones(5), KEY)
        with pytest.raises(DecodeError, match="6 entries"):
            codec.decode(bytes(20), 5)
        with pytest.raises(ValueError, match="6 entries"):
            codec.max_size_bytes(5)
        assert codec.bind([(5,)]) == codec
        assert build("compressor", dump(codec)) == codec


@pytest.mark.parametrize(
    "config",
    [
        {"name": "piecewise", "part": {"name": "sign_top_k", "k": 3, "index": "auto"}},
        {"name": "piecewise", "part": {"name": "rand_k", "k": 2}, "vectors": {"name": "bernoulli", "p": 0.5}},
        {"name": "low_rank", "rank": 1},
        {"name": "low_rank", "rank": 2, "fold": True},
        {"name": "atomo", "budget": 1.0},
        {"name": "atomo", "budget": 1.5, "fold": True, "float_bit": 64},
    ],
)
def test_bound_codes_on_hostile_bytes(config: dict[str, Any]) -> None:
    codec = make(**config).bind(LAYOUT)
    rng = np.random.default_rng(82)
    base = codec.encode(rng.standard_normal(51), rng).data
    refused = 0
    for case in range(600):
        data = contract._damage(bytearray(base), case % 6, rng)
        try:
            y = codec.decode(data, 51, KEY)
        except DecodeError:
            refused += 1
            continue
        assert (y.shape, y.dtype) == ((51,), np.float64)
        assert np.isfinite(y).all()
    assert refused >= 100


def test_errors_name_the_tensor() -> None:
    x = np.ones(51)
    x[26] = 1e300
    codec = make("piecewise", part={"name": "top_k", "k": 1}).bind(LAYOUT)
    with pytest.raises(EncodeError, match="piecewise: tensor 1, from entry 24 on: top_k: entry 2 must lie within"):
        codec.encode_keyed(x, KEY)
    for name in ("low_rank", "atomo"):
        with pytest.raises(EncodeError, match=f"{name}: entry 26 must lie within"):
            make(name).bind(LAYOUT).encode_keyed(x, KEY)


# --- ResNet-50 ---


def test_resnet50_has_161_tensors() -> None:
    shapes = resnet50.shapes()
    assert len(shapes) == 161
    assert sum(map(math.prod, shapes)) == resnet50.WEIGHTS == 25_557_032
    assert sum(len(shape) == 4 for shape in shapes) == 53
    assert sum(min(math.prod(shape), 1000) for shape in shapes) == 99_400


def test_resnet50_messages() -> None:
    """Real payloads: ratios 2.19 a message and 17.5 with H = 8 at 25-bit indices, 3.07 with those of each tensor.

    There an index has 13.9 bits on average, so SignTopK takes 15.0 bits an entry instead of 26: the whole vector's TopK
    is 3.81 times as long. Overheads: a count of 25 bits in the whole vector; a count and, of signs, a scale in each of
    the 161 tensors.
    """
    shapes, d, k = resnet50.shapes(), resnet50.WEIGHTS, 99_400
    x = np.random.default_rng(83).standard_normal(d, dtype=np.float32)
    assert lg(d) == lg(d + 1) == 25
    dense = len(make("identity").encode_keyed(x, KEY).data)
    assert dense == 4 * d
    top_k = make("top_k", k=k).encode_keyed(x, KEY)
    assert (len(top_k.data), top_k.paper_bit) == (octets(25 + k * 57), k * 57)
    sign = make("sign_top_k", k=k).encode_keyed(x, KEY)
    assert (len(sign.data), sign.paper_bit) == (octets(25 + 32 + k * 26), 32 + k * 26)
    assert len(top_k.data) / len(sign.data) == pytest.approx(2.19, abs=0.005)
    assert 8 * len(top_k.data) / len(sign.data) == pytest.approx(17.5, abs=0.05)
    assert 8 * dense / len(sign.data) == pytest.approx(2532, abs=1)

    codec = make("piecewise", part={"name": "sign_top_k", "k": 1000}).bind(shapes)
    payload = codec.encode_keyed(x, KEY)
    sizes = [math.prod(shape) for shape in shapes]
    own = sum(lg(n) * min(n, 1000) for n in sizes)
    assert payload.paper_bit == 161 * 32 + own + k
    assert len(payload.data) == octets(sum(lg(n + 1) for n in sizes) + 161 * 32 + own + k)
    each = make("piecewise", part={"name": "top_k", "k": 1000}).bind(shapes).encode_keyed(x, KEY)
    assert len(each.data) == octets(sum(lg(n + 1) for n in sizes) + own + 32 * k)
    assert len(each.data) / len(payload.data) == pytest.approx(3.07, abs=0.005)
    assert len(top_k.data) / len(payload.data) == pytest.approx(3.81, abs=0.005)
    acc = np.zeros(d, np.float32)
    codec.add_to(payload.data, acc)
    assert np.count_nonzero(acc) == k
    del acc
    best = make("piecewise", part={"name": "sign_top_k", "k": 1000, "index": "auto"}).bind(shapes).encode_keyed(x, KEY)
    assert len(best.data) < 0.85 * len(payload.data)


# --- compose ---


def test_plain_composition_codes_the_decoded_vector() -> None:
    x = np.random.default_rng(84).standard_normal(60)
    inner, outer = {"name": "bernoulli", "p": 0.5}, {"name": "stochastic_sparsification", "budget": 9.0}
    codec = make("compose", inner=inner, outer=outer)
    first, second = derived(KEY, 2)
    middle = keyed(make(**inner), x, first)
    assert codec.encode_keyed(x, KEY) == make(**outer).encode_keyed(middle, second)
    assert codec.max_size_bytes(60) == make(**outer).max_size_bytes(60)


@pytest.mark.parametrize("index", ["fixed", "auto"])
def test_kept_composition_codes_the_kept_entries(index: str) -> None:
    """Count, positions, then the outer code of T values: lengths add up; an empty set is a count alone."""
    x = np.random.default_rng(85).standard_normal(60)
    inner, outer = {"name": "rand_k", "k": 20}, {"name": "sign_top_k", "fraction": 1.0}
    codec = make("compose", inner=inner, outer=outer, form="kept", index=index)
    first, second = derived(KEY, 2)
    middle = keyed(make(**inner), x, first)
    places = np.flatnonzero(middle)
    coded = make(**outer).encode_keyed(middle[places], second)
    payload = codec.encode_keyed(x, KEY)
    expected = np.zeros(60)
    expected[places] = make(**outer).decode(coded.data, 20)
    np.testing.assert_array_equal(codec.decode(payload.data, 60), expected)
    from algorithms.coding.indices import index_bit

    section = index_bit(places, 60, index)  # type: ignore[arg-type]
    outer_bit = 5 + 32 + 20 * (5 + 1)
    assert len(payload.data) == octets(6 + section + outer_bit) <= codec.max_size_bytes(60)
    assert payload.paper_bit == section + coded.paper_bit
    assert codec.encode_keyed(np.zeros(60), KEY).data == b"\0"
    with pytest.raises(ConfigError, match=r"inner: a sparse code, as the form is kept. Got identity"):
        make("compose", inner={"name": "identity"}, outer=outer, form="kept")


def test_kept_composition_of_an_unordered_code() -> None:
    """The hybrid wire lists saturated entries first; positions travel in order all the same."""
    x = np.array([0.1, 5.0, 0.2, -0.3, 0.0, 4.0])
    inner = {"name": "stochastic_sparsification", "budget": 3.5, "wire": "hybrid"}
    codec = make("compose", inner=inner, outer={"name": "identity"}, form="kept")
    first = derived(KEY, 2)[0]
    np.testing.assert_array_equal(keyed(codec, x), keyed(make(**inner), x, first))


def outcomes(d: int, k: int) -> list[Any]:
    """What rand_k makes of the unit vectors, for each set: diagonals of d/k and 0."""
    return [np.where(np.isin(np.arange(d), s), d / k, 0.0) for s in itertools.combinations(range(d), k)]


def test_composed_variance_is_exact_for_rand_k() -> None:
    """Q1 and Q2 both rand_k with equality: E||Q - x||^2 = (w1 + w2 + w1 w2) ||x||^2 over all pairs of sets, d = 6."""
    x = np.random.default_rng(86).standard_normal(6)
    codec = make("compose", outer={"name": "rand_k", "k": 2}, inner={"name": "rand_k", "k": 3})
    w1, w2 = 6 / 2 - 1, 6 / 3 - 1
    assert codec.variance_bound(6) == w1 + w2 + w1 * w2
    assert codec.is_unbiased
    errors = [squared(q1 * q2 * x - x) for q1 in outcomes(6, 2) for q2 in outcomes(6, 3)]
    assert math.isclose(math.fsum(errors) / len(errors), codec.variance_bound(6) * squared(x), rel_tol=1e-12)
    share = [squared(keyed(codec, x, Key(i, 5)) - x) / squared(x) for i in range(1000)]
    assert abs(np.mean(share) - codec.variance_bound(6)) <= 5 * np.std(share) / math.sqrt(1000)  # 6e-7


def test_kept_variance_takes_the_worst_size() -> None:
    """rand_k of half of T entries: T/floor(T/2) - 1 is largest, 2, at T = 3, not at T = 8."""
    codec = make("compose", outer={"name": "rand_k", "fraction": 0.5}, inner={"name": "rand_k", "k": 8}, form="kept")
    w2 = 60 / 8 - 1
    assert codec.variance_bound(60) == 2 + w2 + 2 * w2
    assert compose._largest_variance(make("rand_k", k=1), compose.COUNTED + 1) is None
    assert make("compose", outer={"name": "top_k", "k": 1}, inner={"name": "rand_k", "k": 8}).variance_bound(60) is None
    biased = make("compose", outer={"name": "identity"}, inner={"name": "rand_k", "k": 8, "scaled": False})
    assert biased.variance_bound(60) is None
    assert not biased.is_unbiased


def test_compose_names_what_is_wrong() -> None:
    codec = make("compose", outer={"name": "identity"}, inner={"name": "top_k", "k": 2, "float_bit": 64}, form="kept")
    with pytest.raises(EncodeError, match="compose: of the 2 entries kept, identity: entry 1 must lie within"):
        codec.encode_keyed(np.array([1.0, 1e300]), KEY)


# --- scaling to a contraction ---


def test_scaling_is_exact_for_rand_k() -> None:
    """E||Q/(1+w) - x||^2 = w/(1+w) ||x||^2 over all sets of 3 of 6: (1 - k/d) ||x||^2, as unscaled rand_k has it."""
    codec = make("to_contraction", part={"name": "rand_k", "k": 3, "float_bit": 64})
    x = np.random.default_rng(87).standard_normal(6)
    assert codec.variance_bound(6) == 0.5
    assert codec.contraction(6) is None
    assert not codec.is_unbiased
    errors = [squared(q * x / 2 - x) for q in outcomes(6, 3)]
    assert math.isclose(math.fsum(errors) / len(errors), 0.5 * squared(x), rel_tol=1e-12)
    for i in range(20):
        y = keyed(codec, x, Key(i, 1))
        np.testing.assert_array_equal(y, keyed(make("rand_k", k=3, scaled=False, float_bit=64), x, Key(i, 1)))
    assert codec.encode_keyed(x, KEY) == codec.part.encode_keyed(x, KEY)


@pytest.mark.parametrize(
    "part", [{"name": "bernoulli", "p": 0.3}, {"name": "stochastic_sparsification", "budget": 6.0}]
)
def test_scaled_code_contracts_in_expectation(part: dict[str, Any]) -> None:
    """Mean squared error at most w/(1+w) ||x||^2, within 5 standard errors of 600 draws (3e-7)."""
    codec = make("to_contraction", part=part)
    x = np.random.default_rng(88).standard_normal(30)
    w = codec.part.variance_bound(30)
    assert codec.variance_bound(30) == w / (1 + w)
    share = [squared(keyed(codec, x, Key(i, 1)) - x) / squared(x) for i in range(600)]
    assert np.mean(share) <= w / (1 + w) + 5 * np.std(share) / math.sqrt(600)
    assert np.mean(share) >= 0.1


def test_a_scaled_code_is_bound_with_its_part() -> None:
    """w is that of the tensor with the most entries, 24/3 - 1, for all of them."""
    codec = make("to_contraction", part={"name": "piecewise", "part": {"name": "rand_k", "k": 3}}).bind(LAYOUT)
    x = np.random.default_rng(107).standard_normal(51)
    assert codec.variance_bound(51) == 7 / 8
    np.testing.assert_array_equal(keyed(codec, x), keyed(codec.part, x) / 8)
    with pytest.raises(EncodeError, match="piecewise: a vector of the 51 entries"):
        codec.encode_keyed(np.ones(50), KEY)


def test_only_unbiased_codes_are_scaled() -> None:
    for part in ("alistarh", {"name": "top_k", "k": 1}, {"name": "rand_k", "k": 1, "scaled": False}):
        with pytest.raises(ConfigError, match="part: an unbiased code with a known variance"):
            make("to_contraction", part=part)


# --- error feedback ---


@pytest.mark.parametrize(
    "part",
    [
        {"name": "top_k", "k": 3},
        {"name": "sign_top_k", "k": 5},
        {"name": "rand_k", "k": 4, "scaled": False, "shared_seed": True},
        {"name": "low_rank", "rank": 1},
        {"name": "identity", "float_bit": 16},
    ],
)
def test_error_feedback_keeps_what_is_lost(part: dict[str, Any]) -> None:
    """sum of decoded + e = sum of x, to rounding; e is exactly e + x - decoded; the decoder needs no memory."""
    codec = make("error_feedback", part=part).bind(LAYOUT)
    rng = np.random.default_rng(89)
    memory, got, sent = None, np.zeros(51), np.zeros(51)
    for i in range(50):
        x = rng.standard_normal(51)
        before = np.zeros(51) if memory is None else memory.error.copy()
        kept = None if memory is None else memory.error
        payload, decoded, after = codec.step(memory, x, Key(i, 1))
        np.testing.assert_array_equal(codec.decode(payload.data, 51, Key(i, 1)), decoded)
        np.testing.assert_array_equal(after.error, before + x - decoded)
        assert kept is None or (kept == before).all()  # the old memory is left alone
        if part["name"] != "low_rank":
            assert payload == codec.part.encode_keyed(before + x, Key(i, 1))
        memory, got, sent = after, got + decoded, sent + x
    np.testing.assert_allclose(got + memory.error, sent, atol=1e-12)


def test_error_stays_bounded() -> None:
    """||e||^2 <= 4 (1 - delta) G^2 / delta^2 for ||x|| <= G and top_k, delta = k/d."""
    codec = make("error_feedback", part={"name": "top_k", "k": 5})
    rng, memory = np.random.default_rng(90), None
    delta = codec.contraction(40)
    assert delta == 5 / 40
    for i in range(400):
        x = rng.standard_normal(40)
        _, _, memory = codec.step(memory, x / np.linalg.norm(x), Key(i, 1))
        assert squared(memory.error) <= 4 * (1 - delta) / delta**2


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "part", [{"name": "top_k", "k": 4}, {"name": "qsgd", "levels": 2}, {"name": "low_rank", "rank": 1}]
)
def test_the_error_is_what_was_to_be_sent_less_what_is_decoded(part: dict[str, Any], dtype: Any) -> None:
    """Bit for bit, although only the coordinates that were sent are touched; the old memory stays as it is."""
    codec, rng, memory = make("error_feedback", part=part).bind(((8, 5),)), np.random.default_rng(9), None
    for i in range(6):
        x = rng.standard_normal(40).astype(dtype)
        total = x if memory is None else np.add(memory.error, x, dtype=np.float64)
        before = None if memory is None else memory.error.copy()
        payload, decoded, after = codec.step(memory, x, Key(i, 1))
        assert decoded.tobytes() == codec.decode(payload.data, 40, Key(i, 1)).tobytes()
        assert after.error.tobytes() == (total - decoded).tobytes()
        assert codec.advance(memory, x, Key(i, 1))[0] == payload
        if memory is not None:
            assert memory.error.tobytes() == before.tobytes()
        memory = after


def test_error_feedback_without_memory_is_its_part() -> None:
    x = np.random.default_rng(91).standard_normal(40)
    codec = make("error_feedback", part={"name": "sign_top_k", "k": 5})
    assert codec.encode_keyed(x, KEY) == codec.part.encode_keyed(x, KEY)
    step = codec.step(None, x, KEY)
    assert step.payload == codec.encode_keyed(x, KEY)
    out = BitWriter()
    codec.write(x, KEY, out, step.memory)
    assert out.getvalue() == codec.part.encode_keyed(step.memory.error + x, KEY).data
    with pytest.raises(EncodeError, match=r"error_feedback: an error of 40 entries is needed. Got 3"):
        codec.step(error_feedback.Memory(np.zeros(3)), x, KEY)
    with pytest.raises(EncodeError, match="error_feedback: top_k: entry 0 must"):
        make("error_feedback", part={"name": "top_k", "k": 5}).step(None, np.full(40, 1e300), KEY)
    plain = memory_module.step(make("top_k", k=2), None, x, KEY)
    assert (plain.memory, plain.payload) == (None, make("top_k", k=2).encode_keyed(x, KEY))


# --- Hadamard rotation ---


def matrix(d: int, key: Key) -> Any:
    """H diag(s)/sqrt(D), H_ij = (-1)^(bits in common), from the definition."""
    size = rotate.padded(d)
    h = np.array([[(-1.0) ** (i & j).bit_count() for j in range(size)] for i in range(size)])
    return h * _signs(size, key) / math.sqrt(size)


def _signs(size: int, key: Key) -> Any:
    """diag(s) H e_0 / sqrt(D): the first column of H is all ones."""
    return np.sign(rotate.rotate_back(np.eye(1, size)[0], size, key))


@pytest.mark.parametrize("d", [1, 2, 3, 8, 13, 64, 200])
def test_rotation_by_its_matrix(d: int) -> None:
    """Equal to H diag(s) x / sqrt(D); orthogonal; back again."""
    x = np.random.default_rng(92).standard_normal(d)
    r = matrix(d, KEY)
    np.testing.assert_allclose(r @ r.T, np.eye(len(r)), atol=1e-14)
    y = rotate.rotate(x, KEY)
    np.testing.assert_allclose(y, r[:, :d] @ x, atol=1e-13)
    np.testing.assert_allclose(rotate.rotate_back(y.copy(), d, KEY), x, atol=1e-13)


def test_signs_are_fair_and_differ_by_key() -> None:
    """Of 100 x 256 signs half are minus, within 5 standard deviations (6e-7); no two keys have the same."""
    signs = [tuple(_signs(256, Key(i, 2))) for i in range(100)]
    assert len(set(signs)) == 100
    assert abs(np.mean(signs)) <= 5 / math.sqrt(25_600)


@pytest.mark.parametrize("d", [4096, 5000, 20_000, 65_537])
@pytest.mark.parametrize("scale", [1.0, 1e-310, 1e305])
def test_compiled_rotation_is_the_same(d: int, scale: float, monkeypatch: pytest.MonkeyPatch) -> None:
    x = np.random.default_rng(93).standard_normal(d) * scale
    found = []
    for compiled_from in (4096, 10**9):
        monkeypatch.setattr(rotate, "COMPILED_FROM", compiled_from)
        y = rotate.rotate(x, KEY)
        found.append((y, rotate.rotate_back(y.copy(), d, KEY)))
    for one, other in zip(*found, strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_allclose(found[0][1], x, atol=1e-12 * scale + 1e-322)


def test_rotation_flattens() -> None:
    """One spike of norm 1 in d = 1000 has all 1024 entries at 1/32; a Gaussian bound holds for other vectors."""
    x = np.zeros(1000)
    x[17] = 1.0
    np.testing.assert_allclose(np.abs(rotate.rotate(x, KEY)), 1 / 32, rtol=1e-12)
    x = np.random.default_rng(94).standard_t(1, 1000)
    for i in range(100):  # each key is above with probability q = 1e-6
        y = rotate.rotate(x, Key(i, 0))
        assert np.abs(y).max() <= math.sqrt(2 * math.log(2 * 1024 / 1e-6) / 1024) * np.linalg.norm(x)


@pytest.mark.parametrize("shared", [False, True])
def test_hadamard_payload(shared: bool) -> None:
    """32 bits of seed or none, then the part's payload of the rotated vector; facts are the part's for D entries."""
    x = np.random.default_rng(95).standard_normal(100)
    codec = make("hadamard", part={"name": "rand_k", "k": 10}, shared_seed=shared)
    payload = codec.encode_keyed(x, KEY)
    signs, own = derived(KEY, 2)
    if not shared:
        signs = Key(signs.key % 2**32, 0)
    inner = codec.part.encode_keyed(rotate.rotate(x, signs), own)
    head = b"" if shared else signs.key.to_bytes(4, "little")
    assert payload.data == head + inner.data
    assert (payload.paper_bit, payload.index_bit) == (inner.paper_bit, inner.index_bit)
    back = rotate.rotate_back(codec.part.decode(inner.data, 128), 100, signs)
    np.testing.assert_array_equal(codec.decode(payload.data, 100, KEY), back)
    assert codec.variance_bound(100) == 128 / 10 - 1
    assert codec.contraction(100) is None
    assert codec.is_unbiased
    assert codec.shares_randomness == shared
    assert codec.max_size_bytes(100) == codec.part.max_size_bytes(128) + (0 if shared else 4)


def test_rotation_helps_a_heavy_tail() -> None:
    """Mean squared error of one bit an entry on ten spikes in 1000 entries: a third of the plain code's, or less."""
    x = np.zeros(1000)
    x[::100] = 1.0
    part = {"name": "sign_top_k", "fraction": 1.0}
    plain = squared(keyed(make("sign_top_k", k=1000), x + 1e-9) - x)
    turned = np.mean([squared(keyed(make("hadamard", part=part), x, Key(i, 0)) - x) for i in range(50)])
    assert turned < 0.5 * plain


def test_hadamard_names_what_is_wrong() -> None:
    codec = make("hadamard", part={"name": "identity"})
    with pytest.raises(EncodeError, match="hadamard: after rotation, identity: entry 0 must lie within"):
        codec.encode_keyed(np.full(4, 1e300), KEY)
    wide = make("hadamard", part={"name": "identity", "float_bit": 64})
    data = bytes(4) + np.full(4, 1.7e308).tobytes()
    with pytest.raises(DecodeError, match="beyond float64"):
        wide.decode(data, 4)
    np.testing.assert_allclose(keyed(wide, np.full(3, 8e307)), np.full(3, 8e307), rtol=1e-14)
    assert hadamard.SEED_BIT == 32


# --- low rank ---


def test_low_rank_lengths_and_raw_vectors() -> None:
    """r (n + m) floats where that is less than n m, else all; the layout alone decides."""
    x = np.random.default_rng(96).standard_normal(51).astype(np.float32).astype(np.float64)
    for rank, floats in ((1, 4 + 6 + 5 + 6 + 2 + 1 + 3 + 3), (2, 2 * 10 + 5 + 12 + 1 + 9), (3, 24 + 5 + 12 + 1 + 9)):
        codec = make("low_rank", rank=rank).bind(LAYOUT)
        payload = codec.encode_keyed(x, KEY)
        assert (len(payload.data), payload.paper_bit, payload.index_bit) == (4 * floats, 32 * floats, 0)
        assert codec.max_size_bytes(51) == len(payload.data)
        y = tensors(codec.decode(payload.data, 51))
        for i in (1, 3):
            np.testing.assert_array_equal(y[i], tensors(x)[i])
        if rank == 3:
            np.testing.assert_array_equal(np.concatenate(y), x)


def test_low_rank_is_a_projection() -> None:
    """Q is M projected on P's columns: ||M - Q||^2 = ||M||^2 - ||Q||^2, <M - Q, Q> = 0, rank r, P orthonormal."""
    rng = np.random.default_rng(97)
    codec = make("low_rank", rank=2, float_bit=64).bind([(9, 14)])
    for m in (rng.standard_normal((9, 14)), 1e200 * rng.standard_t(2, (9, 14)), 1e-200 * rng.standard_normal((9, 14))):
        payload = codec.encode_keyed(m.ravel(), KEY)
        q = codec.decode(payload.data, m.size).reshape(m.shape) / np.abs(m).max()
        m = m / np.abs(m).max()
        assert np.linalg.matrix_rank(q) == 2
        assert abs(float(((m - q) * q).sum())) <= 1e-12 * squared(m)
        assert math.isclose(squared(m - q), squared(m) - squared(q), rel_tol=1e-11)
        p = codec.read_factors(BitReader(payload.data), m.size)[0].left
        np.testing.assert_allclose(p.T @ p, np.eye(2), atol=1e-14)


def test_second_factor_is_of_the_decoded_first() -> None:
    """With float16 the first factor loses much; the second one is M^T times what the reader has of it, rounded."""
    m = np.random.default_rng(106).standard_normal((20, 30))
    codec = make("low_rank", rank=2, float_bit=16).bind([m.shape])
    p, right = codec.read_factors(BitReader(codec.encode_keyed(m.ravel(), KEY).data), 600)[0]
    exact = m.T @ p
    assert np.abs(p - p.astype(np.float16)).max() == 0
    np.testing.assert_array_equal(right, exact.astype(np.float16))


def test_low_rank_of_low_rank_is_exact() -> None:
    """A matrix of rank r comes back, also of rank below r, and zero gives zero."""
    rng = np.random.default_rng(98)
    codec = make("low_rank", rank=3, float_bit=64).bind([(12, 15)])
    for rank in (3, 2, 1):
        m = rng.standard_normal((12, rank)) @ rng.standard_normal((rank, 15))
        np.testing.assert_allclose(keyed(codec, m.ravel()).reshape(m.shape), m, atol=1e-11)
    assert not keyed(codec, np.zeros(180)).any()
    assert len(codec.encode_keyed(np.zeros(180), KEY).data) == codec.max_size_bytes(180)


def test_warm_start_is_power_iteration() -> None:
    """The same matrix again and again: the error falls, step by step, to that of the best matrix of rank r.

    The singular values are 2^0, 2^-1, ...; the first cold step is worse.
    """
    rng = np.random.default_rng(99)
    u, _ = np.linalg.qr(rng.standard_normal((20, 12)))
    v, _ = np.linalg.qr(rng.standard_normal((16, 12)))
    s = 0.5 ** np.arange(12)
    m = (u * s) @ v.T
    codec = make("low_rank", rank=2, float_bit=64).bind([m.shape])
    memory, errors = None, []
    for i in range(40):
        _, decoded, memory = codec.step(memory, m.ravel(), Key(i, 0))
        errors.append(squared(decoded - m.ravel()))
    best = squared(s[2:])
    assert errors[0] > 1.01 * best
    assert all(b <= a * (1 + 1e-12) for a, b in itertools.pairwise(errors))
    assert math.isclose(errors[-1], best, rel_tol=1e-9)


def test_memory_is_what_the_reader_decoded() -> None:
    """The warm start is M^T P as it came off the wire; a step from it gives the same bytes as `write` with it."""
    x = np.random.default_rng(100).standard_normal(51)
    codec = make("low_rank", rank=1, float_bit=16).bind(LAYOUT)
    first = codec.step(None, x, KEY)
    assert first.payload == codec.encode_keyed(x, KEY)
    rights = [f.right.ravel() for f in codec.read_factors(BitReader(first.payload.data), 51) if f.right is not None]
    np.testing.assert_array_equal(first.memory, np.concatenate(rights))
    out = BitWriter()
    codec.write(x, KEY, out, first.memory)
    assert out.getvalue() == codec.step(first.memory, x, KEY).payload.data != first.payload.data
    with pytest.raises(EncodeError, match="low_rank: a memory of 11 entries is needed"):
        codec.step(np.zeros(5), x, KEY)


def test_a_tiny_product_is_no_loss() -> None:
    """A warm start that sees only entries near 1e-200 of the largest still gives a direction."""
    codec = make("low_rank", rank=1, float_bit=64).bind([(4, 5)])
    m = np.zeros((4, 5))
    m[:, 0], m[:, 1] = 1.0, 1e-200
    payload = codec.step(np.array([0.0, 1.0, 0.0, 0.0, 0.0]), m.ravel(), KEY).payload
    np.testing.assert_allclose(codec.decode(payload.data, 20), m.ravel(), rtol=1e-14)


def test_a_lost_direction_is_drawn_anew() -> None:
    """After a zero matrix the memory is zero: the next step starts cold instead of staying at zero forever."""
    m = np.random.default_rng(101).standard_normal(180)
    codec = make("low_rank", rank=2).bind([(12, 15)])
    zero = codec.step(None, np.zeros(180), KEY)
    assert not zero.memory.any()
    assert codec.step(zero.memory, m, KEY).payload == codec.encode_keyed(m, KEY)


def test_compiled_products_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(102)
    for n, m, r in ((1, 1, 1), (7, 30, 2), (64, 65, 4), (300, 3, 3)):
        matrix = rng.standard_t(2, (n, m))
        q, p = rng.standard_normal((r, m)), rng.standard_normal((r, n))
        found = []
        for compiled_from in (0, 10**9):
            monkeypatch.setattr(low_rank, "COMPILED_FROM", compiled_from)
            found.append((low_rank._right(matrix, q), low_rank._left(matrix, p)))
        for one, other, plain in zip(*found, (q @ matrix.T, p @ matrix), strict=True):
            np.testing.assert_array_equal(one, other)
            np.testing.assert_allclose(one, plain, rtol=1e-10, atol=1e-10)


def test_no_product_of_a_library_reaches_the_wire(monkeypatch: pytest.MonkeyPatch) -> None:
    """low_rank works where BLAS and LAPACK do not exist."""

    def missing(*args: Any, **keys: Any) -> Any:
        raise AssertionError("a library's product")

    for module in (base_module, bits):
        monkeypatch.setattr(module, "within", lambda *_: False)  # the look whether floats are finite may use one
    for name in ("dot", "matmul", "vdot", "inner", "einsum", "tensordot"):
        monkeypatch.setattr(np, name, missing)
    for name in ("qr", "svd", "norm"):
        monkeypatch.setattr(np.linalg, name, missing)
    keyed(make("low_rank", rank=2, fold=True), np.random.default_rng(103).standard_normal(20_000))


# --- ATOMO ---


def test_atomo_over_all_outcomes(monkeypatch: pytest.MonkeyPatch) -> None:
    """All sets of singular vectors with their probabilities: mean M, mean squared error sum s^2 (1/p - 1), exactly."""
    from algorithms.compressors import atomo

    rng = np.random.default_rng(104)
    for budget in (0.5, 1.5, 2.0, 9.0):
        codec = make("atomo", budget=budget, float_bit=64).bind([(3, 5)])
        for m in (rng.standard_normal((3, 5)), 1e150 * rng.standard_t(2, (3, 5))):
            s = np.linalg.svd(m, compute_uv=False)
            p = probabilities(s, optimal_level(s, budget))
            mean, error = np.zeros(15), 0.0
            scale = squared(m / np.abs(m).max())
            for outcome in itertools.product([False, True], repeat=3):
                share = math.prod(q if hit else 1 - q for q, hit in zip(p, outcome, strict=True))
                if share == 0:
                    continue
                draws = np.where(outcome, 0.0, np.nextafter(1.0, 0))
                monkeypatch.setattr(atomo, "uniforms", lambda key, places, draws=draws: draws[places])
                y = keyed(codec, m.ravel()) / np.abs(m).max()
                mean += share * y
                error += share * squared(y - m.ravel() / np.abs(m).max())
            np.testing.assert_allclose(mean, m.ravel() / np.abs(m).max(), atol=1e-13)
            expected = math.fsum((s / np.abs(m).max()) ** 2 * (1 / p - 1))
            assert math.isclose(error, expected, rel_tol=1e-10, abs_tol=1e-13 * scale)
            assert error <= codec.variance_bound(15) * scale * (1 + 1e-10) + 1e-13 * scale
        assert codec.variance_bound(15) == max(3 / budget - 1, 0)


def test_atomo_lengths() -> None:
    """lg(R + 1) bits and T (n + m) floats for each matrix, T by the draws of its own coordinates; vectors as floats."""
    x = np.random.default_rng(105).standard_normal(51)
    codec = make("atomo", budget=1.2).bind(LAYOUT)
    for i in range(20):
        key, bit, paper, first = Key(i, 4), 0, 0, 0
        for piece, shape in zip(tensors(x), LAYOUT, strict=True):
            if len(shape) == 1:
                bit, paper = bit + 32 * piece.size, paper + 32 * piece.size
                continue
            m = piece.reshape(shape[0], -1)
            s = np.linalg.svd(m, compute_uv=False)
            hit = uniforms(key, first + np.arange(s.size)) < probabilities(s, optimal_level(s, 1.2))
            floats = 32 * int(hit.sum()) * sum(m.shape)
            bit, paper, first = bit + lg(s.size + 1) + floats, paper + floats, first + m.size
        payload = codec.encode_keyed(x, key)
        assert (len(payload.data), payload.paper_bit, payload.index_bit) == (octets(bit), paper, 0)
    most = 32 * (4 * 10 + 5 + 2 * 8 + 1 + 3 * 6) + 3 + 2 + 2
    assert codec.max_size_bytes(51) == octets(most)
    full = make("atomo", budget=9.0).bind(LAYOUT).encode_keyed(x, KEY)
    assert len(full.data) == octets(most)


def test_atomo_leaves_out_singular_values_of_rounding() -> None:
    """A matrix of rank 1 has one singular vector, whatever LAPACK says of the others."""
    m = np.outer([1.0, 0.1, 3.0], [0.7, -1.0, 1 / 3])
    codec = make("atomo", budget=3.0).bind([(3, 3)])
    assert codec.encode_keyed(m.ravel(), KEY).paper_bit == 32 * 6
    assert codec.encode_keyed(np.zeros(9), KEY).data == b"\0"


def test_products_beyond_float64_are_no_payload() -> None:
    layout = [(3, 3)]
    big = np.full(6, 1e200).tobytes()
    with pytest.raises(DecodeError, match="a product beyond float64"):
        make("low_rank", rank=1, float_bit=64).bind(layout).decode(big, 9)
    out = BitWriter()
    out.uint(1, 2)
    out.floats(np.full(6, 1e200), 64)
    with pytest.raises(DecodeError, match="a product beyond float64"):
        make("atomo", float_bit=64).bind(layout).decode(out.getvalue(), 9)


def test_folding() -> None:
    """d entries, row by row, in ceil(sqrt d) columns; a vector that is one outer product folded comes back."""
    for d in (1, 2, 5, 9, 10, 99, 100, 101):
        tensor = make("atomo", fold=True).tensors(d)[0]
        if tensor.rows:
            assert tensor.columns == math.isqrt(d - 1) + 1
            assert (tensor.rows - 1) * tensor.columns < d <= tensor.rows * tensor.columns
    x = np.outer(np.arange(1.0, 9.0), np.arange(2.0, 10.0)).ravel()
    np.testing.assert_allclose(keyed(make("low_rank", rank=1, fold=True, float_bit=64), x), x, rtol=1e-12)
    matrix, exponent = factors.as_matrix(x, make("low_rank", rank=1, fold=True).tensors(64)[0])
    np.testing.assert_array_equal(matrix.ravel() * 2.0**exponent, x)
    assert 0.5 <= np.abs(matrix).max() < 1


# --- nesting ---


NESTED: dict[str, dict[str, Any]] = {
    "error feedback around low rank": {"name": "error_feedback", "part": {"name": "low_rank", "fold": True}},
    "piecewise rotation of signs": {
        "name": "piecewise",
        "part": {"name": "hadamard", "part": {"name": "sign_top_k", "fraction": 1.0}},
    },
    "scaled composition": {
        "name": "to_contraction",
        "part": {
            "name": "compose",
            "outer": {"name": "bernoulli", "p": 0.5},
            "inner": {"name": "rand_k", "k": 9},
            "form": "kept",
        },
    },
    "rotation with two shared seeds": {
        "name": "hadamard",
        "shared_seed": True,
        "part": {"name": "piecewise", "part": {"name": "rand_k", "fraction": 0.2, "shared_seed": True}},
    },
}


@pytest.mark.parametrize(
    "check", [c for c in checks("compressor") if c is not contract.check_unbiased], ids=lambda check: check.__name__
)
@pytest.mark.parametrize("name", NESTED)
def test_nested_codes_keep_the_contract(name: str, check: Any) -> None:
    check(make(**NESTED[name]))


@pytest.mark.parametrize(
    ("config", "text"),
    [
        ({"name": "piecewise"}, "part: a value is needed, a compressor: its name, or a mapping with its name"),
        ({"name": "piecewise", "part": {"name": "top_kk", "k": 1}}, "Nearest: top_k"),
        ({"name": "hadamard", "part": {"name": "top_k", "k": 0}}, "part.k: a whole number >= 1"),
        ({"name": "error_feedback", "part": {"name": "top_k"}}, "part.k: either k or fraction is needed"),
        ({"name": "low_rank", "layout": [[0, 3]]}, "layout[0][0]: a whole number >= 1"),
    ],
)
def test_wrong_parts_are_named(config: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        build("compressor", config)
    assert text in str(caught.value)


def test_refused_payloads_of_wrappers_allocate_nothing() -> None:
    """A long claim in few bytes: no vector of 1e8 entries exists before all bytes are accepted."""
    for config in (
        {"name": "piecewise", "part": {"name": "top_k", "k": 3}},
        {"name": "to_contraction", "part": {"name": "rand_k", "k": 3}},
        {"name": "hadamard", "part": {"name": "top_k", "k": 3}},
        {"name": "atomo", "fold": True},
    ):
        codec = make(**config)
        for data in (bytes(64), bytes(4) + b"\xff" * 60):
            tracemalloc.start()
            with pytest.raises(DecodeError):
                codec.decode(data, 10**8)
            assert tracemalloc.get_traced_memory()[1] < 200_000
            tracemalloc.stop()
