"""Vectors to ranked, calibrated answers (no TensorFlow)."""
