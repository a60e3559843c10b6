"""A headless Chromium over its debugging pipe, with nothing but the standard library."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "headless_shell")
PATIENCE_S = 60
OPTIONS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-dev-shm-usage",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-extensions",
    "--remote-debugging-pipe", "--hide-scrollbars",
)  # fmt: skip
# The browser reads its commands from descriptor 3 and answers on 4.
_LAUNCH = (
    "import fcntl, os, sys; i, o = (fcntl.fcntl(int(f), fcntl.F_DUPFD, 10) for f in sys.argv[1:3]); "
    "os.dup2(i, 3); os.dup2(o, 4); os.execvp(sys.argv[3], sys.argv[3:])"
)


def find() -> str | None:
    """The browser's program; None where there is none."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


class Tab:
    """One page of the browser.

    Attributes
    ----------
    requests
        Addresses asked for, other than the page itself.
    errors
        What the console said as an error or warning, and exceptions.
    """

    def __init__(self, to: int, answers: int) -> None:
        self._to, self._answers, self._rest, self._id, self._session = to, answers, b"", 0, ""
        self.requests: list[str] = []
        self.errors: list[str] = []
        self._page = ""
        self.events: list[str] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Send a command and wait for its answer; events meanwhile are noted."""
        self._id += 1
        message = {"id": self._id, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self._to, data) :]
        while True:
            answer = self._read()
            if answer.get("id") == self._id:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return dict(answer["result"])

    def open(self, page: Path, width: int, height: int = 900) -> None:
        """Show a file in a window of that size, in CSS pixels, and wait until it has loaded."""
        for noted in (self.requests, self.errors, self.events):
            noted.clear()
        self.resize(width, height)
        self._page = page.resolve().as_uri()
        self.call("Page.navigate", url=self._page)
        while "Page.loadEventFired" not in self.events:
            self._read()
        self.run("new Promise(done => requestAnimationFrame(() => setTimeout(done, 50)))")

    def resize(self, width: int, height: int) -> None:
        """Give the window another size."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self.call("Emulation.setDeviceMetricsOverride", **size)

    def run(self, script: str) -> Any:
        """The value of an expression, awaited where it is a promise."""
        answer = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(str(answer["exceptionDetails"]))
        return answer["result"].get("value")

    def picture(self, path: Path, whole: bool = True) -> None:
        """Save a screenshot."""
        data = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)["data"]
        path.write_bytes(base64.b64decode(data))

    def _read(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            if not select.select([self._answers], [], [], PATIENCE_S)[0]:
                raise RuntimeError(f"the browser has said nothing for {PATIENCE_S} s")
            data = os.read(self._answers, 1 << 20)
            if not data:
                raise RuntimeError("the browser has gone")
            self._rest += data
        line, _, self._rest = self._rest.partition(b"\0")
        message: dict[str, Any] = json.loads(line)
        self._note(message.get("method", ""), message.get("params", {}))
        return message

    def _note(self, event: str, params: dict[str, Any]) -> None:
        self.events.append(event)
        if event == "Network.requestWillBeSent" and params["request"]["url"] != self._page:
            if not params["request"]["url"].startswith("data:"):
                self.requests.append(params["request"]["url"])
        elif event == "Runtime.exceptionThrown":
            self.errors.append(str(params["exceptionDetails"]))
        elif event == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning", "assert"):
            self.errors.append(str(params["args"]))
        elif event == "Log.entryAdded" and params["entry"]["level"] in ("error", "warning"):
            self.errors.append(params["entry"]["text"])


@contextlib.contextmanager
def browser(program: str) -> Iterator[Tab]:
    """A fresh browser with an empty profile, gone afterwards."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        to_read, to_write = os.pipe()
        from_read, from_write = os.pipe()
        command = [program, *OPTIONS, f"--user-data-dir={profile}"]
        process = subprocess.Popen(
            [sys.executable, "-c", _LAUNCH, str(to_read), str(from_write), *command],
            pass_fds=(to_read, from_write),
            env={**os.environ, "TMPDIR": profile},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(to_read)
        os.close(from_write)
        try:
            yield Tab(to_write, from_read)
        finally:
            process.kill()
            process.wait()
            os.close(to_write)
            os.close(from_read)
