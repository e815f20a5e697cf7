"""The exam that the demo photos are: colours fail it, fixed features do not suffice."""

import importlib.util
import os
import sys
from pathlib import Path

import pytest

from promolens_demo.config import DemoConfig
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


@pytest.mark.slow
def test_the_default_photos_are_a_fair_exam(exam_module, tmp_path):
    """PROMOLENS_DEMO names a folder to keep the default demo data in between runs."""
    folder = os.environ.get("PROMOLENS_DEMO")
    root = Path(folder) if folder else tmp_path / "demo"
    written = write_demo(root, DemoConfig(), workers=2)
    assert written.n_test >= 300
    exam = exam_module.examine(root)
    assert max(exam.histogram_rgb, exam.histogram_hsv) <= 0.50
    assert 0.60 <= exam.linear_probe <= 0.85
