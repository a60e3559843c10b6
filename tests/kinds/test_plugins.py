"""Plugins that misbehave: their run fails with a sentence, all others finish, and the command ends with 1."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from netsim import registry
from tests.kinds.conftest import Command

PLUGIN = """\
from __future__ import annotations

import atexit
import ctypes
import gc
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass

import numpy as np

from algorithms.compressors.identity import Identity
from netsim.registry import component

BEFORE


@component("compressor")
@dataclass(frozen=True)
class Wild(Identity):
    examples = ({},)

    def bind(self, layout):
        INSIDE
        return super().bind(layout)
"""


@pytest.mark.parametrize(
    ("before", "word"),
    [("raise RuntimeError('no')", "RuntimeError"), ("sys.exit(0)", "SystemExit"), ("1 / 0", "ZeroDivisionError"),
     ("import nowhere_at_all", "nowhere_at_all"), ("def", "SyntaxError"), ("raise KeyError()", "KeyError"),
     ("Identity = 3", "plugin"), ("x = '\\ud800'.encode()", "UnicodeEncodeError")],
)  # fmt: skip
def test_a_plugin_that_does_not_load(
    before: str, word: str, netsim: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "_classes", dict(registry._classes))
    (tmp_path / "wild.py").write_text(PLUGIN.replace("BEFORE", before).replace("INSIDE", "pass"), encoding="utf-8")
    code, _, said = netsim("validate", "kind.yaml", "--plugin", "wild.py")
    assert code == 2, said
    assert word in said
    assert "Traceback" not in said


@pytest.mark.slow
@pytest.mark.parametrize(
    ("inside", "code"),
    [("os.chdir('/')", 0), ("os.environ.clear()", 0), ("print('x' * 5000)", 0),
     ("(lambda f: f(f))(lambda f: f(f))", 1), ("raise GeneratorExit", 1), ("raise ValueError('\\udc80')", 1),
     ("sys.exit(0)", 1), ("raise type('S', (Exception,), {'__str__': lambda s: 1 / 0})()", 1),
     ("raise type('B', (BaseException,), {})('x')", 1), ("np.seterr(all='raise'); np.float32(3e38) * 2", 1),
     ("os.fork()", 0), ("os.fork() or sys.exit(0)", 0), ("os.fork() or os._exit(1)", 0), ("os.fork() or 1 / 0", 0),
     ("os.fork() or time.sleep(1000)", 0), ("subprocess.Popen(['sleep', '1000'])", 0),
     ("threading.Thread(target=time.sleep, args=(1000,)).start()", 0),
     ("threading.Thread(target=os._exit, args=(0,)).start(); time.sleep(1)", 1),
     ("signal.signal(signal.SIGTERM, signal.SIG_IGN)", 0), ("signal.alarm(1); time.sleep(3)", 1),
     ("signal.signal(signal.SIGALRM, lambda *a: 1 / 0); signal.setitimer(signal.ITIMER_REAL, 0.01); time.sleep(1)", 1),
     ("os.kill(os.getpid(), signal.SIGTERM)", 1), ("os.abort()", 1), ("ctypes.string_at(0)", 1),
     ("raise KeyboardInterrupt", 1), ("atexit.register(os._exit, 3)", 0), ("atexit.register(time.sleep, 1000)", 0),
     ("os.closerange(0, 256)", 1), ("os.execv('/bin/true', ['true'])", 1), ("sys.setrecursionlimit(60)", 1),
     ("resource.setrlimit(resource.RLIMIT_AS, (1 << 28, 1 << 28)); np.ones(1 << 28)", 1), ("gc.disable()", 0),
     ("os.umask(0o777)", 0), ("sys.stdout = sys.stderr = sys.stdin = None", 0)],
)  # fmt: skip
def test_a_plugin_that_misbehaves_in_a_run(
    inside: str, code: int, netsim: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "_classes", dict(registry._classes))
    name = f"wild_{hashlib.sha256(inside.encode()).hexdigest()[:8]}"  # no two plugins of a process have one name
    (tmp_path / f"{name}.py").write_text(PLUGIN.replace("BEFORE", "").replace("INSIDE", inside), encoding="utf-8")
    changes = {"[gd]": f"[{{name: dcgd, compressor: {name}}}, gd]"}
    ended, _, said = netsim("run", "kind.yaml", "--plugin", f"{name}.py", "-o", "out", "-j", "1", **changes)
    assert ended == code, said
    assert "Traceback" not in said
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text("utf-8"))
    assert [run["status"] for run in manifest["runs"]] == ["failed" if code else "done", "done"]
    if code == 1 and f"{name}.py" not in said:
        assert "1 of 2" in said or "failed" in said
