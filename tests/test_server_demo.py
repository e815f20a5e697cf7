"""`promolens serve --demo` as people begin: an empty folder, then promotions and stores."""

from __future__ import annotations

import json
import re
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

from promolens_catalog.chains import CHAINS
from promolens_demo.maps.stores import demo_stores
from server_support import ServeProcess, serve_process

SAID = ["", "/v1/products/by-barcode", "/v1", "/v1/stores"]
CRAWLED = {str(chain) for chain, info in CHAINS.items() if not info.historic}


def ask(server: ServeProcess, path: str, **query: object) -> Any:
    words = f"?{urllib.parse.urlencode(query)}" if query else ""
    with urllib.request.urlopen(f"{server.url}{path}{words}", timeout=30) as answer:
        return json.load(answer)


def test_an_empty_catalog_is_filled_and_answers(tmp_path: Path) -> None:
    with serve_process(tmp_path, "--demo", "--database", "demo.db") as server:
        meta = ask(server, "/v1/meta")
        states = {one["chain"]: (one["state"], one["rows"], one["stale"]) for one in meta["chains"]}
        assert states == dict.fromkeys(CRAWLED, ("ok", 120, False))
        told = server.log.read_text("utf-8")
        assert "crawling 5 stand-in shops on this machine" in told
        assert told.count("published, 120 rows") == len(CRAWLED)

        said = dict.fromkeys(re.findall(r"(?m)^try      (/\S+)$", told))
        assert [one.rpartition("/")[0].partition("?")[0] for one in said] == SAID
        answers = [ask(server, one) for one in said if one != "/docs"]
        assert [one["status"] for one in answers] == ["promotions", "promotions", "stores"]

        first = ask(server, "/v1/promotions", limit=1)["promotions"][0]
        product = ask(server, f"/v1/products/{first['item_id']}")
        assert product["status"] == "promotions"
        assert first["id"] in {one["id"] for one in product["promotions"]}
        code = product["product"]["barcodes"][0]
        assert ask(server, f"/v1/products/by-barcode/{code}")["product"]["id"] == first["item_id"]
        matches = ask(server, "/v1/search", q=first["item_name"])["matches"]
        assert matches[0]["item_id"] == first["item_id"]

        known = demo_stores()[0]
        near = ask(
            server,
            "/v1/stores/nearby",
            lat=known.latitude,
            lon=known.longitude,
            chain=str(known.chain),
        )
        assert near["stores"][0]["branch"] == known.branch
        assert near["stores"][0]["distance_m"] < 1

    # The second start finds rows and crawls nothing.
    with serve_process(tmp_path, "--demo", "--database", "demo.db") as server:
        assert ask(server, "/readyz")["version"] == meta["version"]
        told = server.log.read_text("utf-8")
        assert "has rows already; the stand-in shops were not crawled" in told
        assert "crawling" not in told.replace("not crawled", "")


def test_an_empty_catalog_says_how_it_is_filled(tmp_path: Path) -> None:
    with serve_process(tmp_path, "--database", "empty.db") as server:
        told = server.log.read_text("utf-8")
        assert "is empty, so every product is unknown. Fill it: promolens crawl run" in told
        assert "promolens serve --demo" in told
        assert ask(server, "/v1/search", q="우유")["status"] == "unknown-product"
