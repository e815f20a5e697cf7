"""What the tests of bundle delivery share: a store with real, signed releases of a tiny model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from bundle_files import write_bundle
from promolens_runtime.manifest import Manifest
from promolens_server.bundles.publishing import Order, Published, publish_bundle
from promolens_server.bundles.store import ArtefactStore

WHEN = datetime(2026, 2, 24, 3, 0, tzinfo=UTC)
MakeBundle = Callable[..., Path]
Publish = Callable[..., Published]


@pytest.fixture
def make_bundle(
    tmp_path: Path, tiny_model_bytes: bytes, tiny_manifest_template: Manifest, keys: Any
) -> MakeBundle:
    """Write a bundle of some version, signed by `keys.own`, and return its folder."""

    def make(version: int, name: str = "tiny", card: bytes = b"# tiny\n", **options: Any) -> Path:
        folder = tmp_path / "made" / f"{name}-{version}-{len(card)}"
        manifest = replace(tiny_manifest_template, version=version, bundle_id=name)
        changes = {"MODEL_CARD.md": card}
        return write_bundle(
            folder, manifest, tiny_model_bytes, options.get("key", keys.own), changes
        )

    return make


@pytest.fixture
def store(tmp_path: Path) -> ArtefactStore:
    """An empty store."""
    return ArtefactStore(tmp_path / "store")


@pytest.fixture
def publish(store: ArtefactStore, make_bundle: MakeBundle, keys: Any) -> Publish:
    """Publish a bundle of some version into `store`."""

    def publish_version(version: int, percent: int = 100, **options: Any) -> Published:
        order = Order(
            options.pop("channel", "stable"),
            percent,
            options.pop("by", "min"),
            options.pop("allow_downgrade", False),
        )
        bundle = make_bundle(version, **options)
        return publish_bundle(store, bundle, keys.own.public, order, WHEN)

    return publish_version


def tree(folder: Path) -> dict[str, bytes]:
    """Return every file below a folder by its relative path."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
