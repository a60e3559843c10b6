"""Tables of faults, one file for each kind: every row is a sentence with exit code 2, or a right number."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from netsim.cli import main

BASE = """\
name: kind
problem: {name: quadratic, nodes: 3, dim: 4}
network:
  uplink: {name: ethernet_udp, rate_bps: 1 Mbit/s}
algorithms: [gd]
stop: {rounds: 2}
"""
Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def netsim(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Run one command in a folder of its own, where `kind.yaml` is `BASE` with texts replaced by others."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NETSIM_DATA", raising=False)
    monkeypatch.delenv("NETSIM_MEMORY", raising=False)

    def command(*words: str, text: str = BASE, **changes: str) -> tuple[int, str, str]:
        for old, new in changes.items():
            assert old in text
            text = text.replace(old, new)
        (tmp_path / "kind.yaml").write_text(text, encoding="utf-8")
        code = main([str(word) for word in words])
        monkeypatch.delenv("NETSIM_MEMORY", raising=False)
        said = capsys.readouterr()
        return code, said.out, said.err

    return command


@pytest.fixture
def refused(netsim: Command) -> Callable[..., str]:
    """Run one command that has to be refused with one sentence, and return it."""

    def command(*words: str, **keys: str) -> str:
        code, _, said = netsim(*words, **keys)
        assert code == 2, said
        assert "Traceback" not in said
        assert len(said.splitlines()) == 1, said
        return said

    return command
