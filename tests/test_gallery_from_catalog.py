"""`promolens gallery build --from-catalog`: a picture of each offer, fetched from running shops."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from conftest import Keys
from promolens_catalog.chains import Chain
from promolens_cli.gallery_catalog import guarded_reading
from promolens_cli.main import main
from promolens_crawler.config import CrawlerConfig, SourceConfig, config_of
from promolens_crawler.config_text import demo_config_text
from promolens_crawler.errors import NotAllowedError
from promolens_crawler.pictures import MAX_FAILURES, WantedPicture, fetch_pictures
from promolens_demo.shops.running import Shops
from promolens_runtime.bundle import read_bundle
from promolens_runtime.embedder import Embedder
from promolens_runtime.errors import ImageError, InputError
from promolens_runtime.gallery.gallery import read_gallery
from shops_support import MONTH, open_shops
from test_gallery import assets, gallery_key, pattern

__all__ = ["assets", "gallery_key"]  # fixtures
ROWS = 12
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def shops() -> Iterator[Shops]:
    with open_shops(ROWS) as opened:
        yield opened


def config_text(shops: Shops, *, pictures: str | None = None) -> str:
    """A configuration that crawls CU's stand-in, and lets its pictures be fetched."""
    home = shops.home(Chain.CU)
    text = demo_config_text({Chain.CU: home}, 0.0)
    return f'{text}pictures = ["{home if pictures is None else pictures}"]\n'


@pytest.fixture
def run(
    shops: Shops, assets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Run:  # fmt: skip
    """Type a line in a folder with demo.toml, a crawled catalog and a bundle."""
    monkeypatch.chdir(tmp_path)
    Path("demo.toml").write_text(config_text(shops), "utf-8")

    def typed(line: str) -> tuple[int, str, str]:
        status = main(line.split())
        told = capsys.readouterr()
        return status, told.out, told.err

    assert typed(f"crawl run cu --config demo.toml --month {MONTH}")[0] == 0
    return typed


BUILD = "gallery build fetched --from-catalog --config demo.toml --bundle assets --json"


def test_a_gallery_names_what_the_shop_shows(run: Run, shops: Shops, keys: Keys) -> None:
    assert shops.log.entries(Chain.CU, "image") == [], "the crawl itself fetched none"
    status, out, err = run(BUILD)
    assert status == 0, err
    report = json.loads(out)
    offered = [one for one in shops.truth(Chain.CU) if one.image_url]
    assert report["products"] + len(report["refused"]) == len({one.site_id for one in offered})
    assert report["products"] >= ROWS // 2
    asked = shops.log.entries(Chain.CU, "image")
    assert len(asked) == report["products"] + len(report["refused"])
    assert all("promolens/" in one.user_agent for one in asked)
    assert shops.log.entries(Chain.CU, "robots"), "robots.txt is read first"
    gallery = read_gallery(Path("assets/gallery"), read_bundle(Path("assets"), keys.own.public))
    by_code = {one.barcode: one for one in offered if one.barcode}
    named = [one for one in gallery.products if one.barcodes]
    assert named
    for product in named:
        assert product.item_id in product.barcodes
        assert product.barcodes[0] in by_code
        assert product.name_ko


def test_a_second_build_asks_for_nothing_again(run: Run, shops: Shops) -> None:
    first = json.loads(run(BUILD)[1])
    before = len(shops.log.entries(Chain.CU, "image"))
    again = json.loads(run(BUILD)[1])
    assert len(shops.log.entries(Chain.CU, "image")) == before
    assert (again["embedded"], again["kept"]) == (0, first["products"])
    assert again["unchanged"] is True


def test_nothing_is_fetched_unless_the_configuration_says_from_where(
    run: Run, shops: Shops
) -> None:
    text = demo_config_text({Chain.CU: shops.home(Chain.CU)}, 0.0)
    Path("demo.toml").write_text(text, "utf-8")
    status, _, err = run(BUILD)
    assert status == 2
    assert "names no host of pictures" in err
    Path("demo.toml").write_text(config_text(shops, pictures="http://127.0.0.1:9"), "utf-8")
    status, _, err = run(BUILD)
    assert status == 2
    assert "which is off" in err, "the offers' pictures are at another host than the one allowed"
    Path("demo.toml").write_text(text.replace("enabled = true", "enabled = false"), "utf-8")
    assert run(BUILD)[0] == 2
    assert shops.log.entries(Chain.CU, "image") == []
    status, _, err = run(f"{BUILD} --products some.csv")
    assert status == 2
    assert "Received both" in err


class TestFetching:
    def config(self, shops: Shops, folder: Path, **limits: Any) -> CrawlerConfig:
        home = shops.home(Chain.SEVEN)
        source = {"enabled": True, "home": home, "pictures": [home]}
        crawler = {"min_delay_s": 0.0, "limits": {"tries": 1, "backoff_s": 0.0, **limits}}
        return config_of({"crawler": crawler, "sources": {"seven": source}}, folder)

    def wanted(self, shops: Shops, count: int = 2) -> list[WantedPicture]:
        urls = [one.image_url for one in shops.truth(Chain.SEVEN) if one.image_url][:count]
        assert len(urls) == count
        return [WantedPicture(f"p{i}", Chain.SEVEN, url) for i, url in enumerate(urls)]

    def test_what_robots_txt_forbids_is_not_asked_for(self, shops: Shops, tmp_path: Path) -> None:
        shops.set_robots("real")  # 7-Eleven's disallows its pictures
        config, wanted = self.config(shops, tmp_path), self.wanted(shops)
        found = fetch_pictures(config, wanted, tmp_path / "kept")
        assert found.files == {}
        assert all("robots.txt" in reason for _, reason in found.missing)
        assert shops.log.entries(Chain.SEVEN, "image") == []

    def test_too_large_a_picture_is_left(self, shops: Shops, tmp_path: Path) -> None:
        config = self.config(shops, tmp_path, max_body_bytes=1_000)
        found = fetch_pictures(config, self.wanted(shops, 1), tmp_path / "kept")
        assert "Expected at most 1000 bytes" in found.missing[0][1]
        assert list((tmp_path / "kept").iterdir()) == []

    def test_pages_are_no_pictures_and_a_shop_that_fails_is_left_alone(
        self, shops: Shops, tmp_path: Path
    ) -> None:
        home = shops.home(Chain.SEVEN)
        urls = [f"{home}/product/presentList.asp?n={number}" for number in range(MAX_FAILURES + 4)]
        wanted = [WantedPicture(f"p{i}", Chain.SEVEN, url) for i, url in enumerate(urls)]
        found = fetch_pictures(self.config(shops, tmp_path), wanted, tmp_path / "kept")
        assert len(found.missing) == len(urls)
        assert "content type 'text/html'" in found.missing[0][1]
        assert len(shops.log.entries(Chain.SEVEN, "document")) == MAX_FAILURES
        assert "times in a row" in found.missing[-1][1]

    def test_a_delay_lies_between_two_pictures(self, shops: Shops, tmp_path: Path) -> None:
        config = config_of(
            {
                "crawler": {"min_delay_s": 0.3},
                "sources": {
                    "seven": {
                        "enabled": True,
                        "home": shops.home(Chain.SEVEN),
                        "pictures": [shops.home(Chain.SEVEN)],
                    }
                },
            },
            tmp_path,
        )
        found = fetch_pictures(config, self.wanted(shops, 3), tmp_path / "kept")
        assert len(found.files) == 3
        assert min(shops.log.gaps_s(Chain.SEVEN, "robots", "image")) >= 0.3

    def test_another_host_is_never_asked(self, shops: Shops, tmp_path: Path) -> None:
        foreign = shops.home(Chain.CU) + "/product/1.jpg"
        wanted = [WantedPicture("p", Chain.SEVEN, foreign)]
        found = fetch_pictures(self.config(shops, tmp_path), wanted, tmp_path / "kept")
        assert "switched on" in found.missing[0][1]
        assert shops.log.entries(Chain.CU, "image") == []

    def test_a_source_without_hosts_of_pictures_is_refused(
        self, shops: Shops, tmp_path: Path
    ) -> None:
        source = SourceConfig(Chain.SEVEN, enabled=True, home=shops.home(Chain.SEVEN))
        config = CrawlerConfig(archive=tmp_path, sources={Chain.SEVEN: source})
        with pytest.raises(NotAllowedError, match="names no host of pictures"):
            fetch_pictures(config, self.wanted(shops, 1), tmp_path / "kept")


def test_live_hosts_of_pictures_need_what_live_sources_need() -> None:
    """A stand-in's list with a live shop's pictures is a live source: contact and sentence."""
    source = {"enabled": True, "home": "http://127.0.0.1:1", "pictures": ["https://img.example"]}
    with pytest.raises(InputError, match=r"live source|min_delay_s"):
        config_of({"sources": {"cu": source}}, Path())
    with pytest.raises(InputError, match="without a path"):
        config_of({"sources": {"cu": {"pictures": ["https://img.example/a"]}}}, Path())


def test_guarded_decoding_gives_the_very_same_embedding(
    assets: Path, tmp_path: Path, keys: Keys
) -> None:
    bundle = read_bundle(assets, keys.own.public)
    embedder = Embedder(bundle)
    pattern(3, noise=20).resize((300, 200)).save(tmp_path / "a.jpg")
    (tmp_path / "bomb.jpg").write_bytes(b"no picture")
    with guarded_reading(bundle) as read:
        tensor, problem = read(tmp_path / "a.jpg")
        assert problem is None
        wanted = embedder.embed_catalogue(tmp_path / "a.jpg")
        np.testing.assert_array_equal(embedder.embed_catalogue(tensor), wanted)
        with pytest.raises(ImageError, match="Expected a JPEG"):
            read(tmp_path / "bomb.jpg")
