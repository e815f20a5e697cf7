"""Kill crawls at random moments and look whether the catalog ever tells a lie.

Stand-in shops sell one list a month. Real processes (`promolens crawl run --all`) crawl them, now
and then two at once, and are killed with SIGKILL at seeded random moments. After every kill the
catalog is checked: its integrity, and that each chain's live rows are exactly the list of the month
that was published, nothing lost and nothing mixed. After a few kills a crawl may finish and must
publish the month's list exactly; then the shops turn to the next month.

examples:
  python benchmarks/soak.py
  python benchmarks/soak.py --kills 20 --seed 7 --out soak.json
  python benchmarks/soak.py --database postgresql://localhost/soak
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from promolens_catalog import snapshots, staging
from promolens_catalog.calendar import shift_month
from promolens_catalog.chains import Chain
from promolens_catalog.database import Database, open_database
from promolens_catalog.maintenance import integrity_check
from promolens_crawler.config_text import demo_config_text
from promolens_demo.shops.assortment import SHOPS
from promolens_demo.shops.running import Shops
from promolens_demo.shops.settings import ShopSettings

FIRST_MONTH = "2026-01"
MAX_KILLS_A_MONTH = 4
TWO_AT_ONCE = 0.25
RUN_WITHIN_S = 600.0


@dataclass(frozen=True)
class Plan:
    """What to do.

    Attributes:
        rows: promotions of each chain.
        delay_s: between two requests.
    """

    kills: int = 100
    seed: int = 2026
    rows: int = 100
    delay_s: float = 0.02
    chains: tuple[Chain, ...] = SHOPS


@dataclass
class Soak:
    """What came of it.

    Attributes:
        wrong: lines that say what was lost, mixed or damaged; empty if nothing was.
        found: states of the newest crawl of a chain right after a kill, and how often.
        resumed: crawls that went on with pages of a killed one.
        seconds: of the whole soak.
    """

    kills: int = 0
    finished: int = 0
    resumed: int = 0
    too_late: int = 0
    two_at_once: int = 0
    found: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def as_json(self) -> dict[str, object]:
        """Return all of it for a file."""
        return {**vars(self), "found": dict(self.found)}


class Soaker:
    """Crawls, kills and checks, decided by a seed."""

    def __init__(self, shops: Shops, folder: Path, database: str, plan: Plan) -> None:
        """Write the configuration and make the catalog."""
        self._shops, self._database = shops, database
        self._random = random.Random(plan.seed)  # noqa: S311 - no secret
        self._folder, self._chains = folder, plan.chains
        homes = {chain: shops.home(chain) for chain in plan.chains}
        (folder / "soak.toml").write_text(demo_config_text(homes, plan.delay_s))
        self._month = FIRST_MONTH
        self._usual_s = 0.0
        self.soak = Soak()
        self._db = open_database(database)

    def run(self, kills: int) -> Soak:
        """Kill so many times, then finish once more."""
        started = time.monotonic()
        self._turn_month()
        while self.soak.kills < kills:
            for _ in range(self._random.randint(1, MAX_KILLS_A_MONTH)):
                if self.soak.kills < kills:
                    self._kill_one()
            self._finish()
            self._turn_month()
        self._db.close()
        self.soak.seconds = time.monotonic() - started
        return self.soak

    def _turn_month(self) -> None:
        self._month = shift_month(self._month, 1)
        self._shops.set_month(self._month)
        self._fresh = True  # what an unfinished crawl read is of another list
        if not self._usual_s:
            self._finish()

    def _kill_one(self) -> None:
        both = self._random.random() < TWO_AT_ONCE
        runs = [self._start() for _ in range(1 + both)]
        self.soak.two_at_once += both
        _wait(runs, self._random.uniform(0.1, 1.0) * self._usual_s)
        for one in runs:
            if one.poll() is None:
                os.killpg(one.pid, signal.SIGKILL)
                self.soak.kills += 1
            else:
                self.soak.too_late += 1
            one.wait()
        self._note_states()
        self._check("after a kill")

    def _finish(self) -> None:
        before, started = self._pages_of_unfinished(), time.monotonic()
        done = self._start().wait(RUN_WITHIN_S)
        if not before:
            self._usual_s = time.monotonic() - started  # the machine may be busier than before
        self.soak.finished += 1
        self.soak.resumed += before > 0
        if done != 0:
            self.soak.wrong.append(
                f"{self._month}: expected status 0 of a whole run, received {done}"
            )
        self._check("after a whole run")
        for chain in self._chains:
            published = snapshots.published_snapshot(self._db, chain)
            if published is None or published.month != self._month:
                self.soak.wrong.append(f"{self._month} {chain}: not published after a whole run")

    def _start(self) -> subprocess.Popen[bytes]:
        words = [sys.executable, "-m", "promolens_cli.main", "crawl", "run", "--all"]
        words += ["--config", str(self._folder / "soak.toml"), "--database", self._database]
        words += ["--month", self._month, *(["--fresh"] if self._fresh else [])]
        self._fresh = False
        with (self._folder / "soak.log").open("ab") as log:
            return subprocess.Popen(
                words, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True
            )

    def _pages_of_unfinished(self) -> int:
        unfinished = [one for one in staging.crawls(self._db) if one.state == "running"]
        return sum(len(staging.staged_pages(self._db, one.id)) for one in unfinished)

    def _note_states(self) -> None:
        for chain in self._chains:
            newest = staging.crawls(self._db, chain, limit=1)
            self.soak.found[newest[0].state if newest else "none"] += 1

    def _check(self, when: str) -> None:
        place = f"{self._month} {when}"
        self.soak.wrong += [f"{place}: {line}" for line in integrity_check(self._db)]
        for chain in self._chains:
            self.soak.wrong += [
                f"{place}: {line}" for line in wrong_rows(self._db, self._shops, chain)
            ]


def _wait(runs: list[subprocess.Popen[bytes]], seconds: float) -> None:
    """Return after so long, or when all runs have ended."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and any(one.poll() is None for one in runs):
        time.sleep(0.005)


def wrong_rows(db: Database, shops: Shops, chain: Chain) -> list[str]:
    """Compare a chain's live rows with the list of the month that was published."""
    published = snapshots.published_snapshot(db, chain)
    if published is None:
        return []
    live = snapshots.offers_of(db, published.id)
    truth = set(shops.truth(chain, published.month))
    found = []
    if len(live) != len(set(live)):
        found.append(f"{chain}: {len(live) - len(set(live))} rows twice")
    if set(live) != truth:
        lost, foreign = len(truth - set(live)), len(set(live) - truth)
        found.append(f"{chain} {published.month}: {lost} rows lost, {foreign} foreign rows")
    return found


def run_soak(plan: Plan, folder: Path, database: str | None = None) -> Soak:
    """Open shops, kill and check; `folder` gets catalog, archive and log."""
    with Shops(ShopSettings(month=FIRST_MONTH, n_rows=plan.rows)) as shops:
        place = database or str(folder / "soak.db")
        return Soaker(shops, folder, place, plan).run(plan.kills)


def main() -> int:
    """Run from the command line; status 1 if anything was wrong."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=2026)
    parser.add_argument("--rows", type=int, default=100, help="promotions of each chain (100)")
    parser.add_argument("--delay-s", type=float, default=0.02, help="between requests (0.02)")
    parser.add_argument(
        "--database", metavar="URL", help="an empty one (SQLite in a temporary file)"
    )
    parser.add_argument("--out", type=Path, metavar="FILE.json")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        plan = Plan(args.kills, args.seed, args.rows, args.delay_s)
        soak = run_soak(plan, Path(folder), args.database)
        log = (Path(folder) / "soak.log").read_text("utf-8", "replace").splitlines()
    print("| what | count |\n| --- | --- |")
    for name in ("kills", "two_at_once", "too_late", "finished", "resumed"):
        print(f"| {name.replace('_', ' ')} | {getattr(soak, name)} |")
    for state, count in soak.found.most_common():
        print(f"| newest crawl was {state} after a kill | {count} |")
    print(f"| wrong | {len(soak.wrong)} |\n| seconds | {soak.seconds:.0f} |")
    if soak.wrong:
        print("\n".join([*soak.wrong, "last lines of the crawls:", *log[-40:]]), file=sys.stderr)
    if args.out:
        args.out.write_text(json.dumps(soak.as_json(), indent=1, ensure_ascii=False) + "\n")
    return 1 if soak.wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
