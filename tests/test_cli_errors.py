"""What the program says when the machine, and not the user, stops it."""

from __future__ import annotations

import errno
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from promolens_cli.main import PIPE_CLOSED, _interrupted_line, _os_error_line


def test_an_array_that_does_not_fit_is_called_a_full_disk(tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, before[1]))
    try:
        with pytest.raises(OSError, match="written") as raised:  # NumPy's own words, no errno
            np.save(tmp_path / "big.npy", np.zeros(1_000_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert "Received a full disk" in _os_error_line(raised.value)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_full_disk_quota_and_file_limit_say_what_to_do(number: int) -> None:
    line = _os_error_line(OSError(number, "?", "bundle/model.tflite"))
    assert "at bundle/model.tflite" in line
    assert "Free some" in line


def test_other_faults_keep_their_own_words() -> None:
    line = _os_error_line(PermissionError(errno.EACCES, "Permission denied", "out"))
    assert "Received Permission denied at out." in line


def test_an_interrupted_training_says_how_it_goes_on() -> None:
    assert "--resume" in _interrupted_line(["train", "photos", "--out", "run"])
    assert "--resume" not in _interrupted_line(["export", "run", "--out", "app"])


def test_a_closed_pipe_ends_the_program_quietly() -> None:
    """`promolens ... | head`; a crawl's closed sockets must not end it, so no SIGPIPE either."""
    command = [sys.executable, "-m", "promolens_cli.main", "demo-shops", "--list-modes", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stderr is not None
        child.stdout.close()
        said = child.stderr.read()
    assert (child.returncode, said) == (PIPE_CLOSED, b"")
