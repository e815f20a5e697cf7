"""Kill writers of the vector index at random moments and look whether a vector was ever lost.

Real processes store, delete, search and rebuild, and are killed with SIGKILL. After every kill all
that was acknowledged must be there, what was begun whole or not at all, and every vector must be
found by its own search.

examples:
  python benchmarks/index_soak.py
  python benchmarks/index_soak.py --kills 20 --seed 7
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path


def main() -> int:
    """Kill, check, and say how often."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=2026)
    options = parser.parse_args()
    sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
    from vector_kills import kill_often

    start = time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        folder, logs = Path(name), Path(name) / "logs"
        logs.mkdir()
        url = str(folder / "catalog.db")
        changes = kill_often(url, str(folder / "index"), logs, options.kills, options.seed)
    seconds = time.monotonic() - start
    print(f"{options.kills} kills, {changes} changes acknowledged, none lost, {seconds:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
