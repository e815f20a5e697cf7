"""The doctor: every fault that it promises to find is found, once, and stops training or not."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from photo_folders import class_folders, huge_png, picture, save
from promolens_runtime.errors import InputError
from promolens_training.data.doctor import Diagnosis, examine
from promolens_training.data.fingerprints import Fingerprint, fingerprint
from promolens_training.data.near_duplicates import NearRule, find_near_duplicates


def look_at(root: Path, only: str | None = None) -> Diagnosis:
    return examine(root, only, fast=True)


def codes(root: Path, severity: str | None = None) -> Counter[str]:
    findings = look_at(root).findings
    return Counter(x.kind.code for x in findings if severity in (None, x.severity))


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    """Two classes of twelve different photos: nothing to find."""
    return class_folders(tmp_path / "set", "cola", "딸기 우유", count=12)


def test_sound_dataset(sound: Path) -> None:
    diagnosis = look_at(sound)
    assert diagnosis.findings == ()
    assert diagnosis.may_train
    assert (diagnosis.n_photos, len(diagnosis.classes)) == (24, 2)


def truncated(path: Path) -> None:
    whole = save(path, 555, quality=95).read_bytes()
    path.write_bytes(whole[: len(whole) // 2])


def sixteen_bit(path: Path) -> None:
    Image.fromarray(np.arange(96 * 96, dtype=np.uint16).reshape(96, 96)).save(path, "PNG")


def animated(path: Path) -> None:
    frames = [picture(seed) for seed in (1, 2, 3)]
    frames[0].save(path, "PNG", save_all=True, append_images=frames[1:])


ERRORS: list[tuple[str, Callable[[Path], object], str]] = [
    ("text.jpg", lambda path: path.write_text("not a picture"), "unreadable"),
    ("nothing.jpg", lambda path: path.write_bytes(b""), "unreadable"),
    ("broken.png", lambda path: path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(40)), "unreadable"),
    ("cut.jpg", truncated, "truncated"),
    ("huge.png", lambda path: huge_png(path, 30_000, 30_000), "too-large"),
    ("long.png", lambda path: huge_png(path, 30_000, 10), "too-large"),
    ("print.jpg", lambda path: picture(555).convert("CMYK").save(path), "cmyk"),
    ("deep.png", sixteen_bit, "sixteen-bit"),
    ("moving.png", animated, "animated"),
    ("old.gif", lambda path: picture(555).save(path), "format"),
    ("scan.tif", lambda path: picture(555).save(path), "format"),
    ("phone.heic", lambda path: path.write_bytes(b"\0\0\0\x18ftypheic" + bytes(40)), "format"),
]


@pytest.mark.parametrize(("name", "make", "code"), ERRORS, ids=[row[0] for row in ERRORS])
def test_files_that_training_cannot_read(
    sound: Path, name: str, make: Callable[[Path], object], code: str
) -> None:
    make(sound / "cola" / name)
    diagnosis = look_at(sound)
    assert [finding.kind.code for finding in diagnosis.findings] == [code]
    assert diagnosis.findings[0].paths == (sound / "cola" / name,)
    assert "\n" not in diagnosis.findings[0].message
    assert not diagnosis.may_train


def transparent(path: Path) -> None:
    rgba = picture(555).convert("RGBA")
    rgba.putalpha(128)
    rgba.save(path, "PNG")


def with_orientation(path: Path, stored: tuple[int, int], camera: tuple[int, int]) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    exif.get_ifd(0x8769).update({0xA002: camera[0], 0xA003: camera[1]})
    picture(555, 128).resize(stored).save(path, "JPEG", exif=exif)


REMARKS: list[tuple[str, Callable[[Path], object], str]] = [
    ("glass.png", transparent, "alpha"),
    ("png.jpg", lambda path: picture(555).save(path, "PNG"), "suffix"),
    ("small.png", lambda path: picture(555, 20).save(path), "tiny"),
    ("turn.jpg", lambda path: with_orientation(path, (128, 96), (128, 96)), "exif-turned"),
    ("again.jpg", lambda path: with_orientation(path, (96, 128), (128, 96)), "turned-twice"),
]


@pytest.mark.parametrize(("name", "make", "code"), REMARKS, ids=[row[0] for row in REMARKS])
def test_files_worth_a_remark(
    sound: Path, name: str, make: Callable[[Path], object], code: str
) -> None:
    make(sound / "cola" / name)
    assert codes(sound) == {code: 1}
    assert look_at(sound).may_train


def test_equal_files_in_a_class_and_across_classes(sound: Path) -> None:
    shutil.copy(sound / "cola" / "0.jpg", sound / "cola" / "copy.jpg")
    assert codes(sound) == {"duplicate": 1}
    shutil.copy(sound / "cola" / "0.jpg", sound / "딸기 우유" / "copy.jpg")
    assert codes(sound) == {"label-conflict": 1}
    assert not look_at(sound).may_train


def test_equal_files_across_splits(tmp_path: Path) -> None:
    for split, seed in (("train", 0), ("val", 100), ("test", 200)):
        class_folders(tmp_path / split, "cola", "tea", count=10, first_seed=seed)
    train = tmp_path / "train" / "cola" / "0.jpg"
    shutil.copy(train, tmp_path / "val" / "cola" / "copy.jpg")
    assert codes(tmp_path) == {"near-duplicate-across-splits": 1}
    shutil.copy(train, tmp_path / "test" / "cola" / "copy.jpg")
    assert codes(tmp_path) == {"duplicate-across-splits": 1}
    assert not look_at(tmp_path).may_train


def test_resaved_copies_are_near_duplicates(tmp_path: Path) -> None:
    for split, seed in (("train", 0), ("test", 200)):
        class_folders(tmp_path / split, "cola", "tea", count=10, first_seed=seed)
    smaller = picture(0).resize((80, 80))
    smaller.save(tmp_path / "train" / "cola" / "again.jpg", quality=60)
    assert codes(tmp_path) == {"near-duplicate": 1}
    smaller.save(tmp_path / "train" / "tea" / "again.jpg", quality=50)
    assert codes(tmp_path)["near-duplicate-across-classes"] == 2
    (tmp_path / "train" / "tea" / "again.jpg").rename(tmp_path / "test" / "cola" / "again.jpg")
    assert codes(tmp_path) == {"near-duplicate": 1, "near-duplicate-across-splits": 2}
    assert look_at(tmp_path).may_train


def test_source_in_training_and_test(tmp_path: Path) -> None:
    rows = ["path,label,split,source_id"]
    for n in range(24):
        save(tmp_path / f"{n}.jpg", n)
        split = "test" if n >= 20 else "train"
        rows.append(f"{n}.jpg,{'ab'[n % 2]},{split},scene {n % 23}")
    (tmp_path / "photos.csv").write_text("\n".join(rows))
    diagnosis = look_at(tmp_path)
    assert [x.kind.code for x in diagnosis.findings] == ["source-across-splits"]
    assert "'scene 0': test, train" in diagnosis.findings[0].message


def test_boxes_make_several_photos_of_one_file(tmp_path: Path) -> None:
    rows = ["path,label,x1,y1,x2,y2"]
    for n in range(12):
        save(tmp_path / f"{n}.jpg", n)
        rows += [f"{n}.jpg,cola,0,0,48,96", f"{n}.jpg,tea,48,0,96,96"]
    (tmp_path / "photos.csv").write_text("\n".join(rows))
    assert look_at(tmp_path).findings == ()
    (tmp_path / "photos.csv").write_text("\n".join([*rows, "3.jpg,tea,10,10,97,20"]))
    assert codes(tmp_path) == {"box-outside": 1}


def test_counts_and_empty_folders(sound: Path) -> None:
    save(sound / "lone" / "0.jpg", 7777)
    (sound / "vacant").mkdir()
    (sound / "cola" / "notes.txt").write_text("bought on Monday")
    assert codes(sound) == {
        "too-few-photos": 1,
        "imbalance": 1,
        "empty-folder": 1,
        "not-pictures": 1,
    }
    assert codes(sound, "error") == {"too-few-photos": 1}


def test_few_photos_warn(tmp_path: Path) -> None:
    assert codes(class_folders(tmp_path, "a", "b", count=4)) == {"few-photos": 1}


def test_one_class_and_no_picture(tmp_path: Path) -> None:
    assert codes(class_folders(tmp_path / "one", "cola", count=12)) == {"one-class": 1}
    (tmp_path / "none").mkdir()
    assert codes(tmp_path / "none") == {"no-pictures": 1}


def test_class_that_only_the_test_part_has(tmp_path: Path) -> None:
    class_folders(tmp_path / "train", "cola", "tea", count=10)
    class_folders(tmp_path / "test", "cola", "milk", count=10, first_seed=5000)
    assert codes(tmp_path) == {"class-without-training": 1, "class-not-tested": 1}


def test_faulty_lists_are_findings_all_at_once(tmp_path: Path) -> None:
    class_folders(tmp_path, "Cola", "cola", "tea", count=10)
    assert codes(tmp_path, "error")["class-name-collision"] == 1
    (tmp_path / "photos.csv").write_text("path,label\nCola/0.jpg,a\n../x.jpg,b\nnone.jpg,b\n")
    assert codes(tmp_path, "error")["layout"] == 2


def test_only_examines_the_chosen_classes(sound: Path) -> None:
    (sound / "딸기 우유" / "bad.jpg").write_text("not a picture")
    class_folders(sound, "tea", count=12, first_seed=9000)
    assert look_at(sound, "[ct]*").findings == ()
    with pytest.raises(InputError, match="딸기 우유"):
        look_at(sound, "coffee")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_file_without_permission(sound: Path) -> None:
    (sound / "cola" / "0.jpg").chmod(0)
    assert codes(sound) == {"unreadable": 1}


def test_features_find_what_the_hash_misses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mirrored copy has another hash but nearly the same features; the second run is cached."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    root = class_folders(tmp_path / "set", "a", "b", count=10)
    picture(0).transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(root / "a" / "mirror.jpg")
    assert "near-duplicate" not in codes(root)
    slow = examine(root)
    found = [x.paths for x in slow.findings if x.kind.code == "near-duplicate"]
    assert (root / "a" / "0.jpg", root / "a" / "mirror.jpg") in found

    def refuse(paths: list[Path]) -> None:
        raise AssertionError(f"{len(paths)} pictures were embedded again")

    monkeypatch.setattr("promolens_training.data.features._embed", refuse)
    assert examine(root).findings == slow.findings
    (cache,) = (tmp_path / "cache").rglob("*.npz")
    cache.write_bytes(b"damaged")
    with pytest.raises(AssertionError, match="again"):
        examine(root)


def look(bits: np.ndarray) -> Fingerprint:
    colours = np.zeros(4, np.float32)
    colours[0] = 1
    return Fingerprint(bits, colours)


def test_near_duplicates_equal_a_plain_double_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("promolens_training.data.near_duplicates._BLOCK", 7)
    rng = np.random.default_rng(0)
    base = rng.random((5, 64)) < 0.5
    looks = [look(base[n % 5] ^ (rng.random(64) < 0.1)) for n in range(30)]
    expected = {
        (i, j): int((looks[i].phash != looks[j].phash).sum())
        for i in range(30)
        for j in range(i + 1, 30)
    }
    pairs = find_near_duplicates(looks)
    assert {(pair.first, pair.second): pair.hash_bits for pair in pairs} == {
        key: bits for key, bits in expected.items() if bits <= NearRule().close_hash_bits
    }


def test_a_folder_full_of_one_picture_stays_bounded() -> None:
    looks = [fingerprint(np.asarray(picture(1)))] * 300
    assert len(find_near_duplicates(looks, rule=NearRule(max_pairs=50))) == 50
    with pytest.raises(InputError, match="at most 200"):
        find_near_duplicates(looks, rule=NearRule(max_photos=200))


@pytest.mark.skipif("PROMOLENS_DATA" not in os.environ, reason="PROMOLENS_DATA names no folder")
def test_real_groceries_may_train() -> None:
    diagnosis = look_at(Path(os.environ["PROMOLENS_DATA"]) / "grocery")
    assert diagnosis.may_train
    assert (diagnosis.n_photos, len(diagnosis.classes)) == (2936, 81)
    counts = Counter(finding.kind.code for finding in diagnosis.findings)
    assert counts["near-duplicate"] > 50
    assert counts["near-duplicate-across-classes"] == 1
    assert counts["near-duplicate-across-splits"] == 0
