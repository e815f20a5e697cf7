"""The drawing's geometry, against figures worked out by hand."""

import numpy as np
import pytest

from promolens_demo.camera import Camera, look_at
from promolens_demo.catalogue import make_catalogue
from promolens_demo.packages import package_of, wrapping
from promolens_demo.shapes import Carton, Pillow, Turned

FORWARD = np.array([[[0.0, 0.0, -1.0]]], np.float32)


def meet(solid, x, y, z=50.0, ray=FORWARD):
    return solid.trace(np.array([x, y, z], np.float32), ray)


def test_a_ray_meets_the_front_of_a_can_in_the_middle_of_its_print():
    can = Turned(((3.0, 0.0), (3.0, 10.0), (0.0, 10.0)))
    hit = meet(can, 0.0, 5.0)
    assert hit.mask.all()
    np.testing.assert_allclose(hit.normal[0, 0], [0, 0, 1], atol=1e-5)
    assert hit.u[0, 0] == pytest.approx(0.5)
    # The profile is 13 cm long: 3 of lid, then 10 of side, of which 5 are passed.
    assert hit.v[0, 0] == pytest.approx(8 / 13, abs=1e-5)
    assert not meet(can, 3.1, 5.0).mask.any()


def test_the_side_of_a_can_looks_sideways():
    can = Turned(((3.0, 0.0), (3.0, 10.0), (0.0, 10.0)))
    hit = meet(can, 3.0 * np.sin(np.radians(30)), 5.0)
    np.testing.assert_allclose(hit.normal[0, 0], [0.5, 0, np.cos(np.radians(30))], atol=1e-5)
    assert hit.u[0, 0] == pytest.approx(0.5 + 30 / 360, abs=1e-5)


def test_a_can_is_seen_from_above_as_a_lid():
    can = Turned(((3.0, 0.0), (3.0, 10.0), (0.0, 10.0)))
    down = np.array([[[0.0, -1.0, 0.0]]], np.float32)
    hit = meet(can, 1.5, 30.0, 0.0, down)
    assert hit.normal[0, 0, 1] == pytest.approx(1.0, abs=1e-3)
    assert hit.v[0, 0] == pytest.approx(1.5 / 13, abs=1e-5)


def test_a_box_shows_its_front_then_its_right_side():
    box = Carton(10.0, 20.0, 4.0)
    front = meet(box, 2.0, 15.0)
    np.testing.assert_allclose(front.normal[0, 0], [0, 0, 1])
    assert front.u[0, 0] == pytest.approx(7 / 28)  # 5 + 2 cm of 2 (10 + 4)
    assert front.v[0, 0] == pytest.approx(5 / 24)  # 5 cm below the top of 20 + 4
    leftward = np.array([[[-1.0, 0.0, 0.0]]], np.float32)
    side = meet(box, 30.0, 15.0, 1.0, leftward)
    np.testing.assert_allclose(side.normal[0, 0], [1, 0, 0])
    assert side.u[0, 0] == pytest.approx(11 / 28)  # 10 of front, then 2 - 1 cm


def test_a_bag_bulges_in_the_middle_and_ends_at_its_outline():
    bag = Pillow(10.0, 20.0, 2.0)
    middle = meet(bag, 0.0, 10.0)
    np.testing.assert_allclose(middle.normal[0, 0], [0, 0, 1], atol=0.02)
    assert meet(bag, 3.5, 10.0).normal[0, 0, 0] > 0.3
    assert not meet(bag, 5.1, 10.0).mask.any()


def test_what_a_camera_looks_at_is_in_the_middle_of_its_picture():
    position, target = np.array([10.0, 20.0, 40.0]), np.array([1.0, 2.0, 3.0])
    camera = Camera(480, 640, 600.0, position, look_at(position, target, 0.3))
    place, depth = camera.project(target[None])
    np.testing.assert_allclose(place[0], [240, 320], atol=1e-6)
    assert depth[0] == pytest.approx(np.linalg.norm(target - position))


def test_a_pixels_ray_leads_to_the_point_that_is_seen_there():
    position = np.array([5.0, 8.0, 30.0])
    camera = Camera(480, 640, 600.0, position, look_at(position, np.zeros(3), -0.2))
    ray = camera.rays(100, 200, 101, 201)[0, 0]
    place, _ = camera.project((position + 17.0 * ray)[None])
    np.testing.assert_allclose(place[0], [100.5, 200.5], atol=1e-3)


@pytest.mark.parametrize("product", make_catalogue()[::3], ids=lambda p: p.item_id)
def test_the_print_run_changes_the_label_and_the_size_changes_the_shape(product):
    train, test = (np.asarray(wrapping(product, f), int) for f in ("nanum-gothic", "noto-sans"))
    assert train.shape == test.shape
    assert np.abs(train - test).mean() > 0.5
    sizes = {
        p.large: np.ptp(package_of(p).solid.corners(), axis=0)
        for p in make_catalogue()
        if p.family == product.family
    }
    ratio = {large: wide / high for large, (wide, high, _) in sizes.items()}
    # Not by scale alone: a photo tells the sizes apart by proportion as well.
    assert abs(np.log(ratio[True] / ratio[False])) > 0.25
