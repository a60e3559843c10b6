"""The report page in headless Chromium: what only a browser can tell."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from netsim import report
from tests.support import ROOT
from tests.support.page import chrome, folder

CHECK = ROOT / "tests/support/page/check.js"
SLOW = pytest.mark.slow
PAGES = [
    ("quick", 1280), ("hostile", 400), ("alone", 400), ("sweep", 1280), ("several", 400),
    *(pytest.param(*page, marks=SLOW) for page in (
        ("quick", 400), ("hostile", 1280), ("alone", 1280), ("sweep", 400), ("several", 1280),
    )),
]  # fmt: skip
PROGRAM = chrome.find()

pytestmark = pytest.mark.skipif(
    PROGRAM is None,
    reason=f"the page is not opened: no Playwright, or none of {', '.join(chrome.NAMES)} on the PATH",
)


@pytest.fixture(scope="module")
def tab() -> Iterator[chrome.Tab]:
    with chrome.browser(str(PROGRAM)) as opened:
        yield opened


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("pages")
    quick = folder.make(root / "quick", rounds=150, replications=3)
    folder.bounds(quick)
    other = folder.make(root / "other", points=[""], kinds=folder.KINDS[:2], rounds=50, replications=1, target={})
    sweep = folder.make(
        root / "sweep", kinds=folder.KINDS[:4], rounds=99,
        sweep={"network.link.rate_bps": [1e5, 1e6, 1e7], "network.link.name": ["wan", "tdma"]},
    )  # fmt: skip
    return {
        "quick": report.write(quick),
        "hostile": report.write(folder.hostile(root / "hostile")),
        "alone": report.write(other),
        "sweep": report.write(sweep),
        "several": report.compare([quick, other], root / "several.html"),
    }


def check(tab: chrome.Tab, page: Path, width: int) -> dict[str, Any]:
    """What does not hold of a page of that width, everything unfolded."""
    tab.open(page, width)
    return examine(tab, width)


def examine(tab: chrome.Tab, width: int) -> dict[str, Any]:
    tab.run("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
    # All of the page lies in the window, so that the browser can say what is painted beneath each text.
    tab.resize(width, int(tab.run("document.documentElement.scrollHeight")))
    found: dict[str, Any] = tab.run(CHECK.read_text("utf-8"))
    return found | {"errors": list(tab.errors), "requests": list(tab.requests)}


@pytest.mark.parametrize(("name", "width"), PAGES)
def test_the_page_holds_what_it_promises(tab: chrome.Tab, pages: dict[str, Path], name: str, width: int) -> None:
    found = check(tab, pages[name], width)
    assert found.pop("texts") > 100
    assert found == {"overflow": [], "overlap": [], "contrast": [], "errors": [], "requests": []}


BREAKS = {
    "overflow": "document.querySelector('h1').style.width = '120vw'",
    "overlap in a drawing": "document.querySelectorAll('#curves text.m').forEach((t) => t.setAttribute('x', 200))",
    "overlap in a table": "document.querySelector('.summary td b').style.cssText = 'position: relative; left: 6rem'",
    "overlap: a narrow cell": "document.querySelector('.summary tbody tr td:nth-child(3)').innerHTML = "
    "'<div style=\"width: 40rem\">x</div>'; document.querySelector('.summary').style.tableLayout = 'fixed'",
    "contrast of a text": "document.querySelector('.note').style.color = '#8a8a8a'",
    "contrast in a bar": "document.querySelector('#spent text.s').style.fill = '#777'",
    "errors": "console.error('no')",
    "errors: an exception": "setTimeout(() => { throw Error('no'); })",
    "errors: a request": "document.body.append(Object.assign(new Image(), {src: 'http://127.0.0.1:9/x.png'}))",
}


@pytest.mark.slow
@pytest.mark.parametrize("broken", BREAKS)
def test_each_check_can_fail(tab: chrome.Tab, pages: dict[str, Path], broken: str) -> None:
    tab.open(pages["quick"], 1280)
    tab.run(f"{{ {BREAKS[broken]} }}; new Promise((done) => setTimeout(done, 100))")
    assert examine(tab, 1280)[broken.split()[0].strip(":")] != []


def test_a_request_would_be_seen(tab: chrome.Tab, pages: dict[str, Path], tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    text = pages["alone"].read_text("utf-8").replace("Content-Security-Policy", "no-policy")
    page.write_text(text.replace("<main>", '<main><img src="http://127.0.0.1:9/x.png" alt="">'), "utf-8")
    assert check(tab, page, 400)["requests"] == ["http://127.0.0.1:9/x.png"]


def test_nothing_is_lost_without_script_and_on_paper(tab: chrome.Tab, pages: dict[str, Path], tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    text = pages["quick"].read_text("utf-8")
    page.write_text(text[: text.index("<script>")] + "</body></html>", "utf-8")
    tab.open(page, 1280)
    assert tab.run("document.querySelectorAll('svg.f').length") > 20
    folded = "[...document.querySelectorAll('details > :not(summary)')].filter((e) => !e.checkVisibility()).length"
    folded = folded.replace("checkVisibility()", "checkVisibility({contentVisibilityAuto: true})")
    assert tab.run(folded) > 0
    tab.page.emulate_media(media="print")
    try:
        # The browser lays the page out anew in its own time.
        deadline = time.monotonic() + 10
        while (left := tab.run(folded)) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert left == 0
        found = examine(tab, 1280)
        assert (found["overlap"], found["contrast"], found["overflow"]) == ([], [], [])
    finally:
        tab.page.emulate_media(media="null")


def test_lines_can_be_switched_off_and_read(tab: chrome.Tab, pages: dict[str, Path]) -> None:
    tab.open(pages["quick"], 1280)
    first = "document.querySelector('#curves .legend li')"
    hidden = "document.querySelectorAll('#curves g.off').length"
    assert tab.run(f"{first}.getAttribute('aria-pressed')") == "true"
    tab.run(f"{first}.click()")
    assert tab.run(hidden) == 4  # one line in each of the point's drawings
    assert tab.run(f"{first}.getAttribute('aria-pressed')") == "false"
    tab.run(f"{first}.dispatchEvent(new KeyboardEvent('keydown', {{key: 'Enter', bubbles: true}}))")
    assert tab.run(hidden) == 0
    tab.run("document.querySelector('#curves svg[data-axes]').scrollIntoView({block: 'center'})")
    marker = "document.querySelector('#curves g[data-s=\"GD\"] g').getBoundingClientRect()"
    left, top, side = (tab.run(f"{marker}.{name}") for name in ("left", "top", "width"))
    tab.page.mouse.move(left + side / 2, top + side / 2)
    read = tab.run("document.querySelector('#curves .read').textContent")
    assert "bit, 0." in read
    assert read.endswith(": GD")
    assert tab.errors == []


def test_a_hostile_page_runs_no_script_of_its_own(tab: chrome.Tab, pages: dict[str, Path], tmp_path: Path) -> None:
    """Even where a text slips through unescaped, the policy stops it."""
    page = tmp_path / "page.html"
    text = pages["alone"].read_text("utf-8")
    page.write_text(text.replace("<main>", "<main><script>window.hit = 1</script><p onclick='window.hit = 1'>x</p>"))
    tab.open(page, 1280)
    tab.run("document.querySelector('main p').click()")
    assert json.dumps(tab.run("window.hit ?? null")) == "null"
    assert any("Content Security Policy" in error for error in tab.errors)
