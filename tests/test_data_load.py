"""Loading a dataset: the three layouts, choosing classes, and one clear line for bad input."""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from photo_folders import class_folders, save
from promolens_runtime.errors import InputError
from promolens_training.data import load_photo_set, require_trainable
from promolens_training.data.reading import Limits, path_fault

CLASSES_CSV = (
    "Class Name (str),Class ID (int),Coarse Class Name (str),Coarse Class ID (int),"
    "Iconic Image Path (str),Product Description Path (str)\n"
    "Oat-Milk,7,Milk,3,/i.jpg,/d.txt\nKiwi,2,Kiwi,1,/i.jpg,/d.txt\nLime,9,Lime,4,/i.jpg,/d.txt\n"
)


def refusal(root: Path, only: str | None = None, **limits: int) -> str:
    """Return the error's one line, which says what was expected and received."""
    with pytest.raises(InputError) as caught:
        load_photo_set(root, only, Limits(**limits))
    message = str(caught.value)
    assert message.startswith("Expected ")
    assert "Received " in message
    assert "\n" not in message
    return message


def grocery(root: Path) -> Path:
    for split, names in (("train", ("Packages/Milk/Oat-Milk", "Fruit/Kiwi")), ("val", ())):
        lines = []
        for number, name in enumerate((*names, "Fruit/Kiwi") if split == "val" else names):
            path = save(root / split / name / f"{split}_{number}.jpg", number)
            ids = "7, 3" if "Milk" in name else "2, 1"
            lines.append(f"{path.relative_to(root).as_posix()}, {ids}\r\n")
        (root / f"{split}.txt").write_text("".join(lines))
    (root / "classes.csv").write_text(CLASSES_CSV)
    return root


def photos_csv(root: Path, *rows: str, header: str = "path,label,split") -> Path:
    save(root / "a.jpg", 1)
    save(root / "b.jpg", 2)
    (root / "photos.csv").write_text("\n".join((header, *rows)) + "\n", "utf-8")
    return root


def test_plain_class_folders(tmp_path: Path) -> None:
    photo_set = load_photo_set(class_folders(tmp_path, "cola", "바나나 우유"))
    assert [product.name for product in photo_set.classes] == ["cola", "바나나 우유"]
    assert {photo.split for photo in photo_set.photos} == {""}
    assert len(photo_set.photos) == 6


def test_nested_class_folders_with_splits(tmp_path: Path) -> None:
    class_folders(tmp_path, "train/Packages/Milk/Arla", "valid/Packages/Milk/Arla")
    class_folders(tmp_path, "TEST/Fruit/Kiwi", "train/Fruit/Kiwi")
    photo_set = load_photo_set(tmp_path)
    assert {product.name: product.parent for product in photo_set.classes} == {
        "Arla": "Milk",
        "Kiwi": "Fruit",
    }
    assert {photo.split for photo in photo_set.photos if photo.label == "Arla"} == {"train", "val"}
    assert len(photo_set.in_split("test")) == 3


def test_same_folder_name_below_two_parents_makes_two_classes(tmp_path: Path) -> None:
    photo_set = load_photo_set(class_folders(tmp_path, "Juice/Small", "Milk/Small", "Milk/Large"))
    assert [x.name for x in photo_set.classes] == ["Juice/Small", "Large", "Milk/Small"]


@pytest.mark.parametrize("child", ["", "dataset"])
def test_grocery_lists_as_cloned(tmp_path: Path, child: str) -> None:
    grocery(tmp_path / child)
    photo_set = load_photo_set(tmp_path)
    assert photo_set.layout == "grocery-lists"
    assert [photo.split for photo in photo_set.photos] == ["train", "train", "val"]
    milk = photo_set.classes[1]
    assert (milk.name, milk.parent, milk.aliases, milk.item_id) == (
        "Oat-Milk",
        "Milk",
        ("7",),
        "oat-milk",
    )
    assert any("1 classes of classes.csv" in note for note in photo_set.notes)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("train/none.jpg, 2, 1", "absent"),
        ("../a.jpg, 2, 1", "leaves the folder"),
        ("train/Fruit/Kiwi/train_1.jpg, 99, 1", "99, 1"),
        ("nonsense", "nonsense"),
        ("train/Fruit/Kiwi/train_1.jpg, 2, 1", "second time"),
    ],
)
def test_faulty_grocery_line(tmp_path: Path, line: str, said: str) -> None:
    grocery(tmp_path)
    with (tmp_path / "train.txt").open("a") as file:
        file.write(line + "\n")
    assert said in refusal(tmp_path)


def test_csv_convention_with_products(tmp_path: Path) -> None:
    photos_csv(
        tmp_path,
        "a.jpg,cola,train,1,0,drinks,scene 1,0,0,40,50",
        "b.jpg,김치,validation,,true,,scene 2,,,,",
        header="path,label,split,is_query,is_gallery,category,source_id,x1,y1,x2,y2",
    )
    (tmp_path / "products.csv").write_text(
        "label,item_id,barcodes,name_ko,name_en,parent\ncola,p-1,2000000000015;20000011,콜라,,\n",
        "utf-8-sig",
    )
    photo_set = load_photo_set(tmp_path / "photos.csv")
    assert photo_set == load_photo_set(tmp_path)
    cola, kimchi = photo_set.classes
    assert (cola.item_id, cola.barcodes) == ("p-1", ("2000000000015", "20000011"))
    assert (cola.name_ko, cola.name_en, cola.parent) == ("콜라", "콜라", "drinks")
    assert (kimchi.item_id, kimchi.parent) == ("김치", None)
    first, second = photo_set.photos
    assert (first.box, first.source_id, first.is_query) == ((0, 0, 40, 50), "scene 1", True)
    assert (second.split, second.is_gallery, second.box) == ("val", True, None)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("a.jpg,cola,holiday", "'holiday'"),
        ("../a.jpg,cola,train", "leaves the folder"),
        ("/etc/passwd,cola,train", "absolute"),
        ("C:/a.jpg,cola,train", "absolute"),
        ("none.jpg,cola,train", "absent"),
        ("a\0.jpg,cola,train", "NUL"),
        ("a.jpg,,train", "empty name"),
        (",cola,train", "empty path"),
        ("b.jpg,cola,train", "second time"),
        ("a.jpg,cola,train,x", "4 in line"),
        ('a.jpg,"cola,train', "line"),
    ],
)
def test_faulty_csv_row(tmp_path: Path, row: str, said: str) -> None:
    assert said in refusal(photos_csv(tmp_path, "b.jpg,cola,train", row))


@pytest.mark.parametrize("box", ["5,5,5,9", "-1,0,5,5", "1,2,3,", "a,b,c,d", "0,0,9999999,5"])
def test_faulty_box(tmp_path: Path, box: str) -> None:
    photos_csv(tmp_path, f"a.jpg,cola,{box}", header="path,label,x1,y1,x2,y2")
    assert "the box" in refusal(tmp_path)


@pytest.mark.parametrize("header", ["path,name", "label", "", "path,label,path"])
def test_csv_with_missing_or_double_columns(tmp_path: Path, header: str) -> None:
    assert "columns path, label" in refusal(photos_csv(tmp_path, "a.jpg,x", header=header))


def test_csv_that_is_not_utf8(tmp_path: Path) -> None:
    photos_csv(tmp_path)
    (tmp_path / "photos.csv").write_bytes("path,label\na.jpg,콜라\n".encode("cp949"))
    assert "UTF-8" in refusal(tmp_path)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("tea,p-1,2000000000022,,,", "p-1"),
        ("tea,p-2,2000000000015,,,", "2000000000015"),
        ("tea,p-2,8.80E+12,,,", "8.80E+12"),
        ("cola,p-2,,,,", "second time"),
    ],
)
def test_faulty_products(tmp_path: Path, row: str, said: str) -> None:
    photos_csv(tmp_path, "a.jpg,cola,train")
    (tmp_path / "products.csv").write_text(
        f"label,item_id,barcodes,name_ko,name_en,parent\ncola,p-1,2000000000015,,,\n{row}\n"
    )
    assert said in refusal(tmp_path)


def test_only_chooses_classes_by_path_or_name(tmp_path: Path) -> None:
    class_folders(tmp_path, "train/Packages/Milk/Arla", "train/Fruit/Kiwi", "train/Fruit/Lime")
    chosen = {
        only: [product.name for product in load_photo_set(tmp_path, only).classes]
        for only in ("Packages/*", "Fruit/*", "Kiwi", "*i*")
    }
    assert chosen["Packages/*"] == ["Arla"]
    assert chosen["Fruit/*"] == ["Kiwi", "Lime"]
    assert chosen["Kiwi"] == ["Kiwi"]
    message = refusal(tmp_path, "Drinks/*")
    assert "Packages/Milk/Arla" in message
    assert "Fruit/Lime" in message


@pytest.mark.parametrize(
    "names",
    [
        ("Cola", "cola"),
        (unicodedata.normalize("NFC", "카페라떼"), unicodedata.normalize("NFD", "카페라떼")),
        ("green  tea", "green tea"),
        ("Drinks/a", "drinks/b"),
    ],
)
def test_class_names_that_read_alike(tmp_path: Path, names: tuple[str, str]) -> None:
    class_folders(tmp_path, *names)
    if len(list(tmp_path.iterdir())) < 2:
        pytest.skip("this file system joins the two names itself")
    assert "differ by more than case, spaces or Unicode form" in refusal(tmp_path)


def test_decomposed_hangul_folder_becomes_composed_label(tmp_path: Path) -> None:
    class_folders(tmp_path, unicodedata.normalize("NFD", "딸기 우유"), "물")
    assert [product.name for product in load_photo_set(tmp_path).classes] == ["딸기 우유", "물"]


def test_empty_absent_and_foreign_roots(tmp_path: Path) -> None:
    assert "absent" in refusal(tmp_path / "none")
    (tmp_path / "empty").mkdir()
    assert "Received none" in refusal(tmp_path / "empty")
    (tmp_path / "photos.zip").write_bytes(b"PK")
    assert "Unpack it" in refusal(tmp_path / "photos.zip")
    save(tmp_path / "loose" / "a.jpg", 1)
    assert "directly in" in refusal(tmp_path / "loose")


def test_limits_on_files_rows_and_depth(tmp_path: Path) -> None:
    class_folders(tmp_path / "folders", "a/b/c", "d")
    assert "at most 5 files" in refusal(tmp_path / "folders", max_files=5)
    assert "at most 2 nested" in refusal(tmp_path / "folders", max_depth=2)
    photos_csv(tmp_path / "csv", "a.jpg,x,train", "b.jpg,y,train")
    assert "at most 1 rows" in refusal(tmp_path / "csv", max_rows=1)
    assert "at most 9 bytes" in refusal(tmp_path / "csv", max_list_bytes=9)


def test_loops_of_links_and_special_files_are_left_alone(tmp_path: Path) -> None:
    class_folders(tmp_path, "a", "b")
    (tmp_path / "a" / "loop").symlink_to(tmp_path, target_is_directory=True)
    os.mkfifo(tmp_path / "a" / "pipe.jpg")
    photo_set = load_photo_set(tmp_path)
    assert len(photo_set.photos) == 6
    assert any("linked folders" in note for note in photo_set.notes)


def test_file_name_that_is_not_utf8(tmp_path: Path) -> None:
    class_folders(tmp_path, "a", "b")
    try:
        (tmp_path / "a" / "0.jpg").rename(tmp_path / "a" / os.fsdecode(b"\xff.jpg"))
    except OSError:
        pytest.skip("this file system refuses such names")
    assert "UTF-8" in refusal(tmp_path)


def test_training_needs_two_classes_of_two_photos(tmp_path: Path) -> None:
    require_trainable(load_photo_set(class_folders(tmp_path / "fine", "a", "b", count=2)))
    with pytest.raises(InputError, match=r"two classes .* one, 'a'"):
        require_trainable(load_photo_set(class_folders(tmp_path / "one", "a")))
    class_folders(tmp_path / "single", "a", "b")
    save(tmp_path / "single" / "c" / "0.jpg", 77)
    with pytest.raises(InputError, match=r"two photos a class .* 'c'"):
        require_trainable(load_photo_set(tmp_path / "single"))


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=30))
def test_accepted_paths_stay_below_the_root(text: str) -> None:
    if path_fault(text) is None:
        root = Path("/data/set")
        assert Path(os.path.normpath(root / text)).is_relative_to(root)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_as_csv_load_or_are_refused_in_one_line(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    path = tmp_path_factory.mktemp("csv") / "photos.csv"
    path.write_bytes(b"path,label\n" + data)
    message = "Expected nothing. Received nothing."
    try:
        load_photo_set(path)
    except InputError as error:
        message = str(error)
    assert message.startswith("Expected ")
    assert "\n" not in message


@pytest.mark.skipif("PROMOLENS_DATA" not in os.environ, reason="PROMOLENS_DATA names no folder")
def test_real_grocery_lists() -> None:
    root = Path(os.environ["PROMOLENS_DATA"]) / "grocery"
    everything = load_photo_set(root)
    packages = load_photo_set(root, "Packages/*")
    assert (len(everything.photos), len(everything.classes)) == (2936, 81)
    assert (len(packages.photos), len(packages.classes)) == (964, 31)
    assert {product.parent for product in packages.classes} >= {"Juice", "Milk", "Yoghurt"}
