"""Every row of the table builds what it declares."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from promolens_runtime.errors import InputError, MissingError
from promolens_training.backbones import applications
from promolens_training.backbones.table import BACKBONES, build_backbone

# Small, so that the eleven networks run in seconds; 64 px leaves a 2 x 2 feature map.
SIDE_PX = 64


@pytest.fixture(scope="module")
def b0_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random headless B0 weights in the published file's format, with its odd normalisation."""
    import h5py
    import keras
    from keras.src.legacy.saving import legacy_h5_format

    keras.utils.set_random_seed(5)
    folder = tmp_path_factory.mktemp("weights")
    network = keras.applications.EfficientNetB0(
        include_top=False, weights=None, input_shape=(SIDE_PX, SIDE_PX, 3)
    )
    normalise = next(x for x in network.layers if isinstance(x, keras.layers.Normalization))
    deviation = np.array([0.229, 0.224, 0.225], np.float32)
    normalise.set_weights([np.array([0.485, 0.456, 0.406], np.float32), deviation, np.array(0)])
    path = folder / "efficientnetb0_notop.h5"
    with h5py.File(path, "w") as file:
        legacy_h5_format.save_weights_to_hdf5_group(file, network)
    return path


def embeddings(model: Any) -> np.ndarray:
    """What a network says of two pictures, computed without a graph: that would take seconds."""
    pixels = np.random.default_rng(2).integers(0, 256, (2, SIDE_PX, SIDE_PX, 3))
    return model(pixels.astype(np.float32), training=False).numpy()


@pytest.mark.slow
@pytest.mark.parametrize("name", BACKBONES)
def test_a_row_keeps_its_promises(name: str) -> None:
    model = build_backbone(name, image_px=SIDE_PX, weights=None, drop_connect_rate=0.1)
    width = BACKBONES[name].embedding_width
    assert model.input.name == "image"
    assert model.layers[-1].name == "embedding"
    assert model.output_shape == (None, width)
    assert model.layers[-2].output.shape == (None, 2, 2, width)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["efficientnet_lite0", "efficientnet_b0", "efficientnet_v2b0"])
def test_stochastic_depth_is_what_was_asked(name: str) -> None:
    import keras

    def rates(rate: float) -> list[float]:
        model = build_backbone(name, SIDE_PX, None, rate)
        return [x.rate for x in model.layers if isinstance(x, keras.layers.Dropout)]

    assert sum(rates(0.0)) == 0.0
    asked = rates(0.3)
    assert asked == sorted(asked)
    assert 0.25 < asked[-1] < 0.3


@pytest.mark.slow
def test_a_file_gives_the_same_network_as_the_download(
    b0_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keras repairs the published variance only on its own route; the file route must as well."""
    from keras.src.utils import file_utils

    monkeypatch.setattr(file_utils, "get_file", lambda *_, **__: str(b0_weights))
    downloaded = embeddings(build_backbone("efficientnet_b0", SIDE_PX, "imagenet"))
    from_file = embeddings(build_backbone("efficientnet_b0", SIDE_PX, b0_weights))
    size = np.abs(downloaded).max()
    assert np.abs(from_file - downloaded).max() < 1e-3 * size

    monkeypatch.setattr(applications, "_repair_variance", lambda _: None)
    naive = embeddings(build_backbone("efficientnet_b0", SIDE_PX, b0_weights))
    assert np.abs(naive - downloaded).max() > 1e-1 * size


@pytest.mark.slow
def test_missing_weights_without_internet(monkeypatch: pytest.MonkeyPatch) -> None:
    from keras.src.utils import file_utils

    def unreachable(*_: Any, **__: Any) -> str:
        # The words of keras.utils.get_file when a name cannot be resolved.
        raise Exception("URL fetch failure on https://...: None -- Name or service not known")

    monkeypatch.setattr(file_utils, "get_file", unreachable)
    with pytest.raises(MissingError, match=r"efficientnetb0_notop\.h5.*--weights FILE"):
        build_backbone("efficientnet_b0", SIDE_PX)


@pytest.mark.slow
def test_weights_of_another_network_are_one_clear_error(b0_weights: Path) -> None:
    with pytest.raises(InputError, match=r"Expected the headless weights of efficientnet_b1") as e:
        build_backbone("efficientnet_b1", SIDE_PX, b0_weights)
    assert "\n" not in str(e.value)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"name": "efficientnet_lite9"}, "Received 'efficientnet_lite9'.*efficientnet_lite0"),
        ({"name": "efficientnet_lite0", "image_px": 8}, "Received 8"),
        ({"name": "efficientnet_lite0", "drop_connect_rate": 1.0}, r"Received 1\.0"),
        ({"name": "efficientnet_lite0", "weights": Path("absent.pth")}, "Received absent.pth"),
    ],
)
def test_wrong_options_are_refused_before_any_work(options: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        build_backbone(**options)


def test_only_networks_without_swish_come_without_a_warning() -> None:
    silent = {name for name, backbone in BACKBONES.items() if backbone.warning is None}
    assert silent == {"efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2"}


def test_published_file_names() -> None:
    assert applications.published_file_name("efficientnet_b3") == "efficientnetb3_notop.h5"
    assert applications.published_file_name("efficientnet_v2b0") == "efficientnetv2-b0_notop.h5"
