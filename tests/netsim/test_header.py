"""The application header: its bits, its limits, and bytes that are none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netsim.errors import DecodeError, EncodeError
from netsim.header import Header
from netsim.interfaces import HEADER_BYTES

WORD = st.integers(0, 2**24 - 1)


@given(st.integers(0, 63), WORD, WORD, st.integers(0, 63))
def test_fields_stand_where_the_format_says(kind: int, sender: int, round: int, flags: int) -> None:
    header = Header(kind, sender, round, flags)
    data = header.pack()
    bits = f"{int.from_bytes(data, 'big'):064b}"
    assert len(data) == HEADER_BYTES == 8
    fields = [int(bits[a:b], 2) for a, b in ((0, 4), (4, 10), (10, 16), (16, 40), (40, 64))]
    assert fields == [1, kind, flags, sender, round]
    assert Header.unpack(data + b"more") == header


def test_what_does_not_fit_is_named() -> None:
    for header, text in (
        (Header(64, 0, 0), "kind is a number of 6 bits, 0 to 63. Got 64."),
        (Header(0, 2**24, 0), "sender is a number of 24 bits, 0 to 16777215. Got 16777216."),
        (Header(0, 0, -1), "round is a number of 24 bits"),
    ):
        with pytest.raises(EncodeError) as caught:
            header.pack()
        assert text in str(caught.value)
    with pytest.raises(DecodeError, match="takes 8 bytes"):
        Header.unpack(bytes(7))
    with pytest.raises(DecodeError, match="version 1 is needed"):
        Header.unpack(bytes(8))
