"""The program itself: what it needs, how it ends, what it survives."""

from __future__ import annotations

import contextlib
import json
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import psutil
import pytest

from promolens_cli.main import main
from server_support import START_WITHIN_S, Running, ServeProcess, serve_process

MEMORY_BYTES = 150_000_000
START_CPU_S = 1.5
READY_AGAIN_S = 3.0


def get(url: str, timeout_s: float = 30.0) -> tuple[int, bytes]:
    try:
        with urllib.request.urlopen(url, timeout=timeout_s) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def children(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    """Return the workers of a service."""
    workers = []
    for one in psutil.Process(process.pid).children():
        with contextlib.suppress(psutil.NoSuchProcess):  # a zombie counts as none
            if "spawn_main" in " ".join(one.cmdline()):
                workers.append(one)
    return workers


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("serve")
    with serve_process(folder, "--database", "catalog.db") as found:
        yield found


def test_an_empty_catalog_says_how_to_fill_it(server: ServeProcess) -> None:
    assert get(server.url + "/readyz") == (200, b'{"status":"ok","version":0}')
    assert "catalog.db is empty" in server.log.read_text("utf-8")
    assert "promolens serve --demo" in server.log.read_text("utf-8")


def test_memory_of_a_worker(server: ServeProcess) -> None:
    for _ in range(50):
        get(server.url + "/readyz")
    get(server.url + "/docs")
    assert psutil.Process(server.process.pid).memory_info().rss < MEMORY_BYTES


def test_nothing_heavy_is_imported(tmp_path: Path) -> None:
    program = (
        "import sys, promolens_server.app\npromolens_server.app.app\n"
        "tops = {name.partition('.')[0] for name in sys.modules}\n"
        "print(*tops & {'tensorflow', 'keras', 'cv2', 'sklearn', 'scipy', 'selenium', "
        "'matplotlib', 'pandas', 'promolens_crawler', 'promolens_demo', 'promolens_training', "
        "'promolens_export'})"
    )
    environment = {"PATH": "/usr/bin:/bin", "PROMOLENS_DATABASE_URL": str(tmp_path / "catalog.db")}
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=environment
    )
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stderr


def test_a_running_service_imported_nothing_heavy(server: ServeProcess) -> None:
    """Read from the process itself: shared libraries of TensorFlow, OpenCV, and such."""
    mapped = Path(f"/proc/{server.process.pid}/maps").read_text()
    libraries = set(re.findall(r"/([\w.-]+\.so[\w.]*)$", mapped, re.MULTILINE))
    heavy = {name for name in libraries if re.search(r"tensorflow|cv2|LiteRt|sklearn", name)}
    assert libraries
    assert heavy == set()


def test_it_starts_soon(tmp_path: Path) -> None:
    """By the CPU time up to the first answer: what else the machine does decides nothing."""
    with serve_process(tmp_path, "--database", "catalog.db"):
        pass  # the catalog is made once
    spent = []
    for _ in range(3):
        with serve_process(tmp_path, "--database", "catalog.db") as found:
            get(found.url + "/readyz")
            times = psutil.Process(found.process.pid).cpu_times()
            spent.append(times.user + times.system)
    assert min(spent) < START_CPU_S * 2


def test_a_request_is_one_line_without_what_was_asked(server: ServeProcess) -> None:
    get(server.url + "/v1/stores/nearby?lat=37.498123&lon=127.027456&secret=abc")
    deadline = time.monotonic() + 10
    lines: list[dict[str, Any]] = []
    while time.monotonic() < deadline and not lines:
        time.sleep(0.1)
        lines = [one for one in server.log_lines() if one.get("bytes") and one["status"] >= 400]
    assert set(lines[-1]) == {
        "time", "level", "event", "request_id", "method", "route", "status", "ms", "bytes",
    }  # fmt: skip
    text = server.log.read_text("utf-8")
    assert "37.498" not in text
    assert "secret" not in text


def test_running_requests_are_answered_before_it_ends(tmp_path: Path) -> None:
    with serve_process(tmp_path, "--database", "catalog.db") as found:
        answers: list[int] = []
        stop = threading.Event()

        def ask() -> None:
            while not stop.is_set():
                try:
                    answers.append(get(found.url + "/readyz")[0])
                except (urllib.error.URLError, ConnectionError):
                    return

        threads = [threading.Thread(target=ask, daemon=True) for _ in range(4)]
        for thread in threads:
            thread.start()
        while len(answers) < 20:
            time.sleep(0.02)
        found.process.send_signal(signal.SIGTERM)
        assert found.process.wait(timeout=START_WITHIN_S) in (0, -signal.SIGTERM)
        stop.set()
        for thread in threads:
            thread.join()
    assert set(answers) == {200}
    assert "Traceback" not in found.log.read_text("utf-8")


def test_killed_under_load_it_is_ready_again_soon(tmp_path: Path) -> None:
    with serve_process(tmp_path, "--database", "catalog.db") as found:
        port = found.port
        load = _Load(found)
        load.wait_for(50)
        found.process.kill()
        found.process.wait()
    spent: list[float] = []
    for _ in range(3):
        with serve_process(tmp_path, "--database", "catalog.db", port=port) as again:
            get(again.url + "/readyz")
            times = psutil.Process(again.process.pid).cpu_times()
            spent.append(times.user + times.system)
            load.wait_for(load.good + 50)
            again.process.kill()
            again.process.wait()
        if spent[-1] < READY_AGAIN_S:
            break
    load.stop()
    # On a machine that does nothing else, processor time is the time until it is ready; what it
    # answers meanwhile, and what shares the processor with it, only add to that.
    assert min(spent) < READY_AGAIN_S
    assert load.wrong == []


def test_a_killed_worker_is_replaced_and_nobody_notices_for_long(tmp_path: Path) -> None:
    with serve_process(tmp_path, "--database", "catalog.db", "--workers", "2") as found:
        load = _Load(found)
        load.wait_for(50)
        workers = children(found.process)
        assert len(workers) == 2
        workers[0].kill()
        deadline = time.monotonic() + START_WITHIN_S
        while time.monotonic() < deadline:
            now = {one.pid for one in children(found.process)}
            if len(now) == 2 and workers[0].pid not in now:
                break
            time.sleep(0.1)
        else:
            raise AssertionError("the worker was not replaced")
        load.wait_for(load.good + 100)
        load.stop()
        assert load.wrong == []
        assert _counted(found) >= load.good  # figures of both workers, the dead one's included


def test_mistakes_are_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad = tmp_path / "bad.toml"
    bad.write_text("prot = 1")
    for arguments in (
        ["--port", "70000"],
        ["--workers", "0"],
        ["--config", str(bad)],
        ["--config", str(tmp_path / "none.toml")],
        ["--database", str(tmp_path / "no" / "folder.db")],
        ["--database", "mysql://a/b"],
    ):
        assert main(["serve", *arguments]) == 2
        lines = capsys.readouterr().err.splitlines()
        assert len(lines) == 1
        assert lines[0].startswith("error: Expected")


def test_a_port_that_is_taken_is_one_line_before_anything_is_done(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        words = ["serve", "--demo", "--port", str(port), "--database", str(tmp_path / "catalog.db")]
        assert main(words) == 2
    said = capsys.readouterr().err
    assert re.fullmatch(r"error: Expected to listen on port \d+ of 127.0.0.1\. .* --host\.\n", said)
    assert list(tmp_path.iterdir()) == []


class _Load:
    """Clients that ask again where the connection breaks, as phones do."""

    def __init__(self, server: Running) -> None:
        self.good = 0
        self.wrong: list[tuple[int, bytes]] = []
        self._url = server.url + "/readyz"
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._ask, daemon=True) for _ in range(4)]
        for thread in self._threads:
            thread.start()

    def _ask(self) -> None:
        while not self._stop.is_set():
            try:
                status, body = get(self._url, 10.0)
            except (OSError, ValueError, urllib.error.URLError):
                time.sleep(0.05)
                continue
            if status == 200 and json.loads(body)["status"] == "ok":
                self.good += 1
            else:
                self.wrong.append((status, body))

    def wait_for(self, count: int) -> None:
        deadline = time.monotonic() + START_WITHIN_S
        while self.good < count:
            assert time.monotonic() < deadline, f"{self.good} answers, {self.wrong[:3]}"
            time.sleep(0.02)

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()


def _counted(server: Running) -> float:
    text = get(server.url + "/metrics")[1].decode()
    pattern = r'promolens_requests_total\{[^}]*route="/readyz"[^}]*\} (\S+)'
    return sum(float(one) for one in re.findall(pattern, text))
