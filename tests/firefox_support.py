"""Firefox without a driver program: WebDriver BiDi over its own WebSocket.

geckodriver is in no Debian package and in no package index; Firefox itself speaks the newer
protocol
(https://www.w3.org/TR/webdriver-bidi/), of which a test needs a few commands.
"""

from __future__ import annotations

import itertools
import json
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import websocket

WAIT_S = 120.0
PROGRAM = shutil.which("firefox-esr") or shutil.which("firefox")
needs_firefox = pytest.mark.skipif(
    PROGRAM is None, reason="Firefox is not installed (Debian: firefox-esr)"
)
# Nothing is asked of other hosts, and nobody is there to answer a question.
PREFERENCES = {
    "app.normandy.enabled": False,
    "app.update.disabledForTesting": True,
    "browser.safebrowsing.update.enabled": False,
    "browser.shell.checkDefaultBrowser": False,
    "browser.startup.page": 0,
    "datareporting.policy.dataSubmissionEnabled": False,
    "extensions.update.enabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "permissions.default.camera": 2,
    "permissions.default.geo": 2,
    "services.settings.server": "http://127.0.0.1:9/",
    "toolkit.telemetry.enabled": False,
}


class Firefox:
    """One tab of a headless Firefox."""

    def __init__(self, address: str) -> None:
        """Begin a session at the browser's WebSocket."""
        self._socket = websocket.create_connection(
            f"{address}/session", timeout=WAIT_S, suppress_origin=True
        )
        self._numbers = itertools.count(1)
        self.command("session.new", capabilities={})
        self._tab = self.command("browsingContext.getTree")["contexts"][0]["context"]
        size = {"width": 360, "height": 740}
        self.command("browsingContext.setViewport", context=self._tab, viewport=size)

    def command(self, method: str, **params: Any) -> dict[str, Any]:
        """Return the result of a command; events on the way are passed over."""
        number = next(self._numbers)
        self._socket.send(json.dumps({"id": number, "method": method, "params": params}))
        while True:
            told = json.loads(self._socket.recv())
            if told.get("id") == number:
                assert told["type"] == "success", f"{method}: {told.get('message')}"
                result: dict[str, Any] = told["result"]
                return result

    def open(self, url: str) -> None:
        """Load a page anew."""
        for address in ("about:blank", url):
            self.command(
                "browsingContext.navigate", context=self._tab, url=address, wait="complete"
            )

    def script(self, expression: str) -> Any:
        """Return what an expression gives: text, a number, a truth value or nothing."""
        told = self.command(
            "script.evaluate",
            expression=expression, target={"context": self._tab}, awaitPromise=True,
        )  # fmt: skip
        assert told["type"] == "success", told.get("exceptionDetails", {}).get("text")
        return told["result"].get("value")

    def text(self) -> str:
        """Return all words on the screen."""
        return str(self.script("document.body.innerText"))

    def until(self, look: Callable[[], Any], what: str) -> None:
        """Wait until `look` finds something."""
        deadline = time.monotonic() + WAIT_S
        while not look():
            assert time.monotonic() < deadline, f"no {what} in: {self.text()[:1500]}"
            time.sleep(0.2)

    def sees(self, *words: str) -> str:
        """Wait until all these words are on the screen; returns all that is."""
        self.until(lambda: all(word in self.text() for word in words), " + ".join(words))
        return self.text()

    def choose_file(self, selector: str, path: Path) -> None:
        """Put a file into an input, as a person does with the dialogue."""
        found = self.command(
            "browsingContext.locateNodes",
            context=self._tab, locator={"type": "css", "value": selector},
        )  # fmt: skip
        element = {"sharedId": found["nodes"][0]["sharedId"]}
        self.command("input.setFiles", context=self._tab, element=element, files=[str(path)])

    def picture(self) -> bytes:
        """Return the screen as PNG."""
        import base64

        shot = self.command("browsingContext.captureScreenshot", context=self._tab)
        return base64.b64decode(shot["data"])

    def close(self) -> None:
        """Let go of the browser."""
        self._socket.close()


@contextmanager
def firefox(folder: Path) -> Iterator[Firefox]:
    """Run a headless Firefox with a profile of its own in `folder` until the end of the block."""
    assert PROGRAM is not None
    profile = folder / "firefox"
    profile.mkdir()
    lines = [
        f"user_pref({json.dumps(name)}, {json.dumps(value)});"
        for name, value in PREFERENCES.items()
    ]
    (profile / "user.js").write_text("\n".join(lines), "utf-8")
    log = folder / "firefox.log"
    words = ["--headless", "--no-remote", "--profile", str(profile), "--remote-debugging-port", "0"]
    with log.open("wb") as stream:
        process = subprocess.Popen([PROGRAM, *words], stdout=stream, stderr=stream)
    try:
        browser = Firefox(_address(process, log))
        try:
            yield browser
        finally:
            browser.close()
    finally:
        process.terminate()
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _address(process: subprocess.Popen[bytes], log: Path) -> str:
    deadline = time.monotonic() + WAIT_S
    while True:
        found = re.search(r"BiDi listening on (ws://\S+)", log.read_text("utf-8", "replace"))
        if found:
            return found[1]
        assert process.poll() is None, log.read_text("utf-8", "replace")[-2000:]
        assert time.monotonic() < deadline, "Firefox did not start"
        time.sleep(0.1)
