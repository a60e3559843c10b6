"""Timing real messages, on loopback only; and between two network namespaces over a shaped link, where that can be."""

from __future__ import annotations

import csv
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from netsim.cli import main
from netsim.errors import ConfigError
from netsim.interfaces import Node
from netsim.registry import build
from netsim.tools import fit, measure
from netsim.tools.measure import Plan, feasible
from netsim.tools.measure_server import Server


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def port() -> int:
    """One that is free, and the next one, too."""
    while True:
        with socket.socket() as a, socket.socket() as b:
            a.bind(("127.0.0.1", 0))
            number: int = a.getsockname()[1]
            try:
                b.bind(("127.0.0.1", number + 1))
            except (OSError, OverflowError):
                continue
            return number


def rows(path: str) -> list[dict[str, str]]:
    with Path(path).open() as file:
        return list(csv.DictReader(file))


def test_loopback_with_one_command(port: int) -> None:
    words = ["--port", str(port), "--message-bytes", "8,1473,70000", "--messages", "5", "--limit", "30 s"]
    assert main(["measure", "127.0.0.1", "--serve", *words, "-o", "m.csv"]) == 0
    found = rows("m.csv")
    protocols = ["udp", "tcp", *(["zmq"] if measure.has_zmq() else [])]
    assert [(r["protocol"], r["bytes"]) for r in found] == [
        (p, str(s)) for p in protocols for s in ((8, 1480, 70000) if p == "udp" else (8, 1473, 70000))
    ]
    for row in found:
        assert row["messages"] == "5"
        assert int(row["lost"]) + int(row["replications"]) == 5
        if int(row["replications"]):
            assert 0 < float(row["min_s"]) <= float(row["seconds"]) <= float(row["p99_s"])
            assert float(row["p50_s"]) <= float(row["p95_s"]) <= float(row["p99_s"])
            assert float(row["seconds"]) <= float(row["round_trip_s"])
    points = fit.read("m.csv", where=["protocol=tcp"])
    assert points.size.tolist() == [64, 8 * 1473, 560000]
    assert points.names == ("bytes", "seconds")


def test_a_server_of_its_own(port: int) -> None:
    with Server("127.0.0.1", port) as server:
        found = measure.run(Plan("127.0.0.1", port, ("tcp",), (64,), 3, 1))
        assert [r["lost"] for r in found] == ["0"]
        assert server.answered == 1 * 2 + 3 * 2
    with pytest.raises(ConfigError, match="over tcp"):
        measure.run(Plan("127.0.0.1", port, ("tcp",), (64,), 3, 1))


def test_lost_datagrams_are_lost_messages(port: int) -> None:
    """A server that swallows every third message: a third is lost, and nothing else."""
    with Server("127.0.0.1", port) as server:
        kept, count = server._answer_datagram, iter(range(10_000))

        def sometimes() -> None:
            if next(count) % 3 == 2:
                server._udp.recv(65535)
            else:
                kept()

        server._answer_datagram = sometimes  # type: ignore[method-assign]
        (row,) = measure.run(Plan("127.0.0.1", port, ("udp",), (100,), 30, 0, timeout_s=0.05))
    # Of 60, 20 are swallowed; half of all are of 100 bytes, in mixed order.
    assert 3 <= int(row["lost"]) <= 17
    assert float(row["loss"]) == pytest.approx(int(row["lost"]) / 30)
    assert int(row["replications"]) == 30 - int(row["lost"])


def test_nonsense_does_not_stop_a_server(port: int) -> None:
    with Server("127.0.0.1", port):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
            one.sendto(b"x", ("127.0.0.1", port))
        with socket.create_connection(("127.0.0.1", port)) as two:
            two.sendall(b"\xff" * 8)
            two.settimeout(5)
            assert two.recv(1) == b""
        found = measure.run(Plan("127.0.0.1", port, ("udp", "tcp"), (64,), 2, 1))
        assert [r["lost"] for r in found] == ["0", "0"]


@pytest.mark.skipif(not measure.has_zmq(), reason="pyzmq is not installed (the extra measure)")
def test_zmq(port: int) -> None:
    with Server("127.0.0.1", port):
        (row,) = measure.run(Plan("127.0.0.1", port, ("zmq",), (100_000,), 5, 1))
    assert row["lost"] == "0"


def test_without_zmq_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "zmq", None)
    assert not measure.has_zmq()
    with pytest.raises(ConfigError, match=r"pip install 'netsim-learn\[measure\]'"):
        measure.run(Plan("127.0.0.1", 4242, ("zmq",)))


def test_a_server_ends_by_itself(port: int) -> None:
    server = Server("127.0.0.1", port, limit_s=0.3)
    server.serve()
    assert server.answered == 0


@pytest.mark.parametrize("size", [8, 1472, 1473, 1479, 1480, 2944, 2945, 2952, 16 << 20])
def test_feasible_sizes_leave_room(size: int) -> None:
    found = feasible(size)
    assert 0 <= found - size < 8
    assert found % 1472 == 0 or found % 1472 >= 8


def test_percentiles() -> None:
    row = measure._row("udp", 10, np.arange(1.0, 101.0), 120, 0.0)
    assert [float(row[n]) for n in ("seconds", "p50_s", "p95_s", "p99_s", "mean_s", "min_s")] == [
        50.5,
        50,
        95,
        99,
        50.5,
        1,
    ]
    assert (row["lost"], row["loss"]) == ("20", "0.166667")
    nothing = measure._row("udp", 10, np.zeros(0), 3, 0.0)
    assert (nothing["loss"], nothing["seconds"]) == ("1", "")


def said(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(["measure", *words]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    return captured.err.strip()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], "measure: a host to measure to, or serve, is needed; 127.0.0.1 --serve does both here."),
        (["10.0.0.1", "--serve"], "--serve: only on this host, such as 127.0.0.1. Got '10.0.0.1'."),
        (["127.0.0.1", "--protocols", "udp,sctp"], "--protocols: some of udp, tcp, zmq. Got sctp."),
        (["127.0.0.1", "--message-bytes", "4"],
         "--message-bytes: whole numbers from 8 to 1.67772e+07, such as 1,10 or 100:1500:100. Got '4'."),
        (["127.0.0.1", "--protocols", "udp", "--messages", "100000"],
         "--messages, --warm-up: 1 to 100000 messages in all. Got 2300115."),
        (["127.0.0.1", "--protocols", "tcp", "--message-bytes", "16777216", "--messages", "1000"],
         "--messages, --message-bytes: at most 8 GiB in all. Got 15.7 GiB."),
        (["127.0.0.1", "--limit", "2 hours"], "--limit: numbers from 0.001 to 3600, such as 1,10 or 100:1500:100. "
                                              "Got '2 hours'."),
        (["127.0.0.1", "--port", "65535"], "--port: 1 to 65534, the next one being for ZMQ. Got 65535."),
        (["serve", "--bind", "192.0.2.1"],
         "measure serve: 192.0.2.1:47100 cannot be used: Cannot assign requested address."),
    ],
)  # fmt: skip
def test_sentences(words: list[str], sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert said(capsys, *words) == sentence


def test_nobody_there(port: int, capsys: pytest.CaptureFixture[str]) -> None:
    for protocol in ("udp", "tcp"):
        got = said(capsys, "127.0.0.1", "--port", str(port), "--protocols", protocol, "--timeout", "50 ms")
        assert got.startswith(f"measure: nobody answers at 127.0.0.1:{port} over {protocol}")
        assert got.endswith("run netsim measure serve there.")


def test_time_is_bounded(port: int, capsys: pytest.CaptureFixture[str]) -> None:
    got = said(capsys, "127.0.0.1", "--serve", "--port", str(port), "--messages", "1000", "--protocols", "tcp",
               "--limit", "50 ms")  # fmt: skip
    assert got.startswith("measure: 0.05 s were not enough: ")


# --- two hosts ---------------------------------------------------------------------------------------------


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, timeout=30)


@pytest.fixture
def shaped() -> Iterator[tuple[str, str]]:
    """Two namespaces joined by a veth pair of which the way from the first to the second carries 5 Mbit/s."""
    if os.geteuid() != 0 or shutil.which("ip") is None or shutil.which("tc") is None:
        pytest.skip("needs root and iproute2's ip and tc (apt-get install iproute2)")
    here, there = (f"netsim{os.getpid()}{side}" for side in "ab")
    try:
        for name in (here, there):
            ip("netns", "add", name)
        ip("link", "add", "va", "netns", here, "type", "veth", "peer", "name", "vb", "netns", there)
        for name, device, address in ((here, "va", "10.99.7.1/24"), (there, "vb", "10.99.7.2/24")):
            ip("-n", name, "addr", "add", address, "dev", device)
            ip("-n", name, "link", "set", device, "up")
        shape = ["tc", "qdisc", "add", "dev", "va", "root", "tbf", "rate", "5mbit", "burst", "1600", "limit", "2000000"]
        ip("netns", "exec", here, *shape)
    except subprocess.CalledProcessError as error:
        for name in (here, there):
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)
        pytest.skip(f"namespaces cannot be made here: {error.stderr.decode().strip()}")
    try:
        yield here, there
    finally:
        for name in (here, there):
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)


@pytest.mark.slow
def test_a_shaped_link_is_found_and_predicted(shaped: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    """The shaper's 5 Mbit/s, which count 42 bytes of headers a datagram, to 5 %; sizes that were held out to 10 %."""
    code = "import sys; from netsim.cli import main; sys.exit(main())"
    here, there = shaped
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}

    def python(name: str) -> list[str]:
        return ["ip", "netns", "exec", name, sys.executable, "-c", code, "measure"]

    ip("-n", there, "link", "set", "lo", "up")
    server = subprocess.Popen([*python(there), "serve", "--bind", "10.99.7.2", "--limit", "120 s"],
                              stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, env=environment)  # fmt: skip
    try:
        assert server.stderr is not None
        assert b"serving" in server.stderr.readline()
        for path, sizes in (("fit.csv", "12000:60000:3000"), ("held.csv", "17000,40000,80000")):
            words = ["10.99.7.2", "--protocols", "udp", "--message-bytes", sizes, "--messages", "6", "-o", path]
            subprocess.run([*python(here), *words], check=True, env=environment, timeout=180, capture_output=True)
    finally:
        server.terminate()
        server.communicate()
    result = fit.fit_cost(fit.read("fit.csv"))
    rate = 1 / result.fits[0].values["c_bit"]
    with_headers = rate * (1472 + 42) / 1472 if result.fits[0].family == "affine" else rate
    print(fit.text(result))
    assert with_headers == pytest.approx(5e6, rel=0.05)
    assert result.link is not None
    config = {"name": "ethernet_udp", "rate_bps": result.link["rate_bps"], "delay_s": result.link["delay_s"],
              "overhead_bytes": result.link.get("overhead_bytes", result.link.get("header_bytes", 0)),
              "min_frame_bytes": 0}  # fmt: skip
    medium = build("channel", config).open([Node(0), Node(1, True)], np.random.default_rng(0))
    for row in rows("held.csv"):
        predicted = float(medium.cost("s", 0, 1)(8 * float(row["bytes"])))
        print(row["bytes"], row["seconds"], predicted)
        assert predicted == pytest.approx(float(row["seconds"]), rel=0.10)
