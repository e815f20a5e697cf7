"""Talking to a phone with adb: found, asked within a time limit, and its refusals made plain."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from promolens_cli.phone_bench.devices import Device, choose, parse_devices
from promolens_runtime.errors import InputError, MissingError

_SHORT_S = 30.0
_MAX_CHARACTERS = 2_000_000


@dataclass(frozen=True)
class Answer:
    """What a command on the phone came to.

    Attributes:
        status: of the command on the phone; 0 where it went well.
        text: stdout and stderr together, at most 2,000,000 characters.
    """

    status: int
    text: str

    @property
    def last_line(self) -> str:
        """The end of the last line that says something, at most 200 characters."""
        lines = [line.strip() for line in self.text.splitlines() if line.strip()]
        return lines[-1][-200:] if lines else "nothing"


@dataclass(frozen=True)
class Adb:
    """The program, and the phone that it talks to (`None`: no particular one)."""

    program: str
    device: Device | None = None

    @classmethod
    def find(cls, given: str | None) -> Adb:
        """Return adb as given, or from PATH; MissingError where there is none."""
        program = shutil.which(given or "adb")
        if program is None:
            place = f"at {given}" if given else "on PATH"
            raise MissingError(
                f"Expected the program adb. Received none {place}. "
                "Install Android's platform tools (Debian: sudo apt-get install adb), "
                "or name it: --adb"
            )
        return cls(program)

    def connect(self, serial: str | None) -> Adb:
        """Return adb for one phone that is ready; InputError says what to do about others."""
        answer = self._run(["devices", "-l"], _SHORT_S)
        if answer.status:
            raise InputError(
                f"Expected adb to list phones. Received: {answer.last_line}. "
                "Try: adb kill-server, then adb devices"
            )
        return Adb(self.program, choose(parse_devices(answer.text), serial))

    def shell(self, *words: str, timeout_s: float = _SHORT_S) -> Answer:
        """Run a command on the phone; its status is not judged here."""
        return self._run(["shell", shlex.join(words)], timeout_s)

    def push(self, local: Path, remote: str, timeout_s: float = 300.0) -> None:
        """Copy a file to the phone; InputError where that fails."""
        answer = self._run(["push", str(local), remote], timeout_s)
        if answer.status:
            raise InputError(
                f"Expected to copy {local.name} to the phone. Received: {answer.last_line}. "
                "Check the cable and the phone's free space."
            )

    def _run(self, words: list[str], timeout_s: float) -> Answer:
        chosen = ["-s", self.device.serial] if self.device is not None else []
        try:
            done = subprocess.run(  # noqa: S603 - a list of words, no shell on this side
                [self.program, *chosen, *words],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=timeout_s,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise InputError(
                f"Expected an answer to adb {words[0]} within {timeout_s:g} s. Received none. "
                "Wake the phone, connect it again, and run this again."
            ) from None
        text = done.stdout.decode("utf-8", "replace")[:_MAX_CHARACTERS]
        self._check_present(text)
        return Answer(done.returncode, text)

    def _check_present(self, text: str) -> None:
        """Raise InputError where adb says that the phone went away."""
        if self.device is None:
            return
        gone = (
            f"device '{self.device.serial}' not found",
            "device offline",
            "no devices/emulators",
        )
        for line in text.splitlines()[:5]:
            if line.startswith(("error:", "adb: error:", "adb: device")) and any(
                sign in line for sign in gone
            ):
                raise InputError(
                    f"Expected the phone {self.device.name} to stay connected. Received: "
                    f"{line[:200]}. Connect it again, keep it awake, and run this again."
                )
