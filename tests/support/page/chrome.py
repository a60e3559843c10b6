"""A headless Chromium, the machine's own, by Playwright's driver."""

from __future__ import annotations

import contextlib
import importlib.util
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright.sync_api import ConsoleMessage, Page, Request

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "headless_shell")


def find() -> str | None:
    """The browser's program; None where there is none, or no driver."""
    if importlib.util.find_spec("playwright") is None:
        return None
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

    def __init__(self, page: Page) -> None:
        self.page = page
        self.requests: list[str] = []
        self.errors: list[str] = []
        self._file = ""
        page.on("request", self._note_request)
        page.on("console", self._note_message)
        page.on("pageerror", lambda error: self.errors.append(str(error)))

    def open(self, page: Path, width: int, height: int = 900) -> None:
        """Show a file in a window of that size, in CSS pixels, and wait until it has loaded."""
        self.requests.clear()
        self.errors.clear()
        self.resize(width, height)
        self._file = page.resolve().as_uri()
        self.page.goto(self._file)
        self.run("new Promise(done => requestAnimationFrame(() => setTimeout(done, 50)))")

    def resize(self, width: int, height: int) -> None:
        """Give the window another size."""
        self.page.set_viewport_size({"width": width, "height": height})

    def run(self, script: str) -> Any:
        """The value of an expression, awaited where it is a promise."""
        return self.page.evaluate(script)

    def _note_request(self, request: Request) -> None:
        if request.url != self._file and not request.url.startswith("data:"):
            self.requests.append(request.url)

    def _note_message(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning", "assert"):
            self.errors.append(message.text)


@contextlib.contextmanager
def browser(program: str) -> Iterator[Tab]:
    """A fresh browser with an empty profile, gone afterwards."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        yield Tab(opened.new_page())
        opened.close()
