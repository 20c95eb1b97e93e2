# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One headless browser for all tests of the page."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "build" / "collections"), str(ROOT / "tools")]

from testbed.engine import install_package
from testbed.errors import BedError

from tests.page.browser import Tab, browser, program
from tests.page.render import NAMES, write


@pytest.fixture(scope="session")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    if program() is None:
        try:
            install_package("chromium")
        except BedError as error:
            pytest.fail(f"The page is tested in a real browser, and there is none. {error} Or name one in CHROMIUM.")
    binary = program()
    assert binary, "chromium was installed but is not in the path"
    with browser(binary, tmp_path_factory.mktemp("browser")) as opened:
        yield opened


@pytest.fixture(scope="session")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The addresses of the fixture pages, by name."""
    folder = tmp_path_factory.mktemp("pages")
    return {name: write(folder, name).as_uri() for name in NAMES}


@pytest.fixture
def show(tab: Tab, pages: dict[str, str]) -> Iterator[Callable[..., Tab]]:
    """What opens a fixture page; afterwards it must not have complained, nor asked for anything but itself."""
    seen = []

    def opened(name: str, width: int = 1280, scheme: str = "light", media: str = "", **fragment: str) -> Tab:
        tab.size(width)
        tab.media(media, scheme)
        address = pages[name]
        seen.append(address)
        tab.open(
            address + ("#" + "&".join(f"{key}={quote(value)}" for key, value in fragment.items()) if fragment else "")
        )
        return tab

    yield opened
    tab.run("1")
    assert tab.complaints == []
    assert {request.partition("#")[0] for request in tab.requests} <= set(seen)
