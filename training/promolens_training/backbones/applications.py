"""EfficientNet B0-B3 and V2 B0-B3 out of `keras.applications`, brought into the house's form."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from promolens_runtime.errors import InputError, MissingError

if TYPE_CHECKING:
    import keras

_CLASSES = {
    "efficientnet_b0": "EfficientNetB0",
    "efficientnet_b1": "EfficientNetB1",
    "efficientnet_b2": "EfficientNetB2",
    "efficientnet_b3": "EfficientNetB3",
    "efficientnet_v2b0": "EfficientNetV2B0",
    "efficientnet_v2b1": "EfficientNetV2B1",
    "efficientnet_v2b2": "EfficientNetV2B2",
    "efficientnet_v2b3": "EfficientNetV2B3",
}
# The stochastic depth that keras.applications builds in and offers no argument for.
_BUILT_IN_DROP_CONNECT = 0.2
# Of ImageNet's RGB in 0..1. The published V1 files hold the deviation where Keras expects the
# variance; keras.applications repairs that with one more layer, but only for weights="imagenet".
_IMAGENET_DEVIATION = (0.229, 0.224, 0.225)


def published_file_name(name: str) -> str:
    """Return the name of the published file of headless weights.

    >>> published_file_name("efficientnet_v2b0")
    'efficientnetv2-b0_notop.h5'
    """
    stem = name.replace("efficientnet_v2", "efficientnetv2-").replace(
        "efficientnet_b", "efficientnetb"
    )
    return f"{stem}_notop.h5"


def _headless(name: str, side: int, weights: Literal["imagenet"] | None) -> Any:
    import keras

    build = getattr(keras.applications, _CLASSES[name])
    image = keras.Input((side, side, 3), name="image")
    return build(include_top=False, weights=weights, input_tensor=image)


def _downloaded(name: str, side: int) -> Any:
    try:
        return _headless(name, side, "imagenet")
    except Exception as error:
        # keras.utils.get_file raises a bare Exception when the address cannot be reached.
        if "URL fetch failure" not in str(error) and not isinstance(error, OSError):
            raise
        raise MissingError(
            f"Expected to download {published_file_name(name)} (ImageNet weights of {name}). "
            "Received no connection. Fetch that file on a connected machine and give --weights "
            "FILE, or take efficientnet_lite0, whose weights are installed."
        ) from error


def _repair_variance(headless: Any) -> None:
    """Do for weights from a file what keras.applications does for downloaded V1 weights."""
    import numpy as np
    from keras import layers

    for layer in headless.layers:
        if isinstance(layer, layers.Normalization) and layer.weights:
            mean, variance, count = layer.get_weights()
            layer.set_weights([mean, variance * np.asarray(_IMAGENET_DEVIATION), count])
            layer.finalize_state()


def _from_file(name: str, side: int, path: Path) -> Any:
    headless = _headless(name, side, None)
    try:
        with warnings.catch_warnings():
            # Keras only warns about layers that the file does not fill; they would stay random.
            warnings.simplefilter("error", UserWarning)
            headless.load_weights(path)
    except (ValueError, OSError, KeyError, UserWarning) as error:
        raise InputError(
            f"Expected the headless weights of {name} ({published_file_name(name)}). "
            f"Received {path}, which does not fit: {str(error).splitlines()[0]}"
        ) from error
    _repair_variance(headless)
    return headless


def _set_drop_connect(headless: Any, rate: float) -> None:
    from keras import layers

    for layer in headless.layers:
        if isinstance(layer, layers.Dropout):
            layer.rate *= rate / _BUILT_IN_DROP_CONNECT


def build_application(
    name: str, image_px: int, weights: Literal["imagenet"] | Path | None, drop_connect_rate: float
) -> keras.Model:
    """Build a network of `keras.applications`; arguments and result as in `build_backbone`.

    Pixels stay 0..255: these networks carry their own Rescaling and Normalization.

    Raises:
        InputError: the weights file is of another network.
        MissingError: the weights are not in Keras' cache and cannot be downloaded.
    """
    import keras

    if isinstance(weights, Path):
        headless = _from_file(name, image_px, weights)
    elif weights == "imagenet":
        headless = _downloaded(name, image_px)
    else:
        headless = _headless(name, image_px, None)
    _set_drop_connect(headless, drop_connect_rate)
    pooled = keras.layers.GlobalAveragePooling2D(name="embedding")(headless.output)
    return keras.Model(headless.inputs[0], pooled, name=name)
