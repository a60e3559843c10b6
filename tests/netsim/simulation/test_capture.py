"""Capture files: a strict parser of our own, tshark where it is, and payloads that decode to what was sent."""

from __future__ import annotations

import shutil
import struct
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from algorithms.compressors.identity import Identity
from algorithms.compressors.top_k import TopK
from channels.media.checksums import internet_checksum
from channels.media.lrwpan.frames import PAN, RawFrames, check_sequence
from channels.media.lrwpan.framing import SixLowpan, frames_of
from channels.media.wires import frames as wire_frames
from channels.media.wires.frames import Datagrams
from netsim import registry, study
from netsim.cli import main
from netsim.errors import ConfigError, SimulationError
from netsim.header import Header
from netsim.interfaces import Frame, FrameMaker, Node, Payload
from netsim.scenario import parse_text
from netsim.simulation.capture import Capture
from netsim.simulation.capture import message as message_of
from netsim.tools.probe_command import pattern
from tests.plugins import pigeon

SCENARIO = """
name: captured
problem: {name: logistic_regression, dataset: breast_cancer, nodes: 3}
network: NETWORK
algorithms: [{name: fixed_budget, label: S 20, variant: sparsify, budget: 20, broadcast: dense}]
stop: {rounds: 4}
record: {pcap: true}
"""
TSHARK = shutil.which("tshark")
needs_tshark = pytest.mark.skipif(TSHARK is None, reason="tshark is not installed (apt-get install tshark)")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


class Toy(NamedTuple):
    """A channel with frames of this kind."""

    maker: type[FrameMaker]

    def frames(self) -> FrameMaker:
        return self.maker()


class Seen(NamedTuple):
    """A parsed frame; `dst` is -1 for a broadcast and `sequence` that of 802.15.4."""

    at_ns: int
    src: int
    dst: int
    data: bytes
    sequence: int
    is_ack: bool


def parse(file: bytes) -> tuple[int, list[Seen]]:
    """Link type and frames; every field that has but one right value is checked."""
    magic, major, minor, zone, accuracy, snap, link = struct.unpack_from("<IHHiIII", file)
    assert (magic, major, minor, zone, accuracy) == (0xA1B23C4D, 2, 4, 0, 0)
    place, last, out = 24, 0, list[Seen]()
    while place < len(file):
        seconds, rest, kept, whole = struct.unpack_from("<IIII", file, place)
        assert kept == whole <= snap
        assert rest < 1_000_000_000
        at_ns = seconds * 1_000_000_000 + rest
        assert at_ns >= last
        data, place, last = file[place + 16 : place + 16 + kept], place + 16 + kept, at_ns
        assert len(data) == kept
        out.append(_ethernet(at_ns, data) if link == 1 else _low_power(at_ns, data))
    return link, out


def _sum16(data: bytes) -> int:
    data += b"\0" * (len(data) % 2)
    total = sum(data[i] << 8 | data[i + 1] for i in range(0, len(data), 2))
    return (total & 0xFFFF) + (total >> 16)


def _ethernet(at_ns: int, data: bytes) -> Seen:
    assert len(data) >= 60
    assert data[12:14] == b"\x08\x00"
    ip = data[14:34]
    version, _, length, _, flags, ttl, protocol = struct.unpack_from(">BBHHHBB", ip)
    assert (version, flags, protocol) == (0x45, 0x4000, 17)
    assert ttl > 0
    assert _sum16(ip) == 0xFFFF
    assert len(data) == max(60, 14 + length)
    assert not any(data[14 + length :])
    source, target, udp = ip[12:16], ip[16:20], data[34 : 14 + length]
    ports, size = struct.unpack_from(">I", udp)[0], struct.unpack_from(">H", udp, 4)[0]
    assert ports == 50000 << 16 | 50000
    assert size == len(udp)
    assert _sum16(source + target + b"\0\x11" + udp[4:6] + udp) == 0xFFFF
    is_all = target == b"\xff" * 4
    assert source[0] == 10
    assert data[:6] == (b"\xff" * 6 if is_all else b"\x02\0\0" + target[1:])
    assert data[6:12] == b"\x02\0\0" + source[1:]
    dst = -1 if is_all else int.from_bytes(target[1:], "big") - 1
    return Seen(at_ns, int.from_bytes(source[1:], "big") - 1, dst, udp[8:], 0, False)


def _low_power(at_ns: int, data: bytes) -> Seen:
    assert 5 <= len(data) <= 127
    value = 0
    for bit in (byte >> i & 1 for byte in data[:-2] for i in range(8)):
        value = value >> 1 ^ (0x8408 if (value ^ bit) & 1 else 0)
    assert value == int.from_bytes(data[-2:], "little")
    (control,) = struct.unpack_from("<H", data)
    if control == 0x0002:
        assert len(data) == 5
        return Seen(at_ns, 0, 0, b"", data[2], True)
    _, sequence, pan, dst, src = struct.unpack_from("<HBHHH", data)
    assert pan == PAN
    assert control == (0x8841 if dst == 0xFFFF else 0x8861)
    return Seen(at_ns, src, -1 if dst == 0xFFFF else dst, data[9:-2], sequence, False)


def captured(network: str, **keys: Any) -> dict[str, tuple[int, list[Seen]]]:
    """The capture files of a small run by their name."""
    scenario = parse_text(SCENARIO.replace("NETWORK", network), "s.yaml")
    results = study.run(scenario, "out", **keys)
    assert results.ok
    return {f.name: parse(f.read_bytes()) for f in sorted(Path("out/pcap").iterdir())}


def joined(frames: list[Seen], src: int, dst: int) -> list[bytes]:
    """The messages of one direction: a frame that begins with a header of that sender begins one."""
    out: list[bytes] = []
    for frame in (f for f in frames if (f.src, f.dst) == (src, dst) and not f.is_ack):
        try:
            is_first = Header.unpack(frame.data).sender == src and len(frame.data) > 8
        except ValueError:
            is_first = False
        if is_first and (not out or Header.unpack(frame.data).round == len(out)):
            out.append(frame.data)
        else:
            out[-1] += frame.data
    return out


class Reassembly:
    """Reassembles 6LoWPAN by the text of RFC 4944 and RFC 6282, for the one kind of headers that is written.

    A repeated fragment must be the same; `open` are datagrams of which parts are missing.
    """

    def __init__(self) -> None:
        self.open: dict[tuple[int, int, int], tuple[int, dict[int, bytes]]] = {}

    def add(self, frame: Seen) -> bytes | None:
        """The UDP payload that this frame completes."""
        data, offset = frame.data, 0
        kind, size = data[0] >> 3, 0
        if kind in (0b11000, 0b11100):
            size, tag = struct.unpack_from(">HH", data)
            size, data = size & 0x7FF, data[4:]
            if kind == 0b11100:
                offset, data = 8 * data[0], data[1:]
        if not offset:
            data = self.headers(frame, data, size)
            if not size:
                return data[48:]
        _, parts = self.open.setdefault((frame.src, frame.dst, tag), (size, {}))
        assert self.open[frame.src, frame.dst, tag][0] == size
        assert parts.setdefault(offset, data) == data
        if sum(map(len, parts.values())) < size:
            return None
        whole = b""
        for at in sorted(parts):
            assert at == len(whole)
            whole += parts[at]
        assert len(whole) == size
        del self.open[frame.src, frame.dst, tag]
        addresses = b"".join(
            bytes.fromhex("fe80000000000000000000fffe00") + (n & 0xFFFF).to_bytes(2, "big") for n in frame[1:3]
        )
        length = (size - 40).to_bytes(4, "big")
        assert _sum16(addresses + length + b"\0\0\0\x11" + whole[40:]) == 0xFFFF
        return whole[48:]

    @staticmethod
    def headers(frame: Seen, data: bytes, size: int) -> bytes:
        """What is behind the compressed headers, with 40 octets of IPv6 (zeros) and UDP before it."""
        # 011, traffic class and flow elided, next header compressed, hop limit 64; addresses from the frame's.
        assert data[:2] == bytes([0b011_11_1_10, 0b0_0_11_0_0_11])
        # 11110, checksum inline, both ports 61616 + 4 bits.
        assert data[2:4] == bytes([0b11110_0_11, 0])
        length = (size - 40 if size else len(data) - 6 + 8).to_bytes(2, "big")
        whole = bytes(40) + struct.pack(">HH", 61616, 61616) + length + data[4:]
        if not size:
            addresses = b"".join(
                bytes.fromhex("fe80000000000000000000fffe00") + (n & 0xFFFF).to_bytes(2, "big") for n in frame[1:3]
            )
            assert _sum16(addresses + b"\0\0" + length + b"\0\0\0\x11" + whole[40:]) == 0xFFFF
        return whole


def datagrams(frames: list[Seen]) -> list[Seen]:
    """The UDP datagrams of a 6LoWPAN capture, at the time of the frame that completes them."""
    box = Reassembly()
    got = [(f, box.add(f)) for f in frames if not f.is_ack]
    return [f._replace(data=data) for f, data in got if data is not None]


# --- formats -----------------------------------------------------------------------------------------------


def test_checksums_of_the_standards() -> None:
    """RFC 1071, section 3, and the check value of CRC-16/KERMIT."""
    assert internet_checksum(bytes.fromhex("0001f203f4f5f6f7")) == 0xFFFF - 0xDDF2
    assert internet_checksum(b"\x12") == 0xEDFF
    assert check_sequence(b"123456789") == 0x2189
    # IEEE 802.15.4-2006, 7.2.1.9: 0100 0000 0000 0000 0101 0110 is followed by 0010 0111 1001 1110, bit 0 first.
    assert check_sequence(bytes.fromhex("02006a")) == 0x79E4


def test_a_datagram_and_its_edges() -> None:
    capture = Capture(Toy(Datagrams))
    capture.add(Frame(5_000_000_001, 0, 1, 0, 0, 1472, 1, "data"))
    capture.add(Frame(7, 1, -1, 1, 0, 1, 1, "data"))
    capture.add(Frame(9, 1, 0, 2, 0, 1473, 1, "data"))
    for transfer, size in ((0, 1472), (1, 1), (2, 1473)):
        capture.put(transfer, pattern(size))
    link, frames = parse(capture.to_bytes())
    assert link == 1
    assert [(f.at_ns, f.src, f.dst, len(f.data)) for f in frames] == [
        (7, 1, -1, 1), (9, 1, 0, 1472), (9, 1, 0, 1), (5_000_000_001, 0, 1, 1472)
    ]  # fmt: skip
    assert frames[1].data + frames[2].data == pattern(1473)


def test_frames_are_written_as_they_come() -> None:
    """What has begun is on the disk, not in memory, and the file is that of frames that are written at the end."""
    rng = np.random.default_rng(3)
    soon, late = Capture(Toy(Datagrams)), Capture(Toy(Datagrams))
    for now_ns in range(0, 4000, 10):
        for capture in (soon, late):
            capture.put(now_ns, pattern(1 + now_ns))
        for start_ns in rng.integers(now_ns, now_ns + 30, 3).tolist():
            frame = Frame(start_ns, 1, 0, now_ns, now_ns // 2, 1, 1, "data")
            soon.add(frame)
            late.add(frame)
        soon.settle(now_ns)
        assert all(row[-1].start_ns >= now_ns for row in soon._coming)
        assert len(soon._coming) < 12
    assert soon.to_bytes() == late.to_bytes()
    assert len(parse(soon.to_bytes())[1]) == 1200


def test_a_zero_udp_checksum_is_sent_as_ones() -> None:
    """RFC 768: 0 means none. One of all two-byte payloads has the sum 0xffff."""
    sums = set()
    for word in range(65536):
        data = word.to_bytes(2, "big")
        frame = wire_frames._datagram(0, 1, data, 0)
        sums.add(frame[40:42])
        if frame[40:42] == b"\xff\xff":
            _ethernet(0, frame)
    assert b"\0\0" not in sums
    assert b"\xff\xff" in sums


def test_sequence_numbers() -> None:
    """New frames count up, repeats keep theirs, an acknowledgement has that of the frame before it."""
    capture = Capture(Toy(RawFrames))
    capture.put(0, pattern(30))
    for at, attempt, offset, kind in ((0, 1, 0, "data"), (1, 2, 0, "data"), (2, 1, 0, "ack"), (3, 1, 20, "data"),
                                      (4, 1, 20, "ack")):  # fmt: skip
        src, dst = (4, 0) if kind == "ack" else (0, 4)
        length = 0 if kind == "ack" else 20 - offset // 2
        capture.add(Frame(at, src, dst, 0, offset, length, attempt, kind))
    link, frames = parse(capture.to_bytes())
    assert link == 195
    assert [(f.sequence, f.is_ack) for f in frames] == [(0, False), (0, False), (0, True), (1, False), (1, True)]


@pytest.mark.parametrize(
    ("maker", "frame", "sentence"),
    [
        (Datagrams, (0, 0, 1, 9, 0, 1, 1, "data"),
         "pcap: transfer 9 has no bytes, and a frame wants 1 of them from 0"),
        (Datagrams, (0, 0, 1, 0, 3, 3, 1, "data"),
         "pcap: transfer 0 has 5 bytes, and a frame wants 3 of them from 3"),
        (Datagrams, (0, 1 << 24, 1, 0, 0, 1, 1, "data"),
         "pcap: an IPv4 address in 10.0.0.0/8 holds nodes 0 to 16777213. Got 16777216"),
        (RawFrames, (0, 0xFFFE, 1, 0, 0, 1, 1, "data"), "pcap: a short address holds nodes 0 to 65533. Got 65534"),
    ],
)  # fmt: skip
def test_sentences(maker: Any, frame: Any, sentence: str) -> None:
    capture = Capture(Toy(maker))
    capture.add(Frame(*frame))
    capture.put(0, b"12345")
    with pytest.raises(SimulationError) as error:
        capture.to_bytes()
    assert str(error.value) == sentence


def test_the_header_names_kind_sender_and_round() -> None:
    data = message_of(Payload(b"xy", 0.0), "model", 3, 9)
    assert data[8:] == b"xy"
    assert Header.unpack(data) == Header(2, 3, 9)
    assert 32 <= Header.unpack(message_of(Payload(b"", 0.0), "gossip", 3, 9)).kind < 64


# --- runs ---------------------------------------------------------------------------------------------------


def check_uploads(frames: list[Seen], runs: int = 4) -> None:
    """Each worker's payloads are the 20 largest entries of gradients, and the model's are of 31 float32."""
    for worker in range(3):
        uploads = joined(frames, worker, 3)
        assert [Header.unpack(m).round for m in uploads] == list(range(runs))
        for message in uploads:
            vector = TopK(k=20).decode(message[8:], 31)
            assert np.count_nonzero(vector) == 20
            again = TopK(k=20).encode(vector, np.random.default_rng(0))
            assert again.data == message[8:]


def test_an_ethernet_run_decodes_to_what_was_sent() -> None:
    """The model of round r + 1 is that of r less the step times the mean of the uploads' decoded vectors."""
    network = "{link: {name: ethernet_udp, rate_bps: 1e6, delay_s: 0.001}}"
    ((name, (link, frames)),) = captured(network).items()
    assert (name, link) == ("0000-S-20-rep0.pcap", 1)
    check_uploads(frames)
    models = [Identity().decode(m[8:], 31) for m in joined(frames, 3, 0)]
    uploads = [[TopK(k=20).decode(m[8:], 31) for m in joined(frames, w, 3)] for w in range(3)]
    scenario = parse_text(SCENARIO.replace("NETWORK", network), "s.yaml")
    step = 1 / scenario.problem.open(scenario.seed).smoothness()
    for r in range(3):
        expected = models[r] - step * sum(u[r] for u in uploads) / 3
        assert np.allclose(models[r + 1], expected, rtol=1e-6, atol=1e-7)
    # Models and uploads at 1 Mbit/s: the first upload starts 1 ms after the model's last bit.
    first = next(f for f in frames if f.src == 3)
    reply = next(f for f in frames if f.src == 0)
    assert first.at_ns == 0
    assert reply.at_ns == 1_000_000 + 8 * (len(first.data) + 66) * 1000


def test_a_low_power_cell_and_a_wire_are_two_files() -> None:
    found = captured("{uplink: ieee802154, downlink: {name: ethernet_udp, rate_bps: 1e7}}")
    assert {name: link for name, (link, _) in found.items()} == {
        "0000-S-20-rep0.downlink.pcap": 1, "0000-S-20-rep0.uplink.pcap": 195,
    }  # fmt: skip
    frames = found["0000-S-20-rep0.uplink.pcap"][1]
    check_uploads(frames)
    # The run ends with the last upload's last byte, before its acknowledgement.
    assert sum(f.is_ack for f in frames) == sum(not f.is_ack for f in frames) - 1


def test_captures_are_the_same_from_processes_and_when_done_again() -> None:
    network = "{link: ieee802154}"
    first = captured(network)
    kept = {f.name: f.read_bytes() for f in Path("out/pcap").iterdir()}
    assert len(first) == 1
    for keys in ({"fresh": True}, {"fresh": True, "jobs": 2}):
        captured(network, **keys)
        assert {f.name: f.read_bytes() for f in Path("out/pcap").iterdir()} == kept


def test_without_being_asked_there_is_none() -> None:
    text = SCENARIO.replace("NETWORK", "{link: ieee802154}").replace("pcap: true", "pcap: false")
    study.run(parse_text(text, "s.yaml"), "out")
    assert not Path("out/pcap").exists()


def test_a_channel_that_does_not_say_how_its_frames_look_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert registry.get("channel", "pigeon") is pigeon.Pigeon
    with pytest.raises(ConfigError) as error:
        parse_text(SCENARIO.replace("NETWORK", "{uplink: pigeon, downlink: ieee802154}"), "s.yaml")
    assert str(error.value) == (
        "s.yaml:7: record.pcap: false, as the channel of network.uplink does not say how its frames look: it has no "
        "method `frames`. Got True."
    )
    assert main(["probe", "pigeon", "--message-bytes", "250", "--pcap", "a.pcap"]) == 2
    said = "--pcap: pigeon does not say how its frames look: it has no method `frames`"
    assert said in capsys.readouterr().err


def test_a_probe_writes_its_frames() -> None:
    words = ["--message-bytes", "250", "--nodes", "2", "--replications", "2", "-o", "o.csv"]
    assert main(["probe", "ieee802154", *words, "--pcap", "a.pcap"]) == 0
    _, frames = parse(Path("a.pcap").read_bytes())
    assert b"".join(f.data for f in frames if f.src == 0 and not f.is_ack) == pattern(250)
    assert len(frames) == 12
    assert main(["probe", "ieee802154", *words, "--header", "--pcap", "b.pcap"]) == 0
    _, frames = parse(Path("b.pcap").read_bytes())
    (whole,) = joined(frames, 1, 2)
    assert (Header.unpack(whole).sender, whole[8:]) == (1, pattern(250))


SIZES = (1, 100, 110, 111, 300, 512, 1232, 1233, 1342, 3000)


def lowpan(path: str) -> None:
    """A capture of one message of each size to the server, and of a broadcast from it."""
    channel: Any = registry.build("channel", {"name": "ieee802154", "mac": "csma_ca", "framing": "sixlowpan"})
    capture, now = Capture(channel), 0
    medium = channel.open([Node(0), Node(1), Node(2, True)], np.random.default_rng(0), frames=capture)
    for src, dst, size in [*((i % 2, (2,), size) for i, size in enumerate(SIZES)), (2, (0, 1), 300)]:
        capture.put(medium.submit(now, src, dst, size), pattern(size))
        while (next_ns := medium.next_event_ns()) is not None:
            medium.advance(next_ns)
            now = next_ns
        now += 10_000_000
        medium.advance(now)
    Path(path).write_bytes(capture.to_bytes())


def test_fragments_are_as_long_as_they_were_simulated_and_come_together() -> None:
    lowpan("six.pcap")
    link, frames = parse(Path("six.pcap").read_bytes())
    assert link == 195
    data = [f for f in frames if not f.is_ack]
    longest = {n: [11 + len(f.data) for f in data if (f.src, f.dst) == (n, 2)] for n in (0, 1)}
    framing = SixLowpan()
    for node in (0, 1):
        assert longest[node] == [octets - 6 for size in SIZES[node::2] for octets in frames_of(framing, size)]
    assert longest[1][longest[1].index(125) + 2 :][:5] == [125, 120, 120, 120, 112]  # 111 and 512 bytes
    for node in (0, 1):
        tags = {f.data[2:4] for f in data if f.src == node and f.data[0] >> 3 in (0b11000, 0b11100)}
        assert len(tags) == sum(min(1232, size - at) > 110 for size in SIZES[node::2] for at in range(0, size, 1232))
    whole = datagrams(frames)
    for node in (0, 1):
        sent = b"".join(pattern(size) for size in SIZES[node::2])
        assert b"".join(d.data for d in whole if (d.src, d.dst) == (node, 2)) == sent
    (cast,) = (d for d in whole if d.dst == -1)
    assert (cast.src, cast.data) == (2, pattern(300))


@pytest.mark.parametrize("mac", ["{mac: csma_ca, per: 0.1, ", "{mac: {name: tsch, server_cells: 1}, "])
def test_a_low_power_run_decodes_to_what_was_sent(mac: str) -> None:
    """Uploads in one frame, models in two, repeated where frames are lost."""
    found = captured("{link: {name: ieee802154, " + mac.removeprefix("{") + "framing: sixlowpan}}")
    ((_, (link, frames)),) = found.items()
    assert link == 195
    whole = datagrams(frames)
    once = [d for i, d in enumerate(whole) if d not in whole[:i]]
    seen, unique = set[tuple[int, bytes]](), list[Seen]()
    for d in once:
        if d.dst == 3 and (d.src, d.data) not in seen:
            seen.add((d.src, d.data))
            unique.append(d)
    check_uploads(unique)
    models = [d for d in whole if d.src == 3]
    assert {Header.unpack(d.data).kind for d in models} == {2}
    assert all(len(d.data) == 8 + 4 * 31 for d in models)


# --- tshark -----------------------------------------------------------------------------------------------------


def tshark(file: Path, *words: str, raw: bool = True) -> list[str]:
    command = [str(TSHARK), "-r", str(file), "-o", "udp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE",
               *(["--disable-protocol", "6lowpan"] if raw else []), *words]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    return done.stdout.splitlines()


@needs_tshark
def test_tshark_reads_a_study() -> None:
    captured("{uplink: ieee802154, downlink: {name: ethernet_udp, rate_bps: 1e7}}")
    for file in sorted(Path("out/pcap").iterdir()):
        link, frames = parse(file.read_bytes())
        assert len(tshark(file)) == len(frames)
        assert tshark(file, "-Y", "_ws.malformed || _ws.expert.severity >= 6291456") == []
        good = "udp.checksum.status == 1 && ip.checksum.status == 1" if link == 1 else "wpan.fcs_ok == 1"
        assert len(tshark(file, "-Y", good)) == len(frames)
        times = [round(float(t) * 1e9) for t in tshark(file, "-T", "fields", "-e", "frame.time_epoch")]
        assert times == [f.at_ns for f in frames]
        field = "udp.payload" if link == 1 else "data.data"
        texts = tshark(file, "-T", "fields", "-e", field)
        assert [bytes.fromhex(t.replace(":", "")) for t in texts] == [f.data for f in frames]


@needs_tshark
def test_tshark_puts_fragments_together() -> None:
    """Nothing malformed, no fragment left over, right checksums, and the datagrams that were sent."""
    lowpan("six.pcap")
    file = Path("six.pcap")
    _, frames = parse(file.read_bytes())
    assert tshark(file, "-Y", "_ws.malformed || _ws.expert.severity >= 6291456", raw=False) == []
    rows = tshark(file, "-Y", "udp", "-T", "fields", *(word for name in (
        "wpan.src16", "udp.checksum.status", "udp.srcport", "udp.dstport", "ipv6.hlim", "udp.payload",
    ) for word in ("-e", name)), raw=False)  # fmt: skip
    got = [row.split("\t") for row in rows]
    whole = datagrams(frames)
    assert [(int(row[0], 0), bytes.fromhex(row[-1])) for row in got] == [(d.src, d.data) for d in whole]
    assert {tuple(row[1:5]) for row in got} == {("1", "61616", "61616", "64")}
    in_pieces = sum(len(d.data) > 110 for d in whole)
    assert len(tshark(file, "-Y", "6lowpan.reassembled.length", raw=False)) == in_pieces


def test_global_addresses_are_in_the_capture() -> None:
    """A lone frame: 0x7e 0x00, both addresses of 2001:db8::/64 with their 16 octets, then the compressed UDP header."""
    channel: Any = registry.build("channel", {"name": "ieee802154", "mac": "csma_ca", "framing": "sixlowpan_global"})
    capture = Capture(channel)
    medium = channel.open([Node(0), Node(1, True)], np.random.default_rng(0), frames=capture)
    capture.put(medium.submit(0, 0, (1,), 40), pattern(40))
    medium.advance(10**9)
    _, frames = parse(capture.to_bytes())
    (data,) = (f.data for f in frames if not f.is_ack)
    addresses = [bytes.fromhex(f"20010db8000000000000{'00fffe00'}{node:04x}") for node in (0, 1)]
    assert data[:2] == b"\x7e\x00"
    assert [data[2:18], data[18:34]] == addresses
    assert (data[34], data[38:]) == (0xF3, pattern(40))
