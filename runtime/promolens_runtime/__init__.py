"""The bundle as its readers see it (no TensorFlow)."""
