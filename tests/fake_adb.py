"""A program that behaves like adb with one phone; FAKE_ADB_HOME holds its set-up and its disk."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

HOME = Path(os.environ["FAKE_ADB_HOME"])
PLACE = "/data/local/tmp/"


def here(path: str) -> Path:
    """Return where a path of the phone lies on this machine."""
    return HOME / "disk" / path.lstrip("/")


def push(setup: dict[str, Any], local: str, remote: str) -> int:
    """Copy a file to the phone."""
    if setup.get("full"):
        print(
            f"adb: error: failed to copy '{local}' to '{remote}': remote write failed: "
            "No space left on device"
        )
        return 1
    shutil.copyfile(local, here(remote))
    print(f"{local}: 1 file pushed, 0 skipped. 31.4 MB/s (4002241 bytes in 0.122s)")
    return 0


def shell(setup: dict[str, Any], line: str) -> int:
    """Run a command on the phone: told, done to its disk, or really run from there."""
    words = shlex.split(line)
    if line in setup["told"]:
        print(setup["told"][line], end="")
    elif words[0] == "mkdir":
        here(words[-1]).mkdir(parents=True)
    elif words[0] == "chmod":
        here(words[2]).chmod(int(words[1], 8))
    elif words[0] == "rm":
        shutil.rmtree(here(words[-1]))
    elif words[0].startswith(PLACE):
        assert here(words[1].partition("=")[2]).is_file(), words
        return subprocess.run([here(words[0]), *words[1:]], check=False).returncode
    else:
        print(f"/system/bin/sh: {words[0]}: inaccessible or not found")
        return 127
    return 0


def main(words: list[str]) -> int:
    """Answer one call."""
    setup = json.loads((HOME / "setup.json").read_text("utf-8"))
    with (HOME / "calls.log").open("a", encoding="utf-8") as log:
        log.write(json.dumps(words) + "\n")
    if words == ["devices", "-l"]:
        print(setup["devices"], end="")
        return int(setup.get("devices_status", 0))
    assert words[:2] == ["-s", setup["serial"]], words
    action = words[2]
    if action == setup.get("gone_at"):
        print(f"adb: device '{setup['serial']}' not found")
        return 1
    if action == "push":
        return push(setup, words[3], words[4])
    assert (action, len(words)) == ("shell", 4), words
    return shell(setup, words[3])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
