"""Keras model to a verified, signed bundle."""
