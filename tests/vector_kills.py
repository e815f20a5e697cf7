"""Kill processes that write vectors, and look whether a vector was lost or a half change kept."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from promolens_retrieval.entries import VectorKey
from promolens_retrieval.faiss_index import FaissIndex
from promolens_retrieval.vectors import checked
from vector_writer import SPACE, opened, vector_of

WRITER = Path(__file__).with_name("vector_writer.py")
READY_WITHIN_S = 120.0
MOST_LINES = 9
"""A writer may tell so many lines before it is killed: four changes."""
Rows = dict[int, int]
"""Image to the seed of its vector."""


def kill_often(url: str, folder: str, logs: Path, kills: int, seed: int) -> int:
    """Kill `kills` writers at random moments; returns how many changes were acknowledged.

    Raises AssertionError when a vector is lost or wrong, or a change is there by half.
    """
    rng, changes = random.Random(seed), 0
    rows: Rows = {}
    for number in range(kills):
        log = logs / f"{number}.log"
        _run_and_kill(url, folder, rng, log)
        done, begun = _told(log)
        changes += len(done)
        for lines in done:
            _apply(rows, lines)
        found = _stored(url, folder)
        after = dict(rows)
        _apply(after, begun)
        # What was begun and not acknowledged is there whole, or not at all.
        assert found in (rows, after), (number, found, rows, begun)
        rows = found
    return changes


def _run_and_kill(url: str, folder: str, rng: random.Random, log: Path) -> None:
    words = [sys.executable, str(WRITER), url, folder, str(rng.randrange(1 << 30)), str(log)]
    writer = subprocess.Popen(words, stderr=subprocess.PIPE)
    deadline = time.monotonic() + READY_WITHIN_S
    lines = rng.randint(1, MOST_LINES)
    while not log.exists() or log.read_bytes().count(b"\n") < lines:
        if writer.poll() is not None:
            assert writer.stderr is not None
            raise AssertionError(writer.stderr.read().decode()[-2000:])
        assert time.monotonic() < deadline, "the writer did not start"
        time.sleep(0.01)
    time.sleep(rng.uniform(0.0, 0.05))
    writer.send_signal(signal.SIGKILL)
    _, said = writer.communicate(timeout=60)
    assert writer.returncode == -signal.SIGKILL, said.decode()[-2000:]


def _told(log: Path) -> tuple[list[list[str]], list[str]]:
    """Return the acknowledged changes, and the one that was begun after them."""
    done: list[list[str]] = []
    begun: list[str] = []
    for line in log.read_text().splitlines():
        word, _, rest = line.partition(" ")
        if word == "try":
            begun = rest.split(";")
        elif word == "did":
            done.append(rest.split(";"))
            begun = []
    return done, begun


def _apply(rows: Rows, lines: list[str]) -> None:
    for line in lines:
        word, image, *seed = line.split()
        if word == "put":
            rows[int(image)] = int(seed[0])
        else:
            rows.pop(int(image), None)


def _stored(url: str, folder: str) -> Rows:
    """Return what is stored, after checking that searches find all of it."""
    index = opened(url, folder)
    try:
        keys = index.keys()
        found = index.fetch(keys)
        rows = {
            int(one.image_id.removeprefix("image-")): int(one.attributes["seed"][0])
            for one in found.entries
        }
        assert [one.key for one in found.entries] == keys
        assert index.stats().rows == len(keys)
        for (image, seed), unit in zip(rows.items(), found.units, strict=True):
            vector = vector_of(seed)
            assert np.array_equal(checked(vector[None], SPACE).units[0], unit)
            first = index.search(vector, 1)[0]
            assert first.key == VectorKey(f"image-{image:03d}")
    finally:
        index.close()
        if isinstance(index, FaissIndex):
            index._database.close()
    return rows
