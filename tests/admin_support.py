"""What the tests of the admin pages share: somebody who is logged in, and something to decide."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, select
from starlette.testclient import TestClient

from catalog_support import HOUR, NOW, make_offer, make_offers, stage_crawl
from promolens_catalog import publishing
from promolens_catalog.chains import Chain
from promolens_catalog.database import Database
from promolens_catalog.schema import item, link_candidate, promotion
from promolens_server.config import BundlesConfig
from promolens_server.factory import create_app
from promolens_server.services import Services, open_services
from server_support import config_for

MIN, ANA = "mins-long-secret-token-0001", "anas-long-secret-token-0002"
TOKENS = f"min:{MIN},ana:{ANA}"


@dataclass
class Clock:
    """A clock that a test moves."""

    now: Any = NOW

    def __call__(self) -> Any:
        return self.now


@dataclass(frozen=True)
class Browser:
    """Somebody at the pages, without JavaScript."""

    client: TestClient

    def get(self, path: str) -> Any:
        return self.client.get(path)

    def log_in(self, token: str = MIN, next_page: str = "/admin") -> Any:
        form = fields_of(self.get("/admin/login").text, "/admin/login")
        return self.post("/admin/login", form | {"token": token, "next": next_page})

    def post(self, path: str, fields: dict[str, str]) -> Any:
        return self.client.post(path, data=fields, follow_redirects=False)

    def submit(self, page: str, action: str, **fields: str) -> Any:
        """Send a form of a page as a browser does, with its hidden fields."""
        answer = self.get(page)
        assert answer.status_code == 200, answer.text
        return self.post(action, fields_of(answer.text, action) | fields)


def fields_of(html: str, action: str) -> dict[str, str]:
    """Return the hidden fields of the first form with this action."""
    found = re.search(rf'<form method="post" action="{re.escape(action)}".*?</form>', html, re.S)
    assert found, f"no form for {action}"
    return {
        unescape(name): unescape(value)
        for name, value in re.findall(
            r'<input type="hidden" name="([^"]*)" value="([^"]*)"', found[0]
        )
    }


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def admin_services(database_url: str, tmp_path: Path, clock: Clock) -> Iterator[Services]:
    """Services with admin pages on a fresh catalog of each engine, and an empty bundle store."""
    store = BundlesConfig(tmp_path / "store")
    config = config_for(database_url, admin_token=TOKENS, bundles=store)
    opened = open_services(config, clock=clock)
    yield opened
    opened.close()


@pytest.fixture
def catalog(admin_services: Services) -> Database:
    assert admin_services.primary is not None
    return admin_services.primary


@pytest.fixture
def app(admin_services: Services) -> Any:
    return create_app(admin_services)


def new_browser(app: Any, **headers: str) -> Browser:
    client = TestClient(app, raise_server_exceptions=False, headers=headers)
    return Browser(client)


@pytest.fixture
def stranger(app: Any) -> Browser:
    """A browser that is not logged in."""
    return new_browser(app)


@pytest.fixture
def browser(app: Any) -> Browser:
    """A browser of Min, who is logged in."""
    opened = new_browser(app)
    assert opened.log_in().status_code == 303
    return opened


@pytest.fixture
def other(app: Any) -> Browser:
    """A browser of Ana, who is logged in too."""
    opened = new_browser(app)
    assert opened.log_in(ANA).status_code == 303
    return opened


def publish_cu(db: Database) -> int:
    """Publish a list of CU twice and return the number of the first snapshot."""
    first = publishing.publish(db, stage_crawl(db, make_offers(range(30)), NOW), NOW)
    later = NOW + HOUR
    publishing.publish(db, stage_crawl(db, make_offers(range(5, 35)), later), later)
    return first.snapshot_id


def hold_cu(db: Database, name: str = "새 과자") -> int:
    """Hold a third list: a row begins, others change their price or end; return its number."""
    later = NOW + 2 * HOUR
    rows = [
        replace(offer, price_krw=offer.price_krw + 200) if number < 4 else offer
        for number, offer in enumerate(make_offers(range(5, 25)))
    ]
    rows.append(make_offer(900, name=name, image_url="https://images.example/1.jpg?a=1&b='\""))
    reasons = ["count: expected 21 to 120 rows, received 21", "something <b>new</b>"]
    return publishing.hold(db, stage_crawl(db, rows, later), reasons, later)


def propose_links(db: Database, count: int = 2, name: str = "달빛 보리과자") -> list[int]:
    """Publish rows of 7-Eleven without barcodes; propose an item of CU for each."""
    rows = [
        make_offer(
            number,
            chain=Chain.SEVEN,
            barcode=None,
            name=f"{name} {number}번",
            site_id=str(number),
            image_url=f"https://seven.example/{number}.jpg",
        )
        for number in range(count)
    ]
    publishing.publish(db, stage_crawl(db, rows, NOW, chain=Chain.SEVEN), NOW)
    with db.write() as connection:
        items = list(connection.execute(select(item.c.id).order_by(item.c.id)).scalars())
        live = connection.execute(
            select(promotion).where(promotion.c.chain == "seven").order_by(promotion.c.id)
        ).all()
        ids = []
        for place, row in enumerate(live):
            values = {
                "chain": "seven",
                "offer_key": row.offer_key,
                "name": row.name,
                "price_krw": row.price_krw,
                "content_hash": row.content_hash,
                "item_id": items[10 + place],
                "score": 0.9 - place / 10,
                "method": "name-price-size",
                "state": "open",
                "created_at": NOW,
            }
            added = connection.execute(insert(link_candidate).values(values))
            key = added.inserted_primary_key
            assert key is not None
            ids.append(int(key[0]))
    return ids
