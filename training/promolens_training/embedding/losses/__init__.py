"""Losses of metric learning: pure functions of a batch, and layers for those with weights.

Every function takes `embeddings`, float32 or float64 `[B, D]` rows of length 1, and `labels`, int32
`[B]`, and returns one number >= 0 of the embeddings' type (`proxy_anchor`, `multi_similarity` too:
they are sums of logarithms of 1 + something positive). A batch without any pair that a loss needs
gives 0 with a zero gradient, never NaN.
"""
