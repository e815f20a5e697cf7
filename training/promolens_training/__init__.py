"""Photos to Keras models."""
