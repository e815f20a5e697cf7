"""The whole product by its real programs: shops are crawled, a server answers, a phone looks.

The tests of this file are steps of one story and run in the order in which they stand here.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from app_support import needs_chromium, needs_node
from conftest import Keys
from e2e_support import (
    HERE,
    Card,
    World,
    allow_position,
    built_app,  # noqa: F401
    crawled,  # noqa: F401
    distance_m,
    nearest_store,
    open_world,
    server_environment,
    trained,  # noqa: F401
    truth_of,
    wait_for_cards,
    watch_cards,
)
from promolens_catalog.chains import Chain
from promolens_demo.maps.stores import demo_stores
from server_support import serve_process

pytestmark = [pytest.mark.slow, needs_node, needs_chromium]


@pytest.fixture(scope="module")
def world(
    tmp_path_factory: pytest.TempPathFactory,
    trained: Path,  # noqa: F811
    crawled: Path,  # noqa: F811
    built_app: Path,  # noqa: F811
    keys: Keys,
) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("world")
    with open_world(folder, trained, crawled, built_app, keys) as opened:
        yield opened


def names_of(world: World, version: int = 1) -> set[str]:
    """Return the names of the film's products as a bundle's version spells them."""
    suffix = "" if version == 1 else f" (판 {version})"
    return {product.name_ko + suffix for product in world.shown}


def check_promotions(world: World, cards: dict[str, Card], suffix: str = "") -> None:
    """Check that each card shows exactly what the shops list this month, the best deal first."""
    for product in world.shown:
        card, truth = cards[product.name_ko + suffix], truth_of(product, world.month)
        shown = frozenset(card.deals)
        assert truth.certain <= shown, product.name_ko
        assert shown <= truth.certain | truth.by_name, product.name_ko
        # What only names match says so.
        assert card.guessed == shown - truth.certain, product.name_ko
        prices = [deal.each_krw for deal in card.deals]
        assert prices == sorted(prices)


def test_every_product_before_the_camera_shows_what_the_shops_list(world: World) -> None:
    held = world.phone
    allow_position(held, HERE)
    held.open("#/scan")
    watch_cards(held)
    cards = wait_for_cards(held, names_of(world))
    held.keep_picture("1-scan")
    # Nothing else was taken for a product, in between least of all.
    assert cards.keys() == names_of(world)
    check_promotions(world, cards)
    assert all("일치" in card.text for card in cards.values())
    assert held.shows_nothing_wider_than_itself()


def test_the_card_names_the_nearest_store_of_each_chain(world: World) -> None:
    watch_cards(world.phone)
    cards = wait_for_cards(world.phone, names_of(world))
    told = {chain: words for card in cards.values() for chain, words in card.stores.items()}
    for chain in (Chain.GS25, Chain.SEVEN, Chain.EMART24):
        store = nearest_store(HERE, chain)
        away_m = round(distance_m(HERE, (store.latitude, store.longitude)))
        assert store.branch in told[str(chain)]
        shown = re.search(r"([\d.]+)(km|m)$", told[str(chain)])
        assert shown is not None
        shown_m = float(shown[1]) * (1000 if shown[2] == "km" else 1)
        assert shown_m == pytest.approx(away_m, rel=0.06, abs=10)


def test_the_nearest_store_is_first_and_on_the_map(world: World) -> None:
    held = world.phone
    held.go("#/stores")
    held.sees("내 위치", "invented stores")
    held.one(".marker")
    held.keep_picture("2-stores")
    link = held.one(".store a[href^='geo:']").get_attribute("href") or ""
    nearest = nearest_store(HERE)
    found = re.match(r"geo:([\d.]+),([\d.]+)", link)
    assert found is not None
    assert (float(found[1]), float(found[2])) == pytest.approx(
        (nearest.latitude, nearest.longitude), abs=1e-5
    )
    # Where it is on the map: in the direction from one's own place in which it lies.
    spots = held.driver.execute_script(SPOTS, nearest.branch)
    assert spots["inside"]
    right_px = spots["marker"][0] - spots["here"][0]
    up_px = spots["here"][1] - spots["marker"][1]
    east = (nearest.longitude - HERE[1]) * math.cos(math.radians(HERE[0]))
    north = nearest.latitude - HERE[0]
    # A marker stands on whole pixels.
    apart_px = math.hypot(right_px, up_px)
    turned = (right_px * north - up_px * east) / (apart_px * math.hypot(east, north))
    assert right_px * east + up_px * north > 0
    assert abs(turned) < 2 / apart_px + 0.02


# Middles of the nearest store's marker and of one's own place, in pixels of the window.
SPOTS = """
const box = (one) => one.getBoundingClientRect();
const middle = ({ left, top, width, height }) => [left + width / 2, top + height / 2];
const marker = [...document.querySelectorAll('.marker-place')]
  .find((one) => one.getAttribute('aria-label').includes(arguments[0]));
const [map, here] = ['.map', '.here'].map((one) => box(document.querySelector(one)));
const at = box(marker);
const [x, y] = middle(at);
const inside = x > map.left && x < map.right && y > map.top && y < map.bottom;
return { marker: [x, y], here: middle(here), inside };
"""


def test_a_list_of_every_store_around_is_in_order(world: World) -> None:
    shown = [
        (float(at[1]), float(at[2]))
        for at in (
            re.match(r"geo:([\d.]+),([\d.]+)", one.get_attribute("href") or "")
            for one in world.phone.all(".store a[href^='geo:']")
        )
        if at is not None
    ]
    nearest = sorted(
        ((one.latitude, one.longitude) for one in demo_stores()),
        key=lambda place: distance_m(HERE, place),
    )
    assert len(shown) >= 20
    for at, expected in zip(shown, nearest, strict=False):
        assert distance_m(HERE, at) == pytest.approx(distance_m(HERE, expected), abs=1)


def test_with_the_server_killed_scanning_shows_the_same(world: World) -> None:
    held = world.phone
    held.until(lambda: held.driver.execute_async_script(KEPT), "kept runtime")
    world.kill()
    held.open("#/scan")
    watch_cards(held)
    cards = wait_for_cards(held, names_of(world))
    held.keep_picture("3-offline")
    check_promotions(world, cards)
    held.go("#/stores")
    held.one(".marker")
    assert nearest_store(HERE).branch in held.text()
    held.go("#/settings")
    held.click("지금 확인")
    held.sees("인터넷에 연결할 수 없어요")


# Whether the service worker keeps what runs models: the glue and the WebAssembly of one build.
KEPT = """
const done = arguments[0];
(async () => {
  let files = 0;
  for (const name of await caches.keys()) {
    const kept = await (await caches.open(name)).keys();
    files += kept.filter(({ url }) => url.includes('/litert/')).length;
  }
  done(files >= 2);
})();
"""


def test_the_server_comes_back_and_a_newer_bundle_comes_over_the_air(world: World) -> None:
    held, folder = world.phone, world.folder
    arguments = ("--app", str(folder / "assets"))
    environment = server_environment(folder)
    world.publish(2)
    with serve_process(
        folder, *arguments, port=world.server.port, environment=environment
    ) as world.server:
        held.open("#/settings")
        held.click("지금 확인")
        held.sees("최신 정보예요")
        # The recogniser comes a while after the page.
        held.sees("e2e 버전 1")
        held.click("새 인식기 확인")
        held.sees("버전 2(으)로 바꿨어요", "e2e 버전 2")
        held.keep_picture("4-updated")
        held.go("#/scan")
        watch_cards(held)
        check_promotions(world, wait_for_cards(held, names_of(world, 2)), " (판 2)")

        # What another key signed is nothing to this app, however well it is delivered.
        world.publish(3, world.keys.other)
        held.go("#/settings")
        held.click("새 인식기 확인")
        held.sees("믿을 수 있는 서명이 없는 인식기라 쓰지 않았어요", "e2e 버전 2")
        held.keep_picture("5-refused")
        # The last good one goes on, now and after the next start.
        held.open("#/scan")
        watch_cards(held)
        cards = wait_for_cards(held, names_of(world, 2))
        assert cards.keys() == names_of(world, 2)
        held.keep_picture("6-last-good")


def test_nothing_went_wrong_on_the_way(world: World) -> None:
    lines = [line["message"] for line in world.phone.driver.get_log("browser")]
    assert not [line for line in lines if "Uncaught" in line or "Content Security" in line]
