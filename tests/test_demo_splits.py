"""Test photos show places, surfaces, light and typefaces that no training photo shows."""

import pytest

from promolens_demo.catalogue import make_catalogue
from promolens_demo.fonts import CATALOGUE_RUN, FACES, PRINT_RUNS
from promolens_demo.lights import LIGHTS
from promolens_demo.materials import MATERIALS
from promolens_demo.photo import visit_of
from promolens_demo.scenes import SCENES


@pytest.mark.parametrize("table", [PRINT_RUNS, LIGHTS, MATERIALS, SCENES])
def test_the_splits_share_nothing(table):
    assert set(table) == {"train", "test"}
    assert not set(table["train"]) & set(table["test"])


def test_the_kinds_of_light_differ_in_value_too():
    assert not set(LIGHTS["train"].values()) & set(LIGHTS["test"].values())


@pytest.mark.parametrize("split", ["train", "test"])
def test_a_scene_is_made_of_its_own_splits_surfaces(split):
    for scene in SCENES[split].values():
        assert scene.wall in MATERIALS[split]
        assert scene.floor is None or scene.floor in MATERIALS[split]


def test_what_stands_about_differs():
    standing = {
        split: {thing for scene in scenes.values() for thing in scene.clutter}
        for split, scenes in SCENES.items()
    }
    assert not standing["train"] & standing["test"]


def test_the_catalogue_pictures_typeface_is_one_of_trainings():
    assert CATALOGUE_RUN in PRINT_RUNS["train"]
    assert {face for run in PRINT_RUNS.values() for face in run} == set(FACES)


def test_every_photo_of_a_split_is_taken_in_a_scene_and_light_of_that_split():
    for split, others in (("train", "test"), ("test", "train")):
        for index in range(40):
            visit = visit_of(2026, split, index)
            assert visit.scene in SCENES[split].values()
            assert visit.scene not in SCENES[others].values()
            assert visit.name.startswith(f"{split}-")


def test_a_visit_is_shared_by_all_products_and_by_two_photos_of_each():
    names = [visit_of(5, "train", index).name for index in range(10)]
    assert names == [name for name in dict.fromkeys(names) for _ in range(2)]
    assert len(make_catalogue()) == 24
