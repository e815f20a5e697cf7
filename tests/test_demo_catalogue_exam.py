"""The exam of `benchmarks/catalogue_exam.py` is hard for a network that never saw such products."""

from __future__ import annotations

import importlib.util
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from promolens_demo.catalogue import make_catalogue
from promolens_demo.config import DemoConfig
from promolens_demo.writer import write_demo

ROOT = Path(__file__).resolve().parent.parent
PRODUCTS = 40


@pytest.fixture(scope="module")
def exam() -> Iterator[ModuleType]:
    path = ROOT / "benchmarks/catalogue_exam.py"
    spec = importlib.util.spec_from_file_location("catalogue_exam", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["catalogue_exam"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["catalogue_exam"]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("shop") / "shop"
    write_demo(root, DemoConfig(PRODUCTS, 1, 1), workers=1)
    return root


def test_families_of_the_full_exam_have_three_look_alikes_or_more() -> None:
    sizes = Counter(product.family.slug for product in make_catalogue(2000))
    assert len(sizes) == 500
    assert min(sizes.values()) >= 3


def test_a_quarter_of_the_families_is_never_trained_on(exam: ModuleType, shop: Path) -> None:
    found = exam.read_shop(shop)
    unseen = {name for name, left_out in zip(found.products, found.unseen, strict=True) if left_out}
    assert len(unseen) == 8
    assert unseen.isdisjoint(row["label"] for row in found.training)
    assert len(found.training) == PRODUCTS - 8
    assert {row["split"] for row in found.training} == {"train"}
    listed = exam.write_seen(found).read_text("utf-8")
    assert not [name for name in unseen if name in listed]


def test_the_frozen_network_names_at_most_half(exam: ModuleType, shop: Path) -> None:
    """Measured 32 % among 40 products; among 2,000 it is harder."""
    pytest.importorskip("tensorflow")
    rows = exam.frozen_rows(exam.read_shop(shop))
    plain, centred = rows[0], rows[3]
    assert (plain.of, plain.n, centred.of) == ("all", PRODUCTS, "all")
    assert plain.top1 <= exam.FROZEN_AT_MOST
    assert centred.top1 <= exam.FROZEN_AT_MOST
    assert plain.top5 > plain.top1, "not noise either: the five nearest hold more"


def test_ranks_are_told_by_family(exam: ModuleType, shop: Path) -> None:
    found = exam.read_shop(shop)
    shown = np.eye(PRODUCTS, dtype=np.float32)
    asked = shown[[label for _, label in found.tests]].copy()
    wrong = int(np.flatnonzero(found.unseen)[0])
    place = [label for _, label in found.tests].index(wrong)
    asked[place] = shown[(wrong + 1) % PRODUCTS]
    rows = {row.of: row for row in exam.judge(found, "by hand", shown, asked)}
    assert rows["unseen"].top1 == pytest.approx(7 / 8)
    assert rows["seen"].top1 == 1
    assert rows["all"].top1 == pytest.approx(39 / 40)
