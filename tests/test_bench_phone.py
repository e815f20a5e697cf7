"""`promolens bench phone` against an adb that behaves like the real one.

The stand-in is a program on PATH. It keeps a folder as the phone's disk, and really runs there what
was pushed and made runnable. What the measuring program prints has the form that
litert/tools/benchmark_litert_model.h and tflite's benchmark_model.cc give it.
"""

# What programs print is kept as they print it.
# ruff: noqa: E501

from __future__ import annotations

import hashlib
import json
import os
import stat
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conftest import Keys
from promolens_cli.main import main
from promolens_cli.phone_bench.devices import Device, parse_devices
from promolens_cli.phone_bench.facts import State, parse_memory, parse_properties, parse_state
from promolens_cli.phone_bench.figures import parse_figures
from promolens_runtime.errors import InputError

SERIAL = "29091FDH300J9K"
ONE = f"List of devices attached\n{SERIAL}         device usb:1-1 product:panther model:Pixel_7 transport_id:1\n\n"
LITERT = """\
INFO: STARTING!
INFO: Num threads: [{threads}]
INFO: [benchmark_litert_model.cc:121] Loading model from: {graph}
INFO: Created TensorFlow Lite XNNPACK delegate for CPU.
INFO: Running benchmark for at least {warmup} iterations and at least 0.5 seconds but terminate if exceeding 150 seconds.
INFO: count=61 first=21034 curr=8101 min=8011 max=21034 avg=8402.5 std=1650 p5=8040 median=8120 p95=9011

INFO: Running benchmark for at least {runs} iterations and at least 1 seconds but terminate if exceeding 150 seconds.
INFO: count=122 first=8105 curr=8133 min=8004 max=9944 avg=8151.25 std=201 p5=8031 median=8112 p95=8540

INFO: [benchmark_litert_model.h:89]
========== BENCHMARK RESULTS ==========
INFO: [benchmark_litert_model.h:94] Model initialization: 12.34 ms
INFO: [benchmark_litert_model.h:96] Warmup (first):       21.03 ms
INFO: [benchmark_litert_model.h:98] Warmup (avg):         8.40 ms (61 runs)
INFO: [benchmark_litert_model.h:100] Inference (avg):      8.15 ms (122 runs)
INFO: [benchmark_litert_model.h:104] Inference (min):      8.00 ms
INFO: [benchmark_litert_model.h:106] Inference (max):      9.94 ms
INFO: [benchmark_litert_model.h:108] Inference (std):      0.20
INFO: [benchmark_litert_model.h:115] Throughput:           18.46 MB/s
INFO: [benchmark_litert_model.h:124]
Memory Usage:
INFO: [benchmark_litert_model.h:126] Init footprint:       9.41 MB
INFO: [benchmark_litert_model.h:128] Overall footprint:    17.25 MB
INFO: [benchmark_litert_model.h:135] Peak memory usage not available. (peak_mem_mb <= 0)
INFO: [benchmark_litert_model.h:139] ======================================
"""
TFLITE = """\
INFO: count=70 first=8539 curr=6894 min=6043 max=8539 avg=7181.07 std=656
INFO: count=50 first=6449 curr=6510 min=6449 max=6510 avg=6479.5 std=30
INFO: Inference timings in us: Init: 16599, First inference: 8539, Warmup (avg): 7181.07, Inference (avg): 6479.5
INFO: Memory footprint delta from the start of the tool (MB): init=8.45312 overall=10.5898
"""
ADB = Path(__file__).with_name("fake_adb.py")
TOLD = {
    "getprop": (
        "[ro.board.platform]: [gs201]\n[ro.build.version.release]: [15]\n"
        "[ro.build.version.sdk]: [35]\n[ro.product.cpu.abi]: [arm64-v8a]\n"
        "[ro.product.manufacturer]: [Google]\n[ro.product.model]: [Pixel 7]\n"
        f"[ro.serialno]: [{SERIAL}]\n[ro.soc.manufacturer]: [Google]\n[ro.soc.model]: [GS201]\n"
        "[persist.sys.timezone]: [Asia/Seoul]\n[ro.boot.bootreason]: []\n"
    ),
    "nproc": "8\n",
    "cat /proc/meminfo": "MemTotal:        7858536 kB\nMemFree:          312000 kB\n",
    "dumpsys battery": (
        "Current Battery Service state:\n  AC powered: false\n  USB powered: true\n"
        "  status: 2\n  health: 2\n  level: 81\n  scale: 100\n  temperature: 312\n"
    ),
    "dumpsys thermalservice": "IsStatusOverride: false\nThermalEventListeners:\nThermal Status: 1\n",
}


@dataclass
class Desk:
    """A machine with a phone on its cable.

    Attributes:
        setup: what the stand-in says and does; `write` makes it so.
        program: what is pushed as `benchmark_model`.
    """

    folder: Path
    setup: dict[str, Any]
    program: Path
    model: Path

    def write(self, **changes: Any) -> None:
        self.setup |= changes
        (self.folder / "setup.json").write_text(json.dumps(self.setup))

    def prints(self, text: str, status: int = 0) -> None:
        """Let the measuring program print this, with what it was asked for filled in."""
        script(
            self.program,
            f"""
            import sys
            given = dict(word[2:].split("=", 1) for word in sys.argv[1:])
            print({text!r}.format(threads=given["num_threads"], graph=given["graph"],
                  warmup=given["warmup_runs"], runs=given["num_runs"]), end="")
            sys.exit({status})
            """,
        )

    def run(self, *arguments: str) -> int:
        once = () if {"--threads", "--json"} & set(arguments) else ("--threads", "1")
        return main(["bench", "phone", str(self.model), *once, *arguments])

    def calls(self) -> list[list[str]]:
        log = self.folder / "calls.log"
        return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []

    def left_on_the_phone(self) -> list[str]:
        return [one.name for one in (self.folder / "disk/data/local/tmp").glob("*")]


def script(path: Path, text: str) -> None:
    # Without the packages, which cost more than all else that it does.
    path.write_text(f"#!{sys.executable} -IS\n{textwrap.dedent(text)}", encoding="utf-8")


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    path = tmp_path / "bin"
    path.mkdir()
    adb = path / "adb"
    adb.write_text(f'#!/bin/sh\nexec "{sys.executable}" -I -S "{ADB}" "$@"\n', encoding="utf-8")
    adb.chmod(0o755)
    monkeypatch.setenv("FAKE_ADB_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", f"{path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "disk/data/local/tmp").mkdir(parents=True)
    program = tmp_path / "home/.cache/litert-cli/binaries/arm64-v8a/benchmark_model"
    program.parent.mkdir(parents=True)
    model = tmp_path / "model.tflite"
    model.write_bytes(b"\x1c\x00\x00\x00TFL3" + bytes(1000))
    made = Desk(tmp_path, {"devices": ONE, "serial": SERIAL, "told": TOLD}, program, model)
    made.write()
    made.prints(LITERT)
    return made


def error_of(capsys: pytest.CaptureFixture[str]) -> str:
    """Return the one line on stderr that says what is wrong."""
    lines = capsys.readouterr().err.strip().splitlines()
    told = [line for line in lines if line.startswith("error: ")]
    assert len(told) == 1, lines
    assert "Expected" in told[0]
    assert "Received" in told[0]
    return told[0]


def test_the_report_has_the_figures_and_the_phone_and_nothing_that_names_its_owner(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    out = desk.folder / "report.json"
    assert desk.run("--threads", "1", "--threads", "4", "--runs", "100", "--out", str(out)) == 0
    text = out.read_text("utf-8")
    report = json.loads(text)
    assert report["format"] == "promolens-phone-benchmark"
    assert report["device"] == {
        "manufacturer": "Google", "model": "Pixel 7", "soc": "Google GS201", "android": "15",
        "sdk": 35, "abi": "arm64-v8a", "cores": 8, "memory_gib": 7.5,
    }  # fmt: skip
    assert report["model"] == {
        "bundle_id": None, "version": None, "input_px": None, "size_bytes": 1008,
        "sha256": hashlib.sha256(desk.model.read_bytes()).hexdigest(), "accelerator": "native-cpu",
    }  # fmt: skip
    assert [one["threads"] for one in report["measurements"]] == [1, 4]
    first = report["measurements"][0]
    # Microseconds of the second line with a count, not of the warm-up's.
    assert first["runs"] == 122
    assert first["bare_inference_ms"] == {
        "median": 8.112, "p95": 8.54, "average": 8.151, "min": 8.004, "max": 9.944, "std": 0.201,
    }  # fmt: skip
    assert (first["first_inference_ms"], first["open_ms"], first["memory_mb"]) == (
        21.03, 12.34, 17.25,
    )  # fmt: skip
    state = {"battery_percent": 81, "charging": True, "battery_c": 31.2, "thermal": "light"}
    assert (first["before"], first["after"]) == (state, state)
    assert SERIAL not in text
    assert "Seoul" not in text
    table = capsys.readouterr().out
    assert "Google Pixel 7: Google GS201, Android 15, arm64-v8a, 8 cores, 7.5 GiB" in table
    assert "| 4 | 122 | 8.11 | 8.54 | 8.15 |" in table


def test_the_phone_is_asked_for_so_many_threads_and_runs(desk: Desk) -> None:
    assert desk.run("--threads", "3", "--runs", "77", "--warmup", "9") == 0
    run = next(call[3] for call in desk.calls() if "--graph" in call[-1])
    for flag in ("--num_threads=3", "--num_runs=77", "--warmup_runs=9"):
        assert flag in run.split()


def test_nothing_stays_on_the_phone(desk: Desk) -> None:
    assert desk.run() == 0
    assert desk.left_on_the_phone() == []
    desk.prints("ERROR: Failed to load model.\n", status=1)
    assert desk.run() == 2
    assert desk.left_on_the_phone() == []


def test_json_goes_to_stdout_alone(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    assert desk.run("--json") == 0
    assert len(json.loads(capsys.readouterr().out)["measurements"]) == 2


def test_without_adb_it_says_where_to_get_it(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(desk.folder / "empty"))
    assert desk.run() == 5
    assert "apt-get install adb" in error_of(capsys)


PHONE = "List of devices attached\n"


@pytest.mark.parametrize(
    ("devices", "arguments", "words"),
    [
        (PHONE + "\n", (), "Received none. Switch on USB debugging"),
        (PHONE + f"{SERIAL}\tunauthorized usb:1-1\n", (), "allow USB debugging from this machine"),
        (PHONE + f"{SERIAL}\toffline\n", (), "Received: offline"),
        (
            PHONE
            + f"{SERIAL}   no permissions (user in plugdev group; are your udev rules wrong?);"
            " see [http://developer.android.com/tools/device.html] usb:1-1\n",
            (),
            "android-sdk-platform-tools-common",
        ),
        (PHONE + f"{SERIAL} recovery\n", (), "Received: recovery. Start the phone as usual"),
        (ONE.rstrip() + "\nemulator-5554 device\n", (), f"--serial {SERIAL}"),
        (ONE, ("--serial", "other"), "with the serial 'other'"),
    ],
)
def test_a_phone_that_cannot_be_measured(
    desk: Desk,
    capsys: pytest.CaptureFixture[str],
    devices: str,
    arguments: tuple[str, ...],
    words: str,
) -> None:
    desk.write(devices=devices)
    assert desk.run(*arguments) == 2
    assert words in error_of(capsys)


def test_one_of_several_phones_is_chosen_by_its_serial(desk: Desk) -> None:
    desk.write(
        devices="* daemon started successfully\n" + ONE.rstrip() + "\nemulator-5554 device\n"
    )
    assert desk.run("--serial", SERIAL) == 0


def test_an_unready_phone_beside_a_ready_one_is_left_alone(desk: Desk) -> None:
    desk.write(devices=ONE.rstrip() + "\nR5CT\tunauthorized\n")
    assert desk.run() == 0


def test_the_background_program_of_adb_does_not_start(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    desk.write(devices="adb: cannot connect to daemon\n", devices_status=1)
    assert desk.run() == 2
    assert "cannot connect to daemon" in error_of(capsys)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"full": True}, "No space left on device"),
        ({"gone_at": "push"}, "to stay connected"),
        ({"gone_at": "shell"}, "to stay connected"),
    ],
)
def test_copying_fails(
    desk: Desk, capsys: pytest.CaptureFixture[str], change: dict[str, Any], words: str
) -> None:
    desk.write(**change)
    assert desk.run() == 2
    assert words in error_of(capsys)


@pytest.mark.parametrize(
    ("printed", "status", "words"),
    [
        ("INFO: STARTING!\nERROR: Failed to load model.\n", 1, "status 1: ERROR: Failed to load"),
        ("Segmentation fault\n", 139, "status 139"),
        ("", 137, "status 137: nothing"),
        ("INFO: STARTING!\n", 0, "Received output without one"),
        ("Inference (avg):      0.00 ms (0 runs)\n", 0, "Received output without one"),
    ],
)
def test_the_benchmark_fails(
    desk: Desk, capsys: pytest.CaptureFixture[str], printed: str, status: int, words: str
) -> None:
    desk.prints(printed, status)
    assert desk.run() == 2
    assert words in error_of(capsys)


def test_a_benchmark_that_hangs_is_ended(
    desk: Desk, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("promolens_cli.phone_bench.measuring._MARGIN_S", 0.0)
    script(desk.program, "import time\ntime.sleep(60)\n")
    assert desk.run("--timeout", "1") == 2
    assert "within 2 s" in error_of(capsys)


def test_verbose_shows_all_that_the_program_prints(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    assert desk.run("--verbose") == 0
    assert "XNNPACK delegate" in capsys.readouterr().err


def test_without_the_program_it_says_how_to_get_it(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    desk.program.unlink()
    assert desk.run("--litert", str(desk.folder / "no-litert")) == 5
    assert "pip install" in error_of(capsys)


def test_litert_downloads_the_program_for_that_very_phone(desk: Desk) -> None:
    text = desk.program.read_text()
    desk.program.unlink()
    litert = desk.folder / "litert"
    script(
        litert,
        f"""
        import os, pathlib, sys
        assert os.environ["ANDROID_SERIAL"] == {SERIAL!r}
        assert sys.argv[1:] == ["benchmark", {str(desk.model)!r}, "--android", "--num-runs", "1"]
        pathlib.Path({str(desk.program)!r}).write_text({text!r})
        """,
    )
    litert.chmod(0o755)
    assert desk.run("--litert", str(litert)) == 0


def test_litert_cannot_download(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    desk.program.unlink()
    litert = desk.folder / "litert"
    script(litert, "print('Error: Failed to download')\nraise SystemExit(1)\n")
    litert.chmod(0o755)
    assert desk.run("--litert", str(litert)) == 2
    assert "status 1: Error: Failed to download" in error_of(capsys)


def test_a_32_bit_phone_needs_a_program_of_its_own(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    told = TOLD | {"getprop": TOLD["getprop"].replace("arm64-v8a", "armeabi-v7a")}
    desk.write(told=told)
    assert desk.run() == 2
    assert "armeabi-v7a" in error_of(capsys)
    assert desk.run("--program", str(desk.program)) == 0


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04" + bytes(50)])
def test_a_file_that_is_no_model(
    desk: Desk, capsys: pytest.CaptureFixture[str], content: bytes
) -> None:
    desk.model.write_bytes(content)
    assert desk.run() == 2
    assert "begins otherwise" in error_of(capsys)
    assert desk.calls() == []


def test_a_model_that_is_not_there(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    desk.model.unlink()
    assert desk.run() == 2
    assert "which is none" in error_of(capsys)


def test_a_bundle_is_verified_and_named(
    desk: Desk,
    tiny_bundle: Path,
    keys: Keys,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = tiny_bundle
    monkeypatch.setenv("PROMOLENS_PUBLIC_KEY", keys.own.public)
    assert main(["bench", "phone", str(folder), "--json"]) == 0
    model = json.loads(capsys.readouterr().out)["model"]
    assert model["sha256"] == hashlib.sha256((folder / "model.tflite").read_bytes()).hexdigest()
    assert (model["input_px"], model["version"]) == (32, 1)
    with (folder / "model.tflite").open("ab") as file:
        file.write(b"x")
    assert main(["bench", "phone", str(folder)]) == 3


def test_figures_of_the_program_before() -> None:
    found = parse_figures(TFLITE)
    assert (found.runs, found.average, found.median, found.p95) == (50, 6.4795, None, None)
    assert (found.init, found.first, found.memory_mb) == (16.599, 8.539, 10.5898)


def test_figures_without_the_lines_that_count() -> None:
    lines = [line for line in LITERT.splitlines() if "count=" not in line]
    found = parse_figures("\n".join(lines))
    assert (found.runs, found.average, found.min, found.max, found.std, found.median) == (
        122, 8.15, 8.0, 9.94, 0.2, None,
    )  # fmt: skip


@given(st.text(max_size=400))
def test_no_output_breaks_a_parser(text: str) -> None:
    parse_devices(text)
    parse_devices(f"List of devices attached\n{text}")
    parse_properties(text)
    parse_state(text, text)
    parse_memory(text)
    for whole in (text, f"count=5 {text}", f"Inference (avg): 1.0 ms (3 runs)\ncount=9 avg={text}"):
        try:
            found = parse_figures(whole)
        except InputError:
            continue
        assert found.average > 0


@given(
    st.lists(
        st.tuples(
            st.from_regex(r"[A-Za-z0-9.:_-]{1,30}", fullmatch=True),
            st.sampled_from(["device", "unauthorized", "offline", "recovery"]),
            st.from_regex(r"[A-Za-z0-9_]{1,20}", fullmatch=True),
        ),
        max_size=5,
    ),
    st.sampled_from([" ", "\t", "          "]),
)
def test_every_listed_phone_is_read(rows: list[tuple[str, str, str]], gap: str) -> None:
    lines = [f"{serial}{gap}{state} product:x model:{model}" for serial, state, model in rows]
    text = "List of devices attached\n" + "\n".join(lines) + "\n\n"
    assert parse_devices(text) == tuple(Device(*row) for row in rows)


def test_a_phone_that_says_nothing_of_its_battery() -> None:
    assert parse_state("Can't find service: battery\n", "") == State()
    assert parse_state("  level: 40\n  scale: 50\n  status: 3\n", "Thermal Status: 9") == State(
        80, False, None, None
    )


def test_the_pushed_program_is_made_runnable(desk: Desk) -> None:
    assert not desk.program.stat().st_mode & stat.S_IXUSR
    assert desk.run() == 0
