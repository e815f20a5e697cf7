"""Lists are published by another process while 50 clients read: none fails, none sees two lists.

Every list has one price on all its rows, made of its version, and was read at a minute made of it.
So any answer that mixes two versions shows.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx

from catalog_support import NOW, make_offer
from promolens_server.config import SyncConfig
from promolens_server.factory import create_app
from promolens_server.services import open_services
from promolens_server.versions import KEEP_S
from publishing_process import FIRST_KRW, MINUTE, publish_next
from server_support import config_for, running

ROWS, LISTS, CLIENTS = 60, 12, 50
NAMES = "%EB%B3%B4%EB%A6%AC"


class Client:
    """Somebody who reads in turn, notes what does not fit together, and keeps a copy."""

    def __init__(self, http: httpx.AsyncClient, number: int, tags: dict[str, bytes]) -> None:
        self.http, self.number, self.tags = http, number, tags
        self.asked = 0
        self.wrong: list[str] = []
        self.since = "0"
        self.copy: dict[str, int] = {}
        self.tag_of: dict[str, str] = {}
        self.newest = 0

    async def read(self, ended: asyncio.Event) -> None:
        steps = (self.product, self.search, self.pages, self.sync)
        while not ended.is_set():
            await steps[(self.number + self.asked) % len(steps)]()
        # On another machine's database, a version may be a quarter of a second old.
        await asyncio.sleep(2 * KEEP_S)
        await self.sync()

    async def ask(self, path: str) -> Any:
        """Return an answer's body; `None` for one that the client has already."""
        known = self.tag_of.get(path)
        headers = {"if-none-match": known} if known and self.asked % 2 else {}
        got = await self.http.get(path, headers=headers)
        self.asked += 1
        if got.status_code == 304:
            return None
        if got.status_code != 200:
            self.wrong.append(f"{path}: {got.status_code} {got.text[:200]}")
            return None
        tag = path + got.headers["etag"]
        if self.tags.setdefault(tag, got.content) != got.content:
            self.wrong.append(f"{path}: two bodies of one tag")
        self.tag_of[path] = got.headers["etag"]
        return json.loads(got.content)

    def check(self, what: str, version: int, prices: set[int]) -> None:
        if prices != {FIRST_KRW + version}:
            self.wrong.append(f"{what}: {prices} of version {version}")

    def check_chains(self, body: Any) -> int:
        """Return the version that the chains of an answer are of."""
        (read_at,) = (one["snapshot_at"] for one in body["chains"] if one["chain"] == "cu")
        version = next(n for n in range(LISTS + 2) if moment(n) == read_at)
        if version < self.newest:
            self.wrong.append(f"went back from version {self.newest} to {version}")
        self.newest = max(self.newest, version)
        return version

    async def product(self) -> None:
        code = make_offer(self.number).barcode
        body = await self.ask(f"/v1/products/by-barcode/{code}")
        if body is not None:
            prices = {row["price_krw"] for row in body["promotions"]}
            self.check("product", self.check_chains(body), prices)

    async def search(self) -> None:
        body = await self.ask(f"/v1/search?q={NAMES}&limit=20")
        if body is not None:
            rows = [row for match in body["matches"] for row in match["promotions"]]
            version = self.check_chains(body)
            self.check("search", version, {row["price_krw"] for row in rows})

    async def pages(self) -> None:
        path, ids, versions = "/v1/promotions?limit=25", [], set()
        prices: set[int] = set()
        while path:
            self.tag_of.pop(path, None)
            body = await self.ask(path)
            if body is None:
                return
            ids += [row["id"] for row in body["promotions"]]
            prices |= {row["price_krw"] for row in body["promotions"]}
            versions.add(body["version"])
            cursor = body["next_cursor"]
            path = f"/v1/promotions?limit=25&cursor={cursor}" if cursor else ""
        if len(versions) != 1 or len(ids) != ROWS or len(set(ids)) != ROWS:
            self.wrong.append(f"pages: {len(ids)} rows of versions {versions}")
        self.check("pages", versions.pop(), prices)

    async def sync(self) -> None:
        """Follow to the end; there, a copy is one version."""
        more, moved = True, False
        while more:
            body = await self.ask(f"/v1/sync?since={self.since}&limit=70")
            if body is None:
                break
            for one in body["changes"]:
                if one["entity"] == "promotion":
                    self.copy.pop(one["id"], None)
                    if one["op"] == "upsert":
                        self.copy[one["id"]] = one["data"]["price_krw"]
            self.since, more, moved = body["next_since"], body["more"], True
        if moved and self.since.isdigit():
            self.check("copy", int(self.since), set(self.copy.values()))


def moment(version: int) -> str:
    return f"{NOW + version * MINUTE:%Y-%m-%dT%H:%M:%SZ}"


async def read_while_publishing(url: str, database_url: str) -> list[Client]:
    limits = httpx.Limits(max_connections=CLIENTS, max_keepalive_connections=CLIENTS)
    async with httpx.AsyncClient(base_url=url, limits=limits, timeout=120) as http:
        tags: dict[str, bytes] = {}
        clients = [Client(http, number, tags) for number in range(CLIENTS)]
        ended = asyncio.Event()
        reading = [asyncio.create_task(client.read(ended)) for client in clients]
        publisher = await asyncio.create_subprocess_exec(
            *(sys.executable, str(Path(__file__).with_name("publishing_process.py"))),
            *(database_url, str(ROWS), str(LISTS), "0.05"),
            stdout=subprocess.PIPE,
        )
        said, _ = await publisher.communicate()
        ended.set()
        await asyncio.gather(*reading)
    assert said.decode().split() == ["ready", *map(str, range(2, LISTS + 2))]
    return clients


def test_readers_of_a_catalog_that_is_published(database_url: str, tmp_path: Path) -> None:
    publish_next(database_url, ROWS, 1, 0)
    config = config_for(database_url, sync=SyncConfig(tmp_path / "bootstrap"))
    services = open_services(config, clock=lambda: NOW + timedelta(hours=1))
    with running(create_app(services)) as server:
        clients = asyncio.run(read_while_publishing(server.url, database_url))
    assert [wrong for client in clients for wrong in client.wrong][:5] == []
    assert all(client.asked >= 4 for client in clients)
    assert {int(client.since) for client in clients} == {LISTS + 1}
    # They did read while it happened: some saw lists in between.
    seen = {int(price) - FIRST_KRW for client in clients for price in client.copy.values()}
    assert seen == {LISTS + 1}
    assert len(clients[0].tags) > 4 * LISTS
