"""How good a model is, and how sure one can be of that: figures, intervals, calibration.

`predictions` runs models over photos; everything else is arithmetic on arrays. Nothing here
imports TensorFlow except `grad_cam.grad_cam`, when called.
"""

from promolens_training.evaluation.evaluate import Evaluation, evaluate
from promolens_training.evaluation.predictions import (
    Predictions,
    load_predictions,
    predict_keras,
    predict_recognizer,
    predict_tflite,
    save_predictions,
)

__all__ = [
    "Evaluation",
    "Predictions",
    "evaluate",
    "load_predictions",
    "predict_keras",
    "predict_recognizer",
    "predict_tflite",
    "save_predictions",
]
