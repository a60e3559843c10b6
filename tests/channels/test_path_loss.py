"""Path loss of the carrier, and what radios notice: closed forms, data sheets, hand-made ranges, refusals."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from netsim import registry
from netsim.errors import ConfigError
from netsim.interfaces import Node
from tests.support.lrwpan import NS3, cell

# Least power of a frame and of an assessment, in dBm; see each profile's sources.
RADIOS = {"cc2420": (-95, -77), "cc2538": (-97, -81), "at86rf233": (-101, -80), "nrf52840": (-100, -72)}


def loss(**keys: Any) -> Any:
    return registry.build("path_loss", {"name": "log_distance", **keys})


def radio(name: str = "cc2420", **keys: Any) -> Any:
    return registry.build("energy", {"name": name, **keys})


def line(*places_m: float) -> list[Node]:
    return [Node(i, i == 0, (x, 0.0)) for i, x in enumerate(places_m)]


def test_free_space_at_one_metre() -> None:
    """20 log10(4 pi f / c): 40.2 dB at 2.45 GHz; 46.68 dB is 5.15 GHz; twice the frequency is 6.02 dB more."""
    assert loss().loss_at_1_m_db == pytest.approx(20 * math.log10(4 * math.pi * 2.45e9 / 299_792_458), rel=1e-12)
    assert loss().loss_at_1_m_db == pytest.approx(40.2, abs=0.05)
    assert loss(frequency_hz="5.15 GHz").loss_at_1_m_db == pytest.approx(46.6777, abs=0.01)
    assert loss(frequency_hz=4.9e9).loss_at_1_m_db - loss().loss_at_1_m_db == pytest.approx(20 * math.log10(2))
    assert loss(reference_loss_db=46.6777).loss_at_1_m_db == 46.6777
    power = loss(tx_power_dbm=3.0, exponent=2.0).reach(line(0, 1, 10), radio()).power_mw
    np.testing.assert_allclose(10 * np.log10(power[0, 1:]), [3 - 40.2311, 3 - 60.2311], atol=1e-3)


@pytest.mark.parametrize("name", RADIOS)
def test_a_radio_hears_as_far_as_its_data_sheet_says(name: str) -> None:
    """0 dBm, exponent 3: heard up to 10^((-40.2311 - sensitivity) / 30) m, noticed up to the same of its threshold."""
    sensitivity, threshold = RADIOS[name]
    heard, noticed = (10 ** ((-loss().loss_at_1_m_db - dbm) / 30) for dbm in (sensitivity, threshold))
    reach = loss().reach(line(0, 0.999 * heard, 1.001 * heard, 0.999 * noticed, 1.001 * noticed), radio(name))
    assert reach.hears[0, 1:3].tolist() == [True, False]
    assert (reach.power_mw[0, 3:] >= reach.cca_mw).tolist() == [True, False]


def test_noise_is_that_of_the_bandwidth_and_the_figure() -> None:
    """K T B = 1.380649e-23 * 290 * 5e6 W, -106.99 dBm; a figure of 6 dB is four times that."""
    quiet, loud = (loss().reach(line(0, 1), radio(noise_figure_db=db)).noise_mw for db in (0, 6))
    assert quiet == pytest.approx(1.380649e-23 * 290 * 5e6 * 1e3, rel=1e-12)
    assert 10 * math.log10(quiet) == pytest.approx(-106.98, abs=0.01)
    assert loud / quiet == pytest.approx(10**0.6)
    assert 10 * math.log10(loss(noise_dbm=-100).reach(line(0, 1), radio()).noise_mw) == pytest.approx(-100)


def test_keys_stand_above_the_radio() -> None:
    nodes = line(0, 60, 80)
    assert loss().reach(nodes, radio()).hears[0].tolist() == [True, True, False]
    assert loss(sensitivity_dbm=-98).reach(nodes, radio()).hears[0].tolist() == [True, True, True]
    assert loss(sensitivity_dbm=-90).reach(nodes, radio("at86rf233")).hears[0].tolist() == [True, False, False]
    keys = {"sensitivity_dbm": -95, "cca_threshold_dbm": -85}
    assert loss(**keys).reach(nodes, radio("sx1276")).hears[0].tolist() == [True, True, False]


def test_two_senders_do_not_notice_each_other_beyond_the_threshold() -> None:
    """CC2420 at 0 dBm: a threshold of -77 dBm is 16.8 m; senders 30 m apart, 15 m from the sink, are hidden."""
    for apart, hidden in ((16.0, False), (30.0, True)):
        nodes = line(0, apart / 2, -apart / 2)
        medium = cell(path_loss="log_distance").open(nodes, np.random.default_rng(0))
        reach = loss().reach(nodes, radio())
        assert reach.has_hidden == hidden
        for node in (1, 2):
            medium.submit(0, node, (0,), 100)
        assert sum(d.ok for d in medium.advance(10**9)) == 2  # acknowledged in the end


@pytest.mark.parametrize(
    ("keys", "sentence"),
    [
        ({"frequency_hz": 0}, r"path_loss\.frequency_hz: a number >= 1e\+08 and <= 1e\+11"),
        ({"frequency_hz": 2.45}, r"path_loss\.frequency_hz: a number >= 1e\+08"),
        ({"frequency_hz": "2.45 Ghz"}, r"path_loss\.frequency_hz: .*"),
        ({"frequency_hz": "12 cm"}, r"path_loss\.frequency_hz: .*"),
        ({"reference_loss_db": -40}, r"path_loss\.reference_loss_db: a number >= 0"),
        ({"exponent": 0}, r"path_loss\.exponent: a number > 0"),
        ({"sensitivity_dbm": "-95 dB m"}, r"path_loss\.sensitivity_dbm: .*"),
        ({"sensitivity_dbm": -9500}, r"path_loss\.sensitivity_dbm: a number >= -200 and <= 100"),
        ({"noise_dbm": "quiet"}, r"path_loss\.noise_dbm: .*"),
        ({"tx_power_dbm": 1000}, r"path_loss\.tx_power_dbm: a number >= -100 and <= 100"),
        ({"radio": {"name": "cc2420", "noise_figure_db": -1}}, r"radio\.noise_figure_db: a number >= 0"),
        (
            {"radio": "wifi"},
            r"path_loss\.sensitivity_dbm: a number in dBm with a radio that is none of IEEE 802\.15\.4",
        ),
        ({"radio": "sx1276", "sensitivity_dbm": -95}, r"path_loss\.cca_threshold_dbm: .*Got nothing, and radio sx1276"),
    ],
)
def test_refused(keys: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        cell(path_loss="log_distance", **keys)


def test_the_constants_of_ns3_need_no_radio() -> None:
    cell(**NS3, radio="wifi")
