"""`promolens demo-data`: the same bytes, nothing lost, nothing half-written."""

import csv
import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from promolens_cli.main import main
from promolens_demo import fonts, writer
from promolens_demo.config import DemoConfig
from promolens_demo.writer import write_demo
from promolens_runtime.errors import InputError, MissingError

SMALL = DemoConfig(n_products=3, n_photos=2, n_test_photos=1, seed=11)
COLUMNS = [
    *("path", "label", "split", "is_query", "is_gallery", "category", "source_id"),
    *("x1", "y1", "x2", "y2"),
]
PRODUCT_COLUMNS = ["label", "item_id", "barcodes", "name_ko", "name_en", "parent"]


def digests(root: Path) -> dict[str, str]:
    return {
        str(file.relative_to(root)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(root.rglob("*"))
        if file.is_file()
    }


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    root = tmp_path_factory.mktemp("demo") / "data"
    write_demo(root, SMALL, workers=1)
    return root


def read(file: Path) -> list[dict[str, str]]:
    with file.open(newline="", encoding="utf-8") as lines:
        return list(csv.DictReader(lines))


def test_the_same_options_give_the_same_bytes_with_any_number_of_workers(demo, tmp_path):
    write_demo(tmp_path / "again", SMALL, workers=2)
    assert digests(tmp_path / "again") == digests(demo)


def test_another_seed_gives_other_photos_of_the_same_catalogue(demo, tmp_path):
    write_demo(tmp_path / "other", DemoConfig(3, 2, 1, seed=12), workers=1)
    first, second = digests(demo), digests(tmp_path / "other")
    photos = [name for name in first if name.startswith("photos/")]
    assert photos
    assert all(first[name] != second[name] for name in photos)
    assert all(first[n] == second[n] for n in first if n.startswith("catalogue/"))


def test_fewer_photos_are_the_first_of_more(demo, tmp_path):
    write_demo(tmp_path / "few", DemoConfig(3, 1, 1, seed=11), workers=1)
    few, many = digests(tmp_path / "few"), digests(demo)
    photos = [name for name in few if name.endswith(".jpg")]
    assert len(photos) == 6
    assert all(few[name] == many[name] for name in photos)


def test_the_tables_name_every_file_and_every_product(demo):
    photos, products = read(demo / "photos.csv"), read(demo / "products.csv")
    assert list(photos[0]) == (COLUMNS)
    assert list(products[0])[:6] == PRODUCT_COLUMNS
    on_disk = {name for name in digests(demo) if name.endswith(".jpg")}
    assert {row["path"] for row in photos} == on_disk
    assert {row["label"] for row in photos} == {row["label"] for row in products}
    assert [row["split"] for row in photos].count("train") == 6
    assert [row["split"] for row in photos].count("test") == 3
    assert all((demo / row["picture"]).is_file() for row in products)
    shop = json.loads((demo / "products.json").read_text(encoding="utf-8"))["products"]
    assert [row["barcodes"] for row in shop] == [row["barcodes"] for row in products]
    assert all(row["price_krw"] > 0 for row in shop)


def test_no_visit_is_in_both_splits(demo):
    visits = {
        split: {row["source_id"] for row in read(demo / "photos.csv") if row["split"] == split}
        for split in ("train", "test")
    }
    assert not visits["train"] & visits["test"]


def test_the_pictures_open_upright_at_the_sizes_of_a_phone(tmp_path):
    root = tmp_path / "demo"
    write_demo(root, DemoConfig(3, 4, 1, seed=4), workers=1)
    tags = set()
    for file in root.rglob("*.jpg"):
        with Image.open(file) as picture:
            tags.add(picture.getexif()[0x0112])
            upright = ImageOps.exif_transpose(picture)
        assert sorted(upright.size) == [480, 640]
        assert np.asarray(upright).std() > 12  # neither black, nor white, nor fog
    assert 1 in tags
    assert len(tags) > 1  # some are stored turned
    for file in root.rglob("*.png"):
        with Image.open(file) as picture:
            assert picture.size == (600, 600)
            assert picture.getpixel((2, 2)) == (255, 255, 255)


def test_a_complete_folder_is_left_alone_and_a_different_one_is_replaced(demo, tmp_path):
    root = tmp_path / "demo"
    assert write_demo(root, DemoConfig(3, 1, 1), workers=1).fresh
    before = digests(root)
    assert not write_demo(root, DemoConfig(3, 1, 1), workers=1).fresh
    next(root.rglob("*.jpg")).unlink()
    assert write_demo(root, DemoConfig(3, 1, 1), workers=1).fresh
    assert digests(root) == before
    assert write_demo(root, DemoConfig(3, 2, 1), workers=1).fresh
    assert sorted(p.name for p in tmp_path.iterdir()) == ["demo"]


def test_a_stopped_run_goes_on_where_it_was(demo, tmp_path, monkeypatch):
    root = tmp_path / "data"
    seen = []

    def stop_halfway(done, total):
        seen.append(done)
        if done > total // 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_demo(root, SMALL, workers=1, report=stop_halfway)
    assert not root.exists()
    drawn = []
    real = writer._encode_photo
    monkeypatch.setattr(
        writer, "_encode_photo", lambda *args: drawn.append(args[-1]) or real(*args)
    )
    write_demo(root, SMALL, workers=1)
    assert 0 < len(drawn) < 9
    assert digests(root) == digests(demo)


def test_a_folder_with_other_files_is_refused_and_untouched(tmp_path, capsys):
    (tmp_path / "holiday.jpg").write_bytes(b"mine")
    assert main(["demo-data", str(tmp_path), "--products", "3", "--photos", "1"]) == 2
    error = capsys.readouterr().err.strip()
    assert error.startswith("error: Expected")
    assert "\n" not in error
    assert [file.name for file in tmp_path.iterdir()] == ["holiday.jpg"]


@pytest.mark.parametrize(
    "options",
    [
        ["--products", "2"],
        ["--photos", "0"],
        ["--test-photos", "0"],
        ["--seed", "-1"],
        ["--workers", "0"],
    ],
)
def test_an_impossible_option_ends_in_one_line_that_names_it(tmp_path, capsys, options):
    assert main(["demo-data", str(tmp_path / "x"), *options]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert options[0] in error
    assert not (tmp_path / "x").exists()


def test_missing_fonts_are_noticed_before_drawing(tmp_path, monkeypatch):
    monkeypatch.setitem(fonts.FACES, "noto-sans", ("promolens_no_such_module", "x.otf"))
    with pytest.raises(MissingError, match=r"promolens\[demo\]"):
        write_demo(tmp_path / "x", SMALL, workers=1)
    assert not list(tmp_path.iterdir())


def test_a_picture_that_is_no_folder_is_refused(tmp_path):
    (tmp_path / "x").write_text("a file")
    with pytest.raises(InputError, match="no folder"):
        write_demo(tmp_path / "x", SMALL, workers=1)


def test_json_says_what_was_written(tmp_path, capsys):
    options = ["--products", "3", "--photos", "1", "--workers", "1", "--json"]
    assert main(["demo-data", str(tmp_path / "x"), *options]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["products"], said["train_photos"], said["test_photos"]) == (3, 3, 3)
    assert said["fresh"] is True
