"""The page in Chromium: no error, no request, no accessibility violation (``make browser``)."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).resolve().parents[1] / "browser" / "check.mjs"
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def opened(file: Path) -> list[dict[str, Any]]:
    """Return what a browser finds on a page, for each screen size and color scheme."""
    browser = next(filter(None, map(shutil.which, NAMES)), None)
    if browser is None:
        pytest.skip("no Chromium here (apt-get install chromium)")
    if shutil.which("node") is None or not (SCRIPT.parent / "node_modules" / "axe-core").is_dir():
        pytest.skip("axe-core and playwright-core are not here (make browser)")
    command = ["node", str(SCRIPT), browser, str(file)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout)
    assert {(each["name"], each["colorScheme"]) for each in found} == {
        (name, scheme) for name in ("wide", "phone", "narrow") for scheme in ("light", "dark")
    }
    return found


@pytest.fixture(scope="module")
def screens(page: Path) -> list[dict[str, Any]]:
    return opened(page)


def test_no_error_and_no_request(screens: list[dict[str, Any]]) -> None:
    for each in screens:
        assert (each["messages"], each["requests"], each["broken"]) == ([], [], 0)


def test_axe_finds_no_violation(screens: list[dict[str, Any]]) -> None:
    for each in screens:
        assert each["rules"] > 30 or each["name"] == "narrow"
        assert each["violations"] == []


def test_nothing_is_wider_than_the_screen(screens: list[dict[str, Any]]) -> None:
    assert [each["overflow"] for each in screens] == [0] * 6


def test_the_browser_finds_every_fault(tmp_path: Path) -> None:
    """Open a page with every fault."""
    bad = tmp_path / "bad.html"
    bad.write_text("<html><img src='missing.png'><div style='width:2000px'>wide</div><script>missing()</script></html>")
    for each in opened(bad):
        assert each["messages"]
        assert each["requests"]
        assert each["broken"] == 1
        assert each["overflow"] > 0
        if each["name"] == "narrow":
            continue
        assert {fault["id"] for fault in each["violations"]} >= {"document-title", "html-has-lang", "image-alt"}
