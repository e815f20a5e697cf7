"""The exam that the demo photos are: colours fail it, fixed features do not suffice."""

import importlib.util
import os
import sys
from pathlib import Path

import pytest

from promolens_demo.config import DemoConfig
from promolens_demo.folder import is_complete
from promolens_demo.writer import write_demo

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def exam_module():
    spec = importlib.util.spec_from_file_location("demo_exam", ROOT / "benchmarks/demo_exam.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["demo_exam"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["demo_exam"]


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Return the default demo data: `make train`'s, PROMOLENS_DEMO's, or drawn here.

    Photos from before are taken only where this version of the program drew all of them, and the
    first of each product and split are drawn again: they must be the same, byte for byte.
    """
    scratch = tmp_path_factory.mktemp("exam")
    root = Path(os.environ.get("PROMOLENS_DEMO", ROOT / "demo_data"))
    if not is_complete(root, DemoConfig()):
        root = root if "PROMOLENS_DEMO" in os.environ else scratch / "demo"
        write_demo(root, DemoConfig(), workers=2)
        return root
    write_demo(scratch / "few", DemoConfig(n_photos=1, n_test_photos=1), workers=2)
    few = {path.relative_to(scratch / "few") for path in scratch.glob("few/*/**/*.*")}
    assert len(few) == 3 * DemoConfig().n_products
    changed = [
        name for name in few if (scratch / "few" / name).read_bytes() != (root / name).read_bytes()
    ]
    assert not changed
    return root


@pytest.mark.slow
def test_the_default_photos_are_a_fair_exam(exam_module, photos):
    exam = exam_module.examine(photos)
    assert (exam.n_train, exam.n_test) == (960, 312)
    assert max(exam.histogram_rgb, exam.histogram_hsv) <= 0.50
    assert 0.60 <= exam.linear_probe <= 0.85
