# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A headless Chromium, spoken to over its DevTools protocol: only what the page's tests need."""

from __future__ import annotations

import base64
import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.request import ProxyHandler, build_opener

from websockets.sync.client import ClientConnection, connect

PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-extensions",
    "--remote-debugging-port=0", "--remote-allow-origins=*", "about:blank",
)  # fmt: skip
START_SECONDS = 60
ANSWER_SECONDS = 60


def program() -> str | None:
    """The browser to use: that of the variable CHROMIUM, or one in the path."""
    return os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, PROGRAMS)), None)


class PageError(AssertionError):
    """The page's script failed, or what was waited for did not come."""


class Tab:
    """One page, with all that it asked the network for and all that it complained about."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self._number = 0
        self._events: list[dict[str, Any]] = []
        self.complaints: list[str] = []
        self.requests: list[str] = []
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send one command and wait for its answer; events that come meanwhile are noted."""
        self._number += 1
        self._connection.send(json.dumps({"id": self._number, "method": method, "params": parameters}))
        while True:
            answer = json.loads(self._connection.recv(timeout=ANSWER_SECONDS))
            if answer.get("id") == self._number:
                if "error" in answer:
                    raise PageError(f"{method}: {answer['error']}")
                return dict(answer["result"])
            self._note(answer)

    def _note(self, event: dict[str, Any]) -> None:
        method, values = event.get("method"), event.get("params", {})
        if method == "Network.requestWillBeSent":
            self.requests.append(values["request"]["url"])
        elif method == "Runtime.exceptionThrown":
            details = values["exceptionDetails"]
            self.complaints.append(details.get("exception", {}).get("description") or details["text"])
        elif method == "Runtime.consoleAPICalled":
            self.complaints.append(f"console.{values['type']}: {[one.get('value') for one in values['args']]}")
        elif method == "Log.entryAdded":
            self.complaints.append(f"{values['entry']['level']}: {values['entry']['text']}")
        self._events.append(event)

    def open(self, address: str) -> None:
        """Load a page and wait until it has."""
        self.complaints, self.requests, self._events = [], [], []
        # A page whose address differs in its fragment only would not be loaded again.
        self.call("Page.navigate", url="about:blank")
        self._wait_for("Page.loadEventFired")
        self.requests, self._events = [], []
        self.call("Page.navigate", url=address)
        self._wait_for("Page.loadEventFired")

    def _wait_for(self, method: str) -> None:
        until = time.monotonic() + ANSWER_SECONDS
        while not any(event.get("method") == method for event in self._events):
            if time.monotonic() > until:
                raise PageError(f"no {method} within {ANSWER_SECONDS} s")
            with suppress(TimeoutError):
                self._note(json.loads(self._connection.recv(timeout=1)))

    def run(self, script: str) -> Any:
        """The value of an expression in the page."""
        answer = self.call(
            "Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True, userGesture=True
        )
        if "exceptionDetails" in answer:
            raise PageError(str(answer["exceptionDetails"].get("exception", {}).get("description")))
        return answer["result"].get("value")

    def until(self, script: str) -> Any:
        """Wait for an expression to be true."""
        end = time.monotonic() + 10
        while time.monotonic() < end:
            value = self.run(script)
            if value:
                return value
            time.sleep(0.05)
        raise PageError(f"never true: {script}")

    def click(self, selector: str) -> None:
        """Click where a reader would: on the middle of an element."""
        place = self.run(
            f"(() => {{ const node = document.querySelector({json.dumps(selector)}); if (!node) return null;"
            "node.scrollIntoView({block: 'center', behavior: 'instant'}); const box = node.getBoundingClientRect();"
            "return [box.x + box.width / 2, box.y + box.height / 2]; })()"
        )
        if place is None:
            raise PageError(f"nothing to click: {selector}")
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=place[0], y=place[1], button="left", clickCount=1)

    def key(self, key: str, code: int) -> None:
        """Press and release one key."""
        text = {"text": "\r"} if key == "Enter" else {}
        for kind in ("keyDown", "keyUp"):
            self.call(
                "Input.dispatchKeyEvent",
                type=kind,
                key=key,
                code=key,
                windowsVirtualKeyCode=code,
                **(text if kind == "keyDown" else {}),
            )

    def size(self, width: int, height: int = 900) -> None:
        """Set the window's size in pixels; narrow ones as a phone, which honours the viewport's meta element."""
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )

    def media(self, media: str = "", scheme: str = "light") -> None:
        """Prefer light or dark colours, or print."""
        self.call(
            "Emulation.setEmulatedMedia", media=media, features=[{"name": "prefers-color-scheme", "value": scheme}]
        )

    def scripting(self, enabled: bool) -> None:
        """Switch JavaScript off, or on again."""
        self.call("Emulation.setScriptExecutionDisabled", value=not enabled)

    def screenshot(self, path: Path, whole: bool = False) -> None:
        """Save what is seen, or the whole page, as a PNG."""
        picture = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)["data"]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(base64.b64decode(picture))


@contextmanager
def browser(binary: str, profile: Path) -> Iterator[Tab]:
    """Start a browser with a profile of its own, and end it."""
    profile.mkdir(parents=True, exist_ok=True)
    with (profile / "output").open("wb") as output:
        process = subprocess.Popen(
            [binary, *FLAGS[:-1], f"--user-data-dir={profile}", FLAGS[-1]], stdout=output, stderr=output
        )
    try:
        port = _port(process, profile)
        # No proxy: the browser is on this machine.
        with build_opener(ProxyHandler({})).open(
            f"http://127.0.0.1:{port}/json/list", timeout=ANSWER_SECONDS
        ) as answer:
            tabs = json.load(answer)
        address = next(tab["webSocketDebuggerUrl"] for tab in tabs if tab["type"] == "page")
        # A socket of its own, since a proxy of the environment has no business here.
        channel = socket.create_connection(("127.0.0.1", port))
        with connect(address, sock=channel, max_size=None, open_timeout=ANSWER_SECONDS) as connection:
            yield Tab(connection)
    finally:
        process.terminate()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _port(process: subprocess.Popen[bytes], profile: Path) -> int:
    told = profile / "DevToolsActivePort"
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until:
        if told.exists() and (lines := told.read_text().split()):
            return int(lines[0])
        if process.poll() is not None:
            break
        time.sleep(0.05)
    raise PageError(f"{process.args!r} did not start:\n{(profile / 'output').read_text(errors='replace')[-2000:]}")
