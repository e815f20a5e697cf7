"""The HTML report: complete, escaped, self-contained, and drawn to scale."""

from __future__ import annotations

import base64
import io
import math
import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markupsafe import escape
from PIL import Image

from promolens_runtime.errors import InputError
from promolens_training.data.photos import Photo, ProductClass
from promolens_training.evaluation import Predictions, evaluate
from promolens_training.evaluation.calibration import calibrate
from promolens_training.evaluation.metrics import ReliabilityBin, agreement
from promolens_training.evaluation.unknown import compare_scores
from promolens_training.report import ReportContent, charts, sections, write_report
from promolens_training.report.content import (
    CROSS_FITTED,
    Cost,
    CurvePoint,
    Headline,
    ModelFigures,
    Picture,
    Variant,
)
from promolens_training.report.history import read_history
from promolens_training.report.pictures import thumbnail
from promolens_training.report.write import render_report

EVIL = "<script>alert('해킹')</script>&\""
VOID = {"meta", "img", "br", "link"}


class Page(HTMLParser):
    """Collects what a browser would act on, and checks that elements nest."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def values(self, name: str) -> list[str]:
        return [
            value or "" for _, attrs in self.tags for key, value in attrs.items() if key == name
        ]


@pytest.fixture(scope="module")
def classes() -> tuple[ProductClass, ...]:
    return (
        ProductClass("cola", "c", name_ko="콜라", name_en="Cola", parent="drinks"),
        ProductClass("cider", "s", name_ko="사이다", name_en=EVIL, parent="drinks"),
        ProductClass("chips", "p", name_ko="감자칩", name_en="Chips", parent="snacks"),
    )


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> tuple[Photo, ...]:
    folder = tmp_path_factory.mktemp("data")
    found = []
    for index in range(12):
        path = folder / f"{index} {EVIL.replace('/', '')}.png"
        Image.new("RGB", (300, 200), (20 * index, 90, 200)).save(path)
        label = ("cola", "cider", "chips")[index % 3]
        split = "test" if index < 8 else "train"
        found.append(Photo(path, label, split, f"scene{index // 2}"))
    return tuple(found)


@pytest.fixture(scope="module")
def predictions(photos: tuple[Photo, ...]) -> Predictions:
    rng = np.random.default_rng(0)
    labels = np.arange(12) % 3
    labels[11] = -1
    logits = rng.normal(0, 2, (12, 3)).astype(np.float32)
    sources, paths = zip(*((photo.source_id, photo.path) for photo in photos), strict=True)
    return Predictions(logits, labels, sources, paths)


@pytest.fixture(scope="module")
def content(
    classes: tuple[ProductClass, ...], photos: tuple[Photo, ...], predictions: Predictions
) -> ReportContent:
    known = predictions.known()
    shipped = replace(predictions, logits=predictions.logits[:, ::-1].copy())
    figures = evaluate(predictions, classes, 1.3)
    compared = agreement(
        predictions.logits, shipped.logits, predictions.labels, predictions.sources
    )
    calibration = calibrate(known.logits, known.labels, known.sources)
    assert calibration is not None
    unknown = predictions.unknown()
    results = compare_scores(known.logits, unknown.logits, known.sources, unknown.sources)
    return ReportContent(
        title=f"제목 {EVIL}",
        subtitle=EVIL,
        names=sections.display_names(classes),
        headlines=(sections.top1_headline(EVIL, figures), Headline(EVIL, EVIL, EVIL, good=False)),
        data=sections.data_overview(photos, classes, [EVIL]),
        training=(CurvePoint("head", 2.0, 0.5), CurvePoint(EVIL, 1.0, 0.7, 1.5, 0.6, 1e-3, 4.0)),
        models=(ModelFigures("float", figures, EVIL), ModelFigures("int8", figures)),
        evaluated_on=EVIL,
        confusion=sections.confusion_section(figures, predictions, classes, photos),
        mistakes=sections.mistakes_section(predictions, classes),
        calibration=sections.calibration_section(calibration),
        unknown=(sections.unknown_section(EVIL, results, unknown, classes),),
        variants=(
            Variant("float32", 13_572_712, 0.854, (0.8, 0.9), 1.0, 0, 0, 0.0, 12.6, 6.4),
            Variant(EVIL, 3_999_432, shipped=True, note=EVIL),
        ),
        disagreements=sections.disagreements_section(predictions, shipped, classes, compared),
        costs=(Cost(EVIL, 3725.0, 2**31, EVIL), Cost("conversion")),
        recipe={"phases": [{EVIL: EVIL}], "rates": [0.1, None]},
        provenance={"tools": {"keras": EVIL}},
    )


def test_the_page_holds_every_section_and_asks_nobody(content: ReportContent) -> None:
    page = render_report(content)
    found = Page(page)
    assert found.open == []
    assert {value for value in found.values("id") if value} == {
        "accuracy", "export", "confusion", "mistakes", "calibration", "unknown", "disagreements",
        "data", "training", "costs", "recipe",
    }  # fmt: skip
    assert sorted(found.values("href")) == sorted(f"#{name}" for name in found.values("id"))
    assert all(source.startswith("data:image/jpeg;base64,") for source in found.values("src"))
    tags = {tag for tag, _ in found.tags}
    assert not tags & {"script", "link", "iframe", "object", "base", "form"}
    assert not re.search(r"url\(|@import|https?:", page)
    assert "default-src 'none'" in page
    assert "3.999" not in page  # sizes are rounded
    assert "4.00 MB" in page
    assert "1 h 02 min" in page


def test_the_calibration_error_is_the_same_in_both_places(content: ReportContent) -> None:
    assert content.calibration is not None
    honest = content.calibration.ece_after
    models = tuple(replace(model, cross_fitted_ece=honest) for model in content.models)
    page = render_report(replace(content, models=models, ece_after_is=CROSS_FITTED))
    assert page.count(f" → {honest:.3f}</td>") == 2
    assert f"After, cross-fitted <small>ECE {honest:.3f}</small>" in page
    assert str(escape(CROSS_FITTED[1])) in page
    plain = content.models[0].evaluation.ece_scaled
    assert f" → {plain:.3f}</td>" in render_report(content)


def test_foreign_text_stays_text(content: ReportContent) -> None:
    page = render_report(content)
    assert "<script" not in page
    assert page.count(str(escape(EVIL))) > 20
    assert f"<title>제목 {escape(EVIL)}</title>" in page


@settings(max_examples=30)
@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=60))
def test_any_title_is_shown_as_it_is(title: str) -> None:
    page = render_report(ReportContent(title=title))
    assert f"<h1>{escape(title)}</h1>" in page
    assert Page(page).open == []


def test_an_empty_report_has_no_empty_sections() -> None:
    found = Page(render_report(ReportContent(title="nothing yet")))
    assert not found.values("id")
    assert not found.values("href")


def test_the_same_content_gives_the_same_file(tmp_path: Path, content: ReportContent) -> None:
    for name in ("a.html", "b.html"):
        write_report(tmp_path / "new" / name, content)
    first, second = ((tmp_path / "new" / name).read_bytes() for name in ("a.html", "b.html"))
    assert first == second
    assert first.decode() == render_report(content)
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["a.html", "b.html"]


def test_a_report_that_fails_leaves_the_old_one(tmp_path: Path, content: ReportContent) -> None:
    path = tmp_path / "report.html"
    path.write_text("old")
    assert content.confusion is not None
    broken = replace(content.confusion, matrix=np.zeros((1, 1), np.int64))
    with pytest.raises(IndexError):
        write_report(path, replace(content, confusion=broken))
    assert path.read_text() == "old"
    assert [each.name for each in tmp_path.iterdir()] == ["report.html"]


def test_only_pictures_inside_the_page_are_allowed() -> None:
    with pytest.raises(ValueError, match="data:image/"):
        Picture("https://example.org/tracker.gif", "")


def test_thumbnails_are_small_and_never_fail(tmp_path: Path) -> None:
    path = tmp_path / "big.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (900, 1200, 3), np.uint8)).save(path)

    def opened(picture: Picture) -> Image.Image:
        data = base64.b64decode(picture.data_uri.removeprefix("data:image/jpeg;base64,"))
        assert len(data) < 20_000
        return Image.open(io.BytesIO(data))

    assert opened(thumbnail(path, "a")).size == (160, 120)
    assert opened(thumbnail(Photo(path, "", box=(0, 0, 300, 900)), "a", 90)).size == (30, 90)
    path.write_bytes(b"damaged")
    assert opened(thumbnail(path, "a", 64)).getpixel((0, 0)) == (128, 128, 128)


def test_the_surest_mistake_is_first(classes: tuple[ProductClass, ...]) -> None:
    rows = np.log(
        np.array([[0.9, 0.05, 0.05], [0.6, 0.3, 0.1], [0.8, 0.1, 0.1], [0.98, 0.01, 0.01]])
    )
    labels = np.array([0, 1, 2, -1])  # right, wrong at .6, wrong at .8, an unknown object
    paths = tuple(Path("data") / "x" / "y" / f"{i}.jpg" for i in range(4))
    found = sections.mistakes_section(
        Predictions(rows.astype(np.float32), labels, ("",) * 4, paths), classes
    )
    assert [mistake.path for mistake in found] == ["x/y/2.jpg", "x/y/1.jpg"]
    assert found[0].actual == "감자칩 · Chips"
    assert (found[0].confidence, found[0].confidence_in_actual) == pytest.approx((0.8, 0.1))


def test_counts_by_split_and_source(
    classes: tuple[ProductClass, ...], photos: tuple[Photo, ...]
) -> None:
    data = sections.data_overview(photos, classes)
    rows = [(one.split, one.photos, one.sources, one.classes) for one in data.splits]
    assert rows == [("train", 4, 2, 3), ("test", 8, 4, 3)]
    # Photos 0, 3, 6, 9 are cola; 9 is for training.
    assert data.classes[0].counts == (1, 3)


def test_history_may_have_gaps(tmp_path: Path) -> None:
    path = tmp_path / "history.csv"
    path.write_text(
        "phase,epoch,step,loss,accuracy,val_loss,val_accuracy,learning_rate,seconds\n"
        "head,1,10,2.5,,,,0.001,3\n"
        "fine-tune,2,20,nan,0.75,oops,0.5,,\n",
        "utf-8",
    )
    first, second = read_history(path)
    assert first == CurvePoint("head", loss=2.5, learning_rate=0.001, seconds=3.0)
    assert second == CurvePoint("fine-tune", accuracy=0.75, val_accuracy=0.5)
    with pytest.raises(InputError, match="Expected training curves"):
        read_history(tmp_path / "absent.csv")


def test_a_curve_without_a_value_is_not_drawn() -> None:
    drawn = charts.training_charts([CurvePoint("head", loss=1.0), CurvePoint("head", loss=0.5)])
    assert [name for name, _ in drawn] == ["Loss"]


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1]),
        (0, 7, [0, 2, 4, 6]),
        (-3, 12, [0, 5, 10]),
        (2, 2, [2]),
    ],
)
def test_ticks_are_round(low: float, high: float, expected: list[float]) -> None:
    assert charts.nice_ticks(low, high) == pytest.approx(expected)


def shapes(drawing: str, class_: str) -> list[dict[str, str]]:
    found = ET.fromstring(drawing)
    return [dict(one.attrib) for one in found.iter() if one.get("class") == class_]


def test_the_reliability_diagram_is_to_scale() -> None:
    # The plot is 250 high from 14 on: accuracy .5 is 125 high, the gap up to .9 is 100 more.
    bins = (
        ReliabilityBin(0, 0.5, 0, None, None),
        ReliabilityBin(0.5, 1, 10, 0.9, 0.5),
    )
    drawing = charts.reliability_chart("a", bins)
    (bar,) = shapes(drawing, "bar one")
    (gap,) = shapes(drawing, "gap over")
    assert (float(bar["y"]), float(bar["height"])) == pytest.approx((14 + 125, 125))
    assert (float(gap["y"]), float(gap["height"])) == pytest.approx((14 + 25, 100))


def test_the_matrix_puts_siblings_side_by_side(content: ReportContent) -> None:
    assert content.confusion is not None
    order = ("b", "a", "b")
    moved = replace(
        content.confusion, names=("x", "y", "z"), parents=order, matrix=np.diag([1, 2, 3])
    )
    hints = [
        one.text for one in ET.fromstring(charts.confusion_chart(moved)).iter("title") if one.text
    ]
    assert hints == ["y → y: 2 of 2", "x → x: 1 of 1", "z → z: 3 of 3"]
    assert len(shapes(charts.confusion_chart(moved), "family")) == 2


def test_the_histogram_marks_the_threshold(content: ReportContent) -> None:
    result = content.unknown[0].results[0]
    drawing = charts.score_histogram(result)
    (mark,) = shapes(drawing, "threshold")
    values = np.concatenate([result.known_scores, result.unknown_scores])
    share = (result.accept_at_least - values.min()) / np.ptp(values)
    assert math.isclose(float(mark["x1"]), 18 + share * (charts.WIDTH - 36), abs_tol=0.02)
