"""Fill a catalog for `promolens serve --demo`: crawl stand-in shops, import invented stores."""

from __future__ import annotations

import sys
import tempfile
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from promolens_catalog.database import Database
    from promolens_crawler.results import ChainResult

PRODUCTS = 120
# On loopback nobody minds; a demo should begin soon.
_DELAY_S = 0.02


def fill_in_own_process(database_url: str) -> None:
    """Fill the catalog where what a crawl needs is forgotten afterwards: a crawler is large.

    Ends this process with the same status where that fails.
    """
    import multiprocessing

    filling = multiprocessing.get_context("spawn").Process(
        target=fill_catalog, args=(database_url,)
    )
    filling.start()
    filling.join()
    if filling.exitcode:
        raise SystemExit(filling.exitcode)


def fill_catalog(database_url: str) -> None:
    """Fill an empty catalog; ends the process with one line and a status where that fails."""
    from promolens_catalog.database import open_database
    from promolens_runtime.errors import PromolensError

    try:
        database = open_database(database_url)
        try:
            _crawl(database)
            _import_stores(database)
            _say_what_to_ask(database)
        finally:
            database.close()
    except PromolensError as error:
        print(f"error: {error}", file=sys.stderr, flush=True)
        raise SystemExit(error.exit_status) from error
    except KeyboardInterrupt:
        raise SystemExit(130) from None


def _crawl(database: Database) -> None:
    from promolens_catalog.calendar import korean_month
    from promolens_cli.crawl_places import default_linker
    from promolens_crawler.config import config_of
    from promolens_crawler.config_text import demo_config_text
    from promolens_crawler.progress import terminal_progress
    from promolens_crawler.runner import Run, RunOptions
    from promolens_demo.shops.loopback import utc_now
    from promolens_demo.shops.running import Shops
    from promolens_demo.shops.settings import ShopSettings

    settings = ShopSettings(month=korean_month(utc_now()), n_rows=PRODUCTS)
    with tempfile.TemporaryDirectory(prefix="promolens-demo-") as folder, Shops(settings) as shops:
        homes = {chain: shops.home(chain) for chain in shops.shops}
        print(f"crawling {len(homes)} stand-in shops on this machine", file=sys.stderr, flush=True)
        tables = tomllib.loads(demo_config_text(homes, _DELAY_S))
        config = config_of(tables, Path(folder))
        with terminal_progress() as progress:
            run = Run(config, database, progress, default_linker())
            results = run.crawl_all(config.enabled(), RunOptions())
    _check(results)


def _import_stores(database: Database) -> None:
    """Bring a list of invented stores in, the way a real one comes: from a file."""
    from promolens_catalog.store_files import read_store_file
    from promolens_catalog.store_imports import import_stores
    from promolens_demo.maps import stores
    from promolens_demo.shops.loopback import utc_now

    with tempfile.TemporaryDirectory(prefix="promolens-demo-") as folder:
        path = Path(folder) / "demo-stores.csv"
        stores.write_stores(path, stores.demo_stores())
        read = read_store_file(path, source=stores.SOURCE)
    import_stores(database, [read], utc_now(), attribution=stores.ATTRIBUTION)
    print(f"stores   imported, {len(read.stores)} rows", file=sys.stderr, flush=True)


def _say_what_to_ask(database: Database) -> None:
    """Print addresses that answer with something: everything here is invented, so nobody knows."""
    from promolens_catalog.calendar import korean_day
    from promolens_catalog.promotion_list import Filters, page_in
    from promolens_demo.maps import stores
    from promolens_demo.shops.loopback import utc_now

    with database.read() as connection:
        day = korean_day(utc_now())
        page = page_in(connection, Filters(on=day), limit=50)
    code = next((one.offer.barcode for one in page.promotions if one.offer.barcode), None)
    near = stores.demo_stores()[0]
    addresses = [
        "/docs",
        *([f"/v1/products/by-barcode/{code}"] if code else []),
        "/v1/search?q=%EC%9A%B0%EC%9C%A0",
        f"/v1/stores/nearby?lat={near.latitude:.4f}&lon={near.longitude:.4f}",
    ]
    for address in addresses:
        print(f"try      {address}", file=sys.stderr, flush=True)


def _check(results: list[ChainResult]) -> None:
    from promolens_runtime.errors import InputError

    for one in results:
        print(f"{one.chain:<8} {one.outcome}, {one.rows} rows", file=sys.stderr, flush=True)
        if one.version is None:
            raise InputError(
                f"Expected the stand-in shop of {one.chain} to be published. Received "
                f"{one.outcome}: {one.reason}. Look at it: promolens demo-shops"
            )
