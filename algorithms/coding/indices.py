"""Index sets on the wire: T ascending indices below d; T itself is known to the reader.

| code | bits of the section |
|---|---|
| fixed | T lg d |
| block | T (1 + w) + ceil(d / B), B = 2**w the power of two with the fewest bits |
| block_paper | T (1 + w) + ceil(d / B), B = round(d / T), w = lg B |
| bitmap | d |
| gap | Elias omega of each gap, the first one index + 1 |
| rice | Golomb-Rice of each gap less one: its quotient by 2**b in unary, then b bits, 2**b <= ln 2 d / T |
| enumerative | lg C(d, T), for d <= 1024 |
| auto | 3 bits that name one of the above, the one with the fewest bits (the first of them) |

All parameters follow from d and T. The block-position code writes all blocks' counts in unary, then all offsets: as
many bits as in turn, as Ozfatura, Ozfatura, Gunduz have it ("Distributed sparse SGD with majority voting", arXiv
2011.06495, section 4.3.1), and read without a step per bit.
"""

from __future__ import annotations

import math
from typing import Literal, TypeAlias, get_args

import numpy as np

from algorithms.coding.bits import BitReader, BitWriter
from algorithms.coding.prefix import (
    omega_bit,
    omega_sum_bit,
    read_omega,
    read_rice,
    read_unary,
    write_omega,
    write_rice,
    write_unary,
)
from algorithms.coding.sizes import lg
from netsim.errors import DecodeError, EncodeError
from netsim.interfaces import Indices

Code: TypeAlias = Literal["fixed", "block", "block_paper", "bitmap", "gap", "rice", "enumerative"]
IndexCode: TypeAlias = Literal["fixed", "block", "block_paper", "bitmap", "gap", "rice", "enumerative", "auto"]

CODES: tuple[Code, ...] = get_args(Code)
TAG_BIT = 3
ENUMERATED_DIM = 1024  # beyond, ranks of thousands of bits take longer than they save


def write_count(out: BitWriter, count: int, dim: int) -> None:
    """Write a number of entries, 0 to dim, in lg(dim + 1) bits."""
    out.uint(count, lg(dim + 1))


def read_count(src: BitReader, dim: int) -> int:
    """Read the number that `write_count` wrote.

    Raises
    ------
    DecodeError
        If it exceeds `dim`, or too few bits are left.
    """
    count = src.uint(lg(dim + 1))
    if count > dim:
        raise DecodeError(f"payload: at most {dim} entries fit. Got a count of {count}.")
    return count


def write_indices(out: BitWriter, indices: Indices, dim: int, code: IndexCode = "fixed") -> int:
    """Write ascending indices below `dim`; return the bits of the section.

    Raises
    ------
    EncodeError
        If the code is ``enumerative`` and `dim` above 1024.
    """
    start = out.bit_length
    if code == "auto":
        code = shortest(indices, dim)
        out.uint(CODES.index(code), TAG_BIT)
    count = indices.size
    if code == "fixed":
        out.uints(indices, lg(dim))
    elif code in ("block", "block_paper"):
        block = _block(dim, count, code)
        out_of = np.bincount(indices // block, minlength=-(-dim // block))
        write_unary(out, out_of + 1)
        out.uints(indices % block, lg(block))
    elif code == "bitmap":
        bits = np.zeros(dim, np.bool_)
        bits[indices] = True
        out.signs(bits)
    elif code == "gap":
        write_omega(out, np.diff(indices, prepend=-1))
    elif code == "rice":
        write_rice(out, np.diff(indices, prepend=-1) - 1, _rice_width(dim, count))
    else:
        _require_small(dim)
        out.uint(_rank(indices.tolist()), _enumerative_bit(dim, count))
    return out.bit_length - start


def read_indices(src: BitReader, count: int, dim: int, code: IndexCode = "fixed") -> Indices:
    """Read the indices that `write_indices` wrote, shape (count,), int64; `count` is at most `dim`.

    Raises
    ------
    DecodeError
        If they do not ascend, reach `dim`, are not as many, too few bits are left, or the code is ``enumerative`` and
        `dim` above 1024.
    """
    if code == "auto":
        tag = src.uint(TAG_BIT)
        if tag >= len(CODES) or (CODES[tag] == "enumerative" and dim > ENUMERATED_DIM):
            raise DecodeError(f"payload: an index code is one of {', '.join(CODES)}. Got number {tag}.")
        code = CODES[tag]
    if code == "fixed":
        indices = src.uints(count, lg(dim)).view(np.int64)
    elif code in ("block", "block_paper"):
        indices = _read_blocks(src, count, dim, _block(dim, count, code))
    elif code == "bitmap":
        indices = _read_bitmap(src, count, dim)
    elif code == "gap":
        indices = np.add.accumulate(read_omega(src, count, dim).astype(np.int64)) - 1
    elif code == "rice":
        gaps = read_rice(src, count, _rice_width(dim, count), dim - 1).astype(np.int64)
        indices = np.add.accumulate(gaps + 1) - 1
    else:
        _require_small(dim, DecodeError)
        indices = _unrank(src.uint(_enumerative_bit(dim, count)), dim, count)
    if count and indices[-1] >= dim:
        raise DecodeError(f"payload: indices lie below {dim}. Got {indices[-1]}.")
    ascends = indices[1:] > indices[:-1]
    if np.count_nonzero(ascends) < ascends.size:
        i = int(np.argmin(ascends))
        raise DecodeError(f"payload: indices must ascend. Got {indices[i]} before {indices[i + 1]}.")
    return indices


def index_bit(indices: Indices, dim: int, code: IndexCode = "fixed") -> int:
    """Return the bits of the section that `write_indices` writes, without writing it.

    Examples
    --------
    >>> indices = np.array([1, 2, 9, 15])
    >>> [index_bit(indices, 16, code) for code in ("fixed", "block", "bitmap", "gap", "rice", "enumerative")]
    [16, 16, 16, 16, 13, 11]
    """
    count = indices.size
    if code == "auto":
        return TAG_BIT + index_bit(indices, dim, shortest(indices, dim))
    if code == "fixed":
        return count * lg(dim)
    if code in ("block", "block_paper"):
        block = _block(dim, count, code)
        return _block_bit(dim, count, block)
    if code == "bitmap":
        return dim
    if code == "gap":
        return omega_sum_bit(np.diff(indices, prepend=-1))
    if code == "rice":
        width = _rice_width(dim, count)
        # Whole gaps, less one each, add up to the places before the last index that are not in the set.
        skipped = int(indices[-1]) + 1 - count if count else 0
        quotients = int(((np.diff(indices, prepend=-1) - 1) >> width).sum()) if width else skipped
        return quotients + count * (1 + width)
    _require_small(dim)
    return _enumerative_bit(dim, count)


def least_index_bit(count: int, dim: int) -> int:
    """Return a lower bound on the bits of any set of that size in any code that ``auto`` may take.

    Every code but the enumerative one has a bit or more for each index.
    """
    return TAG_BIT + (count if dim > ENUMERATED_DIM else 0)


def most_index_bit(count: int, dim: int, code: IndexCode = "fixed") -> int:
    """Return an upper bound on the bits of a set of `count` indices or fewer."""
    if code == "auto":
        return TAG_BIT + count * lg(dim)
    if code == "fixed":
        return count * lg(dim)
    if code == "bitmap":
        return dim
    if code == "block":
        return _block_bit(dim, count, _block(dim, count, code))
    if code == "gap":
        return count * int(omega_bit([dim])[0])
    if code == "enumerative":
        # Larger vectors are refused, and their binomials would take minutes.
        return _enumerative_bit(dim, min(count, dim // 2)) if dim <= ENUMERATED_DIM else dim
    # 2**b > ln 2 d / 2T bounds the quotients' sum by 2.9 T, B >= d / 2T the blocks; both bounds increase in T.
    return math.ceil(count * (5 + math.log2(dim / max(count, 1) + 1))) + 1


def shortest(indices: Indices, dim: int) -> Code:
    """Return the code with the fewest bits, the first of those that are equal."""
    codes = [code for code in CODES if code != "enumerative" or dim <= ENUMERATED_DIM]
    return min(codes, key=lambda code: index_bit(indices, dim, code))


def _block(dim: int, count: int, code: IndexCode) -> int:
    """Return B, entries of a block."""
    if code == "block_paper":
        return max(1, math.floor(dim / count + 0.5)) if count else dim
    return min((1 << w for w in range(lg(dim) + 1)), key=lambda block: _block_bit(dim, count, block))


def _block_bit(dim: int, count: int, block: int) -> int:
    return count * (1 + lg(block)) + -(-dim // block)


def _read_blocks(src: BitReader, count: int, dim: int, block: int) -> Indices:
    counts = read_unary(src, -(-dim // block), count + 1).astype(np.int64) - 1
    if int(counts.sum()) != count:
        raise DecodeError(f"payload: its blocks must hold {count} entries. Got {int(counts.sum())}.")
    offsets = src.uints(count, lg(block)).astype(np.int64)
    if count and int(offsets.max()) >= block:
        raise DecodeError(f"payload: a place in a block lies below {block}. Got {int(offsets.max())}.")
    return np.repeat(np.arange(counts.size) * block, counts) + offsets


def _read_bitmap(src: BitReader, count: int, dim: int) -> Indices:
    indices = np.flatnonzero(src.signs(dim))
    if indices.size != count:
        raise DecodeError(f"payload: its bitmap must hold {count} entries. Got {indices.size}.")
    return indices


def _rice_width(dim: int, count: int) -> int:
    """Return the largest b >= 0 with 2**b <= 0.6931 d / T, in whole numbers: the same at both ends."""
    return max(6931 * dim // (10_000 * max(count, 1)), 1).bit_length() - 1


def _enumerative_bit(dim: int, count: int) -> int:
    return lg(math.comb(dim, count))


def _require_small(dim: int, error: type[Exception] = EncodeError) -> None:
    if dim > ENUMERATED_DIM:
        raise error(f"index code enumerative: a dimension of at most {ENUMERATED_DIM} is needed. Got {dim}.")


def _rank(indices: list[int]) -> int:
    """Return sum C(i_j, j), j = 1, 2, ...: the place of the set among all of that size."""
    return sum(math.comb(index, j) for j, index in enumerate(indices, 1))


def _unrank(rank: int, dim: int, count: int) -> Indices:
    if rank >= math.comb(dim, count):
        raise DecodeError(f"payload: a set of {count} out of {dim} has a number below their count. Got one above.")
    indices = np.empty(count, np.int64)
    left, binomial = count, math.comb(dim - 1, count)
    for index in range(dim - 1, -1, -1):
        if left == 0:
            break
        # `binomial` is C(index, left), the number of sets that lie below the index.
        if rank >= binomial:
            rank -= binomial
            left -= 1
            indices[left] = index
            binomial = binomial * (left + 1) // max(index, 1)
        else:
            binomial = binomial * (index - left) // index
    return indices
