"""A process that publishes one list after the other: version V says 1000 + V won everywhere.

    python publishing_process.py URL ROWS LISTS PAUSE_S

Prints a line when it is ready, and one for each version.
"""

from __future__ import annotations

import sys
import time
from datetime import timedelta

from catalog_support import NOW, make_offers, stage_crawl
from promolens_catalog.database import open_database
from promolens_catalog.publishing import publish

FIRST_KRW = 1_000
MINUTE = timedelta(minutes=1)


def publish_next(url: str, rows: int, lists: int, pause_s: float) -> None:
    """Publish so many lists; each is that of the next version, with its price on every row."""
    database = open_database(url)
    with database.read() as connection:
        from promolens_catalog.database import now_version

        version = now_version(connection)
    print("ready", flush=True)
    for number in range(version + 1, version + 1 + lists):
        now = NOW + number * MINUTE
        offers = make_offers(range(rows), price_krw=FIRST_KRW + number)
        done = publish(database, stage_crawl(database, offers, now), now)
        assert done.version == number, (done, number)
        print(number, flush=True)
        time.sleep(pause_s)
    database.close()


if __name__ == "__main__":
    publish_next(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]))
