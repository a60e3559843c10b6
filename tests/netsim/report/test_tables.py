"""A claim's number and its threshold are shown with as many digits as tell them apart."""

from __future__ import annotations

from netsim.report.tables import measured


def test_numbers_that_nearly_meet_are_told_apart() -> None:
    show, noun = measured("final_loss", False, 0.1051288879, 0.1051288978)
    assert (show(0.1051288879), show(0.1051288978), noun) == ("0.10512889", "0.1051289", "final loss")
    show, _ = measured("final_loss", False, 0.1211, 0.1061)
    assert (show(0.1211), show(0.1061)) == ("0.121", "0.106")
    show, _ = measured("final_loss", False, 0.5, 0.5)
    assert show(0.5) == "0.5"
