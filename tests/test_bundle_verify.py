"""A valid bundle passes; whatever is changed in it is noticed and named."""

from __future__ import annotations

from pathlib import Path

from promolens_runtime.verify import verify_bundle


def test_valid_bundle_passes(tiny_bundle: Path, keys) -> None:
    report = verify_bundle(tiny_bundle, keys.own.public)
    assert report.findings == ()
    assert report.notes == ()
    assert report.signed_by == keys.own.public
