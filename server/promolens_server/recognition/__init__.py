"""Questions that are asked with a picture."""
