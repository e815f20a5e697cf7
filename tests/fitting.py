"""Opens the script that fits the matcher; `benchmarks` is a folder of scripts and no package."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType


def fitting_script() -> ModuleType:
    """Return `benchmarks/fit_matching.py` as a module."""
    name = "fit_matching"
    if name not in sys.modules:
        path = Path(__file__).parent.parent / "benchmarks" / f"{name}.py"
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
    return sys.modules[name]
