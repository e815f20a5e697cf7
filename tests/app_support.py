"""What the app's tests share: the build, Node as a partner, a server of files, and Chromium."""

from __future__ import annotations

import base64
import functools
import json
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service

APP = Path(__file__).resolve().parents[1] / "app"
DRIVER = "/usr/bin/chromedriver"
TYPES = {
    ".js": "text/javascript",
    ".wasm": "application/wasm",
    ".json": "application/json",
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".txt": "text/plain; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".webmanifest": "application/manifest+json",
}

needs_node = pytest.mark.skipif(
    shutil.which("node") is None or not (APP / "node_modules").is_dir(),
    reason="Node or the app's packages are not here (Debian: nodejs, npm; then make app-packages)",
)
needs_chromium = pytest.mark.skipif(
    not Path(DRIVER).is_file() or shutil.which("chromium") is None,
    reason="Chromium and its driver are not installed (Debian: chromium, chromium-driver)",
)


def build_app(out: Path, public_keys: str) -> Path:
    """Build the app with the tests' own page, trusting `public_keys`; returns `out`."""
    command = ["node", "build.mjs", "--out", str(out), "--page", "test/page", "--no-compression"]
    environ = os.environ | {"PROMOLENS_PUBLIC_KEY": public_keys}
    done = subprocess.run(
        command, cwd=APP, env=environ, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return out


class NodeTool:
    """app/test/node_tool.ts as a process: the app's own modules, asked from Python."""

    def __init__(self) -> None:
        """Bundle the tool and start it."""
        built = subprocess.run(
            ["node", "test.mjs", "--tools-only"],
            cwd=APP, capture_output=True, text=True, timeout=300,
        )  # fmt: skip
        assert built.returncode == 0, built.stderr[-2000:]
        self._process = subprocess.Popen(
            ["node", str(APP / ".test" / "node_tool.mjs")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def ask(self, tool: str, data: bytes = b"", **options: Any) -> tuple[Any, bytes]:
        """Return the facts and the bytes of one answer."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        line = json.dumps({"tool": tool, "size": len(data), **options})
        self._process.stdin.write(line.encode() + b"\n" + data)
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        return answer["facts"], self._process.stdout.read(answer["size"])

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(timeout=30)
        assert self._process.stdout is not None
        self._process.stdout.close()


@dataclass
class FileServer:
    """A web server of folders and of bytes that a test may change while it runs.

    Attributes:
        folders: what is served, by first part of the path.
        files: bytes by path, before the folders are asked; None answers 404.
        requests: the paths asked for, in order.
        asked_at: each of them with when it came, in seconds of the clock `time.time`.
    """

    folders: Mapping[str, Path]
    files: dict[str, bytes | None] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    asked_at: list[tuple[float, str]] = field(default_factory=list)
    port: int = 0

    def url(self, path: str) -> str:
        """Return the address of a path."""
        return f"http://127.0.0.1:{self.port}/{path}"


class _Handler(SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __init__(self, *args: Any, served: FileServer, **kwargs: Any) -> None:
        self.served = served
        super().__init__(*args, **kwargs)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Keep quiet: the requests are recorded."""

    def do_GET(self) -> None:
        """Answer from the bytes, else from the folders."""
        path = self.path.split("?")[0].lstrip("/")
        self.served.requests.append(path)
        self.served.asked_at.append((time.time(), path))
        content = self._content(path)
        self.send_response(404 if content is None else 200)
        self.send_header("Content-Type", TYPES.get(Path(path).suffix, "application/octet-stream"))
        self.send_header("Content-Length", str(len(content or b"")))
        self.send_header("Cache-Control", "no-cache")
        self.end_headers()
        self.wfile.write(content or b"")

    def _content(self, path: str) -> bytes | None:
        if path in self.served.files:
            return self.served.files[path]
        first, _, rest = path.partition("/")
        folder = self.served.folders.get(first)
        file = None if folder is None else folder / rest
        return file.read_bytes() if file is not None and file.is_file() else None


@contextmanager
def serve(folders: Mapping[str, Path]) -> Iterator[FileServer]:
    """Serve `folders` on a free port of loopback until the end of the block."""
    served = FileServer(folders)
    handler = functools.partial(_Handler, served=served)
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    served.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield served
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def chromium(*arguments: str) -> Iterator[webdriver.Chrome]:
    """Open a headless Chromium with a profile of its own."""
    options = Options()
    for argument in (
        "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
        "--disable-background-networking", "--disable-component-update", "--disable-sync",
        "--disable-dev-shm-usage", *arguments,
    ):  # fmt: skip
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    driver.set_script_timeout(300)
    try:
        yield driver
    finally:
        driver.quit()


class Page:
    """The tests' page of the app, with the recogniser in it."""

    def __init__(self, driver: webdriver.Chrome, server: FileServer) -> None:
        """Load the page."""
        self.driver = driver
        self.server = server
        driver.get(server.url("www/page/index.html"))

    def call(self, name: str, *arguments: Any) -> dict[str, Any]:
        """Return what the page's function says: {"ok": ...} or {"code": ..., "detail": ...}."""
        script = (
            "const done = arguments[arguments.length - 1];"
            f"page.{name}(...[...arguments].slice(0, -1)).then(done);"
        )
        result: dict[str, Any] = self.driver.execute_async_script(script, *arguments)
        return result

    def ok(self, name: str, *arguments: Any) -> Any:
        """Return the result of a call that must go well."""
        told = self.call(name, *arguments)
        assert "ok" in told, told
        return told["ok"]

    def code(self, name: str, *arguments: Any) -> str:
        """Return the code of a call that must be refused."""
        told = self.call(name, *arguments)
        assert "code" in told, told
        return str(told["code"])

    def put(self, path: str, content: bytes) -> str:
        """Serve `content` at `path`, and return its address."""
        self.server.files[path] = content
        return self.server.url(path)


def tensor_of(told: Mapping[str, Any], input_px: int) -> NDArray[np.uint8]:
    """Return the network's input that the page used, [input_px, input_px, 3]."""
    data = base64.b64decode(told["tensor"])
    return np.frombuffer(data, np.uint8).reshape(input_px, input_px, 3)


def rgba_bytes(rgb: NDArray[np.uint8]) -> bytes:
    """Return [h, w, 3] pixels as opaque RGBA bytes."""
    alpha = np.full((*rgb.shape[:2], 1), 255, np.uint8)
    return np.concatenate([rgb, alpha], axis=2).tobytes()
