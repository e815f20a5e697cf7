"""Embeddings: one vector a picture, near for the same product, far for others."""
