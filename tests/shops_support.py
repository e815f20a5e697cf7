"""Stand-in shops for tests: real HTTP servers on loopback, free ports, closed at the end.

```
from shops_support import open_shops

def test_something() -> None:
    with open_shops(n_rows=60) as shops:            # a Shops of promolens_demo.shops.running
        shops.home(Chain.CU)                         # http://127.0.0.1:PORT
        shops.set_modes(Chain.CU, "drop,slow:0.2")   # "" switches all off
        shops.set_month("2026-12")
        shops.set_robots("real")
        shops.truth(Chain.CU)                        # what a perfect crawl reads
        shops.log.gaps_s(Chain.CU, "document", "list")
```
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from promolens_catalog.chains import Chain
from promolens_demo.shops.running import Shops
from promolens_demo.shops.settings import ShopSettings

MONTH = "2026-11"
SEED = 2026


@contextmanager
def open_shops(
    n_rows: int = 60,
    *,
    month: str = MONTH,
    seed: int = SEED,
    modes: Mapping[Chain, str] | None = None,
    robots: str = "open",
    pictures: Path | None = None,
    overlay_ms: int = 350,
    access_log: Path | None = None,
) -> Iterator[Shops]:
    """Open all shops for the length of a `with` block."""
    settings = ShopSettings(
        month=month,
        n_rows=n_rows,
        seed=seed,
        modes=modes or {},
        robots=robots,
        pictures=pictures,
        overlay_ms=overlay_ms,
    )
    with Shops(settings, access_log=access_log) as shops:
        yield shops
